"""A description of any characters is that of the token in the end, and none of it is taken for a mark."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pulumi_avn_token.emulator import Emulator
from pulumi_avn_token.lifecycle import SERIES_TYPE, TOKEN_TYPE
from pulumi_avn_token.terminal import is_whole
from tests.account import Observer
from tests.small_engine import SmallEngine

DAY = 24 * 60 * 60
SETTINGS = {
    TOKEN_TYPE: {},
    SERIES_TYPE: {"max_age_seconds": 30 * DAY, "early_rotation_window_seconds": 10 * DAY},
}
DESCRIPTIONS = st.text(min_size=1, max_size=1000).filter(is_whole)


@pytest.fixture(scope="module")
def account() -> Iterator[Emulator]:
    """One account for all."""
    with Emulator() as emulator:
        yield emulator


@given(st.sampled_from(list(SETTINGS)), DESCRIPTIONS, DESCRIPTIONS)
@example(TOKEN_TYPE, "x" * 1000, "\U0001f511" * 1000)
@example(SERIES_TYPE, 'CI "deploys"\n\t\\\x00\x7f\x1b[31m', "'; DROP TABLE tokens; --")
@example(TOKEN_TYPE, "[pulumi-avn-token token-0123456789abcde] CI", " [pulumi-avn-token series-0123456789abcdef] CI")
@example(SERIES_TYPE, "مفتاح ключ 鍵 🗝️ e\u0301", "\u202eREVERSED\u202c \ufeff\u200b")
def test_any_description_is_the_tokens_own(account: Emulator, kind: str, first: str, second: str) -> None:
    """It is set at creation and by an update, it is no drift, and the token is revoked in the end."""
    engine, observer = SmallEngine(account, kind), Observer(account)
    for description in (first, second):
        engine.up(description=description, **SETTINGS[kind])
        assert observer.valid()[engine.outs["token_prefix"]]["description"] == description
        before = engine.resources
        engine.refresh()
        assert engine.resources[0]["outputs"]["description"] == before[0]["outputs"]["description"]
    engine.destroy()
    assert observer.valid() == {}


def test_description_that_somebody_has_set_already_is_recorded() -> None:
    """Also where the account is asked anyway, since the token was about to rotate, and shows it as declared."""
    seconds = [time.time() - 25 * DAY]
    how = {"max_age_seconds": 30 * DAY, "extend_when_used": True, "early_rotation_window_seconds": 10 * DAY}
    with Emulator(clock=lambda: seconds[0]) as emulator:
        engine, observer = SmallEngine(emulator, TOKEN_TYPE), Observer(emulator)
        engine.up(description="CI", **how)
        before = engine.outs
        seconds[0] += 25 * DAY
        assert observer.works(before["full_token"])
        observer.describe(before["token_prefix"], "CI 2")
        engine.up(description="CI 2", **how)
        assert engine.outs["token_prefix"] == before["token_prefix"]
        assert engine.outs["description"] == "CI 2"
