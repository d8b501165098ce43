"""A series of tokens in the account: begun, observed, moved on by a plan, ended.

After an error or a kill at any step, the next `up` finds out by itself what is left to do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pulumi_avn_token import lifecycle, marks, rotation
from pulumi_avn_token.errors import AvnTokenError
from pulumi_avn_token.model import IssuedToken, User, written

if TYPE_CHECKING:
    from pulumi_avn_token.account import Account


class Series:
    """The tokens that carry one mark in an account; `made_as` is the user whom they were made as; `warn` tells people.

    `now` is the time, `news` are the checked inputs, and `olds` the outputs so far.
    """

    def __init__(
        self,
        mark: str,
        account: Account,
        made_as: User | None,
        *,
        now: Callable[[], datetime],
        warn: Callable[[str], None],
    ) -> None:
        self._mark = mark
        self._account = account
        self._made_as = made_as
        self._now = now
        self._warn = warn

    def begin(self, news: Mapping[str, Any]) -> dict[str, Any]:
        """Make the first token, and give the outputs."""
        return self._introduced(self._account.issue(lifecycle.spec(news), self._mark), {}, news, "created")

    def observe(self, olds: Mapping[str, Any]) -> dict[str, Any]:
        """Give the outputs as the account shows them. WrongAccountError: it is another one, and does not show them."""
        tokens = self._account.tokens()  # asked first: the time is the service's from then on
        outs = rotation.observed(olds, tokens, self._mark, self._now())
        if lifecycle.GONE in outs:
            self._account.prove_missing(outs["token_prefix"], self._made_as, olds.get("full_token"))
        if rotation.ENDED in outs and (ended := rotation.Previous.of(olds)) is not None:
            self._account.prove_missing(ended.token_prefix, self._made_as, ended.full_token)
        return outs

    def advance(self, plan: rotation.Plan, olds: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out a plan that was made for outputs as observed, and give the new ones.

        All that may fail comes before the new token, at most two are valid at any moment, and an error leaves nothing
        behind that the outputs so far do not tell or the next `observe` does not find.
        """
        self._account.confirm(olds["token_prefix"], self._made_as)
        outs, reason = dict(olds), plan.rotation.reason if plan.rotation else None
        current, previous = rotation.held(olds)
        leaked = current if reason == "emergency" else None
        retired = previous if plan.retirement else None
        for prefix in filter(None, (retired, leaked)):
            self._account.check_not_in_use(prefix)
        for prefix in filter(None, (*olds.get(rotation.STRAYS, ()), retired)):
            self._account.revoke(prefix, self._made_as)
        if retired:
            outs = rotation.without_previous(outs)
        if plan.describes:
            outs |= self._described(outs, news, but=leaked)
        if reason is None:
            return rotation.recorded(outs, news)
        issued = self._account.issue(lifecycle.spec(news), self._mark, rotation.held(olds))
        if leaked:
            self._revoke_or_undo(leaked, issued)
        return self._introduced(issued, {} if reason == "emergency" else outs, news, reason)

    def end(self, olds: Mapping[str, Any], kept: Collection[str] = ()) -> None:
        """Revoke every token of the series but those to be kept; one that is gone already is no error."""
        self._account.confirm(olds["token_prefix"], self._made_as)  # another one shows none of them
        strays = marks.find_strays(self._account.tokens(), self._mark, rotation.held(olds))
        ended = [prefix for prefix in (*strays, *reversed(rotation.held(olds))) if prefix and prefix not in kept]
        for prefix in ended:
            self._account.check_not_in_use(prefix)
        for prefix in ended:
            self._account.revoke(prefix, self._made_as)

    def _described(self, outs: Mapping[str, Any], news: Mapping[str, Any], *, but: str | None) -> dict[str, Any]:
        """Set the description of the tokens that stay, and give what the account then shows of the current one."""
        current, previous = rotation.held(outs)
        if previous:
            self._account.update(previous, news["description"], self._made_as)
        if current is None or current == but:
            return {}
        return lifecycle.shown(self._account.update(current, news["description"], self._made_as), news["description"])

    def _revoke_or_undo(self, leaked: str, issued: IssuedToken) -> None:
        """Revoke what a new token was made for; where that fails, the new one is revoked: no state would hold it."""
        try:
            self._account.revoke(leaked, self._made_as)
        except AvnTokenError:
            with suppress(AvnTokenError):
                self._account.revoke(issued.info.token_prefix, self._made_as)
            raise

    def _introduced(
        self, issued: IssuedToken, outs: Mapping[str, Any], news: Mapping[str, Any], reason: rotation.Reason
    ) -> dict[str, Any]:
        """Give a new token its description, and the outputs of the series with it as the current one. Never fails."""
        token = self._account.introduce(issued, news["description"], self._mark, self._made_as, self._warn)
        outs = dict(outs)
        if rotation.held(outs)[0] is not None:
            outs |= rotation.superseded(outs, news, token.create_time or written(self._now()))
        outs.pop(lifecycle.GONE, None)
        outs |= lifecycle.shown(token, news["description"])
        outs |= {
            "full_token": issued.full_token,
            lifecycle.DECLARED: lifecycle.declared(news),
            lifecycle.REASON: reason,
        }
        return rotation.recorded(outs, news)
