"""What a program declares: access tokens as Pulumi resources."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from inspect import iscoroutinefunction
from os import PathLike
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

import pulumi
from pulumi import Input, Output, ResourceOptions, dynamic

from pulumi_avn_token.credentials import check_name
from pulumi_avn_token.errors import InvalidRequestError, ManifestError
from pulumi_avn_token.lifecycle import SERIES_TYPE, SHOWN_BY_THE_ACCOUNT, TOKEN_TYPE, URN
from pulumi_avn_token.model import LONGEST_PREFIX, PREFIX_LENGTH, shown
from pulumi_avn_token.provider import SECRET_OUTPUTS, AccessTokenProvider, RotatingAccessTokenProvider
from pulumi_avn_token.rotation import PREVIOUS_OUTPUTS

if TYPE_CHECKING:
    from typing_extensions import Self

_Place = tuple[str, str, pulumi.Resource | None]
"""The type, the name and the parent of a resource."""

_DECLARED: WeakKeyDictionary[pulumi.Resource, dict[_Place, Callable[[], object]]] = WeakKeyDictionary()
"""What takes the alias of each resource away that it has by `_succeeding`."""


class _Token:
    """What both kinds of resource show of a token.

    Nothing of that is annotated at the resources themselves: the SDK evaluates such annotations anew for each of them.
    """

    token_prefix: Output[str]
    full_token: Output[str]
    description: Output[str]
    extend_when_used: Output[bool]
    ip_allowlist: Output[Sequence[str] | None]
    scopes: Output[Sequence[str] | None]
    create_time: Output[str]
    last_used_time: Output[str | None]
    last_ip: Output[str | None]
    last_user_agent: Output[str | None]

    def _age(self) -> Output[Any]:
        """Without an annotation, the SDK makes every number a float."""
        age: Output[float | None] = self.__dict__["max_age_seconds"]
        return age.apply(lambda seconds: None if seconds is None else int(seconds))

    @property
    def credentials(self) -> Output[str | None]:
        """Where the credential is, as declared."""
        declared: Output[str] | None = self.__dict__.get("credentials")
        return Output.from_input(None) if declared is None else declared


class _Alone(_Token):
    """What else an `AccessToken` shows."""

    expiry_time: Output[str | None]
    """None: it never expires."""

    @property
    def max_age_seconds(self) -> Output[int | None]:
        """Age in seconds, as the service has it; None: it never expires."""
        return self._age()


class AccessToken(_Alone, dynamic.Resource, module="avn", name="AccessToken"):
    """A personal access token of the Aiven user whose credential runs the stack.

    Its `id` is the token's prefix, or that of the series which it was. `full_token`, the secret, is a secret in the
    state and in every output made of it; it is unset for an adopted token whose secret was not given. Times are
    ISO 8601 strings.
    """

    def __init__(  # noqa: PLR0913 - the fields of the API, and what this package adds
        self,
        resource_name: str,
        *,
        description: Input[str],
        max_age_seconds: Input[int] | None = None,
        extend_when_used: Input[bool] = False,
        ip_allowlist: Input[Sequence[Input[str]]] | None = None,
        scopes: Input[Sequence[Input[str]]] | None = None,
        early_rotation_window_seconds: Input[int] | None = None,
        rotation_triggers: Input[Mapping[str, Any]] | None = None,
        adopt_prefix: Input[str] | None = None,
        full_token: Input[str] | None = None,
        credentials: Input[str] | None = None,
        opts: ResourceOptions | None = None,
    ) -> None:
        """Declare a token. Bad values fail in the preview, all of them at once.

        description: 1 to 1000 characters; a change is made in place.
        max_age_seconds: 600 to 315360000; absent, the service's default (30 days). A change makes a new token.
        extend_when_used: the age counts from the last use. A change makes a new token.
        ip_allowlist, scopes: CIDRs and scopes, at most 100 each; order does not matter. A change makes a new token.
        early_rotation_window_seconds: at the first `up` within this time of the expiry, a new token is made; less than
            the age. A change of it never makes one.
        rotation_triggers: any changed value makes a new token; introducing or removing the argument does not.
        adopt_prefix: take over the token with this prefix instead of making one; the full token does as well.
        full_token: the secret of the token to adopt, where known.
        credentials: the environment variable, such as AIVEN_TOKEN_STAGING, or the stack setting, such as
            staging:apiToken, where the credential is; absent: where it usually is. One of another user makes a new
            token in that user's account, and revokes this one.
        """
        inputs = {
            "description": description,
            "max_age_seconds": max_age_seconds,
            "extend_when_used": extend_when_used,
            "ip_allowlist": ip_allowlist,
            "scopes": scopes,
            "early_rotation_window_seconds": early_rotation_window_seconds,
            "rotation_triggers": rotation_triggers,
            "adopt_prefix": _hidden_if_full(adopt_prefix),
            "full_token": None if full_token is None else Output.secret(full_token),
            "credentials": credentials,
        }
        bag = _bag(TOKEN_TYPE, resource_name, _SHOWN, inputs, opts)
        opts = _hiding(SECRET_OUTPUTS, opts)
        with _succeeding(SERIES_TYPE, TOKEN_TYPE, resource_name, opts):
            super().__init__(AccessTokenProvider(), resource_name, bag, opts)

    @classmethod
    def get(
        cls,
        resource_name: str,
        id: Input[str],  # noqa: A002 - as Pulumi calls it
        opts: ResourceOptions | None = None,
        *,
        credentials: Input[str] | None = None,
    ) -> Self:
        """Read the token with the prefix `id` without managing it: it is neither changed nor revoked.

        credentials: where the credential is, as for a token that is declared.

        InvalidRequestError: it is a full token, which the engine would show and store in the open. CredentialError:
        `credentials` is no name.
        """
        prefix = _prefix(id) if isinstance(id, str) else Output.concat(id).apply(_prefix)
        if credentials is not None:  # the engine has no `check` of what is only read, and would show it
            named = Output.from_input(credentials)
            credentials = check_name(credentials) if isinstance(credentials, str) else named.apply(check_name)
        token = cls.__new__(cls)
        bag = _bag(TOKEN_TYPE, resource_name, _SHOWN, {"credentials": credentials}, opts)
        opts = _hiding(SECRET_OUTPUTS, ResourceOptions.merge(opts, ResourceOptions(id=prefix)))
        with _succeeding(SERIES_TYPE, TOKEN_TYPE, resource_name, opts):
            super().__init__(token, AccessTokenProvider(), resource_name, bag, opts)
        return token


class _Series(_Token):
    """What else a series shows."""

    expiry_time: Output[str]
    rotates_at: Output[str]
    """When the window opens: the first `up` after that rotates."""
    rotation_reason: Output[str]
    """Why the current token was made: created, window, trigger, settings, expired, revoked or emergency."""
    previous_token_prefix: Output[str | None]
    previous_full_token: Output[str | None]
    previous_superseded_time: Output[str | None]
    """When its successor was made: who has used it since is behind."""
    previous_retires_at: Output[str | None]
    """When its overlap is over: an `up` after that revokes it."""
    previous_expiry_time: Output[str | None]
    """When it ends by itself."""
    previous_last_used_time: Output[str | None]
    previous_last_ip: Output[str | None]
    previous_last_user_agent: Output[str | None]

    @property
    def max_age_seconds(self) -> Output[int]:
        """Age in seconds, as the service has it."""
        return self._age()


class RotatingAccessToken(_Series, dynamic.Resource, module="avn", name="RotatingAccessToken"):
    """A series of personal access tokens, two of them valid while consumers change over from one to the next.

    Its `id` is the series', and stays; that of one which was an `AccessToken` is its first token's prefix. The outputs
    are the current token's, as those of an `AccessToken`; beside them those of the previous token, unset where there is
    none. Times are ISO 8601 strings.
    """

    def __init__(  # noqa: PLR0913 - the fields of the API, and what a series needs
        self,
        resource_name: str,
        *,
        description: Input[str],
        max_age_seconds: Input[int],
        early_rotation_window_seconds: Input[int],
        overlap_seconds: Input[int] = 0,
        retire_previous: Input[str] = "when_idle",
        extend_when_used: Input[bool] = False,
        ip_allowlist: Input[Sequence[Input[str]]] | None = None,
        scopes: Input[Sequence[Input[str]]] | None = None,
        rotation_triggers: Input[Mapping[str, Any]] | None = None,
        revocation_triggers: Input[Mapping[str, Any]] | None = None,
        credentials: Input[str] | None = None,
        opts: ResourceOptions | None = None,
    ) -> None:
        """Declare a series. Bad values fail in the preview, all of them at once.

        A rotation makes a new token the current one, and the current one the previous one, by an update in place.

        description: 1 to 1000 characters; a change is made in place, of both tokens.
        max_age_seconds: 600 to 315360000, of each token. A change rotates.
        early_rotation_window_seconds: the first `up` within this time of the expiry rotates; less than the age. A
            change of it never does.
        overlap_seconds: for so long after a rotation the previous token stays valid, and is revoked by the first `up`
            after that; at most the window. With 0, the default, it is revoked by the next `up`.
        retire_previous: "when_idle", the default: only once it was not used since its successor was made, and while it
            is, every `up` warns; "after_overlap": in any case.
        extend_when_used: the age counts from the last use. A change rotates.
        ip_allowlist, scopes: CIDRs and scopes, at most 100 each; order does not matter. A change rotates.
        rotation_triggers: any changed value rotates; introducing or removing the argument does not.
        revocation_triggers: the emergency way: any changed value makes a new token, and revokes all others in the same
            `up`; introducing or removing the argument does nothing.
        credentials: the environment variable, such as AIVEN_TOKEN_STAGING, or the stack setting, such as
            staging:apiToken, where the credential is; absent: where it usually is. One of another user makes a new
            series in that user's account, and revokes all tokens of this one.
        """
        inputs = {
            "description": description,
            "max_age_seconds": max_age_seconds,
            "early_rotation_window_seconds": early_rotation_window_seconds,
            "overlap_seconds": overlap_seconds,
            "retire_previous": retire_previous,
            "extend_when_used": extend_when_used,
            "ip_allowlist": ip_allowlist,
            "scopes": scopes,
            "rotation_triggers": rotation_triggers,
            "revocation_triggers": revocation_triggers,
            "credentials": credentials,
        }
        outputs = (*_SHOWN, *PREVIOUS_OUTPUTS, "rotates_at", "rotation_reason")
        bag = _bag(SERIES_TYPE, resource_name, outputs, inputs, opts)
        opts = _hiding((*SECRET_OUTPUTS, "previous_full_token"), opts)
        with _succeeding(TOKEN_TYPE, SERIES_TYPE, resource_name, opts):
            super().__init__(RotatingAccessTokenProvider(), resource_name, bag, opts)


def access_tokens_from_manifest(
    path: str | PathLike[str], opts: ResourceOptions | None = None
) -> dict[str, AccessToken | RotatingAccessToken]:
    """Declare the tokens of a manifest such as `tokens.yaml`, and return them by name; `opts` are for each of them.

    One with the key `rotation` is a `RotatingAccessToken`, every other an `AccessToken`.

    RunError, which ends a program without a traceback: the manifest's faults, all of them, as `FILE:LINE:COLUMN: what`.
    """
    from pulumi_avn_token import manifest  # noqa: PLC0415 - a program without one does without its reader

    try:
        declarations = manifest.load(path)
    except ManifestError as error:
        raise pulumi.RunError(str(error)) from error
    return {
        name: (RotatingAccessToken if declared.is_series else AccessToken)(name, opts=opts, **declared.arguments)
        for name, declared in declarations.items()
    }


_SHOWN = (*SHOWN_BY_THE_ACCOUNT, "full_token")
"""What a resource has as an output whether it is an input or not."""


def _bag(
    type_: str,
    resource_name: str,
    outputs: Iterable[str],
    inputs: Mapping[str, Any],
    opts: ResourceOptions | None,
) -> dict[str, Any]:
    """All inputs that are given and all outputs of a resource, with the URN that it is going to have among the inputs.

    As few as there can be: the SDK makes an `Output` of each, which costs more than all else that is done here.
    """
    given = {name: value for name, value in inputs.items() if value is not None}
    return {**dict.fromkeys(outputs), **given, URN: _urn(type_, resource_name, opts.parent if opts else None)}


def _urn(type_: str, resource_name: str, parent: pulumi.Resource | None) -> Input[str]:
    if parent is None:
        return f"urn:pulumi:{pulumi.get_stack()}::{pulumi.get_project()}::{type_}::{resource_name}"
    # As a future, since the URN as an output would make the resource depend on its own parent.
    return cast("Input[str]", pulumi.create_urn(resource_name, type_, parent).future())


@contextmanager
def _succeeding(other: str, type_: str, resource_name: str, opts: ResourceOptions) -> Iterator[None]:
    """Have the resource that is declared meanwhile be what one of another type in the same place becomes, in place.

    opts: its options, to be changed.
    """
    declared, parent, aliases = _declared(), opts.parent, list(opts.aliases or ())
    opts.aliases = aliases
    rival = (other, resource_name, parent)
    if rival in declared:
        yield
        # One that is still there itself is no predecessor: the engine would give its token to this one, and then
        # refuse the other. So its alias is taken away: in time, unless the program waited for something in between.
        declared.pop(rival)()
    elif parent is None and not _is_transformed(opts) and are_aliases_read_late():
        yield
        # Only now: of one that it sees while it declares the resource, the SDK makes four `Output`s.
        text = _urn(other, resource_name, None)
        aliases.append(text)
        declared[type_, resource_name, parent] = partial(aliases.remove, text)
    else:
        alias = pulumi.Alias(type_=other)  # an object stays the same where a transformation copies the list
        aliases.append(alias)
        yield
        declared[type_, resource_name, parent] = partial(setattr, alias, "type_", ...)  # its own: what it is already


@cache
def are_aliases_read_late() -> bool:
    """Whether the SDK takes what it sends from the very list that it is given, after the resource is declared.

    It promises neither, and without its alias a token whose kind is changed would be revoked: so it is looked at.
    """
    options = ResourceOptions(aliases=[])
    try:
        is_shared = options._copy().aliases is options.aliases  # noqa: SLF001
        return is_shared and iscoroutinefunction(pulumi.runtime.resource.prepare_aliases)
    except AttributeError:
        return False


def _is_transformed(opts: ResourceOptions) -> bool:
    return bool(opts.transformations or getattr(pulumi.runtime.get_root_resource(), "_transformations", None))


def _hiding(secrets: Iterable[str], opts: ResourceOptions | None) -> ResourceOptions:
    """Options that hide these outputs too, a copy."""
    return ResourceOptions.merge(opts, ResourceOptions(additional_secret_outputs=list(secrets)))


def _declared() -> dict[_Place, Callable[[], object]]:
    """What this program has declared so far: one process may run several, each with a stack's resource of its own."""
    root = pulumi.runtime.get_root_resource()
    return {} if root is None else _DECLARED.setdefault(root, {})


def _hidden_if_full(adopt_prefix: Input[str] | None) -> Input[str] | None:
    """A full token may stand in for its prefix: then it is a secret."""

    def hide(given: str) -> Input[str]:
        return Output.secret(given) if isinstance(given, str) and len(given) > PREFIX_LENGTH else given

    if adopt_prefix is None:
        return None
    return Output.from_input(adopt_prefix).apply(hide)


def _prefix(given: str) -> str:
    if len(given) > LONGEST_PREFIX:
        raise InvalidRequestError(f"AccessToken.get takes a token's prefix, and this is more of it: {shown(given)}")
    return given
