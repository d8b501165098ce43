"""What a token is read from, and what of it is shown."""

from __future__ import annotations

import dataclasses
import string
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulumi_avn_token.model import (
    PREFIX_LENGTH,
    IssuedToken,
    TokenInfo,
    User,
    parse_time,
    shown,
    token_info,
    without_tokens,
)

PREFIX = "XCJ3+bgWywIh"
SECRETS = st.text(string.ascii_letters + string.digits + "+/=", min_size=20, max_size=1200)
WHOLE: dict[str, Any] = {
    "token_prefix": PREFIX,
    "description": "CI deploys",
    "create_time": "2026-11-01T12:00:00Z",
    "created_manually": True,
    "currently_active": False,
    "expiry_time": "2026-12-01T12:00:00.123456Z",
    "extend_when_used": False,
    "ip_allowlist": ["192.0.2.0/24"],
    "last_ip": "192.0.2.7",
    "last_used_time": "2026-11-02T12:00:00+00:00",
    "last_user_agent": "curl/8",
    "last_user_agent_human_readable": "curl",
    "max_age_seconds": 2592000,
    "scopes": ["user:read"],
}
"""A token object of the API with all its fields."""

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-24T12:00:00Z", NOON),
        ("2026-11-24T12:00:00z", NOON),
        (" 2026-11-24T12:00:00Z\n", NOON),
        ("2026-11-24T12:00:00", NOON),
        ("2026-11-24T12:00:00+00:00", NOON),
        ("2026-11-24T13:30:00+01:30", NOON),
        ("2026-11-24T04:00:00-08:00", NOON),
        ("2026-11-24 12:00:00Z", NOON),
        ("2026-11-24T12:00:00.000000000Z", NOON),
        *((f"2026-11-24T12:00:00.{'1' * digits}Z", digits) for digits in range(1, 10)),
        ("2026-11-24T12:00:00.5-00:00", NOON + timedelta(seconds=0.5)),
        ("2026-11-24T12:00:00.5", NOON + timedelta(seconds=0.5)),
        ("2026-11-24T12:00:00.0000009Z", NOON),
    ],
)
def test_time_is_read_in_every_notation(text: str, time: datetime | int) -> None:
    """ISO 8601 with `Z`, an offset or neither, and with any number of digits, on every Python."""
    if isinstance(time, int):
        time = NOON + timedelta(microseconds=int(f"{'1' * min(time, 6):0<6}"))
    assert parse_time(text) == time
    assert parse_time(text).tzinfo is not None


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)),  # noqa: DTZ001
    st.integers(-23 * 60, 23 * 60),
)
def test_time_that_was_written_is_read_back(time: datetime, minutes: int) -> None:
    """Every time in every offset, as ISO 8601 writes it, is the same time."""
    there = time.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert parse_time(there.isoformat()) == there
    assert parse_time(there.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")) == there
    assert parse_time(time.isoformat()) == time.replace(tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "never",
        "Z",
        "2026-13-01T00:00:00Z",
        "2026-11-24T25:00:00Z",
        "2026-11-24T12:00:00ZZ",
        "2026-11-24T12:00:00.x",
        "1795521600",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-00:01",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    """Anything else is an error of one kind."""
    with pytest.raises(ValueError):  # noqa: PT011 - the words are the standard library's
        parse_time(text)


@given(st.text() | st.text("0123456789-:+.TZ "))
def test_text_is_a_time_or_a_value_error(text: str) -> None:
    """Whatever a server sends for a time, nothing else comes of it."""
    try:
        time = parse_time(text)
    except ValueError:
        return
    assert time.tzinfo is not None


def test_token_object_is_read_whole() -> None:
    """Every field of the API arrives; lists become tuples, and times stay as they were written."""
    token = token_info(WHOLE)
    assert dataclasses.asdict(token) == {**WHOLE, "ip_allowlist": ("192.0.2.0/24",), "scopes": ("user:read",)}


@pytest.mark.parametrize("absent", [{}, dict.fromkeys(set(WHOLE) - {"token_prefix"})])
@pytest.mark.parametrize("lenient", [False, True])
def test_prefix_alone_is_a_token(absent: dict[str, Any], *, lenient: bool) -> None:
    """What is null or absent is None, except for the description, which is empty."""
    expected = TokenInfo(token_prefix=PREFIX, description="")
    assert token_info({"token_prefix": PREFIX, **absent}, lenient=lenient) == expected


def test_unknown_field_is_passed_over() -> None:
    """A field that the API adds later does no harm."""
    assert token_info({**WHOLE, "colour": {"red": 1}}) == token_info(WHOLE)


WRONG = [
    ("description", 1),
    ("create_time", 1795521600),
    ("create_time", "yesterday"),
    ("created_manually", "true"),
    ("currently_active", 1),
    ("expiry_time", ""),
    ("extend_when_used", "false"),
    ("ip_allowlist", "192.0.2.0/24"),
    ("ip_allowlist", [1]),
    ("last_ip", 1),
    ("last_used_time", {}),
    ("last_user_agent", []),
    ("last_user_agent_human_readable", True),
    ("max_age_seconds", "thirty days"),
    ("max_age_seconds", []),
    ("max_age_seconds", float("inf")),
    ("max_age_seconds", float("nan")),
    ("scopes", {"user": "read"}),
    ("scopes", [None]),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_field_of_another_type_is_named(name: str, value: Any) -> None:
    """Reading strictly, an answer that is no token object is refused by its field, and without what it says."""
    with pytest.raises(ValueError, match=f"^{name}$") as caught:
        token_info({**WHOLE, name: value})
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_detail_does_not_lose_a_token_just_made(name: str, value: Any) -> None:
    """Reading leniently, only what cannot be read is left out."""
    expected = token_info({**WHOLE, name: None})
    assert token_info({**WHOLE, name: value}, lenient=True) == expected


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize("prefix", [None, "", 1, ["x"]])
def test_object_without_a_prefix_is_no_token(prefix: Any, *, lenient: bool) -> None:
    """Without its prefix a token can be neither found nor revoked: even a lenient reader refuses it."""
    for answer in ({**WHOLE, "token_prefix": prefix}, {}):
        with pytest.raises(ValueError, match=r"^token_prefix$"):
            token_info(answer, lenient=lenient)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*WHOLE, "colour"]), JSON), SECRETS)
def test_whatever_an_object_holds_a_token_just_made_is_kept(answer: dict[str, Any], prefix: str) -> None:
    """Leniently, no answer makes the reader fail; strictly, it fails in one way."""
    answer = {**answer, "token_prefix": prefix}
    assert token_info(answer, lenient=True).token_prefix == prefix
    try:
        token_info(answer)
    except ValueError as error:
        assert str(error) in WHOLE  # noqa: PT017 - it may as well be a token


SECRET = "Kx7ZAS9/xv+" + "b" * 360 + "=="


@pytest.mark.parametrize("text", ["{}", "no file '{}'", "extra argument ({})", "it is {}.", "{}: not found", "a {} b"])
@pytest.mark.parametrize("secret", [SECRET, "AVNU_" + SECRET, "x" * 33])
def test_full_token_among_other_words_is_cut(text: str, secret: str) -> None:
    """What was typed in the wrong place is told by its beginning alone."""
    assert without_tokens(text.format(secret)) == text.format(f"{secret[:12]}…")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x" * 32,
        "File '/home/somebody/projects/infrastructure/tokens.yaml' does not exist.",
        "/home/somebody/projects/infrastructure-as-code/tokens: cannot be read",
        "http://an-address.example/that/is/longer/than/a/prefix",
        "number of words, each of which is short, " * 5,
    ],
)
def test_other_words_stay_as_they_are(text: str) -> None:
    """Paths and addresses are what a person looks for in an error."""
    assert without_tokens(text) == text


@pytest.mark.parametrize("text", ["", "short", PREFIX])
def test_prefix_is_shown_whole(text: str) -> None:
    """A prefix is no secret."""
    assert shown(text) == text


@given(SECRETS)
def test_full_token_is_shown_as_its_prefix(secret: str) -> None:
    """Whatever is longer than a prefix is cut."""
    assert shown(secret) == f"{secret[:PREFIX_LENGTH]}…"
    assert secret[: PREFIX_LENGTH + 1] not in shown(secret)


@given(SECRETS)
def test_issued_token_hides_its_secret(secret: str) -> None:
    """The one object that holds a secret does not show it when it is printed."""
    issued = IssuedToken(info=TokenInfo(token_prefix=PREFIX, description="d"), full_token=secret)
    assert secret not in f"{issued!r} {issued} {issued:}"
    assert PREFIX in repr(issued)
    assert issued.full_token == secret


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (User(user_id="u1", user="a@example.org"), User(user_id="u1", user="a@example.org"), True),
        (User(user_id="u1", user="a@example.org"), User(user_id="u1", user="new@example.org"), True),
        (User(user_id="u1", user="a@example.org"), User(user_id="u2", user="a@example.org"), False),
        (User(user_id="u1", user="a@example.org"), User(user_id=None, user="a@example.org"), True),
        (User(user_id="u1", user="a@example.org"), User(user_id="", user="a@example.org"), True),
        (User(user_id=None, user="a@example.org"), User(user_id=None, user="b@example.org"), False),
        (User(user_id="u1", user="a@example.org"), User(user_id=None, user="b@example.org"), False),
    ],
)
def test_user_is_told_by_id_then_by_address(one: User, other: User, *, same: bool) -> None:
    """An id outlives a change of address; where one of the two lacks it, the address decides."""
    assert one.is_same_as(other) is same
    assert other.is_same_as(one) is same
