"""What may be seen of a secret: its prefix, and no more, whatever it is looked for in."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from urllib.parse import quote

PIECE_CHARACTERS = 24
"""Longer than the prefix of any token."""


class Secrets(list[str]):
    """Several secrets, which a failing test does not print."""

    def __repr__(self) -> str:
        return f"{len(self)} secrets"


def assert_none_in(secrets: Iterable[str], content: bytes, where: str) -> None:
    """No piece of a secret is in this: not as it is, nor as a URL or a pickle in a state would have it."""
    __tracebackhide__ = True  # a failing test would print the arguments
    for secret in secrets:
        assert not any(piece in content for piece in _pieces(secret)), f"a secret is in {where}"


def files(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file below a folder, with what it holds, as it is and decompressed."""
    for path in filter(Path.is_file, folder.rglob("*")):
        content = path.read_bytes()
        yield path, content + _decompressed(content)


def _decompressed(content: bytes) -> bytes:
    """What was compressed by gzip, as far as it goes: a process that was killed ends none of its files."""
    return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(content) if content.startswith(b"\x1f\x8b") else b""


@cache
def _pieces(secret: str) -> frozenset[bytes]:
    assert len(secret) > 2 * PIECE_CHARACTERS, "too short to be told from other text"
    starts = range(0, len(secret) - PIECE_CHARACTERS, 8)  # in base64, every third of them begins alike
    plain = [secret[start : start + PIECE_CHARACTERS] for start in starts]
    forms = (str.encode, lambda piece: quote(piece, safe="").encode(), lambda piece: base64.b64encode(piece.encode()))
    return frozenset(form(piece) for form in forms for piece in plain)
