"""What is decided where an `AccessToken` becomes a series, or a series an `AccessToken`, from the other's outputs."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulumi_avn_token import lifecycle, rotation
from pulumi_avn_token.lifecycle import DECLARED, GONE, Decision, Keep, Replace, Update
from pulumi_avn_token.rotation import ENDED, STRAYS, Notice, Plan, Rotation

PREFIX = "XCJ3+bgWywIh"
OLDER_PREFIX = "9zQ/hhKe01Lm"
STRAY_PREFIX = "7tR=stray+/0"
DAY = 24 * 60 * 60
MADE = datetime(2026, 11, 1, 12, 0, tzinfo=timezone.utc)
MEANWHILE = MADE + timedelta(days=1)
OVER = MADE + timedelta(days=7)
OPENING = MADE + timedelta(days=16)
EXPIRY = MADE + timedelta(days=30)

TOKEN: dict[str, Any] = {
    "token_prefix": PREFIX,
    "full_token": PREFIX + "aB3/" * 20,
    "description": "Ingest workers",
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
    "rotation_triggers": {"release": "2026-11"},
    "adopt_prefix": None,
    "credentials": None,
    DECLARED: {},
    "__owner": {"user": "me@example.org", "user_id": "u1"},
}
"""The outputs of an `AccessToken` that was declared without an age."""

OF_TOKEN: dict[str, Any] = {"description": "Ingest workers", "rotation_triggers": {"release": "2026-11"}}
OF_SERIES: dict[str, Any] = {
    **OF_TOKEN,
    "max_age_seconds": 30 * DAY,
    "extend_when_used": False,
    "early_rotation_window_seconds": 14 * DAY,
    "overlap_seconds": 7 * DAY,
    "retire_previous": "when_idle",
}
WINDOW = {"early_rotation_window_seconds": 14 * DAY}
ADOPTED = {"adopt_prefix": PREFIX, "full_token": None}
PREVIOUS: dict[str, Any] = {
    "previous_token_prefix": OLDER_PREFIX,
    "previous_full_token": OLDER_PREFIX + "Zy9+" * 20,
    "previous_superseded_time": "2026-11-01T12:00:00Z",
    "previous_retires_at": "2026-11-08T12:00:00Z",
}
IN_USE = {
    "previous_last_used_time": "2026-11-07T09:30:01.123456Z",
    "previous_last_ip": "192.0.2.7",
    "previous_last_user_agent": "ingest/1.4",
}
TAKEN_OVER = ("info", f"token {PREFIX} is taken over as the current one of a series: none is made")


def token(**changes: Any) -> dict[str, Any]:
    """Give the outputs of an `AccessToken`."""
    return {**TOKEN, **changes}


def series(**changes: Any) -> dict[str, Any]:
    """Give the outputs of the series that this `AccessToken` became."""
    return {**rotation.recorded(TOKEN, OF_SERIES), **changes}


def rotates(reason: rotation.Reason, why: str) -> Plan:
    """Give the plan that makes a new token beside the one that is taken over."""
    return Plan(rotation=Rotation(reason, why), records=True)


TO_A_SERIES: dict[str, tuple[dict[str, Any], dict[str, Any], datetime, Plan]] = {
    "as it is": (token(), OF_SERIES, MEANWHILE, Plan(records=True)),
    "adopted": (token(**ADOPTED), OF_SERIES, MEANWHILE, Plan(records=True)),
    "described anew": (token(), {**OF_SERIES, "description": "x"}, MEANWHILE, Plan(records=True, describes=True)),
    "an overlap of nothing": (token(**WINDOW), {**OF_SERIES, "overlap_seconds": None}, MEANWHILE, Plan(records=True)),
    "a window where there was none": (token(), OF_SERIES, OPENING, Plan(records=True)),
    "the same window, open": (
        token(**WINDOW),
        OF_SERIES,
        OPENING,
        rotates("window", "it expires at 2026-12-01T12:00:00Z, within early_rotation_window_seconds=1209600"),
    ),
    "another age": (
        token(),
        {**OF_SERIES, "max_age_seconds": 60 * DAY},
        MEANWHILE,
        rotates("settings", "max_age_seconds changed"),
    ),
    "a changed trigger": (
        token(),
        {**OF_SERIES, "rotation_triggers": {"release": "2026-12"}},
        MEANWHILE,
        rotates("trigger", "rotation_triggers changed (release)"),
    ),
    "an emergency trigger is introduced": (
        token(),
        {**OF_SERIES, "revocation_triggers": {"leak": 1}},
        MEANWHILE,
        Plan(records=True),
    ),
    "expired": (token(), OF_SERIES, EXPIRY, rotates("expired", "it has expired (2026-12-01T12:00:00Z)")),
    "revoked": (
        token(**ADOPTED, **{GONE: "revoked"}),
        OF_SERIES,
        MEANWHILE,
        rotates("revoked", "it was revoked outside of Pulumi"),
    ),
}


@pytest.mark.parametrize("case", TO_A_SERIES)
def test_token_is_taken_over_by_a_series_and_rotates_only_for_a_reason_of_the_series(case: str) -> None:
    """It is always recorded, nothing is ever revoked, and the notice that no token is made is told where it is true."""
    olds, news, now, plan = TO_A_SERIES[case]
    assert rotation.decide(olds, news, now) == plan
    told = list(rotation.notices(plan, olds, news, now))
    assert (TAKEN_OVER in told) == (plan.rotation is None)


@pytest.mark.parametrize("olds", [token(), token(**ADOPTED), token(**WINDOW)])
def test_outputs_of_the_series_are_whole_and_hold_nothing_of_the_token_alone(olds: dict[str, Any]) -> None:
    """The token, its secret or that this is not known, and its owner stay; after that there is nothing to record."""
    outs = rotation.recorded(olds, OF_SERIES)
    assert {name: value for name, value in outs.items() if name not in olds} == {
        "overlap_seconds": 7 * DAY,
        "retire_previous": "when_idle",
        "revocation_triggers": None,
        "rotates_at": "2026-11-17T12:00:00Z",
        "rotation_reason": "created",
    }
    assert {name for name, value in olds.items() if outs.get(name) != value} <= {*WINDOW, "adopt_prefix"}
    assert "adopt_prefix" not in outs
    assert rotation.decide(outs, OF_SERIES, MEANWHILE) == Plan()


TO_A_TOKEN: dict[str, tuple[dict[str, Any], dict[str, Any], datetime, Decision]] = {
    "as it is": (series(), OF_TOKEN, MEANWHILE, Update()),
    "as it is, with its window": (series(), {**OF_TOKEN, **WINDOW}, MEANWHILE, Update()),
    "adopted by itself": (series(), {**OF_TOKEN, "adopt_prefix": PREFIX}, MEANWHILE, Update()),
    "without a window that is open": (series(), OF_TOKEN, OPENING, Update()),
    "in its window": (
        series(),
        {**OF_TOKEN, **WINDOW},
        OPENING,
        Replace(("expiry_time",), "it expires at 2026-12-01T12:00:00Z, within early_rotation_window_seconds=1209600"),
    ),
    "revoked": (
        series(**{GONE: "revoked"}),
        OF_TOKEN,
        MEANWHILE,
        Replace(("expiry_time",), "it was revoked outside of Pulumi"),
    ),
    "a changed trigger": (
        series(),
        {**OF_TOKEN, "rotation_triggers": {"release": "2026-12"}},
        MEANWHILE,
        Replace(("rotation_triggers",)),
    ),
}


@pytest.mark.parametrize("case", TO_A_TOKEN)
def test_series_that_becomes_a_token_is_recorded_or_replaced_by_its_rules(case: str) -> None:
    """Its current token stays unless something asks for a new one, and then it is changed no more."""
    olds, news, now, decision = TO_A_TOKEN[case]
    assert lifecycle.decide(olds, news, now) == decision
    outs = rotation.without_series(olds)
    assert set(outs) <= {*TOKEN, GONE}
    if isinstance(decision, Update):
        recorded = {**outs, **{name: news.get(name) for name in lifecycle.RECORDED_ARGUMENTS}}
        assert lifecycle.decide(recorded, news, MEANWHILE) == Keep()


@given(
    st.sampled_from([None, 600, 14 * DAY]),
    st.none() | st.dictionaries(st.text(max_size=3), st.integers()),
    st.sampled_from([None, TOKEN["full_token"]]),
)
def test_way_there_and_back_changes_nothing(window: int | None, triggers: Any, secret: str | None) -> None:
    """The outputs are what they were, but for the memory of an adoption and for what is declared."""
    olds = token(early_rotation_window_seconds=window, rotation_triggers=triggers, full_token=secret)
    back = rotation.without_series(rotation.recorded(olds, OF_SERIES))
    declared = {name: olds[name] for name in lifecycle.RECORDED_ARGUMENTS}
    assert {**back, **declared} == olds


KEEP = "the series cannot become an AccessToken yet, and nothing was changed: keep the RotatingAccessToken until"
RETIRED = f"{KEEP} an `up` has retired token {OLDER_PREFIX}, the one before the current one, whose overlap"
REGARDLESS = 'With retire_previous="after_overlap" the first `up` after its overlap does so in any case'


@pytest.mark.parametrize(
    ("changes", "now", "hindrance"),
    [
        ({}, OVER, None),
        ({STRAYS: []}, OVER, None),
        ({GONE: "revoked"}, OVER, None),
        ({ENDED: {"token_prefix": OLDER_PREFIX, "gone": "revoked"}}, OVER, None),
        (PREVIOUS, MEANWHILE, f"{RETIRED} ends at 2026-11-08T12:00:00Z. {REGARDLESS}"),
        (PREVIOUS, OVER, f"{RETIRED} ended at 2026-11-08T12:00:00Z. {REGARDLESS}"),
        (
            {**PREVIOUS, **IN_USE, STRAYS: [STRAY_PREFIX]},
            OVER,
            (
                f"{RETIRED} ended at 2026-11-08T12:00:00Z; it was used since it was replaced: last used at"
                f" 2026-11-07T09:30:01Z from 192.0.2.7 by ingest/1.4. {REGARDLESS}"
            ),
        ),
        (
            {STRAYS: [STRAY_PREFIX, OLDER_PREFIX]},
            MEANWHILE,
            (
                f"{KEEP} `pulumi up --refresh` has revoked {STRAY_PREFIX}, {OLDER_PREFIX}, which an `up` that was"
                " interrupted made"
            ),
        ),
    ],
)
def test_series_with_more_than_a_current_token_says_what_is_to_be_done_first(
    changes: dict[str, Any], now: datetime, hindrance: str | None
) -> None:
    """An `AccessToken` knows one token, so every other is named, with when and by what it goes."""
    assert rotation.find_hindrance(series(**changes), now) == hindrance


def test_what_else_is_told_of_a_take_over() -> None:
    """Triggers of an emergency revoke nothing where they are new, and that is said here as well."""
    news = {**OF_SERIES, "revocation_triggers": {"leak": 1}}
    told: list[Notice] = list(rotation.notices(Plan(records=True), TOKEN, news, MEANWHILE))
    assert [severity for severity, _ in told] == ["info", "warning"]
    assert told[1][1].startswith("revocation_triggers is new, which revokes nothing yet")
