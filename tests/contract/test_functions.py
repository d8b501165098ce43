"""`get_access_tokens` and `get_access_token`, in a script that no Pulumi runs."""

from __future__ import annotations

import asyncio
import dataclasses
import traceback
from pathlib import Path

import pulumi
import pytest

import pulumi_avn_token as avn
from pulumi_avn_token.client import Client
from pulumi_avn_token.credentials import Credential
from pulumi_avn_token.emulator import Emulator
from pulumi_avn_token.errors import (
    AuthenticationError,
    AvnTokenError,
    CredentialError,
    TokenNotFoundError,
    UnexpectedAnswerError,
)
from tests.account import Observer
from tests.contract.servers import ISSUED, Server, assert_hidden, said, token_object

PREFIX_CHARACTERS = 12


@pytest.fixture(autouse=True)
def nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody is logged in here."""
    for name in ("AIVEN_TOKEN", "AIVEN_AUTH_TOKEN", "AIVEN_WEB_URL", "AIVEN_CREDENTIALS_FILE", "AIVEN_CA_CERT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AIVEN_CONFIG_DIR", str(tmp_path / "nobody"))


@pytest.fixture
def account(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """An account whose credential is in the environment."""
    monkeypatch.setenv("AIVEN_TOKEN", emulator.token)
    monkeypatch.setenv("AIVEN_WEB_URL", emulator.url)
    return emulator


def asked(account: Emulator) -> list[str]:
    """What was asked of the account since the last time."""
    requests = [f"{request.method} {request.path}" for request in account.requests]
    account.clear_requests()
    return requests


def test_tokens_are_those_of_the_account(account: Emulator, observer: Observer) -> None:
    """Each token is typed data, equal to what the account shows, in its order, and the secrets are not among it."""
    made = [
        observer.make("CI", max_age_seconds=3600, extend_when_used=True),
        observer.make("日本語 <{%fg 1%}>", ip_allowlist=["192.0.2.0/24"], scopes=["user:read"]),
    ]
    assert observer.works(made[0]["full_token"])
    shown = observer.valid()
    account.clear_requests()
    tokens = avn.get_access_tokens()
    assert asked(account) == ["GET /v1/access_token"]
    assert all(type(token) is avn.TokenInfo for token in tokens)
    for token in tokens:
        told = dataclasses.asdict(token)
        lists = {name: value and list(value) for name, value in told.items() if name in {"ip_allowlist", "scopes"}}
        assert {**told, **lists} == shown[token.token_prefix]
    assert [token.description for token in tokens] == ["CI", "日本語 <{%fg 1%}>"]
    assert tokens[0].last_user_agent == Observer.USER_AGENT
    for answer in made:
        assert_hidden(answer["full_token"], repr(tokens))


def test_there_may_be_none(account: Emulator) -> None:
    """An account in which nobody made a token gives an empty list."""
    assert avn.get_access_tokens() == []
    assert asked(account) == ["GET /v1/access_token"]


def test_sessions_come_only_on_demand(account: Emulator, observer: Observer) -> None:
    """Login sessions are no tokens that somebody made; with `sessions=True` they are there, too."""
    observer.make("CI")
    assert [token.description for token in avn.get_access_tokens()] == ["CI"]
    tokens = avn.get_access_tokens(sessions=True)
    assert {token.description: token.created_manually for token in tokens} == {
        "CI": True,
        "observer": False,
        "Login session of the emulator": False,
    }
    (used,) = [token for token in tokens if token.currently_active]
    assert account.token.startswith(used.token_prefix)


def test_one_token_by_its_prefix(account: Emulator, observer: Observer) -> None:
    """The token with that prefix is the one in the list, and one request finds it."""
    observer.make("other")
    prefix = observer.make("CI", max_age_seconds=3600)["token_prefix"]
    account.clear_requests()
    token = avn.get_access_token(prefix)
    assert asked(account) == ["GET /v1/access_token"]
    assert (token.token_prefix, token.description, token.max_age_seconds) == (prefix, "CI", 3600)
    assert token in avn.get_access_tokens()


def test_an_output_is_no_prefix(account: Emulator) -> None:
    """Who passes a resource's output, which is not known yet, is told how to do it, and nothing is asked."""

    async def ask() -> None:  # an output needs a running loop
        avn.get_access_token(pulumi.Output.from_input("XCJ3+bgWywIh"))  # type: ignore[arg-type]

    with pytest.raises(TypeError, match=r"output\.apply\(pulumi_avn_token\.get_access_token\)"):
        asyncio.run(ask())
    assert asked(account) == []


def test_public_names_are_listed() -> None:
    """An interactive session completes them, though they are imported only when they are used."""
    assert set(avn.__all__) <= set(dir(avn))


def test_a_full_token_does_as_well(account: Emulator, observer: Observer) -> None:
    """Who has only the secret finds its token, without sending the secret anywhere."""
    observer.make("other")
    made = observer.make("CI")
    account.clear_requests()
    assert avn.get_access_token(made["full_token"]).token_prefix == made["token_prefix"]
    assert asked(account) == ["GET /v1/access_token"]


def test_a_session_is_found_by_its_prefix(account: Emulator) -> None:
    """Who names a token means it, even if it is a login: a script can ask about its own credential."""
    token = avn.get_access_token(account.token)
    assert token.currently_active
    assert token.created_manually is False


@pytest.mark.parametrize("cut", [1, 6, 11])
def test_a_part_of_a_prefix_is_none(account: Emulator, observer: Observer, cut: int) -> None:
    """A prefix that is cut short names nothing, however few tokens begin with it."""
    prefix = observer.make("CI")["token_prefix"]
    with pytest.raises(TokenNotFoundError):
        avn.get_access_token(prefix[:cut])
    assert asked(account)[-1] == "GET /v1/access_token"


def test_no_prefix_is_none(account: Emulator, observer: Observer) -> None:
    """An empty text, as of a variable that is not set, names nothing."""
    observer.make("CI")
    with pytest.raises(TokenNotFoundError):
        avn.get_access_token("")
    assert account


@pytest.mark.parametrize("of_a_full_token", [False, True])
def test_an_unknown_token_is_an_error_that_shows_no_more_than_a_prefix(
    account: Emulator, observer: Observer, *, of_a_full_token: bool
) -> None:
    """What was revoked is not found, and the error says what that may mean, and nothing of a secret."""
    made = observer.make("CI")
    observer.revoke(made["token_prefix"])
    with pytest.raises(TokenNotFoundError) as caught:
        avn.get_access_token(made["full_token" if of_a_full_token else "token_prefix"])
    message = str(caught.value)
    assert made["token_prefix"] in message
    assert message.count("\n") == 0
    assert "expired, was revoked" in message
    assert "pulumi-avn-token list" in message
    assert made["full_token"][: PREFIX_CHARACTERS + 1] not in message
    assert_hidden(made["full_token"], f"{message} {caught.value!r}")
    assert_hidden(account.token, message)


def test_an_expired_token_is_gone(account: Emulator, observer: Observer) -> None:
    """Only valid tokens are told of."""
    prefix = observer.make("CI", max_age_seconds=600)["token_prefix"]
    account.clock_offset = 601
    with pytest.raises(TokenNotFoundError):
        avn.get_access_token(prefix)
    assert avn.get_access_tokens() == []


def test_without_a_credential_it_says_where_one_can_be() -> None:
    """With nothing set, in a script, the error names the variable, the stack's setting and the official login."""
    for call in (avn.get_access_tokens, lambda: avn.get_access_token("XCJ3+bgWywIh")):
        with pytest.raises(CredentialError) as caught:
            call()
        for place in ("AIVEN_TOKEN", "pulumi config set --secret aiven:apiToken", "avn user login"):
            assert place in str(caught.value)


def test_a_wrong_credential_is_told_with_its_source(account: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable that the credential came from, and nothing of the credential."""
    stale = account.issue_token(max_age_seconds=1)
    account.clock_offset = 2
    monkeypatch.setenv("AIVEN_TOKEN", stale)
    with pytest.raises(AuthenticationError, match="variable AIVEN_TOKEN") as caught:
        avn.get_access_tokens()
    assert_hidden(stale, "".join(traceback.format_exception(caught.value)))


def test_another_credential_is_taken_at_the_next_call(account: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment counts at each call: nothing is kept from the one before."""
    account.issue_token(description="of a")
    other = account.issue_token(user="b@example.org", description="of b")
    assert [token.description for token in avn.get_access_tokens()] == ["of a"]
    monkeypatch.setenv("AIVEN_TOKEN", other)
    assert [token.description for token in avn.get_access_tokens()] == ["of b"]


def test_what_is_no_list_is_an_error_of_this_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that is not the API's is no empty account."""
    monkeypatch.setenv("AIVEN_TOKEN", ISSUED)
    for answer in (said({}), said({"tokens": [5]}), said({"tokens": [token_object(expiry_time="soon")]})):
        with Server(answer) as server:
            monkeypatch.setenv("AIVEN_WEB_URL", server.url)
            with pytest.raises(UnexpectedAnswerError) as caught:
                avn.get_access_tokens()
            assert isinstance(caught.value, AvnTokenError)


def test_connections_are_closed(account: Emulator, observer: Observer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call closes what it opened, whether it goes well or not: a script may ask for ever."""
    made = observer.make("CI")
    open_clients: list[Client] = []
    opening, closing = Client.__init__, Client.close

    def opened(client: Client, credential: Credential) -> None:
        opening(client, credential)
        open_clients.append(client)

    def closed(client: Client) -> None:
        closing(client)
        open_clients.remove(client)

    monkeypatch.setattr(Client, "__init__", opened)
    monkeypatch.setattr(Client, "close", closed)
    account.clear_requests()
    avn.get_access_tokens()
    avn.get_access_token(made["token_prefix"])
    with pytest.raises(TokenNotFoundError):
        avn.get_access_token("XCJ3+bgWywIh")
    account.faults = [{"kind": "html"}]
    with pytest.raises(UnexpectedAnswerError):
        avn.get_access_tokens()
    assert open_clients == []
    assert len({request.peer_port for request in account.requests}) == len(asked(account)) == 4


def test_tokens_of_another_account_are_those_of_its_credential(
    account: Emulator, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of a credential chooses the account, and a name without one chooses none."""
    observer.make("usual")
    with Emulator(user="staging@example.org") as staging:
        monkeypatch.setenv("AIVEN_TOKEN_STAGING", staging.token)
        monkeypatch.setenv("AIVEN_TOKEN_STAGING_URL", staging.url)
        made = Observer(staging).make("staging")
        named = avn.get_access_tokens(credentials="AIVEN_TOKEN_STAGING")
        assert [token.description for token in named] == ["staging"]
        found = avn.get_access_token(made["token_prefix"], credentials="AIVEN_TOKEN_STAGING")
        assert [found] == named
    assert [token.description for token in avn.get_access_tokens()] == ["usual"]
    account.clear_requests()
    for ask in (avn.get_access_tokens, lambda **named: avn.get_access_token("p", **named)):
        with pytest.raises(CredentialError, match="the environment variable A_TOKEN: set it"):
            ask(credentials="A_TOKEN")
    assert asked(account) == []
