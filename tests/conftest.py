"""What all tests share."""

from collections.abc import Iterator

import pytest

from pulumi_avn_token.emulator import Emulator
from tests.account import Observer


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulated account, in memory."""
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def observer(emulator: Emulator) -> Observer:
    """Somebody else in that account."""
    return Observer(emulator)
