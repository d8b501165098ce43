"""Whatever a file holds, it is a manifest whose tokens can be declared, or every fault has a place in it."""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pulumi_avn_token import manifest
from pulumi_avn_token.arguments import find_faults, find_faults_of_series
from pulumi_avn_token.errors import ManifestError
from pulumi_avn_token.terminal import inert, is_whole
from tests.fuzz.values import mostly

LONGEST_FAULT = 500
SECRET = "tk" + base64.b64encode(bytes(range(1, 250, 5))).decode()
"""No secret at all, but as long as one."""
PIECES = {SECRET[at : at + 13] for at in range(len(SECRET) - 12)}

TYPES = {
    "description": str,
    "max_age_seconds": int,
    "extend_when_used": bool,
    "ip_allowlist": list,
    "scopes": list,
    "early_rotation_window_seconds": int,
    "overlap_seconds": int,
    "retire_previous": str,
    "rotation_triggers": dict,
    "revocation_triggers": dict,
    "adopt_prefix": str,
}

GOOD = """\
# The tokens that should exist.
tokens:
  ci-deploys:
    description: CI deploys
    max_age: 30d
    extend_when_used: true
    ip_allowlist: [192.0.2.0/24, "2001:db8::/32"]
    scopes:
      - user:read
    rotate_before: 7d
    rotation_triggers: &triggers {release: 2026-11, sum: 1e3}
  "by the second": &second
    description: >-
      Two
      lines
    max_age_seconds: 86400
    early_rotation_window_seconds: 3600
  ingest:
    description: 'Ingest workers'
    max_age: 60d
    rotation: {before: 14d, overlap: 7d, retire: when_idle}
    rotation_triggers: *triggers
    revocation_triggers: {leak: "0"}
  notebook:
    description: "Python \\u017c\\xf3\\U0001f600"
    adopt_prefix: XCJ3+bgWywIh
  again: *second
"""
SCALARS = [
    *("", "~", "null", "yes", "true", "1", "0600", "0o17", "0x1F", "1_000", "1e3", ".inf", ".nan", "-1", "190:20:30"),
    *("2026-11-24", "2026-11-24T12:00:00Z", "2001-12-14t21:59:43.10-05:00", "30d", "7d", "60d", "when_idle", "a"),
    *("192.0.2.0/24", "XCJ3+bgWywIh", SECRET, f"'{SECRET}'", "'it''s'", '"\\ud800"', '"\\ud83d\\ude00"', '"\\x1b[2J"'),
    *(
        '"\\UFFFFFFFF"',
        '"\\U00110000"',
        '"\\x"',
        '"<{%red%}>"',
        "'\u2028'",
        "9" * 5000,
        "d" * 1001,
        "=",
        "<<",
        "1:",
        "a b: c",
        "a #b",
    ),
]
FRAGMENTS = [
    *("tokens:", "\n", "\n  ", "\n    ", "\r\n", "\r", "\x85", "\u2028", "\t", " ", ": ", "- ", "? ", ", ", ":", "#"),
    *("{", "}", "[", "]", "&a ", "*a", "*" + SECRET[:20].replace("+", ""), "<<: *a", "<<: [*a, *a]", "!!str ", "!"),
    *(
        "!!binary ",
        "!!python/object/apply:os.system ",
        "!!python/name:os.system ",
        "!<tag:yaml.org,2002:str> ",
        "!e!x ",
    ),
    *("!<%ff>", "!<", "!!timestamp ", "!!omap ", "!!merge ", "!!null ", "%YAML 1.1\n---\n", "%TAG !e! tag:e,2026:\n"),
    *("%YAML 9.9\n", f"%{SECRET}\n", "---", "\n---\n", "\n...\n", "|", "|+9\n", ">-\n", "|\n  a\n b\n", "'", '"', "\\"),
    *(
        "\ufeff",
        "\x00",
        "\x07",
        "\x7f",
        "\x9f",
        "\ufffe",
        "\U0001f600",
        "\u2013",
        "\u201c",
        "@",
        "`",
        "description: d",
        "description: ",
    ),
    *("max_age: 30d", "rotation: {before: 7d}", "rotation: ", "before: ", "descripton: ", "adopt_prefix: XCJ3+bgWywIh"),
    *(f"  {name}: {{description: d}}\n" for name in ("a", "1", "~", "'a'", '"a\\n"', SECRET)),
]
KEYS = [*manifest.KEYS, *manifest.KEYS_OF_SERIES, "rotation", "before", "overlap", "retire", "descripton", "tokens"]

VALUES = st.recursive(
    st.sampled_from(SCALARS) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(st.tuples(st.sampled_from(KEYS + SCALARS), inner), max_size=3).map(
            lambda pairs: f"{{{', '.join(f'{key}: {value}' for key, value in pairs)}}}"
        )
        | st.builds("{}{}".format, st.sampled_from(["&a ", "&b ", "!!str ", "!!int ", "!x ", "*a ", "- "]), inner)
    ),
    max_leaves=4,
)
RIGHT: Sequence[dict[str, str]] = [
    {"description": "CI deploys", "max_age": "30d", "rotate_before": "7d", "rotation_triggers": "{release: 2026-11}"},
    {"description": "'d'", "max_age_seconds": "86400", "ip_allowlist": "[192.0.2.0/24]", "scopes": "[user:read, a]"},
    {"description": '"\\u017c"', "adopt_prefix": "XCJ3+bgWywIh", "extend_when_used": "true"},
    {
        "description": "Ingest workers",
        "max_age": "60d",
        "rotation": "{before: 14d, overlap: 7d, retire: after_overlap}",
        "revocation_triggers": '{leak: "0"}',
    },
]
RIGHT_VALUES = st.sampled_from([value for entries in RIGHT for value in entries.values()])
TOKENS = st.tuples(
    st.sampled_from(["ci", "'by the second'", "1x"]) | VALUES,
    st.sampled_from(RIGHT),
    st.lists(st.tuples(mostly(st.sampled_from(KEYS), VALUES), VALUES | RIGHT_VALUES), max_size=2),
)


def _written(tokens: Sequence[tuple[str, dict[str, str], Sequence[tuple[str, str]]]]) -> str:
    lines = ["tokens:"]
    for number, (name, entries, others) in enumerate(tokens):
        lines += [f"  {name}:" if number else "  first:"]
        lines += [f"    {key}: {value}" for key, value in {**entries, **dict(others)}.items()]
    return "\n".join(lines)


def _edited(lines: Sequence[str], edits: Sequence[tuple[int, str, int, str]]) -> str:
    edited = list(lines)
    for row, how, place, text in edits:
        at = row % len(edited)
        line = edited[at]
        column = place % (len(line) + 1)
        edited[at] = {
            "insert": f"{line[:column]}{text}{line[column:]}",
            "overwrite": f"{line[:column]}{text}{line[column + len(text) :]}",
            "remove": line[:column] + line[column + 1 :],
            "indent": f" {line}",
            "outdent": line[1:],
            "repeat": f"{line}\n{line}",
            "drop": "",
            "swap": edited[at - 1],
            "after": f"{line.partition(':')[0]}: {text}",
        }[how]
    return "\n".join(edited)


EDITS = st.tuples(
    st.integers(0, 40),
    st.sampled_from(["insert", "overwrite", "remove", "indent", "outdent", "repeat", "drop", "swap", "after", "after"]),
    st.integers(0, 50),
    st.sampled_from(FRAGMENTS) | st.sampled_from(SCALARS) | st.text(max_size=3),
)
BYTES = mostly(st.text("tokens:{}[]&*!|>'\"%@`#-?, \n\tab1~<", max_size=2).map(str.encode), st.binary(max_size=2))
CONTENTS: dict[str, st.SearchStrategy[bytes]] = {
    "bytes": st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")),
    "fragments": st.builds(
        lambda start, parts: f"{start}{''.join(parts)}".encode(),
        st.sampled_from(["", "tokens:\n", "tokens:\n  a:\n    description: "]),
        st.lists(st.sampled_from(FRAGMENTS) | st.sampled_from(SCALARS), max_size=15),
    ),
    "nearly right by lines": st.builds(_edited, st.just(GOOD.split("\n")), st.lists(EDITS, min_size=1, max_size=3)).map(
        lambda text: text.encode("utf-8", "surrogatepass")
    ),
    "nearly right, of another system": st.builds(
        _edited, st.just(GOOD.split("\n")), st.lists(EDITS, min_size=1, max_size=3)
    ).map(lambda text: text.replace("\n", "\r\n").encode("utf-8", "surrogatepass")),
    "nearly right by bytes": st.lists(st.tuples(st.integers(0, len(GOOD) - 1), BYTES), min_size=1, max_size=3).map(
        lambda edits: _bytes_edited(GOOD.encode(), edits)
    ),
    "nearly right by entries": st.lists(TOKENS, min_size=1, max_size=2).map(
        lambda tokens: _written(tokens).encode("utf-8", "surrogatepass")
    ),
}


def _bytes_edited(content: bytes, edits: Sequence[tuple[int, bytes]]) -> bytes:
    for at, piece in edits:
        content = content[:at] + piece + content[at + 1 :]
    return content


def widths(content: bytes) -> list[list[int]]:
    """Tell how long each line of a file is, with lines as YAML has them, and as editors do."""
    text = content.decode("utf-8-sig", "replace")
    return [[*map(len, re.split(ends, text))] for ends in ("\r\n|[\r\n\x85\u2028\u2029]", "\n")]


def assert_sound(tokens: dict[str, manifest.Declaration]) -> None:
    """What is read can be declared: nothing is wrong with the arguments, and each is of its type."""
    for name, (arguments, is_series) in tokens.items():
        assert name
        assert not (find_faults_of_series if is_series else find_faults)(arguments)
        texts = [name]
        for argument, value in arguments.items():
            assert type(value) is TYPES[argument]
            parts = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
            texts += [*parts, value] if isinstance(value, str) else parts
        assert all(type(text) is str and is_whole(text) for text in texts)


def assert_told(error: ManifestError, content: bytes) -> None:
    """Each fault is one short line with a place in the file, and with nothing that is as long as a secret."""
    assert error.faults
    lines = widths(content)
    assert str(error).splitlines() == [inert(fault) for fault in error.faults]
    for fault in error.faults:
        assert fault.isprintable()
        assert len(fault) <= LONGEST_FAULT
        assert not any(fault[at : at + 13] in PIECES for at in range(len(fault) - 12)), "a secret is told"
        place = re.match(r"tokens\.yaml:(\d+):(\d+): .", fault)
        assert place, fault
        line, column = int(place[1]), int(place[2])
        assert any(1 <= line <= len(each) and 1 <= column <= each[line - 1] + 1 for each in lines), fault


@pytest.mark.parametrize("kind", CONTENTS)
def test_any_file_is_read_or_refused_with_places_and_no_secrets(kind: str) -> None:
    """Whatever bytes a file holds, it is read, or each of its faults is one line with a place in it."""
    cases = read = 0

    @settings(max_examples=settings().max_examples * 2, suppress_health_check=list(HealthCheck))
    @given(CONTENTS[kind])
    @example(b"tokens: {ci: {description: d, max_age_seconds: !!int {}}}")
    @example(b'tokens: {ci: {description: "\\U00110000"}}')
    @example(b'tokens: {ci: {description: "\\ud800"}}')
    @example(b'"\\x1b": 1')
    @example(f"tokens: *{SECRET[:30]}".encode())
    def holds(content: bytes) -> None:
        nonlocal cases, read
        cases += 1
        try:
            tokens = manifest.parse(content, "tokens.yaml")
        except ManifestError as error:
            assert_told(error, content)
        else:
            read += 1
            assert_sound(tokens)

    holds()
    print(f"{cases:,} manifests, {kind}; {read:,} could be read")  # noqa: T201 - for docs/reliability.md


@pytest.mark.parametrize("kind", CONTENTS)
def test_a_file_says_the_same_where_yaml_is_built_without_its_library(kind: str) -> None:
    """Both readers of PyYAML give the same tokens, or the same faults at the same places."""

    def said(content: bytes) -> object:
        try:
            return manifest.parse(content, "tokens.yaml")
        except ManifestError as error:
            return error.faults

    @settings(max_examples=settings().max_examples * 2, suppress_health_check=list(HealthCheck))
    @given(CONTENTS[kind])
    @example(b"tokens:\n  ci:\n    description: |# c\n      hello\n")
    @example(b"tokens:\n  ci:\n    description: >-#c\n      hello\n")
    @example(b"%YAML 1.1#c\n---\ntokens: {ci: {description: d}}")
    @example(b"tokens: {ci: {description: d?d}}")
    @example(GOOD.replace("\n", "\r\n").encode())
    @example(GOOD.replace("CI deploys", "CI \u2013 \u201cdeploys\u201d \U0001f680").encode())
    @example(b"tokens:\n  c\ti:\n    description: d\n")
    def holds(content: bytes) -> None:
        with pytest.MonkeyPatch.context() as build:
            build.setattr(manifest, "_HAS_LIBYAML", False)
            without = said(content)
        assert said(content) == without

    holds()


LEVELS = "abcdefghijklmnopqrstuvwxyz"
LAUGHS = "\n".join(
    ["x: &a [x, x, x, x, x, x, x, x, x]"]
    + [f"x{new}: &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in itertools.pairwise(LEVELS)]
)
"""Nine times as large with each of its lines, if anybody follows its aliases."""


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "content",
    [
        f"{LAUGHS}\ntokens: *z",
        f"{LAUGHS}\ntokens: {{a: {{description: d, scopes: *z, rotation_triggers: {{a: *z}}, x: *z}}, b: *z}}",
        "tokens: &a {tokens: *a, b: *a, description: *a, rotation: *a}",
        "&a {tokens: *a}",
        "&a {*a : *a}",
        "[" * 50_000,
        "tokens: " + "{a: " * 5000,
        "".join(f"{' ' * depth}a:\n" for depth in range(1000)),
        "? " * 5000,
        "- " * 5000,
        f"tokens: {{? {'k' * 200_000} : 1}}",
        "tokens:\n" + "".join(f"  t{number}:\n" for number in range(10_000)),
    ],
    ids=["bomb", "bombs", "loops", "loop", "key loop", "lists", "mappings", "block", "keys", "items", "long", "many"],
)
def test_hostile_file_is_refused_at_once(content: str) -> None:
    """Aliases are not followed for ever, and neither depth nor length is more than a fault."""
    with pytest.raises(ManifestError) as caught:
        manifest.parse(content.encode(), "tokens.yaml")
    assert_told(caught.value, content.encode())


def test_ten_thousand_tokens_are_read(tmp_path: Path) -> None:
    """A manifest may be long."""
    path = tmp_path / "tokens.yaml"
    path.write_text("tokens:\n" + "".join(f"  t{number}: {{description: d}}\n" for number in range(10_000)))
    tokens = manifest.load(path)
    assert len(tokens) == 10_000
    assert_sound(tokens)
