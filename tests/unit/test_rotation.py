"""What is decided about a series of tokens, and what is told of it: tables of cases, and what holds for all of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulumi_avn_token import marks
from pulumi_avn_token.lifecycle import DECLARED, GONE, SETTINGS
from pulumi_avn_token.model import TokenInfo, parse_time, written
from pulumi_avn_token.rotation import (
    ENDED,
    PREVIOUS_OUTPUTS,
    RECORDED_ARGUMENTS,
    STRAYS,
    Notice,
    Plan,
    Previous,
    Reason,
    Rotation,
    decide,
    losses,
    notices,
    observed,
    recorded,
    rotates_at,
    superseded,
    without_previous,
)

MARK = "series-0123456789abcdef"
PREFIX = "9zQ/hhKe01Lm"
OLDER_PREFIX = "XCJ3+bgWywIh"
STRAY_PREFIX = "7tR=stray+/0"
SECRET = PREFIX + "aB3/" * 20
OLDER_SECRET = OLDER_PREFIX + "Zy9+" * 20
DAY = 24 * 60 * 60
MADE = datetime(2026, 11, 1, 12, 0, tzinfo=timezone.utc)
MEANWHILE = MADE + timedelta(days=1)
"""Inside the overlap."""
OVER = MADE + timedelta(days=7)
"""The end of the overlap."""
OPENING = MADE + timedelta(days=16)
"""When the window opens."""
EXPIRY = MADE + timedelta(days=30)
TICK = timedelta(microseconds=1)

INPUTS: dict[str, Any] = {
    "description": "Ingest workers",
    "max_age_seconds": 30 * DAY,
    "extend_when_used": False,
    "ip_allowlist": None,
    "scopes": None,
    "early_rotation_window_seconds": 14 * DAY,
    "overlap_seconds": 7 * DAY,
    "retire_previous": "when_idle",
    "rotation_triggers": {"release": "2026-11"},
    "revocation_triggers": {"leak": "none"},
}
CURRENT: dict[str, Any] = {
    **INPUTS,
    "token_prefix": PREFIX,
    "full_token": SECRET,
    "create_time": "2026-11-01T12:00:00Z",
    "expiry_time": "2026-12-01T12:00:00Z",
    "last_used_time": None,
    "last_ip": None,
    "last_user_agent": None,
    "rotates_at": "2026-11-17T12:00:00Z",
    "rotation_reason": "window",
    DECLARED: {"max_age_seconds": 30 * DAY, "extend_when_used": False},
    "__owner": {"user": "me@example.org", "user_id": "u1"},
}
OLDER: dict[str, Any] = {
    "previous_token_prefix": OLDER_PREFIX,
    "previous_full_token": OLDER_SECRET,
    "previous_superseded_time": "2026-11-01T12:00:00Z",
    "previous_retires_at": "2026-11-08T12:00:00Z",
    "previous_expiry_time": "2026-11-15T12:00:00Z",
    "previous_last_used_time": None,
    "previous_last_ip": None,
    "previous_last_user_agent": None,
}
IN_USE = {
    "previous_last_used_time": "2026-11-07T09:30:01.123456Z",
    "previous_last_ip": "192.0.2.7",
    "previous_last_user_agent": "ingest/1.4",
}


def news(**changes: Any) -> dict[str, Any]:
    """Give the inputs that the series was declared with, some of them changed."""
    return {**INPUTS, **changes}


def alone(**changes: Any) -> dict[str, Any]:
    """Give the outputs of a series that has only a current token."""
    return {**CURRENT, **changes}


def both(**changes: Any) -> dict[str, Any]:
    """Give the outputs of a series whose previous token has not been used since it was replaced."""
    return {**CURRENT, **OLDER, **changes}


NOTHING = Plan()
RECORDS = Plan(records=True)
IDLE = Plan(retirement="idle")
LINGERS = Plan(lingers=True)
REGARDLESS = {"retire_previous": "after_overlap"}
RELEASED = {"rotation_triggers": {"release": "2026-12"}}
LEAKED = {"revocation_triggers": {"leak": "yes"}}
WINDOW = Rotation("window", "it expires at 2026-12-01T12:00:00Z, within early_rotation_window_seconds=1209600")
EXPIRED = Rotation("expired", "it has expired (2026-12-01T12:00:00Z)")
REVOKED = Rotation("revoked", "it was revoked outside of Pulumi")
SCOPED = Rotation("settings", "scopes changed")
TRIGGER = Rotation("trigger", "rotation_triggers changed (release)")
EMERGENCY = Rotation("emergency", "revocation_triggers changed (leak)")
LONG = {"previous_retires_at": "2026-11-30T12:00:00Z"}
"""An overlap that lasts beyond the opening of the window."""

CASES: dict[str, tuple[dict[str, Any], dict[str, Any], datetime, Plan]] = {
    "nothing changed": (alone(), news(), MEANWHILE, NOTHING),
    "description": (alone(), news(description="Other"), MEANWHILE, Plan(describes=True)),
    "window": (alone(), news(early_rotation_window_seconds=13 * DAY), MEANWHILE, RECORDS),
    "window changed when it would be due": (alone(), news(early_rotation_window_seconds=DAY), OPENING, RECORDS),
    "overlap": (alone(), news(overlap_seconds=0), MEANWHILE, RECORDS),
    "retirement": (alone(), news(**REGARDLESS), MEANWHILE, RECORDS),
    "triggers removed": (alone(), news(rotation_triggers=None, revocation_triggers=None), MEANWHILE, RECORDS),
    "triggers introduced": (
        alone(rotation_triggers=None, revocation_triggers=None),
        news(),
        MEANWHILE,
        RECORDS,
    ),
    "stray": (alone(**{STRAYS: [STRAY_PREFIX]}), news(), MEANWHILE, Plan(clears=True)),
    "ended": (alone(**{ENDED: {"token_prefix": OLDER_PREFIX, "gone": "expired"}}), news(), OVER, Plan(clears=True)),
    "before the window": (alone(), news(), OPENING - TICK, NOTHING),
    "at the window": (alone(), news(), OPENING, Plan(rotation=WINDOW)),
    "at the expiry": (alone(), news(), EXPIRY, Plan(rotation=EXPIRED)),
    "never expires": (alone(expiry_time=None), news(), EXPIRY, NOTHING),
    "revoked": (alone(**{GONE: "revoked"}), news(), MEANWHILE, Plan(rotation=REVOKED)),
    "expired by the account": (alone(**{GONE: "expired"}), news(), MEANWHILE, Plan(rotation=EXPIRED)),
    "setting": (alone(), news(scopes=["user:read"]), MEANWHILE, Plan(rotation=SCOPED)),
    "two settings": (
        alone(),
        news(scopes=["user:read"], max_age_seconds=60 * DAY),
        MEANWHILE,
        Plan(rotation=Rotation("settings", "max_age_seconds, scopes changed")),
    ),
    "trigger": (alone(), news(**RELEASED), MEANWHILE, Plan(rotation=TRIGGER, records=True)),
    "emergency": (alone(), news(**LEAKED), MEANWHILE, Plan(rotation=EMERGENCY, records=True)),
    "overlap lasts": (both(), news(), OVER - TICK, NOTHING),
    "overlap lasts for one in use": (both(**IN_USE), news(), OVER - TICK, NOTHING),
    "overlap lasts, whatever comes after it": (both(), news(**REGARDLESS), OVER - TICK, RECORDS),
    "overlap is over": (both(), news(), OVER, IDLE),
    "overlap is over for one in use": (both(**IN_USE), news(), OVER, LINGERS),
    "overlap is over for one in use at that very moment": (
        both(previous_last_used_time="2026-11-01T12:00:00Z"),
        news(),
        OVER,
        LINGERS,
    ),
    "overlap is over for one used before it was replaced": (
        both(previous_last_used_time="2026-11-01T11:59:59.999999Z"),
        news(),
        OVER,
        IDLE,
    ),
    "overlap is over, in use or not": (
        both(**IN_USE, **REGARDLESS),
        news(**REGARDLESS),
        OVER,
        Plan(retirement="overlap"),
    ),
    "overlap made longer": (both(), news(overlap_seconds=8 * DAY), OVER, RECORDS),
    "overlap made longer is over": (
        both(),
        news(overlap_seconds=8 * DAY),
        OVER + timedelta(days=1),
        IDLE._replace(records=True),
    ),
    "overlap made shorter": (both(), news(overlap_seconds=0), OVER - TICK, RECORDS),
    "rotation after the overlap": (both(), news(), OPENING, Plan(rotation=WINDOW, retirement="idle")),
    "rotation after the overlap of one in use": (
        both(**IN_USE),
        news(),
        OPENING,
        Plan(rotation=WINDOW, retirement="displaced"),
    ),
    "rotation inside the overlap": (
        both(),
        news(**RELEASED),
        MEANWHILE,
        Plan(rotation=TRIGGER, retirement="displaced", records=True),
    ),
    "window opens inside the overlap": (both(**LONG), news(), OPENING, Plan(rotation=WINDOW, retirement="displaced")),
    "emergency inside the overlap": (
        both(),
        news(**LEAKED),
        MEANWHILE,
        Plan(rotation=EMERGENCY, retirement="emergency", records=True),
    ),
    "emergency of a current token that is gone": (
        both(**{GONE: "revoked"}),
        news(**LEAKED),
        MEANWHILE,
        Plan(rotation=EMERGENCY, retirement="emergency", records=True),
    ),
    "current gone, previous in its overlap": (
        both(**{GONE: "revoked"}),
        news(),
        MEANWHILE,
        Plan(rotation=REVOKED),
    ),
    "current gone, previous idle after its overlap": (
        both(**{GONE: "revoked"}),
        news(),
        OVER,
        Plan(rotation=REVOKED, retirement="idle"),
    ),
    "current gone, previous in use after its overlap": (
        both(**IN_USE, **{GONE: "revoked"}),
        news(),
        OVER,
        Plan(rotation=REVOKED, lingers=True),
    ),
    "all at once": (
        both(**{STRAYS: [STRAY_PREFIX]}),
        news(description="Other", **LEAKED),
        MEANWHILE,
        Plan(rotation=EMERGENCY, retirement="emergency", describes=True, clears=True, records=True),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_case_is_decided_as_the_table_says(case: str) -> None:
    """Each case of the table has its one plan, with its reason in words."""
    olds, declared, now, plan = CASES[case]
    assert decide(olds, declared, now) == plan


@pytest.mark.parametrize(
    ("plan", "changes", "writes", "asks"),
    [
        (NOTHING, False, False, False),
        (RECORDS, True, False, False),
        (LINGERS, False, False, True),
        (IDLE, True, True, True),
        (Plan(rotation=WINDOW), True, True, True),
        (Plan(describes=True), True, True, False),
        (Plan(clears=True), True, True, False),
    ],
)
def test_plan_tells_what_it_needs(plan: Plan, *, changes: bool, writes: bool, asks: bool) -> None:
    """What only the state knows asks and writes nothing; a token that lingers is asked about, and is no change."""
    assert (plan.changes, plan.writes, plan.asks) == (changes, writes, asks)


CAUSES: tuple[Reason, ...] = ("emergency", "revoked", "expired", "settings", "trigger", "window")
"""The strongest reason first."""


@pytest.mark.parametrize("causes", [some for count in range(7) for some in itertools.combinations(CAUSES, count)])
def test_strongest_reason_is_told(causes: tuple[Reason, ...]) -> None:
    """Of several reasons at once, the one that changes most what happens is recorded."""
    now = EXPIRY if "expired" in causes else OPENING if "window" in causes else MEANWHILE
    changes: dict[Reason, dict[str, Any]] = {
        "emergency": LEAKED,
        "settings": {"scopes": ["user:read"]},
        "trigger": RELEASED,
    }
    declared = news(**{name: value for cause in causes for name, value in changes.get(cause, {}).items()})
    plan = decide(alone(**({GONE: "revoked"} if "revoked" in causes else {})), declared, now)
    assert (plan.rotation and plan.rotation.reason) == next(iter(causes), None)


TIMES = st.integers(0, 60 * DAY).map(lambda seconds: MADE + timedelta(seconds=seconds))
WINDOWS = st.integers(1, 30 * DAY - 1)
OVERLAPS = st.integers(0, 30 * DAY)
TRIGGERS = st.none() | st.dictionaries(st.sampled_from(["a", "leak", "release"]), st.integers(0, 2), max_size=2)
RETIREMENTS = st.sampled_from(["when_idle", "after_overlap"])
USES = st.none() | TIMES.map(written)
ARGUMENTS = st.fixed_dictionaries(
    {
        "early_rotation_window_seconds": WINDOWS,
        "overlap_seconds": OVERLAPS,
        "retire_previous": RETIREMENTS,
        "rotation_triggers": TRIGGERS,
        "revocation_triggers": TRIGGERS,
    }
)
SERIES = st.builds(
    lambda arguments, older, used, retires, gone: {
        **CURRENT,
        **arguments,
        **({**OLDER, "previous_last_used_time": used, "previous_retires_at": written(retires)} if older else {}),
        **({GONE: gone} if gone else {}),
    },
    ARGUMENTS,
    st.booleans(),
    USES,
    TIMES,
    st.sampled_from([None, None, "expired", "revoked"]),
)
"""The outputs of any series."""


@given(
    ARGUMENTS,
    st.fixed_dictionaries(
        {
            "description": st.text(min_size=1),
            "max_age_seconds": st.none() | st.integers(600, 10**8),
            "extend_when_used": st.none() | st.booleans(),
            "ip_allowlist": st.none() | st.lists(st.text(), max_size=3),
            "scopes": st.none() | st.lists(st.text(), max_size=3),
        }
    ),
)
def test_nothing_changed_and_nothing_due_changes_nothing(arguments: dict[str, Any], rest: dict[str, Any]) -> None:
    """The second `up` of any declaration does nothing."""
    declared = {**arguments, **rest}
    made_with = {name: rest[name] for name in SETTINGS}
    olds = {**CURRENT, **declared, "expiry_time": None, DECLARED: made_with}
    assert decide(olds, declared, MEANWHILE) == NOTHING


@given(
    window=WINDOWS,
    overlap=OVERLAPS,
    retirement=RETIREMENTS,
    now=TIMES.filter(lambda now: now < EXPIRY),
    older=st.booleans(),
)
def test_window_overlap_and_retirement_never_rotate(
    window: int, overlap: int, retirement: str, now: datetime, *, older: bool
) -> None:
    """Changing when and how to rotate is never itself a reason to rotate."""
    changes = {"early_rotation_window_seconds": window, "overlap_seconds": overlap, "retire_previous": retirement}
    plan = decide(both() if older else alone(), news(**changes), now)
    is_due_anyway = window == 14 * DAY and now >= OPENING
    assert (plan.rotation is not None) == is_due_anyway
    assert not plan.describes
    assert plan.records is not (changes.items() <= INPUTS.items())


@given(SERIES, ARGUMENTS, TIMES)
def test_promised_overlap_is_never_shortened(olds: dict[str, Any], arguments: dict[str, Any], now: datetime) -> None:
    """Before the recorded end of its overlap only an emergency, or the need of its place, revokes a previous token."""
    declared, previous = news(**arguments), Previous.of(olds)
    plan = decide(olds, declared, now)
    if previous is None:
        assert (plan.retirement, plan.lingers) == (None, False)
        return
    longest = max(parse_time(previous.retires_at), MADE + timedelta(seconds=arguments["overlap_seconds"]))
    assert parse_time(recorded(olds, declared)["previous_retires_at"]) == longest
    if plan.retirement not in {"emergency", "displaced"} and now < longest:
        assert (plan.retirement, plan.lingers) == (None, False)
    if plan.retirement in {"emergency", "displaced"}:
        assert plan.rotation is not None
    if plan.retirement == "emergency":
        assert plan.rotation == EMERGENCY._replace(why=plan.rotation.why if plan.rotation else "")
    if plan.retirement == "displaced":
        assert GONE not in olds
    if plan.retirement == "idle" or plan.lingers:
        assert plan.lingers == previous.was_used_since()
        assert arguments["retire_previous"] == "when_idle"


@given(SERIES, ARGUMENTS, TIMES)
def test_two_tokens_at_most_are_left(olds: dict[str, Any], arguments: dict[str, Any], now: datetime) -> None:
    """A rotation that would leave a third valid token retires the oldest; one that fills a gap need not."""
    plan = decide(olds, news(**arguments), now)
    before = (GONE not in olds) + (Previous.of(olds) is not None)
    after = before + (plan.rotation is not None) - (plan.retirement is not None)
    assert after <= 2
    if GONE in olds:
        assert plan.rotation is not None


@given(SERIES, ARGUMENTS, TIMES)
def test_what_is_recorded_is_no_change_any_more(olds: dict[str, Any], arguments: dict[str, Any], now: datetime) -> None:
    """After one `up` recorded a declaration, the next has nothing to record and nothing to clear."""
    declared = news(**arguments)
    marked = {**olds, STRAYS: [STRAY_PREFIX], ENDED: {"token_prefix": OLDER_PREFIX, "gone": "expired"}}
    outs = recorded(marked, declared)
    plan = decide(outs, declared, now)
    assert not plan.records
    assert not plan.clears
    assert recorded(outs, declared) == outs
    kept = {name: value for name, value in olds.items() if name not in {*RECORDED_ARGUMENTS, *OLDER, "rotates_at"}}
    assert kept.items() <= outs.items()
    assert outs["rotates_at"] == rotates_at(outs)
    assert outs.get("previous_full_token") == olds.get("previous_full_token")


@given(
    SERIES,
    st.sets(st.sampled_from(sorted(INPUTS)), min_size=1),
    st.sampled_from([object(), [object()], {"release": object()}]),
    TIMES,
)
def test_unknown_input_counts_as_changed(olds: dict[str, Any], names: set[str], unknown: object, now: datetime) -> None:
    """What is not known before other resources are made breaks neither plan nor words, and is no second `nothing`."""
    declared = news(**dict.fromkeys(names, unknown))
    plan = decide(olds, declared, now)
    assert plan.changes
    for _, text in notices(plan, olds, declared, now):
        assert "object at 0x" not in text
    if names & {*SETTINGS}:
        assert plan.rotation is not None
    if "description" in names:
        assert plan.describes


@pytest.mark.parametrize(
    ("name", "reason", "why"),
    [
        ("revocation_triggers", "emergency", "revocation_triggers changed (not known yet)"),
        ("rotation_triggers", "trigger", "rotation_triggers changed (not known yet)"),
        *((name, "settings", f"{name} changed") for name in SETTINGS),
        ("early_rotation_window_seconds", None, None),
        ("overlap_seconds", None, None),
        ("retire_previous", None, None),
        ("description", None, None),
    ],
)
def test_unknown_input_has_the_reason_of_a_changed_one(name: str, reason: str | None, why: str | None) -> None:
    """The preview tells the same reason as it would for another value, or none."""
    rotation = decide(alone(), news(**{name: object()}), MEANWHILE).rotation
    assert (rotation and rotation.reason, rotation and rotation.why) == (reason, why)


FIELDS = ("token_prefix", "full_token", "expiry_time", "last_used_time", "last_ip", "last_user_agent")


def test_current_token_becomes_the_previous_one() -> None:
    """All that is known of a superseded token is kept, with the end of its overlap; times are those of UTC."""
    olds = alone(last_used_time="2026-11-16T00:00:00Z", last_ip="192.0.2.7", last_user_agent="ingest/1.4")
    outs = superseded(olds, news(overlap_seconds=3600.0), "2026-11-17T14:00:00.5+02:00")
    assert set(outs) == set(PREVIOUS_OUTPUTS)
    assert {name: outs[f"previous_{name}"] for name in FIELDS} == {name: olds[name] for name in FIELDS}
    assert outs["previous_superseded_time"] == "2026-11-17T12:00:00.500000Z"
    assert outs["previous_retires_at"] == "2026-11-17T13:00:00.500000Z"
    for none in (None, 0):
        outs = superseded(olds, news(overlap_seconds=none), "2026-11-17T12:00:00Z")
        assert outs["previous_retires_at"] == "2026-11-17T12:00:00Z"


def test_previous_token_is_read_from_the_outputs() -> None:
    """There is a previous token where its prefix is recorded; without it none of its outputs are left."""
    previous = Previous.of(both(**IN_USE))
    assert previous is not None
    assert {f"previous_{name}": getattr(previous, name) for name in previous.__dataclass_fields__} == {
        **OLDER,
        **IN_USE,
    }
    assert Previous.of(alone()) is None
    assert Previous.of(both(previous_token_prefix=None)) is None
    assert without_previous(both(**IN_USE)) == alone()


def test_repr_of_a_previous_token_hides_its_secret() -> None:
    """A previous token that gets into a log or a traceback shows its prefix alone."""
    text = repr(Previous.of(both(**IN_USE)))
    assert OLDER_PREFIX in text
    assert OLDER_SECRET[12:28] not in text


@pytest.mark.parametrize(
    ("changes", "opening"),
    [
        ({}, "2026-11-17T12:00:00Z"),
        ({"early_rotation_window_seconds": DAY}, "2026-11-30T12:00:00Z"),
        ({"expiry_time": "2026-12-01T14:00:00+02:00"}, "2026-11-17T12:00:00Z"),
        ({"early_rotation_window_seconds": 30 * DAY}, "2026-11-16T12:00:00Z"),
        ({"expiry_time": None}, None),
    ],
)
def test_time_of_the_next_rotation_is_told(changes: dict[str, Any], opening: str | None) -> None:
    """`rotates_at` is the opening of the window, halfway where it is longer than the life, and unset without an end."""
    assert rotates_at(alone(**changes)) == opening


def seen(prefix: str, **changes: Any) -> TokenInfo:
    """Give a token as the account shows it."""
    shape: dict[str, Any] = {"description": "Ingest workers", "max_age_seconds": 30 * DAY, "extend_when_used": False}
    return TokenInfo(
        token_prefix=prefix,
        **{**shape, "create_time": "2026-11-01T12:00:00Z", "expiry_time": "2026-12-01T12:00:00Z", **changes},
    )


SEEN = seen(PREFIX)
SEEN_OLDER = seen(OLDER_PREFIX, create_time="2026-10-16T12:00:00Z", expiry_time="2026-11-15T12:00:00Z")
STRANGER = seen("somebodyelse")
STRAY = seen(STRAY_PREFIX, description=marks.marked("Ingest workers", MARK))
DELIVERED = seen(STRAY_PREFIX, last_user_agent=f"pulumi-avn-token/1 ({MARK})", last_used_time="2026-11-01T12:00:01Z")
OWN_USE: dict[str, Any] = {
    "last_used_time": "2026-11-01T12:00:01Z",
    "last_ip": "192.0.2.1",
    "last_user_agent": marks.user_agent("pulumi-avn-token/1", MARK),
}
USED: dict[str, Any] = {"last_used_time": "2026-11-20T00:00:00Z", "last_ip": "192.0.2.9", "last_user_agent": "ingest/2"}
PAST_EXPIRY_OF_OLDER = MADE + timedelta(days=14)


@pytest.mark.parametrize(
    ("olds", "tokens", "now", "outs"),
    [
        (alone(), [SEEN], MEANWHILE, alone()),
        (both(), [SEEN, SEEN_OLDER, STRANGER], MEANWHILE, both()),
        (alone(), [replace(SEEN, description="by hand")], MEANWHILE, alone(description="by hand")),
        (alone(), [replace(SEEN, **USED)], MEANWHILE, alone(**USED)),
        (alone(), [replace(SEEN, **OWN_USE)], MEANWHILE, alone()),
        (
            alone(),
            [replace(SEEN, expiry_time="2026-12-11T12:00:00Z")],
            MEANWHILE,
            alone(expiry_time="2026-12-11T12:00:00Z", rotates_at="2026-11-27T12:00:00Z"),
        ),
        (
            both(),
            [SEEN, replace(SEEN_OLDER, **USED)],
            MEANWHILE,
            both(**{f"previous_{name}": value for name, value in USED.items()}),
        ),
        (both(), [SEEN, replace(SEEN_OLDER, **OWN_USE)], MEANWHILE, both()),
        (alone(), [STRANGER], MEANWHILE, alone(**{GONE: "revoked"})),
        (alone(), [], EXPIRY, alone(**{GONE: "expired"})),
        (alone(**{GONE: "revoked"}), [], EXPIRY, alone(**{GONE: "revoked"})),
        (alone(**{GONE: "revoked"}), [SEEN], MEANWHILE, alone()),
        (both(), [SEEN_OLDER], MEANWHILE, both(**{GONE: "revoked"})),
        (both(), [SEEN], MEANWHILE, alone(**{ENDED: {"token_prefix": OLDER_PREFIX, "gone": "revoked"}})),
        (both(), [SEEN], PAST_EXPIRY_OF_OLDER, alone(**{ENDED: {"token_prefix": OLDER_PREFIX, "gone": "expired"}})),
        (
            both(),
            [],
            EXPIRY,
            alone(**{GONE: "expired", ENDED: {"token_prefix": OLDER_PREFIX, "gone": "expired"}}),
        ),
        (alone(), [SEEN, STRAY], MEANWHILE, alone(**{STRAYS: [STRAY_PREFIX]})),
        (alone(), [SEEN, DELIVERED], MEANWHILE, alone(**{STRAYS: [STRAY_PREFIX]})),
        (alone(**{STRAYS: [STRAY_PREFIX]}), [SEEN], MEANWHILE, alone()),
        (alone(**{ENDED: {"token_prefix": OLDER_PREFIX, "gone": "expired"}}), [SEEN], MEANWHILE, alone()),
    ],
)
def test_outputs_follow_the_account(
    olds: dict[str, Any], tokens: Iterable[TokenInfo], now: datetime, outs: dict[str, Any]
) -> None:
    """What the account shows is taken over, what it does not is marked with the reason, and secrets are kept."""
    before = dict(olds)
    assert observed(olds, iter(tokens), MARK, now) == outs
    assert olds == before


def test_recorded_previous_token_is_no_stray() -> None:
    """A token that the state holds is not to be revoked, even where it still carries the mark of its making."""
    marked = [replace(token, description=STRAY.description) for token in (SEEN, SEEN_OLDER)]
    assert STRAYS not in observed(both(), marked, MARK, MEANWHILE)


@given(olds=SERIES, now=TIMES, has_current=st.booleans(), has_previous=st.booleans())
def test_no_secret_of_a_valid_token_is_dropped(
    olds: dict[str, Any],
    now: datetime,
    *,
    has_current: bool,
    has_previous: bool,
) -> None:
    """Whatever is in the account, the secret of the current token is kept, and the previous one's while it is valid."""
    tokens = [SEEN] * has_current + [SEEN_OLDER] * has_previous
    outs = observed(olds, tokens, MARK, now)
    assert outs["full_token"] == SECRET
    assert outs.get("previous_full_token") == (olds.get("previous_full_token") if has_previous else None)
    assert (GONE in outs) is not has_current
    assert (ENDED in outs) == (not has_previous and "previous_token_prefix" in olds)


LAST_USE = "last used at 2026-11-07T09:30:01Z from 192.0.2.7 by ingest/1.4"
ROTATES = f"token {PREFIX} is due to rotate"
OLDER_IS = f"token {OLDER_PREFIX} is due to be revoked"
LINGERING = (
    f"token {OLDER_PREFIX}, replaced at 2026-11-01T12:00:00Z, was used since: {LAST_USE}. Its overlap ended at"
    ' 2026-11-08T12:00:00Z, but it stays valid {}, unless retire_previous is "after_overlap". If that consumer has'
    " not changed over, give it the new secret"
)

USED_SINCE = f"used since it was replaced: {LAST_USE}"
HAS_ENDED = "its overlap ended at 2026-11-08T12:00:00Z"
WOULD_END = "its overlap would end at 2026-11-08T12:00:00Z"
LONGER = "it then stays valid until {}T12:00:00Z, and longer while it is in use"

TOLD: dict[str, tuple[dict[str, Any], dict[str, Any], datetime, list[Notice]]] = {
    "nothing": (both(), news(), MEANWHILE, []),
    "window": (
        alone(),
        news(),
        OPENING + timedelta(microseconds=700),
        [
            (
                "info",
                f"{ROTATES} (window): {WINDOW.why}; {LONGER.format('2026-11-24')}",
            )
        ],
    ),
    "window, and no grace after the overlap": (
        alone(**REGARDLESS),
        news(**REGARDLESS),
        OPENING,
        [("info", f"{ROTATES} (window): {WINDOW.why}; it then stays valid until 2026-11-24T12:00:00Z")],
    ),
    "trigger without an overlap": (
        alone(overlap_seconds=0, **REGARDLESS),
        news(overlap_seconds=0, **REGARDLESS, **RELEASED),
        MEANWHILE,
        [("info", f"{ROTATES} (trigger): {TRIGGER.why}; it then stays valid until the next `pulumi up`")],
    ),
    "trigger, and too little life left for the overlap": (
        alone(early_rotation_window_seconds=DAY),
        news(**RELEASED),
        EXPIRY - timedelta(days=2),
        [
            ("info", f"{ROTATES} (trigger): {TRIGGER.why}"),
            ("warning", f"token {PREFIX} expires at 2026-12-01T12:00:00Z, before its overlap is over"),
        ],
    ),
    "gone": (alone(**{GONE: "revoked"}), news(), MEANWHILE, [("info", f"{ROTATES} (revoked): {REVOKED.why}")]),
    "emergency": (
        both(),
        news(**LEAKED),
        MEANWHILE,
        [
            ("info", f"{ROTATES} (emergency): {EMERGENCY.why}; it is revoked at once"),
            ("info", f"token {OLDER_PREFIX}, the one before it, is revoked at once too"),
        ],
    ),
    "displaced": (
        both(**IN_USE),
        news(scopes=["user:read"], **REGARDLESS),
        MEANWHILE,
        [
            ("info", f"{ROTATES} (settings): {SCOPED.why}; it then stays valid until 2026-11-09T12:00:00Z"),
            (
                "warning",
                f"{OLDER_IS}: no more than two may be valid ({WOULD_END}); it was {USED_SINCE}",
            ),
        ],
    ),
    "displaced, and idle": (
        both(),
        news(scopes=["user:read"], **REGARDLESS),
        MEANWHILE,
        [
            ("info", f"{ROTATES} (settings): {SCOPED.why}; it then stays valid until 2026-11-09T12:00:00Z"),
            (
                "warning",
                f"{OLDER_IS}: no more than two may be valid ({WOULD_END}); it was not used since it was replaced",
            ),
        ],
    ),
    "idle": (
        both(),
        news(),
        OVER,
        [
            (
                "info",
                f"{OLDER_IS}: its time is over ({HAS_ENDED}); it was not used since it was replaced",
            )
        ],
    ),
    "regardless": (
        both(**IN_USE),
        news(**REGARDLESS),
        OVER,
        [
            (
                "warning",
                (
                    f"{OLDER_IS}: its time is over (its overlap ended at 2026-11-08T12:00:00Z); it was used since it"
                    f" was replaced: {LAST_USE}"
                ),
            )
        ],
    ),
    "lingers": (
        both(**IN_USE),
        news(),
        OVER,
        [("warning", LINGERING.format("until it expires at 2026-11-15T12:00:00Z"))],
    ),
    "lingers, put off by every use": (
        both(**IN_USE, extend_when_used=True),
        news(),
        OVER,
        [("warning", LINGERING.format("until it expires at 2026-11-15T12:00:00Z (which every use puts off)"))],
    ),
    "lingers without an end": (
        both(**IN_USE, previous_expiry_time=None),
        news(),
        OVER,
        [("warning", LINGERING.format("until the next rotation"))],
    ),
    "lingers, by whom is not known": (
        both(previous_last_used_time="2026-11-07T09:30:01Z"),
        news(),
        OVER,
        [
            (
                "warning",
                LINGERING.format("until it expires at 2026-11-15T12:00:00Z").replace(
                    "192.0.2.7 by ingest/1.4", "an unknown address by an unknown program"
                ),
            )
        ],
    ),
    "stray and end": (
        alone(**{STRAYS: [STRAY_PREFIX], ENDED: {"token_prefix": OLDER_PREFIX, "gone": "revoked"}}),
        news(),
        MEANWHILE,
        [
            (
                "info",
                f"token {STRAY_PREFIX} is due to be revoked: an `up` that was interrupted made it, and nobody got it",
            ),
            (
                "info",
                (
                    f"token {OLDER_PREFIX}, the one before the current one, is revoked already, by hand or by an `up`"
                    " that was interrupted"
                ),
            ),
        ],
    ),
}


@pytest.mark.parametrize("case", TOLD)
def test_plan_is_told_with_its_reasons(case: str) -> None:
    """Each thing that is done is told with why, and what needs a person's attention is a warning that names whom."""
    olds, declared, now, messages = TOLD[case]
    assert list(notices(decide(olds, declared, now), olds, declared, now)) == messages


@pytest.mark.parametrize(
    ("olds", "messages"),
    [
        (both(), []),
        (
            alone(**{GONE: "expired"}),
            [("warning", f"token {PREFIX} has expired; the next `pulumi up` makes a new one")],
        ),
        (
            alone(**{GONE: "revoked", ENDED: {"token_prefix": OLDER_PREFIX, "gone": "expired"}}),
            [
                ("warning", f"token {PREFIX} was revoked outside of Pulumi; the next `pulumi up` makes a new one"),
                ("info", f"token {OLDER_PREFIX}, the one before the current one, has expired"),
            ],
        ),
        (
            alone(**{STRAYS: [STRAY_PREFIX]}),
            [
                (
                    "warning",
                    (
                        f"token {STRAY_PREFIX} was made by an `up` that was interrupted, and nobody got it; the next"
                        " `pulumi up` revokes it"
                    ),
                )
            ],
        ),
    ],
)
def test_refresh_tells_what_is_missing_and_what_is_too_much(olds: dict[str, Any], messages: list[Notice]) -> None:
    """What the next `up` will make or revoke is said when it is found."""
    assert list(losses(olds)) == messages


@given(
    SERIES,
    st.sampled_from([{}, LEAKED, {"rotation_triggers": {"release": "hidden"}}, {"scopes": ["hidden"]}, REGARDLESS]),
    TIMES,
    st.text(max_size=300) | st.text("\x1b[2J\r\n\x00\u202eab", max_size=300),
)
def test_messages_are_fit_for_a_terminal_and_for_a_log(
    olds: dict[str, Any], changes: dict[str, Any], now: datetime, agent: str
) -> None:
    """Whatever a consumer calls itself, a message is one line of printable text, not too long, without a secret."""
    olds = {**olds, STRAYS: [STRAY_PREFIX]}
    if "previous_token_prefix" in olds:
        olds["previous_last_user_agent"] = agent
    declared = news(**changes)
    for _, text in (*notices(decide(olds, declared, now), olds, declared, now), *losses(olds)):
        assert text.isprintable()
        assert len(text) < 600
        assert SECRET[:13] not in text
        assert OLDER_SECRET[:13] not in text
        assert "hidden" not in text


def test_printable_part_of_a_user_agent_is_told() -> None:
    """Control characters are left out of a name, and a long one is cut; the rest still tells who it is."""
    agent = "in\x1b[31mgest\n/1\x00" + "x" * 200
    olds = both(**{**IN_USE, "previous_last_user_agent": agent})
    ((_, text),) = notices(LINGERS, olds, news(), OVER)
    assert f"by in[31mgest/1{'x' * (120 - len('in[31mgest/1'))}. Its" in text


def test_full_token_in_place_of_a_prefix_is_cut() -> None:
    """No message shows more of a text that may be a secret than a prefix."""
    olds = both(
        token_prefix=SECRET,
        previous_token_prefix=OLDER_SECRET,
        **{GONE: "revoked", STRAYS: [OLDER_SECRET], ENDED: {"token_prefix": OLDER_SECRET, "gone": "expired"}},
    )
    told = [text for plan in (IDLE, LINGERS, Plan(rotation=REVOKED)) for _, text in notices(plan, olds, news(), OVER)]
    told += [text for _, text in losses(olds)]
    assert len(told) == 3 + 3 * 2 + 3
    for text in told:
        assert SECRET[:13] not in text
        assert OLDER_SECRET[:13] not in text
