"""The provider as the engine calls it, without the engine."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any, cast

import pytest

from pulumi_avn_token.client import Client
from pulumi_avn_token.emulator import Emulator
from pulumi_avn_token.errors import AvnTokenError
from pulumi_avn_token.provider import RotatingAccessTokenProvider
from tests.machine import Failed
from tests.providers import new_provider

BEGINNING = datetime(2026, 1, 1, tzinfo=timezone.utc).timestamp()


class Killed(BaseException):
    """The process is gone."""


class ProviderDriver:
    """Calls the provider as the engine does, and keeps its state as the engine does: not before a call has returned."""

    def __init__(self) -> None:
        self._exit = ExitStack()
        self._seconds = BEGINNING
        self._skew_seconds = 0.0
        self._stored: str | None = None
        self._requests_to_live: int | None = None
        self.said: list[str] = []
        """What the last command told."""
        self.emulator = self._exit.enter_context(Emulator(clock=lambda: self._seconds))
        patch = self._exit.enter_context(pytest.MonkeyPatch.context())
        answered = Client._answered  # noqa: SLF001 - where a process is killed: around a request

        def answered_unless_killed(client: Client, method: str, *rest: Any) -> Any:
            if self._requests_to_live == 0:
                raise Killed
            answer = answered(client, method, *rest)
            if self._requests_to_live is not None:
                self._requests_to_live -= 1
                if self._requests_to_live == 0 and method != "GET":
                    raise Killed
            return answer

        patch.setattr(Client, "_answered", answered_unless_killed)

    def set_skew(self, seconds: float) -> None:
        """Set the machine's clock apart from the service's."""
        self._skew_seconds = seconds

    def kill_after(self, requests: int) -> None:
        """Let the process of the next `up` die after so many requests, whether their answers were read or not."""
        self._requests_to_live = requests

    @contextmanager
    def forgetting(self) -> Iterator[None]:
        """Store nothing of what happens meanwhile."""
        stored = self._stored
        yield
        self._stored = stored

    def up(self, arguments: Mapping[str, Any]) -> None:
        """Check, then create, or diff and update."""
        provider, stored = self.provider(), self._load()
        news = json.loads(json.dumps(arguments), parse_int=float)
        try:
            assert provider.check(stored["inputs"] if stored else {}, news).failures == []
            if stored is None:
                made = provider.create(news)
                self._store(made.id, made.outs, news)
                return
            before = stored["outs"]["token_prefix"]
            if provider.diff(stored["id"], stored["outs"], news).changes:
                outs = provider.update(stored["id"], stored["outs"], news).outs
                self._store(stored["id"], outs, news)
            else:
                self._store(stored["id"], stored["outs"], news)
            is_announced = any(" is due to rotate (" in message for message in self.said)
            assert is_announced == (before != (self.state() or {})["token_prefix"]), self.said
        except (AvnTokenError, Killed) as error:
            raise Failed from error
        finally:
            self._requests_to_live = None

    def is_unchanged(self, arguments: Mapping[str, Any]) -> bool:
        """Ask diff."""
        stored = self._load()
        assert stored is not None
        news = json.loads(json.dumps(arguments), parse_int=float)
        return not self.provider().diff(stored["id"], stored["outs"], news).changes

    def refresh(self) -> None:
        """Read."""
        stored = self._load()
        if stored is None:
            return
        try:
            read = self.provider().read(stored["id"], stored["outs"])
        except AvnTokenError as error:
            raise Failed from error
        self._store(cast("str", read.id), read.outs, stored["inputs"])

    def destroy(self) -> None:
        """Delete."""
        stored = self._load()
        if stored is None:
            return
        try:
            self.provider().delete(stored["id"], stored["outs"])
        except AvnTokenError as error:
            raise Failed from error
        self._stored = None

    def state(self) -> dict[str, Any] | None:
        """Give what is stored."""
        stored = self._load()
        return None if stored is None else {"id": stored["id"], **stored["outs"]}

    def wait(self, seconds: float) -> None:
        """Move the one clock."""
        self._seconds += seconds

    def close(self) -> None:
        """Stop the emulator."""
        self._exit.close()

    def provider(self) -> RotatingAccessTokenProvider:
        """Give the provider of a new process."""
        self.said = []

        made: RotatingAccessTokenProvider = new_provider(
            RotatingAccessTokenProvider,
            self.emulator.url,
            self.emulator.token,
            now=lambda: datetime.fromtimestamp(self._seconds, timezone.utc) + timedelta(seconds=self._skew_seconds),
            say=lambda _severity, message, _urn: self._look_at(message),
        )
        return made

    def _look_at(self, message: str) -> None:
        self.said.append(message)
        state = self.state()
        assert state is None or state["full_token"][12:] not in message

    def _store(self, id_: str, outs: Any, inputs: Any) -> None:
        known = {name: value for name, value in outs.items() if value is not None}
        self._stored = json.dumps({"id": id_, "outs": known, "inputs": inputs})

    def _load(self) -> dict[str, Any] | None:
        return None if self._stored is None else json.loads(self._stored, parse_int=float)
