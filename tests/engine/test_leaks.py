"""No secret in the open: in the state, its history, output, errors, the pickled provider or the emulator's file."""

from __future__ import annotations

import base64
from pathlib import Path

from pulumi_avn_token.emulator import Emulator, Fault
from tests.account import Observer
from tests.engine.project import Project


def test_no_secret_is_in_the_open_anywhere(tmp_path: Path) -> None:
    """After a life with every command and many an error, only encrypted secrets are to be found."""
    (tmp_path / "account").mkdir()
    with Emulator(tmp_path / "account" / "db.sqlite3") as emulator:
        observer = Observer(emulator)
        adopted = observer.make("adopted")["full_token"]
        project = Project(tmp_path / "project", emulator, environ={"ADOPTED": adopted})
        made = _live(project, emulator, observer)
        secrets = [adopted, emulator.token, *made]
        count = len(set(secrets))
        assert count == 8
        _assert_none_in(secrets, "".join(project.printed).encode(), "output")
        for folder in (project.folder, tmp_path / "account"):
            for path in filter(Path.is_file, folder.rglob("*")):
                _assert_none_in(secrets, path.read_bytes(), str(path.relative_to(tmp_path)))


def test_the_pickled_provider_is_a_reference_and_no_more() -> None:
    """What is written into every state names the class, and holds nothing of the environment that it was made in."""
    from pulumi.dynamic.dynamic import serialize_provider  # noqa: PLC0415 - an internal of the SDK

    from pulumi_avn_token.provider import (  # noqa: PLC0415 - the very objects
        AccessTokenProvider,
        RotatingAccessTokenProvider,
    )

    for provider in (AccessTokenProvider, RotatingAccessTokenProvider):
        pickled = base64.b64decode(serialize_provider(provider()))
        assert b"pulumi_avn_token.provider" in pickled
        assert provider.__name__.encode() in pickled
        assert len(pickled) < 100


def _live(project: Project, emulator: Emulator, observer: Observer) -> list[str]:
    """Run every command, and some that fail, and return the secrets of the tokens that the project made."""
    arguments = 'description="{}", rotation_triggers={{"release": {}}}'
    adopted = 'description="adopted", adopt_prefix=__import__("os").environ["ADOPTED"]'
    secrets = []
    project.tokens(ci=arguments.format("CI", 1), nb=adopted).preview("--diff")
    project.up("--diff")
    secrets.append(project.output("ci"))
    project.tokens(ci=arguments.format("CI 2", 1), nb=adopted).up()
    project.tokens(ci=arguments.format("CI 2", 2), nb=adopted).preview("--diff", "--json")
    project.up("--diff")
    secrets.append(project.output("ci"))
    project.refresh("--diff")
    for fault in (Fault(kind="status", status=500), Fault(kind="html")):
        emulator.faults = [fault]
        project.refresh(fails=True)
    emulator.faults = []
    project.tokens(ci=arguments.format("", 1), nb=adopted).preview(fails=True)
    token = emulator.issue_token()
    project.environ["AIVEN_TOKEN"] = token
    observer.revoke(token[:12])
    project.refresh(fails=True)
    project.environ["AIVEN_TOKEN"] = ""
    project.pulumi("config", "set", "--secret", "aiven:apiToken", emulator.token, hidden=True)
    project.tokens(ci=arguments.format("CI 2", 3), nb=adopted).up()
    secrets.append(project.output("ci"))
    for release, leak in ((1, 1), (2, 1), (2, 2)):
        triggers = f'rotation_triggers={{"release": {release}}}, revocation_triggers={{"leak": {leak}}}'
        project.series(ingest=f"overlap_seconds=0, {triggers}").preview("--diff")
        project.up("--diff")
        project.refresh("--diff")
        secrets.append(project.outputs("ingest")["full_token"])
    project.series(ingest="overlap_seconds=-1").preview(fails=True)
    emulator.faults = [Fault(kind="truncated", method="POST")]
    project.series(ingest=f"max_age_seconds=40*86400, {triggers}").up(fails=True)
    emulator.faults = []
    project.pulumi("stack", "export")
    project.pulumi("stack", "output")
    project.pulumi("stack", "history")
    project.destroy()
    return secrets


def _assert_none_in(secrets: list[str], content: bytes, where: str) -> None:
    for secret in secrets:
        # Any piece longer than the prefix that may be shown; and not the secret itself in a failure's message.
        pieces = [secret[start : start + 24].encode() for start in range(0, len(secret) - 24, 8)]
        assert not any(piece in content for piece in pieces), f"a secret is in {where}"
