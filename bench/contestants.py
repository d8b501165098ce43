"""Who does the work: Pulumi with one provider or another, the official command line, and the requests alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, Protocol
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter

from bench.operations import Work
from bench.processes import run, undisturbed
from bench.server import Api
from bench.wanted import CONNECTIONS, MAX_AGE_SECONDS, descriptions
from tools.engine.environment import environment

ROOT = Path(__file__).resolve().parents[1]


class Contestant(Protocol):
    """Somebody with an account of its own, who does one operation after the other."""

    def do(self, work: Work) -> int | None:
        """Do it, and give the peak memory of the provider's host in KiB, where there is one."""


class Pulumi:
    """The engine, with one of `programs/`; `settings` are further variables and flags that it is run with."""

    _COMMANDS: ClassVar = {
        "first up": "up --yes --skip-preview",
        "unchanged up": "up --yes --skip-preview",
        "preview": "preview",
        "refresh": "refresh --yes --skip-preview",
        "changed up": "up --yes --skip-preview --refresh",
        "destroy": "destroy --yes --skip-preview",
    }

    def __init__(self, program: str, api: Api, scratch: Path, settings: str = "") -> None:
        self._folder = shutil.copytree(ROOT / "bench" / "programs" / program, scratch / program)
        (self._folder / "state").mkdir()
        words = settings.split()
        self._flags = [word for word in words if word.startswith("--")]
        self._environ = {
            **undisturbed(),
            **environment(self._folder, "bench"),
            **dict(word.split("=", 1) for word in words if not word.startswith("--")),
            "PYTHONPATH": str(ROOT),
            "AIVEN_TOKEN": api.token,
            "AIVEN_WEB_URL": api.url,
        }
        self._pulumi("stack", "select", "--create", "bench")

    def do(self, work: Work) -> int | None:
        """Run the command."""
        self._environ["BENCH_TOKENS"] = str(work.tokens)
        self._environ["BENCH_IS_CHANGED"] = "yes" if work.is_changed else ""
        return self._pulumi(*self._COMMANDS[work.operation].split(), *self._flags)

    def _pulumi(self, *arguments: str) -> int | None:
        command = ["pulumi", *arguments, "--non-interactive", "--color", "never"]
        status, printed, peak_kib = run(command, self._folder, self._environ)
        if status != 0:
            raise RuntimeError(f"pulumi {' '.join(arguments)} failed:\n{printed[-3000:]}")
        return peak_kib


class OfficialCli:
    """The official command line in a loop, as a script runs it; to see what there is, it lists once."""

    def __init__(self, api: Api, scratch: Path) -> None:
        self._environ = {
            "PATH": os.defpath,
            "HOME": str(scratch),
            "AIVEN_AUTH_TOKEN": api.token,
            "AIVEN_CONFIG_DIR": str(scratch),
            "AIVEN_WEB_URL": api.url,
            "NO_PROXY": "127.0.0.1",
        }

    def do(self, work: Work) -> None:
        """Run `avn user access-token` as often as it takes."""
        wanted = descriptions(work.tokens, is_changed=work.is_changed).values()
        if work.operation == "first up":
            for description in wanted:
                self._avn("create", "--description", description, "--max-age-seconds", str(MAX_AGE_SECONDS))
            return
        held = {token["description"]: token["token_prefix"] for token in json.loads(self._avn("list", "--json"))}
        if work.operation == "changed up":
            for description in wanted:
                if description not in held:
                    prefix = held[description.removesuffix(", changed")]
                    self._avn("update", f"--description={description}", "--", prefix)
        elif work.operation == "destroy":
            for description in wanted:
                self._avn("revoke", "--", held[description])

    def _avn(self, *arguments: str) -> str:
        avn = [sys.executable, "-m", "aiven.client", "user", "access-token"]
        return subprocess.run([*avn, *arguments], env=self._environ, check=True, capture_output=True, text=True).stdout


class RawRequests:
    """What the network costs: the package's requests, by four threads over four connections, and nothing else."""

    def __init__(self, api: Api) -> None:
        self._url = f"{api.url}/v1"
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"aivenv1 {api.token}"
        self._session.mount("http://", HTTPAdapter(pool_connections=1, pool_maxsize=CONNECTIONS, pool_block=True))

    def do(self, work: Work) -> None:
        """Send them."""
        wanted = descriptions(work.tokens, is_changed=work.is_changed).values()
        if work.operation == "first up":
            self._call("GET", "/me")
            self._for_each(self._make, wanted)
        elif work.operation in ("refresh", "changed up", "destroy"):
            held = {
                token["description"]: token["token_prefix"] for token in self._call("GET", "/access_token")["tokens"]
            }
            if work.operation == "changed up":
                changed = [description for description in wanted if description not in held]
                self._for_each(lambda text: self._describe(held[text.removesuffix(", changed")], text), changed)
            elif work.operation == "destroy":
                self._for_each(lambda text: self._call("DELETE", _path(held[text])), wanted)

    def _make(self, description: str) -> None:
        body = {"description": description, "max_age_seconds": MAX_AGE_SECONDS}
        self._describe(self._call("POST", "/access_token", body)["token_prefix"], description)

    def _describe(self, prefix: str, description: str) -> None:
        self._call("PUT", _path(prefix), {"description": description})

    def _for_each(self, do: Callable[[str], object], items: Any) -> None:
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            for _ in pool.map(do, items):
                pass

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = self._session.request(method, self._url + path, json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()


def _path(prefix: str) -> str:
    return "/access_token/" + quote(prefix, safe="")
