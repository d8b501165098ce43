"""The same random lives as in `tests/contract/test_rotation_machine.py`, fewer of them, through the real engine."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from pulumi_avn_token.emulator import Emulator, Fault
from tests.engine.project import DAY, Project
from tests.machine import Driver, Failed, SeriesMachine

YEARS_AGO = -4000 * DAY
FEW_FAULTS = st.builds(
    Fault,
    kind=st.sampled_from(["status", "truncated", "drop_before", "drop_after"]),
    call=st.sampled_from(["create", "update", "revoke"]),
    after=st.integers(0, 1),
    times=st.sampled_from([1, 2]),
    after_change=st.booleans(),
)


class EngineDriver:
    """Runs `pulumi`, on an account that starts long ago: so time can pass, and the service's clock is believed."""

    def __init__(self) -> None:
        self._exit = ExitStack()
        folder = Path(self._exit.enter_context(tempfile.TemporaryDirectory()))
        self.emulator = self._exit.enter_context(Emulator())
        self.emulator.clock_offset = YEARS_AGO
        self._project = Project(folder / "project", self.emulator)
        self._state: dict[str, Any] | None = None

    def up(self, arguments: Mapping[str, Any]) -> None:
        """Run `pulumi up`."""
        self._project.program(f'avn.RotatingAccessToken("ingest", **{dict(arguments)!r})')
        self._run("up", "--yes", "--skip-preview")

    def is_unchanged(self, arguments: Mapping[str, Any]) -> bool:
        """Run `pulumi preview`."""
        self._project.program(f'avn.RotatingAccessToken("ingest", **{dict(arguments)!r})')
        return "2 unchanged" in self._project.preview().output

    def refresh(self) -> None:
        """Run `pulumi refresh`."""
        self._run("refresh", "--yes", "--skip-preview")

    def destroy(self) -> None:
        """Run `pulumi destroy`."""
        self._run("destroy", "--yes", "--skip-preview")

    def state(self) -> dict[str, Any] | None:
        """Give what the engine has stored."""
        return self._state

    def wait(self, seconds: float) -> None:
        """Move the emulator's clock."""
        self.emulator.clock_offset += seconds

    def close(self) -> None:
        """Stop the emulator."""
        self._exit.close()

    def _run(self, *command: str) -> None:
        ran = self._project.pulumi(*command, fails=None)
        stored = self._project.state()
        self._state = {"id": stored["ingest"]["id"], **self._project.outputs("ingest")} if stored else None
        if ran.status != 0:
            raise Failed


class EngineMachine(SeriesMachine):
    """Fewer faults: a client that waits before it tries again takes its time."""

    def driver(self) -> Driver:
        """Run the engine."""
        return EngineDriver()

    @rule(faults=st.lists(FEW_FAULTS, min_size=1, max_size=2))
    def up_with_faults(self, faults: list[Fault]) -> None:
        """Apply it while something is wrong."""
        self._up(faults)

    @rule(faults=st.just([]))
    def refresh(self, faults: list[Fault]) -> None:
        """Read the series."""
        self._refresh(faults)


def test_a_series_keeps_its_promises_on_the_real_engine() -> None:
    """Some dozens of random steps, and every promise is looked at after each of them."""
    run_state_machine_as_test(
        EngineMachine,
        settings=settings(
            max_examples=2,
            stateful_step_count=16,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
