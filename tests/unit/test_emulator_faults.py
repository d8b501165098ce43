"""Which requests a fault strikes, and which rules are no rules."""

from typing import Any

import pytest

from pulumi_avn_token.emulator.faults import Fault


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        ({}, True),
        ({"method": "delete"}, True),
        ({"method": "GET"}, False),
        ({"path_contains": "a+b/c"}, True),
        ({"path_contains": "zzz"}, False),
        ({"call": "revoke"}, True),
        ({"call": "update"}, False),
        ({"call": "create"}, False),
        ({"call": "me"}, False),
        ({"call": "revoke", "path_contains": "zzz"}, False),
    ],
)
def test_fault_fits_by_method_path_and_call(rule: dict[str, Any], fits: bool) -> None:  # noqa: FBT001
    """A rule fits a request only if all that it says does; what it leaves open fits."""
    assert Fault(kind="empty", **rule).fits("DELETE", "/v1/access_token/a+b/c") is fits


def test_call_on_the_whole_list_is_not_one_on_a_token() -> None:
    """`list` and `create` are the calls on the collection, told apart by their method."""
    assert Fault(kind="empty", call="create").fits("POST", "/v1/access_token")
    assert not Fault(kind="empty", call="create").fits("GET", "/v1/access_token")
    assert not Fault(kind="empty", call="list").fits("GET", "/v1/access_token/x")


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "typo"},
        {"kind": "status", "status": 404},
        {"kind": "empty", "call": "typo"},
        {"kind": "empty", "method": 1},
        {"kind": "empty", "path_contains": 1},
        {"kind": "empty", "after": -1},
        {"kind": "empty", "times": "1"},
        {"kind": "empty", "times": True},
        {"kind": "latency", "seconds": -1},
        {"kind": "latency", "seconds": "1"},
        {"kind": "status", "retry_after": "soon"},
        {"kind": "status", "retry_after_seconds": 1.5},
        {"kind": "status", "after_change": 1},
        {"kind": []},
        {"kind": "status", "status": []},
    ],
)
def test_bad_rule_is_refused(rule: dict[str, Any]) -> None:
    """A rule with a value that means nothing is a `ValueError` that names the field."""
    *_, field = rule
    with pytest.raises(ValueError, match=rf"^{field} must be "):
        Fault(**rule)
