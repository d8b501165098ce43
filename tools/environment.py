"""Make `.venv`: the pinned packages of requirements.txt, and this project itself, editable.

With the argument `sdks`, make `.sdks`: the SDKs of other Pulumi providers, for the tests of the examples.

Standard library only, since it runs before anything is installed. Safe to interrupt (the mark that says "done" is
written last) and to run twice at once (the second waits for the first).
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
SDKS = ROOT / ".sdks"
PACKAGE = "pulumi_avn_token"
OLDEST_PYTHON = (3, 10)


def main() -> int:
    """Make the environment, unless it is already what the pins say; the exit status."""
    if sys.version_info < OLDEST_PYTHON:
        found = ".".join(map(str, sys.version_info[:3]))
        return _fail(f"Python {found} is too old: 3.10 or later is needed. Try: make PYTHON=python3.12 …")
    with (ROOT / ".venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        status = _make(VENV, "requirements.txt", _install)
        if status == 0 and sys.argv[1:] == ["sdks"]:
            status = _make(SDKS, "requirements-sdks.txt", _install_sdks)
        return status


def _make(folder: Path, pins: str, install: Callable[[Path], int]) -> int:
    """Make a folder of what is pinned, unless it is that already."""
    wanted, mark = _fingerprint(folder, ROOT / pins), folder / "installed"
    if mark.is_file() and mark.read_text() == wanted:
        return 0
    sys.stderr.write(f"environment: installing the pinned packages into {folder.name} …\n")
    mark.unlink(missing_ok=True)
    status = install(ROOT / pins)
    if status == 0:
        mark.write_text(wanted)
    return status


def _fingerprint(folder: Path, pins: Path) -> str:
    """What a folder is made of: another Python, place, pin or entry point makes it anew."""
    project, _, _settings_of_tools = (ROOT / "pyproject.toml").read_text().partition("\n[tool.ruff")
    parts = [sys.version, str(folder), pins.read_text(), project, Path(__file__).read_text()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _install(pins: Path) -> int:
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(VENV)], check=False, capture_output=True, text=True
    )
    if made.returncode != 0:
        shutil.rmtree(VENV, ignore_errors=True)
        return _fail(
            f"`{sys.executable} -m venv` failed; on Debian and Ubuntu: apt-get install python3-venv\n{made.stdout}"
        )
    status = _pip("--require-hashes", "--requirement", str(pins))
    if status == 0:
        status = _pip("--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    if status == 0:
        # Pulumi looks for this file beside the metadata, and an editable package is elsewhere. Without it, the engine
        # would look on the internet for a plugin of this package's name, at every command.
        (site,) = VENV.glob("lib/python*/site-packages")
        (site / PACKAGE).mkdir()
        shutil.copy(ROOT / PACKAGE / "pulumi-plugin.json", site / PACKAGE)
    return status


def _install_sdks(pins: Path) -> int:
    shutil.rmtree(SDKS, ignore_errors=True)
    return _pip("--no-deps", "--require-hashes", "--requirement", str(pins), "--target", str(SDKS))


def _pip(*arguments: str) -> int:
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*pip, *arguments], check=False).returncode != 0:
        return _fail("pip could not install the packages (its words are above); run the same command again")
    return 0


def _fail(message: str) -> int:
    sys.stderr.write(f"environment: {message}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
