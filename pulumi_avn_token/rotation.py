"""What is to become of a series of tokens: recorded outputs, declared inputs, the account, the time -> a plan, and why.

At most two tokens of a series are valid: the current one, and for a while the previous one. Pure, as `lifecycle` is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from pulumi_avn_token import lifecycle, marks
from pulumi_avn_token.model import TokenInfo, parse_time, shown, to_the_second, written
from pulumi_avn_token.terminal import printable

RECORDED_ARGUMENTS = (
    "early_rotation_window_seconds",
    "overlap_seconds",
    "retire_previous",
    "rotation_triggers",
    "revocation_triggers",
    lifecycle.CREDENTIALS,
)
"""The arguments that only the state knows."""

STRAYS = "__strays"
"""The output that records tokens of the series that the state does not hold: they are to be revoked."""

ENDED = "__previous_ended"
"""The output that records a previous token that came to its end by itself: it is to be forgotten."""

Reason = Literal["created", "window", "trigger", "settings", "expired", "revoked", "emergency"]

Notice = tuple[Literal["info", "warning"], str]

_LONGEST_SHOWN = 120

_PREVIOUS = "previous_"


@dataclass(frozen=True, kw_only=True)
class Previous:
    """The token before the current one; `previous_` and a field's name is the output of it."""

    token_prefix: str
    full_token: str | None = field(default=None, repr=False)
    superseded_time: str
    """When its successor was made: whoever used it since is behind."""
    retires_at: str
    """When its overlap is over."""
    expiry_time: str | None = None
    last_used_time: str | None = None
    last_ip: str | None = None
    last_user_agent: str | None = None

    @classmethod
    def of(cls, outs: Mapping[str, Any]) -> Previous | None:
        """The previous token that outputs record."""
        if outs.get(f"{_PREVIOUS}token_prefix") is None:
            return None
        fields: dict[str, Any] = {name: outs.get(f"{_PREVIOUS}{name}") for name in cls.__dataclass_fields__}
        return cls(**fields)

    def was_used_since(self) -> bool:
        """Whether it was used since its successor was made, as far as is known."""
        return self.last_used_time is not None and parse_time(self.last_used_time) >= parse_time(self.superseded_time)

    def retires(self, overlap_seconds: float) -> datetime:
        """When its overlap is over: one that is declared longer later on counts, one that is shorter does not."""
        declared = parse_time(self.superseded_time) + timedelta(seconds=overlap_seconds)
        return max(parse_time(self.retires_at), declared)


PREVIOUS_OUTPUTS = tuple(f"{_PREVIOUS}{name}" for name in Previous.__dataclass_fields__)

OUTPUTS_OF_A_SERIES = (
    *PREVIOUS_OUTPUTS,
    "overlap_seconds",
    "retire_previous",
    "revocation_triggers",
    "rotates_at",
    lifecycle.REASON,
    STRAYS,
    ENDED,
)
"""The outputs that an `AccessToken` does not have."""

_SHOWN_OF_PREVIOUS = tuple(
    f"{_PREVIOUS}{name}" for name in ("expiry_time", "last_used_time", "last_ip", "last_user_agent")
)


class Rotation(NamedTuple):
    """A new token is to become the current one."""

    reason: Reason
    why: str
    """The same for people."""


class Plan(NamedTuple):
    """What is to be done; by itself, nothing."""

    rotation: Rotation | None = None
    retirement: Literal["emergency", "displaced", "overlap", "idle"] | None = None
    """Why the previous token is to be revoked; None: it is not."""
    lingers: bool = False
    """Whether the previous token would be revoked by now if it were not in use."""
    describes: bool = False
    """Whether the description changes."""
    clears: bool = False
    """Whether there is anything to be revoked, or to be forgotten, that the state does not hold any longer."""
    records: bool = False
    """Whether anything else changes that only the state knows."""

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return self.writes or self.records

    @property
    def writes(self) -> bool:
        """Whether the account is written to."""
        return self.rotation is not None or self.retirement is not None or self.describes or self.clears

    @property
    def asks(self) -> bool:
        """Whether it depends on what the account shows, beside the state."""
        return self.rotation is not None or self.retirement is not None or self.lingers


def decide(olds: Mapping[str, Any], news: Mapping[str, Any], now: datetime) -> Plan:
    """Decide about a series; `olds` are its outputs as recorded or as `observed`, `news` its checked inputs.

    An input that is not known yet counts as changed. `olds` may be those of an `AccessToken`: its token is then the
    current one.
    """
    rotation = _rotation(olds, news, now)
    retirement, lingers = _retirement(olds, news, now, rotation)
    return Plan(
        rotation=rotation,
        retirement=retirement,
        lingers=lingers,
        describes=olds.get("description") != news.get("description"),
        clears=STRAYS in olds or ENDED in olds,
        records=is_taken_over(olds) or any(olds.get(name) != news.get(name) for name in RECORDED_ARGUMENTS),
    )


def observed(olds: Mapping[str, Any], tokens: Iterable[TokenInfo], mark: str, now: datetime) -> dict[str, Any]:
    """The outputs as the account shows them; what it does not is marked as gone, and secrets are carried forward."""
    found = {token.token_prefix: token for token in tokens}
    outs = {name: value for name, value in olds.items() if name not in {lifecycle.GONE, STRAYS, ENDED}}
    current, previous = found.get(outs["token_prefix"]), Previous.of(outs)
    if current is not None:
        outs |= lifecycle.shown(current, olds.get("description"))
    else:
        outs[lifecycle.GONE] = olds.get(lifecycle.GONE) or lifecycle.why_missing(olds, now)
    if previous is not None and (token := found.get(previous.token_prefix)) is not None:
        seen = lifecycle.shown(token, None)
        outs |= {name: seen[name.removeprefix(_PREVIOUS)] for name in _SHOWN_OF_PREVIOUS}
    elif previous is not None:
        outs = without_previous(outs)
        outs[ENDED] = {"token_prefix": previous.token_prefix, "gone": lifecycle.why_missing(asdict(previous), now)}
    held = {outs["token_prefix"], previous and previous.token_prefix}
    if strays := marks.find_strays(found.values(), mark, held):
        outs[STRAYS] = strays
    return outs | {"rotates_at": rotates_at(outs)}


def recorded(olds: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs once all that only the state knows is as declared, and marks are dealt with."""
    outs = {name: value for name, value in olds.items() if name not in {STRAYS, ENDED, "adopt_prefix"}}
    outs = {lifecycle.REASON: "created", **outs, **{name: news.get(name) for name in RECORDED_ARGUMENTS}}
    if (previous := Previous.of(outs)) is not None:
        outs["previous_retires_at"] = written(previous.retires(news.get("overlap_seconds") or 0))
    return outs | {"rotates_at": rotates_at(outs)}


def superseded(olds: Mapping[str, Any], news: Mapping[str, Any], superseded_time: str) -> dict[str, Any]:
    """What is recorded of the current token once a new one takes its place."""
    since = parse_time(superseded_time)
    fields: dict[str, Any] = {name: olds.get(name) for name in Previous.__dataclass_fields__}
    fields["superseded_time"] = written(since)
    fields["retires_at"] = written(since + timedelta(seconds=news.get("overlap_seconds") or 0))
    return {f"{_PREVIOUS}{name}": value for name, value in asdict(Previous(**fields)).items()}


def without_previous(outs: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs of a series without a previous token."""
    return {name: value for name, value in outs.items() if name not in PREVIOUS_OUTPUTS}


def without_series(outs: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs of a series as those of an `AccessToken`, which its current token is from then on."""
    return {name: value for name, value in outs.items() if name not in OUTPUTS_OF_A_SERIES}


def is_taken_over(outs: Mapping[str, Any]) -> bool:
    """Whether outputs are an `AccessToken`'s, whose token is to be the current one of a series."""
    return lifecycle.REASON not in outs


def find_hindrance(outs: Mapping[str, Any], now: datetime) -> str | None:
    """Why a series cannot become an `AccessToken`, which knows no token but the current one; None: it can."""
    previous, strays = Previous.of(outs), ", ".join(map(shown, outs.get(STRAYS, ())))
    if previous is None and not strays:
        return None
    keep = "the series cannot become an AccessToken yet, and nothing was changed: keep the RotatingAccessToken until"
    if previous is None:
        return f"{keep} `pulumi up --refresh` has revoked {strays}, which an `up` that was interrupted made"
    token, over = shown(previous.token_prefix), parse_time(previous.retires_at)
    since = f"{'ends' if now < over else 'ended'} at {to_the_second(over)}"
    used = f"; it was used since it was replaced: {_last_use(previous)}" if previous.was_used_since() else ""
    return (
        f"{keep} an `up` has retired token {token}, the one before the current one, whose overlap {since}{used}."
        ' With retire_previous="after_overlap" the first `up` after its overlap does so in any case'
    )


def held(outs: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The prefixes of the current token, unless it is gone, and of the previous one."""
    current = None if lifecycle.GONE in outs else outs.get("token_prefix")
    return current, outs.get("previous_token_prefix")


def find_conflict(outs: Mapping[str, Any]) -> str | None:
    """What to tell where rotations come faster than the overlap is long; None: they do not."""
    opening, made, overlap = lifecycle.opens(outs), outs.get("create_time"), outs.get("overlap_seconds") or 0
    if opening is None or made is None:
        return None
    between = round((opening - parse_time(made)).total_seconds())
    if between >= overlap:
        return None
    return (
        f"each rotation is going to revoke the previous token within its overlap: there are {between} seconds"
        f" between two, and overlap_seconds={overlap:.0f}; set a shorter window or overlap"
    )


def rotates_at(outs: Mapping[str, Any]) -> str | None:
    """When the window opens: the first `up` after that rotates; None: the token never expires."""
    opening = lifecycle.opens(outs)
    return written(opening) if opening else None


def notices(plan: Plan, olds: Mapping[str, Any], news: Mapping[str, Any], now: datetime) -> Iterator[Notice]:
    """What to tell of a plan, with the reason of all that it does; `olds` are the outputs that it was made from."""
    previous = Previous.of(olds)
    if plan.rotation is not None:
        yield from _of_rotation(plan.rotation, olds, news, now)
    elif is_taken_over(olds):
        yield "info", f"token {shown(olds['token_prefix'])} is taken over as the current one of a series: none is made"
    if previous is not None and (plan.retirement is not None or plan.lingers):
        yield _of_retirement(plan, previous, olds, now)
    if plan.rotation is None and (new := lifecycle.find_new_triggers(olds, news)):
        yield "info", new
    if new := lifecycle.find_new_triggers(olds, news, "revocation_triggers", "revokes"):
        yield "warning", new
    for stray in olds.get(STRAYS, ()):
        yield (
            "info",
            f"token {shown(stray)} is due to be revoked: an `up` that was interrupted made it, and nobody got it",
        )
    if (ended := olds.get(ENDED)) is not None:
        yield _of_end(ended["token_prefix"], ended["gone"])


def losses(olds: Mapping[str, Any]) -> Iterator[Notice]:
    """What to tell when a series is read: what is missing in the account, and what is too much."""
    if (gone := olds.get(lifecycle.GONE)) is not None:
        how = lifecycle.HOW[gone]
        yield "warning", f"token {shown(olds['token_prefix'])} {how}; the next `pulumi up` makes a new one"
    if (ended := olds.get(ENDED)) is not None:
        yield _of_end(ended["token_prefix"], ended["gone"])
    for stray in olds.get(STRAYS, ()):
        yield (
            "warning",
            (
                f"token {shown(stray)} was made by an `up` that was interrupted, and nobody got it; the next"
                " `pulumi up` revokes it"
            ),
        )


def _of_rotation(
    rotation: Rotation, olds: Mapping[str, Any], news: Mapping[str, Any], now: datetime
) -> Iterator[Notice]:
    token, overlap = shown(olds["token_prefix"]), timedelta(seconds=_overlap_seconds(olds, news))
    what = f"token {token} is due to rotate ({rotation.reason}): {rotation.why}"
    if lifecycle.GONE in olds:
        yield "info", what
    elif rotation.reason == "emergency":
        yield "info", f"{what}; it is revoked at once"
    else:
        expiry, over = lifecycle.expires(olds), now + overlap
        is_cut_short = expiry is not None and expiry < over
        until = f"until {to_the_second(over)}" if overlap else "until the next `pulumi up`"
        idle = "" if news.get("retire_previous") == "after_overlap" else ", and longer while it is in use"
        yield "info", what if is_cut_short else f"{what}; it then stays valid {until}{idle}"
        if is_cut_short:
            yield "warning", f"token {token} expires at {_cut(olds['expiry_time'])}, before its overlap is over"


def _of_retirement(plan: Plan, previous: Previous, olds: Mapping[str, Any], now: datetime) -> Notice:
    token, over = shown(previous.token_prefix), parse_time(previous.retires_at)
    if plan.lingers:
        return "warning", (
            f"token {token}, replaced at {_cut(previous.superseded_time)}, was used since: {_last_use(previous)}. Its"
            f" overlap ended at {to_the_second(over)}, but it stays valid {_until(previous, olds)}, unless"
            ' retire_previous is "after_overlap". If that consumer has not changed over, give it the new secret'
        )
    if plan.retirement == "emergency":
        return "info", f"token {token}, the one before it, is revoked at once too"
    is_early = plan.retirement == "displaced" and now < over
    why = "no more than two may be valid" if plan.retirement == "displaced" else "its time is over"
    when = f"{'would end' if is_early else 'ended'} at {to_the_second(over)}"
    used = f"was used since it was replaced: {_last_use(previous)}"
    if not previous.was_used_since():
        used = "was not used since it was replaced"
    what = f"token {token} is due to be revoked: {why} (its overlap {when}); it {used}"
    return ("warning" if is_early or previous.was_used_since() else "info"), what


def _until(previous: Previous, olds: Mapping[str, Any]) -> str:
    """How long a token lingers at most."""
    if previous.expiry_time is None:
        return "until the next rotation"
    expiry, rotates = parse_time(previous.expiry_time), olds.get("rotates_at")
    put_off = " (which every use puts off)" if olds.get("extend_when_used") else ""
    until = f"until it expires at {to_the_second(expiry)}{put_off}"
    if rotates is not None and parse_time(rotates) < expiry:
        return f"{until}, or until the next rotation, due at {_cut(rotates)}"
    return until


def _of_end(token_prefix: str, gone: lifecycle.Gone) -> Notice:
    how = lifecycle.HOW[gone] if gone == "expired" else "is revoked already, by hand or by an `up` that was interrupted"
    return "info", f"token {shown(token_prefix)}, the one before the current one, {how}"


def _last_use(previous: Previous) -> str:
    """When, from where and by what a token was last used, fit for a terminal."""
    return (
        f"last used at {_cut(previous.last_used_time)} from {_plain(previous.last_ip) or 'an unknown address'}"
        f" by {_plain(previous.last_user_agent) or 'an unknown program'}"
    )


def _plain(text: str | None) -> str:
    return printable(text or "")[:_LONGEST_SHOWN]


def _cut(time: str | None) -> str:
    return to_the_second(parse_time(time)) if time else "an unknown time"


def _rotation(olds: Mapping[str, Any], news: Mapping[str, Any], now: datetime) -> Rotation | None:
    changed = {
        name: lifecycle.changed_values(olds.get(name), news.get(name))
        for name in ("revocation_triggers", "rotation_triggers")
    }
    due = lifecycle.find_due(olds, news, now)
    settings = lifecycle.changed_settings(olds, news)
    if changed["revocation_triggers"] is not None:
        return Rotation("emergency", f"revocation_triggers changed ({_plain(changed['revocation_triggers'])})")
    if due and due.reason != "window":
        return Rotation(due.reason, due.why)
    if settings:
        return Rotation("settings", f"{', '.join(settings)} changed")
    if changed["rotation_triggers"] is not None:
        return Rotation("trigger", f"rotation_triggers changed ({_plain(changed['rotation_triggers'])})")
    return Rotation(due.reason, due.why) if due else None


def _retirement(
    olds: Mapping[str, Any], news: Mapping[str, Any], now: datetime, rotation: Rotation | None
) -> tuple[Literal["emergency", "displaced", "overlap", "idle"] | None, bool]:
    """Why the previous token is to be revoked, and whether only its use keeps it."""
    previous = Previous.of(olds)
    if previous is None:
        return None, False
    if rotation and rotation.reason == "emergency":
        return "emergency", False
    is_over = now >= previous.retires(_overlap_seconds(olds, news))
    if is_over and news.get("retire_previous") == "after_overlap":
        return "overlap", False
    if is_over and not previous.was_used_since():
        return "idle", False
    return ("displaced", False) if _displaces(rotation, olds) else (None, is_over)


def _displaces(rotation: Rotation | None, olds: Mapping[str, Any]) -> bool:
    """Whether a rotation needs the place of the previous token: the current one takes it, unless it is gone."""
    return rotation is not None and lifecycle.GONE not in olds


def _overlap_seconds(olds: Mapping[str, Any], news: Mapping[str, Any]) -> float:
    """The declared overlap; one that is not known yet is taken for the recorded one."""
    declared = news.get("overlap_seconds") or 0
    return declared if isinstance(declared, int | float) else olds.get("overlap_seconds") or 0
