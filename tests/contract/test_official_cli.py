"""The official command line cannot tell the emulator from Aiven."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulumi_avn_token.emulator import Emulator

# What `avn` printed when its documentation was written: the columns, and a row of each kind.
CREATED = """\
EXPIRY_TIME           DESCRIPTION                       MAX_AGE_SECONDS  EXTEND_WHEN_USED  FULL_TOKEN
====================  ================================  ===============  ================  ===============================
2021-08-16T16:26:10Z  To be used with python notebooks  3600             true              6JsKDclT3OMQd1V2Fl2...RaraBPg==
"""  # noqa: E501 - as wide as it was printed
LISTED = """\
EXPIRY_TIME           TOKEN_PREFIX  DESCRIPTION                       MAX_AGE_SECONDS  EXTEND_WHEN_USED  LAST_USED_TIME        LAST_IP      LAST_USER_AGENT
====================  ============  ================================  ===============  ================  ====================  ===========  ===================
2021-09-15T15:29:14Z  XCJ3+bgWywIh  Test token                        2592000          true              2021-08-16T15:29:14Z  192.168.1.1  aiven-client/2.12.0
2021-08-16T16:26:10Z  6JsKDclT3OMQ  To be used with Python Notebooks  3600             true              null                  null         null
"""  # noqa: E501 - as wide as it was printed
# How a value of each column looks.
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
SHAPES = {
    "EXPIRY_TIME": rf"{TIME}|null",
    "TOKEN_PREFIX": r"[A-Za-z0-9+/]{12}",
    "DESCRIPTION": r".+",
    "MAX_AGE_SECONDS": r"\d+|null",
    "EXTEND_WHEN_USED": r"true|false",
    "FULL_TOKEN": r"[A-Za-z0-9+/.]+==",
    "LAST_USED_TIME": rf"{TIME}|null",
    "LAST_IP": r"[\d.]+|null",
    "LAST_USER_AGENT": r"aiven-client/\S+|null",
}


class Avn:
    """The official command line, as somebody who is logged in runs it."""

    def __init__(self, emulator: Emulator, home: Path) -> None:
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "AIVEN_AUTH_TOKEN": emulator.token,
            "AIVEN_CONFIG_DIR": str(home),
            "AIVEN_WEB_URL": emulator.url,
            "NO_PROXY": "127.0.0.1",
        }

    def run(self, *arguments: str, token: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run it below `avn user`, with another credential if one is given."""
        return subprocess.run(
            [sys.executable, "-m", "aiven.client", "user", *arguments],
            env=self._environment | ({"AIVEN_AUTH_TOKEN": token} if token else {}),
            capture_output=True,
            text=True,
            check=False,
        )

    def __call__(self, *arguments: str) -> str:
        """Run it below `avn user`, and give what it printed."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def create(self, description: str, *more: str) -> str:
        """Create a token, and give it in full."""
        (row,) = rows(self("access-token", "create", "--description", description, *more))
        return row["FULL_TOKEN"]

    def descriptions(self) -> list[str]:
        """List the descriptions of the tokens that somebody made."""
        return [row["DESCRIPTION"] for row in rows(self("access-token", "list"))[1:]]


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Run an emulator in memory."""
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def avn(emulator: Emulator, tmp_path: Path) -> Avn:
    """Log in to it."""
    return Avn(emulator, tmp_path)


def rows(table: str) -> list[dict[str, str]]:
    """Read a table as printed: a header, a separator under each column, and rows in the columns' places."""
    header, separator, *lines = table.splitlines()
    spans = [match.span() for match in re.finditer("=+", separator)]
    assert separator == "  ".join("=" * (end - start) for start, end in spans)
    names = [header[start:end].strip() for start, end in spans]
    padded = "  ".join(name.ljust(end - start) for name, (start, end) in zip(names, spans, strict=True))
    assert header.rstrip() == padded.rstrip()
    return [{name: line[start:end].strip() for name, (start, end) in zip(names, spans, strict=True)} for line in lines]


def assert_same_layout(printed: str, documented: str) -> None:
    """Compare the columns, their order, and the shape of every value with the documentation's."""
    for table in (printed, documented):
        for row in rows(table):
            assert list(row) == list(rows(documented)[0])
            assert [name for name, value in row.items() if not re.fullmatch(SHAPES[name], value)] == []


def test_create_prints_the_documented_table(avn: Avn) -> None:
    """`create` with all its options prints the documentation's columns, and the values that were asked for."""
    printed = avn(
        *("access-token", "create", "--description", "To be used with python notebooks"),
        *("--max-age-seconds", "3600", "--extend-when-used"),
    )
    assert_same_layout(printed, CREATED)
    (documented,), (row,) = rows(CREATED), rows(printed)
    asked_for = ("DESCRIPTION", "MAX_AGE_SECONDS", "EXTEND_WHEN_USED")
    assert [row[name] for name in asked_for] == [documented[name] for name in asked_for]
    # Up to the token's column, which the documentation shortens, the lines are the documentation's to the letter.
    width = CREATED.index("FULL_TOKEN")
    for line, example in list(zip(printed.splitlines(), CREATED.splitlines(), strict=True))[:2]:
        assert line[:width] == example[:width]


def test_create_without_age_prints_thirty_days(avn: Avn) -> None:
    """Without `--max-age-seconds` the token has the documentation's default age."""
    (row,) = rows(avn("access-token", "create", "--description", "d"))
    assert (row["MAX_AGE_SECONDS"], row["EXTEND_WHEN_USED"]) == ("2592000", "false")


def test_list_prints_the_documented_table(avn: Avn) -> None:
    """`list` prints the documentation's columns, for a token that was used and for one that was not."""
    used = avn.create("Test token", "--extend-when-used")
    avn.create("To be used with Python Notebooks", "--max-age-seconds", "3600", "--extend-when-used")
    assert avn.run("access-token", "list", token=used).returncode == 0
    printed = avn("access-token", "list")
    assert_same_layout(printed, LISTED)
    _, first, second = rows(printed)
    for row, documented in zip((first, second), rows(LISTED), strict=True):
        for name in ("DESCRIPTION", "MAX_AGE_SECONDS", "EXTEND_WHEN_USED"):
            assert row[name] == documented[name]
        for name in ("LAST_USED_TIME", "LAST_IP", "LAST_USER_AGENT"):
            assert (row[name] == "null") == (documented[name] == "null")


@pytest.mark.parametrize("length", [12, 372], ids=["prefix", "full token"])
def test_update_changes_the_description(avn: Avn, length: int) -> None:
    """`update` takes a prefix, slash and all, as well as the full token, and prints the columns of `list`."""
    name = avn.create("before")[:length]
    printed = avn("access-token", "update", name, "--description", "after")
    assert_same_layout(printed, LISTED)
    assert avn.descriptions() == ["after"]


@pytest.mark.parametrize("length", [12, 372], ids=["prefix", "full token"])
def test_revoke_ends_one_token(avn: Avn, length: int) -> None:
    """`revoke` takes a prefix, slash and all, as well as the full token, and leaves the others."""
    name = avn.create("to go")[:length]
    avn.create("to stay")
    assert {"+", "/"} <= set(name)
    assert avn("access-token", "revoke", name) == "Revoked\n"
    assert avn.descriptions() == ["to stay"]


def test_unknown_prefix_is_reported(avn: Avn) -> None:
    """`revoke` of an unknown prefix fails with the service's message."""
    done = avn.run("access-token", "revoke", "nosuchprefix")
    assert done.returncode != 0
    assert "Access token not found (status 404)" in done.stderr


def test_bad_age_is_reported(avn: Avn) -> None:
    """`create` with an age out of range fails with the service's message."""
    done = avn.run("access-token", "create", "--description", "d", "--max-age-seconds", "1")
    assert done.returncode != 0
    assert "Invalid input for max_age_seconds" in done.stderr


def test_tokens_expire_ends_them_all(avn: Avn) -> None:
    """`tokens-expire` prints a message, and the credential that asked for it works no more."""
    token = avn.create("d")
    assert avn("tokens-expire").strip()
    for credential in (None, token):
        done = avn.run("access-token", "list", token=credential)
        assert done.returncode != 0
        assert "Missing (expired) db token (status 401)" in done.stderr


def test_expired_credential_is_reported(emulator: Emulator, avn: Avn) -> None:
    """A credential past its age fails with the service's message."""
    token = avn.create("d", "--max-age-seconds", "600")
    emulator.clock_offset = 601
    done = avn.run("access-token", "list", token=token)
    assert done.returncode != 0
    assert "Missing (expired) db token (status 401)" in done.stderr


def test_info_prints_the_user(avn: Avn) -> None:
    """`avn user info` finds all the columns that it prints."""
    (row,) = rows(avn("info"))
    assert (row["USER"], row["STATE"]) == ("demo@example.org", "active")
