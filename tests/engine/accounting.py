"""What has become of the tokens of an account, by the state of a stack and the audit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from tests.engine.project import Project

_COMMAND = re.compile(r"`((?:avn user|pulumi up) [^`]+)`")


def find_undelivered(project: Project) -> dict[str, str]:
    """The tokens that the audit says nobody got, each with the command that it advises."""
    ran = project.shell("pulumi stack export | pulumi-avn-token audit - --json || true")
    entries: list[dict[str, Any]] = json.loads(ran.output)["tokens"]
    return {
        entry["token_prefix"]: _COMMAND.findall(finding["advice"])[0]
        for entry in entries
        for finding in entry["findings"]
        if finding["kind"] == "undelivered"
    }


def follow(project: Project, commands: Iterable[str]) -> None:
    """Run what the audit advises, as a person would at a terminal."""
    for command in commands:
        project.shell(f"export AIVEN_AUTH_TOKEN=$AIVEN_TOKEN PULUMI_SKIP_CONFIRMATIONS=true; {command}")
