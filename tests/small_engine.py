"""A stack of one resource: the provider is called as the engine calls it, and the state kept as the engine keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, cast

from pulumi_avn_token import holdings, inventory
from pulumi_avn_token.client import Client
from pulumi_avn_token.credentials import Credential
from pulumi_avn_token.emulator import Emulator
from pulumi_avn_token.lifecycle import SERIES_TYPE, TOKEN_TYPE, URN
from pulumi_avn_token.provider import AccessTokenProvider, RotatingAccessTokenProvider
from tests.providers import new_provider

PROVIDERS = {TOKEN_TYPE: AccessTokenProvider, SERIES_TYPE: RotatingAccessTokenProvider}
STACK = "urn:pulumi:test::scratch"


class SmallEngine:
    """Runs `up`, `refresh` and `destroy`; what an operation has done is recorded step by step, also where it fails."""

    def __init__(self, emulator: Emulator, kind: str) -> None:
        self.emulator = emulator
        self.token = emulator.token
        self.urn = f"{STACK}::{kind}::ci"
        self._kind = kind
        self._state: str = json.dumps([])

    @property
    def resources(self) -> list[dict[str, Any]]:
        """The resources of the state; of two, the second is to be deleted."""
        return cast("list[dict[str, Any]]", json.loads(self._state, parse_int=float))

    @property
    def outs(self) -> dict[str, Any]:
        """The outputs of the resource; empty: there is none."""
        return next((found["outputs"] for found in self.resources if not found.get("delete")), {})

    def up(self, **arguments: Any) -> None:
        """Delete what is to be deleted yet; then create, update or replace."""
        provider = self._provider()
        old = next((found for found in self.resources if not found.get("delete")), None)
        news = self._checked(provider, old["inputs"] if old else {}, arguments)
        if old is None:
            self._record(self._created(provider, news), *self.resources)
        else:
            diff = provider.diff(old["id"], old["outputs"], news)
            if diff.replaces:
                made = self._created(provider, self._checked(provider, {}, arguments))
                self._record(made, {**old, "delete": True}, *(one for one in self.resources if one.get("delete")))
            elif diff.changes:
                outs = provider.update(old["id"], old["outputs"], news).outs
                self._record({**old, "outputs": outs, "inputs": news}, *(x for x in self.resources if x.get("delete")))
        for leaving in [found for found in self.resources if found.get("delete")]:
            self._delete(provider, leaving)

    def refresh(self) -> None:
        """Read each resource; what is gone is dropped."""
        provider, read = self._provider(), []
        for resource in self.resources:
            result = provider.read(resource["id"], resource["outputs"])
            read += [{**resource, "outputs": result.outs}] if result.id else []
        self._record(*read)

    def destroy(self) -> None:
        """Delete all."""
        provider = self._provider()
        for resource in self.resources:
            self._delete(provider, resource)

    def undelivered(self) -> set[str]:
        """The tokens that an audit of this account and state says nobody got, or, where it is not sure, perhaps."""
        credential = Credential(token=self.emulator.token, source="the test", url=self.emulator.url)
        root = {"type": "pulumi:pulumi:Stack", "urn": f"{STACK}::pulumi:pulumi:Stack::scratch-test"}
        state = holdings.read({"deployment": {"resources": [root, *self.resources]}})
        tokens, now = Client(credential).list_tokens(), datetime.fromtimestamp(self.emulator.now(), timezone.utc)
        entries = inventory.audit(tokens, state.holdings, now, timedelta(), state.makers)
        return {entry.token_prefix for entry in entries if entry.status == "undelivered"}

    def _created(self, provider: Any, news: dict[str, Any]) -> dict[str, Any]:
        made = provider.create(news)
        return {"type": self._kind, "urn": self.urn, "id": made.id, "inputs": news, "outputs": made.outs}

    def _delete(self, provider: Any, resource: dict[str, Any]) -> None:
        provider.delete(resource["id"], resource["outputs"])
        self._record(*(found for found in self.resources if found["id"] != resource["id"]))

    def _checked(self, provider: Any, olds: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
        news = json.loads(json.dumps({**arguments, URN: self.urn}), parse_int=float)
        assert provider.check(olds, news).failures == []
        return cast("dict[str, Any]", news)

    def _record(self, *resources: Mapping[str, Any]) -> None:
        json.dumps(resources, ensure_ascii=False).encode()  # as the engine's protocol does
        self._state = json.dumps(resources)

    def _provider(self) -> Any:
        """The provider of a new process."""
        return new_provider(PROVIDERS[self._kind], self.emulator.url, self.token)
