"""What needs no engine: imports, a long manifest, a full account, and the emulator by itself."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from bench.processes import undisturbed
from bench.server import Api
from bench.turns import order
from bench.wanted import CONNECTIONS

IMPORTS = {
    "`pulumi` and `requests`": "pulumi.dynamic, requests",
    "the host, with the provider": "pulumi.dynamic, pulumi_avn_token.provider, pulumi_avn_token.account",
    "`pulumi`": "pulumi",
    "a program, with the resources": "pulumi, pulumi_avn_token.resources",
    "the command line, before it knows the command": "pulumi_avn_token.cli",
    "the emulator": "pulumi_avn_token.emulator",
}


@dataclass(frozen=True)
class Part:
    """One measurement of something that is not an operation; `value` is in `unit`."""

    group: str
    name: str
    unit: str
    value: float


def imports(round_: int) -> Iterator[Part]:
    """Import times, each in an interpreter of its own."""
    for name in order(tuple(IMPORTS), round_, 0):
        program = (
            f"import time; began = time.perf_counter(); import {IMPORTS[name]}; print(time.perf_counter() - began)"
        )
        ran = subprocess.run(
            [sys.executable, "-c", program], env=undisturbed(), check=True, capture_output=True, text=True
        )
        yield Part("import", name, "ms", float(ran.stdout) * 1000)


def manifest(tokens: int, scratch: Path) -> Iterator[Part]:
    """Loading and validating a manifest, and what its YAML costs by each reader of PyYAML, each by itself."""
    path = scratch / "tokens.yaml"
    entries = [_ENTRY.format(number=number, octet=number % 256) for number in range(tokens)]
    path.write_text("tokens:\n" + "".join(entries))
    compose = f"import yaml; text = open({str(path)!r}).read(); f = lambda: yaml.compose(text, Loader=yaml.%s)"
    runs = {
        "load and validate": f"from pulumi_avn_token import manifest; f = lambda: manifest.load({str(path)!r})",
        "the YAML alone, by libyaml": compose % "CSafeLoader",
        "the YAML alone, in Python": compose % "SafeLoader",
    }
    for name, program in runs.items():
        timed = f"import time; {program}; began = time.perf_counter(); f(); print(time.perf_counter() - began)"
        ran = subprocess.run(
            [sys.executable, "-c", timed], env=undisturbed(), check=True, capture_output=True, text=True
        )
        yield Part("manifest", name, "s", float(ran.stdout))


_ENTRY = """\
  token-{number:05}:
    description: Service {number}
    max_age: 90d
    rotate_before: 14d
    ip_allowlist: [10.0.{octet}.0/24]
    rotation_triggers: {{release: "2026-11"}}
"""


def inventory(api: Api, scratch: Path) -> Iterator[Part]:
    """`list` and `audit` of an account that has many tokens, and the one request that both make."""
    yield Part("inventory", "the list request alone", "s", _timed(lambda: _get(api, "/v1/access_token")))
    export, empty = scratch / "export.json", scratch / "empty.json"
    empty.write_text(json.dumps(_export([])))
    shown = [token for token in json.loads(_get(api, "/v1/access_token"))["tokens"] if token["created_manually"]]
    export.write_text(json.dumps(_export(shown)))
    for name, arguments, status in (
        ("list", ["list"], 0),
        ("list --json", ["list", "--json"], 0),
        ("audit, every token managed", ["audit", str(export)], 0),
        ("audit, no token managed", ["audit", str(empty)], 1),
    ):
        environ = {**undisturbed(), "AIVEN_TOKEN": api.token, "AIVEN_WEB_URL": api.url}
        command = [str(Path(sys.executable).parent / "pulumi-avn-token"), *arguments]
        began = time.perf_counter()
        ran = subprocess.run(command, env=environ, check=False, capture_output=True, text=True)
        seconds = time.perf_counter() - began
        if ran.returncode != status:
            raise RuntimeError(f"{arguments}: status {ran.returncode}\n{ran.stderr[-2000:]}")
        yield Part("inventory", name, "s", seconds)
    api.traffic()


def _export(shown: list[dict[str, str]]) -> dict[str, object]:
    """A stack's export in which each token is held."""
    type_ = "pulumi-python:dynamic/avn:AccessToken"
    later = (datetime.now(timezone.utc) + timedelta(days=30)).isoformat()
    resources = [
        {
            "urn": f"urn:pulumi:bench::bench::{type_}::token-{number:05}",
            "type": type_,
            "custom": True,
            "id": token["token_prefix"],
            "inputs": {"description": token["description"], "early_rotation_window_seconds": 86400},
            "outputs": {
                "token_prefix": token["token_prefix"],
                "description": token["description"],
                "early_rotation_window_seconds": 86400,
                "expiry_time": token.get("expiry_time") or later,
                "create_time": token["create_time"],
                "__owner": {"user": "demo@example.org", "user_id": None},
            },
        }
        for number, token in enumerate(shown)
    ]
    return {"version": 3, "deployment": {"resources": resources}}


def emulator(api: Api, requests: int) -> Part:
    """How many requests a second it answers, asked over four connections that are kept."""

    def ask(times: int) -> None:
        connection = HTTPConnection(urlsplit(api.url).netloc)
        for _ in range(times):
            connection.request("GET", "/v1/me", headers={"Authorization": f"aivenv1 {api.token}"})
            connection.getresponse().read()
        connection.close()

    def ask_over_all() -> None:
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(ask, [requests // CONNECTIONS] * CONNECTIONS))

    seconds = _timed(ask_over_all)
    api.traffic()
    return Part("emulator", "requests with keep-alive", "1/s", requests // CONNECTIONS * CONNECTIONS / seconds)


def _get(api: Api, path: str) -> bytes:
    connection = HTTPConnection(urlsplit(api.url).netloc)
    connection.request("GET", path, headers={"Authorization": f"aivenv1 {api.token}"})
    body = connection.getresponse().read()
    connection.close()
    return body


def _timed(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began
