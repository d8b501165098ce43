"""States that earlier versions wrote must still refresh, come up unchanged, and be destroyed.

A state of `states/` is never edited: a new version adds its own. It is made by
`python -m tests.engine.test_compatibility states/VERSION.json`, which runs PROGRAM and puts `PREFIX-name` where the
tokens' prefixes were.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import pytest

from pulumi_avn_token.emulator import Emulator
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
SETTINGS = {
    "ci": {
        "description": "CI",
        "max_age_seconds": 315360000,
        "ip_allowlist": ["127.0.0.0/8"],
        "scopes": ["user:read"],
    },
    "nb": {"description": "NB"},
}


@pytest.mark.parametrize("stored", sorted(STATES.glob("*.json")), ids=lambda path: path.stem)
def test_a_stored_state_goes_on(stored: Path, project: Project, observer: Observer, emulator: Emulator) -> None:
    """Class paths, type tokens, and the names of inputs and outputs are what they were."""
    made = {name: observer.make(**settings) for name, settings in SETTINGS.items()}  # type: ignore[arg-type]
    state, program = stored.read_text(), PROGRAM.replace('os.environ.get("NB")', "None")
    for name, token in made.items():
        state = state.replace(f"PREFIX-{name}", token["token_prefix"])
        program = program.replace(f"PREFIX-{name}", token["token_prefix"])
    imported = project.folder / "state.json"
    imported.write_text(state)
    project.pulumi("stack", "import", "--file", str(imported))
    before = {name: project.outputs(name)["full_token"] for name in made}
    assert all(len(secret) > 100 for secret in before.values())
    emulator.clear_requests()
    project.refresh("--expect-no-changes")
    assert {name: project.outputs(name)["full_token"] for name in made} == before
    project.program(program).up("--expect-no-changes")
    assert {request.split()[0] for request in observer.provider_requests()} == {"GET"}
    project.destroy()
    assert observer.tokens() == {}


def _store(path: Path) -> None:
    """Write the state that this version makes."""
    with tempfile.TemporaryDirectory() as folder, Emulator() as emulator:
        project, adopted = Project(Path(folder) / "project", emulator), Observer(emulator).make("NB")
        project.environ["NB"] = adopted["full_token"]
        project.program(PROGRAM.replace("PREFIX-nb", adopted["token_prefix"])).up()
        state = project.pulumi("stack", "export").output
        for name, resource in project.state().items():
            state = state.replace(resource["id"], f"PREFIX-{name}")
        stored = json.loads(state)
        for resource in stored["deployment"]["resources"]:
            for place_on_this_machine in ("sourcePosition", "stackTrace"):
                resource.pop(place_on_this_machine, None)
        path.write_text(json.dumps(stored, indent=2) + "\n")


if __name__ == "__main__":
    _store(Path(__file__).parent / sys.argv[1])
