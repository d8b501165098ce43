"""Taking over tokens that exist: what is meant, what is refused, and what becomes of them later."""

from __future__ import annotations

import pytest

from pulumi_avn_token.emulator import Emulator
from tests.account import Observer
from tests.engine.project import DAY, Project


def test_an_adopted_token_is_taken_over_without_a_write(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """Adoption by prefix, with the secret where it is known, changes nothing in the account."""
    made = observer.make("notebooks", max_age_seconds=3600, extend_when_used=True)
    project.environ["SECRET"] = made["full_token"]
    emulator.clear_requests()
    project.program(
        f"""
        import os
        token = avn.AccessToken("nb", description="notebooks", adopt_prefix="{made["token_prefix"]}",
                                full_token=os.environ["SECRET"], max_age_seconds=3600)
        pulumi.export("nb", token.full_token)
        """
    ).up()
    assert {request.split()[0] for request in observer.provider_requests()} == {"GET"}
    assert project.state()["nb"]["id"] == made["token_prefix"]
    assert project.outputs("nb")["extend_when_used"] is True
    assert project.output("nb") == made["full_token"]
    emulator.clear_requests()
    project.up("--expect-no-changes")
    assert observer.provider_requests() == []
    project.destroy()
    assert not observer.works(made["full_token"])


def test_a_secret_that_was_not_given_is_unset_and_can_be_given_later(project: Project, observer: Observer) -> None:
    """Without its secret a token is managed all the same; giving it later goes into the state, and nowhere else."""
    made = observer.make("notebooks")
    arguments = f'description="notebooks", adopt_prefix="{made["token_prefix"]}"'
    project.tokens(nb=arguments).up()
    assert project.outputs("nb").get("full_token") is None
    project.environ["SECRET"] = made["full_token"]
    assert "1 updated" in project.tokens(nb=f'{arguments}, full_token=__import__("os").environ["SECRET"]').up().output
    assert project.output("nb") == made["full_token"]
    assert observer.works(made["full_token"])


def test_a_full_token_in_place_of_its_prefix_is_never_in_the_open(project: Project, observer: Observer) -> None:
    """A full token adopts as well as a prefix does, gives the secret too, and is encrypted wherever it stands."""
    made = observer.make("notebooks")
    project.environ["SECRET"] = made["full_token"]
    project.tokens(nb='description="notebooks", adopt_prefix=__import__("os").environ["SECRET"]')
    project.preview()
    project.up()
    assert project.output("nb") == made["full_token"]
    project.refresh("--expect-no-changes")
    project.up("--expect-no-changes")
    in_the_open = "".join(project.printed) + str(project.state())
    assert made["full_token"] not in in_the_open
    assert made["full_token"][20:60] not in in_the_open


def test_another_description_is_set_at_the_adoption(project: Project, observer: Observer) -> None:
    """What is declared holds from the first `up` on."""
    made = observer.make("notebooks")
    project.tokens(nb=f'description="declared", adopt_prefix="{made["token_prefix"]}"').up()
    assert observer.tokens()["declared"]["token_prefix"] == made["token_prefix"]


def test_what_cannot_be_adopted_fails_in_the_preview(project: Project, observer: Observer) -> None:
    """An unknown prefix, settings that the token does not have, and a secret that is not its own are told."""
    made = observer.make("notebooks", max_age_seconds=3600)
    prefix = made["token_prefix"]
    for arguments, told in (
        ('adopt_prefix="XCJ3+bgWywIh"', ["no valid token of this account begins with XCJ3+bgWywIh"]),
        (
            f'adopt_prefix="{prefix}", max_age_seconds=7200, scopes=["user:read"]',
            [f"token {prefix} has 3600 for life", f"token {prefix} has none for life"],
        ),
        (f'adopt_prefix="{prefix}", full_token="not" + "its"', ["it does not begin with adopt_prefix"]),
    ):
        shown = project.tokens(nb=f'description="notebooks", {arguments}').preview(fails=True).output
        assert all(reason in shown for reason in told), shown
        assert "Traceback" not in shown
    assert observer.works(made["full_token"])


@pytest.mark.parametrize("how", ["trigger", "window"])
def test_an_adopted_token_is_rotated_like_any_other(
    project: Project, observer: Observer, emulator: Emulator, how: str
) -> None:
    """With `adopt_prefix` still in the program a rotation makes a new token, and is not done again by the next `up`."""
    emulator.clock_offset = -25 * DAY
    made = observer.make("notebooks")
    emulator.clock_offset = 0
    adopt = f'description="notebooks", adopt_prefix="{made["token_prefix"]}"'
    if how == "trigger":
        project.tokens(nb=f'{adopt}, rotation_triggers={{"a": 1}}').up()
        project.tokens(nb=f'{adopt}, rotation_triggers={{"a": 2}}')
    else:
        project.tokens(nb=f"{adopt}, early_rotation_window_seconds=864000").up()
    assert "replace" in project.preview().output
    assert "1 replaced" in project.up().output
    assert not observer.works(made["full_token"])
    assert observer.works(project.output("nb"))
    project.up("--expect-no-changes")
    project.tokens(nb='description="notebooks"').up()
    assert observer.works(project.output("nb"))


def test_an_adopted_token_that_is_gone_is_made_anew(project: Project, observer: Observer) -> None:
    """A refresh finds it missing and keeps that in mind; the next `up` makes a token instead of looking for it."""
    made = observer.make("notebooks")
    project.tokens(nb=f'description="notebooks", adopt_prefix="{made["token_prefix"]}"').up()
    observer.revoke(made["token_prefix"])
    project.refresh("--expect-no-changes", fails=True)
    assert "it was revoked outside of Pulumi" in project.up().output
    assert observer.works(project.output("nb"))
    project.up("--expect-no-changes")


def test_adopting_another_token_lets_the_first_one_go(project: Project, observer: Observer) -> None:
    """A changed `adopt_prefix` takes over the other token, and revokes the one before."""
    one, two = observer.make("one"), observer.make("two")
    project.tokens(nb=f'description="nb", adopt_prefix="{one["token_prefix"]}"').up()
    project.tokens(nb=f'description="nb", adopt_prefix="{two["token_prefix"]}"').up()
    assert project.state()["nb"]["id"] == two["token_prefix"]
    assert (observer.works(one["full_token"]), observer.works(two["full_token"])) == (False, True)


@pytest.mark.parametrize("how", ["renamed", "replaced by force"])
def test_a_token_that_is_still_held_is_not_revoked_with_the_old_resource(
    project: Project, observer: Observer, how: str
) -> None:
    """A resource renamed without an alias, or replaced by force, adopts its token anew: it must survive that."""
    made = observer.make("notebooks")
    arguments = f'description="notebooks", adopt_prefix="{made["token_prefix"]}"'
    project.tokens(nb=arguments).up()
    if how == "renamed":
        shown = project.tokens(renamed=arguments).up().output
    else:
        urn = project.state()["nb"]["urn"]
        shown = project.up("--replace", urn).output
    assert f"token {made['token_prefix']} stays valid: this `pulumi up` has adopted it anew" in shown
    assert observer.works(made["full_token"])
    project.up("--expect-no-changes")


def test_two_resources_do_not_adopt_the_same_token(project: Project, observer: Observer) -> None:
    """One of them is refused: a rotation of the one would revoke the token under the other."""
    made = observer.make("notebooks")
    arguments = f'description="notebooks", adopt_prefix="{made["token_prefix"]}"'
    shown = project.tokens(one=arguments, two=arguments).up(fails=True).output
    assert f"token {made['token_prefix']} is adopted by another resource of this stack already" in shown
    assert [resource["id"] for resource in project.state().values()] == [made["token_prefix"]]
    project.up()
    assert len({resource["id"] for resource in project.state().values()}) == 2
    assert observer.works(made["full_token"])


def test_a_replacement_that_failed_midway_does_not_revoke_what_is_held(project: Project, observer: Observer) -> None:
    """An old resource whose deletion is left for the next `up` does not take the adopted token along then either."""
    made = observer.make("notebooks")
    arguments = f'description="notebooks", adopt_prefix="{made["token_prefix"]}"'
    project.tokens(nb=arguments).up()
    urn = project.state()["nb"]["urn"]
    body = f'nb = avn.AccessToken("nb", {arguments})\n'
    fails = body + 'avn.AccessToken("fails", description=nb.token_prefix.apply(lambda _: "x" * 1001))'
    project.program(fails).up("--replace", urn, fails=True)
    project.tokens(nb=arguments).up()
    assert observer.works(made["full_token"])
    assert project.state()["nb"]["id"] == made["token_prefix"]
