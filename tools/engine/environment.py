"""The variables with which a command finds the engine of this checkout, and keeps all that is its own in a folder."""

import os
import sys
from pathlib import Path

ENGINE = Path(__file__).resolve().parents[2] / ".engine" / "bin"


def environment(scratch: Path, passphrase: str) -> dict[str, str]:
    """Give them, to be added to others; the folder must have a folder `state`."""
    programs = Path(sys.executable).parent
    return {
        "PATH": os.pathsep.join([str(ENGINE), str(programs), os.environ.get("PATH", os.defpath)]),
        "VIRTUAL_ENV": str(programs.parent),
        "PULUMI_HOME": str(scratch / "home"),
        "PULUMI_BACKEND_URL": (scratch / "state").as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": passphrase,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
