"""An `AccessToken` that becomes a series, and a series that becomes an `AccessToken`, on the real engine."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

import pytest

from pulumi_avn_token.emulator import Emulator, Fault
from pulumi_avn_token.emulator.journal import RequestRecord
from pulumi_avn_token.marks import mark_of
from tests.account import Observer
from tests.engine.project import CONSUMER, DAY, SERIES, TYPES, Project

TOKEN_TYPE, SERIES_TYPE = TYPES
TAKEN_OVER = "token {} is taken over as the current one of a series: none is made"
STAYS = "token {} stays, and is no series any longer: none is made"
KEEP = "the series cannot become an AccessToken yet, and nothing was changed: keep the RotatingAccessToken until"


COPYING = """
def of_another_name(args):
    aliases = pulumi.ResourceOptions(aliases=[pulumi.Alias(name="before-" + args.name)])
    return pulumi.ResourceTransformationResult(args.props, pulumi.ResourceOptions.merge(args.opts, aliases))

pulumi.runtime.register_stack_transformation(of_another_name)
"""
"""A transformation that gives each resource one more alias, and so copies the list of them."""


def a_token(arguments: str = "", opts: str = "", name: str = "ci") -> str:
    """Give a statement that declares an `AccessToken`."""
    return (
        f'{name} = avn.AccessToken("{name}", description="ci", max_age_seconds=30*86400, {arguments}'
        f" opts=pulumi.ResourceOptions({opts}))\n"
    )


URN = "urn:pulumi:test::scratch::pulumi-python:dynamic/avn:RotatingAccessToken::ci"


def a_series(arguments: str = "", opts: str = "", name: str = "ci") -> str:
    """Give a statement that declares a series with the settings of that token."""
    return (
        f'{name} = avn.RotatingAccessToken("{name}", description="ci", **dict({SERIES}, {arguments}),'
        f" opts=pulumi.ResourceOptions({opts}))\n"
    )


def released(release: int) -> str:
    """Give the argument that makes a new token where `release` is another."""
    return f'rotation_triggers={{"release": {release}}},'


def kept(project: Project) -> tuple[str, str, str, bytes]:
    """Tell of the one resource: its type, its id, its token, and the class of its provider."""
    resource = project.state(plain=True)["ci"]
    bags = [resource[bag] for bag in ("inputs", "outputs")]
    (provider,) = {base64.b64decode(bag["__provider"]) for bag in bags}
    assert {bag["__urn"] for bag in bags} == {resource["urn"]}
    (name,) = re.findall(rb"(?:Rotating)?AccessTokenProvider", provider)
    return resource["type"], resource["id"], resource["outputs"]["token_prefix"], name


def test_a_token_becomes_a_series_without_a_request_and_its_consumers_have_an_overlap(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """The change records, and no more; the first rotation then leaves the old secret valid for its overlap."""
    consumer = 'Consumer("consumer", ci.full_token)\n'
    project.at(0).program(CONSUMER + a_token() + consumer).up()
    old = project.outputs("ci")
    prefix = old["token_prefix"]

    project.at(5).program(CONSUMER + a_series('retire_previous="after_overlap",') + consumer)
    assert project.preview().messages("ci") == [TAKEN_OVER.format(prefix)]
    emulator.clear_requests()
    ran = project.up("--diff")
    # The machine's clock is far ahead of the account's here, so the account is asked what the time is.
    assert observer.provider_requests() == ["GET /v1/access_token"]
    assert ran.messages("ci") == []  # with --diff they stand above what they are about
    assert ran.output.count(TAKEN_OVER.format(prefix)) == 1
    assert "~ 1 updated" in ran.output
    assert kept(project) == (SERIES_TYPE, prefix, prefix, b"RotatingAccessTokenProvider")
    new = project.outputs("ci")
    assert new["full_token"] == old["full_token"]
    assert new["rotation_reason"] == "created"
    assert "adopt_prefix" not in new
    assert set(project.state()["ci"]["outputs"]["full_token"]) >= {"ciphertext"}
    for command in (project.up, project.preview, project.refresh):
        assert command("--expect-no-changes").messages("ci") == []

    (told,) = project.at(20.01).up().messages("ci")
    assert told.startswith(f"token {prefix} is due to rotate (window)")
    assert kept(project)[1] == prefix
    second = project.outputs("ci")
    assert second["previous_full_token"] == old["full_token"]
    assert observer.valid()[second["token_prefix"]]["description"] == "ci"
    assert f"PUT {mark_of(prefix, URN)}" in [_introduction(request) for request in emulator.requests]
    project.at(24.99).up("--expect-no-changes")
    assert prefix in observer.valid()
    project.at(25.02).up()
    assert set(observer.valid()) == {second["token_prefix"]}
    assert not observer.works(old["full_token"])
    project.up("--expect-no-changes")
    project.destroy()
    assert observer.valid() == {}


def test_a_change_that_asks_for_a_new_token_rotates_and_one_that_was_killed_is_made_up_for(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """What was a setting or a trigger of the token rotates the series; what nobody got is found by the derived mark."""
    project.program(a_token(released(1))).up()
    first = project.outputs("ci")
    known = {first["token_prefix"]}

    def kill() -> str:
        emulator.faults = [Fault(kind="latency", seconds=60, method="POST")]
        project.kill_up(lambda: bool(set(observer.valid()) - known))
        emulator.faults = []
        (stray,) = set(observer.valid()) - known
        assert observer.valid()[stray]["description"] == f"[pulumi-avn-token {mark_of(first['token_prefix'], URN)}] ci"
        return stray

    project.program(a_series(f"max_age_seconds=40*86400, {released(2)}"))
    stray = kill()
    assert kept(project)[0] == TOKEN_TYPE
    ran = project.up()
    assert ran.messages("ci")[0].startswith(
        f"token {first['token_prefix']} is due to rotate (settings): max_age_seconds changed; it then stays valid until"
    )
    assert "taken over" not in ran.output
    second = project.outputs("ci")
    assert second["previous_full_token"] == first["full_token"]
    known |= {second["token_prefix"]}
    assert set(observer.valid()) == known == project.held()
    assert stray not in known

    project.program(a_series(f"max_age_seconds=40*86400, {released(3)}"))
    stray = kill()
    assert f"token {stray} is due to be revoked: an `up` that was interrupted made it, and nobody got it" in (
        project.up().messages("ci")
    )
    assert set(observer.valid()) == project.held()
    assert project.outputs("ci")["previous_full_token"] == second["full_token"]
    project.up("--expect-no-changes")


def test_a_series_becomes_a_token_in_place_and_goes_on_as_one(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """It keeps its id, and all that is done then is done to its token, until a new one has an id of its own."""
    project.program(a_series(released(1))).up()
    _, id_, prefix, _ = kept(project)
    before = project.outputs("ci")
    project.program(a_token(released(1)))
    assert project.preview().messages("ci") == [STAYS.format(prefix)]
    emulator.clear_requests()
    assert "~ 1 updated" in project.up().output
    assert observer.provider_requests() == ["GET /v1/access_token"]
    assert kept(project) == (TOKEN_TYPE, id_, prefix, b"AccessTokenProvider")
    after = project.outputs("ci")
    assert after["full_token"] == before["full_token"]
    assert set(before) - set(after) == {
        "early_rotation_window_seconds",
        "overlap_seconds",
        "retire_previous",
        "rotates_at",
        "rotation_reason",
    }
    for command in (project.up, project.preview, project.refresh):
        assert command("--expect-no-changes").messages("ci") == []

    second = 'avn.AccessToken("second", description="ci", adopt_prefix=ci.token_prefix)'
    ran = project.program(a_token(released(1)) + second).preview(fails=True)
    assert f"token {prefix} is held by another resource of this stack already" in ran.output
    project.program(a_token(released(1)))
    observer.describe(prefix, "by hand")
    project.refresh()
    project.up()
    assert observer.valid()[prefix]["description"] == "ci"
    project.program(a_token(released(2))).up()
    _, id_, new_prefix, _ = kept(project)
    assert id_ == new_prefix
    assert set(observer.valid()) == {new_prefix}

    project.program(a_series(released(2))).up()
    project.program(a_token(released(2))).up()
    observer.revoke(new_prefix)
    (warning,) = project.refresh().messages("ci")
    assert warning == f"warning: token {new_prefix} was revoked outside of Pulumi; the next `pulumi up` makes a new one"
    project.program(a_series(released(2))).up()
    project.program(a_token(released(2))).up()
    assert kept(project)[1].startswith("series-")
    project.destroy()
    assert observer.valid() == {}


def test_a_series_with_a_token_beside_its_current_one_does_not_become_a_token(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """It is refused in the preview, for a previous token or a stray, known or not, and done once that is gone."""
    project.at(0).program(a_series(released(1))).up()
    project.program(a_series(released(2))).up()
    both = project.outputs("ci")
    project.program(a_token(released(2)))
    for command in (project.preview, project.up):
        (told,) = [line for line in command(fails=True).messages("ci") if KEEP in line]
        assert f"has retired token {both['previous_token_prefix']}, the one before the current one" in told
    assert project.outputs("ci") == both
    assert observer.works(both["previous_full_token"])
    observer.revoke(both["previous_token_prefix"])
    assert project.preview().messages("ci") == [STAYS.format(both["token_prefix"])]

    project.program(a_series(released(3)))
    emulator.faults = [Fault(kind="latency", seconds=60, method="POST")]
    project.kill_up(lambda: len(observer.valid()) == 2)
    emulator.faults = []
    (stray,) = set(observer.valid()) - project.held()
    project.program(a_token(released(2)))
    assert f"{KEEP} `pulumi up --refresh` has revoked {stray}, which" in project.up(fails=True).output
    project.program(a_series(released(2))).up("--refresh")
    assert set(observer.valid()) == {both["token_prefix"]}
    assert project.program(a_token(released(2))).up().messages("ci") == [STAYS.format(both["token_prefix"])]

    project.program(a_series(released(2))).up()
    project.program(a_series(released(3))).up()
    current = project.outputs("ci")["token_prefix"]
    observer.revoke(current)
    assert KEEP in project.program(a_token(released(3))).up(fails=True).output
    observer.revoke(both["token_prefix"])
    (told,) = project.up().messages("ci")
    assert told == (f"token {current} is due to be replaced by a new one: it was revoked outside of Pulumi")
    assert kept(project)[1] in observer.valid()


def test_a_token_that_was_adopted_becomes_a_series_through_a_manifest_and_no_secret_is_shown(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """`rotation:` is added, `adopt_prefix` left out; a secret that is not known stays so until the first rotation."""
    ages = {"max_age_seconds": 30 * DAY}
    known, unknown = (observer.make(name, **ages) for name in ("known", "unknown"))
    declared = "{name}:\n    description: {name}\n    max_age: 30d\n    {rest}\n"

    def manifest(known_rest: str, unknown_rest: str) -> Project:
        entries = (
            declared.format(name="known", rest=known_rest),
            declared.format(name="unknown", rest=unknown_rest),
        )
        (project.folder / "tokens.yaml").write_text("tokens:\n  " + "  ".join(entries))
        return project

    project.environ["KNOWN"] = known["full_token"]
    project.program(
        """
        import os
        avn.AccessToken("known", description="known", adopt_prefix=os.environ["KNOWN"])
        avn.AccessToken("unknown", description="unknown", adopt_prefix=os.environ["KNOWN"] and "PREFIX")
        """.replace("PREFIX", unknown["token_prefix"])
    ).up()
    project.program('avn.access_tokens_from_manifest("tokens.yaml")')
    alone = "rotation_triggers: {release: '1'}"
    rotation = "rotation: {before: 10d, overlap: 5d}\n    rotation_triggers: {release: '%s'}"
    emulator.clear_requests()
    ran = manifest(rotation % 1, f"adopt_prefix: {unknown['token_prefix']}").preview("--diff")
    assert TAKEN_OVER.format(known["token_prefix"]) in ran.output
    ran = manifest(rotation % 1, rotation % 1).up("--diff")
    assert TAKEN_OVER.format(unknown["token_prefix"]) in ran.output
    assert emulator.requests == []
    assert project.outputs("known")["full_token"] == known["full_token"]
    assert "full_token" not in project.outputs("unknown")

    manifest(alone, alone).up("--diff")
    project.up("--expect-no-changes")
    assert set(observer.valid()) == {known["token_prefix"], unknown["token_prefix"]}
    manifest(rotation % 1, rotation % 1).up("--diff")
    manifest(rotation % 2, rotation % 2).up("--diff")
    outputs = {name: project.outputs(name) for name in ("known", "unknown")}
    assert outputs["known"]["previous_full_token"] == known["full_token"]
    assert "previous_full_token" not in outputs["unknown"]
    assert outputs["unknown"]["previous_token_prefix"] == unknown["token_prefix"]
    assert observer.works(unknown["full_token"])
    assert observer.works(outputs["unknown"]["full_token"])
    project.pulumi("stack", "export")
    secrets = [known["full_token"], unknown["full_token"], *(each["full_token"] for each in outputs.values())]
    stored = "".join(path.read_text() for path in (project.folder / "state").rglob("*.json*"))
    for secret in secrets:
        assert secret[12:36] not in "".join(project.printed) + stored
    project.destroy()
    assert observer.valid() == {}


def test_a_refresh_or_a_destroy_before_the_change_is_recorded_goes_by_what_is_recorded(
    project: Project, observer: Observer
) -> None:
    """Whichever of the two kinds the program declares meanwhile, and whether the engine runs it or not."""
    for was, becomes in ((a_token(), a_series()), (a_series(), a_token())):
        project.program(was).up()
        before = kept(project)
        project.program(becomes).refresh("--expect-no-changes")
        assert kept(project) == before
        project.refresh("--run-program")
        assert set(observer.valid()) == {before[2]}
        project.up("--refresh")
        assert kept(project)[1:3] == before[1:3]
        project.up("--expect-no-changes")
        project.program(was).destroy()
        assert observer.valid() == {}


def test_a_transformation_that_copies_the_options_does_not_hinder_it(project: Project, observer: Observer) -> None:
    """What becomes of a token stays that token."""
    project.program(COPYING + a_token()).up()
    for becomes in (a_series(), a_token()):
        (prefix,) = observer.valid()
        project.program(COPYING + becomes).up()
        assert set(observer.valid()) == {prefix}


@pytest.mark.parametrize("before", ["", COPYING], ids=["", "transformed"])
def test_both_kinds_under_one_name_are_two_resources(
    project: Project, observer: Observer, emulator: Emulator, before: str
) -> None:
    """From the start or added, whatever their order, and after one of them failed: neither gets the other's token."""
    both = before + a_token() + a_series()
    emulator.faults = [Fault(kind="status", status=500, method="POST", after=1)]
    project.program(both).up(fails=True)
    emulator.faults = []
    project.up()
    assert len(observer.valid()) == 2
    project.up("--expect-no-changes")
    for alone, other in ((a_series(), a_token()), (a_token(), a_series())):
        project.program(before + alone).up()
        (prefix,) = observer.valid()
        project.program(before + other + alone).up()
        assert len(observer.valid()) == 2
        assert prefix in observer.valid()
    project.up("--expect-no-changes")


def test_a_token_that_is_only_read_is_never_taken_over(project: Project, observer: Observer) -> None:
    """A series in the place of `AccessToken.get` begins with a token of its own, and that of the other stays valid."""
    read = observer.make("read")
    get = f'ci = avn.AccessToken.get("ci", "{read["token_prefix"]}")\n'
    for managed in (a_series(), a_token()):
        project.program(get).up()
        ran = project.program(managed).up()
        assert "taken over" not in ran.output
        assert kept(project)[2] != read["token_prefix"]
        project.program(get).up()
        assert set(observer.valid()) == {read["token_prefix"]}


def test_parents_children_names_protection_and_targets_go_along(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """It is found below a component, with its child, under another name by an alias, protected or targeted."""
    component = """
class Group(pulumi.ComponentResource):
    def __init__(self, name):
        super().__init__("test:index:Group", name)

group = Group("group")
"""

    def declared(kind: Callable[..., str], other: Callable[..., str], name: str, opts: str) -> str:
        return (
            component
            + kind("", "protect=True")
            + other(name="inner", opts="parent=group")
            + a_token(name="kid", opts="parent=inner")
            + kind(name=name, opts=f"aliases=[pulumi.Alias({opts})]")
        )

    project.program(declared(a_token, a_series, "old", "")).up()
    before = _tokens(project)
    emulator.clear_requests()
    project.program(declared(a_series, a_token, "new", f'name="old", type_="{TOKEN_TYPE}"'))
    project.up("--target", f"urn:pulumi:test::scratch::{SERIES_TYPE}::new")
    assert {name: resource["type"] for name, resource in project.state().items()} == {
        "ci": TOKEN_TYPE,
        "inner": SERIES_TYPE,
        "kid": TOKEN_TYPE,
        "new": SERIES_TYPE,
    }
    project.up()
    assert {request.method for request in emulator.requests} <= {"GET"}
    assert project.state()["ci"]["protect"]
    assert project.state()["inner"]["type"] == TOKEN_TYPE
    after = _tokens(project)
    assert after.pop("new") == before.pop("old")
    assert after == before
    project.up("--expect-no-changes")
    project.program(declared(a_token, a_series, "old", f'name="new", type_="{SERIES_TYPE}"')).up()
    assert {request.method for request in emulator.requests} <= {"GET"}
    assert len(observer.valid()) == 4
    assert set(observer.valid()) == set(_tokens(project).values())
    project.up("--expect-no-changes")


def _tokens(project: Project) -> dict[str, str]:
    return {name: resource["outputs"]["token_prefix"] for name, resource in project.state().items()}


def _introduction(request: RequestRecord) -> str:
    """The method of a request, and the mark that it carries."""
    mark = re.search(r"\((series-[0-9a-f]{16})\)", request.user_agent or "")
    return f"{request.method} {mark[1] if mark else None}"
