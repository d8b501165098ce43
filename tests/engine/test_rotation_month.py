"""A month in the emulator's time: a daily `up`, two series, and a fleet that is behind with the secrets all the time.

`pytest -s` shows the figures.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from pulumi_avn_token.emulator import Emulator
from tests.account import Observer
from tests.engine.project import DAY, Project

UPS = 31
MINUTE = 1 / (24 * 60)
OVERLAP = 2
"""In days, as all that follows."""
RELEASES = (8, 19)
"""When `rotation_triggers` change: the overlap of the last rotation is just over, and the window is not open yet."""
CONSUMERS = 12
"""Of each series."""
PROMPT_EVERY = 3
"""So many rotations of the patient series, and the whole fleet has the secret at once: the old token is idle."""

PROGRAM = f"""
DAY = {DAY}
SERIES = {{
    "patient": {{"retire_previous": "when_idle"}},
    "strict": {{"retire_previous": "after_overlap", "rotation_triggers": {{"release": RELEASE}}}},
}}
SHOWN = ["full_token", "rotation_reason", "token_prefix", "previous_token_prefix"]
made = {{
    name: avn.RotatingAccessToken(
        name,
        description=name,
        max_age_seconds=7 * DAY,
        early_rotation_window_seconds=4 * DAY,
        overlap_seconds={OVERLAP} * DAY,
        **arguments,
    )
    for name, arguments in SERIES.items()
}}
pulumi.export("series", {{name: {{key: getattr(it, key) for key in SHOWN}} for name, it in made.items()}})
"""


@dataclass
class Consumer:
    """Who uses a series' token, and gets the next one some time after it was made."""

    name: str
    series: str
    token: str = field(default="", repr=False)
    fetched: str = field(default="", repr=False)
    fetches_at: float = 0.0

    def token_at(self, day: float) -> str:
        """The token that it uses then."""
        if day >= self.fetches_at:
            self.token = self.fetched
        return self.token


@dataclass
class Month:
    """What happens, and the figures of it."""

    project: Project
    emulator: Emulator
    session: requests.Session
    dice: random.Random
    fleet: list[Consumer]
    shown: dict[str, Any] = field(default_factory=dict, repr=False)
    """The stack's output, as it was after the latest `up`."""
    rotations: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By series and reason."""
    told: dict[str, list[str]] = field(default_factory=dict)
    """What the runs said about each series."""
    requests: int = 0
    late: int = 0
    """Requests with a token that was not the current one any more."""
    answers: Counter[int | None] = field(default_factory=Counter)
    """The fleet's requests in the emulator's journal, by status."""

    def up(self, day: int) -> None:
        """Run `up`, and let each consumer have what is new after a lag of its own: of up to the whole overlap."""
        self.project.program(f"RELEASE = {sum(day >= release for release in RELEASES)}\n{PROGRAM}")
        ran = self.project.at(_start(day)).up()
        before, self.shown = self.shown, self.project.output("series")
        for series, shown in self.shown.items():
            self.told.setdefault(series, []).extend(ran.messages(series))
            if before and shown["full_token"] == before[series]["full_token"]:
                continue
            if before:
                self.rotations[series, shown["rotation_reason"]] += 1
            self._hand_over(day, series, shown["full_token"], is_first=not before)

    def use(self, day: int) -> None:
        """Let each consumer use its token: just after the `up`, three times at random, and just before the next one."""
        for moment, consumer in sorted(
            ((moment, consumer) for consumer in self.fleet for moment in self._moments(day)),
            key=lambda use: (use[0], use[1].name),
        ):
            self.project.at(moment)
            token = consumer.token_at(moment)
            headers = {"Authorization": f"aivenv1 {token}", "User-Agent": f"fleet/{consumer.name}"}
            self.session.get(f"{self.emulator.url}/v1/me", headers=headers, timeout=10)
            self.requests += 1
            self.late += token != self.shown[consumer.series]["full_token"]
        self.answers.update(
            request.status for request in self.emulator.requests if (request.user_agent or "").startswith("fleet/")
        )
        self.emulator.clear_requests()

    def count(self, series: str, said: str) -> int:
        """How many messages about a series say something."""
        return sum(said in message for message in self.told[series])

    def summary(self) -> str:
        """The figures in a line."""
        reasons = Counter(reason for _, reason in self.rotations.elements())
        return (
            f"{UPS} daily `up`s; {len(self.fleet)} consumers that lag by up to the {OVERLAP} days of the overlap;"
            f" {self.requests} requests, {self.late} of them with the token before the current one;"
            f" {reasons.total()} rotations ({', '.join(f'{n} {reason}' for reason, n in sorted(reasons.items()))});"
            f" {self.requests - self.answers[200]} refused"
        )

    def _moments(self, day: int) -> list[float]:
        start, end = _start(day), _start(day + 1) - MINUTE / 60
        return [start, *(self.dice.uniform(start, end) for _ in range(3)), end]

    def _hand_over(self, day: int, series: str, token: str, *, is_first: bool) -> None:
        consumers = [consumer for consumer in self.fleet if consumer.series == series]
        rotation = sum(count for (name, _), count in self.rotations.items() if name == series)
        if is_first or (series == "patient" and rotation % PROMPT_EVERY == 0):
            lags = [0.0] * len(consumers)
        else:
            lags = [OVERLAP, *(self.dice.uniform(0, OVERLAP) for _ in consumers[1:])]
        for consumer, lag in zip(consumers, lags, strict=True):
            assert consumer.token_at(_start(day)) == consumer.fetched, "it is two rotations behind"
            consumer.fetched, consumer.fetches_at = token, _start(day) + lag


@pytest.mark.timeout(900)
def test_a_month_of_rotations_refuses_nobody(project: Project, observer: Observer, emulator: Emulator) -> None:
    """Whoever fetches the secret within the overlap is served, and no series ever has more than two valid tokens."""
    fleet = [Consumer(f"{series}-{n}", series) for series in ("patient", "strict") for n in range(CONSUMERS)]
    with requests.Session() as session:
        session.trust_env = False
        month = Month(project, emulator, session, random.Random(4), fleet)  # noqa: S311 - the same at every run
        for day in range(UPS):
            month.up(day)
            _assert_at_most_two_valid(observer, month)
            month.use(day)
            _assert_at_most_two_valid(observer, month)
    sys.stdout.write(f"\n{month.summary()}\n")
    assert month.requests == UPS * len(fleet) * 5
    assert month.answers == {200: month.requests}
    assert month.late > month.requests / 10
    assert month.rotations == {("patient", "window"): 10, ("strict", "window"): 8, ("strict", "trigger"): 2}
    _assert_each_was_retired_as_declared(month)


def _assert_at_most_two_valid(observer: Observer, month: Month) -> None:
    """Those that the state shows and no others: the current one, and the previous one unless it has ended by itself."""
    valid = observer.valid()
    for series, shown in month.shown.items():
        prefixes = {prefix for prefix, token in valid.items() if token["description"] == series}
        assert shown["token_prefix"] in prefixes
        assert prefixes <= {shown["token_prefix"], shown["previous_token_prefix"]}
    assert {token["description"] for token in valid.values()} == set(month.shown)


def _assert_each_was_retired_as_declared(month: Month) -> None:
    """The strict series' by the clock alone; the patient one's when idle, else with a warning who is behind."""
    assert month.count("strict", "is due to be revoked: its time is over") == 10
    assert month.count("patient", "; it was not used since it was replaced") == 3
    assert month.count("patient", " from 127.0.0.1 by fleet/patient-") == 12
    assert month.count("patient", "but it stays valid until it expires at ") == 6
    assert month.count("patient", "is due to be revoked: no more than two may be valid (its overlap ended") == 6
    assert month.count("strict", "is due to be revoked: ") + month.count("patient", "is due to be revoked: ") == 19


def _start(day: int) -> float:
    """When a day's `up` runs: each a minute later than the day before."""
    return day * (1 + MINUTE)
