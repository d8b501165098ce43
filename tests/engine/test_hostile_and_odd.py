"""What others write into the account, what else holds a token, and options and values that few programs have."""

from __future__ import annotations

import re

import pytest
import requests

from pulumi_avn_token.emulator import Emulator
from tests.account import Observer
from tests.contract.servers import Server, refusal
from tests.engine.project import DAY, SERIES, Project, Ran

HOSTILE = "curl <{%x%}>/8"
"""A text that the engine takes for a colour, which it does not know: in any message or output it would panic."""

INERT = "curl <{ %x%}>/8"
"""How it is told."""

COLOURS = ("--diff", "--color", "always")
"""Everything is printed, and what the engine takes for a colour is looked up."""

LATER = '''
from pulumi import dynamic

class LaterProvider(dynamic.ResourceProvider):
    """Something whose output is not known in a preview that is going to update it, and that may take its time."""

    def create(self, props):
        return dynamic.CreateResult("later", {**props, "out": props["value"]})

    def diff(self, _id, olds, news):
        return dynamic.DiffResult(changes=olds["release"] != news["release"])

    def update(self, _id, olds, news):
        import os, requests, time
        if "LAGGARD" in os.environ:
            headers = {"Authorization": "aivenv1 " + os.environ["LAGGARD"], "User-Agent": "laggard"}
            requests.get(os.environ["AIVEN_WEB_URL"] + "/v1/me", headers=headers, timeout=10).raise_for_status()
            time.sleep(11)
        return dynamic.UpdateResult({**news, "out": news["value"]})

class Later(dynamic.Resource):
    out: pulumi.Output[float]

    def __init__(self, name, release, value=0, opts=None):
        super().__init__(LaterProvider(), name, {"release": release, "value": value, "out": None}, opts)
'''
"""The part of a program that defines `Later(name, release, value, opts)`."""


def test_a_user_agent_breaks_no_command_on_a_series(project: Project, observer: Observer) -> None:
    """Whoever has a token cannot crash the engine by a User-Agent: it is named, and no token is lost."""
    project.at(0).series(ci='revocation_triggers={"leak": 1}').up()
    project.at(20.01).up()
    outputs = project.outputs("ci")
    use_hostile(project.at(22), outputs["previous_full_token"])
    use_hostile(project, outputs["full_token"])
    project.at(25.02)
    in_brief = project.preview("--color", "always")
    for ran in (in_brief, project.preview(*COLOURS), project.up(*COLOURS), project.refresh(*COLOURS)):
        assert f"127.0.0.1 by {INERT}" in ran.output or ran.output.count(INERT) == 2, ran.output
        assert_sound(ran, project, observer)
    assert project.outputs("ci")["last_user_agent"] == project.outputs("ci")["previous_last_user_agent"] == INERT

    for arguments in ("max_age_seconds=40*86400, revocation_triggers={'leak': 1}", "revocation_triggers={'leak': 2}"):
        project.series(ci=arguments)
        assert_sound(project.preview(*COLOURS), project, observer)
        ran = project.up(*COLOURS)
        assert INERT in ran.output, ran.output
        assert_sound(ran, project, observer)
    assert project.outputs("ci")["rotation_reason"] == "emergency"
    assert len(observer.valid()) == 1
    project.up("--expect-no-changes")
    assert_sound(project.destroy(*COLOURS), project, observer)


def test_what_others_write_breaks_no_command_on_an_access_token(project: Project, observer: Observer) -> None:
    """Used by such an agent, described so by hand, or refused in such words: commands end, and no token is lost."""
    stranger = observer.make(HOSTILE)
    use_hostile(project, stranger["full_token"])

    def declared(arguments: str) -> Project:
        return project.program(
            f"""
            avn.AccessToken("ci", {arguments})
            stranger = avn.AccessToken.get("stranger", "{stranger["token_prefix"]}")
            pulumi.export("stranger", [stranger.description, stranger.last_user_agent])
            """
        )

    assert_sound(declared('description="ci"').up(*COLOURS), project, observer)
    assert project.output("stranger") == [INERT, INERT]
    token = project.outputs("ci")
    use_hostile(project, token["full_token"])
    observer.describe(token["token_prefix"], HOSTILE)
    for ran in (project.refresh(*COLOURS), project.up(*COLOURS)):
        assert_sound(ran, project, observer)
    assert observer.valid()[token["token_prefix"]]["description"] == "ci"
    assert_sound(declared('description="ci", max_age_seconds=86400').up(*COLOURS), project, observer)
    assert not observer.works(token["full_token"])

    with Server(refusal(400, HOSTILE)) as server:
        project.environ["AIVEN_WEB_URL"] = server.url
        ran = declared('description="new", max_age_seconds=86400').up(*COLOURS, fails=True)
        assert f"Aiven does not take it: {INERT}" in ran.output
    del project.environ["AIVEN_WEB_URL"]
    assert_sound(ran, project, observer)


@pytest.mark.parametrize("ignored", ["description", "*"])
def test_what_is_gone_is_made_anew_though_changes_are_ignored(
    project: Project, observer: Observer, ignored: str
) -> None:
    """With `ignore_changes` too, a refresh tells what was revoked by hand, and the next `up` makes a new token."""
    made = observer.make("nb")
    options = f'opts=pulumi.ResourceOptions(ignore_changes=["{ignored}"])'
    project.program(
        f"""
        avn.RotatingAccessToken("ci", description="ci", **{SERIES}, {options})
        avn.AccessToken("nb", description="nb", adopt_prefix="{made["token_prefix"]}", {options})
        """
    ).up()
    old = {name: project.outputs(name)["token_prefix"] for name in ("ci", "nb")}
    for prefix in old.values():
        observer.revoke(prefix)
    ran = project.refresh("--expect-no-changes", fails=True)
    for name, prefix in old.items():
        gone = f"warning: token {prefix} was revoked outside of Pulumi; the next `pulumi up` makes a new one"
        assert gone in ran.messages(name)
    project.refresh("--expect-no-changes", fails=True)  # not told once only
    ran = project.up()
    assert ran.messages("ci") == [f"token {old['ci']} is due to rotate (revoked): it was revoked outside of Pulumi"]
    assert ran.messages("nb") == [
        f"token {old['nb']} is due to be replaced by a new one: it was revoked outside of Pulumi"
    ]
    assert set(observer.valid()) == project.held()
    assert len(project.held()) == 2
    project.up("--expect-no-changes")
    project.refresh("--expect-no-changes")
    project.up("--expect-no-changes")


def test_triggers_are_told_apart_as_exactly_as_they_are_written(project: Project, observer: Observer) -> None:
    """`True` is not `1`, and a number that Pulumi would round is refused, so that no emergency is overlooked."""
    project.series(ci='revocation_triggers={"leak": True}').up()
    leaked = project.outputs("ci")
    (message,) = project.series(ci='revocation_triggers={"leak": 1}').up().messages("ci")
    assert "is due to rotate (emergency): revocation_triggers changed (leak)" in message
    assert not observer.works(leaked["full_token"])
    current = project.outputs("ci")
    for name, value in (("revocation_triggers", "2**53"), ("rotation_triggers", "[{'n': -2.0**60}]")):
        project.series(ci=f"{name}={{'leak': {value}}}")
        ran = project.preview(fails=True)
        assert f"{name}: must hold exact values; leak has more than fifteen digits: give it as a string" in ran.output
        assert "Traceback" not in ran.output
    project.up(fails=True)
    assert project.outputs("ci") == current
    assert set(observer.valid()) == project.held() == {current["token_prefix"]}
    (message,) = project.series(ci="revocation_triggers={'leak': 2**53 - 1}").preview().messages("ci")
    assert "is due to rotate (emergency)" in message


def test_a_series_token_is_not_revoked_with_a_resource_that_adopts_it(project: Project, observer: Observer) -> None:
    """Such an adoption is refused where the series is known first; where it is not, removing it revokes nothing."""
    project.series(ci="").up()
    before = project.outputs("ci")
    series = f'ci = avn.RotatingAccessToken("ci", description="ci", **{SERIES}, opts=pulumi.ResourceOptions(OPTS))\n'
    adopts = f'nb = avn.AccessToken("nb", description="ci", adopt_prefix="{before["token_prefix"]}"'
    adopts += ", opts=pulumi.ResourceOptions(OPTS))\n"
    project.program(series.replace("OPTS", "") + adopts.replace("OPTS", "depends_on=[ci]"))
    for ran in (project.preview(fails=True), project.up(fails=True)):
        assert f"token {before['token_prefix']} is held by another resource of this stack already" in ran.output
    assert set(project.state()) == {"ci"}

    project.program(adopts.replace("OPTS", "") + series.replace("OPTS", "depends_on=[nb]"))
    told = project.up().messages("ci")
    assert told == [
        f"warning: token {before['token_prefix']} is held by two resources of this stack: remove one of them"
    ]
    assert set(project.state()) == {"ci", "nb"}
    told = project.program(series.replace("OPTS", "")).up().messages("nb")
    assert told == [f"token {before['token_prefix']} stays valid: another resource of this stack holds it"]
    assert observer.works(project.outputs("ci")["full_token"])
    assert set(observer.valid()) == project.held() == {before["token_prefix"]}
    project.up("--expect-no-changes")


def test_a_series_is_removed_while_a_token_of_it_is_adopted(project: Project, observer: Observer) -> None:
    """What another resource takes over in the same `up` survives; the series' other token is revoked."""
    for release in (1, 2):
        project.series(ci=f'rotation_triggers={{"release": {release}}}').up()
    before = project.outputs("ci")
    project.environ["SECRET"] = before["full_token"]
    project.tokens(
        nb=f'description="nb", adopt_prefix="{before["token_prefix"]}", full_token=__import__("os").environ["SECRET"]'
    )
    ran = project.up()
    kept = f"token {before['token_prefix']} stays valid: another resource of this stack holds it"
    assert ran.messages("ci") == [kept]
    assert set(project.state()) == {"nb"}
    assert set(observer.valid()) == project.held() == {before["token_prefix"]}
    assert observer.works(project.output("nb"))
    project.up("--expect-no-changes")


def test_a_forced_replacement_revokes_what_it_replaces_and_nothing_that_is_held(
    project: Project, observer: Observer
) -> None:
    """With `replacement_trigger` the old tokens go, but an adopted one stays; `replace_on_changes` replaces nothing.

    A dynamic provider cannot tell the engine which inputs changed, so the description is set in place as always.
    """
    adopted = observer.make("old")["token_prefix"]

    def declared(description: str, trigger: int, release: int = 1) -> Project:
        options = f'opts=pulumi.ResourceOptions(replace_on_changes=["description"], replacement_trigger={trigger})'
        return project.program(
            f"""
            avn.AccessToken("made", description="{description}", {options})
            avn.AccessToken("adopted", description="{description}", adopt_prefix="{adopted}", {options})
            avn.RotatingAccessToken("series", description="{description}", rotation_triggers={{"release": {release}}},
                                    **{SERIES}, {options})
            """
        )

    declared("old", 1).up()
    declared("old", 1, release=2).up()
    before, held = project.state(), project.held()
    assert len(held) == 4
    assert "3 updated" in declared("new", 1, release=2).up().output
    assert {name: resource["id"] for name, resource in project.state().items()} == {
        name: resource["id"] for name, resource in before.items()
    }
    assert {token["description"] for token in observer.valid().values()} == {"new"}
    assert set(observer.valid()) == project.held() == held

    ran = declared("newer", 2, release=2).up()
    assert "3 replaced" in ran.output
    assert f"token {adopted} stays valid: another resource of this stack holds it" in ran.messages("adopted")
    assert set(observer.valid()) == project.held()
    assert held & project.held() == {adopted}
    assert len(project.held()) == 3
    assert {token["description"] for token in observer.valid().values()} == {"newer"}
    assert project.state()["series"]["id"] != before["series"]["id"]
    project.up("--expect-no-changes")


def test_a_window_that_is_not_known_yet_rotates_in_time(project: Project, observer: Observer) -> None:
    """Where the window comes from a resource that is to be updated, the preview announces the rotation all the same."""

    def declared(release: int) -> Project:
        return project.program(
            f"""{LATER}
later = Later("later", {release}, {10 * DAY})
avn.RotatingAccessToken("ci", **{{**{SERIES}, "description": "ci", "early_rotation_window_seconds": later.out}})
"""
        )

    declared(1).at(0).up()
    old = project.outputs("ci")
    assert project.at(19.99).preview().messages("ci") == []
    declared(2).at(20.01)
    for ran in (project.preview(), project.up()):
        (message,) = ran.messages("ci")
        assert f"token {old['token_prefix']} is due to rotate (window)" in message
    assert project.outputs("ci")["previous_full_token"] == old["full_token"]
    assert set(observer.valid()) == project.held()
    project.up("--expect-no-changes")


def test_a_previous_token_that_is_used_during_a_long_up_is_not_revoked_by_it(
    project: Project, observer: Observer
) -> None:
    """A series whose turn comes late looks at the account again before it revokes what nobody used until then."""

    def declared(release: int) -> Project:
        return project.program(
            f"""{LATER}
early = avn.RotatingAccessToken("early", description="early", **{SERIES})
later = Later("later", {release}, opts=pulumi.ResourceOptions(depends_on=[early]))
avn.RotatingAccessToken("late", description="late", **{SERIES}, opts=pulumi.ResourceOptions(depends_on=[later]))
"""
        )

    declared(1).at(0).up()
    project.at(20.01).up()
    early, late = project.outputs("early"), project.outputs("late")
    project.environ["LAGGARD"] = late["previous_full_token"]
    ran = declared(2).at(25.02).up()
    assert early["previous_token_prefix"] not in observer.valid()
    assert late["previous_token_prefix"] in observer.valid()
    assert re.fullmatch(
        rf"warning: token {re.escape(late['previous_token_prefix'])}, replaced at \S+Z, was used since: last used at"
        r" \S+Z from 127\.0\.0\.1 by laggard\. Its overlap ended at .*",
        ran.messages("late")[-1],
    )
    assert set(observer.valid()) == project.held()
    del project.environ["LAGGARD"]
    assert "by laggard" in project.up("--expect-no-changes").messages("late")[0]


def test_a_destroy_with_anothers_credential_is_an_error_whatever_is_gone(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """The tokens of the user whom they were made as are neither revoked nor forgotten, also where one is missing."""
    for release in (1, 2):
        project.series(ci=f'rotation_triggers={{"release": {release}}}').up()
    for is_gone in (False, True):
        if is_gone:
            observer.revoke(project.outputs("ci")["token_prefix"])
            project.refresh()
        before, valid = project.outputs("ci"), observer.valid()
        project.environ["AIVEN_TOKEN"] = emulator.issue_token(user=f"{HOSTILE}@example.org")
        ran = project.destroy(*COLOURS, fails=True)
        assert f"belongs to {INERT}@example.org, who cannot see it; it was left alone" in ran.output
        del project.environ["AIVEN_TOKEN"]
        assert project.outputs("ci") == before
        assert observer.valid().keys() == valid.keys()
    project.destroy()
    assert observer.valid() == {}


def use_hostile(project: Project, full_token: str) -> None:
    """Use a token as somebody would who wants to harm whoever runs `pulumi`."""
    headers = {"Authorization": f"aivenv1 {full_token}", "User-Agent": HOSTILE}
    requests.get(f"{project.emulator.url}/v1/me", headers=headers, timeout=10).raise_for_status()


def assert_sound(ran: Ran, project: Project, observer: Observer) -> None:
    """The engine did not crash, and the state holds all that is valid."""
    assert "panic" not in ran.output
    assert "Unrecognized color code" not in ran.output
    assert set(observer.valid()) == project.held()
