"""Whatever answers, the client gives what it says it gives, or an error of its own; nothing else comes out of it."""

from __future__ import annotations

import dataclasses
import gzip
import io
import json
import logging
import os
import queue
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from types import NoneType
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints
from urllib.parse import quote, unquote

import pytest
import urllib3
import urllib3.util.connection
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pulumi_avn_token import client as client_module
from pulumi_avn_token.client import A_CENTURY, Client
from pulumi_avn_token.credentials import Credential
from pulumi_avn_token.errors import (
    AnswerLostError,
    ApiError,
    AuthenticationError,
    ForbiddenError,
    InvalidRequestError,
    RateLimitError,
    ServerError,
    TokenNotFoundError,
    UnexpectedAnswerError,
    UnreachableError,
)
from pulumi_avn_token.model import IssuedToken, TokenInfo, User, parse_time
from pulumi_avn_token.retry import TRIES_AGAIN
from tests.contract.servers import CREDENTIAL, ISSUED, SOURCE, SPEC, token_object
from tests.fuzz.values import JSON, listed, mostly, nearly

LONGEST_MESSAGE = 800
KEY = Credential(token=CREDENTIAL, source=SOURCE, url="http://127.0.0.1:1")
MARK = "series-0123456789abcdef"
PREFIX = ISSUED[:12]
MADE = IssuedToken(info=TokenInfo(token_prefix=PREFIX, description="d"), full_token=ISSUED)

SECRETS = {"<credential>": CREDENTIAL, "<issued>": ISSUED}
"""What stands for a secret in an answer, so that a case that is told holds none."""

PIECES = {
    form[at : at + 16]
    for secret in SECRETS.values()
    for form in (secret, quote(secret, safe=""))
    for at in range(len(form) - 15)
}
"""What may not be told; the first 12 characters may."""


class Answer(NamedTuple):
    """An answer's bytes, before the secrets are put in, and what becomes of the connection at their end."""

    status: int
    headers: Sequence[str]
    framing: str
    body: str | bytes
    end: type[Exception] | None = None

    def data(self) -> bytes:
        """The bytes."""
        headers, body = FRAMINGS[self.framing](_filled(self.body))
        lines = [f"HTTP/1.1 {self.status} Whatever", *headers, *self.headers]
        return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body


def _filled(body: str | bytes) -> bytes:
    if isinstance(body, bytes):
        return body
    for name, secret in SECRETS.items():
        body = body.replace(name, secret)
    return body.encode("utf-8", "surrogatepass")


def _chunks(body: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:5], body[5:]) if part) + b"0\r\n\r\n"


FRAMINGS: Mapping[str, Callable[[bytes], tuple[list[str], bytes]]] = {
    "length": lambda body: ([f"Content-Length: {len(body)}"], body),
    "too long": lambda body: ([f"Content-Length: {len(body) + 3}"], body),
    "too short": lambda body: ([f"Content-Length: {max(len(body) - 3, 0)}"], body),
    "none": lambda body: ([], body),
    "chunked": lambda body: (["Transfer-Encoding: chunked"], _chunks(body)),
    "chunks cut": lambda body: (["Transfer-Encoding: chunked"], _chunks(body)[:-6]),
    "chunks odd": lambda body: (["Transfer-Encoding: chunked"], b"5;a=b\r\n" + body),
    "chunk huge": lambda body: (["Transfer-Encoding: chunked"], b"F" * 17 + b"\r\n" + body),
    "chunk negative": lambda body: (["Transfer-Encoding: chunked"], b"-5\r\n" + body),
    "gzip": lambda body: (["Content-Encoding: gzip"], gzip.compress(body)),
    "gzip cut": lambda body: (["Content-Encoding: gzip"], gzip.compress(body)[:-9]),
    "gzip false": lambda body: (["Content-Encoding: gzip", f"Content-Length: {len(body)}"], body),
    "gzip spoilt": lambda body: (["Content-Encoding: gzip"], gzip.compress(body)[:-6] + b"spoilt"),
    "deflate": lambda body: (["Content-Encoding: deflate"], zlib.compress(body)),
    "deflate false": lambda body: (["Content-Encoding: deflate", "Transfer-Encoding: chunked"], _chunks(body)),
    "twice": lambda body: (["Content-Encoding: gzip, gzip"], gzip.compress(gzip.compress(body))),
}


def _lines(headers: Mapping[str, Sequence[str]]) -> st.SearchStrategy[str]:
    return st.sampled_from([f"{name}: {value}" for name, values in headers.items() for value in values])


HEADERS: Mapping[str, Sequence[str]] = {
    "Retry-After": [
        *("", "0", "1", "28", "60", "61", "-1", "1.5", "9" * 30, "9" * 5000, "soon", "\xb2", " 7 "),
        *("Wed, 01 Jan 2031 00:00:00 GMT", "Wed, 01 Jan 1000 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 -2359"),
        *("Wed, 99 Jan 2031 99:99:99 GMT", "Wed, 01 Jan 99999999999999999999 00:00:00 GMT"),
    ],
    "Date": [
        *("Tue, 24 Nov 2026 12:00:00 GMT", "Tue, 24 Nov 2026 12:00:00 -0000", "Tue, 24 Nov 2026 12:00:00 +9999"),
        *("Mon, 01 Jan 0001 00:00:00 +2359", "Fri, 31 Dec 9999 23:59:59 -2359", "24 Nov", "", ",", "0", "x" * 3000),
        *("Tue, 24 Nov 2026 12.34.56.78+0800", "Tue, 24 Nov \xb2 12:00:00 GMT", "9" * 5000, "Tue, 24-Nov-26 1:2 Z"),
        "Tue, 24 Nov 99999999999999999999 12:00:00 GMT",
    ],
    "Content-Type": [
        *(
            "application/json",
            "text/html; charset",
            "text/html; charset=never-heard-of",
            "application/json; charset=u16",
        ),
        *("", ";;=;", "multipart/mixed; boundary=x", "text/plain; charset=\xff"),
    ],
    "Location": [
        *("https://example.org/", "/", "", "?", "//", "http://[", "http://[::1", "http://a:b/", "http://a:99999999/"),
        *("\xff\xfe", "%", "\xc3\xa9", "https://*.example.org/", "http:///", "x" * 3000, "mailto:a", "//a:b@c:d@e"),
    ],
    "Set-Cookie": ["a=b", "a=b; Expires=never", "=", "\xff=\xff; Max-Age=" + "9" * 5000, "a=b; Version=x; Port=q"],
}
FRAMING_HEADERS: Mapping[str, Sequence[str]] = {
    "Content-Encoding": ["gzip", "deflate", "identity", "br", "zstd", "gzip, br", ", ".join(["gzip"] * 50), "\xff"],
    "Content-Length": ["0", "5", "+5", "-1", "5, 5", "5, 7", "abc", "", "1e3", "9" * 15, "9" * 30, "9" * 5000, "\xb2"],
    "Transfer-Encoding": ["chunked", "Chunked", "gzip, chunked", "identity", ""],
    "Connection": ["close", "keep-alive", "upgrade"],
    "Upgrade": ["websocket"],
}
HEADER_LINES = _lines(HEADERS)
ANY_LINES = (
    HEADER_LINES
    | _lines(FRAMING_HEADERS)
    | st.builds("{}: {}".format, st.sampled_from([*HEADERS, *FRAMING_HEADERS]), st.text(max_size=12))
    | st.text(max_size=12)
)
REFUSALS = [301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 409, 413, 422, 429, 500, 501, 502, 503, 504]
STATUSES = st.sampled_from([200, 200, 429, 503]) | st.sampled_from(REFUSALS) | st.integers(100, 599)
ENDS = st.sampled_from([None, None, None, None, ConnectionResetError, TimeoutError])
FEW_LINES = st.lists(HEADER_LINES, max_size=1)
MANY_LINES = st.lists(ANY_LINES, max_size=3)


def sent(bodies: st.SearchStrategy[Any], *statuses: int) -> st.SearchStrategy[Answer]:
    """Answers with such bodies: mostly with one of these statuses, and mostly sent as they should be."""
    framings = st.sampled_from(["length", "length", "chunked", "gzip"])
    soundly = st.builds(Answer, st.sampled_from(statuses), FEW_LINES, framings, bodies, st.none())
    oddly = st.builds(Answer, STATUSES, MANY_LINES, st.sampled_from([*FRAMINGS]), bodies, ENDS)
    return mostly(soundly, oddly)


TOKEN = {name: json.dumps(value) for name, value in token_object(token_prefix="AbCd+/123456").items()}
TOKENS = nearly(TOKEN, {})
CODES = [
    *("user_personal_token_not_allowed", "api_client_ip_allowlist_blocks_caller", "authentication_failed"),
    *("never_heard_of", "<issued>"),
]
WORDS = st.sampled_from(
    [
        *("Missing (expired) db token", "Invalid input for max_age_seconds: <issued>", "<credential>", "not <issued>!"),
        *("Rate limit 120 exceeded - try again in 28s", "try again in 9999s", "Authorization: aivenv1 <credential>"),
        "no reason at all " * 100,
    ]
).map(json.dumps)
ERROR = nearly(
    {"status": "404"}, {"message": WORDS | JSON, "error_code": st.sampled_from(CODES).map(json.dumps) | JSON}
)
ERRORS = nearly({}, {"errors": listed(mostly(ERROR, JSON)), "message": WORDS})
MESSAGE = nearly({"message": '"done"'}, {})
USER = nearly({}, {"user": nearly({"user": '"ann@example.org"', "user_id": '"u1"', "auth": '["token"]'}, {})})
SECRET = mostly(
    st.just('"<issued>"'), st.sampled_from(['"<issued>\\r\\nb"', '"<issued>\\u20ac"', '"x"', '"\\ud800"']) | JSON
)
ISSUED_TOKENS = nearly(TOKEN, {"full_token": SECRET})
ODD = '{"token_prefix": "a", "max_age_seconds": 1e400}'
EVERYTHING = f'{{"user": {{"user": "ann"}}, "full_token": "<issued>", "tokens": [{ODD}], {ODD[1:-1]}}}'
LISTS = nearly({"message": '""'}, {"tokens": listed(TOKENS)})
ANYTHING = (
    sent(ERRORS, *REFUSALS)
    | st.builds(Answer, STATUSES, MANY_LINES, st.sampled_from([*FRAMINGS]), JSON | st.binary(max_size=40), ENDS)
    | st.builds(
        bytes.__add__,
        st.sampled_from([b"", b"HTTP/1.1 ", b"HTTP/1.1 200\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]),
        st.binary(),
    )
)


class Wire:
    """A connection to nowhere: each request over it is answered by the next of the answers, the last one for ever."""

    def __init__(self) -> None:
        self._fd = os.open(os.devnull, os.O_RDONLY)
        self.due: list[Answer | bytes] = []
        self.places: queue.LifoQueue[Any] = queue.LifoQueue()

    def pool(self, size: int) -> queue.LifoQueue[Any]:
        """Keep the connections of a client, or places for some."""
        self.places = queue.LifoQueue(size)
        return self.places

    def connect(self, *_args: Any, **_kwargs: Any) -> Wire:
        """Be the socket too."""
        return self

    def makefile(self, _mode: str) -> io.BufferedReader:
        """An answer, to be read."""
        return io.BufferedReader(_Stream(self.due.pop(0) if len(self.due) > 1 else self.due[0]))

    def fileno(self) -> int:
        """Something that can always be read: a connection is not used twice."""
        return self._fd

    def sendall(self, _data: bytes) -> None:
        """Take a request."""

    def settimeout(self, _seconds: float) -> None:
        """Never wait."""

    def close(self) -> None:
        """Stay."""

    def end(self) -> None:
        """End it."""
        os.close(self._fd)


class _Stream(io.RawIOBase):
    def __init__(self, answer: Answer | bytes) -> None:
        self._data = io.BytesIO(answer if isinstance(answer, bytes) else answer.data())
        self._end = None if isinstance(answer, bytes) else answer.end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._data.readinto(buffer)
        if not count and self._end:
            raise self._end
        return count


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """What all connections are."""
    wire = Wire()
    monkeypatch.setattr(urllib3.util.connection, "create_connection", wire.connect)
    monkeypatch.setattr(urllib3.connectionpool.HTTPConnectionPool, "QueueCls", wire.pool)
    monkeypatch.setattr(client_module, "CONNECTIONS", 2 * TRIES_AGAIN)  # a call that lost some would wait for ever
    monkeypatch.setattr(client_module, "version", lambda _name: "1")  # looks for a file each time
    monkeypatch.setattr(logging.getLogger("urllib3"), "propagate", False)  # a warning for each odd header
    yield wire
    wire.end()


def texts(error: BaseException | None) -> Iterator[str]:
    """All that is told by an error, and by those that it came from."""
    while error is not None:
        yield from (str(error), repr(error), repr(error.args))
        error = error.__cause__ or error.__context__


def assert_fit_to_be_told(error: ApiError, errors: tuple[type[ApiError], ...]) -> None:
    """An error is of a kind that fits and one short line; nowhere in its chain are 16 characters of a secret."""
    assert type(error) in errors
    told = "\n".join(texts(error))
    assert not any(text[at : at + 16] in PIECES for text in (told, unquote(told)) for at in range(len(text) - 15))
    message = str(error)
    assert message.isprintable()
    assert 0 < len(message) <= LONGEST_MESSAGE


def is_a(value: object, hint: Any) -> bool:
    """Whether a value is of a declared type."""
    if get_origin(hint) is Sequence:
        return isinstance(value, tuple) and all(is_a(item, *get_args(hint)) for item in value)
    return any(is_a(value, kind) for kind in get_args(hint)) if get_args(hint) else type(value) is hint


def assert_sound(value: Any) -> None:
    """What a call gives is what it is declared to be, down to its last field, and every time in it can be read."""
    if isinstance(value, list):
        for item in value:
            assert_sound(item)
    elif dataclasses.is_dataclass(value):
        for name, hint in get_type_hints(type(value)).items():
            field = getattr(value, name)
            assert is_a(field, hint), name
            assert_sound(field)
            if name.endswith("_time") and field is not None:
                assert parse_time(field).tzinfo


ANSWERED = (
    *(AuthenticationError, ForbiddenError, InvalidRequestError, RateLimitError, ServerError, UnexpectedAnswerError),
    AnswerLostError,
)
"""What a call may raise that was answered: not that its request was provably not processed."""


class Call(NamedTuple):
    """A method of the client."""

    call: Callable[[Client], Any]
    gives: Any
    bodies: st.SearchStrategy[str]
    """What its answer looks like, nearly."""
    errors: tuple[type[ApiError], ...] = ANSWERED


OF_ONE = (*ANSWERED, TokenNotFoundError)
CALLS = {
    "create": Call(lambda client: client.create(SPEC), IssuedToken, ISSUED_TOKENS),
    "create and introduce": Call(
        lambda client: client.introduce(client.create(SPEC), "d", MARK),
        TokenInfo,
        ISSUED_TOKENS,
        (*OF_ONE, UnreachableError),  # where it was given a secret that no header can hold
    ),
    "introduce": Call(lambda client: client.introduce(MADE, "d", MARK), TokenInfo, TOKENS, OF_ONE),
    "list_tokens": Call(lambda client: client.list_tokens(), list, LISTS),
    "update": Call(lambda client: client.update(PREFIX, "d"), TokenInfo, TOKENS, OF_ONE),
    "revoke": Call(lambda client: client.revoke(PREFIX), bool, MESSAGE, OF_ONE),
    "expire_tokens": Call(lambda client: client.expire_tokens(), NoneType, MESSAGE),
    "me": Call(lambda client: client.me(), User, USER),
    "works": Call(lambda client: client.works(ISSUED), bool, USER),
}


@pytest.mark.parametrize("name", CALLS)
def test_any_answer_gives_what_is_declared_or_an_error_that_tells_no_secret(wire: Wire, name: str) -> None:
    """Whatever bytes come back, a call gives its own type, or raises an `ApiError` of one line without secrets."""
    call, gives, bodies, errors = CALLS[name]
    answers = mostly(sent(bodies, 200), ANYTHING)
    cases = 0

    @settings(max_examples=settings().max_examples * 2, suppress_health_check=list(HealthCheck))
    @given(st.builds(list, st.tuples(answers) | st.tuples(answers, answers)))
    @example([Answer(200, [], "chunk negative", "{}")])
    @example([Answer(200, ["Content-Length: 5, 7"], "none", "{}")])
    @example([Answer(200, ["Date: Tue, 24 Nov 99999999999999999999 12:00:00 GMT"], "length", EVERYTHING)])
    @example([Answer(200, ["Date: Wed, 01 Jan 1000 00:00:00 GMT"], "length", EVERYTHING)])
    @example([Answer(200, [], "length", '{"token_prefix": "\\ud800", "full_token": "<issued>"}')])
    @example([Answer(302, ["Location: \xff"], "length", "{}")])
    @example([Answer(302, ["Location: http://["], "length", "{}")])
    @example([Answer(400, [], "length", '{"errors": [{}]}')])
    @example([Answer(400, [], "length", f'{{"message": "{"no reason " * 500}"}}')])
    @example([Answer(503, [f"Retry-After: {'9' * 5000}"], "length", "{}")])
    def holds(answers: list[Answer | bytes]) -> None:
        nonlocal cases
        cases += 1
        wire.due = answers
        with closing(Client(KEY, sleep=lambda _seconds: None)) as client:
            try:
                result = call(client)
            except ApiError as error:
                assert_fit_to_be_told(error, errors)
            else:
                assert type(result) is gives
                assert_sound(result)
            assert wire.places.full(), "a connection was not given back"
            assert abs(client.clock_skew) < A_CENTURY

    holds()
    print(f"{cases:,} answers to {name}")  # noqa: T201 - for docs/reliability.md
