"""Which tokens are meant, in what order, and how much of its life each has left."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timedelta, timezone
from itertools import permutations, product
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pulumi_avn_token.listing import ORDERS, Selection, life_left, select, since, time_left, told
from pulumi_avn_token.marks import marked, user_agent
from pulumi_avn_token.model import TokenInfo, written

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)
MARK = "series-0123456789abcdef"
OWN_USE = user_agent("pulumi-avn-token/1.0", MARK)
INSTANT = timedelta(microseconds=1)
DAY = 24 * 60 * 60
ALL = Selection()


def token(prefix: str = "XCJ3+bgWywIh", description: str = "CI deploys", **fields: Any) -> TokenInfo:
    """Give a token that somebody made; times may be given as spans from NOW."""
    given_fields: dict[str, Any] = {"created_manually": True}
    for name, value in fields.items():
        given_fields[name] = in_time(value) if isinstance(value, timedelta) else value
    return TokenInfo(token_prefix=prefix, description=description, **given_fields)


def in_time(span: timedelta) -> str:
    """Write the time that is so long from NOW, as the API does."""
    return written(NOW + span)


def days(number: float) -> timedelta:
    """Give so many days."""
    return timedelta(days=number)


def chosen(tokens: list[TokenInfo], selection: Selection, order: str = "prefix") -> list[str]:
    """Select tokens, and give their prefixes."""
    return [found.token_prefix for found in select(tokens, selection, order, NOW)]


@pytest.mark.parametrize(
    ("made_by_hand", "sessions", "found"),
    [
        (False, False, ["hand", "unknown", "half-made", "undelivered", "series"]),
        (False, True, ["hand", "session", "unknown", "half-made", "undelivered", "series"]),
        (True, False, ["hand", "series"]),
        (True, True, ["hand", "series"]),
    ],
)
def test_who_made_a_token_decides(found: list[str], *, made_by_hand: bool, sessions: bool) -> None:
    """Sessions are hidden unless asked for; by hand is what is proven to be, and carries no mark of a series."""
    tokens = [
        token("hand"),
        token("session", created_manually=False),
        token("unknown", created_manually=None),
        token("half-made", marked("CI deploys", MARK)),
        token("undelivered", last_user_agent=OWN_USE),
        token("series", last_user_agent="curl/8"),
    ]
    selection = Selection(made_by_hand=made_by_hand, sessions=sessions)
    assert sorted(chosen(tokens, selection)) == sorted(found)


def test_all_tokens_are_meant_but_for_sessions() -> None:
    """Who asks for nothing gets each token that is not known to be a login session."""
    flags = {"hand": True, "session": False, "unknown": None}
    tokens = [token(prefix, created_manually=flag) for prefix, flag in flags.items()]
    assert chosen(tokens, ALL) == ["hand", "unknown"]


@pytest.mark.parametrize(
    ("prefixes", "found"),
    [
        ((), ["a", "ab", "b"]),
        (("a",), ["a"]),
        (("b", "a"), ["a", "b"]),
        (("A",), []),
        (("",), []),
        (("c", "ab"), ["ab"]),
    ],
)
def test_prefix_is_whole(prefixes: tuple[str, ...], found: list[str]) -> None:
    """A prefix means its token and none that begins alike; several mean each of theirs."""
    assert chosen([token("a"), token("ab"), token("b")], Selection(prefixes=prefixes)) == found


@pytest.mark.parametrize(
    ("wanted", "description"),
    [
        ("deploy", "CI deploys"),
        ("ci DEPLOYS", "CI deploys"),
        ("CI *", "CI deploys"),
        ("ci*", "CI deploys"),
        ("*S", "CI deploys"),
        ("CI ?eploys", "CI deploys"),
        ("[abc]i deploys", "CI deploys"),
        ("[A-C]i *", "ci deploys"),
        ("[!x]*", "CI deploys"),
        ("STRASSE", "Straße 7"),
        ("straße", "STRASSE 7"),
        ("ŻÓŁW", "żółw"),
        ("*", "two\nlines"),
        ("two*lines", "two\nlines"),
        ("", "CI deploys"),
        ("*", ""),
        ("", ""),
        ("[prod] ci", "[Prod] CI deploys"),
        ("[prod]", "[prod] CI deploys"),
        ("[", "[prod] CI deploys"),
        ("[prod", "[prod] CI deploys"),
        ("[pulumi-avn-token series-", marked("CI deploys", MARK)),
        ("ready?", "ready? go"),
        ("2 * 3", "what is 2 * 3"),
        (".*", ".*"),
    ],
)
def test_description_is_meant_by_a_part_or_a_pattern(wanted: str, description: str) -> None:
    """A part of a description is enough, as it is written but for its case; so is a shell pattern of the whole."""
    assert chosen([token(description=description)], Selection(description=wanted)) == ["XCJ3+bgWywIh"]


@pytest.mark.parametrize(
    ("wanted", "description"),
    [
        ("nightly", "CI deploys"),
        ("deploys*", "CI deploys"),
        ("CI", ""),
        ("*ci", "CI deploys"),
        ("?", "CI deploys"),
        ("CI ?deploys", "CI deploys"),
        ("[x-z]*", "CI deploys"),
        ("[!c]*", "CI deploys"),
        ("[ab] deploys", "CI deploys"),
        (".", "CI deploys"),
        ("C.", "CI deploys"),
        ("CI  deploys", "CI deploys"),
    ],
)
def test_description_that_is_not_meant_is_left_out(wanted: str, description: str) -> None:
    """A pattern means the whole of a description, and nothing but its own signs are special."""
    assert chosen([token(description=description)], Selection(description=wanted)) == []


@given(st.text(max_size=30), st.text(max_size=10), st.text(max_size=10))
@example("[a]", "", "")
@example("[", "", "]")
@example("ß", "S", "s")
@example("[Z-a]", "[]", "[!]")
def test_every_part_as_it_is_written_means_its_description(part: str, before: str, after: str) -> None:
    """Whatever a description holds, who repeats a part of it finds it, though it may have a meaning in a pattern."""
    described = token(description=before + part + after)
    for wanted in (part, part.upper(), part.lower()):
        if wanted.casefold() in described.description.casefold():
            assert chosen([described], Selection(description=wanted)) == [described.token_prefix]


@given(st.text("[]!-*?^\\azAZ", max_size=12), st.text("[]!-*?^\\azAZ", max_size=12))
def test_no_pattern_is_an_error(wanted: str, description: str) -> None:
    """Whatever signs a pattern holds, and in whatever order, it means a token or does not."""
    assert chosen([token(description=description)], Selection(description=wanted)) in ([], ["XCJ3+bgWywIh"])


@pytest.mark.parametrize(
    ("expiry", "is_meant"),
    [
        (days(14), True),
        (days(14) - INSTANT, True),
        (days(14) + INSTANT, False),
        (timedelta(), True),
        (-days(1), True),
        (None, False),
        (days(40), False),
        ("2026-12-08T14:00:00+02:00", True),
        ("2026-12-08T14:00:00.000001+02:00", False),
        ("9999-12-31T23:59:59Z", False),
    ],
)
def test_expiring_within_a_span_includes_its_end(expiry: timedelta | str | None, *, is_meant: bool) -> None:
    """What ends just then is meant, and so is what has ended; what never ends is not."""
    assert ALL.has(token(expiry_time=expiry), NOW)
    assert Selection(expiring_within=days(14)).has(token(expiry_time=expiry), NOW) == is_meant


@pytest.mark.parametrize(
    ("fields", "is_meant"),
    [
        ({"last_used_time": -days(90)}, True),
        ({"last_used_time": -days(90) + INSTANT}, False),
        ({"last_used_time": -days(90) - INSTANT}, True),
        ({"last_used_time": -days(1), "create_time": -days(400)}, False),
        ({"last_used_time": days(1)}, False),
        ({"create_time": -days(90)}, True),
        ({"create_time": -days(90) + INSTANT}, False),
        ({"last_used_time": -days(90), "create_time": -days(1)}, True),
        ({"last_used_time": -days(89), "create_time": -days(90), "last_user_agent": OWN_USE}, True),
        ({"last_used_time": -days(90), "create_time": -days(89), "last_user_agent": OWN_USE}, False),
        ({}, False),
    ],
)
def test_unused_counts_from_the_last_use_or_else_from_creation(fields: dict[str, Any], *, is_meant: bool) -> None:
    """A token that was never used is unused since it was made; where neither is known, nothing is claimed of it."""
    assert ALL.has(token(**fields), NOW)
    assert Selection(unused_for=days(90)).has(token(**fields), NOW) == is_meant


def test_no_span_is_a_span_too() -> None:
    """A span of nothing means what has ended, and what is unused for however short a time: not everything."""
    now, later = token("now", expiry_time=timedelta()), token("later", expiry_time=INSTANT)
    assert chosen([now, later], Selection(expiring_within=timedelta())) == ["now"]
    used, unknown = token("used", last_used_time=timedelta()), token("unknown")
    assert chosen([used, unknown], Selection(unused_for=timedelta())) == ["used"]


FILTERS: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "prefixes": (("good",), {"token_prefix": "good"}, {"token_prefix": "bad"}),
    "description": ("deploys", {"description": "CI deploys"}, {"description": "nightly"}),
    "made_by_hand": (True, {"last_user_agent": "curl/8"}, {"last_user_agent": OWN_USE}),
    "expiring_within": (days(7), {"expiry_time": in_time(days(6))}, {"expiry_time": in_time(days(8))}),
    "unused_for": (
        days(30),
        {"last_used_time": in_time(-days(31)), "create_time": in_time(-days(31))},
        {"last_used_time": in_time(-days(29)), "create_time": in_time(-days(29))},
    ),
    "sessions": (False, {"created_manually": True}, {"created_manually": False}),
}
"""Of each filter: what it is set to, and what a token has that it lets through, or not."""


def test_all_filters_must_be_met() -> None:
    """Of tokens in every combination, each set of filters means just those that pass each of them."""
    tokens = {}
    for passing in product((True, False), repeat=len(FILTERS)):
        fields: dict[str, Any] = {}
        for (_, good, bad), is_passing in zip(FILTERS.values(), passing, strict=True):
            fields |= good if is_passing else bad
        tokens[passing] = TokenInfo(**fields)
    for used in product((True, False), repeat=len(FILTERS)):
        given_filters = {name: FILTERS[name][0] for name, is_used in zip(FILTERS, used, strict=True) if is_used}
        selection = Selection(**{"sessions": True, **given_filters})
        by_hand = list(FILTERS).index("made_by_hand"), list(FILTERS).index("sessions")
        for passing, found in tokens.items():
            meant = all(is_passing for is_passing, is_used in zip(passing, used, strict=True) if is_used)
            # A session is not made by hand, whether or not sessions are shown.
            meant = meant and not (used[by_hand[0]] and not passing[by_hand[1]])
            assert selection.has(found, NOW) == meant


ORDERED: dict[str, list[dict[str, Any]]] = {
    "expiry": [
        {"expiry_time": "2026-11-24T13:59:59+02:00"},
        {"expiry_time": "2026-11-24T12:00:00Z"},
        {"expiry_time": "2026-11-24T12:00:00.5Z"},
        {"expiry_time": "9999-12-31T23:59:59Z"},
        {"expiry_time": None},
    ],
    "created": [
        {"create_time": None},
        {"create_time": "2025-11-24T12:00:00Z"},
        {"create_time": "2026-11-24T13:00:00+02:00"},
        {"create_time": "2026-11-24T12:00:00Z"},
    ],
    "used": [
        {"last_used_time": None},
        {"last_used_time": "2025-11-24T12:00:00Z"},
        {"last_used_time": "2026-11-24T13:00:00+02:00"},
        {"last_used_time": "2026-11-24T12:00:00Z"},
    ],
    "prefix": [{"prefix": "+"}, {"prefix": "A"}, {"prefix": "Z"}, {"prefix": "a"}],
    "description": [{"description": text} for text in ("", "alpha", "Beta", "GAMMA", "straße", "STRASSEN")],
}
"""Of each order: tokens in it."""


@pytest.mark.parametrize("order", ORDERS)
def test_each_order(order: str) -> None:
    """Tokens come by the moment or the text, however it is written; never expiring last, never used first."""
    tokens = [token(**fields) for fields in ORDERED[order]]
    for shuffled in permutations(tokens):
        assert select(shuffled, ALL, order, NOW) == tokens


def test_token_that_only_its_series_has_used_is_sorted_as_never_used() -> None:
    """That a series has given a token its description is no use."""
    introduced = token(last_used_time=timedelta(), last_user_agent=OWN_USE)
    assert ORDERS["used"](introduced) == ORDERS["used"](token(last_used_time=None))


@pytest.mark.parametrize("order", ORDERS)
def test_equal_tokens_keep_their_order(order: str) -> None:
    """Where an order tells nothing, the account's own stays."""
    alike = [token(last_ip=f"192.0.2.{number}") for number in (3, 1, 2)]
    assert select(iter(alike), ALL, order, NOW) == alike


@pytest.mark.parametrize(
    ("fields", "left", "share"),
    [
        ({"expiry_time": days(3), "max_age_seconds": 12 * DAY}, days(3), 0.25),
        ({"expiry_time": days(3), "max_age_seconds": 12 * DAY, "create_time": -days(300)}, days(3), 0.25),
        ({"expiry_time": days(12), "max_age_seconds": 12 * DAY}, days(12), 1.0),
        ({"expiry_time": days(13), "max_age_seconds": 12 * DAY}, days(13), 1.0),
        (
            {"expiry_time": days(9), "max_age_seconds": 12 * DAY, "extend_when_used": True, "create_time": -days(500)},
            days(9),
            0.75,
        ),
        ({"expiry_time": days(3), "create_time": -days(9)}, days(3), 0.25),
        ({"expiry_time": days(3), "create_time": timedelta()}, days(3), 1.0),
        ({"expiry_time": days(3), "create_time": days(1)}, days(3), 1.0),
        ({"expiry_time": days(3), "create_time": days(3)}, days(3), 0.0),
        ({"expiry_time": days(3), "create_time": days(4)}, days(3), 0.0),
        ({"expiry_time": days(3), "max_age_seconds": 0, "create_time": -days(9)}, days(3), 0.25),
        ({"expiry_time": days(3), "max_age_seconds": 0}, days(3), None),
        ({"expiry_time": days(3)}, days(3), None),
        ({"expiry_time": timedelta(), "max_age_seconds": DAY}, timedelta(), 0.0),
        ({"expiry_time": -days(1), "max_age_seconds": DAY}, timedelta(), 0.0),
        ({"expiry_time": -days(1), "create_time": -days(2)}, timedelta(), 0.0),
        ({"expiry_time": timedelta(), "create_time": timedelta()}, timedelta(), 0.0),
        ({"max_age_seconds": DAY, "create_time": -days(2)}, None, None),
        ({}, None, None),
    ],
)
def test_life_left_is_a_share_of_the_age(fields: dict[str, Any], left: timedelta | None, share: float | None) -> None:
    """The age counts where it is known, else the time since creation; the share is never below none or above all."""
    found = token(**fields)
    assert time_left(found, NOW) == left
    assert life_left(found, NOW) == share


MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(timezone.utc))  # noqa: DTZ001


@given(
    expiry=st.none() | MOMENTS,
    made=st.none() | MOMENTS,
    age=st.none() | st.integers(-1, 400_000_000),
    now=st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(timezone.utc)),  # noqa: DTZ001
)
def test_life_left_is_within_its_bounds(
    expiry: datetime | None, made: datetime | None, age: int | None, now: datetime
) -> None:
    """Whatever an account shows, the share is one that a bar can show; it is none where the token lives for ever."""
    found = token(expiry_time=expiry and written(expiry), create_time=made and written(made), max_age_seconds=age)
    share = life_left(found, now)
    assert (share is None) == (expiry is None or (not age and made is None))
    assert share is None or 0 <= share <= 1
    assert not (expiry and expiry <= now and share)


def test_since_is_never_less_than_nothing() -> None:
    """A time that is not known is no span, and one that another clock is ahead by is none at all."""
    assert since(in_time(-days(2)), NOW) == days(2)
    assert since("2026-11-24T12:00:00+02:00", NOW) == timedelta(hours=2)
    assert since(in_time(days(2)), NOW) == timedelta()
    assert since(None, NOW) is None
    assert since("", NOW) is None


def test_token_is_told_to_programs_with_all_that_is_known() -> None:
    """All that the account shows is there as JSON, with whole seconds and the share of the life that is left."""
    found = token(
        expiry_time=days(3) + timedelta(milliseconds=900),
        max_age_seconds=12 * DAY,
        scopes=("user:read",),
        last_user_agent="curl/8",
    )
    shown = json.loads(json.dumps(told(found, NOW)))
    seconds, share = shown.pop("seconds_left"), shown.pop("life_left")
    assert (seconds, round(share, 4)) == (3 * DAY, 0.25)
    assert shown == json.loads(json.dumps(dataclasses.asdict(found)))
    assert [told(token(), NOW)[name] for name in ("seconds_left", "life_left")] == [None, None]


def test_age_beyond_all_calendars_is_no_error() -> None:
    """Whatever age the account tells, the share that is left can be told."""
    odd = token(max_age_seconds=10**15, expiry_time="2026-12-01T00:00:00Z")
    assert life_left(odd, NOW) == pytest.approx(0, abs=1e-6)
