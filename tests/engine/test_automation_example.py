"""The example `examples/automation`: called from this process, run as a command, and as its first page says."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from examples.automation.provision import Platform, destroy, provision
from pulumi_avn_token.emulator import Emulator
from tests.account import Observer
from tests.engine.project import ROOT, typed
from tests.leaks import Secrets, assert_none_in, files

FOLDER = ROOT / "examples" / "automation"


@pytest.fixture
def platform(tmp_path: Path, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """A backend and a credential for a service whose environment is not activated and knows another credential."""
    for name in [name for name in os.environ if name.startswith(("PULUMI_", "AIVEN_", "VIRTUAL_ENV"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", os.pathsep.join([str(ROOT / ".engine" / "bin"), os.defpath]))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PULUMI_SKIP_UPDATE_CHECK", "true")
    monkeypatch.setenv("AIVEN_WEB_URL", emulator.url)
    monkeypatch.setenv("AIVEN_TOKEN", "of the service, for something else")
    (tmp_path / "state").mkdir()
    return Platform(tmp_path / "work", (tmp_path / "state").as_uri(), "test", emulator.token)


def test_provisioning_makes_changes_nothing_rotates_and_leaves_nothing(
    platform: Platform,
    tmp_path: Path,
    observer: Observer,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A second run changes nothing though its folder is lost, another release rotates, and nothing shows a secret."""
    caplog.set_level(logging.INFO)
    first = provision("data", platform, release="1")
    assert dict(first.changes) == {"create": 2}
    assert observer.works(first.full_token)
    shutil.rmtree(platform.work_dir)
    assert provision("data", platform, release="1") == replace(first, changes={"same": 2})
    second = provision("data", platform, release="2")
    assert dict(second.changes) == {"same": 1, "update": 1}
    assert second.token_prefix != first.token_prefix
    assert second.full_token.startswith(second.token_prefix)
    assert observer.works(first.full_token)
    assert observer.works(second.full_token)
    told = [caplog.text, *capfd.readouterr(), repr(platform), repr(first), repr(second)]
    assert "RotatingAccessToken ingest updated" in caplog.text
    secrets = Secrets([first.full_token, second.full_token, platform.aiven_token])
    assert_none_in(secrets, "".join(told).encode(), "what was told")
    for path, content in files(tmp_path):
        assert_none_in(secrets, content, path.name)
    destroy("data", platform)
    assert observer.valid() == {}
    assert not list((tmp_path / "state").rglob("data.json"))


def test_two_teams_at_once_in_two_threads_get_their_own(platform: Platform, observer: Observer) -> None:
    """Each has its own token, another release rotates that of one alone, and so it is in sequence."""
    with ThreadPoolExecutor() as threads:
        ones = list(threads.map(lambda team: provision(team, platform, release="1"), ("a", "b")))
        twos = list(threads.map(lambda team: provision(team, platform, release=team), ("a", "1")))
        again = list(threads.map(lambda team: provision(team, platform, release="1"), ("b", "1")))
    assert [dict(done.changes) for done in ones] == [{"create": 2}] * 2
    assert [dict(done.changes) for done in twos] == [{"same": 1, "update": 1}, {"create": 2}]
    assert [dict(done.changes) for done in again] == [{"same": 2}] * 2
    described = {token["token_prefix"]: token["description"] for token in observer.valid().values()}
    assert described == {
        ones[0].token_prefix: "Ingest workers of a",
        twos[0].token_prefix: "Ingest workers of a",
        ones[1].token_prefix: "Ingest workers of b",
        twos[1].token_prefix: "Ingest workers of 1",
    }


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (
            "credential",
            r"listing the tokens failed \(401\): the credential has expired, was revoked, .*set a valid one.*",
        ),
        ("passphrase", r".*incorrect passphrase.*"),
        ("backend", r".*state directory .*no such file or directory"),
        ("engine", r"there is no `pulumi` on PATH"),
    ],
)
def test_a_failure_is_told_in_one_line_with_a_status_and_no_secret(
    platform: Platform, tmp_path: Path, observer: Observer, wrong: str, told: str
) -> None:
    """What fails and what to do is all that the command says, and the token that there is stays."""
    revoked = observer.make("revoked by hand")
    observer.revoke(revoked["token_prefix"])
    environ = _environ(platform)
    assert re.fullmatch(r"data: token \S+ rotates at \S+ \(create 2\)\n", _run(environ, status=0))
    before = observer.valid()
    environ |= {
        "credential": {"AIVEN_TOKEN": revoked["full_token"]},
        "passphrase": {"PULUMI_CONFIG_PASSPHRASE": "another"},
        "backend": {"PULUMI_BACKEND_URL": (tmp_path / "nowhere").as_uri()},
        "engine": {"PATH": os.defpath},
    }[wrong]
    said = _run(environ, status=1)
    assert re.fullmatch(f"data: {told}\n", said)
    assert_none_in(Secrets([revoked["full_token"], platform.aiven_token]), said.encode(), "what was told")
    assert observer.valid() == before


def test_what_was_never_provisioned_is_not_called_revoked(platform: Platform) -> None:
    """A mistyped team fails, and makes no stack."""
    said = _run(_environ(platform), "--destroy", status=1)
    assert re.fullmatch(r"data: no stack named 'data' found\n", said)
    assert not list(Path(platform.backend_url.removeprefix("file://")).rglob("data.json"))


def test_without_its_environment_the_command_says_what_to_set(platform: Platform) -> None:
    """It does not begin with half of what it needs."""
    said = _run({**_environ(platform), "PULUMI_CONFIG_PASSPHRASE": ""}, status=2)
    assert "set PULUMI_BACKEND_URL, PULUMI_CONFIG_PASSPHRASE, AIVEN_TOKEN" in said


def test_the_commands_of_its_first_page_run(
    platform: Platform, tmp_path: Path, emulator: Emulator, observer: Observer
) -> None:
    """Typed as they stand, they print lines such as the page shows, and leave nothing."""
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    (commands,), (shown,) = (re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL) for kind in ("sh", "text"))
    printed = typed(commands, FOLDER, tmp_path, emulator)
    assert _alike(printed) == _alike(shown)
    assert platform.aiven_token not in printed
    assert observer.valid() == {}


def _environ(platform: Platform) -> dict[str, str]:
    """The environment of the command."""
    return {
        **os.environ,
        "AIVEN_TOKEN": platform.aiven_token,
        "PULUMI_BACKEND_URL": platform.backend_url,
        "PULUMI_CONFIG_PASSPHRASE": platform.passphrase,
    }


def _run(environ: dict[str, str], *options: str, status: int) -> str:
    """What the command says, on whichever stream."""
    command = [sys.executable, str(FOLDER / "provision.py"), "data", *options]
    ran = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == status, ran.stderr
    return ran.stdout + ran.stderr


def _alike(printed: str) -> str:
    """What does not differ between two runs."""
    return re.sub(r"token \S+ rotates at \S+", "token … rotates at …", printed)
