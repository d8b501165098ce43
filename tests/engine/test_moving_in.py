"""Coming from hand-made tokens: three steps take an account over as it is, and from then on it is rotated safely."""

from __future__ import annotations

import json
import re
from typing import Any

import requests
import yaml

from pulumi_avn_token.emulator import Emulator, RequestRecord
from tests.account import Observer
from tests.engine.project import CONSUMER, DAY, Project

BY_HAND: tuple[tuple[int, str, dict[str, Any]], ...] = (
    (300, "null", {}),
    (250, "1234", {"max_age_seconds": 365 * DAY, "extend_when_used": True}),
    (200, 'says "hi": it\'s # no comment', {"max_age_seconds": 365 * DAY, "ip_allowlist": ["::1/128", "127.0.0.0/8"]}),
    (150, "blanks at the end  ", {"max_age_seconds": 365 * DAY, "scopes": ["user:write", "user:read"]}),
    (100, "two\nlines", {"max_age_seconds": 315360000}),
    (90, "🚀 deploys", {"max_age_seconds": 200 * DAY}),
    (80, "日本語", {"max_age_seconds": 200 * DAY + 1}),
    (70, "twin", {"max_age_seconds": 200 * DAY}),
    (60, "twin", {"max_age_seconds": 200 * DAY}),
    (5, "x" * 1000, {
        "max_age_seconds": 90 * DAY,
        "extend_when_used": True,
        "ip_allowlist": ["10.0.0.0/8", "127.0.0.1/32"],
        "scopes": ["user:write", "user:read"],
    }),
)  # fmt: skip
"""How many days ago somebody made each token, what for, and how; every other one has been used."""

WORKER = (
    CONSUMER
    + """
import os
import pulumi_avn_token as avn

tokens = avn.access_tokens_from_manifest("tokens.yaml")
Consumer("worker", tokens["{name}"].full_token.apply(lambda known: known or os.environ["BY_HAND"]))
"""
)
"""A program with a dependent that was given the secret by hand until its token is rotated."""


def test_an_account_is_taken_over_in_three_steps_without_a_write(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """`list`, `manifest from-account`, `up`: all ten are managed, and the account is byte for byte what it was."""
    secrets = make_by_hand(emulator, observer)
    before = raw(emulator)
    assert len(before) == 10
    emulator.clear_requests()

    listed = project.shell("pulumi-avn-token list").output
    assert all(prefix in listed for prefix in before)
    assert project.shell("pulumi-avn-token manifest from-account > tokens.yaml").output == ""
    assert (
        project.shell("pulumi-avn-token manifest validate tokens.yaml").output == "tokens.yaml: 10 tokens, no faults\n"
    )
    declare(project)
    assert "11 created" in project.shell("pulumi up --yes").output

    assert raw(emulator) == before
    assert project.held() == before.keys()
    assert len(project.state()) == 10
    project.up("--expect-no-changes")
    assert "11 unchanged" in project.preview().output
    project.refresh("--expect-no-changes")
    assert "11 unchanged" in project.pulumi("up", "--yes", "--refresh", "--expect-no-changes").output
    audit = project.shell("pulumi-avn-token audit --stack test").output
    assert re.search(r"^demo@example\.org: 10 managed, \d+ warnings\.$", audit, re.MULTILINE)
    again = project.shell("pulumi-avn-token manifest from-account --stack test").output
    assert again.endswith("\ntokens: {}\n")
    assert raw(emulator) == before
    assert {request.method for request in emulator.requests} == {"GET"}
    printed = "".join(project.printed)
    assert not any(secret[20:60] in printed for secret in secrets.values())
    assert "There are no tokens" not in again


def test_an_adopted_token_that_is_given_a_rotation_is_rotated_safely(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """Within the window a token like the old one is made, dependents get it, and the old one is revoked last.

    A trigger does the same; the rest of the account stays byte for byte what it was.
    """
    secrets = make_by_hand(emulator, observer, ago=85)
    project.shell("pulumi-avn-token manifest from-account > tokens.yaml")
    (old,) = (prefix for prefix, token in observer.valid().items() if token["description"] == "x" * 1000)
    (forever,) = (prefix for prefix, token in observer.valid().items() if token["expiry_time"] is None)
    name = named(project, old)
    project.environ["BY_HAND"] = secrets[old]
    (project.folder / "__main__.py").write_text(WORKER.replace("{name}", name), encoding="utf-8")
    project.up()
    add(project, name, "rotate_before: 7d")
    assert "1 updated" in project.up().output
    before = raw(emulator)
    emulator.clock_offset = 0
    assert re.search(rf"{name} replace .*within early_rotation_window_seconds=604800", project.preview().output)
    emulator.clear_requests()
    assert "1 replaced" in project.up().output

    after = raw(emulator)
    (new,) = after.keys() - before.keys()
    assert before.keys() - after.keys() == {old}
    assert {prefix: after[prefix] for prefix in after if prefix != new} == {
        prefix: before[prefix] for prefix in before if prefix != old
    }
    was, made = json.loads(before[old]), json.loads(after[new])
    for setting in ("description", "max_age_seconds", "extend_when_used", "ip_allowlist", "scopes"):
        assert made[setting] == was[setting]
    assert made["last_user_agent"] == "consumer"
    steps = [request.method for request in emulator.requests if is_step(request)]
    assert steps == ["POST", "PUT", "GET", "GET", "DELETE"]  # the consumer used the new one and the old one in between
    assert not observer.works(secrets[old])
    project.up("--expect-no-changes")

    add(project, named(project, forever), "rotation_triggers: {leak: 0}")
    project.up()
    assert raw(emulator).keys() == after.keys()
    before = raw(emulator)
    path = project.folder / "tokens.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("leak: 0", "leak: 1"), encoding="utf-8")
    assert "1 replaced" in project.up().output
    after = raw(emulator)
    (new,) = after.keys() - before.keys()
    assert before.keys() - after.keys() == {forever}
    assert {prefix: after[prefix] for prefix in after if prefix != new} == {
        prefix: before[prefix] for prefix in before if prefix != forever
    }
    # As the manifest says above it.
    assert "never expires; one in its place would live 30d" in path.read_text(encoding="utf-8")
    assert json.loads(after[new])["max_age_seconds"] == 30 * DAY
    project.up("--expect-no-changes")
    assert project.held() == after.keys()


def test_an_account_without_tokens_comes_up_too(project: Project, observer: Observer, emulator: Emulator) -> None:
    """The manifest of nothing is a manifest, and so is its program."""
    written = project.shell("pulumi-avn-token manifest from-account > tokens.yaml; cat tokens.yaml").output
    assert "There are no tokens.\n" in written
    assert written.endswith("\ntokens: {}\n")
    assert "0 tokens, no faults" in project.shell("pulumi-avn-token manifest validate tokens.yaml").output
    declare(project).up()
    assert project.state() == {}
    project.up("--expect-no-changes")
    assert (
        project.shell("pulumi-avn-token audit --stack test").output == "demo@example.org: no tokens, here or there.\n"
    )
    assert {request.method for request in emulator.requests} == {"GET"}
    assert observer.valid() == {}


def test_the_token_that_pulumi_runs_with_is_adopted_and_never_revoked(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """It is marked in the list and the manifest, changes by its use alone, and stays until another one is in use."""
    observer.make("other")
    own = observer.make("Pulumi itself", max_age_seconds=365 * DAY)
    project.environ["AIVEN_TOKEN"] = own["full_token"]
    before = {prefix: json.loads(text) for prefix, text in raw(emulator).items()}
    assert re.search(
        rf"\* +\S+ +{re.escape(own['token_prefix'])} ", project.shell("pulumi-avn-token list --wide").output
    )
    project.shell("pulumi-avn-token manifest from-account > tokens.yaml")
    manifest = (project.folder / "tokens.yaml").read_text(encoding="utf-8")
    assert (
        "  # the token that asked for this list: it is not revoked while it is in use\n  pulumi-itself:\n" in manifest
    )
    declare(project)
    assert "3 created" in project.shell("pulumi up --yes").output
    project.up("--expect-no-changes")
    project.refresh("--expect-no-changes")
    project.shell("pulumi-avn-token audit --stack test")
    after = {prefix: json.loads(text) for prefix, text in raw(emulator).items()}
    assert after.keys() == before.keys() == project.held()
    for prefix, token in after.items():
        changed = {name for name in token if token[name] != before[prefix][name]}
        assert all(name.startswith("last_") for name in changed)
        assert bool(changed) == (prefix == own["token_prefix"])

    in_use = f"token {own['token_prefix']} is the one that Pulumi is using right now, so it was not revoked"
    add(project, "pulumi-itself", "rotation_triggers: {release: 1}")
    project.up()
    path = project.folder / "tokens.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("release: 1", "release: 2"), encoding="utf-8")
    assert in_use in project.up(fails=True).output
    assert observer.works(own["full_token"])
    told = json.loads(project.shell("pulumi-avn-token audit --stack test --json").output)["tokens"]
    roles = {token["token_prefix"]: [holding["role"] for holding in token["held_by"]] for token in told}
    assert roles[own["token_prefix"]] == ["leaving"]
    assert roles.keys() == observer.valid().keys()
    project.environ["AIVEN_TOKEN"] = emulator.token
    project.up()
    assert not observer.works(own["full_token"])
    assert observer.valid().keys() == project.held()
    project.environ["AIVEN_TOKEN"] = new = project.outputs("pulumi-itself")["full_token"]
    assert "is the one that Pulumi is using right now, so it was not revoked" in project.destroy(fails=True).output
    assert observer.works(new)


def test_a_token_gets_another_name_by_the_state(project: Project, observer: Observer, emulator: Emulator) -> None:
    """As the documents say: renamed in the state and in the manifest, each token stays, and `adopt_prefix` may go."""
    observer.make("CI deploys")
    observer.make("Ingest")
    project.shell("pulumi-avn-token manifest from-account > tokens.yaml")
    declare(project).up()
    before = raw(emulator)
    for old, new in (("ci-deploys", "deploys"), ("ingest", "workers")):
        project.shell(f"pulumi state rename --yes '{project.state()[old]['urn']}' {new}")
    path = project.folder / "tokens.yaml"
    text = path.read_text(encoding="utf-8").replace("  ci-deploys:", "  deploys:").replace("  ingest:", "  workers:")
    path.write_text(re.sub(r" +adopt_prefix: .*\n", "", text), encoding="utf-8")
    emulator.clear_requests()
    for ran in (project.preview(), project.up()):
        assert not re.search("created|replaced|deleted|to create|to replace|to delete", ran.output)
    assert raw(emulator) == before
    assert project.state().keys() == {"deploys", "workers"}
    assert {request.method for request in emulator.requests} == {"GET"}
    project.up("--expect-no-changes")


def make_by_hand(emulator: Emulator, observer: Observer, ago: int = 0) -> dict[str, str]:
    """Make the ten tokens by a day so long ago, each at its time, use every other, and give their secrets by prefix."""
    secrets = {}
    for number, (days, description, settings) in enumerate(BY_HAND):
        emulator.clock_offset = -(days + ago) * DAY
        secret = emulator.issue_token(description=description, **settings)
        secrets[secret[:12]] = secret
        emulator.clock_offset += DAY
        if number % 2:
            assert observer.works(secret)
    emulator.clock_offset = -ago * DAY
    return secrets


def raw(emulator: Emulator) -> dict[str, str]:
    """Each token that somebody made, by prefix, as it stands in the account's answer."""
    headers = {"Authorization": f"aivenv1 {emulator.token}", "User-Agent": Observer.USER_AGENT}
    text = requests.get(f"{emulator.url}/v1/access_token", headers=headers, timeout=10).text
    assert text.startswith('{"tokens": [')
    decoder, at, found = json.JSONDecoder(), text.index("[") + 1, {}
    while text[at] != "]":
        token, end = decoder.raw_decode(text, at)
        if token["created_manually"]:
            found[token["token_prefix"]] = text[at:end]
        at = end + len(text[end:]) - len(text[end:].lstrip(", "))
    return found


def is_step(request: RequestRecord) -> bool:
    """Whether a request changed the account, or was the dependent's."""
    return request.method != "GET" or request.user_agent == "consumer"


def declare(project: Project) -> Project:
    """Write the program of two lines."""
    source = 'import pulumi_avn_token as avn\navn.access_tokens_from_manifest("tokens.yaml")\n'
    (project.folder / "__main__.py").write_text(source, encoding="utf-8")
    return project


def named(project: Project, prefix: str) -> str:
    """The name under which the manifest adopts a token."""
    tokens = yaml.safe_load((project.folder / "tokens.yaml").read_text(encoding="utf-8"))["tokens"]
    return next(str(name) for name, token in tokens.items() if token["adopt_prefix"] == prefix)


def add(project: Project, name: str, line: str) -> None:
    """Add a line to a token of the manifest, as a person does."""
    path = project.folder / "tokens.yaml"
    text = path.read_text(encoding="utf-8")
    assert text.count(f"\n  {name}:\n") == 1
    path.write_text(text.replace(f"\n  {name}:\n", f"\n  {name}:\n    {line}\n"), encoding="utf-8")
