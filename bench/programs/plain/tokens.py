"""A dynamic provider as people write one: a session for each call, a list for each read."""

import os
from typing import Any
from urllib.parse import quote

import requests
from pulumi import ResourceOptions, dynamic


def call(method: str, path: str = "", body: dict[str, Any] | None = None) -> Any:
    """Ask the API."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"aivenv1 {os.environ['AIVEN_TOKEN']}"
        url = f"{os.environ['AIVEN_WEB_URL']}/v1/access_token{path}"
        answer = session.request(method, url, json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()


class Provider(dynamic.ResourceProvider):
    """Create, read, update and delete."""

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Make a token."""
        made = call("POST", body={name: props[name] for name in ("description", "max_age_seconds")})
        return dynamic.CreateResult(made["token_prefix"], {**props, "full_token": made["full_token"]})

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.DiffResult:
        """Compare the description."""
        return dynamic.DiffResult(changes=olds["description"] != news["description"])

    def read(self, id_: str, props: dict[str, Any]) -> dynamic.ReadResult:
        """Find a token in a list."""
        for token in call("GET")["tokens"]:
            if token["token_prefix"] == id_:
                return dynamic.ReadResult(id_, {**props, "description": token["description"]})
        return dynamic.ReadResult("", {})

    def update(self, id_: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
        """Set the description."""
        call("PUT", "/" + quote(id_, safe=""), {"description": news["description"]})
        return dynamic.UpdateResult({**olds, **news})

    def delete(self, id_: str, _props: dict[str, Any]) -> None:
        """Revoke a token."""
        call("DELETE", "/" + quote(id_, safe=""))


class Token(dynamic.Resource):
    """A token."""

    def __init__(self, name: str, description: str, max_age_seconds: int) -> None:
        props = {"description": description, "max_age_seconds": max_age_seconds, "full_token": None}
        super().__init__(Provider(), name, props, ResourceOptions(additional_secret_outputs=["full_token"]))
