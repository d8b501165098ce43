"""`pulumi-avn-token` as a person types it, an account with a past, and stacks: what the tests of its commands share."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import sqlite3
import struct
import subprocess
import sys
import termios
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from copy import deepcopy
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from pulumi_avn_token.emulator import Emulator
from tests.engine.project import ROOT

if TYPE_CHECKING:
    from typing_extensions import Self

PROGRAM = Path(sys.executable).with_name("pulumi-avn-token")
BIN = PROGRAM.parent
AVN = BIN / "avn"
PREFIX_CHARACTERS = 12
DAY = 24 * 60 * 60
STATES = ROOT / "tests" / "engine" / "states"
SERIES_MARK = "series-" + "0123456789abcdef"
SGR = re.compile(r"\x1b\[[0-9;]*m")
"""What only changes colours."""
COMMANDS: Sequence[Sequence[str]] = (
    (),
    ("list",),
    ("audit",),
    ("manifest",),
    ("manifest", "from-account"),
    ("manifest", "validate"),
    ("manifest", "schema"),
    ("completion",),
    ("emulator",),
)
"""Every command there is."""

HOSTILE = (
    "\x1b[31mred",
    "\x1b]0;title\x07",
    "a\nb\r\nc\x0bd\x0ce",
    "a\x85b\u2028c\u2029d",
    "\u202eback\u202c",
    "\x9b2J\x7f\x00\x08",
    "a\tb",
    "zero\u200bwidth\ufeff",
    "[bold]markup[/bold] [link=https://a.example]x[/link] :smile:",
    "<{%fg 1%}>",
)
"""Texts that would do something to a terminal, or to what prints them."""


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        [PROGRAM, *arguments],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


class Ran(NamedTuple):
    """What a command printed, and its status."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        """What it printed for programs."""
        return json.loads(self.out)

    def lines(self) -> list[str]:
        """What it printed for people."""
        return self.out.splitlines()


class Account:
    """An emulated account with a past, and somebody who is logged in to it at a terminal.

    Whatever a command prints here is held to show nothing of a secret.
    """

    def __init__(self, folder: Path) -> None:
        self._db = folder / "account.sqlite3"
        self.emulator = Emulator(self._db)
        self._exit = ExitStack()
        self.secrets: dict[str, str] = {}
        self._home = folder / "home"
        self._home.mkdir()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.emulator)
            self._past = sqlite3.connect(self._db, isolation_level=None)
            stack.callback(self._past.close)
            self.secrets = {"": self.emulator.token}
            self._exit = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()

    def make(self, description: str, **how: Any) -> str:
        """Make a token, past all limits, and give its prefix."""
        full_token = self.emulator.issue_token(description=description, **how)
        prefix = full_token[:PREFIX_CHARACTERS]
        self.secrets[prefix] = full_token
        return prefix

    def record(self, token_prefix: str, **columns: Any) -> None:
        """Write a token's past: columns of the emulator's table, times as seconds from now."""
        for column, value in columns.items():
            recorded = self.emulator.now() + value if column.endswith("_time") else value
            self._past.execute(
                f"UPDATE tokens SET {column} = ? WHERE token_prefix = ?",  # noqa: S608 - a test's own words
                (recorded, token_prefix),
            )

    def use(self, token_prefix: str, ago: float = 60, ip: str = "192.0.2.7", by: str = "consumer/1.0") -> None:
        """Have a token been used."""
        self.record(token_prefix, last_used_time=-ago, last_ip=ip, last_user_agent=by)

    def used(self, description: str, **how: Any) -> str:
        """Make a token that has been used since."""
        prefix = self.make(description, **how)
        self.use(prefix)
        return prefix

    @property
    def environ(self) -> dict[str, str]:
        """The environment of the terminal: the program and the official command line are on its path, no engine is."""
        kept = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
        return {
            **kept,
            "PATH": f"{BIN}:/usr/bin:/bin",
            "HOME": str(self._home),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "AIVEN_TOKEN": self.emulator.token,
            "AIVEN_AUTH_TOKEN": self.emulator.token,
            "AIVEN_WEB_URL": self.emulator.url,
            "NO_PROXY": "127.0.0.1",
        }

    def run(self, *arguments: str, stdin: str | bytes = b"", program: Path | str = PROGRAM, **environ: str) -> Ran:
        """Run it in a pipe."""
        ran = subprocess.run(
            [program, *arguments],
            env=self.environ | environ,
            capture_output=True,
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            check=False,
            timeout=60,
        )
        return self._without_secrets(Ran(ran.returncode, ran.stdout.decode(), ran.stderr.decode()))

    def see(self, *arguments: str, columns: int | str = 80, **environ: str) -> Ran:
        """Run it in a terminal that is so wide; `err` is in `out`, as there."""
        ours, theirs = pty.openpty()
        try:
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, int(columns), 0, 0))
            process = subprocess.Popen(
                [PROGRAM, *arguments],
                env=self.environ | environ,
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                start_new_session=True,
            )
        finally:
            os.close(theirs)
        seen = b""
        with os.fdopen(ours, "rb", buffering=0) as screen, suppress(OSError):  # so a terminal ends
            while some := screen.read(65536):
                seen += some
        out = seen.decode().replace("\r\n", "\n")
        return self._without_secrets(Ran(process.wait(60), out, ""))

    def asked(self) -> list[str]:
        """What the program asked since the last time, each as `METHOD path`."""
        requests = [f"{request.method} {request.path}" for request in self.emulator.requests]
        self.emulator.clear_requests()
        return requests

    def tokens(self) -> dict[str, dict[str, Any]]:
        """What the official command line says of each token, by prefix."""
        listed = self.run("user", "access-token", "list", "--json", program=AVN).json()
        self.emulator.clear_requests()
        return {token["token_prefix"]: token for token in listed}

    def token(self, token_prefix: str) -> dict[str, Any]:
        """What the official command line says of one token."""
        return self.tokens()[token_prefix]

    def _without_secrets(self, ran: Ran) -> Ran:
        for full_token in self.secrets.values():
            rest = full_token[PREFIX_CHARACTERS:]
            assert not any(rest[:16] in text or rest[-16:] in text for text in (ran.out, ran.err))
        return ran


def cells(line: str) -> list[str]:
    """A line as a terminal shows it: what stands in each cell; a wide character's second is empty."""
    shown: list[str] = []
    for character in line:
        if unicodedata.combining(character):
            shown[-1] += character
        else:
            shown += [character, ""] if unicodedata.east_asian_width(character) in "WF" else [character]
    return shown


def plain(text: str) -> str:
    """A text without its colours."""
    return SGR.sub("", text)


def assert_harmless(ran: Ran) -> None:
    """Hold what reached a terminal to be text and colours, and nothing that moves or hides anything."""
    for text in (ran.out, ran.err):
        assert not {character for character in plain(text) if character != "\n" and not character.isprintable()}


def assert_error(ran: Ran, *words: str) -> None:
    """Hold a command to have said in one line why it could not run, and nothing else."""
    assert (ran.status, ran.out) == (2, ""), ran
    assert ran.err.startswith("pulumi-avn-token: ")
    assert ran.err.count("\n") == 1
    assert ran.err.endswith("\n")
    for word in words:
        assert word in ran.err


def export(*resources: Mapping[str, Any]) -> str:
    """What `pulumi stack export` writes of a stack with these resources, beside the engine's own."""
    state = json.loads((STATES / "0.1.0-series.json").read_text(encoding="utf-8"))
    engines = [resource for resource in state["deployment"]["resources"] if not resource["type"].count("avn:")]
    state["deployment"]["resources"] = [*engines, *resources]
    return json.dumps(state, indent=4)


def _resource(like: str, name: str, outputs: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    state = json.loads((STATES / "0.1.0-series.json").read_text(encoding="utf-8"))
    (real,) = (resource for resource in state["deployment"]["resources"] if resource["urn"].endswith(f"::{like}"))
    resource: dict[str, Any] = deepcopy(real)
    resource |= {"urn": resource["urn"].removesuffix(like) + name, **fields}
    merged = {**resource["outputs"], **outputs}
    resource["outputs"] = {key: value for key, value in merged.items() if value is not None}
    return resource


def token_of_a_stack(token: Mapping[str, Any], name: str = "ci", **outputs: Any) -> dict[str, Any]:
    """An `AccessToken` in a state, which holds this token as the account shows it; None takes an output away."""
    shown = {key: value for key, value in token.items() if key not in ("created_manually", "currently_active")}
    shown |= {key: token[key] for key in ("max_age_seconds", "expiry_time")}
    return _resource("ci", name, {**shown, **outputs}, id=token["token_prefix"])


def series_of_a_stack(
    token: Mapping[str, Any], name: str = "ingest", *, mark: str = SERIES_MARK, **outputs: Any
) -> dict[str, Any]:
    """A `RotatingAccessToken` in a state, whose current token this is."""
    previous = dict.fromkeys(("previous_token_prefix", "previous_expiry_time", "previous_full_token"))
    held = {key: token[key] for key in ("token_prefix", "description", "create_time", "expiry_time")}
    return _resource("ingest", name, {**held, **previous, **outputs}, id=mark)


def stub(folder: Path, script: str, mode: int = 0o755) -> str:
    """A path on which `pulumi` is this shell script."""
    folder.mkdir(exist_ok=True)
    program = folder / "pulumi"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(mode)
    return f"{folder}:{BIN}:/usr/bin:/bin"
