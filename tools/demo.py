"""`make demo`: a real `pulumi up` of the root project against an emulated account; no real one is ever touched.

The account (an SQLite file) and the stack's state are kept in `.demo/`, so a second run finds them and changes nothing.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRATCH = ROOT / ".demo"
STACK = "emulator-demo"
FOREIGN = ("AIVEN_", "PULUMI_")
"""Beginnings of the environment variables that could point the demo anywhere else."""


def main() -> int:
    """Run this very script again as the command that the emulator serves; the exit status."""
    if sys.argv[1:] == ["inside"]:
        return _inside()
    SCRATCH.mkdir(mode=0o700, exist_ok=True)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    environ |= {
        "PATH": os.pathsep.join([str(ROOT / ".engine" / "bin"), str(ROOT / ".venv" / "bin"), environ["PATH"]]),
        "VIRTUAL_ENV": str(ROOT / ".venv"),
        "PULUMI_HOME": str(SCRATCH / "pulumi"),
        "PULUMI_BACKEND_URL": (SCRATCH / "state").as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "the emulated account is the only thing that these secrets open",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    (SCRATCH / "state").mkdir(exist_ok=True)
    emulator = ["pulumi-avn-token", "emulator", "--db", str(SCRATCH / "account.sqlite3"), "--"]
    command = [str(ROOT / ".venv" / "bin" / emulator[0]), *emulator[1:], sys.executable, __file__, "inside"]
    return subprocess.run(command, env=environ, cwd=ROOT, check=False).returncode


def _inside() -> int:
    """Bring the stack up and show the account as the official command line shows it."""
    environ = os.environ | {"AIVEN_CONFIG_DIR": str(SCRATCH), "AIVEN_AUTH_TOKEN": os.environ["AIVEN_TOKEN"]}
    steps = (
        ("", ["pulumi", "stack", "select", "--create", "--non-interactive", STACK]),
        ("pulumi up", ["pulumi", "up", "--yes", "--non-interactive", "--skip-preview", "--suppress-progress"]),
        ("avn user access-token list", [sys.executable, "-m", "aiven.client", "user", "access-token", "list"]),
    )
    for title, command in steps:
        if title:
            sys.stdout.write(f"\n\033[1m$ {title}\033[0m\n" if sys.stdout.isatty() else f"\n$ {title}\n")
            sys.stdout.flush()
        status = subprocess.run(
            command, env=environ, cwd=ROOT, check=False, stdout=None if title else subprocess.DEVNULL
        ).returncode
        if status != 0:
            return status
    sys.stdout.write("\nThe account is emulated, in .demo/. Run it again: nothing changes.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
