"""A program under Pulumi's mocks: its tokens are real ones of the emulated account, all else is what it sends."""

from __future__ import annotations

import asyncio
import json
import runpy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pulumi
import yaml
from pulumi.runtime import mocks, rpc, settings, stack
from pulumi.runtime.proto import resource_pb2

from pulumi_avn_token.emulator import Emulator
from tests.leaks import Secrets, assert_none_in
from tests.small_engine import PROVIDERS, SmallEngine

ROOT = Path(__file__).resolve().parents[2]
DAY = 24 * 60 * 60


class Sent(NamedTuple):
    """A resource as its program sent it, and as the engine would store it: secrets are in their wrappers."""

    urn: str
    id: str
    provider: str
    properties: Mapping[str, Any]
    dependencies: list[str]
    is_retained: bool
    stored: Mapping[str, Any]


class Program(mocks.MockMonitor):
    """Runs a program as `pulumi up` does, with the state that its last run left of its tokens."""

    def __init__(self, folder: Path, emulator: Emulator, **config: str) -> None:
        super().__init__(_NothingElse())
        self.project = yaml.safe_load((folder / "Pulumi.yaml").read_text(encoding="utf-8"))["name"]
        self.sent: dict[str, Sent] = {}
        """What the last run declared, by type and name: `kubernetes:core/v1:Secret::ingest`."""
        self.outputs: dict[str, Any] = {}
        self._path = folder / "__main__.py"
        self._config = {f"{self.project}:{name}": value for name, value in config.items()}
        self._emulator = emulator
        self._tokens: dict[str, SmallEngine] = {}
        self._secrets = Secrets()

    def up(self, *, days_ago: float = 0) -> None:
        """Run the program, when the account's clock was so many days behind."""
        self._emulator.clock_offset = -days_ago * DAY
        self.sent, self.outputs = {}, {}
        asyncio.run(self._run())  # all that Pulumi keeps is kept in the context of this loop, and gone with it

    def token(self, name: str) -> dict[str, Any]:
        """The outputs of the token of this name."""
        (engine,) = (engine for key, engine in self._tokens.items() if key.endswith(f"::{name}"))
        return engine.outs

    def holders(self, secret: str) -> set[tuple[str, str]]:
        """What was given this secret, as type and name, and in which property, in the open or not."""
        assert secret
        return {
            (key, where) for key, sent in self.sent.items() for where, text in _texts(sent.properties) if secret in text
        }

    def assert_secrets_stay_secrets(self) -> None:
        """Nothing has a token in the open; nothing at all has the credential that the stack itself runs with."""
        __tracebackhide__ = True
        assert self._secrets, "there is nothing to be found"
        secrets = [*self._secrets, self._emulator.token]
        for key, sent in self.sent.items():
            assert_none_in(secrets, json.dumps(_in_the_open([*sent])).encode(), key)
        assert_none_in(secrets, json.dumps(_in_the_open(self.outputs)).encode(), "the stack's outputs")
        assert not self.holders(self._emulator.token), "the stack's own credential was handed on"

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the engine's protocol
        """Make a token by its real provider; of anything else, echo the inputs."""
        urn = self.make_urn(request.parent, request.type, request.name)
        if request.type == "pulumi:pulumi:Stack":
            return resource_pb2.RegisterResourceResponse(urn=urn)
        properties = _plain(request.object)
        if request.type in PROVIDERS:
            id_, outputs = self._provided(urn, request.type, properties)
        else:
            id_, outputs = f"{request.name}-id", properties
        stored = _hidden(outputs, request.additionalSecretOutputs)
        key = urn.partition("::")[2].partition("::")[2].rpartition("$")[2]
        assert key not in self.sent
        self.sent[key] = Sent(
            urn, id_, request.provider, properties, list(request.dependencies), request.retainOnDelete, stored
        )
        return resource_pb2.RegisterResourceResponse(urn=urn, id=id_, object=stored)

    def RegisterResourceOutputs(self, request: Any) -> None:  # noqa: N802 - likewise
        """Record what the stack exports."""
        self.outputs |= _plain(request.outputs)

    async def _run(self) -> None:
        # And not by `set_mocks`, whose stack exports nothing.
        settings.configure(settings.Settings(self.project, "dev", monitor=self, engine=mocks.MockEngine(None)))
        pulumi.runtime.set_all_config(self._config)

        def program() -> None:
            runpy.run_path(str(self._path), run_name="__main__")

        await stack.run_in_stack(program)

    def _provided(self, urn: str, type_: str, properties: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        engine = self._tokens.setdefault(urn, SmallEngine(self._emulator, type_))
        engine.up(**{name: value for name, value in _opened(properties).items() if name != "__provider"})
        outputs = {name: value for name, value in engine.outs.items() if value is not None}
        self._secrets += [outputs[name] for name in ("full_token", "previous_full_token") if name in outputs]
        return engine.resources[0]["id"], outputs


class _NothingElse(mocks.Mocks):
    def call(self, args: mocks.MockCallArgs) -> Any:
        raise NotImplementedError(args.token)

    def new_resource(self, args: mocks.MockResourceArgs) -> Any:
        raise NotImplementedError(args.typ)


def _is_secret(value: Any) -> bool:
    return isinstance(value, dict) and value.get(rpc._special_sig_key) == rpc._special_secret_sig  # noqa: SLF001


def _hidden(outputs: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    """The outputs with those of these names as secrets, and no more."""
    return {
        name: rpc.wrap_rpc_secret(value) if name in names and not _is_secret(value) else value
        for name, value in outputs.items()
    }


def _plain(value: Any) -> Any:
    """A structure of the protocol as dictionaries and lists."""
    if hasattr(value, "keys"):
        return {name: _plain(value[name]) for name in value.keys()}  # noqa: SIM118 - it is no mapping
    return [_plain(item) for item in value] if hasattr(value, "values") else value


def _opened(value: Any) -> Any:
    """A value as a provider gets it: without the wrappers of secrets."""
    if _is_secret(value):
        return _opened(value["value"])
    if isinstance(value, dict):
        return {name: _opened(item) for name, item in value.items()}
    return [_opened(item) for item in value] if isinstance(value, list) else value


def _in_the_open(value: Any) -> Any:
    """A value as everybody sees it: without what is in the wrappers of secrets."""
    if _is_secret(value):
        return None
    if isinstance(value, dict):
        return {name: _in_the_open(item) for name, item in value.items()}
    return [_in_the_open(item) for item in value] if isinstance(value, list) else value


def _texts(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a value, and the property that it is of."""
    if isinstance(value, dict) and not _is_secret(value):
        for name, item in value.items():
            yield from _texts(item, f"{where}.{name}" if where else name)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, f"{where}[]")
    elif isinstance(value, str):
        yield where, value
    elif _is_secret(value):
        yield from _texts(value["value"], where)
