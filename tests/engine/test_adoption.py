"""Taking over tokens that exist: what is meant, what is refused, and what becomes of them later."""

from __future__ import annotations

import pytest

from pulumi_avn_token.emulator import Emulator, Fault
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
        (
            f'adopt_prefix="{prefix}", early_rotation_window_seconds=3600',
            [f"early_rotation_window_seconds: must be less than the age of token {prefix}, 3600"],
        ),
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
    assert f"token {made['token_prefix']} stays valid: another resource of this stack holds it" in shown
    assert observer.works(made["full_token"])
    project.up("--expect-no-changes")


def test_a_forced_replacement_of_what_was_rotated_says_what_to_do(project: Project, observer: Observer) -> None:
    """The engine does not show the recorded inputs then, so `adopt_prefix` must go; until then nothing is harmed."""
    made = observer.make("notebooks")
    adopt = f'description="notebooks", adopt_prefix="{made["token_prefix"]}"'
    project.tokens(nb=f'{adopt}, rotation_triggers={{"a": 1}}').up()
    project.tokens(nb=f'{adopt}, rotation_triggers={{"a": 2}}').up()
    before, urn = project.output("nb"), project.state()["nb"]["urn"]
    shown = project.up("--replace", urn, fails=True).output
    assert "If the state has this resource already, leave adopt_prefix out" in shown
    assert observer.works(before)
    project.tokens(nb='description="notebooks"').up("--replace", urn)
    assert not observer.works(before)
    assert observer.works(project.output("nb"))


def test_two_resources_do_not_adopt_the_same_token(project: Project, observer: Observer) -> None:
    """One of them is refused: a rotation of the one would revoke the token under the other."""
    made = observer.make("notebooks")
    arguments = f'description="notebooks", adopt_prefix="{made["token_prefix"]}"'
    refused = f"token {made['token_prefix']} is held by another resource of this stack already"
    assert refused in project.tokens(one=arguments, two=arguments).up(fails=True).output
    ((first, state),) = project.state().items()
    assert state["id"] == made["token_prefix"]
    second = "two" if first == "one" else "one"
    # In the other order the second adopts before the first is known to go on, and there is a warning.
    later = f"{arguments}, opts=pulumi.ResourceOptions(depends_on=[{first}])"
    assert refused in project.tokens(**{first: arguments, second: later}).up(fails=True).output
    assert set(project.state()) == {first}
    assert observer.works(made["full_token"])
    assert len(observer.tokens()) == 1


def test_a_token_that_the_stack_made_is_not_adopted_by_another_resource(project: Project, observer: Observer) -> None:
    """Neither is a token that another resource made: removing the one would revoke it under the other."""
    project.tokens(one='description="one"').up()
    prefix = project.state()["one"]["id"]
    adopts = f'description="one", adopt_prefix="{prefix}", opts=pulumi.ResourceOptions(depends_on=[one])'
    shown = project.tokens(one='description="one"', two=adopts).up(fails=True).output
    assert f"token {prefix} is held by another resource of this stack already" in shown
    project.tokens(one='description="one"').up()
    assert observer.works(project.output("one"))


def test_a_token_that_two_resources_hold_after_all_survives_one_of_them(project: Project, observer: Observer) -> None:
    """Where the one that adopts comes first there is a warning, and removing it does not revoke the token."""
    project.tokens(one='description="one"').up()
    prefix = project.state()["one"]["id"]
    after = 'description="one", opts=pulumi.ResourceOptions(depends_on=[two])'
    shown = project.tokens(two=f'description="one", adopt_prefix="{prefix}"', one=after).up().output
    assert f"warning: token {prefix} is held by two resources of this stack: remove one of them" in shown
    shown = project.tokens(one='description="one"').up().output
    assert f"token {prefix} stays valid: another resource of this stack holds it" in shown
    assert observer.works(project.output("one"))


def test_a_rotation_is_not_swallowed_by_another_spelling(project: Project, observer: Observer) -> None:
    """A trigger makes a new token also where `adopt_prefix` is written longer in the same `up`."""
    made = observer.make("notebooks")
    short, whole = (f'description="notebooks", adopt_prefix="{made["token_prefix"][:n]}"' for n in (8, 12))
    project.tokens(nb=f'{short}, rotation_triggers={{"a": 1}}').up()
    assert "1 replaced" in project.tokens(nb=f'{whole}, rotation_triggers={{"a": 2}}').up().output
    assert not observer.works(made["full_token"])
    assert observer.works(project.output("nb"))
    project.up("--expect-no-changes")


def test_a_renamed_resource_that_fails_to_adopt_leaves_the_old_one(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """With `--continue-on-error` too, a token and its secret stay with the old resource until the new one has them."""
    made = observer.make("notebooks")
    project.environ["SECRET"] = made["full_token"]
    given = f'adopt_prefix="{made["token_prefix"]}", full_token=__import__("os").environ["SECRET"]'
    project.tokens(one=f'description="notebooks", {given}').up()
    emulator.faults = [Fault(kind="status", status=500, method="PUT")]
    shown = project.tokens(two=f'description="other", {given}').up("--continue-on-error", fails=True).output
    assert f"token {made['token_prefix']} was left alone: the resource that was to adopt it failed" in shown
    assert project.outputs("one")["full_token"] == made["full_token"]
    emulator.faults = []
    project.up()
    assert project.outputs("two")["full_token"] == made["full_token"]
    assert observer.works(made["full_token"])


def test_an_adopted_token_that_is_deleted_before_its_replacement_is_made_anew(
    project: Project, observer: Observer
) -> None:
    """With `delete_before_replace` the old token goes first, and what is made then is a new one."""
    made = observer.make("notebooks")
    arguments = f'description="notebooks", adopt_prefix="{made["token_prefix"]}"'
    options = "opts=pulumi.ResourceOptions(delete_before_replace=True)"
    project.tokens(nb=f'{arguments}, rotation_triggers={{"a": 1}}, {options}').up()
    project.tokens(nb=f'{arguments}, rotation_triggers={{"a": 2}}, {options}').up()
    assert not observer.works(made["full_token"])
    assert observer.works(project.output("nb"))


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
