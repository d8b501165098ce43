"""Running the emulator from a command line: until it is told to stop, or for as long as a command runs."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from pulumi_avn_token.emulator.errors import EmulatorError, short
from pulumi_avn_token.emulator.server import DEFAULT_MAX_AGE_SECONDS, DEFAULT_USER, Emulator

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_CANNOT_RUN = 2
_COMMAND_NOT_EXECUTABLE = 126
_COMMAND_NOT_FOUND = 127
_KILLED = 128  # plus the signal's number, as shells have it
_FOREIGN = frozenset({"AIVEN_CREDENTIALS_FILE", "AIVEN_CONFIG_DIR", "AIVEN_CA_CERT"})


def run(  # noqa: PLR0913 - every one has its default
    db: Path | str | None = None,
    port: int = 0,
    command: Sequence[str] | None = None,
    *,
    user: str = DEFAULT_USER,
    quota: int | None = None,
    default_max_age_seconds: float | None = DEFAULT_MAX_AGE_SECONDS,
) -> int:
    """Serve for as long as `command` runs, and give its exit status; without one, until SIGINT or SIGTERM, and give 0.

    Without a command, two lines for a shell to evaluate say where it is and which token it takes. A command finds both
    in its environment, and gets the SIGINT and SIGTERM that are sent here, but a Ctrl-C not twice. The status is 128
    plus the signal that killed the command, 127 if there is no such command, 126 if it cannot be run, and 2 if the
    emulator cannot. To be called from the main thread. The other arguments are those of `Emulator`.
    """
    emulator = Emulator(db, port=port, user=user, quota=quota, default_max_age_seconds=default_max_age_seconds)
    try:
        return _run_beside(emulator, command) if command else _serve_until_told(emulator)
    except EmulatorError as error:
        sys.stderr.write(f"emulator: {error}\n")
        return _CANNOT_RUN


def _serve_until_told(emulator: Emulator) -> int:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # kept for `sigwait`; threads to come inherit it
    try:
        with emulator:
            sys.stdout.write(f"export AIVEN_WEB_URL={shlex.quote(emulator.url)}\n")
            sys.stdout.write(f"export AIVEN_TOKEN={shlex.quote(emulator.token)}\n")
            sys.stdout.flush()
            signal.sigwait(_SIGNALS)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return 0


def _run_beside(emulator: Emulator, command: Sequence[str]) -> int:
    child: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def forward(number: int, _: FrameType | None) -> None:
        if child is None:
            early.append(number)
        elif number != signal.SIGINT or not _in_foreground():
            child.send_signal(number)

    before = {number: signal.signal(number, forward) for number in _SIGNALS}
    try:
        with emulator:
            try:
                child = subprocess.Popen(command, env=_environment(emulator, os.environ))
                for number in early:
                    child.send_signal(number)
                status = child.wait()
            except OSError as error:
                return _not_started(command[0], error)
            finally:
                emulator.end_session()  # only the command knew the token
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return status if status >= 0 else _KILLED - status


def _not_started(program: str, error: OSError) -> int:
    if isinstance(error, FileNotFoundError):
        sys.stderr.write(f"emulator: command not found: {short(program)}\n")
        return _COMMAND_NOT_FOUND
    sys.stderr.write(f"emulator: cannot run {short(program)}: {error.strerror}\n")
    return _COMMAND_NOT_EXECUTABLE


def _environment(emulator: Emulator, outer: Mapping[str, str]) -> dict[str, str]:
    """Point a command at the emulator alone: no other credential, and no proxy on the way."""
    inner = {name: value for name, value in outer.items() if name not in _FOREIGN}
    inner.update(AIVEN_WEB_URL=emulator.url, AIVEN_TOKEN=emulator.token)
    inner["AIVEN_AUTH_TOKEN"] = emulator.token  # the official command line knows it by that name
    unproxied = outer.get("no_proxy") or outer.get("NO_PROXY")
    if unproxied != "*":
        inner["no_proxy"] = inner["NO_PROXY"] = f"{unproxied},127.0.0.1" if unproxied else "127.0.0.1"
    return inner


def _in_foreground() -> bool:
    """Tell whether a Ctrl-C of our terminal reaches our whole process group, the command included, without our help."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
