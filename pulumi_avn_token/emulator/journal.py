"""What was asked of the emulator, for a test to look at: no credentials, no bodies."""

import threading
from collections import deque
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler

from pulumi_avn_token.emulator.mint import prefix_of
from pulumi_avn_token.emulator.strikes import Dropped

CONTROL_PATH = "/emulator/"
_KEPT = 10_000  # the oldest go first
_PATH_CHARACTERS = 100
_TOKEN_PATH = "/v1/access_token/"  # noqa: S105 - a path


@dataclass(frozen=True)
class RequestRecord:
    """One request to the API, noted when it is answered."""

    method: str
    path: str
    """Decoded, without the query; a token in it is cut to its prefix."""
    status: int | None
    """None: the connection was dropped instead."""
    peer_port: int | None
    """The caller's port: the same for all requests of one connection."""
    user_agent: str | None


class Journal:
    """The latest requests, control requests left out; may be read from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: deque[RequestRecord] = deque(maxlen=_KEPT)

    def records(self) -> list[RequestRecord]:
        """Copy the records, oldest first."""
        with self._lock:
            return list(self._records)

    def clear(self) -> None:
        """Forget them all."""
        with self._lock:
            self._records.clear()

    @web.middleware
    async def note(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Note each request that is not for the control of the emulator itself."""
        peer = request.transport and request.transport.get_extra_info("peername")
        response = await handler(request)
        if not request.path.startswith(CONTROL_PATH):
            record = RequestRecord(
                method=request.method,
                path=_without_secret(request.path),
                status=None if isinstance(response, Dropped) else response.status,
                peer_port=peer[1] if peer else None,
                user_agent=request.headers.get("User-Agent"),
            )
            with self._lock:
                self._records.append(record)
        return response


def _without_secret(path: str) -> str:
    """Cut a path so short that no full token is left in it."""
    if path.startswith(_TOKEN_PATH):
        return _TOKEN_PATH + prefix_of(path[len(_TOKEN_PATH) :])
    return path[:_PATH_CHARACTERS]
