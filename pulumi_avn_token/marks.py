"""How a token shows that it is a certain series' own: proof enough to revoke one that no state holds.

A token is made under a description that carries its series' mark, and gets its final one by a request of its own
authority, whose User-Agent carries the mark too. So whatever an interrupted `up` left behind is told from a token of
the same description that somebody else made: by its description until then, by its last use afterwards.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Container, Iterable

from pulumi_avn_token.model import MAX_DESCRIPTION_LENGTH, TokenInfo

BEGINNING_OF_A_MARK = "series-"

_MARK = rf"({BEGINNING_OF_A_MARK}[0-9a-f]{{16}})"
_MARKED = re.compile(rf"\[pulumi-avn-token {_MARK}\] ")
_USED = re.compile(rf"pulumi-avn-token/\S+ \({_MARK}\)")


def mark_of(id_: str, urn: str) -> str:
    """The mark of a series with this id and URN: the id itself, unless that is the prefix of a token it has taken over.

    Then the mark is derived from both, so that it is known whatever was recorded, and that two stacks which hold the
    same token do not have one mark.
    """
    if id_.startswith(BEGINNING_OF_A_MARK):
        return id_
    return f"{BEGINNING_OF_A_MARK}{hashlib.sha256(f'{id_} {urn}'.encode()).hexdigest()[:16]}"


def marked(description: str, mark: str) -> str:
    """The description under which a token is made."""
    return f"{beginning(mark)}{description}"[:MAX_DESCRIPTION_LENGTH]


def beginning(mark: str) -> str:
    """What such a description begins with."""
    return f"[pulumi-avn-token {mark}] "


def user_agent(product: str, mark: str) -> str:
    """The User-Agent of the one request that a new token makes itself."""
    return f"{product} {_comment(mark)}"


def find_strays(tokens: Iterable[TokenInfo], mark: str, held: Container[str | None]) -> list[str]:
    """The prefixes of a series' tokens that its state does not hold: made, and never recorded or delivered."""
    return [
        token.token_prefix
        for token in tokens
        if token.token_prefix not in held
        and (token.description.startswith(beginning(mark)) or _is_used_by_its_maker(token, mark))
    ]


def without_own_use(token: TokenInfo, mark: str | None = None) -> TokenInfo:
    """The token without the use that only gave it its description: nobody has used it yet.

    mark: that of the series that may have made it; None: any series.
    """
    is_own = _USED.search(token.last_user_agent or "") if mark is None else _is_used_by_its_maker(token, mark)
    if not is_own:
        return token
    return dataclasses.replace(
        token, last_used_time=None, last_ip=None, last_user_agent=None, last_user_agent_human_readable=None
    )


def _is_used_by_its_maker(token: TokenInfo, mark: str) -> bool:
    return _comment(mark) in (token.last_user_agent or "")


def _comment(mark: str) -> str:
    return f"({mark})"


def find_mark(token: TokenInfo) -> str | None:
    """The mark that a token carries, in its description or as its last use; None: it has none."""
    match = _MARKED.match(token.description) or _USED.search(token.last_user_agent or "")
    return match[1] if match else None


def is_half_made(token: TokenInfo) -> bool:
    """Whether a token still has the description under which it was made: nobody got it yet."""
    return _MARKED.match(token.description) is not None
