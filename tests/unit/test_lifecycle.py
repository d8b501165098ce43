"""What is decided about a token: a table of cases, and what holds for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pulumi_avn_token.lifecycle import (
    DECLARED,
    GONE,
    SETTINGS,
    SHOWN_BY_THE_ACCOUNT,
    Decision,
    Due,
    Keep,
    Replace,
    Update,
    adopts_another,
    changed_settings,
    changed_values,
    comparable,
    decide,
    declared,
    expires,
    find_due,
    find_end,
    find_new_triggers,
    is_ending,
    is_stale,
    is_window_too_long,
    known_secret,
    opens,
    shown,
    spec,
    why_missing,
)
from pulumi_avn_token.model import TokenInfo, TokenSpec

PREFIX = "XCJ3+bgWywIh"
FULL_TOKEN = PREFIX + "aB3/" * 20
NEW_PREFIX = "9zQ/hhKe01Lm"
DAY = 24 * 60 * 60
MADE = datetime(2026, 11, 1, 12, 0, tzinfo=timezone.utc)
EXPIRY = MADE + timedelta(days=30)
MEANWHILE = MADE + timedelta(days=1)


def recorded(**changes: Any) -> dict[str, Any]:
    """Give the outputs of a token with the default age, a day old at MEANWHILE."""
    declared = {name: changes[name] for name in SETTINGS if changes.get(name) is not None}
    return {
        "token_prefix": PREFIX,
        "full_token": FULL_TOKEN,
        "description": "CI deploys",
        "max_age_seconds": 30 * DAY,
        "extend_when_used": False,
        "ip_allowlist": None,
        "scopes": None,
        "create_time": "2026-11-01T12:00:00Z",
        "expiry_time": "2026-12-01T12:00:00Z",
        "last_used_time": None,
        "last_ip": None,
        "last_user_agent": None,
        "early_rotation_window_seconds": None,
        "rotation_triggers": None,
        "adopt_prefix": None,
        DECLARED: declared,
        **changes,
    }


def wanted(**changes: Any) -> dict[str, Any]:
    """Give the inputs that the recorded token was made from."""
    return {"description": "CI deploys", "extend_when_used": False, **changes}


def due(reason: str) -> Replace:
    """Give the decision about a token whose time has come."""
    return Replace(("expiry_time",), reason)


WITHIN = "it expires at 2026-12-01T12:00:00Z, within early_rotation_window_seconds={}"
EXPIRED = "it has expired (2026-12-01T12:00:00Z)"
WEEK = {"early_rotation_window_seconds": 7 * DAY}
ADOPTED = {"adopt_prefix": PREFIX}
ROTATED = {"adopt_prefix": PREFIX, "token_prefix": NEW_PREFIX, "full_token": NEW_PREFIX + "x" * 80}
RELEASE = {"rotation_triggers": {"release": "2026-11"}}

CASES: dict[str, tuple[dict[str, Any], dict[str, Any], datetime, Decision]] = {
    "nothing changed": (recorded(), wanted(), MEANWHILE, Keep()),
    "description changed": (recorded(), wanted(description="Other"), MEANWHILE, Update()),
    "window introduced": (recorded(), wanted(**WEEK), MEANWHILE, Update()),
    "window introduced when it would be due": (recorded(), wanted(**WEEK), EXPIRY - timedelta(days=1), Update()),
    "window removed": (recorded(**WEEK), wanted(), EXPIRY - timedelta(days=1), Update()),
    "window widened when it would be due": (
        recorded(**WEEK),
        wanted(early_rotation_window_seconds=8 * DAY),
        EXPIRY - timedelta(days=7, hours=12),
        Update(),
    ),
    "window narrowed when it was due": (
        recorded(**WEEK),
        wanted(early_rotation_window_seconds=DAY),
        EXPIRY - timedelta(hours=1),
        Update(),
    ),
    "window narrowed, and expired": (
        recorded(**WEEK),
        wanted(early_rotation_window_seconds=DAY),
        EXPIRY,
        due(EXPIRED),
    ),
    "before the window": (recorded(**WEEK), wanted(**WEEK), EXPIRY - timedelta(days=7, microseconds=1), Keep()),
    "at the window": (
        recorded(**WEEK),
        wanted(**WEEK),
        EXPIRY - timedelta(days=7),
        due(WITHIN.format(7 * DAY)),
    ),
    "window as the engine delivers it": (
        recorded(early_rotation_window_seconds=7.0 * DAY),
        wanted(early_rotation_window_seconds=7.0 * DAY),
        EXPIRY - timedelta(days=7),
        due(WITHIN.format(7 * DAY)),
    ),
    "window as long as the life": (
        recorded(early_rotation_window_seconds=30 * DAY),
        wanted(early_rotation_window_seconds=30 * DAY),
        MEANWHILE,
        Keep(),
    ),
    "window as long as the life, told by the times alone": (
        recorded(early_rotation_window_seconds=30 * DAY, max_age_seconds=None),
        wanted(early_rotation_window_seconds=30 * DAY),
        MEANWHILE,
        Keep(),
    ),
    "window with neither an age nor a time of creation": (
        recorded(**WEEK, max_age_seconds=None, create_time=None),
        wanted(**WEEK),
        EXPIRY - timedelta(days=1),
        due(WITHIN.format(7 * DAY)),
    ),
    "before the expiry": (recorded(), wanted(), EXPIRY - timedelta(microseconds=1), Keep()),
    "at the expiry": (recorded(), wanted(), EXPIRY, due(EXPIRED)),
    "expired inside its window": (recorded(**WEEK), wanted(**WEEK), EXPIRY, due(EXPIRED)),
    "never expires": (recorded(expiry_time=None, **WEEK), wanted(**WEEK), EXPIRY + timedelta(days=9999), Keep()),
    "revoked": (recorded(**{GONE: "revoked"}), wanted(), MEANWHILE, due("it was revoked outside of Pulumi")),
    "revoked, and its time is over": (
        recorded(**{GONE: "revoked"}),
        wanted(),
        EXPIRY,
        due("it was revoked outside of Pulumi"),
    ),
    "missing because its time was over": (recorded(**{GONE: "expired"}), wanted(), MEANWHILE, due(EXPIRED)),
    "setting changed": (
        recorded(scopes=["user:read"]),
        wanted(scopes=["user:write"]),
        MEANWHILE,
        Replace(("scopes",)),
    ),
    "setting introduced": (recorded(), wanted(extend_when_used=True), MEANWHILE, Replace(("extend_when_used",))),
    "setting removed": (recorded(max_age_seconds=600), wanted(), MEANWHILE, Replace(("max_age_seconds",))),
    "setting declared as the service made it": (recorded(), wanted(max_age_seconds=30 * DAY), MEANWHILE, Keep()),
    "setting as the engine delivers it": (
        recorded(max_age_seconds=600),
        wanted(max_age_seconds=600.0),
        MEANWHILE,
        Keep(),
    ),
    "setting that the service shows otherwise": (
        recorded(ip_allowlist=("192.0.2.1/32",), **{DECLARED: {"ip_allowlist": ["192.0.2.1"]}}),
        wanted(ip_allowlist=["192.0.2.1"]),
        MEANWHILE,
        Keep(),
    ),
    "setting not known yet": (
        recorded(max_age_seconds=600),
        wanted(max_age_seconds="?"),
        MEANWHILE,
        Replace(("max_age_seconds",)),
    ),
    "setting changed and expired": (
        recorded(),
        wanted(max_age_seconds=600),
        EXPIRY,
        Replace(("max_age_seconds",), EXPIRED),
    ),
    "triggers introduced": (recorded(), wanted(**RELEASE), MEANWHILE, Update()),
    "triggers removed": (recorded(**RELEASE), wanted(), MEANWHILE, Update()),
    "triggers unchanged": (recorded(**RELEASE), wanted(**RELEASE), MEANWHILE, Keep()),
    "trigger changed": (
        recorded(**RELEASE),
        wanted(rotation_triggers={"release": "2026-12"}),
        MEANWHILE,
        Replace(("rotation_triggers",)),
    ),
    "trigger added": (
        recorded(**RELEASE),
        wanted(rotation_triggers={"release": "2026-11", "more": "1"}),
        MEANWHILE,
        Replace(("rotation_triggers",)),
    ),
    "all triggers taken out of the mapping": (
        recorded(**RELEASE),
        wanted(rotation_triggers={}),
        MEANWHILE,
        Replace(("rotation_triggers",)),
    ),
    "adopted": (recorded(**ADOPTED), wanted(**ADOPTED), MEANWHILE, Keep()),
    "prefix of this token introduced": (recorded(), wanted(**ADOPTED), MEANWHILE, Update()),
    "prefix of another token introduced": (
        recorded(),
        wanted(adopt_prefix=NEW_PREFIX),
        MEANWHILE,
        Replace(("adopt_prefix",)),
    ),
    "prefix removed": (recorded(**ADOPTED), wanted(), MEANWHILE, Update()),
    "prefix shortened": (recorded(**ADOPTED), wanted(adopt_prefix=PREFIX[:5]), MEANWHILE, Update()),
    "prefix replaced by the full token": (recorded(**ADOPTED), wanted(adopt_prefix=FULL_TOKEN), MEANWHILE, Update()),
    "full token replaced by the prefix": (recorded(adopt_prefix=FULL_TOKEN), wanted(**ADOPTED), MEANWHILE, Update()),
    "prefix of another token": (
        recorded(**ADOPTED),
        wanted(adopt_prefix=NEW_PREFIX),
        MEANWHILE,
        Replace(("adopt_prefix",)),
    ),
    "prefix not known yet": (recorded(**ADOPTED), wanted(adopt_prefix=object()), MEANWHILE, Replace(("adopt_prefix",))),
    "prefix kept after a rotation": (recorded(**ROTATED), wanted(**ADOPTED), MEANWHILE, Keep()),
    "prefix removed after a rotation": (recorded(**ROTATED), wanted(), MEANWHILE, Update()),
    "prefix corrected after a rotation": (
        recorded(**ROTATED),
        wanted(adopt_prefix=NEW_PREFIX),
        MEANWHILE,
        Update(),
    ),
    "secret of the adopted token told later": (
        recorded(**ADOPTED, full_token=None),
        wanted(**ADOPTED, full_token=FULL_TOKEN),
        MEANWHILE,
        Update(),
    ),
    "secret of the adopted token told no longer": (recorded(**ADOPTED), wanted(**ADOPTED), MEANWHILE, Keep()),
    "secret told of the token before the rotation": (
        recorded(**ROTATED),
        wanted(**ADOPTED, full_token=FULL_TOKEN),
        MEANWHILE,
        Keep(),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_case_is_decided_as_the_table_says(case: str) -> None:
    """Each case of the table has its one decision, with its properties and its reason."""
    olds, news, now, decision = CASES[case]
    assert decide(olds, news, now) == decision


AGES = st.none() | st.integers(600, 315_360_000)
LISTS = st.none() | st.lists(st.text(min_size=1, max_size=5), max_size=5)
VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "max_age_seconds": AGES,
    "extend_when_used": st.none() | st.booleans(),
    "ip_allowlist": LISTS,
    "scopes": LISTS,
}
SETTINGS_OF_A_TOKEN = st.fixed_dictionaries(dict(VALUES))
WINDOWS = st.none() | st.integers(1, 315_359_999)
TRIGGERS = st.none() | st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)
TIMES = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(timezone.utc))  # noqa: DTZ001


@given(SETTINGS_OF_A_TOKEN, WINDOWS, TRIGGERS, st.text(min_size=1))
def test_nothing_changed_and_nothing_due_changes_nothing(
    made_with: dict[str, Any], window: int | None, triggers: dict[str, str] | None, description: str
) -> None:
    """The second `up` of any declaration does nothing."""
    rest = {
        "description": description,
        "early_rotation_window_seconds": window,
        "rotation_triggers": triggers,
    }
    olds = recorded(**rest, expiry_time=None, **{DECLARED: made_with})
    assert decide(olds, {**made_with, **rest}, MEANWHILE) == Keep()


@given(
    SETTINGS_OF_A_TOKEN,
    st.tuples(WINDOWS, WINDOWS).filter(lambda windows: windows[0] != windows[1]),
    st.tuples(st.none(), TRIGGERS),
    st.text(min_size=1),
    st.booleans(),
    st.integers(0, 30 * DAY - 1),
)
def test_window_description_and_new_triggers_never_replace(  # noqa: PLR0913, PLR0917 - one a thing that changes
    made_with: dict[str, Any],
    windows: tuple[int | None, int | None],
    triggers: tuple[dict[str, str] | None, dict[str, str] | None],
    description: str,
    removed: bool,  # noqa: FBT001
    age: int,
) -> None:
    """A changed window, introduced or removed triggers, and a description are never worth a new token."""
    before, after = reversed(triggers) if removed else triggers
    olds = recorded(early_rotation_window_seconds=windows[0], rotation_triggers=before, **{DECLARED: made_with})
    news = {
        **made_with,
        "description": description,
        "early_rotation_window_seconds": windows[1],
        "rotation_triggers": after,
    }
    assert decide(olds, news, MADE + timedelta(seconds=age)) == Update()


@given(st.data(), SETTINGS_OF_A_TOKEN, st.sets(st.sampled_from(SETTINGS), min_size=1))
def test_every_changed_setting_replaces_and_is_named(
    data: st.DataObject, made_with: dict[str, Any], changed: set[str]
) -> None:
    """A token keeps what it was made with: exactly what is declared otherwise asks for a new one."""
    news = {"description": "CI deploys", **made_with}
    for name in changed:
        news[name] = data.draw(VALUES[name], label=name)
        assume(comparable(news[name]) != comparable(made_with[name]))
    olds = recorded(**made_with, **{DECLARED: made_with})
    decision = decide(olds, news, MEANWHILE)
    assert isinstance(decision, Replace)
    assert set(decision.properties) == changed
    assert decision.properties == changed_settings(olds, news)
    assert decision.reason is None


@given(st.data(), st.sampled_from(["ip_allowlist", "scopes"]), st.lists(st.text(min_size=1), max_size=6))
def test_order_and_repetition_in_a_list_do_not_matter(data: st.DataObject, name: str, items: list[str]) -> None:
    """The same items in another order, or twice, are the same setting."""
    shuffled = data.draw(st.permutations(items)) + (data.draw(st.lists(st.sampled_from(items))) if items else [])
    assert decide(recorded(**{name: items}), wanted(**{name: shuffled}), MEANWHILE) == Keep()


@given(SETTINGS_OF_A_TOKEN, SETTINGS_OF_A_TOKEN)
def test_setting_declared_as_it_already_is_does_not_replace(made_with: dict[str, Any], actual: dict[str, Any]) -> None:
    """Writing down what the service chose makes no new token, whatever was declared when it was made."""
    olds = recorded(**actual, **{DECLARED: made_with})
    assert decide(olds, wanted(**actual), MEANWHILE) == Keep()


@given(SETTINGS_OF_A_TOKEN)
def test_outputs_without_a_record_of_what_was_declared_are_compared_themselves(made_with: dict[str, Any]) -> None:
    """A state that does not tell what was declared is taken at what it shows."""
    olds = {name: value for name, value in recorded(**made_with).items() if name != DECLARED}
    assert decide(olds, wanted(**made_with), MEANWHILE) == Keep()


@given(expiry=TIMES, now=TIMES, windows=st.tuples(WINDOWS, WINDOWS), extended=st.booleans())
def test_expired_token_is_always_replaced(
    expiry: datetime, now: datetime, windows: tuple[int | None, int | None], *, extended: bool
) -> None:
    """From its expiry on, and whatever its window, a token is replaced as expired; before it, never as that."""
    olds = recorded(expiry_time=expiry.isoformat(), early_rotation_window_seconds=windows[0], extend_when_used=extended)
    due_now = find_due(olds, wanted(early_rotation_window_seconds=windows[1], extend_when_used=extended), now)
    assert (due_now == Due("expired", f"it has expired ({expiry.isoformat()})")) == (now >= expiry)


@given(
    st.integers(1, 30 * DAY - 1),
    st.integers(1, 30 * DAY),
    st.integers(0, 30 * DAY - 1),
)
def test_only_an_unchanged_window_is_believed(window: int, other: int, age: int) -> None:
    """Inside its window a token is replaced, with the reason; inside one that has just been changed, not."""
    olds, now = recorded(early_rotation_window_seconds=window), MADE + timedelta(seconds=age)
    expected = due(WITHIN.format(window)) if age >= 30 * DAY - window else Keep()
    assert decide(olds, wanted(early_rotation_window_seconds=window), now) == expected
    if other != window:
        assert decide(olds, wanted(early_rotation_window_seconds=other), now) == Update()


@given(
    expiry=st.none() | TIMES,
    window=WINDOWS,
    times=st.tuples(TIMES, TIMES).map(sorted),
    age=AGES,
    gone=st.sampled_from([None, "expired", "revoked"]),
)
def test_once_due_is_due_for_ever(
    expiry: datetime | None, window: int | None, times: list[datetime], age: int | None, gone: str | None
) -> None:
    """A token that was to be replaced yesterday is to be replaced today."""
    olds = recorded(
        expiry_time=expiry and expiry.isoformat(),
        early_rotation_window_seconds=window,
        max_age_seconds=age,
        **{DECLARED: {}, GONE: gone},
    )
    news = wanted(early_rotation_window_seconds=window)
    earlier, later = (decide(olds, news, now) for now in times)
    assert not isinstance(earlier, Replace) or isinstance(later, Replace)
    if expiry is None and gone is None:
        assert later == Keep()


@given(SETTINGS_OF_A_TOKEN, WINDOWS, TRIGGERS, st.integers(-(10**9), 10**9))
def test_replacement_has_a_cause(
    made_with: dict[str, Any], window: int | None, triggers: dict[str, str] | None, seconds: int
) -> None:
    """Where nothing changed, there is a replacement exactly where the clock gives a reason."""
    rest = {"description": "x", "early_rotation_window_seconds": window, "rotation_triggers": triggers}
    olds, news = recorded(**rest, **{DECLARED: made_with}), {**made_with, **rest}
    now = EXPIRY + timedelta(seconds=seconds)
    due_now = find_due(olds, news, now)
    assert decide(olds, news, now) == (Keep() if due_now is None else due(due_now.why))


@pytest.mark.parametrize("now", [datetime(1999, 1, 1, tzinfo=timezone.utc), datetime(2199, 1, 1, tzinfo=timezone.utc)])
def test_only_the_given_clock_counts(now: datetime) -> None:
    """The machine's clock has no say: any time can be tried out."""
    for days, decision in ((-1, Keep()), (1, due(f"it has expired ({now.isoformat()})"))):
        olds = recorded(expiry_time=now.isoformat())
        assert decide(olds, wanted(), now + timedelta(days=days)) == decision


def written(time: datetime, offset: timedelta, digits: int, *, zulu: bool) -> str:
    """Write a time as an API may."""
    zone = timezone(offset)
    fraction = f"{time.microsecond:06}000"[:digits]
    text = time.astimezone(zone).strftime("%Y-%m-%dT%H:%M:%S") + (f".{fraction}" if digits else "")
    return text + ("Z" if zulu and not offset else time.astimezone(zone).isoformat()[-6:])


@given(
    expiry=TIMES,
    now=TIMES,
    offset=st.integers(-14 * 4, 14 * 4).map(lambda quarters: timedelta(minutes=15 * quarters)),
    digits=st.integers(0, 9),
    zulu=st.booleans(),
)
def test_notation_of_a_time_does_not_matter(
    expiry: datetime, now: datetime, offset: timedelta, digits: int, *, zulu: bool
) -> None:
    """The same moment in another offset, with `Z`, or with more or fewer digits, gives the same decision."""
    kept = 10 ** max(0, 6 - digits)
    expiry = expiry.replace(microsecond=expiry.microsecond // kept * kept)
    text = written(expiry, offset, digits, zulu=zulu)
    assert expires({"expiry_time": text}) == expiry
    assert isinstance(decide(recorded(expiry_time=text), wanted(), now), Replace) == (now >= expiry)


@pytest.mark.parametrize("recorded_expiry", [None, ""])
def test_token_without_an_expiry_never_expires(recorded_expiry: str | None) -> None:
    """No recorded expiry means that there is none."""
    assert expires({"expiry_time": recorded_expiry}) is None
    assert expires({}) is None


@pytest.mark.parametrize(
    ("now", "expiry", "why"),
    [
        (EXPIRY - timedelta(microseconds=1), "2026-12-01T12:00:00Z", "revoked"),
        (EXPIRY, "2026-12-01T12:00:00Z", "expired"),
        (EXPIRY, None, "revoked"),
    ],
)
def test_missing_token_has_expired_only_if_its_time_was_over(now: datetime, expiry: str | None, why: str) -> None:
    """A token that is missing before its recorded expiry was revoked by somebody."""
    assert why_missing(recorded(expiry_time=expiry), now) == why


@pytest.mark.parametrize(
    ("changes", "stale"),
    [
        ({"extend_when_used": True}, True),
        ({"extend_when_used": False}, False),
        ({"extend_when_used": None}, False),
        ({"extend_when_used": True, GONE: "expired"}, False),
        ({"extend_when_used": True, GONE: "revoked"}, False),
    ],
)
def test_only_an_extended_token_that_is_there_may_have_moved(changes: dict[str, Any], *, stale: bool) -> None:
    """The account is asked where use extends the life, unless it has said already that the token is gone."""
    assert is_stale(recorded(**changes)) is stale


@pytest.mark.parametrize(
    ("olds", "news", "secret"),
    [
        (recorded(), wanted(), FULL_TOKEN),
        (recorded(full_token=None), wanted(), None),
        (recorded(full_token=None), wanted(**ADOPTED), None),
        (recorded(full_token=None), wanted(**ADOPTED, full_token=FULL_TOKEN), FULL_TOKEN),
        (recorded(full_token=None), wanted(adopt_prefix=FULL_TOKEN), FULL_TOKEN),
        (recorded(full_token=None), wanted(adopt_prefix=PREFIX[:4], full_token=FULL_TOKEN), FULL_TOKEN),
        (recorded(full_token=None), wanted(**ADOPTED, full_token=PREFIX), None),
        (recorded(full_token=None), wanted(adopt_prefix=object(), full_token=object()), None),
        (recorded(**ROTATED), wanted(**ADOPTED, full_token=FULL_TOKEN), ROTATED["full_token"]),
        (recorded(**ROTATED), wanted(adopt_prefix=FULL_TOKEN), ROTATED["full_token"]),
        ({"token_prefix": PREFIX}, wanted(**ADOPTED, full_token=FULL_TOKEN), FULL_TOKEN),
        ({}, wanted(adopt_prefix=FULL_TOKEN), None),
    ],
)
def test_secret_is_that_of_the_recorded_token(olds: dict[str, Any], news: dict[str, Any], secret: str | None) -> None:
    """A declared secret is taken where it is this token's; after a rotation the recorded one stays."""
    assert known_secret(olds, news) == secret


@given(st.text(min_size=1), st.text(min_size=1))
def test_prefix_means_another_token_unless_one_begins_with_the_other(prefix: str, adopted: str) -> None:
    """What is adopted is told by beginnings alone, be it a prefix, a part of one or a full token."""
    same = prefix.startswith(adopted) or adopted.startswith(prefix)
    assert adopts_another({"token_prefix": prefix}, {"adopt_prefix": adopted}) is not same
    assert not adopts_another({"token_prefix": prefix}, {"adopt_prefix": prefix + adopted})
    assert not adopts_another({"token_prefix": prefix + adopted}, {"adopt_prefix": prefix})


@given(
    st.dictionaries(
        st.sampled_from([*SETTINGS, "description", "rotation_triggers"]), st.none() | st.integers() | st.text()
    ),
    st.none() | st.integers(1, 28 * DAY),
)
def test_unknown_value_counts_as_changed(olds: dict[str, Any], window: int | None) -> None:
    """What is not known before other resources are made is never taken for unchanged, and breaks nothing."""
    unknown = object()
    for name in SETTINGS:
        decision = decide(recorded(**olds), wanted(**{name: unknown}), MEANWHILE)
        assert isinstance(decision, Replace)
        assert name in decision.properties
    settled = recorded(early_rotation_window_seconds=window)
    assert decide(settled, wanted(early_rotation_window_seconds=unknown), MEANWHILE) == Update()
    assert decide(settled, wanted(early_rotation_window_seconds=window, description=unknown), MEANWHILE) == Update()


LONG = {"early_rotation_window_seconds": 30 * DAY}
EXPIRED_BY_NOW = Due("expired", EXPIRED)
REVOKED = Due("revoked", "it was revoked outside of Pulumi")
INSIDE = Due("window", WITHIN.format(7 * DAY))


@pytest.mark.parametrize(
    ("olds", "news", "now", "found"),
    [
        (recorded(), wanted(), EXPIRY - timedelta(microseconds=1), None),
        (recorded(), wanted(), EXPIRY, EXPIRED_BY_NOW),
        (recorded(**WEEK), wanted(**WEEK), EXPIRY - timedelta(days=7, microseconds=1), None),
        (recorded(**WEEK), wanted(**WEEK), EXPIRY - timedelta(days=7), INSIDE),
        (recorded(**WEEK), wanted(), EXPIRY - timedelta(days=7), None),
        (recorded(**WEEK), wanted(early_rotation_window_seconds=object()), EXPIRY - timedelta(days=7), INSIDE),
        (recorded(**WEEK), wanted(early_rotation_window_seconds=object()), EXPIRY, EXPIRED_BY_NOW),
        (recorded(expiry_time=None, **WEEK), wanted(**WEEK), EXPIRY, None),
        (recorded(**WEEK, **{GONE: "revoked"}), wanted(**WEEK), EXPIRY, REVOKED),
        (recorded(**WEEK, **{GONE: "expired"}), wanted(**WEEK), MEANWHILE, EXPIRED_BY_NOW),
    ],
)
def test_due_token_has_its_reason(olds: dict[str, Any], news: dict[str, Any], now: datetime, found: Due | None) -> None:
    """What the account says goes before what the clock says, and the end of a life before its window."""
    assert find_due(olds, news, now) == found


@pytest.mark.parametrize(
    ("changes", "opening", "too_long"),
    [
        ({}, None, False),
        ({"expiry_time": None, **WEEK}, None, False),
        ({"early_rotation_window_seconds": 1}, EXPIRY - timedelta(seconds=1), False),
        (WEEK, EXPIRY - timedelta(days=7), False),
        ({"early_rotation_window_seconds": 30 * DAY - 1}, MADE + timedelta(seconds=1), False),
        (LONG, MADE + timedelta(days=15), True),
        ({"early_rotation_window_seconds": 300 * DAY}, MADE + timedelta(days=15), True),
        ({**WEEK, "max_age_seconds": 7 * DAY}, EXPIRY - timedelta(days=3.5), True),
        ({**LONG, "max_age_seconds": None}, MADE + timedelta(days=15), True),
        ({**LONG, "max_age_seconds": None, "create_time": None}, MADE, False),
        ({**LONG, "max_age_seconds": 60 * DAY}, MADE + timedelta(days=15), True),
    ],
)
def test_window_opens_halfway_where_it_is_longer_than_the_life(
    changes: dict[str, Any], opening: datetime | None, *, too_long: bool
) -> None:
    """A window as long as the life would be due at once and for ever: such a token is rotated halfway through it."""
    olds = recorded(**changes)
    assert opens(olds) == opening
    assert is_window_too_long(olds) is too_long


@given(st.integers(1, 400 * DAY), st.integers(600, 300 * DAY))
def test_new_token_is_never_due(window: int, age: int) -> None:
    """Whatever the service made of the age, a token just made has at least half its life, or all but its window."""
    expiry = MADE + timedelta(seconds=age)
    olds = recorded(early_rotation_window_seconds=window, max_age_seconds=age, expiry_time=expiry.isoformat())
    assert opens(olds) == (MADE + timedelta(seconds=age / 2) if window >= age else expiry - timedelta(seconds=window))
    assert find_due(olds, wanted(early_rotation_window_seconds=window), MADE) is None


IN_DECEMBER = "expires at 2026-12-01T12:00:00Z, and nothing is going to rotate it: set early_rotation_window_seconds"
OR_TRIGGER = f"{IN_DECEMBER}, or change a value of rotation_triggers"
NEXT_UP = "expires at 2026-12-01T12:00:00Z: the changed window counts from the next `pulumi up` on, so run it"


@pytest.mark.parametrize(
    ("changes", "inputs", "before", "told"),
    [
        ({}, {}, timedelta(days=3), IN_DECEMBER),
        ({"rotation_triggers": {"a": 1}}, {}, timedelta(days=3), OR_TRIGGER),
        ({}, {"rotation_triggers": {"a": 1}}, timedelta(days=3), IN_DECEMBER),
        ({}, {}, timedelta(days=3, microseconds=1), None),
        ({"max_age_seconds": 300 * DAY}, {}, timedelta(days=3), IN_DECEMBER),
        ({"max_age_seconds": 300 * DAY}, {}, timedelta(days=4), None),
        ({"max_age_seconds": DAY}, {}, timedelta(hours=2.4), IN_DECEMBER),
        ({"max_age_seconds": DAY}, {}, timedelta(hours=2.5), None),
        ({"max_age_seconds": None, "create_time": "2026-11-30T12:00:00Z"}, {}, timedelta(hours=2.4), IN_DECEMBER),
        ({"max_age_seconds": None, "create_time": None}, {}, timedelta(days=3), IN_DECEMBER),
        ({"expiry_time": None}, {}, timedelta(0), None),
        (WEEK, WEEK, timedelta(days=1), None),
        (WEEK, {}, timedelta(days=1), IN_DECEMBER),
        ({}, WEEK, timedelta(days=1), NEXT_UP),
        (WEEK, {"early_rotation_window_seconds": DAY}, timedelta(days=1), NEXT_UP),
        (WEEK, {"early_rotation_window_seconds": object()}, timedelta(days=1), None),
        ({}, {"early_rotation_window_seconds": object()}, timedelta(days=1), None),
        (WEEK, {"early_rotation_window_seconds": DAY}, timedelta(days=4), None),
        # a window that is open already, however far away the end is
        ({}, {"early_rotation_window_seconds": 20 * DAY}, timedelta(days=20), NEXT_UP),
        ({}, {"early_rotation_window_seconds": 20 * DAY}, timedelta(days=20, microseconds=1), None),
        (WEEK, {"early_rotation_window_seconds": 20 * DAY}, timedelta(days=19), NEXT_UP),
        (WEEK, {"early_rotation_window_seconds": object()}, timedelta(days=19), None),
    ],
)
def test_end_that_nothing_prevents_is_told(
    changes: dict[str, Any], inputs: dict[str, Any], before: timedelta, told: str | None
) -> None:
    """Within a tenth of the life, or three days if that is shorter, a token that nothing rotates is told of."""
    olds, news = recorded(**changes), wanted(**inputs)
    assert find_end(olds, news, EXPIRY - before) == told
    assert is_ending(olds, news, EXPIRY - before) == (told is not None and before <= timedelta(days=3))


@pytest.mark.parametrize(
    ("old", "new", "is_told"),
    [
        (None, {"a": 1}, True),
        (None, object(), True),
        (None, None, False),
        ({"a": 1}, None, False),
        ({}, {"a": 1}, False),
    ],
)
def test_triggers_that_are_new_are_told_to_rotate_nothing(old: Any, new: Any, *, is_told: bool) -> None:
    """Whoever declares them to have a token rotated at once must not believe that it was."""
    told = find_new_triggers(recorded(rotation_triggers=old), wanted(rotation_triggers=new))
    expected = "rotation_triggers is new, which rotates nothing yet: only a changed value of it does"
    assert told == (expected if is_told else None)


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        (None, None, None),
        (None, {"a": 1}, None),
        ({"a": 1}, None, None),
        (None, {}, None),
        ({}, {}, None),
        ({"a": 1, "b": [1, {"c": 2}]}, {"b": [1, {"c": 2}], "a": 1.0}, None),
        ({"a": 1}, {"a": 2}, "a"),
        ({"a": True}, {"a": 1.0}, "a"),
        ({"a": [0]}, {"a": [False]}, "a"),
        ({"a": {"b": [True, 1]}}, {"a": {"b": [True, 1.0]}}, None),
        ({"a": [1]}, {"a": [1, 2]}, "a"),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 1}}, "a"),
        ({"a": 1}, {}, "a"),
        ({}, {"a": None}, "a"),
        ({"a": None}, {}, "a"),
        ({"b": 1, "a": 1, "c": 1}, {"b": 2, "c": 1, "d": 1}, "a, b, d"),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, "a"),
        ({"a": 1}, {"a": ...}, "a"),
        ({"a": 1}, ..., "not known yet"),
        (None, ..., None),
    ],
)
def test_changed_triggers_are_named_by_their_keys(old: Any, new: Any, changed: str | None) -> None:
    """A key that came, went or has another value is a change, in order; the mapping as a whole coming or going is not.

    `...` stands for what is not known yet.
    """
    assert changed_values(old, new) == changed


@pytest.mark.parametrize(
    ("arguments", "made"),
    [
        ({"description": "d"}, TokenSpec(description="d")),
        (
            {"description": "d", "max_age_seconds": None, "extend_when_used": None, "ip_allowlist": None},
            TokenSpec(description="d"),
        ),
        (
            {
                "description": "d",
                "max_age_seconds": 86400.0,
                "extend_when_used": True,
                "ip_allowlist": ["192.0.2.0/24"],
                "scopes": [],
                "early_rotation_window_seconds": 3600.0,
                "rotation_triggers": {"a": "b"},
            },
            TokenSpec(
                description="d", max_age_seconds=86400, extend_when_used=True, ip_allowlist=["192.0.2.0/24"], scopes=[]
            ),
        ),
    ],
)
def test_arguments_ask_for_a_token(arguments: dict[str, Any], made: TokenSpec) -> None:
    """What concerns the token itself is asked for, numbers as the API takes them; what is absent is the service's."""
    assert spec(arguments) == made
    assert type(spec(arguments).max_age_seconds) in {int, type(None)}


def test_only_settings_that_were_given_count_as_declared() -> None:
    """What was not declared is not recorded as such, though false and an empty list were declared."""
    arguments: dict[str, Any] = {
        "description": "d",
        "max_age_seconds": None,
        "extend_when_used": False,
        "scopes": [],
        "overlap": 1,
    }
    assert declared(arguments) == {"extend_when_used": False, "scopes": []}


def test_text_of_others_holds_no_colour() -> None:
    """A name of a colour in what somebody else wrote would end the engine; the description as declared stays."""
    spoilt, harmless = "curl <{%x%}>/8", "curl <{ %x%}>/8"
    token = TokenInfo(token_prefix=PREFIX, description=spoilt, last_ip=spoilt, last_user_agent=spoilt, scopes=(spoilt,))
    outs = shown(token, "another")
    assert (outs["description"], outs["last_ip"], outs["last_user_agent"]) == (harmless,) * 3
    assert outs["scopes"] == (harmless,)
    assert shown(token, spoilt)["description"] == spoilt


def test_token_of_the_account_gives_its_outputs() -> None:
    """Exactly the outputs that are the account's to tell are taken from it, and never a secret."""
    token = TokenInfo(token_prefix=PREFIX, description="d", last_ip="192.0.2.7", currently_active=True)
    outs = shown(token, "d")
    assert tuple(outs) == SHOWN_BY_THE_ACCOUNT
    assert {name: value for name, value in outs.items() if value is not None} == {
        "token_prefix": PREFIX,
        "description": "d",
        "last_ip": "192.0.2.7",
    }
