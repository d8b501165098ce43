"""One program, two Aiven accounts: each resource names the credential that has its account."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulumi_avn_token.emulator import Emulator
from tests.account import Observer
from tests.engine.project import SERIES, Project
from tests.pages import section

STAGING = 'credentials="AIVEN_TOKEN_STAGING"'


@pytest.fixture
def staging() -> Iterator[Emulator]:
    """The account of another user, at another address."""
    with Emulator(user="staging@example.org") as emulator:
        yield emulator


@pytest.fixture
def project(tmp_path: Path, emulator: Emulator, staging: Emulator) -> Project:
    """A project that has the credentials of both accounts in its environment."""
    environ = {"AIVEN_TOKEN_STAGING": staging.token, "AIVEN_TOKEN_STAGING_URL": staging.url}
    return Project(tmp_path / "project", emulator, environ)


def test_each_token_lives_and_ends_in_its_own_account(project: Project, emulator: Emulator, staging: Emulator) -> None:
    """Tokens, series and tokens that are only read are each of the account that they name, in every operation."""
    usual, other = Observer(emulator), Observer(staging)
    by_hand = other.make("by hand")
    project.pulumi("config", "set", "--secret", "staging:apiToken", staging.token, hidden=True)
    project.pulumi("config", "set", "staging:apiUrl", staging.url)
    project.program(
        f"""
        usual = avn.AccessToken("usual", description="usual")
        named = avn.AccessToken("named", description="named", {STAGING})
        configured = avn.AccessToken("configured", description="configured", credentials="staging:apiToken")
        series = avn.RotatingAccessToken("series", description="series", rotation_triggers={{"n": 1}}, {STAGING},
                                         **{SERIES})
        read = avn.AccessToken.get("read", "{by_hand["token_prefix"]}", {STAGING})
        pulumi.export("described", read.description)
        pulumi.export("seen", [token.description for token in avn.get_access_tokens(credentials="AIVEN_TOKEN_STAGING")])
        """
    )
    project.up()
    assert set(usual.tokens()) == {"usual"}
    assert set(other.tokens()) == {"by hand", "named", "configured", "series"}
    assert project.output("described") == "by hand"
    for name, observer in (("usual", usual), ("named", other), ("configured", other), ("series", other)):
        assert observer.works(project.outputs(name)["full_token"])
    secrets = [project.outputs(name)["full_token"] for name in project.state() if name != "read"]
    for account in (emulator, staging):
        account.clear_requests()
    project.refresh("--expect-no-changes")
    assert usual.provider_requests() == ["GET /v1/access_token"]
    assert other.provider_requests() == ["GET /v1/access_token"] * 2  # by two credentials
    body = (project.folder / "__main__.py").read_text().replace('"n": 1', '"n": 2').replace('"named"', '"new name"', 2)
    (project.folder / "__main__.py").write_text(body.replace('"new name"', '"named"', 1))
    project.up()
    assert set(other.tokens()) == {"by hand", "new name", "configured", "series"}
    assert len(other.valid()) == 5  # the series has a previous one
    project.destroy()
    assert usual.valid() == {}
    assert set(other.tokens()) == {"by hand"}
    assert not any(secret in text for secret in [*secrets, staging.token] for text in project.printed)


def test_the_program_of_the_page_about_teams_runs(
    project: Project, observer: Observer, emulator: Emulator, staging: Emulator
) -> None:
    """Its three tokens are made in the accounts that it says."""
    (program,) = re.findall(r"```python\n(.*?)```", section("teams.md", "More than one account"), re.DOTALL)
    (project.folder / "__main__.py").write_text(program, encoding="utf-8")
    project.pulumi("config", "set", "--secret", "lab:apiToken", emulator.token, hidden=True)
    project.up()
    assert sorted(token["description"] for token in observer.valid().values()) == ["CI", "CI"]
    assert list(Observer(staging).tokens()) == ["CI"]
    assert set(project.state()) == {"ci", "ci-lab", "ci-staging"}


def test_another_account_makes_it_anew_and_revokes_the_old_one(
    project: Project, emulator: Emulator, staging: Emulator
) -> None:
    """Named otherwise, a token is of another user: it is made there, and revoked here, and the preview says why."""
    usual, other = Observer(emulator), Observer(staging)
    project.program(
        f"""
        avn.AccessToken("ci", description="CI")
        avn.RotatingAccessToken("ingest", description="Ingest", **{SERIES})
        """
    ).up()
    before = {name: project.outputs(name) for name in ("ci", "ingest")}
    project.program(
        f"""
        avn.AccessToken("ci", description="CI", {STAGING})
        avn.RotatingAccessToken("ingest", description="Ingest", {STAGING}, **{SERIES})
        """
    )
    why = f"it is in the account of {emulator.user}, and credentials names that of {staging.user} now"
    told = project.preview()
    assert told.messages("ci") == [f"token {before['ci']['token_prefix']} is due to be replaced by a new one: {why}"]
    whole = "the series, with all its tokens, is due to be replaced by a new one"
    assert told.messages("ingest") == [f"{whole}: {why}"]
    assert "[diff: +credentials]" in told.output
    project.up()
    assert usual.valid() == {}
    assert set(other.tokens()) == {"CI", "Ingest"}
    project.up("--expect-no-changes")
    project.refresh("--expect-no-changes")


def test_another_name_of_the_same_account_changes_nothing_there(
    project: Project, emulator: Emulator, observer: Observer
) -> None:
    """A credential that goes by another name, such as its successor, is recorded, and then used to revoke."""
    project.environ |= {"NEXT_TOKEN": emulator.issue_token(description="next", session=True)}
    project.program(
        f"""
        avn.AccessToken("ci", description="CI")
        avn.RotatingAccessToken("ingest", description="Ingest", **{SERIES})
        """
    ).up()
    before = observer.valid()
    project.environ |= {"AIVEN_TOKEN": ""}  # the state still names the usual credential
    project.program(
        f"""
        avn.AccessToken("ci", description="CI", credentials="NEXT_TOKEN")
        avn.RotatingAccessToken("ingest", description="Ingest", credentials="NEXT_TOKEN", **{SERIES})
        """
    ).up()
    assert set(observer.valid()) == set(before)
    project.up("--expect-no-changes")
    project.refresh("--expect-no-changes")
    project.destroy()
    assert observer.valid() == {}


def test_a_name_without_a_credential_fails_before_anything_happens(
    project: Project, emulator: Emulator, staging: Emulator
) -> None:
    """What is named alone counts: no other account is met instead, and a secret in its place is not shown."""
    secret = "AVNU_" + "qwErTy" * 30
    for given, why in (
        ("AIVEN_TOKEN_UNSET", "credential: no Aiven credential in what credentials names, the environment variable"),
        ("unset:apiToken", "the stack setting unset:apiToken: `pulumi config set --secret unset:apiToken`"),
        (secret, "credentials: must be the name of an environment variable, such as AIVEN_TOKEN_STAGING, or of"),
    ):
        shown = project.program(f'avn.AccessToken("ci", description="d", credentials="{given}")').preview(fails=True)
        assert why in shown.output
        assert secret not in shown.output
    project.program('avn.AccessToken.get("read", "a", credentials="AIVEN_TOKEN_UNSET")').up(fails=True)
    project.environ["PASTED"] = secret
    for given in ("os.environ['PASTED']", "pulumi.Output.from_input(os.environ['PASTED'])"):
        project.program(f'import os\navn.AccessToken.get("read", "a", credentials={given})')
        for command in (("preview", "--json"), ("up", "--yes", "--diff")):
            told = project.pulumi(*command, fails=True).output
            assert "credentials must be the name of an environment variable" in told
            assert secret[:40] not in told
    assert emulator.requests == staging.requests == []


def test_a_name_that_is_not_known_yet_waits_until_it_is(project: Project, staging: Emulator) -> None:
    """A program may take the name from another resource: the preview passes, and the `up` meets that account alone."""
    other = Observer(staging)
    declared = f"""
        from pulumi import dynamic

        class Naming(dynamic.ResourceProvider):
            def create(self, props):
                return dynamic.CreateResult("x", {{"name": "AIVEN_TOKEN_STAGING"}})

        class Name(dynamic.Resource):
            name: pulumi.Output[str]

        name = Name(Naming(), "name", {{"name": None}}).name
        avn.AccessToken("ci", description="CI", credentials=name)
        avn.RotatingAccessToken("ingest", description="Ingest", credentials=name, **{SERIES})
        """
    project.program(declared)
    project.preview()
    project.up()
    assert set(other.tokens()) == {"CI", "Ingest"}
    project.program(declared.replace('"name",', '"another",'))  # whose name is not known in a preview
    project.preview()
    project.up()
    assert set(other.tokens()) == {"CI", "Ingest"}


def test_a_move_that_could_not_revoke_the_old_one_fails_before_it_makes_the_new_one(
    project: Project, emulator: Emulator, staging: Emulator
) -> None:
    """The preview asks for the credential that the state names, and says so; with it, the same command goes on."""
    usual, other = Observer(emulator), Observer(staging)
    project.tokens(ci=f'description="CI", {STAGING}').up()
    old = other.valid()
    there = project.environ.pop("AIVEN_TOKEN_STAGING")
    project.tokens(ci='description="CI"')
    for run in (project.preview, project.up):
        told = run(fails=True).output
        assert f"it cannot be revoked in the account of {staging.user} with what the state names" in told
        assert f"so it was not made anew in that of {emulator.user}" in told
        assert "the environment variable AIVEN_TOKEN_STAGING: set it" in told
    project.environ |= {"AIVEN_TOKEN_STAGING": emulator.token, "AIVEN_TOKEN_STAGING_URL": emulator.url}
    assert f"was made as {staging.user}, but the credential from" in project.up(fails=True).output
    assert (usual.valid(), other.valid()) == ({}, old)
    project.environ |= {"AIVEN_TOKEN_STAGING": there, "AIVEN_TOKEN_STAGING_URL": staging.url}
    project.up()
    assert (list(usual.tokens()), other.valid()) == (["CI"], {})


def test_a_series_that_becomes_a_token_in_another_account_is_made_anew(
    project: Project, emulator: Emulator, staging: Emulator
) -> None:
    """Both changes at once: all of its tokens go, those in their overlap too."""
    usual, other = Observer(emulator), Observer(staging)
    for release in (1, 2):
        triggers = f"rotation_triggers={{'n': {release}}}"
        project.program(f'avn.RotatingAccessToken("ci", description="CI", {triggers}, **{SERIES})').up()
    assert len(usual.valid()) == 2
    project.tokens(ci=f'description="CI", {STAGING}').up()
    assert (usual.valid(), list(other.tokens())) == ({}, ["CI"])


def test_another_service_is_another_account_though_the_user_is_the_same(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """Who has the same name at two addresses has two accounts: the token moves, and is not lost in the first."""
    project.tokens(ci='description="CI"').up()
    with Emulator(user=emulator.user) as there:
        project.environ |= {"AIVEN_TOKEN_STAGING": there.token, "AIVEN_TOKEN_STAGING_URL": there.url}
        told = project.tokens(ci=f'description="CI", {STAGING}').up()
        assert f"it is in the account of {emulator.url}, and credentials names that of {there.url} now" in told.output
        assert (observer.valid(), list(Observer(there).tokens())) == ({}, ["CI"])
        project.destroy()


def test_a_credential_that_another_resource_names_is_not_revoked_while_it_is_in_use(
    project: Project, observer: Observer
) -> None:
    """The token of one resource is the credential of another: a run that knows so leaves it alone, and says which."""
    declared = """
        runner = avn.AccessToken("runner", description="Runner", rotation_triggers={"n": %d})
        pulumi.export("runner", runner.full_token)
        """
    named = 'ci = avn.AccessToken("ci", description="CI", credentials="RUN_TOKEN")'
    project.program(declared % 1).up()
    project.environ["RUN_TOKEN"] = secret = project.output("runner")
    project.program(f"{declared % 1}\n        {named}").up()
    told = project.program(f"{declared % 2}\n        {named}").up(fails=True).output
    assert (
        f"token {secret[:12]} is the one that Pulumi is using right now, so it was not revoked. Set RUN_TOKEN" in told
    )
    assert observer.works(secret)
    project.environ["RUN_TOKEN"] = project.output("runner")
    project.up()
    assert not observer.works(secret)
    assert set(observer.tokens()) == {"Runner", "CI"}


def test_an_audit_of_one_account_leaves_what_is_read_in_the_other_alone(
    project: Project, observer: Observer, staging: Emulator
) -> None:
    """Whose a token is that is only read, no state says: with two credentials, it is no finding that it is not here."""
    read = Observer(staging).make("read")
    project.tokens(ci='description="CI"')
    with (project.folder / "__main__.py").open("a") as program:
        program.write(f'\navn.AccessToken.get("read", "{read["token_prefix"]}", {STAGING})\n')
    project.up()
    assert observer.works(project.output("ci"))
    audit = "pulumi-avn-token audit --stack organization/scratch/test"
    assert ": 1 managed." in project.shell(audit).output
