"""The example `examples/schedule`: its workflow, its crontab and its alert, run as they stand through a rotation."""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from pulumi_avn_token.emulator import Emulator
from tests.account import Observer
from tests.contract.servers import Server, said
from tests.engine.project import ROOT, Project, Ran, typed
from tests.leaks import Secrets, assert_none_in

FOLDER = ROOT / "examples" / "schedule"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
WORKFLOW = (FOLDER / "rotate.yml").read_text(encoding="utf-8")
CRONTAB = (FOLDER / "crontab").read_text(encoding="utf-8")
STEPS = ["Refresh and rotate", "Audit", "Tell the monitor that all went well"]
STACK = "organization/avn-quickstart-example/test"
Workflow = Callable[[], list[tuple[str, Ran]]]
"""Runs it, and gives its steps that were run, each with what it said."""
TOOLS = os.pathsep.join([str(ROOT / ".engine" / "bin"), str(Path(sys.executable).parent), os.defpath])


@pytest.fixture
def monitor() -> Iterator[Server]:
    """What hears of each run that went well."""
    with Server(said("OK")) as monitor:
        yield monitor


@pytest.fixture
def project(tmp_path: Path, emulator: Emulator) -> Project:
    """The project of `examples/quickstart`, whose token is renewed in the last 7 of its 30 days, not yet up."""
    folder = tmp_path / "tokens"
    folder.mkdir()
    shutil.copy(ROOT / "examples" / "quickstart" / "__main__.py", folder)
    shutil.copy(FOLDER / "rotate.sh", folder)
    (folder / "Pulumi.yaml").write_text("name: avn-quickstart-example\nruntime: python\n")
    return Project(folder, emulator).at(0)


@pytest.fixture
def given(project: Project, emulator: Emulator, monitor: Server) -> dict[str, str]:
    """What somebody sets who puts the run on a schedule."""
    return {
        "PATH": TOOLS,
        "STACK": STACK,
        "PULUMI_BACKEND_URL": (project.folder / "state").as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "test",
        "AIVEN_TOKEN": emulator.token,
        "HEARTBEAT_URL": f"{monitor.url}/tokens?a=$b&c=d",  # a shell reads it
        "SOONER_THAN": re.findall(r"^SOONER_THAN=(.*)$", README, re.MULTILINE)[0],
        "TOKENS": "1",
    }


@pytest.fixture
def machine(tmp_path: Path, emulator: Emulator) -> dict[str, str]:
    """What is so on the machine of the test alone: another account, another home, the engine that is there."""
    return {
        "HOME": str(tmp_path),
        "VIRTUAL_ENV": str(Path(sys.executable).parent.parent),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "AIVEN_WEB_URL": emulator.url,
    }


@pytest.fixture
def workflow(project: Project, given: dict[str, str], machine: dict[str, str]) -> Workflow:
    """The workflow, on a runner that has checked out the project and installed what is needed."""
    return partial(_run_workflow, project.folder, given, machine)


@pytest.fixture
def cron(tmp_path: Path, project: Project, given: dict[str, str], machine: dict[str, str]) -> Cron:
    """The two machines of the crontab, each with the settings that the README lists for it."""
    watch = tmp_path / "tokens-watch"
    watch.mkdir()
    shutil.copy(FOLDER / "watch.sh", watch)
    listed = re.findall(r"```text\n(.*?)```", README, re.DOTALL)
    for file, settings in zip((project.folder / "tokens.env", watch / "watch.env"), listed, strict=True):
        lines = [
            f"{name}={quote}{given[name]}{quote}\n"
            for name, quote in re.findall(r"^(\w+)=('?)", settings, re.MULTILINE)
        ]
        lines += [f"{name}={shlex.quote(value)}\n" for name, value in machine.items()]
        file.write_text("".join(lines), encoding="utf-8")
    return Cron({"/srv/tokens-watch/": f"{watch}/", "/srv/tokens/": f"{project.folder}/"}, str(tmp_path))


class Cron:
    """Runs commands of the crontab as cron does: by /bin/sh, in an environment that is nearly empty."""

    def __init__(self, folders: Mapping[str, str], home: str) -> None:
        self._folders = folders
        self._environ = {"HOME": home, "LOGNAME": "tokens", "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh"}

    def run(self, script: str) -> Ran:
        """Run the one line that has this script."""
        lines = [line for line in CRONTAB.splitlines() if re.match(r"[\d*]", line)]
        (command,) = (command for *_, command in (line.split(None, 5) for line in lines) if script in command)
        assert "%" not in command  # cron takes it for the end of a line
        for folder, place in self._folders.items():
            command = command.replace(folder, place)
        return _run(["/bin/sh", "-c", command], self._environ, self._environ["HOME"])


def test_the_workflow_rotates_when_it_is_due_and_tells_the_monitor(
    project: Project, workflow: Workflow, given: dict[str, str], observer: Observer, monitor: Server
) -> None:
    """Its commands, in the environment that it gives them, renew on day 23 alone, and print no secret."""
    seen, printed, secrets = [], "", Secrets([given["AIVEN_TOKEN"]])
    for day in (0, 1, 22, 23.1, 24):
        project.at(day)
        steps = workflow()
        assert [(name, ran.status) for name, ran in steps] == [(name, 0) for name in STEPS]
        printed += "".join(ran.output for _, ran in steps)
        (prefix,) = observer.valid()
        seen.append(prefix)
        secrets.append(project.output("ci-deploys"))
    assert seen == [seen[0]] * 3 + [seen[-1]] * 2
    assert seen[0] != seen[-1]
    assert observer.works(project.output("ci-deploys"))
    assert [request.line for request in monitor.requests] == ["GET /tokens?a=$b&c=d"] * 5
    assert_none_in(secrets, printed.encode(), "what was printed")


def test_the_crontab_rotates_when_it_is_due_and_is_silent(
    project: Project, cron: Cron, observer: Observer, monitor: Server
) -> None:
    """In cron's environment it renews on day 23 alone, and there is nothing to mail."""
    seen = []
    for day in (0, 22, 23.1, 24):
        project.at(day)
        assert cron.run("rotate.sh") == Ran("", 0)
        (prefix,) = observer.valid()
        seen.append(prefix)
    assert seen == [seen[0]] * 2 + [seen[-1]] * 2
    assert seen[0] != seen[-1]
    assert [request.line for request in monitor.requests] == ["GET /tokens?a=$b&c=d"] * 4


def test_a_finding_of_the_audit_makes_the_run_fail(
    workflow: Workflow, cron: Cron, observer: Observer, monitor: Server
) -> None:
    """A token that no stack holds stops both before the monitor hears of them, and both say which it is."""
    prefix = observer.make("by hand")["token_prefix"]
    steps = workflow()
    assert [(name, ran.status) for name, ran in steps] == [(STEPS[0], 0), (STEPS[1], 1)]
    by_cron = cron.run("rotate.sh")
    assert by_cron.status == 1
    for told in (steps[-1][1].output, by_cron.output):
        assert re.search(f"^unmanaged +{re.escape(prefix)} +by hand$", told, re.MULTILINE)
    assert monitor.requests == []


def test_a_failed_up_makes_the_run_fail(
    given: dict[str, str], workflow: Workflow, request: pytest.FixtureRequest, observer: Observer, monitor: Server
) -> None:
    """Without the right passphrase, which the audit does not need, both end with the first step and say so."""
    given["PULUMI_CONFIG_PASSPHRASE"] = "another"  # noqa: S105 - a wrong one
    ((name, by_workflow),) = workflow()
    by_cron = request.getfixturevalue("cron").run("rotate.sh")
    assert name == STEPS[0]
    for ran in (by_workflow, by_cron):
        assert ran.status != 0
        assert "incorrect passphrase" in ran.output
    assert observer.valid() == {}
    assert monitor.requests == []


def test_a_warning_of_the_run_is_mailed(project: Project, cron: Cron, monitor: Server) -> None:
    """What `up` warns of is printed by the crontab's command, though the run went well."""
    program = project.folder / "__main__.py"
    program.write_text(re.sub(r".*early_rotation_window_seconds.*\n", "", program.read_text(encoding="utf-8")))
    assert cron.run("rotate.sh") == Ran("", 0)
    project.at(28)
    ran = cron.run("rotate.sh")
    assert ran.status == 0
    assert re.search(r"warning: token \S+ expires ", ran.output)
    assert len(monitor.requests) == 2


def test_a_stopped_schedule_is_noticed(project: Project, cron: Cron) -> None:
    """The alert is silent while runs come, speaks once none came for more than the window allows, and then ends."""
    cron.run("rotate.sh")
    for day, status in ((0, 0), (24.9, 0), (25.1, 1)):
        project.at(day)
        assert cron.run("watch.sh").status == status
    told = cron.run("watch.sh").output
    assert told.startswith("watch.sh: these should have been rotated; does the schedule still run?\n")
    assert re.search(r"^\S+Z +\S{12} +CI deploys ", told, re.MULTILINE)
    project.at(31)
    expired = cron.run("watch.sh")
    assert expired.status == 1
    assert expired.output.startswith("watch.sh: 0 tokens are valid, where at least 1 should be")
    cron.run("rotate.sh")
    assert cron.run("watch.sh") == Ran("", 0)
    project.emulator.end_session()
    blind = cron.run("watch.sh")
    assert blind.status == 2
    assert "set a valid one" in blind.output


def test_two_runs_of_the_crontab_never_overlap(project: Project, cron: Cron, observer: Observer) -> None:
    """While one goes on, another ends at once, and says so."""
    with (project.folder / ".rotate.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert cron.run("rotate.sh") == Ran("rotate.sh: the run before has not ended\n", 1)
    assert observer.valid() == {}
    assert cron.run("rotate.sh").status == 0


def test_the_workflow_is_passed_by_its_judge_and_broken_ones_are_not(tmp_path: Path) -> None:
    """A pin, a step's key, a job's runner, least permissions, the queue and no injection: zizmor judges each."""
    assert _zizmor(tmp_path, WORKFLOW) == 0
    for sound, broken in (
        (r"@[0-9a-f]{40} # v6\.0\.2", "@v6"),
        (r"runs-on:", "run-on:"),
        (r"  run: python", "  ruun: python"),
        (r"permissions: {}", "permissions: write-all"),
        (r"concurrency:\n.*\n.*\n", ""),
        (r'--stack "\$STACK"', "--stack ${{ github.event.head_commit.message }}"),
    ):
        assert _zizmor(tmp_path, re.sub(sound, broken, WORKFLOW, count=1)) != 0, broken


def test_the_workflow_is_never_cut_off_and_gives_secrets_to_the_steps_that_need_them() -> None:
    """What the judge lets pass: none is cancelled, each ends, git keeps no credential, and where secrets are known."""
    workflow = yaml.safe_load(WORKFLOW)
    (job,) = workflow["jobs"].values()
    assert workflow["concurrency"] == {"group": "rotate-tokens", "cancel-in-progress": False}
    assert job["timeout-minutes"] == 30
    assert job["permissions"] == {"contents": "read"}
    assert job["steps"][0]["with"] == {"persist-credentials": False}
    secrets = {step["name"]: re.findall(r"secrets\.(\w+)", str(step)) for step in job["steps"]}
    assert {name: known for name, known in secrets.items() if known} == {
        "Refresh and rotate": ["AIVEN_TOKEN", "PULUMI_CONFIG_PASSPHRASE"],
        "Audit": ["AIVEN_TOKEN"],
        "Tell the monitor that all went well": ["HEARTBEAT_URL"],
    }
    assert WORKFLOW.count("secrets.") == sum(map(len, secrets.values()))


def test_the_crontab_is_of_lines_that_cron_takes() -> None:
    """There are two, each of five fields within their ranges and a script that is here."""
    lines = [line for line in CRONTAB.splitlines() if not line.startswith(("#", "MAILTO="))]
    assert len(lines) == 2
    for line in lines:
        *fields, command = line.split(None, 5)
        for field, last in zip(fields, (59, 23, 31, 12, 7), strict=True):
            assert re.fullmatch(r"\*(/\d+)?|\d+", field)
            assert all(int(number) <= last for number in re.findall(r"\d+", field))
        assert os.access(FOLDER / Path(command).name, os.X_OK)


def test_the_commands_of_its_first_page_run(
    project: Project, cron: Cron, tmp_path: Path, emulator: Emulator, monitor: Server
) -> None:
    """Typed as they stand, each in its folder, both are content."""
    (commands,) = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    assert cron is not None  # it put the settings into both folders
    (tmp_path / "state").mkdir()
    rotate, watch = commands.splitlines()
    for command, folder in ((rotate, project.folder), (watch, tmp_path / "tokens-watch")):
        assert typed(command, folder, tmp_path, emulator) == ""
    assert len(monitor.requests) == 1


def _run_workflow(folder: Path, given: Mapping[str, str], machine: Mapping[str, str]) -> list[tuple[str, Ran]]:
    """The steps that are commands, but for those that install, until one fails: as a runner runs them."""
    (job,) = yaml.safe_load(WORKFLOW)["jobs"].values()
    done = []
    for step in job["steps"]:
        if "run" in step and not step["name"].startswith("Install "):
            environ = {"PATH": TOOLS, **machine, **_resolved(job["env"], given), **_resolved(step["env"], given)}
            command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
            ran = _run(command, environ, folder)
            done.append((step["name"], ran))
            if ran.status != 0:
                break
    return done


def _resolved(environ: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """What a step is given in the place of secrets and variables."""
    return {
        name: re.sub(r"\${{ (?:secrets|vars)\.(\w+) }}", lambda found: given[found[1]], value)
        for name, value in environ.items()
    }


def _run(command: list[str], environ: Mapping[str, str], folder: Path | str) -> Ran:
    ran = subprocess.run(
        command,
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Ran(ran.stdout, ran.returncode)


def _zizmor(tmp_path: Path, workflow: str) -> int:
    """The status of the judge of workflows."""
    file = tmp_path / ".github" / "workflows" / "rotate.yml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(workflow, encoding="utf-8")
    command = ["zizmor", "--offline", "--no-progress", "--pedantic", "--strict-collection", str(file)]
    command[0] = str(Path(sys.executable).parent / command[0])
    return subprocess.run(command, capture_output=True, check=False).returncode
