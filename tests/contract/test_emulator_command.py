"""The emulator as a process: alone, beside a command, and killed."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from pulumi_avn_token.emulator import Emulator

PROGRAM = """
import json, sys
from pulumi_avn_token.emulator import run
db, port, *command = json.loads(sys.argv[1])
sys.exit(run(db, port, command))
"""

needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks into /proc")


def arguments(*command: str, db: Path | None = None, port: int = 0) -> list[str]:
    """Give the command line of a process that calls `run`."""
    return [sys.executable, "-c", PROGRAM, json.dumps([db and str(db), port, *command])]


def run(
    *command: str, db: Path | None = None, port: int = 0, environment: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run it to its end."""
    environment = {**os.environ, **(environment or {})}
    return subprocess.run(
        arguments(*command, db=db, port=port), env=environment, capture_output=True, text=True, check=False
    )


def python(*lines: str) -> list[str]:
    """Give a command that runs these lines of Python."""
    return [sys.executable, "-c", "\n".join(lines)]


@contextmanager
def serving(db: Path | None = None) -> Iterator[tuple["subprocess.Popen[str]", str, str]]:
    """Run it without a command; gives the process, its URL and its token as the exported lines say."""
    with subprocess.Popen(arguments(db=db), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            lines = [process.stdout.readline() for _ in range(2)]
            url, token = (line.strip().partition("=")[2] for line in lines)
            assert [line.partition("=")[0] for line in lines] == ["export AIVEN_WEB_URL", "export AIVEN_TOKEN"]
            yield process, url, token
        finally:
            process.kill()


def call(url: str, token: str, method: str, path: str, body: object = None) -> requests.Response:
    """Call the API once."""
    headers = {"Authorization": f"aivenv1 {token}"}
    return requests.request(method, url + path, headers=headers, json=body, timeout=10)


def test_change_that_was_answered_survives_a_kill(tmp_path: Path) -> None:
    """A process killed right after its answer has lost none of its changes, and the file opens again."""
    db = tmp_path / "db"
    created: list[str] = []
    for _ in range(3):
        with serving(db) as (process, url, token):
            created.append(call(url, token, "POST", "/v1/access_token", {"description": "d"}).json()["full_token"])
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
    with Emulator(db) as emulator:
        for full_token in created:
            assert call(emulator.url, full_token, "GET", "/v1/me").status_code == 200


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serves_until_told_to_stop(number: signal.Signals) -> None:
    """Without a command it prints what a shell needs, serves, and ends with 0 and not a word on either signal."""
    with serving() as (process, url, token):
        assert call(url, token, "GET", "/v1/me").status_code == 200
        process.send_signal(number)
        assert process.wait(10) == 0
        assert process.communicate() == ("", "")


@needs_proc
def test_listens_on_loopback_alone() -> None:
    """The process has one listening socket, and that is on 127.0.0.1."""
    with serving() as (process, url, _):
        inodes = {
            match[1]
            for descriptor in Path(f"/proc/{process.pid}/fd").iterdir()
            if (match := re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink())))
        }
        listening = [
            fields[1]
            for table in ("tcp", "tcp6")
            for fields in map(str.split, Path(f"/proc/{process.pid}/net/{table}").read_text().splitlines()[1:])
            if fields[3] == "0A" and fields[9] in inodes
        ]
        assert listening == [f"0100007F:{int(url.rpartition(':')[2]):04X}"]


@needs_proc
def test_secret_is_in_no_command_line() -> None:
    """The token is handed over by the environment alone: no process shows it in its arguments, no output holds it."""
    done = run(
        *python(
            "import os, pathlib",
            "token = os.environ['AIVEN_TOKEN'].encode()",
            "for pid in (os.getpid(), os.getppid()):",
            "    assert token[:12] not in pathlib.Path(f'/proc/{pid}/cmdline').read_bytes()",
        )
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_command_finds_the_emulator_and_nothing_else() -> None:
    """A command gets the emulator's URL and token, and nothing that leads to another account or through a proxy."""
    gone = ["AIVEN_CREDENTIALS_FILE", "AIVEN_CONFIG_DIR", "AIVEN_CA_CERT"]
    real = dict.fromkeys((*gone, "AIVEN_TOKEN", "AIVEN_AUTH_TOKEN", "AIVEN_WEB_URL"), "real")
    real |= {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "internal.example", "KEPT": "kept"}
    done = run(
        *python(
            "import os, requests",
            "assert os.environ['AIVEN_AUTH_TOKEN'] == os.environ['AIVEN_TOKEN'] != 'real'",
            "headers = {'Authorization': 'aivenv1 ' + os.environ['AIVEN_TOKEN']}",
            "response = requests.get(os.environ['AIVEN_WEB_URL'] + '/v1/me', headers=headers, timeout=10)",
            f"print(response.status_code, sorted(set(os.environ) & set({gone!r})), os.environ['KEPT'])",
            "print(os.environ['NO_PROXY'])",
        ),
        environment=real,
    )
    assert done.stdout.splitlines() == ["200 [] kept", "internal.example,127.0.0.1"], done.stderr


@pytest.mark.parametrize("status", [0, 1, 77])
def test_command_decides_the_status(status: int) -> None:
    """The exit status is the command's."""
    assert run(*python(f"raise SystemExit({status})")).returncode == status


def test_killed_command_counts_as_in_a_shell() -> None:
    """A command killed by signal n is status 128+n."""
    assert run(*python("import os, signal", "os.kill(os.getpid(), signal.SIGKILL)")).returncode == 137


def test_unknown_command_is_127_and_one_line() -> None:
    """A command that does not exist is 127, and one line says which."""
    done = run("no-such-command", "argument")
    assert (done.returncode, done.stdout) == (127, "")
    assert done.stderr == "emulator: command not found: no-such-command\n"


def test_file_that_is_no_program_is_126_and_one_line(tmp_path: Path) -> None:
    """A command that cannot be run is 126, and one line says why."""
    done = run(str(tmp_path))
    assert done.returncode == 126
    assert done.stderr == f"emulator: cannot run {tmp_path}: Permission denied\n"


@pytest.mark.parametrize("command", [(), ("true",)])
def test_taken_port_is_2_and_one_line(command: tuple[str, ...]) -> None:
    """A port in use is status 2, and one line says which."""
    with Emulator() as emulator:
        port = int(emulator.url.rpartition(":")[2])
        done = run(*command, port=port)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(rf"emulator: cannot listen on 127\.0\.0\.1:{port}: .+\n", done.stderr)


def test_unusable_file_is_2_and_one_line(tmp_path: Path) -> None:
    """A database that cannot be used is status 2, and one line says which."""
    done = run("true", db=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(rf"emulator: cannot use {tmp_path} .+\n", done.stderr)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_reach_the_command(number: signal.Signals) -> None:
    """A signal is passed on, the command ends in its own way, and its status is the emulator's."""
    command = python(
        "import signal, sys, time",
        "signal.signal(signal.SIGINT, lambda *_: sys.exit(40))",
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(41))",
        "print('ready', flush=True)",
        "time.sleep(60)",
    )
    with subprocess.Popen(arguments(*command), stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.wait(10) == {signal.SIGINT: 40, signal.SIGTERM: 41}[number]


def test_ctrl_c_reaches_the_command_once() -> None:
    """A Ctrl-C on a terminal is not doubled: the terminal itself has told the command."""
    count = python(
        "import os, signal, time",
        "told = []",
        "signal.signal(signal.SIGINT, lambda *_: told.append(1))",
        "os.kill(os.getppid(), signal.SIGSTOP)  # what it may pass on is to come late enough to be counted",
        "print('ready', flush=True)",
        "while not told: time.sleep(0.01)",
        "os.kill(os.getppid(), signal.SIGCONT)",
        "time.sleep(0.5)",
        "print('told', len(told), flush=True)",
    )
    on_terminal = python("import os, pty, sys", "sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))")
    with subprocess.Popen(
        [*on_terminal, *arguments(*count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdin
        assert process.stdout
        while b"ready" not in process.stdout.readline():
            pass
        process.stdin.write(b"\x03")
        shown = process.stdout.read()
        assert process.wait(10) == 0
    assert b"told 1" in shown


def test_session_of_a_command_ends_with_it(tmp_path: Path) -> None:
    """Runs of commands on one file leave no login sessions behind, but all that the commands made."""
    make = python(
        "import os, requests",
        "headers = {'Authorization': 'aivenv1 ' + os.environ['AIVEN_TOKEN']}",
        "url = os.environ['AIVEN_WEB_URL'] + '/v1/access_token'",
        "requests.post(url, headers=headers, json={'description': 'kept'}, timeout=10).raise_for_status()",
    )
    for command in (make, make, ["no-such-command"]):
        run(*command, db=tmp_path / "db")
    with Emulator(tmp_path / "db") as emulator:
        tokens = call(emulator.url, emulator.token, "GET", "/v1/access_token").json()["tokens"]
    assert [token["description"] for token in tokens if not token["currently_active"]] == ["kept", "kept"]
