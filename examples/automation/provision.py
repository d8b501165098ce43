"""Provisions a team's token from within a program, by Pulumi's Automation API: no project folder, no `pulumi` typed."""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pulumi
from pulumi import automation as auto

import pulumi_avn_token as avn

DAY = 24 * 60 * 60
PROJECT = "avn-automation-example"
REASON = re.compile(
    r"^ *(?:stderr: )?(?:error: (?!update failed|Traceback)|pulumi_avn_token\.errors\.\w+: )(.+)", re.MULTILINE
)
"""What is worth telling of all that a command printed."""

ENVIRONMENT = ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "AIVEN_TOKEN")
"""What this program, and none of its functions, takes from the environment."""

log = logging.getLogger(__name__)


class ProvisioningError(Exception):
    """What failed and what to do, in one line."""


@dataclass(frozen=True)
class Platform:
    """Where states are kept, and what opens them and the account."""

    work_dir: Path
    """For the settings of each stack; it may be lost, since all that matters is in the backend."""
    backend_url: str
    passphrase: str = field(repr=False)
    aiven_token: str = field(repr=False)


@dataclass(frozen=True)
class Provisioned:
    """A team's token, and what this run did: how many resources were created, updated, left the same."""

    token_prefix: str
    rotates_at: str
    changes: Mapping[str, int]
    full_token: str = field(repr=False)


def declare() -> None:
    """Declare what a team gets. It runs in this process; the token is made by a process of the engine's."""
    ingest = avn.RotatingAccessToken(
        "ingest",
        description=f"Ingest workers of {pulumi.get_stack()}",
        max_age_seconds=30 * DAY,
        early_rotation_window_seconds=14 * DAY,
        overlap_seconds=7 * DAY,
        rotation_triggers={"release": pulumi.Config().require("release")},
    )
    for name in ("token_prefix", "rotates_at", "full_token"):
        pulumi.export(name, getattr(ingest, name))


def provision(team: str, platform: Platform, *, release: str) -> Provisioned:
    """Make the account agree with what is declared for a team. ProvisioningError: it does not, and why."""
    with _told_in_one_line():
        stack = _stack(team, platform, auto.create_or_select_stack)
        stack.set_config("release", auto.ConfigValue(release))
        done = stack.up(refresh=True, color="never", on_output=log.info)  # secrets are hidden in what it prints
    outputs = {name: output.value for name, output in done.outputs.items()}
    changes = {str(kind): count for kind, count in (done.summary.resource_changes or {}).items()}
    return Provisioned(changes=changes, **outputs)


def destroy(team: str, platform: Platform) -> None:
    """Revoke a team's tokens and forget the team. ProvisioningError: something is left, and why."""
    with _told_in_one_line():
        _stack(team, platform, auto.select_stack).destroy(color="never", on_output=log.info, remove=True)


def _stack(team: str, platform: Platform, find: Callable[..., auto.Stack]) -> auto.Stack:
    work_dir = platform.work_dir / team  # one for each stack: several may be provisioned at the same time
    work_dir.mkdir(parents=True, exist_ok=True)
    environ = {
        "AIVEN_TOKEN": platform.aiven_token,
        "PULUMI_BACKEND_URL": platform.backend_url,
        "PULUMI_CONFIG_PASSPHRASE": platform.passphrase,
        # By the first `python3` on PATH, the engine starts the process that makes tokens: it is to be this one.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
    }
    options = auto.LocalWorkspaceOptions(work_dir=str(work_dir), env_vars=environ)
    return find(team, project_name=PROJECT, program=declare, opts=options)


@contextmanager
def _told_in_one_line() -> Iterator[None]:
    """Find the reason in all that the command printed."""
    try:
        yield
    except auto.CommandError as error:
        reasons = REASON.findall(str(error))
        raise ProvisioningError("; ".join(dict.fromkeys(reasons)) or "pulumi failed; see the log") from None
    except FileNotFoundError:
        raise ProvisioningError("there is no `pulumi` on PATH") from None


def main() -> int:
    """Provision a team, or with --destroy revoke what it has; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("team")
    parser.add_argument("--release", default="1", help="another one rotates the token; default: %(default)s")
    parser.add_argument("--destroy", action="store_true", help="revoke what the team has")
    given = parser.parse_args()
    backend_url, passphrase, aiven_token = (os.environ.get(name, "") for name in ENVIRONMENT)
    if not (backend_url and passphrase and aiven_token):
        parser.error(f"set {', '.join(ENVIRONMENT)}")
    with tempfile.TemporaryDirectory() as work_dir:
        platform = Platform(Path(work_dir), backend_url, passphrase, aiven_token)
        try:
            told = _done(given.team, platform, given.release, destroying=given.destroy)
        except ProvisioningError as error:
            sys.stderr.write(f"{given.team}: {error}\n")
            return 1
    sys.stdout.write(f"{given.team}: {told}\n")
    return 0


def _done(team: str, platform: Platform, release: str, *, destroying: bool) -> str:
    if destroying:
        destroy(team, platform)
        return "revoked"
    token = provision(team, platform, release=release)
    changes = ", ".join(f"{change} {count}" for change, count in sorted(token.changes.items()))
    return f"token {token.token_prefix} rotates at {token.rotates_at} ({changes})"


if __name__ == "__main__":
    sys.exit(main())
