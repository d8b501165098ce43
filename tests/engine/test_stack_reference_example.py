"""The example `examples/stack-reference`: a secret that one project makes and another reads, and its first page."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from pulumi_avn_token.emulator import Emulator
from tests.account import Observer
from tests.engine.project import ROOT, Project, typed
from tests.leaks import Secrets, assert_none_in, files

SECURITY = "organization/avn-security-example/test"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the example, beside the environment that it names."""
    copy = tmp_path / "examples" / "stack-reference"
    ignored = shutil.ignore_patterns("Pulumi.*.yaml", "__pycache__")
    shutil.copytree(ROOT / "examples" / "stack-reference", copy, ignore=ignored)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    return copy


@pytest.fixture
def security(folder: Path, emulator: Emulator) -> Project:
    """The stack that makes the token, on its first day."""
    security = Project(folder / "security", emulator).at(0)
    security.up()
    return security


@pytest.fixture
def application(folder: Path, security: Project) -> Project:
    """The stack that reads it, of the same backend, without a credential of its own, and not yet up."""
    environ = {"PULUMI_BACKEND_URL": (security.folder / "state").as_uri(), "AIVEN_TOKEN": ""}
    application = Project(folder / "application", security.emulator, environ)
    application.pulumi("config", "set", "security", SECURITY)
    return application


def test_a_rotation_in_one_stack_reaches_the_other_with_its_next_up_and_nobody_is_cut_off(
    security: Project, application: Project, observer: Observer
) -> None:
    """The application has the token that was made, through the overlap the old one works, and its `up` has the new."""
    application.up()
    old = application.output("worker_token")
    assert old == security.output("ingest_token")
    application.up("--expect-no-changes")
    security.at(16.01).up()
    new = security.output("ingest_token")
    assert new != old
    assert application.output("worker_token") == old
    assert observer.works(old)
    application.at(20).up()
    assert application.output("worker_token") == new
    assert observer.works(old)
    security.at(31).up()
    assert [observer.works(secret) for secret in (old, new)] == [False, True]
    application.up("--expect-no-changes")


def test_the_secret_is_one_in_both_stacks(folder: Path, security: Project, application: Project) -> None:
    """Neither a state nor its export, neither the output nor what the commands print has it in the open."""
    application.preview("--diff")
    application.up("--diff")
    application.pulumi("stack", "output")
    application.pulumi("stack", "export")
    secrets = Secrets([application.output("worker_token")])
    assert_none_in(secrets, "".join([*security.printed, *application.printed]).encode(), "what was printed")
    for path, content in files(folder):
        assert_none_in(secrets, content, path.name)


def test_without_the_passphrase_of_the_first_the_second_fails_and_keeps_what_it_has(
    security: Project, application: Project
) -> None:
    """The engine would go on with nothing in the place of the secret; the program says what is missing."""
    other = {**application.environ, "PULUMI_CONFIG_PASSPHRASE": "another"}
    stranger = Project(_renamed(application.folder, "stranger"), application.emulator, other)
    stranger.pulumi("config", "set", "security", SECURITY)
    for told in (stranger.preview(fails=True), stranger.up(fails=True)):
        assert "eliding undecryptable secrets for stack reference" in told.output
        assert "error: ingest_token cannot be decrypted: run with access to the security stack's secrets" in told.output
        assert "Traceback" not in told.output
    assert "worker_token" not in stranger.pulumi("stack", "output", "--json").output
    security.destroy()
    application.up(fails=True)
    application.destroy()


def test_the_commands_of_its_first_page_run(tmp_path: Path, folder: Path, emulator: Emulator) -> None:
    """Typed as they stand, they end with the account as the application's token sees it."""
    (commands,) = re.findall(r"```sh\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "state").mkdir()
    printed = typed(commands, folder, tmp_path, emulator)
    assert re.search(r"^\*.* Ingest workers ", printed, re.MULTILINE)


def _renamed(folder: Path, name: str) -> Path:
    """A copy of a project's program under another name."""
    copy = folder.parent / name
    copy.mkdir()
    shutil.copy(folder / "__main__.py", copy)
    settings = (folder / "Pulumi.yaml").read_text(encoding="utf-8")
    (copy / "Pulumi.yaml").write_text(settings.replace(folder.name, name), encoding="utf-8")
    return copy
