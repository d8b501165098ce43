"""What a series' provider finds out by itself, and what it tells, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from pulumi_avn_token.emulator import Fault
from pulumi_avn_token.errors import TokenNotFoundError
from pulumi_avn_token.model import parse_time, written
from pulumi_avn_token.rotation import find_conflict
from tests.account import Observer
from tests.machine import DAY, Failed
from tests.provider_driver import ProviderDriver

SERIES: dict[str, Any] = {
    "description": "Ingest",
    "max_age_seconds": 30 * DAY,
    "early_rotation_window_seconds": 10 * DAY,
    "overlap_seconds": 5 * DAY,
    "retire_previous": "when_idle",
    "rotation_triggers": {"release": 1},
}
RELEASED = {**SERIES, "rotation_triggers": {"release": 2}}


@pytest.fixture
def driver() -> Iterator[ProviderDriver]:
    """The provider, and an account."""
    driver = ProviderDriver()
    yield driver
    driver.close()


@pytest.fixture
def account(driver: ProviderDriver) -> Observer:
    """Somebody else in that account."""
    return Observer(driver.emulator)


def linger(driver: ProviderDriver, account: Observer) -> dict[str, Any]:
    """Make a series whose previous token was used since it was replaced, and past its overlap; the state knows it."""
    driver.up(SERIES)
    driver.up(RELEASED)
    driver.wait(1)
    state = driver.state()
    assert state is not None
    assert account.works(state["previous_full_token"])
    driver.wait(6 * DAY)
    driver.refresh()
    return driver.state() or {}


def test_what_diff_finds_out_update_carries_out(driver: ProviderDriver, account: Observer) -> None:
    """While a previous token lingers, each `up` asks the account, and replaces a current one that was revoked."""
    before = linger(driver, account)
    account.revoke(before["token_prefix"])
    driver.up(RELEASED)
    after = driver.state() or {}
    assert after["rotation_reason"] == "revoked"
    assert after["previous_token_prefix"] == before["previous_token_prefix"]
    assert set(account.valid()) == {after["token_prefix"], after["previous_token_prefix"]}
    assert sum("is due to rotate (revoked)" in message for message in driver.said) == 1


def test_a_previous_token_that_ended_is_forgotten_once(driver: ProviderDriver, account: Observer) -> None:
    """One that was revoked while it lingered leaves the state at the next `up`, and the one after has nothing to do."""
    before = linger(driver, account)
    account.revoke(before["previous_token_prefix"])
    driver.up(RELEASED)
    assert "previous_token_prefix" not in (driver.state() or {})
    assert driver.is_unchanged(RELEASED)
    assert driver.said == []


def test_what_only_an_update_finds_out_is_told(driver: ProviderDriver, account: Observer) -> None:
    """A changed description asks for no look beforehand: what else it finds to be done, it tells."""
    driver.up(SERIES)
    before = driver.state() or {}
    account.revoke(before["token_prefix"])
    driver.up({**SERIES, "description": "Ingest 2"})
    assert any("is due to rotate (revoked)" in message for message in driver.said)
    assert set(account.valid()) == {(driver.state() or {})["token_prefix"]}


def test_an_outage_does_not_fail_an_up_over_a_warning(driver: ProviderDriver, account: Observer) -> None:
    """Where only the last use of the previous token is at stake, and it cannot be asked, a warning says so."""
    before = linger(driver, account)
    driver.emulator.faults = [Fault(kind="status", status=503)]
    driver.up(RELEASED)
    (told, _lingers) = driver.said
    assert told.startswith(
        "the account could not be asked, so this rests on the state alone: listing the tokens failed"
    )
    assert driver.state() == before
    with pytest.raises(Failed):
        driver.up({**RELEASED, "max_age_seconds": 40 * DAY})
    assert driver.state() == before


def test_a_first_trigger_of_revocation_is_told_to_revoke_nothing(driver: ProviderDriver, account: Observer) -> None:
    """Somebody with a leak at hand must not believe that it is closed."""
    driver.up(SERIES)
    valid = set(account.valid())
    driver.up({**SERIES, "revocation_triggers": {"leak": 1}})
    assert driver.said == ["revocation_triggers is new, which revokes nothing yet: only a changed value of it does"]
    driver.up({name: value for name, value in SERIES.items() if name != "rotation_triggers"})
    driver.up(RELEASED)
    assert driver.said == ["rotation_triggers is new, which rotates nothing yet: only a changed value of it does"]
    assert set(account.valid()) == valid


def test_rotations_that_come_faster_than_the_overlap_are_told(driver: ProviderDriver) -> None:
    """A window that leaves less time between two rotations than the overlap is long voids it."""
    driver.up({**SERIES, "early_rotation_window_seconds": 26 * DAY})
    assert driver.said == [
        (
            "each rotation is going to revoke the previous token within its overlap: there are 345600 seconds between"
            " two, and overlap_seconds=432000; set a shorter window or overlap"
        )
    ]
    driver.up(SERIES)
    assert driver.said == []


@pytest.mark.parametrize("kind", ["drop_after", "truncated"])
def test_a_revocation_whose_answer_is_lost_is_looked_up(driver: ProviderDriver, account: Observer, kind: Any) -> None:
    """An emergency whose old token is gone is done, whatever became of the answer."""
    leaking = {**SERIES, "revocation_triggers": {"leak": 0}}
    driver.up(leaking)
    driver.emulator.faults = [Fault(kind=kind, call="revoke")]
    driver.up({**leaking, "revocation_triggers": {"leak": 1}})
    driver.emulator.faults = []
    assert set(account.valid()) == {(driver.state() or {})["token_prefix"]}


def test_what_a_fast_clock_finds_out_is_done(driver: ProviderDriver, account: Observer) -> None:
    """A machine that is ahead asks too early whether the window is open: what it learns by that is not dropped."""
    driver.up(SERIES)
    before = driver.state() or {}
    account.revoke(before["token_prefix"])
    driver.wait(20 * DAY - 1800)
    driver.set_skew(3600)
    driver.up(SERIES)
    after = driver.state() or {}
    assert after["rotation_reason"] == "revoked"
    assert set(account.valid()) == {after["token_prefix"]}


def test_a_life_cut_short_counts_for_the_overlap(driver: ProviderDriver) -> None:
    """Where a policy leaves less time between two rotations than the overlap is long, an `up` says so."""
    driver.up(SERIES)
    state = driver.state() or {}
    cut = {**state, "expiry_time": written(parse_time(state["create_time"]) + timedelta(days=12))}
    assert find_conflict(state) is None
    assert find_conflict({**state, "expiry_time": None}) is None
    assert find_conflict(cut) == (
        "each rotation is going to revoke the previous token within its overlap: there are 172800 seconds between"
        " two, and overlap_seconds=432000; set a shorter window or overlap"
    )


def test_a_series_is_not_read_by_its_id_alone(driver: ProviderDriver) -> None:
    """The account knows nothing of series: that is said, instead of a failure somewhere inside."""
    driver.up(SERIES)
    id_ = (driver.state() or {})["id"]
    provider = driver.provider()
    with pytest.raises(TokenNotFoundError, match=f"the series {id_} cannot be read by its id.*only a stack knows"):
        provider.read(id_, {})


def test_a_previous_token_used_in_the_meantime_stays(driver: ProviderDriver, account: Observer) -> None:
    """Between the plan and the deed other resources may take minutes: a token that is used meanwhile is kept."""
    driver.up(SERIES)
    driver.up(RELEASED)
    driver.wait(6 * DAY)
    provider, state = driver.provider(), driver.state() or {}
    id_ = state.pop("id")
    assert provider.diff(id_, state, RELEASED).changes
    assert "it was not used since it was replaced" in driver.said[-1]
    driver.wait(60)
    account.works(state["previous_full_token"])
    outs = provider.update(id_, state, RELEASED).outs or {}
    assert outs["previous_token_prefix"] == state["previous_token_prefix"]
    assert state["previous_token_prefix"] in account.valid()
    assert "was used since" in driver.said[-1]
