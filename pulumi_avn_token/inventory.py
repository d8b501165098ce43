"""What the account holds against what stacks manage: what each token is, what is wrong with it, and what to do.

Pure: the clock is an argument.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from pulumi_avn_token import lifecycle, listing, marks
from pulumi_avn_token.durations import roughly
from pulumi_avn_token.errors import WrongAccountError
from pulumi_avn_token.model import TokenInfo, User, to_the_second
from pulumi_avn_token.terminal import one_line

if TYPE_CHECKING:
    from pulumi_avn_token.holdings import Holding, Role

Kind = Literal[
    "unmanaged", "undelivered", "orphan", "gone", "held-twice", "expiring", "never-used", "never-expires", "new-use"
]

KINDS: Mapping[Kind, str] = {
    "unmanaged": "no stack holds it",
    "undelivered": "an `up` made it, and no state that is given holds it; nobody has used it",
    "orphan": "as undelivered, but suspected only",
    "gone": "a stack holds it, and the account does not",
    "held-twice": "two resources hold it: if one goes, so does the token",
    "expiring": "it expires soon, and nothing rotates it before",
    "never-used": "nobody has used it yet",
    "never-expires": "it lives for ever",
    "new-use": "used from another address, or by another program, than the state records",
}
"""What can be found, the worst first, and what it means."""

FAILURES: Sequence[Kind] = ("unmanaged", "undelivered", "orphan", "gone")
"""What an audit does not pass with; the rest are warnings."""

_MANAGING: Sequence[Role] = ("current", "previous", "leaving")
"""The roles of a holding that has the token; the resource that goes on with it first."""

_LEFT_BEHIND: Sequence[Kind] = ("undelivered", "orphan")
"""There is nothing more to say of these: they are to go."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that a person should look at, with the advice what to do."""

    kind: Kind
    what: str
    advice: str

    @property
    def is_failure(self) -> bool:
        """Whether an audit does not pass with it."""
        return self.kind in FAILURES


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A token of the account, or one that only stacks remember."""

    token_prefix: str
    description: str
    token: TokenInfo | None
    """As the account shows it; None: it does not."""
    holdings: Sequence[Holding]
    findings: Sequence[Finding]

    @property
    def status(self) -> str:
        """One of the `FAILURES`, or `managed`."""
        return next((finding.kind for finding in self.findings if finding.is_failure), "managed")


def told(entry: Entry) -> dict[str, Any]:
    """An entry for programs."""
    shown = ("expiry_time", "last_used_time", "last_ip", "last_user_agent")
    return {
        "token_prefix": entry.token_prefix,
        "description": entry.description,
        "status": entry.status,
        **{name: getattr(entry.token, name, None) for name in shown},
        "held_by": [{"stack": holding.stack, "urn": holding.urn, "role": holding.role} for holding in entry.holdings],
        "findings": [{**asdict(finding), "is_failure": finding.is_failure} for finding in entry.findings],
    }


def steady(before: Iterable[TokenInfo], after: Iterable[TokenInfo], holdings: Iterable[Holding]) -> list[TokenInfo]:
    """Of the account as it was before and after the states were read: what can be judged by them.

    A token that came or went meanwhile is there if a stack holds it, and passed over if none does: the `up` that made
    or revoked it had not yet recorded that, or no longer did.
    """
    was, is_ = ({token.token_prefix: token for token in tokens} for tokens in (before, after))
    known = {holding.token_prefix for holding in holdings} | (was.keys() & is_.keys())
    return [token for token_prefix, token in (was | is_).items() if token_prefix in known]


def of_user(
    holdings: Iterable[Holding],
    user: User,
    tokens: Iterable[TokenInfo],
    makers: Container[str] = (),
) -> tuple[list[Holding], list[str], list[TokenInfo]]:
    """Those holdings whose tokens are in a user's account, whose the others are, and what can be judged by the first.

    It is not recorded whose a token is that is only read: where there are others' tokens, or several credentials, it is
    the user's if it is among these.

    Where there are only others, that is what one of these stacks left behind in this account, as the tags of their
    marks tell (`makers`). WrongAccountError: there is nothing like it.
    """
    own: list[Holding] = []
    unclear: list[Holding] = []
    foreign: list[Holding] = []
    for holding in holdings:
        made_as = holding.made_as
        (unclear if made_as is None else own if made_as.is_same_as(user) else foreign).append(holding)
    judged = list(tokens)
    listed = {token.token_prefix for token in judged}
    is_one_account = not foreign and not any(lifecycle.CREDENTIALS in holding.outs for holding in (*own, *unclear))
    own += [holding for holding in unclear if is_one_account or holding.token_prefix in listed]
    others = sorted({one_line(holding.made_as.user) for holding in foreign if holding.made_as})
    if others and not own:
        judged = [token for token in judged if marks.tag_in(marks.find_mark(token) or "") in makers]
        if not judged:
            raise WrongAccountError(
                f"all tokens of these stacks belong to {', '.join(others)}, but the credential to {user.user}, who"
                " cannot see them: use a credential of theirs"
            )
    return own, others, judged


def is_ignored(entry: Entry, ignored: Iterable[str]) -> bool:
    """Whether a token is to be left out: by its prefix, or by its description, whole or as a shell pattern."""
    return any(text == entry.token_prefix or listing.is_called(entry.description, text) for text in ignored)


def audit(
    tokens: Iterable[TokenInfo],
    holdings: Iterable[Holding],
    now: datetime,
    horizon: timedelta,
    makers: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Entry]:
    """Compare the account with what stacks hold of it; what expires within the horizon is told.

    makers: the stacks, by the tag of the marks that they make: what they left behind is known by it.

    Login sessions are nobody's to manage, and are passed over.
    """
    holders: dict[str, list[Holding]] = defaultdict(list)
    holdings = list(holdings)
    for holding in holdings:
        told_before = ((other.urn, other.role) for other in holders[holding.token_prefix])
        if (holding.urn, holding.role) not in told_before:  # a stack may be named twice
            holders[holding.token_prefix].append(holding)
    known = _Known.of(holdings, makers)
    for token in tokens:
        held = holders.pop(token.token_prefix, [])
        if token.is_session and not held:
            continue
        findings = list(_standing(token, held, known, now))
        if not any(finding.kind in _LEFT_BEHIND for finding in findings):
            findings += _warnings(token, held, now, horizon)
        yield _entry(token.token_prefix, token, held, findings)
    for token_prefix, held in holders.items():
        missing = [finding for holding in held for finding in _missing(holding, now)]
        if missing:
            yield _entry(token_prefix, None, held, missing)


def _entry(token_prefix: str, token: TokenInfo | None, held: Sequence[Holding], findings: Sequence[Finding]) -> Entry:
    recorded = (holding.outs.get("description") for holding in held)
    description = token.description if token else next(filter(None, recorded), "")
    return Entry(
        token_prefix=token_prefix,
        description=description,
        token=token,
        holdings=tuple(held),
        findings=tuple(findings),
    )


@dataclass(frozen=True)
class _Known:
    """What stacks know beside the tokens that they hold: by it, what one of them left behind is recognised."""

    series: Mapping[str, Holding]
    """By its mark."""
    descriptions: Mapping[str, Holding]
    makers: Mapping[str, str]

    @classmethod
    def of(cls, holdings: Iterable[Holding], makers: Mapping[str, str]) -> _Known:
        series: dict[str, Holding] = {}
        descriptions: dict[str, Holding] = {}
        for holding in holdings:
            if holding.mark is not None:
                series.setdefault(holding.mark, holding)
            if holding.is_managed and isinstance(described := holding.outs.get("description"), str):
                descriptions.setdefault(described, holding)
        return cls(series, descriptions, makers)


def _standing(token: TokenInfo, held: Sequence[Holding], known: _Known, now: datetime) -> Iterator[Finding]:
    """Whether a stack holds a token of the account, and if none does, why it may be there."""
    managing = [holding for holding in held if holding.role in _MANAGING]
    stray = next((holding for holding in held if holding.role == "stray"), None)
    if managing:
        yield from _shared(managing)
        return
    reader = next((holding for holding in held if holding.role == "read"), None)
    reads = f"{_words(reader)} reads it, but " if reader else ""
    if (left_behind := _left_behind(token, stray, known, now)) is not None:
        yield replace(left_behind, what=f"{reads}{left_behind.what}")
    else:
        what = f"{reads}no stack holds it; {_use(token, now)}"
        yield Finding(kind="unmanaged", what=what, advice=_adopt_or_revoke(token, is_read=reader is not None))


def _left_behind(token: TokenInfo, stray: Holding | None, known: _Known, now: datetime) -> Finding | None:
    """Whether a token that no stack holds was left behind by one, certainly or perhaps."""
    revoke, mark = _revoke(token), marks.find_mark(token)
    maker = stray or known.series.get(mark or "")
    if maker is not None:
        what = f"{_words(maker)} made it in an `up` that was interrupted, and nobody got its secret"
        advice = f"run `pulumi up --refresh` of {maker.stack}: unless its newest state holds it, that revokes it"
        return Finding(kind="undelivered", what=what, advice=advice)
    stack = known.makers.get(marks.tag_in(mark or ""))
    if marks.is_half_made(token):
        what = f"an `up` {f'of {stack} ' if stack else ''}that was interrupted made it, and nobody has used it"
        advice = f"unless an `up` is running right now, or another state holds it, {revoke}"
        return Finding(kind="undelivered", what=what, advice=advice)
    if stack is not None:
        what = f"an `up` of {stack} that was interrupted made it, and nobody has used it since"
        advice = f"unless a newer state of {stack}, or any other stack, holds it, {revoke}"
        return Finding(kind="undelivered", what=what, advice=advice)
    if mark is not None:
        what = "an `up` of a stack that is not given here made it, and nobody has used it since"
        return Finding(kind="orphan", what=what, advice=f"if no other stack, and no newer export, holds it, {revoke}")
    if (twin := known.descriptions.get(token.description)) is not None and not token.currently_active:
        what = f"no stack holds it, but {_words(twin)} has the same description; {_use(token, now)}"
        advice = f"perhaps an `up` was interrupted, or the export is old; if {twin.stack} does not hold it, {revoke}"
        if not _is_never_used(token):
            advice = f"{_adopt(token)}; or, if nobody needs it and {twin.stack} does not hold it, {revoke}"
        return Finding(kind="orphan", what=what, advice=advice)
    return None


def _adopt_or_revoke(token: TokenInfo, *, is_read: bool) -> str:
    if token.currently_active:
        return f"it is the one that asks here; {_adopt(token)}; or {_leave_out(token.token_prefix)}"
    return f"{_adopt(token)}; or {_leave_out(token.token_prefix) if is_read else _revoke(token)}"


def _adopt(token: TokenInfo) -> str:
    command = f"`pulumi-avn-token manifest from-account --prefix {token.token_prefix}`"
    return f"adopt it: add to your manifest what {command} prints"


def _leave_out(token_prefix: str) -> str:
    return f"leave it out: `--ignore {token_prefix}`"


def _revoke(token: TokenInfo) -> str:
    return f"revoke it: `avn user access-token revoke {token.token_prefix}`"


def _shared(managing: Sequence[Holding]) -> Iterator[Finding]:
    holders = sorted({holding.urn: _words(holding) for holding in managing if holding.role != "leaving"}.values())
    if len(holders) > 1:
        advice = "let one of them go: give it the option retain_on_delete, run `pulumi up`, and then remove it"
        yield Finding(kind="held-twice", what=f"{' and '.join(holders)} hold it", advice=advice)


def _warnings(token: TokenInfo, held: Sequence[Holding], now: datetime, horizon: timedelta) -> Iterator[Finding]:
    holding = next((holding for role in _MANAGING for holding in held if holding.role == role), None)
    if holding is None or holding.role == "current":
        yield from _of_expiry(token, holding, now, horizon)
    if holding is None:
        return
    if holding.role == "current" and _is_never_used(token):
        age = listing.since(token.create_time, now)
        made = f"made {roughly(age.total_seconds())} ago, and " if age is not None else ""
        advice = f"find out who was to use it; if nobody, take {holding.name} out of the program"
        yield Finding(kind="never-used", what=f"{made}never used", advice=advice)
    if new := _new_use(token, holding):
        refresh = f"`pulumi up --refresh` of {holding.stack}"
        triggers = f"{'revocation' if holding.is_series else 'rotation'}_triggers"
        rotate = f"change a value of the {triggers} of {holding.name}, and run it"
        if triggers not in holding.outs:  # to introduce them would change nothing
            rotate = f"{_revoke(token)}, and it makes another"
        advice = f"if that is yours, {refresh} records it; if not, {rotate}"
        yield Finding(kind="new-use", what=new, advice=advice)


def _of_expiry(token: TokenInfo, holding: Holding | None, now: datetime, horizon: timedelta) -> Iterator[Finding]:
    left = listing.time_left(token, now)
    if left is None:
        yield Finding(
            kind="never-expires",
            what="it lives for ever",
            advice="set max_age_seconds, which makes a new one in its place"
            if holding
            else "adopt it, and then set max_age_seconds, which makes a new one; or make another that ends",
        )
    elif left <= horizon:
        yield from _of_end(token, holding, now, left)


def _of_end(token: TokenInfo, holding: Holding | None, now: datetime, left: timedelta) -> Iterator[Finding]:
    ends = f"expires in {roughly(left.total_seconds())} ({to_the_second(now + left)})"
    if holding is None:
        advice = "adopt it, and give it early_rotation_window_seconds; or make another in time"
        yield Finding(kind="expiring", what=f"{ends}, and no stack rotates it", advice=advice)
        return
    outs = {**holding.outs, "expiry_time": token.expiry_time}
    opening = lifecycle.opens(outs)
    if opening is None:
        advice = f"set early_rotation_window_seconds of {holding.name}, which counts from the second `pulumi up` on"
        if "rotation_triggers" in holding.outs:
            advice += "; or change a value of its rotation_triggers"
        yield Finding(kind="expiring", what=f"{ends}, and nothing rotates it", advice=advice)
    elif opening <= now:
        what = f"{ends}: it is due to rotate, and no `pulumi up` has done it"
        advice = f"run `pulumi up` of {holding.stack}, and see whether its schedule still works"
        yield Finding(kind="expiring", what=what, advice=advice)


def _missing(holding: Holding, now: datetime) -> Iterator[Finding]:
    how = lifecycle.why_missing(holding.outs, now)
    if holding.role in ("leaving", "stray") or (holding.role == "previous" and how == "expired"):
        return  # it was to go
    what = f"it {lifecycle.HOW[how]}, and {_words(holding)} still holds it"
    advice = f"run `pulumi up --refresh` of {holding.stack}: it makes a new one"
    if holding.role == "previous":
        advice = f"run `pulumi up --refresh` of {holding.stack}: it forgets it; who still uses it is cut off already"
    if holding.role == "read":
        what = f"it {lifecycle.HOW[how]}, or is another user's, and {_words(holding)} still reads it"
        leave_out = _leave_out(holding.token_prefix)
        advice = f"take the AccessToken.get of {holding.name} out of the program; or, if it is another's, {leave_out}"
    yield Finding(kind="gone", what=what, advice=advice)


def _new_use(token: TokenInfo, holding: Holding) -> str | None:
    """What is new about a token's last use, against what the state records of the one before; None: nothing."""
    then, now = holding.outs.get("last_ip"), token.last_ip
    address = now if then and now and then != now else None
    before, since = holding.outs.get("last_user_agent"), token.last_user_agent
    program = since if before and since and _product(before) != _product(since) else None
    if marks.find_mark(token) is not None or not (address or program):
        return None
    new = " by ".join(filter(None, (address and f"from {_plain(address)}", program and _plain(program))))
    if address is None:
        new = f"by {new}"
    return f"used {new}; the state records {_plain(then) or 'no address'} and {_plain(before) or 'no program'}"


def _product(user_agent: str) -> str:
    """What a program calls itself, without its version."""
    return re.split(r"[/ ]", user_agent, maxsplit=1)[0]


def _is_never_used(token: TokenInfo) -> bool:
    return marks.without_own_use(token).last_used_time is None


def _use(token: TokenInfo, now: datetime) -> str:
    """When and by what a token was last used."""
    idle = listing.since(token.last_used_time, now)
    if idle is None:
        return "never used"
    return (
        f"last used {roughly(idle.total_seconds())} ago from {_plain(token.last_ip) or 'an unknown address'} by"
        f" {_plain(token.last_user_agent) or 'an unknown program'}"
    )


def _words(holding: Holding) -> str:
    return f"{holding.name} of {holding.stack}"


def _plain(text: str | None) -> str:
    """A text of somebody else's: without backticks, in which the advice puts its commands."""
    return one_line(text or "").replace("`", "'")[:80]
