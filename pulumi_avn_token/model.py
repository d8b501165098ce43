"""What a token is: what is asked for, what the account shows, and what is handed out once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from pulumi_avn_token.terminal import is_whole

PREFIX_LENGTH = 12
"""Characters of a token that may be shown. Aiven's docs show prefixes of this length."""

LONGEST_PREFIX = 32
"""Longer than any prefix: such a text is a full token, which people pass where a prefix would do."""

MAX_DESCRIPTION_LENGTH = 1000
"""Characters that a token's description may have."""

_LONGEST_AGE = timedelta(seconds=315_360_000)

DEFAULT_MAX_AGE_SECONDS = 30 * 24 * 60 * 60
"""Age in seconds of a token that is made without one, as Aiven's CLI documents it."""


@dataclass(frozen=True, kw_only=True)
class TokenSpec:
    """A token to be made: the fields of `POST /v1/access_token`."""

    description: str
    """1 to 1000 characters."""
    max_age_seconds: int | None = None
    """600 to 315360000 seconds; None: the service's default."""
    extend_when_used: bool = False
    """Whether the age counts from the last use instead of from creation."""
    ip_allowlist: Sequence[str] | None = None
    """CIDRs that may use the token, at most 100; None: every address."""
    scopes: Sequence[str] | None = None
    """What the token may do, such as `user:read`, at most 100; None: all that its user may."""


@dataclass(frozen=True, kw_only=True)
class TokenInfo:
    """A valid token as the account shows it: everything but its secret. Times are the API's ISO 8601 strings."""

    token_prefix: str
    description: str
    create_time: str | None = None
    created_manually: bool | None = None
    """False: a login session, not a token that somebody made."""
    currently_active: bool | None = None
    """Whether it is the token that asked."""
    expiry_time: str | None = None
    """None: it never expires."""
    extend_when_used: bool | None = None
    ip_allowlist: Sequence[str] | None = None
    last_ip: str | None = None
    last_used_time: str | None = None
    last_user_agent: str | None = None
    last_user_agent_human_readable: str | None = None
    max_age_seconds: int | None = None
    scopes: Sequence[str] | None = None

    @property
    def is_session(self) -> bool:
        """Whether it is a login session; where the API does not tell, it is a token."""
        return self.created_manually is False


@dataclass(frozen=True, kw_only=True)
class IssuedToken:
    """A token just made, with its secret: the one moment at which the API tells it."""

    info: TokenInfo
    full_token: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class User:
    """The Aiven user that a credential belongs to."""

    user_id: str | None
    """Stable over a change of the address; None where the API does not tell it."""
    user: str
    """The user's mail address."""

    def is_same_as(self, other: User) -> bool:
        """Whether both are one Aiven user: by id where both have one, else by address."""
        if self.user_id and other.user_id:
            return self.user_id == other.user_id
        return self.user == other.user


def shown(token: str) -> str:
    """As much of a token, or of its prefix, as may be seen: it may be a full token."""
    return token if len(token) <= PREFIX_LENGTH else f"{token[:PREFIX_LENGTH]}…"


_LIKE_A_TOKEN = re.compile(
    rf"[\w+/=]{{100,}}|(?<![^\s'\"`(])[\w+/=]{{{LONGEST_PREFIX + 1},}}(?=['\"`)]?(?:[.:,;]?(?:\s|$)))"
)
"""A very long word, or a whole one: a path or an address, which has dots or dashes in it, stays as it is."""


def without_tokens(text: str) -> str:
    """The text with each word cut that may be a full token: what people type gets into the wrong place."""
    return _LIKE_A_TOKEN.sub(lambda word: shown(word[0]), text)


def parse_time(text: str) -> datetime:
    """A time of the API, in UTC: ISO 8601 with or without fractions, with `Z` or an offset; ValueError otherwise."""
    # Python 3.10 reads neither `Z` nor fractions of other than three or six digits.
    whole, dot, rest = text.strip().replace("Z", "+00:00").replace("z", "+00:00").partition(".")
    if dot:
        digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        whole += f".{digits[:6]:0<6}{rest[len(digits) :]}"
    time = datetime.fromisoformat(whole)
    try:
        return time.astimezone(timezone.utc) if time.tzinfo else time.replace(tzinfo=timezone.utc)
    except OverflowError:
        raise ValueError("no time that there is in UTC") from None


def written(time: datetime) -> str:
    """A time as the API writes it: ISO 8601 in UTC, ending in `Z`."""
    return time.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def to_the_second(time: datetime) -> str:
    """A time as the API writes it, without fractions of a second: for people."""
    return written(time.replace(microsecond=0))


def token_info(answer: Mapping[str, Any], *, lenient: bool = False) -> TokenInfo:
    """Read a token object of the API; unknown fields are passed over. ValueError: it is not one.

    lenient: only the prefix must be readable, and what else is not becomes None: what was just made must not be lost
    over a detail.
    """
    if not isinstance(answer, Mapping):
        raise ValueError("no object")  # noqa: TRY004 - one kind of error for all that an answer may be
    fields: dict[str, Any] = {}
    for name, read in _FIELDS.items():
        value = answer.get(name)
        try:
            fields[name] = None if value is None else read(value)
        except (TypeError, ValueError, OverflowError):
            if not lenient or name == "token_prefix":
                raise ValueError(name) from None
            fields[name] = None
    if not fields["token_prefix"]:
        raise ValueError("token_prefix")
    return TokenInfo(**{**fields, "description": fields["description"] or ""})


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _prefix(value: Any) -> str:
    if not is_whole(_text(value)):
        raise ValueError
    return str(value)


def _time(value: Any) -> str:
    time = parse_time(_text(value))
    (time - _LONGEST_AGE, time + _LONGEST_AGE)  # what is reckoned from it must be times too
    return str(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    timedelta(seconds=value)  # so that it is a time that can be reckoned with
    return int(value)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(map(_text, value))


_FIELDS: Mapping[str, Callable[[Any], Any]] = {
    "token_prefix": _prefix,
    "description": _text,
    "create_time": _time,
    "created_manually": _flag,
    "currently_active": _flag,
    "expiry_time": _time,
    "extend_when_used": _flag,
    "ip_allowlist": _texts,
    "last_ip": _text,
    "last_used_time": _time,
    "last_user_agent": _text,
    "last_user_agent_human_readable": _text,
    "max_age_seconds": _count,
    "scopes": _texts,
}
