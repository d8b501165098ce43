"""A token's life on the real engine: made, kept, described anew, replaced, read, revoked."""

from __future__ import annotations

from pathlib import Path

from pulumi_avn_token.emulator import Emulator
from tests.account import Observer
from tests.engine.project import CONSUMER, DAY, Project

CONSUMED = """
token = avn.AccessToken("ci", description="CI", rotation_triggers={"release": RELEASE})
Consumer("consumer", token.full_token)
"""


def test_an_up_makes_the_tokens_and_their_secrets_work(project: Project, observer: Observer) -> None:
    """The first `up` makes the tokens; outputs are as the account shows them, and the secret authenticates."""
    project.tokens(ci='description="CI", max_age_seconds=3600', nb='description="NB", extend_when_used=True').up()
    account, outputs = observer.tokens(), project.outputs("ci")
    assert set(account) == {"CI", "NB"}
    assert account["CI"]["max_age_seconds"] == 3600
    assert account["NB"]["extend_when_used"] is True
    for name in ("token_prefix", "description", "create_time", "expiry_time", "max_age_seconds"):
        assert outputs[name] == account["CI"][name]
    assert project.state()["ci"]["id"] == account["CI"]["token_prefix"]
    assert observer.works(project.output("ci"))


def test_an_unchanged_up_makes_no_request(project: Project, observer: Observer, emulator: Emulator) -> None:
    """With nothing to do, `up` and `preview` leave the network alone."""
    project.tokens(ci='description="CI", early_rotation_window_seconds=86400, scopes=["user:read"]').up()
    emulator.clear_requests()
    assert "2 unchanged" in project.up("--expect-no-changes").output
    project.preview("--expect-no-changes")
    assert observer.provider_requests() == []


def test_the_engine_looks_for_no_plugin_of_this_name(project: Project) -> None:
    """`pulumi-avn-token` sounds like a package with a plugin, which would be sought at each command: it has none."""
    shown = project.tokens(ci='description="CI"').up("-v=5", "--logtostderr").output
    assert "AccessToken" in shown
    assert "avn-token-v" not in shown
    assert "downloading" not in shown


def test_a_preview_changes_nothing(project: Project, observer: Observer, emulator: Emulator) -> None:
    """A preview of creations and updates makes no request; that of a replacement asks whose account it is."""
    shown = project.tokens(ci='description="CI"').preview().output
    assert "AccessToken ci create" in shown
    assert observer.tokens() == {}
    project.up()
    emulator.clear_requests()
    assert "update" in project.tokens(ci='description="CI 2"').preview().output
    assert observer.provider_requests() == []
    assert "replace" in project.tokens(ci='description="CI", max_age_seconds=3600').preview().output
    assert observer.provider_requests() == ["GET /v1/me"]


def test_a_changed_description_is_set_in_place(project: Project, observer: Observer) -> None:
    """The same token and secret go on under the new description."""
    project.tokens(ci='description="CI"').up()
    before = project.outputs("ci")
    assert "[diff: ~description]" in project.tokens(ci='description="CI 2"').up().output
    assert observer.tokens()["CI 2"]["token_prefix"] == before["token_prefix"]
    assert project.outputs("ci") == {**before, "description": "CI 2"}


def test_windows_and_new_triggers_touch_the_state_only(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """Changing the window, or introducing or removing triggers, makes no request and no new token."""
    project.tokens(ci='description="CI"').up()
    emulator.clear_requests()
    new = "rotation_triggers is new, which rotates nothing yet: only a changed value of it does"
    for arguments, is_new in (
        ("early_rotation_window_seconds=60, rotation_triggers={'a': 1}", True),
        ("rotation_triggers={'a': 1}", False),
        ("", False),
    ):
        ran = project.tokens(ci=f'description="CI", {arguments}').up()
        assert "1 updated" in ran.output
        assert (new in ran.output) == is_new
    assert observer.provider_requests() == []


def test_a_trigger_replaces_and_dependents_change_over_in_between(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """The new token is made, its consumer moves from one that works to one that works, then the old one is revoked."""
    project.program(CONSUMER + CONSUMED.replace("RELEASE", "1")).up()
    old = project.outputs("ci")
    emulator.clear_requests()
    shown = project.program(CONSUMER + CONSUMED.replace("RELEASE", "2")).up().output
    assert "[diff: ~rotation_triggers]" in shown
    happened = [
        (request.user_agent or "").split("/")[0] + " " + request.method
        for request in emulator.requests
        if request.method != "GET" or request.user_agent == "consumer"
    ]
    provider = [f"pulumi-avn-token {method}" for method in ("POST", "PUT", "DELETE")]
    assert happened == [*provider[:2], "consumer GET", "consumer GET", provider[2]]
    assert not observer.works(old["full_token"])
    assert observer.works(project.outputs("ci")["full_token"])
    assert len(observer.tokens()) == 1


def test_a_token_inside_its_window_is_replaced_and_the_preview_says_why(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """A token of thirty days that was made twenty-five days ago is renewed a week ahead, with the reason shown."""
    emulator.clock_offset = -25 * DAY
    project.tokens(ci='description="CI", early_rotation_window_seconds=7*86400').up()
    emulator.clock_offset = 0
    old = project.outputs("ci")
    reason = (
        f"token {old['token_prefix']} is due to be replaced by a new one: it expires at {old['expiry_time']},"
        " within early_rotation_window_seconds=604800"
    )
    assert reason in project.preview().output
    assert reason in project.up().output
    assert not observer.works(old["full_token"])
    assert observer.works(project.output("ci"))
    project.up("--expect-no-changes")


def test_a_changed_window_never_makes_a_new_token_by_itself(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """A window that reaches over the token's whole rest is recorded by one `up`, and acted on by the next."""
    emulator.clock_offset = -25 * DAY
    project.tokens(ci='description="CI", early_rotation_window_seconds=86400').up()
    emulator.clock_offset = 0
    before = project.output("ci")
    project.tokens(ci='description="CI", early_rotation_window_seconds=10*86400')
    assert "1 updated" in project.up().output
    assert project.output("ci") == before
    assert "1 replaced" in project.up().output
    assert not observer.works(before)


def test_a_window_longer_than_the_life_that_the_service_gave_is_told(tmp_path: Path) -> None:
    """Where the service's default age is shorter than the window, there is a warning and not a token at every `up`."""
    with Emulator(default_max_age_seconds=3600) as emulator:
        project = Project(tmp_path / "project", emulator)
        shown = project.tokens(ci='description="CI", early_rotation_window_seconds=86400').up().output
        assert (
            "lives no longer than early_rotation_window_seconds=86400: it is rotated halfway; set a shorter one"
            in shown
        )
        project.up("--expect-no-changes")


def test_an_expired_token_is_replaced_without_a_refresh(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """The recorded expiry is enough; that the old token is gone already is no error."""
    emulator.clock_offset = -31 * DAY
    project.tokens(ci='description="CI"').up()
    emulator.clock_offset = 0
    assert "it has expired" in project.up().output
    assert observer.works(project.output("ci"))


def test_a_token_in_use_is_asked_about_before_it_is_replaced(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """With `extend_when_used` the recorded expiry is stale: what use has extended stays, what has run out does not."""
    emulator.clock_offset = -3600
    project.tokens(
        used='description="used", max_age_seconds=1800, extend_when_used=True',
        idle='description="idle", max_age_seconds=1800, extend_when_used=True',
    ).up()
    used = project.output("used")
    for offset in (-2400, -1200, 0):
        emulator.clock_offset = offset
        assert observer.works(used)
    emulator.clear_requests()
    assert "1 replaced" in project.up().output
    assert project.output("used") == used
    assert observer.works(project.output("idle"))
    assert observer.provider_requests() == [
        "GET /v1/access_token",
        "GET /v1/me",
        "GET /v1/me",  # as the token itself, which the list lacks
        "POST /v1/access_token",
        "PUT /v1/",
        "DELETE /v1/",
    ]


def test_a_refresh_drops_what_was_revoked_by_hand_and_up_makes_it_anew(project: Project, observer: Observer) -> None:
    """A token that somebody revoked is told from an expired one, dropped, and made anew by the next `up`."""
    project.tokens(ci='description="CI"').up()
    prefix = project.outputs("ci")["token_prefix"]
    observer.revoke(prefix)
    shown = project.refresh().output
    assert f"warning: token {prefix} was revoked outside of Pulumi; the next `pulumi up` makes a new one" in shown
    assert project.state() == {}
    project.up()
    assert observer.works(project.output("ci"))


def test_a_refresh_tells_an_expired_token_from_a_revoked_one(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """A token whose time has come is said to have expired, and is made anew by the next `up`."""
    emulator.clock_offset = -31 * DAY
    project.tokens(ci='description="CI"').up()
    emulator.clock_offset = 0
    assert "has expired; the next `pulumi up` makes a new one" in project.refresh().output
    project.up()
    assert observer.works(project.output("ci"))


def test_a_description_changed_by_hand_is_drift_and_put_back(project: Project, observer: Observer) -> None:
    """A refresh sees the other description, and the next `up` sets the declared one."""
    project.tokens(ci='description="CI"').up()
    prefix = observer.tokens()["CI"]["token_prefix"]
    observer.describe(prefix, "changed by hand")
    project.refresh("--expect-no-changes", fails=True)
    assert project.outputs("ci")["description"] == "changed by hand"
    assert "[diff: ~description]" in project.up().output
    assert observer.tokens()["CI"]["token_prefix"] == prefix


def test_mere_use_is_no_drift_and_the_secret_is_carried_forward(project: Project, observer: Observer) -> None:
    """A refresh takes over when and by whom a token was used, and is green; the secret stays."""
    project.tokens(ci='description="CI", extend_when_used=True').up()
    before = project.outputs("ci")
    assert observer.works(before["full_token"])
    project.refresh("--expect-no-changes")
    after = project.outputs("ci")
    assert after["full_token"] == before["full_token"]
    assert after["last_user_agent"] == "observer"
    assert after["last_used_time"] is not None
    project.up("--expect-no-changes")


def test_a_destroy_leaves_nothing(project: Project, observer: Observer) -> None:
    """All tokens are revoked; one that is gone already is no error."""
    project.tokens(ci='description="CI"', nb='description="NB"').up()
    observer.revoke(observer.tokens()["NB"]["token_prefix"])
    project.destroy()
    assert observer.tokens() == {}
    assert project.state() == {}


def test_get_reads_a_token_without_managing_it(project: Project, observer: Observer) -> None:
    """`AccessToken.get` shows a token made by hand, and a destroy leaves it alone."""
    made = observer.make("by hand", max_age_seconds=3600)
    project.program(
        f"""
        token = avn.AccessToken.get("read", "{made["token_prefix"]}")
        pulumi.export("read", {{"description": token.description, "age": token.max_age_seconds}})
        """
    ).up()
    assert project.output("read") == {"description": "by hand", "age": 3600}
    project.destroy()
    assert observer.works(made["full_token"])


def test_get_of_an_unknown_prefix_says_so(project: Project) -> None:
    """A prefix that no token has fails in the preview already."""
    project.program('avn.AccessToken.get("read", "XCJ3+bgWywIh")')
    assert "no valid token of this account has the prefix XCJ3+bgWywIh" in project.preview(fails=True).output


def test_an_unknown_input_previews_and_applies(project: Project, observer: Observer) -> None:
    """Values that are known only once another resource is made pass the preview, and are used when they are known."""
    project.program(
        """
        first = avn.AccessToken("first", description="first", max_age_seconds=3600)
        avn.AccessToken(
            "second",
            description=first.token_prefix.apply(lambda prefix: "after " + prefix),
            max_age_seconds=first.max_age_seconds,
            rotation_triggers={"first": first.create_time},
            ip_allowlist=[first.token_prefix.apply(lambda _: "127.0.0.0/8")],
        )
        """
    )
    assert "+ 3 to create" in project.preview().output
    project.up()
    prefix = observer.tokens()["first"]["token_prefix"]
    assert observer.tokens()[f"after {prefix}"]["max_age_seconds"] == 3600
    project.up("--expect-no-changes")


def test_each_operation_costs_what_it_must(project: Project, observer: Observer, emulator: Emulator) -> None:
    """Twenty tokens: two requests each and one for whose they are; a refresh is one list; at most four connections.

    Nothing is asked where nothing is due; with a refresh and two changes, it is the list and the two.
    """
    project.program("for n in range(20): avn.AccessToken(f't{n}', description=f't{n}')").up()
    requests = observer.provider_requests()
    assert sorted(requests) == ["GET /v1/me", *["POST /v1/access_token"] * 20, *["PUT /v1/"] * 20]
    connections = {request.peer_port for request in emulator.requests if (request.user_agent or "") != "observer"}
    assert len(connections) <= 4
    emulator.clear_requests()
    project.refresh()
    assert observer.provider_requests() == ["GET /v1/access_token"]
    emulator.clear_requests()
    project.preview()
    project.up("--expect-no-changes")
    assert observer.provider_requests() == []
    project.program("for n in range(20): avn.AccessToken(f't{n}', description=f't{n}' + (' changed' if n < 2 else ''))")
    project.up("--refresh")
    assert sorted(observer.provider_requests()) == ["GET /v1/access_token", *["PUT /v1/"] * 2]
    emulator.clear_requests()
    project.destroy()
    assert sorted(observer.provider_requests()) == [*["DELETE /v1/"] * 20, "GET /v1/access_token"]
