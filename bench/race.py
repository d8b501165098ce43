"""The race: who does the operations, in which order, and what each costs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.contestants import Contestant, OfficialCli, Pulumi, RawRequests
from bench.operations import OPERATIONS, Work
from bench.parts import Part
from bench.server import Api, Traffic
from bench.turns import order
from bench.wanted import descriptions

LATENCY_SECONDS = 0.05
PRODUCT, FLOOR, PLAIN, CLI = "product", "bare", "plain", "cli"
CONTESTANTS = {
    PRODUCT: "this package",
    FLOOR: "(a) bare provider",
    PLAIN: "(b) plain provider",
    CLI: "(c) official CLI in a loop",
    "raw": "(d) raw requests",
}
SETTINGS = {
    "as it is": "",
    "`PULUMI_DIY_BACKEND_ZSTD=true`": "PULUMI_DIY_BACKEND_ZSTD=true",
    "`--parallel 64`": "--parallel=64",
    "`PULUMI_SKIP_CHECKPOINTS=true`, never to be used": "PULUMI_SKIP_CHECKPOINTS=true",
}
"""What the engine can be told that may make it faster."""


@dataclass(frozen=True)
class Sample:
    """One operation by one contestant."""

    contestant: str
    operation: str
    tokens: int
    round: int
    seconds: float
    host_kib: int | None
    """Peak memory of the provider's host."""
    traffic: Traffic


def run(tokens: int, round_: int, names: tuple[str, ...]) -> Iterator[Sample]:
    """Let the contestants do each operation one after the other."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        apis = {name: stack.enter_context(Api(LATENCY_SECONDS)) for name in names}
        contestants = {name: enter(name, apis[name], scratch) for name in names}
        for number, operation in enumerate(OPERATIONS):
            for name in order(names, round_, number):
                work, api = Work(operation, tokens), apis[name]
                began = time.perf_counter()
                host_kib = contestants[name].do(work)
                seconds = time.perf_counter() - began
                traffic = api.traffic()
                _check(name, work, api)
                yield Sample(name, operation, tokens, round_, seconds, host_kib, traffic)


def run_settings(tokens: int, round_: int) -> Iterator[Part]:
    """Let the package make tokens with each of the settings, one after the other."""
    for name in order(tuple(SETTINGS), round_, 0):
        with tempfile.TemporaryDirectory(prefix="bench-") as scratch, Api(LATENCY_SECONDS) as api:
            contestant, work = Pulumi(PRODUCT, api, Path(scratch), SETTINGS[name]), Work("first up", tokens)
            began = time.perf_counter()
            contestant.do(work)
            seconds = time.perf_counter() - began
            _check(name, work, api)
            yield Part("settings", name, "s", seconds)


def enter(name: str, api: Api, scratch: Path) -> Contestant:
    """Give a contestant its account, and a folder."""
    if name == CLI:
        return OfficialCli(api, scratch)
    if name == "raw":
        return RawRequests(api)
    return Pulumi(name, api, scratch)


def _check(name: str, work: Work, api: Api) -> None:
    """Nobody is fast by not making, describing or revoking what there was to be."""
    wanted = sorted(descriptions(work.tokens, is_changed=work.is_changed).values()) if work.are_left else []
    if api.descriptions() != wanted:
        raise RuntimeError(f"{name} did not do it: {work}")
