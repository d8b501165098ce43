"""How a token shows which creation it comes from: proof enough to revoke one that no state holds.

A token is made under a description that carries a mark, and gets its final one by a request of its own authority, whose
User-Agent carries the mark too. So whatever an interrupted `up` left behind is told from a token of the same
description that somebody else made: by its description until then, by its last use afterwards.

A mark is of one `AccessToken`'s creation, or of a series, and tells the stack that makes it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Container, Iterable

from pulumi_avn_token.model import MAX_DESCRIPTION_LENGTH, TokenInfo

OF_A_SERIES = "series-"
OF_A_TOKEN = "token-"  # noqa: S105 - no password
"""What a mark begins with."""

_MARK = rf"((?:{OF_A_SERIES}|{OF_A_TOKEN})[0-9a-f]{{16}})"
_MARKED = re.compile(rf"^\[pulumi-avn-token {_MARK}\] ")
_USED = re.compile(rf"pulumi-avn-token/\S+ \({_MARK}\)")


def new_mark(kind: str, urn: str, number: str) -> str:
    """The mark for a resource of a stack; `number` are 8 hexadecimal digits, drawn at random for one to be made."""
    return f"{kind}{tag(urn)}{number}"


def tag(urn: str) -> str:
    """What the marks of one stack have in common, by the URN of any of its resources."""
    return hashlib.sha256("::".join(urn.split("::")[:2]).encode()).hexdigest()[:8]


def tag_in(mark: str) -> str:
    """The tag of the stack that made a mark, unless it is of an earlier version."""
    return mark.partition("-")[2][:8]


def mark_of(id_: str, urn: str) -> str:
    """The mark of a series with this id and URN: the id itself, unless that is the prefix of a token it has taken over.

    Then the mark is derived from both, so that it is known whatever was recorded, and that two stacks which hold the
    same token do not have one mark.
    """
    if id_.startswith(OF_A_SERIES):
        return id_
    return new_mark(OF_A_SERIES, urn, hashlib.sha256(f"{id_} {urn}".encode()).hexdigest()[:8])


def marked(description: str, mark: str) -> str:
    """The description under which a token is made."""
    return f"{beginning(mark)}{description}"[:MAX_DESCRIPTION_LENGTH]


def beginning(mark: str) -> str:
    """What such a description begins with."""
    return f"[pulumi-avn-token {mark}] "


def unmarked(description: str) -> str:
    """A description without the mark under which its token was made."""
    return _MARKED.sub("", description, count=1)


def user_agent(product: str, mark: str) -> str:
    """The User-Agent of the one request that a new token makes itself."""
    return f"{product} ({mark})"


def find_strays(tokens: Iterable[TokenInfo], mark: str, held: Container[str | None]) -> list[str]:
    """The prefixes of the tokens with a mark that its state does not hold: made, and never recorded or delivered."""
    return [
        token.token_prefix
        for token in tokens
        if token.token_prefix not in held
        and ((is_half_made(token) and token.description.startswith(beginning(mark))) or _used_by(token) == mark)
    ]


def without_own_use(token: TokenInfo) -> TokenInfo:
    """The token without the use that only gave it its description: nobody has used it yet."""
    if _used_by(token) is None:
        return token
    return dataclasses.replace(
        token, last_used_time=None, last_ip=None, last_user_agent=None, last_user_agent_human_readable=None
    )


def _used_by(token: TokenInfo) -> str | None:
    """The mark that a token's last use carries."""
    match = _USED.search(token.last_user_agent or "")
    return match[1] if match else None


def find_mark(token: TokenInfo) -> str | None:
    """The mark that a token carries, in its description or as its last use; None: none, or somebody has used it."""
    match = _MARKED.match(token.description) if is_half_made(token) else None
    return match[1] if match else _used_by(token)


def is_half_made(token: TokenInfo) -> bool:
    """Whether a token still has the description under which it was made, and nobody has used it: nobody got it yet."""
    return without_own_use(token).last_used_time is None and _MARKED.match(token.description) is not None
