"""A series of tokens on the real engine: rotated in time, retired, read, described anew, revoked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pulumi_avn_token.emulator import Emulator
from pulumi_avn_token.model import parse_time
from tests.account import Observer
from tests.engine.project import CONSUMER, DAY, SERIES, Project

USED = r"last used at \S+Z from 127\.0\.0\.1 by observer"


def test_a_rotation_is_an_update_in_place_that_is_told_with_its_reason(project: Project, observer: Observer) -> None:
    """Once its window opens, a new token is made in the same series; the old one is retired after its overlap."""
    project.at(0).series(ci="").up()
    first, id_ = project.outputs("ci"), project.state()["ci"]["id"]
    assert set(observer.valid()) == {first["token_prefix"]}
    assert observer.valid()[first["token_prefix"]]["description"] == "ci"
    assert first["rotation_reason"] == "created"
    assert not any(name.startswith("previous_") for name in first)
    assert _between(first, "rotates_at", "expiry_time") == timedelta(days=10)

    assert observer.works(first["full_token"])  # before it has a successor, its use is nobody's lag
    project.at(19.99).up("--expect-no-changes")
    seen = project.at(20.01).preview()
    (message,) = seen.messages("ci")
    assert message.startswith(
        f"token {first['token_prefix']} is due to rotate (window): it expires at {first['expiry_time']}, within"
        " early_rotation_window_seconds=864000; it then stays valid until "
    )
    assert message.endswith(", and longer while it is in use")
    assert re.search(r"RotatingAccessToken ci update token \S+ is due to rotate \(window\)", seen.output)
    assert "~ 1 to update\n    1 unchanged" in seen.output
    assert set(observer.valid()) == {first["token_prefix"]}
    told = project.up().messages("ci")[0]
    assert told.partition("valid until")[0] == message.partition("valid until")[0]
    second = project.outputs("ci")
    assert project.state()["ci"]["id"] == id_
    assert second["rotation_reason"] == "window"
    assert second["full_token"] != first["full_token"]
    for name in ("token_prefix", "full_token", "expiry_time"):
        assert second[f"previous_{name}"] == first[name]
    assert second["previous_superseded_time"] == second["create_time"]
    assert _between(second, "previous_superseded_time", "previous_retires_at") == timedelta(days=5)
    assert set(observer.valid()) == {first["token_prefix"], second["token_prefix"]}

    project.at(25).up("--expect-no-changes")
    (message,) = project.at(25.02).preview().messages("ci")
    assert message == (
        f"token {first['token_prefix']} is due to be revoked: its time is over (its overlap ended at"
        f" {_to_the_second(second['previous_retires_at'])}); it was not used since it was replaced"
    )
    assert set(observer.valid()) == {first["token_prefix"], second["token_prefix"]}
    assert project.up().messages("ci") == [message]
    assert not observer.works(first["full_token"])
    assert observer.works(second["full_token"])
    expected = {name: value for name, value in second.items() if not name.startswith("previous_")}
    assert _without_uses(project.outputs("ci")) == _without_uses(expected)
    project.up("--expect-no-changes")


def test_dependents_get_the_new_secret_in_the_same_up_and_none_is_cut_off(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """A changed trigger costs four requests, a consumer then moves over while both work, and nothing is revoked."""
    program = f"""
token = avn.RotatingAccessToken("ci", description="CI", rotation_triggers={{"release": RELEASE}}, **{SERIES})
Consumer("consumer", token.full_token)
pulumi.export("previous", token.previous_full_token)
"""
    project.program(CONSUMER + program.replace("RELEASE", "1")).up()
    old = project.outputs("ci")
    emulator.clear_requests()
    shown = project.program(CONSUMER + program.replace("RELEASE", "2")).up()
    assert (
        f"token {old['token_prefix']} is due to rotate (trigger): rotation_triggers changed (release)" in shown.output
    )
    assert [
        f"{(request.user_agent or '').split('/')[0]} {request.method} {request.path.split('access_token/')[0]}"
        for request in emulator.requests
    ] == [
        "pulumi-avn-token GET /v1/access_token",
        "pulumi-avn-token GET /v1/me",
        "pulumi-avn-token POST /v1/access_token",
        "pulumi-avn-token PUT /v1/",
        "consumer GET /v1/me",
        "consumer GET /v1/me",
    ]
    new = project.outputs("ci")
    assert project.output("previous") == old["full_token"] == new["previous_full_token"]
    assert observer.works(new["full_token"])
    emulator.clear_requests()
    project.up("--expect-no-changes")
    project.preview("--expect-no-changes")
    assert observer.provider_requests() == []


def test_a_previous_token_in_use_is_kept_and_warned_of_until_its_own_end(project: Project, observer: Observer) -> None:
    """With `when_idle` every command names the last use, and only expiry ends it; `after_overlap` revokes all the same.

    A use counts from the moment on when the successor was there.
    """
    program = {"idle": "", "strict": 'retire_previous="after_overlap"'}
    project.at(0).series(**program).up()
    project.at(20.01).up()
    idle, strict = project.outputs("idle"), project.outputs("strict")
    project.at(22)
    assert observer.works(idle["previous_full_token"])
    assert observer.works(strict["previous_full_token"])

    ran = project.at(25.02).preview()
    (lingers,), (retired,) = ran.messages("idle"), ran.messages("strict")
    assert re.fullmatch(
        rf"warning: token {re.escape(idle['previous_token_prefix'])}, replaced at \S+Z, was used since: {USED}\. Its"
        rf" overlap ended at {_to_the_second(idle['previous_retires_at'])}, but it stays valid until it expires at"
        rf" {_to_the_second(idle['previous_expiry_time'])}, unless retire_previous is \"after_overlap\"\."
        " If that consumer has not changed over, give it the new secret",
        lingers,
    )
    assert re.fullmatch(
        rf"warning: token {re.escape(strict['previous_token_prefix'])} is due to be revoked: its time is over"
        rf" \(its overlap ended at {_to_the_second(strict['previous_retires_at'])}\); it was used since it was"
        rf" replaced: {USED}",
        retired,
    )
    assert len(observer.valid()) == 4
    assert "1 updated" in project.up().output
    assert not observer.works(strict["previous_full_token"])

    project.at(28)
    assert observer.works(idle["previous_full_token"])
    used = observer.valid()[idle["previous_token_prefix"]]["last_used_time"]
    (later,) = project.up("--expect-no-changes").messages("idle")
    assert later != lingers
    assert f"last used at {_to_the_second(used)} from" in later

    (ended,) = project.at(30.01).up().messages("idle")
    assert ended == f"token {idle['previous_token_prefix']}, the one before the current one, has expired"
    assert not any(name.startswith("previous_") for name in project.outputs("idle"))
    assert set(observer.valid()) == {idle["token_prefix"], strict["token_prefix"]}
    assert project.up("--expect-no-changes").messages("idle") == []


def test_a_rotation_inside_an_overlap_displaces_the_oldest_and_an_emergency_leaves_none(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """At most two are valid, with a warning of the last use of the one that goes; `revocation_triggers` revoke all."""

    def triggered(release: int, leak: int) -> Project:
        triggers = f'rotation_triggers={{"release": {release}}}, revocation_triggers={{"leak": {leak}}}'
        return project.series(busy=triggers, quiet=triggers)

    triggered(1, 1).up()
    first = project.outputs("busy")
    triggered(2, 1).up()
    second, quiet = project.outputs("busy"), project.outputs("quiet")
    assert observer.works(first["full_token"])

    ran = triggered(3, 1).preview()
    rotates, displaced = ran.messages("busy")
    assert (
        f"token {second['token_prefix']} is due to rotate (trigger): rotation_triggers changed (release); it" in rotates
    )
    assert re.fullmatch(
        rf"warning: token {re.escape(first['token_prefix'])} is due to be revoked: no more than two may be valid"
        rf" \(its overlap would end at \S+Z\); it was used since it was replaced: {USED}",
        displaced,
    )
    assert ran.messages("quiet")[1] == (
        f"warning: token {quiet['previous_token_prefix']} is due to be revoked: no more than two may be valid"
        f" (its overlap would end at {_to_the_second(quiet['previous_retires_at'])}); it was not used since it was"
        " replaced"
    )
    emulator.clear_requests()
    assert displaced in project.up("--target", project.state()["busy"]["urn"]).messages("busy")
    assert _writes(emulator) == ["DELETE", "POST", "PUT"]
    assert not observer.works(first["full_token"])
    third = project.outputs("busy")
    assert third["previous_full_token"] == second["full_token"]
    assert {second["token_prefix"], third["token_prefix"]} < set(observer.valid())

    emulator.clear_requests()
    told = triggered(3, 2).up("--target", project.state()["busy"]["urn"]).messages("busy")
    assert told == [
        (
            f"token {third['token_prefix']} is due to rotate (emergency): revocation_triggers changed (leak); it is"
            " revoked at once"
        ),
        f"token {second['token_prefix']}, the one before it, is revoked at once too",
    ]
    assert _writes(emulator) == ["DELETE", "POST", "DELETE", "PUT"]
    assert not observer.works(second["full_token"])
    assert not observer.works(third["full_token"])
    fourth = project.outputs("busy")
    assert fourth["rotation_reason"] == "emergency"
    assert not any(name.startswith("previous_") for name in fourth)

    triggered(2, 3).up("--target", project.state()["busy"]["urn"])
    assert not observer.works(fourth["full_token"])
    assert observer.works(project.outputs("busy")["full_token"])
    assert set(observer.valid()) == project.held()


def test_a_refresh_tells_what_was_revoked_and_an_up_makes_what_is_missing(project: Project, observer: Observer) -> None:
    """Whichever of the two is gone, the series lives on with its id, and nothing valid is forgotten."""
    names = ("current", "previous", "both", "used")
    project.series(**dict.fromkeys(names, 'rotation_triggers={"release": 1}')).up()
    project.series(**dict.fromkeys(names, 'rotation_triggers={"release": 2}')).up()
    before = {name: project.outputs(name) for name in names}
    ids = {name: resource["id"] for name, resource in project.state().items()}
    assert observer.works(before["used"]["full_token"])
    assert observer.works(before["used"]["previous_full_token"])
    ran = project.refresh("--expect-no-changes")
    assert [ran.messages(name) for name in names] == [[]] * 4
    used = project.outputs("used")
    assert used["last_user_agent"] == used["previous_last_user_agent"] == "observer"
    assert _without_uses(used) == _without_uses(before["used"])

    for name in ("current", "both"):
        observer.revoke(before[name]["token_prefix"])
    for name in ("previous", "both"):
        observer.revoke(before[name]["previous_token_prefix"])
    ran = project.refresh()
    current = "warning: token {token_prefix} was revoked outside of Pulumi; the next `pulumi up` makes a new one"
    previous = (
        "token {previous_token_prefix}, the one before the current one, is revoked already, by hand or by an"
        " `up` that was interrupted"
    )
    assert ran.messages("current")[:1] == [current.format(**before["current"])]
    assert ran.messages("previous") == [previous.format(**before["previous"])]
    assert ran.messages("both")[:2] == [part.format(**before["both"]) for part in (current, previous)]
    assert ran.messages("used") == []
    assert project.outputs("current")["full_token"] == before["current"]["full_token"]

    reason = f"token {before['both']['token_prefix']} is due to rotate (revoked): it was revoked outside of Pulumi"
    assert project.preview().messages("both") == [reason]
    ran = project.up()
    assert ran.messages("both") == [reason]
    assert "2 updated" in ran.output
    after = {name: project.outputs(name) for name in names}
    for name in ("current", "both"):
        assert after[name]["rotation_reason"] == "revoked"
        assert observer.works(after[name]["full_token"])
    assert after["current"]["previous_full_token"] == before["current"]["previous_full_token"]
    assert after["current"]["previous_retires_at"] == before["current"]["previous_retires_at"]
    assert after["previous"]["full_token"] == before["previous"]["full_token"]
    for name in ("previous", "both"):
        assert "previous_token_prefix" not in after[name]
    assert {name: resource["id"] for name, resource in project.state().items()} == ids
    assert set(observer.valid()) == project.held()
    assert len(project.held()) == 6
    project.up("--expect-no-changes")


def test_expired_tokens_are_made_anew_with_or_without_a_refresh(project: Project, observer: Observer) -> None:
    """A series that nobody cared for beyond the end of its tokens goes on, and says that they expired."""
    project.at(0).series(ci="").up()
    project.at(20.01).up()
    second = project.outputs("ci")
    assert project.at(51).refresh().messages("ci")[:2] == [
        f"warning: token {second['token_prefix']} has expired; the next `pulumi up` makes a new one",
        f"token {second['previous_token_prefix']}, the one before the current one, has expired",
    ]
    assert project.outputs("ci")["full_token"] == second["full_token"]
    for day in (51, 82):
        old = project.outputs("ci")
        reason = f"token {old['token_prefix']} is due to rotate (expired): it has expired ({old['expiry_time']})"
        assert project.at(day).up().messages("ci") == [reason]
        new = project.outputs("ci")
        assert new["rotation_reason"] == "expired"
        assert "previous_token_prefix" not in new
        assert observer.works(new["full_token"])
        assert set(observer.valid()) == {new["token_prefix"]}


def test_what_only_the_state_knows_makes_no_request_and_a_description_is_set_of_both(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """Windows, overlap, retirement and new triggers never reissue; a longer overlap counts at once, a shorter not."""
    project.series(ci='rotation_triggers={"release": 1}').up()
    project.series(ci='rotation_triggers={"release": 2}').up()
    before = project.outputs("ci")
    emulator.clear_requests()
    for arguments, days, window in (
        ("early_rotation_window_seconds=8*86400, overlap_seconds=7*86400, rotation_triggers={'release': 2}", 7, 8),
        ("overlap_seconds=86400, retire_previous='after_overlap', revocation_triggers={'leak': 1}", 7, 10),
        ("rotation_triggers={'release': 3}", 7, 10),
    ):
        assert "1 updated" in project.series(ci=arguments).up().output
        after = project.outputs("ci")
        assert _between(after, "previous_superseded_time", "previous_retires_at") == timedelta(days=days)
        assert _between(after, "rotates_at", "expiry_time") == timedelta(days=window)
        assert (after["full_token"], after["previous_full_token"]) == (
            before["full_token"],
            before["previous_full_token"],
        )
    assert observer.provider_requests() == []

    project.series(ci='description="new", rotation_triggers={"release": 3}')
    assert "[diff: ~description]" in project.up().output
    assert sorted(observer.provider_requests()) == ["GET /v1/access_token", "GET /v1/me", "PUT /v1/", "PUT /v1/"]
    tokens = observer.valid()
    assert {token["description"] for token in tokens.values()} == {"new"}
    assert set(tokens) == {before["token_prefix"], before["previous_token_prefix"]}
    assert _without_uses(project.outputs("ci")) == _without_uses({**after, "description": "new"})

    observer.describe(before["token_prefix"], "by hand")
    project.refresh("--expect-no-changes", fails=True)
    assert project.up().messages("ci") == []
    assert observer.valid()[before["token_prefix"]]["description"] == "new"


def test_a_changed_setting_rotates_and_keeps_the_overlap(project: Project, observer: Observer) -> None:
    """Scopes, addresses, age and extension are what a token is made with; their order is not."""
    project.series(ci='scopes=["user:read", "project:read"], ip_allowlist=["127.0.0.0/8"]').up()
    old = project.outputs("ci")
    project.series(ci='scopes=["project:read", "user:read"], ip_allowlist=["127.0.0.0/8"]').up("--expect-no-changes")
    changed = project.series(ci="max_age_seconds=40*86400, extend_when_used=True")
    (message,) = changed.up().messages("ci")
    assert "(settings): max_age_seconds, extend_when_used, ip_allowlist, scopes changed; it then stays" in message
    new = project.outputs("ci")
    assert new["rotation_reason"] == "settings"
    assert new["previous_full_token"] == old["full_token"]
    made = observer.valid()[new["token_prefix"]]
    assert (made["max_age_seconds"], made["extend_when_used"], made["scopes"]) == (40 * DAY, True, None)
    assert old["token_prefix"] in observer.valid()


def test_all_bad_values_are_told_in_one_preview(project: Project, emulator: Emulator) -> None:
    """Every fault, each with its property, without a traceback and without a request."""
    for arguments, faults in (
        (
            """
            description="", max_age_seconds=3600, early_rotation_window_seconds=3600, overlap_seconds=3601,
            retire_previous="never", ip_allowlist=["nonsense"], revocation_triggers=[1]
            """,
            (
                "description: must not be empty",
                "early_rotation_window_seconds: must be less than max_age_seconds (3600), not 3600",
                "overlap_seconds: must be at most early_rotation_window_seconds (3600), not 3601",
                "retire_previous: must be one of when_idle, after_overlap",
                "ip_allowlist: ",
                "revocation_triggers: must be a mapping, not a list",
            ),
        ),
        (
            """
            description=1, max_age_seconds=None, overlap_seconds=-1, extend_when_used="yes", rotation_triggers="a"
            """,
            (
                "description: must be a string, not a number",
                "max_age_seconds: is missing",
                "overlap_seconds: must be a whole number of seconds from 0 to ",
                "extend_when_used: must be ",
                "rotation_triggers: must be a mapping, not a string",
            ),
        ),
    ):
        ran = project.series(ci=arguments).preview(fails=True)
        for fault in faults:
            assert f"resource 'ci' has a problem: {fault}" in ran.output
        assert len(ran.messages("ci")) == len(faults)
        assert "Traceback" not in ran.output
    assert emulator.requests == []


def test_the_end_of_a_token_that_nothing_rotates_is_told_ahead(project: Project) -> None:
    """A tenth of the age or three days ahead, in `up` and `preview`; a changed window counts from the next `up` on."""

    def declared(window: int) -> Project:
        return project.program(
            f"""
            avn.AccessToken("tenth", description="tenth", max_age_seconds=20*86400)
            avn.AccessToken("days", description="days", max_age_seconds=100*86400)
            avn.AccessToken("window", description="window", max_age_seconds=20*86400,
                            early_rotation_window_seconds={window}*86400)
            avn.RotatingAccessToken("series", description="series", max_age_seconds=20*86400,
                                    early_rotation_window_seconds={window}*86400)
            """
        )

    names = ("tenth", "days", "window", "series")
    declared(1).at(0).up()
    old = {name: project.outputs(name) for name in names}
    seen = project.at(17.99).preview("--expect-no-changes")
    assert [seen.messages(name) for name in names] == [[]] * 4

    declared(3).at(18.01)
    for ran in (project.preview(), project.up()):
        (message,) = ran.messages("tenth")
        assert message == (
            f"warning: token {old['tenth']['token_prefix']} expires at {old['tenth']['expiry_time']}, and nothing is"
            " going to rotate it: set early_rotation_window_seconds"
        )
        assert ran.messages("days") == []
        for name in ("window", "series"):
            (message,) = ran.messages(name)
            assert message == (
                f"warning: token {old[name]['token_prefix']} expires at {old[name]['expiry_time']}: the changed window"
                " counts from the next `pulumi up` on, so run it"
            )
    ran = project.preview()
    assert "is due to be replaced by a new one" in ran.messages("window")[0]
    assert "is due to rotate (window)" in ran.messages("series")[0]

    assert project.at(96.99).preview().messages("days") == []
    (message,) = project.at(97.01).preview().messages("days")
    assert message.startswith(f"warning: token {old['days']['token_prefix']} expires at ")


def test_inputs_that_are_not_known_yet_preview_and_apply(project: Project, observer: Observer) -> None:
    """They pass the preview and count as a change there; what turns out to be the same rotates nothing."""

    def declared(release: int, trigger: str) -> Project:
        return project.program(
            f"""
            first = avn.AccessToken("first", description="first", rotation_triggers={{"release": {release}}})
            def later(value):
                return first.token_prefix.apply(lambda _: value)
            avn.RotatingAccessToken("ci", description=later("ci"), max_age_seconds=later(30*86400),
                early_rotation_window_seconds=later(10*86400), overlap_seconds=later(5*86400),
                retire_previous=later("when_idle"), ip_allowlist=[later("127.0.0.0/8")],
                rotation_triggers={trigger})
            """
        )

    assert "+ 3 to create" in declared(1, "{'first': first.create_time}").preview().output
    project.up()
    old = project.outputs("ci")
    assert observer.works(old["full_token"])
    project.up("--expect-no-changes")

    declared(2, "{'first': first.create_time}")
    (message,) = project.preview().messages("ci")
    assert f"token {old['token_prefix']} is due to rotate (settings): max_age_seconds, ip_allowlist changed" in message
    (message,) = project.up().messages("ci")
    assert f"token {old['token_prefix']} is due to rotate (trigger): rotation_triggers changed (first)" in message
    new = project.outputs("ci")
    assert new["previous_full_token"] == old["full_token"]

    declared(3, "None")
    assert "is due to rotate (settings)" in project.preview().messages("ci")[0]
    assert project.up().messages("ci") == []
    assert project.outputs("ci")["full_token"] == new["full_token"]
    assert len(observer.valid()) == 3


def test_secrets_stay_secret_and_a_destroy_revokes_both(project: Project, observer: Observer) -> None:
    """Neither token's secret is in the open in state or outputs, and a token of somebody else's is left alone."""
    program = f"""
        ci = avn.RotatingAccessToken("ci", description="ci", rotation_triggers={{"release": RELEASE}}, **{SERIES})
        pulumi.export("current", ci.full_token)
        pulumi.export("previous", ci.previous_full_token)
        """
    project.program(program.replace("RELEASE", "1")).up("--diff")
    project.program(program.replace("RELEASE", "2")).preview("--diff")
    project.up("--diff")
    outputs = project.outputs("ci")
    stranger = observer.make("ci")
    for name in ("full_token", "previous_full_token"):
        assert set(project.state()["ci"]["outputs"][name]) >= {"ciphertext"}
        assert len(outputs[name]) > 300
    shown = project.pulumi("stack", "output").output
    assert re.search(r"current +\[secret\]", shown)
    assert re.search(r"previous +\[secret\]", shown)
    project.pulumi("stack", "export")
    for secret in (outputs["full_token"], outputs["previous_full_token"]):
        assert secret[12:36] not in "".join(project.printed)
    project.destroy()
    assert project.state() == {}
    assert set(observer.valid()) == {stranger["token_prefix"]}


def _between(outputs: Mapping[str, Any], first: str, last: str) -> timedelta:
    return parse_time(outputs[last]) - parse_time(outputs[first])


def _to_the_second(time: str) -> str:
    """A time as messages tell it."""
    return re.sub(r"\.\d+", "", time)


def _without_uses(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs but for those that tell of uses."""
    return {name: value for name, value in outputs.items() if "last_" not in name}


def _writes(emulator: Emulator) -> list[str]:
    """The methods of the requests that changed the account, in their order."""
    return [request.method for request in emulator.requests if request.method != "GET"]
