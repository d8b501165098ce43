"""How a token is told to be a certain series' own, and how one of somebody else is not taken for it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pulumi_avn_token.marks import find_strays, marked, user_agent, without_own_use
from pulumi_avn_token.model import TokenInfo

MARK = "series-0123456789abcdef"
OTHER_MARK = "series-fedcba9876543210"
MARKS = st.text("0123456789abcdef", min_size=16, max_size=16).map("series-{}".format)
DESCRIPTIONS = st.text(min_size=1, max_size=1000)
BY_ITSELF = {
    "last_user_agent": user_agent("pulumi-avn-token/1.0", MARK),
    "last_user_agent_human_readable": "Pulumi",
    "last_used_time": "2026-11-01T12:00:00Z",
    "last_ip": "192.0.2.1",
}


def token(prefix: str = "XCJ3+bgWywIh", description: str = "CI deploys", **fields: Any) -> TokenInfo:
    """Give a token of the account."""
    return TokenInfo(token_prefix=prefix, description=description, **fields)


def test_mark_has_its_form() -> None:
    """The two places of a mark, as they may be in accounts already: another form would not find what is there."""
    assert marked("CI deploys", MARK) == "[pulumi-avn-token series-0123456789abcdef] CI deploys"
    assert user_agent("pulumi-avn-token/1.0", MARK) == "pulumi-avn-token/1.0 (series-0123456789abcdef)"


@pytest.mark.parametrize(
    ("fields", "is_stray"),
    [
        ({"description": marked("CI deploys", MARK)}, True),
        ({"description": marked("", MARK)}, True),
        (BY_ITSELF, True),
        ({"last_user_agent": f"{BY_ITSELF['last_user_agent']} through-a-proxy/2"}, True),
        ({}, False),
        ({"last_user_agent": "pulumi-avn-token/1.0"}, False),
        ({"last_user_agent": MARK}, False),
        ({"last_user_agent": user_agent("pulumi-avn-token/1.0", OTHER_MARK)}, False),
        ({"last_user_agent": user_agent("pulumi-avn-token/1.0", f"{MARK}0")}, False),
        ({"description": marked("CI deploys", OTHER_MARK)}, False),
        ({"description": marked("CI deploys", f"{MARK}0")}, False),
        ({"description": MARK}, False),
        ({"description": f"copied: {marked('CI deploys', MARK)}"}, False),
    ],
)
def test_stray_is_told_by_its_mark_alone(fields: dict[str, Any], *, is_stray: bool) -> None:
    """A token is a series' own by the beginning of its description, or by who used it last; never by a likeness."""
    assert find_strays([token(**fields)], MARK, ()) == (["XCJ3+bgWywIh"] if is_stray else [])


def test_token_that_is_held_is_no_stray() -> None:
    """Only what the state does not hold is to be revoked, in the account's order."""
    tokens = [token(prefix, marked("d", MARK)) for prefix in ("b", "a", "c", "d")]
    assert find_strays(iter(tokens), MARK, ("a", None)) == ["b", "c", "d"]
    assert find_strays(tokens, MARK, {"a", "b", "c", "d"}) == []
    assert find_strays([], MARK, ()) == []


@given(DESCRIPTIONS, MARKS, MARKS)
@example("ż" * 1000, MARK, OTHER_MARK)
@example("x" * (1001 - len(marked("", MARK))), MARK, MARK)
def test_every_token_is_found_by_its_own_series_and_no_other(description: str, mark: str, other: str) -> None:
    """Under whatever description a token is made, the mark is whole, the length is allowed, and it is found by it."""
    made = token(description=marked(description, mark))
    assert len(made.description) == min(1000, len(marked("", mark)) + len(description))
    assert made.description.endswith(description[: 1000 - len(marked("", mark))])
    assert find_strays([made], mark, ()) == [made.token_prefix]
    assert find_strays([made, token(description=description)], other, ()) == (
        [made.token_prefix] if mark == other else []
    )


@given(st.none() | st.text(max_size=300))
def test_use_by_anybody_else_is_kept(agent: str | None) -> None:
    """What a consumer shows of itself stays as the account shows it."""
    used = token(last_user_agent=agent, last_used_time="2026-11-01T12:00:00Z", last_ip="192.0.2.1")
    assert without_own_use(used, MARK) == used
    by_another_series = token(**{**BY_ITSELF, "last_user_agent": user_agent("pulumi-avn-token/1.0", OTHER_MARK)})
    assert without_own_use(by_another_series, MARK) == by_another_series


def test_use_that_only_gave_the_description_is_none() -> None:
    """A token whose one request was its own introduction counts as never used, and keeps all else."""
    rest: dict[str, Any] = {"create_time": "2026-11-01T12:00:00Z", "expiry_time": "2026-12-01T12:00:00Z"}
    assert without_own_use(token(**BY_ITSELF, **rest), MARK) == token(**rest)
