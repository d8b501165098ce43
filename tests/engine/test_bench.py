"""`make bench` works, and its page has its places: with small numbers, whose times nobody looks at."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench import page, plot, race
from bench.operations import OPERATIONS
from bench.results import Results
from bench.turns import order
from tests.engine.project import ROOT

PAGE, DRAWING, RESULTS = Path("docs", "performance.md"), Path("docs", "performance.svg"), Path("bench", "results.json")
NUMBER = re.compile(r"-?\d+\.\d+")
TABLE = re.compile(r"(<!-- bench: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def test_a_quick_one_measures_all_and_makes_the_page(tmp_path: Path) -> None:
    """Every contestant does every operation; the tables and the plot show it, and what stands beside them stays."""
    take_page(tmp_path)
    command = [sys.executable, "-m", "bench", "--quick", "--into", str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert_all_was_done(Results.read(tmp_path / RESULTS))
    before, after = (ROOT / PAGE).read_text(), (tmp_path / PAGE).read_text()
    assert sorted(found[2] for found in TABLE.finditer(after)) == sorted(page.TABLES)
    assert TABLE.sub(r"\1\4", before) == TABLE.sub(r"\1\4", after)
    assert "At 2 tokens:" in after
    assert_drawn(tmp_path / DRAWING)


def test_the_page_and_the_plot_are_of_the_kept_results(tmp_path: Path) -> None:
    """Nobody has written a figure by hand."""
    take_page(tmp_path)
    page.write(Results.read(ROOT / RESULTS), tmp_path / PAGE)
    assert (tmp_path / PAGE).read_text() == (ROOT / PAGE).read_text()
    assert_drawn(ROOT / DRAWING)
    plot.draw(Results.read(ROOT / RESULTS), tmp_path / DRAWING)
    drawn, kept = (
        [float(number) for number in NUMBER.findall((folder / DRAWING).read_text())] for folder in (tmp_path, ROOT)
    )
    assert drawn == pytest.approx(kept, abs=1)  # of a point: fonts may differ a little


@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "c", "d", "e")])
def test_of_two_contestants_each_goes_first_as_often(names: tuple[str, ...]) -> None:
    """Else what the machine does meanwhile would count for one of them; and each begins at some time."""
    for operation in range(len(OPERATIONS)):
        orders = [order(names, round_, operation) for round_ in range(2 * len(names))]
        assert all(sorted(each) == sorted(names) for each in orders)
        assert {each[0] for each in orders} == set(names)
        for one, other in itertools.combinations(names, 2):
            assert sum(each.index(one) < each.index(other) for each in orders) == len(names)


def take_page(folder: Path) -> None:
    """Have the page, where the results go."""
    for name in (PAGE, RESULTS):
        (folder / name).parent.mkdir()
    shutil.copy(ROOT / PAGE, folder / PAGE)


def assert_all_was_done(results: Results) -> None:
    """The package does it with as many requests as it must, and the floor with as many."""
    (tokens,) = results.tokens()
    for operation in OPERATIONS:
        assert all(len(results.of(name, operation, tokens)) == 1 for name in race.CONTESTANTS)
    made, floor = (
        {operation: results.of(name, operation, tokens)[0].traffic for operation in OPERATIONS}
        for name in (race.PRODUCT, race.FLOOR)
    )
    counts = {operation: (traffic.requests, traffic.lists) for operation, traffic in made.items()}
    assert counts == {
        "first up": (1 + 2 * tokens, 0),
        "unchanged up": (0, 0),
        "preview": (0, 0),
        "refresh": (1, 1),
        "changed up": (2, 1),
        "destroy": (1 + tokens, 1),
    }
    assert counts == {operation: (traffic.requests, traffic.lists) for operation, traffic in floor.items()}


def assert_drawn(drawing: Path) -> None:
    """There is a panel for each operation, and a line for each contestant."""
    words = {text.strip() for element in ET.parse(drawing).iter() for text in element.itertext()}  # noqa: S314 - our own
    assert {*OPERATIONS, *race.CONTESTANTS.values()} <= words
