"""The example `aiven-provider`: with which token the service is made, and in which order things go."""

from __future__ import annotations

from pathlib import Path

import pytest

from pulumi_avn_token.emulator import Emulator
from tests.account import Observer
from tests.engine.project import Project
from tests.examples.mocks import ROOT, Program

ISSUED = "pulumi-python:dynamic/avn:AccessToken::services"
PROVIDER = "pulumi:providers:aiven::services"
SERVICE = "aiven:index/pg:Pg::orders"

STAND_IN = '''
from pulumi import dynamic

class ServiceProvider(dynamic.ResourceProvider):
    """Something that is deleted with the token that the state records for it, as Aiven's provider does it."""

    def create(self, props):
        return dynamic.CreateResult("service", props)

    def diff(self, _id, olds, news):
        return dynamic.DiffResult(changes=olds["token"] != news["token"])

    def update(self, _id, olds, news):
        if {fails}:
            raise RuntimeError("not today")
        return dynamic.UpdateResult(news)

    def delete(self, _id, props):
        import os, requests
        headers = {{"Authorization": "aivenv1 " + props["token"], "User-Agent": "service"}}
        requests.get(os.environ["AIVEN_WEB_URL"] + "/v1/me", headers=headers, timeout=10).raise_for_status()

class Service(dynamic.Resource):
    def __init__(self, name, token):
        super().__init__(ServiceProvider(), name, {{"token": token}})

token = avn.AccessToken("services", description="Services", rotation_triggers={{"release": {release}}})
Service("orders", token.full_token)
'''
"""A program for the real engine, in which a resource stands for provider and service: there is no plugin of theirs."""


@pytest.fixture
def program(emulator: Emulator) -> Program:
    """The example, for a project."""
    return Program(ROOT / "examples" / "aiven-provider", emulator, project="shop")


def test_the_token_is_the_providers_alone(program: Program) -> None:
    """Not the credential that the stack runs with, though it is in the environment; the service has neither."""
    program.up()
    program.assert_secrets_stay_secrets()
    assert program.holders(program.token("services")["full_token"]) == {(PROVIDER, "apiToken")}
    assert program.sent[SERVICE].properties["project"] == "shop"


def test_a_destroy_goes_from_the_service_to_the_token(program: Program) -> None:
    """The service needs its provider, and that its token: the engine destroys in the opposite order."""
    program.up()
    provider = program.sent[PROVIDER]
    assert program.sent[SERVICE].provider == f"{provider.urn}::{provider.id}"
    assert provider.dependencies == [program.sent[ISSUED].urn]


def test_a_rotation_is_the_providers_affair_alone(program: Program, observer: Observer) -> None:
    """The provider gets the new token, the service stays as it is, and the old token is revoked in the same `up`."""
    program.up(days_ago=20)
    old, service = program.token("services"), program.sent[SERVICE].properties
    program.up()
    program.assert_secrets_stay_secrets()
    new = program.token("services")
    assert program.holders(new["full_token"]) == {(PROVIDER, "apiToken")}
    assert program.holders(old["full_token"]) == set()
    assert program.sent[SERVICE].properties == service
    assert set(observer.valid()) == {new["token_prefix"]} != {old["token_prefix"]}


def test_the_recorded_token_outlives_failed_runs_and_serves_the_destroy(
    tmp_path: Path, emulator: Emulator, observer: Observer
) -> None:
    """Until an `up` succeeds, the engine keeps the token that the state records, and revokes it as the last thing."""
    project = Project(tmp_path / "project", emulator)
    project.program(STAND_IN.format(release=1, fails=False)).up()
    (recorded,) = observer.valid()
    for _ in range(2):
        project.program(STAND_IN.format(release=2, fails=True)).up(fails=True)
        assert recorded in observer.valid()
    project.destroy()
    assert [request.status for request in emulator.requests if request.user_agent == "service"] == [200]
    assert observer.valid() == {}
