"""Which tokens a stack holds, as an export of its state tells. Pure; secrets are not taken over."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, NamedTuple

from pulumi_avn_token import lifecycle, marks, rotation
from pulumi_avn_token.errors import ExportError
from pulumi_avn_token.lifecycle import SERIES_TYPE, TOKEN_TYPE
from pulumi_avn_token.model import PREFIX_LENGTH, User, parse_time
from pulumi_avn_token.terminal import one_line

Role = Literal["current", "previous", "leaving", "stray", "read"]
"""The token of a resource; the one before it; one that the next `up` revokes, because its resource has gone or because
it was never delivered; and one that is only read."""


@dataclass(frozen=True, kw_only=True)
class Holding:
    """A token that the state of a stack tells of."""

    token_prefix: str
    role: Role
    stack: str
    """The project and the stack, as in `project/stack`."""
    urn: str
    is_series: bool
    mark: str | None = None
    """What tells the tokens of its series."""
    outs: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Of the token's recorded outputs, those that an audit needs, where they are no secrets."""

    @property
    def name(self) -> str:
        """The name of the resource in the program."""
        return _name(self.urn)

    @property
    def is_managed(self) -> bool:
        """Whether the stack has the token, and not only looks at it."""
        return self.role != "read"

    @property
    def made_as(self) -> User | None:
        """The user whom it was made as."""
        return lifecycle.owner(self.outs)


class State(NamedTuple):
    """What an export tells of a stack."""

    holdings: list[Holding]
    makers: dict[str, str]
    """The stack, as in `project/stack`, by the tag of the marks that it makes; none: nothing tells which it is."""


def read(export: Any, name: str = "") -> State:
    """What an export of `pulumi stack export` tells. ExportError: it is none.

    name: the stack's, where it is known, as in `organization/project/stack`: an export without resources has none.
    """
    holdings = list(find_holdings(export))
    urns = [resource.get("urn") for resource in export["deployment"].get("resources") or []]
    if not urns and (parts := re.fullmatch("[^/]+/([^/]+)/([^/]+)", name)):
        urns = [f"urn:pulumi:{parts[2]}::{parts[1]}"]
    return State(holdings, {marks.tag(urn): _stack(urn) for urn in urns[:1] if isinstance(urn, str) and "::" in urn})


def find_holdings(export: Any) -> Iterator[Holding]:
    """The tokens that an export of `pulumi stack export` tells of. ExportError: it is none."""
    if not isinstance(export, dict) or not isinstance(export.get("deployment"), dict):
        raise ExportError("it is not what `pulumi stack export` writes: it has no deployment")
    resources = export["deployment"].get("resources") or []
    try:
        for resource in resources:
            if resource["type"] in (TOKEN_TYPE, SERIES_TYPE):
                yield from _of_resource(resource)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
        raise ExportError("it is not what `pulumi stack export` writes: a resource in it cannot be read") from None


def _of_resource(resource: Mapping[str, Any]) -> Iterator[Holding]:
    outputs = resource.get("outputs") or {}
    outs = _read(outputs)
    urn, id_ = _text(resource["urn"]), _text(resource["id"])
    is_series = lifecycle.REASON in outs or resource["type"] == SERIES_TYPE
    hidden = [name for name in _PREFIXES if isinstance(outputs.get(name), Mapping)]
    if is_series and hidden:
        what = f"{hidden[0]} of {_name(urn)} is a secret in it, so its tokens cannot be told"
        raise ExportError(f"{what}: take it out of additional_secret_outputs, and run `pulumi up`")
    current = outs.get("token_prefix") or (None if is_series else id_[:PREFIX_LENGTH])
    role: Role = "read" if resource.get("external") else "leaving" if resource.get("delete") else "current"
    stack = _stack(urn)

    def holding(token_prefix: str, role: Role, outs: Mapping[str, Any]) -> Holding:
        return Holding(
            token_prefix=token_prefix,
            role=role,
            stack=stack,
            urn=urn,
            is_series=is_series,
            mark=marks.mark_of(id_, outs.get(lifecycle.URN, urn)) if is_series else None,
            outs=outs,
        )

    if current is not None:
        yield holding(current, role, outs)
    if previous := outs.get("previous_token_prefix"):
        yield holding(previous, "leaving" if role == "leaving" else "previous", _of_previous(outs))
    for stray in map(_text, outputs.get(rotation.STRAYS) or ()):
        yield holding(stray, "stray", {name: outs[name] for name in _OF_THE_RESOURCE if name in outs})


def _name(urn: str) -> str:
    return one_line(urn.split("::", 3)[-1])


def _stack(urn: str) -> str:
    stack, project = urn.removeprefix("urn:pulumi:").split("::")[:2]
    return one_line(f"{project}/{stack}")


def _of_previous(outs: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs of the previous token, named as those of the current one."""
    own = {name.removeprefix("previous_"): value for name, value in outs.items() if name.startswith("previous_")}
    return {**{name: outs[name] for name in ("description", *_OF_THE_RESOURCE) if name in outs}, **own}


_TRIGGERS = ("rotation_triggers", "revocation_triggers")
_OF_THE_RESOURCE = (lifecycle.OWNER, lifecycle.URN, lifecycle.CREDENTIALS, *_TRIGGERS)
_PREFIXES = ("token_prefix", "previous_token_prefix")
_TEXTS = (
    *_PREFIXES,
    "description",
    "last_ip",
    "last_user_agent",
    "previous_last_ip",
    "previous_last_user_agent",
    lifecycle.GONE,
    lifecycle.REASON,
    lifecycle.URN,
    lifecycle.CREDENTIALS,
)
_TIMES = ("create_time", "expiry_time", "previous_expiry_time")
_NUMBERS = ("max_age_seconds", "early_rotation_window_seconds")


def _read(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs that are known by name and are what they should be: one with a secret is wrapped, and is not."""
    read: dict[str, Any] = {name: outputs[name] for name in _TEXTS if isinstance(outputs.get(name), str)}
    for name in _TIMES:
        if isinstance(time := outputs.get(name), str):
            parse_time(time)
            read[name] = time
    for name in _NUMBERS:
        if isinstance(number := outputs.get(name), int | float):
            timedelta(seconds=number)
            read[name] = number
    read |= {name: True for name in _TRIGGERS if outputs.get(name) is not None}  # their values may be secrets
    if (owner := outputs.get(lifecycle.OWNER)) is not None:
        read[lifecycle.OWNER] = {
            "user": _text(owner["user"]),
            "user_id": owner["user_id"] if isinstance(owner.get("user_id"), str) else None,
        }
    return read


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value
