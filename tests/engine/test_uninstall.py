"""Letting go of tokens without revoking them, and taking them in again."""

from __future__ import annotations

import json

import pytest

from pulumi_avn_token.emulator import Emulator
from tests.account import Observer
from tests.engine.project import Project

MANIFEST = """\
tokens:
  ci:
    description: CI deploys
    max_age: 90d
  notebooks:
    description: Notebooks
    adopt_prefix: PREFIX
  ingest:
    description: Ingest workers
    max_age: 60d
    rotation: {before: 21d, overlap: 7d}
    rotation_triggers: {release: 1}
"""

MANAGED = 'avn.access_tokens_from_manifest("tokens.yaml")'
RETAINED = 'avn.access_tokens_from_manifest("tokens.yaml", opts=pulumi.ResourceOptions(retain_on_delete=True))'


@pytest.mark.parametrize("how", ["removed", "destroyed"])
def test_what_is_retained_stays_valid_and_can_be_taken_in_again(
    project: Project, observer: Observer, emulator: Emulator, how: str
) -> None:
    """A manifest's tokens, both of a series among them, are let go without a write, and adopted by the next stack."""
    secrets = moved_in(project, observer)
    before, held = observer.valid(), project.held()
    assert len(held) == len(secrets) == 4
    emulator.clear_requests()
    assert "4 unchanged" in project.program(RETAINED).up().output
    if how == "removed":
        project.program("").up()
    else:
        project.destroy()
    assert project.state() == {}
    assert writes(emulator) == []
    assert observer.valid() == before
    assert all(observer.works(secret) for secret in secrets)

    assert statuses(project, status=1) == dict.fromkeys(held, "unmanaged")
    emulator.clear_requests()
    before = observer.valid()
    project.shell("pulumi-avn-token manifest from-account > tokens.yaml")
    project.program(MANAGED).up()
    assert statuses(project) == dict.fromkeys(held, "managed")
    assert writes(emulator) == []
    assert observer.valid() == before
    project.up("--expect-no-changes")


def test_one_that_is_let_go_goes_alone(project: Project, observer: Observer) -> None:
    """Of a token and a series the one with the option stays valid when both are removed, and the other is revoked."""
    retained = "opts=pulumi.ResourceOptions(retain_on_delete=True)"
    settings = "max_age_seconds=86400, early_rotation_window_seconds=7200"
    source = f"""
        avn.AccessToken("kept", description="kept", {retained})
        avn.AccessToken("gone", description="gone")
        avn.RotatingAccessToken("kept series", description="kept series", {settings}, {retained})
        avn.RotatingAccessToken("gone series", description="gone series", {settings})
        """
    project.program(source).up()
    project.program("").up()
    assert observer.tokens().keys() == {"kept", "kept series"}


def test_the_option_counts_once_an_up_has_recorded_it(project: Project, observer: Observer) -> None:
    """A destroy goes by the state and not by the program: without that `up` it revokes; so it must not be left out."""
    project.tokens(ci='description="CI"').up()
    project.tokens(ci='description="CI", opts=pulumi.ResourceOptions(retain_on_delete=True)')
    project.destroy()
    assert observer.valid() == {}


def test_a_state_that_is_deleted_revokes_nothing(project: Project, observer: Observer, emulator: Emulator) -> None:
    """`pulumi state delete` lets go of a token and of a series without a request."""
    secrets = moved_in(project, observer)
    before = observer.valid()
    emulator.clear_requests()
    for name in ("ci", "notebooks", "ingest"):
        project.pulumi("state", "delete", project.state()[name]["urn"], "--yes")
    project.program("").up()
    assert emulator.requests == []
    assert project.state() == {}
    assert observer.valid() == before
    assert all(observer.works(secret) for secret in secrets)


def moved_in(project: Project, observer: Observer) -> list[str]:
    """Manage a token, an adopted one and a series within its overlap; use each, and give their secrets."""
    by_hand = observer.make("Notebooks")
    manifest = project.folder / "tokens.yaml"
    manifest.write_text(MANIFEST.replace("PREFIX", by_hand["token_prefix"]), encoding="utf-8")
    project.program(MANAGED).up()
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("release: 1", "release: 2"), encoding="utf-8")
    project.up()
    ci, ingest = project.outputs("ci"), project.outputs("ingest")
    secrets = [by_hand["full_token"], ci["full_token"], ingest["full_token"], ingest["previous_full_token"]]
    assert all(observer.works(secret) for secret in secrets)
    return secrets


def writes(emulator: Emulator) -> list[str]:
    """What was asked that may change the account."""
    return [f"{request.method} {request.path}" for request in emulator.requests if request.method != "GET"]


def statuses(project: Project, *, status: int = 0) -> dict[str, str]:
    """What the audit of the stack, which must end with this status, says of each token."""
    told = json.loads(project.shell("pulumi-avn-token audit --stack test --json", status=status).output)
    return {token["token_prefix"]: token["status"] for token in told["tokens"]}
