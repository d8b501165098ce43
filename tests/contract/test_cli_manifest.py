"""`pulumi-avn-token manifest`: from an account, checked, described."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from pulumi_avn_token.manifest import load
from pulumi_avn_token.schema import COMMENT, schema
from tests.contract.servers import Server, said, token_object
from tests.contract.terminal import (
    DAY,
    HOSTILE,
    SERIES_MARK,
    Account,
    assert_error,
    assert_harmless,
    export,
    stub,
    token_of_a_stack,
)

ODD = (
    "null",
    "1234",
    "yes",
    "2026-11-25",
    " leading and trailing  ",
    "quotes: 'single' and \"double\" and `back`",
    "- dash # hash {brace} [bracket] &anchor *alias !tag %percent @at |pipe >fold",
    "日本語のトークン 🔑",
    "the same",
    "the same",
)
"""Descriptions that YAML, or a careless writer of it, would take for something else."""
PLACE = re.compile(r"(?P<file>.+):(?P<line>[0-9]+):(?P<column>[0-9]+): (?P<fault>.+)")


def written(account: Account, *options: str, **environ: str) -> dict[str, Any]:
    """The tokens of the manifest that is written, in which nothing is left out."""
    ran = account.run("manifest", "from-account", *options, **environ)
    assert ran.status == 0, ran
    tokens: dict[str, Any] = yaml.safe_load(ran.out)["tokens"]
    return tokens


def adopted(account: Account, *options: str, **environ: str) -> set[str]:
    """The descriptions of the tokens that the manifest takes over."""
    return {token["description"] for token in written(account, *options, **environ).values()}


def test_what_is_written_can_be_applied_as_it_is(account: Account, tmp_path: Path) -> None:
    """Of tokens with odd descriptions and settings it is a manifest without faults that declares each as it is."""
    for number, description in enumerate(ODD):
        account.make(
            description,
            max_age_seconds=(None, 600, 3601, 90 * DAY)[number % 4],
            extend_when_used=number % 3 == 1,
            ip_allowlist=["192.0.2.0/24", "2001:db8::/32"] if number == 2 else None,
            scopes=["user:read"] if number == 3 else None,
        )
    before = account.tokens()
    ran = account.run("manifest", "from-account")
    assert (ran.status, ran.err) == (0, "")
    file = tmp_path / "tokens.yaml"
    file.write_text(ran.out, encoding="utf-8")
    checked = account.run("manifest", "validate", str(file))
    assert checked == (0, f"{file}: 10 tokens, no faults\n", "")
    declared = {declaration.arguments["adopt_prefix"]: declaration for declaration in load(file).values()}
    tokens = {prefix: token for prefix, token in before.items() if token["created_manually"]}
    assert set(declared) == set(tokens)
    for prefix, (arguments, is_series) in declared.items():
        assert not is_series
        for name in ("description", "max_age_seconds", "ip_allowlist", "scopes"):
            assert arguments.get(name) == tokens[prefix][name], name
        assert arguments.get("extend_when_used", False) == tokens[prefix]["extend_when_used"]
    after = account.tokens()
    assert {prefix: after[prefix] for prefix in tokens} == tokens
    assert len(after) == len(before)


def test_names_are_telling_and_stay_names(account: Account) -> None:
    """Each token has a name after its description, each its own, and none that YAML takes for something else."""
    for description in ("CI deploys", "ci: deploys!", "null", "1234", "on", "日本", "Ümläut", "x" * 200):
        account.make(description)
    names = {token["description"]: name for name, token in written(account).items()}
    assert names["CI deploys"] == "ci-deploys"
    assert names["ci: deploys!"] == "ci-deploys-2"
    assert names["Ümläut"] == "umlaut"
    assert len(set(names.values())) == 8
    assert all(re.fullmatch(r"[a-z][a-z0-9-]{0,60}", name) for name in names.values())


def test_it_begins_with_the_comment_by_which_editors_complete(account: Account) -> None:
    """The first line names the schema's file, and the next says where that comes from."""
    first, second, *_ = account.run("manifest", "from-account").lines()
    assert first == COMMENT
    assert second.startswith("#")
    assert "pulumi-avn-token manifest schema" in second


def test_nothing_is_written_to_the_account(account: Account) -> None:
    """One request lists the tokens, and there is no other."""
    account.make("CI")
    account.run("manifest", "from-account", "--unused-for", "1s")
    assert account.asked() == ["GET /v1/access_token"]


@pytest.mark.parametrize(
    "environ",
    [
        {"LANG": "C"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
)
def test_a_manifest_is_utf8_whatever_the_locale(account: Account, environ: dict[str, str]) -> None:
    """What is written into a file is what the loader reads, though the terminal could not show it."""
    account.make("日本語 ü 🔑")
    ran = account.run("manifest", "from-account", **environ)
    assert "description: 日本語 ü 🔑\n" in ran.out
    assert adopted(account, **environ) == {"日本語 ü 🔑"}


def test_what_cannot_be_declared_is_named_and_the_rest_is_written(account: Account) -> None:
    """A token that no manifest can hold is told on standard error, with why, and makes the exit status 1."""
    account.make("fine", max_age_seconds=600)
    left_out = {
        account.make("brief", max_age_seconds=599): "max_age_seconds",
        account.make("x" * 1001): "description",
        account.make(""): "description",
        account.make(f"[pulumi-avn-token {SERIES_MARK}] half made"): "audit",
        account.make("crowded", scopes=["user:read"] * 101): "scopes",
    }
    ran = account.run("manifest", "from-account")
    assert ran.status == 1
    assert [token["description"] for token in yaml.safe_load(ran.out)["tokens"].values()] == ["fine"]
    told = dict(line.removeprefix("left out: ").split(": ", 1) for line in ran.err.splitlines())
    assert set(told) == set(left_out)
    for prefix, word in left_out.items():
        assert word in told[prefix]


def test_half_a_character_is_left_out(account: Account) -> None:
    """A description that no file can hold, since half a character is in it, is named, and the rest is written."""
    tokens = [token_object(token_prefix="a" * 12, description="x\ud800"), token_object(description="fine")]
    with Server(said({"tokens": tokens})) as server:
        ran = account.run("manifest", "from-account", AIVEN_WEB_URL=server.url)
    assert ran.status == 1
    assert ran.err.startswith(f"left out: {'a' * 12}: ")
    assert [token["description"] for token in yaml.safe_load(ran.out)["tokens"].values()] == ["fine"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), {"CI deploys", "CI tests", "Ingest"}),
        (("--description", "CI *"), {"CI deploys", "CI tests"}),
        (("--description", "ingest"), {"Ingest"}),
        (("--expiring-within", "2d"), {"CI tests"}),
        (("--unused-for", "30m"), {"CI deploys"}),
        (("--description", "CI *", "--unused-for", "30m"), {"CI deploys"}),
    ],
)
def test_filters_choose_what_is_taken_over(account: Account, options: tuple[str, ...], expected: set[str]) -> None:
    """The filters of `list` choose; login sessions are never taken over."""
    account.use(account.make("CI deploys", max_age_seconds=30 * DAY), ago=3600)
    account.make("CI tests", max_age_seconds=DAY)
    account.make("Ingest")
    assert adopted(account, *options) == expected


def test_by_prefix_and_by_hand(account: Account) -> None:
    """`--prefix` takes single tokens, and `--made-by-hand` keeps off what a series left behind, without an error."""
    one, two = account.make("one"), account.make("two")
    account.make(f"[pulumi-avn-token {SERIES_MARK}] half made")
    assert adopted(account, "--prefix", one) == {"one"}
    assert adopted(account, "--prefix", one, "--prefix", two) == {"one", "two"}
    assert adopted(account, "--made-by-hand") == {"one", "two"}
    assert account.run("manifest", "from-account").status == 1


def test_nothing_to_take_over_is_a_manifest_without_tokens(account: Account, tmp_path: Path) -> None:
    """It is valid all the same, and it is said that there was nothing, or nothing that was meant."""
    ran = account.run("manifest", "from-account")
    assert (ran.status, ran.err) == (0, "There are no tokens.\n")
    file = tmp_path / "tokens.yaml"
    file.write_text(ran.out, encoding="utf-8")
    assert account.run("manifest", "validate", str(file)) == (0, f"{file}: 0 tokens, no faults\n", "")
    account.make("CI")
    ran = account.run("manifest", "from-account", "--description", "x")
    assert (ran.status, yaml.safe_load(ran.out)) == (0, {"tokens": {}})
    assert ran.err.count("\n") == 1
    assert "match" in ran.err


def test_a_prefix_that_nothing_has_is_a_finding(account: Account) -> None:
    """A mistyped prefix is named, and the exit status keeps a script from going on with less than it asked for."""
    there = account.make("CI deploys")[:12]
    ran = account.run("manifest", "from-account", "--prefix", there, "--prefix", "XCJ3+bgWywIh")
    assert (ran.status, ran.err) == (1, "no valid token has the prefix XCJ3+bgWywIh\n")
    assert [token["adopt_prefix"] for token in yaml.safe_load(ran.out)["tokens"].values()] == [there]


def test_a_login_session_that_is_asked_for_by_name_is_a_finding(account: Account) -> None:
    """Nobody manages a session: a script that names one gets less than it asked for, and is told why."""
    prefix = account.emulator.token[:12]
    ran = account.run("manifest", "from-account", "--prefix", prefix)
    assert (ran.status, yaml.safe_load(ran.out)) == (1, {"tokens": {}})
    assert f"only a login session has the prefix {prefix}\n" in ran.err


def test_what_stacks_hold_is_left_out(account: Account, tmp_path: Path) -> None:
    """Tokens that given exports manage are not taken over again; one that a stack only reads is."""
    held, read, _ = account.make("held"), account.make("read"), account.make("free")
    looked_at = {**token_of_a_stack(account.token(read), "read"), "external": True}
    file = tmp_path / "state.json"
    file.write_text(export(token_of_a_stack(account.token(held)), looked_at), encoding="utf-8")
    assert adopted(account, str(file)) == {"read", "free"}
    ran = account.run("manifest", "from-account", "-", stdin=file.read_bytes())
    assert {token["description"] for token in yaml.safe_load(ran.out)["tokens"].values()} == {"read", "free"}
    account.asked()
    account.run("manifest", "from-account", str(file))
    assert account.asked() == ["GET /v1/access_token"]
    assert "\n# If you have a manifest, add these to it" in ran.out


def test_no_name_of_the_stacks_is_given_again(account: Account) -> None:
    """Added to the program, a token would else take the place of the one that has its name, which would be revoked."""
    held, _ = account.make("CI deploys"), account.make("CI deploys")
    ran = account.run(
        "manifest", "from-account", "-", stdin=export(token_of_a_stack(account.token(held), "ci-deploys"))
    )
    assert list(yaml.safe_load(ran.out)["tokens"]) == ["ci-deploys-2"]


def test_nothing_is_left_to_take_over_where_stacks_hold_all(account: Account) -> None:
    """Where the stacks hold every token already it is said so, and the manifest is without tokens."""
    ran = account.run(
        "manifest", "from-account", "-", stdin=export(token_of_a_stack(account.token(account.make("CI"))))
    )
    assert (ran.status, yaml.safe_load(ran.out)) == (0, {"tokens": {}})
    assert "hold all of them already" in ran.err


def test_a_token_of_a_series_is_taken_over_only_by_name(account: Account) -> None:
    """What a series made, and nobody has used since, it would revoke: it is left out unless its prefix is given."""
    prefix = account.make("Ingest")
    account.use(prefix, by=f"pulumi-avn-token/0.1.0 ({SERIES_MARK})")
    ran = account.run("manifest", "from-account")
    assert (ran.status, yaml.safe_load(ran.out)) == (1, {"tokens": {}})
    assert ran.err.startswith(f"left out: {prefix}: ")
    assert "--prefix" in ran.err
    assert adopted(account, "--prefix", prefix) == {"Ingest"}


def test_secrets_of_an_export_stay_in_it(account: Account, tmp_path: Path) -> None:
    """An export with full tokens in the open leaves none of them in the manifest."""
    held = account.make("held")
    resource = token_of_a_stack(account.token(held))
    resource["outputs"]["full_token"] = account.secrets[held]
    file = tmp_path / "state.json"
    file.write_text(export(resource), encoding="utf-8")
    account.make("free")
    assert adopted(account, str(file)) == {"free"}


def test_failures_leave_no_half_manifest(account: Account, tmp_path: Path) -> None:
    """Where a stack cannot be had, or the account, there is one line on standard error and no manifest."""
    account.make("CI")
    assert_error(account.run("manifest", "from-account", str(tmp_path / "none.json")), "none.json", "cannot be read")
    assert_error(account.run("manifest", "from-account", "-"), "standard input: it is empty")
    assert_error(account.run("manifest", "from-account", "--all-stacks"), "pulumi is not on PATH")
    path = stub(tmp_path / "bin", "echo 'error: no stack named dev found' >&2; exit 1")
    assert_error(account.run("manifest", "from-account", "--stack", "dev", PATH=path), "no stack named dev found")
    assert_error(account.run("manifest", "from-account", AIVEN_TOKEN="wrong"), "set a valid one")
    assert_error(account.run("manifest", "from-account", "--unused-for", "x"), "is no duration")


def test_the_token_in_use_and_those_without_an_end_are_noted(account: Account) -> None:
    """A comment tells whoever reads the manifest which token asked for it, and which lives for ever."""
    asking = account.make("asking", max_age_seconds=DAY)
    account.make("for ever")
    ran = account.run("manifest", "from-account", AIVEN_TOKEN=account.secrets[asking])
    lines = ran.lines()
    assert "asked" in lines[lines.index("  asking:") - 1]
    assert "never expires" in lines[lines.index("  for-ever:") - 1]
    assert sum(line.startswith("  #") for line in lines) == 2


@pytest.mark.parametrize("columns", [80, 200])
def test_no_text_of_others_reaches_the_terminal_as_it_is(account: Account, tmp_path: Path, columns: int) -> None:
    """Escapes, line ends and hidden characters are escaped as YAML does it, on one line, and read back as they were."""
    for number, text in enumerate(HOSTILE):
        account.make(f"{number} {text}")
    account.make("\x1b[31m" * 400)
    ran = account.run("manifest", "from-account")
    assert_harmless(ran)
    assert_harmless(account.see("manifest", "from-account", columns=columns))
    file = tmp_path / "tokens.yaml"
    file.write_text(ran.out, encoding="utf-8")
    declared = [declaration.arguments["description"] for declaration in load(file).values()]
    assert declared == [f"{number} {text}" for number, text in enumerate(HOSTILE)]
    assert ran.err.startswith("left out: ")


def test_500_tokens_are_written(account: Account, tmp_path: Path) -> None:
    """An account with many tokens, all of one description, becomes a manifest of as many."""
    for _ in range(500):
        account.make("CI", max_age_seconds=30 * DAY)
    file = tmp_path / "tokens.yaml"
    file.write_text(account.run("manifest", "from-account").out, encoding="utf-8")
    assert len(load(file)) == 500


FAULTY = """\
tokens:
  ci:
    description: 1234
    max_age: 30
    rotation_triggers: {a: [1]}
  ci:
    description: CI
  ingest: {max_age: 60d, rotate_befor: 1d}
"""
"""A manifest with a fault of every kind that has a place of its own."""


def validated(*files: Path | str, account: Account) -> list[tuple[str, int, int]]:
    """The places of the faults that are told of files, of which there are some; nothing else is said."""
    ran = account.run("manifest", "validate", *map(str, files))
    assert (ran.status, ran.err) == (1, "")
    places = [PLACE.fullmatch(line) for line in ran.lines()]
    return [(place["file"], int(place["line"]), int(place["column"])) for place in places if place] + [
        (line, 0, 0) for line, place in zip(ran.lines(), places, strict=True) if not place
    ]


def test_every_fault_is_told_with_its_place(account: Account, tmp_path: Path) -> None:
    """Each fault is a line FILE:LINE:COLUMN, in the order of the file, and the exit status is 1."""
    file = tmp_path / "tokens.yaml"
    file.write_text(FAULTY, encoding="utf-8")
    assert validated(file, account=account) == [
        (str(file), line, column) for line, column in ((3, 18), (4, 14), (5, 28), (6, 3), (8, 3), (8, 26))
    ]
    assert account.asked() == []


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"tokens:\n  ci: {description: \xff}\n", (2, 21)),
        (b"tokens:\n  ci: {description: 'CI\n", (3, 1)),
        (b"tokens:\n\tci: {}\n", (2, 1)),
        (b"tokens: {a: \x00}\n", (1, 13)),
        (b"", (1, 1)),
        (b"[]\n", (1, 1)),
        (b"tokens: " + b"[" * 5000, (1, 1)),
        (b"tokens: {a: {description: x, max_age_seconds: " + b"9" * 5000 + b"}}\n", (1, 47)),
    ],
)
def test_what_is_no_manifest_has_a_place_too(
    account: Account, tmp_path: Path, content: bytes, place: tuple[int, int]
) -> None:
    """A file that is not UTF-8, not YAML, or no mapping is told as any fault is."""
    file = tmp_path / "tokens.yaml"
    file.write_bytes(content)
    (told, *_) = validated(file, account=account)
    assert told == (str(file), *place)


def test_several_files_are_checked_in_one_go(account: Account, tmp_path: Path) -> None:
    """Faults of one file do not hide those of the next, files without any say so, and the worst decides."""
    good, bad, worse = (tmp_path / f"{name}.yaml" for name in ("good", "bad: 1:2", "worse"))
    good.write_text("tokens: {ci: {description: CI}}\n", encoding="utf-8")
    bad.write_text("tokens: {ci: {description: 5}}\n", encoding="utf-8")
    worse.write_bytes(b"\xff")
    ran = account.run("manifest", "validate", str(bad), str(good), str(worse))
    assert (ran.status, ran.err) == (1, "")
    first, second, third = ran.lines()
    assert first.startswith(f"{bad}:1:28: ")
    assert second == f"{good}: 1 token, no faults"
    assert third.startswith(f"{worse}:1:1: ")
    assert account.run("manifest", "validate", str(good), str(good)).status == 0


def test_json_of_the_faults_is_the_same(account: Account, tmp_path: Path) -> None:
    """`--json` lists each fault with file, line, column and words, or nothing, and exits the same."""
    faulty, fine = tmp_path / "a:1:2: b.yaml", tmp_path / "fine.yaml"
    faulty.write_text(FAULTY, encoding="utf-8")
    fine.write_text("tokens: {}\n", encoding="utf-8")
    ran = account.run("manifest", "validate", "--json", str(faulty), str(fine))
    assert (ran.status, ran.err) == (1, "")
    told = [f"{fault['file']}:{fault['line']}:{fault['column']}: {fault['fault']}" for fault in ran.json()]
    assert told == account.run("manifest", "validate", str(faulty)).lines()
    assert {type(fault[name]) for fault in ran.json() for name in ("line", "column")} == {int}
    assert account.run("manifest", "validate", "--json", str(fine)) == (0, "[]\n", "")


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_file_that_cannot_be_read_is_no_finding(account: Account, tmp_path: Path, options: tuple[str, ...]) -> None:
    """What is not there, is a folder, or fails to be read is told in one line, and the exit status is 2."""
    fine = tmp_path / "fine.yaml"
    fine.write_text("tokens: {}\n", encoding="utf-8")
    for file in (tmp_path / "none.yaml", tmp_path, Path("/proc/self/mem")):
        assert_error(account.run("manifest", "validate", *options, str(file)), str(file))
    assert_error(account.run("manifest", "validate", *options), "FILE")


def test_a_manifest_comes_in_a_pipe_too(account: Account) -> None:
    """`-` is standard input, whose faults have places like any other's."""
    good = account.run("manifest", "validate", "-", "-", stdin="tokens: {ci: {description: CI}}\n")
    assert good == (0, "standard input: 1 token, no faults\n", "")
    bad = account.run("manifest", "validate", "-", stdin="tokens: {ci: {description: 5}}\n")
    assert (bad.status, bad.err) == (1, "")
    assert bad.out.startswith("standard input:1:28: ")


def test_what_a_file_holds_does_nothing_to_the_terminal(account: Account, tmp_path: Path) -> None:
    """Escapes in keys, values and what is no YAML are not printed as they are."""
    for text in HOSTILE:
        file = tmp_path / "tokens.yaml"
        for content in (
            json.dumps({"tokens": {text: {text: text}}, text: 1}),
            f"tokens: {{a: {{description: x, {text}: 1}}}}\n",
        ):
            file.write_text(content, encoding="utf-8")
            ran = account.run("manifest", "validate", str(file))
            assert ran.status == 1
            assert_harmless(ran)


def test_a_secret_in_a_manifest_is_refused_and_not_shown(account: Account, tmp_path: Path) -> None:
    """A full token that stands in a file, wherever it is, is a fault whose line shows nothing of it."""
    full_token = account.secrets[account.make("CI")]
    file = tmp_path / "tokens.yaml"
    for token in (
        {"description": "x", "adopt_prefix": full_token},
        {"description": "x", "full_token": full_token},
        {full_token: "x"},
        {"description": "x", "max_age": full_token},
        {"description": "x", "ip_allowlist": [full_token]},
    ):
        file.write_text(yaml.safe_dump({"tokens": {"ci": token}}), encoding="utf-8")
        assert account.run("manifest", "validate", str(file)).status == 1
        assert account.run("manifest", "validate", "--json", str(file)).status == 1


def test_the_schema_is_printed(account: Account) -> None:
    """`manifest schema` prints the package's JSON Schema, which is one, without an account."""
    ran = account.run("manifest", "schema", AIVEN_TOKEN="", AIVEN_AUTH_TOKEN="", AIVEN_WEB_URL="")
    assert (ran.status, ran.err) == (0, "")
    assert ran.json() == schema()
    Draft7Validator.check_schema(ran.json())
    assert account.asked() == []


def test_the_schema_takes_what_is_written_and_not_what_is_faulty(account: Account) -> None:
    """An editor that follows the comment finds nothing in a manifest that was written, and something in a bad one."""
    for description in ODD:
        account.make(description, max_age_seconds=90 * DAY)
    validator = Draft7Validator(account.run("manifest", "schema").json())
    assert validator.is_valid(yaml.safe_load(account.run("manifest", "from-account").out))
    assert not validator.is_valid(yaml.load(FAULTY, yaml.BaseLoader))  # noqa: S506 - no objects come of it
