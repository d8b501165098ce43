"""What is wrong with a resource's arguments: every fault at once, before anything happens."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from pulumi_avn_token import marks
from pulumi_avn_token.model import DEFAULT_MAX_AGE_SECONDS, LONGEST_PREFIX, MAX_DESCRIPTION_LENGTH

MAX_AGE_SECONDS = 315_360_000
RANGES: Mapping[str, tuple[int, int]] = {
    "max_age_seconds": (600, MAX_AGE_SECONDS),
    "early_rotation_window_seconds": (1, MAX_AGE_SECONDS - 1),
    "overlap_seconds": (0, MAX_AGE_SECONDS - 1),
}
"""The least and the most of each number of seconds."""
NAME_OF_CREDENTIALS = r"[A-Z_][A-Z0-9_]*|[A-Za-z0-9_.-]+:[A-Za-z][A-Za-z.-]*"
"""An environment variable in capitals, or a stack setting with its namespace: hardly a secret is like either."""
RETIREMENTS = ("when_idle", "after_overlap")
MAX_LIST_LENGTH = 100
FIRST_INEXACT_NUMBER = 2**53

Fault = tuple[str, str]
"""The name of an argument, and what is wrong with it. Never what a text says: it may be a secret."""


def find_faults(arguments: Mapping[str, Any], unknown: Collection[str] = ()) -> list[Fault]:
    """All that is wrong with the arguments of an `AccessToken`.

    `arguments` holds those that are given and known; `unknown` names those that are given but not known before other
    resources are made. What is unknown passes until it is known.
    """
    faults, sound, unsure = _faults_of_each(_CHECKS, ("description",), arguments, unknown)
    return [*faults, *_window_faults(sound, unsure), *_adoption_faults(sound, unsure)]


def find_faults_of_series(arguments: Mapping[str, Any], unknown: Collection[str] = ()) -> list[Fault]:
    """All that is wrong with the arguments of a `RotatingAccessToken`, given as to `find_faults`."""
    required = ("description", "max_age_seconds", "early_rotation_window_seconds")
    faults, sound, unsure = _faults_of_each(_CHECKS_OF_SERIES, required, arguments, unknown)
    return [*faults, *_window_faults(sound, unsure), *_overlap_faults(sound)]


def find_faults_of_credentials(value: Any) -> Iterator[str]:
    """What is wrong with the argument `credentials`."""
    yield from _text()(value)
    if isinstance(value, str) and value and not re.fullmatch(NAME_OF_CREDENTIALS, value):
        yield (
            "must be the name of an environment variable, such as AIVEN_TOKEN_STAGING, or of a stack setting, such as"
            " staging:apiToken, and never the secret"
        )


def _faults_of_each(
    checks: Mapping[str, Callable[[Any], Iterator[str]]],
    required: Collection[str],
    arguments: Mapping[str, Any],
    unknown: Collection[str],
) -> tuple[list[Fault], dict[str, Any], set[str]]:
    """The faults of each argument by itself, those arguments that are given and sound, and the names of what is not."""
    faults = [(name, "is missing") for name in required if arguments.get(name) is None and name not in unknown]
    for name, faults_of in checks.items():
        if arguments.get(name) is not None:
            faults += [(name, fault) for fault in faults_of(arguments[name])]
    wrong = {name for name, _ in faults}
    sound = {name: value for name, value in arguments.items() if value is not None and name not in wrong}
    return faults, sound, {*unknown, *wrong}


def _overlap_faults(arguments: Mapping[str, Any]) -> Iterator[Fault]:
    overlap, window = arguments.get("overlap_seconds"), arguments.get("early_rotation_window_seconds")
    if overlap is not None and window is not None and overlap > window:
        yield "overlap_seconds", f"must be at most early_rotation_window_seconds ({window:.0f}), not {overlap:.0f}"


def _window_faults(arguments: Mapping[str, Any], unknown: Collection[str]) -> Iterator[Fault]:
    name, window = "early_rotation_window_seconds", arguments.get("early_rotation_window_seconds")
    age = arguments.get("max_age_seconds")
    if window is None or "max_age_seconds" in unknown:
        return
    if age is not None and window >= age:
        yield name, f"must be less than max_age_seconds ({age:.0f}), not {window:.0f}"
    elif age is None and window >= DEFAULT_MAX_AGE_SECONDS and "adopt_prefix" not in {*arguments, *unknown}:
        yield name, f"must be less than the age, by default {DEFAULT_MAX_AGE_SECONDS} (30 days), not {window:.0f}"


def _adoption_faults(arguments: Mapping[str, Any], unknown: Collection[str]) -> Iterator[Fault]:
    adopted, secret = arguments.get("adopt_prefix"), arguments.get("full_token")
    if secret is None or "adopt_prefix" in unknown:
        return
    if adopted is None:
        yield "full_token", "is the secret of the token to adopt: it needs adopt_prefix beside it"
    elif not secret.startswith(adopted) or (len(adopted) > LONGEST_PREFIX and secret != adopted):
        yield "full_token", "is not the secret of the token to adopt: it does not begin with adopt_prefix"


def _one_of(*values: str) -> Callable[[Any], Iterator[str]]:
    def faults_of(value: Any) -> Iterator[str]:
        if value not in values:
            yield f"must be one of {', '.join(values)}"

    return faults_of


def _text(longest: int | None = None) -> Callable[[Any], Iterator[str]]:
    def faults_of(value: Any) -> Iterator[str]:
        if not isinstance(value, str):
            yield f"must be a string, not {_kind(value)}"
        elif not value:
            yield "must not be empty"
        elif longest and len(value) > longest:
            yield f"must have at most {longest} characters, not {len(value)}"

    return faults_of


def _description(value: Any) -> Iterator[str]:
    yield from _text(MAX_DESCRIPTION_LENGTH)(value)
    if isinstance(value, str) and value != marks.unmarked(value):
        yield "must not begin with the mark by which a token is found that an `up` made and did not record"


def _seconds(least: int, most: int) -> Callable[[Any], Iterator[str]]:
    def faults_of(value: Any) -> Iterator[str]:
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield f"must be a number of seconds, not {_kind(value)}"
        elif not least <= value <= most or value != int(value):
            written = value if isinstance(value, int) else f"{value:.15g}"
            yield f"must be a whole number of seconds from {least} to {most}, not {written}"

    return faults_of


def _flag(value: Any) -> Iterator[str]:
    if not isinstance(value, bool):
        yield f"must be true or false, not {_kind(value)}"


def _networks(value: Any) -> Iterator[str]:
    yield from _strings(value)
    for index, item in enumerate(value if isinstance(value, list) else ()):
        if isinstance(item, str):
            try:
                ipaddress.ip_network(item, strict=False)
            except ValueError:
                yield f"must hold addresses and networks such as 192.0.2.0/24; number {index + 1} is none"


def _strings(value: Any) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"must be a list, not {_kind(value)}"
        return
    if len(value) > MAX_LIST_LENGTH:
        yield f"must hold at most {MAX_LIST_LENGTH} items, not {len(value)}"
    if not all(isinstance(item, str) and item for item in value):
        yield "must hold strings that are not empty"


def _triggers(value: Any) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"must be a mapping, not {_kind(value)}"
        return
    for key, item in value.items():
        if not _is_plain(item):
            yield f"must hold plain values; {key} is {_kind(item)}: use a hash or a version of it"
        elif not _is_exact(item):
            yield f"must hold exact values; {key} has more than fifteen digits: give it as a string"


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | bool | int | float)


def _is_exact(value: Any) -> bool:
    """Whether all numbers in a plain value are told from each other: they travel as floating-point numbers."""
    if isinstance(value, dict | list):
        return all(map(_is_exact, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, int | float) or abs(value) < FIRST_INEXACT_NUMBER


def _kind(value: Any) -> str:
    kinds = {bool: "a boolean", str: "a string", list: "a list", dict: "a mapping", int: "a number", float: "a number"}
    return kinds.get(type(value), f"a {type(value).__name__}")


_CHECKS_OF_BOTH: dict[str, Callable[[Any], Iterator[str]]] = {
    "description": _description,
    "max_age_seconds": _seconds(*RANGES["max_age_seconds"]),
    "extend_when_used": _flag,
    "ip_allowlist": _networks,
    "scopes": _strings,
    "early_rotation_window_seconds": _seconds(*RANGES["early_rotation_window_seconds"]),
    "rotation_triggers": _triggers,
    "credentials": find_faults_of_credentials,
}
_CHECKS = {**_CHECKS_OF_BOTH, "adopt_prefix": _text(), "full_token": _text()}
_CHECKS_OF_SERIES = {
    **_CHECKS_OF_BOTH,
    "overlap_seconds": _seconds(*RANGES["overlap_seconds"]),
    "retire_previous": _one_of(*RETIREMENTS),
    "revocation_triggers": _triggers,
}
