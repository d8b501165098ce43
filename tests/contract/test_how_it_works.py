"""`docs/how-it-works.md`: the table of what an operation asks, counted at the emulator."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pulumi_avn_token.emulator import Emulator
from pulumi_avn_token.lifecycle import SERIES_TYPE, TOKEN_TYPE
from tests.small_engine import SmallEngine

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "how-it-works.md").read_text(encoding="utf-8")
CELL = r"(?:nothing|(?:(?:me|list|POST|PUT|DELETE)(?:, )?)*)"
TABLE = {
    (what, kind): asked
    for what, *cells in re.findall(rf"^\| (.*?) \| ({CELL}) ?\| ({CELL}) ?\|$", PAGE, re.MULTILINE)
    for kind, asked in zip((TOKEN_TYPE, SERIES_TYPE), cells, strict=True)
    if asked
}
DAY = 24 * 60 * 60
ARGUMENTS: dict[str, dict[str, Any]] = {
    TOKEN_TYPE: {"description": "CI", "max_age_seconds": 30 * DAY},
    SERIES_TYPE: {"description": "CI", "max_age_seconds": 30 * DAY, "early_rotation_window_seconds": 10 * DAY},
}
OTHER_AGE = {"max_age_seconds": 20 * DAY}

Do = Callable[[SmallEngine, dict[str, Any]], None]
HAPPENINGS: dict[str, tuple[list[dict[str, Any]], Do]] = {
    "nothing is due": ([{}], lambda engine, arguments: engine.up(**arguments)),
    "it is made": ([], lambda engine, arguments: engine.up(**arguments)),
    "its description changes": ([{}], lambda engine, arguments: engine.up(**{**arguments, "description": "CI 2"})),
    "it is replaced, or rotates": ([{}], lambda engine, arguments: engine.up(**arguments | OTHER_AGE)),
    "the previous token is retired": ([{}, OTHER_AGE], lambda engine, arguments: engine.up(**arguments | OTHER_AGE)),
    "a refresh": ([{}], lambda engine, _arguments: engine.refresh()),
    "it is destroyed": ([{}], lambda engine, _arguments: engine.destroy()),
}


def asked_of(emulator: Emulator) -> str:
    """Each request in the words of the table."""
    words = {"GET /v1/me": "me", "GET /v1/access_token": "list"}
    return ", ".join(words.get(f"{seen.method} {seen.path}", seen.method) for seen in emulator.requests) or "nothing"


@pytest.mark.parametrize(("what", "kind"), TABLE, ids=lambda part: part.split(":")[-1])
def test_an_operation_asks_what_the_page_says(what: str, kind: str, emulator: Emulator) -> None:
    """In each row, the requests and their order are those that come."""
    before, do = HAPPENINGS[what]
    engine = SmallEngine(emulator, kind)
    for changes in before:
        engine.up(**ARGUMENTS[kind] | changes)
    emulator.clear_requests()
    do(engine, ARGUMENTS[kind])
    assert asked_of(emulator) == TABLE[what, kind]


def test_the_page_has_each_row() -> None:
    """None of them is unreadable to this test, and so none is unchecked."""
    assert {what for what, _ in TABLE} == HAPPENINGS.keys()
    assert len(TABLE) == 2 * len(HAPPENINGS) - 1
