"""Which of an account's tokens are meant, in what order, and how much of its life each has left.

Pure: the clock is an argument.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from pulumi_avn_token import marks
from pulumi_avn_token.model import TokenInfo, parse_time

_LATEST = datetime.max.replace(tzinfo=timezone.utc)
_EARLIEST = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which tokens are meant: all that is given must be so."""

    prefixes: Collection[str] = ()
    """One of these; none: any."""
    description: str | None = None
    """A shell pattern, or a part, of the description; upper and lower case are the same."""
    made_by_hand: bool = False
    """Made by a person or a program: no login session, and nothing that a series made and did not deliver."""
    expiring_within: timedelta | None = None
    unused_for: timedelta | None = None
    """Not used for so long; one that never was counts from when it was made.

    It is no use that a series has given the token its description.
    """
    sessions: bool = False
    """Login sessions too."""

    def has(self, token: TokenInfo, now: datetime) -> bool:
        """Whether a token is meant."""
        return (
            (self.sessions or not token.is_session)
            and (not self.prefixes or token.token_prefix in self.prefixes)
            and (self.description is None or _has(token.description, self.description))
            and (not self.made_by_hand or (token.created_manually is True and marks.find_mark(token) is None))
            and (self.expiring_within is None or _ends_before(token, now, self.expiring_within))
            and (self.unused_for is None or _is_unused_since(token, now, self.unused_for))
        )


ORDERS: Mapping[str, Callable[[TokenInfo], Any]] = {
    "expiry": lambda token: _time(token.expiry_time) or _LATEST,
    "created": lambda token: _time(token.create_time) or _EARLIEST,
    "used": lambda token: _time(marks.without_own_use(token).last_used_time) or _EARLIEST,
    "prefix": lambda token: token.token_prefix,
    "description": lambda token: token.description.casefold(),
}
"""What tokens can be sorted by; those that never expire come last, those that were never used first."""


def select(tokens: Iterable[TokenInfo], selection: Selection, order: str, now: datetime) -> list[TokenInfo]:
    """The tokens that are meant, in one of the `ORDERS`."""
    return sorted((token for token in tokens if selection.has(token, now)), key=ORDERS[order])


def told(token: TokenInfo, now: datetime) -> dict[str, Any]:
    """A token for programs: what the account shows, and how much of its life it has left."""
    left = time_left(token, now)
    seconds = None if left is None else int(left.total_seconds())
    return {**asdict(token), "seconds_left": seconds, "life_left": life_left(token, now)}


def time_left(token: TokenInfo, now: datetime) -> timedelta | None:
    """How long a token is still valid; None: for ever."""
    expiry = _time(token.expiry_time)
    return None if expiry is None else max(timedelta(), expiry - now)


def life_left(token: TokenInfo, now: datetime) -> float | None:
    """The share of its life that a token has left, from 0 to 1; None: it lives for ever, or nobody knows how long."""
    left, made = time_left(token, now), _time(token.create_time)
    if left is None:
        return None
    if token.max_age_seconds:
        life = float(token.max_age_seconds)
    elif made is not None:
        life = (left + (now - made)).total_seconds()
    else:
        return None
    return min(1.0, left.total_seconds() / life) if life > 0 else 0.0


def since(time: str | None, now: datetime) -> timedelta | None:
    """How long ago a time of the API was; None: it is not known."""
    then = _time(time)
    return None if then is None else max(timedelta(), now - then)


def is_called(description: str, name: str) -> bool:
    """Whether a description is this one, or fits this shell pattern; upper and lower case are the same."""
    description, name = description.casefold(), name.casefold()
    return name == description or fnmatch.fnmatchcase(description, name)


def _has(description: str, part: str) -> bool:
    return part.casefold() in description.casefold() or is_called(description, part)


def _ends_before(token: TokenInfo, now: datetime, span: timedelta) -> bool:
    left = time_left(token, now)
    return left is not None and left <= span


def _is_unused_since(token: TokenInfo, now: datetime, span: timedelta) -> bool:
    idle = since(marks.without_own_use(token).last_used_time or token.create_time, now)
    return idle is not None and idle >= span


def _time(text: str | None) -> datetime | None:
    return parse_time(text) if text else None
