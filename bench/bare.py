"""The floor on this engine: a dynamic provider with the package's inputs, outputs and calls, and nothing else.

Like the package's, it can be imported, so that the state has only its name; it keeps four connections, and one list.
"""

import functools
import os
import threading
from typing import Any
from urllib.parse import quote

from pulumi import ResourceOptions, dynamic

INPUTS = ("description", "max_age_seconds", "extend_when_used")

OUTPUTS = (
    "token_prefix",
    "full_token",
    "ip_allowlist",
    "scopes",
    "create_time",
    "expiry_time",
    "last_used_time",
    "last_ip",
    "last_user_agent",
)
"""What is known of a token beside what is declared."""

_ONE_AT_A_TIME = threading.RLock()


@functools.cache
def _session() -> Any:
    import requests  # noqa: PLC0415 - the program does without it

    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"aivenv1 {os.environ['AIVEN_TOKEN']}"
    session.mount("http://", requests.adapters.HTTPAdapter(pool_connections=1, pool_maxsize=4, pool_block=True))
    return session


def _call(method: str, path: str, body: dict[str, Any] | None = None, full_token: str | None = None) -> Any:
    with _ONE_AT_A_TIME:
        session = _session()
    headers = {"Authorization": f"aivenv1 {full_token}"} if full_token else {}
    answer = session.request(method, f"{os.environ['AIVEN_WEB_URL']}/v1{path}", json=body, headers=headers, timeout=60)
    answer.raise_for_status()
    return answer.json()


@functools.cache
def _asked_once(path: str) -> Any:
    return _call("GET", path)


def _once(path: str) -> Any:
    with _ONE_AT_A_TIME:
        return _asked_once(path)


@functools.cache
def _by_prefix() -> dict[str, Any]:
    return {token["token_prefix"]: token for token in _asked_once("/access_token")["tokens"]}


def _listed() -> dict[str, Any]:
    with _ONE_AT_A_TIME:
        return _by_prefix()


def _path(prefix: str) -> str:
    return "/access_token/" + quote(prefix, safe="")


def _outputs(shown: dict[str, Any]) -> dict[str, Any]:
    return {name: shown[name] for name in (*OUTPUTS, *INPUTS) if name in shown}


class Provider(dynamic.ResourceProvider):
    """Create, read, update and delete, each the calls that the package makes."""

    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Make a token, and let it set its description."""
        _once("/me")
        made = _call("POST", "/access_token", {name: props[name] for name in INPUTS})
        prefix, full_token = made["token_prefix"], made["full_token"]
        shown = _call("PUT", _path(prefix), {"description": props["description"]}, full_token)
        return dynamic.CreateResult(prefix, {**props, **_outputs(shown), "full_token": full_token})

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.DiffResult:
        """Compare the description."""
        return dynamic.DiffResult(changes=olds["description"] != news["description"])

    def read(self, id_: str, props: dict[str, Any]) -> dynamic.ReadResult:
        """Find a token in the list that all share."""
        return dynamic.ReadResult(id_, {**props, **_outputs(_listed()[id_])})

    def update(self, id_: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
        """Set the description."""
        shown = _call("PUT", _path(id_), {"description": news["description"]})
        return dynamic.UpdateResult({**olds, **_outputs(shown)})

    def delete(self, id_: str, _props: dict[str, Any]) -> None:
        """Revoke a token, after a look at what the account holds."""
        _listed()
        _call("DELETE", _path(id_))


class Token(dynamic.Resource):
    """A token."""

    def __init__(self, name: str, description: str, max_age_seconds: int) -> None:
        inputs = dict(zip(INPUTS, (description, max_age_seconds, False), strict=True))
        opts = ResourceOptions(additional_secret_outputs=["full_token"])
        super().__init__(Provider(), name, {**dict.fromkeys(OUTPUTS), **inputs}, opts)
