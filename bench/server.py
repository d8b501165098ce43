"""The emulated API in a process of its own, which counts what goes through its sockets."""

from __future__ import annotations

import json
import multiprocessing
import socket
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, ClassVar

from pulumi_avn_token.emulator import Emulator, Fault


@dataclass(frozen=True)
class Traffic:
    """What came and went since the last time that was asked."""

    requests: int
    lists: int
    """Those of the requests that list all tokens."""
    connections: int
    """How many carried a request."""
    bytes_in: int
    bytes_out: int
    """Headers included; what TCP adds is not."""


class Api:
    """The API from `with` to its end: an account in memory that answers after `latency_seconds`.

    tokens: how many tokens it has at the start.
    """

    def __init__(self, latency_seconds: float, tokens: int = 0) -> None:
        self._arguments = (latency_seconds, tokens)

    def __enter__(self) -> Api:  # noqa: PYI034 - `Self` came with Python 3.11
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(theirs, *self._arguments))
        self._process.start()
        self.url, self.token = self._answer()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # it may be gone
            self._pipe.send(None)
        self._process.join()

    def traffic(self) -> Traffic:
        """What there was since the last time, or the start."""
        self._pipe.send("traffic")
        return Traffic(*self._answer())

    def _answer(self) -> Any:
        while not self._pipe.poll(1):
            if not self._process.is_alive():
                raise RuntimeError("the API has ended; what it said is above")
        return self._pipe.recv()

    def descriptions(self) -> list[str]:
        """The descriptions of the tokens that somebody made, sorted; not counted as traffic."""
        request = urllib.request.Request(  # noqa: S310 - the emulator's
            f"{self.url}/v1/access_token", headers={"Authorization": f"aivenv1 {self.token}"}
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            tokens: list[dict[str, Any]] = json.load(answer)["tokens"]
        self.traffic()
        return sorted(token["description"] for token in tokens if token["created_manually"])


_SETTLING_SECONDS = 0.05
"""What was sent is counted a moment after it has arrived."""


class _CountingSocket(socket.socket):
    # Each list holds the sizes since the last time: of threads that append to one, none is lost, as with `+=` some are.
    sizes_in: ClassVar[list[int]] = []
    sizes_out: ClassVar[list[int]] = []

    def recv(self, *arguments: Any) -> bytes:
        data = super().recv(*arguments)
        self.sizes_in.append(len(data))
        return data

    def send(self, *arguments: Any) -> int:
        sent = super().send(*arguments)
        self.sizes_out.append(sent)
        return sent

    def sendmsg(self, *arguments: Any) -> int:
        sent = super().sendmsg(*arguments)
        self.sizes_out.append(sent)
        return sent


def _serve(pipe: Connection, latency_seconds: float, tokens: int) -> None:
    socket.socket = _CountingSocket  # type: ignore[misc] # what `accept` makes
    with Emulator() as emulator:
        for number in range(tokens):
            emulator.issue_token(description=f"Service {number}", max_age_seconds=30 * 24 * 3600)
        emulator.faults = [Fault(kind="latency", seconds=latency_seconds)] if latency_seconds else []
        pipe.send((emulator.url, emulator.token))
        while pipe.recv() is not None:
            time.sleep(_SETTLING_SECONDS)
            requests = emulator.requests
            lists = sum((request.method, request.path) == ("GET", "/v1/access_token") for request in requests)
            ports = {request.peer_port for request in requests}
            bytes_in, bytes_out = sum(_CountingSocket.sizes_in), sum(_CountingSocket.sizes_out)
            pipe.send((len(requests), lists, len(ports), bytes_in, bytes_out))
            emulator.clear_requests()
            _CountingSocket.sizes_in.clear()
            _CountingSocket.sizes_out.clear()
