"""The important faults at each call, through the real engine: nothing is lost, nothing of anybody else's is touched."""

from __future__ import annotations

import pytest

from pulumi_avn_token.emulator import Emulator, Fault
from tests.account import Observer
from tests.engine.accounting import find_undelivered, follow
from tests.engine.project import Project
from tests.faults import CALLS, FAULTS, Call
from tests.form import IS_LONG

IMPORTANT = [
    "reset before",
    "reset during",
    "reset after",
    "429 for an hour",
    "502 after",
    "page after",
    "error after",
    "empty",
    "flood after",
    "deep list",
    "wrong types",
    "fields missing",
    "no secret",
    "credential",
    "policy",
    "quota",
]


@pytest.mark.parametrize("call", CALLS)
def test_no_fault_loses_a_token_or_touches_anothers(
    project: Project, emulator: Emulator, observer: Observer, call: Call
) -> None:
    """An `up` that makes every call fails or succeeds, and the next one brings all to where it should be."""
    rival = {observer.make(name)["token_prefix"] for name in ("CI", "Ingest")}

    def check() -> None:
        held, valid = project.held(), observer.valid().keys()
        assert rival <= valid
        assert not rival & held
        left = valid - rival - held
        undelivered = find_undelivered(project) if left else {}
        assert left <= undelivered.keys(), fault
        follow(project, {undelivered[prefix] for prefix in left})

    fault = "none yet"
    declare(project, 0).up()
    faults = IMPORTANT if IS_LONG else IMPORTANT[CALLS.index(call) :: len(CALLS)]
    for release, fault in enumerate(faults, start=1):
        emulator.faults = [Fault(call=call, times=2 if call == "create" else 1, **FAULTS[fault])]
        declare(project, release).pulumi("up", "--yes", "--skip-preview", fails=None)
        emulator.faults = []
        check()
        project.up("--refresh")
        check()
        assert observer.valid().keys() - rival == project.held(), fault
        for name in ("ci", "ingest"):
            outputs = project.outputs(name)
            assert outputs["rotation_triggers"] == {"release": release}, fault
            assert observer.works(outputs["full_token"]), fault
            assert observer.valid()[outputs["token_prefix"]]["description"] == outputs["description"], fault


def declare(project: Project, release: int) -> Project:
    """A token that each release replaces, and a series that it rotates: all calls but one a time are made for both."""
    trigger = f'rotation_triggers={{"release": {release}}}'
    return project.program(
        f"""
        avn.AccessToken("ci", description="CI", {trigger})
        avn.RotatingAccessToken("ingest", description="Ingest", max_age_seconds=86400, overlap_seconds=3600,
                                early_rotation_window_seconds=7200, {trigger})
        """
    )
