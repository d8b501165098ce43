"""What is asked of the account in each step of a series, in which order, and what an error leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, cast

import pytest

from pulumi_avn_token import rotation
from pulumi_avn_token.account import Account
from pulumi_avn_token.credentials import Credential
from pulumi_avn_token.errors import (
    AnswerLostError,
    AvnTokenError,
    ForbiddenError,
    InvalidRequestError,
    ServerError,
    TokenInUseError,
    TokenNotFoundError,
    UnexpectedAnswerError,
    WrongAccountError,
)
from pulumi_avn_token.lifecycle import GONE
from pulumi_avn_token.marks import marked, user_agent
from pulumi_avn_token.model import IssuedToken, TokenInfo, TokenSpec, User, parse_time, written
from pulumi_avn_token.rotation import ENDED, PREVIOUS_OUTPUTS, STRAYS
from pulumi_avn_token.series import Series

if TYPE_CHECKING:
    from pulumi_avn_token.client import Client

MARK = "series-0123456789abcdef"
ME = User(user_id="u1", user="me@example.org")
SOMEBODY = User(user_id="u2", user="somebody@example.org")
CREDENTIAL = "UsedByPulumi" + "aB3/" * 20
DAY = 24 * 60 * 60
START = datetime(2026, 11, 1, 12, 0, tzinfo=timezone.utc)
BROKEN = ServerError("it failed (500)")

NEWS: dict[str, Any] = {
    "description": "Ingest",
    "max_age_seconds": 30 * DAY,
    "early_rotation_window_seconds": 14 * DAY,
    "overlap_seconds": 7 * DAY,
    "retire_previous": "when_idle",
    "extend_when_used": False,
    "rotation_triggers": {"release": "1"},
    "revocation_triggers": {"leak": "1"},
}
RELEASED = {"rotation_triggers": {"release": "2"}}
LEAKED = {"revocation_triggers": {"leak": "2"}}
OTHER = {"description": "Other"}


class FakeClient:
    """Stands for the client: an account in memory, and what it was asked, each as `call prefix`.

    The tokens that it makes are named `t1`, `t2` and so on. `errors` are raised instead of an answer, by the call;
    an `AnswerLostError` after the change was made.
    """

    clock_skew = timedelta()

    def __init__(self) -> None:
        self.now = START
        self.tokens: dict[str, TokenInfo] = {}
        self.calls: list[str] = []
        self.errors: dict[str, AvnTokenError] = {}
        self.most_valid = 0
        self._made = 0

    def me(self) -> User:
        """Give the owner."""
        self._called("me")
        return ME

    def list_tokens(self) -> list[TokenInfo]:
        """Give all tokens."""
        self._called("list")
        return list(self.tokens.values())

    def create(self, spec: TokenSpec) -> IssuedToken:
        """Make a token."""
        prefix = f"t{self._made + 1}"

        def make() -> None:
            self._made += 1
            self.tokens[prefix] = TokenInfo(
                token_prefix=prefix,
                description=spec.description,
                max_age_seconds=spec.max_age_seconds,
                extend_when_used=spec.extend_when_used,
                create_time=written(self.now),
                expiry_time=written(self.now + timedelta(seconds=spec.max_age_seconds or 0)),
            )
            self.most_valid = max(self.most_valid, len(self.tokens))

        self._called(f"create {prefix}", make)
        return IssuedToken(info=self.tokens[prefix], full_token=f"{prefix}-secret")

    def works(self, full_token: str) -> bool:
        """Tell whether a token is valid, by its secret."""
        self._called("works")
        return full_token.removesuffix("-secret") in self.tokens

    def introduce(self, issued: IssuedToken, description: str, mark: str) -> TokenInfo:
        """Set a new token's description as itself."""
        prefix = issued.info.token_prefix
        used = {"last_user_agent": user_agent("pulumi-avn-token/1", mark), "last_used_time": written(self.now)}
        self._called(f"introduce {prefix}", lambda: self._change(prefix, description=description, **used))
        return replace(self.tokens[prefix], currently_active=True)

    def update(self, token_prefix: str, description: str) -> TokenInfo:
        """Set a description."""
        self._called(f"update {token_prefix}", lambda: self._change(token_prefix, description=description))
        return self.tokens[token_prefix]

    def revoke(self, token_prefix: str) -> bool:
        """Revoke a token."""

        def remove() -> None:
            if self.tokens.pop(token_prefix, None) is None:
                raise TokenNotFoundError("revoking failed (404)")

        self._called(f"revoke {token_prefix}", remove)
        return True

    def _change(self, token_prefix: str, **changes: Any) -> None:
        if token_prefix not in self.tokens:
            raise TokenNotFoundError("updating failed (404)")
        self.tokens[token_prefix] = replace(self.tokens[token_prefix], **changes)

    def _called(self, call: str, change: Callable[[], None] = lambda: None) -> None:
        self.calls.append(call)
        error = self.errors.get(call)
        if error is None or isinstance(error, AnswerLostError):
            change()
        if error is not None:
            raise error


class Stack:
    """A series as the engine goes on with it: its state is the last one that was returned without an error."""

    def __init__(self) -> None:
        self.client = FakeClient()
        self.credential = CREDENTIAL
        self.made_as = ME
        self.warnings: list[str] = []
        self.outs: dict[str, Any] = {}

    def series(self) -> Series:
        """Give the series in an operation of its own."""
        account = Account(
            cast("Client", self.client), Credential(token=self.credential, source="a pocket"), lambda: self.client.now
        )
        return Series(MARK, account, self.made_as, now=lambda: self.client.now, warn=self.warnings.append)

    def up(self, **changes: Any) -> list[str]:
        """Plan and go on, with these inputs beside the first ones, and give what was asked on the way."""
        news, series = {**NEWS, **changes}, self.series()
        self.client.calls.clear()
        if not self.outs:
            self.outs = series.begin(news)
        else:
            seen = series.observe(self.outs)
            self.outs = series.advance(rotation.decide(seen, news, self.client.now), seen, news)
        return list(self.client.calls)

    def wait(self, days: float) -> None:
        """Let time pass; what expires is gone."""
        self.client.now += timedelta(days=days)
        for prefix, token in list(self.client.tokens.items()):
            if token.expiry_time and parse_time(token.expiry_time) <= self.client.now:
                del self.client.tokens[prefix]

    @property
    def held(self) -> dict[str, str | None]:
        """The secrets that the state holds, by prefix."""
        return {
            self.outs[f"{of}token_prefix"]: self.outs[f"{of}full_token"] for of in ("", "previous_") if self._has(of)
        }

    def _has(self, of: str) -> bool:
        return self.outs.get(f"{of}token_prefix") is not None and not (of == "" and GONE in self.outs)

    def check_whole(self, *prefixes: str) -> None:
        """Make sure that the account holds these tokens under their description, and the state their secrets."""
        assert self.held == {prefix: f"{prefix}-secret" for prefix in prefixes}
        assert {prefix: token.description for prefix, token in self.client.tokens.items()} == dict.fromkeys(
            prefixes, self.outs["description"]
        )
        assert self.client.most_valid <= 2


@pytest.fixture
def stack() -> Stack:
    """Give a series that has not begun."""
    return Stack()


@pytest.fixture
def one(stack: Stack) -> Stack:
    """Give a series with a current token, t1."""
    stack.up()
    return stack


@pytest.fixture
def two(one: Stack) -> Stack:
    """Give a series with a current token, t2, and a previous one, t1, a day after they were made."""
    one.up(**RELEASED)
    one.up(**RELEASED)
    one.wait(1)
    return one


def use(stack: Stack, prefix: str) -> None:
    """Let a consumer use a token."""
    token = stack.client.tokens[prefix]
    stack.client.tokens[prefix] = replace(
        token, last_used_time=written(stack.client.now), last_ip="192.0.2.7", last_user_agent="ingest/1.4"
    )


def test_series_begins_with_two_requests(stack: Stack) -> None:
    """The first token is made under the mark and then named by itself; its state tells all, and no use by anybody."""
    assert stack.up() == ["create t1", "introduce t1"]
    stack.check_whole("t1")
    assert stack.outs == {
        **{name: value for name, value in NEWS.items() if name != "extend_when_used"},
        "extend_when_used": False,
        "token_prefix": "t1",
        "full_token": "t1-secret",
        "ip_allowlist": None,
        "scopes": None,
        "credentials": None,
        "create_time": "2026-11-01T12:00:00Z",
        "expiry_time": "2026-12-01T12:00:00Z",
        "last_used_time": None,
        "last_ip": None,
        "last_user_agent": None,
        "rotates_at": "2026-11-17T12:00:00Z",
        "rotation_reason": "created",
        "__declared": {"max_age_seconds": 30 * DAY, "extend_when_used": False},
    }


def test_token_is_made_under_its_mark(stack: Stack) -> None:
    """Until it is named, a token shows that it is the series' own: an `up` that ends here leaves nothing unknown."""
    stack.client.errors = {"introduce t1": BROKEN, "update t1": BROKEN}
    stack.up()
    assert stack.client.tokens["t1"].description == marked("Ingest", MARK)


def test_rotation_keeps_the_current_token_as_the_previous_one(one: Stack) -> None:
    """A rotation asks whose account it is, makes the new token, and touches the old one not at all."""
    one.wait(16)
    assert one.up() == ["list", "me", "create t2", "introduce t2"]
    one.check_whole("t1", "t2")
    assert one.outs["rotation_reason"] == "window"
    assert (one.outs["token_prefix"], one.outs["previous_token_prefix"]) == ("t2", "t1")
    assert one.outs["previous_superseded_time"] == "2026-11-17T12:00:00Z"
    assert one.outs["previous_retires_at"] == "2026-11-24T12:00:00Z"
    assert one.outs["previous_expiry_time"] == "2026-12-01T12:00:00Z"
    assert one.outs["rotates_at"] == "2026-12-03T12:00:00Z"


def gone(*prefixes: str) -> Callable[[Stack], None]:
    """Give what revokes tokens by hand."""

    def prepare(stack: Stack) -> None:
        for prefix in prefixes:
            del stack.client.tokens[prefix]

    return prepare


def left_behind(stack: Stack) -> None:
    """Leave a token of the series that no state holds."""
    stack.client.tokens["x1"] = TokenInfo(token_prefix="x1", description=marked("Ingest", MARK))


def overlap_over(stack: Stack) -> None:
    """Let the overlap end."""
    stack.wait(6)


def overlap_over_in_use(stack: Stack) -> None:
    """Let the overlap end while the previous token is in use."""
    use(stack, "t1")
    stack.wait(6)


NEW = ["create t3", "introduce t3"]

PLANS: dict[str, tuple[Callable[[Stack], None], dict[str, Any], list[str], tuple[str, ...]]] = {
    "description of both": (gone(), OTHER, ["update t1", "update t2"], ("t2", "t1")),
    "retirement": (overlap_over, {}, ["revoke t1"], ("t2",)),
    "retirement regardless": (overlap_over_in_use, {"retire_previous": "after_overlap"}, ["revoke t1"], ("t2",)),
    "lingering": (overlap_over_in_use, {}, [], ("t2", "t1")),
    "displacement": (gone(), {"rotation_triggers": {"release": "3"}}, ["revoke t1", *NEW], ("t3", "t2")),
    "displacement, and another description": (
        gone(),
        {"scopes": ["user:read"], **OTHER},
        ["revoke t1", "update t2", *NEW],
        ("t3", "t2"),
    ),
    "emergency": (gone(), LEAKED, ["revoke t1", "create t3", "revoke t2", "introduce t3"], ("t3",)),
    "emergency, and another description": (
        gone(),
        {**LEAKED, **OTHER},
        ["revoke t1", "create t3", "revoke t2", "introduce t3"],
        ("t3",),
    ),
    "emergency of a current token that is gone": (gone("t2"), LEAKED, ["revoke t1", *NEW], ("t3",)),
    "current gone": (gone("t2"), {}, NEW, ("t3", "t1")),
    "current gone, and another description": (gone("t2"), OTHER, ["update t1", *NEW], ("t3", "t1")),
    "previous gone": (gone("t1"), {}, [], ("t2",)),
    "previous gone, and another description": (gone("t1"), OTHER, ["update t2"], ("t2",)),
    "both gone": (gone("t1", "t2"), {}, NEW, ("t3",)),
    "previous gone, and a rotation": (gone("t1"), {"scopes": ["user:read"]}, NEW, ("t3", "t2")),
    "stray": (left_behind, {}, ["revoke x1"], ("t2", "t1")),
    "stray, and a displacement": (
        left_behind,
        {"scopes": ["user:read"]},
        ["revoke x1", "revoke t1", *NEW],
        ("t3", "t2"),
    ),
    "stray, and an emergency": (
        left_behind,
        LEAKED,
        ["revoke x1", "revoke t1", "create t3", "revoke t2", "introduce t3"],
        ("t3",),
    ),
}


@pytest.mark.parametrize("case", PLANS)
def test_plan_is_carried_out_in_its_order(two: Stack, case: str) -> None:
    """Each plan has its one order: what may fail comes first, and never are three tokens valid."""
    prepare, changes, asked, left = PLANS[case]
    prepare(two)
    asked_themselves = ["works" for prefix in ("t1", "t2") if prefix not in two.client.tokens]
    assert two.up(**{**RELEASED, **changes}) == ["list", "me", *asked_themselves, *asked]
    two.check_whole(*left)
    assert not {GONE, ENDED, STRAYS} & set(two.outs)
    assert set(PREVIOUS_OUTPUTS) <= set(two.outs) or not set(PREVIOUS_OUTPUTS) & set(two.outs)


@pytest.mark.parametrize("case", PLANS)
def test_same_declaration_changes_nothing_the_second_time(two: Stack, case: str) -> None:
    """After any plan was carried out, the next one for the same declaration is empty."""
    prepare, changes, _, _ = PLANS[case]
    prepare(two)
    news = {**RELEASED, **changes}
    two.up(**news)
    seen = two.series().observe(two.outs)
    assert seen == two.outs
    assert not rotation.decide(seen, {**NEWS, **news}, two.client.now).changes


STEPS = [
    (case, call)
    for case, (_, _, asked, _) in PLANS.items()
    for call in ["me", *asked]
    if not call.startswith("introduce")
]


@pytest.mark.parametrize(("case", "call"), STEPS)
@pytest.mark.parametrize("error", [BROKEN, AnswerLostError("the answer is lost")], ids=["refused", "lost"])
def test_next_up_finishes_what_an_error_interrupted(two: Stack, case: str, call: str, error: AvnTokenError) -> None:
    """Whichever request fails, done or not: the current secret works or is replaced, and the next `up` converges."""
    prepare, changes, _, left = PLANS[case]
    prepare(two)
    news, before = {**RELEASED, **changes}, dict(two.outs)
    two.client.errors = {call: error}
    if call.startswith(("create", "revoke")) and isinstance(error, AnswerLostError):
        two.up(**news)  # what was made is found, revoked, and made anew; what was revoked is found to be gone
    else:
        with pytest.raises(type(error)):
            two.up(**news)
        assert two.outs == before
        # Nothing is there that was not before, and what the plan was to keep is not missing.
        assert set(two.client.tokens) <= {"t1", "t2", "x1"}
        assert "t2" in two.client.tokens or "t2" not in left
        two.client.errors = {}
        two.up(**news)
    two.client.errors = {}
    made = {"t3": two.outs["token_prefix"]}
    two.check_whole(*(made.get(prefix, prefix) for prefix in left))
    seen = two.series().observe(two.outs)
    assert not rotation.decide(seen, {**NEWS, **news}, two.client.now).changes


def test_new_token_is_undone_where_the_leaked_one_cannot_be_revoked(one: Stack) -> None:
    """No state would hold the new one: it is revoked again, and the leaked one stays known and to be revoked."""
    one.client.errors = {"revoke t1": BROKEN}
    with pytest.raises(ServerError) as caught:
        one.up(**LEAKED)
    assert caught.value is BROKEN
    assert one.client.calls == ["list", "me", "create t2", "revoke t1", "list", "revoke t2"]
    one.check_whole("t1")
    one.client.errors = {}
    assert one.up(**LEAKED) == ["list", "me", "create t3", "revoke t1", "introduce t3"]
    one.check_whole("t3")


def test_undoing_may_fail_too(one: Stack) -> None:
    """The first error is the one that is told, and the next `up` finds the token that could not be undone."""
    one.client.errors = {"revoke t1": BROKEN, "revoke t2": ForbiddenError("not from here")}
    with pytest.raises(ServerError):
        one.up(**LEAKED)
    assert set(one.client.tokens) == {"t1", "t2"}
    one.client.errors = {}
    assert one.up(**LEAKED) == ["list", "me", "revoke t2", "create t3", "revoke t1", "introduce t3"]
    one.check_whole("t3")


@pytest.mark.parametrize("begun", [False, True])
def test_description_that_cannot_be_set_is_a_warning(stack: Stack, *, begun: bool) -> None:
    """A token that was made is not lost over its name: the state holds it, and the next `up` names it."""
    if begun:
        stack.up()
    made = "t2" if begun else "t1"
    news = RELEASED if begun else {}
    stack.client.errors = {
        f"introduce {made}": ForbiddenError("no"),
        f"update {made}": InvalidRequestError("not taken"),
    }
    assert stack.up(**news)[-2:] == [f"introduce {made}", f"update {made}"]
    assert stack.warnings == [
        f"token {made} was made, but not taken; the next `pulumi up` sets its description",
    ]
    assert stack.outs["full_token"] == f"{made}-secret"
    assert stack.outs["description"] == marked("Ingest", MARK)
    stack.client.errors = {}
    assert stack.up(**news)[2:] == (["update t1", "update t2"] if begun else ["update t1"])
    stack.check_whole(*(("t2", "t1") if begun else ("t1",)))


def test_token_that_may_not_name_itself_is_named_by_the_credential(stack: Stack) -> None:
    """Scopes and addresses may not allow a token's own request: nothing is told, and nothing is missing."""
    stack.client.errors = {"introduce t1": ForbiddenError("not from here")}
    assert stack.up() == ["create t1", "introduce t1", "update t1"]
    assert not stack.warnings
    stack.check_whole("t1")


@pytest.mark.parametrize("prefix", ["t1", "t2"])
@pytest.mark.parametrize(
    ("changes", "days", "revoked"),
    [
        (LEAKED, 0, {"t1", "t2"}),
        ({"scopes": ["user:read"]}, 0, {"t1"}),
        ({}, 6, {"t1"}),
        ({**OTHER, **LEAKED}, 0, {"t1", "t2"}),
    ],
)
def test_token_in_use_is_refused_before_anything_happens(
    two: Stack, prefix: str, changes: dict[str, Any], days: int, revoked: set[str]
) -> None:
    """Where a token to be revoked is the one that Pulumi uses, no request is made that changes anything."""
    two.credential = f"{prefix}-secret"
    two.wait(days)
    before = dict(two.client.tokens)
    if prefix not in revoked:
        two.up(**{**RELEASED, **changes})
        assert prefix in two.client.tokens
        return
    with pytest.raises(TokenInUseError, match=f"^token {prefix} is the one that Pulumi is using right now"):
        two.up(**{**RELEASED, **changes})
    assert two.client.calls == ["list", "me"]
    assert two.client.tokens == before


@pytest.mark.parametrize("changes", [{}, OTHER, LEAKED, {"scopes": ["user:read"]}])
def test_nothing_is_done_in_the_account_of_another_user(two: Stack, changes: dict[str, Any]) -> None:
    """Whose account it is, is made sure before anything is written, and before anything is taken for gone."""
    two.made_as = SOMEBODY
    with pytest.raises(WrongAccountError):
        two.up(**{**RELEASED, **changes})
    for prefix in ("t1", "t2"):
        del two.client.tokens[prefix]
        with pytest.raises(WrongAccountError):
            two.series().observe(two.outs)
    assert all(call in {"list", "me"} for call in two.client.calls)


def test_observation_costs_no_more_than_the_list(two: Stack) -> None:
    """Only where something is missing is it asked whose account it is, and each of these whether it still works."""
    use(two, "t1")
    use(two, "t2")
    two.client.calls.clear()
    outs = two.series().observe(two.outs)
    assert two.client.calls == ["list"]
    used = {"last_used_time": "2026-11-02T12:00:00Z", "last_ip": "192.0.2.7", "last_user_agent": "ingest/1.4"}
    assert outs == {**two.outs, **used, **{f"previous_{name}": value for name, value in used.items()}}
    two.client.tokens.clear()
    two.client.calls.clear()
    assert {GONE, ENDED} <= set(two.series().observe(two.outs))
    assert two.client.calls == ["list", "me", "works", "works"]


@pytest.mark.parametrize("prefix", ["t1", "t2"])
def test_token_that_a_list_lacks_is_not_given_up_while_it_works(two: Stack, prefix: str) -> None:
    """A list that is behind makes no token gone: an error, and nothing is changed."""
    hidden, before = two.client.tokens[prefix], dict(two.outs)
    two.client.list_tokens = lambda: [token for token in two.client.tokens.values() if token is not hidden]  # type: ignore[method-assign]
    with pytest.raises(UnexpectedAnswerError, match=f"token {prefix} is missing from the account's list, and yet"):
        two.up(**LEAKED)
    assert two.outs == before
    assert set(two.client.tokens) == {"t1", "t2"}


@pytest.mark.parametrize(
    ("prepare", "asked"),
    [
        (gone(), ["me", "list", "revoke t1", "revoke t2"]),
        (left_behind, ["me", "list", "revoke x1", "revoke t1", "revoke t2"]),
        (gone("t1"), ["me", "list", "revoke t1", "revoke t2"]),
        (gone("t1", "t2"), ["me", "list", "revoke t1", "revoke t2"]),
    ],
)
def test_end_revokes_all_that_is_valid(two: Stack, prepare: Callable[[Stack], None], asked: list[str]) -> None:
    """The current token goes last, what nobody got goes first, and what is gone already is no error."""
    prepare(two)
    two.client.calls.clear()
    two.series().end(two.outs)
    assert two.client.calls == asked
    assert not two.client.tokens


def test_end_leaves_the_tokens_of_others_alone(two: Stack) -> None:
    """A token of the same description that carries no mark, or another's, is not the series' own."""
    two.client.tokens["o1"] = TokenInfo(token_prefix="o1", description="Ingest")
    two.client.tokens["o2"] = TokenInfo(token_prefix="o2", description=marked("Ingest", f"{MARK}0"))
    two.series().end(two.outs)
    assert set(two.client.tokens) == {"o1", "o2"}


@pytest.mark.parametrize("call", ["revoke x1", "revoke t1", "revoke t2"])
def test_end_that_failed_can_be_repeated(two: Stack, call: str) -> None:
    """Whatever was revoked before the error is no error the next time."""
    left_behind(two)
    two.client.errors = {call: BROKEN}
    with pytest.raises(ServerError):
        two.series().end(two.outs)
    two.client.errors = {}
    two.series().end(two.outs)
    assert not two.client.tokens


def test_end_does_not_take_another_users_account_for_its_own(two: Stack) -> None:
    """Tokens that another user's account does not show are still valid in their own: that is an error."""
    two.client.tokens.clear()
    two.made_as = SOMEBODY
    with pytest.raises(WrongAccountError):
        two.series().end(two.outs)


def test_end_does_not_revoke_the_token_in_use(two: Stack) -> None:
    """The token that Pulumi uses stays valid, and the error says what to do."""
    two.credential = "t2-secret"
    with pytest.raises(TokenInUseError):
        two.series().end(two.outs)
    assert "t2" in two.client.tokens


def test_whole_life_holds_two_tokens_at_most(one: Stack) -> None:
    """Rotation after rotation by the clock, the account holds what the state holds, and never more than two."""
    valid: list[int] = []
    for _ in range(120):
        one.wait(1)
        one.up()
        assert set(one.held) == set(one.client.tokens)
        valid.append(len(one.client.tokens))
    assert next(iter(one.held)) == "t8"
    assert set(valid) == {1, 2}
    assert one.client.most_valid == 2
