"""The processes that are measured: how they are started and ended, and how much memory they take. Linux only."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

INTERVAL_SECONDS = 0.1
_HOST = b"pulumi.dynamic"


def undisturbed() -> dict[str, str]:
    """The environment without what changes how Python, Pulumi or the package behaves."""
    foreign = ("PULUMI_", "AIVEN_", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**kept, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


def run(command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> tuple[int, str, int | None]:
    """Run a command: its status, what it printed, and the peak memory of the host that it started, in KiB.

    Where that is interrupted, the command is killed with all that it started.
    """
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as running:
        peaks: list[int] = []
        is_over = threading.Event()
        watcher = threading.Thread(target=_watch, args=(running.pid, is_over, peaks))
        watcher.start()
        try:
            printed, _ = running.communicate()
        finally:
            is_over.set()
            watcher.join()
            for process in _session(running.pid):
                with suppress(ProcessLookupError):
                    os.kill(int(process.name), signal.SIGKILL)
    return running.returncode, printed, max(peaks, default=None)


def _watch(session: int, is_over: threading.Event, peaks: list[int]) -> None:
    host: Path | None = None
    while not is_over.wait(INTERVAL_SECONDS):
        host = host or next(filter(_is_host, _session(session)), None)
        if host is not None:
            peaks.extend(_peak(host))


def _session(leader: int) -> Iterator[Path]:
    """The processes of a session; the engine gives each of its plugins a group of its own."""
    for process in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if os.getsid(int(process.name)) == leader:
                yield process


def _is_host(process: Path) -> bool:
    with suppress(OSError):
        return _HOST in (process / "cmdline").read_bytes()
    return False


def _peak(process: Path) -> list[int]:
    with suppress(OSError):
        return [
            int(found) for found in re.findall(r"^VmHWM:\s+(\d+) kB", (process / "status").read_text(), re.MULTILINE)
        ]
    return []
