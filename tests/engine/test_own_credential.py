"""The credential that runs the stack: how it is rotated without anybody being locked out, by hand and by itself."""

from __future__ import annotations

import re

import pytest

from pulumi_avn_token.emulator import Emulator, Fault
from tests.account import Observer
from tests.engine.project import DAY, Project
from tests.pages import section


@pytest.fixture
def own(project: Project, emulator: Emulator) -> Project:
    """A project whose runs have a credential of their own, a hand-made token, and the page's program."""
    (program,) = re.findall(r"```python\n(.*?)```", section("teams.md", "Rotated by the stack itself"), re.DOTALL)
    (project.folder / "__main__.py").write_text(program, encoding="utf-8")
    emulator.clock_offset = -400 * DAY
    return project


def test_by_hand_the_steps_of_the_page_lock_nobody_out(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """The successor is made, tried, and used before the old one is revoked; then the stack goes on as before."""
    old = emulator.issue_token(description="Pulumi, old")
    project.environ |= {"AIVEN_TOKEN": old, "AIVEN_AUTH_TOKEN": old, "OLD_PREFIX": old[:12]}
    project.tokens(ci='description="CI"').up()
    (commands,) = re.findall(r"```sh\n(.*?)```", section("teams.md", "Rotated by hand"), re.DOTALL)
    project.shell(commands.replace("OLD_PREFIX", '"$OLD_PREFIX"'))
    assert set(observer.tokens()) == {"CI", "Pulumi, from 2026-12 on"}
    assert observer.works(project.output("ci"))


def test_revoked_too_early_nothing_is_lost_and_any_login_mends_it(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """In the wrong order, each run fails with the place to mend, drops nothing, and goes on with another credential."""
    old = emulator.issue_token(description="Pulumi, old")
    project.environ["AIVEN_TOKEN"] = old
    project.tokens(ci='description="CI"').up()
    before, state = observer.valid(), project.state(plain=True)
    observer.revoke(old[:12])
    for command in (("refresh", "--yes"), ("up", "--yes", "--refresh"), ("destroy", "--yes")):
        told = project.pulumi(*command, fails=True).output
        assert "the credential has expired, was revoked, or is wrong" in told
        assert "It came from the environment variable AIVEN_TOKEN" in told
    assert project.state(plain=True) == state
    project.environ["AIVEN_TOKEN"] = emulator.token
    project.up("--refresh", "--expect-no-changes")
    assert observer.valid() == {prefix: token for prefix, token in before.items() if prefix != old[:12]}


def test_by_itself_each_run_hands_the_next_its_credential(own: Project, observer: Observer, emulator: Emulator) -> None:
    """The first run has a login; each later one has what the run before left, through two rotations."""
    used = []
    for day in (0, 1, 20, 21, 24, 45, 50):
        emulator.clock_offset = (day - 400) * DAY
        told = own.up("--refresh")
        own.environ["AIVEN_TOKEN"] = own.output("runner")
        used.append(own.environ["AIVEN_TOKEN"])
        assert "is the one that Pulumi is using" not in told.output
        assert len(observer.valid()) <= 2
    assert len(set(used)) == 3
    assert list(observer.valid()) == [used[-1][:12]]
    assert not any(secret in text for secret in used for text in own.printed)


def test_a_store_that_was_not_updated_stops_the_run_and_revokes_nothing(
    own: Project, observer: Observer, emulator: Emulator
) -> None:
    """A run that still has the old credential after its overlap is told so; with the new one it goes on."""
    own.up()
    old = own.environ["AIVEN_TOKEN"] = own.output("runner")
    emulator.clock_offset = (20 - 400) * DAY
    own.up("--refresh")
    new = own.output("runner")
    emulator.clock_offset = (24 - 400) * DAY
    told = own.up("--refresh", fails=True).output
    assert f"token {old[:12]} is the one that Pulumi is using right now, so it was not revoked" in told
    assert "Set AIVEN_TOKEN to another token of this account and run the same command again" in told
    assert set(observer.valid()) == {old[:12], new[:12]}
    own.environ["AIVEN_TOKEN"] = new
    own.up("--refresh")
    assert list(observer.valid()) == [new[:12]]


def test_the_credential_of_the_run_is_replaced_and_destroyed_by_another(
    own: Project, observer: Observer, emulator: Emulator
) -> None:
    """A leak of it, and the end of the stack, need another login, as the error says; until then nothing happens."""
    own.up()
    leaked = own.environ["AIVEN_TOKEN"] = own.output("runner")
    program = own.folder / "__main__.py"
    program.write_text(program.read_text().replace('{"leak": 0}', '{"leak": 1}'))
    for run in (own.up, own.destroy):
        assert f"token {leaked[:12]} is the one that Pulumi is using right now" in run(fails=True).output
        assert list(observer.valid()) == [leaked[:12]]
    own.environ["AIVEN_TOKEN"] = emulator.token
    own.up()
    assert not observer.works(leaked)
    assert observer.works(own.output("runner"))
    own.destroy()
    assert observer.valid() == {}


@pytest.mark.parametrize("error_code", ["user_personal_token_not_allowed", "client_ip_address_policy_violation"])
def test_what_a_policy_forbids_is_told_and_drops_nothing(
    error_code: str, project: Project, observer: Observer, emulator: Emulator
) -> None:
    """A policy that comes to be later fails the runs in words that name it; the tokens and the state stay."""
    project.tokens(ci='description="CI"').up()
    before, state = observer.valid(), project.state(plain=True)
    emulator.faults = [Fault(kind="status", status=403, error_code=error_code, message="no")]
    project.tokens(ci='description="CI"', more='description="More"')
    (told_of,) = re.findall(
        rf"^\| `{error_code}` \| .* \| `(.*)` \|$", section("teams.md", "What a policy can forbid"), re.MULTILINE
    )
    for command in (("up", "--yes", "--skip-preview"), ("refresh", "--yes"), ("destroy", "--yes")):
        assert told_of in project.pulumi(*command, fails=True).output
    emulator.faults = []
    assert (observer.valid(), project.state(plain=True)) == (before, state)
