"""Which existing token a resource takes over."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulumi_avn_token.adoption import Adoptions, find_meant, find_mismatches
from pulumi_avn_token.errors import AdoptionError
from pulumi_avn_token.model import TokenInfo

URN = "urn:pulumi:test::scratch::pulumi-python:dynamic/avn:AccessToken::ci"
PREFIX = "XCJ3+bgWywIh"
FULL_TOKEN = PREFIX + "aB3/" * 20
SECRETS = st.text("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789+/", min_size=40, max_size=400)


def token(token_prefix: str = PREFIX, **fields: Any) -> TokenInfo:
    """Give a token of the account."""
    return TokenInfo(token_prefix=token_prefix, description="d", **fields)


ACCOUNT = (token(), token("XCJ3/other01"), token("9zQ/hhKe01Lm"))


@pytest.mark.parametrize("given_text", [PREFIX, PREFIX[:5], FULL_TOKEN])
def test_prefix_its_beginning_and_the_full_token_mean_one_token(given_text: str) -> None:
    """People give what they have: whatever tells one token alone is enough."""
    assert find_meant(given_text, ACCOUNT) is ACCOUNT[0]


def test_tokens_may_come_as_they_are_read() -> None:
    """The account's tokens are gone through once."""
    assert find_meant(PREFIX, iter(ACCOUNT)) is ACCOUNT[0]


@pytest.mark.parametrize("given_text", ["ZZZ", "xcj3+bgWywIh", PREFIX[1:]])
def test_unknown_prefix_is_an_error(given_text: str) -> None:
    """A prefix that no valid token begins with is refused, with what it may be due to."""
    with pytest.raises(AdoptionError, match="no valid token of this account begins with") as caught:
        find_meant(given_text, ACCOUNT)
    assert "avn user access-token list" in str(caught.value)
    assert "leave adopt_prefix out" in str(caught.value)


def test_nothing_is_meant_in_an_empty_account() -> None:
    """An account without tokens has none to adopt."""
    with pytest.raises(AdoptionError, match="no valid token"):
        find_meant(PREFIX, ())


def test_prefix_of_several_tokens_is_an_error_that_names_them() -> None:
    """What matches several tokens is refused rather than guessed, and the whole prefixes are shown."""
    with pytest.raises(AdoptionError) as caught:
        find_meant("XCJ3", ACCOUNT)
    message = "2 tokens begin with XCJ3: XCJ3+bgWywIh, XCJ3/other01; give the whole prefix of one"
    assert str(caught.value) == message


@given(SECRETS, st.integers(0, 3))
def test_error_shows_no_more_of_a_full_token_than_its_prefix(secret: str, matching: int) -> None:
    """A full token given in place of a prefix does not come back in the error."""
    account = [token(secret[:length]) for length in range(9, 9 + matching)]
    if matching == 1:
        assert find_meant(secret, account) is account[0]
        return
    with pytest.raises(AdoptionError) as caught:
        find_meant(secret, account)
    assert secret[:13] not in str(caught.value)


def test_token_as_it_was_declared_has_no_mismatch() -> None:
    """What is declared as the token has it can be adopted; order does not matter, nor does what is left out."""
    found = token(max_age_seconds=600, extend_when_used=True, ip_allowlist=("192.0.2.1", "::1"), scopes=("user:read",))
    declared = {
        "max_age_seconds": 600.0,
        "extend_when_used": True,
        "ip_allowlist": ["::1", "192.0.2.1"],
        "scopes": ["user:read"],
        "full_token": FULL_TOKEN,
    }
    assert not list(find_mismatches(found, declared))
    assert not list(find_mismatches(found, {"description": "other", "extend_when_used": False}))


def test_every_mismatch_is_told() -> None:
    """All that cannot be changed without a new token is named at once, each with what the token has."""
    declared = {
        "max_age_seconds": 86400,
        "extend_when_used": True,
        "ip_allowlist": ["192.0.2.1"],
        "scopes": ["user:read"],
        "full_token": "9zQ/" + FULL_TOKEN,
    }
    found = token(max_age_seconds=600, extend_when_used=False, ip_allowlist=("192.0.2.0/24",))
    advice = "leave it out to adopt the token; set later, it makes a new one and revokes this one"
    life = f"token {PREFIX} has {{}} for life: {advice}"
    assert list(find_mismatches(found, declared)) == [
        ("full_token", f"is not the secret of token {PREFIX}: it does not begin with that"),
        ("max_age_seconds", life.format(600)),
        ("extend_when_used", life.format("false")),
        ("ip_allowlist", life.format("192.0.2.0/24")),
        ("scopes", life.format("none")),
    ]


@given(SECRETS)
def test_mismatch_shows_no_secret(secret: str) -> None:
    """A wrong secret is refused without being shown."""
    ((name, reason),) = find_mismatches(token("9zQ_hhKe01Lm"), {"full_token": secret})
    assert name == "full_token"
    assert secret[:8] not in reason


def test_token_that_a_resource_holds_is_held_and_not_free() -> None:
    """A token is held from the moment that a resource is known to go on with it."""
    adoptions = Adoptions()
    assert not adoptions.is_held(PREFIX)
    adoptions.check_free(PREFIX)
    adoptions.hold(PREFIX, URN)
    assert adoptions.is_held(PREFIX)
    assert not adoptions.is_held("9zQ/hhKe01Lm")
    with pytest.raises(AdoptionError, match="is held by another resource of this stack already"):
        adoptions.check_free(PREFIX)


def test_token_that_is_being_adopted_is_neither_free_nor_held() -> None:
    """Between the beginning and the end of an adoption nobody may adopt the token, and nobody may revoke it."""
    adoptions = Adoptions()
    adoptions.take(PREFIX)
    with pytest.raises(AdoptionError, match="is held by another resource"):
        adoptions.take(PREFIX)
    with pytest.raises(AdoptionError, match="was left alone: the resource that was to adopt it failed"):
        adoptions.is_held(PREFIX)
    adoptions.hold(PREFIX, URN)
    assert adoptions.is_held(PREFIX)


def test_rotation_is_begun_once_for_each_that_was_decided() -> None:
    """As many new resources get a new token instead of the adopted one as were found to be due."""
    adoptions = Adoptions()
    assert not adoptions.is_rotating(PREFIX)
    assert not adoptions.begin_rotation(PREFIX)
    adoptions.rotate(PREFIX)
    assert adoptions.is_rotating(PREFIX)
    assert not adoptions.is_rotating(FULL_TOKEN)
    assert adoptions.begin_rotation(PREFIX)
    assert not adoptions.is_rotating(PREFIX)
    assert not adoptions.begin_rotation(PREFIX)


@pytest.mark.parametrize("decided", [0, 1])
def test_revoked_token_is_not_adopted_again(decided: int) -> None:
    """What follows the deletion of an adopted token gets a new one, whether or not that was decided before."""
    adoptions = Adoptions()
    for _ in range(decided):
        adoptions.rotate(PREFIX)
    adoptions.revoked(PREFIX)
    assert adoptions.begin_rotation(PREFIX)
    assert not adoptions.begin_rotation(PREFIX)


def test_one_of_many_threads_takes_a_token() -> None:
    """Resources are created at the same time: only one of those that name a token gets it."""
    adoptions, start = Adoptions(), threading.Barrier(8)

    def take(_: int) -> bool:
        start.wait()
        try:
            adoptions.take(PREFIX)
        except AdoptionError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(take, range(8))) == 1


def test_window_must_fit_into_the_life_of_the_token() -> None:
    """A window as long as the token's age would never open, or open at once."""
    found = token(max_age_seconds=3600)
    (fault,) = find_mismatches(found, {"early_rotation_window_seconds": 3600.0})
    assert fault == ("early_rotation_window_seconds", f"must be less than the age of token {PREFIX}, 3600")
    assert not list(find_mismatches(found, {"early_rotation_window_seconds": 3599.0}))
    assert not list(find_mismatches(token(), {"early_rotation_window_seconds": 3600.0}))


def test_token_is_held_until_the_last_resource_lets_it_go() -> None:
    """One that replaces its token does not let go for another that holds it too."""
    adoptions = Adoptions()
    adoptions.hold(PREFIX, URN)
    adoptions.hold(PREFIX, f"{URN}-renamed")
    adoptions.let_go(PREFIX, URN)
    assert adoptions.is_held(PREFIX)
    adoptions.let_go(PREFIX, f"{URN}-renamed")
    assert not adoptions.is_held(PREFIX)
    adoptions.check_free(PREFIX)
