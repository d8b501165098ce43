"""What was measured, and what it comes to: medians, their spread, and ratios of the runs of one round."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.parts import Part
from bench.race import Sample
from bench.server import Traffic


@dataclass(frozen=True)
class Spread:
    """Some measurements of the same thing."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The one in the middle."""
        return statistics.median(self.values)

    @property
    def range(self) -> tuple[float, float]:
        """The least and the most."""
        return min(self.values), max(self.values)


@dataclass
class Results:
    """All of one run."""

    machine: str
    samples: list[Sample]
    parts: list[Part]

    def tokens(self) -> list[int]:
        """How many tokens there were, in each of the races."""
        return sorted({sample.tokens for sample in self.samples})

    def of(self, contestant: str, operation: str, tokens: int) -> list[Sample]:
        """The samples of one operation by one contestant, a round each."""
        wanted = (contestant, operation, tokens)
        return [sample for sample in self.samples if (sample.contestant, sample.operation, sample.tokens) == wanted]

    def seconds(self, contestant: str, operation: str, tokens: int) -> Spread | None:
        """How long that took; None: it was not done."""
        return _spread(sample.seconds for sample in self.of(contestant, operation, tokens))

    def ratio(self, contestant: str, to: str, operation: str, tokens: int) -> Spread | None:
        """How much longer one took than the other in the same round."""
        others = {sample.round: sample.seconds for sample in self.of(to, operation, tokens)}
        return _spread(
            sample.seconds / others[sample.round]
            for sample in self.of(contestant, operation, tokens)
            if sample.round in others
        )

    def part(self, group: str, name: str) -> Spread | None:
        """The measurements of a part."""
        return _spread(part.value for part in self.parts if (part.group, part.name) == (group, name))

    def write(self, path: Path) -> None:
        """Keep them as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Results:
        """Those that were kept."""
        kept = json.loads(path.read_text())
        samples = [Sample(**{**sample, "traffic": Traffic(**sample["traffic"])}) for sample in kept["samples"]]
        return cls(kept["machine"], samples, [Part(**part) for part in kept["parts"]])


def _spread(values: Iterable[float]) -> Spread | None:
    found = tuple(values)
    return Spread(found) if found else None
