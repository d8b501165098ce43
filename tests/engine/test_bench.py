"""`make bench` works, and its page has its places: with small numbers, whose times nobody looks at."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench import page, race
from bench.operations import OPERATIONS
from bench.results import Results
from tests.engine.project import ROOT

PAGE = Path("docs", "performance.md")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a quick one has written to."""
    folder = tmp_path_factory.mktemp("bench")
    for name in ("bench", "docs"):
        (folder / name).mkdir()
    shutil.copy(ROOT / PAGE, folder / PAGE)
    command = [sys.executable, "-m", "bench", "--quick", "--into", str(folder)]
    ran = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return folder


def test_every_contestant_does_every_operation(folder: Path) -> None:
    """And the package does with as many requests as it must."""
    results = Results.read(folder / "bench" / "results.json")
    (tokens,) = results.tokens()
    for operation in OPERATIONS:
        assert all(len(results.of(name, operation, tokens)) == 1 for name in race.CONTESTANTS)
    made = {operation: results.of(page.PRODUCT, operation, tokens)[0].traffic for operation in OPERATIONS}
    counts = {operation: (traffic.requests, traffic.lists) for operation, traffic in made.items()}
    assert counts == {
        "first up": (1 + 2 * tokens, 0),
        "unchanged up": (0, 0),
        "preview": (0, 0),
        "refresh": (1, 1),
        "changed up": (2, 1),
        "destroy": (1 + tokens, 1),
    }
    floor = {operation: results.of(page.FLOOR, operation, tokens)[0].traffic.requests for operation in OPERATIONS}
    assert floor == {operation: traffic.requests for operation, traffic in made.items()}


def test_the_page_is_made_of_them(folder: Path) -> None:
    """Each table is at its place, and what stands beside the tables stays."""
    before, after = (ROOT / PAGE).read_text(), (folder / PAGE).read_text()
    tables = re.compile(r"(<!-- bench: (\w+) -->\n)(.*?)(\n<!-- end -->)", re.DOTALL)
    assert [found[2] for found in tables.finditer(before)] == [found[2] for found in tables.finditer(after)]
    assert {found[2] for found in tables.finditer(after)} == page.TABLES.keys()
    assert tables.sub(r"\1\4", before) == tables.sub(r"\1\4", after)
    assert "At 2 tokens:" in after


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "new"])
def test_the_plot_has_a_panel_for_each_operation(folder: Path, *, kept: bool) -> None:
    """The one in the repository, and a new one."""
    drawing = ET.parse((ROOT if kept else folder) / "docs" / "performance.svg")  # noqa: S314 - our own
    words = {text.strip() for element in drawing.iter() for text in element.itertext()}
    assert {*OPERATIONS, *race.CONTESTANTS.values()} <= words


def test_the_kept_page_is_that_of_the_kept_results(tmp_path: Path) -> None:
    """Nobody has written a figure by hand."""
    for name in ("bench", "docs"):
        (tmp_path / name).mkdir()
    shutil.copy(ROOT / PAGE, tmp_path / PAGE)
    page.write(Results.read(ROOT / "bench" / "results.json"), tmp_path / PAGE)
    assert (tmp_path / PAGE).read_text() == (ROOT / PAGE).read_text()
