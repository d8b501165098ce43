"""Files that are named on a command line, where `-` is standard input."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

PIPE = "-"


def read(path: str) -> bytes:
    """What a file holds. OSError: it cannot be read, or standard input is closed."""
    if path != PIPE:
        return Path(path).read_bytes()
    if sys.stdin is None:
        raise OSError(errno.EBADF, "it is closed")
    return sys.stdin.buffer.read()


def called(path: str) -> str:
    """What a file is called in a message."""
    return "standard input" if path == PIPE else path
