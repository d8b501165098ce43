"""The processes that are measured: what they are started with, and how much memory they take. Linux only."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

INTERVAL_SECONDS = 0.1
_HOST = b"pulumi.dynamic"


def undisturbed() -> dict[str, str]:
    """The environment without what changes how Python, Pulumi or the package behaves."""
    foreign = ("PULUMI_", "AIVEN_", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**kept, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


@dataclass
class Peak:
    """The most that it took so far, in KiB; None: it was not seen."""

    kib: int | None = None


@contextmanager
def peak_of_host(session: int) -> Iterator[Peak]:
    """Watch for the host among the processes of a session, until the end of the block."""
    peak, is_over = Peak(), threading.Event()

    def watch() -> None:
        host: Path | None = None
        while not is_over.wait(INTERVAL_SECONDS):
            host = host or _find(session)
            if host is not None:
                peak.kib = _peak(host) or peak.kib  # the kernel keeps the peak, so the last look counts

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        is_over.set()
        watcher.join()


def _find(session: int) -> Path | None:
    for process in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if os.getsid(int(process.name)) == session and _HOST in (process / "cmdline").read_bytes():
                return process
    return None


def _peak(process: Path) -> int | None:
    with suppress(OSError):
        if match := re.search(r"^VmHWM:\s+(\d+) kB", (process / "status").read_text(), re.MULTILINE):
            return int(match[1])
    return None
