"""Thousands of steps in the lives of series, through the provider as the engine calls it."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from tests.account import Observer
from tests.machine import DAY, Driver, SeriesMachine
from tests.provider_driver import ProviderDriver


class ProviderMachine(SeriesMachine):
    """Further steps, at which only this driver can be stopped, or told a wrong time."""

    def driver(self) -> Driver:
        """Call the provider."""
        return ProviderDriver()

    @rule(requests=st.integers(0, 7))
    def up_is_killed(self, requests: int) -> None:
        """Kill an `up` after so many requests, or let it end if it takes fewer."""
        driver = cast("ProviderDriver", self._driver)
        driver.kill_after(requests)
        self._up([], may_fail=True)

    @rule()
    def up_is_not_recorded(self) -> None:
        """Kill the engine when the provider has done its part: its state is what it was."""
        driver = cast("ProviderDriver", self._driver)
        before = driver.state()
        with driver.forgetting():
            driver.up(self.declared)
        self.up_failed(before or {})

    @rule(seconds=st.sampled_from([0, 3600, -3600]))
    def clocks_drift_apart(self, seconds: int) -> None:
        """Set the machine's clock apart from the service's by up to an hour."""
        cast("ProviderDriver", self._driver).set_skew(seconds)
        self.lateness = timedelta(seconds=max(0, -seconds))


def test_description_that_was_set_and_not_recorded_is_recorded_by_the_next_up() -> None:
    """Also where the account is asked anyway, and shows it as declared already."""
    arguments = {
        "description": "CI",
        "max_age_seconds": 30 * DAY,
        "early_rotation_window_seconds": 10 * DAY,
        "overlap_seconds": DAY,
        "rotation_triggers": {"release": 1},
    }
    driver = ProviderDriver()
    driver.up(arguments)
    arguments["rotation_triggers"] = {"release": 2}
    driver.up(arguments)
    previous = (driver.state() or {})["previous_full_token"]
    driver.wait(DAY - 60)
    Observer(driver.emulator).works(previous)
    driver.wait(120)
    arguments["description"] = "CI 2"
    with driver.forgetting():
        driver.up(arguments)
    assert not driver.is_unchanged(arguments)
    driver.up(arguments)
    assert (driver.state() or {})["description"] == "CI 2"
    assert driver.is_unchanged(arguments)
    driver.close()


def test_whatever_happens_a_series_keeps_its_promises() -> None:
    """Thousands of random steps, and every promise is looked at after each of them."""
    run_state_machine_as_test(
        ProviderMachine,
        settings=settings(
            max_examples=settings().max_examples // 2,
            stateful_step_count=50,
            suppress_health_check=list(HealthCheck),
        ),
    )
