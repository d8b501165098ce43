"""What is in the account -> a manifest that adopts it as it is. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from pulumi_avn_token import marks, schema
from pulumi_avn_token.arguments import find_faults
from pulumi_avn_token.durations import exactly
from pulumi_avn_token.model import DEFAULT_MAX_AGE_SECONDS, LONGEST_PREFIX, TokenInfo, shown
from pulumi_avn_token.terminal import is_whole, one_line

if TYPE_CHECKING:
    from pulumi_avn_token.holdings import Holding

_HEADER = f"""\
{schema.COMMENT}
# (that file is what `pulumi-avn-token manifest schema` prints)
# If you have a manifest, add these to it under names of their own, and do not
# replace it: what a manifest no longer declares is revoked.
"""
_LONGEST_NAME = 50


class Written(NamedTuple):
    """A manifest, and what it does not hold."""

    text: str
    left_out: Sequence[tuple[TokenInfo, str]]
    """Tokens that cannot be declared as they are, and why."""
    adopted: int
    """How many tokens it adopts."""


def write(tokens: Iterable[TokenInfo], holdings: Iterable[Holding] = (), *, trusted: Collection[str] = ()) -> Written:
    """Write a manifest that adopts tokens: applied, it changes nothing in the account but takes marks away.

    Each has its settings beside its description, so that a new one in its place is made like it.

    holdings: what stacks have is left out, and the names of their resources are not given again: under one of them, a
    token would take another's place, which would be revoked.
    trusted: prefixes of tokens to adopt though a series has made them, and nobody has used them since.
    """
    entries: list[str] = []
    left_out: list[tuple[TokenInfo, str]] = []
    holdings = list(holdings)
    held = {holding.token_prefix for holding in holdings if holding.is_managed}
    taken = {holding.name: 1 for holding in holdings}
    for token in tokens:
        if token.token_prefix in held:
            continue
        arguments = _arguments(token)
        faults = [*_faults(arguments), *_doubts(token, is_trusted=token.token_prefix in trusted)]
        if faults:
            left_out.append((token, faults[0]))
            continue
        entries.append(_entry(_free(_slug(token), taken), token, arguments))
    body = "tokens:\n" + "".join(entries) if entries else "tokens: {}\n"
    return Written(_HEADER + body, left_out, len(entries))


def _arguments(token: TokenInfo) -> dict[str, Any]:
    settings = {
        "max_age_seconds": token.max_age_seconds,
        "extend_when_used": token.extend_when_used or None,
        "ip_allowlist": list(token.ip_allowlist or ()) or None,
        "scopes": list(token.scopes or ()) or None,
    }
    given = {name: value for name, value in settings.items() if value is not None}
    return {"description": marks.unmarked(token.description), **given, "adopt_prefix": token.token_prefix}


def _faults(arguments: dict[str, Any]) -> list[str]:
    faults = [f"its {name} {reason}" for name, reason in find_faults(arguments)]
    if len(arguments["adopt_prefix"]) > LONGEST_PREFIX:
        faults.append("its prefix is longer than any")
    faults += [
        f"its {name} holds half a character"
        for name, value in arguments.items()
        if not all(map(is_whole, _texts(value)))
    ]
    return faults


def _texts(value: Any) -> Sequence[str]:
    return value if isinstance(value, list) else [str(value)]


def _doubts(token: TokenInfo, *, is_trusted: bool) -> Iterator[str]:
    if marks.is_half_made(token):
        yield "an `up` that was interrupted made it, and nobody has used it: see `pulumi-avn-token audit`"
    elif marks.find_mark(token) is not None and not is_trusted:
        yield "an `up` made it, and its stack may hold it and revoke it one day; if none does, name it by --prefix"


def _entry(name: str, token: TokenInfo, arguments: dict[str, Any]) -> str:
    entry: dict[str, Any] = {}
    for argument, value in arguments.items():
        if argument == "max_age_seconds":
            entry["max_age"] = exactly(value)
        else:
            entry[argument] = value
    lines = yaml.dump(
        {name: entry},
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=all(_is_plain(text) for value in arguments.values() for text in _texts(value)),
        width=float("inf"),
        default_flow_style=False,
    )
    notes = []
    if token.expiry_time is None and token.max_age_seconds is None:
        notes.append(
            f"never expires; one in its place would live {exactly(DEFAULT_MAX_AGE_SECONDS)}, or a max_age given here"
        )
    if arguments["description"] != token.description:
        notes.append("its description loses the mark under which an `up` made it")
    if token.currently_active:
        notes.append("the token that asked for this list: it is not revoked while it is in use")
    return "".join(f"  # {note}\n" for note in notes) + "".join(f"  {line}\n" for line in lines.splitlines())


def _is_plain(text: str) -> bool:
    """Whether a text can be seen as it is; YAML's own escapes leave characters that hide or turn round what follows."""
    return text == one_line(text)


_LIKE_A_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|0o[0-7]+")
"""YAML 1.2, by which editors read, has numbers that 1.1 has not: `1e3`, or `12e456789012`, which may be a prefix."""


class _Dumper(yaml.SafeDumper):
    """Writes each text on one line."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    is_safe = _is_plain(text) and not _LIKE_A_NUMBER.fullmatch(text)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_safe else '"')


_Dumper.add_representer(str, _represent_text)


def _slug(token: TokenInfo) -> str:
    """A name for a resource after what the token is for; it begins with a letter."""
    plain = unicodedata.normalize("NFKD", token.description).encode("ascii", "ignore").decode()
    slug = _dashed(plain)[:_LONGEST_NAME].rstrip("-")
    if not slug:
        return f"token-{_dashed(shown(token.token_prefix))}".rstrip("-")
    is_plain = slug[:1].isalpha() and yaml.safe_load(slug) == slug  # `null` and `on` are not
    return slug if is_plain else f"token-{slug}"


def _dashed(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _free(name: str, taken: dict[str, int]) -> str:
    """The name, or with a number the first that nobody has; `taken` counts how often each was asked for."""
    free = name
    while free in taken:
        taken[name] += 1
        free = f"{name}-{taken[name]}"
    taken[free] = 1
    return free
