"""The example `kubernetes`: what the cluster is given, and when its pods are restarted."""

from __future__ import annotations

from typing import Any

import pytest

from pulumi_avn_token.emulator import Emulator
from tests.account import Observer
from tests.examples.mocks import ROOT, Program

PROVIDER = "pulumi:providers:kubernetes::cluster"
HOLDER = "kubernetes:core/v1:Secret::ingest"
DEPLOYMENT = "kubernetes:apps/v1:Deployment::ingest"


@pytest.fixture
def program(emulator: Emulator) -> Program:
    """The example, with an image."""
    return Program(ROOT / "examples" / "kubernetes", emulator, image="registry.example/ingest:1")


def template(program: Program) -> Any:
    """The Deployment's template for pods: whatever changes in it restarts them."""
    return program.sent[DEPLOYMENT].properties["spec"]["template"]


def test_the_secret_is_in_the_kubernetes_secret_alone(program: Program) -> None:
    """The Deployment only refers to it, by name and key."""
    program.up()
    program.assert_secrets_stay_secrets()
    assert program.holders(program.token("ingest")["full_token"]) == {(HOLDER, "stringData.token")}
    (container,) = template(program)["spec"]["containers"]
    name = program.sent[HOLDER].properties["metadata"]["name"]
    reference = {"secretKeyRef": {"name": name, "key": "token"}}
    assert container["env"] == [{"name": "AIVEN_TOKEN", "valueFrom": reference}]
    assert container["image"] == "registry.example/ingest:1"


def test_a_rotation_restarts_the_pods_by_nothing_secret(program: Program, observer: Observer) -> None:
    """The pods' annotation is the token's prefix; those that are not restarted yet go on with the old token."""
    program.up(days_ago=20)
    before, template_before = program.token("ingest"), template(program)
    program.up(days_ago=19)
    assert template(program) == template_before
    program.up()
    program.assert_secrets_stay_secrets()
    after = program.token("ingest")
    assert template_before["metadata"]["annotations"] == {"aiven-token-prefix": before["token_prefix"]}
    assert template(program)["metadata"]["annotations"] == {"aiven-token-prefix": after["token_prefix"]}
    assert before["token_prefix"] != after["token_prefix"]
    assert program.holders(after["full_token"]) == {(HOLDER, "stringData.token")}
    assert program.holders(before["full_token"]) == set()
    assert observer.works(before["full_token"])
    assert observer.works(after["full_token"])


def test_the_secret_is_updated_in_place_and_before_the_pods(program: Program) -> None:
    """Its name is fixed, its provider may change it, and the Deployment, of the same provider, comes after it."""
    program.up()
    provider = program.sent[PROVIDER]
    assert provider.properties == {"enableSecretMutable": "true"}
    for key in (HOLDER, DEPLOYMENT):
        assert program.sent[key].provider == f"{provider.urn}::{provider.id}"
    assert program.sent[HOLDER].properties["metadata"] == {"name": "ingest-aiven"}
    assert "immutable" not in program.sent[HOLDER].properties
    assert program.sent[HOLDER].urn in program.sent[DEPLOYMENT].dependencies


def test_the_old_token_ends_with_the_overlap_though_pods_used_it(program: Program, observer: Observer) -> None:
    """Pods use it until they are restarted; that does not keep it alive."""
    program.up(days_ago=24)
    old = program.token("ingest")["full_token"]
    program.up(days_ago=4)
    program.up(days_ago=1.5)
    assert observer.works(old)
    program.up()
    assert not observer.works(old)
    assert observer.works(program.token("ingest")["full_token"])
