"""What is to become of a token: recorded outputs, declared inputs, and the time -> a decision and its reason.

Pure: no input or output, and the clock is an argument.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from pulumi_avn_token.marks import without_own_use
from pulumi_avn_token.model import PREFIX_LENGTH, TokenInfo, TokenSpec, User, parse_time
from pulumi_avn_token.terminal import inert

SHOWN_BY_THE_ACCOUNT = (
    "token_prefix",
    "description",
    "max_age_seconds",
    "extend_when_used",
    "ip_allowlist",
    "scopes",
    "create_time",
    "expiry_time",
    "last_used_time",
    "last_ip",
    "last_user_agent",
)
"""The outputs that are as the account shows them."""

SETTINGS = ("max_age_seconds", "extend_when_used", "ip_allowlist", "scopes")
"""What a token is made with and keeps: a change needs a new token."""

DECLARED = "__declared"
"""The output that records the settings as they were declared, beside what the service made of them."""

CREDENTIALS = "credentials"
"""The argument, and the output, that names where the credential is which has the token's account."""

RECORDED_ARGUMENTS = ("early_rotation_window_seconds", "rotation_triggers", "adopt_prefix", CREDENTIALS)
"""The arguments that only the state knows."""

REASON = "rotation_reason"
"""An output that every series has, and no `AccessToken`: by it their states are told from each other."""

GONE = "__gone"
"""The output that records why a token is missing from the account, where its resource outlives it."""

TOKEN_TYPE = "pulumi-python:dynamic/avn:AccessToken"  # noqa: S105 - a type token
SERIES_TYPE = "pulumi-python:dynamic/avn:RotatingAccessToken"
"""The types of the two resources in a state."""

OWNER = "__owner"
"""The output that records the Aiven user whom the token was made as."""

URN = "__urn"
"""The input, and the output, that tells the resource's URN: the engine does not, and messages are about a resource."""

Gone = Literal["expired", "revoked"]

HOW: Mapping[Gone, str] = {"expired": "has expired", "revoked": "was revoked outside of Pulumi"}
"""The same for people."""

_WINDOW = "early_rotation_window_seconds"

NEAR_EXPIRY = timedelta(days=3)
"""Where nothing rotates a token, its end is told so long ahead, or a tenth of its life if that is shorter."""


class Due(NamedTuple):
    """What the clock, or the account, asks a new token for."""

    reason: Literal["expired", "revoked", "window"]
    why: str
    """The same for people."""


@dataclass(frozen=True)
class Keep:
    """Nothing is to be done."""


@dataclass(frozen=True)
class Update:
    """The token stays; its description, or only what the state records, changes."""


class Replace(NamedTuple):
    """A new token is made, and after all that depends on it was updated, the old one is revoked."""

    properties: tuple[str, ...]
    """The properties that ask for it, for the engine's preview."""
    reason: str | None = None
    """Why, where no changed input shows it."""


Decision = Keep | Update | Replace


def decide(olds: Mapping[str, Any], news: Mapping[str, Any], now: datetime) -> Decision:
    """Decide about an `AccessToken`; `olds` are its recorded outputs, `news` its checked inputs.

    An input that is not known yet counts as changed.
    """
    changed = changed_settings(olds, news)
    if changed_values(olds.get("rotation_triggers"), news.get("rotation_triggers")) is not None:
        changed += ("rotation_triggers",)
    if adopts_another(olds, news):
        changed += ("adopt_prefix",)
    due = find_due(olds, news, now)
    if changed or due:
        return Replace(changed or ("expiry_time",), due.why if due else None)
    if REASON in olds or known_secret(olds, news) != olds.get("full_token"):
        return Update()
    if any(olds.get(name) != news.get(name) for name in ("description", *RECORDED_ARGUMENTS)):
        return Update()
    return Keep()


def changed_settings(olds: Mapping[str, Any], news: Mapping[str, Any]) -> tuple[str, ...]:
    """The settings that are declared otherwise than they were when the token was made, and than the token has them."""
    made_with = olds.get(DECLARED, olds)
    return tuple(
        name
        for name in SETTINGS
        if comparable(news.get(name)) not in (comparable(made_with.get(name)), comparable(olds.get(name)))
    )


def comparable(value: Any) -> Any:
    """A setting without what does not matter: order, and absent against false."""
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return sorted(set(value))
    return None if value is False else value


def changed_values(old: Any, new: Any) -> str | None:
    """The keys of a mapping of triggers that have another value. Introducing or removing it as a whole is no change."""
    if old is None or new is None or _is_same(old, new):
        return None
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return "not known yet"
    changed = {key for key in {*old, *new} if key not in old or key not in new or not _is_same(old[key], new[key])}
    return ", ".join(sorted(changed))


def _is_same(old: Any, new: Any) -> bool:
    """Whether two plain values are the same, where true is not 1."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old.keys() == new.keys() and all(_is_same(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_is_same, old, new))
    return isinstance(old, bool) == isinstance(new, bool) and bool(old == new)


def spec(arguments: Mapping[str, Any]) -> TokenSpec:
    """The token that arguments ask for."""
    age = arguments.get("max_age_seconds")
    return TokenSpec(
        description=arguments["description"],
        max_age_seconds=None if age is None else int(age),
        extend_when_used=bool(arguments.get("extend_when_used")),
        ip_allowlist=arguments.get("ip_allowlist"),
        scopes=arguments.get("scopes"),
    )


def declared(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The settings among arguments, for the output `DECLARED`."""
    return {name: arguments[name] for name in SETTINGS if arguments.get(name) is not None}


def shown(token: TokenInfo, described: str | None) -> dict[str, Any]:
    """The outputs that a token as the account shows it gives; `described` is the description as it is known already."""
    seen = without_own_use(token)
    outs = {name: _inert(getattr(seen, name)) for name in SHOWN_BY_THE_ACCOUNT}
    return outs if token.description != described else {**outs, "description": described}


def _inert(value: Any) -> Any:
    """A field of a token, of whose texts anybody may have written any."""
    if isinstance(value, str):
        return inert(value)
    return tuple(map(inert, value)) if isinstance(value, tuple) else value


def adopts_another(olds: Mapping[str, Any], news: Mapping[str, Any]) -> bool:
    """Whether another token is to be adopted. Taking the argument away leaves the adopted token what it is."""
    wanted, current = news.get("adopt_prefix"), olds.get("token_prefix")
    if wanted is None or is_same_adoption(olds.get("adopt_prefix"), wanted):
        return False
    return not (isinstance(wanted, str) and isinstance(current, str) and _begin_alike(wanted, current))


def is_same_adoption(recorded: Any, wanted: Any) -> bool:
    """Whether two values of `adopt_prefix` mean one token, such as its prefix and the full token."""
    if not isinstance(recorded, str) or not isinstance(wanted, str):
        return False
    return recorded == wanted or (min(len(recorded), len(wanted)) >= PREFIX_LENGTH and _begin_alike(recorded, wanted))


def known_secret(olds: Mapping[str, Any], news: Mapping[str, Any]) -> str | None:
    """The secret of the recorded token: what is declared for an adopted one, unless it has been rotated since."""
    for name in ("full_token", "adopt_prefix"):
        given = news.get(name)
        if isinstance(given, str) and _is_token(given, olds) and given != olds["token_prefix"]:
            return given
    return olds.get("full_token")


def find_due(olds: Mapping[str, Any], news: Mapping[str, Any], now: datetime) -> Due | None:
    """What the clock, or the account, asks a new token for; None: it does not."""
    expiry, recorded, window = expires(olds), olds.get(_WINDOW), news.get(_WINDOW)
    if olds.get(GONE) == "revoked":
        return Due("revoked", f"it {HOW['revoked']}")
    if olds.get(GONE) == "expired" or (expiry is not None and now >= expiry):
        return Due("expired", f"it has expired ({olds.get('expiry_time')})")
    opening = opens(olds)
    # A changed window makes no token: it counts from the next time on.
    if (_is_known(window) and window != recorded) or opening is None or now < opening:
        return None
    return Due("window", f"it expires at {olds.get('expiry_time')}, within {_WINDOW}={recorded:.0f}")


def opens(olds: Mapping[str, Any]) -> datetime | None:
    """When the recorded window opens; None: there is none, or the token never expires."""
    expiry, window = expires(olds), olds.get("early_rotation_window_seconds")
    if expiry is None or window is None:
        return None
    return expiry - (_life(olds, expiry) / 2 if is_window_too_long(olds) else timedelta(seconds=window))


def is_window_too_long(olds: Mapping[str, Any]) -> bool:
    """Whether the recorded window is as long as the token's life, which the service made shorter than was declared.

    Such a token is rotated halfway through its life: with the window as it is, a new one would be due at every `up`.
    """
    expiry, window = expires(olds), olds.get("early_rotation_window_seconds")
    return expiry is not None and window is not None and timedelta(seconds=window) >= _life(olds, expiry)


def find_end(olds: Mapping[str, Any], news: Mapping[str, Any], now: datetime) -> str | None:
    """What to tell of a token that is to be rotated and is not yet, or that nothing rotates before it expires soon.

    None: neither is so.
    """
    expiry, window = expires(olds), news.get(_WINDOW)
    if not _is_known(window) or expiry is None:
        return None
    is_near = _is_near_end(olds, expiry, now)
    if window is None and is_near:
        can_trigger = olds.get("rotation_triggers") is not None
        return (
            f"expires at {olds['expiry_time']}, and nothing is going to rotate it: set early_rotation_window_seconds"
            f"{', or change a value of rotation_triggers' if can_trigger else ''}"
        )
    is_open = window is not None and now >= expiry - timedelta(seconds=window)
    if window != olds.get("early_rotation_window_seconds") and (is_near or is_open):
        return f"expires at {olds['expiry_time']}: the changed window counts from the next `pulumi up` on, so run it"
    return None


def is_ending(olds: Mapping[str, Any], news: Mapping[str, Any], now: datetime) -> bool:
    """Whether there is an end near of which to tell: the account is asked first, which may have put it off."""
    expiry = expires(olds)
    return expiry is not None and _is_near_end(olds, expiry, now) and find_end(olds, news, now) is not None


def _is_near_end(olds: Mapping[str, Any], expiry: datetime, now: datetime) -> bool:
    return now >= expiry - min(_life(olds, expiry) / 10, NEAR_EXPIRY)


def find_new_triggers(
    olds: Mapping[str, Any], news: Mapping[str, Any], name: str = "rotation_triggers", does: str = "rotates"
) -> str | None:
    """What to tell of triggers that are declared for the first time; None: it is not so."""
    if olds.get(name) is not None or news.get(name) is None:
        return None
    return f"{name} is new, which {does} nothing yet: only a changed value of it does"


def owner(outs: Mapping[str, Any]) -> User | None:
    """The user whom the token was made as, as far as it is recorded."""
    recorded = outs.get(OWNER)
    return User(user=recorded["user"], user_id=recorded.get("user_id")) if recorded else None


def is_stale(olds: Mapping[str, Any]) -> bool:
    """Whether the recorded expiry may have moved: the account is to be asked before it is believed."""
    return bool(olds.get("extend_when_used")) and olds.get(GONE) is None


def why_missing(olds: Mapping[str, Any], now: datetime) -> Gone:
    """Why a token is no longer in the account: its time had come, or somebody revoked it."""
    expiry = expires(olds)
    return "expired" if expiry is not None and now >= expiry else "revoked"


def expires(olds: Mapping[str, Any]) -> datetime | None:
    """The recorded expiry; None: never."""
    recorded = olds.get("expiry_time")
    return parse_time(recorded) if recorded else None


def _is_known(seconds: Any) -> bool:
    """Whether a number that may be absent is known: one that is not is taken for what it was, so that more is told."""
    return seconds is None or isinstance(seconds, int | float)


def _life(olds: Mapping[str, Any], expiry: datetime) -> timedelta:
    """How long the token was given."""
    age, made = olds.get("max_age_seconds"), olds.get("create_time")
    # The shorter: a policy may cut a life short without a word about the age. Use only makes the time longer.
    return min(
        timedelta.max if age is None else timedelta(seconds=age), expiry - parse_time(made) if made else timedelta.max
    )


def _is_token(given: Any, olds: Mapping[str, Any]) -> bool:
    """Whether a prefix, or a full token in its place, means the token of these outputs."""
    current = olds.get("token_prefix")
    return isinstance(given, str) and isinstance(current, str) and given.startswith(current)


def _begin_alike(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)
