"""What goes wrong around a series: after an error or a kill at any step, the next `up` converges."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pulumi_avn_token.emulator import Emulator, Fault
from tests.account import Observer
from tests.engine.project import Project

NO_SECOND_LIST = Fault(kind="html", call="list", after=1)
"""Once it has seen its tokens, an `up` cannot look for what was made though its answer was lost."""


def test_a_token_that_cannot_be_made_changes_nothing_and_the_next_up_makes_it(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """Refused, or made with its answer lost at every try: the state keeps what works, and nothing is left behind.

    Where what was made cannot be looked for, the next `up` revokes it. Another's token of the same description is
    never touched.
    """
    stranger = observer.make("ci")
    triggered(project, 1).up()
    triggered(project, 2).up()
    release = 2
    for fault, is_looked_for in (
        (Fault(kind="status", status=500, method="POST"), True),
        (Fault(kind="html", method="POST"), False),
        (Fault(kind="drop_after", method="POST"), True),
        (Fault(kind="truncated", method="POST"), False),
    ):
        before, release = project.outputs("ci"), release + 1
        emulator.faults = [fault] if is_looked_for else [fault, NO_SECOND_LIST]
        assert "creating a token failed" in triggered(project, release).up(fails=True).output
        assert observer.works(before["full_token"])
        assert project.outputs("ci")["full_token"] == before["full_token"]
        emulator.faults = []
        strays = set(observer.valid()) - {before["token_prefix"], stranger["token_prefix"]}
        told = project.up().messages("ci")
        for stray in strays:
            assert (
                f"token {stray} is due to be revoked: an `up` that was interrupted made it, and nobody got it" in told
            )
        assert bool(strays) == (fault.kind == "truncated")
        assert_converged(project, observer, stranger)
        assert project.outputs("ci")["previous_full_token"] == before["full_token"]
    project.up("--expect-no-changes")


def test_an_answer_that_is_lost_once_costs_no_second_up(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """What was made without its secret becoming known is found and revoked, and one is made in its place, at once."""
    stranger = observer.make("ci")
    for release, kind in enumerate(("drop_after", "empty")):
        emulator.clear_requests()
        emulator.faults = [{"kind": kind, "method": "POST", "times": 1}]
        triggered(project, release).up()
        assert writes(emulator) == ["POST", "DELETE", "POST", "PUT"]
        assert_converged(project, observer, stranger)
    assert "previous_token_prefix" in project.outputs("ci")


def test_a_description_that_cannot_be_set_is_set_by_the_next_up(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """That of a new token is no reason to lose it; that of both is repeated until both have it."""
    stranger = observer.make("ci")
    triggered(project, 1).up()
    emulator.faults = [Fault(kind="status", status=500, method="PUT")]
    ran = triggered(project, 2).up()
    (warning,) = [message for message in ran.messages("ci") if message.startswith("warning: ")]
    outputs = project.outputs("ci")
    assert f"token {outputs['token_prefix']} was made, but updating token " in warning
    assert warning.endswith("; the next `pulumi up` sets its description")
    assert observer.works(outputs["full_token"])
    assert set(observer.valid()) == {*project.held(), stranger["token_prefix"]}
    emulator.faults = []
    project.up()
    assert_converged(project, observer, stranger)

    for after in (0, 1):
        description = f"new {after}"
        emulator.faults = [Fault(kind="status", status=500, method="PUT", after=after)]
        project.series(ci=f'description="{description}", rotation_triggers={{"release": 2}}').up(fails=True)
        assert project.outputs("ci")["full_token"] == outputs["full_token"]
        emulator.faults = []
        project.up()
        assert_converged(project, observer, stranger, description=description)
    emulator.faults = [Fault(kind="drop_after", method="PUT", times=1)]
    project.series(ci='description="ci", rotation_triggers={"release": 2}').up()
    assert_converged(project, observer, stranger)
    project.up("--expect-no-changes")


def test_a_previous_token_that_cannot_be_revoked_stays_known(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """At its retirement and at its displacement; one that was revoked with its answer lost is looked up, and gone."""
    stranger = observer.make("ci")
    project.at(0).series(ci="").up()
    project.at(20.01).up()
    before = project.outputs("ci")
    project.at(25.02)
    emulator.faults = [Fault(kind="status", status=500, method="DELETE")]
    assert f"revoking token {before['previous_token_prefix']} failed (500)" in project.up(fails=True).output
    assert project.outputs("ci") == before
    assert before["previous_token_prefix"] in observer.valid()
    emulator.faults = [Fault(kind="status", status=500, method="DELETE", after_change=True)]
    project.up()
    emulator.faults = []
    assert "previous_token_prefix" not in project.outputs("ci")
    assert_converged(project, observer, stranger)

    project.at(40.03).up()
    before = project.outputs("ci")
    emulator.faults = [Fault(kind="status", status=500, method="DELETE")]
    triggered(project, 1).up()
    triggered(project, 2).up(fails=True)
    assert set(observer.valid()) == {*project.held(), stranger["token_prefix"]}
    emulator.faults = [Fault(kind="drop_after", method="DELETE", times=1)]
    project.up()
    assert not observer.works(before["previous_full_token"])
    assert_converged(project, observer, stranger)


def test_an_emergency_that_fails_half_way_is_brought_to_its_end(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """Whichever of its revocations fails, the state holds what is valid or the next `up` finds it, and all old go."""
    stranger = observer.make("ci")

    def leaked(leak: int) -> Project:
        return project.series(ci=f'rotation_triggers={{"release": 1}}, revocation_triggers={{"leak": {leak}}}')

    leaked(1).up()
    triggered(project, 2).up()
    project.series(ci='rotation_triggers={"release": 2}, revocation_triggers={"leak": 1}').up()
    before = project.outputs("ci")
    old = {before["token_prefix"], before["previous_token_prefix"]}
    for fault, left in (
        (Fault(kind="status", status=500, method="DELETE"), old),
        (Fault(kind="status", status=500, method="DELETE", after=1, times=1), {before["token_prefix"]}),
    ):
        emulator.faults = [fault]
        leaked(2).up(fails=True)
        assert set(observer.valid()) == {*left, stranger["token_prefix"]}
        assert project.outputs("ci") == before
    emulator.faults = [Fault(kind="status", status=500, method="DELETE")]
    leaked(2).up(fails=True)
    assert len(observer.valid()) == 3
    emulator.faults = []
    project.up()
    assert_converged(project, observer, stranger)
    assert not old & set(observer.valid())
    assert project.outputs("ci")["rotation_reason"] == "emergency"
    project.up("--expect-no-changes")


def test_a_destroy_that_fails_is_repeated(project: Project, observer: Observer, emulator: Emulator) -> None:
    """What was left valid is revoked by the next one, with what an interrupted `up` left behind."""
    triggered(project, 1).up()
    emulator.faults = [Fault(kind="drop_after", method="POST"), NO_SECOND_LIST]
    assert "its description then begins with [pulumi-avn-token series-" in triggered(project, 2).up(fails=True).output
    emulator.faults = []
    assert len(observer.valid()) == 2
    emulator.faults = [Fault(kind="status", status=500, method="DELETE", after=1)]
    project.destroy(fails=True)
    assert set(observer.valid()) == project.held()
    emulator.faults = []
    project.destroy()
    assert observer.valid() == {}
    assert project.state() == {}


def test_a_quota_that_is_reached_is_told_and_loses_nothing(tmp_path: Path) -> None:
    """A rotation that has no room leaves the current token as it is, and goes through once there is room."""
    with Emulator(quota=2) as emulator:
        observer, project = Observer(emulator), Project(tmp_path / "project", emulator)
        other = observer.make("other")
        triggered(project, 1).up()
        before = project.outputs("ci")
        shown = triggered(project, 2).up(fails=True).output
        assert "Aiven does not take it: A user can have at most 2 access tokens" in shown
        assert project.outputs("ci") == before
        assert observer.works(before["full_token"])
        observer.revoke(other["token_prefix"])
        project.up()
        assert_converged(project, observer)
        triggered(project, 3).up()  # at most two at any moment: the oldest goes before a new one is made
        assert_converged(project, observer)


def test_the_token_that_pulumi_itself_uses_is_not_revoked(project: Project, observer: Observer) -> None:
    """A series may hold the stack's own credential: it rotates, but is never cut off, and the error says what to do."""
    own = 'retire_previous="after_overlap", revocation_triggers={"leak": 1}'
    project.at(0).series(ci=own).up()
    first = project.outputs("ci")
    project.environ["AIVEN_TOKEN"] = first["full_token"]
    in_use = f"token {first['token_prefix']} is the one that Pulumi is using right now, so it was not revoked"
    assert in_use in project.series(ci=own.replace("1", "2")).up(fails=True).output
    assert set(observer.valid()) == {first["token_prefix"]}

    project.at(20.01).series(ci=own).up()
    second = project.outputs("ci")
    project.at(25.02)
    assert in_use in project.up(fails=True).output
    assert in_use in project.destroy(fails=True).output
    assert set(observer.valid()) == project.held()
    (warning,) = project.series(ci='revocation_triggers={"leak": 1}').up().messages("ci")
    assert "was used since: last used at " in warning
    assert "from 127.0.0.1 by pulumi-avn-token/" in warning
    project.environ["AIVEN_TOKEN"] = second["full_token"]
    project.series(ci=own).up()
    assert not observer.works(first["full_token"])
    assert set(observer.valid()) == project.held() == {second["token_prefix"]}
    del project.environ["AIVEN_TOKEN"]
    project.destroy()
    assert observer.valid() == {}


def test_another_account_and_an_error_drop_nothing(project: Project, observer: Observer, emulator: Emulator) -> None:
    """Only the account of the user whom the tokens were made as proves that one is missing, and only by its list."""
    triggered(project, 1).up()
    triggered(project, 2).up()
    before = project.outputs("ci")
    project.environ["AIVEN_TOKEN"] = emulator.issue_token(user="other@example.org")
    for arguments in ("max_age_seconds=86400*40", 'description="new"'):
        shown = project.series(ci=arguments).up(fails=True).output
        assert "belongs to other@example.org" in shown
    triggered(project, 2)
    for ran in (project.refresh(fails=True), project.destroy(fails=True)):
        assert "was made as demo@example.org, but the credential" in ran.output
        assert "belongs to other@example.org" in ran.output
    del project.environ["AIVEN_TOKEN"]
    for fault in (Fault(kind="status", status=500), Fault(kind="html")):
        emulator.faults = [fault]
        project.refresh(fails=True)
    emulator.faults = []
    assert project.outputs("ci") == before
    project.refresh("--expect-no-changes")
    assert_converged(project, observer)


def test_an_up_that_is_killed_at_any_request_is_made_up_for(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """Nothing of the killed `up` is recorded; the next one revokes what nobody got, and touches nobody else's token."""
    stranger = observer.make("ci")
    triggered(project, 1).up()
    triggered(project, 2).up()

    def kill(method: str, when: Callable[[dict[str, dict[str, object]]], bool], *, after: int = 0) -> None:
        before = project.outputs("ci")
        emulator.faults = [Fault(kind="latency", seconds=60, method=method, after=after)]
        project.kill_up(lambda: when(observer.valid()))
        emulator.faults = []
        assert project.outputs("ci") == before
        ran = project.up()
        assert_converged(project, observer, stranger)
        assert project.outputs("ci")["full_token"] != before["full_token"], ran.output
        project.up("--expect-no-changes")

    def known() -> set[str]:
        return {*project.held(), stranger["token_prefix"]}

    before = known()
    triggered(project, 3)
    kill("DELETE", lambda tokens: len(tokens) < len(before))
    before = known()
    triggered(project, 4)
    kill("POST", lambda tokens: bool(set(tokens) - before))
    before = known()
    triggered(project, 5)
    kill("PUT", lambda tokens: any(tokens[new]["description"] == "ci" for new in set(tokens) - before))
    current = project.outputs("ci")["token_prefix"]
    project.series(ci='rotation_triggers={"release": 5}, revocation_triggers={"leak": 1}').up()
    project.series(ci='rotation_triggers={"release": 5}, revocation_triggers={"leak": 2}')
    kill("DELETE", lambda tokens: current not in tokens, after=1)


def triggered(project: Project, release: int) -> Project:
    """Declare the series with a trigger that a release changes."""
    return project.series(ci=f'rotation_triggers={{"release": {release}}}')


def writes(emulator: Emulator) -> list[str]:
    """The methods of the provider's requests that changed the account, in their order."""
    return [
        request.method
        for request in emulator.requests
        if request.method != "GET" and request.user_agent != Observer.USER_AGENT
    ]


def assert_converged(
    project: Project, observer: Observer, stranger: dict[str, str] | None = None, *, description: str = "ci"
) -> None:
    """The account holds what the state does, as it is declared, beside the token of a stranger, and no more."""
    valid, outputs = observer.valid(), project.outputs("ci")
    if stranger is not None:
        assert valid.pop(stranger["token_prefix"])["description"] == "ci"
    held = [outputs[name] for name in ("token_prefix", "previous_token_prefix") if name in outputs]
    assert set(valid) == set(held)
    assert {token["description"] for token in valid.values()} == {description} == {outputs["description"]}
    assert outputs["full_token"].startswith(outputs["token_prefix"])
    assert observer.works(outputs["full_token"])
