"""No secret in the open: in the state, its history, output, errors, files, processes or the emulator's file."""

from __future__ import annotations

import base64
import pickletools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pulumi_avn_token.emulator import DEFAULT_USER, Emulator, Fault
from tests.account import Observer
from tests.contract.servers import ISSUED, Answer, Reply, Request, Server, refusal, said, token_object
from tests.engine.project import CONSUMER, SERIES, TYPES, Project, Ran
from tests.leaks import Secrets, assert_none_in, files

SITE = """
import logging, os

logging.basicConfig(level=logging.DEBUG)
if "CRASH" in os.environ:
    import requests

    def crash(*_arguments, **_options):
        raise RuntimeError("unheard of")

    requests.Session.request = crash
"""
"""What every Python process runs first: libraries log all they can to where the engine shows it, and one may crash."""

TOKENS = """
import logging, os

logging.getLogger().setLevel(logging.DEBUG)
adopted = os.environ["ADOPTED"]
told = {{"description": "CI {release}", "rotation_triggers": {{"release": {release}}}}}
series = {{**told, **{series}, "revocation_triggers": {{"leak": {leak}}}}}
tokens = {{
    "ci": avn.{kind}("ci", **(series if "{kind}" == "RotatingAccessToken" else told)),
    "ingest": avn.RotatingAccessToken("ingest", **series),
    "nb": avn.AccessToken("nb", description="nb", adopt_prefix=adopted, full_token=adopted),
}}
{more}
for name, token in tokens.items():
    pulumi.export(name, token.full_token)
pulumi.export("previous", tokens["ingest"].previous_full_token)
Consumer("consumer", tokens["ci"].full_token)
"""
"""A program with one token of each way to have one, and all that hands on their secrets."""

NAMES = [type_.rpartition(":")[2] for type_ in TYPES]
"""What the resources are called."""


@dataclass
class Watched(Project):
    """A project that looks, after each command, at what it printed and at every file that it has written."""

    secrets: Secrets = field(default_factory=Secrets)
    """What must not be seen; it grows while commands run."""
    processes: set[tuple[bytes, bytes]] = field(default_factory=set, repr=False)
    """The arguments and the environment of each process that was met."""
    _looked_at: dict[Path, int] = field(default_factory=dict, repr=False)

    def declare(self, release: int, leak: int = 1, *, kind: str = "AccessToken", more: str = "") -> Watched:
        """Make a program with a token, a series and an adopted token, and resources that are given their secrets."""
        self.program(CONSUMER + TOKENS.format(release=release, leak=leak, kind=kind, more=more, series=SERIES))
        return self

    def pulumi(self, *arguments: str, fails: bool | None = False, hidden: bool = False) -> Ran:
        """Run `pulumi`, and look."""
        with _sampling(str(self.folder).encode(), self.processes):
            ran = super().pulumi(*arguments, fails=fails, hidden=hidden)
        if not hidden:
            assert_none_in(self.secrets, ran.output.encode(), f"what `pulumi {arguments[0]}` printed")
        self.look()
        return ran

    def look(self) -> None:
        """Look at the files that are new, or have changed since the last time."""
        for path, content in files(self.folder):
            if self._looked_at.get(path) != (changed := path.stat().st_mtime_ns):
                self._looked_at[path] = changed
                assert_none_in(self.secrets, content, str(path.relative_to(self.folder)))


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Secrets:
    """Every token that an emulated account gives out, as it is drawn: also what no state ever held."""
    from pulumi_avn_token.emulator import api, mint, server  # noqa: PLC0415 - what is watched

    drawn = Secrets()

    def draw(draw_token: Callable[[], str] = mint.draw_token) -> str:
        drawn.append(draw_token())
        return drawn[-1]

    for module in (api, server):
        monkeypatch.setattr(module, "draw_token", draw)
    return drawn


@pytest.fixture
def emulator(tmp_path: Path, secrets: Secrets) -> Iterator[Emulator]:
    """An emulated account, in a file that is looked at too."""
    assert not secrets  # nothing is drawn before they are watched
    (tmp_path / "project" / "account").mkdir(parents=True)
    with Emulator(tmp_path / "project" / "account" / "db.sqlite3") as emulator:
        yield emulator


@pytest.fixture
def watched(tmp_path: Path, secrets: Secrets, emulator: Emulator, observer: Observer) -> Watched:
    """A project that adopts a token by its secret, and keeps all its files and caches in its folder."""
    folder = tmp_path / "project"
    for name in ("site", "tmp"):
        (folder / name).mkdir()
    (folder / "site" / "sitecustomize.py").write_text(SITE)
    environ = {
        "ADOPTED": observer.make("nb")["full_token"],
        "PULUMI_DEBUG_COMMANDS": "true",  # there is no `--event-log` without it
        "PULUMI_EXPERIMENTAL": "true",
        "PYTHONPATH": str(folder / "site"),
        "TMPDIR": str(folder / "tmp"),
    }
    return Watched(folder, emulator, environ, secrets=secrets)


def test_no_secret_is_in_the_open_anywhere(watched: Watched, secrets: Secrets, observer: Observer) -> None:
    """In a life with every command and many an error, only encrypted secrets are to be found, after each of them."""
    project, adopted, by_the_user = watched, watched.environ["ADOPTED"], len(secrets)
    project.declare(1).preview("--diff", "--save-plan", "plan.json", "--event-log", "preview.log")
    project.up("--plan", "plan.json", "--event-log", "up.log")
    project.declare(2).preview("--json")
    project.up("--json", "--diff", "--show-full-output", "--show-replacement-steps")
    observer.describe(adopted[:12], "by hand")
    project.refresh("--json", "--diff")
    project.declare(2, leak=2).up("--debug")
    observer.revoke(adopted[:12])
    project.up("--refresh", "--diff")
    project.declare(2, 2, kind="RotatingAccessToken").up("--event-log", "kind.log")
    project.declare(2, 2).up("--show-sames")
    _fail(project)
    project.shell('printf %s "$AIVEN_TOKEN" | pulumi config set --secret aiven:apiToken --non-interactive')
    project.environ["AIVEN_TOKEN"] = ""
    project.declare(5, 2).up()
    for command in ("config", "stack output", "stack history --json"):
        project.pulumi(*command.split())
    for resource in project.state().values():
        assert_is_a_reference(resource["inputs"]["__provider"])
        assert_is_a_reference(resource["outputs"]["__provider"])
    shown = project.pulumi("stack", "output", "--show-secrets", hidden=True).output
    with pytest.raises(AssertionError):
        assert_none_in(secrets, shown.encode(), "what was asked for")
    project.destroy("--json", "--diff")

    printed = "".join(project.printed)
    for expected in (
        "DEBUG:urllib3.connectionpool:",
        "Authorization: aivenv1 [",
        "RuntimeError: unheard of",
        "[secret]",
    ):
        assert expected in printed
    for name in ("preview.log", "up.log", "kind.log", "plan.json"):
        assert (project.folder / name).stat().st_size > 1000
    arguments = b"\n".join(arguments for arguments, _ in project.processes)
    for program in (b"pulumi\0up\0", b"pulumi-language-python-exec\0", b"-m\0pulumi.dynamic\0"):
        assert program in arguments
    assert_none_in(secrets, arguments, "the arguments of a process")
    made = secrets[by_the_user:]
    assert len(made) > 10
    assert_none_in(made, b"\n".join(environ for _, environ in project.processes), "the environment of a process")


def test_what_the_engine_writes_down_of_everything_holds_no_credential(watched: Watched) -> None:
    """Its own logs and traces of all that it is told may hold new tokens; the credential goes past it."""
    project = watched
    project.environ["PULUMI_DEBUG_GRPC"] = "grpc.json"
    project.secrets = Secrets([project.emulator.token])
    project.declare(1).up("--logtostderr", "-v=9", "--logflow", "--tracing", "file:trace", "--otel-traces", "file:otel")
    assert "GET /v1/me" in project.printed[-1]
    for name in ("grpc.json", "trace"):
        assert b"full_token" in (project.folder / name).read_bytes()


def test_a_secret_in_the_place_of_an_id_is_not_shown(watched: Watched) -> None:
    """A full token that is read, where its prefix was meant, is as good as everywhere else, or refused: unseen."""
    watched.program("import os\navn.AccessToken.get('nb', os.environ['ADOPTED'])")
    watched.pulumi("preview", "--json", fails=None)


def test_the_pickled_provider_is_a_reference_and_no_more() -> None:
    """What is written into every state names the class, and holds nothing of the environment that it was made in."""
    from pulumi.dynamic.dynamic import serialize_provider  # noqa: PLC0415 - an internal of the SDK

    from pulumi_avn_token.provider import (  # noqa: PLC0415 - the very objects
        AccessTokenProvider,
        RotatingAccessTokenProvider,
    )

    for provider in (AccessTokenProvider, RotatingAccessTokenProvider):
        assert_is_a_reference(serialize_provider(provider()))


def _fail(project: Watched) -> None:
    """Fail in every way: bad values, servers that tell what they were asked, a crash, a lost answer, a kill."""

    def careless(request: Request) -> Reply:
        if request.line.startswith("PUT"):
            return refusal(400, "no")(request)
        return said({**token_object(full_token=ISSUED), "user": {"user": DEFAULT_USER}, "tokens": []})(request)

    project.declare(2, 2, more='avn.AccessToken("bad", description="", adopt_prefix=adopted, full_token="x")')
    project.preview("--json", fails=True)
    project.secrets.append(ISSUED)
    with _served(project, careless):
        project.declare(2, 2, more='avn.AccessToken("extra", description="extra")').up("--target", "**extra", "--json")
    with _served(project, refusal(401, "no")):
        project.refresh("--json", fails=True)
    project.environ["CRASH"] = "true"
    project.declare(3, 2).up(fails=True)
    del project.environ["CRASH"]
    project.emulator.faults = [Fault(kind="truncated", method="POST")]
    project.up("--json", fails=True)
    project.emulator.faults = [Fault(kind="latency", seconds=60, method="POST")]
    known = len(project.secrets)
    project.declare(4, 2).kill_up(lambda: len(project.secrets) > known)
    project.emulator.faults = []


@contextmanager
def _served(project: Project, answer: Answer) -> Iterator[None]:
    """Let a server take the account's place meanwhile."""
    with Server(answer) as server:
        project.environ["AIVEN_WEB_URL"] = server.url
        yield
    del project.environ["AIVEN_WEB_URL"]


def assert_is_a_reference(provider: str) -> None:
    """A provider in a state is the name of its class: there is no other text in it."""
    pickled = base64.b64decode(provider)
    told = [argument for _, argument, _ in pickletools.genops(pickled) if isinstance(argument, str | bytes)]
    assert told in [["pulumi_avn_token.provider", f"{name}Provider"] for name in NAMES]
    assert len(pickled) < 100


@contextmanager
def _sampling(mark: bytes, processes: set[tuple[bytes, bytes]]) -> Iterator[None]:
    """Note the processes that have something in their environment, while they run."""
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(0.05):
            for process in Path("/proc").iterdir():
                with suppress(OSError):  # no process, or none any longer
                    environ = (process / "environ").read_bytes()
                    if mark in environ:
                        processes.add(((process / "cmdline").read_bytes(), environ))

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield
    finally:
        ended.set()
        sampler.join()
