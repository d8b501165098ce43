"""`pulumi-avn-token emulator`, and a `pulumi-avn-token` without its extra."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.terminal import run
from tests.engine.project import ROOT


def test_help_names_the_options_and_gives_examples() -> None:
    """`--help` of the emulator shows each option of the contract, and examples to copy."""
    shown = run("emulator", "--help", COLUMNS="100").stdout
    for expected in (
        "--db FILE",
        "--port",
        "pulumi-avn-token emulator --db account.sqlite3 -- pulumi up",
        "/emulator/clock",
    ):
        assert expected in shown
    assert "emulator" in run("--help").stdout


@pytest.mark.parametrize("status", [0, 1, 7])
def test_a_command_gets_the_emulator_and_its_status_comes_back(status: int) -> None:
    """`emulator -- COMMAND` sets both variables and exits as the command does."""
    program = (
        "import os, requests, sys\n"
        "headers = {'Authorization': 'aivenv1 ' + os.environ['AIVEN_TOKEN']}\n"
        "requests.get(os.environ['AIVEN_WEB_URL'] + '/v1/me', headers=headers, timeout=10).raise_for_status()\n"
        f"sys.exit({status})"
    )
    ran = run("emulator", "--", sys.executable, "-c", program)
    assert (ran.returncode, ran.stdout, ran.stderr) == (status, "", "")


def test_the_switches_reach_the_emulator(tmp_path: Path) -> None:
    """`--db` keeps the account, `--quota` limits it, `--never-expire` and `--user` say what a token is like."""
    program = (
        "import os, requests\n"
        "url = os.environ['AIVEN_WEB_URL'] + '/v1'\n"
        "headers = {'Authorization': 'aivenv1 ' + os.environ['AIVEN_TOKEN']}\n"
        "made = [requests.post(url + '/access_token', json={'description': 'x'}, headers=headers, timeout=10)\n"
        "        for _ in range(2)]\n"
        "print(requests.get(url + '/me', headers=headers, timeout=10).json()['user']['user'])\n"
        "print(made[0].json()['expiry_time'], made[1].ok)\n"
    )
    db = tmp_path / "account.sqlite3"
    ran = run(
        "emulator", "--db", str(db), "--quota", "1", "--never-expire", "--user", "a@example.org", "--",
        sys.executable, "-c", program,
    )  # fmt: skip
    assert ran.stdout == "a@example.org\nNone False\n"
    assert db.stat().st_mode & 0o777 == 0o600


def test_what_cannot_run_exits_with_2_and_one_line(tmp_path: Path) -> None:
    """A file that cannot be used, and an unknown option, are told in a line."""
    (tmp_path / "db").mkdir()
    for arguments in (("--db", str(tmp_path / "no" / "folder")), ("--prot", "1"), ("--port", "65536")):
        ran = run("emulator", *arguments, "--", "true")
        assert ran.returncode == 2
        assert "Traceback" not in ran.stderr
        assert ran.stdout == ""


def test_without_the_extra_it_says_what_to_install() -> None:
    """Without click there is one line with the command that installs it."""
    program = "import sys; sys.modules['click'] = None; from pulumi_avn_token.cli import main"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT)
    assert ran.returncode == 2
    assert ran.stderr == (
        "pulumi-avn-token: the command line is an extra: pip install 'pulumi-avn-token[cli,emulator]'\n"
    )
