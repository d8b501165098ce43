"""The tables of docs/performance.md, between marks in it: what stands beside them is written by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bench.operations import OPERATIONS
from bench.race import CONTESTANTS, Sample
from bench.results import Results, Spread

PRODUCT, FLOOR = "product", "bare"
LIMITS = {"first up": 1.15, "unchanged up": 1.05, "preview": 1.05, "refresh": 1.05}
"""What the time may be at most of the floor's, at `TOKENS_OF_LIMITS` tokens."""
TOKENS_OF_LIMITS = 100
_BEGIN, _END = "<!-- bench: {} -->", "<!-- end -->"


def write(results: Results, path: Path) -> None:
    """Put the tables in."""
    page = path.read_text()
    for name, make in TABLES.items():
        before, begin, rest = page.partition(_BEGIN.format(name))
        _, end, after = rest.partition(_END)
        if not end:
            raise ValueError(f"{path} has no place for the table {name}")
        page = f"{before}{begin}\n{make(results)}\n{end}{after}"
    path.write_text(page)


def _machine(results: Results) -> str:
    return results.machine


def _limits(results: Results) -> str:
    tokens = TOKENS_OF_LIMITS if TOKENS_OF_LIMITS in results.tokens() else results.tokens()[-1]
    rows = []
    for operation in OPERATIONS:
        ratio = results.ratio(PRODUCT, FLOOR, operation, tokens)
        limit = LIMITS.get(operation)
        verdict = "" if limit is None or ratio is None else "yes" if round(ratio.median, 2) <= limit else "**no**"
        rows.append([operation, _spread(ratio, 2), "" if limit is None else f"{limit:.2f}", verdict])
    return f"At {tokens:,} tokens:\n\n" + _table(["operation", "of the floor", "at most", "kept"], rows)


def _times(results: Results) -> str:
    blocks = []
    for tokens in results.tokens():
        rows = [
            [operation, *(_spread(results.seconds(name, operation, tokens), 2) for name in CONTESTANTS)]
            for operation in OPERATIONS
        ]
        rounds = [len(results.of(name, OPERATIONS[0], tokens)) for name in CONTESTANTS]
        rows.append(["*rounds*", *map(str, rounds)])
        blocks.append(f"{tokens:,} tokens, seconds:\n\n" + _table(["operation", *CONTESTANTS.values()], rows))
    return "\n\n".join(blocks)


def _traffic(results: Results) -> str:
    rows = []
    for operation in OPERATIONS:
        for name, label in CONTESTANTS.items():
            cells = [_traffic_of(results.of(name, operation, tokens)) for tokens in results.tokens()]
            rows.append([operation, label, *cells])
    return _table(["operation", "", *(f"{tokens:,} tokens" for tokens in results.tokens())], rows)


def _traffic_of(samples: list[Sample]) -> str:
    if not samples:
        return ""
    traffic = samples[0].traffic
    kilobytes = (traffic.bytes_in + traffic.bytes_out) / 1000
    return f"{traffic.requests:,} / {traffic.lists:,} / {traffic.connections:,} / {kilobytes:,.0f}"


def _memory(results: Results) -> str:
    rows = []
    for operation in OPERATIONS:
        for name in (PRODUCT, FLOOR, "plain"):
            peaks = [
                [sample.host_kib / 1024 for sample in results.of(name, operation, tokens) if sample.host_kib]
                for tokens in results.tokens()
            ]
            cells = [_spread(Spread(tuple(found)), 1) if found else "" for found in peaks]
            rows.append([operation, CONTESTANTS[name], *cells])
    return _table(["operation", "", *(f"{tokens:,} tokens" for tokens in results.tokens())], rows)


def _parts(group: str) -> Callable[[Results], str]:
    def table(results: Results) -> str:
        units = {part.name: part.unit for part in results.parts if part.group == group}
        digits = {"ms": 1, "s": 2, "1/s": 0}
        rows = [[name, _spread(results.part(group, name), digits[unit]) + f" {unit}"] for name, unit in units.items()]
        return _table(["", "median (least to most)"], rows)

    return table


TABLES: dict[str, Callable[[Results], str]] = {
    "machine": _machine,
    "limits": _limits,
    "times": _times,
    "traffic": _traffic,
    "memory": _memory,
    "imports": _parts("import"),
    "manifest": _parts("manifest"),
    "inventory": _parts("inventory"),
    "emulator": _parts("emulator"),
    "settings": _parts("settings"),
}


def _spread(spread: Spread | None, digits: int) -> str:
    if spread is None:
        return ""
    least, most = spread.range
    median = f"{spread.median:,.{digits}f}"
    return median if len(spread.values) == 1 else f"{median} ({least:,.{digits}f} to {most:,.{digits}f})"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
