"""Which existing token a resource takes over, and whether it has done so already."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pulumi_avn_token.errors import AdoptionError
from pulumi_avn_token.lifecycle import SETTINGS, comparable
from pulumi_avn_token.model import TokenInfo, shown


def find_meant(given: str, tokens: Iterable[TokenInfo]) -> TokenInfo:
    """The one token that a prefix, the beginning of one, or a full token means. AdoptionError: none, or several."""
    meant = [token for token in tokens if given.startswith(token.token_prefix) or token.token_prefix.startswith(given)]
    if len(meant) == 1:
        return meant[0]
    if not meant:
        raise AdoptionError(
            f"no valid token of this account begins with {shown(given)}: it has expired, was revoked, is mistyped, or"
            " belongs to another account; see `avn user access-token list`. If this resource has taken it over earlier,"
            " leave adopt_prefix out"
        )
    raise AdoptionError(
        f"{len(meant)} tokens begin with {shown(given)}: {', '.join(token.token_prefix for token in meant)};"
        " give the whole prefix of one"
    )


def find_mismatches(token: TokenInfo, arguments: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is declared otherwise than the token has it: it cannot be changed without a new token."""
    secret = arguments.get("full_token")
    if secret is not None and not secret.startswith(token.token_prefix):
        yield "full_token", f"is not the secret of token {token.token_prefix}: it does not begin with that"
    for name in SETTINGS:
        declared, actual = arguments.get(name), getattr(token, name)
        if declared and comparable(declared) != comparable(actual):
            has = f"token {token.token_prefix} has {_words(actual)} for life"
            yield name, f"{has}: leave it out now, and set it in a later `up`"


def _words(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return "none" if value is None else str(value).lower()


class Adoptions:
    """Which adoptions one operation of the engine has met.

    A resource keeps its `adopt_prefix` after the adoption, also when it is rotated. Then the engine asks for a new
    resource with the same inputs: what must not happen is that the old token is adopted once more, and then revoked as
    the old resource. That a token was adopted earlier is known where the engine shows the recorded inputs first. It
    does not when a person forces a replacement: then the token is adopted anew, and what is held is not revoked.
    """

    def __init__(self) -> None:
        self._done: set[str] = set()
        self._held: dict[str, str] = {}
        self._lock = threading.Lock()

    def met(self, recorded: str | None, declared: str | None) -> None:
        """Note a resource's recorded and declared `adopt_prefix`."""
        if recorded is not None and recorded == declared:
            self._done.add(recorded)

    def is_done(self, given: str) -> bool:
        """Whether what `given` means was adopted in an earlier operation."""
        return given in self._done

    def hold(self, given: str, token_prefix: str) -> None:
        """Note that a resource holds the token that it adopted."""
        self._held[given] = token_prefix

    def take(self, given: str, token_prefix: str) -> None:
        """Note that a new resource adopts a token. AdoptionError: another one of this stack holds it."""
        with self._lock:
            if self.is_held(token_prefix):
                raise AdoptionError(f"token {token_prefix} is adopted by another resource of this stack already")
            self.hold(given, token_prefix)

    def let_go(self, given: str) -> None:
        """Note that a resource gets a new token instead of the one that it adopted."""
        self._held.pop(given, None)

    def is_held(self, token_prefix: str) -> bool:
        """Whether a resource holds this token, so that another that is deleted must not take it along."""
        return token_prefix in self._held.values()
