"""A manifest of tokens (`tokens.yaml`) -> the arguments of their resources, or every fault with its place."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import chain
from typing import Any, Literal, NamedTuple, TypeVar

import yaml

from pulumi_avn_token.arguments import find_faults, find_faults_of_series
from pulumi_avn_token.durations import parse_duration
from pulumi_avn_token.errors import Fault, ManifestError
from pulumi_avn_token.model import LONGEST_PREFIX, PREFIX_LENGTH

LONGEST_SHOWN = 20
"""Characters of what a file holds that a fault shows whole."""

MOST_VALUES = 1_000_000
"""How many values a manifest may come to, each alias counted as what it stands for; 10,000 tokens come to a third."""

MOST_FAULTS = 1_000
"""How many faults are told; more are no help."""

_HAS_LIBYAML = yaml.__with_libyaml__ and yaml._yaml.get_version() >= (0, 2, 6)  # noqa: SLF001 - told nowhere else
"""Whether PyYAML has libyaml, and one that does not end the process where a text is nested deeply."""

_ODD = re.compile(
    "[^\n\r ->@-~\u00a1-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|\r(?!\n)|[|>][-+0-9]*#|^%",
    re.MULTILINE,
)
"""What PyYAML may read otherwise with libyaml than without it: tabs, question marks, controls, and two forms."""

_BEING_COUNTED = 0

_Value = TypeVar("_Value")


class Declaration(NamedTuple):
    """A token of the manifest, as its resource is to be declared."""

    arguments: dict[str, Any]
    is_series: bool
    """Whether it is a `RotatingAccessToken`; else it is an `AccessToken`."""


def load(path: str | os.PathLike[str]) -> dict[str, Declaration]:
    """Read a manifest: the tokens by name.

    ManifestError: all that is wrong with it, each as `FILE:LINE:COLUMN: what`.
    """
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - takes what users have: a string or a path
            content = file.read()
    except OSError as error:
        raise ManifestError([f"{name}: cannot be read: {error.strerror}"]) from None
    except ValueError:  # a null character, or half a one
        raise ManifestError([f"{name!a}: cannot be read: no file can have this name"]) from None
    return parse(content, name)


def parse(content: bytes, name: str) -> dict[str, Declaration]:
    """Read what a manifest holds, as `load` does; `name` is its file's, for the faults."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        *lines, last = error.object[: error.start].decode().split("\n")
        raise ManifestError([Fault(name, len(lines) + 1, len(last) + 1, "is not UTF-8 text")]) from None
    if _HAS_LIBYAML and not _ODD.search(text):  # it needs a sixth of the time
        with suppress(ManifestError):  # and tells of faults in other words, at other places
            return _parse(text, name, yaml.CSafeLoader)
    return _parse(text, name, yaml.SafeLoader)


def _parse(text: str, name: str, loader: type[yaml.SafeLoader | yaml.CSafeLoader]) -> dict[str, Declaration]:
    try:
        root = yaml.compose(text, Loader=loader)
        _check_size(root)
    except RecursionError:
        raise ManifestError([Fault(name, 1, 1, "is nested too deeply")]) from None
    except yaml.YAMLError as error:
        raise ManifestError([Fault(name, *_describe(error, text))]) from None
    except _Fault as fault:
        raise ManifestError([Fault(name, *fault.place, fault.what)]) from None
    except (ValueError, OverflowError):
        raise ManifestError([Fault(name, 1, 1, "is not YAML: an escape or a number in it is too large")]) from None
    reader, tokens, is_all = _Reader(), {}, True
    try:
        tokens = reader.manifest(root)
    except _TooMany:
        is_all = False
    if reader.faults:
        faults = sorted(reader.faults, key=lambda fault: fault.place)
        told = [Fault(name, *fault.place, fault.what) for fault in faults]
        if not is_all:
            told.append(Fault(name, *faults[-1].place, "there is more that is wrong; correct this first"))
        raise ManifestError(told)
    return tokens


def _check_size(root: yaml.Node | None) -> None:
    """Refuse what its aliases make too large, before any of it is read. _Fault: it is."""
    if root is not None and _count(root, {}) > MOST_VALUES:
        what = f"is too large: it comes to over {MOST_VALUES:,} values, each alias counted as what it stands for"
        raise _Fault(None, what)


def _count(node: yaml.Node, counted: dict[int, int]) -> int:
    """How many values a node comes to, each alias in it counted as what it stands for. _Fault: it holds itself."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if counted.get(id(node)) == _BEING_COUNTED:
        raise _Fault(node, "an alias inside this stands for it, so it has no end")
    if id(node) not in counted:
        counted[id(node)] = _BEING_COUNTED
        children = chain.from_iterable(node.value) if isinstance(node, yaml.MappingNode) else node.value
        counted[id(node)] = 1 + sum([_count(child, counted) for child in children])
    return counted[id(node)]


class _Fault(Exception):  # noqa: N818 - collected rather than raised, mostly
    def __init__(self, node: yaml.Node | None, what: str) -> None:
        super().__init__(what)
        self.node = node
        self.what = what
        self.place = (node.start_mark.line + 1, node.start_mark.column + 1) if node is not None else (1, 1)


class _Faults(Exception):  # noqa: N818 - several of them
    def __init__(self, faults: list[_Fault]) -> None:
        super().__init__()
        self.faults = faults


class _TooMany(Exception):  # noqa: N818 - ends the reading
    pass


class _Told(NamedTuple):
    """What a token's entries say."""

    arguments: dict[str, Any]
    places: dict[str, tuple[str, yaml.Node]]
    """The key and the place of each argument."""
    unread: set[str]
    """The arguments that are there, and cannot be read."""


class _Reader:
    """Walks the tree of nodes, and goes on after a fault."""

    def __init__(self) -> None:
        self.faults: list[_Fault] = []

    def _tell(self, node: yaml.Node | None, what: str) -> None:
        if len(self.faults) == MOST_FAULTS:
            raise _TooMany
        self.faults.append(_Fault(node, what))

    def manifest(self, root: yaml.Node | None) -> dict[str, Declaration]:
        entries = self._entries(root, "the manifest")
        for key, (key_node, _) in entries.items():
            if key != "tokens":
                self._tell(key_node, f"unknown key '{_cut(key)}'; the manifest has the one key tokens")
        if "tokens" not in entries:
            self._tell(root, "tokens is missing")
            return {}
        nodes = self._entries(entries["tokens"][1], "tokens")
        tokens = {name: self._token(f"tokens.{_cut(name)}", *node) for name, node in nodes.items()}
        adopters: dict[str, str] = {}
        for name, (arguments, _) in tokens.items():
            if "adopt_prefix" not in arguments:
                continue
            first = adopters.setdefault(arguments["adopt_prefix"], name)
            if first != name:
                what = f"tokens.{_cut(name)}: adopts the same token as tokens.{_cut(first)}"
                self._tell(nodes[name][0], what)
        return tokens

    def _token(self, where: str, name_node: yaml.Node, node: yaml.Node) -> Declaration:
        entries = self._entries(node, where)
        rotation = entries.pop("rotation", None)
        told = _Told({}, {}, set())
        if rotation is None:
            self._read(where, entries, KEYS, told)
            faults = find_faults(told.arguments, told.unread)
        else:
            self._read(where, entries, KEYS_OF_SERIES, told)
            nested = self._entries(rotation[1], f"{where}.rotation")
            self._read(where, {f"rotation.{key}": nodes for key, nodes in nested.items()}, KEYS_OF_ROTATION, told)
            if not isinstance(rotation[1], yaml.MappingNode):
                told.unread.add("early_rotation_window_seconds")
            faults = find_faults_of_series(told.arguments, told.unread)
        for argument, reason in faults:
            key, place = told.places.get(argument, (_USUAL_KEYS.get(argument, argument), name_node))
            for other, (called, _) in told.places.items():
                reason = reason.replace(other, called)  # noqa: PLW2901 - as the file calls it
            self._tell(place, f"{where}.{key}: {reason}")
        return Declaration(told.arguments, rotation is not None)

    def _read(
        self, where: str, entries: Mapping[str, tuple[yaml.Node, yaml.Node]], keys: Mapping[str, Key], told: _Told
    ) -> None:
        for name, (key_node, value_node) in entries.items():
            if name not in keys:
                self._tell(key_node, f"{where}: {_unknown(name, keys)}")
                continue
            argument = keys[name].argument
            if argument in told.places:
                self._tell(key_node, f"{where}: {name} says the same as {told.places[argument][0]}")
                continue
            told.places[argument] = (name, value_node)
            try:
                told.arguments[argument] = _READERS[keys[name].kind](value_node)
            except _Fault as fault:
                told.unread.add(argument)
                self._tell(fault.node, f"{where}.{name}: {fault.what}")
            except _Faults as several:
                told.unread.add(argument)
                for each in several.faults:
                    self._tell(each.node, f"{where}.{name}: {each.what}")

    def _entries(self, node: yaml.Node | None, where: str) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """A mapping's entries in their order, without those that are named wrongly or twice."""
        entries: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        if not isinstance(node, yaml.MappingNode):
            self._tell(node, f"{where}: must be a mapping")
            return entries
        for key_node, value_node in node.value:
            try:
                key = _text(key_node)
            except _Fault as fault:
                self._tell(key_node, f"{where}: a key {fault.what}")
                continue
            if key in entries:
                first = entries[key][0].start_mark.line + 1
                self._tell(key_node, f"{where}: {_cut(key)} is there already, at line {first}")
            else:
                entries[key] = (key_node, value_node)
        return entries


def _text(node: yaml.Node) -> str:
    if node.tag == "tag:yaml.org,2002:merge":
        raise _Fault(node, "must be text; merging (<<) is not supported")
    if not isinstance(node, yaml.ScalarNode) or not node.value or node.tag == "tag:yaml.org,2002:null":
        raise _Fault(node, "must be text, and not empty")
    if node.tag != "tag:yaml.org,2002:str":
        raise _Fault(node, f'must be text: write it in quotes, "{_cut(node.value)}"')
    return _whole(node)


def _whole(node: yaml.ScalarNode) -> str:
    """The text of a scalar. JSON escapes a character beyond U+FFFF in two halves, which PyYAML leaves apart."""
    try:
        return str(node.value.encode("utf-16", "surrogatepass").decode("utf-16"))
    except UnicodeDecodeError:
        raise _Fault(node, "must be text: it holds half a character") from None


def _prefix(node: yaml.Node) -> str:
    return _no_secret(node) if isinstance(node, yaml.ScalarNode) and len(node.value) > LONGEST_PREFIX else _text(node)


def _cut(text: str) -> str:
    """So much of a text that it cannot be a secret, fit for a terminal."""
    plain = text if text.isprintable() else text.encode("unicode_escape").decode()
    return plain if len(plain) <= LONGEST_SHOWN else f"{plain[:PREFIX_LENGTH]}…"


def _duration(node: yaml.Node) -> int:
    try:
        return parse_duration(node.value if isinstance(node, yaml.ScalarNode) else "")
    except ValueError as error:
        raise _Fault(node, str(error)) from None


def _number(node: yaml.Node) -> int:
    is_number = isinstance(node, yaml.ScalarNode) and node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
    # With a zero at the front, YAML 1.1 and 1.2 take it for different numbers.
    if is_number and (match := re.fullmatch(r"(0|[1-9][0-9]{0,11})(\.0)?", node.value)):
        return int(match[1])
    raise _Fault(node, "must be a whole number of seconds, such as 2592000")


def _flag(node: yaml.Node) -> bool:
    if node.tag == "tag:yaml.org,2002:bool" and node.value in ("true", "false"):
        return bool(node.value == "true")
    raise _Fault(node, "must be true or false, in lower case and without quotes")


def _texts(node: yaml.Node) -> list[str]:
    if not isinstance(node, yaml.SequenceNode):
        raise _Fault(node, "must be a list")
    return list(_each(_text, node.value))


def _triggers(node: yaml.Node) -> dict[str, str]:
    """A mapping of scalars, each as it is written: whether `2026-11` is a date or a sum must not make a new token."""
    if not isinstance(node, yaml.MappingNode):
        raise _Fault(node, "must be a mapping")
    seen: set[str] = set()

    def trigger(entry: tuple[yaml.Node, yaml.Node]) -> tuple[str, str]:
        key, value = (_scalar(part) for part in entry)
        if key in seen:
            raise _Fault(entry[0], f"{_cut(key)} is there twice")
        seen.add(key)
        return key, value

    return dict(_each(trigger, node.value))


def _scalar(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise _Fault(node, "must hold plain values")
    if not node.value:
        raise _Fault(node, "must not be empty: write null, or a text")
    return _whole(node)


def _each(read: Callable[[Any], _Value], items: list[Any]) -> list[_Value]:
    """Read every item of a collection, and tell all that is wrong with them."""
    values, faults = [], []
    for item in items:
        try:
            values.append(read(item))
        except _Fault as fault:  # noqa: PERF203 - the point of it
            faults.append(fault)
    if faults:
        raise _Faults(faults)
    return values


_NO_PLACE = "is a secret, and a manifest is no place for one; declare this token in the program"


def _no_secret(node: yaml.Node) -> str:
    raise _Fault(node, _NO_PLACE)


Kind = Literal["text", "prefix", "duration", "number", "flag", "texts", "triggers", "secret"]

_READERS: Mapping[Kind, Callable[[Any], Any]] = {
    "text": _text,
    "prefix": _prefix,
    "duration": _duration,
    "number": _number,
    "flag": _flag,
    "texts": _texts,
    "triggers": _triggers,
    "secret": _no_secret,
}


class Key(NamedTuple):
    """A key of a token in the manifest."""

    argument: str
    """The argument of the resource that it gives."""
    kind: Kind
    """What its value looks like."""


_KEYS_OF_BOTH: Mapping[str, Key] = {
    "description": Key("description", "text"),
    "max_age": Key("max_age_seconds", "duration"),
    "max_age_seconds": Key("max_age_seconds", "number"),
    "extend_when_used": Key("extend_when_used", "flag"),
    "ip_allowlist": Key("ip_allowlist", "texts"),
    "scopes": Key("scopes", "texts"),
    "rotation_triggers": Key("rotation_triggers", "triggers"),
    "credentials": Key("credentials", "text"),
}

KEYS: Mapping[str, Key] = {
    **_KEYS_OF_BOTH,
    "rotate_before": Key("early_rotation_window_seconds", "duration"),
    "early_rotation_window_seconds": Key("early_rotation_window_seconds", "number"),
    "adopt_prefix": Key("adopt_prefix", "prefix"),
    "full_token": Key("full_token", "secret"),
}

KEYS_OF_SERIES: Mapping[str, Key] = {**_KEYS_OF_BOTH, "revocation_triggers": Key("revocation_triggers", "triggers")}
"""The keys of a token beside `rotation`."""

KEYS_OF_ROTATION: Mapping[str, Key] = {
    "rotation.before": Key("early_rotation_window_seconds", "duration"),
    "rotation.overlap": Key("overlap_seconds", "duration"),
    "rotation.retire": Key("retire_previous", "text"),
}


_USUAL_KEYS = {"max_age_seconds": "max_age", "early_rotation_window_seconds": "rotation.before"}
"""The keys by which a series is told what it lacks."""


def _unknown(key: str, keys: Mapping[str, Key]) -> str:
    """What is wrong with a key that is not among those that can be there, and what may be meant."""
    if key in KEYS and KEYS[key].kind == "secret":
        return f"{key} {_NO_PLACE}"
    if f"rotation.{key}" in KEYS_OF_ROTATION:
        return f"{key} belongs under rotation"
    if key in KEYS and keys is KEYS_OF_SERIES:
        instead = "set rotation.before"
        if "rotat" not in key:
            instead = "leave it out once an `up` has taken the token over: the series goes on with it"
        return f"{key} does not go with rotation: {instead}"
    if key in KEYS_OF_SERIES and keys is KEYS:
        return f"{key} needs rotation beside it"
    offered = [name for name, key in keys.items() if key.kind != "secret"]
    offered += ["rotation"] if keys is KEYS else []
    near = difflib.get_close_matches(key, offered, n=1)
    hint = f"is {near[0]} meant?" if near else f"there are {', '.join(offered)}"
    return f"unknown key '{_cut(key.removeprefix('rotation.'))}'; {hint}"


def _describe(error: yaml.YAMLError, text: str) -> tuple[int, int, str]:
    """What the YAML parser says, with its place, without its quotation of the file."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        what = re.sub(r"'[^']{13,}'", "'…'", " ".join(filter(None, (error.context, error.problem))))
        return error.problem_mark.line + 1, error.problem_mark.column + 1, f"is not YAML: {what}"
    if isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position]
        line, column = before.count("\n") + 1, error.position - before.rfind("\n")
        return line, column, f"is not YAML: {error.reason}"
    return 1, 1, "is not YAML"
