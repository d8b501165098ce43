"""What the client makes of the API's errors, and what never gets out with them or into a log."""

import json
import logging
import os
import traceback
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from pulumi_avn_token.client import Client
from pulumi_avn_token.emulator import Emulator, Fault
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
from tests.account import Observer
from tests.contract.servers import (
    CREDENTIAL,
    DROPPED,
    EVERYTHING,
    ISSUED,
    ME,
    SOURCE,
    SPEC,
    Answer,
    Clients,
    Server,
    assert_hidden,
    closed_port,
    cut,
    failure,
    http,
    page,
    raw,
    refusal,
    said,
    token_object,
)

PREFIX = "a+b/c"
CALLS: dict[str, Callable[[Client], object]] = {
    "create": lambda client: client.create(SPEC),
    "expire_tokens": lambda client: client.expire_tokens(),
    "list_tokens": lambda client: client.list_tokens(),
    "me": lambda client: client.me(),
    "update": lambda client: client.update(PREFIX, "new"),
    "revoke": lambda client: client.revoke(PREFIX),
}
NAMED = {
    "create": "creating a token",
    "expire_tokens": "expiring all tokens",
    "list_tokens": "listing the tokens",
    "me": "asking whose credential it is",
    "update": f"updating token {PREFIX}",
    "revoke": f"revoking token {PREFIX}",
}
"""What an error calls the call."""
NEW_CREDENTIAL = "expired, was revoked, or is wrong"
POLICY = "policy forbids personal tokens"
ADDRESS = "address is not allowed"

every_call = pytest.mark.parametrize("name", CALLS)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of whoever runs the tests."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


def refused(clients: Clients, kind: type[ApiError], answer: Answer, name: str) -> str:
    """The message of a call's error at this answer; it begins with what failed."""
    with Server(answer) as server:
        client = clients.make(server.url)
        message = failure(kind, lambda: CALLS[name](client))
    assert message.startswith(f"{NAMED[name]} failed")
    return message


# -- the API's own errors


@every_call
@pytest.mark.parametrize(
    ("status", "words", "code", "kind", "meaning"),
    [
        (401, "Missing (expired) db token", None, AuthenticationError, NEW_CREDENTIAL),
        (401, "Invalid token", None, AuthenticationError, NEW_CREDENTIAL),
        (403, "Authentication failed", "authentication_failed", AuthenticationError, NEW_CREDENTIAL),
        (403, "No", "user_personal_token_not_allowed", ForbiddenError, POLICY),
        (403, "No", "action_forbidden_for_managed_users", ForbiddenError, POLICY),
        (400, "No", "action_forbidden_for_managed_users", ForbiddenError, POLICY),
        (403, "No", "api_client_ip_allowlist_blocks_caller", ForbiddenError, ADDRESS),
        (401, "No", "api_client_ip_allowlist_blocks_caller", ForbiddenError, ADDRESS),
        (403, "No", "client_ip_address_policy_violation", ForbiddenError, ADDRESS),
        (403, "Something else", "never_heard_of", ForbiddenError, "another credential"),
        (403, "Something else", None, ForbiddenError, "another credential"),
        (400, "Invalid input for max_age_seconds: too small", None, InvalidRequestError, "does not take it"),
        (409, "A user can have at most 10 access tokens", None, InvalidRequestError, "does not take it"),
        (413, "Too large", None, InvalidRequestError, "does not take it"),
        (422, "Never heard of it", "never_heard_of", InvalidRequestError, "does not take it"),
        (429, "Rate limit 120 exceeded - try again in 28s", None, RateLimitError, "wait, then run the same command"),
        (500, "Internal server error", None, ServerError, "again later"),
        (501, "Not implemented", "never_heard_of", ServerError, "again later"),
        (503, "Maintenance", None, ServerError, "again later"),
    ],
)
def test_errors_are_told_apart_and_translated(  # noqa: PLR0913 - one row of the document's table
    clients: Clients, name: str, *, status: int, words: str, code: str | None, kind: type[ApiError], meaning: str
) -> None:
    """Each error of the API is its own kind, with the status, Aiven's words, what they mean and what to do."""
    message = refused(clients, kind, refusal(status, words, code), name)
    assert f"({status})" in message
    assert words in message
    assert meaning in message


@pytest.mark.parametrize("status", [401, 403])
def test_error_about_the_credential_says_where_it_came_from(clients: Clients, status: int) -> None:
    """Whoever has several credentials learns which one it is about."""
    for code in ("authentication_failed", "api_client_ip_allowlist_blocks_caller", None):
        kind = ForbiddenError if code != "authentication_failed" and (code or status == 403) else AuthenticationError
        assert SOURCE in refused(clients, kind, refusal(status, "no", code), "me")


@pytest.mark.parametrize("name", ["list_tokens", "revoke"])
@pytest.mark.parametrize(("status", "kind"), [(401, AuthenticationError), (403, ForbiddenError)])
def test_error_without_a_list_is_read_by_its_message(
    clients: Clients, name: str, status: int, kind: type[ApiError]
) -> None:
    """`errors` may be absent, empty or no list: the one message counts."""
    others: list[dict[str, object]] = [{}, {"errors": []}, {"errors": None}, {"errors": "no"}, {"errors": ["no"]}]
    for extra in others:
        message = refused(clients, kind, said({"message": "No entry", **extra}, status), name)
        assert "No entry" in message


@pytest.mark.parametrize("name", ["create", "list_tokens", "revoke"])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 407])
@pytest.mark.parametrize(
    "body",
    [
        b"<html>no</html>",
        b"",
        b"[]",
        b'"no"',
        b"null",
        b"{}",
        b'{"detail": "no"}',
        b'{"message": {"errors": 1}}',
        b"\xff",
    ],
    ids=["html", "empty", "list", "string", "null", "object", "other-json", "odd-message", "bytes"],
)
def test_error_that_is_not_the_apis_is_no_verdict(clients: Clients, name: str, status: int, body: bytes) -> None:
    """A proxy's 401, 403 or 404 says nothing about the credential or the token."""
    message = refused(clients, UnexpectedAnswerError, raw(http(status, body), "keep"), name)
    assert str(status) in message
    assert "AIVEN_WEB_URL" in message


@every_call
@pytest.mark.parametrize("body", [b"<html>no</html>", b"", b"[]", b"{}", b"\xff"], ids=repr)
@pytest.mark.parametrize(("status", "kind"), [(429, RateLimitError), (500, ServerError), (502, ServerError)])
def test_proxys_own_error_is_told_by_its_status(
    clients: Clients, name: str, status: int, kind: type[ApiError], body: bytes
) -> None:
    """Status 429 and those from 500 on mean the same whoever says it."""
    assert f"({status})" in refused(clients, kind, raw(http(status, body), "keep"), name)


# -- the absence of a token


@pytest.mark.parametrize("name", ["update", "revoke"])
def test_token_that_is_gone_is_not_found(clients: Clients, name: str) -> None:
    """A 404 in the API's shape, to a call that names a token, proves its absence; the prefix is in the error."""
    message = refused(clients, TokenNotFoundError, refusal(404, "Access token not found"), name)
    assert PREFIX in message
    assert "Access token not found" in message


def test_token_that_is_gone_is_not_found_in_the_account(
    emulator: Emulator, observer: Observer, clients: Clients
) -> None:
    """Likewise in the emulated account."""
    made = observer.make("to go")
    observer.revoke(made["token_prefix"])
    name = made["token_prefix"]
    client = clients.make(emulator.url, emulator.token)
    for call in (lambda: client.revoke(name), lambda: client.update(name, "new")):
        message = failure(TokenNotFoundError, call, emulator.token, made["full_token"])
        assert made["token_prefix"] in message


@pytest.mark.parametrize("name", ["create", "expire_tokens", "list_tokens", "me"])
def test_404_to_a_call_that_names_no_token_proves_no_absence(clients: Clients, name: str) -> None:
    """Where no token was asked for, a 404 is about the URL."""
    message = refused(clients, UnexpectedAnswerError, refusal(404, "Not found"), name)
    assert "AIVEN_WEB_URL" in message


@pytest.mark.parametrize("name", ["update", "revoke"])
def test_404_without_the_apis_errors_proves_no_absence(clients: Clients, name: str) -> None:
    """A gateway's `message` alone is not the API's answer: only its list of errors is."""
    refused(clients, UnexpectedAnswerError, said({"message": "no Route matched with those values"}, 404), name)


@pytest.mark.parametrize(
    "answer",
    [
        {"errors": [], "message": "no route matched"},
        {"errors": None, "message": "no route matched"},
        {"errors": "no route matched", "message": "Not Found"},
        {"errors": {"detail": "no such page"}, "message": "Not Found"},
        {"errors": [{"status": "404", "title": "Not Found"}]},
        {"errors": [{}]},
    ],
    ids=["empty", "null", "text", "object", "json-api", "empty-object"],
)
def test_404_of_another_service_proves_no_absence(clients: Clients, answer: object) -> None:
    """Other services have `errors` too: only a list of errors with messages and this status is the API's."""
    refused(clients, UnexpectedAnswerError, said(answer, 404), "revoke")


# -- answers that are none


@every_call
@pytest.mark.parametrize(
    "body",
    [
        b"<html><body>Welcome</body></html>",
        b"[]",
        b'"text"',
        b"5",
        b"null",
        b"{",
        b"{}{}",
        b"\xff\xfe\xfd",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=["html", "list", "text", "number", "null", "cut", "two", "bytes", "deep-list", "deep-object"],
)
def test_success_that_is_no_json_object_is_none(clients: Clients, name: str, body: bytes) -> None:
    """A page, or JSON that is no object, is never a success: not even of a call that expects nothing."""
    message = refused(clients, UnexpectedAnswerError, raw(http(200, body), "keep"), name)
    assert "not JSON" in message


@pytest.mark.parametrize("name", ["create", "list_tokens", "me", "update"])
@pytest.mark.parametrize("status", [200, 204])
def test_empty_success_is_none_where_something_was_asked(clients: Clients, name: str, status: int) -> None:
    """A call that expects an answer does not do without."""
    refused(clients, UnexpectedAnswerError, raw(http(status, b""), "keep"), name)


@pytest.mark.parametrize("answer", [(200, b""), (204, b""), (200, b"{}"), (200, b'{"message": "Revoked"}')], ids=repr)
def test_revocation_needs_no_answer(clients: Clients, answer: tuple[int, bytes]) -> None:
    """An empty body is a success of DELETE, with 200 and 204, and one that says so is told from it."""
    with Server(raw(http(*answer), "keep")) as server:
        assert clients.make(server.url).revoke(PREFIX) == (b"Revoked" in answer[1])
    assert len(server.requests) == 1


def test_revocation_answered_by_a_page_is_none(emulator: Emulator, observer: Observer, clients: Clients) -> None:
    """A page with status 200 in the answer's place leaves the token alive, and is an error."""
    made = observer.make("to go")
    emulator.faults = [Fault(kind="html", method="DELETE")]
    client = clients.make(emulator.url, emulator.token)
    failure(UnexpectedAnswerError, lambda: client.revoke(made["token_prefix"]), emulator.token, made["full_token"])
    assert observer.works(made["full_token"])


@every_call
@pytest.mark.parametrize("error", [True, "broken", {"message": "x"}, [1]], ids=repr)
def test_success_with_an_error_in_it_is_none(clients: Clients, name: str, error: object) -> None:
    """A truthy `error` in an answer with status 200 makes it a failure, with the answer's message in it."""
    answer = said({**token_object(), **ME, "tokens": [], "error": error, "message": "half done"})
    assert "half done" in refused(clients, ServerError, answer, name)


@every_call
@pytest.mark.parametrize("error", [None, False, "", 0, []], ids=repr)
def test_success_with_no_error_in_it_is_one(clients: Clients, name: str, error: object) -> None:
    """A falsy `error` is none."""
    with Server(said({**token_object(), **ME, "tokens": [], "full_token": ISSUED, "error": error})) as server:
        CALLS[name](clients.make(server.url))


# -- what an error is made of


@pytest.mark.parametrize(
    "words",
    [
        "\x1b[31mred\x1b[0m",
        "two\r\nlines",
        "a\x00b\x07c\x9bd",
        "\u202eright to left\u2066",
        "line\u2028separator",
        "x" * 99_999,
        "word " * 9_999,
        "",
        "{words} {source} %s %(x)s",
        "🔑" * 500,
    ],
    ids=["ansi", "lines", "control", "bidi", "separator", "long-word", "long", "nothing", "format", "wide"],
)
@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_words_of_the_server_are_made_fit_for_a_terminal(clients: Clients, words: str, status: int) -> None:
    """One short line of printable characters, whatever the server says."""
    body = {"errors": [{"message": words, "status": status}], "message": words}
    kinds = {400: InvalidRequestError, 401: AuthenticationError, 429: RateLimitError, 500: ServerError}
    message = refused(clients, kinds[status], said(body, status), "revoke")
    assert len(message) < 600


@pytest.mark.parametrize("message", [None, 5, {"a": 1}, ["x"]], ids=repr)
def test_error_whose_message_is_no_text_is_one_all_the_same(clients: Clients, message: object) -> None:
    """What cannot be read is left out, and the status still counts."""
    answer = said({"errors": [{"message": message, "error_code": ["x"], "more_info": {}}]}, 401)
    assert "no reason given" in refused(clients, AuthenticationError, answer, "me")


def test_first_code_that_is_known_counts(clients: Clients) -> None:
    """Of several errors the first known code tells the kind, and the first message is shown."""
    errors = [
        {"message": "first", "status": 403, "error_code": "never_heard_of"},
        {"message": "second", "status": 403, "error_code": "user_personal_token_not_allowed"},
    ]
    message = refused(clients, ForbiddenError, said({"errors": errors, "message": "first"}, 403), "create")
    assert POLICY in message
    assert "first" in message


@every_call
@pytest.mark.parametrize(
    "spelt",
    [
        str,
        lambda secret: f"aivenv1 {secret}",
        lambda secret: f"'{secret}'",
        lambda secret: "\n".join(secret[at : at + 76] for at in range(0, len(secret), 76)),
        lambda secret: secret.replace("+", "-").replace("/", "_"),
        "\u200b".join,
        lambda secret: secret[13:],
        lambda secret: json.dumps([secret]),
    ],
    ids=["plain", "header", "quoted", "folded", "url-safe", "zero-width", "tail", "json"],
)
def test_secret_in_the_servers_words_is_left_out(clients: Clients, name: str, spelt: Callable[[str], str]) -> None:
    """A server that repeats the credential, or the token it made, in its message does not get it into an error."""
    for secret in (CREDENTIAL, ISSUED):
        for body in (
            {"errors": [{"message": spelt(secret), "status": 400}], "message": spelt(secret)},
            {"errors": [{"message": f"no: {spelt(secret)}", "status": 400}], "message": "no"},
            {"message": spelt(secret)},
        ):
            refused(clients, InvalidRequestError, said(body, 400), name)


@pytest.mark.parametrize(
    "spelt",
    [lambda secret: quote(secret, safe=""), lambda secret: secret.replace("/", "\\/")],
    ids=["percent", "backslash"],
)
def test_escaped_secret_in_the_servers_words_is_left_out(clients: Clients, spelt: Callable[[str], str]) -> None:
    """Nor does one that is percent-encoded, as in a path, or escaped, as in JSON within JSON."""
    secret = "/".join(ISSUED[at : at + 20].replace("/", "x").replace("+", "y") for at in range(12, 320, 20))
    words = f"nothing at {spelt(secret)}"
    with Server(said({"errors": [{"message": words, "status": 404}], "message": words}, 404)) as server:
        client = clients.make(server.url)
        failure(TokenNotFoundError, lambda: client.revoke(PREFIX), secret)


def test_short_credential_in_the_servers_words_is_left_out(clients: Clients) -> None:
    """A credential is known by itself, however short it is."""
    credential = ISSUED[20:40]
    words = f"no such token: aivenv1 {credential}, '{credential}'"
    with Server(said({"errors": [{"message": words, "status": 401}], "message": words}, 401)) as server:
        message = failure(AuthenticationError, clients.make(server.url, credential).me, credential)
    assert message.count("[secret]") == 2


@every_call
def test_page_that_shows_the_request_is_left_out(clients: Clients, name: str) -> None:
    """Nothing of a page gets into an error, not even a word."""
    for status, kind in ((200, UnexpectedAnswerError), (404, UnexpectedAnswerError), (503, ServerError)):
        body = f"<html>marker {CREDENTIAL} {ISSUED}</html>".encode()
        assert "marker" not in refused(clients, kind, raw(http(status, body), "keep"), name)


def test_traceback_shows_no_error_of_a_library(clients: Clients) -> None:
    """What a terminal shows of an error is the package's own alone."""
    client = clients.make(f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(UnreachableError) as caught:
        client.me()
    assert "".join(traceback.format_exception(caught.value)).count("Traceback") == 1


@pytest.mark.parametrize("answer", [DROPPED, cut(EVERYTHING)], ids=["dropped", "cut"])
def test_no_request_hangs_on_an_error(clients: Clients, answer: Answer) -> None:
    """An error does not carry the library's one along, whose `request` holds the Authorization header."""
    with Server(answer) as server, pytest.raises(AnswerLostError) as caught:
        clients.make(server.url).me()
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_client_shows_no_credential(clients: Clients) -> None:
    """Neither a client nor its credential shows it where it is printed."""
    client = clients.make("http://127.0.0.1:1")
    for text in (repr(client), str(client), repr(client._credential)):  # noqa: SLF001 - what a debugger would show
        assert_hidden(CREDENTIAL, text)


# -- what gets into logs


class _Log(logging.Handler):
    """Keeps all that a log could be made of."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {self.format(record)} {record.args!r} {record.exc_info!r}")


@pytest.fixture
def log() -> Iterator[_Log]:
    """The log of everything, with nothing left out."""
    root, handler = logging.getLogger(), _Log()
    levels = {logger: logger.level for logger in (root, logging.getLogger("urllib3"), logging.getLogger("requests"))}
    root.addHandler(handler)
    for logger in levels:
        logger.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    for logger, level in levels.items():
        logger.setLevel(level)


ANSWERS: dict[str, Answer] = {
    "success": EVERYTHING,
    "401": refusal(401, "Invalid token"),
    "429": refusal(429, "slow down"),
    "503": page(503),
    "redirect": page(302, {"Location": f"http://127.0.0.1:1/{CREDENTIAL}"}),
    "dropped": DROPPED,
    "cut": cut(EVERYTHING),
    "no-http": raw(CREDENTIAL.encode() + b"\r\n\r\n"),
    "bad-header": raw(b"HTTP/1.1 200 OK\r\nX: y\r\n" + CREDENTIAL.encode() + b"\r\nContent-Length: 2\r\n\r\n{}"),
}


@every_call
@pytest.mark.parametrize("answer", [name for name in ANSWERS if name not in {"no-http", "bad-header"}])
def test_no_secret_gets_into_a_log(clients: Clients, log: _Log, name: str, answer: str) -> None:
    """With every library logging all it can, neither the credential nor a new token is in it."""
    _provoke(clients, ANSWERS[answer], CALLS[name])
    assert log.lines
    for line in log.lines:
        assert_hidden(CREDENTIAL, line)
        assert_hidden(ISSUED, line)


def test_no_secret_gets_into_a_log_where_nobody_listens(clients: Clients, log: _Log) -> None:
    """Nor where no connection comes about."""
    client = clients.make(f"http://127.0.0.1:{closed_port()}")
    for call in CALLS.values():
        with pytest.raises(UnreachableError):
            call(client)
    for line in log.lines:
        assert_hidden(CREDENTIAL, line)


def test_full_token_in_place_of_a_prefix_is_refused(clients: Clients, log: _Log) -> None:
    """A secret goes into no URL, which proxies and libraries log: it is refused without a request, and not shown."""
    with Server(said({})) as server:
        client = clients.make(server.url)
        for call in (lambda: client.update(ISSUED, "new"), lambda: client.revoke(ISSUED)):
            message = failure(InvalidRequestError, call)
            assert ISSUED[:12] in message
    assert server.requests == []
    for line in log.lines:
        assert_hidden(ISSUED, line)


def _provoke(clients: Clients, answer: Answer, call: Callable[[Client], object]) -> Any:
    with Server(answer) as server:
        try:
            return call(clients.make(server.url))
        except ApiError as error:
            return error
