"""States that earlier versions wrote must still refresh, come up unchanged, and be destroyed.

A state of `states/` is never edited: a new version, or a new resource, adds its own. It is made by
`python -m tests.engine.test_compatibility states/NAME.json`, which runs PROGRAM and puts `PREFIX-name` where the
tokens' prefixes were.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from pulumi_avn_token.emulator import Emulator
from pulumi_avn_token.model import parse_time
from tests.account import Observer
from tests.engine.project import Project

STATES = Path(__file__).parent / "states"
PROGRAM = """
import os
ci = avn.AccessToken(
    "ci", description="CI", max_age_seconds=315360000, ip_allowlist=["127.0.0.0/8"], scopes=["user:read"],
    early_rotation_window_seconds=86400, rotation_triggers={"release": "1", "deep": {"list": [1, True, None]}},
)
nb = avn.AccessToken("nb", description="NB", adopt_prefix="PREFIX-nb", full_token=os.environ.get("NB"))
pulumi.export("ci", ci.full_token)
"""
SERIES = """
avn.RotatingAccessToken(
    "ingest", description="Ingest", max_age_seconds=315360000, early_rotation_window_seconds=864000,
    overlap_seconds=432000, retire_previous="when_idle", ip_allowlist=["127.0.0.0/8"],
    rotation_triggers={"release": RELEASE}, revocation_triggers={"leak": "0"},
)
"""
NAMED = """
avn.AccessToken("named", description="Named", max_age_seconds=315360000, credentials="AIVEN_TOKEN_NAMED")
"""
SETTINGS = {
    "ci": {
        "description": "CI",
        "max_age_seconds": 315360000,
        "ip_allowlist": ["127.0.0.0/8"],
        "scopes": ["user:read"],
    },
    "nb": {"description": "NB"},
}
SETTINGS_OF_NAMED = {"description": "Named", "max_age_seconds": 315360000}
SETTINGS_OF_SERIES = {"description": "Ingest", "max_age_seconds": 315360000, "ip_allowlist": ["127.0.0.0/8"]}


@pytest.mark.parametrize("stored", sorted(STATES.glob("*.json")), ids=lambda path: path.stem)
def test_a_stored_state_goes_on(stored: Path, project: Project, observer: Observer, emulator: Emulator) -> None:
    """Class paths, type tokens, and the names of inputs and outputs are what they were."""
    state, program = stored.read_text(), PROGRAM.replace('os.environ.get("NB")', "None")
    settings: dict[str, Any] = {**SETTINGS}
    if "RotatingAccessToken" in state:
        settings |= {"ingest": SETTINGS_OF_SERIES, "before": SETTINGS_OF_SERIES}
        program += SERIES.replace("RELEASE", '"2"')
        (rotated,) = re.findall(r'"previous_superseded_time": "(.*)"', state)
        emulator.clock_offset = parse_time(rotated).timestamp() + 3600 - time.time()
    if "AIVEN_TOKEN_NAMED" in state:
        settings |= {"named": SETTINGS_OF_NAMED}
        program += NAMED
        project.environ |= {"AIVEN_TOKEN_NAMED": emulator.token}
    made = {name: observer.make(**each) for name, each in settings.items()}
    for name, token in made.items():
        state = state.replace(f"PREFIX-{name}", token["token_prefix"])
        program = program.replace(f"PREFIX-{name}", token["token_prefix"])
    imported = project.folder / "state.json"
    imported.write_text(state)
    project.pulumi("stack", "import", "--file", str(imported))
    before = _secrets(project)
    assert len(before) == len(made)
    assert all(len(secret) > 100 for secret in before)
    emulator.clear_requests()
    project.refresh("--expect-no-changes")
    assert _secrets(project) == before
    project.program(program).up("--expect-no-changes")
    assert {request.split()[0] for request in observer.provider_requests()} == {"GET"}
    project.destroy()
    assert observer.valid() == {}


def _secrets(project: Project) -> list[str]:
    outputs = [project.outputs(name) for name in sorted(project.state())]
    return [each[name] for each in outputs for name in ("full_token", "previous_full_token") if name in each]


def _store(path: Path) -> None:
    """Write the state that this version makes."""
    with tempfile.TemporaryDirectory() as folder, Emulator() as emulator:
        project, adopted = Project(Path(folder) / "project", emulator), Observer(emulator).make("NB")
        project.environ |= {"NB": adopted["full_token"], "AIVEN_TOKEN_NAMED": emulator.token}
        program = PROGRAM.replace("PREFIX-nb", adopted["token_prefix"]) + SERIES + NAMED
        for release in ('"1"', '"2"'):
            project.program(program.replace("RELEASE", release)).up()
        state = project.pulumi("stack", "export").output
        for name in project.state():
            outputs = project.outputs(name)
            state = state.replace(outputs["token_prefix"], f"PREFIX-{name}")
            state = state.replace(outputs.get("previous_token_prefix", "no prefix"), "PREFIX-before")
        stored = json.loads(state)
        for resource in stored["deployment"]["resources"]:
            for place_on_this_machine in ("sourcePosition", "stackTrace"):
                resource.pop(place_on_this_machine, None)
        path.write_text(json.dumps(stored, indent=2) + "\n")


if __name__ == "__main__":
    _store(Path(__file__).parent / sys.argv[1])
