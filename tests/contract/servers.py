"""Servers that answer byte by byte as told, and what the client's tests share; nothing here leaves 127.0.0.1."""

from __future__ import annotations

import base64
import json
import secrets
import socket
import socketserver
import ssl
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, unquote

import pytest

from pulumi_avn_token.client import Client
from pulumi_avn_token.credentials import Credential
from pulumi_avn_token.errors import ApiError
from pulumi_avn_token.model import TokenSpec

if TYPE_CHECKING:
    from typing_extensions import Self


def draw_token() -> str:
    """A token like the service's, 372 characters long, whose prefix holds both a + and a /."""
    return "tk+/" + base64.b64encode(secrets.token_bytes(276)).decode()


CREDENTIAL = draw_token()
"""What the clients here authenticate with."""
ISSUED = draw_token()
"""What the servers here give out when a token is made."""
SOURCE = "the test's own pocket"


@dataclass(frozen=True)
class Request:
    """One request, as it came over the wire."""

    connection: int
    """Which connection it came over, counted from 0."""
    line: str
    """The request line, without its version."""
    headers: Mapping[str, str] = field(repr=False)
    """By lower-case name."""
    body: bytes = field(repr=False)

    @property
    def echo(self) -> str:
        """What a careless server writes into its answers: the credential and the body."""
        return f"Authorization: {self.headers.get('authorization')} {self.body.decode()}"


@dataclass(frozen=True)
class Reply:
    """The bytes of an answer, and what becomes of the connection after them."""

    data: bytes
    then: Literal["keep", "close", "hang"] = "keep"


Answer = Callable[[Request], Reply]


def raw(data: bytes, then: Literal["keep", "close", "hang"] = "close") -> Answer:
    """These bytes and no others."""
    return lambda _request: Reply(data, then)


DROPPED = raw(b"")
SILENT = raw(b"", "hang")


def http(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """A whole response."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def said(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """A JSON answer."""
    return raw(http(status, json.dumps(value).encode(), headers), "keep")


def page(status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """An HTML page that shows what it was asked."""
    return lambda request: Reply(http(status, f"<html><pre>{request.echo}</pre></html>".encode(), headers))


def refusal(status: int, message: str, code: str | None = None, headers: Mapping[str, str] | None = None) -> Answer:
    """An error in the API's shape whose message shows what it was asked."""

    def answer(request: Request) -> Reply:
        words = f"{message} {request.echo}"
        listed = {"message": words, "status": status, **({"error_code": code} if code else {})}
        return Reply(http(status, json.dumps({"errors": [listed], "message": words}).encode(), headers))

    return answer


def cut(answer: Answer) -> Answer:
    """An answer that breaks off before its end."""
    return lambda request: Reply(answer(request).data[:-2], "close")


def token_object(**fields: Any) -> dict[str, Any]:
    """A token as the API shows it."""
    return {
        "create_time": "2026-11-01T10:00:00Z",
        "created_manually": True,
        "currently_active": False,
        "description": "a token",
        "expiry_time": "2026-12-01T10:00:00.123456+00:00",
        "extend_when_used": False,
        "ip_allowlist": None,
        "last_ip": None,
        "last_used_time": None,
        "last_user_agent": None,
        "last_user_agent_human_readable": None,
        "max_age_seconds": 2592000,
        "scopes": None,
        "token_prefix": ISSUED[:12],
        **fields,
    }


class _Listener(socketserver.ThreadingTCPServer):
    """Listens on 127.0.0.1 and hands every connection to a thread of its own."""

    daemon_threads = True
    block_on_close = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, port: int, talk: Callable[[socket.socket], None]) -> None:
        self._talk = talk
        super().__init__(("127.0.0.1", port), socketserver.BaseRequestHandler)

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base class's signature
        """Talk until either side ends it."""
        with suppress(OSError):
            self._talk(request)


class _Serving:
    """A listener from `with` to its end; `port` 0 takes any free one."""

    def __init__(self, port: int = 0) -> None:
        self._port = port
        self._ended = threading.Event()
        self._open: list[socket.socket] = []
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            listener = _Listener(self._port, self._talk)
            self._port = listener.server_address[1]
            stack.callback(listener.server_close)
            stack.callback(self._hang_up)
            stack.callback(self._ended.set)
            thread = threading.Thread(target=listener.serve_forever, args=[0.005], daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(listener.shutdown)
            self._exit = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    def _talk(self, connection: socket.socket) -> None:
        raise NotImplementedError

    def _hang_up(self) -> None:
        for connection in self._open:
            with suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)  # of TLS too, without its farewell


class Server(_Serving):
    """Gives one answer after the other, whoever asks; the last one for ever. `requests` is what it was asked."""

    def __init__(self, *answers: Answer, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        super().__init__(port)
        self._answers = list(answers)
        self._tls = tls
        self._lock = threading.Lock()
        self.requests: list[Request] = []

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def wait_for(self, count: int) -> None:
        """Wait until so many requests were read: a caller that gave up may be ahead of them."""
        patience = time.monotonic() + 10
        while len(self.requests) < count and time.monotonic() < patience:
            time.sleep(0.001)

    @property
    def lines(self) -> list[str]:
        """The request lines so far."""
        return [request.line for request in self.requests]

    def _talk(self, connection: socket.socket) -> None:
        if self._tls:
            with self._tls.wrap_socket(connection, server_side=True) as secured:
                self._converse(secured)
        else:
            self._converse(connection)

    def _converse(self, connection: socket.socket) -> None:
        with self._lock:
            number = len(self._open)
            self._open.append(connection)
        with connection.makefile("rb") as incoming:
            while first := incoming.readline():
                lines = iter(lambda: incoming.readline().decode("latin-1").strip(), "")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                body = incoming.read(int(headers.get("content-length", 0)))
                request = Request(number, first.decode("latin-1").rpartition(" ")[0], headers, body)
                with self._lock:
                    self.requests.append(request)
                    answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
                reply = answer(request)
                connection.sendall(reply.data)
                if reply.then == "hang":
                    self._ended.wait()
                if reply.then != "keep":
                    return


class ConnectProxy(_Serving):
    """A proxy for HTTPS that keeps all bytes that came to it in the clear or passed through it.

    refusal: answered to CONNECT instead of a tunnel.
    """

    def __init__(self, refusal: bytes | None = None) -> None:
        super().__init__()
        self._refusal = refusal
        self.heads: list[str] = []
        self.passed = bytearray()

    @property
    def url(self) -> str:
        """Its URL, for HTTPS_PROXY."""
        return f"http://127.0.0.1:{self.port}"

    def _talk(self, connection: socket.socket) -> None:
        self._open.append(connection)
        head = b""
        while not head.endswith(b"\r\n\r\n") and (byte := connection.recv(1)):
            head += byte
        self.heads.append(head.decode("latin-1"))
        if self._refusal is not None:
            connection.sendall(self._refusal)
            return
        host, _, port = head.split()[1].decode().rpartition(":")
        with socket.create_connection((host, int(port))) as target:
            self._open.append(target)
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=self._pump, args=[target, connection], daemon=True)
            back.start()
            self._pump(connection, target)
            back.join()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self.passed += data
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)


def closed_port() -> int:
    """A port of 127.0.0.1 where nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Clients:
    """Makes clients that never really wait, and closes them at the end; `waits` are the seconds they would have."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()

    def make(
        self,
        url: str,
        token: str = CREDENTIAL,
        *,
        ca_bundle: str | None = None,
        sleep: Callable[[float], None] | None = None,
    ) -> Client:
        """A client of the API at `url`."""
        credential = Credential(token=token, source=SOURCE, url=url, ca_bundle=ca_bundle)
        client = Client(credential, sleep=sleep or self.waits.append)
        self._exit.callback(client.close)
        return client


def failure(kind: type[ApiError], call: Callable[[], object], *also_secret: str) -> str:
    """The message of the error that a call raises: of exactly that kind, one line, and no secret anywhere in it."""
    with pytest.raises(kind) as caught:
        call()
    error = caught.value
    assert type(error) is kind
    for secret in (CREDENTIAL, ISSUED, *also_secret):
        for text in _texts(error):
            assert_hidden(secret, text)
    message = str(error)
    assert len(message.splitlines()) == 1
    assert message.isprintable()
    assert "aivenv1" not in message or "[" in message
    assert "<pre>" not in message
    return message


def assert_hidden(secret: str, text: str) -> None:
    """No 16 characters of a secret stand in a text in a row, encoded or not; its prefix of 12 may."""
    plain = unquote(text)
    pieces = {form[at : at + 16] for form in (secret, quote(secret, safe="")) for at in range(len(form) - 15)}
    found = [piece for piece in pieces if piece in text or piece in plain]
    assert not found, f"{len(found)} pieces of a secret in a text of {len(text)} characters"


def _texts(error: BaseException) -> list[str]:
    """All that may get to a terminal of an error, and of those that it came from."""
    texts = ["".join(traceback.format_exception(error))]
    seen: list[BaseException] = []
    due: list[BaseException | None] = [error]
    while due:
        current = due.pop()
        if current is not None and current not in seen:
            seen.append(current)
            texts += [str(current), repr(current), repr(current.args)]
            due += [current.__cause__, current.__context__]
    return texts


SPEC = TokenSpec(description="CI deploys")
ME = {"user": {"user": "somebody@example.org", "user_id": "u1"}}
EVERYTHING = said({**token_object(), **ME, "tokens": [], "full_token": ISSUED})
"""An answer that fits every call."""
