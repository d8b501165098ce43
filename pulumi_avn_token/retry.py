"""When a request is tried again, and how long to wait before: urllib3's rules, and what is Aiven's own."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from urllib3.exceptions import HTTPError, InvalidHeader, MaxRetryError
from urllib3.util import Retry

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self
    from urllib3 import BaseHTTPResponse
    from urllib3.connectionpool import ConnectionPool

REPEATABLE = frozenset({"GET", "PUT", "DELETE"})
"""Methods that do no harm when they are repeated."""

TRIES_AGAIN = 5
"""After the first try."""

BACKOFF_SECONDS = 0.5
"""Doubled with each further try, from the second on."""

JITTER_SECONDS = 0.5
"""At most so much is added to each wait, so that many clients do not come back at once."""

LONGEST_WAIT_SECONDS = 60
"""Aiven's rate limiter asks for less than that; where more is asked for, it is told to the user at once."""

_AGAIN_IN = re.compile(rb"try again in (\d{1,4})\s*s")
_PEEK_BYTES = 16_384


def retries(sleep: Callable[[float], None]) -> Retry:
    """The rules for a session's requests; `sleep` waits, in seconds."""
    return _Retry(
        total=TRIES_AGAIN,
        other=0,
        allowed_methods=REPEATABLE,
        status_forcelist={502, 503, 504},
        backoff_factor=BACKOFF_SECONDS,
        raise_on_status=False,
        pause=sleep,
    )


class _Retry(Retry):
    """When to try again: urllib3's rules, and two that are Aiven's.

    A 429 is repeated for every method, POST too, since the rate limiter refuses a request before it is processed. And
    the limiter may tell how long to wait in its message rather than in a header.
    """

    def __init__(self, *args: Any, pause: Callable[[float], None], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pause = pause
        self._asked_for: float = 0

    def new(self, **kw: Any) -> Self:
        return super().new(pause=self._pause, **kw)

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:  # noqa: FBT001, FBT002
        return status_code == HTTPStatus.TOO_MANY_REQUESTS or super().is_retry(method, status_code, has_retry_after)

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        asked_for = self._in_header(response)
        if asked_for > LONGEST_WAIT_SECONDS and _pool is not None:
            raise MaxRetryError(_pool, url or "")
        following = super().increment(method, url, response, error, _pool, _stacktrace)
        following._asked_for = asked_for or _in_message(response)  # noqa: SLF001 - its own kind
        if response is not None:
            response.close()  # or urllib3 would read all of it, whatever its length, to use the connection again
        if following._asked_for > LONGEST_WAIT_SECONDS and _pool is not None:  # noqa: SLF001 - likewise
            raise MaxRetryError(_pool, url or "")
        return following

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:  # noqa: ARG002 - read in `increment`
        self._pause(max(self._asked_for, self.get_backoff_time()) + random.uniform(0, JITTER_SECONDS))  # noqa: S311

    def _in_header(self, response: BaseHTTPResponse | None) -> float:
        try:
            return (self.get_retry_after(response) if response is not None else None) or 0
        except (InvalidHeader, ValueError, OverflowError):
            return 0


def _in_message(response: BaseHTTPResponse | None) -> float:
    """Seconds that the rate limiter's message asks to wait."""
    if response is None or response.status != HTTPStatus.TOO_MANY_REQUESTS:
        return 0
    try:
        found = _AGAIN_IN.search(response.read(_PEEK_BYTES, decode_content=True))
    except (HTTPError, OSError):
        return 0
    return float(found[1]) if found else 0
