"""A scratch project against an emulated account: the real engine, its own backend, nothing of the environment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pulumi_avn_token.emulator import Emulator
from tools.engine.environment import environment

ROOT = Path(__file__).resolve().parents[2]
TYPES = ("pulumi-python:dynamic/avn:AccessToken", "pulumi-python:dynamic/avn:RotatingAccessToken")
DAY = 24 * 60 * 60
COMMAND_TIMEOUT_SECONDS = 120

SERIES = {
    "max_age_seconds": 30 * DAY,
    "early_rotation_window_seconds": 10 * DAY,
    "overlap_seconds": 5 * DAY,
}
"""What a test's series is like where it does not say otherwise."""

CONSUMER = '''
from pulumi import dynamic

class ConsumerProvider(dynamic.ResourceProvider):
    """Something that is configured with the token, and checks what it is given."""

    def create(self, props):
        self.use(props["token"])
        return dynamic.CreateResult("consumer", props)

    def diff(self, _id, olds, news):
        return dynamic.DiffResult(changes=olds["token"] != news["token"])

    def update(self, _id, olds, news):
        self.use(news["token"])
        self.use(olds["token"])
        return dynamic.UpdateResult(news)

    def use(self, token):
        import os, requests
        url = os.environ["AIVEN_WEB_URL"] + "/v1/me"
        headers = {"Authorization": "aivenv1 " + token, "User-Agent": "consumer"}
        requests.get(url, headers=headers, timeout=10).raise_for_status()

class Consumer(dynamic.Resource):
    def __init__(self, name, token):
        super().__init__(ConsumerProvider(), name, {"token": token})
'''
"""The part of a program that defines `Consumer(name, token)`."""


@dataclass(frozen=True)
class Ran:
    """A command that ran: what it printed, and its status."""

    output: str = field(repr=False)
    status: int

    def messages(self, name: str) -> list[str]:
        """What the command told about a resource under *Diagnostics*; a warning begins with `warning: `."""
        told: dict[str, None] = {}
        is_about_it = False
        for line in self.output.partition("\nDiagnostics:\n")[2].splitlines():
            if not line.startswith("    "):
                is_about_it = line.endswith(f" ({name}):")
            elif is_about_it:
                told[line.strip()] = None
        return list(told)


@dataclass
class Project:
    """A project in a folder of its own; `environ` are further environment variables of its commands."""

    folder: Path
    emulator: Emulator
    environ: dict[str, str] = field(default_factory=dict, repr=False)
    printed: list[str] = field(default_factory=list, repr=False)
    """All that its commands printed, in the open: what a leak test looks through."""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "state").mkdir()
        if not (self.folder / "Pulumi.yaml").exists():
            (self.folder / "Pulumi.yaml").write_text("name: scratch\nruntime: python\n")
        self.pulumi("stack", "select", "--create", "test")

    def program(self, body: str) -> Project:
        """Make `body` the program."""
        source = "import pulumi\nimport pulumi_avn_token as avn\n\n" + textwrap.dedent(body)
        (self.folder / "__main__.py").write_text(source)
        return self

    def tokens(self, **tokens: str) -> Project:
        """Make a program that declares a token for each name, with the arguments given as Python source."""
        lines = [f'{name} = avn.AccessToken("{name}", {arguments})' for name, arguments in tokens.items()]
        lines += [f'pulumi.export("{name}", {name}.full_token)' for name in tokens]
        return self.program("\n".join(lines))

    def series(self, **series: str) -> Project:
        """Make a program that declares a series for each name, with what is given as Python source beside `SERIES`."""
        lines = [
            f'avn.RotatingAccessToken("{name}", **dict({SERIES}, **dict({{"description": "{name}"}}, {arguments})))'
            for name, arguments in series.items()
        ]
        return self.program("\n".join(lines))

    def at(self, day: float) -> Project:
        """Set the account's clock to a day of a story that began 400 days ago."""
        self.emulator.clock_offset = (day - 400) * DAY
        return self

    def pulumi(self, *arguments: str, fails: bool | None = False, hidden: bool = False) -> Ran:
        """Run `pulumi`, which must succeed, or fail; where `fails` is None, it may do either.

        What is `hidden` does not count as printed in the open. There are no colours unless `arguments` say so.
        """
        colourless = () if "--color" in arguments else ("--color", "never")
        ran = subprocess.run(
            ["pulumi", *arguments, "--non-interactive", *colourless],
            cwd=self.folder,
            env=self._environ(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=COMMAND_TIMEOUT_SECONDS,
        )
        if not hidden:
            self.printed.append(ran.stdout)
        assert fails is None or (ran.returncode != 0) == fails, ran.stdout
        return Ran(ran.stdout, ran.returncode)

    def shell(self, commands: str, *, status: int = 0, folder: Path | None = None) -> Ran:
        """Run what a user types, in the project or another folder; it must end with this status."""
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=folder or self.folder,
            env=self._environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=COMMAND_TIMEOUT_SECONDS,
        )
        self.printed.append(ran.stdout)
        assert ran.returncode == status, ran.stdout
        return Ran(ran.stdout, ran.returncode)

    def up(self, *arguments: str, fails: bool = False) -> Ran:
        """Run `pulumi up` without its preview."""
        return self.pulumi("up", "--yes", "--skip-preview", *arguments, fails=fails)

    def preview(self, *arguments: str, fails: bool = False) -> Ran:
        """Run `pulumi preview`."""
        return self.pulumi("preview", *arguments, fails=fails)

    def refresh(self, *arguments: str, fails: bool = False) -> Ran:
        """Run `pulumi refresh` without its preview."""
        return self.pulumi("refresh", "--yes", "--skip-preview", *arguments, fails=fails)

    def destroy(self, *arguments: str, fails: bool = False) -> Ran:
        """Run `pulumi destroy` without its preview."""
        return self.pulumi("destroy", "--yes", "--skip-preview", *arguments, fails=fails)

    def output(self, name: str) -> Any:
        """A stack output, secret or not."""
        shown = self.pulumi("stack", "output", name, "--json", "--show-secrets", hidden=True)
        return json.loads(shown.output)

    def state(self, *, plain: bool = False) -> dict[str, dict[str, Any]]:
        """The recorded access tokens and series by name, secrets decrypted where `plain`."""
        return {resource["urn"].split("::")[-1]: resource for resource in self._recorded(plain=plain)}

    def outputs(self, name: str) -> Mapping[str, Any]:
        """The recorded outputs of an access token or a series, secrets decrypted."""
        outputs = self.state(plain=True)[name]["outputs"]
        return {name: _unwrapped(value) for name, value in outputs.items()}

    def held(self) -> set[str]:
        """The prefixes of the tokens that the state holds, those that it is about to revoke included."""
        outputs = [resource["outputs"] for resource in self._recorded()]
        names = ("token_prefix", "previous_token_prefix")
        return {held[name] for held in outputs for name in names if held.get(name) is not None}

    def _recorded(self, *, plain: bool = False) -> list[dict[str, Any]]:
        """Every recorded access token and series; where one is being replaced, both have its name."""
        shown = self.pulumi("stack", "export", *(["--show-secrets"] if plain else []), hidden=plain)
        resources = json.loads(shown.output)["deployment"].get("resources", [])
        return [resource for resource in resources if resource["type"] in TYPES]

    def kill_up(self, when: Callable[[], bool]) -> None:
        """Run `pulumi up`, and kill it with all that it started once something is so; then free the stack's lock."""
        assert self.interrupt_up(when), "it ended before it was to be killed"

    def interrupt_up(
        self, when: Callable[[], bool], victim: str = "", signal_: int = signal.SIGKILL, *, unlock: bool = True
    ) -> bool:
        """Run `pulumi up`, send a signal to what it runs once something is so, and tell whether it came to that.

        victim: a part of the command line of those that get the signal; none: all. What is left after a while is
        killed; then, where `unlock` says so, the stack's lock is freed.
        """
        with (
            _interruptible(),
            subprocess.Popen(
                ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive"],
                cwd=self.folder,
                env=self._environ(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            ) as running,
        ):
            try:
                is_running = wait_until(lambda: running.poll() is not None or when()) and running.poll() is None
                struck = is_running and _signal_session(running.pid, victim, signal_)
                if victim:
                    wait_until(lambda: running.poll() is not None)
            finally:
                _signal_session(running.pid, "", signal.SIGKILL)
                self.printed.append(running.communicate()[0])
        if unlock:
            self.pulumi("cancel", "--yes", fails=None)
        return struck

    def _environ(self) -> dict[str, str]:
        environ = {
            name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "AIVEN_", "COV_"))
        }
        environ |= {
            **environment(self.folder, "test"),
            "HOME": str(self.folder),
            "AIVEN_TOKEN": self.emulator.token,
            "AIVEN_WEB_URL": self.emulator.url,
        }
        environ |= self.environ
        return {name: value for name, value in environ.items() if value}


def typed(commands: str, folder: Path, scratch: Path, emulator: Emulator) -> str:
    """Run commands of a document as they stand, in a folder, and give what they print; `scratch` has a `state`."""
    environ = {
        **os.environ,
        **environment(scratch, "test"),
        "COLUMNS": "",  # the workers of the tests set it, and a pipe has room for any line
        "PULUMI_SKIP_CONFIRMATIONS": "true",
        "AIVEN_WEB_URL": emulator.url,
        "TOKEN_OF_THE_TEST": emulator.token,
    }
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands.replace("AIVEN_TOKEN=…", 'AIVEN_TOKEN="$TOKEN_OF_THE_TEST"')],
        cwd=folder,
        env=environ,
        check=True,
        capture_output=True,
        text=True,
    )
    return ran.stdout


def wait_until(is_so: Callable[[], bool]) -> bool:
    """Wait until something is so; it fails if that takes too long."""
    deadline = time.monotonic() + COMMAND_TIMEOUT_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)
    return True


@contextmanager
def _interruptible() -> Iterator[None]:
    """Have what is started listen to Ctrl-C, which a shell has commands in the background ignore with all of theirs."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def _signal_session(leader: int, victim: str, signal_: int) -> bool:
    """Signal a process and what it started; the engine gives each plugin a process group of its own."""
    struck = False
    for process in [process for process in Path("/proc").iterdir() if process.name.isdigit()]:
        with suppress(ProcessLookupError, FileNotFoundError):
            arguments = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if os.getsid(int(process.name)) == leader and victim in arguments:
                os.kill(int(process.name), signal_)
                struck = True
    return struck


def _unwrapped(value: Any) -> Any:
    """A value of an exported state, without the wrapping that marks a secret."""
    return json.loads(value["plaintext"]) if isinstance(value, dict) and "plaintext" in value else value
