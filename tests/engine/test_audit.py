"""The audit against real stacks: what each token of the account is, and whether the advice to it does what it says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pulumi_avn_token.emulator import Emulator, Fault
from tests.account import Observer
from tests.engine.project import DAY, Project

MADE_BUT_NOT_ANSWERED = [Fault(kind="latency", seconds=60, method="POST")]
DESCRIBED_BUT_NOT_ANSWERED = [Fault(kind="latency", seconds=60, method="PUT")]
MARKED = "a mark"


def test_fresh_stacks_are_all_managed_however_they_are_asked_for(project: Project, observer: Observer) -> None:
    """Two projects of a backend, a series within its overlap among them: by name, all, pipe and file say the same.

    Neither the project's folder nor the passphrase is needed, and exports with secrets tell no more than those without.
    """
    other = sibling(project, "other")
    project.at(0).series(ingest="").up()
    project.at(20.01).up()
    other.tokens(ci='description="CI"', nb='description="notebooks"').up()
    secrets = [token.outputs(name)["full_token"] for token, name in ((project, "ingest"), (other, "ci"))]
    project.shell("pulumi stack export > state.json")
    project.shell("pulumi stack export --show-secrets > open.json")
    other.shell(f"pulumi stack export --show-secrets > {project.folder}/other.json")
    for asking in (project, other):
        asking.environ["PULUMI_CONFIG_PASSPHRASE"] = ""
    both = "--stack organization/scratch/test --stack organization/other/test"
    elsewhere = project.folder.parent

    expected = audit(project, "--all-stacks")
    assert {prefix: entry["status"] for prefix, entry in expected.items()} == dict.fromkeys(observer.valid(), "managed")
    holdings = [holding for entry in expected.values() for holding in entry["held_by"]]
    assert sorted((holding["urn"].split("::")[-1], holding["role"]) for holding in holdings) == [
        ("ci", "current"),
        ("ingest", "current"),
        ("ingest", "previous"),
        ("nb", "current"),
    ]
    for folder in (project.folder, other.folder, elsewhere):
        for asked in ("--all-stacks", both):
            assert kinds(audit(project, asked, folder=folder)) == kinds(expected)
    for files in ("state.json other.json", "open.json other.json", "state.json --stack organization/other/test"):
        assert kinds(audit(project, files)) == kinds(expected)
    piped = project.shell("cat open.json other.json | pulumi-avn-token audit - --json").output
    assert kinds(by_prefix(piped)) == kinds(expected)
    alone = project.shell("pulumi stack export | pulumi-avn-token audit - --json", status=1).output
    assert {entry["status"] for entry in by_prefix(alone).values()} == {"managed", "orphan"}
    lines = project.shell("pulumi-avn-token audit --all-stacks --all").output.splitlines()
    assert lines[-1] == "demo@example.org: 4 managed, 3 warnings."
    printed = "".join([*project.printed, *other.printed])
    assert not any(secret[20:60] in printed for secret in secrets)


def test_what_was_done_by_hand_is_told_with_advice_that_settles_it(project: Project, observer: Observer) -> None:
    """Revoked by hand is gone, made by hand is unmanaged though a program reads it; what the advice says mends both."""
    by_hand, read = observer.make("by hand"), observer.make("read")
    body = f"""
        avn.AccessToken("ci", description="CI")
        avn.RotatingAccessToken("ingest", description="Ingest", max_age_seconds=86400,
                                early_rotation_window_seconds=7200, overlap_seconds=3600,
                                rotation_triggers={{"release": 1}})
        avn.AccessToken.get("read", "{read["token_prefix"]}")
        """
    project.program(body).up()
    project.program(body.replace('"release": 1', '"release": 2')).up()
    assert findings(audit(project, status=1)) == {
        by_hand["token_prefix"]: {"unmanaged"},
        read["token_prefix"]: {"unmanaged"},
    }
    for prefix in project.held() - {read["token_prefix"]}:
        observer.revoke(prefix)
    observer.revoke(read["token_prefix"])
    entries = audit(project, status=1)
    held = project.held() | {read["token_prefix"]}
    assert findings(entries) == {by_hand["token_prefix"]: {"unmanaged"}, **{prefix: {"gone"} for prefix in held}}
    advice = entries[read["token_prefix"]]["findings"][0]["advice"]
    assert advice.startswith("take the AccessToken.get of read out of the program")

    project.program("\n".join(line for line in body.splitlines() if "AccessToken.get" not in line))
    # Only its URN goes: what the refresh of a token that is read and gone does is told by the next test.
    project.pulumi("state", "delete", project.state()["read"]["urn"], "--yes")
    (command,) = {commands(entries[prefix])[0] for prefix in held - {read["token_prefix"]}}
    assert command == "pulumi up --refresh"
    project.shell(f"{command} --yes")
    entries = audit(project, status=1)
    assert findings(entries) == {by_hand["token_prefix"]: {"unmanaged"}}
    adopt, revoke = commands(entries[by_hand["token_prefix"]])
    assert f"adopt_prefix: {by_hand['token_prefix']}\n" in project.shell(adopt).output
    official(project, revoke)
    assert findings(audit(project)) == {}
    assert observer.valid().keys() == project.held()


def test_a_token_that_is_only_read_and_gone_does_not_hold_up_the_run_for_a_schedule(
    project: Project, observer: Observer
) -> None:
    """A refresh forgets it with a warning; a program that still reads it fails, and one that does not comes up."""
    prefix = observer.make("by hand")["token_prefix"]
    reads = f'avn.AccessToken.get("read", "{prefix}")\navn.AccessToken("ci", description="CI")'
    project.program(reads).up()
    observer.revoke(prefix)
    assert findings(audit(project, status=1)) == {prefix: {"gone"}}
    missing = f"no valid token of this account has the prefix {prefix}"
    assert missing in project.pulumi("up", "--refresh", "--yes", fails=True).output
    project.program('avn.AccessToken("ci", description="CI")')
    project.shell("pulumi up --refresh --yes")
    assert findings(audit(project)) == {}
    assert observer.valid().keys() == project.held()


def test_what_an_interrupted_up_of_a_series_made_is_undelivered(project: Project, observer: Observer) -> None:
    """Killed before or after a token got its description: the command of the advice revokes it, and no other token."""
    triggered(project, 1).up()
    held = project.held()

    kill(triggered(project, 2), observer, MADE_BUT_NOT_ANSWERED, {"ci", MARKED})
    (stray,) = observer.valid().keys() - held
    entry = audit(project, status=1)[stray]
    assert entry["status"] == "undelivered"
    assert "ci of scratch/test made it in an `up` that was interrupted" in entry["findings"][0]["what"]
    triggered(project, 1)  # nothing rotates any longer: what was left behind is found all the same
    project.shell(f"{commands(entry)[0]} --yes")
    assert observer.valid().keys() == held == project.held()
    assert findings(audit(project)) == {}

    kill(triggered(project, 2), observer, DESCRIBED_BUT_NOT_ANSWERED, {"ci"})
    (stray,) = observer.valid().keys() - held
    entry = audit(project, status=1)[stray]
    assert entry["status"] == "undelivered"
    assert commands(entry) == ["pulumi up --refresh"]
    triggered(project, 1)
    project.shell("pulumi up --refresh --yes")
    assert observer.valid().keys() == held == project.held()
    assert findings(audit(project)) == {}


def test_an_export_from_before_a_rotation_leads_nobody_to_revoke_the_current_token(
    project: Project, observer: Observer
) -> None:
    """An old export calls the new token undelivered: the advice for it, and for its predecessor, does no harm."""
    triggered(project, 1).up()
    old = project.folder / "old.json"
    project.shell(f"pulumi stack export > {old}")
    triggered(project, 2).up()
    held = project.held()
    told = json.loads(project.shell(f"pulumi-avn-token audit {old} --json", status=1).output)
    (undelivered,) = [token for token in told["tokens"] if token["status"] == "undelivered"]
    assert undelivered["token_prefix"] in held
    for command in commands(undelivered):
        project.shell(f"{command} --yes")
    assert observer.valid().keys() == held == project.held()


def test_the_advice_for_a_leak_ends_what_leaked(project: Project, observer: Observer) -> None:
    """With triggers in the state or without, both kinds: who stole it is shut out, and the owner gets another."""

    def program(leaks: int) -> Project:
        body = f"""
            series = dict(max_age_seconds=86400, early_rotation_window_seconds=7200, overlap_seconds=3600)
            avn.AccessToken("plain", description="plain")
            avn.AccessToken("armed", description="armed", rotation_triggers={{"leak": {leaks}}})
            avn.RotatingAccessToken("series", description="series", **series)
            avn.RotatingAccessToken("sos", description="sos", revocation_triggers={{"leak": {leaks}}}, **series)
            """
        return project.program(body)

    names = ("plain", "armed", "series", "sos")
    program(0).up()
    leaked = {name: project.outputs(name) for name in names}
    for agent in ("owner/1.0", "thief/1.0"):
        for token in leaked.values():
            assert observer.works(token["full_token"], by=agent)
        if agent == "owner/1.0":
            project.shell("pulumi up --refresh --yes")
    entries = audit(project)
    assert findings(entries) == {token["token_prefix"]: {"new-use"} for token in leaked.values()}
    for name, token in leaked.items():
        revoking = [command for command in commands(entries[token["token_prefix"]]) if "revoke" in command]
        assert len(revoking) == (name in {"plain", "series"})
        for command in revoking:
            official(project, command)
    program(1)
    project.shell("pulumi up --refresh --yes")
    assert not any(observer.works(token["full_token"]) for token in leaked.values())
    assert all(observer.works(project.outputs(name)["full_token"]) for name in names)
    assert findings(audit(project)) == {}


def test_what_an_interrupted_first_up_of_a_series_made_is_told_by_its_mark(
    project: Project, observer: Observer
) -> None:
    """No state knows the series: by its description or by its use alone, the mark tells the stack that made it."""
    for faults, described in ((MADE_BUT_NOT_ANSWERED, MARKED), (DESCRIBED_BUT_NOT_ANSWERED, "ci")):
        kill(triggered(project, 1), observer, faults, {described})
        (stray,) = observer.valid()
        entry = audit(project, status=1)[stray]
        assert entry["status"] == "undelivered"
        assert "an `up` of scratch/test that was interrupted made it" in entry["findings"][0]["what"]
        (revoke,) = [command for command in commands(entry) if command.startswith("avn ")]
        official(project, revoke)
        assert audit(project) == {}
    project.up()
    assert findings(audit(project)) == {}
    assert observer.valid().keys() == project.held()


def test_a_token_whose_answer_was_lost_is_undelivered_where_it_could_not_be_looked_for(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """An `up` that can list the account revokes it and makes another; else it is told until somebody revokes it."""
    emulator.faults = [Fault(kind="drop_after", call="create"), Fault(kind="status", status=500, call="list")]
    shown = project.tokens(ci='description="CI"').up(fails=True).output
    assert "a token may have been made that nobody holds, and the account cannot be asked" in shown
    emulator.faults = [Fault(kind="drop_after", call="create", times=1)]
    (lost,) = observer.valid()
    project.up()
    assert observer.valid().keys() == {lost, *project.held()}
    emulator.faults = []
    entry = audit(project, status=1)[lost]
    assert entry["status"] == "undelivered"
    (revoke,) = [command for command in commands(entry) if command.startswith("avn ")]
    official(project, revoke)
    assert observer.valid().keys() == project.held()
    assert findings(audit(project)) == {}


def test_tokens_of_another_user_are_not_called_gone(project: Project, emulator: Emulator) -> None:
    """They are named and not compared, and where there are no others, that is an error."""
    other = sibling(project, "other")
    other.environ["AIVEN_TOKEN"] = emulator.issue_token(user="other@example.org", max_age_seconds=30 * DAY)
    other.tokens(nb='description="notebooks"').up()
    mine = project.shell("pulumi-avn-token audit --all-stacks", status=2).output
    assert mine == (
        "pulumi-avn-token: all tokens of these stacks belong to other@example.org, but the credential to"
        " demo@example.org, who cannot see them: use a credential of theirs\n"
    )
    project.tokens(ci='description="CI"').up()
    mine = project.shell("pulumi-avn-token audit --all-stacks").output
    assert "gone" not in mine
    assert "\ndemo@example.org: 1 managed, 1 warning.\n" in mine
    assert "Not compared" in mine.splitlines()[-1]
    assert "other@example.org" in mine.splitlines()[-1]
    told = json.loads(project.shell("pulumi-avn-token audit --all-stacks --json").output)
    assert told["other_users"] == ["other@example.org"]
    assert {token["token_prefix"] for token in told["tokens"]} == project.held()
    # The token that the other user's stack runs with is one of theirs, and nobody manages it.
    theirs = audit(other, "--all-stacks", status=1)
    assert findings(theirs) == {other.environ["AIVEN_TOKEN"][:12]: {"unmanaged"}}
    assert theirs.keys() == {other.environ["AIVEN_TOKEN"][:12], *other.held()}


def test_a_token_in_two_stacks_is_held_twice_until_one_lets_go(project: Project, observer: Observer) -> None:
    """The advice, to let one of them go by `retain_on_delete`, ends that, and the token stays valid."""
    other = sibling(project, "other")
    project.tokens(ci='description="CI"').up()
    (prefix,) = project.held()
    before = observer.valid()
    adopts = f'description="CI", adopt_prefix="{prefix}"'
    other.tokens(ours=adopts).up()
    assert findings(audit(project, "--stack test")) == {}
    entries = audit(project, "--all-stacks")
    assert findings(entries) == {prefix: {"held-twice"}}
    assert entries[prefix]["findings"][0]["what"] == "ci of scratch/test and ours of other/test hold it"
    assert "retain_on_delete, run `pulumi up`, and then remove it" in entries[prefix]["findings"][0]["advice"]
    project.shell("pulumi-avn-token audit --all-stacks --strict", status=1)
    other.tokens(ours=f"{adopts}, opts=pulumi.ResourceOptions(retain_on_delete=True)").up()
    other.program("").up()
    assert findings(audit(project, "--all-stacks")) == {}
    assert observer.valid() == before


def test_after_a_destroy_nothing_is_left_but_what_nobody_managed(project: Project, observer: Observer) -> None:
    """Series and tokens are gone from the account and the stack, and the rest is unmanaged as it was."""
    by_hand = observer.make("by hand")
    source = 'avn.AccessToken("token", description="token")\n'
    triggered(project, 1, source).up()
    triggered(project, 2, source).up()
    assert len(audit(project, status=1)) == 4
    project.destroy()
    entries = audit(project, status=1)
    assert {prefix: entry["status"] for prefix, entry in entries.items()} == {by_hand["token_prefix"]: "unmanaged"}
    observer.revoke(by_hand["token_prefix"])
    ran = project.shell("pulumi-avn-token audit --stack test")
    assert ran.output == "demo@example.org: no tokens, here or there.\n"


def test_a_program_asks_for_tokens_in_previews_too(project: Project, observer: Observer, emulator: Emulator) -> None:
    """With the credential in the stack's configuration alone as well; no secret is printed, and no warning either."""
    by_hand = observer.make("by hand", max_age_seconds=86400)
    prefix, secret = by_hand["token_prefix"], by_hand["full_token"]
    project.environ["SECRET"] = secret
    project.program(f"""
        import os

        tokens = avn.get_access_tokens()
        print([token for token in tokens])
        token = avn.get_access_token("{prefix}")
        assert avn.get_access_token(os.environ["SECRET"]) == token and token in tokens
        pulumi.export("expiry", token.expiry_time)
        pulumi.export("sessions", len(avn.get_access_tokens(sessions=True)) - len(tokens))
        avn.AccessToken("ci", description=token.description)
        """)
    for is_in_the_stack in (False, True):
        if is_in_the_stack:
            project.pulumi("config", "set", "--secret", "aiven:apiToken", emulator.token, hidden=True)
            project.environ["AIVEN_TOKEN"] = ""
        emulator.clear_requests()
        for ran in (project.preview(), project.up()):
            assert f"TokenInfo(token_prefix='{prefix}'" in ran.output
            assert "warning" not in ran.output.lower()
        assert {request.method for request in emulator.requests} == (
            {"GET"} if is_in_the_stack else {"GET", "POST", "PUT"}
        )
    assert project.output("expiry") == observer.valid()[prefix]["expiry_time"]
    assert project.output("sessions") == 2
    printed = "".join(project.printed)
    made = project.outputs("ci")["full_token"]
    assert not any(hidden[20:60] in printed for hidden in (secret, made, emulator.token))

    observer.revoke(prefix)
    told = project.preview(fails=True).output
    assert f"no valid token of this account has the prefix {prefix}: it has expired, was revoked" in told
    assert secret[20:60] not in told


def sibling(project: Project, name: str) -> Project:
    """Another project of the same backend and account."""
    folder = project.folder.parent / name
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text(f"name: {name}\nruntime: python\n")
    return Project(folder, project.emulator, {"PULUMI_BACKEND_URL": (project.folder / "state").as_uri()})


def triggered(project: Project, release: int, source: str = "") -> Project:
    """Declare a series with a trigger that a release changes, beside what else is declared."""
    project.series(ci=f'rotation_triggers={{"release": {release}}}')
    program = project.folder / "__main__.py"
    program.write_text(program.read_text() + "\n" + source)
    return project


def kill(project: Project, observer: Observer, faults: list[Fault], described: set[str]) -> None:
    """Kill an `up` once there is a token more and these are all descriptions, where one with a mark is `MARKED`."""
    count = len(observer.valid())

    def has_come_so_far() -> bool:
        tokens = [token["description"] for token in observer.valid().values()]
        found = {MARKED if text.startswith("[pulumi-avn-token series-") else text for text in tokens}
        return len(tokens) > count and found == described

    project.emulator.faults = faults
    project.kill_up(has_come_so_far)
    project.emulator.faults = []


def audit(
    project: Project, stacks: str = "--stack test", *, status: int = 0, folder: Path | None = None
) -> dict[str, Any]:
    """Run an audit that must end with this status, and give what it tells of each token."""
    ran = project.shell(f"pulumi-avn-token audit {stacks} --json", status=status, folder=folder)
    return by_prefix(ran.output)


def by_prefix(output: str) -> dict[str, Any]:
    """What an audit told, by prefix."""
    return {token["token_prefix"]: token for token in json.loads(output)["tokens"]}


def kinds(entries: dict[str, Any]) -> dict[str, list[str]]:
    """The status, the holders and the findings of each token."""
    return {
        prefix: [entry["status"], *(holding["urn"] for holding in entry["held_by"])]
        + [finding["kind"] for finding in entry["findings"]]
        for prefix, entry in entries.items()
    }


def findings(entries: dict[str, Any]) -> dict[str, set[str]]:
    """What was found of each token, but that nobody has used it yet."""
    found = {
        prefix: {finding["kind"] for finding in entry["findings"]} - {"never-used"} for prefix, entry in entries.items()
    }
    return {prefix: kinds for prefix, kinds in found.items() if kinds}


def commands(entry: Any) -> list[str]:
    """The commands of the advice to a token that can be copied; only the first finding's."""
    return re.findall(r"`((?:pulumi|avn)[^`]+)`", entry["findings"][0]["advice"])


def official(project: Project, command: str) -> None:
    """Type a command of the official command line as somebody who is logged in with it."""
    project.shell(f"AIVEN_AUTH_TOKEN=$AIVEN_TOKEN {command}")
