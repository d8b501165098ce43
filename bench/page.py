"""The tables of docs/performance.md, between marks in it: what stands beside them is written by hand."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bench.operations import OPERATIONS
from bench.race import CONTESTANTS, FLOOR, PLAIN, PRODUCT, Sample
from bench.results import Results, Spread

LIMITS = {"first up": 1.15, "unchanged up": 1.05, "preview": 1.05, "refresh": 1.05}
"""What the time may be at most of the floor's, at `TOKENS_OF_LIMITS` tokens."""
TOKENS_OF_LIMITS = 100
AUDIT, LIST_REQUEST, MANIFEST = "audit, every token managed", "the list request alone", "load and validate"
HOST, HOST_FLOOR = "the host, with the provider", "`pulumi` and `requests`"
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
    for operation, limit in LIMITS.items():
        ratio = results.ratio(PRODUCT, FLOOR, operation, tokens)
        rows.append([f"{operation}, of the floor's time", _spread(ratio, 3), *_judged(ratio, limit, 2)])
    own = [sample for sample in results.samples if sample.contestant == PRODUCT]
    connections = Spread((max(sample.traffic.connections for sample in own),))
    lists = Spread((max(sample.traffic.lists for sample in own),))
    audit, network = (results.part("inventory", name) for name in (AUDIT, LIST_REQUEST))
    manifest, host, needed = (
        results.part(group, name) for group, name in (("manifest", MANIFEST), ("import", HOST), ("import", HOST_FLOOR))
    )
    rows += [
        ["connections, in any operation", _spread(connections, 0), *_judged(connections, 4, 0)],
        ["lists of the account, in any operation", _spread(lists, 0), *_judged(lists, 1, 0)],
        ["imports of the host, of `pulumi` and `requests`", *_compared(host, needed, lambda of, to: of / to, 1.1, "")],
        ["a long manifest", f"{_spread(manifest, 2)} s", *_judged(manifest, 2, 0, " s")],
        ["a long audit, without the network", *_compared(audit, network, lambda of, to: of - to, 3, " s")],
    ]
    return f"At {tokens:,} tokens:\n\n" + _table(["what", "measured", "at most", "kept"], rows)


def _floor(results: Results) -> str:
    rows = [
        [operation, *(_spread(results.ratio(PRODUCT, FLOOR, operation, tokens), 2) for tokens in results.tokens())]
        for operation in OPERATIONS
    ]
    return _table(["", *(f"{tokens:,} tokens" for tokens in results.tokens())], rows)


def _judged(found: Spread | None, limit: float | None, digits: int, unit: str = "") -> list[str]:
    if found is None or limit is None:
        return ["", ""]
    return [f"{limit:.{digits}f}{unit}", "yes" if found.median <= limit else "**no**"]


def _compared(
    found: Spread | None, other: Spread | None, compare: Callable[[float, float], float], limit: float, unit: str
) -> list[str]:
    """Two parts that are measured in turns, compared pair by pair."""
    if found is None or other is None:
        return ["", "", ""]
    pairs = Spread(tuple(compare(*pair) for pair in zip(found.values, other.values, strict=True)))
    return [_spread(pairs, 2) + unit, *_judged(pairs, limit, 1, unit)]


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


def _growth(results: Results) -> str:
    spans = list(itertools.pairwise(results.tokens()))
    rows = []
    for operation in OPERATIONS:
        costs = [_cost(results.of(PRODUCT, operation, tokens)) for tokens in results.tokens()]
        for what, at_each in zip(("requests", "bytes", "KiB of memory"), zip(*costs, strict=True), strict=True):
            more = [(b - a) / (to - of) for (of, to), (a, b) in zip(spans, itertools.pairwise(at_each), strict=True)]
            rows.append([operation, what, *(f"{each:,.2f}" for each in more)])
    return _table(["operation", "", *(f"from {of:,} to {to:,}" for of, to in spans)], rows)


def _cost(samples: list[Sample]) -> tuple[float, float, float]:
    """The medians of what may grow with the tokens: requests, bytes, and KiB of memory."""
    each = [(one.traffic.requests, one.traffic.bytes_in + one.traffic.bytes_out, one.host_kib or 0) for one in samples]
    requests, sizes, kib = (statistics.median(values) for values in zip(*each, strict=True))
    return requests, sizes, kib


def _memory(results: Results) -> str:
    rows = []
    for operation in OPERATIONS:
        for name in (PRODUCT, FLOOR, PLAIN):
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
    "floor": _floor,
    "times": _times,
    "traffic": _traffic,
    "growth": _growth,
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
