"""Which requests a fault strikes, and which rules are no rules."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from pulumi_avn_token.emulator.faults import Fault, Kind

DOCUMENT = Path(__file__).parents[2] / "docs" / "emulator.md"


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


def test_only_a_list_can_be_stale() -> None:
    """`stale_list` passes other calls by, uncounted, whether or not it says that it is about the list."""
    for rule in (Fault(kind="stale_list"), Fault(kind="stale_list", call="list")):
        assert rule.fits("GET", "/v1/access_token")
        assert not rule.fits("POST", "/v1/access_token")
        assert not rule.fits("GET", "/v1/me")


def test_rules_can_be_members_of_a_set() -> None:
    """Equal rules hash alike, those with fields too."""
    rules = [Fault(kind="fields", fields={"scopes": [1]}, without=["last_ip"]) for _ in range(2)]
    assert len({*rules, Fault(kind="fields")}) == 2


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
        {"kind": "stale_list", "call": "create"},
        {"kind": "stale_list", "seconds": None},
        {"kind": "status", "error_code": 1},
        {"kind": "error", "message": ["m"]},
        {"kind": "body", "body": None},
        {"kind": "body", "body": b"{}"},
        {"kind": "fields", "fields": []},
        {"kind": "fields", "fields": {"scopes": {1}}},
        {"kind": "fields", "without": "last_ip"},
        {"kind": "fields", "without": [1]},
        {"kind": "flood", "bytes": -1},
        {"kind": "flood", "bytes": 1e6},
    ],
)
def test_bad_rule_is_refused(rule: dict[str, Any]) -> None:
    """A rule with a value that means nothing is a `ValueError` that names the field."""
    *_, field = rule
    with pytest.raises(ValueError, match=rf"^{field} must be "):
        Fault(**rule)


def test_document_knows_every_kind() -> None:
    """The table of the emulator's page has the kinds that there are, and no other."""
    _, faults = DOCUMENT.read_text(encoding="utf-8").split("| `kind` |")
    kinds = [
        kind for cell in re.findall(r"^\| (`.*?) \|", faults, re.MULTILINE) for kind in re.findall(r"`(\w+)`", cell)
    ]
    assert sorted(kinds) == sorted(get_args(Kind))
