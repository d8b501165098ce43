"""Durations as people write and read them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pulumi_avn_token.durations import UNITS, exactly, parse_duration, roughly

MINUTE, HOUR, DAY, WEEK = 60, 3600, 86_400, 604_800
WHAT = "must be a number and a unit, one of s m h d w, such as 30d"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("0w", 0),
        ("1s", 1),
        ("1m", MINUTE),
        ("1h", HOUR),
        ("30d", 30 * DAY),
        ("2w", 2 * WEEK),
        ("007d", 7 * DAY),
        ("0" * 100 + "s", 0),
        ("0" * 100 + "1s", 1),
        ("999999999999s", 999_999_999_999),
        ("0999999999999s", 999_999_999_999),
    ],
)
def test_duration_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    """Each unit counts what it is called, and zeros before a number change nothing."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "d",
            "30",
            "30x",
            "30X",
            "30D",
            "30 d",
            " 30d",
            "30d ",
            "30d\n",
            "\n30d",
            "-1d",
            "+1d",
            "1.5d",
            "1,5d",
            "1e3s",
        ),
        *("30d7h", "30dd", "d30", "30days", "P30D", "0x1fs", "1_0s", "\u0663d", "\uff13d", "\u00b2d", "30\u0434"),
        *("1000000000000s", "9" * 5000 + "s", "nans", "infs"),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """A sign, a fraction, a blank, another script's digits or a number beyond all ages is told to be no duration."""
    with pytest.raises(ValueError, match="must be") as caught:
        parse_duration(text)
    assert str(caught.value) == WHAT


@given(st.text(max_size=8) | st.text("0123456789smhdw \n.-", max_size=8))
@example("1d\n")
def test_whatever_is_read_is_a_number_and_a_unit(text: str) -> None:
    """No text is read as a duration that a person would not read as the same one."""
    try:
        seconds = parse_duration(text)
    except ValueError:
        digits = text[:-1]
        assert not (text[-1:] in UNITS and digits.isascii() and digits.isdigit() and len(digits.lstrip("0")) <= 12)
    else:
        assert seconds == int(text[:-1]) * UNITS[text[-1]]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1, "1s"),
        (59, "59s"),
        (MINUTE, "1m"),
        (90, "90s"),
        (HOUR, "1h"),
        (90 * MINUTE, "90m"),
        (DAY, "1d"),
        (36 * HOUR, "36h"),
        (2 * WEEK, "14d"),
        (DAY + 1, "86401s"),
        (315_360_000, "3650d"),
    ],
)
def test_exact_duration_is_in_the_largest_unit_that_holds_it(seconds: int, text: str) -> None:
    """A duration is written as people write it, in days at most."""
    assert exactly(seconds) == text


@given(st.integers(0, 999_999_999_999) | st.integers(0, 4000).map(DAY.__mul__))
def test_exact_duration_is_read_back(seconds: int) -> None:
    """What is written is the same duration, to the second, and in no smaller unit than it has to be."""
    text = exactly(seconds)
    assert parse_duration(text) == seconds
    unit = text[-1]
    assert not any(seconds % UNITS[larger] == 0 for larger in "dhms" if UNITS[larger] > UNITS[unit])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (-0.5, "0s"),
        (0, "0s"),
        (0.9, "0s"),
        (1, "1s"),
        (59.99, "59s"),
        (60, "1m"),
        (119, "1m"),
        (3599.9, "59m"),
        (3600, "1h"),
        (86_399.9, "23h"),
        (86_400, "1d"),
        (2 * DAY - 1, "1d"),
        (400 * DAY, "400d"),
    ],
)
def test_rough_duration_is_rounded_down(seconds: float, text: str) -> None:
    """At a glance, never more is told than there is, and never less than nothing."""
    assert roughly(seconds) == text


@given(st.floats(0, 1e11))
def test_rough_duration_is_off_by_less_than_its_unit(seconds: float) -> None:
    """What is read at a glance is a duration, and the whole units of what is meant."""
    text = roughly(seconds)
    assert 0 <= seconds - parse_duration(text) < UNITS[text[-1]]
    assert text[-1] == next((unit for unit in "dhm" if seconds >= UNITS[unit]), "s")
