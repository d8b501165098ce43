"""A manifest of tokens (`tokens.yaml`) -> the arguments of their resources, or every fault with its place."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import yaml

from pulumi_avn_token.arguments import find_faults
from pulumi_avn_token.errors import ManifestError
from pulumi_avn_token.model import LONGEST_PREFIX, PREFIX_LENGTH

_SECONDS = {"s": 1, "m": 60, "h": 60 * 60, "d": 24 * 60 * 60, "w": 7 * 24 * 60 * 60}


def load(path: str | os.PathLike[str]) -> dict[str, dict[str, Any]]:
    """Read a manifest: for each token, by name, the arguments of its `AccessToken`.

    ManifestError: all that is wrong with it, each as `FILE:LINE:COLUMN: what`.
    """
    name = os.fspath(path)
    try:
        with open(path, encoding="utf-8-sig") as file:  # noqa: PTH123 - takes what users have: a string or a path
            text = file.read()
    except OSError as error:
        raise ManifestError([f"{name}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise ManifestError([f"{name}: is not UTF-8 text (byte {error.start})"]) from None
    reader = _Reader()
    try:
        tokens = reader.manifest(yaml.compose(text, Loader=yaml.SafeLoader))
    except _Fault as fault:
        reader.faults.append(fault)
        tokens = {}
    except RecursionError:
        raise ManifestError([f"{name}:1:1: is nested too deeply"]) from None
    except yaml.YAMLError as error:
        raise ManifestError([f"{name}:{_describe(error, text)}"]) from None
    if reader.faults:
        raise ManifestError([f"{name}:{fault}" for fault in sorted(reader.faults, key=lambda fault: fault.place)])
    return tokens


class _Fault(Exception):  # noqa: N818 - collected rather than raised, mostly
    def __init__(self, node: yaml.Node | None, what: str) -> None:
        super().__init__(what)
        self.place = (node.start_mark.line + 1, node.start_mark.column + 1) if node is not None else (1, 1)

    def __str__(self) -> str:
        return f"{self.place[0]}:{self.place[1]}: {self.args[0]}"


class _Reader:
    """Walks the tree of nodes, and goes on after a fault."""

    def __init__(self) -> None:
        self.faults: list[_Fault] = []

    def manifest(self, root: yaml.Node | None) -> dict[str, dict[str, Any]]:
        entries = self._entries(root, "the manifest")
        for key, (key_node, _) in entries.items():
            if key != "tokens":
                self.faults.append(_Fault(key_node, f"unknown key {_cut(key)!r}; the manifest has the one key tokens"))
        if "tokens" not in entries:
            self.faults.append(_Fault(root, "tokens is missing"))
            return {}
        nodes = self._entries(entries["tokens"][1], "tokens")
        tokens = {name: self._token(name, *node) for name, node in nodes.items()}
        adopters: dict[str, str] = {}
        for name, arguments in tokens.items():
            if "adopt_prefix" not in arguments:
                continue
            first = adopters.setdefault(arguments["adopt_prefix"], name)
            if first != name:
                self.faults.append(_Fault(nodes[name][0], f"tokens.{name}: adopts the same token as tokens.{first}"))
        return tokens

    def _token(self, name: str, name_node: yaml.Node, node: yaml.Node) -> dict[str, Any]:
        where = f"tokens.{name}"
        arguments: dict[str, Any] = {}
        places: dict[str, tuple[str, yaml.Node]] = {}
        unread: set[str] = set()
        for key, (key_node, value_node) in self._entries(node, where).items():
            if key not in KEYS:
                self.faults.append(_Fault(key_node, f"{where}: unknown key {_cut(key)!r}{_hint(key)}"))
                continue
            argument = KEYS[key].argument
            if argument in places:
                self.faults.append(_Fault(key_node, f"{where}: {key} says the same as {places[argument][0]}"))
                continue
            places[argument] = (key, value_node)
            try:
                arguments[argument] = KEYS[key].read(value_node)
            except _Fault as fault:
                unread.add(argument)
                self.faults.append(_Fault(value_node, f"{where}.{key}: {fault.args[0]}"))
        for argument, reason in find_faults(arguments, unread):
            key, place = places.get(argument, (argument, name_node))
            self.faults.append(_Fault(place, f"{where}.{key}: {reason}"))
        return arguments

    def _entries(self, node: yaml.Node | None, where: str) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """A mapping's entries in their order, without those that are named wrongly or twice."""
        entries: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        if not isinstance(node, yaml.MappingNode):
            self.faults.append(_Fault(node, f"{where}: must be a mapping"))
            return entries
        for key_node, value_node in node.value:
            try:
                key = _text(key_node)
            except _Fault as fault:
                self.faults.append(_Fault(key_node, f"{where}: a key {fault.args[0]}"))
                continue
            if key in entries:
                first = entries[key][0].start_mark.line + 1
                self.faults.append(_Fault(key_node, f"{where}: {key} is there already, at line {first}"))
            else:
                entries[key] = (key_node, value_node)
        return entries


def _text(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str" and node.value:
        return str(node.value)
    if node.tag == "tag:yaml.org,2002:merge":
        raise _Fault(node, "must be text; merging (<<) is not supported")
    if isinstance(node, yaml.ScalarNode) and node.value and node.tag != "tag:yaml.org,2002:null":
        raise _Fault(node, f'must be text: write it in quotes, "{_cut(node.value)}"')
    raise _Fault(node, "must be text, and not empty")


def _prefix(node: yaml.Node) -> str:
    return _text(node) if len(str(node.value)) <= LONGEST_PREFIX else _no_secret(node)


def _cut(text: str) -> str:
    """So much of a text that it cannot be a secret."""
    return text if len(text) <= PREFIX_LENGTH else f"{text[:PREFIX_LENGTH]}…"


def _duration(node: yaml.Node) -> int:
    match = re.fullmatch(r"([0-9]{1,12})([smhdw])", node.value) if isinstance(node, yaml.ScalarNode) else None
    if match is None:
        raise _Fault(node, "must be a number and a unit, one of s m h d w, such as 30d")
    return int(match[1]) * _SECONDS[match[2]]


def _number(node: yaml.Node) -> int:
    if node.tag == "tag:yaml.org,2002:int" and re.fullmatch("[0-9]{1,12}", node.value):
        return int(node.value)
    raise _Fault(node, "must be a whole number of seconds")


def _flag(node: yaml.Node) -> bool:
    if node.tag == "tag:yaml.org,2002:bool" and node.value in ("true", "false"):
        return bool(node.value == "true")
    raise _Fault(node, "must be true or false")


def _texts(node: yaml.Node) -> list[str]:
    if not isinstance(node, yaml.SequenceNode):
        raise _Fault(node, "must be a list")
    return [_text(item) for item in node.value]


def _triggers(node: yaml.Node) -> dict[str, str]:
    """A mapping of scalars, each as it is written: whether `2026-11` is a date or a sum must not make a new token."""
    if not isinstance(node, yaml.MappingNode):
        raise _Fault(node, "must be a mapping")
    triggers: dict[str, str] = {}
    for key, value in node.value:
        if not (isinstance(key, yaml.ScalarNode) and isinstance(value, yaml.ScalarNode) and value.value):
            raise _Fault(value, f"{key.value if isinstance(key, yaml.ScalarNode) else 'a key'} must be a plain value")
        if key.value in triggers:
            raise _Fault(key, f"{key.value} is there twice")
        triggers[key.value] = value.value
    return triggers


def _no_secret(node: yaml.Node) -> str:
    raise _Fault(node, "is a secret, and a manifest is no place for one; declare this token in the program")


class Key(NamedTuple):
    """A key of a token in the manifest."""

    argument: str
    """The argument of `AccessToken` that it gives."""
    read: Callable[[yaml.Node], Any]


KEYS: Mapping[str, Key] = {
    "description": Key("description", _text),
    "max_age": Key("max_age_seconds", _duration),
    "max_age_seconds": Key("max_age_seconds", _number),
    "extend_when_used": Key("extend_when_used", _flag),
    "ip_allowlist": Key("ip_allowlist", _texts),
    "scopes": Key("scopes", _texts),
    "rotate_before": Key("early_rotation_window_seconds", _duration),
    "early_rotation_window_seconds": Key("early_rotation_window_seconds", _number),
    "rotation_triggers": Key("rotation_triggers", _triggers),
    "adopt_prefix": Key("adopt_prefix", _prefix),
    "full_token": Key("full_token", _no_secret),
}


def _hint(key: str) -> str:
    near = difflib.get_close_matches(key, KEYS, n=1)
    return f"; is {near[0]} meant?" if near else f"; there are {', '.join(_offered())}"


def _offered() -> Iterator[str]:
    return (key for key, (_, read) in KEYS.items() if read is not _no_secret)


def _describe(error: yaml.YAMLError, text: str) -> str:
    """What the YAML parser says, without its quotation of the file."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        what = re.sub(r"'[^']{13,}'", "'…'", " ".join(filter(None, (error.context, error.problem))))
        return f"{error.problem_mark.line + 1}:{error.problem_mark.column + 1}: is not YAML: {what}"
    if isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position]
        return f"{before.count(chr(10)) + 1}:{error.position - before.rfind(chr(10))}: is not YAML: {error.reason}"
    return f"1:1: is not YAML: {error}"
