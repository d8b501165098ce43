"""What a class prints of itself, and whether a secret would be found."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from urllib.parse import quote

import pytest

import pulumi_avn_token
from tests.contract.servers import draw_token
from tests.leaks import Secrets, assert_none_in, files


def test_no_class_prints_a_field_that_is_named_like_a_secret() -> None:
    """A field with a token, and not only with its prefix, is left out of what its class prints: of each class."""
    fields = list(_fields())
    assert {name for name, is_printed in fields if not is_printed} == {
        "Credential.token",
        "IssuedToken.full_token",
        "Previous.full_token",
    }
    assert [name for name, is_printed in fields if is_printed] == []


def _fields() -> Iterator[tuple[str, bool]]:
    """The fields of the package's classes whose names are those of secrets, and whether they are printed."""
    for module in pkgutil.walk_packages(pulumi_avn_token.__path__, "pulumi_avn_token."):
        for name, class_ in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if dataclasses.is_dataclass(class_):
                told = [(field.name, field.type, field.repr) for field in dataclasses.fields(class_)]
            else:  # a named tuple prints all
                told = [(field, class_.__annotations__[field], True) for field in getattr(class_, "_fields", ())]
            for field, type_, is_printed in told:
                is_text = re.search(r"\b(str|bytes|Any|object)\b", str(type_))
                if is_text and re.search("token|secret|credential|password", field.removesuffix("token_prefix")):
                    yield f"{name}.{field}", is_printed


@pytest.mark.parametrize(
    "hide",
    [
        str.encode,
        lambda text: quote(text, safe="").encode(),
        *(lambda text, at=at: base64.b64encode(b" " * at + text.encode()) for at in range(3)),
        lambda text: gzip.compress(text.encode())[:-8],
    ],
    ids=["plain", "percent", "base64-0", "base64-1", "base64-2", "cut-gzip"],
)
def test_whatever_looks_for_a_secret_finds_it(tmp_path: Path, hide: Callable[[str], bytes]) -> None:
    """The search that all these tests rest on finds a part of a secret however it is written, and no mere prefix."""
    secret = draw_token()
    for text, is_found in ((secret, True), (f"x: {secret[20:70]}", True), (f"token {secret[:12]}…", False)):
        (tmp_path / "file").write_bytes(hide(text))
        ((_, content),) = files(tmp_path)
        with pytest.raises(AssertionError) if is_found else nullcontext():
            assert_none_in(Secrets([secret]), content, "a file")
