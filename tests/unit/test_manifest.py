"""What a manifest says, and how its faults are told."""

from __future__ import annotations

import contextlib
import json
import string
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pulumi_avn_token import manifest
from pulumi_avn_token.arguments import find_faults
from pulumi_avn_token.errors import ManifestError

EXAMPLES = Path(__file__).parents[2] / "examples"
PREFIX = "XCJ3+bgWywIh"
DAY = 24 * 60 * 60
NO_PLACE = "is a secret, and a manifest is no place for one; declare this token in the program"
TAKEN_OVER = "does not go with rotation: leave it out once an `up` has taken the token over: the series goes on with it"


def declarations(content: str | bytes) -> dict[str, manifest.Declaration]:
    """Load a manifest of this content from a file `tokens.yaml`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tokens.yaml")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        try:
            return manifest.load(path)
        except ManifestError as error:
            raise ManifestError([fault.removeprefix(f"{folder}/") for fault in error.faults]) from None


def load(content: str | bytes) -> dict[str, dict[str, Any]]:
    """Load a manifest of this content, and give the arguments alone."""
    return {name: declared.arguments for name, declared in declarations(content).items()}


def faults(content: str | bytes) -> tuple[str, ...]:
    """Find the faults of a manifest, without the name of its file."""
    with pytest.raises(ManifestError) as caught:
        load(content)
    assert str(caught.value) == "\n".join(caught.value.faults)
    return tuple(fault.removeprefix("tokens.yaml:") for fault in caught.value.faults)


def told(content: str) -> str:
    """Tell what is wrong with a manifest, if anything is."""
    try:
        load(content)
    except ManifestError as error:
        return str(error)
    return ""


def faults_of_token(*lines: str) -> tuple[str, ...]:
    """Find the faults of a token's entries, which begin at line 4, column 5."""
    return faults("\n".join(["tokens:", "  ci:", "    description: d", *(f"    {line}" for line in lines)]))


def test_every_key_gives_its_argument() -> None:
    """A good manifest becomes the arguments of its resources, by name and in its order."""
    content = """\
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
    rotation_triggers: {release: 2026-11, sum: 1e3, 7: yes, none: ~}
  by the second:
    description: "1234"
    max_age_seconds: 86400
    extend_when_used: false
    early_rotation_window_seconds: 3600
  notebook:
    description: Python notebooks
    adopt_prefix: XCJ3+bgWywIh
"""
    tokens = load(content)
    assert list(tokens) == ["ci-deploys", "by the second", "notebook"]
    assert tokens == {
        "ci-deploys": {
            "description": "CI deploys",
            "max_age_seconds": 30 * DAY,
            "extend_when_used": True,
            "ip_allowlist": ["192.0.2.0/24", "2001:db8::/32"],
            "scopes": ["user:read"],
            "early_rotation_window_seconds": 7 * DAY,
            "rotation_triggers": {"release": "2026-11", "sum": "1e3", "7": "yes", "none": "~"},
        },
        "by the second": {
            "description": "1234",
            "max_age_seconds": 86400,
            "extend_when_used": False,
            "early_rotation_window_seconds": 3600,
        },
        "notebook": {"description": "Python notebooks", "adopt_prefix": PREFIX},
    }


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/tokens.yaml")), ids=lambda path: path.parent.name)
def test_example_loads(path: Path) -> None:
    """Each manifest among the examples is a good one."""
    assert manifest.load(path)


def test_no_tokens_are_none() -> None:
    """A manifest may declare no token."""
    assert load("tokens: {}") == {}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("600s", 600), ("10m", 600), ("12h", 12 * 60 * 60), ("30d", 30 * DAY), ("2w", 14 * DAY), ("0600s", 600)],
)
def test_duration_has_a_unit(text: str, seconds: int) -> None:
    """Durations are a number and one of s m h d w."""
    tokens = load(f"tokens: {{ci: {{description: d, max_age: {text}}}}}")
    assert tokens["ci"]["max_age_seconds"] == seconds


@given(st.integers(600, 315_360_000))
def test_duration_of_every_age_is_read(seconds: int) -> None:
    """Every age can be written as seconds, with its unit or without."""
    for entry in (f"max_age: {seconds}s", f"max_age: '{seconds}s'", f"max_age_seconds: {seconds}"):
        assert load(f"tokens: {{ci: {{description: d, {entry}}}}}")["ci"]["max_age_seconds"] == seconds


UNIT = "must be a number and a unit, one of s m h d w, such as 30d"
WHOLE = "must be a whole number of seconds, such as 2592000"
LIMITS = "must be a whole number of seconds from 600 to 315360000"
LESS = "must be less than the age, by default 2592000 (30 days)"
NETWORKS = "must hold addresses and networks such as 192.0.2.0/24"
AGE = "4:22: tokens.ci.max_age_seconds"
FLAG = "4:23: tokens.ci.extend_when_used: must be true or false, in lower case and without quotes"
KEYS = (
    "description, max_age, max_age_seconds, extend_when_used, ip_allowlist, scopes, rotation_triggers,"
    " credentials, rotate_before, early_rotation_window_seconds, adopt_prefix, rotation"
)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        *((f"max_age: {text}", f"4:14: tokens.ci.max_age: {UNIT}") for text in ("30", "d", "1.5d", "30D", "-1d")),
        *((f"max_age: {text}", f"4:14: tokens.ci.max_age: {UNIT}") for text in ("[30d]", "''", "30 d", "30d7h", "~")),
        ("max_age: 1s", f"4:14: tokens.ci.max_age: {LIMITS}, not 1"),
        ("rotate_before: soon", f"4:20: tokens.ci.rotate_before: {UNIT}"),
        ("rotate_before: 30d", f"4:20: tokens.ci.rotate_before: {LESS}, not 2592000"),
        *((f"max_age_seconds: {text}", f"{AGE}: {WHOLE}") for text in ("'600'", "6e2", "30d", "+600", "1:30")),
        (f"max_age_seconds: {'9' * 5000}", f"{AGE}: {WHOLE}"),
        ("max_age_seconds: 599", f"{AGE}: {LIMITS}, not 599"),
        *((f"extend_when_used: {text}", FLAG) for text in ("yes", "1", "True", "'true'", "~")),
        ("scopes: user:read", "4:13: tokens.ci.scopes: must be a list"),
        ("scopes: {user: read}", "4:13: tokens.ci.scopes: must be a list"),
        ("scopes: [1]", '4:14: tokens.ci.scopes: must be text: write it in quotes, "1"'),
        ("scopes: [[user]]", "4:14: tokens.ci.scopes: must be text, and not empty"),
        ("scopes: ['']", "4:14: tokens.ci.scopes: must be text, and not empty"),
        ("ip_allowlist: [nowhere]", f"4:19: tokens.ci.ip_allowlist: {NETWORKS}; number 1 is none"),
        ("rotation_triggers: x", "4:24: tokens.ci.rotation_triggers: must be a mapping"),
        ("rotation_triggers: {a: [1]}", "4:28: tokens.ci.rotation_triggers: must hold plain values"),
        ("rotation_triggers: {a: ''}", "4:28: tokens.ci.rotation_triggers: must not be empty: write null, or a text"),
        ("rotation_triggers: {[a]: b}", "4:25: tokens.ci.rotation_triggers: must hold plain values"),
        ("rotation_triggers: {a: b, 'a': c}", "4:31: tokens.ci.rotation_triggers: a is there twice"),
        ("adopt_prefix: 1234", '4:19: tokens.ci.adopt_prefix: must be text: write it in quotes, "1234"'),
        ("adopt_prefix: ''", "4:19: tokens.ci.adopt_prefix: must be text, and not empty"),
        ("max_agee: 30d", "4:5: tokens.ci: unknown key 'max_agee'; is max_age meant?"),
        ("rotation_trigger: x", "4:5: tokens.ci: unknown key 'rotation_trigger'; is rotation_triggers meant?"),
        ("colour: red", f"4:5: tokens.ci: unknown key 'colour'; there are {KEYS}"),
        (f"{'x' * 40}: red", f"4:5: tokens.ci: unknown key '{'x' * 12}…'; there are {KEYS}"),
        ("description: e", "4:5: tokens.ci: description is there already, at line 3"),
        ("1: x", '4:5: tokens.ci: a key must be text: write it in quotes, "1"'),
        ("yes: x", '4:5: tokens.ci: a key must be text: write it in quotes, "yes"'),
        ("[a]: x", "4:5: tokens.ci: a key must be text, and not empty"),
        ("null: x", "4:5: tokens.ci: a key must be text, and not empty"),
        ("'': x", "4:5: tokens.ci: a key must be text, and not empty"),
        ("<<: {max_age: 30d}", "4:5: tokens.ci: a key must be text; merging (<<) is not supported"),
    ],
)
def test_fault_of_a_value_is_told_with_its_place(line: str, fault: str) -> None:
    """Each fault names file, line and column, the entry, and what it must be."""
    assert faults_of_token(line) == (fault,)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1234", "1234"),
        ("2026-11-24", "2026-11-24"),
        ("12.50", "12.50"),
        ("yes", "yes"),
        ("0x1F", "0x1F"),
        ("!custom x", "x"),
        ("1234567890" * 3, "123456789012…"),
    ],
)
def test_description_that_yaml_takes_for_something_else_asks_for_quotes(text: str, shown: str) -> None:
    """A number, a date or a boolean is no text, and is never turned into one."""
    assert faults(f"tokens: {{ci: {{description: {text}}}}}") == (
        f'1:28: tokens.ci.description: must be text: write it in quotes, "{shown}"',
    )


@pytest.mark.parametrize("text", ["", "~", "null", "''", "[d]", "{d: d}"])
def test_description_that_is_no_text_is_a_fault(text: str) -> None:
    """Nothing, a list or a mapping is no description."""
    assert faults(f"tokens:\n  ci:\n    description: {text}".rstrip()) == (
        f"3:{18 if text else 17}: tokens.ci.description: must be text, and not empty",
    )


def test_description_that_is_missing_is_told_at_the_token() -> None:
    """What is not there is told at the name of the token that lacks it."""
    assert faults("tokens:\n  ci:\n    max_age: 30d") == ("2:3: tokens.ci.description: is missing",)


def test_description_that_is_too_long_is_counted_and_not_shown() -> None:
    """The fault tells the length."""
    assert faults(f"tokens: {{ci: {{description: {'x' * 1001}}}}}") == (
        "1:28: tokens.ci.description: must have at most 1000 characters, not 1001",
    )


@pytest.mark.parametrize(
    ("first", "second", "name"),
    [
        ("max_age: 30d", "max_age_seconds: 600", "max_age_seconds says the same as max_age"),
        ("max_age_seconds: 600", "max_age: 30d", "max_age says the same as max_age_seconds"),
        (
            "rotate_before: 7d",
            "early_rotation_window_seconds: 600",
            "early_rotation_window_seconds says the same as rotate_before",
        ),
    ],
)
def test_two_keys_for_one_argument_are_a_fault(first: str, second: str, name: str) -> None:
    """An argument is given by one of its keys."""
    assert faults_of_token(first, second) == (f"5:5: tokens.ci: {name}",)


def test_all_faults_are_told_in_the_order_of_the_file() -> None:
    """Whatever is wrong anywhere is told at once, sorted by line and column."""
    content = """\
extra: 1
tokens:
  ci:
    adopt_prefix: XCJ3+bgWywIh
    scopes: [1]
    max_age: forever
    colour: red
  ci:
    description: d
  nothing:
  ingest:
    rotate_before: 60d
    max_age: 30d
    description: ""
  notebook:
    description: d
    adopt_prefix: XCJ3+bgWywIh
more: 2
"""
    assert [fault.split(": ")[0] for fault in faults(content)] == [
        "1:1",  # extra
        "3:3",  # no description
        "5:14",  # scopes
        "6:14",  # max_age
        "7:5",  # colour
        "8:3",  # ci again
        "10:3",  # no description
        "10:11",  # nothing
        "12:20",  # rotate_before
        "14:18",  # description
        "15:3",  # adopted twice
        "18:1",  # more
    ]


def test_fault_names_the_file_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An editor can follow a fault to its place, from where the command ran."""
    Path(tmp_path, "tokens.yaml").write_text("tokens: 1", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for path in ("tokens.yaml", "./tokens.yaml", str(tmp_path / "tokens.yaml")):
        with pytest.raises(ManifestError) as caught:
            manifest.load(path)
        assert str(caught.value) == f"{path}:1:9: tokens: must be a mapping"


@pytest.mark.parametrize("content", ["", "# nothing\n", "---\n", "~", "tokens", "[tokens]", "1"])
def test_manifest_is_a_mapping(content: str) -> None:
    """A file of anything else, or of nothing, is told to be no manifest."""
    first, second = faults(content)
    assert first.endswith(": the manifest: must be a mapping")
    assert second.endswith(": tokens is missing")


def test_manifest_has_tokens_and_nothing_else() -> None:
    """A key beside `tokens` is a mistake, and so is a file without it."""
    assert faults("token: {}") == (
        "1:1: unknown key 'token'; the manifest has the one key tokens",
        "1:1: tokens is missing",
    )
    assert faults("tokens: {}\ntokens: {}") == ("2:1: the manifest: tokens is there already, at line 1",)
    assert faults("tokens: [a]") == ("1:9: tokens: must be a mapping",)
    assert faults("tokens:") == ("1:8: tokens: must be a mapping",)


def test_two_cannot_adopt_the_same_token() -> None:
    """The second that adopts a token is told of the first."""
    content = "tokens:\n" + "".join(f"  {name}: {{description: d, adopt_prefix: {PREFIX}}}\n" for name in "abc")
    assert faults(content) == (
        "3:3: tokens.b: adopts the same token as tokens.a",
        "4:3: tokens.c: adopts the same token as tokens.a",
    )


SECRETS = st.text(string.ascii_letters + string.digits + "+/", min_size=33, max_size=400).filter(
    lambda text: not text.isdigit()
)
NO_PLACE = "is a secret, and a manifest is no place for one; declare this token in the program"


@given(SECRETS)
def test_secret_in_a_manifest_is_refused_and_not_shown(secret: str) -> None:
    """A manifest is committed: a secret in it is refused under either key, and no fault repeats it."""
    found = faults_of_token(f"adopt_prefix: '{secret}'", f"full_token: '{secret}'")
    assert found == (f"4:19: tokens.ci.adopt_prefix: {NO_PLACE}", f"5:17: tokens.ci.full_token: {NO_PLACE}")


@pytest.mark.parametrize("value", ["", "1", "[x]", "{x: y}", "short"])
def test_full_token_is_refused_whatever_it_is(value: str) -> None:
    """The key itself is no manifest's."""
    assert [fault.split(": ", 2)[2] for fault in faults_of_token(f"full_token: {value}".rstrip())] == [NO_PLACE]


@given(SECRETS)
def test_no_fault_shows_a_secret_that_was_put_in_a_wrong_place(secret: str) -> None:
    """No fault says more of any value than may be seen of a token."""
    for key in manifest.KEYS:
        for value in (f"'{secret}'", secret, f"!x {secret}", f"['{secret}', 1]", f"{{a: '{secret}', b: []}}"):
            if key in ("description", "scopes") and value[0] not in "{!":
                continue
            assert secret[:13] not in told(f"tokens: {{ci: {{description: d, {key}: {value}}}}}")
    for content in (
        f"tokens: {{ci: {{{secret}: 1}}}}",
        f"{secret}: 1",
        f"tokens: *{secret.replace('+', '').replace('/', '')}xxx",
    ):
        assert secret[:13] not in "".join(faults(content))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (
            "tokens:\n\tci: x",
            "2:1: is not YAML: while scanning for the next token found character '\\t' that cannot start any token",
        ),
        ("tokens: [a", "1:11: is not YAML: while parsing a flow sequence expected ',' or ']', but got '<stream end>'"),
        ("tokens: {a: b: c}", "1:14: is not YAML: while parsing a flow mapping expected ',' or '}', but got ':'"),
        ("a: b: c", "1:5: is not YAML: mapping values are not allowed here"),
        ("tokens: 'x", "1:11: is not YAML: while scanning a quoted scalar found unexpected end of stream"),
        ("a: 1\n---\nb: 2", "2:1: is not YAML: expected a single document in the stream but found another document"),
        ("tokens: *nothing", "1:9: is not YAML: found undefined alias 'nothing'"),
        ("a: b\n  \x07", "2:3: is not YAML: special characters are not allowed"),
        ("\x00", "1:1: is not YAML: special characters are not allowed"),
    ],
)
def test_what_is_not_yaml_is_told_with_its_place(content: str, fault: str) -> None:
    """The parser's words come with the place, and without a quotation of the file."""
    assert faults(content) == (fault,)


def test_unreadable_file_is_told(tmp_path: Path) -> None:
    """A file that is missing, or is a folder, is named with the reason."""
    for path, reason in ((tmp_path / "none.yaml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(ManifestError) as caught:
            manifest.load(path)
        assert caught.value.faults == (f"{path}: cannot be read: {reason}",)


@pytest.mark.parametrize("name", ["a\0b.yaml", "a\ud800.yaml"])
def test_name_that_no_file_can_have_is_told(name: str) -> None:
    """What Python says of such a name is no fault of a manifest."""
    with pytest.raises(ManifestError) as caught:
        manifest.load(name)
    assert caught.value.faults == (f"{name!a}: cannot be read: no file can have this name",)


def test_text_in_another_encoding_is_told() -> None:
    """A file that is not UTF-8 is said not to be, with the place of its first wrong byte."""
    with pytest.raises(ManifestError) as caught:
        load("tokens: {ci: {description: é}}".encode("latin-1"))
    assert str(caught.value) == "tokens.yaml:1:28: is not UTF-8 text"


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_what_editors_leave_behind_does_not_matter(mark: str, line_end: str) -> None:
    """A byte-order mark and Windows' line ends change nothing, not even a fault's place."""
    good = f"{mark}tokens:{line_end}  ci:{line_end}    description: d{line_end}"
    assert load(good) == {"ci": {"description": "d"}}
    assert faults(f"{good}    colour: red")[0].startswith("4:5: ")
    assert faults(f"{mark}token: {{}}")[0].startswith("1:1: ")


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "[{"])
def test_deep_nesting_is_a_fault(opening: str) -> None:
    """A file that is nested without end is refused, and takes nothing down."""
    assert faults(opening * 50_000) == ("1:1: is nested too deeply",)


def bomb(levels: int) -> str:
    """Give a manifest of a few lines whose `a{levels}` stands for 10**levels texts."""
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels + 1)]
    return "\n".join([*lines, ""])


TOO_LARGE = "1:1: is too large: it comes to over 1,000,000 values, each alias counted as what it stands for"


@pytest.mark.timeout(30)
@pytest.mark.parametrize("key", manifest.KEYS)
def test_alias_bomb_stays_quick(key: str) -> None:
    """A list of lists of aliases is counted, and never written out; one that is small is refused for what it is."""
    assert faults(f"{bomb(30)}tokens: {{ci: {{{key}: *a30}}}}") == (TOO_LARGE,)
    assert any(f"tokens.ci.{key}: " in fault for fault in faults(f"{bomb(2)}tokens: {{ci: {{{key}: *a2}}}}"))


def shared(entries: str, times: int) -> str:
    """Give a manifest of one token that stands under so many names."""
    aliases = "".join(f"  t{number}: *t\n" for number in range(1, times))
    return f"tokens:\n  t0: &t {{description: d, max_age: 30d, {entries}}}\n{aliases}"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("entries", ["scopes: [{}]", "rotation_triggers: {{{}}}", "ip_allowlist: [{}]", "{}"])
def test_token_of_many_values_under_many_names_is_counted(monkeypatch: pytest.MonkeyPatch, entries: str) -> None:
    """What grows with the square of a file is refused before any of it is read."""
    items = ", ".join(f"k{number}: v" if "[" not in entries else f"s{number}" for number in range(3000))
    content = shared(entries.format(items), 3000)
    monkeypatch.setattr("pulumi_avn_token.manifest._Reader.manifest", None)
    assert len(content) < 2**16
    assert faults(content) == (TOO_LARGE,)


def test_ten_thousand_tokens_are_not_too_large() -> None:
    """A manifest of 10,000 tokens that share their lists is far from the limit."""
    entries = f"scopes: [{', '.join(f's{number}' for number in range(20))}], rotation_triggers: {{a: b, c: d}}"
    assert len(load(shared(entries, 10_000))) == 10_000


def test_no_more_faults_are_told_than_help() -> None:
    """After a thousand faults the reading ends, and says so."""
    told = faults(shared("scopes: [1, 2, 3, 4]", 400))
    assert (len(told), len(set(told[:-1]))) == (1001, 1000)
    assert told[-1] == "2:59: there is more that is wrong; correct this first"
    exactly = faults(shared("scopes: [1, 2, 3, 4]", 250))
    assert len(exactly) == 1000
    assert "there is more" not in exactly[-1]


def test_alias_bomb_in_adopt_prefix_is_not_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list under `adopt_prefix` is refused without being written out, which would take for ever."""

    def written_out(_node: yaml.Node) -> str:
        pytest.fail("the tree was written out")

    monkeypatch.setattr(yaml.Node, "__repr__", written_out)
    assert faults(f"{bomb(2)}tokens: {{ci: {{description: d, adopt_prefix: *a2}}}}")


def test_anchor_that_holds_itself_is_a_fault() -> None:
    """A list or a mapping inside itself has no end."""
    no_end = "an alias inside this stands for it, so it has no end"
    assert faults("a: &a [*a]\ntokens: {ci: *a}") == (f"1:4: {no_end}",)
    assert faults("tokens: &a {ci: *a}") == (f"1:9: {no_end}",)


def test_anchors_and_aliases_can_be_used() -> None:
    """What several tokens have in common can be written once."""
    tokens = load(
        "tokens:\n  a: {description: &d Common, ip_allowlist: &net [192.0.2.0/24]}\n"
        "  b: {description: *d, ip_allowlist: *net}\n"
    )
    assert tokens["a"] == tokens["b"] == {"description": "Common", "ip_allowlist": ["192.0.2.0/24"]}


TEXTS = st.text(min_size=1, max_size=60)
"""Every script, control characters and line ends included."""
TOKENS = st.fixed_dictionaries(
    {"description": TEXTS},
    optional={
        "max_age_seconds": st.integers(2 * DAY, 315_360_000),
        "early_rotation_window_seconds": st.integers(1, DAY),
        "extend_when_used": st.booleans(),
        "ip_allowlist": st.lists(st.ip_addresses().map(str), max_size=4),
        "scopes": st.lists(TEXTS, max_size=4),
        "rotation_triggers": st.dictionaries(TEXTS, TEXTS, max_size=3),
    },
)


@given(
    tokens=st.dictionaries(TEXTS, TOKENS, max_size=4),
    prefixes=st.lists(st.text(string.ascii_letters + "+/=", min_size=1, max_size=32), unique=True, max_size=4),
    flow=st.booleans(),
    as_is=st.booleans(),
)
def test_arguments_written_as_yaml_are_read_back(
    tokens: dict[str, dict[str, Any]], prefixes: list[str], *, flow: bool, as_is: bool
) -> None:
    """Whatever is sound as arguments can be written as a manifest by any YAML program, and reads the same."""
    for token, prefix in zip(tokens.values(), prefixes, strict=False):
        token["adopt_prefix"] = prefix
    assert not any(find_faults(token) for token in tokens.values())
    content = yaml.safe_dump(
        {"tokens": tokens}, default_flow_style=flow, allow_unicode=as_is, sort_keys=False, width=40
    )
    assume(yaml.safe_load(content)["tokens"] == tokens)  # the writer loses some of what it does not escape
    assert load(content) == tokens


@pytest.mark.parametrize("style", [None, "'", '"', "|", ">"])
@pytest.mark.parametrize(
    "text",
    [
        'it\'s "quoted": {and} [more] # than that',
        *(
            "null",
            "~",
            "1234",
            "1e3",
            "2026-11-24",
            "12:30",
            "yes",
            "true",
            "<<",
            "=",
            "- a",
            "?",
            "%",
            "@",
            "`",
            "---",
        ),
        " two\n\nlines \r\n",
        "\x00\x1b[2J\x7f",
        "\x85\u2028\ufeff🙂 żółw 日本語 עברית",
    ],
)
def test_text_that_looks_like_something_else_is_read_back(text: str, style: str | None) -> None:
    """What has a meaning in YAML is text where it is quoted, as a name and as a description."""
    tokens = {text: {"description": text}}
    for as_is in (True, False):
        assert load(yaml.safe_dump({"tokens": tokens}, default_style=style, allow_unicode=as_is)) == tokens


@given(st.text() | st.text("tokens:{}[]&*!|>'\"%@`#-?, \n\tab1~<") | st.binary())
@example("%")
@example("!<")
@example("tokens: {ci: {description: &a *a}}")
@example('tokens: {ci: {description: "\\x"}}')
@example("\ud7ff\ue000\U0010ffff")
def test_random_text_raises_nothing_else(content: str | bytes) -> None:
    """Whatever a file holds, it is read, or refused as a manifest."""
    with contextlib.suppress(ManifestError):
        load(content)


@pytest.mark.parametrize(
    "content",
    ['"\\UFFFFFFFF"', '"\\U00110000"', f"%YAML 1.{'1' * 5000}\n---\ntokens: {{}}"],
    ids=["far", "near", "directive"],
)
def test_number_too_large_for_the_parser_is_a_fault(content: str) -> None:
    """An escape of a character that there is not is a fault of the file like any other."""
    assert faults(content)


def test_text_that_cannot_be_written_is_a_fault() -> None:
    """A text of which no UTF-8 can be made is no description."""
    assert faults('tokens: {ci: {description: "\\ud800"}}')


@pytest.mark.parametrize("name", ["a\\nb", "\\e[2J", "\\u202e"])
def test_fault_is_one_line_fit_for_a_terminal(name: str) -> None:
    """A fault is one line, and holds nothing that a terminal would act on."""
    for fault in faults(f'tokens: {{"{name}": {{}}}}'):
        assert fault.isprintable()


def test_every_item_of_a_list_is_told() -> None:
    """All faults of a list are told at once, each at its item."""
    assert [fault.split(": ")[0] for fault in faults_of_token("scopes: [user:read, 1, 2]")] == ["4:25", "4:28"]


def test_key_that_is_there_twice_is_cut() -> None:
    """A secret pasted as a key is not shown in full by any of its faults."""
    secret = PREFIX[:4] + "aB3" * 20
    assert secret not in "".join(faults(f"tokens: {{ci: {{{secret}: 1, {secret}: 2}}}}"))


def test_hint_is_a_key_that_can_be_used() -> None:
    """Nobody is led to a key that is refused."""
    assert "full_token" not in faults_of_token("full_tokn: x")[0]


def faults_of_series(*lines: str, age: str = "max_age: 60d") -> tuple[str, ...]:
    """Find the faults of a token's entries, which begin at line 5, column 5."""
    return faults_of_token(age, *lines)


SERIES = {"description": "d", "max_age_seconds": 60 * DAY, "early_rotation_window_seconds": 14 * DAY}


@pytest.mark.parametrize(
    ("entries", "arguments"),
    [
        ("rotation: {before: 14d}", {}),
        ("rotation: {before: 2w, overlap: 0s}", {"overlap_seconds": 0}),
        (
            "rotation: {before: 14d, overlap: 7d, retire: after_overlap}",
            {"overlap_seconds": 7 * DAY, "retire_previous": "after_overlap"},
        ),
        (
            "scopes: [user:read], ip_allowlist: [192.0.2.1], rotation: {retire: when_idle, before: 14d}",
            {"retire_previous": "when_idle", "scopes": ["user:read"], "ip_allowlist": ["192.0.2.1"]},
        ),
        (
            "rotation: {before: 14d}, rotation_triggers: {release: 2026-11}, revocation_triggers: {leak: no}",
            {
                "rotation_triggers": {"release": "2026-11"},
                "revocation_triggers": {"leak": "no"},
            },
        ),
    ],
)
def test_rotation_makes_it_a_series(entries: str, arguments: dict[str, Any]) -> None:
    """A token with `rotation` is a series; what is not written stays the resource's default."""
    content = (
        f"tokens: {{ci: {{description: d, max_age: 60d, {entries}}}, plain: {{description: d, rotate_before: 1d}}}}"
    )
    assert declarations(content) == {
        "ci": manifest.Declaration({**SERIES, **arguments}, is_series=True),
        "plain": manifest.Declaration({"description": "d", "early_rotation_window_seconds": DAY}, is_series=False),
    }


KEYS_OF_SERIES = (
    "description, max_age, max_age_seconds, extend_when_used, ip_allowlist, scopes, rotation_triggers,"
    " credentials, revocation_triggers"
)
ROTATION = "tokens.ci.rotation"


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["rotation: {}"], [f"2:3: {ROTATION}.before: is missing"]),
        (["rotation: {overlap: 7d}"], [f"2:3: {ROTATION}.before: is missing"]),
        (["rotation:"], [f"5:14: {ROTATION}: must be a mapping"]),
        (["rotation: 14d"], [f"5:15: {ROTATION}: must be a mapping"]),
        (["rotation: [before]"], [f"5:15: {ROTATION}: must be a mapping"]),
        (["rotation: {before: soon}"], [f"5:24: {ROTATION}.before: {UNIT}"]),
        (["rotation: {before: 1209600}"], [f"5:24: {ROTATION}.before: {UNIT}"]),
        (
            ["rotation: {before: 60d}"],
            [f"5:24: {ROTATION}.before: must be less than max_age (5184000), not 5184000"],
        ),
        (["rotation: {before: 14d, overlap: 1}"], [f"5:38: {ROTATION}.overlap: {UNIT}"]),
        (
            ["rotation: {overlap: 15d, before: 14d}"],
            [f"5:25: {ROTATION}.overlap: must be at most rotation.before (1209600), not 1296000"],
        ),
        (
            ["rotation:", "  before: 14d", "  retire: at once"],
            [f"7:15: {ROTATION}.retire: must be one of when_idle, after_overlap"],
        ),
        (["rotation: {before: 14d, retire: 1}"], [f'5:37: {ROTATION}.retire: must be text: write it in quotes, "1"']),
        (["rotation: {before: 14d, before: 7d}"], [f"5:29: {ROTATION}: before is there already, at line 5"]),
        (["rotation: {before: 14d}", "rotation: {}"], ["6:5: tokens.ci: rotation is there already, at line 5"]),
        (
            ["rotation: {before: 14d}", "rotate_before: 7d"],
            ["6:5: tokens.ci: rotate_before does not go with rotation: set rotation.before"],
        ),
        (
            ["early_rotation_window_seconds: 60", "rotation: {before: 14d}"],
            ["5:5: tokens.ci: early_rotation_window_seconds does not go with rotation: set rotation.before"],
        ),
        (
            ["rotation: {before: 14d}", f"adopt_prefix: {PREFIX}", "full_token: x"],
            [
                f"6:5: tokens.ci: adopt_prefix {TAKEN_OVER}",
                f"7:5: tokens.ci: full_token {NO_PLACE}",
            ],
        ),
        (["revocation_triggers: {leak: 1}"], ["5:5: tokens.ci: revocation_triggers needs rotation beside it"]),
        (
            ["rotation: {before: 14d}", "revocation_trigger: {leak: 1}"],
            ["6:5: tokens.ci: unknown key 'revocation_trigger'; is revocation_triggers meant?"],
        ),
        (
            ["rotation: {before: 14d}", "colour: red"],
            [f"6:5: tokens.ci: unknown key 'colour'; there are {KEYS_OF_SERIES}"],
        ),
        (["overlap: 1d"], ["5:5: tokens.ci: overlap belongs under rotation"]),
        (
            ["rotation: {before: 14d, rotate_before: 7d}"],
            ["5:29: tokens.ci: unknown key 'rotate_before'; is rotation.before meant?"],
        ),
        (["rotations: {before: 14d}"], ["5:5: tokens.ci: unknown key 'rotations'; is rotation meant?"]),
        (
            ["rotation: {before: 14d}", "revocation_triggers: [a]"],
            ["6:26: tokens.ci.revocation_triggers: must be a mapping"],
        ),
        (
            ["rotation:", "  overlap: soon", "  retire: never", "scopes: x", "rotate_before: 1d"],
            [
                f"2:3: {ROTATION}.before: is missing",
                f"6:16: {ROTATION}.overlap: {UNIT}",
                f"7:15: {ROTATION}.retire: must be one of when_idle, after_overlap",
                "8:13: tokens.ci.scopes: must be a list",
                "9:5: tokens.ci: rotate_before does not go with rotation: set rotation.before",
            ],
        ),
    ],
)
def test_fault_of_a_rotation_is_told_with_its_place(lines: list[str], found: list[str]) -> None:
    """Each fault of a series names its key as it is written, nested or not, and none hides another."""
    assert faults_of_series(*lines) == tuple(found)


def test_series_needs_an_age() -> None:
    """What never has to end by itself cannot be rotated in time: the age is told to be missing, at the token's name."""
    assert faults_of_series("rotation: {before: 14d}", age="") == ("2:3: tokens.ci.max_age: is missing",)


def test_misspelt_key_of_a_rotation_is_told_as_it_is_written() -> None:
    """Who misspells a key under `rotation` is told of it, and of the one that is meant."""
    first, second = faults_of_series("rotation: {befor: 14d}")
    assert first == f"2:3: {ROTATION}.before: is missing"
    assert second.startswith("5:16: tokens.ci")
    assert "befor" in second
    assert second.endswith("is rotation.before meant?")


def test_character_that_json_escapes_in_two_halves_is_one() -> None:
    """A manifest that a program wrote as JSON, ASCII alone, says the same as one that a person typed."""
    document = {"tokens": {"rocket 🚀": {"description": "🚀 deploys", "rotation_triggers": {"🚀": "🗝"}}}}
    text = json.dumps(document)
    assert "\\ud83d" in text
    (declaration,) = manifest.parse(text.encode(), "t.yaml").values()
    assert declaration.arguments == document["tokens"]["rocket 🚀"]
