"""What the tests of the examples rest on: a secret that is shown is found."""

from __future__ import annotations

from pathlib import Path

import pytest
from pulumi import ResourceOptions

from pulumi_avn_token import resources
from pulumi_avn_token.emulator import Emulator
from tests.examples.mocks import Program

PROGRAM = """
import base64, os
import pulumi
import pulumi_avn_token as avn
import pulumi_kubernetes as k8s

token = avn.AccessToken("ci", description="CI deploys")
in_the_open = pulumi.Output.unsecret(token.full_token)
encoded = in_the_open.apply(lambda secret: base64.b64encode(f"xy{secret}".encode()).decode())
"""
MAPPED = "k8s.core.v1.ConfigMap('map', data={'token': %s})"
LEAKS = {
    "in a property": (MAPPED % "in_the_open", "core/v1:ConfigMap::map"),
    "in base64": (MAPPED % "encoded", "core/v1:ConfigMap::map"),
    "in an output of the stack": ("pulumi.export('token', {'of': in_the_open})", "the stack's outputs"),
    "the stack's own credential": (
        "k8s.core.v1.Secret('secret', string_data={'token': os.environ['AIVEN_TOKEN']})",
        "the stack's own credential was handed on",
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project that declares a token."""
    (tmp_path / "Pulumi.yaml").write_text("name: scratch\nruntime: python\n")
    (tmp_path / "__main__.py").write_text(PROGRAM)
    return tmp_path


@pytest.mark.parametrize(("leak", "where"), LEAKS.values(), ids=LEAKS)
def test_a_secret_in_the_open_is_found(folder: Path, emulator: Emulator, leak: str, where: str) -> None:
    """What has it is named."""
    (folder / "__main__.py").write_text(PROGRAM + leak)
    program = Program(folder, emulator)
    program.up()
    with pytest.raises(AssertionError, match=where):
        program.assert_secrets_stay_secrets()


def test_a_token_that_does_not_name_its_secrets_is_found(
    folder: Path, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine hides of a token's outputs those that it is told to, and so does the mock."""
    monkeypatch.setattr(resources, "_hiding", lambda _secrets, opts: opts or ResourceOptions())
    program = Program(folder, emulator)
    program.up()
    with pytest.raises(AssertionError, match="avn:AccessToken::ci"):
        program.assert_secrets_stay_secrets()


def test_a_secret_that_is_passed_on_as_one_is_no_finding(folder: Path, emulator: Emulator) -> None:
    """Not in a property, where it can be looked up, nor in an output of the stack."""
    (folder / "__main__.py").write_text(
        PROGRAM + MAPPED % "token.full_token" + "\npulumi.export('token', {'of': token.full_token})"
    )
    program = Program(folder, emulator)
    program.up()
    program.assert_secrets_stay_secrets()
    assert program.holders(program.token("ci")["full_token"]) == {("kubernetes:core/v1:ConfigMap::map", "data.token")}
    assert "token" in program.outputs
