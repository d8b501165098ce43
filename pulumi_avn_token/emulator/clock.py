"""What time it is in the emulator."""

import math
from collections.abc import Callable
from email.utils import formatdate

from aiohttp import web

from pulumi_avn_token.emulator.store import Store

_MOST_SECONDS = 3_155_760_000.0  # a century either way: every time still has a year of four digits


class Clock:
    """The machine's clock plus an offset that the store keeps."""

    def __init__(self, store: Store, machine: Callable[[], float]) -> None:
        self._store = store
        self._machine = machine

    def now(self) -> float:
        """Give the time in seconds since the epoch; whole microseconds, so that times differ as they are written."""
        return round(self._machine() + self._store.clock_offset, 6)

    async def stamp(self, _: web.Request, response: web.StreamResponse) -> None:
        """Date an answer."""
        response.headers["Date"] = formatdate(self.now(), usegmt=True)

    @property
    def offset(self) -> float:
        """How many seconds the emulator is ahead of the machine; at most a century, else `ValueError`."""
        return self._store.clock_offset

    @offset.setter
    def offset(self, seconds: float) -> None:
        if not (math.isfinite(seconds) and abs(seconds) <= _MOST_SECONDS):
            raise ValueError(f"the offset must be a number of at most {_MOST_SECONDS:.0f} seconds")
        self._store.clock_offset = seconds
