"""What must not happen when something is wrong, and what the person at the terminal is told."""

from __future__ import annotations

import re
from pathlib import Path

from pulumi_avn_token.emulator import Emulator, Fault
from tests.account import Observer
from tests.engine.project import Project


def test_all_bad_values_are_told_in_the_preview(project: Project, emulator: Emulator) -> None:
    """Every fault of a resource, each with its property, in one go, without a traceback and without a request."""
    for arguments, faulty in (
        ('description="", max_age_seconds=10, ip_allowlist=["nonsense"], extend_when_used="yes"', 4),
        ('description="x" * 1001, max_age_seconds=3600, early_rotation_window_seconds=3600, rotation_triggers=[1]', 3),
        ('description=1, max_age_seconds=3600.5, scopes=["a"] * 101, full_token="a"', 4),
    ):
        shown = project.tokens(ci=arguments).preview(fails=True).output
        named = set(re.findall(r"resource 'ci' has a problem: (\w+): (?:must|is) ", shown))
        assert len(named) == faulty, shown
        assert "Traceback" not in shown
    assert emulator.requests == []


def test_a_bad_secret_is_not_shown(project: Project) -> None:
    """The engine shows the value that a failure is about, even of a secret; here it has nothing to show."""
    secret = "not" + "to" + "be" + "seen"
    project.program(
        f"""
        avn.AccessToken("ci", description=pulumi.Output.secret("{secret}" * 100), adopt_prefix="XCJ3+bgWywIh",
                        full_token="{secret}")
        """
    )
    shown = project.preview(fails=True).output
    assert "must have at most 1000 characters, not 1100" in shown
    assert "it does not begin with adopt_prefix" in shown
    assert secret not in shown


def test_no_credential_fails_in_the_preview(project: Project) -> None:
    """A stack that cannot authenticate says so, and how to, before anything happens."""
    project.environ["AIVEN_TOKEN"] = ""
    shown = project.tokens(ci='description="CI"').preview(fails=True).output
    assert "no Aiven credential: set AIVEN_TOKEN" in shown
    assert "Traceback" not in shown


def test_a_refused_credential_is_told_with_its_source(project: Project) -> None:
    """The famous "db token" is translated, and where the credential came from is named."""
    project.environ["AIVEN_TOKEN"] = "not-a" + "-token"
    shown = project.tokens(ci='description="CI"').up(fails=True).output
    assert "the credential has expired, was revoked, or is wrong" in shown
    assert "It came from the environment variable AIVEN_TOKEN" in shown
    assert project.environ["AIVEN_TOKEN"] not in shown


def test_the_stack_configuration_is_used_and_its_age_is_told(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """`aiven:apiToken` and `aiven:apiUrl` work without any variable; a refused one names what refresh is given."""
    token = emulator.issue_token()
    project.pulumi("config", "set", "--secret", "aiven:apiToken", token, hidden=True)
    project.pulumi("config", "set", "aiven:apiUrl", emulator.url)
    project.environ |= {"AIVEN_TOKEN": "", "AIVEN_WEB_URL": ""}
    project.tokens(ci='description="CI"').up()
    assert observer.works(project.output("ci"))
    observer.revoke(token[:12])
    shown = project.refresh(fails=True).output
    assert "are given that of the last `pulumi up`" in shown
    assert token not in "".join(project.printed) + str(project.state())
    project.environ |= {"AIVEN_TOKEN": emulator.token}
    project.refresh("--expect-no-changes")


def test_another_account_drops_nothing(project: Project, observer: Observer, emulator: Emulator) -> None:
    """With a credential of another user, refresh, update and destroy are errors that leave state and account alone."""
    project.tokens(ci='description="CI"').up()
    before = project.outputs("ci")
    project.environ["AIVEN_TOKEN"] = emulator.issue_token(user="other@example.org")
    for ran in (project.refresh(fails=True), project.destroy(fails=True)):
        assert "was made as demo@example.org, but the credential" in ran.output
        assert "belongs to other@example.org" in ran.output
    for arguments in ('description="CI 2"', 'description="CI", max_age_seconds=3600'):
        assert "belongs to other@example.org" in project.tokens(ci=arguments).up(fails=True).output
    assert project.outputs("ci") == before
    assert observer.works(before["full_token"])


def test_the_token_in_use_is_never_revoked(project: Project, observer: Observer, emulator: Emulator) -> None:
    """A stack that manages the very token it runs with refuses to revoke it, and says what to do instead."""
    own = emulator.issue_token(description="CI")
    project.environ["AIVEN_TOKEN"] = own
    project.tokens(ci=f'description="CI", adopt_prefix="{own[:12]}"').up()
    shown = project.destroy(fails=True).output
    assert f"token {own[:12]} is the one that Pulumi is using right now, so it was not revoked" in shown
    assert observer.works(own)
    project.environ["AIVEN_TOKEN"] = emulator.token
    project.destroy()
    assert not observer.works(own)


def test_an_error_on_refresh_drops_nothing(project: Project, emulator: Emulator) -> None:
    """Only a proven absence counts: neither a server error nor a proxy's page makes a token disappear."""
    project.tokens(ci='description="CI"').up()
    before = project.outputs("ci")
    for fault in (Fault(kind="status", status=500), Fault(kind="html")):
        emulator.faults = [fault]
        project.refresh(fails=True)
        emulator.faults = []
        assert project.outputs("ci") == before
    project.refresh("--expect-no-changes")


def test_a_failure_in_the_middle_of_several_creations_loses_none(tmp_path: Path) -> None:
    """What was made before the quota was reached is recorded, the rest is made by the next `up`, and none twice."""
    with Emulator(quota=3) as emulator:
        observer = Observer(emulator)
        project = Project(tmp_path / "project", emulator)
        program = "for n in range(5): avn.AccessToken(f't{n}', description=f't{n}')"
        project.program(program).up(fails=True)
        recorded = {resource["id"] for resource in project.state().values()}
        assert recorded == {token["token_prefix"] for token in observer.tokens().values()}
        assert len(recorded) == 3
    with Emulator(quota=None) as emulator:
        project = Project(tmp_path / "other", emulator)
        observer = Observer(emulator)
        emulator.faults = [Fault(kind="status", status=500, method="POST", after=3)]
        project.program(program).up(fails=True)
        emulator.faults = []
        project.up()
        recorded = {resource["id"] for resource in project.state().values()}
        assert recorded == {token["token_prefix"] for token in observer.tokens().values()}
        assert len(recorded) == 5


def test_a_description_of_a_vanished_token_says_what_to_do(project: Project, observer: Observer) -> None:
    """An update of a token that somebody revoked fails with the way out, and that way works."""
    project.tokens(ci='description="CI"').up()
    observer.revoke(observer.tokens()["CI"]["token_prefix"])
    shown = project.tokens(ci='description="CI 2"').up(fails=True).output
    assert "it has expired or was revoked: run `pulumi up --refresh`" in shown
    project.up("--refresh")
    assert observer.works(project.output("ci"))


def test_faults_of_a_manifest_are_told_without_a_traceback(project: Project) -> None:
    """A manifest's faults reach the terminal as `FILE:LINE:COLUMN: what`, and nothing else does."""
    (project.folder / "tokens.yaml").write_text("tokens:\n  ci:\n    descripton: CI\n    max_age: 30\n")
    shown = project.program('avn.access_tokens_from_manifest("tokens.yaml")').preview(fails=True).output
    assert "tokens.yaml:3:5: tokens.ci: unknown key 'descripton'; is description meant?" in shown
    assert "tokens.yaml:4:14: tokens.ci.max_age: must be a number and a unit" in shown
    assert "tokens.yaml:2:3: tokens.ci.description: is missing" in shown
    assert "Traceback" not in shown


def test_a_deletion_that_fails_in_a_replacement_is_made_up_for(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """The new token is recorded, the old one stays known, and the next `up` revokes it."""
    project.tokens(ci='description="CI", rotation_triggers={"a": 1}').up()
    old = project.output("ci")
    emulator.faults = [Fault(kind="status", status=500, method="DELETE")]
    project.tokens(ci='description="CI", rotation_triggers={"a": 2}').up(fails=True)
    new = project.output("ci")
    assert (observer.works(old), observer.works(new)) == (True, True)
    emulator.faults = []
    project.up()
    assert (observer.works(old), observer.works(new)) == (False, True)
    assert project.output("ci") == new


def test_a_replacement_by_force_is_like_any_other(project: Project, observer: Observer) -> None:
    """`--replace` makes a new token and revokes the old one."""
    project.tokens(ci='description="CI"').up()
    old = project.output("ci")
    project.up("--replace", project.state()["ci"]["urn"])
    assert (observer.works(old), observer.works(project.output("ci"))) == (False, True)


def test_retain_on_delete_lets_a_token_go_without_revoking_it(project: Project, observer: Observer) -> None:
    """A token can leave the stack alive."""
    project.tokens(ci='description="CI", opts=pulumi.ResourceOptions(retain_on_delete=True)').up()
    kept = project.output("ci")
    project.destroy()
    assert project.state() == {}
    assert observer.works(kept)
