"""`make bench`: measure all, then write bench/results.json, docs/performance.svg and the tables of docs/performance.md.

About two hours; nothing else should run beside it. Only this machine's loopback addresses are spoken to.
"""

from __future__ import annotations

import argparse
import compileall
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from bench import page, parts, plot, race
from bench.parts import Part
from bench.results import Results
from bench.server import Api
from tools.engine.environment import ENGINE

ROOT = Path(__file__).resolve().parents[1]
_ROUNDS = dict.fromkeys(race.CONTESTANTS, 5)
ROUNDS = {
    10: _ROUNDS,
    100: {**_ROUNDS, race.PRODUCT: 15, race.FLOOR: 15},  # the limits are about these
    1000: {**_ROUNDS, race.CLI: 1},  # ten minutes each
}
"""How many for each number of tokens, by contestant."""
MANY = 10_000
SETTINGS_TOKENS = 300


def main() -> int:
    """Measure, and write; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure what the provider costs.")
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that it works")
    parser.add_argument("--draw", action="store_true", help="measure nothing: make the page of the kept results")
    parser.add_argument("--into", type=Path, default=ROOT, metavar="FOLDER", help="where bench/ and docs/ are")
    options = parser.parse_args()
    kept = options.into / "bench" / "results.json"
    if not options.draw:
        # Else, in the background of a shell, the engine would wait for five seconds for its plugins to end.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for folder in ("pulumi_avn_token", "bench"):
            compileall.compile_dir(ROOT / folder, quiet=1)
        partial = kept.with_suffix(".part.json")
        for results in _measured(quick=options.quick):
            results.write(partial)
        partial.replace(kept)
    results = Results.read(kept)
    page.write(results, options.into / "docs" / "performance.md")
    plot.draw(results, options.into / "docs" / "performance.svg")
    return 0


def _measured(*, quick: bool) -> Iterator[Results]:
    """The results so far, again and again."""
    results = Results(_machine(), [], [])
    for part in _parts(quick=quick):
        _tell(f"{part.group}: {part.name}: {part.value:.3f} {part.unit}")
        results.parts.append(part)
    yield results
    for tokens, rounds in ({2: dict.fromkeys(race.CONTESTANTS, 1)} if quick else ROUNDS).items():
        for round_ in range(max(rounds.values())):
            names = tuple(name for name in race.CONTESTANTS if round_ < rounds[name])
            for sample in race.run(tokens, round_, names):
                what = f"{sample.contestant}: {sample.operation}: {sample.seconds:.2f} s"
                _tell(f"{tokens} tokens, round {round_ + 1}: {what}")
                results.samples.append(sample)
            yield results


def _parts(*, quick: bool) -> Iterator[Part]:
    many, rounds = (20, 1) if quick else (MANY, 5)
    for round_ in range(rounds * 3):
        yield from parts.imports(round_)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, Api(0, many) as api:
        for _ in range(rounds):
            yield from parts.manifest(many, Path(folder))
            yield from parts.inventory(api, Path(folder))
            yield parts.emulator(api, many // 2)
    for round_ in range(1 if quick else 5):
        yield from race.run_settings(2 if quick else SETTINGS_TOKENS, round_)


def _machine() -> str:
    engine = subprocess.run([ENGINE / "pulumi", "version"], check=True, capture_output=True, text=True).stdout.strip()
    return (
        f"Made on {time.strftime('%Y-%m-%d')}, on {os.cpu_count()} shared cores ({platform.system()},"
        f" {platform.machine()}), with Python {platform.python_version()}, the SDK {version('pulumi')} and the engine"
        f" {engine.removeprefix('v')}, whose state is in files."
    )


def _tell(line: str) -> None:
    sys.stderr.write(f"bench: {line}\n")


if __name__ == "__main__":
    sys.exit(main())
