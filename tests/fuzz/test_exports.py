"""Whatever an export holds, its tokens are what they are declared to be, or it is refused; no secret gets out of it."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pulumi_avn_token import lifecycle, rotation
from pulumi_avn_token.errors import ExportError
from pulumi_avn_token.holdings import Holding, Role, read
from pulumi_avn_token.lifecycle import SERIES_TYPE, TOKEN_TYPE
from pulumi_avn_token.model import User, parse_time
from tests.fuzz.values import JSON, mostly

STATES = sorted(Path(__file__).parents[1].joinpath("engine", "states").glob("*.json"))
REFUSALS = [
    f"it is not what `pulumi stack export` writes: {why}"
    for why in ("it has no deployment", "a resource in it cannot be read")
]

SECRET_KEY = "4dabf18193072939515e22adb298388d"  # noqa: S105 - the engine's key of a wrapped value
UNREAD = ("inputs", "ciphertext", "plaintext", "manifest", "secrets_providers", "metadata", "__provider", "modified")
"""Parts of a state in which nobody looks."""

Place = tuple[str | int, ...]


def value_of(text: str) -> Any:
    """Give what JSON says, or the text where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def places(value: Any, place: Place = ()) -> Iterator[Place]:
    """Find all places in a value that somebody reads."""
    yield place
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            if key not in UNREAD:
                yield from places(part, (*place, key))


def secrets(value: Any) -> Iterator[str]:
    """Find what the secrets of a state hold."""
    if isinstance(value, dict):
        yield from (part for key, part in value.items() if key in ("ciphertext", "plaintext"))
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from secrets(part)


URNS = st.lists(st.text(max_size=5), max_size=5).map(lambda parts: f"urn:pulumi:{'::'.join(parts)}")


def exports(state: Any) -> st.SearchStrategy[Any]:
    """Exports that are nearly this one: a few values are others, or of another place, or gone, or new."""
    resources = state["deployment"]["resources"]
    ours = {index for index, resource in enumerate(resources) if resource["type"] in (TOKEN_TYPE, SERIES_TYPE)}
    known = [place for place in [*places(state)][1:] if len(place) < 3 or place[2] in ours]
    new = [
        (*place, name)
        for place in known
        if place[-1] == "outputs"
        for name in (*rotation.OUTPUTS_OF_A_SERIES, lifecycle.GONE, lifecycle.OWNER)
    ]
    flags = [(*place, name) for place in known if len(place) == 3 for name in ("delete", "external")]
    wrapped = [place for place in known if isinstance(part := at(state, place), dict) and SECRET_KEY in part]
    others = (st.sampled_from(known) | st.sampled_from(wrapped)).map(lambda place: copy.deepcopy(at(state, place)))
    edits: st.SearchStrategy[tuple[Place, dict[str, Any] | None]] = st.tuples(
        st.sampled_from([*known, *new]) | st.sampled_from([*new, *flags]),
        st.none() | st.builds(dict, value=JSON.map(value_of) | others | URNS | st.lists(st.text(), max_size=3)),
    )
    return st.builds(edited, st.just(state), st.lists(edits, min_size=1, max_size=3))


def at(value: Any, place: Place) -> Any:
    """Give what is at a place."""
    for key in place:
        value = value[key]
    return value


def edited(state: Any, edits: Sequence[tuple[Place, dict[str, Any] | None]]) -> Any:
    """Give a state with other values at these places, where they are still there; None: with none."""
    state = copy.deepcopy(state)
    for (*place, key), new in edits:
        with suppress(KeyError, IndexError, TypeError):
            inside = at(state, tuple(place))
            if new is None:
                del inside[key]
            else:
                inside[key] = new["value"]
    return state


def assert_sound(holding: Holding) -> None:
    """Each field of a holding is of its type, its names are fit for a terminal, and its times can be read."""
    for text in (holding.token_prefix, holding.urn, holding.stack, holding.name):
        assert type(text) is str
    assert holding.token_prefix
    assert holding.stack.isprintable()
    assert holding.name.isprintable()
    assert holding.role in get_args(Role)
    assert type(holding.is_series) is bool
    assert (holding.mark is None) is not holding.is_series
    assert all(type(name) is str for name in holding.outs)
    for name in ("create_time", "expiry_time"):
        assert name not in holding.outs or parse_time(holding.outs[name]).tzinfo
    if (user := holding.made_as) is not None:
        assert type(user) is User
        assert type(user.user) is str
        assert user.user_id is None or type(user.user_id) is str


@pytest.mark.parametrize("secret", ["ciphertext", "plaintext"])
@pytest.mark.parametrize("path", STATES, ids=lambda path: path.stem)
def test_any_export_is_read_or_refused(path: Path, secret: str) -> None:
    """Whatever is made of a state, its holdings are sound and hold no secret, or it is refused in one line."""
    state = json.loads(path.read_text(encoding="utf-8").replace('"ciphertext"', f'"{secret}"'))
    hidden = [*secrets(state)]
    assert hidden
    cases = sound = 0

    def changed(name: str, value: Any) -> Any:
        where = [place for place in places(state) if place[-1:] in (("outputs",), (name,))]
        own = [(*place, name) if place[-1] == "outputs" else place for place in where]
        return edited(state, [(place, {"value": value}) for place in own])

    @settings(suppress_health_check=list(HealthCheck))
    @given(mostly(exports(state), JSON.map(value_of)))
    @example(changed("max_age_seconds", math.inf))
    @example(changed("user_id", 5))
    @example(changed("urn", "urn:pulumi:a\nb::c::d"))
    @example(changed("previous_token_prefix", ""))
    @example(changed(rotation.STRAYS, [5]))
    def holds(export: Any) -> None:
        nonlocal cases, sound
        cases += 1
        told, refusal = None, ""
        try:
            told = read(export)
        except ExportError as error:
            refusal = str(error)
        if told is None:
            assert refusal in REFUSALS
            return
        sound += 1
        for holding in told.holdings:
            assert_sound(holding)
            kept = repr((holding, dict(holding.outs)))
            assert not any(text in kept for text in hidden)
        assert all(type(text) is str for maker in told.makers.items() for text in maker)

    holds()
    print(f"{cases:,} exports like {path.stem}, {secret}; {sound:,} could be read")  # noqa: T201 - for docs/reliability.md
