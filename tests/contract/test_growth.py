"""What an operation costs, counted at its sockets: for each token the same, however many there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bench.server import Api, Traffic
from pulumi_avn_token.provider import AccessTokenProvider
from tests.providers import new_provider

COUNTS = (10, 100, 400)
WORKERS = 4  # of the host of dynamic providers

REQUESTS: dict[str, tuple[Callable[[int], int], int]] = {
    "create": (lambda count: 1 + 2 * count, 0),
    "diff": (lambda _: 0, 0),
    "read": (lambda _: 1, 1),
    "update": (lambda count: count, 0),
    "delete": (lambda count: 1 + count, 1),
}
"""How many requests an operation makes, and how many of them list the account."""

Costs = dict[tuple[str, int], Traffic]


@pytest.fixture(scope="module")
def costs() -> Costs:
    """What each operation costs with so many tokens."""
    found: Costs = {}
    for count in COUNTS:
        with Api(0) as api:
            for operation, traffic in life(api, count):
                found[operation, count] = traffic
    return found


def life(api: Api, count: int) -> Iterator[tuple[str, Traffic]]:
    """Make tokens, look at them twice, change and revoke them, each by a host of its own."""
    inputs = [{"description": f"Service {number:05}", "extend_when_used": False} for number in range(count)]

    def do(each: Callable[[Any, Any], Any], items: list[Any]) -> list[Any]:
        provider = new_provider(AccessTokenProvider, api.url, api.token)
        with ThreadPoolExecutor(WORKERS) as pool:
            return list(pool.map(lambda item: each(provider, item), items))

    made = do(lambda provider, props: provider.create(props), inputs)
    yield "create", api.traffic()
    pairs = list(zip(made, inputs, strict=True))
    decided = do(lambda provider, pair: provider.diff(pair[0].id, pair[0].outs, pair[1]), pairs)
    assert not any(each.changes for each in decided)
    yield "diff", api.traffic()
    read = do(lambda provider, token: provider.read(token.id, token.outs), made)
    assert [token.id for token in read] == [token.id for token in made]
    yield "read", api.traffic()
    do(lambda provider, pair: provider.update(pair[0].id, pair[0].outs, {**pair[1], "description": "x" * 13}), pairs)
    yield "update", api.traffic()
    do(lambda provider, token: provider.delete(token.id, token.outs), made)
    yield "delete", api.traffic()
    assert api.descriptions() == []


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("operation", REQUESTS)
def test_requests_and_connections_are_what_they_must_be(costs: Costs, operation: str, count: int) -> None:
    """One list for all at most, nothing that is asked twice, and four connections that are kept."""
    requests, lists = REQUESTS[operation]
    cost = costs[operation, count]
    assert (cost.requests, cost.lists) == (requests(count), lists)
    assert cost.connections <= WORKERS


@pytest.mark.parametrize("operation", REQUESTS)
def test_bytes_grow_with_the_tokens_and_no_faster(costs: Costs, operation: str) -> None:
    """What one more token costs does not depend on how many there are."""

    def slopes(of: Callable[[Traffic], int]) -> list[float]:
        few, some, many = (of(costs[operation, count]) for count in COUNTS)
        return [(some - few) / (COUNTS[1] - COUNTS[0]), (many - some) / (COUNTS[2] - COUNTS[1])]

    for first, second in (slopes(lambda cost: cost.bytes_in), slopes(lambda cost: cost.bytes_out)):
        assert first == pytest.approx(second, rel=0.03, abs=1)
