"""The client's six calls: against the emulator, and byte by byte where only the wire tells."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulumi_avn_token.client import CONNECTIONS, Client
from pulumi_avn_token.emulator import Emulator
from pulumi_avn_token.errors import (
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    ServerError,
    TokenNotFoundError,
    UnexpectedAnswerError,
)
from pulumi_avn_token.model import TokenInfo, TokenSpec, User
from tests.account import Observer
from tests.contract.servers import (
    CREDENTIAL,
    DROPPED,
    ISSUED,
    ME,
    SPEC,
    Clients,
    Server,
    cut,
    failure,
    http,
    page,
    raw,
    refusal,
    said,
    token_object,
)

ODD: list[tuple[str, Any]] = [
    ("create_time", "yesterday"),
    ("create_time", ""),
    ("create_time", 1793527200),
    ("expiry_time", "2026-13-45T99:00:00Z"),
    ("expiry_time", ["2026-11-01T10:00:00Z"]),
    ("last_used_time", {}),
    ("description", 7),
    ("description", ["CI deploys"]),
    ("last_ip", 127),
    ("last_user_agent", True),
    ("max_age_seconds", float("inf")),
    ("max_age_seconds", float("-inf")),
    ("max_age_seconds", float("nan")),
    ("max_age_seconds", "a month"),
    ("max_age_seconds", [600]),
    ("extend_when_used", "yes"),
    ("extend_when_used", 1),
    ("created_manually", "true"),
    ("currently_active", 0),
    ("ip_allowlist", "0.0.0.0/0"),
    ("ip_allowlist", [1]),
    ("scopes", {"user:read": True}),
    ("scopes", [None]),
]
"""Fields of a token object with what does not belong there."""


@pytest.fixture
def client(emulator: Emulator, clients: Clients) -> Client:
    """A client of the emulated account."""
    return clients.make(emulator.url, emulator.token)


def test_created_token_authenticates_and_is_in_the_account(client: Client, observer: Observer) -> None:
    """What `create` returns is a working secret, and beside it the token as the account shows it."""
    issued = client.create(TokenSpec(description="CI deploys", max_age_seconds=3600, extend_when_used=True))
    assert issued.info == TokenInfo(**observer.tokens()["CI deploys"])
    assert (issued.info.max_age_seconds, issued.info.extend_when_used) == (3600, True)
    assert issued.full_token.startswith(issued.info.token_prefix)
    assert issued.full_token not in repr(issued)
    assert observer.works(issued.full_token)


def test_token_without_an_age_is_what_the_service_makes_of_it(client: Client) -> None:
    """Without `max_age_seconds` the answer tells the age that the service chose."""
    assert client.create(SPEC).info.max_age_seconds == 30 * 24 * 3600


def test_restrictions_reach_the_account(client: Client, observer: Observer) -> None:
    """`ip_allowlist` and `scopes` are set where given, in their order, and never set where absent."""
    client.create(TokenSpec(description="open"))
    shut = client.create(
        TokenSpec(description="shut", ip_allowlist=("198.51.100.0/24", "127.0.0.0/8"), scopes=("user:read", "a:b"))
    )
    tokens = observer.tokens()
    assert (tokens["open"]["ip_allowlist"], tokens["open"]["scopes"]) == (None, None)
    assert tokens["shut"]["ip_allowlist"] == ["198.51.100.0/24", "127.0.0.0/8"]
    assert tokens["shut"]["scopes"] == ["user:read", "a:b"]
    assert shut.info.ip_allowlist == ("198.51.100.0/24", "127.0.0.0/8")
    assert shut.info.scopes == ("user:read", "a:b")


@pytest.mark.parametrize("description", ["d", "x" * 1000, 'Ünïcödé 🔑 "quoted" \\ </script>\n\t'])
def test_description_comes_back_as_it_was_given(client: Client, observer: Observer, description: str) -> None:
    """Every character of a description survives the way there and back, in create and in update."""
    made = client.create(TokenSpec(description=description)).info
    assert made.description == description
    assert list(observer.tokens()) == [description]
    assert client.update(made.token_prefix, description[::-1]).description == description[::-1]
    assert list(observer.tokens()) == [description[::-1]]


def test_list_holds_every_valid_token_and_the_login_sessions(client: Client, observer: Observer) -> None:
    """All valid tokens are listed as the account shows them; the one that asks is told from the others."""
    made = observer.make("by hand", max_age_seconds=600, scopes=["user:read"])
    del made["full_token"]
    tokens = client.list_tokens()
    assert {token.description for token in tokens} == {"by hand", "observer", "Login session of the emulator"}
    by_hand = next(token for token in tokens if token.created_manually)
    assert by_hand == TokenInfo(**{**made, "scopes": ("user:read",)})
    assert [token.description for token in tokens if token.currently_active] == ["Login session of the emulator"]
    observer.revoke(by_hand.token_prefix)
    assert by_hand.token_prefix not in {token.token_prefix for token in client.list_tokens()}


def test_update_describes_by_prefix(client: Client, observer: Observer) -> None:
    """A token with + and / in its prefix gets its description."""
    made = observer.make("old")
    assert {"+", "/"} <= set(made["token_prefix"])
    updated = client.update(made["token_prefix"], "new")
    assert (updated.token_prefix, updated.description) == (made["token_prefix"], "new")
    assert list(observer.tokens()) == ["new"]


def test_revoke_ends_by_prefix(client: Client, observer: Observer) -> None:
    """A token with + and / in its prefix stops working, and no other one does."""
    made, other = observer.make("to go"), observer.make("to stay")
    client.revoke(made["token_prefix"])
    assert not observer.works(made["full_token"])
    assert observer.works(other["full_token"])
    message = failure(TokenNotFoundError, lambda: client.revoke(made["token_prefix"]), made["full_token"])
    assert made["token_prefix"] in message


def test_expire_tokens_ends_every_token_and_the_credential(
    client: Client, observer: Observer, emulator: Emulator
) -> None:
    """Afterwards no token of the user works, the credential's own included."""
    made = observer.make("to go")
    client.expire_tokens()
    assert not observer.works(made["full_token"])
    failure(AuthenticationError, client.me, emulator.token)


def test_me_tells_whose_the_credential_is(emulator: Emulator, clients: Clients) -> None:
    """The user's address and id, different for different users and the same for all credentials of one."""
    first = clients.make(emulator.url, emulator.token).me()
    again = clients.make(emulator.url, emulator.issue_token()).me()
    other = clients.make(emulator.url, emulator.issue_token(user="other@example.org")).me()
    assert first == again
    assert first.user == emulator.user
    assert first.user_id
    assert other.user == "other@example.org"
    assert not first.is_same_as(other)


def test_every_call_says_which_program_asks(client: Client, emulator: Emulator, observer: Observer) -> None:
    """The User-Agent is the package's name and version, so that last use tells who it was."""
    prefix = observer.make("d")["token_prefix"]
    emulator.clear_requests()
    client.me()
    client.list_tokens()
    client.create(SPEC)
    client.update(prefix, "new")
    client.revoke(prefix)
    client.expire_tokens()
    assert len(emulator.requests) == 6
    assert {request.user_agent for request in emulator.requests} == {
        f"pulumi-avn-token/{version('pulumi-avn-token')}",
    }


@pytest.mark.parametrize(
    ("spec", "body"),
    [
        (SPEC, {"description": "CI deploys", "max_age_seconds": None, "extend_when_used": False}),
        (
            TokenSpec(description="d", max_age_seconds=600, extend_when_used=True, ip_allowlist=(), scopes=()),
            {"description": "d", "max_age_seconds": 600, "extend_when_used": True, "ip_allowlist": [], "scopes": []},
        ),
        (
            TokenSpec(description="d", ip_allowlist=["::/0"], scopes=["b", "a"]),
            {
                "description": "d",
                "max_age_seconds": None,
                "extend_when_used": False,
                "ip_allowlist": ["::/0"],
                "scopes": ["b", "a"],
            },
        ),
    ],
    ids=["least", "empty-lists", "lists"],
)
def test_create_sends_the_documented_fields_alone(clients: Clients, spec: TokenSpec, body: object) -> None:
    """One POST with the fields of the API's document; lists that are absent are left out, and empty ones are not."""
    with Server(said(token_object(full_token=ISSUED))) as server:
        clients.make(server.url).create(spec)
    (request,) = server.requests
    assert request.line == "POST /v1/access_token"
    assert json.loads(request.body) == body
    assert request.headers["authorization"] == f"aivenv1 {CREDENTIAL}"
    assert request.headers["content-type"] == "application/json"


def test_other_calls_send_what_the_document_says(clients: Clients) -> None:
    """Method, path and body of each call; the prefix is encoded with no safe characters."""
    with Server(said({**token_object(), **ME, "tokens": []})) as server:
        client = clients.make(server.url)
        client.list_tokens()
        client.update("a+b/c=d", "new")
        client.revoke("a+b/c=d")
        client.expire_tokens()
        client.me()
    assert [(request.line, request.body) for request in server.requests] == [
        ("GET /v1/access_token", b""),
        ("PUT /v1/access_token/a%2Bb%2Fc%3Dd", b'{"description": "new"}'),
        ("DELETE /v1/access_token/a%2Bb%2Fc%3Dd", b""),
        ("POST /v1/me/expire_tokens", b""),
        ("GET /v1/me", b""),
    ]
    assert {request.headers["authorization"] for request in server.requests} == {f"aivenv1 {CREDENTIAL}"}


def test_base_url_may_have_a_path(clients: Clients) -> None:
    """The API may live below a path of a gateway."""
    with Server(said(ME)) as server:
        clients.make(f"{server.url}/gateway").me()
    assert server.lines == ["GET /gateway/v1/me"]


@pytest.mark.parametrize(
    "answer",
    [
        {"full_token": ISSUED, "token_prefix": ISSUED[:12]},
        {"full_token": ISSUED},
        {"full_token": ISSUED, "error": "odd"},
        {**token_object(), "full_token": ISSUED, "error": True, "message": "odd"},
        {**token_object(), "full_token": ISSUED, "new_field": [{}]},
    ],
    ids=["two-fields", "one-field", "error", "error-beside-all", "new-field"],
)
def test_created_token_is_not_lost_over_a_detail(clients: Clients, answer: dict[str, Any]) -> None:
    """Whatever else is odd about an answer to create, its secret is returned, with the prefix that names it."""
    with Server(said(answer)) as server:
        issued = clients.make(server.url).create(SPEC)
    assert issued.full_token == ISSUED
    assert issued.info.token_prefix == ISSUED[:12]
    assert isinstance(issued.info.description, str)


@pytest.mark.parametrize(("name", "value"), ODD, ids=str)
def test_created_token_is_not_lost_over_a_field(clients: Clients, name: str, value: object) -> None:
    """A field that cannot be read is as good as absent where a secret would be lost with it."""
    with Server(said(token_object(full_token=ISSUED, **{name: value}))) as server:
        issued = clients.make(server.url).create(SPEC)
    assert issued.full_token == ISSUED
    assert getattr(issued.info, name) in {None, ""}


@pytest.mark.parametrize("token_prefix", [None, "", 12, ["x"], {}], ids=repr)
def test_created_token_is_not_lost_over_its_prefix(clients: Clients, token_prefix: object) -> None:
    """Where the answer's own prefix is no prefix, the secret's beginning stands for it."""
    with Server(said(token_object(full_token=ISSUED, token_prefix=token_prefix))) as server:
        issued = clients.make(server.url).create(SPEC)
    assert issued.full_token == ISSUED
    assert issued.info.token_prefix == ISSUED[:12]


@pytest.mark.parametrize("full_token", [None, "", 5, True, ["x"], {}], ids=repr)
def test_creation_without_a_secret_is_an_error_that_says_what_may_be(clients: Clients, full_token: object) -> None:
    """An answer to create without a full token is not taken for a success: a token may have been made."""
    with Server(said(token_object(full_token=full_token))) as server:
        message = failure(UnexpectedAnswerError, lambda: clients.make(server.url).create(SPEC))
    assert "may have been made" in message
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [*ODD, ("token_prefix", None), ("token_prefix", ""), ("token_prefix", 12)],
    ids=str,
)
def test_list_and_update_take_no_odd_token(clients: Clients, name: str, value: object) -> None:
    """An answer that decides over tokens is a token object in every field, or an error that names the field."""
    odd = token_object(**{name: value})
    with Server(said({"tokens": [token_object(), odd]}), said(odd)) as server:
        client = clients.make(server.url)
        messages = [
            failure(UnexpectedAnswerError, client.list_tokens),
            failure(UnexpectedAnswerError, lambda: client.update("prefix", "new")),
        ]
    assert all(name in message for message in messages)
    assert len(server.requests) == 2


@pytest.mark.parametrize("tokens", [None, {}, "tokens", 5, [5], [None], ["token"], [[]], [{}]], ids=repr)
def test_list_takes_only_a_list_of_tokens(clients: Clients, tokens: object) -> None:
    """Never an empty list where the answer holds no list: absences are concluded from it."""
    with Server(said({"tokens": tokens})) as server:
        failure(UnexpectedAnswerError, clients.make(server.url).list_tokens)


def test_list_without_the_key_is_no_empty_list(clients: Clients) -> None:
    """An object without `tokens` is not the API's answer."""
    with Server(said({"message": "hello"})) as server:
        failure(UnexpectedAnswerError, clients.make(server.url).list_tokens)


def test_list_beside_an_error_is_an_error(clients: Clients) -> None:
    """A truthy `error` makes an answer with status 200 a failure."""
    with Server(said({"tokens": [], "error": True, "message": "half of the database is away"})) as server:
        assert "half of the database" in failure(ServerError, clients.make(server.url).list_tokens)


def test_list_takes_fields_that_are_absent_null_or_new(clients: Clients) -> None:
    """A token needs a prefix alone; unknown fields are passed over."""
    with Server(said({"tokens": [{"token_prefix": "p", "later": 1}, token_object(description=None)]})) as server:
        tokens = clients.make(server.url).list_tokens()
    assert tokens[0] == TokenInfo(token_prefix="p", description="")
    assert tokens[1].description == ""


@pytest.mark.parametrize(
    "answer",
    [{}, {"user": None}, {"user": "u"}, {"user": []}, {"user": {}}, {"user": {"user": None}}, {"user": {"user": ""}}],
    ids=repr,
)
def test_me_without_a_user_is_an_error(clients: Clients, answer: object) -> None:
    """Nobody is not a user."""
    with Server(said(answer)) as server:
        failure(UnexpectedAnswerError, clients.make(server.url).me)


@pytest.mark.parametrize("user_id", [None, 5, ["u1"]], ids=repr)
def test_me_does_without_an_id(clients: Clients, user_id: object) -> None:
    """A user whose id is absent or no text is known by the address."""
    with Server(said({"user": {"user": "somebody@example.org", "user_id": user_id}})) as server:
        assert clients.make(server.url).me() == User(user_id=None, user="somebody@example.org")


@pytest.mark.parametrize("prefix", ["", ".", "..", "...", "a\nb", "a\r\nX-Header: b", "\x00", "\ud800", "a" * 372])
def test_prefix_that_is_no_path_part_is_never_asked_for(clients: Clients, prefix: str) -> None:
    """What would be another path of the API is refused without a request."""
    with Server(said({})) as server:
        client = clients.make(server.url)
        failure(InvalidRequestError, lambda: client.revoke(prefix))
        failure(InvalidRequestError, lambda: client.update(prefix, "new"))
    assert server.requests == []


@pytest.mark.parametrize(
    "prefix",
    [
        "%2F",
        "%2e%2e",
        "?",
        "a?b=c",
        "#",
        "a b",
        "../me",
        "a/../../me",
        "..;/",
        "//evil.example",
        "https://evil.example/",
        "a\\b",
        "@",
        ":",
        "%",
        "%zz",
        "é🔑",
        "~-._",
        " ",
    ],
)
def test_hostile_prefix_stays_in_its_part_of_the_path(clients: Clients, prefix: str) -> None:
    """Whatever a prefix holds, it reaches the server as that prefix and as nothing else."""
    with Server(said(token_object())) as server:
        client = clients.make(server.url)
        client.revoke(prefix)
        client.update(prefix, "new")
    assert [line.split(" ")[0] for line in server.lines] == ["DELETE", "PUT"]
    for line in server.lines:
        _, path = line.split(" ")
        assert path.rpartition("/")[0] == "/v1/access_token"
        assert unquote(path.rpartition("/")[2]) == prefix


def test_any_prefix_stays_in_its_part_of_the_path() -> None:
    """No text at all reaches another path than that of the token which it names."""
    with Server(said({})) as server, Clients() as clients:
        client = clients.make(server.url)

        @settings(max_examples=150)
        @given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.text("./%?#2eEfF+=;\\ \n"))
        def reaches_its_path(prefix: str) -> None:
            before = len(server.requests)
            try:
                client.revoke(prefix)
            except InvalidRequestError:
                assert len(server.requests) == before
                assert set(prefix) <= {"."} or not prefix.isprintable() or len(prefix) > 32
            else:
                (request,) = server.requests[before:]
                assert request.line.rpartition("/")[0] == "DELETE /v1/access_token"
                assert unquote(request.line.rpartition("/")[2]) == prefix

        reaches_its_path()


@pytest.mark.parametrize("threads", [4, 8])
def test_threads_share_four_connections(emulator: Emulator, clients: Clients, threads: int) -> None:
    """Forty calls from several threads at once go over at most four connections, which are used again."""
    client = clients.make(emulator.url, emulator.token)
    ready = threading.Barrier(threads)

    def ask(_: int) -> None:
        ready.wait(10)
        for _again in range(40 // threads):
            client.me()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(ask, range(threads)))
    assert len(emulator.requests) == 40
    assert len({request.peer_port for request in emulator.requests}) <= CONNECTIONS == 4


def test_calls_one_after_the_other_share_one_connection(client: Client, emulator: Emulator, observer: Observer) -> None:
    """Reads, changes and refusals leave the connection usable."""
    prefix = observer.make("d")["token_prefix"]
    emulator.clear_requests()
    client.me()
    client.create(SPEC)
    client.update(prefix, "new")
    client.revoke(prefix)
    failure(TokenNotFoundError, lambda: client.revoke(prefix), emulator.token)
    client.list_tokens()
    assert len(emulator.requests) == 6
    assert len({request.peer_port for request in emulator.requests}) == 1


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "spoilt",
    [
        DROPPED,
        cut(said(ME)),
        page(),
        page(503),
        refusal(429, "slow down"),
        refusal(429, "slow down", headers={"Retry-After": "999"}),
        refusal(500, "broken"),
        refusal(401, "Invalid token"),
        raw(http(200, b"no gzip", {"Content-Encoding": "gzip"}), "keep"),
        raw(b"no http\r\n\r\n"),
    ],
    ids=["dropped", "cut", "page", "503", "429", "429-long", "500", "401", "gzip", "no-http"],
)
def test_failed_calls_give_their_connections_back(clients: Clients, spoilt: Callable[[Any], Any]) -> None:
    """More failures than there are connections do not block the call after them."""
    answers = [spoilt] * 6 * (CONNECTIONS + 1)
    with Server(*answers, said(ME)) as server:
        client = clients.make(server.url)
        while len(server.requests) < len(answers):
            with pytest.raises(ApiError):
                client.create(SPEC)
        assert client.me().user == "somebody@example.org"


def test_client_can_be_used_after_it_was_closed(client: Client) -> None:
    """`close` ends the connections, not the client."""
    client.me()
    client.close()
    assert client.me().user
