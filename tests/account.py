"""The emulated account as a test sees it: through plain requests, by nothing of the package."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import requests

from pulumi_avn_token.emulator import Emulator


class Observer:
    """Somebody else with a login of the same user, whose requests the emulator's journal can be told from."""

    USER_AGENT = "observer"

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._token = emulator.issue_token(session=True, description="observer")

    def tokens(self) -> dict[str, dict[str, Any]]:
        """The valid tokens that somebody made, by description."""
        answer = self._call("GET", "/access_token", self._token).json()
        return {token["description"]: token for token in answer["tokens"] if token["created_manually"]}

    def valid(self) -> dict[str, dict[str, Any]]:
        """The valid tokens that somebody made, by prefix."""
        answer = self._call("GET", "/access_token", self._token).json()
        return {token["token_prefix"]: token for token in answer["tokens"] if token["created_manually"]}

    def make(self, description: str, **body: Any) -> dict[str, Any]:
        """Make a token by hand."""
        made: dict[str, Any] = self._call(
            "POST", "/access_token", self._token, {"description": description, **body}
        ).json()
        return made

    def revoke(self, token_prefix: str) -> None:
        """Revoke a token by hand."""
        assert self._call("DELETE", f"/access_token/{quote(token_prefix, safe='')}", self._token).ok

    def describe(self, token_prefix: str, description: str) -> None:
        """Change a description by hand."""
        path = f"/access_token/{quote(token_prefix, safe='')}"
        assert self._call("PUT", path, self._token, {"description": description}).ok

    def works(self, full_token: str, by: str | None = None) -> bool:
        """Whether a token authenticates, used by a program of this name."""
        return self._call("GET", "/me", full_token, by=by).ok

    def provider_requests(self) -> list[str]:
        """What the provider asked, each as `METHOD path`, tokens' prefixes left out."""
        return [
            f"{request.method} {request.path.split('access_token/')[0]}"
            for request in self._emulator.requests
            if (request.user_agent or "").startswith("pulumi-avn-token/")
        ]

    def _call(
        self, method: str, path: str, token: str, body: Any = None, *, by: str | None = None
    ) -> requests.Response:
        return requests.request(
            method,
            f"{self._emulator.url}/v1{path}",
            json=body,
            headers={"Authorization": f"aivenv1 {token}", "User-Agent": by or self.USER_AGENT},
            timeout=10,
        )
