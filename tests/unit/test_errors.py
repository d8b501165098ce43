"""What the errors are, and that they are as they are drawn."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from pulumi_avn_token import errors
from pulumi_avn_token.errors import ApiError, AvnTokenError, Fault, ManifestError

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, BaseException)]


def drawn() -> dict[str, str]:
    """Read the tree at the top of the module: each class and the one above it."""
    above: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.fullmatch(r" {4}((?:[│ ] {3})*(?:[├└]── )?)(\w+)( {2,}\S.*)?", line)
        if match:
            depth = len(match[1]) // 4
            path[depth:] = [match[2]]
            above[match[2]] = path[depth - 1] if depth else "Exception"
    return above


def test_tree_is_drawn_as_it_is() -> None:
    """The drawing at the top names every error once, below the one that it belongs to."""
    assert drawn() == {kind.__name__: kind.__base__.__name__ for kind in CLASSES if kind.__base__}
    names = re.findall(r"\b\w+Error\b", (errors.__doc__ or "").split("\n\n")[1])
    assert sorted(names) == sorted(kind.__name__ for kind in CLASSES)


def test_tree_is_in_the_order_of_the_module() -> None:
    """Who reads on finds the classes in the order of the drawing."""
    assert list(drawn()) == re.findall(r"(?m)^class (\w+Error)\(", inspect.getsource(errors))


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_says_what_it_means(kind: type[BaseException]) -> None:
    """Each class has a docstring of its own, belongs to this module, and is an error of this package."""
    assert kind.__dict__.get("__doc__")
    assert kind.__module__ == "pulumi_avn_token.errors"
    assert issubclass(kind, AvnTokenError)


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if issubclass(kind, ApiError)])
def test_error_of_a_call_is_made_of_its_message_alone(kind: type[ApiError]) -> None:
    """An error keeps neither request nor answer, where a header or a token could be found."""
    error = kind("listing the tokens failed")
    assert str(error) == "listing the tokens failed"
    assert not vars(error)


def test_manifest_error_has_a_line_for_each_fault() -> None:
    """All faults are told to people in lines, and to programs as a tuple that does not change."""
    given = ["tokens.yaml:1:1: tokens is missing", "tokens.yaml:2:1: unknown key"]
    error = ManifestError(given)
    given.clear()
    assert error.faults == ("tokens.yaml:1:1: tokens is missing", "tokens.yaml:2:1: unknown key")
    assert str(error) == "\n".join(error.faults)
    assert error.places == ()


def test_manifest_error_tells_the_places_as_numbers_too() -> None:
    """A fault of a file that could be read has a place, for programs, and is a line for people all the same."""
    fault = Fault("tokens.yaml", 2, 7, "unknown key")
    error = ManifestError([fault])
    assert error.places == (fault,)
    assert error.faults == ("tokens.yaml:2:7: unknown key",)
    assert str(error) == "tokens.yaml:2:7: unknown key"


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if kind is not ManifestError])
def test_error_survives_another_process(kind: type[BaseException]) -> None:
    """An error comes out of a pool of processes as it went in."""
    copy = pickle.loads(pickle.dumps(kind("why")))  # noqa: S301 - made here
    assert (type(copy), str(copy)) == (kind, "why")
