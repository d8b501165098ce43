"""What the tests of the client and of the command line share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.servers import Clients
from tests.contract.terminal import Account


@pytest.fixture
def clients() -> Iterator[Clients]:
    """Clients that never really wait."""
    with Clients() as clients:
        yield clients


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    """An account without a token, and somebody who is logged in to it."""
    with Account(tmp_path) as account:
        yield account
