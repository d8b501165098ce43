"""A scratch project against an emulated account: the real engine, its own backend, nothing of the environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pulumi_avn_token.emulator import Emulator

ROOT = Path(__file__).resolve().parents[2]
TYPES = ("pulumi-python:dynamic/avn:AccessToken", "pulumi-python:dynamic/avn:RotatingAccessToken")
DAY = 24 * 60 * 60
COMMAND_TIMEOUT_SECONDS = 120


@dataclass(frozen=True)
class Ran:
    """A command that ran: what it printed, and its status."""

    output: str = field(repr=False)
    status: int


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
        self.pulumi("stack", "init", "test")

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

    def pulumi(self, *arguments: str, fails: bool = False, hidden: bool = False) -> Ran:
        """Run `pulumi`, which must succeed, or fail; what is `hidden` does not count as printed in the open."""
        environ = {
            name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "AIVEN_", "COV_"))
        }
        environ |= {
            "PATH": os.pathsep.join([str(ROOT / ".engine" / "bin"), str(Path(sys.executable).parent), environ["PATH"]]),
            "VIRTUAL_ENV": str(Path(sys.executable).parent.parent),
            "HOME": str(self.folder),
            "PULUMI_HOME": str(self.folder / "home"),
            "PULUMI_BACKEND_URL": (self.folder / "state").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "AIVEN_TOKEN": self.emulator.token,
            "AIVEN_WEB_URL": self.emulator.url,
        }
        environ |= self.environ
        ran = subprocess.run(
            ["pulumi", *arguments, "--non-interactive", "--color", "never"],
            cwd=self.folder,
            env={name: value for name, value in environ.items() if value},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=COMMAND_TIMEOUT_SECONDS,
        )
        if not hidden:
            self.printed.append(ran.stdout)
        assert (ran.returncode != 0) == fails, ran.stdout
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
        shown = self.pulumi("stack", "export", *(["--show-secrets"] if plain else []), hidden=plain)
        resources = json.loads(shown.output)["deployment"].get("resources", [])
        return {resource["urn"].split("::")[-1]: resource for resource in resources if resource["type"] in TYPES}

    def outputs(self, name: str) -> Mapping[str, Any]:
        """The recorded outputs of an access token or a series, secrets decrypted."""
        outputs = self.state(plain=True)[name]["outputs"]
        return {name: _unwrapped(value) for name, value in outputs.items()}


def _unwrapped(value: Any) -> Any:
    """A value of an exported state, without the wrapping that marks a secret."""
    return json.loads(value["plaintext"]) if isinstance(value, dict) and "plaintext" in value else value
