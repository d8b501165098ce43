"""Which tokens a stack holds, as an export of its state tells."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pulumi_avn_token.errors import ExportError
from pulumi_avn_token.holdings import Holding, find_holdings, read
from pulumi_avn_token.lifecycle import SERIES_TYPE, TOKEN_TYPE
from pulumi_avn_token.marks import OF_A_TOKEN, mark_of, new_mark, tag_in
from pulumi_avn_token.model import User

STATES = sorted(Path(__file__).parents[1].joinpath("engine", "states").glob("*.json"))
SECRET_KEY = "4dabf18193072939515e22adb298388d"  # noqa: S105 - the engine's key of a wrapped value
SECRET_KIND = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105
PREFIX = "XCJ3+bgWywIh"
HIDDEN = "aB3/" * 20
"""What no holding may show."""
MARK = "series-0123456789abcdef"
OWNER = {"user": "ann@example.org", "user_id": "u1"}


def urn(name: str, kind: str = TOKEN_TYPE, stack: str = "prod", project: str = "tokens") -> str:
    """Give the URN of a resource."""
    return f"urn:pulumi:{stack}::{project}::{kind}::{name}"


def secret(*, in_the_open: bool) -> dict[str, str]:
    """Give a secret as an export holds it, with --show-secrets or without."""
    content = {"plaintext": json.dumps(HIDDEN)} if in_the_open else {"ciphertext": f"v1:{HIDDEN}"}
    return {SECRET_KEY: SECRET_KIND, **content}


def outputs(token_prefix: str | None = PREFIX, *, in_the_open: bool = False, **others: Any) -> dict[str, Any]:
    """Give a token's recorded outputs."""
    return {
        "token_prefix": token_prefix,
        "full_token": secret(in_the_open=in_the_open),
        "description": "CI deploys",
        "expiry_time": "2026-12-24T12:00:00Z",
        "last_ip": "192.0.2.1",
        "__owner": OWNER,
        "__declared": secret(in_the_open=in_the_open),
        **others,
    }


def token(name: str = "ci", outs: dict[str, Any] | None = None, **others: Any) -> dict[str, Any]:
    """Give an `AccessToken` of a state."""
    outs = outputs() if outs is None else outs
    return {"urn": urn(name), "custom": True, "id": PREFIX, "type": TOKEN_TYPE, "outputs": outs, **others}


def series(name: str = "ingest", outs: dict[str, Any] | None = None, **others: Any) -> dict[str, Any]:
    """Give a `RotatingAccessToken` of a state."""
    outs = outputs() if outs is None else outs
    return {
        "urn": urn(name, SERIES_TYPE),
        "custom": True,
        "id": MARK,
        "type": SERIES_TYPE,
        "outputs": {"rotation_reason": "created", **outs},
        **others,
    }


def export(*resources: Any) -> dict[str, Any]:
    """Give an export of a stack with these resources among others."""
    stack = {"urn": urn("tokens-prod", "pulumi:pulumi:Stack"), "custom": False, "type": "pulumi:pulumi:Stack"}
    other = {"urn": urn("other", "pulumi-python:dynamic:Resource"), "id": "x", "type": "pulumi-python:dynamic:Resource"}
    return {"version": 3, "deployment": {"manifest": {}, "resources": [stack, other, *resources], "metadata": {}}}


def held(*resources: Any) -> list[tuple[str, str]]:
    """Give the prefix and the role of each token that resources hold."""
    return [(holding.token_prefix, holding.role) for holding in find_holdings(export(*resources))]


def holding_of(resource: Any) -> Holding:
    """Give the one token that a resource holds."""
    (holding,) = find_holdings(export(resource))
    return holding


def test_token_is_held_with_what_is_recorded_of_it() -> None:
    """A holding tells the resource, the stack, and all recorded outputs but the secret ones."""
    holding = holding_of(token())
    assert holding == Holding(
        token_prefix=PREFIX,
        role="current",
        stack="tokens/prod",
        urn=urn("ci"),
        is_series=False,
        mark=None,
        outs={
            "token_prefix": PREFIX,
            "description": "CI deploys",
            "expiry_time": "2026-12-24T12:00:00Z",
            "last_ip": "192.0.2.1",
            "__owner": OWNER,
        },
    )
    assert (holding.name, holding.is_managed, holding.made_as) == (
        "ci",
        True,
        User(user="ann@example.org", user_id="u1"),
    )


PREVIOUS: dict[str, Any] = {
    "previous_token_prefix": "9zQ/hhKe01Lm",
    "previous_expiry_time": "2026-12-01T12:00:00Z",
    "previous_last_used_time": "2026-11-23T12:00:00Z",
    "previous_last_ip": "192.0.2.7",
    "previous_last_user_agent": "curl/8",
    "previous_full_token": secret(in_the_open=True),
    "__strays": ["stray/one+++", "stray/two+++"],
}


def test_series_holds_its_current_token_the_one_before_and_strays() -> None:
    """Each token of a series is a holding with what is recorded of that one, and the mark and the owner of all."""
    current, previous, *strays = find_holdings(export(series(outs=outputs(**PREVIOUS))))
    for holding in (current, previous, *strays):
        assert (holding.is_series, holding.mark, holding.name) == (True, MARK, "ingest")
        assert (holding.stack, holding.urn, holding.is_managed) == ("tokens/prod", urn("ingest", SERIES_TYPE), True)
        assert holding.made_as == User(user="ann@example.org", user_id="u1")
    assert (current.token_prefix, current.role, current.outs["last_ip"]) == (PREFIX, "current", "192.0.2.1")
    assert (previous.token_prefix, previous.role) == ("9zQ/hhKe01Lm", "previous")
    needed = {
        "description": "CI deploys",
        "__owner": OWNER,
        "expiry_time": "2026-12-01T12:00:00Z",
        "last_ip": "192.0.2.7",
        "last_user_agent": "curl/8",
    }
    assert {name: previous.outs.get(name) for name in needed} == needed
    assert not {"create_time", "early_rotation_window_seconds", "full_token"} & set(previous.outs)
    assert [(stray.token_prefix, stray.role) for stray in strays] == [
        ("stray/one+++", "stray"),
        ("stray/two+++", "stray"),
    ]
    assert all(stray.outs == {"__owner": OWNER} for stray in strays)


def test_all_that_an_audit_needs_is_taken_over() -> None:
    """What is recorded of a token's life, its window and its last use is there, and what nobody asked for is not."""
    needed: dict[str, Any] = {
        "description": "CI deploys",
        "create_time": "2026-11-24T12:00:00Z",
        "expiry_time": "2026-12-24T12:00:00.5Z",
        "max_age_seconds": 2_592_000,
        "early_rotation_window_seconds": 604_800.0,
        "last_ip": "192.0.2.1",
        "last_user_agent": "curl/8",
        "__gone": "expired",
        "__owner": OWNER,
    }
    for resource in (token(outs=outputs(**needed)), series(outs=outputs(**needed))):
        outs = holding_of(resource).outs
        assert {name: outs.get(name) for name in needed} == needed


def test_nothing_of_the_current_token_is_told_of_the_one_before() -> None:
    """Where nothing is recorded of the previous token's life or use, nothing is known of it."""
    outs = outputs(
        previous_token_prefix="9zQ/hhKe01Lm",
        create_time="2026-11-24T12:00:00Z",
        max_age_seconds=2_592_000,
        early_rotation_window_seconds=1,
        last_user_agent="curl/8",
    )
    _, previous = find_holdings(export(series(outs=outs)))
    known = {name: value for name, value in previous.outs.items() if not name.startswith("__")}
    known.pop("token_prefix", None)
    assert known == {"description": "CI deploys"}


@pytest.mark.parametrize("outs", [{}, {"rotation_reason": "created"}])
@pytest.mark.parametrize("type_", [TOKEN_TYPE, SERIES_TYPE])
def test_series_is_told_by_its_type_or_its_reason(outs: dict[str, str], type_: str) -> None:
    """While one kind becomes the other, the type in a state and what is recorded there may be of different kinds."""
    resource = {"urn": urn("ci", type_), "id": MARK, "type": type_, "outputs": {**outputs(), **outs}}
    holding = holding_of(resource)
    is_series = bool(outs) or type_ == SERIES_TYPE
    assert (holding.is_series, holding.mark) == (is_series, MARK if is_series else None)


def test_series_that_took_over_a_token_has_a_mark_of_its_own() -> None:
    """A series whose id is a prefix is found by the mark that is derived from it."""
    expected = mark_of(PREFIX, urn("ingest", SERIES_TYPE))
    assert holding_of(series(id=PREFIX)).mark == expected != PREFIX


@pytest.mark.parametrize(
    ("resource", "found"),
    [
        (token(delete=True), [(PREFIX, "leaving")]),
        (token(delete=False, external=False), [(PREFIX, "current")]),
        (token(external=True), [(PREFIX, "read")]),
        (token(external=True, delete=True), [(PREFIX, "read")]),
        (token(pendingReplacement=True), [(PREFIX, "current")]),
        (token(protect=True, retainOnDelete=True), [(PREFIX, "current")]),
        (series(delete=True), [(PREFIX, "leaving")]),
        (
            series(outs=outputs(**PREVIOUS), delete=True),
            [
                (PREFIX, "leaving"),
                ("9zQ/hhKe01Lm", "leaving"),
                ("stray/one+++", "stray"),
                ("stray/two+++", "stray"),
            ],
        ),
        (series(outs=outputs(__gone="revoked")), [(PREFIX, "current")]),
        (token(outs=outputs(**PREVIOUS)), [(PREFIX, "current"), *held(series(outs=outputs(**PREVIOUS)))[1:]]),
    ],
)
def test_role_is_what_the_stack_is_going_to_do(resource: dict[str, Any], found: list[tuple[str, str]]) -> None:
    """What is to be deleted leaves, the one before the current one too; what is read is not managed."""
    assert held(resource) == found
    roles = [holding.is_managed for holding in find_holdings(export(resource))]
    assert roles == [role != "read" for _, role in found]


def test_token_without_outputs_is_told_by_its_id() -> None:
    """A resource that was imported or read, and of which nothing else is recorded, holds the token of its id."""
    for outs in ({}, outputs(None), {"token_prefix": secret(in_the_open=False)}):
        assert held(token(outs=outs)) == [(PREFIX, "current")]
    bare = token()
    del bare["outputs"]
    assert held(bare) == [(PREFIX, "current")]


def test_id_that_is_a_full_token_is_cut() -> None:
    """Of an id that somebody made a secret, no more than a prefix is taken over."""
    holding = holding_of(token(id=PREFIX + HIDDEN, outs={}, external=True))
    assert holding.token_prefix == PREFIX
    assert HIDDEN not in repr(holding)


def test_series_without_a_token_holds_none() -> None:
    """The id of a series is no prefix: where no token is recorded, there is none."""
    assert held(series(outs={})) == []


def test_names_are_told_as_they_are_written() -> None:
    """A name may hold what divides a URN, and the type may hold the types of its parents."""
    nested = f"my:component:Kind${TOKEN_TYPE}"
    assert holding_of(token(urn=urn("a::b::c", nested))).name == "a::b::c"
    assert holding_of(token(urn=urn("żółw 1"))).name == "żółw 1"
    assert holding_of(token(urn=urn("ci", stack="dev-2", project="my.project"))).stack == "my.project/dev-2"


def test_names_are_fit_for_a_terminal() -> None:
    """What the names of a project, a stack and a resource hold stays on its line, and moves no cursor."""
    hostile = "a\nb\x1b[2J\u2028c\u202ed"
    holding = holding_of(token(urn=urn(hostile, stack=hostile, project=hostile)))
    for text in (holding.name, holding.stack):
        assert text.isprintable()
        assert "a b[2J cd" in text


@pytest.mark.parametrize("in_the_open", [False, True])
@pytest.mark.parametrize("nested", [False, True])
def test_no_secret_is_taken_over(*, in_the_open: bool, nested: bool) -> None:
    """Of a secret nothing is kept, encrypted or not, at the top or deep inside of what is in the open."""
    hidden: Any = secret(in_the_open=in_the_open)
    if nested:
        hidden = {"release": "1", "deep": [{"hash": hidden}]}
    outs = outputs(
        in_the_open=in_the_open,
        previous_token_prefix="9zQ/hhKe01Lm",
        rotation_triggers=hidden,
        description=secret(in_the_open=in_the_open),
        __owner=OWNER,
        previous_last_ip=secret(in_the_open=in_the_open),
    )
    holdings = list(find_holdings(export(token(outs=outs), series(outs=outs))))
    assert [holding.role for holding in holdings] == ["current", "previous"] * 2
    for holding in holdings:
        kept = repr((dict(holding.outs), holding))
        assert HIDDEN not in kept
        assert SECRET_KEY not in kept


@given(
    st.recursive(st.just(0), lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2))
)
def test_no_holding_shows_its_outputs(value: Any) -> None:
    """A holding that lands in a log shows where a token is held, and nothing that is recorded of it."""

    def hide(part: Any) -> Any:
        if isinstance(part, list):
            return [hide(item) for item in part]
        return {key: hide(item) for key, item in part.items()} if isinstance(part, dict) else HIDDEN

    outs = outputs(rotation_triggers=hide(value), previous_token_prefix="9zQ/hhKe01Lm", previous_last_ip=HIDDEN)
    outs["full_token"] = HIDDEN
    for holding in find_holdings(export(series(outs=outs))):
        assert HIDDEN not in repr(holding)
        assert HIDDEN not in str(holding)


@pytest.mark.parametrize(
    "deployment",
    [{}, {"resources": None}, {"resources": []}, {"manifest": {"time": "0001-01-01T00:00:00Z"}, "resources": []}],
)
def test_stack_without_resources_holds_nothing(deployment: dict[str, Any]) -> None:
    """A stack that was just made, or destroyed, holds no token."""
    assert list(find_holdings({"version": 3, "deployment": deployment})) == []


def test_other_resources_hold_nothing() -> None:
    """Only this package's two resources hold tokens; what else a state has may be of any shape."""
    others = [{"type": "other", "urn": 5}, {"type": None}, {"type": [1]}, {"type": f"{TOKEN_TYPE}s"}, {"type": {}}]
    assert held(*others) == []


def test_several_resources_are_told_in_the_order_of_the_state() -> None:
    """Each resource tells its own tokens, and two that hold one token both do."""
    leaving = token("old", outputs("old/old+old+"), delete=True)
    assert held(token("a"), series(), leaving, token("b")) == [
        (PREFIX, "current"),
        (PREFIX, "current"),
        ("old/old+old+", "leaving"),
        (PREFIX, "current"),
    ]


@pytest.mark.parametrize("value", [None, 1, "x", [], {}, {"deployment": None}, {"deployment": []}, {"resources": []}])
def test_what_has_no_deployment_is_no_export(value: Any) -> None:
    """Another JSON file is refused with what it should be."""
    with pytest.raises(ExportError) as caught:
        list(find_holdings(value))
    assert str(caught.value) == "it is not what `pulumi stack export` writes: it has no deployment"


def without(resource: dict[str, Any], name: str) -> dict[str, Any]:
    """Give a resource without one of its fields."""
    return {key: value for key, value in resource.items() if key != name}


@pytest.mark.parametrize(
    "resources",
    [
        *(5, True, "abc", {"a": 1}, [1], [None], ["abc"], [[]], [{}], [without(token(), "type")]),
        [without(token(), "urn")],
        [token(urn=5)],
        [token(urn="urn:pulumi:prod")],
        [token(urn="")],
        [token(outs={}, id=None)],
        [without(token(outs={}), "id")],
        [without(series(), "id")],
        [series(id=5)],
        [series(id="")],
        [series(id="\ud800")],
        [{**token(), "outputs": "x"}],
        [{**token(), "outputs": [1]}],
        [series(outs=outputs(__strays=5))],
        [series(outs=outputs(__strays=[5]))],
        [series(outs=outputs(__strays=[["x"]]))],
        [series(outs=outputs(__strays=[None]))],
        [series(outs=outputs(__strays=[{}]))],
        [token(outs=outputs(__owner="ann@example.org"))],
        [token(outs=outputs(__owner={"user_id": "u1"}))],
        [token(outs=outputs(__owner=["ann@example.org"]))],
        [token(), series(), token(outs={}, id=5)],
    ],
)
def test_resource_that_cannot_be_read_is_told(resources: Any) -> None:
    """A state that this package did not write is refused, before anything is made of its tokens."""
    with pytest.raises(ExportError) as caught:
        [holding.made_as for holding in find_holdings({"deployment": {"resources": resources}})]
    assert str(caught.value) == "it is not what `pulumi stack export` writes: a resource in it cannot be read"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = dict.fromkeys(
    ("token_prefix", "previous_token_prefix", "__strays", "__owner", "description", "previous_last_ip"), JSON
)
RESOURCES = JSON | st.fixed_dictionaries(
    {"type": st.sampled_from([TOKEN_TYPE, SERIES_TYPE]) | JSON},
    optional={
        "urn": st.sampled_from([urn("ci"), urn("a::b"), "urn:pulumi:a", "::::"]) | JSON,
        "id": st.sampled_from([PREFIX, MARK]) | JSON,
        "outputs": st.fixed_dictionaries({}, optional=FIELDS) | JSON,
        "external": JSON,
        "delete": JSON,
    },
)
EXPORTS = st.fixed_dictionaries(
    {"deployment": st.fixed_dictionaries({"resources": st.lists(RESOURCES, max_size=3) | JSON}) | JSON}
)


@given(EXPORTS | JSON)
@example({"deployment": {"resources": [series(outs=outputs(__strays=[["x"]]))]}})
def test_whatever_a_file_holds_it_is_read_or_refused(value: Any) -> None:
    """Any JSON is an export, whose holdings are what they say they are, or is refused as none; nothing else happens."""
    try:
        holdings = [(holding, holding.made_as) for holding in find_holdings(value)]
    except ExportError:
        return
    for holding, made_as in holdings:
        for text in (holding.token_prefix, holding.stack, holding.name, holding.urn):
            assert isinstance(text, str)
        assert holding.token_prefix
        assert made_as is None or isinstance(made_as.user, str)


@given(JSON, st.sampled_from(["token_prefix", "previous_token_prefix", "__strays", "__owner", "id", "urn", "outputs"]))
def test_one_wrong_value_in_a_sound_state_is_no_other_error(value: Any, name: str) -> None:
    """Whatever one field of a resource is made to hold, a state is read or refused."""
    for sound in (token(), series(outs=outputs(**PREVIOUS))):
        broken = copy.deepcopy(sound)
        (broken if name in broken else broken["outputs"])[name] = value
        try:
            holdings = [(holding, holding.made_as) for holding in find_holdings(export(broken))]
        except ExportError:
            continue
        assert all(isinstance(holding.token_prefix, str) for holding, _ in holdings)


@pytest.mark.parametrize("path", STATES, ids=lambda path: path.stem)
def test_state_of_an_earlier_release_is_read(path: Path) -> None:
    """What each release wrote is read: the tokens, their roles, stacks and owners, and none of the secrets."""
    text = path.read_text(encoding="utf-8")
    holdings = list(find_holdings(json.loads(text)))
    plain = [(f"PREFIX-{name}", name) for name in ("ci", "named", "nb") if f"::{name}" in text]
    assert sorted((holding.token_prefix, holding.name) for holding in holdings if not holding.is_series) == plain
    of_series = [(holding.token_prefix, holding.role) for holding in holdings if holding.is_series]
    assert of_series == ([("PREFIX-ingest", "current"), ("PREFIX-before", "previous")] if "ingest" in text else [])
    for holding in holdings:
        assert holding.stack == "scratch/test"
        assert holding.made_as == User(user="demo@example.org", user_id="u7442a50760b")
        assert (re.fullmatch("series-[0-9a-f]{16}", holding.mark or "") is not None) == holding.is_series
        assert "ciphertext" not in repr(dict(holding.outs))
        assert "expiry_time" in holding.outs


def test_stack_is_told_by_the_tag_of_its_marks() -> None:
    """Any resource tells whose state it is, also where there is no token yet; what has no resource tells nothing."""
    root = {"type": "pulumi:pulumi:Stack", "urn": urn("tokens-prod", "pulumi:pulumi:Stack")}
    mark = new_mark(OF_A_TOKEN, urn("ci"), "0a1b2c3d")
    for resources in ([root], [root, token()], [token()]):
        told = {"deployment": {"resources": resources}}
        assert read(told) == (list(find_holdings(told)), {tag_in(mark): "tokens/prod"})
    for odd in ([], [{"type": "a:b:C"}], [{"type": "a:b:C", "urn": 5}], [{"type": "a:b:C", "urn": "nonsense"}]):
        assert read({"deployment": {"resources": odd}}) == ([], {})
