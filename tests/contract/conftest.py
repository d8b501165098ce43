"""What the tests of the client share."""

from collections.abc import Iterator

import pytest

from tests.contract.servers import Clients


@pytest.fixture
def clients() -> Iterator[Clients]:
    """Clients that never really wait."""
    with Clients() as clients:
        yield clients
