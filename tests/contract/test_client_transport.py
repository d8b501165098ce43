"""What lies between the client and the API: repeats, proxies, TLS, and what the environment may not do."""

import email.utils
import gzip
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
import tracemalloc
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, cast

import pytest

from pulumi_avn_token import client as client_module
from pulumi_avn_token.client import LARGEST_ANSWER_BYTES, Client
from pulumi_avn_token.emulator import Emulator, Fault
from pulumi_avn_token.errors import (
    AnswerLostError,
    ApiError,
    InvalidRequestError,
    RateLimitError,
    ServerError,
    TokenNotFoundError,
    UnexpectedAnswerError,
    UnreachableError,
)
from pulumi_avn_token.retry import BACKOFF_SECONDS, JITTER_SECONDS, LONGEST_WAIT_SECONDS, TRIES_AGAIN
from tests.account import Observer
from tests.contract.servers import (
    CREDENTIAL,
    DROPPED,
    EVERYTHING,
    ISSUED,
    ME,
    SILENT,
    SPEC,
    Answer,
    Clients,
    ConnectProxy,
    Reply,
    Server,
    assert_hidden,
    closed_port,
    cut,
    draw_token,
    failure,
    http,
    page,
    raw,
    refusal,
    said,
    token_object,
)

CALLS: dict[str, Callable[[Client], object]] = {
    "create": lambda client: client.create(SPEC),
    "expire_tokens": lambda client: client.expire_tokens(),
    "list_tokens": lambda client: client.list_tokens(),
    "me": lambda client: client.me(),
    "update": lambda client: client.update("prefix", "new"),
    "revoke": lambda client: client.revoke("prefix"),
}
POSTS = ("create", "expire_tokens")
REPEATED = ("list_tokens", "me", "update", "revoke")
MAYBE_MADE = "may have been made"
BACKOFFS = [0, *(BACKOFF_SECONDS * 2**n for n in range(1, TRIES_AGAIN))]
"""Seconds before each repeat, jitter apart."""

every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
repeated_calls = pytest.mark.parametrize("call", [CALLS[name] for name in REPEATED], ids=REPEATED)
posts = pytest.mark.parametrize("call", [CALLS[name] for name in POSTS], ids=POSTS)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No proxy, no CA bundle and no netrc of whoever runs the tests."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def _certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that nobody but itself vouches for, and its key, in one file."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not there to make a certificate")
    key, certificate, both = folder / "key.pem", folder / "certificate.pem", folder / "both.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-addext", "keyUsage=critical,digitalSignature,keyCertSign"),
        ],
        check=True,
        capture_output=True,
        timeout=20,
    )
    both.write_text(key.read_text() + certificate.read_text())
    return both


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The TLS servers' certificate, which is its own CA bundle."""
    return _certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def other_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA bundle in which the TLS servers' certificate is not."""
    return _certificate(tmp_path_factory.mktemp("other-tls"))


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    """What a server needs to speak TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def assert_waited(waits: list[float], *least: float) -> None:
    """The waits were these, each with its jitter."""
    assert len(waits) == len(least)
    for waited, seconds in zip(waits, least, strict=True):
        assert seconds <= waited <= seconds + JITTER_SECONDS


# -- repeats of what does no harm


@pytest.mark.parametrize("fault", ["502", "503", "504", "429", "drop_before", "drop_after", "truncated"])
@pytest.mark.parametrize("name", ["list_tokens", "me", "update"])
def test_harmless_call_is_repeated_until_it_works(
    emulator: Emulator, observer: Observer, clients: Clients, name: str, fault: str
) -> None:
    """Two failures between the caller and the API are two waits and a success at the third request."""
    prefix = observer.make("old")["token_prefix"]
    client = clients.make(emulator.url, emulator.token)
    calls: dict[str, Callable[[], object]] = {
        "list_tokens": client.list_tokens,
        "me": client.me,
        "update": lambda: client.update(prefix, "new"),
    }
    emulator.clear_requests()
    emulator.faults = [_fault(fault, times=2)]
    assert calls[name]()
    assert len(emulator.requests) == 3
    assert len({(request.method, request.path) for request in emulator.requests}) == 1
    if fault == "truncated":
        assert all(BACKOFF_SECONDS <= waited <= 2 * BACKOFF_SECONDS + JITTER_SECONDS for waited in clients.waits)
        assert len(clients.waits) == 2
    else:
        assert_waited(clients.waits, *((0, 1) if fault != "429" else (3, 3)))
    assert list(observer.tokens()) == ["new" if name == "update" else "old"]


@pytest.mark.parametrize("fault", ["502", "503", "504", "429", "drop_before"])
def test_revocation_is_repeated_until_it_works(
    emulator: Emulator, observer: Observer, clients: Clients, fault: str
) -> None:
    """A revocation that did not reach the account is asked for again."""
    made = observer.make("to go")
    emulator.clear_requests()
    emulator.faults = [_fault(fault, times=2)]
    clients.make(emulator.url, emulator.token).revoke(made["token_prefix"])
    assert len(emulator.requests) == 3
    assert not observer.works(made["full_token"])


@pytest.mark.parametrize("fault", ["drop_after", "truncated", "502 after the change"])
def test_revocation_whose_answer_was_lost_is_a_token_that_is_gone(
    emulator: Emulator, observer: Observer, clients: Clients, fault: str
) -> None:
    """The repeat finds no such token, which is what the caller wanted to hear."""
    made = observer.make("to go")
    emulator.clear_requests()
    emulator.faults = [_fault(fault, times=1)]
    client = clients.make(emulator.url, emulator.token)
    failure(TokenNotFoundError, lambda: client.revoke(made["token_prefix"]), emulator.token, made["full_token"])
    assert [request.method for request in emulator.requests] == ["DELETE", "DELETE"]
    assert not observer.works(made["full_token"])


def _fault(name: str, *, times: int | None = None) -> Fault:
    if name[:3].isdigit():
        return Fault(
            kind="status", status=int(name[:3]), times=times, after_change="after" in name, retry_after_seconds=3
        )
    return Fault(kind=cast("Any", name), times=times)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (page(502), ServerError),
        (page(503), ServerError),
        (page(504), ServerError),
        (refusal(503, "maintenance"), ServerError),
        (refusal(429, "too many requests"), RateLimitError),
        (page(429), RateLimitError),
        (DROPPED, AnswerLostError),
        (raw(b"HTTP/1.1 20"), AnswerLostError),
        (raw(b"no http at all\r\n\r\n"), AnswerLostError),
    ],
    ids=["502", "503", "504", "503-json", "429", "429-page", "dropped", "head-cut", "no-http"],
)
@repeated_calls
def test_harmless_call_gives_up_after_its_tries(
    clients: Clients, answer: Answer, kind: type[ApiError], call: Callable[[Client], object]
) -> None:
    """What stays broken is asked for six times, with waits that double, and then reported."""
    with Server(answer) as server:
        client = clients.make(server.url)
        message = failure(kind, lambda: call(client))
    assert len(server.requests) == 1 + TRIES_AGAIN
    assert len(set(server.lines)) == 1
    assert_waited(clients.waits, *BACKOFFS)
    assert MAYBE_MADE not in message


@repeated_calls
def test_answer_that_keeps_breaking_off_is_given_up(clients: Clients, call: Callable[[Client], object]) -> None:
    """A body that ends too early is asked for six times, with waits between, and then reported."""
    with Server(cut(EVERYTHING)) as server:
        client = clients.make(server.url)
        failure(AnswerLostError, lambda: call(client))
    assert len(server.requests) == 1 + TRIES_AGAIN
    assert len(clients.waits) == TRIES_AGAIN
    assert all(0 < waited <= LONGEST_WAIT_SECONDS for waited in clients.waits)


@repeated_calls
def test_chunked_answer_that_breaks_off_is_repeated(clients: Clients, call: Callable[[Client], object]) -> None:
    """An answer without a length is known to be cut by the chunk that is missing."""
    chunk = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{"tokens": []'
    with Server(raw(chunk), EVERYTHING) as server:
        call(clients.make(server.url))
    assert len(server.requests) == 2


@every_call
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 500, 501])
@pytest.mark.parametrize("asks", [{}, {"Retry-After": "1"}], ids=["bare", "retry-after"])
def test_what_the_api_says_is_not_asked_again(
    clients: Clients, call: Callable[[Client], object], status: int, asks: dict[str, str]
) -> None:
    """An error that the API itself gives, a 500 too, is reported at the first request."""
    with Server(refusal(status, "no", headers=asks)) as server:
        client = clients.make(server.url)
        failure_of(call, client)
    assert len(server.requests) == 1
    assert clients.waits == []


def failure_of(call: Callable[[Client], object], client: Client) -> str:
    """The message of whatever error a call raises."""
    with pytest.raises(ApiError) as caught:
        call(client)
    error = caught.value

    def again() -> None:
        raise error

    return failure(type(error), again)


# -- how long it waits


@pytest.mark.parametrize("name", ["create", "list_tokens"])
@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("60", 60),
        ("0", 0),
        ("soon", 0),
        ("1.5", 0),
        ("-5", 0),
        ("9" * 5000, 0),
        ("nan", 0),
        ("inf", 0),
        ("\xb2", 0),
        ("Fri, 99 Foo 2026 99:99:99 GMT", 0),
        ("Fri, 31 Dec 9999999999999999999 23:59:59 GMT", 0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_rate_limit_is_waited_for_as_its_header_asks(
    clients: Clients, name: str, retry_after: str, seconds: float
) -> None:
    """Retry-After is waited for, and what is no Retry-After is as good as none; the POST is repeated too."""
    with Server(refusal(429, "slow down", headers={"Retry-After": retry_after}), EVERYTHING) as server:
        CALLS[name](clients.make(server.url))
    assert len(server.requests) == 2
    assert_waited(clients.waits, seconds)


@pytest.mark.parametrize("name", ["create", "list_tokens"])
def test_rate_limit_is_waited_for_until_its_date(emulator: Emulator, clients: Clients, name: str) -> None:
    """Retry-After may be a date."""
    emulator.faults = [Fault(kind="status", status=429, retry_after="http-date", retry_after_seconds=40, times=1)]
    CALLS[name](clients.make(emulator.url, emulator.token))
    assert len(emulator.requests) == 2
    (waited,) = clients.waits
    assert 38 < waited <= 40 + JITTER_SECONDS


@pytest.mark.parametrize("name", ["create", "list_tokens", "update", "revoke", "expire_tokens"])
@pytest.mark.parametrize("retry_after", ["61", "3600", "9" * 400, "date"], ids=lambda value: value[:8])
def test_rate_limit_longer_than_is_worth_waiting_is_told_at_once(clients: Clients, name: str, retry_after: str) -> None:
    """Who asks for more than a minute is not waited for: one request, no wait, and an error that says what to do."""
    if retry_after == "date":
        retry_after = email.utils.formatdate(time.time() + LONGEST_WAIT_SECONDS + 30, usegmt=True)
    with Server(refusal(429, "slow down", headers={"Retry-After": retry_after})) as server:
        client = clients.make(server.url)
        message = failure(RateLimitError, lambda: CALLS[name](client))
    assert len(server.requests) == 1
    assert clients.waits == []
    assert "wait, then run the same command again" in message
    assert MAYBE_MADE not in message


@pytest.mark.parametrize("name", ["create", "list_tokens"])
def test_rate_limit_is_waited_for_as_its_message_asks(emulator: Emulator, clients: Clients, name: str) -> None:
    """Without a header the limiter's words tell how long."""
    emulator.faults = [Fault(kind="status", status=429, retry_after_seconds=28, times=2)]
    CALLS[name](clients.make(emulator.url, emulator.token))
    assert len(emulator.requests) == 3
    assert_waited(clients.waits, 28, 28)


@pytest.mark.parametrize(
    "body",
    [
        b"try again in 28s",
        b"<html>Rate limit 120 exceeded - try again in 28 s</html>",
        b"try again in 28s" + b"." * 99999,
    ],
    ids=["text", "page", "long"],
)
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
@pytest.mark.parametrize("header", [{}, {"Retry-After": "soon"}], ids=["bare", "garbage"])
def test_rate_limit_is_read_from_any_body(clients: Clients, body: bytes, encoding: str, header: dict[str, str]) -> None:
    """The limiter's words are found in text, pages and compressed answers, and where the header is garbage."""
    sent = gzip.compress(body) if encoding == "gzip" else body
    with Server(raw(http(429, sent, {"Content-Encoding": encoding, **header}), "keep"), EVERYTHING) as server:
        clients.make(server.url).me()
    assert len(server.requests) == 2
    assert_waited(clients.waits, 28)


@pytest.mark.parametrize(
    "limit",
    [
        raw(http(429, b"no gzip", {"Content-Encoding": "gzip"}), "keep"),
        cut(refusal(429, "slow down")),
        raw(http(429, b""), "keep"),
        raw(http(429, b"\xff\xfe try again in s"), "keep"),
    ],
    ids=["gzip", "cut", "empty", "bytes"],
)
@pytest.mark.parametrize("name", ["create", "list_tokens"])
def test_rate_limit_that_cannot_be_read_is_one_all_the_same(clients: Clients, name: str, limit: Answer) -> None:
    """The status alone is reason enough to come again."""
    with Server(limit, EVERYTHING) as server:
        CALLS[name](clients.make(server.url))
    assert len(server.requests) == 2
    assert_waited(clients.waits, 0)


def test_rate_limit_asking_for_long_in_its_message_never_waits_longer_than_a_minute(clients: Clients) -> None:
    """No wait between two tries is longer than is worth it, wherever the number comes from."""
    with Server(refusal(429, "try again in 9999s")) as server:
        failure(RateLimitError, clients.make(server.url).me)
    assert all(waited <= LONGEST_WAIT_SECONDS + JITTER_SECONDS for waited in clients.waits)
    assert len(server.requests) <= 1 + TRIES_AGAIN


def test_rate_limit_asking_for_long_in_its_message_is_told_at_once(clients: Clients) -> None:
    """More than a minute is more than a minute, in the message as in the header."""
    with Server(refusal(429, "try again in 9999s")) as server:
        failure(RateLimitError, clients.make(server.url).me)
    assert len(server.requests) == 1


def test_unavailable_service_is_waited_for_as_it_asks(clients: Clients) -> None:
    """A 503 may ask for a wait too, which is kept where it is the longer one."""
    asking = page(503, {"Retry-After": "5"})
    with Server(asking, page(503), page(503), page(503, {"Retry-After": "1"}), EVERYTHING) as server:
        clients.make(server.url).me()
    assert len(server.requests) == 5
    assert_waited(clients.waits, 5, 1, 2, 4)


def test_rate_limit_without_end_is_reported(emulator: Emulator, observer: Observer, clients: Clients) -> None:
    """A POST too is repeated on 429 until its tries are used up, and nothing was made meanwhile."""
    emulator.faults = [Fault(kind="status", status=429, retry_after="seconds", retry_after_seconds=2, call="create")]
    client = clients.make(emulator.url, emulator.token)
    message = failure(RateLimitError, lambda: client.create(SPEC), emulator.token)
    assert observer.provider_requests() == ["POST /v1/access_token"] * (1 + TRIES_AGAIN)
    assert_waited(clients.waits, *(max(2, backoff) for backoff in BACKOFFS))
    assert MAYBE_MADE not in message
    assert observer.tokens() == {}


def test_waits_differ_from_client_to_client(clients: Clients) -> None:
    """Jitter keeps many clients from coming back all at once."""
    with Server(refusal(429, "try again in 5s")) as server:
        client = clients.make(server.url)
        failure(RateLimitError, client.me)
    assert len(set(clients.waits)) == TRIES_AGAIN


# -- the POST


@pytest.mark.parametrize("after_change", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("500", ServerError),
        ("502", ServerError),
        ("503", ServerError),
        ("504", ServerError),
        ("html", UnexpectedAnswerError),
        ("drop", AnswerLostError),
        ("truncated", AnswerLostError),
        ("empty", UnexpectedAnswerError),
    ],
)
def test_creation_is_asked_for_once_where_it_may_have_been_done(  # noqa: PLR0913 - fixtures and two parameters
    emulator: Emulator, observer: Observer, clients: Clients, fault: str, kind: type[ApiError], *, after_change: bool
) -> None:
    """Whatever is lost on the way back: one request, no wait, and an error that says that a token may be there."""
    faults: dict[str, Fault] = {
        "html": Fault(kind="html", after_change=after_change),
        "drop": Fault(kind="drop_after" if after_change else "drop_before"),
        "truncated": Fault(kind="truncated"),
        "empty": Fault(kind="empty"),
    }
    emulator.faults = [faults.get(fault) or Fault(kind="status", status=int(fault), after_change=after_change)]
    client = clients.make(emulator.url, emulator.token)
    message = failure(kind, lambda: client.create(SPEC), emulator.token)
    emulator.faults = []
    assert MAYBE_MADE in message
    assert "creating a token" in message
    assert len(observer.tokens()) == (after_change or fault in {"truncated", "empty"})
    assert len(observer.provider_requests()) == 1
    assert clients.waits == []


DOUBTFUL: dict[str, Answer] = {
    "dropped": DROPPED,
    "head-cut": raw(b"HTTP/1.1 20"),
    "no-http": raw(b"no http at all\r\n\r\n"),
    "body-cut": cut(EVERYTHING),
    "chunk-cut": raw(
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{"full_token": "' + ISSUED[:9].encode()
    ),
    "no-gzip": raw(http(200, b"no gzip", {"Content-Encoding": "gzip"}), "keep"),
    "text": raw(http(200, ISSUED.encode()), "keep"),
    "half-json": raw(http(200, b'{"full_token": "' + ISSUED.encode()), "keep"),
    "empty": raw(http(200, b""), "keep"),
    "204": raw(http(204, b""), "keep"),
    "list": said([ISSUED]),
    "string": said(ISSUED),
    "page": page(),
    "page-500": page(500),
    "page-502": page(502),
    "page-503": page(503, {"Retry-After": "1"}),
    "page-504": page(504),
    "redirect": page(302, {"Location": "/v1/access_token"}),
    "500": refusal(500, "broken"),
    "error": said({"error": ISSUED, "message": f"half done: {ISSUED}"}),
}
"""Answers that leave open whether something was done."""


@pytest.mark.parametrize("answer", DOUBTFUL.values(), ids=DOUBTFUL.keys())
def test_creation_is_never_repeated_blindly(clients: Clients, answer: Answer) -> None:
    """Nor for any answer that is not plainly a refusal, and what was in it stays out of the error."""
    with Server(answer) as server:
        client = clients.make(server.url)
        message = failure_of(lambda client: client.create(SPEC), client)
    assert server.lines == ["POST /v1/access_token"]
    assert MAYBE_MADE in message
    assert clients.waits == []


@pytest.mark.parametrize(
    "answer",
    [SILENT, raw(http(200, b"{" + b" " * 99)[:-20], "hang"), raw(b"HTTP/1.1 200 OK\r\n", "hang")],
    ids=["silent", "in-body", "in-head"],
)
def test_creation_that_is_not_answered_is_not_repeated(
    clients: Clients, monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    """A server that falls silent costs the timeout and leaves one request."""
    monkeypatch.setattr(client_module, "READ_TIMEOUT_SECONDS", 0.1)
    with Server(answer) as server:
        client = clients.make(server.url)
        message = failure(AnswerLostError, lambda: client.create(SPEC))
        server.wait_for(1)
        assert server.lines == ["POST /v1/access_token"]
    assert MAYBE_MADE in message
    assert clients.waits == []


@posts
@pytest.mark.parametrize("answer", DOUBTFUL.values(), ids=DOUBTFUL.keys())
def test_no_post_is_repeated_blindly(clients: Clients, answer: Answer, call: Callable[[Client], object]) -> None:
    """What ends every token is as little repeated as what makes one."""
    with Server(answer) as server:
        client = clients.make(server.url)
        with suppress(ApiError):  # to whom an empty answer is enough
            call(client)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 409, 422])
def test_creation_that_was_refused_made_nothing(clients: Clients, status: int) -> None:
    """An error of the API's own below 500 does not send anybody looking for a token."""
    with Server(refusal(status, "no")) as server:
        client = clients.make(server.url)
        assert MAYBE_MADE not in failure_of(lambda client: client.create(SPEC), client)


def test_creation_is_repeated_on_a_rate_limit(clients: Clients) -> None:
    """The limiter refuses before anything is done: the very same request comes again."""
    limit = refusal(429, "slow down")
    with Server(limit, limit, said(token_object(full_token=ISSUED))) as server:
        assert clients.make(server.url).create(SPEC).full_token == ISSUED
    assert server.lines == ["POST /v1/access_token"] * 3
    assert {json.loads(request.body)["description"] for request in server.requests} == {"CI deploys"}
    assert_waited(clients.waits, 0, 1)


def test_creation_limited_and_then_lost_is_not_repeated(clients: Clients) -> None:
    """A 429 before does not make a lost answer harmless."""
    with Server(refusal(429, "slow down"), DROPPED) as server:
        client = clients.make(server.url)
        assert MAYBE_MADE in failure(AnswerLostError, lambda: client.create(SPEC))
    assert len(server.requests) == 2


@every_call
def test_call_is_repeated_where_nobody_listens_yet(clients: Clients, call: Callable[[Client], object]) -> None:
    """A refused connection proves that nothing was done: every call comes again, the POST too."""
    port = closed_port()
    with ExitStack() as stack:
        started: list[Server] = []

        def start(seconds: float) -> None:
            clients.waits.append(seconds)
            if len(clients.waits) == 2:
                started.append(stack.enter_context(Server(EVERYTHING, port=port)))

        call(clients.make(f"http://127.0.0.1:{port}", sleep=start))
    assert len(started[0].requests) == 1
    assert_waited(clients.waits, 0, 1)


@every_call
def test_call_where_nobody_listens_is_given_up(clients: Clients, call: Callable[[Client], object]) -> None:
    """Six refused connections are an error that says so, and that nothing was made."""
    port = closed_port()
    client = clients.make(f"http://127.0.0.1:{port}")
    message = failure(UnreachableError, lambda: call(client))
    assert f"127.0.0.1:{port}" in message
    assert "AIVEN_WEB_URL" in message
    assert MAYBE_MADE not in message
    assert_waited(clients.waits, *BACKOFFS)


@every_call
def test_call_that_cannot_connect_in_time_is_given_up(
    clients: Clients, monkeypatch: pytest.MonkeyPatch, call: Callable[[Client], object]
) -> None:
    """A connection that is not accepted costs a timeout a try, and nothing was made."""
    monkeypatch.setattr(client_module, "CONNECT_TIMEOUT_SECONDS", 0.02)
    with socket.socket() as listener, ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):  # more than the queue of those who wait to be accepted takes
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)  # noqa: FBT003 - the standard library's signature
            waiting.connect_ex(listener.getsockname())
        client = clients.make(f"http://127.0.0.1:{listener.getsockname()[1]}")
        message = failure(UnreachableError, lambda: call(client))
    assert MAYBE_MADE not in message
    assert_waited(clients.waits, *BACKOFFS)


@pytest.mark.parametrize("name", CALLS)
def test_silent_server_does_not_hold_up_a_call(clients: Clients, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Every call has a timeout: who accepts and never answers gives a lost answer."""
    monkeypatch.setattr(client_module, "READ_TIMEOUT_SECONDS", 0.02)
    count = 1 if name in POSTS else 1 + TRIES_AGAIN
    with Server(SILENT) as server:
        client = clients.make(server.url)
        failure(AnswerLostError, lambda: CALLS[name](client))
        server.wait_for(count)
        assert len(server.requests) == len({request.connection for request in server.requests}) == count
    assert len(clients.waits) == count - 1


def test_creation_after_the_server_closed_the_connection_is_made_once(clients: Clients) -> None:
    """A kept connection that the server has closed is not used, or the POST fails; it is never sent twice."""

    def answer_and_close(request: Any) -> Reply:
        return Reply(EVERYTHING(request).data, "close")

    with Server(answer_and_close) as server:
        client = clients.make(server.url)
        client.me()
        time.sleep(0.05)  # what the server's farewell takes over loopback, and more
        assert client.create(SPEC).full_token == ISSUED
        posts = [request for request in server.requests if request.line.startswith("POST")]
    assert [request.connection for request in posts] == [1]
    assert clients.waits == []


def test_creation_over_a_connection_that_closes_meanwhile_is_not_repeated(clients: Clients) -> None:
    """A kept connection that ends under the POST leaves it in doubt: one request, and an error that says so."""
    with Server(EVERYTHING, DROPPED, EVERYTHING) as server:
        client = clients.make(server.url)
        client.me()
        assert MAYBE_MADE in failure(AnswerLostError, lambda: client.create(SPEC))
    assert server.lines == ["GET /v1/me", "POST /v1/access_token"]
    assert {request.connection for request in server.requests} == {0}


# -- redirects and cookies


@every_call
@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_redirect_is_not_followed(clients: Clients, call: Callable[[Client], object], status: int) -> None:
    """Another server, or another path, never gets the credential; the error says what was not done."""
    with Server(EVERYTHING) as other, Server(page(status, {"Location": f"{other.url}/v1/me"})) as server:
        client = clients.make(server.url)
        message = failure(UnexpectedAnswerError, lambda: call(client))
    assert other.requests == []
    assert len(server.requests) == 1
    assert str(status) in message
    assert "redirect" in message
    assert clients.waits == []


def test_redirect_in_the_apis_shape_is_not_followed(clients: Clients) -> None:
    """Nor does it become an error of the API's by its body."""
    with Server(refusal(307, "elsewhere", headers={"Location": "/v1/me"}), EVERYTHING) as server:
        assert "redirect" in failure(UnexpectedAnswerError, clients.make(server.url).list_tokens)
    assert len(server.requests) == 1


def test_cookies_are_not_kept(clients: Clients) -> None:
    """A server's cookie never comes back: threads that share a client share no session."""
    cookie = {"Set-Cookie": "session=abc; Path=/"}
    with Server(said(ME, headers=cookie)) as server:
        client = clients.make(server.url)
        client.me()
        client.me()
    assert all("cookie" not in request.headers for request in server.requests)


# -- what the environment must not do


@pytest.mark.parametrize("place", ["HOME", "NETRC"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_netrc_does_not_replace_the_credential(  # noqa: PLR0913 - fixtures and two parameters
    clients: Clients,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    *,
    place: str,
    scheme: str,
) -> None:
    """A .netrc with this very host in it changes nothing about who asks."""
    netrc = tmp_path / (".netrc" if place == "HOME" else "elsewhere")
    password = draw_token()
    netrc.write_text(f"machine 127.0.0.1 login somebody password {password}\n")
    netrc.chmod(0o600)
    monkeypatch.setenv(place, str(tmp_path if place == "HOME" else netrc))
    tls, bundle = (
        (request.getfixturevalue("tls"), str(request.getfixturevalue("certificate")))
        if scheme == "https"
        else (None, None)
    )
    with Server(EVERYTHING, tls=tls) as server:
        client = clients.make(server.url, ca_bundle=bundle)
        for call in CALLS.values():
            call(client)
    assert len(server.requests) == len(CALLS)
    assert {request.headers["authorization"] for request in server.requests} == {f"aivenv1 {CREDENTIAL}"}


@every_call
def test_plain_http_goes_through_no_proxy(
    clients: Clients, monkeypatch: pytest.MonkeyPatch, call: Callable[[Client], object]
) -> None:
    """What stays on this machine is not carried off by a proxy of the environment."""
    with Server(EVERYTHING) as proxy, Server(EVERYTHING) as server:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        call(clients.make(server.url))
    assert proxy.requests == []
    assert len(server.requests) == 1


def test_https_goes_through_a_proxy_that_sees_no_credential(
    clients: Clients, monkeypatch: pytest.MonkeyPatch, tls: ssl.SSLContext, certificate: Path
) -> None:
    """A proxy of the environment is asked for a tunnel; what goes through is sealed, and every call works."""
    with Server(EVERYTHING, tls=tls) as server, ConnectProxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        client = clients.make(server.url, ca_bundle=str(certificate))
        for call in CALLS.values():
            call(client)
        client.close()
        assert [head.split("\r\n")[0] for head in proxy.heads] == [f"CONNECT 127.0.0.1:{server.port} HTTP/1.0"]
    assert len(server.requests) == len(CALLS)
    assert proxy.passed
    for text in (*proxy.heads, proxy.passed.decode("latin-1")):
        assert "uthorization" not in text
        assert_hidden(CREDENTIAL, text)
        assert_hidden(ISSUED, text)


def test_https_goes_around_the_proxy_where_the_environment_says_so(
    clients: Clients, monkeypatch: pytest.MonkeyPatch, tls: ssl.SSLContext, certificate: Path
) -> None:
    """NO_PROXY holds."""
    with Server(EVERYTHING, tls=tls) as server, ConnectProxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        clients.make(server.url, ca_bundle=str(certificate)).me()
    assert proxy.heads == []


@every_call
@pytest.mark.parametrize("status", [403, 407, 502])
def test_proxy_that_refuses_is_named(
    clients: Clients, monkeypatch: pytest.MonkeyPatch, call: Callable[[Client], object], status: int
) -> None:
    """No tunnel is no request: the error names the proxy's variables and sends nobody looking for a token."""
    password = draw_token()
    with ConnectProxy(http(status, b"")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", f"//user:{password[12:60].replace('/', '_')}@"))
        client = clients.make(f"https://127.0.0.1:{closed_port()}")
        message = failure(UnreachableError, lambda: call(client), password[12:60].replace("/", "_"))
    assert "HTTPS_PROXY" in message
    assert MAYBE_MADE not in message
    assert_hidden(CREDENTIAL, "".join(proxy.heads))


@every_call
def test_proxy_that_is_not_there_is_named(
    clients: Clients, monkeypatch: pytest.MonkeyPatch, call: Callable[[Client], object]
) -> None:
    """A proxy that cannot be reached is tried again, and then named."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
    client = clients.make(f"https://127.0.0.1:{closed_port()}")
    message = failure(UnreachableError, lambda: call(client))
    assert "HTTPS_PROXY" in message
    assert MAYBE_MADE not in message
    assert_waited(clients.waits, *BACKOFFS)


# -- TLS


@every_call
def test_certificate_that_nobody_vouches_for_is_refused(
    clients: Clients, tls: ssl.SSLContext, call: Callable[[Client], object]
) -> None:
    """No request reaches a server that cannot prove who it is; the error names the variable for a private CA."""
    with Server(EVERYTHING, tls=tls) as server:
        client = clients.make(server.url)
        message = failure(UnreachableError, lambda: call(client))
    assert server.requests == []
    assert clients.waits == []
    assert "AIVEN_CA_CERT" in message
    assert MAYBE_MADE not in message


def test_certificate_of_another_host_is_refused(clients: Clients, tls: ssl.SSLContext, certificate: Path) -> None:
    """A trusted certificate for 127.0.0.1 is not one for localhost."""
    with Server(EVERYTHING, tls=tls) as server:
        client = clients.make(server.url.replace("127.0.0.1", "localhost"), ca_bundle=str(certificate))
        failure(UnreachableError, client.me)
    assert server.requests == []


def test_private_ca_is_trusted(clients: Clients, tls: ssl.SSLContext, certificate: Path) -> None:
    """With AIVEN_CA_CERT set to it, every call works over a certificate of one's own."""
    with Server(EVERYTHING, tls=tls) as server:
        client = clients.make(server.url, ca_bundle=str(certificate))
        for call in CALLS.values():
            call(client)
    assert len(server.requests) == len(CALLS)
    assert {request.connection for request in server.requests} == {0}


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_other_ca_variables_do_not_replace_the_private_ca(  # noqa: PLR0913 - fixtures and a parameter
    clients: Clients,
    monkeypatch: pytest.MonkeyPatch,
    tls: ssl.SSLContext,
    certificate: Path,
    other_certificate: Path,
    *,
    name: str,
) -> None:
    """AIVEN_CA_CERT decides alone who is trusted: neither less nor more by what other programs are told."""
    with Server(EVERYTHING, tls=tls) as server:
        monkeypatch.setenv(name, str(other_certificate))
        clients.make(server.url, ca_bundle=str(certificate)).me()
        monkeypatch.setenv(name, str(certificate))
        failure(UnreachableError, clients.make(server.url, ca_bundle=str(other_certificate)).me)
    assert len(server.requests) == 1


@pytest.mark.parametrize("place", ["AIVEN_CA_CERT", "REQUESTS_CA_BUNDLE"])
def test_ca_file_that_is_gone_is_no_lost_answer(clients: Clients, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Where no request can be made since a file of CA certificates is missing, nothing was made."""
    if place == "REQUESTS_CA_BUNDLE":
        monkeypatch.setenv(place, "/nonexistent/ca.pem")
    bundle = "/nonexistent/ca.pem" if place == "AIVEN_CA_CERT" else None
    client = clients.make(f"https://127.0.0.1:{closed_port()}", ca_bundle=bundle)
    assert MAYBE_MADE not in failure(UnreachableError, lambda: client.create(SPEC))


def test_url_that_is_none_is_told(clients: Clients) -> None:
    """What the library cannot make a request of is no lost answer."""
    message = failure(UnreachableError, clients.make("https://*.example.org").me)
    assert "AIVEN_WEB_URL" in message


def test_https_url_of_a_plain_server_is_an_error_without_a_request(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that speaks no TLS never sees the credential."""
    monkeypatch.setattr(client_module, "CONNECT_TIMEOUT_SECONDS", 0.5)
    seen = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as stack:
        port = listener.getsockname()[1]
        client = clients.make(f"https://127.0.0.1:{port}")
        listener.settimeout(5)

        def talk() -> None:
            connection, _ = listener.accept()
            with connection:
                seen.extend(connection.recv(65536))
                connection.sendall(http(400, b"this is plain http"))

        thread = threading.Thread(target=talk)
        thread.start()
        stack.callback(thread.join)
        with pytest.raises(ApiError) as caught:
            client.me()
    assert not isinstance(caught.value, InvalidRequestError)
    assert_hidden(CREDENTIAL, seen.decode("latin-1"))
    assert_hidden(CREDENTIAL, str(caught.value))


@pytest.mark.parametrize("name", CALLS)
def test_answer_without_end_is_given_up(emulator: Emulator, clients: Clients, name: str) -> None:
    """A body of 100 MB is an error in bounded memory, whatever was asked."""
    emulator.faults = [Fault(kind="flood", bytes=100_000_000)]
    client = clients.make(emulator.url, emulator.token)
    tracemalloc.start()
    assert "it is larger than 16 MiB" in failure(UnexpectedAnswerError, lambda: CALLS[name](client))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * LARGEST_ANSWER_BYTES


def test_compressed_answer_without_end_is_given_up(clients: Clients) -> None:
    """A small body that unpacks to 100 MB is no better than a large one."""
    body = gzip.compress(b" " * 100_000_000)
    with Server(raw(http(200, body, {"Content-Encoding": "gzip"}))) as server:
        tracemalloc.start()
        assert "it is larger than" in failure(UnexpectedAnswerError, clients.make(server.url).list_tokens)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 8 * LARGEST_ANSWER_BYTES


def test_large_account_is_listed(clients: Clients) -> None:
    """Ten thousand tokens are far below what is taken for an answer without end."""
    tokens = [token_object(token_prefix=f"{number:012}", description="d" * 100) for number in range(10_000)]
    with Server(said({"tokens": tokens})) as server:
        assert len(clients.make(server.url).list_tokens()) == 10_000
