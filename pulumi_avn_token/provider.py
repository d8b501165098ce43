"""The dynamic providers behind the resources. Thin: what to do is decided in `lifecycle`, done through `account`.

The import path of each class here is written into its users' states: it never changes. An instance has no attributes,
since it would be pickled with them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar, cast

from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)
from pulumi.output import contains_unknowns

from pulumi_avn_token import adoption, lifecycle
from pulumi_avn_token.arguments import find_faults
from pulumi_avn_token.errors import AdoptionError, AvnTokenError, CredentialError, TokenNotFoundError
from pulumi_avn_token.model import TokenInfo, TokenSpec, User, shown
from pulumi_avn_token.operation import Operation

SHOWN_BY_THE_ACCOUNT = (
    "token_prefix",
    "description",
    "max_age_seconds",
    "extend_when_used",
    "ip_allowlist",
    "scopes",
    "create_time",
    "expiry_time",
    "last_used_time",
    "last_ip",
    "last_user_agent",
)
"""The outputs that are as the account shows them."""

OWNER = "__owner"
"""The output that records the Aiven user whom the token was made as."""

SECRET_OUTPUTS = ("full_token", lifecycle.DECLARED)
"""The settings as declared are among them, since a program may have declared them by secret values."""


_Method = TypeVar("_Method", bound=Callable[..., Any])


def _told_briefly(method: _Method) -> _Method:
    """Keep a traceback short: the host shows it to the user, above the message that matters."""

    @functools.wraps(method)
    def brief(*arguments: Any) -> Any:
        try:
            return method(*arguments)
        except AvnTokenError as error:
            raise error.with_traceback(None) from None

    return cast("_Method", brief)


class AccessTokenProvider(ResourceProvider):
    """Maps create, read, update and delete of an `AccessToken` onto the token API."""

    serialize_as_secret_always = False
    operation: ClassVar[Operation] = Operation()

    def configure(self, req: ConfigureRequest) -> None:
        """Take the stack's configuration, for the credential and the URL that may stand there."""
        self.operation.configure(req.config.get)

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Find all that is wrong before anything happens; only a token yet to be adopted is looked up."""
        unknown = {name for name, value in news.items() if contains_unknowns(value)}
        known = {name: value for name, value in news.items() if name not in unknown and name != "__provider"}
        faults = find_faults(known, unknown)
        try:
            self.operation.credential()
        except CredentialError as error:
            faults.append(("credential", str(error)))
        if not faults and not lifecycle.is_same_adoption(_olds.get("adopt_prefix"), known.get("adopt_prefix")):
            faults = self._adoption_faults(known)
        # Named in the reason and not as the failure's property, whose value the engine would print, even of a secret.
        return CheckResult(news, [CheckFailure("", f"{name}: {reason}") for name, reason in faults])

    @_told_briefly
    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Compare the recorded with the declared and with the clock, offline unless a due expiry may have moved."""
        decision = lifecycle.decide(_olds, _news, self.operation.now())
        if isinstance(decision, lifecycle.Replace) and decision.reason and lifecycle.is_stale(_olds):
            decision = lifecycle.decide(self._asked_anew(_id, _olds), _news, self.operation.now())
        if isinstance(decision, lifecycle.Replace):
            self.operation.account().confirm(_id, _owner(_olds))
            if decision.reason:
                self.operation.say("info", f"token {shown(_id)} is replaced by a new one: {decision.reason}")
            if _news.get("adopt_prefix") is not None and not lifecycle.adopts_another(_olds, _news):
                self.operation.adoptions.rotate(_news["adopt_prefix"])
            return DiffResult(changes=True, replaces=list(decision.properties))
        if self.operation.adoptions.was_taken(_id):
            self.operation.say(
                "warning", f"token {shown(_id)} is held by two resources of this stack: remove one of them"
            )
        self.operation.adoptions.hold(_id)
        return DiffResult(changes=isinstance(decision, lifecycle.Update))

    @_told_briefly
    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make a token, or take over the one to adopt, and build the state from that answer."""
        account, adopted = self.operation.account(), props.get("adopt_prefix")
        owner = account.owner()  # asked first: nothing that may fail comes after the token is made
        if adopted is None or self.operation.adoptions.begin_rotation(adopted):
            issued = account.create(_spec(props))
            token = issued.info
            full_token: str | None = issued.full_token
        else:
            token = self._adopted(adopted, props)
            self.operation.adoptions.take(token.token_prefix)
            if token.description != props["description"]:
                token = account.update(token.token_prefix, props["description"], owner)
            full_token = lifecycle.known_secret({"token_prefix": token.token_prefix}, props)
            self.operation.adoptions.hold(token.token_prefix)
        outs = {
            **_shown(token),
            **_recorded(props),
            "full_token": full_token,
            lifecycle.DECLARED: {name: props[name] for name in lifecycle.SETTINGS if props.get(name) is not None},
            OWNER: {"user": owner.user, "user_id": owner.user_id},
        }
        if lifecycle.never_opens(outs):
            window = f"early_rotation_window_seconds={outs['early_rotation_window_seconds']:.0f}"
            self.operation.say(
                "warning", f"token {token.token_prefix} lives no longer than {window}: set a shorter one"
            )
        return CreateResult(token.token_prefix, outs)

    @_told_briefly
    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Read a token from the list that the whole operation shares; the secret is carried forward."""
        token = self.operation.account().find(id_, _owner(props))
        if token is None:
            return self._missing(id_, props)
        outs = {name: value for name, value in props.items() if name != lifecycle.GONE} | _shown(token)
        if token.description == props.get("description") or lifecycle.DECLARED not in props:
            return ReadResult(id_, outs)
        return ReadResult(id_, outs, {**_inputs(props), "description": token.description})

    @_told_briefly
    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Set the description where it differs; all else that is updated in place only the state knows."""
        outs = {**_olds, **_recorded(_news), "full_token": lifecycle.known_secret(_olds, _news)}
        if _news["description"] != _olds.get("description"):
            outs |= _shown(self.operation.account().update(_id, _news["description"], _owner(_olds)))
        return UpdateResult(outs)

    @_told_briefly
    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Revoke the token; one already gone is a success, and the one in use is an error."""
        if self.operation.adoptions.is_held(_id):
            self.operation.say("info", f"token {shown(_id)} stays valid: another resource of this stack holds it")
            return
        self.operation.account().revoke(_id, _owner(_props))
        if _props.get("adopt_prefix") is not None:
            self.operation.adoptions.revoked(_props["adopt_prefix"])

    def _adoption_faults(self, arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
        adopted = arguments.get("adopt_prefix")
        if adopted is None or self.operation.adoptions.is_rotating(adopted):
            return []
        try:
            token = self._meant(adopted)
            self.operation.adoptions.check_free(token.token_prefix)
        except AvnTokenError as error:
            return [("adopt_prefix", str(error))]
        faults = list(adoption.find_mismatches(token, arguments))
        if not faults:
            self.operation.say("info", f"token {token.token_prefix} is adopted: none is made")
        return faults

    def _adopted(self, given: str, arguments: Mapping[str, Any]) -> TokenInfo:
        token = self._meant(given)
        for name, mismatch in adoption.find_mismatches(token, arguments):
            raise AdoptionError(f"{name} {mismatch}")
        return token

    def _meant(self, given: str) -> TokenInfo:
        return adoption.find_meant(given, self.operation.account().tokens())

    def _asked_anew(self, id_: str, olds: Mapping[str, Any]) -> dict[str, Any]:
        token = self.operation.account().find(id_, _owner(olds))
        if token is None:
            return {**olds, lifecycle.GONE: lifecycle.why_missing(olds, self.operation.now())}
        return {**olds, **_shown(token)}

    def _missing(self, id_: str, props: dict[str, Any]) -> ReadResult:
        if lifecycle.DECLARED not in props:
            raise TokenNotFoundError(
                f"no valid token of this account has the prefix {shown(id_)}: it has expired, was revoked, is no whole"
                " prefix, or belongs to another account; see `avn user access-token list`"
            )
        gone = lifecycle.why_missing(props, self.operation.now())
        why = "has expired" if gone == "expired" else "was revoked outside of Pulumi"
        self.operation.say("warning", f"token {shown(id_)} {why}; the next `pulumi up` makes a new one")
        adopted = props.get("adopt_prefix")
        if adopted is None:
            return ReadResult("", {})
        # It is kept with what is left of its inputs: without a memory of the adoption it would be attempted again.
        return ReadResult(id_, {**props, lifecycle.GONE: gone}, {"adopt_prefix": adopted})


def _spec(props: Mapping[str, Any]) -> TokenSpec:
    age = props.get("max_age_seconds")
    return TokenSpec(
        description=props["description"],
        max_age_seconds=None if age is None else int(age),
        extend_when_used=bool(props.get("extend_when_used")),
        ip_allowlist=props.get("ip_allowlist"),
        scopes=props.get("scopes"),
    )


def _shown(token: TokenInfo) -> dict[str, Any]:
    return {name: getattr(token, name) for name in SHOWN_BY_THE_ACCOUNT}


def _recorded(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: arguments.get(name) for name in lifecycle.RECORDED_ARGUMENTS}


def _inputs(outs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs that recorded outputs came from."""
    return {**outs[lifecycle.DECLARED], **{name: outs[name] for name in lifecycle.RECORDED_ARGUMENTS if name in outs}}


def _owner(outs: Mapping[str, Any]) -> User | None:
    owner = outs.get(OWNER)
    return User(user=owner["user"], user_id=owner.get("user_id")) if owner else None
