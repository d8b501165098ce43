"""What is found wrong with a resource's arguments before anything happens."""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulumi_avn_token.arguments import Fault, find_faults, find_faults_of_series
from pulumi_avn_token.model import DEFAULT_MAX_AGE_SECONDS, LONGEST_PREFIX

ARGUMENTS = (
    "description",
    "max_age_seconds",
    "extend_when_used",
    "ip_allowlist",
    "scopes",
    "early_rotation_window_seconds",
    "rotation_triggers",
    "adopt_prefix",
    "full_token",
)
PREFIX = "XCJ3+bgWywIh"
DAY = 24 * 60 * 60
FULL_TOKEN = PREFIX + "aB3/" * 20

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**300), 10**300) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
"""What crosses the engine."""


def faults(**arguments: Any) -> list[Fault]:
    """Find the faults of arguments beside a sound description."""
    return find_faults({"description": "CI deploys", **arguments})


def test_arguments_that_are_all_sound_have_no_fault() -> None:
    """Every argument can be given at once, in the types that the engine delivers."""
    assert not faults(
        max_age_seconds=86400.0,
        extend_when_used=True,
        ip_allowlist=["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"],
        scopes=["user:read"],
        early_rotation_window_seconds=3600,
        rotation_triggers={"release": "2026-11", "count": 1, "nested": {"list": [1.5, None, True]}},
        adopt_prefix=PREFIX,
        full_token=FULL_TOKEN,
    )


@pytest.mark.parametrize("arguments", [{}, {"description": None}])
def test_missing_description_is_a_fault(arguments: dict[str, Any]) -> None:
    """A token without a description cannot be told from others."""
    assert find_faults(arguments) == [("description", "is missing")]


CREDENTIALS = (
    "must be the name of an environment variable, such as AIVEN_TOKEN_STAGING, or of a stack setting, such as"
    " staging:apiToken, and never the secret"
)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("description", 1, "must be a string, not a number"),
        ("description", True, "must be a string, not a boolean"),
        ("description", ["x"], "must be a string, not a list"),
        ("description", "", "must not be empty"),
        ("description", "x" * 1001, "must have at most 1000 characters, not 1001"),
        ("max_age_seconds", "600", "must be a number of seconds, not a string"),
        ("max_age_seconds", True, "must be a number of seconds, not a boolean"),
        ("max_age_seconds", 599, "must be a whole number of seconds from 600 to 315360000, not 599"),
        ("max_age_seconds", 600.5, "must be a whole number of seconds from 600 to 315360000, not 600.5"),
        ("max_age_seconds", float("nan"), "must be a whole number of seconds from 600 to 315360000, not nan"),
        ("max_age_seconds", float("inf"), "must be a whole number of seconds from 600 to 315360000, not inf"),
        ("extend_when_used", "true", "must be true or false, not a string"),
        ("extend_when_used", 1, "must be true or false, not a number"),
        ("ip_allowlist", "192.0.2.0/24", "must be a list, not a string"),
        ("ip_allowlist", [""], "must hold strings that are not empty"),
        ("ip_allowlist", [1], "must hold strings that are not empty"),
        ("scopes", {"user": "read"}, "must be a list, not a mapping"),
        ("scopes", ["user:read", ""], "must hold strings that are not empty"),
        ("scopes", ["user:read", None], "must hold strings that are not empty"),
        ("early_rotation_window_seconds", [], "must be a number of seconds, not a list"),
        ("early_rotation_window_seconds", 0, "must be a whole number of seconds from 1 to 315359999, not 0"),
        ("early_rotation_window_seconds", -1.0, "must be a whole number of seconds from 1 to 315359999, not -1"),
        ("rotation_triggers", ["x"], "must be a mapping, not a list"),
        ("rotation_triggers", 1.5, "must be a mapping, not a number"),
        ("adopt_prefix", "", "must not be empty"),
        ("adopt_prefix", 1234, "must be a string, not a number"),
        ("full_token", "", "must not be empty"),
        ("credentials", 1, "must be a string, not a number"),
        ("credentials", "", "must not be empty"),
        *(
            ("credentials", name, CREDENTIALS)
            for name in ("token", "A B", "A-B", "1A", "a:", ":a", "a:b:c", "A\n", "É", "admin:AVNS_x1")
        ),
        ("full_token", 1234, "must be a string, not a number"),
    ],
)
def test_unsound_value_is_a_fault(name: str, value: Any, reason: str) -> None:
    """Each argument is refused in words that say what it must be."""
    assert (name, reason) in faults(**{name: value})


def test_each_item_that_is_no_network_is_counted() -> None:
    """An address list's fault says which item it is, from one."""
    words = "must hold addresses and networks such as 192.0.2.0/24; number {} is none"
    assert faults(ip_allowlist=["192.0.2.0/24", "192.0.2.0/33", "::1", "example.org"]) == [
        ("ip_allowlist", words.format(2)),
        ("ip_allowlist", words.format(4)),
    ]


def test_network_with_host_bits_is_taken() -> None:
    """An address with the length of its network is a network, as the service sees it."""
    assert not faults(ip_allowlist=["192.0.2.7/24"])


def test_trigger_that_cannot_be_recorded_is_named() -> None:
    """A trigger must be plain all the way down, and the fault names the key that is not."""
    assert faults(rotation_triggers={"fine": 1, "deep": {"list": [object()]}, "raw": object()}) == [
        ("rotation_triggers", "must hold plain values; deep is a mapping: use a hash or a version of it"),
        ("rotation_triggers", "must hold plain values; raw is a object: use a hash or a version of it"),
    ]


@pytest.mark.parametrize("value", [2**53, -(2.0**53), float("inf"), float("nan"), [{"deep": [1, 2**60]}]])
def test_number_that_is_not_told_from_its_neighbours_is_a_fault(value: Any) -> None:
    """A trigger such as a time in nanoseconds would change without being seen to."""
    assert faults(rotation_triggers={"fine": 2**53 - 1, "big": value}) == [
        (
            "rotation_triggers",
            "must hold exact values; big has more than fifteen digits: give it as a string",
        )
    ]


def test_all_faults_are_found_in_one_call() -> None:
    """Nobody has to correct one argument to learn of the next."""
    found = find_faults(
        {
            "description": "",
            "max_age_seconds": 1,
            "extend_when_used": "no",
            "ip_allowlist": ["nowhere", *["192.0.2.1"] * 100],
            "scopes": "user:read",
            "early_rotation_window_seconds": 0,
            "rotation_triggers": [],
            "adopt_prefix": 1,
            "full_token": 2,
        }
    )
    assert {name for name, _ in found} == set(ARGUMENTS)
    assert sum(name == "ip_allowlist" for name, _ in found) == 2


@pytest.mark.parametrize("age", [600, 600.0, 315_360_000])
def test_age_may_be_at_its_limits(age: float) -> None:
    """The shortest and the longest age are taken."""
    assert not faults(max_age_seconds=age)


@pytest.mark.parametrize("window", [1, 315_359_999])
def test_window_may_be_at_its_limits(window: int) -> None:
    """The shortest and the longest window are taken."""
    assert not faults(early_rotation_window_seconds=window, max_age_seconds=315_360_000)


@pytest.mark.parametrize("faults_of", [find_faults, find_faults_of_series])
def test_description_is_no_mark(faults_of: Callable[[dict[str, Any]], list[Fault]]) -> None:
    """A token of such a description would be taken for one that an `up` made and lost, and revoked by the next."""
    for mark in ("series-0123456789abcdef", "token-0123456789abcdef"):
        faults = dict(faults_of({"description": f"[pulumi-avn-token {mark}] CI"}))
        assert faults["description"].startswith("must not begin with the mark by which")
    for near in (
        "[pulumi-avn-token] CI",
        "CI [pulumi-avn-token series-0123456789abcdef] ",
        "[pulumi-avn-token series-x] ",
    ):
        assert "description" not in dict(faults_of({"description": near}))


@pytest.mark.parametrize("text", ["x", "x" * 1000, "ż" * 1000, "🙂" * 1000, "null", "1234", "a\nb"])
def test_description_is_counted_in_characters(text: str) -> None:
    """A description has 1 to 1000 characters of any script, whatever bytes they take."""
    assert not find_faults({"description": text})


@pytest.mark.parametrize("name", ["ip_allowlist", "scopes"])
def test_list_has_at_most_a_hundred_items(name: str) -> None:
    """A hundred items are taken, and one more is not."""
    assert not faults(**{name: ["192.0.2.1"] * 100})
    assert faults(**{name: ["192.0.2.1"] * 101}) == [(name, "must hold at most 100 items, not 101")]


@pytest.mark.parametrize("name", ["ip_allowlist", "scopes", "rotation_triggers"])
def test_empty_collection_is_sound(name: str) -> None:
    """A list or a mapping may be empty."""
    assert not faults(**{name: {} if name == "rotation_triggers" else []})


@given(st.integers(-(10**12), 10**12))
def test_age_is_sound_exactly_within_its_limits(age: int) -> None:
    """Every whole number from 600 to 315360000 is an age, and no other."""
    assert (not faults(max_age_seconds=age)) == (600 <= age <= 315_360_000)


def test_number_out_of_range_is_written_as_given() -> None:
    """Who is told that a number is too large sees the number that was given."""
    ((_, reason),) = faults(max_age_seconds=315_360_001)
    assert "315360001" in reason


@given(st.sets(st.sampled_from(ARGUMENTS)))
def test_unknown_values_pass(unknown: set[str]) -> None:
    """What is not known before other resources are made is not missing, and asks for nothing beside it."""
    assert not find_faults({} if "description" in unknown else {"description": "x"}, unknown)


@pytest.mark.parametrize(
    ("arguments", "unknown"),
    [
        ({"early_rotation_window_seconds": DEFAULT_MAX_AGE_SECONDS * 2}, ["max_age_seconds"]),
        ({"early_rotation_window_seconds": DEFAULT_MAX_AGE_SECONDS * 2}, ["adopt_prefix"]),
        ({"full_token": FULL_TOKEN}, ["adopt_prefix"]),
        ({"adopt_prefix": PREFIX}, ["full_token"]),
        ({"max_age_seconds": 600}, ["early_rotation_window_seconds"]),
    ],
)
def test_rule_between_arguments_waits_until_both_are_known(arguments: dict[str, Any], unknown: list[str]) -> None:
    """A rule that compares two arguments does not guess the one that is unknown."""
    assert not find_faults({"description": "x", **arguments}, unknown)


@given(age=st.integers(600, 315_360_000), window=st.integers(1, 315_359_999))
def test_window_must_be_less_than_the_age(age: int, window: int) -> None:
    """A window as long as the age or longer would be due at every `up`."""
    expected = [("early_rotation_window_seconds", f"must be less than max_age_seconds ({age}), not {window}")]
    found = faults(max_age_seconds=age, early_rotation_window_seconds=window)
    assert found == ([] if window < age else expected)


def test_window_is_held_against_the_default_age() -> None:
    """Without an age, the window must be less than the service's 30 days."""
    assert not faults(early_rotation_window_seconds=DEFAULT_MAX_AGE_SECONDS - 1)
    reason = "must be less than the age, by default 2592000 (30 days), not 2592000"
    assert faults(early_rotation_window_seconds=DEFAULT_MAX_AGE_SECONDS) == [("early_rotation_window_seconds", reason)]


def test_window_of_an_adopted_token_is_not_held_against_the_default_age() -> None:
    """The age of an adopted token is the account's to tell."""
    assert not faults(early_rotation_window_seconds=DEFAULT_MAX_AGE_SECONDS * 2, adopt_prefix=PREFIX)


def test_window_is_not_held_against_an_unsound_age() -> None:
    """A fault makes no further faults."""
    assert [name for name, _ in faults(max_age_seconds=1, early_rotation_window_seconds=3600)] == ["max_age_seconds"]


def test_full_token_needs_a_prefix_beside_it() -> None:
    """A secret alone adopts nothing."""
    assert faults(full_token=FULL_TOKEN) == [
        ("full_token", "is the secret of the token to adopt: it needs adopt_prefix beside it")
    ]


@pytest.mark.parametrize("adopted", [PREFIX, PREFIX[:4], FULL_TOKEN])
def test_full_token_that_begins_with_the_prefix_is_sound(adopted: str) -> None:
    """The prefix, its beginning, or the full token in its place all mean the token of the secret."""
    assert not faults(adopt_prefix=adopted, full_token=FULL_TOKEN)


@pytest.mark.parametrize(
    "adopted",
    [
        "ZZZ3+bgWywIh",
        FULL_TOKEN + "x",
        FULL_TOKEN[: LONGEST_PREFIX + 1],  # longer than a prefix, and not the secret
    ],
)
def test_full_token_of_another_token_is_a_fault(adopted: str) -> None:
    """A secret that does not belong to the token to adopt is refused before it is stored."""
    assert faults(adopt_prefix=adopted, full_token=FULL_TOKEN) == [
        ("full_token", "is not the secret of the token to adopt: it does not begin with adopt_prefix")
    ]


@given(
    secret=st.text(string.ascii_letters + string.digits + "+/=", min_size=24, max_size=1200),
    more=st.text(string.ascii_letters, max_size=20),
)
def test_no_fault_tells_a_text_that_was_given(secret: str, more: str) -> None:
    """A text may be a secret that was put where it does not belong: no fault says it, or a piece of it."""
    shapes: list[Any] = [secret, [secret, f"{more}{secret}"], {"key": secret}, {"key": [object(), secret]}]
    pieces = {secret[start : start + 13] for start in range(len(secret) - 12)}
    for shape in shapes:
        for arguments in (dict.fromkeys(ARGUMENTS, shape), *({"description": "x", name: shape} for name in ARGUMENTS)):
            for adopted in ({}, {"adopt_prefix": secret, "full_token": f"{more}{secret}x"}):
                for _, reason in find_faults({**arguments, **adopted}):
                    assert not any(piece in reason for piece in pieces)


@given(
    st.dictionaries(st.sampled_from([*ARGUMENTS, "another"]), PLAIN),
    st.sets(st.sampled_from(ARGUMENTS)),
)
def test_whatever_comes_is_answered_with_faults(arguments: dict[str, Any], unknown: set[str]) -> None:
    """No value that can cross the engine makes the check itself fail, and a fault names an argument."""
    for name, reason in find_faults(arguments, unknown):
        assert name in ARGUMENTS
        assert reason


@pytest.mark.parametrize("name", [name for name in ARGUMENTS if name != "description"])
def test_none_is_the_same_as_absent(name: str) -> None:
    """An argument that is None was not given."""
    assert not faults(**{name: None})


SERIES: dict[str, Any] = {
    "description": "Ingest workers",
    "max_age_seconds": 60 * DAY,
    "early_rotation_window_seconds": 14 * DAY,
}
ARGUMENTS_OF_SERIES = (
    *(name for name in ARGUMENTS if name not in {"adopt_prefix", "full_token"}),
    "overlap_seconds",
    "retire_previous",
    "revocation_triggers",
)
WINDOW, OVERLAP = "early_rotation_window_seconds", "overlap_seconds"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        (dict.fromkeys([OVERLAP, "retire_previous", "rotation_triggers", "revocation_triggers"]), []),
        (
            {
                OVERLAP: 7.0 * DAY,
                "retire_previous": "after_overlap",
                "extend_when_used": True,
                "ip_allowlist": ["192.0.2.0/24"],
                "scopes": ["user:read"],
                "rotation_triggers": {"release": "2026-11"},
                "revocation_triggers": {"leak": [1, None]},
            },
            [],
        ),
        ({OVERLAP: 0}, []),
        ({OVERLAP: 14 * DAY}, []),
        ({OVERLAP: 14 * DAY + 1}, [(OVERLAP, f"must be at most {WINDOW} (1209600), not 1209601")]),
        ({WINDOW: 60 * DAY - 1}, []),
        ({WINDOW: 60 * DAY}, [(WINDOW, "must be less than max_age_seconds (5184000), not 5184000")]),
        (
            {WINDOW: 60 * DAY, OVERLAP: 61 * DAY},
            [
                (WINDOW, "must be less than max_age_seconds (5184000), not 5184000"),
                (OVERLAP, f"must be at most {WINDOW} (5184000), not 5270400"),
            ],
        ),
        ({WINDOW: 0}, [(WINDOW, "must be a whole number of seconds from 1 to 315359999, not 0")]),
        ({OVERLAP: -1}, [(OVERLAP, "must be a whole number of seconds from 0 to 315359999, not -1")]),
        ({OVERLAP: 0.5}, [(OVERLAP, "must be a whole number of seconds from 0 to 315359999, not 0.5")]),
        ({OVERLAP: "7d"}, [(OVERLAP, "must be a number of seconds, not a string")]),
        ({OVERLAP: True}, [(OVERLAP, "must be a number of seconds, not a boolean")]),
        ({"retire_previous": "never"}, [("retire_previous", "must be one of when_idle, after_overlap")]),
        ({"retire_previous": ["when_idle"]}, [("retire_previous", "must be one of when_idle, after_overlap")]),
        ({"retire_previous": {}}, [("retire_previous", "must be one of when_idle, after_overlap")]),
        ({"retire_previous": ""}, [("retire_previous", "must be one of when_idle, after_overlap")]),
        ({"revocation_triggers": ["x"]}, [("revocation_triggers", "must be a mapping, not a list")]),
        (
            {"max_age_seconds": 1},
            [("max_age_seconds", "must be a whole number of seconds from 600 to 315360000, not 1")],
        ),
        ({"max_age_seconds": None}, [("max_age_seconds", "is missing")]),
        ({WINDOW: None, OVERLAP: DAY}, [(WINDOW, "is missing")]),
        (dict.fromkeys(SERIES), [(name, "is missing") for name in SERIES]),
        (
            {
                "description": "",
                "max_age_seconds": 1,
                "extend_when_used": 1,
                "ip_allowlist": "x",
                "scopes": "x",
                WINDOW: 0,
                "rotation_triggers": 1,
                OVERLAP: -1,
                "retire_previous": 1,
                "revocation_triggers": 1,
            },
            [
                ("description", "must not be empty"),
                ("max_age_seconds", "must be a whole number of seconds from 600 to 315360000, not 1"),
                ("extend_when_used", "must be true or false, not a number"),
                ("ip_allowlist", "must be a list, not a string"),
                ("scopes", "must be a list, not a string"),
                (WINDOW, "must be a whole number of seconds from 1 to 315359999, not 0"),
                ("rotation_triggers", "must be a mapping, not a number"),
                (OVERLAP, "must be a whole number of seconds from 0 to 315359999, not -1"),
                ("retire_previous", "must be one of when_idle, after_overlap"),
                ("revocation_triggers", "must be a mapping, not a number"),
            ],
        ),
    ],
)
def test_arguments_of_a_series_are_checked_all_at_once(changes: dict[str, Any], found: list[Fault]) -> None:
    """Every rule of a series has its words, one fault hides no other, and a fault makes no further ones."""
    assert sorted(find_faults_of_series({**SERIES, **changes})) == sorted(found)


@given(
    age=st.integers(600, 315_360_000),
    window=st.integers(1, 315_359_999),
    overlap=st.none() | st.integers(0, 315_359_999),
)
def test_promise_of_an_overlap_can_be_kept(age: int, window: int, overlap: int | None) -> None:
    """An overlap fits into the window, and the window into the life: exactly then the promise can be kept."""
    found = find_faults_of_series({**SERIES, "max_age_seconds": age, WINDOW: window, OVERLAP: overlap})
    assert [name for name, _ in found] == [WINDOW] * (window >= age) + [OVERLAP] * ((overlap or 0) > window)


@pytest.mark.parametrize(
    ("changes", "unknown"),
    [
        ({WINDOW: 90 * DAY}, "max_age_seconds"),
        ({"max_age_seconds": 600}, WINDOW),
        ({OVERLAP: 90 * DAY}, WINDOW),
        ({WINDOW: 1}, OVERLAP),
    ],
)
def test_rule_of_a_series_waits_until_both_are_known(changes: dict[str, Any], unknown: str) -> None:
    """What is unknown is neither missing nor compared."""
    arguments = {name: value for name, value in {**SERIES, **changes}.items() if name != unknown}
    assert not find_faults_of_series(arguments, {unknown})


@given(st.sets(st.sampled_from(ARGUMENTS_OF_SERIES)))
def test_unknown_values_of_a_series_pass(unknown: set[str]) -> None:
    """Every argument may be unknown, and asks for nothing beside it."""
    assert not find_faults_of_series({name: value for name, value in SERIES.items() if name not in unknown}, unknown)


@given(
    st.dictionaries(st.sampled_from([*ARGUMENTS_OF_SERIES, "another"]), PLAIN),
    st.sets(st.sampled_from(ARGUMENTS_OF_SERIES)),
)
def test_whatever_comes_to_a_series_is_answered_with_faults(arguments: dict[str, Any], unknown: set[str]) -> None:
    """No value that can cross the engine makes the check itself fail, and a fault names an argument."""
    for name, reason in find_faults_of_series(arguments, unknown):
        assert name in ARGUMENTS_OF_SERIES
        assert reason
