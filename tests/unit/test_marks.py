"""How a token is told to be a certain series' own, and how one of somebody else is not taken for it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pulumi_avn_token.marks import (
    OF_A_SERIES,
    OF_A_TOKEN,
    find_mark,
    find_strays,
    is_half_made,
    mark_of,
    marked,
    new_mark,
    tag,
    tag_in,
    user_agent,
    without_own_use,
)
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
URN = "urn"


def token(prefix: str = "XCJ3+bgWywIh", description: str = "CI deploys", **fields: Any) -> TokenInfo:
    """Give a token of the account."""
    return TokenInfo(token_prefix=prefix, description=description, **fields)


def test_mark_has_its_form() -> None:
    """The two places of a mark, as they may be in accounts already: another form would not find what is there."""
    assert marked("CI deploys", MARK) == "[pulumi-avn-token series-0123456789abcdef] CI deploys"
    assert user_agent("pulumi-avn-token/1.0", MARK) == "pulumi-avn-token/1.0 (series-0123456789abcdef)"


def test_mark_of_a_series_is_its_id_unless_that_is_a_prefix() -> None:
    """The derived form, as it may be in accounts already: another one would not find what is there."""
    assert mark_of(MARK, URN) == MARK
    assert mark_of("XCJ3+bgWywIh", URN) == "series-b05f298682ffeb6e"
    assert mark_of("XCJ3+bgWywIh", "urn of another stack") != mark_of("XCJ3+bgWywIh", URN)


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_mark_of_any_id_has_the_form_of_all_marks(id_: str, other: str) -> None:
    """Whatever the account takes for a prefix, the mark fits into a description and a header, and is no other's."""
    assert re.fullmatch("series-[0-9a-f]{16}", mark_of(id_, URN)) or id_.startswith("series-")
    assert (mark_of(id_, URN) == mark_of(other, URN)) == (id_ == other)
    assert mark_of(mark_of(id_, URN), URN) == mark_of(id_, URN)


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
    assert without_own_use(used) == used


def test_use_that_only_gave_the_description_is_none() -> None:
    """A token whose one request was its own introduction counts as never used, and keeps all else."""
    rest: dict[str, Any] = {"create_time": "2026-11-01T12:00:00Z", "expiry_time": "2026-12-01T12:00:00Z"}
    for mark in (MARK, OTHER_MARK, new_mark(OF_A_TOKEN, URN, "0a1b2c3d")):
        agent = user_agent("pulumi-avn-token/1.0", mark)
        assert without_own_use(token(**{**BY_ITSELF, "last_user_agent": agent}, **rest)) == token(**rest)


@pytest.mark.parametrize("kind", [OF_A_TOKEN, OF_A_SERIES])
def test_new_mark_tells_the_stack_that_makes_it(kind: str) -> None:
    """What resources of one stack have in common is in their marks, and differs from any other stack's."""
    stack = "urn:pulumi:prod::tokens"
    ci, ingest = f"{stack}::a:b:C$pulumi-python:dynamic/avn:AccessToken::ci", f"{stack}::d:e:F::ingest"
    mark = new_mark(kind, ci, "0a1b2c3d")
    assert re.fullmatch(rf"{kind}[0-9a-f]{{8}}0a1b2c3d", mark)
    assert tag_in(mark) == tag(ci) == tag(ingest) == tag(f"{stack}::pulumi:pulumi:Stack::tokens-prod")
    assert tag(ci) not in (tag("urn:pulumi:prod::other::d:e:F::ci"), tag("urn:pulumi:dev::tokens::d:e:F::ci"))
    assert mark_of(mark, ci) == mark or kind == OF_A_TOKEN
    made = token(description=marked("CI deploys", mark))
    assert find_mark(made) == mark
    assert is_half_made(made)


@pytest.mark.parametrize(
    ("fields", "mark", "is_unfinished"),
    [
        ({"description": marked("CI deploys", MARK)}, MARK, True),
        ({"description": marked("", MARK)}, MARK, True),
        ({"description": marked("CI deploys", MARK), "last_user_agent": "curl/8"}, MARK, True),
        ({"description": marked("CI deploys", MARK), **BY_ITSELF}, MARK, True),
        (
            {"description": marked("d", MARK), "last_user_agent": user_agent("pulumi-avn-token/1.0", OTHER_MARK)},
            MARK,
            True,
        ),
        (BY_ITSELF, MARK, False),
        ({"last_user_agent": f"{BY_ITSELF['last_user_agent']} through-a-proxy/2"}, MARK, False),
        ({"last_user_agent": f"proxy/2 {user_agent('pulumi-avn-token/0.1.0.dev3+g1', MARK)}"}, MARK, False),
        ({}, None, False),
        ({"description": ""}, None, False),
        ({"description": MARK}, None, False),
        ({"description": f"copied: {marked('CI deploys', MARK)}"}, None, False),
        ({"description": marked("CI deploys", MARK).replace("] ", "]")}, None, False),
        ({"description": marked("CI deploys", f"{MARK}0")}, None, False),
        ({"description": marked("CI deploys", MARK.upper())}, None, False),
        ({"last_user_agent": MARK}, None, False),
        ({"last_user_agent": "pulumi-avn-token/1.0"}, None, False),
        ({"last_user_agent": user_agent("pulumi-avn-token/1.0", f"{MARK}0")}, None, False),
        ({"last_user_agent": user_agent("pulumi-avn-token/1.0", MARK[:-1])}, None, False),
        ({"last_user_agent": f"curl/8 ({MARK})"}, None, False),
    ],
)
def test_mark_of_a_token_is_found_without_its_series(
    fields: dict[str, Any], mark: str | None, *, is_unfinished: bool
) -> None:
    """Who does not know the series finds its mark in the same two places, and which of them tells how far it came."""
    assert find_mark(token(**fields)) == mark
    assert is_half_made(token(**fields)) == is_unfinished


@given(DESCRIPTIONS, MARKS, st.none() | st.text(max_size=60))
@example("x" * 1000, MARK, None)
@example(marked("d", OTHER_MARK), MARK, None)
def test_every_mark_that_is_made_is_found(description: str, mark: str, agent: str | None) -> None:
    """Under whatever description a token is made, and whoever used it then, it shows its own series' mark."""
    made = token(description=marked(description, mark), last_user_agent=agent)
    assert find_mark(made) == mark
    assert is_half_made(made)
    introduced = token(description="d", last_user_agent=user_agent("pulumi-avn-token/0.1.0", mark))
    assert find_mark(introduced) == mark
    assert not is_half_made(introduced)


TEXTS_LIKE_MARKS = st.lists(
    st.sampled_from(["[pulumi-avn-token ", MARK, "] ", "]", "(", ")", " ", "pulumi-avn-token/1", "x", "series-"]),
    max_size=6,
).map("".join)


@given(TEXTS_LIKE_MARKS, st.none() | TEXTS_LIKE_MARKS)
def test_mark_that_is_found_is_one_that_its_series_finds(description: str, agent: str | None) -> None:
    """Nothing is taken for a series' own that the series itself would not revoke as such."""
    found = token(description=description, last_user_agent=agent)
    mark = find_mark(found)
    assert mark is None or find_strays([found], mark, ()) == [found.token_prefix]
    assert not is_half_made(found) or mark is not None
