"""JSON as nobody expects it, written out, since not all of it can be had from Python's own writer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

ODD_TEXTS = [
    "",
    " ",
    "\x00",
    "a\nb\r\x85\u2028c",
    "\x1b[2J\x9b1m",
    "\u202eabc",
    "\ud800",
    "\udc00\ud800",
    "\U0010ffff",
    "<{%red%}>",
    "{words} {0} %s",
    "x" * 3000,
    "a b " * 1000,
    "true",
    "28",
]
ODD_TIMES = [
    "2026-11-24T12:00:00Z",
    "2026-11-24T12:00:00.123456789+02:00",
    "2026-11-24t12:00:00z",
    "2026-11-24",
    "2026-11-24T24:00:00Z",
    "2026-11-24T12:00:00+24:00",
    "2026-11-24T12:00:00.",
    "2026-11-24T12:00:00.Z",
    "2026-11-24T12:00:00\ud800",
    "\u0662\u0660\u0662\u0666-11-24T12:00:00Z",
    "2026-W48-2",
    "2026-02-30T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999999-23:59",
    "0000-00-00T00:00:00Z",
    "1764000000",
]
ODD_NUMBERS = [
    *("0", "-0.0", "-1", "1.0", "1.5", "1e3", "600", "2592000", "315360001", "1e400", "-1e400", "1e-400", "1e308"),
    *("NaN", "Infinity", "-Infinity", "9" * 400, "9" * 4000, "9" * 5000, "404", "429"),
]
ODD_WHOLES = [
    *("null", "true", "false", "[]", "{}", "[null]", "[[]]", "[{}]", '["a", 1]', '["user:read"]', '{"": ""}'),
    *('{"a": 1, "a": 2}', "[" * 20 + "]" * 20, "[" * 5000 + "]" * 5000, '{"a":' * 900 + "1" + "}" * 900),
    *("[1,", "01", "'a'", '"\\x"', "nul", ""),
]

JSON: st.SearchStrategy[str] = st.one_of(
    st.sampled_from([json.dumps(text) for text in (*ODD_TEXTS, *ODD_TIMES)]),
    st.sampled_from([*ODD_NUMBERS, *ODD_WHOLES]),
    st.text(max_size=20).map(json.dumps),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=4,
    ).map(json.dumps),
)
"""Values, and a few texts that are none."""


def mostly(usual: st.SearchStrategy[Any], other: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Four of five from the first; `one_of` counts a strategy once, however often it is given."""
    return st.integers(0, 4).flatmap(lambda chosen: other if chosen == 4 else usual)


def listed(items: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A list of such values."""
    return st.lists(items, max_size=3).map(lambda texts: f"[{', '.join(texts)}]")


def nearly(fields: Mapping[str, str], others: Mapping[str, st.SearchStrategy[str]]) -> st.SearchStrategy[str]:
    """An object with these fields, of which a few are replaced, removed, there twice, or unknown."""
    names = mostly(st.sampled_from([*fields, *others]), st.text(max_size=3))
    edits = st.lists(st.tuples(st.sampled_from(["replace", "remove", "repeat"]), names, JSON), max_size=3)
    return st.builds(_edited, st.just(fields), st.fixed_dictionaries(dict(others)), edits)


def _edited(fields: Mapping[str, str], others: Mapping[str, str], edits: Sequence[tuple[str, str, str]]) -> str:
    once = {**fields, **others}
    for how, name, value in edits:
        if how == "replace":
            once[name] = value
        elif how == "remove":
            once.pop(name, None)
    pairs = [*once.items(), *((name, value) for how, name, value in edits if how == "repeat")]
    return f"{{{', '.join(f'{json.dumps(name)}: {value}' for name, value in pairs)}}}"
