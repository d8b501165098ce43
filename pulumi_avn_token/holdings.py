"""Which tokens a stack holds, as an export of its state tells. Pure; secrets are not taken over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pulumi_avn_token import lifecycle, marks, rotation
from pulumi_avn_token.errors import ExportError
from pulumi_avn_token.model import PREFIX_LENGTH, User
from pulumi_avn_token.terminal import one_line

TOKEN_TYPE = "pulumi-python:dynamic/avn:AccessToken"  # noqa: S105 - a type token
SERIES_TYPE = "pulumi-python:dynamic/avn:RotatingAccessToken"

Role = Literal["current", "previous", "leaving", "stray", "read"]
"""The token of a resource; the one before it; one that the next `up` revokes, because its resource has gone or because
it was never delivered; and one that is only read."""

_SHOWN_OF_PREVIOUS = ("expiry_time", "last_used_time", "last_ip", "last_user_agent")


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
    """The token's recorded outputs that are in the open, and not too long for what they are."""

    @property
    def name(self) -> str:
        """The name of the resource in the program."""
        return one_line(self.urn.split("::", 3)[-1])

    @property
    def is_managed(self) -> bool:
        """Whether the stack has the token, and not only looks at it."""
        return self.role != "read"

    @property
    def made_as(self) -> User | None:
        """The user whom it was made as."""
        return lifecycle.owner(self.outs)


def find_holdings(export: Any) -> Iterator[Holding]:
    """The tokens that an export of `pulumi stack export` tells of. ExportError: it is none."""
    if not isinstance(export, dict) or not isinstance(export.get("deployment"), dict):
        raise ExportError("it is not what `pulumi stack export` writes: it has no deployment")
    resources = export["deployment"].get("resources") or []
    try:
        for resource in resources:
            if resource["type"] in (TOKEN_TYPE, SERIES_TYPE):
                yield from _of_resource(resource)
    except (KeyError, TypeError, AttributeError, ValueError):
        raise ExportError("it is not what `pulumi stack export` writes: a resource in it cannot be read") from None


def _of_resource(resource: Mapping[str, Any]) -> Iterator[Holding]:
    outs = _in_the_open(resource.get("outputs") or {})
    current, previous = outs.get("token_prefix"), outs.get("previous_token_prefix")
    is_series = resource["type"] == SERIES_TYPE
    if current is None and not is_series:
        current = resource["id"][:PREFIX_LENGTH]
    role: Role = "read" if resource.get("external") else "leaving" if resource.get("delete") else "current"

    def holding(token_prefix: str, role: Role, outs: Mapping[str, Any]) -> Holding:
        urn = resource["urn"]
        stack, project = urn.removeprefix("urn:pulumi:").split("::")[:2]
        return Holding(
            token_prefix=token_prefix,
            role=role,
            stack=one_line(f"{project}/{stack}"),
            urn=urn,
            is_series=is_series,
            mark=marks.mark_of(resource["id"]) if is_series else None,
            outs=outs,
        )

    if isinstance(current, str):
        yield holding(current, role, outs)
    if isinstance(previous, str):
        seen = {name: outs.get(f"previous_{name}") for name in _SHOWN_OF_PREVIOUS}
        kept = {name: outs.get(name) for name in ("description", lifecycle.OWNER)}
        yield holding(previous, "leaving" if role == "leaving" else "previous", {**kept, **seen})
    for stray in outs.get(rotation.STRAYS) or ():
        yield holding(stray, "stray", {lifecycle.OWNER: outs.get(lifecycle.OWNER)})


def _in_the_open(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs without those that hold a secret: these are wrapped, decrypted or not."""
    return {name: value for name, value in outputs.items() if not (isinstance(value, dict) and _SECRET in value)}


_SECRET = "4dabf18193072939515e22adb298388d"  # noqa: S105 - the engine's key of a wrapped value
