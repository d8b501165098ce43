"""Which existing token a resource takes over, and whether it has done so already."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
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
            " belongs to another account; see `avn user access-token list`. If the state has this resource already,"
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
            yield name, f"{has}: leave it out to adopt the token; set later, it makes a new one and revokes this one"
    window, age = arguments.get("early_rotation_window_seconds"), token.max_age_seconds
    if window is not None and age is not None and window >= age:
        yield "early_rotation_window_seconds", f"must be less than the age of token {token.token_prefix}, {age}"


def _words(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return "none" if value is None else str(value).lower()


class Adoptions:
    """Which tokens the resources of a program hold, as far as one operation of the engine has met them.

    A refresh asks about every resource of the state, also those that the program has dropped, or is about to replace:
    only one that the program has declared in this operation holds anything.

    Two things must not happen. A token must not be revoked with one resource while another holds it: one that was
    renamed, or replaced by force, has adopted it anew. And a resource that is rotated, and still declares its
    `adopt_prefix`, must not adopt its old token once more: the engine asks for the new resource by its inputs alone, so
    what was decided about the old one is kept here until then.
    """

    def __init__(self) -> None:
        self._declared: set[str] = set()
        self._holders: defaultdict[str, set[str]] = defaultdict(set)
        self._taken: set[str] = set()
        self._rotations: Counter[str] = Counter()
        self._lock = threading.Lock()

    def declare(self, urn: str) -> None:
        """Note that the program declares a resource; one without a URN could not be told from others."""
        if urn:
            self._declared.add(urn)

    def is_declared(self, urn: str) -> bool:
        """Whether the program has declared a resource in this operation."""
        return urn in self._declared

    def hold(self, token_prefix: str, urn: str) -> None:
        """Note that a resource holds a token."""
        with self._lock:
            self._holders[token_prefix].add(urn)

    def let_go(self, token_prefix: str, urn: str) -> None:
        """Note that a resource is to have another token."""
        with self._lock:
            self._holders[token_prefix].discard(urn)

    def take(self, token_prefix: str) -> None:
        """Note that a resource is about to adopt a token. AdoptionError: another one of the stack holds it."""
        with self._lock:
            self.check_free(token_prefix)
            self._taken.add(token_prefix)

    def was_taken(self, token_prefix: str) -> bool:
        """Whether a resource has adopted a token in this operation."""
        return token_prefix in self._taken

    def check_free(self, token_prefix: str) -> None:
        """Make sure that no other resource holds a token. AdoptionError: one does."""
        if self._holders.get(token_prefix) or token_prefix in self._taken:
            raise AdoptionError(
                f"token {token_prefix} is held by another resource of this stack already; declare it in one place only"
            )

    def is_held(self, token_prefix: str) -> bool:
        """Whether a resource holds a token. AdoptionError: one was to adopt it and failed, so that is not settled."""
        is_held = bool(self._holders.get(token_prefix))
        if token_prefix in self._taken and not is_held:
            raise AdoptionError(
                f"token {token_prefix} was left alone: the resource that was to adopt it failed; run the same command"
                " again"
            )
        return is_held

    def rotate(self, given: str) -> None:
        """Note that a resource with this `adopt_prefix` is to get a new token."""
        with self._lock:
            self._rotations[given] += 1

    def revoked(self, given: str) -> None:
        """Note that the token of a resource with this `adopt_prefix` was revoked: it cannot be adopted again."""
        with self._lock:
            self._rotations[given] = max(self._rotations[given], 1)

    def is_rotating(self, given: str) -> bool:
        """Whether a resource with this `adopt_prefix` is to get a new token."""
        return self._rotations[given] > 0

    def begin_rotation(self, given: str) -> bool:
        """Whether the resource to be made is that new one; asked once for each."""
        with self._lock:
            due = self._rotations[given] > 0
            self._rotations[given] -= due
            return due
