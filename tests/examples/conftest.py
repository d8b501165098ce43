"""The environment of whoever runs an example."""

import os

import pytest

from pulumi_avn_token.emulator import Emulator


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, emulator: Emulator) -> None:
    """The stack's own credential is at hand for every SDK, and nothing of this machine's settings."""
    for name in [name for name in os.environ if name.startswith(("PULUMI_", "KUBE", "GITHUB_", "AWS_", "AIVEN_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AIVEN_TOKEN", emulator.token)
    monkeypatch.setenv("AIVEN_WEB_URL", emulator.url)
