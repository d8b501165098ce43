"""What the package gives to a program, and what it takes to import it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pulumi_avn_token

SOURCE = Path(pulumi_avn_token.__file__).read_text(encoding="utf-8")


def imported_for_types() -> list[str]:
    """Give the names that the package declares to type checkers."""
    return [
        alias.asname or alias.name
        for block in ast.parse(SOURCE).body
        if isinstance(block, ast.If)
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    ]


def test_public_names_are_listed_in_order() -> None:
    """`__all__` is sorted, and names nothing twice."""
    assert pulumi_avn_token.__all__ == sorted(set(pulumi_avn_token.__all__))


def test_what_is_listed_is_what_is_public() -> None:
    """What a type checker sees, what is listed, and what can be imported are the same names."""
    assert sorted(imported_for_types()) == pulumi_avn_token.__all__
    for name in pulumi_avn_token.__all__:
        assert getattr(pulumi_avn_token, name).__name__ == name


def test_every_public_name_has_a_docstring() -> None:
    """What a program uses says what it is."""
    for name in pulumi_avn_token.__all__:
        assert getattr(pulumi_avn_token, name).__doc__


def test_star_import_gives_all_of_them() -> None:
    """`from pulumi_avn_token import *` works, though names are imported when they are first used."""
    space: dict[str, object] = {}
    exec("from pulumi_avn_token import *", space)  # noqa: S102 - the statement can stand in no function
    assert set(pulumi_avn_token.__all__) == set(space) - {"__builtins__"}


@pytest.mark.parametrize("name", ["Token", "annotations", "pulumi", "_Token"])
def test_unknown_name_is_refused_as_python_does(name: str) -> None:
    """A name that there is not is an `AttributeError` in Python's words."""
    with pytest.raises(AttributeError, match=f"^module 'pulumi_avn_token' has no attribute '{name}'$"):
        getattr(pulumi_avn_token, name)


@pytest.mark.parametrize("name", ["errors", "functions", "manifest", "model", "resources"])
def test_modules_can_be_imported(name: str) -> None:
    """The names that are imported late do not hide the modules."""
    module = __import__("pulumi_avn_token", fromlist=[name])
    assert getattr(module, name).__name__ == f"pulumi_avn_token.{name}"


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("pulumi_avn_token", {"pulumi", "grpc", "requests", "aiohttp", "click", "yaml"}),
        ("pulumi_avn_token.cli", {"pulumi", "grpc", "requests", "aiohttp", "rich", "yaml"}),
        ("pulumi_avn_token.emulator", {"pulumi", "grpc", "requests", "click"}),
        (
            "pulumi_avn_token.resources",
            {
                *("requests", "urllib3", "aiohttp", "click", "rich"),
                *(f"pulumi_avn_token.{name}" for name in ("account", "client", "series", "manifest", "inventory")),
            },
        ),
        (
            "pulumi_avn_token.provider",
            {
                *("requests", "urllib3", "aiohttp", "click", "rich"),
                *(f"pulumi_avn_token.{name}" for name in ("account", "client", "series", "manifest", "resources")),
            },
        ),
        ("pulumi_avn_token.client", {"pulumi", "grpc", "aiohttp", "click", "rich", "yaml"}),
        ("pulumi_avn_token.manifest", {"pulumi", "grpc", "requests", "aiohttp", "click"}),
        ("pulumi_avn_token.lifecycle", {"pulumi", "grpc", "requests", "aiohttp", "click", "yaml"}),
        ("pulumi_avn_token.rotation", {"pulumi", "grpc", "requests", "aiohttp", "click", "yaml"}),
        ("pulumi_avn_token.marks", {"pulumi", "grpc", "requests", "aiohttp", "click", "yaml"}),
        ("pulumi_avn_token.series", {"pulumi", "grpc", "requests", "aiohttp", "click", "yaml"}),
        (
            "pulumi_avn_token.functions",
            {"aiohttp", "click", "rich", "pulumi_avn_token.manifest", "pulumi_avn_token.provider"},
        ),
        ("pulumi_avn_token.listing", {"pulumi", "grpc", "requests", "aiohttp", "click", "rich", "yaml"}),
        ("pulumi_avn_token.holdings", {"pulumi", "grpc", "requests", "aiohttp", "click", "rich", "yaml"}),
        ("pulumi_avn_token.inventory", {"pulumi", "grpc", "requests", "aiohttp", "click", "rich", "yaml"}),
        ("pulumi_avn_token.stacks", {"pulumi", "grpc", "requests", "aiohttp", "click", "rich", "yaml"}),
        ("pulumi_avn_token.from_account", {"pulumi", "grpc", "requests", "aiohttp", "click", "rich"}),
        ("pulumi_avn_token.schema", {"pulumi", "grpc", "requests", "aiohttp", "click", "rich"}),
        ("pulumi_avn_token.tables", {"pulumi", "grpc", "requests", "aiohttp", "click"}),
    ],
)
def test_module_is_imported_without_what_it_does_not_need(module: str, without: set[str]) -> None:
    """A program, the command line and the emulator each start without the others' libraries."""
    loaded = subprocess.run(
        [sys.executable, "-c", f"import sys, {module}; print(*sys.modules)"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert module in loaded
    assert not without & set(loaded)
