"""`pulumi-avn-token` in a shell: its help, its completion, its end."""

from __future__ import annotations

import os
import re
import select
import shlex
import signal
import subprocess
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import click
import pytest

from pulumi_avn_token.cli import main
from tests.contract.servers import SILENT, Server
from tests.contract.terminal import COMMANDS, PROGRAM, STATES, Account, Ran, assert_error, stub

COMPLETE = "_PULUMI_AVN_TOKEN_COMPLETE"
STATE = str(STATES / "0.1.0.json")


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    """An account with a token, and somebody who is logged in to it."""
    with Account(tmp_path) as account:
        account.make("CI")
        yield account


def bash(account: Account, script: str, **environ: str) -> Ran:
    """Run a script."""
    return account.run("-c", script, program="bash", **environ)


def commands() -> list[tuple[str, ...]]:
    """Every command that the program has, by its words."""
    found: list[tuple[str, ...]] = []
    due: list[tuple[tuple[str, ...], click.Command]] = [((), main)]
    while due:
        words, command = due.pop()
        found.append(words)
        if isinstance(command, click.Group):
            due += [((*words, name), sub) for name, sub in command.commands.items()]
    return found


def test_the_commands_are_known_to_these_tests() -> None:
    """No command goes without the tests below."""
    assert sorted(commands()) == sorted(map(tuple, COMMANDS))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_fits_the_terminal_and_gives_examples(account: Account, words: Sequence[str]) -> None:
    """`--help`, or `-h`, of every command exits with 0, fits into 80 columns, and has a line *Example*."""
    ran = account.run(*words, "--help", COLUMNS="80", AIVEN_TOKEN="", AIVEN_AUTH_TOKEN="")
    assert (ran.status, ran.err) == (0, "")
    assert account.run(*words, "-h", COLUMNS="80") == ran
    assert ran.out.startswith("Usage: pulumi-avn-token")
    assert [line for line in ran.lines() if len(line) > 80] == []
    assert [line for line in ran.lines() if re.fullmatch(r" +Examples?:", line)] != []


def examples(text: str) -> list[str]:
    """Every call of this program among the examples of a help text: up to a pipe, a file or a comment."""
    block = re.split(r"^ +Examples?:$", text, flags=re.MULTILINE)[1].split("\n\n")[0]
    return [
        call.strip() for line in block.splitlines() for call in re.findall(r"(?<![/\w])pulumi-avn-token [^|>)#]*", line)
    ]


@pytest.mark.parametrize("words", [words for words in COMMANDS if words != ("manifest",)], ids=" ".join)
def test_the_examples_of_the_help_can_be_typed(
    words: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands among the examples is a command that there is, with options and values that it takes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tokens.yaml").touch()
    command: click.Command = main
    for word in words:
        assert isinstance(command, click.Group)
        command = command.commands[word]
    calls = examples(command.get_help(click.Context(command, info_name="x", terminal_width=200)))
    assert calls
    for call in calls:
        called: click.Command = main
        _, *rest = shlex.split(call)
        while isinstance(called, click.Group) and rest:
            called = called.commands[rest.pop(0)]
        assert not isinstance(called, click.Group)
        with called.make_context(call, rest):
            pass


def test_without_a_command_it_shows_its_help(account: Account) -> None:
    """Who types the bare name, of the program or of a group, is shown the help in its lines, and status 2."""
    for words in ((), ("manifest",)):
        bare, asked = account.run(*words), account.run(*words, "--help")
        assert bare.status == 2
        assert bare.out + bare.err == asked.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("lst",), ("'lst'", "'list'", "--help")),
        (("manifest", "show"), ("'show'", "pulumi-avn-token manifest --help")),
        (("completion", "tcsh"), ("'tcsh'", "bash", "zsh", "fish")),
        (("completion",), ("bash", "zsh", "fish")),
        (("--jsn",), ("--jsn",)),
    ],
)
def test_a_mistake_on_the_line_is_told_in_one(
    account: Account, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    """A command or a value that there is not is told with what there is."""
    assert_error(account.run(*arguments), *words)


def test_version_is_that_of_the_package(account: Account) -> None:
    """`--version` names the program and its version."""
    ran = account.run("--version", AIVEN_TOKEN="", AIVEN_AUTH_TOKEN="")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out == f"pulumi-avn-token, version {version('pulumi-avn-token')}\n"


@pytest.mark.parametrize(
    ("shell", "words"),
    [
        ("bash", ("complete ", "-F _pulumi_avn_token_completion pulumi-avn-token")),
        ("zsh", ("#compdef pulumi-avn-token", "compdef _pulumi_avn_token_completion pulumi-avn-token")),
        ("fish", ("complete --no-files --command pulumi-avn-token",)),
    ],
)
def test_completion_prints_a_script(account: Account, shell: str, words: tuple[str, ...]) -> None:
    """For each shell there is a script that sets this command's completion, and asks the command by its variable."""
    ran = account.run("completion", shell, AIVEN_TOKEN="", AIVEN_AUTH_TOKEN="")
    assert (ran.status, ran.err) == (0, "")
    for word in (*words, f"{COMPLETE}={shell}_complete"):
        assert word in ran.out
    assert account.asked() == []


def completed(account: Account, line: str) -> list[str]:
    """What is offered for the last word of a line."""
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1), COMPLETE: "bash_complete"}
    ran = account.run(AIVEN_TOKEN="", AIVEN_AUTH_TOKEN="", **words)
    assert (ran.status, ran.err) == (0, "")
    return [offered.partition(",")[2] for offered in ran.lines()]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("pulumi-avn-token ", {"list", "audit", "manifest", "completion", "emulator"}),
        ("pulumi-avn-token li", {"list"}),
        ("pulumi-avn-token manifest ", {"from-account", "validate", "schema"}),
        ("pulumi-avn-token list --sort ", {"expiry", "created", "used", "prefix", "description"}),
        ("pulumi-avn-token list --sort e", {"expiry"}),
        ("pulumi-avn-token completion ", {"bash", "zsh", "fish"}),
        ("pulumi-avn-token list --un", {"--unused-for"}),
        ("pulumi-avn-token audit --a", {"--all", "--all-stacks"}),
        ("pulumi-avn-token manifest from-account --made", {"--made-by-hand"}),
    ],
)
def test_completing_offers_what_can_stand_there(account: Account, line: str, offered: set[str]) -> None:
    """Commands, options and their values are completed, without an account."""
    assert set(completed(account, line)) == offered
    assert account.asked() == []


def test_bash_takes_the_script(account: Account) -> None:
    """Sourced as the help says, it completes in bash."""
    ran = bash(
        account,
        "source <(pulumi-avn-token completion bash); complete -p pulumi-avn-token;"
        " COMP_WORDS=(pulumi-avn-token list --sort d); COMP_CWORD=3;"
        ' _pulumi_avn_token_completion pulumi-avn-token; echo "${COMPREPLY[@]}"',
    )
    assert (ran.status, ran.err) == (0, "")
    assert ran.lines()[-1] == "description"
    assert ran.lines()[0].endswith("-F _pulumi_avn_token_completion pulumi-avn-token")


def start(account: Account, *arguments: str, **environ: str) -> subprocess.Popen[str]:
    """Run it in the foreground of a terminal of its own, and do not wait for its end."""
    # Where the tests themselves run in the background, Ctrl-C is ignored, and a child would take that over.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [PROGRAM, *arguments],
            env=account.environ | environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)


def interrupt(process: subprocess.Popen[str]) -> Ran:
    """Press Ctrl-C, which a terminal tells all that run in its foreground."""
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return Ran(process.returncode, out, err.strip())


@pytest.mark.parametrize("arguments", [("list",), ("audit", STATE), ("manifest", "from-account")], ids=" ".join)
def test_ctrl_c_ends_it_without_a_word(account: Account, arguments: tuple[str, ...]) -> None:
    """Interrupted while it waits for the server, it exits with 130, and prints no traceback."""
    with Server(SILENT) as server:
        process = start(account, *arguments, AIVEN_WEB_URL=server.url)
        server.wait_for(1)
        assert interrupt(process) == (130, "", "")


def test_ctrl_c_ends_the_engine_too(account: Account, tmp_path: Path) -> None:
    """Interrupted while `pulumi` works, it exits with 130, and leaves no process behind."""
    alive = tmp_path / "alive"
    os.mkfifo(alive)
    process = start(
        account, "audit", "--stack", "dev", PATH=stub(tmp_path / "bin", f"exec 3> {alive}; echo >&3; exec sleep 600")
    )
    with alive.open("rb", buffering=0) as held:
        assert held.read(1) == b"\n"
        assert interrupt(process) == (130, "", "")
        assert select.select([held], [], [], 30)[0]
        assert held.read(1) == b"", "the last who held the other end has gone"


PRINTING = (
    "list",
    "list --json",
    f"audit {STATE}",
    f"audit {STATE} --json",
    "manifest from-account",
    f"manifest validate {STATE}",
    f"manifest validate --json {STATE}",
    "manifest schema",
    "completion bash",
    "--help",
    "list --help",
    "--version",
)
"""A line for each way in which something is printed."""


@pytest.mark.parametrize("line", PRINTING)
def test_a_closed_pipe_ends_it_without_a_word(account: Account, line: str) -> None:
    """Where nobody reads any more, no command says a word about it: no traceback, and nothing at its exit."""
    nobody, theirs = os.pipe()
    os.close(nobody)
    with os.fdopen(theirs, "wb") as closed:
        ran = subprocess.run(
            [PROGRAM, *line.split()],
            env=account.environ,
            stdin=subprocess.DEVNULL,
            stdout=closed,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    assert ran.stderr == b""
    assert ran.returncode in {0, 2}, "1 is for findings"


def test_a_mistake_of_the_program_is_no_finding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What nobody has thought of ends in a traceback for its report, and in status 2."""
    monkeypatch.setattr("pulumi_avn_token.cli._print_json", {}.__getitem__)
    with pytest.raises(SystemExit) as caught:
        main(["manifest", "schema"])
    assert caught.value.code == 2
    assert "Traceback" in capsys.readouterr().err


def test_the_first_line_can_be_had(account: Account) -> None:
    """`| head -1` of much gives the first line, and no word about the rest."""
    for number in range(300):
        account.make(f"{number}" * 100)
    for line in ("list", "list --json", "manifest from-account", f"audit {STATE}"):
        ran = bash(account, f"pulumi-avn-token {line} | head -1")
        assert (len(ran.lines()), ran.err) == (1, "")


@pytest.mark.parametrize("line", PRINTING)
def test_a_full_disk_is_no_finding(account: Account, line: str) -> None:
    """What cannot be printed is told in one line with status 2, which no schedule takes for findings."""
    ran = bash(account, f"pulumi-avn-token {line} > /dev/full")
    assert_error(ran, "No space left on device")


@pytest.mark.parametrize(
    "line", ["list", "list --json", f"audit {STATE}", "manifest from-account", "audit - <&-", "manifest validate - <&-"]
)
def test_closed_streams_are_no_accident(account: Account, line: str) -> None:
    """Started without standard input or output, as some schedulers do, no command ends in a traceback."""
    ran = bash(account, f"pulumi-avn-token {line} >&-")
    assert "Traceback" not in ran.err
    assert ran.err.count("\n") <= 1


def test_an_alias_says_the_same(account: Account, tmp_path: Path) -> None:
    """Called by another path, it completes and complains under its own name."""
    link = tmp_path / "token"
    link.symlink_to(PROGRAM)
    ran = account.run("list", "x", program=link)
    assert ran.status == 2
    assert ran.err.startswith("pulumi-avn-token: ")
