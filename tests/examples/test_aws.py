"""The example `aws`: what a consumer finds under each label of the secret, over two rotations."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from pulumi_avn_token.emulator import Emulator
from tests.account import Observer
from tests.examples.mocks import ROOT, Program, Sent

VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
CURRENT, PREVIOUS = f"{VERSION}::current", f"{VERSION}::previous"


class SecretsManager:
    """AWS as moto has it: is asked what the provider asks when a version is replaced, first made and then deleted."""

    def __init__(self) -> None:
        aws: Any = importlib.import_module("boto3")  # it has no types
        login = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        self._client = aws.client("secretsmanager", region_name="eu-west-1", **login)
        self._name = self._client.create_secret(Name="test")["Name"]
        self._versions: dict[str, tuple[str, Sent]] = {}

    def follow(self, program: Program) -> None:
        """Make each version that is not what it was; then delete what it was, unless that is to be retained."""
        replaced = []
        for key, sent in program.sent.items():
            before = self._versions.get(key)
            if key.startswith(VERSION) and (before is None or before[1].properties != sent.properties):
                secret, labels = sent.properties["secretString"]["value"], sent.properties["versionStages"]
                made = self._client.put_secret_value(SecretId=self._name, SecretString=secret, VersionStages=labels)
                self._versions[key] = made["VersionId"], sent
                replaced += [before] if before and not before[1].is_retained else []
        for version, sent in replaced:
            for label in set(sent.properties["versionStages"]) - {"AWSCURRENT"}:  # which can only be moved
                self._client.update_secret_version_stage(
                    SecretId=self._name, VersionStage=label, RemoveFromVersionId=version
                )

    def read(self, label: str) -> str:
        """What a consumer gets."""
        return str(self._client.get_secret_value(SecretId=self._name, VersionStage=label)["SecretString"])

    def labels(self, key: str) -> list[str]:
        """The labels that the version of a resource has."""
        labels = self._client.describe_secret(SecretId=self._name)["VersionIdsToStages"]
        return list(labels[self._versions[key][0]])


@pytest.fixture
def program(emulator: Emulator) -> Program:
    """The example."""
    return Program(ROOT / "examples" / "aws", emulator)


@pytest.fixture
def aws() -> Iterator[SecretsManager]:
    """An emulated AWS."""
    with mock_aws():
        yield SecretsManager()


def test_both_versions_of_the_one_secret_have_the_current_token_at_first(program: Program) -> None:
    """While there is no previous token, whoever reads it gets one that works; nothing else has it."""
    program.up()
    program.assert_secrets_stay_secrets()
    holders = program.holders(program.token("ingest")["full_token"])
    assert holders == {(CURRENT, "secretString"), (PREVIOUS, "secretString")}
    assert {program.sent[key].properties["secretId"] for key in (CURRENT, PREVIOUS)} == {"ingest-id"}


def test_a_rotation_sets_them_apart(program: Program) -> None:
    """Each version has its own token, the previous one is written last, and after its overlap they are equal again."""
    program.up(days_ago=28)
    old = program.token("ingest")["full_token"]
    program.up(days_ago=8)
    program.assert_secrets_stay_secrets()
    assert program.holders(program.token("ingest")["full_token"]) == {(CURRENT, "secretString")}
    assert program.holders(old) == {(PREVIOUS, "secretString")}
    assert program.sent[CURRENT].urn in program.sent[PREVIOUS].dependencies
    program.up()
    assert program.holders(old) == set()
    assert len(program.holders(program.token("ingest")["full_token"])) == 2


def test_whatever_label_a_consumer_reads_its_token_works(
    program: Program, aws: SecretsManager, observer: Observer
) -> None:
    """From the first run over rotations and retirements, and no version's labels are other than declared."""
    for days_ago, is_overlap in ((40, False), (20, True), (12, False), (0, True)):
        program.up(days_ago=days_ago)
        aws.follow(program)
        token = program.token("ingest")
        assert aws.read("AWSCURRENT") == token["full_token"]
        assert aws.read("PREVIOUS") == token.get("previous_full_token", token["full_token"])
        assert ("previous_full_token" in token) == is_overlap
        assert not is_overlap or aws.read("AWSPREVIOUS") == aws.read("PREVIOUS")
        assert {aws.read(label)[:12] for label in ("AWSCURRENT", "PREVIOUS")} <= set(observer.valid())
        for key in (CURRENT, PREVIOUS):
            assert aws.labels(key) == program.sent[key].properties["versionStages"]
