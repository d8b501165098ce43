"""The JSON Schema of a manifest, made from the same tables that `manifest` reads by, for editors.

What it cannot say is left to the loader: comparisons of two values (a window is shorter than the age), whether a text
is a network, two that adopt one token, keys that are there twice or merged, and how a name or a value is written in
YAML (`0600`, `yes`, half a character).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pulumi_avn_token.arguments import MAX_LIST_LENGTH, NAME_OF_CREDENTIALS, RANGES, RETIREMENTS
from pulumi_avn_token.durations import UNITS, exactly
from pulumi_avn_token.manifest import KEYS, KEYS_OF_ROTATION, KEYS_OF_SERIES, Key, Kind
from pulumi_avn_token.model import LONGEST_PREFIX, MAX_DESCRIPTION_LENGTH

FILE_NAME = "tokens.schema.json"
"""How the schema's file is called beside a manifest."""

COMMENT = f"# yaml-language-server: $schema={FILE_NAME}"
"""The first line of a manifest by which editors find the schema."""

_HELP = {
    "description": "What the token is for, 1 to 1000 characters. A change is made in place.",
    "max_age_seconds": "Its age, from 600s to 3650d; absent: the service's default, 30d. A change makes a new token.",
    "extend_when_used": "The age counts from the last use. A change makes a new token.",
    "ip_allowlist": "Addresses and networks that may use it, such as 192.0.2.0/24. A change makes a new token.",
    "scopes": "What it may do, such as user:read. A change makes a new token.",
    "early_rotation_window_seconds": "At the first `pulumi up` so long before its expiry, a new one takes its place.",
    "rotation_triggers": "Any changed value makes a new token.",
    "revocation_triggers": "The emergency way: any changed value makes a new token, and revokes all others at once.",
    "credentials": "The environment variable, or the stack setting, where the credential of another account is.",
    "adopt_prefix": "Take over the token with this prefix instead of making one.",
    "overlap_seconds": "For so long the previous token stays valid; at most `before`.",
    "retire_previous": "when_idle: revoke the previous token once nobody uses it; after_overlap: in any case.",
}


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 7, which editors know) of a manifest."""
    rotation = {
        **_mapping({name.removeprefix("rotation."): key for name, key in KEYS_OF_ROTATION.items()}, ["before"]),
        "description": "Makes it a series: two tokens are valid while consumers change over.",
    }
    series = _mapping(KEYS_OF_SERIES, ["description"])
    series["properties"]["rotation"] = rotation
    series["anyOf"] = [{"required": [name]} for name in _names(KEYS_OF_SERIES)["max_age_seconds"]]
    plain = _mapping(KEYS, ["description"])
    plain["properties"]["rotation"] = {"description": rotation["description"]}  # for editors, which offer what is here
    token = {"if": {"required": ["rotation"]}, "then": series, "else": plain}
    tokens = {
        "type": "object",
        "description": "The tokens that should exist, by the names of their resources.",
        "propertyNames": {"minLength": 1},
        "additionalProperties": token,
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A manifest of Aiven access tokens",
        "type": "object",
        "required": ["tokens"],
        "additionalProperties": False,
        "properties": {"tokens": tokens},
    }


def _mapping(keys: Mapping[str, Key], required: list[str]) -> dict[str, Any]:
    said_twice = [names for names in _names(keys).values() if len(names) > 1]
    return {
        "type": "object",
        "required": required,
        "additionalProperties": False,
        "properties": {
            name: {"description": _HELP[key.argument], **_SCHEMAS[key.kind](key.argument)}
            for name, key in keys.items()
            if key.kind != "secret"
        },
        **({"allOf": [{"not": {"required": names}} for names in said_twice]} if said_twice else {}),
    }


def _names(keys: Mapping[str, Key]) -> Mapping[str, list[str]]:
    """The names that say each argument."""
    names = defaultdict(list)
    for name, key in keys.items():
        names[key.argument].append(name)
    return names


def _text(argument: str) -> dict[str, Any]:
    if argument == "retire_previous":
        return {"enum": list(RETIREMENTS)}
    if argument == "credentials":
        return {
            "type": "string",
            "pattern": f"^({NAME_OF_CREDENTIALS})$(?!\\n)",
            "patternErrorMessage": "an environment variable, such as AIVEN_TOKEN_STAGING, or a stack setting, such as"
            " staging:apiToken",
        }
    return {"type": "string", "minLength": 1, "maxLength": MAX_DESCRIPTION_LENGTH}


def _prefix(_argument: str) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": LONGEST_PREFIX}


def _number(argument: str) -> dict[str, Any]:
    least, most = RANGES[argument]
    return {"type": "integer", "minimum": least, "maximum": most}


def _duration(argument: str) -> dict[str, Any]:
    least, most = RANGES[argument]
    choices = (
        f"({_number_between(math.ceil(least / seconds), most // seconds)}){unit}" for unit, seconds in UNITS.items()
    )
    return {
        "type": "string",
        "pattern": f"^0*({'|'.join(choices)})$(?!\\n)",  # in Python, $ is before a line's end too
        "patternErrorMessage": f"a number and a unit, one of s m h d w, from {exactly(least)} to {exactly(most)}",
    }


def _flag(_argument: str) -> dict[str, Any]:
    return {"type": "boolean"}


def _texts(_argument: str) -> dict[str, Any]:
    return {"type": "array", "maxItems": MAX_LIST_LENGTH, "items": {"type": "string", "minLength": 1}}


def _triggers(_argument: str) -> dict[str, Any]:
    plain = {"type": ["string", "number", "boolean", "null"], "minLength": 1}
    return {"type": "object", "propertyNames": {"minLength": 1}, "additionalProperties": plain}


_SCHEMAS: Mapping[Kind, Callable[[str], dict[str, Any]]] = {
    "text": _text,
    "prefix": _prefix,
    "duration": _duration,
    "number": _number,
    "flag": _flag,
    "texts": _texts,
    "triggers": _triggers,
}


def _number_between(least: int, most: int) -> str:
    """A regular expression of the whole numbers of a range, written without zeros before them."""
    lengths = range(len(str(least)), len(str(most)) + 1)
    ranges = ((max(least, 10 ** (n - 1) if n > 1 else 0), min(most, 10**n - 1)) for n in lengths)
    return "|".join(choice for low, high in ranges for choice in _digits_between(str(low), str(high)))


def _digits_between(low: str, high: str) -> Iterator[str]:
    """Regular expressions of the numbers between two that have equally many digits."""
    rest = len(low) - 1
    if low[1:] == "0" * rest and high[1:] == "9" * rest:
        first = low[0] if low[0] == high[0] else f"[{low[0]}-{high[0]}]"
        yield first + (f"[0-9]{{{rest}}}" if rest else "")
    elif low[0] == high[0]:
        yield from (low[0] + digits for digits in _digits_between(low[1:], high[1:]))
    else:
        yield from _digits_between(low, low[0] + "9" * rest)
        if int(low[0]) + 1 < int(high[0]):
            yield from _digits_between(f"{int(low[0]) + 1}{'0' * rest}", f"{int(high[0]) - 1}{'9' * rest}")
        yield from _digits_between(high[0] + "0" * rest, high)
