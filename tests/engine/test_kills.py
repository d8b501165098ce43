"""Whatever is killed, and whenever: no token is lost, and none of anybody else's is touched.

The figures of the long form are in docs/reliability.md.
"""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pulumi_avn_token.emulator import Emulator, Fault
from tests.account import Observer
from tests.engine.accounting import find_undelivered, follow
from tests.engine.project import Project
from tests.form import IS_LONG

KILLS = 200 if IS_LONG else 6
LONGEST_UP_SECONDS = 3.0
LATENCY_SECONDS = 0.3
"""How long an answer to a write takes, so that many a kill falls between the change and its answer."""
RIVAL_PAUSE_SECONDS = 0.2
DESCRIPTIONS = ("CI", "Ingest")

WRITES = ("POST", "PUT", "DELETE")

VICTIMS: dict[str, tuple[str, int]] = {
    "everything": ("", signal.SIGKILL),
    "the engine": ("pulumi up", signal.SIGKILL),
    "the provider's host": ("-m pulumi.dynamic", signal.SIGKILL),
    "the language host": ("pulumi-language-python", signal.SIGKILL),
    "nothing, but Ctrl-C": ("pulumi up", signal.SIGINT),
}


class Rival:
    """Somebody who makes tokens of the same descriptions all the while."""

    def __init__(self, emulator: Emulator) -> None:
        self._observer = Observer(emulator)
        self._stopped = threading.Event()
        self.tokens: set[str] = set()

    def compete(self) -> None:
        """Make tokens until it is told to stop."""
        while not self._stopped.wait(RIVAL_PAUSE_SECONDS):
            self.tokens |= {self._observer.make(name)["token_prefix"] for name in DESCRIPTIONS}

    @contextmanager
    def competing(self) -> Iterator[None]:
        """Compete for a while."""
        self._stopped.clear()
        thread = threading.Thread(target=self.compete)
        thread.start()
        yield
        self._stopped.set()
        thread.join()

    def leave(self) -> None:
        """Revoke what is theirs: the account is not to grow without end."""
        for prefix in self.tokens:
            self._observer.revoke(prefix)
        self.tokens.clear()


class Figures(Counter[str]):
    """What became of all that was made."""

    def __str__(self) -> str:
        return "".join(f"\n{self[name]:6} {name}" for name in sorted(self))


def declare(project: Project, chance: random.Random, round_: int) -> None:
    """Change the program: tokens are made, replaced, rotated, described anew, and removed."""
    lines = []
    for name in chance.sample(["ci", "nb"], chance.randint(1, 2)):
        release = chance.choice([round_, round_ - 1])
        lines.append(f'avn.AccessToken("{name}", description="CI", rotation_triggers={{"release": {release}}})')
    if chance.random() < 0.8:
        leak = chance.choice([0, 0, 0, round_])
        lines.append(
            'avn.RotatingAccessToken("ingest", description="Ingest", max_age_seconds=86400,'
            " early_rotation_window_seconds=7200, overlap_seconds=3600,"
            f' rotation_triggers={{"release": {round_}}}, revocation_triggers={{"leak": {leak}}})'
        )
    project.program("\n".join(lines))


def moment(chance: random.Random, emulator: Emulator) -> Callable[[], bool]:
    """Some time in the whole `up`, or a little after so many writes were answered: most of the time is the engine's."""
    known, more = len(writes(emulator)), chance.choice([0, 0, 1, 2, 3, 4])
    left = chance.uniform(0, LATENCY_SECONDS if more else LONGEST_UP_SECONDS)
    since: list[float] = []

    def has_come() -> bool:
        if not since and len(writes(emulator)) >= known + more:
            since.append(time.monotonic())
        return bool(since) and time.monotonic() > since[0] + left

    return has_come


def writes(emulator: Emulator) -> list[tuple[str, int | None]]:
    """The provider's writes, and how they were answered."""
    return [
        (request.method, request.status)
        for request in emulator.requests
        if request.method != "GET" and (request.user_agent or "").startswith("pulumi-avn-token/")
    ]


def test_no_kill_loses_a_token_or_touches_anothers(project: Project, emulator: Emulator) -> None:
    """Each token is recorded with its secret, revoked, or named by the audit with the command that removes it."""
    observer, rival, figures = Observer(emulator), Rival(emulator), Figures()
    chance = random.Random(KILLS)  # noqa: S311 - no secret comes of it
    recorded: set[str] = set()
    for round_ in range(1, KILLS + 1):
        declare(project, chance, round_)
        victim = chance.choice(list(VICTIMS))
        with rival.competing():
            emulator.faults = [Fault(kind="latency", seconds=LATENCY_SECONDS, method=name) for name in WRITES]
            struck = project.interrupt_up(moment(chance, emulator), *VICTIMS[victim])
            figures[f"ups interrupted, {victim}" if struck else "ups that were over before"] += 1
            emulator.faults = []
            recorded |= project.held()
            project.up(*chance.choice([[], ["--refresh"]]))
        recorded |= (kept := project.held())
        own = observer.valid().keys() - rival.tokens
        reported = find_undelivered(project)
        figures["tokens reported"] += len(own - kept)
        figures["tokens unaccounted for"] += len(own - kept - reported.keys())
        figures["others' tokens in the state"] += len(kept & rival.tokens)
        figures["tokens in the state that are not valid"] += len(kept - own)
        follow(project, {reported[prefix] for prefix in own - kept & reported.keys()})
        assert observer.valid().keys() - rival.tokens == kept
        figures["tokens of the rival"] += len(rival.tokens)
        figures["tokens of the rival revoked"] += len(rival.tokens - observer.valid().keys())
        rival.leave()
        figures["tokens made"] += sum(asked == ("POST", 200) for asked in writes(emulator))
        figures["tokens revoked by the provider"] += sum(asked == ("DELETE", 200) for asked in writes(emulator))
        emulator.clear_requests()
    figures["tokens recorded"] = len(recorded)
    figures["tokens recorded and still there"] = len(kept)
    print(figures)  # noqa: T201 - for docs/reliability.md
    for zero in (
        "tokens unaccounted for",
        "others' tokens in the state",
        "tokens in the state that are not valid",
        "tokens of the rival revoked",
    ):
        assert figures[zero] == 0, str(figures)
    made, revoked = figures["tokens made"], figures["tokens revoked by the provider"]
    assert made == revoked + figures["tokens reported"] + len(kept), str(figures)
    for resource in project.state(plain=True):
        assert observer.works(project.outputs(resource)["full_token"])
