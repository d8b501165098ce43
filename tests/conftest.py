"""What all tests share."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from pulumi_avn_token.emulator import Emulator
from tests.account import Observer

settings.register_profile("gate", deadline=None, derandomize=True)
settings.register_profile("soak", deadline=None, max_examples=5000, print_blob=True)
# What `make test` says depends on the tree alone; `make soak` looks for what nobody has thought of yet.
settings.load_profile("gate")


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulated account, in memory."""
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def observer(emulator: Emulator) -> Observer:
    """Somebody else in that account."""
    return Observer(emulator)
