"""The first page of the example `examples/quickstart`, typed as it stands."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from pulumi_avn_token.emulator import Emulator
from tests.account import Observer
from tests.engine.project import ROOT, typed


def test_the_commands_of_its_first_page_give_a_secret_that_works_and_show_the_token(
    tmp_path: Path, emulator: Emulator, observer: Observer
) -> None:
    """From the folder of a checkout whose engine is there, they end with the account's table as the page shows it."""
    shutil.copytree(
        ROOT / "examples" / "quickstart",
        tmp_path / "examples" / "quickstart",
        ignore=shutil.ignore_patterns("Pulumi.*.yaml", "__pycache__"),
    )
    for name in (".venv", ".engine"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "state").mkdir()
    page = (tmp_path / "examples" / "quickstart" / "README.md").read_text(encoding="utf-8")
    (commands,), (shown,) = (re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL) for kind in ("sh", "text"))
    engine, rest = commands.split("\n", 1)
    assert engine == "make engine"  # it would make the environment that all tests share for this folder
    printed = typed(rest, tmp_path, tmp_path, emulator).splitlines()
    (secret,) = (line for line in printed if len(line) > 300)
    assert observer.works(secret)
    assert [_columns(line) for line in printed[-2:]] == [_columns(line) for line in shown.splitlines()]


def _columns(line: str) -> list[str]:
    """The first four of a table's row, but for what differs from token to token."""
    expiry, prefix, *columns = re.split(r" {2,}", line)[:4]
    return columns if prefix == "TOKEN_PREFIX" else [str(len(expiry)), str(len(prefix)), columns[0]]
