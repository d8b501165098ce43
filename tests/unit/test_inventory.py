"""What the account holds against what stacks hold: every finding, with what to do."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from itertools import permutations
from typing import Any, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pulumi_avn_token.errors import ExportError, WrongAccountError
from pulumi_avn_token.holdings import Holding, Role, find_holdings, read
from pulumi_avn_token.inventory import (
    FAILURES,
    KINDS,
    Entry,
    Finding,
    Kind,
    audit,
    is_ignored,
    of_user,
    steady,
    told,
)
from pulumi_avn_token.lifecycle import SERIES_TYPE, TOKEN_TYPE
from pulumi_avn_token.marks import OF_A_TOKEN, marked, new_mark, tag, user_agent
from pulumi_avn_token.model import TokenInfo, User, written

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)
WEEK = timedelta(days=7)
THIRTY_DAYS = timedelta(days=30)
INSTANT = timedelta(microseconds=1)
DAY = 24 * 60 * 60
PREFIX = "XCJ3+bgWywIh"
MARK = "series-0123456789abcdef"
OTHER_MARK = "series-fedcba9876543210"
OWN_USE = user_agent("pulumi-avn-token/1.0", MARK)
ANN = User(user="ann@example.org", user_id="u1")

ADOPT = f"adopt it: add to your manifest what `pulumi-avn-token manifest from-account --prefix {PREFIX}` prints"
REVOKE = f"revoke it: `avn user access-token revoke {PREFIX}`"


def in_time(span: timedelta) -> str:
    """Write the time that is so long from NOW, as the API does."""
    return written(NOW + span)


def days(number: float) -> timedelta:
    """Give so many days."""
    return timedelta(days=number)


def token(prefix: str = PREFIX, description: str = "CI deploys", **fields: Any) -> TokenInfo:
    """Give a token that somebody made ten days ago, that ends in twenty, and that was used an hour ago."""
    known: dict[str, Any] = {
        "created_manually": True,
        "create_time": in_time(-days(10)),
        "expiry_time": in_time(days(20)),
        "max_age_seconds": 30 * DAY,
        "last_used_time": in_time(-timedelta(hours=1)),
        "last_ip": "192.0.2.1",
        "last_user_agent": "curl/8",
    }
    return TokenInfo(token_prefix=prefix, description=description, **{**known, **fields})


def holding(  # noqa: PLR0913 - the fields of one
    prefix: str = PREFIX,
    role: Role = "current",
    *,
    name: str = "ci",
    stack: str = "tokens/prod",
    mark: str | None = None,
    outs: dict[str, Any] | None = None,
) -> Holding:
    """Give a token that a resource holds; with a mark it is one of a series."""
    project, _, of_project = stack.partition("/")
    return Holding(
        token_prefix=prefix,
        role=role,
        stack=stack,
        urn=f"urn:pulumi:{of_project}::{project}::{SERIES_TYPE if mark else TOKEN_TYPE}::{name}",
        is_series=mark is not None,
        mark=mark,
        outs={"create_time": in_time(-days(10)), "expiry_time": in_time(days(20))} if outs is None else outs,
    )


def entries(tokens: Iterable[TokenInfo], holdings: Iterable[Holding], horizon: timedelta = WEEK) -> list[Entry]:
    """Audit, and give all entries."""
    return list(audit(tokens, holdings, NOW, horizon))


def entry(found: TokenInfo | None, *holdings: Holding, horizon: timedelta = WEEK) -> Entry:
    """Audit an account with one token, and give its entry; None: with no token."""
    (only,) = entries([found] if found else [], holdings, horizon)
    return only


def findings(found: TokenInfo | None, *holdings: Holding, horizon: timedelta = WEEK) -> list[tuple[str, str, str]]:
    """Audit one token, and give kind, what and advice of what is found."""
    return [dataclasses.astuple(finding) for finding in entry(found, *holdings, horizon=horizon).findings]


def kinds(found: TokenInfo | None, *holdings: Holding, horizon: timedelta = WEEK) -> list[str]:
    """Audit one token, and give the kinds of what is found."""
    return [finding.kind for finding in entry(found, *holdings, horizon=horizon).findings]


def test_managed_token_that_is_in_use_is_in_order() -> None:
    """There is nothing to say of a token that a stack holds, and that has a rotation, a use and an end."""
    found, held = token(), holding()
    assert entry(found, held) == Entry(
        token_prefix=PREFIX, description="CI deploys", token=found, holdings=(held,), findings=()
    )
    assert entry(found, held).status == "managed"


@pytest.mark.parametrize("role", ["current", "previous", "leaving"])
@pytest.mark.parametrize("mark", [None, MARK])
def test_token_that_a_stack_has_is_managed(role: Role, mark: str | None) -> None:
    """The current token of a resource, the one before it, and one that is about to be revoked are no findings."""
    for agent in ("curl/8", OWN_USE):
        found = token(description="as another", last_user_agent=agent)
        assert entry(found, holding(role=role, mark=mark)).status == "managed"


# What no stack holds


@pytest.mark.parametrize(
    ("fields", "held", "what", "advice"),
    [
        ({"last_used_time": None}, [], "no stack holds it; never used", f"{ADOPT}; or {REVOKE}"),
        ({}, [], "no stack holds it; last used 1h ago from 192.0.2.1 by curl/8", f"{ADOPT}; or {REVOKE}"),
        (
            {"last_ip": None, "last_user_agent": None, "last_used_time": in_time(-days(3))},
            [],
            "no stack holds it; last used 3d ago from an unknown address by an unknown program",
            f"{ADOPT}; or {REVOKE}",
        ),
        (
            {"currently_active": True},
            [],
            "no stack holds it; last used 1h ago from 192.0.2.1 by curl/8",
            f"it is the one that asks here; {ADOPT}; or leave it out: `--ignore {PREFIX}`",
        ),
        (
            {},
            [holding(role="read", name="nb", stack="data/dev")],
            "nb of data/dev reads it, but no stack holds it; last used 1h ago from 192.0.2.1 by curl/8",
            f"{ADOPT}; or leave it out: `--ignore {PREFIX}`",
        ),
        (
            {"created_manually": None},
            [],
            "no stack holds it; last used 1h ago from 192.0.2.1 by curl/8",
            f"{ADOPT}; or {REVOKE}",
        ),
    ],
)
def test_token_that_no_stack_holds_is_unmanaged(
    fields: dict[str, Any], held: list[Holding], what: str, advice: str
) -> None:
    """It is told with its last use; nobody is led to revoke the one in use, and who only reads one holds none."""
    assert findings(token(**fields), *held) == [("unmanaged", what, advice)]
    assert entry(token(**fields), *held).status == "unmanaged"


IN_AN_UP = "made it in an `up` that was interrupted, and nobody got its secret"
UNLESS = "unless an `up` is running right now, or another state holds it"
LEFT_BEHIND = (
    "undelivered",
    f"ingest of tokens/prod {IN_AN_UP}",
    "run `pulumi up --refresh` of tokens/prod: unless its newest state holds it, that revokes it",
)
HALF_MADE = (
    "undelivered",
    "an `up` that was interrupted made it, and nobody has used it",
    f"{UNLESS}, {REVOKE}",
)
OF_ANOTHER = (
    "orphan",
    "an `up` of a stack that is not given here made it, and nobody has used it since",
    f"if no other stack, and no newer export, holds it, {REVOKE}",
)
TWIN = (
    "orphan",
    "no stack holds it, but twin of tokens/prod has the same description; last used 1h ago from 192.0.2.1 by curl/8",
    f"{ADOPT}; or, if nobody needs it and tokens/prod does not hold it, {REVOKE}",
)
UNUSED_TWIN = (
    "orphan",
    "no stack holds it, but twin of tokens/prod has the same description; never used",
    f"perhaps an `up` was interrupted, or the export is old; if tokens/prod does not hold it, {REVOKE}",
)
SERIES = holding("its/current+", name="ingest", mark=MARK)
SAME = holding("its/own+own+", name="twin", outs={"description": "CI deploys"})
STRAY = holding(role="stray", name="ingest", mark=OTHER_MARK, outs={})
BY_DESCRIPTION = {"description": marked("CI deploys", MARK), "last_used_time": None}
BY_USE = {"last_user_agent": OWN_USE}


@pytest.mark.parametrize(
    ("fields", "held", "found"),
    [
        # each sign by itself
        ({}, [STRAY], LEFT_BEHIND),
        (BY_DESCRIPTION, [SERIES], LEFT_BEHIND),
        (BY_USE, [SERIES], LEFT_BEHIND),
        (BY_DESCRIPTION, [], HALF_MADE),
        (BY_USE, [], OF_ANOTHER),
        ({}, [SAME], TWIN),
        (
            {**BY_DESCRIPTION, "last_used_time": in_time(-timedelta(hours=1))},
            [holding("its/own+own+", name="twin", outs={"description": BY_DESCRIPTION["description"]})],
            TWIN,
        ),
        ({"last_used_time": None}, [SAME], UNUSED_TWIN),
        # the surer sign counts
        (BY_DESCRIPTION, [STRAY], LEFT_BEHIND),
        (BY_USE, [STRAY, SAME], LEFT_BEHIND),
        ({}, [SAME, STRAY], LEFT_BEHIND),
        (BY_USE, [SAME, SERIES], LEFT_BEHIND),
        ({**BY_DESCRIPTION, "last_user_agent": user_agent("pulumi-avn-token/1.0", OTHER_MARK)}, [SERIES], LEFT_BEHIND),
        (BY_DESCRIPTION, [holding("other/other+", mark=OTHER_MARK)], HALF_MADE),
        ({**BY_DESCRIPTION, **BY_USE}, [], HALF_MADE),
        (BY_DESCRIPTION, [holding("its/own+own+", outs={"description": BY_DESCRIPTION["description"]})], HALF_MADE),
        (BY_USE, [SAME], OF_ANOTHER),
        # who holds the mark: any token of the series
        (BY_USE, [holding("its/before++", "previous", name="ingest", mark=MARK)], LEFT_BEHIND),
        (BY_USE, [holding("its/stray+++", "stray", name="ingest", mark=MARK)], LEFT_BEHIND),
        # who has the same description: whatever a stack has, and not only reads
        ({}, [holding("its/own+own+", "leaving", name="twin", outs={"description": "CI deploys"})], TWIN),
        ({}, [holding("its/own+own+", "previous", name="twin", outs={"description": "CI deploys"})], TWIN),
    ],
)
def test_token_that_an_up_left_behind_is_told_by_the_surest_sign(
    fields: dict[str, Any], held: list[Holding], found: tuple[str, str, str]
) -> None:
    """A record in a state is surer than a mark, a mark than a description; each has its own advice, and no more."""
    first = entries([token(**fields)], held)[0]
    assert [dataclasses.astuple(finding) for finding in first.findings] == [found]
    assert first.status == found[0]


MADE_BY_PROD = new_mark(OF_A_TOKEN, "urn:pulumi:prod::tokens::t::ci", "0a1b2c3d")
PROD = {tag("urn:pulumi:prod::tokens::t::ci"): "tokens/prod"}


@pytest.mark.parametrize(
    ("sign", "what", "advice"),
    [
        (
            {"description": marked("CI deploys", MADE_BY_PROD), "last_used_time": None},
            "an `up` of tokens/prod that was interrupted made it, and nobody has used it",
            f"{UNLESS}, {REVOKE}",
        ),
        (
            {"last_user_agent": user_agent("pulumi-avn-token/1.0", MADE_BY_PROD)},
            "an `up` of tokens/prod that was interrupted made it, and nobody has used it since",
            f"unless a newer state of tokens/prod, or any other stack, holds it, {REVOKE}",
        ),
    ],
)
def test_token_of_a_stack_that_is_given_is_undelivered(sign: dict[str, Any], what: str, advice: str) -> None:
    """A mark that tells a stack is as sure as a description; the stack is named, and what to rule out is told."""
    for held in ([], [SAME]):
        (entry, *_) = audit([token(**sign)], held, NOW, timedelta(), PROD)
        assert [dataclasses.astuple(finding) for finding in entry.findings] == [("undelivered", what, advice)]


@pytest.mark.parametrize(
    "held",
    [
        [],
        [holding("other/other+", "read", outs={"description": "CI deploys"})],
        [holding("other/other+", outs={"description": "ci deploys"})],
        [holding("other/other+", outs={"description": "CI deploys "})],
        [holding("other/other+", outs={})],
        [SERIES],
        [holding(role="read")],
    ],
)
def test_token_is_no_orphan_without_a_sign(held: list[Holding]) -> None:
    """A description that is nearly the same, or that a stack only reads, makes nobody suspect a token."""
    tokens = [token(), *(token(other.token_prefix, description="x") for other in held if other.token_prefix != PREFIX)]
    assert entries(tokens, held)[0].status == "unmanaged"


def test_what_was_left_behind_has_no_other_findings() -> None:
    """Of a token that is to go, its end, its age and its use are not told too."""
    for agent, held in (("curl/8", [STRAY]), (OWN_USE, [SERIES]), ("curl/8", [SAME])):
        for expiry in (None, in_time(days(1))):
            left = token(last_user_agent=agent, expiry_time=expiry)
            assert len(entries([left], held)[0].findings) == 1


@pytest.mark.parametrize("role", ["current", "previous", "leaving"])
def test_token_that_a_resource_has_is_managed_though_a_series_records_it_as_a_stray(role: Role) -> None:
    """Nobody is led to revoke a token that another resource holds, whichever of the two is told first."""
    held = [STRAY, holding(role=role, name="adopted")]
    for order in permutations(held):
        assert entry(token(), *order).status == "managed"


def test_stack_that_is_named_twice_is_told_once() -> None:
    """Its export and its name, or its short and its full name, are one stack: each holding counts once."""
    held = [holding(), holding(role="read"), holding(), holding(role="read")]
    assert [only.holdings for only in entries([token()], held)] == [(held[0], held[1])]
    assert kinds(None, holding(outs=VALID), holding(outs=VALID)) == ["gone"]


# What only stacks remember


EXPIRED = {"expiry_time": in_time(-INSTANT)}
VALID = {"expiry_time": in_time(INSTANT)}
MAKES_ANOTHER = "run `pulumi up --refresh` of tokens/prod: it makes a new one"
FORGETS = "run `pulumi up --refresh` of tokens/prod: it forgets it; who still uses it is cut off already"
READS = f"take the AccessToken.get of ci out of the program; or, if it is another's, leave it out: `--ignore {PREFIX}`"


@pytest.mark.parametrize(
    ("role", "outs", "found"),
    [
        ("current", EXPIRED, ("it has expired, and ci of tokens/prod still holds it", MAKES_ANOTHER)),
        (
            "current",
            VALID,
            ("it was revoked outside of Pulumi, and ci of tokens/prod still holds it", MAKES_ANOTHER),
        ),
        ("current", {}, ("it was revoked outside of Pulumi, and ci of tokens/prod still holds it", MAKES_ANOTHER)),
        (
            "current",
            {"expiry_time": None},
            ("it was revoked outside of Pulumi, and ci of tokens/prod still holds it", MAKES_ANOTHER),
        ),
        ("previous", VALID, ("it was revoked outside of Pulumi, and ci of tokens/prod still holds it", FORGETS)),
        ("previous", EXPIRED, None),
        ("leaving", VALID, None),
        ("leaving", EXPIRED, None),
        ("stray", {}, None),
        (
            "read",
            VALID,
            ("it was revoked outside of Pulumi, or is another user's, and ci of tokens/prod still reads it", READS),
        ),
        ("read", EXPIRED, ("it has expired, or is another user's, and ci of tokens/prod still reads it", READS)),
    ],
)
def test_token_that_only_a_state_holds_is_gone(role: Role, outs: dict[str, Any], found: tuple[str, str] | None) -> None:
    """What should be there and is not is told with the reason; what was to go may be gone."""
    held = holding(role=role, outs={**outs, "description": "CI deploys"})
    expected = [] if found is None else [("gone", *found)]
    assert [dataclasses.astuple(finding) for only in entries([], [held]) for finding in only.findings] == expected


def test_token_that_is_gone_is_an_entry_with_what_was_recorded() -> None:
    """Whoever holds it is named, each with a finding, under the description that one of them recorded."""
    held = [
        holding(outs={**VALID}),
        holding(role="leaving", outs={**VALID, "description": "Nightly"}),
        holding(role="read", name="reader", stack="data/dev", outs={**EXPIRED, "description": "ignored"}),
    ]
    only = entry(None, *held)
    assert (only.token_prefix, only.description, only.token, only.status) == (PREFIX, "Nightly", None, "gone")
    assert list(only.holdings) == held
    assert [finding.kind for finding in only.findings] == ["gone", "gone"]
    assert entry(None, holding(outs={})).description == ""


def test_session_is_passed_over_unless_a_stack_holds_it() -> None:
    """Nobody manages a login session; one that a stack has adopted, or reads, is judged like any other token."""
    session = token(created_manually=False, last_used_time=None)
    assert entries([session], []) == []
    assert entries([session], [holding("other/other+", "leaving")]) == []
    assert kinds(session, holding()) == ["never-used"]
    assert kinds(session, holding(role="read")) == ["unmanaged"]


# Warnings


@pytest.mark.parametrize(
    ("held", "found"),
    [
        ([holding(name="a"), holding(name="b")], "a of tokens/prod and b of tokens/prod hold it"),
        ([holding(name="b"), holding(name="a")], "a of tokens/prod and b of tokens/prod hold it"),
        ([holding(), holding(stack="tokens/dev")], "ci of tokens/dev and ci of tokens/prod hold it"),
        ([holding(), holding(role="previous", name="old")], "ci of tokens/prod and old of tokens/prod hold it"),
        (
            [holding(name="c"), holding(name="b"), holding(name="a")],
            "a of tokens/prod and b of tokens/prod and c of tokens/prod hold it",
        ),
        ([holding(), holding(mark=MARK)], "ci of tokens/prod and ci of tokens/prod hold it"),
        ([holding(), holding(role="leaving")], None),
        ([holding(), holding(role="leaving", name="old")], None),
        ([holding(role="leaving"), holding(role="leaving", name="old")], None),
        ([holding(), holding(role="read", name="reader")], None),
        ([holding(), holding()], None),
    ],
)
def test_token_of_two_resources_is_told(held: list[Holding], found: str | None) -> None:
    """Two resources that hold a token are named; one that lets it go, or only reads it, is none of them."""
    advice = "let one of them go: give it the option retain_on_delete, run `pulumi up`, and then remove it"
    assert findings(token(), *held) == ([] if found is None else [("held-twice", found, advice)])
    assert entry(token(), *held).status == "managed"


def recorded(window: float | None, *, expiry: timedelta, age: timedelta = THIRTY_DAYS) -> dict[str, Any]:
    """Give the outputs of a token with a window, made so that it ends then."""
    return {
        "create_time": in_time(expiry - age),
        "expiry_time": in_time(expiry),
        "max_age_seconds": age.total_seconds(),
        "early_rotation_window_seconds": window,
    }


IN_FIVE_DAYS = "expires in 5d (2026-11-29T12:00:00Z)"
NOTHING_ROTATES = (
    "expiring",
    f"{IN_FIVE_DAYS}, and nothing rotates it",
    "set early_rotation_window_seconds of ci, which counts from the second `pulumi up` on",
)
OVERDUE = (
    "expiring",
    f"{IN_FIVE_DAYS}: it is due to rotate, and no `pulumi up` has done it",
    "run `pulumi up` of tokens/prod, and see whether its schedule still works",
)


@pytest.mark.parametrize("mark", [None, MARK])
@pytest.mark.parametrize(
    ("outs", "found"),
    [
        (recorded(None, expiry=days(5)), NOTHING_ROTATES),
        ({}, NOTHING_ROTATES),
        (recorded(6 * DAY, expiry=days(5)), OVERDUE),
        (recorded(5 * DAY, expiry=days(5)), OVERDUE),
        (recorded(5 * DAY - 1, expiry=days(5)), None),
        (recorded(1, expiry=days(5)), None),
        # the account's expiry counts: use has put the recorded one off, or a person has brought it forward
        (recorded(3 * DAY, expiry=days(1)), None),
        (recorded(6 * DAY, expiry=days(20)), OVERDUE),
        # a window as long as the life counts as half of it
        (recorded(40 * DAY, expiry=days(5), age=days(12)), OVERDUE),
        (recorded(40 * DAY, expiry=days(5), age=days(8)), None),
    ],
)
def test_token_that_ends_soon_is_told_unless_it_rotates_before(
    outs: dict[str, Any], found: tuple[str, str, str] | None, mark: str | None
) -> None:
    """Where a window is going to open in time nothing is told; where it is open already, the schedule is at fault."""
    ends = token(expiry_time=in_time(days(5)))
    assert findings(ends, holding(outs=outs, mark=mark)) == ([] if found is None else [found])


@pytest.mark.parametrize("held", [[], [holding(role="read")], [holding(outs={})]])
def test_horizon_includes_its_end(held: list[Holding]) -> None:
    """What ends just at the horizon is told, and what ends a moment later is not; what has ended is."""
    for expiry, is_told in ((WEEK, True), (WEEK + INSTANT, False), (timedelta(), True), (-days(1), True)):
        found = kinds(token(expiry_time=in_time(expiry)), *held, horizon=WEEK)
        assert ("expiring" in found) == is_told
    assert "expiring" not in kinds(token(expiry_time=in_time(INSTANT)), *held, horizon=timedelta())
    assert "expiring" in kinds(token(expiry_time=in_time(timedelta())), *held, horizon=timedelta())


def test_unmanaged_token_that_ends_soon_is_told_too() -> None:
    """Beside that no stack holds it, its end is told, rounded down, with what would prevent it."""
    ends = token(expiry_time=in_time(timedelta(hours=47, minutes=59)))
    assert findings(ends)[1] == (
        "expiring",
        "expires in 1d (2026-11-26T11:59:00Z), and no stack rotates it",
        "adopt it, and give it early_rotation_window_seconds; or make another in time",
    )


@pytest.mark.parametrize("expiry", [None, in_time(days(1))])
@pytest.mark.parametrize("role", ["previous", "leaving"])
def test_end_of_a_token_that_is_to_go_is_not_told(role: Role, expiry: str | None) -> None:
    """A token that is about to be revoked may expire, live for ever, or never have been used."""
    assert kinds(token(expiry_time=expiry, last_used_time=None), holding(role=role, outs={})) == []


def test_token_that_lives_for_ever_is_told() -> None:
    """An age is advised; where that makes a new token, it is said."""
    forever = token(expiry_time=None, max_age_seconds=None)
    ends_late = token(expiry_time="9999-12-31T23:59:59Z")
    assert findings(forever)[1] == (
        "never-expires",
        "it lives for ever",
        "adopt it, and then set max_age_seconds, which makes a new one; or make another that ends",
    )
    assert findings(forever, holding()) == [
        ("never-expires", "it lives for ever", "set max_age_seconds, which makes a new one in its place")
    ]
    assert kinds(ends_late, holding(), horizon=days(365 * 100)) == []


NEVER = "find out who was to use it; if nobody, take ci out of the program"


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"last_used_time": None}, "made 10d ago, and never used"),
        ({"last_used_time": None, "create_time": None}, "never used"),
        ({"last_used_time": None, "create_time": in_time(days(1))}, "made 0s ago, and never used"),
        (BY_USE, "made 10d ago, and never used"),
        ({**BY_USE, "last_used_time": in_time(-days(9)), "last_ip": "192.0.2.9"}, "made 10d ago, and never used"),
        ({"last_user_agent": "curl/8 pulumi-avn-token"}, None),
        ({}, None),
    ],
)
def test_token_that_was_never_used_is_told(fields: dict[str, Any], what: str | None) -> None:
    """The one request by which a series' token got its description is no use of it."""
    for held in (holding(), holding(mark=MARK, outs=recorded(DAY, expiry=days(20)))):
        assert findings(token(**fields), held) == ([] if what is None else [("never-used", what, NEVER)])


def used(address: str | None = "192.0.2.1", agent: str | None = "curl/8") -> dict[str, Any]:
    """Give the outputs of a token that was last used so."""
    return {**recorded(None, expiry=days(20)), "last_ip": address, "last_user_agent": agent}


IF_YOURS = "if that is yours, `pulumi up --refresh` of tokens/prod records it; if not, "
REVOKE_IT = f"{IF_YOURS}{REVOKE}, and it makes another"


@pytest.mark.parametrize(
    ("outs", "fields", "what"),
    [
        (used(), {}, None),
        (used(None, None), {}, None),
        (used(), {"last_ip": None, "last_user_agent": None}, None),
        (used(), {"last_user_agent": "curl/9.1"}, None),
        (used(agent="curl"), {"last_user_agent": "curl/8 (linux)"}, None),
        (used(None), {"last_ip": "198.51.100.7"}, None),
        (used(agent=None), {"last_user_agent": "python-requests/2"}, None),
        (
            used(),
            {"last_ip": "198.51.100.7"},
            "used from 198.51.100.7; the state records 192.0.2.1 and curl/8",
        ),
        (
            used(),
            {"last_user_agent": "python-requests/2"},
            "used by python-requests/2; the state records 192.0.2.1 and curl/8",
        ),
        (
            used(agent="curl/8"),
            {"last_user_agent": "curlish/8"},
            "used by curlish/8; the state records 192.0.2.1 and curl/8",
        ),
        (
            used(),
            {"last_ip": "2001:db8::7", "last_user_agent": "python-requests/2"},
            "used from 2001:db8::7 by python-requests/2; the state records 192.0.2.1 and curl/8",
        ),
        (
            used(None),
            {"last_ip": "198.51.100.7", "last_user_agent": "python-requests/2"},
            "used by python-requests/2; the state records no address and curl/8",
        ),
        (
            used(agent=None),
            {"last_ip": "198.51.100.7"},
            "used from 198.51.100.7; the state records 192.0.2.1 and no program",
        ),
    ],
)
def test_use_from_elsewhere_is_told(outs: dict[str, Any], fields: dict[str, Any], what: str | None) -> None:
    """Another address or another program than the state records is told; a first use, or a new version, is not."""
    assert findings(token(**fields), holding(outs=outs)) == ([] if what is None else [("new-use", what, REVOKE_IT)])


@pytest.mark.parametrize(
    ("mark", "triggers", "advised"),
    [
        (None, "rotation_triggers", "rotation_triggers"),
        (None, "revocation_triggers", None),
        (MARK, "rotation_triggers", None),
        (MARK, "revocation_triggers", "revocation_triggers"),
    ],
)
def test_leaked_token_is_to_be_rotated_by_triggers_that_are_there(
    mark: str | None, triggers: str, advised: str | None
) -> None:
    """Triggers that are only now declared rotate nothing, so nobody is sent to them: the token is to be revoked."""
    held = holding(mark=mark, outs={**used(), triggers: True})
    (found,) = findings(token(last_ip="198.51.100.7"), held)
    rotate = f"{IF_YOURS}change a value of the {advised} of ci, and run it"
    assert found[2] == (rotate if advised else REVOKE_IT)


def test_token_that_ends_soon_is_rotated_by_triggers_that_are_there() -> None:
    """Where the state has rotation_triggers, a changed value is the other way."""
    held = holding(outs={**recorded(None, expiry=days(5)), "rotation_triggers": True})
    (found,) = findings(token(expiry_time=in_time(days(5))), held)
    assert found == (*NOTHING_ROTATES[:2], f"{NOTHING_ROTATES[2]}; or change a value of its rotation_triggers")


def test_use_by_its_own_maker_is_not_new() -> None:
    """A series' token that has just introduced itself was not used by anybody else."""
    introduced = token(last_user_agent=OWN_USE, last_ip="198.51.100.7")
    assert "new-use" not in kinds(introduced, holding(mark=MARK, outs=used()))


def test_use_of_each_token_of_a_series_is_compared() -> None:
    """The one before the current one is looked after too; one that is only read is not."""
    elsewhere = token(last_ip="198.51.100.7")
    what = "used from 198.51.100.7; the state records 192.0.2.1 and curl/8"
    roles: tuple[Role, ...] = ("current", "previous")
    for role in roles:
        held = holding(role=role, mark=MARK, outs=used())
        assert findings(elsewhere, held) == [("new-use", what, REVOKE_IT)]
    assert kinds(elsewhere, holding(role="read", outs=used())) == ["unmanaged"]


def test_warnings_are_about_the_resource_that_goes_on_with_a_token() -> None:
    """A token that one resource lets go and another holds is looked at as the other's, whichever is told first."""
    ends = token(expiry_time=in_time(days(5)), last_used_time=None)
    held = [holding(role="leaving", name="old"), holding(name="new", outs={}), holding(role="read", name="reader")]
    for order in permutations(held):
        assert kinds(ends, *order) == ["expiring", "never-used"]
        assert all("of ci" not in advice and "old" not in advice for _, _, advice in findings(ends, *order))


# All of it


def test_each_kind_is_explained_and_the_failures_come_first() -> None:
    """Whatever can be found has an explanation, and what an audit does not pass with is the worst of it."""
    assert tuple(KINDS)[: len(FAILURES)] == tuple(FAILURES)
    assert set(KINDS) == set(get_args(Kind))
    assert all(words.isprintable() and len(words) > 10 for words in KINDS.values())
    for kind in KINDS:
        finding = Finding(kind=kind, what="what", advice="advice")
        assert finding.is_failure == (kind in {"unmanaged", "undelivered", "orphan", "gone"})
        only = Entry(token_prefix=PREFIX, description="d", token=None, holdings=(), findings=(finding,))
        assert only.status == (kind if finding.is_failure else "managed")


def test_status_is_the_failure_among_the_findings() -> None:
    """Warnings before or after it do not hide it."""
    found = [Finding(kind=kind, what="", advice="") for kind in KINDS if kind in ("expiring", "gone", "new-use")]
    only = Entry(token_prefix=PREFIX, description="d", token=None, holdings=(), findings=found)
    assert only.status == "gone"


def test_several_tokens_are_told_in_the_order_of_the_account() -> None:
    """Each token of the account comes once, in its place, and after them what is gone, in the order of the stacks."""
    tokens = [token("c"), token("a", created_manually=False), token("d"), token("b")]
    held = [holding("z"), holding("d"), holding("y", "leaving"), holding("x"), holding("d", "leaving"), holding("z")]
    assert [only.token_prefix for only in entries(iter(tokens), iter(held))] == ["c", "d", "b", "z", "x"]
    assert [only.status for only in entries(tokens, held)] == ["unmanaged", "managed", "unmanaged", "gone", "gone"]


def test_nothing_against_nothing_is_nothing() -> None:
    """An empty account that nobody manages is in order."""
    assert entries([], []) == []


def test_entry_is_told_to_programs() -> None:
    """As JSON there is what the account shows, who holds the token, and each finding with its weight."""
    found = token(expiry_time=in_time(days(5)))
    shown = json.loads(json.dumps(told(entry(found, holding(role="read"), horizon=WEEK))))
    urn = f"urn:pulumi:prod::tokens::{TOKEN_TYPE}::ci"
    assert {name: value for name, value in shown.items() if name != "findings"} == {
        "token_prefix": PREFIX,
        "description": "CI deploys",
        "status": "unmanaged",
        "expiry_time": found.expiry_time,
        "last_used_time": found.last_used_time,
        "last_ip": "192.0.2.1",
        "last_user_agent": "curl/8",
        "held_by": [{"stack": "tokens/prod", "urn": urn, "role": "read"}],
    }
    assert [(each["kind"], each["is_failure"]) for each in shown["findings"]] == [
        ("unmanaged", True),
        ("expiring", False),
    ]
    assert all(set(each) == {"kind", "what", "advice", "is_failure"} for each in shown["findings"])
    gone = told(entry(None, holding()))
    assert [gone[name] for name in ("status", "expiry_time", "last_used_time", "last_ip", "last_user_agent")] == [
        "gone",
        *[None] * 4,
    ]


@pytest.mark.parametrize(
    ("ignored", "is_left_out"),
    [
        ([], False),
        ([PREFIX], True),
        (["other", PREFIX], True),
        ([PREFIX[:-1]], False),
        ([PREFIX.lower()], False),
        ([PREFIX + "x"], False),
        ([PREFIX[:4] + "*"], False),
        (["CI deploys"], True),
        (["ci DEPLOYS"], True),
        (["CI deploy"], False),
        (["deploys"], False),
        (["CI"], False),
        ([""], False),
        (["CI *"], True),
        (["ci*"], True),
        (["*deploys"], True),
        (["*eploy*"], True),
        (["CI ?eploys"], True),
        (["[bc]i deploys"], True),
        (["* nightly"], False),
        (["*"], True),
    ],
)
def test_token_is_left_out_by_its_prefix_or_its_whole_description(ignored: list[str], *, is_left_out: bool) -> None:
    """A part of either is not enough, so that nothing is left out that nobody meant."""
    assert is_ignored(entry(token()), ignored) == is_left_out
    gone = entry(None, holding(outs={"description": "CI deploys"}))
    assert is_ignored(gone, ignored) == is_left_out


@given(st.text(max_size=30), st.text(min_size=1, max_size=3))
@example("[prod] CI", "x")
@example("[", "]")
@example("", "x")
@example("what? [a-z]*", "x")
def test_description_as_it_is_written_leaves_its_token_out(description: str, more: str) -> None:
    """Whatever a description holds, who repeats the whole of it leaves out that token, and no longer one."""
    assert is_ignored(entry(token(description=description)), [description])
    if not any(special in description for special in "*?["):
        assert not is_ignored(entry(token(description=description + more)), [description])


# Whose tokens


def owned(user: str | None, user_id: str | None = None, prefix: str = PREFIX) -> Holding:
    """Give a token that was made as a user; None: nothing is recorded of that."""
    return holding(prefix, outs={} if user is None else {"__owner": {"user": user, "user_id": user_id}})


def test_tokens_of_other_users_are_kept_apart() -> None:
    """A user is the same by the id where both have one, else by the address; what nobody is recorded of is own."""
    own = [owned("ann@example.org", "u1"), owned("ann@new.example", "u1"), owned("ann@example.org"), owned(None)]
    foreign = [owned("bob@example.org", "u2"), owned("ann@example.org", "u2"), owned("bob@example.org")]
    both = [own[0], foreign[0], own[1], foreign[1], own[2], foreign[2], own[3]]
    assert of_user(iter(both), ANN, [token()]) == (own, ["ann@example.org", "bob@example.org"], [token()])
    assert of_user(own, ANN, []) == (own, [], [])
    assert of_user([], ANN, [token()]) == ([], [], [token()])


def test_stacks_of_others_alone_cannot_be_judged() -> None:
    """With a credential of another user everything would look gone: that is told, with whose credential is needed."""
    foreign = [owned("cleo@example.org", "u3"), owned("bob@example.org", "u2"), owned("bob@example.org", "u2")]
    with pytest.raises(WrongAccountError) as caught:
        of_user(foreign, ANN, [token()])
    assert str(caught.value) == (
        "all tokens of these stacks belong to bob@example.org, cleo@example.org, but the credential to ann@example.org,"
        " who cannot see them: use a credential of theirs"
    )
    read_only = of_user([*foreign, owned(None)], ANN, [token()])
    assert read_only == ([owned(None)], ["bob@example.org", "cleo@example.org"], [token()])
    with pytest.raises(WrongAccountError):
        of_user([*foreign, owned(None)], ANN, [])


def test_stack_without_resources_is_known_by_its_name() -> None:
    """What it left behind before it was destroyed is known, where it was asked for by its whole name."""
    empty: dict[str, Any] = {"deployment": {}}
    assert read(empty, "organization/tokens/prod") == ([], PROD)
    for name in ("", "prod", "tokens/prod", "https://a/b/c/d"):
        assert read(empty, name) == ([], {})
    of_another = {"deployment": {"resources": [{"type": "pulumi:pulumi:Stack", "urn": "urn:pulumi:a::b::c::d"}]}}
    assert read(of_another, "organization/tokens/prod").makers == {tag("urn:pulumi:a::b"): "b/a"}


def test_series_whose_prefix_is_a_secret_cannot_be_judged() -> None:
    """To an audit that passed it over, its tokens would look as if nobody held them."""
    wrapped = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:x"}
    resource = {"type": SERIES_TYPE, "id": MARK, "urn": f"urn:pulumi:prod::tokens::{SERIES_TYPE}::ingest"}
    for name in ("token_prefix", "previous_token_prefix"):
        outs = {"token_prefix": PREFIX, "previous_token_prefix": "be/fore/that", name: wrapped}
        with pytest.raises(ExportError) as caught:
            read({"deployment": {"resources": [{**resource, "outputs": outs}]}})
        assert str(caught.value) == (
            f"{name} of ingest is a secret in it, so its tokens cannot be told: take it out of"
            " additional_secret_outputs, and run `pulumi up`"
        )


def test_description_of_any_export_of_a_stack_is_known() -> None:
    """Two exports of one stack may differ: what either tells of helps to recognise a token."""
    bare, telling = (holding("its/own+own+", outs=outs) for outs in ({}, {"description": "CI deploys"}))
    for held in ([bare, telling], [telling, bare]):
        assert entries([token("an/other/one"), token("its/own+own+")], held)[0].status == "orphan"


def test_reader_of_a_token_that_was_left_behind_is_named() -> None:
    """Whoever looks at it should hear of it before it is revoked."""
    for sign in (BY_DESCRIPTION, BY_USE):
        (entry,) = audit([token(**sign)], [holding(role="read", name="looks")], NOW, timedelta(), PROD)
        (finding,) = entry.findings
        assert finding.kind in ("undelivered", "orphan")
        assert finding.what.startswith("looks of tokens/prod reads it, but an `up` ")


def test_what_a_stack_left_behind_is_told_though_its_tokens_are_anothers() -> None:
    """An `up` with this user's credential was killed before anything of it was recorded: the account shows its mark."""
    foreign = [owned("bob@example.org", "u2")]
    sign = {"last_user_agent": user_agent("pulumi-avn-token/1.0", MADE_BY_PROD)}
    left, other = token(**sign), token("an/other/one")
    assert of_user(foreign, ANN, [other, left], PROD) == ([], ["bob@example.org"], [left])
    for listed, stacks in (([token(**sign)], {}), ([token()], PROD), ([], PROD)):
        with pytest.raises(WrongAccountError):
            of_user(foreign, ANN, listed, stacks)


def test_whose_a_token_is_that_is_only_read_is_told_by_the_account() -> None:
    """Beside tokens of others, one that nobody is recorded of is the user's if the account shows it, else unknown."""
    own, foreign = owned("ann@example.org"), owned("bob@example.org", "u2")
    here, elsewhere = owned(None, prefix="is/here/here"), owned(None, prefix="not/here/at+")
    listed = [token("is/here/here")]
    assert of_user([own, foreign, here, elsewhere], ANN, listed) == ([own, here], ["bob@example.org"], listed)
    assert of_user([own, here, elsewhere], ANN, listed) == ([own, here, elsewhere], [], listed)


@pytest.mark.parametrize(
    ("before", "after", "is_held", "is_there"),
    [
        (True, True, False, True),
        (True, True, True, True),
        (False, True, False, False),
        (True, False, False, False),
        (False, True, True, True),
        (True, False, True, True),
        (False, False, True, False),
    ],
)
def test_what_comes_or_goes_beside_the_audit_is_judged_by_who_holds_it(
    *, before: bool, after: bool, is_held: bool, is_there: bool
) -> None:
    """A token that an `up` makes or revokes at that moment is neither unmanaged nor gone."""
    was, is_ = ([token(description=when)] * there for when, there in (("was", before), ("is", after)))
    found = steady(was, is_, [holding()] * is_held)
    assert [only.description for only in found] == ["is" if after else "was"] * is_there


# Whatever there is

PREFIXES = [f"prefix/{number}" for number in range(5)]
ROLES: list[Role] = ["current", "previous", "leaving", "stray", "read"]
SPANS = st.none() | st.sampled_from([-400, -30, -1, 0, 1, 5, 7, 30, 4000]).map(lambda number: in_time(days(number)))
DESCRIPTIONS = st.sampled_from(
    ["CI deploys", "Nightly", "", marked("CI deploys", MARK), marked("", OTHER_MARK), MARK]
) | st.text(max_size=20)
AGENTS = st.none() | st.sampled_from(["curl/8", "curl/9", OWN_USE, user_agent("x/1", MARK), "", "/", " "]) | st.text()
ADDRESSES = st.none() | st.sampled_from(["192.0.2.1", "198.51.100.7"]) | st.text(max_size=10)
FLAGS = st.none() | st.booleans()
AGES = st.none() | st.sampled_from([600, DAY, 30 * DAY, 315_360_000])
TOKENS = st.builds(
    TokenInfo,
    token_prefix=st.sampled_from(PREFIXES),
    description=DESCRIPTIONS,
    create_time=SPANS,
    created_manually=FLAGS,
    currently_active=FLAGS,
    expiry_time=SPANS | st.just("9999-12-31T23:59:59Z"),
    extend_when_used=FLAGS,
    last_ip=ADDRESSES,
    last_used_time=SPANS,
    last_user_agent=AGENTS,
    max_age_seconds=AGES,
)
OUTS = st.fixed_dictionaries(
    {},
    optional={
        "description": DESCRIPTIONS,
        "create_time": SPANS,
        "expiry_time": SPANS,
        "max_age_seconds": AGES,
        "early_rotation_window_seconds": AGES,
        "last_ip": ADDRESSES,
        "last_user_agent": AGENTS,
        "__gone": st.sampled_from(["expired", "revoked"]),
    },
)
HOLDINGS = st.builds(
    holding,
    st.sampled_from([*PREFIXES, "prefix/x", "prefix/y"]),
    st.sampled_from(ROLES),
    name=st.sampled_from(["ci", "nightly"]),
    stack=st.sampled_from(["tokens/prod", "tokens/dev"]),
    mark=st.none() | st.sampled_from([MARK, OTHER_MARK]),
    outs=OUTS,
)
ACCOUNTS = st.lists(TOKENS, max_size=5, unique_by=lambda found: found.token_prefix)
STATES = st.lists(HOLDINGS, max_size=6)
HORIZONS = st.sampled_from([timedelta(), WEEK, days(5000)])


@given(ACCOUNTS, STATES, HORIZONS)
def test_each_token_is_told_once_and_in_order(tokens: list[TokenInfo], held: list[Holding], horizon: timedelta) -> None:
    """Each token of the account that is no idle session is an entry, each with all who hold it; the rest is gone."""
    found = entries(tokens, held, horizon)
    by_account = [each.token_prefix for each in tokens]
    holders: dict[str, list[Holding]] = {}
    for one in held:
        told_before = [(other.urn, other.role) for other in holders.setdefault(one.token_prefix, [])]
        if (one.urn, one.role) not in told_before:
            holders[one.token_prefix].append(one)
    shown = [each for each in tokens if each.created_manually is not False or each.token_prefix in holders]
    assert [only.token for only in found if only.token] == shown
    gone = [only.token_prefix for only in found[len(shown) :]]
    assert gone == [prefix for prefix in holders if prefix in gone]
    assert not set(gone) & set(by_account)
    for only in found:
        assert list(only.holdings) == holders.get(only.token_prefix, [])
        assert (only.token is None) == (only.status == "gone") == (only.token_prefix in gone)
        assert sum(finding.is_failure for finding in only.findings) <= 1 or only.token is None
        if only.token:
            assert only.description == only.token.description


@given(ACCOUNTS, STATES, HORIZONS)
def test_what_nobody_has_fails_and_what_somebody_has_does_not(
    tokens: list[TokenInfo], held: list[Holding], horizon: timedelta
) -> None:
    """No token that a person made escapes an audit; one that a resource holds is to be revoked only if it leaked."""
    having = {one.token_prefix for one in held if one.role in ("current", "previous", "leaving")}
    for only in entries(tokens, held, horizon):
        if only.token is not None:
            assert (only.status == "managed") == (only.token_prefix in having)
            assert only.status in ("managed", "unmanaged", "undelivered", "orphan")
        if only.token_prefix in having:
            advised = [finding.kind for finding in only.findings if "user access-token revoke" in finding.advice]
            assert set(advised) <= {"new-use"}


@given(ACCOUNTS, STATES, HORIZONS, st.randoms(use_true_random=False))
def test_order_of_stacks_does_not_change_what_fails(
    tokens: list[TokenInfo], held: list[Holding], horizon: timedelta, random: Any
) -> None:
    """Whichever export is named first, each token has the same status."""
    shuffled = random.sample(held, len(held))
    first, second = (
        {only.token_prefix: only.status for only in entries(tokens, each, horizon)} for each in (held, shuffled)
    )
    assert first == second


HOSTILE = st.text("a1/ \n\r\t\x00\x1b\x7f\x85\xa0\u200b\u2028\u202e\ufeff😀[]`'\"", max_size=12)


@given(
    description=HOSTILE,
    agent=HOSTILE,
    address=HOSTILE,
    name=HOSTILE,
    role=st.sampled_from(ROLES),
    is_there=st.booleans(),
)
@example(description="a\nb", agent="curl\x1b[2J", address="\u2028", name="n\nm", role="read", is_there=True)
@example(description="a\nb", agent="curl\x1b[2J", address="\u2028", name="n\nm", role="current", is_there=False)
def test_texts_of_others_stay_on_their_line(  # noqa: PLR0913 - each a text of somebody else's
    description: str, agent: str, address: str, name: str, role: Role, *, is_there: bool
) -> None:
    """Whatever a description, a User-Agent, an address, a name or a user holds, a finding is a line of plain text."""
    outs: dict[str, Any] = {
        "token_prefix": PREFIX,
        "previous_token_prefix": PREFIX,
        "__strays": [PREFIX],
        "description": description,
        "last_ip": f"x{address}",
        "last_user_agent": f"x{agent}",
        "previous_last_ip": f"x{address}",
        "previous_last_user_agent": f"x{agent}",
    }
    resource = {
        "type": SERIES_TYPE,
        "id": MARK,
        "urn": f"urn:pulumi:s{name}::p{name}::{SERIES_TYPE}::r{name}",
        "outputs": outs,
        "external": role == "read",
        "delete": role == "leaving",
    }
    other = {**resource, "urn": f"urn:pulumi:s{name}::p{name}::{SERIES_TYPE}::q{name}"}
    held = list(find_holdings({"deployment": {"resources": [resource, other]}}))
    roles = (role, "previous") if role == "current" else (role,)
    held = [one for one in held if one.role in roles]
    ends = token(
        PREFIX if is_there else "other/other+",
        description,
        last_user_agent=f"y{agent}",
        last_ip=f"y{address}",
        expiry_time=in_time(days(1)),
    )
    found = [finding for only in entries([ends], held) for finding in only.findings]
    assert found
    for finding in found:
        assert finding.what.isprintable()
        assert finding.advice.isprintable()
    with pytest.raises(WrongAccountError) as caught:
        of_user([owned(f"x{name}", "u2")], ANN, [])
    assert str(caught.value).isprintable()


def test_long_text_of_somebody_else_is_cut() -> None:
    """A User-Agent as long as a header can be does not fill the screen."""
    (only,) = findings(token(last_user_agent="x" * 5000, last_ip="y" * 5000))
    assert len(only[1]) < 300


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**20) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
KINDS_OF_VALUES = {
    "token_prefix": st.just(PREFIX),
    "previous_token_prefix": st.just(PREFIX),
    "__strays": st.just([PREFIX]),
    "__owner": st.just({"user": "ann@example.org", "user_id": "u1"}),
    "description": st.text(max_size=3),
    "create_time": SPANS,
    "expiry_time": SPANS,
    "previous_expiry_time": SPANS,
    "max_age_seconds": AGES,
    "early_rotation_window_seconds": AGES,
    "last_ip": ADDRESSES,
    "last_user_agent": AGENTS,
    "previous_last_user_agent": AGENTS,
}


@given(
    st.fixed_dictionaries({}, optional=KINDS_OF_VALUES),
    st.sampled_from(list(KINDS_OF_VALUES)),
    JSON,
    st.sampled_from([TOKEN_TYPE, SERIES_TYPE]),
    st.sampled_from(["delete", "external", "protect"]),
)
@example({"token_prefix": PREFIX}, "expiry_time", "soon", TOKEN_TYPE, "protect")
@example({"token_prefix": PREFIX}, "last_user_agent", 5, TOKEN_TYPE, "protect")
@example(
    {"token_prefix": PREFIX, "expiry_time": in_time(days(1))},
    "early_rotation_window_seconds",
    10**20,
    TOKEN_TYPE,
    "protect",
)
def test_export_that_is_read_can_be_audited(outs: dict[str, Any], name: str, value: Any, type_: str, how: str) -> None:
    """Whatever one output of a state holds, it is refused at once as no export, or the audit goes through."""
    resource = {
        "type": type_,
        "id": MARK if type_ == SERIES_TYPE else PREFIX,
        "urn": f"urn:pulumi:prod::tokens::{type_}::ci",
        "outputs": {**outs, name: value},
        how: True,
    }
    with contextlib.suppress(ExportError, WrongAccountError):
        holdings = list(find_holdings({"deployment": {"resources": [resource]}}))
        for tokens in ([], [token(expiry_time=in_time(days(1)))]):
            own, others, _ = of_user(holdings, ANN, tokens)
            for only in entries(tokens, own):
                json.dumps(told(only))
                is_ignored(only, ["x"])
            assert all(map(str.isprintable, others))


def test_time_is_told_in_utc() -> None:
    """An expiry that the account tells with another offset is told in UTC, as every time is."""
    ends = token(expiry_time="2026-11-26T02:00:00.5+02:00")
    (finding,) = (what for kind, what, _ in findings(ends, holding()) if kind == "expiring")
    assert "(2026-11-26T00:00:00Z)" in finding


def test_token_in_use_is_never_taken_for_one_left_behind() -> None:
    """Who asks has its secret: the same description is no reason to advise that it be revoked."""
    asking = token("asks/asks+++", currently_active=True)
    assert entries([asking], [holding()])[0].status == "unmanaged"
