"""What one operation knows of the account: asked once, shared by all threads, and what is never revoked."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, cast

import pytest

from pulumi_avn_token.account import Account
from pulumi_avn_token.credentials import Credential
from pulumi_avn_token.errors import (
    AnswerLostError,
    ApiError,
    CredentialError,
    ForbiddenError,
    InvalidRequestError,
    ServerError,
    TokenInUseError,
    TokenNotFoundError,
    UnexpectedAnswerError,
    WrongAccountError,
)
from pulumi_avn_token.marks import marked
from pulumi_avn_token.model import IssuedToken, TokenInfo, TokenSpec, User
from pulumi_avn_token.operation import Operation

if TYPE_CHECKING:
    from pulumi_avn_token.client import Client

PREFIX = "XCJ3+bgWywIh"
OTHER_PREFIX = "9zQ/hhKe01Lm"
IN_USE = "UsedByPulumi" + "aB3/" * 20
ME = User(user_id="u1", user="me@example.org")
SOMEBODY = User(user_id="u2", user="somebody@example.org")
THREADS = 8
MARK = "series-0123456789abcdef"


class FakeClient:
    """Stands for the client: an account in memory, and what it was asked. `broken` is raised instead of an answer."""

    def __init__(self, *tokens: TokenInfo) -> None:
        self.tokens = {token.token_prefix: token for token in tokens}
        self.calls: list[str] = []
        self.broken: Exception | None = None
        self.knows_revoke = True
        self.secrets: set[str] = set()
        self.hidden: list[set[str]] = []
        self.pause_seconds = 0.0
        self.answers: dict[str, list[Exception | None]] = {}
        self.clock_skew = timedelta()
        self.now = datetime(2026, 11, 1, tzinfo=timezone.utc)

    def me(self) -> User:
        """Give the owner."""
        self._called("me")
        return ME

    def list_tokens(self) -> list[TokenInfo]:
        """Give all tokens."""
        self._called("list")
        hidden = self.hidden.pop(0) if self.hidden else ()
        return [token for prefix, token in self.tokens.items() if prefix not in hidden]

    def create(self, spec: TokenSpec) -> IssuedToken:
        """Make a token; it is made too where the answer is lost."""
        token = TokenInfo(token_prefix=f"made-{len(self.calls) + 1}", description=spec.description)
        error = next(iter(self.answers.get("create", [])), None)
        if error is None or isinstance(error, AnswerLostError):
            self.tokens[token.token_prefix] = token
        self._called("create")
        return IssuedToken(info=token, full_token=f"{token.token_prefix}{IN_USE}")

    def introduce(self, issued: IssuedToken, description: str, mark: str) -> TokenInfo:
        """Set a description as the token itself."""
        self._called(f"introduce {mark}")
        return replace(issued.info, description=description, currently_active=True)

    def works(self, full_token: str) -> bool:
        """Tell whether a secret is that of a valid token."""
        self._called("works")
        return full_token in self.secrets

    def update(self, token_prefix: str, description: str) -> TokenInfo:
        """Set a description."""
        self._called("update")
        if token_prefix not in self.tokens:
            raise TokenNotFoundError("updating failed (404)")
        self.tokens[token_prefix] = TokenInfo(token_prefix=token_prefix, description=description)
        return self.tokens[token_prefix]

    def revoke(self, token_prefix: str) -> bool:
        """Revoke a token."""
        self._called("revoke")
        if token_prefix not in self.tokens or not self.knows_revoke:
            raise TokenNotFoundError("revoking failed (404)")
        del self.tokens[token_prefix]
        return True

    def _called(self, call: str) -> None:
        self.calls.append(call)
        time.sleep(self.pause_seconds)
        queue = self.answers.get(call.partition(" ")[0], [])
        error = self.broken or (queue.pop(0) if queue else None)
        if error is not None:
            raise error


def token(token_prefix: str = PREFIX, description: str = "d", *, currently_active: bool = False) -> TokenInfo:
    """Give a token of the account."""
    return TokenInfo(token_prefix=token_prefix, description=description, currently_active=currently_active)


@pytest.fixture
def client() -> FakeClient:
    """Give an account with two tokens."""
    return FakeClient(token(), token(OTHER_PREFIX))


@pytest.fixture
def account(client: FakeClient) -> Account:
    """Give that account as an operation sees it."""
    credential = Credential(token=IN_USE, source="the environment variable AIVEN_TOKEN")
    return Account(cast("Client", client), credential, lambda: client.now)


def prefixes(tokens: Iterable[TokenInfo]) -> list[str]:
    """Give the prefixes of tokens."""
    return [token.token_prefix for token in tokens]


def test_nothing_is_asked_before_it_is_needed(account: Account, client: FakeClient) -> None:
    """An account costs no request, and making a token does not list the others."""
    account.issue(TokenSpec(description="d"), MARK)
    assert client.calls == ["create"]


def test_account_is_listed_once_over_many_threads(account: Account, client: FakeClient) -> None:
    """All resources of an operation share one list and one answer to whose it is, however they come at once."""
    client.pause_seconds = 0.05
    start = threading.Barrier(THREADS)

    def look(number: int) -> bool:
        start.wait()
        return account.find(PREFIX, ME) is not None and account.find(f"gone-{number}", ME) is None

    with ThreadPoolExecutor(THREADS) as threads:
        assert all(threads.map(look, range(THREADS)))
    assert sorted(client.calls) == ["list", "me"]
    assert account.owner() == ME
    assert prefixes(account.tokens()) == [PREFIX, OTHER_PREFIX]
    assert len(client.calls) == 2


def test_own_writes_are_seen(account: Account, client: FakeClient) -> None:
    """What the operation made, changed or revoked itself is known without listing again."""
    assert len(list(account.tokens())) == 2
    issued = account.issue(TokenSpec(description="new"), MARK)
    assert account.find(issued.info.token_prefix, ME) == issued.info
    assert account.update(PREFIX, "other", ME).description == "other"
    found = account.find(PREFIX, ME)
    assert found is not None
    assert found.description == "other"
    account.revoke(OTHER_PREFIX, ME)
    assert account.find(OTHER_PREFIX, ME) is None
    assert prefixes(account.tokens()) == [PREFIX, issued.info.token_prefix]
    assert client.calls.count("list") == 1


def test_list_that_was_given_does_not_change(account: Account) -> None:
    """Who goes through the tokens is not disturbed by what another thread makes."""
    tokens = account.tokens()
    account.issue(TokenSpec(description="new"), MARK)
    assert len(list(tokens)) == 2
    assert len(list(account.tokens())) == 3


def test_failure_is_remembered(account: Account, client: FakeClient) -> None:
    """Where the one request that all wait for fails, none of the others goes through all the tries again."""
    client.broken = failure = ServerError("listing the tokens failed (500)")
    client.pause_seconds = 0.05
    start = threading.Barrier(THREADS)

    def look(_: int) -> ApiError:
        start.wait()
        with pytest.raises(ServerError) as caught:
            account.find(PREFIX, ME)
        return caught.value

    with ThreadPoolExecutor(THREADS) as threads:
        assert all(error is failure for error in threads.map(look, range(THREADS)))
    assert client.calls == ["list"]
    for ask in (account.owner, account.tokens):
        with pytest.raises(ServerError):
            ask()
    assert client.calls == ["list"]


def test_failure_of_a_write_is_its_own(account: Account, client: FakeClient) -> None:
    """A token that could not be made says nothing about the others."""
    client.broken = ServerError("creating a token failed (500)")
    with pytest.raises(ServerError):
        account.issue(TokenSpec(description="d"), MARK)
    client.broken = None
    assert account.find(PREFIX, ME) is not None


def test_failure_that_is_no_answer_is_not_remembered(account: Account, client: FakeClient) -> None:
    """A mistake of the program is raised wherever it happens."""
    client.broken = RuntimeError("a mistake")
    for _ in range(2):
        with pytest.raises(RuntimeError):
            account.owner()
    assert client.calls == ["me", "me"]


def test_missing_token_is_proven_missing(account: Account, client: FakeClient) -> None:
    """That a token is not listed counts where the list is that of the user whom it was made as."""
    assert account.find("gone", ME) is None
    assert client.calls == ["list", "me"]


def test_missing_token_of_another_user_is_an_error(account: Account) -> None:
    """The list of another user proves nothing: the error names both users and the credential."""
    with pytest.raises(WrongAccountError) as caught:
        account.find("gone", SOMEBODY)
    assert str(caught.value) == (
        "token gone was made as somebody@example.org, but the credential from the environment variable AIVEN_TOKEN"
        " belongs to me@example.org, who cannot see it; it was left alone. Use a credential of somebody@example.org"
    )


def test_user_is_not_asked_for_without_need(account: Account, client: FakeClient) -> None:
    """A token that is listed is the account's, and one of which nobody recorded the user cannot be held against it."""
    assert account.find(PREFIX, SOMEBODY) is not None
    assert account.find("gone", None) is None
    assert client.calls == ["list"]


def test_error_shows_no_more_than_a_prefix(account: Account) -> None:
    """A full token that stands in for a prefix is cut in every error."""
    secret = "SomeSecretTo" + "kenX" * 20
    with pytest.raises(WrongAccountError) as wrong:
        account.find(secret, SOMEBODY)
    with pytest.raises(TokenInUseError) as in_use:
        account.revoke(IN_USE, ME)
    assert secret[:13] not in str(wrong.value)
    assert IN_USE[:13] not in str(in_use.value)


def test_update_of_a_missing_token_says_what_to_do(account: Account, client: FakeClient) -> None:
    """A token that went meanwhile is told with the way to go on; in another's account it is that which is told."""
    with pytest.raises(TokenNotFoundError, match=re.escape("(404); it has expired or was revoked: run `pulumi up --")):
        account.update("gone", "x", ME)
    with pytest.raises(WrongAccountError):
        account.update("gone", "x", SOMEBODY)
    assert client.calls == ["update", "me", "update"]


def test_token_is_revoked_once(account: Account, client: FakeClient) -> None:
    """A token that nothing uses is revoked by one request, after one look at the list."""
    account.revoke(PREFIX, ME)
    assert client.calls == ["list", "revoke"]
    assert PREFIX not in client.tokens


@pytest.mark.parametrize("made_as", [ME, SOMEBODY, None])
def test_token_in_use_is_not_revoked_told_by_its_prefix(
    account: Account, client: FakeClient, made_as: User | None
) -> None:
    """The credential's own token is never revoked, also where the account does not list it."""
    with pytest.raises(TokenInUseError) as caught:
        account.revoke(IN_USE[:12], made_as)
    assert str(caught.value).startswith("token UsedByPulumi is the one that Pulumi is using right now, so it was not")
    assert "Set AIVEN_TOKEN to another token of this account" in str(caught.value)
    assert "this one came from the environment variable AIVEN_TOKEN" in str(caught.value)
    assert "revoke" not in client.calls


def test_token_in_use_is_not_revoked_told_by_the_account(account: Account, client: FakeClient) -> None:
    """The account says which token asks, also where its prefix does not begin the credential."""
    client.tokens[PREFIX] = token(currently_active=True)
    with pytest.raises(TokenInUseError):
        account.revoke(PREFIX, ME)
    assert "revoke" not in client.calls
    assert PREFIX in client.tokens


def test_token_that_is_gone_already_is_a_success(account: Account, client: FakeClient) -> None:
    """One that was never listed, or that went since, is as it should be."""
    account.revoke("gone", ME)
    assert client.calls == ["list", "revoke", "me"]
    del client.tokens[PREFIX]
    account.revoke(PREFIX, ME)
    assert client.calls[3:] == ["revoke", "list"]
    assert prefixes(account.tokens()) == [OTHER_PREFIX]


def test_token_that_is_listed_and_not_found_is_an_error(account: Account, client: FakeClient) -> None:
    """A 404 for a token that the account still lists is something between: the token is valid, and nothing is lost."""
    client.knows_revoke = False
    with pytest.raises(UnexpectedAnswerError, match="but the account lists it, so it is still valid"):
        account.revoke(PREFIX, ME)
    assert PREFIX in prefixes(account.tokens())


@pytest.mark.parametrize("prefix", ["gone", PREFIX])
def test_token_that_another_user_made_is_not_taken_for_revoked(
    account: Account, client: FakeClient, prefix: str
) -> None:
    """What cannot be found in another's account may well be valid in its own."""
    assert account.owner() == ME
    assert len(list(account.tokens())) == 2
    client.tokens.pop(prefix, None)
    with pytest.raises(WrongAccountError):
        account.revoke(prefix, SOMEBODY)


def test_failing_revocation_leaves_the_token_known(account: Account, client: FakeClient) -> None:
    """A token that may still be valid is not forgotten."""
    assert account.find(PREFIX, ME) is not None
    client.broken = ServerError("revoking failed (500)")
    with pytest.raises(ServerError):
        account.revoke(PREFIX, ME)
    client.broken = None
    assert account.find(PREFIX, ME) is not None


def test_confirmation_is_of_the_same_user(account: Account) -> None:
    """The same user under a new address is no other."""
    account.confirm(PREFIX, None)
    account.confirm(PREFIX, User(user_id="u1", user="old@example.org"))
    with pytest.raises(WrongAccountError):
        account.confirm(PREFIX, User(user_id="u2", user="me@example.org"))


SPEC = TokenSpec(description="Ingest")
LOST = AnswerLostError("the connection broke")
LOOK = (
    "the connection broke, and the account cannot be asked: `pulumi-avn-token audit` tells later whether it is there,"
    f" and how to remove it; its description then begins with [pulumi-avn-token {MARK}]"
)
NONE_LEFT = f"but the account shows none whose description begins with [pulumi-avn-token {MARK}]"
TWICE = ["create", "list", "revoke", "create", "list"]


def test_token_of_a_series_is_made_under_its_mark(account: Account, client: FakeClient) -> None:
    """One request where all is well; the token is known afterwards, under the description that marks it."""
    assert len(list(account.tokens())) == 2
    issued = account.issue(SPEC, MARK, ())
    assert client.calls == ["list", "create"]
    assert issued.info.description == marked("Ingest", MARK)
    assert account.find(issued.info.token_prefix, ME) == issued.info


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (LOST, ["create", "list", "revoke", "create", "list"]),
        (ServerError("(502)"), ["create", "list", "create", "list"]),
        (UnexpectedAnswerError("a page"), ["create", "list", "create", "list"]),
    ],
)
def test_token_whose_answer_was_lost_is_revoked_and_made_anew(
    account: Account, client: FakeClient, error: ApiError, asked: list[str]
) -> None:
    """What nobody got is found by its mark; what is held under the same mark, or is somebody else's, is left alone."""
    for prefix, mark in (("held", MARK), ("other", f"{MARK}0")):
        client.tokens[prefix] = token(prefix, marked("Ingest", mark))
    before = set(client.tokens)
    client.answers = {"create": [error]}
    issued = account.issue(SPEC, MARK, ("held", None))
    assert client.calls == asked
    assert set(client.tokens) == {*before, issued.info.token_prefix}


@pytest.mark.parametrize("error", [InvalidRequestError("(400)"), ForbiddenError("(403)")])
def test_token_that_was_refused_is_not_made_anew(account: Account, client: FakeClient, error: ApiError) -> None:
    """What provably made no token is the error that it is."""
    client.answers = {"create": [error]}
    with pytest.raises(type(error)):
        account.issue(SPEC, MARK, ())
    assert client.calls == ["create"]


@pytest.mark.parametrize(
    ("answers", "asked", "told"),
    [
        ({"list": [ServerError("(500)")]}, ["create", "list"], LOOK),
        ({"revoke": [ForbiddenError("(403)")]}, ["create", "list", "revoke"], LOOK),
        ({"list": [AnswerLostError("again")]}, ["create", "list"], LOOK),
        ({"create": [LOST]}, [*TWICE, "revoke"], f"the connection broke, {NONE_LEFT}"),
        ({"create": [ServerError("(500)")]}, TWICE, f"(500), {NONE_LEFT}"),
        ({"create": [ForbiddenError("(403)")]}, TWICE[:-1], "(403)"),
    ],
)
def test_lost_answer_is_told_where_it_cannot_be_made_good(
    account: Account,
    client: FakeClient,
    answers: dict[str, list[Exception | None]],
    asked: list[str],
    told: str,
) -> None:
    """What was made is found and revoked, also the second time; where it cannot be, it is told what to look for."""
    client.answers = {**answers, "create": [LOST, *answers.get("create", [])]}
    with pytest.raises(ApiError) as caught:
        account.issue(SPEC, MARK, ())
    assert client.calls == asked
    assert str(caught.value) == told
    assert len(client.tokens) == (3 if told == LOOK else 2)


def test_token_that_the_list_shows_too_late_is_revoked_all_the_same(account: Account, client: FakeClient) -> None:
    """A list that is behind hides what was made: it is looked for once more when the new token is there."""
    client.answers = {"create": [LOST]}
    client.hidden = [{"made-1"}]
    issued = account.issue(SPEC, MARK)
    assert client.calls == ["create", "list", "create", "list", "revoke"]
    assert set(client.tokens) == {PREFIX, OTHER_PREFIX, issued.info.token_prefix}


@pytest.mark.parametrize("call", ["list", "revoke"])
def test_new_token_is_not_lost_over_looking_for_the_old_one(account: Account, client: FakeClient, call: str) -> None:
    """What is there is given, whatever becomes of the search for what may be left behind."""
    client.answers = {"create": [LOST], call: [None, LOST]}
    client.hidden = [{"made-1"}]
    assert account.issue(SPEC, MARK).full_token


def test_missing_token_is_asked_itself(account: Account, client: FakeClient) -> None:
    """A list that is behind is no proof where the secret still works; what cannot be asked proves nothing."""
    client.secrets = {"secret" + "-one"}
    with pytest.raises(UnexpectedAnswerError, match="is missing from the account's list, and yet it works"):
        account.find("abcdefghijkl", ME, "secret" + "-one")
    assert account.find("abcdefghijkl", ME, "secret" + "-two") is None
    assert account.find(PREFIX, ME, "secret" + "-one") == token()
    assert client.calls == ["list", "me", "works", "works"]
    client.answers = {"works": [ServerError("(500)")]}
    with pytest.raises(ServerError):
        account.find("abcdefghijkl", ME, "secret" + "-two")


def test_list_that_lacked_a_token_before_proves_no_revocation(account: Account, client: FakeClient) -> None:
    """Where the answer is lost, only a list that showed the token before shows that it is gone."""
    client.answers = {"revoke": [LOST]}
    with pytest.raises(AnswerLostError):
        account.revoke("abcdefghijkl", ME)


def test_new_token_gets_its_description_by_itself(account: Account, client: FakeClient) -> None:
    """The token's own request is seen, and the token is not taken for the one that asks afterwards."""
    account.tokens()
    issued = account.issue(SPEC, MARK, ())
    introduced = account.introduce(issued, "Ingest", MARK, ME, pytest.fail)
    assert client.calls == ["list", "create", f"introduce {MARK}"]
    assert introduced == replace(issued.info, description="Ingest", currently_active=False)
    assert account.find(introduced.token_prefix, ME) == introduced
    account.check_not_in_use(introduced.token_prefix)


def test_token_that_may_not_describe_itself_is_described_by_the_credential(
    account: Account, client: FakeClient
) -> None:
    """What its scopes or addresses forbid it, the credential does; if that fails, or aught else, it is told."""
    issued = account.issue(SPEC, MARK, ())
    client.answers = {"introduce": [ForbiddenError("(403)"), ForbiddenError("(403)")], "update": [None, LOST]}
    assert account.introduce(issued, "Ingest", MARK, ME, pytest.fail).description == "Ingest"
    assert client.calls[1:] == [f"introduce {MARK}", "update"]
    told: list[str] = []
    as_made = replace(issued.info, currently_active=False)
    assert account.introduce(issued, "Ingest", MARK, ME, told.append) == as_made
    client.answers = {"introduce": [ServerError("(500)")]}
    client.calls.clear()
    assert account.introduce(issued, "Ingest", MARK, ME, told.append) == as_made
    assert client.calls == [f"introduce {MARK}"]  # the credential's own request would take the mark away
    assert told == [
        f"token {issued.info.token_prefix} was made, but {why}; the next `pulumi up` sets its description"
        for why in (LOST, "(500)")
    ]


def test_clock_is_that_of_the_last_answer(account: Account, client: FakeClient) -> None:
    """How far the service's clock is ahead is asked of the client each time."""
    assert account.clock_skew == timedelta()
    client.clock_skew = timedelta(days=-400)
    assert account.clock_skew == timedelta(days=-400)


def test_token_in_use_is_found_before_anything_is_revoked(account: Account, client: FakeClient) -> None:
    """That a token is in use can be asked beforehand: it costs one list, and changes nothing."""
    account.check_not_in_use(PREFIX)
    account.check_not_in_use("gone")
    for prefix in (IN_USE[:12], IN_USE):
        with pytest.raises(TokenInUseError):
            account.check_not_in_use(prefix)
    assert client.calls == ["list"]
    client.tokens[PREFIX] = token(currently_active=True)
    later = Account(cast("Client", client), Credential(token="another", source="a pocket"), lambda: client.now)
    with pytest.raises(TokenInUseError):
        later.check_not_in_use(PREFIX)


def test_operation_has_one_account() -> None:
    """All threads of an operation share its credential and its account, whatever the environment becomes."""
    environ = {"AIVEN_TOKEN": IN_USE}
    operation = Operation(environ=environ)
    with ThreadPoolExecutor(THREADS) as threads:
        accounts = list(threads.map(lambda _: operation.account(), range(THREADS)))
    assert len(set(map(id, accounts))) == 1
    environ.clear()
    assert operation.credential().token == IN_USE
    assert operation.account() is accounts[0]


def test_operation_has_an_account_for_each_credential_that_is_named() -> None:
    """Each has its own, with its own clock, and the usual one is another."""
    operation = Operation(environ={"AIVEN_TOKEN": IN_USE, "A_TOKEN": "another"})
    assert operation.credential("A_TOKEN").token == "another"  # noqa: S105 - an example
    assert operation.account("A_TOKEN") is operation.account("A_TOKEN")
    assert operation.account("A_TOKEN") is not operation.account()
    assert operation.account() is operation.account(None)


def test_operation_without_a_credential_has_no_account() -> None:
    """That there is no credential is told each time that one is needed, until there is one."""
    environ = {"AIVEN_CREDENTIALS_FILE": "/nonexistent"}
    operation = Operation(environ=environ)
    for need in (operation.credential, operation.account, operation.account):
        with pytest.raises(CredentialError):
            need()
    operation.configure({"aiven:apiToken": IN_USE}.get)
    assert operation.credential().token == IN_USE


def test_operation_knows_the_time_in_utc() -> None:
    """By default the clock is the machine's, and knows its zone."""
    assert Operation(environ={}).now().utcoffset() is not None


@pytest.mark.parametrize(("seconds", "is_old"), [(0, False), (10, False), (11, True)])
def test_old_list_is_forgotten_and_asked_for_anew(
    account: Account, client: FakeClient, seconds: int, *, is_old: bool
) -> None:
    """What was listed some seconds ago may be gone or used by now; what was listed just now is not asked for again."""
    assert not account.forget_old_list()
    assert prefixes(account.tokens()) == [PREFIX, OTHER_PREFIX]
    del client.tokens[PREFIX]
    client.now += timedelta(seconds=seconds)
    assert account.forget_old_list() is is_old
    assert prefixes(account.tokens()) == ([OTHER_PREFIX] if is_old else [PREFIX, OTHER_PREFIX])
    assert client.calls == ["list"] * (1 + is_old)
    assert not account.forget_old_list()
