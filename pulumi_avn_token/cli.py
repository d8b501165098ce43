"""`pulumi-avn-token`: parse, call, print."""

from __future__ import annotations

import sys
from pathlib import Path

try:
    import click
except ImportError:
    sys.stderr.write("pulumi-avn-token: the command line is an extra: pip install 'pulumi-avn-token[cli,emulator]'\n")
    sys.exit(2)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="pulumi-avn-token")
def main() -> None:
    """Aiven's personal access tokens as code."""


@main.command(short_help="A local token API, for demos and tests.")
@click.option(
    "--db",
    type=click.Path(dir_okay=False, path_type=Path),
    help="SQLite file that keeps the account, made with mode 0600. Without it, the account is gone at the end.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port on 127.0.0.1. By default any free one.")
@click.option("--user", metavar="EMAIL", help="Whose login the first token is; made if new.")
@click.option("--quota", type=click.IntRange(0), help="How many valid tokens a user can make. By default any number.")
@click.option(
    "--never-expire", is_flag=True, help="A token made without an age lives for ever, instead of for 30 days."
)
@click.argument("command", nargs=-1)
@click.pass_context
def emulator(  # noqa: PLR0913, PLR0917 - one an option
    context: click.Context,
    db: Path | None,
    port: int,
    user: str | None,
    quota: int | None,
    never_expire: bool,  # noqa: FBT001
    command: tuple[str, ...],
) -> None:
    """Serve Aiven's access-token API on this machine: no account, no internet.

    With a COMMAND, run it with AIVEN_TOKEN and AIVEN_WEB_URL set to the emulator, and give back its exit status.
    Without one, print those two for a shell and serve until Ctrl-C. Its clock can be set apart from the machine's, and
    faults be switched on, by requests to /emulator/clock and /emulator/faults.

    \b
    Examples:
      pulumi-avn-token emulator -- avn user access-token list
      pulumi-avn-token emulator --db account.sqlite3 -- pulumi up
      pulumi-avn-token emulator --port 8080
    """  # noqa: D301 - click's mark for lines that stay as they are
    try:
        from pulumi_avn_token.emulator import DEFAULT_MAX_AGE_SECONDS, DEFAULT_USER, run  # noqa: PLC0415
    except ImportError:
        raise click.UsageError("the emulator is an extra: pip install 'pulumi-avn-token[emulator]'") from None
    status = run(
        db,
        port,
        command,
        user=user or DEFAULT_USER,
        quota=quota,
        default_max_age_seconds=None if never_expire else DEFAULT_MAX_AGE_SECONDS,
    )
    context.exit(status)
