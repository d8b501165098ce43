"""`make demo`: a real `pulumi up` of the root project against an emulated account; no real one is ever touched.

The account (an SQLite file) and the stack's state are kept in `.demo/`, so a second run finds them and changes nothing.
"""

import os
import subprocess
import sys
from pathlib import Path

from pulumi_avn_token.emulator import Emulator
from tools.engine.environment import environment

ROOT = Path(__file__).resolve().parent.parent
SCRATCH = ROOT / ".demo"
SELECT = "pulumi stack select --create --non-interactive emulator-demo"
SHOWN = ("pulumi up --yes --skip-preview --non-interactive --suppress-progress", "avn user access-token list")


def main() -> int:
    """Run the commands, and give the exit status of the first that fails."""
    (SCRATCH / "state").mkdir(mode=0o700, parents=True, exist_ok=True)
    with Emulator(SCRATCH / "account.sqlite3") as emulator:
        try:
            return _run(SELECT, emulator, quietly=True) or next(filter(None, (_run(it, emulator) for it in SHOWN)), 0)
        finally:
            emulator.end_session()


def _run(command: str, emulator: Emulator, *, quietly: bool = False) -> int:
    """Run a command in which nothing of the environment leads to another account, backend or proxy."""
    if not quietly:
        bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
        sys.stdout.write(f"\n{bold}$ {command}{plain}\n")
        sys.stdout.flush()
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("AIVEN_", "PULUMI_"))}
    environ |= {
        **environment(SCRATCH, "what these secrets open is emulated"),
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "AIVEN_WEB_URL": emulator.url,
        "AIVEN_TOKEN": emulator.token,
        "AIVEN_AUTH_TOKEN": emulator.token,  # the official command line's name for it
        "AIVEN_CONFIG_DIR": str(SCRATCH),
    }
    output = subprocess.PIPE if quietly else None
    ran = subprocess.run(command.split(), env=environ, cwd=ROOT, check=False, stdout=output, stderr=output, text=True)
    if ran.returncode != 0 and quietly:
        sys.stderr.write(ran.stdout + ran.stderr)
    return ran.returncode


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
