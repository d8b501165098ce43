"""A project for each test."""

from pathlib import Path

import pytest

from pulumi_avn_token.emulator import Emulator
from tests.engine.project import Project


@pytest.fixture
def project(tmp_path: Path, emulator: Emulator) -> Project:
    """A scratch project against the emulated account."""
    return Project(tmp_path / "project", emulator)
