"""How tokens and findings look at a terminal of any width, and in a pipe. The only importer of `rich`."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from pulumi_avn_token import inventory, listing, marks
from pulumi_avn_token.durations import roughly
from pulumi_avn_token.model import TokenInfo, User, parse_time, to_the_second
from pulumi_avn_token.terminal import one_line

if TYPE_CHECKING:
    from datetime import timedelta

_NEW_LINE = Text("\n")
_GAP = 2
_BAR_CELLS = 10
_UNLIMITED = 100_000
_INDENT = 4
_IN_USE = "*"


@dataclass(frozen=True)
class Column:
    """A column of the list of tokens."""

    title: str
    cell: Callable[[TokenInfo, datetime], Text]
    least: int | None = None
    """So many cells do where there is no more room; None: it is never cut."""


def console() -> Console:
    """The terminal, with colours where they belong.

    A pipe has room for lines of any length, unless COLUMNS is set.
    """
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns):
        width = int(columns)
    else:
        width = shutil.get_terminal_size().columns if _is_terminal() else _UNLIMITED
    return Console(
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
        width=width,
        height=25,  # without it a dumb terminal's width is not believed
    )


def print_tokens(tokens: Sequence[TokenInfo], now: datetime, *, wide: bool, sessions: bool) -> None:
    """Print a table of tokens; columns that there is no room for are named below it."""
    screen = console()
    by_others = list(map(marks.without_own_use, tokens))
    rows = {title: [column.cell(token, now) for token in by_others] for title, column in _COLUMNS.items()}
    is_shown = {"KIND": sessions, _IN_USE: any(token.currently_active for token in tokens)}
    rows = {title: cells for title, cells in rows.items() if is_shown.get(title, True)}
    natural = {title: max(cell_len(title), *(cell.cell_len for cell in cells)) for title, cells in rows.items()}
    room = _UNLIMITED if wide else screen.width
    widths = _fit(natural, room)
    gap, overflow = Text(" " * _GAP), _overflow()
    head = [Text(title, style="bold") for title in widths]
    for cells in (head, *zip(*(rows[title] for title in widths), strict=True)):
        for cell, width in zip(cells, widths.values(), strict=True):
            cell.truncate(width, overflow=overflow, pad=True)
        row = gap.join(cells)
        row.rstrip()
        screen.print(row)
    notes = [f"{_IN_USE} the token in use now"] if is_shown[_IN_USE] else []
    if left_out := [title for title in rows if title not in widths]:
        notes.append(f"--wide shows {', '.join(left_out)} too")
    if notes and _is_terminal():
        for line in textwrap.wrap("; ".join(notes), screen.width, break_long_words=False):
            screen.print(Text(line, style="dim"))


def _is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def _encoded(text: str) -> str:
    """The text on one line, in characters that the output has: others would make it longer when they are written."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return one_line(text).encode(encoding, "backslashreplace").decode(encoding)


def _overflow() -> Literal["ellipsis", "crop"]:
    return "ellipsis" if _encoded("…") == "…" else "crop"


def print_findings(
    entries: Sequence[inventory.Entry], user: User, others: Sequence[str], *, ignored: int, everything: bool
) -> None:
    """Print what an audit of a user's account found: failures, then warnings, each with its advice, and the sum.

    others: the users whose tokens were not compared. ignored: so many are not among the entries, though there are.
    everything: what is in order is shown too.
    """
    screen = console()
    for entry, finding in _in_order(entries):
        style = "bold red" if finding.is_failure else "yellow"
        lines = (*_wrapped(finding.what, screen.width), *_wrapped(finding.advice, screen.width))
        screen.print(_NEW_LINE.join([_heading(finding.kind, style, entry, screen.width), *map(Text, lines)]))
    for entry in entries if everything else ():
        if not entry.findings:
            holders = ", ".join(f"{holding.name} of {holding.stack}" for holding in entry.holdings)
            lines = tuple(_wrapped(holders, screen.width))
            screen.print(_NEW_LINE.join([_heading("managed", "green", entry, screen.width), *map(Text, lines)]))
    screen.print(Text(_summary(entries, user.user, ignored)))
    if others:
        screen.print(Text(f"Not compared, since another user made them: tokens of {', '.join(others)}."))


def _summary(entries: Sequence[inventory.Entry], user: str, ignored: int) -> str:
    counts = Counter(entry.status for entry in entries)
    warnings = sum(not finding.is_failure for entry in entries for finding in entry.findings)
    told = [f"{counts[status]} {status}" for status in ("managed", *inventory.FAILURES) if counts[status]]
    told += [f"{warnings} warning{'' if warnings == 1 else 's'}"] if warnings else []
    told += [f"{ignored} ignored"] if ignored else []
    return f"{one_line(user)}: {', '.join(told) or 'no tokens, here or there'}."


def _in_order(entries: Sequence[inventory.Entry]) -> list[tuple[inventory.Entry, inventory.Finding]]:
    order = list(inventory.KINDS)
    found = [(entry, finding) for entry in entries for finding in entry.findings]
    return sorted(found, key=lambda pair: order.index(pair[1].kind))


def _heading(kind: str, style: str, entry: inventory.Entry, width: int) -> Text:
    line = Text.assemble((f"{kind:<13}", style), f" {_encoded(entry.token_prefix)}  {_encoded(entry.description)}")
    line.truncate(width, overflow=_overflow())
    return line


def _wrapped(text: str, width: int) -> Iterator[str]:
    """The text in indented lines that fit, where a command in backticks stays whole, to be copied."""
    line = ""
    for word in re.findall(r"[^\s`]*`[^`]*`[^\s`]*|\S+", _encoded(text)):
        if line and _INDENT + cell_len(line) + 1 + cell_len(word) > width:
            yield " " * _INDENT + line
            line = ""
        line = f"{line} {word}" if line else word
    if line:
        yield " " * _INDENT + line


def _fit(natural: dict[str, int], room: int) -> dict[str, int]:
    """The columns that there is room for, the most telling first, and how wide each is, in their order."""
    widths: dict[str, int] = {}
    for title in _BY_WORTH:
        if title in natural:
            least = min(natural[title], _COLUMNS[title].least or natural[title])
            if sum(widths.values()) + least + _GAP * len(widths) <= room or not widths:
                widths[title] = least
            else:
                break
    spare = room - sum(widths.values()) - _GAP * (len(widths) - 1)
    for title in (title for title in widths if _COLUMNS[title].least):
        more = min(spare, natural[title] - widths[title])
        widths[title] += max(0, more)
        spare -= max(0, more)
    return {title: widths[title] for title in natural if title in widths}


def _bar(token: TokenInfo, now: datetime) -> Text:
    left, share = listing.time_left(token, now), listing.life_left(token, now)
    if left is None:
        return Text("no end", style="dim")
    words = roughly(left.total_seconds())
    if share is None:
        return Text(words)
    full, empty = ("█", "░") if _encoded("█░") == "█░" else ("#", ".")
    cells = round(share * _BAR_CELLS)
    style = "red" if share <= 1 / 10 else "yellow" if share <= 1 / 4 else "green"
    return Text.assemble((full * cells + empty * (_BAR_CELLS - cells), style), f" {words}")


def _ago(span: timedelta | None) -> str:
    return "never" if span is None else f"{roughly(span.total_seconds())} ago"


def _plain(value: object) -> Text:
    return (
        Text("-", style="dim")
        if value is None
        else Text(_encoded(str(value).lower() if isinstance(value, bool) else str(value)))
    )


def _time(value: str | None) -> Text:
    return Text(to_the_second(parse_time(value))) if value else Text("never", style="dim")


_COLUMNS = {
    column.title: column
    for column in (
        Column(_IN_USE, lambda token, _: Text(_IN_USE if token.currently_active else "", style="bold")),
        Column("EXPIRY_TIME", lambda token, _: _time(token.expiry_time)),
        Column("TOKEN_PREFIX", lambda token, _: _plain(token.token_prefix)),
        Column("DESCRIPTION", lambda token, _: _plain(token.description), least=18),
        Column("LIFE_LEFT", _bar),
        Column("MAX_AGE_SECONDS", lambda token, _: _plain(token.max_age_seconds)),
        Column("EXTEND_WHEN_USED", lambda token, _: _plain(token.extend_when_used)),
        Column("LAST_USED_TIME", lambda token, _: _time(token.last_used_time)),
        Column("LAST_USED", lambda token, now: Text(_ago(listing.since(token.last_used_time, now)))),
        Column("LAST_IP", lambda token, _: _plain(token.last_ip)),
        Column("LAST_USER_AGENT", lambda token, _: _plain(token.last_user_agent), least=15),
        Column("KIND", lambda token, _: Text("session" if token.is_session else "token")),
    )
}
_BY_WORTH = (
    "TOKEN_PREFIX", _IN_USE, "DESCRIPTION", "LIFE_LEFT", "LAST_USED", "LAST_USER_AGENT", "KIND",
    "EXPIRY_TIME", "LAST_IP", "LAST_USED_TIME", "MAX_AGE_SECONDS", "EXTEND_WHEN_USED",
)  # fmt: skip
