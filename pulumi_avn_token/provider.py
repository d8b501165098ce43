"""The dynamic providers behind the resources. Thin: what to do is decided in `lifecycle`, done through `account`.

The import path of each class here is written into its users' states: it never changes. An instance has no attributes,
since it would be pickled with them.
"""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

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

from pulumi_avn_token import adoption, lifecycle, marks, rotation
from pulumi_avn_token.arguments import Fault, find_faults, find_faults_of_series
from pulumi_avn_token.errors import AdoptionError, ApiError, AvnTokenError, CredentialError, TokenNotFoundError
from pulumi_avn_token.model import TokenInfo, User, shown
from pulumi_avn_token.operation import Operation
from pulumi_avn_token.terminal import inert

if TYPE_CHECKING:
    from datetime import datetime

    from pulumi_avn_token.account import Account
    from pulumi_avn_token.diagnostics import Severity
    from pulumi_avn_token.series import Series

SECRET_OUTPUTS = ("full_token", lifecycle.DECLARED)
"""The settings as declared are among them, since a program may have declared them by secret values."""

_Method = TypeVar("_Method", bound=Callable[..., Any])


def _told_briefly(method: _Method) -> _Method:
    """Keep a traceback short and without secrets: the host shows it to the user, above the message that matters."""

    @functools.wraps(method)
    def brief(*arguments: Any) -> Any:
        try:
            return method(*arguments)
        except AvnTokenError as error:
            del arguments  # there are secrets in the outputs
            error.__context__ = None
            raise error.with_traceback(None) from None

    return cast("_Method", brief)


class _Provider(ResourceProvider):
    """What both providers do alike."""

    serialize_as_secret_always = False
    operation: ClassVar[Operation] = Operation()

    def configure(self, req: ConfigureRequest) -> None:
        """Take the stack's configuration, for the credential and the URL that may stand there."""
        self.operation.configure(req.config.get)

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Find all that is wrong before anything happens; only a token yet to be adopted is looked up."""
        self.operation.adoptions.declare(_urn(news))
        unknown = {name for name, value in news.items() if contains_unknowns(value)}
        known = {name: value for name, value in news.items() if name not in unknown and name != "__provider"}
        faults = self._faults(known, unknown)
        is_account_known = lifecycle.CREDENTIALS not in {*unknown, *(name for name, _ in faults)}
        try:
            if is_account_known:
                self.operation.credential(_named(known))
        except CredentialError as error:
            faults.append(("credential", str(error)))
        if is_account_known and not faults:
            faults = self._faults_of_account(_olds, known)
        # Named in the reason and not as the failure's property, whose value the engine would print, even of a secret.
        return CheckResult(news, [CheckFailure("", inert(f"{name}: {reason}")) for name, reason in faults])

    def _faults(self, known: Mapping[str, Any], unknown: Collection[str]) -> list[Fault]:
        raise NotImplementedError

    def _faults_of_account(self, _olds: Mapping[str, Any], _known: Mapping[str, Any]) -> list[Fault]:
        return []

    def _account(self, bag: Mapping[str, Any]) -> Account:
        return self.operation.account(_named(bag))

    def _now(self, bag: Mapping[str, Any]) -> datetime:
        return self.operation.now(_named(bag))

    def _why_moved(self, olds: Mapping[str, Any], news: Mapping[str, Any]) -> str | None:
        """Why it is to be made anew in another account; None: it is not, whatever its credential is called now.

        AvnTokenError: it is, and it could not be revoked then where it is.
        """
        made_as = lifecycle.owner(olds)
        if made_as is None or _named(olds) == _named(news):
            return None
        owner, anew = self._account(news).owner(), self.operation.credential(_named(news))
        is_same_user = owner.is_same_as(made_as)
        try:
            left = self.operation.credential(_named(olds))
        except CredentialError as error:
            if is_same_user:
                return None
            what = f"it cannot be revoked in the account of {made_as.user} with what the state names"
            raise CredentialError(f"{what}, so it was not made anew in that of {owner.user}: {error}") from None
        if is_same_user and left.url == anew.url:
            return None
        self._account(olds).confirm(olds["token_prefix"], made_as)
        where, whither = (left.url, anew.url) if is_same_user else (made_as.user, owner.user)
        return f"it is in the account of {where}, and credentials names that of {whither} now"

    def _go_on_holding(self, token_prefix: str, bag: Mapping[str, Any]) -> None:
        if self.operation.adoptions.was_taken(token_prefix):
            what = f"token {shown(token_prefix)} is held by two resources of this stack: remove one of them"
            self._say("warning", what, bag)
        if self.operation.adoptions.is_declared(_urn(bag)):
            self.operation.adoptions.hold(token_prefix, _urn(bag))

    def _is_held(self, token_prefix: str, bag: Mapping[str, Any]) -> bool:
        is_held = self.operation.adoptions.is_held(token_prefix)
        if is_held:
            self._say("info", f"token {shown(token_prefix)} stays valid: another resource of this stack holds it", bag)
        return is_held

    def _say(self, severity: Severity, message: str, bag: Mapping[str, Any]) -> None:
        self.operation.say(severity, message, _urn(bag))

    def _series(self, id_: str, owner: User | None, bag: Mapping[str, Any]) -> Series:
        from pulumi_avn_token.series import Series  # noqa: PLC0415 - a program that only declares does without it

        mark, warn = marks.mark_of(id_, _urn(bag)), partial(self._say, "warning", bag=bag)
        return Series(mark, self._account(bag), owner, now=partial(self._now, bag), warn=warn)

    def _warn_of_long_window(self, outs: Mapping[str, Any]) -> None:
        if lifecycle.is_window_too_long(outs):
            window = f"early_rotation_window_seconds={outs['early_rotation_window_seconds']:.0f}"
            what = (
                f"token {outs['token_prefix']} lives no longer than {window}: it is rotated halfway; set a shorter one"
            )
            self._say("warning", what, outs)


def _urn(bag: Mapping[str, Any]) -> str:
    """The URN among inputs or outputs; empty: an earlier version recorded none, or it is not known yet."""
    urn = bag.get(lifecycle.URN)
    return urn if isinstance(urn, str) else ""


def _named(bag: Mapping[str, Any]) -> str | None:
    """Where the credential is, as inputs or outputs name it."""
    return bag.get(lifecycle.CREDENTIALS)


def _new_mark(kind: str, bag: Mapping[str, Any]) -> str:
    return marks.new_mark(kind, _urn(bag), secrets.token_hex(4))


class AccessTokenProvider(_Provider):
    """Maps create, read, update and delete of an `AccessToken` onto the token API.

    Its id is its token's prefix, but for one that was a series: it keeps the id, which no update can change.
    """

    @_told_briefly
    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Compare the recorded with the declared and with the clock, offline unless a due expiry may have moved."""
        if contains_unknowns(_named(_news)):
            return DiffResult(changes=True)
        was_series, prefix = lifecycle.REASON in _olds, _token_prefix(_id, _olds)
        decision, olds = self._decided(_id, _olds, _news)
        if isinstance(decision, lifecycle.Replace):
            self.operation.adoptions.let_go(prefix, _urn(_news))
            if decision.reason:
                self._say("info", f"token {shown(prefix)} is due to be replaced by a new one: {decision.reason}", _news)
            if _news.get("adopt_prefix") is not None and not lifecycle.adopts_another(_olds, _news):
                self.operation.adoptions.rotate(_news["adopt_prefix"])
            return DiffResult(changes=True, replaces=list(decision.properties))
        self._go_on_holding(prefix, _news)
        if was_series:
            self._say("info", f"token {shown(prefix)} stays, and is no series any longer: none is made", _news)
        if new := lifecycle.find_new_triggers(olds, _news):
            self._say("info", new, _news)
        if end := lifecycle.find_end(olds, _news, self._now(_news)):
            self._say("warning", f"token {shown(prefix)} {end}", _news)
        is_described = _olds.get("description") == _news.get("description")  # whatever the account shows by now
        return DiffResult(changes=isinstance(decision, lifecycle.Update) or not is_described)

    @_told_briefly
    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make a token, or take over the one to adopt, and build the state from that answer."""
        account, adopted = self._account(props), props.get("adopt_prefix")
        owner = account.owner()  # asked first: nothing that may fail comes after the token is made
        if adopted is None or self.operation.adoptions.begin_rotation(adopted):
            mark, warn = _new_mark(marks.OF_A_TOKEN, props), partial(self._say, "warning", bag=props)
            issued = account.issue(lifecycle.spec(props), mark)
            token = account.introduce(issued, props["description"], mark, owner, warn)
            full_token: str | None = issued.full_token
        else:
            token = self._adopted(adopted, props)
            self.operation.adoptions.take(token.token_prefix)
            if token.description != props["description"]:
                token = account.update(token.token_prefix, props["description"], owner)
            full_token = lifecycle.known_secret({"token_prefix": token.token_prefix}, props)
            self.operation.adoptions.hold(token.token_prefix, _urn(props))
        outs = {
            **lifecycle.shown(token, props["description"]),
            **_recorded(props),
            "full_token": full_token,
            lifecycle.DECLARED: lifecycle.declared(props),
            **_identity(owner, props),
        }
        self._warn_of_long_window(outs)
        return CreateResult(token.token_prefix, outs)

    @_told_briefly
    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Read a token from the list that the whole operation shares; the secret is carried forward."""
        token = self._found(_token_prefix(id_, props), props, props)
        if token is None:
            return self._missing(id_, props)
        outs = {name: value for name, value in props.items() if name != lifecycle.GONE}
        outs |= lifecycle.shown(token, props.get("description"))
        if token.description == props.get("description") or lifecycle.DECLARED not in props:
            return ReadResult(id_, outs)
        return ReadResult(id_, outs, _inputs(outs, lifecycle.RECORDED_ARGUMENTS))

    @_told_briefly
    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Set the description where it differs; all else that is updated in place only the state knows."""
        outs = {**rotation.without_series(_olds), **_recorded(_news), lifecycle.URN: _news.get(lifecycle.URN)}
        outs["full_token"] = lifecycle.known_secret(_olds, _news)
        if _news["description"] != _olds.get("description"):
            prefix = _token_prefix(_id, _olds)
            token = self._account(_news).update(prefix, _news["description"], lifecycle.owner(_olds))
            outs |= lifecycle.shown(token, _news["description"])
        return UpdateResult(outs)

    @_told_briefly
    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Revoke the token; one already gone is a success, and the one in use is an error."""
        prefix = _token_prefix(_id, _props)
        if self._is_held(prefix, _props):
            return
        self._account(_props).revoke(prefix, lifecycle.owner(_props))
        if _props.get("adopt_prefix") is not None:
            self.operation.adoptions.revoked(_props["adopt_prefix"])

    def _faults(self, known: Mapping[str, Any], unknown: Collection[str]) -> list[Fault]:
        return find_faults(known, unknown)

    def _faults_of_account(self, _olds: Mapping[str, Any], arguments: Mapping[str, Any]) -> list[Fault]:
        adopted = arguments.get("adopt_prefix")
        if adopted is None or lifecycle.is_same_adoption(_olds.get("adopt_prefix"), adopted):
            return []
        if self.operation.adoptions.is_rotating(adopted):
            return []
        try:
            token = self._meant(adopted, arguments)
            self.operation.adoptions.check_free(token.token_prefix)
        except AvnTokenError as error:
            return [("adopt_prefix", str(error))]
        faults = list(adoption.find_mismatches(token, arguments))
        if not faults:
            described = "" if token.description == arguments["description"] else ", and this one's description is set"
            self._say("info", f"token {token.token_prefix} is adopted: none is made{described}", arguments)
        return faults

    def _adopted(self, given: str, arguments: Mapping[str, Any]) -> TokenInfo:
        token = self._meant(given, arguments)
        for name, mismatch in adoption.find_mismatches(token, arguments):
            raise AdoptionError(f"{name} {mismatch}")
        return token

    def _meant(self, given: str, arguments: Mapping[str, Any]) -> TokenInfo:
        return adoption.find_meant(given, self._account(arguments).tokens())

    def _seen_of_series(self, id_: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> Mapping[str, Any]:
        """A series that is to be a token alone, as the account shows it. AvnTokenError: it has other tokens yet.

        The account is asked even for what the state does not show: who but the series would ever find its strays?
        """
        seen = self._series(id_, lifecycle.owner(olds), news).observe(olds)
        if hindrance := rotation.find_hindrance(seen, self._now(news)):
            raise AvnTokenError(hindrance)
        return seen

    def _decided(
        self, id_: str, olds: Mapping[str, Any], news: Mapping[str, Any]
    ) -> tuple[lifecycle.Decision, Mapping[str, Any]]:
        """The decision, and the outputs that it is about: the account's, where theirs are due and may be stale."""
        if moved := self._why_moved(olds, news):
            return lifecycle.Replace((lifecycle.CREDENTIALS,), moved), olds
        token_prefix = _token_prefix(id_, olds)
        if lifecycle.REASON in olds:
            olds = self._seen_of_series(id_, olds, news)
        now = self._now(news)
        decision = lifecycle.decide(olds, news, now)
        is_due = isinstance(decision, lifecycle.Replace) and decision.reason is not None
        if lifecycle.is_stale(olds) and (is_due or lifecycle.is_ending(olds, news, now)):
            olds = self._asked_anew(token_prefix, olds, news)
            decision = lifecycle.decide(olds, news, self._now(news))
        if isinstance(decision, lifecycle.Replace):
            self._account(news).confirm(token_prefix, lifecycle.owner(olds))
            decision = lifecycle.decide(olds, news, self._now(news))  # by the service's clock, known now
        return decision, olds

    def _found(self, token_prefix: str, outs: Mapping[str, Any], bag: Mapping[str, Any]) -> TokenInfo | None:
        return self._account(bag).find(token_prefix, lifecycle.owner(outs), outs.get("full_token"))

    def _asked_anew(self, token_prefix: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
        token = self._found(token_prefix, olds, news)
        if token is None:
            return {**olds, lifecycle.GONE: lifecycle.why_missing(olds, self._now(news))}
        return {**olds, **lifecycle.shown(token, olds.get("description"))}

    def _missing(self, id_: str, props: dict[str, Any]) -> ReadResult:
        if lifecycle.DECLARED not in props:
            return self._missing_to_a_reader(id_, props)
        gone = lifecycle.why_missing(props, self._now(props))
        token = shown(_token_prefix(id_, props))
        self._say("warning", f"token {token} {lifecycle.HOW[gone]}; the next `pulumi up` makes a new one", props)
        if props.get("adopt_prefix") is None:
            return ReadResult("", {})
        # It is kept: without a memory of the adoption it would be attempted again.
        outs = {**props, lifecycle.GONE: gone}
        return ReadResult(id_, outs, _inputs(outs, lifecycle.RECORDED_ARGUMENTS))

    def _missing_to_a_reader(self, id_: str, props: dict[str, Any]) -> ReadResult:
        if "token_prefix" not in props:
            from pulumi_avn_token.account import not_found  # noqa: PLC0415 - a program that only declares does without

            raise not_found(id_)
        # A refresh: it forgets the token, or no later run with a refresh would come to the program, changed or not.
        what = f"token {shown(id_)}, which is only read, is gone: take its AccessToken.get out, or read another one"
        self._say("warning", what, props)
        return ReadResult("", {})


def _token_prefix(id_: str, outs: Mapping[str, Any]) -> str:
    """The prefix of an `AccessToken`'s token; of one that is only read, the id says it first."""
    return outs.get("token_prefix") or id_


def _recorded(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: arguments.get(name) for name in lifecycle.RECORDED_ARGUMENTS}


def _inputs(outs: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The inputs that would give such outputs; what is gone is among them too, so that a refresh shows it."""
    names = ("description", *names, lifecycle.GONE, lifecycle.URN)
    return {**outs[lifecycle.DECLARED], **{name: outs[name] for name in names if name in outs}}


class RotatingAccessTokenProvider(_Provider):
    """Maps create, read, update and delete of a `RotatingAccessToken` onto a series of tokens; its id tells their mark.

    One that was an `AccessToken` keeps the prefix of its token as its id, which no update can change.
    """

    @_told_briefly
    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Plan the next step, offline unless that depends on what the account shows, and tell why."""
        if contains_unknowns(_named(_news)):
            return DiffResult(changes=True)
        if moved := self._why_moved(_olds, _news):
            self._say("info", f"the series, with all its tokens, is due to be replaced by a new one: {moved}", _news)
            return DiffResult(changes=True, replaces=[lifecycle.CREDENTIALS])
        plan, seen = self._planned(_id, _olds, _news, None)
        for prefix in filter(None, rotation.held(seen)):
            self._go_on_holding(prefix, _news)
        if plan.rotation is not None:
            self._account(_news).confirm(seen["token_prefix"], lifecycle.owner(_olds))
        elif end := lifecycle.find_end(seen, _news, self._now(_news)):
            self._say("warning", f"token {shown(seen['token_prefix'])} {end}", _news)
        self._tell(plan, seen, _news)
        self.operation.plans[_id] = plan
        return DiffResult(changes=plan.changes)

    @_told_briefly
    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make the first token of a new series."""
        owner, id_ = self._account(props).owner(), _new_mark(marks.OF_A_SERIES, props)
        outs = {**self._series(id_, owner, props).begin(props), **_identity(owner, props)}
        self.operation.adoptions.hold(outs["token_prefix"], _urn(props))
        self._warn_of_windows(outs)
        return CreateResult(id_, outs)

    @_told_briefly
    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Take over what the account shows of both tokens; what is missing is told, and secrets are carried forward."""
        if "token_prefix" not in props:
            raise TokenNotFoundError(
                f"the series {id_} cannot be read by its id: the account knows tokens, and only a stack knows a series."
                " Declare a new one, or read one token of it by `AccessToken.get`"
            )
        outs = self._series(id_, lifecycle.owner(props), props).observe(props)
        for severity, message in rotation.losses(outs):
            self._say(severity, message, props)
        outs.pop(rotation.ENDED, None)
        if lifecycle.GONE not in outs and outs["description"] == props.get("description"):
            return ReadResult(id_, outs)
        return ReadResult(id_, outs, _inputs(outs, rotation.RECORDED_ARGUMENTS))

    @_told_briefly
    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Rotate, retire and describe, as is planned from what the account shows now."""
        told = self.operation.plans.get(_id, rotation.Plan())
        plan, seen = self._planned(_id, _olds, _news, told)
        if plan.retirement == "idle" and self._account(_news).forget_old_list():
            plan, seen = self._planned(_id, _olds, _news, told)
        if plan != told:
            self._tell(plan, seen, _news)
        if plan.writes:
            outs = self._series(_id, lifecycle.owner(_olds), _news).advance(plan, seen, _news)
        else:
            outs = rotation.recorded(seen, _news)
        self.operation.adoptions.hold(outs["token_prefix"], _urn(_news))
        self._warn_of_windows(outs)
        return UpdateResult(
            {**outs, lifecycle.OWNER: _olds.get(lifecycle.OWNER), lifecycle.URN: _news.get(lifecycle.URN)}
        )

    @_told_briefly
    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Revoke all tokens of the series that are valid, unless another resource has adopted one."""
        kept = [prefix for prefix in filter(None, rotation.held(_props)) if self._is_held(prefix, _props)]
        self._series(_id, lifecycle.owner(_props), _props).end(_props, kept)

    def _faults(self, known: Mapping[str, Any], unknown: Collection[str]) -> list[Fault]:
        return find_faults_of_series(known, unknown)

    def _planned(
        self, id_: str, olds: Mapping[str, Any], news: Mapping[str, Any], told: rotation.Plan | None
    ) -> tuple[rotation.Plan, Mapping[str, Any]]:
        """The plan, and the outputs that it is for: the account's, where that matters.

        told: the plan that is to be carried out; None: nothing is carried out yet.
        """
        now = self._now(news)
        plan = rotation.decide(olds, news, now)
        writes = plan.writes or (told is not None and told.writes)
        is_now = told is not None and writes
        if not (is_now or plan.asks or lifecycle.is_ending(olds, news, now)):
            return plan, olds
        try:
            anew, seen = self._planned_anew(id_, olds, news)
        except ApiError as error:
            if writes:
                raise
            if told is None:
                self._say("warning", f"the account could not be asked, so this rests on the state alone: {error}", news)
            return plan, olds
        # What the account shows as declared already is still to be recorded.
        return anew._replace(records=anew.records or plan.describes), seen

    def _planned_anew(
        self, id_: str, olds: Mapping[str, Any], news: Mapping[str, Any]
    ) -> tuple[rotation.Plan, dict[str, Any]]:
        """The plan for what the account shows, by the service's clock, and that."""
        seen = self._series(id_, lifecycle.owner(olds), news).observe(olds)
        return rotation.decide(seen, news, self._now(news)), seen

    def _warn_of_windows(self, outs: Mapping[str, Any]) -> None:
        self._warn_of_long_window(outs)
        if conflict := rotation.find_conflict(outs):
            self._say("warning", conflict, outs)

    def _tell(self, plan: rotation.Plan, seen: Mapping[str, Any], news: Mapping[str, Any]) -> None:
        for severity, message in rotation.notices(plan, seen, news, self._now(news)):
            self._say(severity, message, news)


def _identity(owner: User, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {
        lifecycle.OWNER: {"user": owner.user, "user_id": owner.user_id},
        lifecycle.URN: arguments.get(lifecycle.URN),
    }
