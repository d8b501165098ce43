"""What a resource gives to the SDK, which makes an `Output` of each property: that is what many of them cost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from copy import deepcopy
from typing import Any

import pulumi
import pytest
from pulumi import ResourceOptions, dynamic

import pulumi_avn_token as avn
from pulumi_avn_token import resources

SHOWN = {
    *("token_prefix", "full_token", "description", "max_age_seconds", "extend_when_used", "ip_allowlist", "scopes"),
    *("create_time", "expiry_time", "last_used_time", "last_ip", "last_user_agent"),
}
"""The outputs of the contract."""

PREVIOUS = {
    "previous_token_prefix",
    "previous_full_token",
    "previous_superseded_time",
    "previous_retires_at",
    "previous_expiry_time",
    "previous_last_used_time",
    "previous_last_ip",
    "previous_last_user_agent",
}


class _Root:
    pass


Declared = list[tuple[dict[str, Any], ResourceOptions]]


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> Declared:
    """The properties and the options of each resource that is declared, as they stand in the end."""
    found: Declared = []
    monkeypatch.setattr(
        dynamic.Resource, "__init__", lambda _self, _provider, _name, props, opts: found.append((props, opts))
    )
    root = _Root()
    monkeypatch.setattr(pulumi.runtime, "get_root_resource", lambda: root)
    return found


def test_a_token_has_the_properties_of_the_contract_and_those_that_are_given(declared: Declared) -> None:
    """And its URN: nothing else is worth an `Output`."""
    avn.AccessToken("ci", description="CI", max_age_seconds=3600)
    avn.AccessToken("cd", description="CD", rotation_triggers={"release": "1"}, credentials="AIVEN_TOKEN_STAGING")
    (few, _), (more, _) = declared
    assert few.keys() == {*SHOWN, "__urn"}
    assert more.keys() - few.keys() == {"rotation_triggers", "credentials"}
    assert few["__urn"] == "urn:pulumi:stack::project::pulumi-python:dynamic/avn:AccessToken::ci"


def test_a_series_has_those_of_a_token_and_its_own(declared: Declared) -> None:
    """Likewise."""
    avn.RotatingAccessToken("ci", description="CI", max_age_seconds=3600, early_rotation_window_seconds=600)
    ((properties, _),) = declared
    declared_only = {"early_rotation_window_seconds", "overlap_seconds", "retire_previous", "__urn"}
    assert properties.keys() == {*SHOWN, *PREVIOUS, *declared_only, "rotates_at", "rotation_reason"}


@pytest.mark.parametrize("is_series_first", [False, True])
def test_of_two_kinds_in_one_place_neither_succeeds_the_other(declared: Declared, *, is_series_first: bool) -> None:
    """What the user says of aliases stays; one that is alone in its place has the other kind for an alias."""
    own = "urn:pulumi:stack::project::pulumi-python:dynamic/avn:AccessToken::before"
    opts = ResourceOptions(aliases=[own])
    kinds: list[Callable[[], object]] = [
        lambda: avn.AccessToken("ci", description="CI", opts=opts),
        lambda: avn.RotatingAccessToken(
            "ci", description="CI", max_age_seconds=3600, early_rotation_window_seconds=600, opts=opts
        ),
    ]
    for declare in reversed(kinds) if is_series_first else kinds:
        declare()
    avn.AccessToken("alone", description="alone", opts=opts)
    *both, (_, alone) = declared
    assert [options.aliases for _, options in both] == [[own], [own]]
    assert alone.aliases == [own, "urn:pulumi:stack::project::pulumi-python:dynamic/avn:RotatingAccessToken::alone"]
    assert opts.aliases == [own]


def test_what_could_not_be_declared_takes_no_alias_away(declared: Declared, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program may catch the SDK's refusal of the options, and declare the other kind."""

    def refuse(*_: object) -> None:
        raise ValueError

    avn.AccessToken("ci", description="CI")
    with monkeypatch.context() as sdk:
        sdk.setattr(dynamic.Resource, "__init__", refuse)
        for name in ("ci", "cd"):
            with pytest.raises(ValueError, match=r"^$"):
                avn.RotatingAccessToken(name, description="", max_age_seconds=3600, early_rotation_window_seconds=600)
    avn.AccessToken("cd", description="CD")
    assert [options.aliases for _, options in declared] == [
        [f"urn:pulumi:stack::project::pulumi-python:dynamic/avn:RotatingAccessToken::{name}"] for name in ("ci", "cd")
    ]


@pytest.mark.parametrize("what", ["copies the list", "reads at once", "has changed"])
def test_an_alias_is_declared_at_once_where_the_sdk_may_not_see_a_later_one(
    monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Without it, the token whose kind is changed would be revoked."""
    seen: list[Any] = []
    monkeypatch.setattr(
        dynamic.Resource, "__init__", lambda _self, _provider, _name, _props, opts: seen.extend(opts.aliases)
    )
    resources.are_aliases_read_late.cache_clear()
    avn.AccessToken("ci", description="CI")
    assert seen == []
    if what == "copies the list":
        monkeypatch.setattr(ResourceOptions, "_copy", deepcopy)
    elif what == "reads at once":
        monkeypatch.setattr("pulumi.runtime.resource.prepare_aliases", lambda *_: None)
    else:
        monkeypatch.delattr("pulumi.runtime.resource.prepare_aliases")
    resources.are_aliases_read_late.cache_clear()
    avn.AccessToken("cd", description="CD")
    resources.are_aliases_read_late.cache_clear()
    assert [alias.type_ for alias in seen] == ["pulumi-python:dynamic/avn:RotatingAccessToken"]


@pytest.mark.parametrize("kind", [avn.AccessToken, avn.RotatingAccessToken])
@pytest.mark.parametrize("number", [86400.0, None])
def test_an_age_is_an_int(kind: type[avn.AccessToken | avn.RotatingAccessToken], number: float | None) -> None:
    """Though the engine has floats only; a token that never expires has none."""
    token = kind.__new__(kind)

    async def read() -> int | None:
        token.__dict__["max_age_seconds"] = pulumi.Output.from_input(number)
        return await token.max_age_seconds.future()

    with closing(asyncio.new_event_loop()) as loop:
        age = loop.run_until_complete(read())
    assert (age, type(age)) == ((None, type(None)) if number is None else (86400, int))


def test_where_the_credential_is_can_be_read_whether_it_is_declared_or_not() -> None:
    """It is an output in either case, though no property where it is not declared."""
    token = avn.AccessToken.__new__(avn.AccessToken)

    async def read(output: pulumi.Output[str | None]) -> str | None:
        return await output.future()

    async def both() -> tuple[str | None, str | None]:
        before = await read(token.credentials)
        token.__dict__["credentials"] = pulumi.Output.from_input("AIVEN_TOKEN_STAGING")
        return before, await read(token.credentials)

    with closing(asyncio.new_event_loop()) as loop:
        assert loop.run_until_complete(both()) == (None, "AIVEN_TOKEN_STAGING")
