"""What a team keeps its state in: PostgreSQL and an S3-compatible store, each started on loopback for one test."""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from moto.server import ThreadedMotoServer

from tests.contract.servers import closed_port

START_SECONDS = 60
BUCKET = "pulumi-state"
_ROWS = "SELECT json_object_agg(key, data->>'data') FROM pulumi_state"


@dataclass(frozen=True)
class Backend:
    """A store for the engine; `environ` says where it is and lets one in, `blobs` gives all that it holds, by key."""

    environ: dict[str, str] = field(repr=False)
    blobs: Callable[[], dict[str, bytes]]


@contextmanager
def postgresql() -> Iterator[Backend]:
    """A server with a password, since the other users of the machine are on loopback too."""
    programs = _find_programs()
    password, port = secrets.token_hex(16), closed_port()
    url = f"postgres://pulumi@127.0.0.1:{port}/postgres?sslmode=disable"
    environ = {"PULUMI_BACKEND_URL": url, "PGPASSWORD": password}
    # It refuses to run as root. Who it then runs as may not enter the folders of tests: it gets one of its own.
    owner = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        options: dict[str, Any] = {"cwd": folder, "env": {"PATH": programs, **environ}}
        Path(folder, "password").write_text(password)
        if owner:
            for path in (folder, Path(folder, "password")):
                shutil.chown(path, owner, owner)
            options |= {"user": owner, "group": owner, "extra_groups": []}

        def blobs() -> dict[str, bytes]:
            asking = ["psql", url, "--tuples-only", "--no-align", "--command", _ROWS]
            rows = json.loads(subprocess.run(asking, check=True, stdout=subprocess.PIPE, **options).stdout)
            return {key: base64.b64decode(data) for key, data in rows.items()}

        subprocess.run(_INITDB, check=True, stdout=subprocess.DEVNULL, **options)
        listening = [f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"]
        command = ["postgres", "-D", "data", *(part for setting in listening for part in ("-c", setting))]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options) as server:
            try:
                _wait_for(server, ["pg_isready", "--quiet", "--host=127.0.0.1", f"--port={port}"], options)
                yield Backend(environ, blobs)
            finally:
                server.send_signal(signal.SIGINT)  # it ends without waiting for its clients


_INITDB = (
    "initdb",
    "--pgdata=data",
    "--username=pulumi",
    "--pwfile=password",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C",
    "--no-sync",
)


def _find_programs() -> str:
    """Where PostgreSQL's programs are looked for: Debian's package has its servers on no `PATH`."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    programs = os.pathsep.join([*map(str, reversed(folders)), os.environ["PATH"]])
    if not shutil.which("initdb", path=programs):
        reason = "there is no PostgreSQL server: apt-get install postgresql"
        if os.environ.get("CI"):
            pytest.fail(reason)  # nobody would see that it is skipped there
        pytest.skip(reason)
    return programs


def _wait_for(server: subprocess.Popen[bytes], asking: list[str], options: dict[str, Any]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while subprocess.run(asking, check=False, **options).returncode != 0:
        assert server.poll() is None, "PostgreSQL ended at its start"
        assert time.monotonic() < deadline, "PostgreSQL does not answer"
        time.sleep(0.05)


@contextmanager
def s3() -> Iterator[Backend]:
    """A store that takes any credential."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # else every request is told
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        requests.post(f"{endpoint}/moto-api/reset", timeout=10).raise_for_status()  # all of a process share one memory
        requests.put(f"{endpoint}/{BUCKET}", timeout=10).raise_for_status()

        def get(path: str) -> bytes:
            answer = requests.get(f"{endpoint}/{path}", headers={"Authorization": "AWS nobody:"}, timeout=10)
            answer.raise_for_status()
            return answer.content

        def blobs() -> dict[str, bytes]:
            listed = get(f"{BUCKET}?list-type=2").decode()
            assert "<IsTruncated>false" in listed
            return {key: get(f"{BUCKET}/{quote(key)}") for key in re.findall("<Key>(.*?)</Key>", listed)}

        options = {
            "endpoint": endpoint,
            "region": "us-east-1",
            "use_path_style": "true",
            "response_checksum_validation": "when_required",
        }
        yield Backend(
            {
                "PULUMI_BACKEND_URL": f"s3://{BUCKET}?" + "&".join(f"{name}={options[name]}" for name in options),
                "AWS_ACCESS_KEY_ID": "nobody",
                "AWS_SECRET_ACCESS_KEY": "nobody",
                "AWS_PROFILE": "",
            },
            blobs,
        )
    finally:
        server.stop()
