"""The JSON Schema of a manifest: it and the loader agree on what is one."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from pulumi_avn_token import manifest
from pulumi_avn_token.durations import UNITS
from pulumi_avn_token.errors import ManifestError
from pulumi_avn_token.schema import COMMENT, FILE_NAME, _number_between, schema

ROOT = Path(__file__).parents[2]
SCHEMA = schema()
VALIDATOR = Draft7Validator(SCHEMA)
TOKEN = SCHEMA["properties"]["tokens"]["additionalProperties"]
SERIES, PLAIN = TOKEN["then"], TOKEN["else"]
ROTATION = SERIES["properties"]["rotation"]
MOST = 315_360_000
LONGEST = 1000

WHERE = r"t\.yaml:[0-9]+:[0-9]+: "
BEYOND_A_SCHEMA = [
    re.compile(WHERE + fault)
    for fault in (
        # comparisons of two values
        r"tokens\..+: must be less than max_age(_seconds)? \([0-9]+\), not [0-9]+",
        r"tokens\..+: must be less than the age, by default 2592000 \(30 days\), not [0-9]+",
        r"tokens\..+: must be at most rotation\.before \([0-9]+\), not [0-9]+",
        # whether a text is a network
        r"tokens\..+\.ip_allowlist: must hold addresses and networks such as 192\.0\.2\.0/24; number [0-9]+ is none",
        # two that adopt one token
        r"tokens\..+: adopts the same token as tokens\..+",
    )
]
"""The loader's faults of a document that the schema cannot know of, as the schema's module lists them."""


def find_faults(text: str) -> tuple[str, ...]:
    """Find what the loader has against a manifest."""
    try:
        manifest.parse(text.encode(), "t.yaml")
    except ManifestError as error:
        return error.faults
    return ()


def is_good(document: Any) -> bool:
    """Whether a document is a manifest, on which loader and schema must agree."""
    text = yaml.safe_dump(document, sort_keys=False, width=math.inf)
    faults = find_faults(text)
    only_the_loader_knows = all(any(fault.fullmatch(told) for fault in BEYOND_A_SCHEMA) for told in faults)
    assert VALIDATOR.is_valid(document) == only_the_loader_knows, (faults, text)
    return not faults


def a_token(*entries: dict[str, Any]) -> dict[str, Any]:
    """Give a manifest with a token of these entries, the later ones in place of the earlier."""
    return {"tokens": {"ci": {name: value for some in entries for name, value in some.items()}}}


# What the schema is


def test_schema_is_one() -> None:
    """It is a schema of the draft that it names, which editors know, and JSON."""
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    Draft7Validator.check_schema(SCHEMA)
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
    assert schema() == SCHEMA
    assert COMMENT.removeprefix("# yaml-language-server: $schema=") == FILE_NAME


def test_schema_beside_the_example_is_this_one() -> None:
    """The file that the example's first line names is there, and is what `manifest schema` prints."""
    example = ROOT / "examples" / "tokens"
    assert (example / "tokens.yaml").read_text(encoding="utf-8").startswith(f"{COMMENT}\n")
    assert json.loads((example / FILE_NAME).read_text(encoding="utf-8")) == SCHEMA


def test_keys_of_schema_and_loader_are_the_same() -> None:
    """Each key that the loader reads is in the schema, in its place, and no other; but a secret has no place there."""
    assert list(SCHEMA["properties"]) == ["tokens"]
    plain = [name for name, key in manifest.KEYS.items() if key.kind != "secret"]
    assert list(PLAIN["properties"]) == [*plain, "rotation"]
    assert list(SERIES["properties"]) == [*manifest.KEYS_OF_SERIES, "rotation"]
    assert [f"rotation.{name}" for name in ROTATION["properties"]] == list(manifest.KEYS_OF_ROTATION)
    assert not any(key.kind == "secret" for key in manifest.KEYS_OF_SERIES.values())
    assert "full_token" in manifest.KEYS


def properties_of(part: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Go through all properties that a schema names, however deep."""
    if isinstance(part, dict):
        yield from part.get("properties", {}).items()
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from properties_of(inner)


def test_each_property_is_described() -> None:
    """An editor has something to say of each key, in one plain line."""
    properties = list(properties_of(SCHEMA))
    assert len(properties) > 20
    for name, part in properties:
        assert part["description"].isprintable(), name
        assert part["description"].endswith("."), name


def test_each_pattern_has_words_for_who_does_not_meet_it() -> None:
    """An editor says what is expected, and not the pattern."""
    patterns = [(name, part) for name, part in properties_of(SCHEMA) if "pattern" in part]
    expected = {
        "credentials": (
            "an environment variable, such as AIVEN_TOKEN_STAGING, or a stack setting, such as staging:apiToken"
        ),
        "max_age": "a number and a unit, one of s m h d w, from 10m to 3650d",
        "rotate_before": "a number and a unit, one of s m h d w, from 1s to 315359999s",
        "before": "a number and a unit, one of s m h d w, from 1s to 315359999s",
        "overlap": "a number and a unit, one of s m h d w, from 0d to 315359999s",
    }
    assert {name for name, _ in patterns} == set(expected)
    for name, part in patterns:
        assert part["patternErrorMessage"] == expected[name]


def yaml_of(path: Path) -> list[str]:
    """The manifests in a file: the whole of a YAML file, or the blocks of a page."""
    text = path.read_text(encoding="utf-8")
    blocks = [text] if path.suffix == ".yaml" else re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [block for block in blocks if re.search(r"^tokens:", block, re.MULTILINE)]


PAGES = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*/*.yaml"), *ROOT.glob("examples/*/*.md")]
EXAMPLES = [
    pytest.param(block, id=f"{path.relative_to(ROOT)}-{number}")
    for path in sorted(PAGES)
    for number, block in enumerate(yaml_of(path))
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_each_example_is_good_by_both(text: str) -> None:
    """Whatever manifest this project shows, an editor finds nothing in it, and it loads."""
    assert not list(VALIDATOR.iter_errors(yaml.safe_load(text)))
    assert not find_faults(text)


def test_there_are_examples() -> None:
    """The manifest of the demo and those of the pages are among what is looked at."""
    assert {"examples/tokens/tokens.yaml-0", "docs/rotation.md-0"} <= {example.id for example in EXAMPLES}


# Numbers and durations


def is_between(least: int, most: int, text: str) -> bool:
    """Whether a text is a number of a range by the regular expression that is made for the range."""
    return re.fullmatch(f"0*({_number_between(least, most)})", text) is not None


def test_range_of_small_numbers_is_exact() -> None:
    """For each range up to a hundred and some, just the numbers in it are meant."""
    texts = [str(number) for number in range(125)]
    for most in range(112):
        for least in range(most + 1):
            pattern = re.compile(_number_between(least, most))
            found = [number for number, text in enumerate(texts) if pattern.fullmatch(text)]
            assert found == list(range(least, most + 1))


NUMBERS = st.integers(0, 10**6) | st.integers(0, 10**18) | st.integers(0, 18).map(lambda power: 10**power)


@given(NUMBERS, NUMBERS, NUMBERS, st.integers(0, 3))
@settings(max_examples=300)
@example(0, 0, 0, 0)
@example(600, MOST, 0, 0)
@example(1, MOST - 1, 0, 2)
def test_range_of_large_numbers_is_exact(one: int, other: int, number: int, zeros: int) -> None:
    """Whatever the ends of a range, a number is in it or not, at its ends above all, and with zeros before it too."""
    least, most = sorted((one, other))
    middle = (least + most) // 2
    near = [end + step for end in (least, most, middle, number) for step in range(-2, 3) if end + step >= 0]
    for candidate in (*near, number // 10, number * 10):
        text = f"{'0' * zeros}{candidate}"
        assert is_between(least, most, text) == (least <= candidate <= most), (least, most, text)
    for text in ("", "-1", f"{least} ", f"+{least}", f"{least}.0", f"x{least}"):
        assert not is_between(least, most, text)


LIMITS = {"max_age": (600, MOST), "rotate_before": (1, MOST - 1), "before": (1, MOST - 1), "overlap": (0, MOST - 1)}
PATTERNS = {(name, part["pattern"]) for name, part in properties_of(SCHEMA) if "pattern" in part}
DURATIONS = sorted(pattern for pattern in PATTERNS if pattern[0] != "credentials")


@pytest.mark.parametrize(("name", "pattern"), DURATIONS, ids=[name for name, _ in DURATIONS])
@pytest.mark.parametrize("unit", UNITS)
def test_duration_is_in_its_range_in_each_unit(name: str, pattern: str, unit: str) -> None:
    """Each number of a few digits, and each near the ends of a range, is met or not as the seconds of it ask for."""
    least, most = LIMITS[name]
    ends = [least // UNITS[unit], most // UNITS[unit], 10 ** len(str(most // UNITS[unit]))]
    numbers = {*range(4000), *(end + step for end in ends for step in range(-1100, 1100))}
    compiled = re.compile(pattern)
    for number in numbers:
        if number >= 0:
            is_met = compiled.search(f"{number}{unit}") is not None
            assert is_met == (least <= number * UNITS[unit] <= most), (number, unit)


# Agreement

SOUND_PLAIN: dict[str, Any] = {"description": "CI deploys"}
SOUND_SERIES: dict[str, Any] = {"description": "Ingest", "max_age": "60d", "rotation": {"before": "14d"}}


def boundaries() -> list[str]:
    """Give durations at the ends of all ranges, in each unit, and at those of the number of digits."""
    found = {"010m", "00600s", "0s", "00s", "000w", "599s", "600s", "9m", "10m", "3650d", "3651d", "521w", "522w"}
    for unit, seconds in UNITS.items():
        for end in (0, 1, 600, MOST - 1, MOST, 10**9, 10**12, 10**13):
            found |= {f"{end // seconds + step}{unit}" for step in (-1, 0, 1)}
    return sorted(found)


ODD: list[Any] = [
    *boundaries(),
    *(
        "",
        " ",
        "30",
        "30d ",
        " 30d",
        "30d\n",
        "\n30d",
        "30D",
        "1.5d",
        "+1d",
        "d",
        "30d7h",
        "٣d",
        "30 d",
        "0x1fs",
        "1:30",
    ),
    *("x" * 32, "x" * 33, "x" * 1000, "x" * 1001, "🙂" * 1000, "🙂" * 1001, "1" * 33, "\n", "\x00", "\ufeff", "\u2028"),
    *("true", "null", "~", "yes", "<<", "=", "600", "when_idle", "after_overlap", "when_idle ", "192.0.2.1", "nowhere"),
    *("AIVEN_TOKEN", "AIVEN_TOKEN\n", "AIVEN-TOKEN", "_", "a:b", "a:b1", "a:", ":b", "a.b-c_1:d.e-f", "a:b\n", "a:b:c"),
    *(None, True, False, 0, 1, -1, 599, 600, 601, MOST - 1, MOST, MOST + 1, 10**12, 10**13, 10**30),
    *(0.0, -0.0, 1.0, 599.0, 600.0, 600.5, 1e3, 315_360_000.0, 315_360_001.0, 1e16, 1e300, 0.1, math.inf, -math.inf),
    *([], [None], [1], [""], ["x"], ["x", "x"], ["192.0.2.0/24"], ["192.0.2.1/33"], [["x"]], [{}], [True]),
    *(["::1"] * 100, ["::1"] * 101, ["x"] * 100, ["x"] * 101),
    *({}, {"x": "y"}, {"": "y"}, {"x": ""}, {"x": None}, {"x": 1}, {"x": 1.5}, {"x": False}, {"x": 2**53}, {"x": [1]}),
    *(
        {"x": {}},
        {"<<": "y"},
        {"1": "y"},
        {"x" * 2000: "y" * 2000},
        {"before": "14d"},
        {"before": 14},
        {"before": None},
    ),
    *({"before": "14d", "overlap": "15d"}, {"before": "60d"}, {"before": "61d"}, {"overlap": "1d"}, {"rotation": {}}),
]
"""Values of every kind, sound for some key and wrong for others."""

PLACES = [
    *((SOUND_PLAIN, name) for name in [*manifest.KEYS, "revocation_triggers", "rotation", "colour", "before", ""]),
    *((SOUND_SERIES, name) for name in sorted({*manifest.KEYS_OF_SERIES, *manifest.KEYS, "overlap"})),
]


@pytest.mark.parametrize(
    ("base", "name"), PLACES, ids=[f"{'rotation' if 'rotation' in base else 'plain'}-{name}" for base, name in PLACES]
)
def test_each_value_at_each_key(base: dict[str, Any], name: str) -> None:
    """Whatever value a key has, of a token or of a series, both say the same of it."""
    good = [is_good(a_token(base, {name: value})) for value in ODD]
    keys, elsewhere = (SERIES, "max_age_seconds") if "rotation" in base else (PLAIN, "rotation")
    assert any(good) == (name in keys["properties"] and name != elsewhere)
    assert not all(good)


@pytest.mark.parametrize("name", [*ROTATION["properties"], "after", "rotation.before", ""])
def test_each_value_at_each_key_of_a_rotation(name: str) -> None:
    """Whatever value a key of `rotation` has, both say the same of it."""
    good = [is_good(a_token(SOUND_SERIES, {"rotation": {"before": "14d", name: value}})) for value in ODD]
    assert any(good) == (name in ROTATION["properties"])
    assert not all(good)


def test_each_value_in_the_place_of_a_mapping() -> None:
    """Whatever stands for the file, for its tokens, for one of them or beside them, both say the same of it."""
    for value in ODD:
        assert not is_good(value)
        assert is_good({"tokens": value}) == (value == {})
        assert not is_good({"tokens": {"ci": value}})
        assert not is_good({"tokens": {}, "more": value})
        assert not is_good({"tokens": {"": value}})
        assert not is_good({"tokens": {"ci": SOUND_PLAIN, "other": value}})


@pytest.mark.parametrize("base", [SOUND_PLAIN, {**SOUND_SERIES, "rotation": {"before": "14d", "overlap": "7d"}}])
def test_each_key_that_is_missing(base: dict[str, Any]) -> None:
    """What a token needs is asked for by both, and what it does not need by neither."""
    assert is_good(a_token(base))
    for name in base:
        assert not is_good(a_token({key: value for key, value in base.items() if key != name})) or name == "rotation"
    assert is_good(a_token(SOUND_SERIES, {"rotation": {"before": "14d"}}))
    assert not is_good(a_token(SOUND_SERIES, {"rotation": {"overlap": "7d"}}))
    by_the_second = {name: value for name, value in SOUND_SERIES.items() if name != "max_age"}
    assert is_good(a_token(by_the_second, {"max_age_seconds": 5_184_000}))
    assert is_good(a_token(by_the_second, {"max_age_seconds": 5_184_000.0}))


SPANS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "", "0", "000"]),
    st.integers(0, 100) | st.integers(0, MOST + 10),
    st.sampled_from(list(UNITS)),
)
SECONDS = st.integers(0, MOST + 10) | st.integers(590, 610) | st.integers(0, MOST + 10).map(float)
TRIGGERS = st.dictionaries(
    st.text(max_size=4),
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    max_size=2,
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "description": st.text(max_size=20) | st.sampled_from(["x" * LONGEST, "x" * (LONGEST + 1)]),
    "max_age": SPANS,
    "max_age_seconds": SECONDS,
    "extend_when_used": st.booleans(),
    "ip_allowlist": st.lists(st.ip_addresses().map(str) | st.text(max_size=3), max_size=3),
    "scopes": st.lists(st.text(max_size=5), max_size=3),
    "rotation_triggers": TRIGGERS,
    "revocation_triggers": TRIGGERS,
    "rotate_before": SPANS,
    "early_rotation_window_seconds": SECONDS,
    "adopt_prefix": st.text(max_size=33),
    "rotation": st.fixed_dictionaries(
        {},
        optional={
            "before": SPANS,
            "overlap": SPANS,
            "retire": st.sampled_from(["when_idle", "after_overlap", "never"]),
            "rest": st.none(),
        },
    ),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10) | SPANS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.sampled_from(["tokens", *VALUES, "before"]), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(st.data())
@settings(max_examples=400)
def test_nearly_sound_documents(data: st.DataObject) -> None:
    """Of tokens with any few keys, each with values at and over the ends of what it takes, both say the same."""
    description = {"description": "d"}
    tokens = {}
    for name in ("a", "b", "c"):
        keys = data.draw(st.lists(st.sampled_from(list(VALUES)), max_size=4, unique=True))
        tokens[name] = {**description, **{key: data.draw(VALUES[key]) for key in keys}}
        is_good({"tokens": {name: tokens[name]}})
    is_good({"tokens": tokens})


@given(st.data())
@settings(max_examples=100)
def test_sound_documents_with_a_flaw(data: st.DataObject) -> None:
    """A sound token is one for both; with a key less, a key more or another value, they still say the same."""
    window, age = data.draw(st.integers(1, 100)), data.draw(st.integers(101, 3650))
    sound: dict[str, Any] = data.draw(
        st.sampled_from(
            [
                {**SOUND_PLAIN, "max_age": f"{age}d", "rotate_before": f"{window}d", "adopt_prefix": "XCJ3+bgWywIh"},
                {**SOUND_PLAIN, "max_age_seconds": age * 86_400, "early_rotation_window_seconds": window * 86_400},
                {**SOUND_SERIES, "max_age": f"{age}d", "rotation": {"before": f"{window}d", "retire": "when_idle"}},
                {**SOUND_SERIES, "max_age": f"{age}d", "rotation": {"before": f"{window}d", "overlap": f"{window}d"}},
            ]
        )
    )
    sound = {**sound, "scopes": ["user:read"], "ip_allowlist": ["192.0.2.0/24"], "rotation_triggers": {"a": "b"}}
    assert is_good(a_token(sound))
    odd = [data.draw(JSON), data.draw(JSON)]
    for name in sound:
        is_good(a_token({key: value for key, value in sound.items() if key != name}))
        for value in odd:
            is_good(a_token(sound, {name: value}))
    another = data.draw(st.sampled_from([*VALUES, "full_token", "colour"]))
    is_good(a_token(sound, {another: data.draw(VALUES.get(another, JSON))}))


@given(JSON, st.text(max_size=20))
@settings(max_examples=300)
def test_any_document(value: Any, name: str) -> None:
    """Whatever JSON a file holds, anywhere in it, both say the same of it."""
    is_good(value)
    is_good({"tokens": value})
    is_good({"tokens": {name: value}})
    is_good({"tokens": {name: {"description": "d", "rotation": value}}})
    is_good({"tokens": {name: SOUND_PLAIN, f"{name}2": copy.deepcopy(SOUND_SERIES)}})


@pytest.mark.parametrize(
    "entries",
    [
        {"max_age": "30d", "rotate_before": "30d"},
        {"rotate_before": "30d"},
        {"early_rotation_window_seconds": 2_592_000},
        {"max_age": "60d", "rotation": {"before": "60d"}},
        {"max_age": "60d", "rotation": {"before": "14d", "overlap": "15d"}},
        {"ip_allowlist": ["nowhere", "192.0.2.0/24", "192.0.2.1/33"]},
    ],
)
def test_what_only_the_loader_can_know(entries: dict[str, Any]) -> None:
    """The faults that are beyond a schema are told by the loader, so that none of their patterns is idle."""
    document = a_token(SOUND_PLAIN, entries)
    assert VALIDATOR.is_valid(document)
    assert not is_good(document)


def test_two_that_adopt_one_token_are_told_by_the_loader() -> None:
    """Where each of two is sound by itself, the schema has nothing against them."""
    document = {"tokens": {name: {"description": "d", "adopt_prefix": "XCJ3+bgWywIh"} for name in "ab"}}
    assert VALIDATOR.is_valid(document)
    assert not is_good(document)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("tokens: {}\ntokens: {}", "the manifest: tokens is there already, at line 1"),
        ("tokens: {ci: {description: a, description: b}}", "tokens.ci: description is there already, at line 1"),
        (
            "tokens: {ci: {description: d, rotation_triggers: {a: b, a: c}}}",
            "tokens.ci.rotation_triggers: a is there twice",
        ),
        ("tokens: {ci: {<<: {description: d}}}", "tokens.ci: a key must be text; merging (<<) is not supported"),
        (
            "tokens: {ci: {description: d, rotation_triggers: {a: }}}",
            "tokens.ci.rotation_triggers: must not be empty: write null, or a text",
        ),
        (
            "tokens: {ci: {description: d, max_age_seconds: 01130}}",
            "tokens.ci.max_age_seconds: must be a whole number of seconds, such as 2592000",
        ),
        (
            "tokens: {ci: {description: d, max_age_seconds: 1_000}}",
            "tokens.ci.max_age_seconds: must be a whole number of seconds, such as 2592000",
        ),
        (
            "tokens: {ci: {description: d, extend_when_used: yes}}",
            "tokens.ci.extend_when_used: must be true or false, in lower case and without quotes",
        ),
        (
            'tokens: {ci: {description: "half \\ud800"}}',
            "tokens.ci.description: must be text: it holds half a character",
        ),
        (
            'tokens: {ci: {description: d, rotation_triggers: {x: "half \\ud800"}}}',
            "tokens.ci.rotation_triggers: must be text: it holds half a character",
        ),
        (
            'tokens: {ci: {description: d, rotation_triggers: {"half \\ud800": x}}}',
            "tokens.ci.rotation_triggers: must be text: it holds half a character",
        ),
    ],
)
def test_what_is_in_how_a_document_is_written_is_told_by_the_loader(text: str, fault: str) -> None:
    """A schema sees what YAML makes of a text; of the text itself only the loader knows."""
    assert VALIDATOR.is_valid(yaml.safe_load(text))
    assert any(told.endswith(fault) for told in find_faults(text))
