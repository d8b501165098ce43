"""The example `github-actions`: each place has a token of its own."""

from __future__ import annotations

import pytest

from pulumi_avn_token.emulator import Emulator
from tests.account import Observer
from tests.examples.mocks import ROOT, Program

PLACES = {
    "ci": "github:index/actionsSecret:ActionsSecret::ci",
    "deploys": "github:index/actionsEnvironmentSecret:ActionsEnvironmentSecret::deploys",
}


@pytest.fixture
def program(emulator: Emulator) -> Program:
    """The example, for a repository that has an environment."""
    return Program(ROOT / "examples" / "github-actions", emulator, repository="ingest", environment="production")


def test_each_secret_of_github_has_a_token_of_its_own(program: Program) -> None:
    """The repository's and the environment's are in the stack's configuration, and neither has the other's token."""
    program.up()
    program.assert_secrets_stay_secrets()
    named = {"repository": "ingest", "secretName": "AIVEN_TOKEN"}
    for (name, key), place in zip(PLACES.items(), ({}, {"environment": "production"}), strict=True):
        assert program.holders(program.token(name)["full_token"]) == {(key, "value")}
        properties = program.sent[key].properties
        assert {given: properties[given] for given in properties if given != "value"} == {**named, **place}


def test_a_job_that_runs_while_its_token_rotates_goes_on(program: Program, observer: Observer) -> None:
    """GitHub has the new tokens, the old ones work for three days, and are then revoked though jobs used them."""
    program.up(days_ago=24)
    old = {name: program.token(name)["full_token"] for name in PLACES}
    program.up(days_ago=4)
    program.assert_secrets_stay_secrets()
    for name, key in PLACES.items():
        assert program.holders(program.token(name)["full_token"]) == {(key, "value")}
        assert program.holders(old[name]) == set()
    program.up(days_ago=1.5)
    assert all(observer.works(secret) for secret in old.values())
    program.up()
    for name in PLACES:
        assert not observer.works(old[name])
        assert observer.works(program.token(name)["full_token"])
