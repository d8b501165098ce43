"""What one operation of the engine knows of the account: asked at most once, shared by all its threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from pulumi_avn_token import marks
from pulumi_avn_token.client import MAYBE_PROCESSED
from pulumi_avn_token.errors import (
    ApiError,
    AvnTokenError,
    ForbiddenError,
    TokenInUseError,
    TokenNotFoundError,
    UnexpectedAnswerError,
    WrongAccountError,
)
from pulumi_avn_token.model import IssuedToken, TokenInfo, TokenSpec, User, shown

if TYPE_CHECKING:
    from pulumi_avn_token.client import Client
    from pulumi_avn_token.credentials import Credential


_Answer = TypeVar("_Answer")

FRESH = timedelta(seconds=10)
"""How old a list may be that a token is revoked by as one that nobody uses."""


def not_found(token_prefix: str) -> TokenNotFoundError:
    """The error of a token that somebody wants to read, and the account does not show."""
    return TokenNotFoundError(
        f"no valid token of this account has the prefix {shown(token_prefix)}: it has expired, was revoked, is no whole"
        " prefix, or belongs to another account; see `pulumi-avn-token list`"
    )


def _about(token_prefix: str, token: TokenInfo) -> TokenInfo:
    """The token, as an answer shows it. UnexpectedAnswerError: it shows another one."""
    if token.token_prefix != token_prefix:
        raise UnexpectedAnswerError(f"updating token {shown(token_prefix)} failed: the answer is about another token")
    return token


class Account:
    """The account of one credential during one operation.

    It is listed once, when first needed, and what is written afterwards is seen. `made_as` is the user that a token was
    made as: that a token is missing counts only where the one who looks is that user. `now` is the machine's clock;
    `others` are the credentials of other accounts that the operation has met, which may be tokens of this one.
    """

    def __init__(
        self,
        client: Client,
        credential: Credential,
        now: Callable[[], datetime],
        others: Callable[[], Iterable[Credential]] = tuple,
    ) -> None:
        self._client = client
        self._credential = credential
        self._now = now
        self._others = others
        self._lock = threading.RLock()
        self._tokens: dict[str, TokenInfo] | None = None
        self._listed_at: datetime | None = None
        self._owner: User | None = None
        self._failure: ApiError | None = None

    def owner(self) -> User:
        """The user whose account it is."""
        with self._lock:
            if self._owner is None:
                self._owner = self._once(self._client.me)
            return self._owner

    @property
    def clock_skew(self) -> timedelta:
        """How far the service's clock is ahead of the machine's, as far as is known."""
        return self._client.clock_skew

    def tokens(self) -> Iterable[TokenInfo]:
        """Every valid token."""
        return tuple(self._listed().values())

    def forget_old_list(self) -> bool:
        """Have the account listed anew if that is long ago, and tell so: a token may have been used since."""
        with self._lock:
            is_old = self._listed_at is not None and self._now() - self._listed_at > FRESH
            if is_old:
                self._tokens = self._listed_at = None
            return is_old

    def find(self, token_prefix: str, made_as: User | None, full_token: str | None = None) -> TokenInfo | None:
        """A valid token; None: it is proven to be in the account no longer, by its secret too where that is given."""
        token = self._listed().get(token_prefix)
        if token is None:
            self.prove_missing(token_prefix, made_as, full_token)
        return token

    def prove_missing(self, token_prefix: str, made_as: User | None, full_token: str | None) -> None:
        """Make sure that a token which the list lacks is not valid: where its secret is known, it is asked itself.

        WrongAccountError: it is another user's. UnexpectedAnswerError: it still works, so the list is behind.
        """
        self.confirm(token_prefix, made_as)
        if full_token is not None and self._client.works(full_token):
            raise UnexpectedAnswerError(
                f"token {shown(token_prefix)} is missing from the account's list, and yet it works: the list is behind."
                " Nothing was changed; run the same command again later"
            )

    def issue(self, spec: TokenSpec, mark: str, held: Collection[str | None] = ()) -> IssuedToken:
        """Make a token under a mark. Where the answer is lost, what was made is revoked, and it is tried once more.

        held: the prefixes of the tokens with that mark that are not to be revoked.
        """
        spec = replace(spec, description=marks.marked(spec.description, mark))
        try:
            issued = self._created(spec, mark, held)
        except MAYBE_PROCESSED as error:
            issued = self._issued_again(spec, mark, held, error)
        self._write(issued.info.token_prefix, issued.info)
        return issued

    def _issued_again(self, spec: TokenSpec, mark: str, held: Collection[str | None], lost: ApiError) -> IssuedToken:
        self._make_up_for(lost, mark, held)
        try:
            issued = self._created(spec, mark, held)
        except MAYBE_PROCESSED as again:
            self._make_up_for(again, mark, held)
            raise type(again)(
                f"{again}, but the account shows none whose description begins with {marks.beginning(mark).strip()}"
            ) from None
        with suppress(ApiError):  # the list before may have been behind
            self._revoke_strays(mark, held, issued)
        return issued

    def _created(self, spec: TokenSpec, mark: str, held: Collection[str | None]) -> IssuedToken:
        """Make a token. Its prefix, where it is not the beginning of its secret, must be that of one with the mark."""
        issued = self._client.create(spec)
        prefix, is_ours = issued.info.token_prefix, False
        if not issued.full_token.startswith(prefix):
            with suppress(ApiError):
                is_ours = prefix in marks.find_strays(self._client.list_tokens(), mark, held)
            if not is_ours:
                raise UnexpectedAnswerError("creating a token failed: the answer names another token than was made")
        return issued

    def _make_up_for(self, lost: ApiError, mark: str, held: Collection[str | None]) -> None:
        """Revoke what was made though its answer was lost; where that cannot be found out, tell what to look for."""
        try:
            self._revoke_strays(mark, held)
        except ApiError:
            raise type(lost)(
                f"{lost}, and the account cannot be asked: `pulumi-avn-token audit` tells later whether it is there,"
                f" and how to remove it; its description then begins with {marks.beginning(mark).strip()}"
            ) from None

    def _revoke_strays(self, mark: str, held: Collection[str | None], issued: IssuedToken | None = None) -> None:
        for stray in marks.find_strays(self._client.list_tokens(), mark, held):
            if issued is None or not issued.full_token.startswith(stray):
                with suppress(TokenNotFoundError):
                    self._client.revoke(stray)

    def introduce(
        self, issued: IssuedToken, description: str, mark: str, made_as: User | None, warn: Callable[[str], None]
    ) -> TokenInfo:
        """Give a token that was made under a mark its own description, by its own authority unless it has none.

        Never fails, since no state holds the token yet: where that cannot be done, `warn` tells.
        """
        token, prefix = issued.info, issued.info.token_prefix
        try:
            try:
                token = _about(prefix, self._client.introduce(issued, description, mark))
            except ForbiddenError:  # its scopes or addresses do not allow it
                token = self.update(prefix, description, made_as)
        except AvnTokenError as error:  # Pulumi's own credential would take the mark away
            warn(f"token {shown(prefix)} was made, but {error}; the next `pulumi up` sets its description")
        token = replace(token, token_prefix=prefix, currently_active=False)
        self._write(prefix, token)
        return token

    def update(self, token_prefix: str, description: str, made_as: User | None) -> TokenInfo:
        """Set a token's description."""
        try:
            token = _about(token_prefix, self._client.update(token_prefix, description))
        except TokenNotFoundError as error:
            self.confirm(token_prefix, made_as)
            raise TokenNotFoundError(f"{error}; it has expired or was revoked: run `pulumi up --refresh`") from None
        self._write(token_prefix, token)
        return token

    def revoke(self, token_prefix: str, made_as: User | None) -> None:
        """Revoke a token, unless it is the one in use; one that is already gone is no error."""
        self.check_not_in_use(token_prefix)
        token, is_told = self._listed().get(token_prefix), True
        try:
            is_told = self._client.revoke(token_prefix)
        except TokenNotFoundError as error:
            # The list is the proof: a path that something between has changed is not found either.
            if token is not None and self._is_listed_anew(token_prefix):
                raise UnexpectedAnswerError(f"{error}; but the account lists it, so it is still valid") from None
            self.confirm(token_prefix, made_as)
        except MAYBE_PROCESSED:
            if token is None or self._may_be_valid(token_prefix):  # a list that lacked it before proves nothing now
                raise
            self.confirm(token_prefix, made_as)
        if not is_told and self._is_listed_anew(token_prefix):
            raise UnexpectedAnswerError(
                f"revoking token {shown(token_prefix)} failed: the answer does not say that it is revoked, and the"
                " account still lists it; run the same command again"
            )
        self._write(token_prefix, None)

    def _is_listed_anew(self, token_prefix: str) -> bool:
        return any(token_prefix == left.token_prefix for left in self._client.list_tokens())

    def _may_be_valid(self, token_prefix: str) -> bool:
        """Whether a token is still there, or may be: nothing but the list proves that it is not."""
        try:
            return self._is_listed_anew(token_prefix)
        except ApiError:
            return True

    def check_not_in_use(self, token_prefix: str) -> None:
        """Make sure that a token to be revoked is not the one in use. TokenInUseError: it is."""
        token = self._listed().get(token_prefix)
        used = [each for each in (self._credential, *self._others()) if each.token.startswith(token_prefix)]
        if used or (token is not None and token.currently_active):
            credential = used[0] if used else self._credential
            raise TokenInUseError(
                f"token {shown(token_prefix)} is the one that Pulumi is using right now, so it was not revoked. Set"
                f" {credential.setting} to another token of this account and run the same command again (this one came"
                f" from {credential.source})"
            )

    def confirm(self, token_prefix: str, made_as: User | None) -> None:
        """Make sure that it is the account of the user whom a token was made as. WrongAccountError: it is not."""
        if made_as is not None and not self.owner().is_same_as(made_as):
            raise WrongAccountError(
                f"token {shown(token_prefix)} was made as {made_as.user}, but the credential from"
                f" {self._credential.source} belongs to {self.owner().user}, who cannot see it; it was left alone."
                f" Use a credential of {made_as.user}"
            )

    def _listed(self) -> dict[str, TokenInfo]:
        with self._lock:
            if self._tokens is None:
                begun = self._now()
                self._tokens = {token.token_prefix: token for token in self._once(self._client.list_tokens)}
                self._listed_at = begun
            return self._tokens

    def _once(self, ask: Callable[[], _Answer]) -> _Answer:
        """Ask what all wait for; where that fails, do not let each of them go through all the tries again."""
        if self._failure is not None:
            raise self._failure
        try:
            return ask()
        except ApiError as error:
            self._failure = error
            raise

    def _write(self, token_prefix: str, token: TokenInfo | None) -> None:
        with self._lock:
            if self._tokens is None:
                return
            if token is None:
                self._tokens.pop(token_prefix, None)
            else:
                self._tokens[token_prefix] = token
