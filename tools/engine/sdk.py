"""The two questions that get.py asks of the Pulumi SDK: `sdk.py check`, `sdk.py install VERSION ROOT`.

A process of its own, because importing the SDK is slow, and because neither the SDK's downloads nor the `pulumi` that
it calls end by themselves: get.py puts a limit on this process instead. The last line printed says what is wrong.
"""

import socket
import subprocess
import sys

from pulumi.automation import PulumiCommand
from semver import VersionInfo

SECONDS_TO_CONNECT = 10


def main() -> int:
    """Validate the `pulumi` on PATH, or install one; the exit status."""
    socket.setdefaulttimeout(SECONDS_TO_CONNECT)
    try:
        if sys.argv[1] == "check":
            PulumiCommand()
        else:
            version, root = sys.argv[2:]
            PulumiCommand.install(root=root, version=VersionInfo.parse(version))
    except Exception as error:  # noqa: BLE001 - whatever it is, the next way is tried
        sys.stderr.write(f"{_reason(error)}\n")
        return 1
    return 0


def _reason(error: Exception) -> str:
    """One line for people: the last words of a program that failed, or the innermost cause of a failed download."""
    if isinstance(error, subprocess.CalledProcessError):
        words = (error.output or b"").decode(errors="replace").split("\n")
        said = [word.strip() for word in words if word.strip()]
        return said[-1] if said else f"`{' '.join(error.cmd)}` failed with exit status {error.returncode}"
    cause = getattr(error, "reason", error)
    return str(getattr(cause, "strerror", None) or cause).replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main())
