"""Durations as people write and read them, such as `30d`."""

from __future__ import annotations

import re

UNITS = {"s": 1, "m": 60, "h": 60 * 60, "d": 24 * 60 * 60, "w": 7 * 24 * 60 * 60}
"""Each unit in seconds."""


def parse_duration(text: str) -> int:
    """The seconds of a duration such as `30d`; ValueError: it is none."""
    match = re.fullmatch(rf"0*([0-9]{{1,12}})([{''.join(UNITS)}])", text)
    if match is None:
        raise ValueError("must be a number and a unit, one of s m h d w, such as 30d")
    return int(match[1]) * UNITS[match[2]]


def exactly(seconds: int) -> str:
    """A duration as it is written, in the largest of the usual units that holds it exactly."""
    unit = next(unit for unit in "dhms" if seconds % UNITS[unit] == 0)
    return f"{seconds // UNITS[unit]}{unit}"


def roughly(seconds: float) -> str:
    """A duration to be read at a glance, rounded down: days, or what is left below one."""
    unit = next((unit for unit in "dhm" if seconds >= UNITS[unit]), "s")
    return f"{max(0, int(seconds // UNITS[unit]))}{unit}"
