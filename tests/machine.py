"""A life of a `RotatingAccessToken`, step by step and at random, with what must hold after each step.

The steps go through a driver: the provider's methods as the engine calls them, or the engine itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any, Protocol

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pulumi_avn_token.emulator import Emulator, Fault
from pulumi_avn_token.model import parse_time
from tests.account import Observer

HOUR = 60 * 60
DAY = 24 * HOUR
EVENTS = ("rotates_at", "previous_retires_at", "previous_expiry_time", "expiry_time")
CALLS = ("create", "list", "update", "revoke", "me")
FAULTS = st.builds(
    Fault,
    kind=st.sampled_from(["status", "html", "truncated", "empty", "drop_before", "drop_after"]),
    call=st.sampled_from(CALLS),
    status=st.sampled_from([500, 503]),
    after=st.integers(0, 2),
    times=st.sampled_from([1, 2, None]),
    after_change=st.booleans(),
)


class Failed(Exception):  # noqa: N818 - a command that failed
    """A command of Pulumi ended with an error."""


class Driver(Protocol):
    """What runs the commands, on an account whose clock it moves."""

    emulator: Emulator

    def up(self, arguments: Mapping[str, Any]) -> None:
        """Run `pulumi up` on a program with one series."""

    def is_unchanged(self, arguments: Mapping[str, Any]) -> bool:
        """Whether a preview of the same program has nothing to do."""

    def refresh(self) -> None:
        """Run `pulumi refresh`."""

    def destroy(self) -> None:
        """Run `pulumi destroy`."""

    def state(self) -> dict[str, Any] | None:
        """The id and the outputs of the series, without those that are unset; None: it is not there."""

    def wait(self, seconds: float) -> None:
        """Let time pass, for all."""

    def close(self) -> None:
        """End it."""


@dataclass
class Uses:
    """What the machine knows about one token beside the account."""

    full_token: str = field(repr=False)
    last_used: datetime | None = None


class SeriesMachine(RuleBasedStateMachine):
    """The rules and what must hold; a subclass says which driver is used."""

    def driver(self) -> Driver:
        """Make the driver."""
        raise NotImplementedError

    @initialize(
        days=st.integers(2, 30),
        share=st.sampled_from([0.2, 0.5, 0.9]),
        retire=st.sampled_from(["when_idle", "after_overlap"]),
    )
    def begin(self, days: int, share: float, retire: str) -> None:
        """Declare a series."""
        self._driver = self.driver()
        self.emulator = self._driver.emulator
        self.observer = Observer(self.emulator)
        self.rivals: set[str] = set()
        self.revoked_by_hand: set[str] = set()
        self.uses: dict[str, Uses] = {}
        self.orphans: set[str] = set()
        self.strays: set[str] = set()
        self.is_settled = True
        self.lateness = timedelta()
        self.applied: dict[str, Any] = {}
        self.declared: dict[str, Any] = {
            "description": "Ingest 0",
            "max_age_seconds": days * DAY,
            "early_rotation_window_seconds": int(days * DAY * share),
            "overlap_seconds": int(days * DAY * share / 2),
            "retire_previous": retire,
            "rotation_triggers": {"release": 0},
            "revocation_triggers": {"leak": 0},
        }

    # what people declare

    @rule(argument=st.sampled_from(["rotation_triggers", "revocation_triggers", "description"]))
    def change(self, argument: str) -> None:
        """Change a trigger, or the description."""
        old = self.declared[argument]
        if isinstance(old, str):
            self.declared[argument] = f"Ingest {int(old.split()[1]) + 1}"
        else:
            self.declared[argument] = {key: value + 1 for key, value in old.items()}

    @rule(days=st.integers(2, 30))
    def change_age(self, days: int) -> None:
        """Change a setting, with a window that fits it."""
        self.declared["max_age_seconds"] = days * DAY
        self.declared["early_rotation_window_seconds"] = days * DAY // 2
        self.declared["overlap_seconds"] = min(self.declared["overlap_seconds"], days * DAY // 2)

    @rule(
        share=st.sampled_from([0.1, 0.4, 0.8]),
        part=st.sampled_from([0, 0.5, 1]),
        retire=st.sampled_from(["when_idle", "after_overlap"]),
    )
    def change_windows(self, share: float, part: float, retire: str) -> None:
        """Change window, overlap and retirement."""
        window = int(self.declared["max_age_seconds"] * share)
        self.declared |= {
            "early_rotation_window_seconds": window,
            "overlap_seconds": int(window * part),
            "retire_previous": retire,
        }

    # what happens meanwhile

    @rule(seconds=st.sampled_from([1, HOUR, 7 * HOUR, DAY, 3 * DAY, 10 * DAY, 40 * DAY]))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self._driver.wait(seconds)

    @precondition(lambda self: self.uses)
    @rule(event=st.sampled_from(EVENTS), seconds=st.sampled_from([-HOUR // 2, 2]))
    def go_to_an_event(self, event: str, seconds: int) -> None:
        """Let time pass until about the next event, and apply."""
        state = self._driver.state() or {}
        if state.get(event) and (left := (parse_time(state[event]) - self._now()).total_seconds() + seconds) > 0:
            self._driver.wait(left)
            self._up([])

    @precondition(lambda self: self.uses)
    @rule(seconds=st.sampled_from([-HOUR // 2, 2]), is_used=st.booleans(), is_shortened=st.booleans())
    def rotate_and_go_to_the_end_of_the_overlap(self, seconds: int, is_used: bool, is_shortened: bool) -> None:  # noqa: FBT001
        """Rotate, let somebody use the previous token or not, and apply again about when its overlap is over."""
        self.change("rotation_triggers")
        self._up([])
        if is_used and (previous := (self._driver.state() or {}).get("previous_token_prefix")):
            self._use(previous)
        if is_shortened:
            self.declared["overlap_seconds"] //= 2
        self.go_to_an_event("previous_retires_at", seconds)

    @precondition(lambda self: self.uses)
    @rule(data=st.data())
    def use(self, data: st.DataObject) -> None:
        """Use any secret that was ever handed out: it works exactly if the account has its token."""
        self._use(data.draw(st.sampled_from(list(self.uses)[-3:])))

    def _use(self, prefix: str) -> None:
        is_valid = prefix in self.observer.valid()
        assert self.observer.works(self.uses[prefix].full_token) == is_valid
        if is_valid:
            self.uses[prefix].last_used = self._now()

    @precondition(lambda self: self.uses)
    @rule(which=st.sampled_from(["token_prefix", "previous_token_prefix"]))
    def revoke_by_hand(self, which: str) -> None:
        """Somebody revokes the current or the previous token."""
        prefix = (self._driver.state() or {}).get(which)
        if prefix in self.observer.valid():
            self.observer.revoke(prefix)
            self.revoked_by_hand.add(prefix)

    @rule()
    def make_a_twin(self) -> None:
        """Somebody makes a token of the same description."""
        if len(self.rivals) < 4:
            self.rivals.add(
                self.observer.make(self.declared["description"], max_age_seconds=315_360_000)["token_prefix"]
            )

    # what Pulumi does

    @rule()
    def up(self) -> None:
        """Apply what is declared."""
        self._up([])

    @rule(faults=st.lists(FAULTS, min_size=1, max_size=2))
    def up_with_faults(self, faults: list[Fault]) -> None:
        """Apply it while something is wrong."""
        self._up(faults)

    @precondition(lambda self: self.uses)
    @rule(faults=st.lists(FAULTS, max_size=1))
    def refresh(self, faults: list[Fault]) -> None:
        """Read the series."""
        self._refresh(faults)

    def _refresh(self, faults: list[Fault]) -> None:
        """Secrets are carried forward, and nothing that is valid is forgotten."""
        before, valid = self._driver.state(), self._ours()
        if not self._succeeds(self._driver.refresh, faults):
            assert self._driver.state() == before
        after = self._driver.state()
        assert (after is None) == (before is None)
        if before is not None and after is not None:
            assert (after["id"], after["full_token"]) == (before["id"], before["full_token"])
            assert _held(before) & valid <= _held(after)
            if not faults:
                self.strays.clear()
        assert self._ours() == valid

    @precondition(lambda self: self.uses)
    @rule(faults=st.lists(FAULTS, max_size=1), often=st.integers(0, 9))
    def destroy(self, faults: list[Fault], often: int) -> None:
        """Remove the series, now and then: nothing of it stays."""
        if often:
            return
        if not self._succeeds(self._driver.destroy, faults):
            self.revoked_by_hand |= _held(self._driver.state() or {}) - set(self.observer.valid())
            return
        assert self._driver.state() is None
        assert not self._ours() - self.orphans
        self.applied, self.is_settled = {}, True
        self.strays.clear()

    # what must hold

    @invariant()
    def no_more_than_two_are_valid(self) -> None:
        """At most two tokens of the series are valid."""
        if hasattr(self, "observer"):
            assert len(self._ours() - self.orphans) <= 2

    @invariant()
    def rivals_are_left_alone(self) -> None:
        """No token of somebody else is revoked, or described anew."""
        if hasattr(self, "observer"):
            valid = self.observer.valid()
            assert self.rivals <= set(valid)

    @invariant()
    def the_secret_of_the_state_works(self) -> None:
        """It does unless it was revoked by hand, or has expired, or an emergency `up` stopped half-way."""
        if not hasattr(self, "observer") or not self.is_settled or (state := self._driver.state()) is None:
            return
        prefix = state["token_prefix"]
        assert state["full_token"].startswith(prefix)
        is_expired = self._now() >= parse_time(state["expiry_time"])
        assert prefix in self.observer.valid() or prefix in self.revoked_by_hand or is_expired

    def teardown(self) -> None:
        """End what was begun."""
        if hasattr(self, "_driver"):
            self._driver.close()

    def _up(self, faults: list[Fault], *, may_fail: bool = False) -> None:
        before, valid, now = self._driver.state() or {}, self._ours(), self._now()
        if not self._succeeds(partial(self._driver.up, self.declared), faults, may_fail=may_fail):
            self.up_failed(before)
            return
        after = self._driver.state()
        assert after is not None
        self.uses.setdefault(after["token_prefix"], Uses(after["full_token"]))
        assert not before or after["id"] == before["id"]
        current, is_new = after["token_prefix"], after["token_prefix"] != before.get("token_prefix")
        is_late = not is_new and now < parse_time(after["expiry_time"]) + self.lateness
        assert current in self.observer.valid() or current in self.revoked_by_hand or is_late
        self.strays = set() if is_new else self.strays
        assert self._ours() - self.orphans - _held(after) <= self.strays
        if not faults:
            self._look_settled(after)
        if before:
            self._look_at_reasons(before, after, now)
            self._look_at_previous(before, after, valid, now)
        self.applied, self.is_settled = {**self.declared}, True

    def _succeeds(self, command: Callable[[], None], faults: list[Fault], *, may_fail: bool = False) -> bool:
        self.emulator.faults = faults
        try:
            command()
        except Failed:
            assert faults or may_fail
            return False
        finally:
            self.emulator.faults = []
        return True

    def up_failed(self, before: Mapping[str, Any]) -> None:
        """What a failed `up` leaves can be told from what others make."""
        assert (self._driver.state() or {}) == before
        self.is_settled = False
        self.strays = self._ours() - self.orphans - _held(before)
        if not before:
            found = self.observer.valid()
            for prefix in self.strays:
                described, agent = found[prefix]["description"], found[prefix]["last_user_agent"] or ""
                assert described.startswith("[pulumi-avn-token series-") or "(series-" in agent
            self.orphans |= self.strays

    def _look_settled(self, after: Mapping[str, Any]) -> None:
        """All is as declared, and a second `up` has nothing to do before something falls due."""
        valid = self.observer.valid()
        assert after["description"] == self.declared["description"]
        assert all(valid[prefix]["description"] == after["description"] for prefix in _held(after) & set(valid))
        is_due = self._now() >= parse_time(after["rotates_at"])
        retires_at = after.get("previous_retires_at")
        if not is_due and (retires_at is None or self._now() < parse_time(retires_at)):
            assert self._driver.is_unchanged(self.declared)

    def _look_at_reasons(self, before: Mapping[str, Any], after: Mapping[str, Any], now: datetime) -> None:
        """A new token has a cause, and every cause makes one."""
        changed = {name for name in self.declared if self.applied and self.declared[name] != self.applied[name]}
        causes = {"rotation_triggers", "revocation_triggers", "max_age_seconds"}
        is_due = now >= parse_time(before["rotates_at"]) and "early_rotation_window_seconds" not in changed
        is_gone = before["token_prefix"] in self.revoked_by_hand or now >= parse_time(before["expiry_time"])
        is_new = before["token_prefix"] != after["token_prefix"]
        if self.is_settled:
            assert not is_new or changed & causes or is_due or is_gone
        is_due = is_due and now >= parse_time(before["rotates_at"]) + self.lateness
        assert is_new or not (changed & causes or is_due)
        if "revocation_triggers" in changed:
            assert after["rotation_reason"] == "emergency"
            assert self._ours() - self.orphans == {after["token_prefix"]}

    def _look_at_previous(
        self, before: Mapping[str, Any], after: Mapping[str, Any], valid: set[str], now: datetime
    ) -> None:
        """Neither is revoked before its time: the previous token, and the one that has just been replaced."""
        if after["rotation_reason"] == "emergency" and before["token_prefix"] != after["token_prefix"]:
            return
        valid_now = set(self.observer.valid())
        if before["token_prefix"] in valid and now < parse_time(before["expiry_time"]) - timedelta(seconds=5):
            assert before["token_prefix"] in valid_now
        previous = before.get("previous_token_prefix")
        if previous not in valid or previous in valid_now or not self.is_settled:
            return
        is_displaced = after.get("previous_token_prefix") == before["token_prefix"]
        is_expired = now >= parse_time(before["previous_expiry_time"]) - timedelta(seconds=5)
        if is_displaced or is_expired:
            return
        assert self._now() >= parse_time(before["previous_retires_at"])
        used = self.uses[previous].last_used
        if self.declared["retire_previous"] == "when_idle" and used is not None:
            assert used < parse_time(before["previous_superseded_time"])

    def _ours(self) -> set[str]:
        return set(self.observer.valid()) - self.rivals

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.emulator.now(), timezone.utc)


def _held(state: Mapping[str, Any]) -> set[str]:
    return {state[name] for name in ("token_prefix", "previous_token_prefix") if state.get(name)}
