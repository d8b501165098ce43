"""Running the emulator: one port of 127.0.0.1, one thread, one event loop."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from aiohttp import web

from pulumi_avn_token.emulator.answers import shape_errors
from pulumi_avn_token.emulator.api import TokenApi
from pulumi_avn_token.emulator.clock import Clock
from pulumi_avn_token.emulator.control import Control
from pulumi_avn_token.emulator.errors import EmulatorError
from pulumi_avn_token.emulator.faults import Fault
from pulumi_avn_token.emulator.gate import loopback_only
from pulumi_avn_token.emulator.journal import Journal, RequestRecord
from pulumi_avn_token.emulator.mint import digest_of, draw_token, prefix_of
from pulumi_avn_token.emulator.store import NewToken, Store
from pulumi_avn_token.emulator.strikes import Faults

DEFAULT_MAX_AGE_SECONDS = 30 * 24 * 3600
DEFAULT_USER = "demo@example.org"
_ADDRESS = "127.0.0.1"
_SHUTDOWN_SECONDS = 0.5  # what a request in flight gets to come to its end


@dataclass(frozen=True, repr=False)
class _Running:
    """What is there only while the emulator runs."""

    store: Store
    clock: Clock
    url: str


class Emulator:
    """The token API on a port of 127.0.0.1, from `with` to its end; it serves from a thread of its own.

    `db`: the SQLite file, made with mode 0600 if need be. None: in memory.
    `port`: 0 takes any free one.
    `user`: whom `token` belongs to; others come about by `issue_token(user=…)`.
    `quota`: how many valid tokens made by hand a user can have. None: any number.
    `default_max_age_seconds`: how long a token lives that was made without an age. None: for ever.
    `clock`: the machine's clock, in seconds since the epoch.

    Entering raises `EmulatorError` if the file cannot be used or the port is taken.
    """

    def __init__(  # noqa: PLR0913 - every one has its default
        self,
        db: Path | str | None = None,
        *,
        port: int = 0,
        user: str = DEFAULT_USER,
        quota: int | None = None,
        default_max_age_seconds: float | None = DEFAULT_MAX_AGE_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.user = user
        self._db = None if db is None else Path(db)
        self._port = port
        self._quota = quota
        self._default_max_age_seconds = default_max_age_seconds
        self._machine = clock
        self._journal = Journal()
        self._faults = Faults(self.now)
        self._exit = ExitStack()
        self._now_running: _Running | None = None
        self._token = ""

    def __enter__(self) -> "Emulator":  # noqa: PYI034 - `Self` came with Python 3.11
        with ExitStack() as stack:
            stack.callback(setattr, self, "_now_running", None)
            store = Store(self._db)
            stack.callback(store.close)
            listener = stack.enter_context(_listen(self._port))
            clock = Clock(store, self._machine)
            stack.callback(_serve(listener, self._application(store, clock)))
            url = f"http://{_ADDRESS}:{listener.getsockname()[1]}"
            self._now_running = _Running(store, clock, url)
            self._token = self.issue_token(description="Login session of the emulator", session=True)
            self._exit = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()

    def __repr__(self) -> str:
        return f"Emulator({self._now_running.url if self._now_running else 'stopped'}, user={self.user!r})"

    @property
    def url(self) -> str:
        """Where it is, as `AIVEN_WEB_URL` wants it: no `/v1`, no slash at the end."""
        return self._running.url

    @property
    def token(self) -> str:
        """A full token of `user`: a login session made at the start that never expires."""
        return self._token

    @property
    def clock_offset(self) -> float:
        """How many seconds the emulator is ahead of the machine: kept in the database, 0 in a new one."""
        return self._running.clock.offset

    @clock_offset.setter
    def clock_offset(self, seconds: float) -> None:
        self._running.clock.offset = seconds

    @property
    def faults(self) -> list[Fault]:
        """What goes wrong. Assign a whole list, of `Fault` or of mappings with its fields; `[]` ends it."""
        return self._faults.get()

    @faults.setter
    def faults(self, faults: Iterable[Fault | Mapping[str, Any]]) -> None:
        self._faults.set([fault if isinstance(fault, Fault) else Fault(**fault) for fault in faults])

    @property
    def requests(self) -> list[RequestRecord]:
        """A copy of the latest 10 000 requests to the API, oldest first."""
        return self._journal.records()

    def clear_requests(self) -> None:
        """Forget the requests so far."""
        self._journal.clear()

    def now(self) -> float:
        """Give the emulator's time, in seconds since the epoch."""
        return self._running.clock.now()

    def issue_token(  # noqa: PLR0913 - every one has its default
        self,
        *,
        user: str | None = None,
        description: str = "Issued by the emulator",
        session: bool = False,
        max_age_seconds: float | None = None,
        extend_when_used: bool = False,
        ip_allowlist: Sequence[str] | None = None,
        scopes: Sequence[str] | None = None,
    ) -> str:
        """Make a token past all limits and quotas, and give it in full.

        `user`: None for the emulator's own; a new one comes about.
        `session`: as if by a login instead of by hand.
        `max_age_seconds`: any number; None: lives for ever.
        """
        store, now = self._running.store, self.now()
        wanted = NewToken(
            description=description,
            max_age_seconds=max_age_seconds,
            extend_when_used=extend_when_used,
            ip_allowlist=ip_allowlist,
            scopes=scopes,
            created_manually=not session,
        )
        owner = store.add_user(user or self.user, now)
        full_token = draw_token()
        store.add_token(owner.user, wanted, prefix=prefix_of(full_token), digest=digest_of(full_token), now=now)
        return full_token

    def end_session(self) -> None:
        """Revoke `token`, as a logout does."""
        self._running.store.revoke(self.user, prefix_of(self._token), digest_of(self._token), self.now())

    @property
    def _running(self) -> _Running:
        if self._now_running is None:
            raise RuntimeError("the emulator is not running: use it in a `with` statement")
        return self._now_running

    def _application(self, store: Store, clock: Clock) -> web.Application:
        api = TokenApi(store, clock.now, quota=self._quota, default_max_age_seconds=self._default_max_age_seconds)
        control = Control(clock, self._faults, self._journal)
        application = web.Application(
            middlewares=[self._journal.note, loopback_only, self._faults.strike, shape_errors],
        )
        application.on_response_prepare.append(clock.stamp)
        application.add_routes([*api.routes(), *control.routes()])
        return application


def _listen(port: int) -> socket.socket:
    """Listen on loopback, and nowhere else: there is no way to ask for another address."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_ADDRESS, port))
        listener.listen()
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        raise EmulatorError(f"cannot listen on {_ADDRESS}:{port}: {reason}") from error
    return listener


def _serve(listener: socket.socket, application: web.Application) -> Callable[[], None]:
    """Serve from a new thread; gives what stops it and waits for its end."""
    started: Future[Callable[[], object]] = Future()

    async def serve() -> None:
        ended = asyncio.Event()
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        try:
            await runner.setup()
            await web.SockSite(runner, listener).start()
            loop = asyncio.get_running_loop()
            started.set_result(partial(loop.call_soon_threadsafe, ended.set))
            await ended.wait()
        finally:
            await runner.cleanup()

    def main() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(target=main, name="emulator", daemon=True)
    thread.start()
    end = started.result()

    def stop() -> None:
        end()
        thread.join()

    return stop
