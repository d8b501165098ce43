"""What an operation costs, counted at its sockets: for each token the same, however many there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bench.server import Api, Traffic
from pulumi_avn_token.provider import AccessTokenProvider
from tests.providers import new_provider

FEW, SOME, MANY = COUNTS = (10, 100, 400)
WORKERS = 4  # of the host of dynamic providers

REQUESTS: dict[str, tuple[Callable[[int], int], int]] = {
    "create": (lambda count: 1 + 2 * count, 0),
    "diff": (lambda _: 0, 0),
    "read": (lambda _: 1, 1),
    "update": (lambda count: count, 0),
    "delete": (lambda count: 1 + count, 1),
}
"""How many requests an operation makes, and how many of them list the account."""


def test_requests_connections_and_bytes_grow_with_the_tokens_and_no_faster() -> None:
    """One list for all at most, nothing asked twice, four connections that are kept; one more token costs the same."""
    costs = {(operation, count): traffic for count in COUNTS for operation, traffic in life(count)}
    for (operation, count), cost in costs.items():
        requests, lists = REQUESTS[operation]
        assert (operation, cost.requests, cost.lists) == (operation, requests(count), lists)
        assert cost.connections <= WORKERS
    for operation in REQUESTS:
        few, some, many = (costs[operation, count] for count in COUNTS)
        for name in ("bytes_in", "bytes_out"):
            first = (getattr(some, name) - getattr(few, name)) / (SOME - FEW)
            second = (getattr(many, name) - getattr(some, name)) / (MANY - SOME)
            assert first == pytest.approx(second, rel=0.03, abs=1), (operation, name)


def life(count: int) -> Iterator[tuple[str, Traffic]]:
    """Make tokens, look at them twice, change and revoke them, each by a host of its own; what each costs."""
    inputs = [{"description": f"Service {number:05}", "extend_when_used": False} for number in range(count)]
    with Api(0) as api:

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
        other = {"description": "Service, changed"}
        do(lambda provider, pair: provider.update(pair[0].id, pair[0].outs, {**pair[1], **other}), pairs)
        yield "update", api.traffic()
        do(lambda provider, token: provider.delete(token.id, token.outs), made)
        yield "delete", api.traffic()
        assert api.descriptions() == []
