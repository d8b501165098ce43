"""`docs/troubleshooting.md` against the code: every error is there, and every message that it quotes is one."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulumi_avn_token import errors

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
OURS, OF_THE_ENGINE = PAGE.split("## Of the engine")
SECTIONS = dict(re.findall(r"^### (\w+)\n\n(.*?)(?=^##|\Z)", OURS, re.DOTALL | re.MULTILINE))
QUOTED = {name: re.findall(r"^\| `(.*?)` \|", section, re.MULTILINE) for name, section in SECTIONS.items()}


def texts_of(code: ast.AST) -> Iterator[str]:
    """Every text in a program, with `…` for what is put into it."""
    for node in ast.walk(code):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


TEXTS = [
    text
    for path in sorted((ROOT / "pulumi_avn_token").glob("*.py"))
    for text in texts_of(ast.parse(path.read_text(encoding="utf-8")))
]


def test_every_error_has_its_section() -> None:
    """No error of the package is missing, but the one that only gathers others, and none is there that is no more."""
    known = {name for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, Exception)}
    assert SECTIONS.keys() == known - {"ApiError"}
    assert len(re.findall(r"^### ", OURS, re.MULTILINE)) == len(SECTIONS)


@pytest.mark.parametrize("quoted", [quoted for messages in QUOTED.values() for quoted in messages])
def test_quoted_message_is_one_of_the_package(quoted: str) -> None:
    """Who pastes a message finds it: what the page quotes is in the code, word for word."""
    assert any(quoted in text for text in TEXTS)


def test_every_error_can_be_found_by_its_words() -> None:
    """Each section quotes a message, but that of manifests, whose faults have a place instead."""
    assert [name for name, messages in QUOTED.items() if not messages] == ["ManifestError"]
