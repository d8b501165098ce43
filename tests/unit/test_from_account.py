"""What is in the account, written as a manifest that adopts it."""

from __future__ import annotations

import dataclasses
import string
import unicodedata
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from pulumi_avn_token import manifest
from pulumi_avn_token.adoption import find_mismatches
from pulumi_avn_token.from_account import Written, write
from pulumi_avn_token.holdings import Holding, Role
from pulumi_avn_token.lifecycle import SETTINGS, TOKEN_TYPE, comparable
from pulumi_avn_token.marks import marked, user_agent
from pulumi_avn_token.model import TokenInfo

PREFIX = "XCJ3+bgWywIh"
MARK = "series-0123456789abcdef"
DAY = 24 * 60 * 60
HEADER = """\
# yaml-language-server: $schema=tokens.schema.json
# (that file is what `pulumi-avn-token manifest schema` prints)
# If you have a manifest, add these to it under names of their own, and do not
# replace it: what a manifest no longer declares is revoked.
"""
FOREVER = "  # never expires; one in its place would live 30d, or a max_age given here\n"
IN_USE = "  # the token that asked for this list: it is not revoked while it is in use\n"


def token(description: str = "CI deploys", prefix: str = PREFIX, **fields: Any) -> TokenInfo:
    """Give a token that ends some day."""
    known: dict[str, Any] = {"expiry_time": "2026-12-24T12:00:00Z", "created_manually": True}
    return TokenInfo(token_prefix=prefix, description=description, **{**known, **fields})


def tokens(*descriptions: str) -> list[TokenInfo]:
    """Give a token for each description."""
    return [token(description, f"prefix/{number}") for number, description in enumerate(descriptions)]


def read(written: Written) -> dict[str, manifest.Declaration]:
    """Read a written manifest as `pulumi up` would."""
    return manifest.parse(written.text.encode(), "tokens.yaml")


def names(*descriptions: str) -> list[str]:
    """Write a manifest of tokens with these descriptions, and give the names in it."""
    written = write(tokens(*descriptions))
    assert not written.left_out
    return list(read(written))


def check(account: list[TokenInfo]) -> None:
    """Make sure that what is written of an account adopts each token as it is, or tells why one is left out."""
    written = write(account)
    declared = read(written)
    left_out = [found for found, _ in written.left_out]
    adopted = [found for found in account if not any(found is other for other in left_out)]
    assert [found for found in account if any(found is other for other in left_out)] == left_out
    assert len(declared) == len(adopted)
    for found, declaration in zip(adopted, declared.values(), strict=True):
        arguments = dict(declaration.arguments)
        assert not declaration.is_series
        assert arguments.pop("adopt_prefix") == found.token_prefix
        assert arguments.pop("description") == found.description
        assert not list(find_mismatches(found, arguments))
        for name in SETTINGS:
            actual = getattr(found, name) or None  # an empty list is none at all
            assert comparable(arguments.pop(name, None)) == comparable(actual)
        assert not arguments
    for _, reason in written.left_out:
        assert reason.isprintable()


def test_manifest_is_one_that_a_person_would_write() -> None:
    """The text as it is, with each setting in its usual form, and what is as it is by default left out."""
    account = [
        token("CI deploys", max_age_seconds=30 * DAY, extend_when_used=False, ip_allowlist=(), scopes=None),
        token(
            'Python: "notebooks" of the team\'s',
            "9zQ/hhKe01Lm",
            max_age_seconds=90 * 60,
            extend_when_used=True,
            ip_allowlist=("192.0.2.0/24", "2001:db8::/32"),
            scopes=("user:read",),
            last_used_time="2026-11-01T12:00:00Z",
        ),
        token("1234", "1234567890/+", expiry_time=None, currently_active=True),
    ]
    assert write(iter(account)) == Written(
        f"""\
{HEADER}tokens:
  ci-deploys:
    description: CI deploys
    max_age: 30d
    adopt_prefix: {PREFIX}
  python-notebooks-of-the-team-s:
    description: 'Python: "notebooks" of the team''s'
    max_age: 90m
    extend_when_used: true
    ip_allowlist:
    - 192.0.2.0/24
    - 2001:db8::/32
    scopes:
    - user:read
    adopt_prefix: 9zQ/hhKe01Lm
{FOREVER}{IN_USE}  token-1234:
    description: "1234"
    adopt_prefix: 1234567890/+
""",
        [],
        3,
    )


@pytest.mark.parametrize("account", [[], [token("")]])
def test_manifest_of_nothing_is_a_manifest(account: list[TokenInfo]) -> None:
    """An account without tokens, or with none that can be declared, gives a manifest that is good, and empty."""
    written = write(account)
    assert written.text == f"{HEADER}tokens: {{}}\n"
    assert read(written) == {}


def test_first_line_tells_editors_of_the_schema() -> None:
    """The comment is the first line, whatever follows it."""
    for account in ([], tokens("a", "b")):
        assert write(account).text.splitlines()[0] == "# yaml-language-server: $schema=tokens.schema.json"


@pytest.mark.parametrize(
    ("fields", "notes"),
    [
        ({}, ""),
        ({"expiry_time": None}, FOREVER),
        ({"expiry_time": None, "max_age_seconds": 600}, ""),
        ({"currently_active": True}, IN_USE),
        ({"currently_active": False}, ""),
        ({"expiry_time": None, "currently_active": True}, FOREVER + IN_USE),
    ],
)
def test_what_a_person_should_know_is_a_comment(fields: dict[str, Any], notes: str) -> None:
    """What a new token in its place would not have, and which is in use, stands above the token."""
    assert write([token(**fields)]).text.startswith(f"{HEADER}tokens:\n{notes}  ci-deploys:\n")


@pytest.mark.parametrize(
    ("descriptions", "expected"),
    [
        (["CI deploys"], ["ci-deploys"]),
        (["  CI -- deploys!  "], ["ci-deploys"]),
        (["Ünïcödé Straße"], ["unicode-strae"]),
        (["żółw 日本語"], ["zow"]),
        (["日本語"], ["token-prefix-0"]),
        (["!!!"], ["token-prefix-0"]),
        (["1234"], ["token-1234"]),
        (["2026-11-01"], ["token-2026-11-01"]),
        (
            ["null", "on", "Yes", "NO", "true", "off", "y"],
            [*(f"token-{n}" for n in ("null", "on", "yes", "no", "true", "off")), "y"],
        ),
        (["~", "<<"], ["token-prefix-0", "token-prefix-1"]),
        (["x" * 1000], ["x" * 50]),
        ([f"{'x' * 49} y"], ["x" * 49]),
        (["a", "a", "A", "a!"], ["a", "a-2", "a-3", "a-4"]),
        (["a", "a", "a-2", "a-2"], ["a", "a-2", "a-2-2", "a-2-3"]),
        (["a-2", "a", "a"], ["a-2", "a", "a-3"]),
        (["token 1", "1"], ["token-1", "token-1-2"]),
    ],
)
def test_token_is_named_after_its_description(descriptions: list[str], expected: list[str]) -> None:
    """A name is short, plain and the token's own; the second of two that would be the same gets a number."""
    assert names(*descriptions) == expected


@given(
    st.lists(
        st.sampled_from(["a", "A ", "a-2", "a 2", "a-3", "1", "null", "", "żółw"]) | st.text(max_size=60), max_size=9
    ),
    st.integers(0, 9),
)
def test_names_are_unique_plain_and_stable(descriptions: list[str], length: int) -> None:
    """Each token has a name of its own in the account's order, and tokens that come later change none before."""
    descriptions = [description or "x" for description in descriptions]
    found = names(*descriptions)
    assert len(found) == len(descriptions)
    for name in found:
        assert name[0] in string.ascii_lowercase
        assert set(name) <= set(string.ascii_lowercase + string.digits + "-")
        assert len(name) < 70
        assert yaml.safe_load(name) == name
    assert names(*descriptions[:length]) == found[:length]


@pytest.mark.parametrize(
    "text", ["1e3", "0o17", "12e456789012", "-.inf", "+1", "-1.E+5", ".5", "1_000", "0x1F", "2026-11-25"]
)
def test_text_that_any_yaml_takes_for_a_number_is_in_quotes(text: str) -> None:
    """What is a number or a date to YAML 1.1 or 1.2 is text to both, and so to editors, which read by the latter."""
    written = write([token(text, text)])
    assert written.text.count(f'"{text}"\n') + written.text.count(f"'{text}'\n") == 2


def holding(name: str, prefix: str, role: Role = "current") -> Holding:
    """Give a token that a stack tells of."""
    urn = f"urn:pulumi:prod::tokens::{TOKEN_TYPE}::{name}"
    return Holding(token_prefix=prefix, role=role, stack="tokens/prod", urn=urn, is_series=False)


def test_what_stacks_hold_is_left_out_and_its_names_are_not_given_again() -> None:
    """A token is not adopted twice, and none gets the name of a resource, whose token it would have revoked."""
    account = tokens("CI deploys", "CI deploys", "CI deploys", "Nightly", "Notebooks")
    holdings = [
        holding("ci-deploys", "prefix/0"),
        holding("ci-deploys-2", "long/gone+++", "leaving"),
        holding("nightly", "prefix/3", "read"),
        holding("Notebooks", "of/another+++"),
    ]
    written = write(account, iter(holdings))
    assert {name: declared.arguments["adopt_prefix"] for name, declared in read(written).items()} == {
        "ci-deploys-3": "prefix/1",
        "ci-deploys-4": "prefix/2",
        "nightly-2": "prefix/3",
        "notebooks": "prefix/4",
    }
    assert written.adopted == 4
    everything = write(account, [holding(f"x{number}", found.token_prefix) for number, found in enumerate(account)])
    assert (read(everything), everything.adopted, everything.left_out) == ({}, 0, [])


def test_mark_of_a_token_that_is_in_use_is_not_declared() -> None:
    """A new token in its place would begin with the mark of another one."""
    used = token(marked("CI deploys", MARK), last_used_time="2026-11-01T12:00:00Z")
    written = write([used])
    (declared,) = read(written).values()
    assert declared.arguments["description"] == "CI deploys"
    assert "  # its description loses the mark under which an `up` made it\n" in written.text


TOO_YOUNG = "its max_age_seconds must be a whole number of seconds from 600 to 315360000, not {}"
HALF_MADE = "an `up` that was interrupted made it, and nobody has used it: see `pulumi-avn-token audit`"
MARKED = "an `up` made it, and its stack may hold it and revoke it one day; if none does, name it by --prefix"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"description": ""}, "its description must not be empty"),
        ({"description": "x" * 1001}, "its description must have at most 1000 characters, not 1001"),
        ({"description": "half \ud800"}, "its description holds half a character"),
        ({"description": "\udfff"}, "its description holds half a character"),
        ({"max_age_seconds": 599}, TOO_YOUNG.format(599)),
        ({"max_age_seconds": 0}, TOO_YOUNG.format(0)),
        ({"max_age_seconds": 315_360_001}, TOO_YOUNG.format(315_360_001)),
        (
            {"ip_allowlist": ("192.0.2.1", "nowhere")},
            "its ip_allowlist must hold addresses and networks such as 192.0.2.0/24; number 2 is none",
        ),
        ({"scopes": tuple(map(str, range(101)))}, "its scopes must hold at most 100 items, not 101"),
        ({"scopes": ("user:read", "")}, "its scopes must hold strings that are not empty"),
        ({"description": marked("CI deploys", MARK)}, HALF_MADE),
        ({"last_user_agent": user_agent("pulumi-avn-token/1.0", MARK)}, MARKED),
    ],
)
def test_token_that_cannot_be_declared_is_left_out_with_the_reason(fields: dict[str, Any], reason: str) -> None:
    """Nothing is bent to fit: what a manifest cannot hold is named, and the rest is written."""
    odd = dataclasses.replace(token(), **fields)
    written = write([token("before", "prefix/before"), odd, token("after", "prefix/after")])
    assert list(read(written)) == ["before", "after"]
    ((found, told),) = written.left_out
    assert found is odd
    assert told == reason


def test_token_of_a_series_is_adopted_only_by_its_name() -> None:
    """Who names a token that a series made takes it over; one that nobody got the secret of stays out all the same."""
    unused = token("Ingest", "its/unused++", last_user_agent=user_agent("pulumi-avn-token/1.0", MARK))
    half_made = token(marked("Ingest", MARK), "its/half++++")
    account = [unused, half_made, token()]
    assert write(account).left_out == [(unused, MARKED), (half_made, HALF_MADE)]
    assert write(account, trusted=["its/unus"]).left_out == [(unused, MARKED), (half_made, HALF_MADE)]
    written = write(account, trusted=["its/unused++", "its/half++++"])
    assert list(read(written)) == ["ingest", "ci-deploys"]
    assert written.left_out == [(half_made, HALF_MADE)]
    too_young = dataclasses.replace(unused, max_age_seconds=1)
    assert write([too_young], trusted=["its/unused++"]).left_out == [(too_young, TOO_YOUNG.format(1))]


@pytest.mark.parametrize(
    "fields",
    [
        {"scopes": ("user:read", "half \ud800")},
        {"token_prefix": "p" * 33},
        {"token_prefix": "half \ud800"},
        {"ip_allowlist": ("fe80::1%\ud800",)},
    ],
)
def test_whatever_a_manifest_cannot_hold_is_left_out(fields: dict[str, Any]) -> None:
    """What the loader would refuse is not written, so that one odd token does not spoil the manifest of all others."""
    written = write([token("before", "prefix/before"), dataclasses.replace(token(), **fields)])
    assert list(read(written)) == ["before"]
    assert len(written.left_out) == 1


@pytest.mark.parametrize(
    "description",
    [
        "null",
        *("~", "1234", "1e3", "0x1F", "1_000", "2026-11-01", "2026-11-01 12:00:00", "12:30:45", "yes", "on", "No"),
        *(
            "true",
            "<<",
            "=",
            "- a",
            "? a",
            ": a",
            "a: b",
            "a:",
            "a #b",
            "#b",
            "%a",
            "@a",
            "`a`",
            "&a",
            "*a",
            "!a",
            "!!int 1",
        ),
        *("---", "...", "{a}", "[a]", "a, b", "|", ">", "'", '"', "''", "it's", 'say "hi"', "\\", "\\n", "%YAML 1.2"),
        *(" ", "  ", " leading", "trailing ", "\ttab", "two  blanks", "a\nb", "\n", "a\n", "\r", "\r\n", "a\r\nb"),
        *(
            "\x00",
            "\x07",
            "\x1b[2J",
            "\x7f",
            "\x80",
            "\x85",
            "a\x85b",
            "\x0b",
            "\x0c",
            "\x1c",
            "\x1d",
            "\x1e",
            "\xa0",
            "\xad",
        ),
        *(
            "\u2028",
            "a\u2028b",
            "\u2029",
            "\ufeff",
            "a\ufeffb",
            "\ufffe",
            "\uffff",
            "\U0010ffff",
            "\U0001fffe",
            "\u202e",
        ),
        *("🙂", "👩\u200d🔬", "żółw", "日本語", "עברית", "ไทย", "e\u0301", "\u0301", "\u3000"),
        *("x" * 1000, "🙂" * 1000, "word " * 200, "\n" * 1000, "'" * 1000, "\ufeff" * 1000),
        "a\n  # a comment\n  other:\n    description: injected",
        "a\x85tokens: {}",
        "a\u2028  adopt_prefix: other",
        '"\n',
        "'\n# x",
    ],
)
def test_description_is_kept_to_the_character(description: str) -> None:
    """Whatever a description holds, and YAML takes it for, it is read back as it is: nothing in the account changes."""
    account = [token(description), token("after", "prefix/after", expiry_time=None, currently_active=True)]
    for order in (account, account[::-1]):
        check(order)
        assert not write(order).left_out


DESCRIPTIONS = st.text(max_size=60) | st.text(" \n\t'\"#:{}[]&*!|>%@`,-?~<=\\\x85\u2028\ufeff🙂a1", max_size=20)
NETWORKS = st.lists(st.ip_addresses().map(str) | st.sampled_from(["192.0.2.0/24", "nowhere"]), max_size=3).map(tuple)
ACCOUNTS = st.lists(
    st.builds(
        TokenInfo,
        token_prefix=st.text(string.ascii_letters + string.digits + "+/", min_size=12, max_size=12),
        description=DESCRIPTIONS,
        created_manually=st.none() | st.booleans(),
        currently_active=st.none() | st.booleans(),
        expiry_time=st.none() | st.just("2026-12-24T12:00:00Z"),
        extend_when_used=st.none() | st.booleans(),
        ip_allowlist=st.none() | NETWORKS,
        last_user_agent=st.none() | st.sampled_from(["curl/8", user_agent("pulumi-avn-token/1.0", MARK)]),
        max_age_seconds=st.none() | st.integers(590, 315_360_010) | st.integers(1, 3660).map(DAY.__mul__),
        scopes=st.none() | st.lists(st.text(max_size=10), max_size=3).map(tuple),
    ),
    max_size=5,
    unique_by=lambda found: found.token_prefix,
)


@given(ACCOUNTS)
@example(
    [token("a", "1234567890+1"), token("a", "0x1F00000000"), token("a", "1e3456789012"), token("a", "+12345678901")]
)
@example([token("a", "123456789012"), token("a", "2026/11+1234"), token("a", "Null"), token("a", "~")])
def test_every_account_is_adopted_as_it_is(account: list[TokenInfo]) -> None:
    """Each token is in the manifest with its settings, or left out with the reason, and adopting it changes nothing."""
    check(account)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=1000))
def test_every_description_is_adopted(description: str) -> None:
    """A text of any script and length that the service takes can be declared."""
    account = [token(description)]
    check(account)
    assert not write(account).left_out


@given(ACCOUNTS)
def test_no_text_of_a_token_becomes_another_line(account: list[TokenInfo]) -> None:
    """The comments are this package's alone, and each other line is a key, or an item of a list."""
    known = {line.strip() for line in (HEADER + FOREVER + IN_USE).splitlines()}
    written = write(account)
    for line in written.text.split("\n"):
        assert not any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in line)
        if line.lstrip().startswith("#"):
            assert line.strip() in known
    assert len(written.text.splitlines()) == written.text.count("\n")
    for event in yaml.parse(written.text):
        if isinstance(event, yaml.ScalarEvent):
            assert event.start_mark
            assert event.end_mark
            assert event.start_mark.line == event.end_mark.line


def test_other_scripts_stay_legible() -> None:
    """What a person can read in the account stays as it is in the manifest; only what cannot be seen is escaped."""
    assert '    description: żółw 日本語 🙂 it\'s "so"\n' in write([token('żółw 日本語 🙂 it\'s "so"')]).text
    assert '    description: "a\\e\\nb"\n' in write([token("a\x1b\nb")]).text


def test_same_account_gives_the_same_text() -> None:
    """What is written depends on the tokens alone, so that a second run shows what has changed."""
    account = tokens("b", "a", "b")
    assert write(account) == write(list(account))
    assert write(account[:2]).text == "".join(write(account).text.partition("  b-2:\n")[:1])


def test_hidden_character_in_a_setting_is_escaped() -> None:
    """What turns round or hides the rest of a line is seen as an escape in the manifest, wherever it stands."""
    odd = dataclasses.replace(token(), scopes=("a\u202eb",))
    written = write([odd])
    assert "\u202e" not in written.text
    assert next(iter(read(written).values())).arguments["scopes"] == ["a\u202eb"]
