"""Which existing token a resource takes over."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulumi_avn_token.adoption import Adoptions, find_meant, find_mismatches
from pulumi_avn_token.errors import AdoptionError
from pulumi_avn_token.model import TokenInfo

calmly = settings(deadline=None)

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


@calmly
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
    life = f"token {PREFIX} has {{}} for life: leave it out now, and set it in a later `up`"
    assert list(find_mismatches(found, declared)) == [
        ("full_token", f"is not the secret of token {PREFIX}: it does not begin with that"),
        ("max_age_seconds", life.format(600)),
        ("extend_when_used", life.format("false")),
        ("ip_allowlist", life.format("192.0.2.0/24")),
        ("scopes", life.format("none")),
    ]


@calmly
@given(SECRETS)
def test_mismatch_shows_no_secret(secret: str) -> None:
    """A wrong secret is refused without being shown."""
    ((name, reason),) = find_mismatches(token("9zQ_hhKe01Lm"), {"full_token": secret})
    assert name == "full_token"
    assert secret[:8] not in reason


def test_adoption_is_done_where_it_was_recorded_as_declared() -> None:
    """A resource whose recorded and declared prefix are the same has adopted its token earlier."""
    adoptions = Adoptions()
    assert not adoptions.is_done(PREFIX)
    adoptions.met(PREFIX, PREFIX)
    assert adoptions.is_done(PREFIX)
    assert not adoptions.is_done("9zQ/hhKe01Lm")


@pytest.mark.parametrize(
    ("recorded", "declared"), [(None, None), (None, PREFIX), (PREFIX, None), (PREFIX, PREFIX[:4]), (PREFIX[:4], PREFIX)]
)
def test_changed_prefix_is_yet_to_be_adopted(recorded: str | None, declared: str | None) -> None:
    """A prefix that was introduced, changed or taken away is not known to be adopted."""
    adoptions = Adoptions()
    adoptions.met(recorded, declared)
    assert not any(adoptions.is_done(text) for text in (PREFIX, PREFIX[:4]))


def test_adopted_token_is_held_until_it_is_let_go() -> None:
    """A token that a resource holds is not to be revoked as another's, until the resource gets a new one."""
    adoptions = Adoptions()
    assert not adoptions.is_held(PREFIX)
    adoptions.hold(FULL_TOKEN, PREFIX)
    assert adoptions.is_held(PREFIX)
    assert not adoptions.is_held(FULL_TOKEN)
    adoptions.let_go("another")
    assert adoptions.is_held(PREFIX)
    adoptions.let_go(FULL_TOKEN)
    assert not adoptions.is_held(PREFIX)
    adoptions.let_go(FULL_TOKEN)


def test_token_that_two_hold_is_held_while_one_does() -> None:
    """Letting go of one hold leaves the other."""
    adoptions = Adoptions()
    adoptions.hold(PREFIX, PREFIX)
    adoptions.hold(PREFIX[:4], PREFIX)
    adoptions.let_go(PREFIX)
    assert adoptions.is_held(PREFIX)


def test_held_token_is_not_taken_by_another() -> None:
    """Two resources cannot adopt one token, however each of them names it, until the first lets it go."""
    adoptions = Adoptions()
    adoptions.take(PREFIX, PREFIX)
    assert adoptions.is_held(PREFIX)
    with pytest.raises(AdoptionError, match="is adopted by another resource of this stack already"):
        adoptions.take(FULL_TOKEN, PREFIX)
    adoptions.take("9zQ/hhKe01Lm", "9zQ/hhKe01Lm")
    adoptions.let_go(PREFIX)
    adoptions.take(FULL_TOKEN, PREFIX)
    assert adoptions.is_held(PREFIX)


def test_one_of_many_threads_takes_a_token() -> None:
    """Resources are created at the same time: only one of those that name a token gets it."""
    adoptions, start = Adoptions(), threading.Barrier(8)

    def take(number: int) -> bool:
        start.wait()
        try:
            adoptions.take(FULL_TOKEN[: 12 + number], PREFIX)
        except AdoptionError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(take, range(8))) == 1
