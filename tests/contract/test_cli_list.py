"""`pulumi-avn-token list`: the account at a glance."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.contract.servers import Server, said, token_object
from tests.contract.terminal import (
    DAY,
    HOSTILE,
    SERIES_MARK,
    SGR,
    Account,
    Ran,
    assert_error,
    assert_harmless,
    cells,
    plain,
)

OFFICIAL = (
    "EXPIRY_TIME",
    "TOKEN_PREFIX",
    "DESCRIPTION",
    "MAX_AGE_SECONDS",
    "EXTEND_WHEN_USED",
    "LAST_USED_TIME",
    "LAST_IP",
    "LAST_USER_AGENT",
)
"""The columns of `avn user access-token list`, in its order."""
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0"


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Account]]:
    """Accounts with 0, 1, 10 and 500 tokens of all kinds; nobody may change them."""
    folders = {count: tmp_path_factory.mktemp(f"crowd{count}") for count in (0, 1, 10, 500)}
    with (
        Account(folders[0]) as none,
        Account(folders[1]) as one,
        Account(folders[10]) as ten,
        Account(folders[500]) as many,
    ):
        accounts = {0: none, 1: one, 10: ten, 500: many}
        for count, account in accounts.items():
            fill(account, count)
        yield accounts


def fill(account: Account, count: int) -> None:
    """Make so many tokens, of which some are old, long, wide, unused, for ever or used from far away."""
    descriptions = (
        "CI deploys",
        "日本語のトークン",
        "x" * 1000,
        "Ingest: eu-west-1, ask #platform first",
        "null",
        "e\u0301e\u0301",
    )
    ages = (None, 3600, DAY, 30 * DAY, 90 * DAY, 3650 * DAY)
    agents = ("aiven-client/4.18.0", BROWSER, "curl/8.5.0", "観察者/1.0")
    for number in range(count):
        age = ages[number % 6]
        prefix = account.make(
            f"{descriptions[number % 5]}{number or ''}", max_age_seconds=age, extend_when_used=number % 7 == 1
        )
        account.record(prefix, create_time=-(age or DAY) * (number % 10) / 10)
        if number % 3:
            account.use(
                prefix,
                number * 997 % 3000,
                ("192.0.2.17", "2001:db8:85a3::8a2e:370:7334")[number % 2],
                agents[number % 4],
            )


def table(ran: Ran) -> list[dict[str, str]]:
    """Read a table by the places of its columns, which no value may leave."""
    header, *lines = ran.lines()
    titles = list(re.finditer(r"\S+", header))
    ends = [title.start() for title in titles[1:]]
    rows = []
    for line in lines:
        shown = cells(line)
        assert {shown[end - 1] for end in ends} == {" "}, "a value runs into the next"
        spans = zip(titles, [*ends, len(shown)], strict=True)
        rows.append({title[0]: "".join(shown[title.start() : end]).strip() for title, end in spans})
    return rows


def descriptions(ran: Ran) -> list[str]:
    """The descriptions in the order in which they are listed; the command has gone well."""
    assert ran.status == 0, ran
    return [row["DESCRIPTION"] for row in table(ran)] if ran.out else []


def told_officially(token: dict[str, Any]) -> dict[str, str]:
    """What the official command line says of a token in JSON, as the table shows it: times to the second."""

    def shown(value: Any, absent: str) -> str:
        text = absent if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        return re.sub(r"\.\d+Z$", "Z", text)

    absent = {"EXPIRY_TIME": "never", "LAST_USED_TIME": "never"}
    return {column: shown(token[column.lower()], absent.get(column, "-")) for column in OFFICIAL}


def test_a_pipe_gets_the_official_columns_and_their_values(crowd: dict[int, Account]) -> None:
    """Every column of `avn user access-token list` is there, in its order, and each token says in them what it does."""
    account = crowd[10]
    ran = account.run("list")
    rows = {row["TOKEN_PREFIX"]: row for row in table(ran)}
    assert [column for column in ran.lines()[0].split() if column in OFFICIAL] == list(OFFICIAL)
    official = {prefix: token for prefix, token in account.tokens().items() if token["created_manually"]}
    assert len(official) == 10
    assert {prefix: {column: row[column] for column in OFFICIAL} for prefix, row in rows.items()} == {
        prefix: told_officially(token) for prefix, token in official.items()
    }


def test_json_is_what_the_official_command_line_says(crowd: dict[int, Account]) -> None:
    """`--json` gives each token's fields as `avn … list --json` does, and how much of its life is left beside them."""
    account = crowd[10]
    listed = account.run("list", "--json").json()
    official = {prefix: token for prefix, token in account.tokens().items() if token["created_manually"]}
    assert {token["token_prefix"] for token in listed} == set(official)
    for token in listed:
        told = official[token["token_prefix"]]
        assert {name: token[name] for name in told} == told
        assert set(token) - set(told) == {"seconds_left", "life_left"}
        if told["expiry_time"] is None:
            assert (token["seconds_left"], token["life_left"]) == (None, None)
        else:
            assert 0 <= token["life_left"] <= 1
            assert token["life_left"] == pytest.approx(token["seconds_left"] / told["max_age_seconds"], abs=0.01)


def test_json_and_the_table_are_of_one_mind(crowd: dict[int, Account]) -> None:
    """The table and `--json` list the same tokens in the same order, with the same options."""
    options = ("--sort", "description", "--reverse", "--expiring-within", "90d")
    shown = [row["TOKEN_PREFIX"] for row in table(crowd[500].run("list", *options))]
    assert shown == [token["token_prefix"] for token in crowd[500].run("list", *options, "--json").json()]
    assert 100 < len(shown) < 500


@pytest.mark.parametrize("count", [1, 10, 500])
def test_a_pipe_gets_one_line_a_token(crowd: dict[int, Account], count: int) -> None:
    """Behind the titles each token has one line, nothing is cut, and no line ends in a blank or holds an escape."""
    ran = crowd[count].run("list")
    assert (ran.status, ran.err) == (0, "")
    assert len(ran.lines()) == count + 1
    assert [line for line in ran.lines() if line != line.rstrip()] == []
    assert "\x1b" not in ran.out
    assert "…" not in ran.out
    assert sum("x" * 1000 in line for line in ran.lines()) == (count + 2) // 5


@pytest.mark.parametrize("columns", [60, 80, 200])
@pytest.mark.parametrize("count", [1, 10, 500])
def test_no_line_is_longer_than_the_terminal(crowd: dict[int, Account], count: int, columns: int) -> None:
    """At any width each token has one line that fits, with its whole prefix."""
    account = crowd[count]
    ran = account.see("list", columns=columns)
    assert ran.status == 0
    lines = plain(ran.out).splitlines()
    prefixes = {prefix for prefix in account.secrets if prefix}
    assert sum(any(cell in prefixes for cell in line.split()) for line in lines) == count
    assert [line for line in lines if len(cells(line)) > columns] == []


@pytest.mark.parametrize("columns", [1, 11, 12, 40])
def test_a_terminal_too_narrow_for_anything_else_shows_whole_prefixes(crowd: dict[int, Account], columns: int) -> None:
    """A prefix is never cut: it is what the other commands are given."""
    lines = plain(crowd[10].see("list", columns=columns).out).splitlines()
    for prefix in filter(None, crowd[10].secrets):
        assert any(prefix in line.split() for line in lines)


def test_columns_line_up_under_wide_characters(crowd: dict[int, Account]) -> None:
    """A description in characters of two cells, or with accents of none, pushes nothing out of its column."""
    for columns in (80, 200):
        lines = plain(crowd[10].see("list", columns=columns).out).splitlines()
        at = lines[0].index("LIFE_LEFT")
        assert {cells(line)[at] for line in lines[1:11]} <= {"█", "░", "n"}
        assert any("日本語" in line for line in lines)


def test_what_does_not_fit_is_named_and_had_with_wide(crowd: dict[int, Account]) -> None:
    """A narrow terminal leaves columns out, says which, and `--wide` shows them all the same."""
    narrow = plain(crowd[10].see("list", columns=80).out)
    (note,) = re.findall(r"--wide shows ([A-Z_,\s]+) too", narrow)
    left_out = re.split(r",\s+", note)
    header = narrow.splitlines()[0].split()
    assert set(left_out) | set(header) >= set(OFFICIAL)
    assert not set(left_out) & set(header)
    wide = plain(crowd[10].see("list", "--wide", columns=80).out).splitlines()[0].split()
    assert set(wide) == {*left_out, *header}
    full = plain(crowd[10].see("list", columns=300).out)
    assert set(full.splitlines()[0].split()) == set(wide)
    assert "--wide" not in full


def test_columns_of_the_environment_count_in_a_pipe(crowd: dict[int, Account]) -> None:
    """Who pipes the table into a pager can say how wide it is."""
    for line in crowd[10].run("list", COLUMNS="80").lines():
        assert len(cells(line)) <= 80


def test_no_tokens_are_told_beside_the_table(crowd: dict[int, Account]) -> None:
    """An account without tokens prints nothing for a program to trip over, and says so to people."""
    assert crowd[0].run("list") == (0, "", "There are no tokens.\n")
    assert crowd[0].run("list", "--json").json() == []
    assert crowd[0].see("list").out == "There are no tokens.\n"


def test_sessions_count_where_they_are_asked_for(crowd: dict[int, Account]) -> None:
    """The login that asks is a session, so an account without tokens has one that can fit or not."""
    assert crowd[0].run("list", "--sessions", "--prefix", "zz").err == "The only token does not match.\n"


def test_no_match_is_told_from_an_empty_account(crowd: dict[int, Account]) -> None:
    """Where filters leave nothing, it says how many tokens there were, and it is no error."""
    ran = crowd[10].run("list", "--description", "no such")
    assert (ran.status, ran.out) == (0, "")
    assert "10 tokens" in ran.err
    assert ran.err.count("\n") == 1
    assert crowd[10].run("list", "--description", "no such", "--json")[:2] == (0, "[]\n")


def test_one_request_and_no_change(account: Account) -> None:
    """Listing asks for the tokens once, and for nothing else."""
    account.make("CI")
    account.run("list", "--sessions", "--unused-for", "1d")
    assert account.asked() == ["GET /v1/access_token"]


def test_the_bar_grows_shorter_with_the_clock(account: Account) -> None:
    """What is left is a bar of ten cells and a rough time, by the account's clock."""
    account.make("CI", max_age_seconds=30 * DAY)
    seen = []
    for days in (0, 7.6, 15.1, 29.1, 29.98):
        account.emulator.clock_offset = days * DAY
        (row,) = table(account.run("list"))
        bar, _, words = row["LIFE_LEFT"].partition(" ")
        assert re.fullmatch("█*░*", bar)
        assert len(bar) == 10
        seen.append((bar.count("█"), words))
    assert seen == [(10, "29d"), (7, "22d"), (5, "14d"), (0, "21h"), (0, "28m")]


def test_a_token_that_lives_for_ever_has_no_bar(account: Account) -> None:
    """There is no share of for ever, and no date at its end."""
    account.make("CI")
    (row,) = table(account.run("list"))
    assert (row["EXPIRY_TIME"], row["LIFE_LEFT"]) == ("never", "no end")


def test_a_token_whose_age_counts_from_its_last_use_is_full_after_it(account: Account) -> None:
    """For `extend_when_used` the life that is left counts from the last use, not from when it was made."""
    prefix = account.make("CI", max_age_seconds=10 * DAY, extend_when_used=True)
    account.record(prefix, create_time=-100 * DAY)
    account.use(prefix, ago=DAY)
    (row,) = table(account.run("list"))
    assert row["LIFE_LEFT"].startswith("█" * 9 + "░")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_the_bar_is_ascii_where_the_output_is(account: Account, encoding: str) -> None:
    """An encoding without blocks gets a bar of other signs, and descriptions are escaped instead of failing."""
    prefix = account.make("日本", max_age_seconds=30 * DAY)
    account.record(prefix, create_time=-15 * DAY)
    ran = account.run("list", PYTHONIOENCODING=encoding)
    assert ran.status == 0
    assert ran.out.isascii()
    (row,) = table(ran)
    assert row["LIFE_LEFT"] == "#####..... 14d"
    assert row["DESCRIPTION"] == "\\u65e5\\u672c"


def test_an_ascii_terminal_is_not_overrun(crowd: dict[int, Account]) -> None:
    """What has to be written in other signs, to be cut too, still fits into the terminal."""
    ran = crowd[10].see("list", columns=80, PYTHONIOENCODING="ascii")
    lines = plain(ran.out).splitlines()[:11]
    assert ran.out.isascii()
    assert [line for line in lines if len(line) > 80] == []
    at = lines[0].index("LIFE_LEFT")
    assert {line[at] for line in lines[1:]} <= {"#", ".", "n"}


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ((), ["soon", "late", "Never"]),
        (("--sort", "expiry"), ["soon", "late", "Never"]),
        (("--sort", "expiry", "--reverse"), ["Never", "late", "soon"]),
        (("--sort", "created"), ["late", "Never", "soon"]),
        (("--sort", "used"), ["late", "soon", "Never"]),
        (("--sort", "used", "--reverse"), ["Never", "soon", "late"]),
        (("--sort", "description"), ["late", "Never", "soon"]),
    ],
)
def test_tokens_are_sorted(account: Account, order: tuple[str, ...], expected: list[str]) -> None:
    """By what is asked for; those without an end come last, those without a use first, and capitals do not matter."""
    soon = account.make("soon", max_age_seconds=600)
    late = account.make("late", max_age_seconds=30 * DAY)
    never = account.make("Never")
    account.record(late, create_time=-3 * DAY)
    account.record(never, create_time=-2 * DAY)
    account.use(soon, ago=500)
    account.use(never, ago=100)
    assert descriptions(account.run("list", *order)) == expected


def test_tokens_are_sorted_by_prefix(crowd: dict[int, Account]) -> None:
    """The order of prefixes is that of their characters."""
    shown = [row["TOKEN_PREFIX"] for row in table(crowd[10].run("list", "--sort", "prefix"))]
    assert len(shown) == 10
    assert all(one < next_ for one, next_ in pairwise(shown))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--expiring-within", "7d"), {"CI deploys"}),
        (("--expiring-within", "30d"), {"CI deploys", "CI tests", "Ingest"}),
        (("--unused-for", "9d"), {"CI tests"}),
        (("--unused-for", "1d"), {"CI tests", "Ingest"}),
        (("--description", "ci"), {"CI deploys", "CI tests"}),
        (("--description", "C* t?sts"), {"CI tests"}),
        (("--description", "CI"), {"CI deploys", "CI tests"}),
        (("--description", "CI*", "--unused-for", "1d"), {"CI tests"}),
        (("--description", "t*"), set()),
        ((), {"CI deploys", "CI tests", "Ingest", "for ever"}),
    ],
)
def test_filters_choose(account: Account, options: tuple[str, ...], expected: set[str]) -> None:
    """Each filter leaves what it says, several leave what all of them do; never used counts from when it was made."""
    deploys = account.make("CI deploys", max_age_seconds=6 * DAY)
    tests = account.make("CI tests", max_age_seconds=40 * DAY)
    account.make("Ingest", max_age_seconds=30 * DAY)
    ever = account.make("for ever")
    account.record(tests, create_time=-20 * DAY)
    for prefix, ago in ((deploys, 60), (tests, 10 * DAY), (ever, 60)):
        account.use(prefix, ago)
    account.record(tests, max_age_seconds=50 * DAY)
    ingest = next(row for row in account.run("list", "--json").json() if row["description"] == "Ingest")
    account.record(ingest["token_prefix"], create_time=-2 * DAY)
    assert set(descriptions(account.run("list", *options))) == expected


def test_prefixes_choose(crowd: dict[int, Account]) -> None:
    """`--prefix` takes one token by its whole prefix, and can be given again."""
    one, two, *_ = filter(None, crowd[10].secrets)
    rows = table(crowd[10].run("list", "--prefix", one, "--prefix", two, "--prefix", one[:-1]))
    assert {row["TOKEN_PREFIX"] for row in rows} == {one, two}


def test_made_by_hand_leaves_out_what_a_series_left_behind(account: Account) -> None:
    """A token that an interrupted `up` made, told by its description or by its only use, was made by nobody's hand."""
    account.make("by hand")
    account.make(f"[pulumi-avn-token {SERIES_MARK}] half made")
    account.use(account.make("not delivered"), by=f"pulumi-avn-token/0.1.0 ({SERIES_MARK})")
    assert descriptions(account.run("list", "--made-by-hand", "--sessions")) == ["by hand"]
    assert len(descriptions(account.run("list"))) == 3


def test_that_a_series_gave_a_token_its_description_is_no_use(account: Account) -> None:
    """Nobody has used such a token yet: so it is shown, sorted and chosen; programs get what the account says."""
    prefix = account.make("Ingest")
    account.record(prefix, create_time=-2 * DAY)
    account.use(prefix, ago=2 * DAY - 1, by=f"pulumi-avn-token/0.1.0 ({SERIES_MARK})")
    (row,) = table(account.run("list"))
    assert {row[name] for name in ("LAST_USED", "LAST_USED_TIME")} == {"never"}
    assert {row[name] for name in ("LAST_IP", "LAST_USER_AGENT")} == {"-"}
    assert descriptions(account.run("list", "--unused-for", "2d")) == ["Ingest"]
    (told,) = account.run("list", "--json").json()
    assert told["last_used_time"] == account.token(prefix)["last_used_time"]


def test_sessions_are_shown_only_on_demand(account: Account) -> None:
    """Logins are no tokens that somebody made: they are hidden, or listed and told apart."""
    account.make("CI")
    assert "KIND" not in account.run("list").lines()[0]
    rows = table(account.run("list", "--sessions"))
    assert {row["DESCRIPTION"]: row["KIND"] for row in rows} == {
        "CI": "token",
        "Login session of the emulator": "session",
    }
    assert len(account.run("list", "--sessions", "--json").json()) == 2
    assert len(account.run("list", "--json").json()) == 1


def test_the_token_in_use_is_marked(account: Account) -> None:
    """The token that asks has a star, which a terminal explains; without one in the list there is no such column."""
    account.make("other")
    used = account.make("in use")
    token = account.secrets[used]
    rows = table(account.run("list", AIVEN_TOKEN=token))
    assert {row["DESCRIPTION"]: row["*"] for row in rows} == {"other": "", "in use": "*"}
    assert "* the token in use now" in plain(account.see("list", AIVEN_TOKEN=token).out)
    assert "in use now" not in account.run("list", AIVEN_TOKEN=token).out
    assert "*" not in account.run("list").out
    (session,) = [row for row in table(account.run("list", "--sessions")) if row["*"]]
    assert session["KIND"] == "session"


def test_colours_are_for_terminals(account: Account) -> None:
    """A terminal shows much left in green, a quarter in yellow and a tenth in red; a pipe gets no escape."""
    for description, left in (("much", 0.9), ("some", 0.2), ("little", 0.05)):
        prefix = account.make(description, max_age_seconds=100 * DAY)
        account.record(prefix, create_time=-(1 - left) * 100 * DAY)
    lines = {plain(line).split()[1]: line for line in account.see("list").out.splitlines()[1:4]}
    assert {name: set(re.findall(r"\x1b\[3[0-9]m", line)) for name, line in lines.items()} == {
        "much": {"\x1b[32m"},
        "some": {"\x1b[33m"},
        "little": {"\x1b[31m"},
    }
    assert "\x1b" not in account.run("list").out


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}])
@pytest.mark.parametrize("command", ["list", "audit -"])
def test_no_colour_where_none_is_wanted(crowd: dict[int, Account], command: str, environ: dict[str, str]) -> None:
    """With NO_COLOR, or in a terminal that has none, there is not one escape, and the same text."""
    options = command.replace("-", str(Path(__file__).parents[1] / "engine" / "states" / "0.1.0.json")).split()
    coloured = crowd[10].see(*options).out
    plainly = crowd[10].see(*options, **environ).out
    assert SGR.search(coloured)
    assert "\x1b" not in plainly
    assert [re.sub(r"\d+", "", line) for line in plainly.split()] == [
        re.sub(r"\d+", "", line) for line in plain(coloured).split()
    ]


@pytest.mark.parametrize("columns", [60, 200])
def test_a_terminal_without_colours_is_as_wide_as_it_is(crowd: dict[int, Account], columns: int) -> None:
    """`TERM=dumb` says nothing of the width, which is asked of the terminal as ever."""
    coloured = plain(crowd[10].see("list", columns=columns).out).splitlines()
    assert crowd[10].see("list", columns=columns, TERM="dumb").out.splitlines()[0].rstrip() == coloured[0].rstrip()


@pytest.mark.parametrize("columns", [80, 400])
def test_no_text_of_others_reaches_the_terminal_as_it_is(account: Account, columns: int) -> None:
    """Escapes, control characters, line ends, hidden characters and markup in what others wrote do nothing."""
    for number, text in enumerate(HOSTILE):
        prefix = account.make(f"{number} {text}")
        account.use(prefix, ip=text, by=text)
    for ran in (account.run("list"), account.see("list", columns=columns)):
        assert_harmless(ran)
        assert sum(any(prefix in line for prefix in account.secrets if prefix) for line in ran.lines()) == len(HOSTILE)
    piped = account.run("list").out
    assert "[bold]markup[/bold]" in piped
    assert ":smile:" in piped
    listed = account.run("list", "--json")
    assert {token["description"] for token in listed.json()} == {f"{at} {text}" for at, text in enumerate(HOSTILE)}
    assert_harmless(listed)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--sort", "age"), "expiry"),
        (("--expiring-within", "soon"), "'soon' is no duration such as 7d; the units are s m h d w"),
        (("--unused-for", "999999999999w"), "is no duration"),
        (("--expirin", "7d"), "--expiring-within"),
        (("x",), "unexpected"),
    ],
)
def test_a_mistake_on_the_line_is_told_in_one(account: Account, arguments: tuple[str, ...], words: str) -> None:
    """What is wrong with an option is said with what it may be, and nothing is asked of the account."""
    assert_error(account.run("list", *arguments), words, "pulumi-avn-token list --help")
    assert account.asked() == []


def test_failures_are_told_in_one_line_with_what_to_do(account: Account) -> None:
    """Without a credential, with a wrong one, and without a server, the command says where to look."""
    assert_error(account.run("list", AIVEN_TOKEN="", AIVEN_AUTH_TOKEN=""), "set AIVEN_TOKEN", "avn user login")
    assert_error(account.run("list", AIVEN_TOKEN="wrong"), "set a valid one", "variable AIVEN_TOKEN")
    assert_error(account.run("list", AIVEN_WEB_URL="http://192.0.2.1"), "use https")
    account.emulator.faults = [{"kind": "html"}]
    assert_error(account.run("list"), "AIVEN_WEB_URL")
    account.emulator.faults = [{"kind": "status", "status": 429, "retry_after": "seconds", "retry_after_seconds": 3000}]
    assert_error(account.run("list"), "rate limit", "wait")


@pytest.mark.parametrize("words", ["list", "audit", "manifest validate", "manifest from-account"])
def test_a_secret_in_the_wrong_place_is_not_shown(account: Account, words: str) -> None:
    """Who pastes a token where a file or nothing belongs sees its beginning alone, in one line of status 2."""
    prefix = account.make("CI")
    ran = account.run(*words.split(), account.secrets[prefix])
    assert_error(ran, prefix)


def test_who_looks_on_is_told_that_it_waits(account: Account) -> None:
    """A terminal is told why nothing happens; a log, which nobody waits for, is not."""
    busy = {"kind": "status", "status": 429, "retry_after": "seconds", "retry_after_seconds": 1, "times": 1}
    account.make("CI")
    account.emulator.faults = [busy]
    seen = account.see("list")
    assert seen.status == 0
    first, *rest = seen.lines()
    assert re.fullmatch(r"Aiven cannot be reached now, or asks to wait: trying again in [12] s\.", first)
    assert any("CI" in line for line in rest)
    account.emulator.faults = [busy]
    assert account.run("list")[::2] == (0, "")


def test_no_time_is_too_far_off(account: Account) -> None:
    """A time that is none in UTC is told as an answer that is not Aiven's, whatever is asked for."""
    with Server(said({"tokens": [token_object(expiry_time="0001-01-01T00:00:00+14:00")]})) as far:
        for options in ((), ("--json",), ("--sort", "used")):
            assert_error(account.run("list", *options, AIVEN_WEB_URL=far.url), "expiry_time")


def test_no_stack_is_offered_to_who_has_none(account: Account) -> None:
    """Who has no credential is not sent to `pulumi config`: this command reads no stack's configuration."""
    assert "pulumi config" not in account.run("list", AIVEN_TOKEN="", AIVEN_AUTH_TOKEN="").err


def test_the_login_of_the_official_command_line_will_do(account: Account, tmp_path: Path) -> None:
    """Who is logged in by `avn user login` needs to set nothing."""
    account.make("CI")
    file = tmp_path / "aiven-credentials.json"
    file.write_text(f'{{"auth_token": "{account.emulator.token}", "user_email": "x"}}', encoding="utf-8")
    ran = account.run("list", AIVEN_TOKEN="", AIVEN_AUTH_TOKEN="", AIVEN_CREDENTIALS_FILE=str(file))
    assert descriptions(ran) == ["CI"]
