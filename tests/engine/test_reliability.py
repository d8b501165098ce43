"""What happens to whole runs: two at once, a credential that ends in the middle, a state that is a day old."""

from __future__ import annotations

import threading
from pathlib import Path

from pulumi_avn_token.emulator import Emulator, Fault
from tests.account import Observer
from tests.engine.accounting import find_undelivered, follow
from tests.engine.project import Project

BOTH = """
    avn.AccessToken("ci", description="CI", rotation_triggers={"release": RELEASE})
    avn.RotatingAccessToken("ingest", description="Ingest", max_age_seconds=86400, overlap_seconds=3600,
                            early_rotation_window_seconds=7200, rotation_triggers={"release": RELEASE})
    """


def declare(project: Project, release: int) -> Project:
    """A token and a series that a release replaces and rotates."""
    return project.program(BOTH.replace("RELEASE", str(release)))


def at_once(*projects: Project) -> list[int]:
    """Run an `up` of each at the same time, and give their statuses."""
    statuses: list[int] = []

    def up(project: Project) -> None:
        statuses.append(project.pulumi("up", "--yes", "--skip-preview", fails=None).status)

    threads = [threading.Thread(target=up, args=[project]) for project in projects]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def test_two_ups_of_a_stack_at_once_lose_nothing(project: Project, observer: Observer) -> None:
    """The lock holds one of them off; whichever ends well, each token is held or told, and the next `up` is as ever."""
    declare(project, 0).up()
    for release in (1, 2):
        declare(project, release)
        assert 0 in at_once(project, project)
        held = project.held()
        assert observer.valid().keys() - held <= find_undelivered(project).keys()
        follow(project, set(find_undelivered(project).values()))
        project.up("--refresh")
        assert observer.valid().keys() == project.held()


def test_stacks_of_one_name_in_two_places_leave_each_other_alone(
    tmp_path: Path, emulator: Emulator, observer: Observer
) -> None:
    """Two people with a state of their own each run one program in one account: neither ends a token of the other."""
    one, two = Project(tmp_path / "one", emulator), Project(tmp_path / "two", emulator)
    for release in (0, 1):
        emulator.faults = [Fault(kind="drop_after", call="create", times=1)]
        assert at_once(declare(one, release), declare(two, release)) == [0, 0]
        emulator.faults = []
        assert not one.held() & two.held()
        assert observer.valid().keys() == one.held() | two.held()
    one.up("--refresh", "--expect-no-changes")
    one.destroy()
    assert observer.valid().keys() == two.held()


def test_a_credential_that_ends_in_the_middle_loses_nothing(project: Project, observer: Observer) -> None:
    """What was made before is recorded, also what was being made; with another credential the rest follows."""
    program = "for n in range(6): avn.AccessToken(f't{n}', description=f't{n}')"
    for calls in (2, 5, 8):
        project.emulator.faults = [Fault(kind="status", status=401, after=calls)]
        shown = project.program(program).up(fails=True).output
        project.emulator.faults = []
        assert "the credential has expired, was revoked, or is wrong" in shown
        assert observer.valid().keys() == project.held()
        project.up()
        assert len(observer.tokens()) == 6
        assert observer.valid().keys() == project.held()
        project.destroy()


def test_a_state_of_yesterday_loses_nothing_that_the_audit_does_not_name(project: Project, observer: Observer) -> None:
    """Tokens that a restored state does not know are told, used or not; and what it knows and is gone is made anew."""
    declare(project, 0).up()
    project.shell("pulumi stack export --file yesterday.json")
    for release in (1, 2):
        declare(project, release).up()
    assert observer.works(project.outputs("ci")["full_token"])
    today = project.held()
    project.shell("pulumi stack import --file yesterday.json")
    project.up("--refresh")
    unknown = observer.valid().keys() - project.held()
    assert unknown <= today
    audit = project.shell("pulumi stack export | pulumi-avn-token audit -", status=1 if unknown else 0).output
    for prefix in unknown:
        assert f"avn user access-token revoke {prefix}" in audit
    assert observer.works(project.outputs("ci")["full_token"])
    assert observer.works(project.outputs("ingest")["full_token"])
