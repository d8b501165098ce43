"""Every call times every fault, through the providers: nothing is lost, nothing of anybody else's is touched."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulumi_avn_token import client
from pulumi_avn_token.emulator import Emulator, Fault
from pulumi_avn_token.errors import AvnTokenError
from pulumi_avn_token.lifecycle import SERIES_TYPE, TOKEN_TYPE
from tests.account import Observer
from tests.faults import CALLS, FAULTS, RIVAL, SILENCE_SECONDS, Call
from tests.form import IS_LONG
from tests.small_engine import SmallEngine

DAY = 24 * 60 * 60

TOKEN: dict[str, Any] = {"description": "CI", "max_age_seconds": 30 * DAY}
SERIES: dict[str, Any] = {
    **TOKEN,
    "early_rotation_window_seconds": 10 * DAY,
    "overlap_seconds": 5 * DAY,
    "retire_previous": "after_overlap",
    "revocation_triggers": {"leak": 1},
}


@dataclass(frozen=True)
class Operation:
    """What is done to a stack that was brought there by some `up`s, and the calls that it makes."""

    kind: str
    before: list[dict[str, Any]]
    do: Callable[[SmallEngine], None]
    calls: tuple[Call, ...]
    after: dict[str, Any] = field(default_factory=dict)
    """What is declared in the end; empty: nothing."""


def up(arguments: dict[str, Any]) -> Callable[[SmallEngine], None]:
    """An `up` of these arguments."""
    return lambda engine: engine.up(**arguments)


OTHER = {"description": "CI 2"}
SHORT = {"max_age_seconds": 20 * DAY}
LEAK = {"revocation_triggers": {"leak": 2}}
TWO = SERIES | SHORT
THREE = SERIES | {"max_age_seconds": 25 * DAY}
AT_ONCE = {"overlap_seconds": 0}
OPERATIONS = {
    "token: creation": Operation(TOKEN_TYPE, [], up(TOKEN), ("me", "create", "update"), TOKEN),
    "token: description": Operation(TOKEN_TYPE, [TOKEN], up(TOKEN | OTHER), ("update",), TOKEN | OTHER),
    "token: replacement": Operation(TOKEN_TYPE, [TOKEN], up(TOKEN | SHORT), CALLS, TOKEN | SHORT),
    "token: refresh": Operation(TOKEN_TYPE, [TOKEN], SmallEngine.refresh, ("list",), TOKEN),
    "token: destruction": Operation(TOKEN_TYPE, [TOKEN], SmallEngine.destroy, ("list", "revoke")),
    "series: creation": Operation(SERIES_TYPE, [], up(SERIES), ("me", "create", "update"), SERIES),
    "series: description": Operation(
        SERIES_TYPE, [SERIES, TWO], up(TWO | OTHER), ("me", "list", "update"), TWO | OTHER
    ),
    "series: rotation": Operation(SERIES_TYPE, [SERIES], up(TWO), ("me", "list", "create", "update"), TWO),
    "series: displacement": Operation(SERIES_TYPE, [SERIES, TWO], up(THREE), CALLS, THREE),
    "series: emergency": Operation(SERIES_TYPE, [SERIES, TWO], up(TWO | LEAK), CALLS, TWO | LEAK),
    "series: retirement": Operation(
        SERIES_TYPE, [SERIES | AT_ONCE, TWO | AT_ONCE], up(TWO | AT_ONCE), ("me", "list", "revoke"), TWO | AT_ONCE
    ),
    "series: refresh": Operation(SERIES_TYPE, [SERIES, TWO], SmallEngine.refresh, ("list",), TWO),
    "series: destruction": Operation(SERIES_TYPE, [SERIES, TWO], SmallEngine.destroy, ("me", "list", "revoke")),
}
CELLS = [(name, call) for name, operation in OPERATIONS.items() for call in operation.calls]


@contextmanager
def _no_collection() -> Iterator[None]:
    """Have no garbage collected: at the depth of a deeply nested answer, finalizers would have no room."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Story:
    """A stack that an operation is done to, and a rival who has tokens of the same descriptions."""

    def __init__(self, operation: Operation, emulator: Emulator) -> None:
        self.operation = operation
        self.engine = SmallEngine(emulator, operation.kind)
        self.observer = Observer(emulator)
        self.rivals: set[str] = set()
        for arguments in operation.before:
            self.engine.up(**arguments)
            assert self.observer.works(self.engine.outs["full_token"], by="consumer")  # and so its mark is gone
        self.compete()

    def compete(self) -> None:
        """Have the rival make tokens like those of the stack."""
        self.rivals |= {self.observer.make(name)["token_prefix"] for name in ("CI", "CI 2")}

    def fail(self, *faults: Fault) -> None:
        """Do the operation while something is wrong: it succeeds, or ends in an error of the package."""
        self.engine.emulator.faults = [
            replace(fault, fields={"token_prefix": min(self.rivals)}) if RIVAL in fault.fields.values() else fault
            for fault in faults
        ]
        with suppress(AvnTokenError), _no_collection():
            self.operation.do(self.engine)
        self.engine.emulator.faults = []
        self.compete()
        self.check()

    def mend(self) -> None:
        """Run what a person runs then: the next `up` with a refresh brings all to where it should be."""
        self.engine.refresh()
        self.check()
        if self.operation.after:
            self.engine.up(**self.operation.after)
            outs = self.engine.outs
            assert self.observer.valid()[outs["token_prefix"]]["description"] == self.operation.after["description"]
            assert self.observer.works(outs["full_token"])
            self.check()
        self.engine.destroy()
        self.check()

    def check(self) -> None:
        """Every token that was made is in the state with its secret, revoked, or reported; the rival keeps theirs."""
        valid, held = set(self.observer.valid()), self.held()
        assert self.rivals <= valid
        assert not self.rivals & held.keys()
        assert valid - self.rivals <= held.keys() | self.engine.undelivered()
        for prefix in held.keys() & valid:
            assert held[prefix].startswith(prefix)

    def held(self) -> dict[str, str]:
        """The tokens of the state, with their secrets."""
        outs = [resource["outputs"] for resource in self.engine.resources]
        names = [("token_prefix", "full_token"), ("previous_token_prefix", "previous_full_token")]
        return {found[prefix]: found[secret] for found in outs for prefix, secret in names if found.get(prefix)}


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_makes_its_calls(emulator: Emulator, name: str) -> None:
    """What is struck below happens, and nothing else that could be struck does."""
    story = Story(OPERATIONS[name], emulator)
    emulator.clear_requests()
    OPERATIONS[name].do(story.engine)
    methods = {("GET", "/v1/me"): "me", ("GET", "/v1/access_token"): "list", ("POST", "/v1/access_token"): "create"}
    calls = {"PUT": "update", "DELETE": "revoke"}
    made = {calls.get(asked.method) or methods[asked.method, asked.path] for asked in emulator.requests}
    assert made == set(OPERATIONS[name].calls)


@pytest.mark.parametrize(("name", "call"), CELLS)
def test_no_fault_loses_a_token_or_touches_anothers(monkeypatch: pytest.MonkeyPatch, name: str, call: Call) -> None:
    """Each fault once, in the long form also as often as it is met: the next `up` makes good what the first did not."""
    combinations = 0
    for fault, fields in FAULTS.items():
        if fault == "list behind" and call != "list":
            continue
        for times in (1, None) if IS_LONG and fault != "silent" else (1,):
            combinations += 1
            monkeypatch.setattr(client, "READ_TIMEOUT_SECONDS", SILENCE_SECONDS / 4 if fault == "silent" else 60)
            with Emulator() as emulator:
                try:
                    story = Story(OPERATIONS[name], emulator)
                    story.fail(Fault(call=call, times=times, **fields))
                    monkeypatch.setattr(client, "READ_TIMEOUT_SECONDS", 60)
                    story.mend()
                except Exception as error:
                    raise AssertionError(f"{fault}, {times or 'any number of'} times") from error
    print(f"{combinations} faults of {call} during {name}")  # noqa: T201 - for docs/reliability.md


@pytest.mark.parametrize("kind", [TOKEN_TYPE, SERIES_TYPE])
def test_prefix_that_does_not_begin_the_secret_is_believed_where_the_account_proves_it(
    emulator: Emulator, kind: str
) -> None:
    """Prefix and secret are Aiven's to choose; that a token is ours, its mark tells."""
    engine, observer = SmallEngine(emulator, kind), Observer(emulator)
    emulator.faults = [Fault(call="create", kind="fields", fields={"full_token": "AVN" + "U_of/another/kind"})]
    engine.up(**(TOKEN if kind == TOKEN_TYPE else SERIES))
    assert list(observer.valid()) == [engine.outs["token_prefix"]]
    engine.destroy()
    assert not observer.valid()


@pytest.mark.parametrize("hours", [-1, 1])
@pytest.mark.parametrize("name", OPERATIONS)
def test_no_clock_that_is_wrong_loses_a_token(emulator: Emulator, name: str, hours: int) -> None:
    """A service whose clock is an hour off the machine's changes nothing of what becomes of tokens."""
    emulator.clock_offset = hours * 3600
    story = Story(OPERATIONS[name], emulator)
    story.fail()
    story.mend()


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_credential_of_another_account_loses_a_token(emulator: Emulator, name: str) -> None:
    """Whoever runs an operation with somebody else's credential gets an error, or a token in that account alone."""
    story = Story(OPERATIONS[name], emulator)
    before, state = set(story.observer.valid()), story.engine.resources
    if not state:
        return
    story.engine.token = emulator.issue_token(user="other@example.org")
    with pytest.raises(AvnTokenError, match=r"was made as demo@example\.org, but the credential"):
        OPERATIONS[name].do(story.engine)
    assert set(story.observer.valid()) == before
    assert story.engine.resources == state


STRUCK = st.builds(
    lambda fault, call, after, times: Fault(
        **{**FAULTS[fault], "call": "list" if fault == "list behind" else call, "after": after, "times": times}
    ),
    st.sampled_from([fault for fault in FAULTS if fault not in ("silent", "flood", "flood after")]),
    st.sampled_from(CALLS),
    st.integers(0, 2),
    st.integers(1, 3),
)


@given(st.sampled_from(list(OPERATIONS)), st.lists(STRUCK, min_size=2, max_size=4))
def test_no_faults_together_lose_a_token_or_touch_anothers(name: str, faults: list[Fault]) -> None:
    """Several faults, one on top of another, at any of the calls."""
    with Emulator() as emulator:
        story = Story(OPERATIONS[name], emulator)
        story.fail(*faults)
        story.mend()
