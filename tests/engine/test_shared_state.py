"""A team that shares one stack, through each of the engine's backends that more than one machine can reach.

What docs/teams.md says about it: its words are those that the engine prints, its commands those that are typed here.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from pwd import getpwuid

import pytest

from pulumi_avn_token.emulator import Emulator, Fault
from pulumi_avn_token.model import parse_time
from tests.account import Observer
from tests.engine.accounting import find_undelivered, follow
from tests.engine.backends import Backend, postgresql, s3
from tests.engine.project import COMMAND_TIMEOUT_SECONDS, Project, wait_until
from tests.leaks import Secrets, assert_none_in
from tests.pages import section

ROUNDS = 5
UP = ("up", "--yes", "--skip-preview")
DOCUMENT = section("teams.md", "Shared state")
LOCKED, HOLDER = re.findall(r"```text\n(.*)\n(  .*)\n```", DOCUMENT)[0]

HELD = """
    import pathlib, time

    def hold(_):
        while not pulumi.runtime.is_dry_run() and not pathlib.Path("go").exists():
            time.sleep(0.05)

    avn.AccessToken("ci", description="CI").token_prefix.apply(hold)
    """
"""Makes a token, and does not come to its end before there is a file `go`."""


@pytest.fixture(params=[postgresql, s3], ids=["postgresql", "s3"])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """The backend that the team shares."""
    with request.param() as backend:
        yield backend


@pytest.fixture
def first(tmp_path: Path, emulator: Emulator, backend: Backend) -> Project:
    """A member, who made the stack."""
    return Project(tmp_path / "first", emulator, dict(backend.environ))


def join(first: Project, name: str = "second") -> Project:
    """Another member: a checkout of the same project on a machine of its own."""
    folder = first.folder.parent / name
    shutil.copytree(first.folder, folder, ignore=shutil.ignore_patterns("state", "home", ".*"))
    return Project(folder, first.emulator, dict(first.environ))


def test_who_comes_second_is_told_who_holds_the_lock_and_changes_nothing(
    first: Project, backend: Backend, emulator: Emulator, observer: Observer
) -> None:
    """While an `up` runs, other changes are refused with status 1, previews are not; the second then finds no work."""
    second = join(first.program(HELD))
    with ThreadPoolExecutor() as machines:
        running = machines.submit(first.up)
        try:
            wait_until(lambda: running.done() or observer.valid().keys() == second.held() != set())
            before = backend.blobs()
            emulator.clear_requests()
            for command in ("up", "refresh", "destroy"):
                refused = second.pulumi(command, "--yes", fails=True)
                assert refused.status == 1
                told, holder = refused.output.strip().splitlines()
                assert told == LOCKED
                assert_held_by(first, holder)
            assert second.preview().status == 0
            assert observer.provider_requests() == []
            assert backend.blobs() == before
        finally:
            (first.folder / "go").touch()
        assert "+ 2 created" in running.result().output
    (second.folder / "go").touch()
    second.up("--expect-no-changes")
    assert second.held() == set(observer.valid())


def test_of_those_who_start_at_the_same_moment_one_at_most_goes_on(first: Project, observer: Observer) -> None:
    """No token is made twice or lost, however the two meet; that both are refused is all that can happen."""
    second = join(first)
    for round_ in range(1, ROUNDS + 1):
        for member in (first, second):
            member.tokens(**{f"token{number}": f'description="{number}"' for number in range(round_)})
        with ThreadPoolExecutor() as machines:
            started = [machines.submit(member.pulumi, *UP, fails=None) for member in (first, second)]
        ran = [each.result() for each in started]
        assert {each.status for each in ran} <= {0, 1}
        for refused in (each.output for each in ran if each.status != 0):
            # Whose lock it met may have given up in the same moment: then there is nothing to read of it any more.
            assert LOCKED in refused or "NotFound" in refused or "key not found" in refused, refused
        assert set(observer.valid()) == second.held()
    first.up("--refresh")
    assert set(observer.valid()) == second.held()
    assert sorted(observer.tokens()) == [str(number) for number in range(ROUNDS)]
    assert observer.provider_requests().count("POST /v1/access_token") == ROUNDS


def test_what_a_dead_machine_leaves_is_put_right_by_the_commands_of_the_document(
    first: Project, emulator: Emulator, observer: Observer
) -> None:
    """Killed when tokens were made and not recorded: the other is refused, and what is typed makes all good again."""
    first.program("""
        avn.AccessToken("ci", description="CI")
        avn.RotatingAccessToken("ingest", description="Ingest", max_age_seconds=86400,
                                early_rotation_window_seconds=7200, overlap_seconds=3600)
        """)
    second = join(first)
    emulator.faults = [Fault(kind="latency", seconds=COMMAND_TIMEOUT_SECONDS, method="POST")]
    assert first.interrupt_up(lambda: len(observer.valid()) == 2, unlock=False)
    emulator.faults = []
    lost = set(observer.valid())
    assert LOCKED in second.up(fails=True).output
    assert second.held() == set()

    second.environ["PULUMI_SKIP_CONFIRMATIONS"] = "true"
    (commands,) = re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL)
    told = second.shell(commands.replace("organization/tokens/prod", "organization/scratch/test"), status=1).output
    assert "pending operations" not in told
    assert ": 2 managed, 2 undelivered, " in told
    undelivered = find_undelivered(second)
    assert undelivered == {prefix: f"avn user access-token revoke {prefix}" for prefix in lost}
    follow(second, undelivered.values())
    assert set(observer.valid()) == second.held()
    assert "pending operations" not in second.up("--expect-no-changes").output


def test_the_backend_holds_no_secret_in_the_open(first: Project, backend: Backend) -> None:
    """Current, previous and revoked tokens are in its states, history and backups, with their prefixes alone."""
    secrets = Secrets()
    prefixes = set()
    for release in (1, 2):
        first.program(f"""
            ci = avn.AccessToken("ci", description="CI", rotation_triggers={{"release": {release}}})
            ingest = avn.RotatingAccessToken("ingest", description="Ingest", max_age_seconds=86400,
                early_rotation_window_seconds=7200, overlap_seconds=3600, rotation_triggers={{"release": {release}}})
            pulumi.export("ci", ci.full_token)
            pulumi.export("ingest", ingest.full_token)
            """).up()
        prefixes |= first.held()
        secrets += [first.outputs(name)["full_token"] for name in ("ci", "ingest")]
    assert len(prefixes) == len(set(secrets)) == 4
    blobs = backend.blobs()
    assert {kind for key in blobs for kind in ("stacks/", "history/", "backups/") if kind in key} == {
        "stacks/",
        "history/",
        "backups/",
    }
    content = b"".join(blobs.values())
    assert all(prefix.encode() in content for prefix in prefixes)
    for key, blob in blobs.items():
        assert_none_in(secrets, blob, key)


def test_a_member_with_another_passphrase_changes_nothing(first: Project, backend: Backend) -> None:
    """It is refused with the stack's settings and without them; without them, who knows the passphrase is not."""
    first.tokens(ci='description="CI"').up()
    second, settings = join(first), "Pulumi.test.yaml"
    before = backend.blobs()
    second.environ |= {"PULUMI_CONFIG_PASSPHRASE": "another"}
    assert "incorrect passphrase" in second.up(fails=True).output
    (second.folder / settings).unlink()
    assert "incorrect passphrase" in second.up(fails=True).output
    assert backend.blobs() == before
    second.environ |= {"PULUMI_CONFIG_PASSPHRASE": "test"}
    assert "incorrect passphrase" in second.up(fails=True).output
    (second.folder / settings).unlink()
    second.up("--expect-no-changes")
    first.up("--expect-no-changes")


def assert_held_by(member: Project, told: str) -> None:
    """That the line is the document's, with this user, this machine, a process of the member's, and a time."""
    examples = {"…": ".*", "alice@ci-7": "(?P<who>.*)", "4711": "(?P<pid>.*)", "2026-11-28T09:33:40Z": "(?P<since>.*)"}
    pattern = re.escape(HOLDER)
    for example, real in examples.items():
        pattern = pattern.replace(re.escape(example), real)
    holder = re.fullmatch(pattern, told)
    assert holder, told
    assert holder["who"] == f"{getpwuid(os.getuid()).pw_name}@{socket.gethostname()}"
    assert Path(f"/proc/{holder['pid']}/cwd").readlink() == member.folder
    assert parse_time(holder["since"])
