"""What `--refresh` must not change: a run for a schedule revokes what any other run revokes."""

from __future__ import annotations

import pytest

from tests.account import Observer
from tests.engine.project import SERIES, Project

PLAIN = 'avn.AccessToken("ci", description="CI", {})'
ROTATING = f'avn.RotatingAccessToken("ci", description="CI", **{SERIES})'
KINDS = [PLAIN.format(""), ROTATING]


@pytest.mark.parametrize("declared", KINDS, ids=["token", "series"])
def test_destroy_after_a_refresh_revokes(project: Project, observer: Observer, declared: str) -> None:
    """`destroy --refresh` leaves no token behind."""
    project.program(declared).up()
    assert len(observer.valid()) == 1
    project.destroy("--refresh")
    assert observer.valid() == {}


@pytest.mark.parametrize("declared", KINDS, ids=["token", "series"])
def test_what_was_taken_out_of_the_program_is_revoked(project: Project, observer: Observer, declared: str) -> None:
    """`up --refresh` revokes the token of a resource that is no longer declared."""
    project.program(declared).up()
    project.program("").up("--refresh")
    assert observer.valid() == {}
    assert project.state() == {}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('rotation_triggers={"leak": 0}', 'rotation_triggers={"leak": 1}'),
        ("max_age_seconds=86400", "max_age_seconds=2*86400"),
    ],
    ids=["trigger", "setting"],
)
@pytest.mark.parametrize("refresh", ["--refresh", "--refresh --run-program"])
def test_a_token_that_is_replaced_is_revoked(
    project: Project, observer: Observer, before: str, after: str, refresh: str
) -> None:
    """The answer to a leak, and a changed setting, end the old token in a run for a schedule as in any other."""
    project.program(PLAIN.format(before)).up()
    old = project.outputs("ci")
    told = project.program(PLAIN.format(after)).up(*refresh.split()).output
    assert not observer.works(old["full_token"])
    assert set(observer.valid()) == project.held() != {old["token_prefix"]}
    assert "another resource of this stack holds it" not in told


def test_an_adopted_token_that_another_name_has_adopted_anew_stays(project: Project, observer: Observer) -> None:
    """A resource under a new name that adopts the same token keeps it, with a refresh before as without."""
    made = observer.make("CI")
    adopts = f'avn.AccessToken("{{}}", description="CI", adopt_prefix="{made["token_prefix"]}")'
    project.program(adopts.format("ci")).up()
    project.program(adopts.format("renamed")).up("--refresh")
    assert set(observer.valid()) == {made["token_prefix"]}
    assert list(project.state()) == ["renamed"]
