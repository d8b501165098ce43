"""What a series' provider finds out by itself, and what it tells, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pulumi_avn_token.emulator import Fault
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
