"""The states of stacks: exports in files, from a pipe, or had from the `pulumi` command."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from pulumi_avn_token import files
from pulumi_avn_token.errors import ExportError
from pulumi_avn_token.holdings import State, read
from pulumi_avn_token.model import without_tokens
from pulumi_avn_token.terminal import one_line


def of_files(paths: Iterable[str]) -> Iterator[State]:
    """What exports tell; `-` is standard input; each may hold several, one after the other.

    ExportError: one cannot be read, or is none.
    """
    for path in dict.fromkeys(paths):
        yield from _states(_read(path), files.called(path))


def of_stack(name: str) -> Iterator[State]:
    """What `pulumi stack export` tells of a stack. ExportError: that failed."""
    yield from _states(_pulumi("stack", "export", "--stack", name), f"stack {name}", name)


def names() -> list[str]:
    """All stacks of the backend that is logged in to. ExportError: they cannot be listed."""
    listed = None
    with suppress(ValueError, RecursionError):  # in whose chain would be all that was printed
        listed = json.loads(_pulumi("stack", "ls", "--all", "--json"))
    if not isinstance(listed, list) or not all(isinstance(stack, dict) and "name" in stack for stack in listed):
        raise ExportError("`pulumi stack ls --all --json` printed no list of stacks; name them by --stack")
    return [str(stack["name"]) for stack in listed]


def _read(path: str) -> str:
    source = files.called(path)
    try:
        return files.read(path).decode("utf-8-sig")  # whatever the locale is
    except OSError as error:
        hint = "; a stack is named by --stack" if isinstance(error, FileNotFoundError) else ""
        raise ExportError(f"{without_tokens(source)}: cannot be read: {error.strerror}{hint}") from None
    except UnicodeDecodeError:  # in whose chain would be the whole state
        pass
    raise ExportError(f"{source}: is not text; give files that `pulumi stack export` writes")


def _states(text: str, source: str, stack: str = "") -> Iterator[State]:
    why = None
    try:
        for export in _documents(text):
            yield read(export, stack)
    except ExportError as error:
        why = str(error)
    except (ValueError, RecursionError):
        why = "it is not JSON, as `pulumi stack export` writes it"
    if why is not None:  # raised here: in its chain a JSON error would carry the whole state
        raise ExportError(f"{source}: {why}")


def _documents(text: str) -> Iterator[Any]:
    decoder, text = json.JSONDecoder(), text.strip()
    if not text:
        raise ExportError("it is empty; did the command before the pipe fail?")
    at = 0
    while at < len(text):
        document, end = decoder.raw_decode(text, at)
        yield document
        at = end + len(text[end:]) - len(text[end:].lstrip())


def _pulumi(*arguments: str) -> str:
    command = " ".join(("pulumi", *arguments))
    try:
        ran = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],  # noqa: S607 - the user's own
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            encoding="utf-8",
            errors="replace",
        )
    except FileNotFoundError:
        raise ExportError("pulumi is not on PATH; install it, or give files that `pulumi stack export` wrote") from None
    except OSError as error:
        raise ExportError(
            f"`{command}` cannot be run: {error.strerror}; or give files that `pulumi stack export` wrote"
        ) from None
    if ran.returncode != 0:
        why = one_line(ran.stderr.strip()).removeprefix("error: ") or f"it ended with status {ran.returncode}"
        raise ExportError(f"`{command}` failed: {why}")
    return ran.stdout
