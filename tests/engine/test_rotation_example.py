"""The example `examples/rotation`, through three rotations in the emulator's time, and as its first page says."""

from __future__ import annotations

import re
import shutil
import stat
from pathlib import Path

import pytest

from examples.rotation.consumer import USER_AGENT, Consumer
from pulumi_avn_token.emulator import Emulator
from pulumi_avn_token.model import parse_time
from tests.account import Observer
from tests.engine.project import DAY, ROOT, Project, typed

WEEKS = 12
FETCH_EVERY = 6.5 * DAY
"""The consumer's pace: almost the whole overlap of seven days."""


@pytest.fixture
def example(tmp_path: Path, emulator: Emulator) -> Project:
    """A copy of the example, beside the environment that it names."""
    shutil.copytree(
        ROOT / "examples" / "rotation",
        tmp_path / "examples" / "rotation",
        ignore=shutil.ignore_patterns("ingest.token*", "Pulumi.*.yaml", "__pycache__"),
    )
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    return Project(tmp_path / "examples" / "rotation", emulator)


def test_a_consumer_that_lags_behind_is_served_through_three_rotations(
    example: Project, emulator: Emulator, observer: Observer
) -> None:
    """A weekly `up`, four calls a day, a secret fetched every six and a half days: no call is refused."""
    file = example.folder / "ingest.token"
    example.at(0).up()
    consumer = Consumer(file, FETCH_EVERY, url=emulator.url, clock=emulator.now)
    secrets = [file.read_text()]
    calls = 0
    for week in range(WEEKS):
        if week > 0:
            example.at(7 * week).up()
        rotated = file.read_text() != secrets[-1]
        if rotated:
            secrets.append(file.read_text())
        for quarter in range(7 * 4):
            example.at(7 * week + quarter / 4)
            consumer.call()
            calls += 1
        assert len(observer.valid()) <= 2
        if rotated:
            _assert_changed_over_late(observer, secrets[-2:])
    statuses = [request.status for request in emulator.requests if request.user_agent == USER_AGENT]
    assert statuses == [200] * calls
    assert calls == WEEKS * 7 * 4
    assert len(set(secrets)) == 4
    assert example.output("rotation_reason") == "window"
    assert [observer.works(secret) for secret in secrets] == [False, False, False, True]
    assert set(observer.valid()) == {example.output("token_prefix")}
    example.destroy()
    assert observer.valid() == {}
    assert not file.exists()


def test_the_secret_is_in_the_file_alone(example: Project, observer: Observer) -> None:
    """The file is its owner's and nobody else's; neither the state nor the output has the secret in the open."""
    file = example.folder / "ingest.token"
    example.preview("--diff")
    example.up("--diff")
    secret = file.read_text()
    assert observer.works(secret)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    holders = [path for path in example.folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert holders == [file]
    assert secret not in "".join(example.printed)


def test_a_lost_file_comes_back_and_a_foreign_secret_in_it_does_not_stay(example: Project) -> None:
    """What is not in the file as declared, the next `up` writes again; the token stays."""
    file = example.folder / "ingest.token"
    example.up()
    secret = file.read_text()
    file.unlink()
    example.up()
    assert file.read_text() == secret
    file.write_text("another")
    example.up()
    assert file.read_text() == secret
    example.up("--expect-no-changes")


def test_the_commands_of_its_first_page_run(tmp_path: Path, example: Project, emulator: Emulator) -> None:
    """Typed as they stand, they end with a call that was served."""
    commands = re.findall(r"```sh\n(.*?)```", (example.folder / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "state").mkdir()
    printed = typed(commands[0], example.folder, tmp_path, emulator)
    assert printed.splitlines()[-1] == f"served as {emulator.user}"
    assert [request.status for request in emulator.requests if request.user_agent == USER_AGENT] == [200]


def _assert_changed_over_late(observer: Observer, secrets: list[str]) -> None:
    """That the consumer used the old token for a day and more after the new one was made, and then the new one."""
    valid = observer.valid()
    old, new = (next(token for prefix, token in valid.items() if secret.startswith(prefix)) for secret in secrets)
    made, left = parse_time(new["create_time"]), parse_time(old["last_used_time"])
    assert {old["last_user_agent"], new["last_user_agent"]} == {USER_AGENT}
    assert (left - made).total_seconds() > DAY
    assert parse_time(new["last_used_time"]) > left
