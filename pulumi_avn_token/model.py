"""What a token is: what is asked for, what the account shows, and what is handed out once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

PREFIX_LENGTH = 12
"""Characters of a token that may be shown. Aiven's docs show prefixes of this length."""

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
    """As much of a token, or of its prefix, as may be seen: people pass a full token where a prefix would do."""
    return token if len(token) <= PREFIX_LENGTH else f"{token[:PREFIX_LENGTH]}…"


def parse_time(text: str) -> datetime:
    """A time of the API: ISO 8601 with or without fractions, ending in `Z` or an offset; ValueError otherwise."""
    # Python 3.10 reads neither `Z` nor fractions of other than three or six digits.
    whole, dot, rest = text.strip().replace("Z", "+00:00").replace("z", "+00:00").partition(".")
    if dot:
        digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        whole += f".{digits[:6]:0<6}{rest[len(digits) :]}"
    time = datetime.fromisoformat(whole)
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


def token_info(answer: Mapping[str, Any]) -> TokenInfo:
    """Read a token object of the API; unknown fields are passed over. KeyError, TypeError or ValueError: not one."""
    prefix, description = answer["token_prefix"], answer["description"]
    if not isinstance(prefix, str) or not prefix:
        raise TypeError("token_prefix")
    known = {name: answer[name] for name in TokenInfo.__dataclass_fields__ if answer.get(name) is not None}
    for name in ("create_time", "expiry_time", "last_used_time"):
        if name in known:
            parse_time(known[name])
    if "max_age_seconds" in known:
        known["max_age_seconds"] = int(known["max_age_seconds"])
    return TokenInfo(**{**known, "description": description or ""})
