"""`pulumi-avn-token`: parse, call, print."""

from __future__ import annotations

import errno
import functools
import json
import math
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta, timezone
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

try:
    import click
    from click.shell_completion import get_completion_class
except ImportError:
    sys.stderr.write("pulumi-avn-token: the command line is an extra: pip install 'pulumi-avn-token[cli,emulator]'\n")
    sys.exit(2)

from pulumi_avn_token import files, listing
from pulumi_avn_token.durations import parse_duration
from pulumi_avn_token.errors import AvnTokenError, ManifestError
from pulumi_avn_token.listing import ORDERS, Selection, select
from pulumi_avn_token.model import shown, without_tokens
from pulumi_avn_token.terminal import one_line

if TYPE_CHECKING:
    from pulumi_avn_token.client import Client
    from pulumi_avn_token.errors import Fault
    from pulumi_avn_token.holdings import Holding
    from pulumi_avn_token.model import TokenInfo

FINDINGS, FAILED, INTERRUPTED = 1, 2, 130
"""Exit statuses beside 0."""

_COMPLETION_VARIABLE = "_PULUMI_AVN_TOKEN_COMPLETE"


class _Program(click.Group):
    """Tells whatever goes wrong in one line."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002 - click's
        windows_expand_args: bool = True,  # noqa: FBT001, FBT002 - click's
        **extra: Any,
    ) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # descriptions are in any script
        run: Callable[[], Any] = functools.partial(
            super().main,
            args,
            prog_name,
            complete_var,
            standalone_mode=False,
            windows_expand_args=windows_expand_args,
            **extra,
        )
        if not standalone_mode:
            return run()
        try:
            status = _status_of(run)
        except SystemExit as end:  # click's, where nobody reads what is printed: that is no finding
            status = FAILED if end.code else 0
        except Exception:  # noqa: BLE001 - nor is a mistake of this program
            traceback.print_exc()
            status = FAILED
        sys.exit(status)


def _status_of(run: Callable[[], Any]) -> int:
    """The exit status of a command that is run here; what goes wrong is told."""
    try:
        status = int(run() or 0)
        if sys.stdout is not None:
            sys.stdout.flush()
    except click.ClickException as error:
        status = _tell_mistake(error)
    except AvnTokenError as error:
        status = _tell(str(error))
    except OSError as error:  # of standard output: all others are told as errors of this package
        _forget_output()
        status = FAILED if error.errno == errno.EPIPE else _tell(f"cannot print: {error.strerror}")
    except click.Abort:
        status = INTERRUPTED
    return status


def _tell_mistake(error: click.ClickException) -> int:
    """Tell what is wrong with the line that was typed; a bare name is answered by its help."""
    context = getattr(error, "ctx", None)
    if context is not None and isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):  # of click 8.2
        click.echo(context.get_help(), err=True)
        return FAILED
    command = context.command_path if context else "pulumi-avn-token"
    return _tell(f"{without_tokens(error.format_message()).rstrip('.')}; see `{command} --help`")


def _forget_output() -> None:
    """Let nothing be written at the end of the process, which would fail again."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(message: str) -> int:
    click.echo(f"pulumi-avn-token: {one_line(without_tokens(message))}", err=True)
    return FAILED


def _span(text: str) -> timedelta:
    try:
        return timedelta(seconds=parse_duration(text))
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{text!r} is no duration such as 7d; the units are s m h d w") from None


@click.group(cls=_Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="pulumi-avn-token")
def main() -> None:
    """Aiven's personal access tokens as code: what an account holds, and what Pulumi manages of it.

    The account is that of AIVEN_TOKEN, else of AIVEN_AUTH_TOKEN, else of `avn user login`. Nothing here changes it.

    Exit status: 0 fine, 1 something was found that a person should look at, 2 it could not run.

    \b
    Examples:
      pulumi-avn-token list --expiring-within 14d
      pulumi-avn-token audit --all-stacks
      pulumi-avn-token manifest from-account > tokens.yaml
    """  # noqa: D301 - click's mark for lines that stay as they are


_Command = Callable[..., Any]


def _selecting(command: _Command) -> _Command:
    """Add the options that choose tokens; the command gets a `selection`, without login sessions."""

    @functools.wraps(command)
    def selecting(*args: Any, **given: Any) -> Any:
        chosen = {field: given.pop(field) for field in _CHOOSING}
        return command(*args, selection=Selection(**chosen), **given)

    selected: _Command = selecting
    options = (
        click.option(
            "--prefix", "prefixes", metavar="PREFIX", multiple=True, help="Only the token with this prefix; repeatable."
        ),
        click.option(
            "--description", metavar="TEXT", help="Only tokens described so: a part, or a pattern such as 'CI *'."
        ),
        click.option(
            "--made-by-hand",
            is_flag=True,
            help="No login sessions, and nothing that an interrupted series left behind.",
        ),
        click.option(
            "--expiring-within",
            type=_span,
            metavar="SPAN",
            help="Only tokens that expire within this time, such as 14d.",
        ),
        click.option(
            "--unused-for", type=_span, metavar="SPAN", help="Only tokens not used for this long, such as 90d."
        ),
    )
    for option in reversed(options):
        selected = option(selected)
    return selected


_CHOOSING = [field.name for field in fields(Selection) if field.name != "sessions"]


def _of_stacks(command: _Command) -> _Command:
    """Add what names stacks; the command gets `exports`, `stacks` and `all_stacks`."""
    options = (
        click.argument("exports", metavar="[EXPORT]...", nargs=-1, type=click.Path(dir_okay=False, allow_dash=True)),
        click.option(
            "--stack", "stacks", metavar="NAME", multiple=True, help="Ask `pulumi` for this stack; repeatable."
        ),
        click.option("--all-stacks", is_flag=True, help="Ask `pulumi` for all stacks of its backend."),
    )
    for option in reversed(options):
        command = option(command)
    return command


_as_json = click.option("--json", "as_json", is_flag=True, help="For programs: JSON instead of text.")


@main.command("list", short_help="The account's tokens, and how much of its life each has left.")
@_selecting
@click.option("--sessions", is_flag=True, help="Login sessions too.")
@click.option("--sort", "order", type=click.Choice(list(ORDERS)), default="expiry", show_default=True)
@click.option("--reverse", is_flag=True, help="The other way round.")
@click.option("--wide", is_flag=True, help="All columns, however narrow the terminal; the default in a pipe.")
@_as_json
def list_(  # noqa: PLR0913 - one an option
    *,
    sessions: bool,
    order: str,
    reverse: bool,
    wide: bool,
    as_json: bool,
    selection: Selection,
) -> None:
    """List the account's valid tokens: until when, what for, how much of its life is left, and who used it last.

    One that was never used counts as unused since it was made. A token's secret is not known here, and never shown.

    \b
    Examples:
      pulumi-avn-token list
      pulumi-avn-token list --expiring-within 14d --sort used
      pulumi-avn-token list --unused-for 90d --json | jq -r '.[].token_prefix'
    """  # noqa: D301
    client = _client()
    listed = client.list_tokens()
    now = _now(client)
    selection = replace(selection, sessions=sessions)
    tokens = select(listed, selection, order, now)
    if reverse:
        tokens.reverse()
    if as_json:
        _print_json([listing.told(token, now) for token in tokens])
    elif tokens:
        from pulumi_avn_token.tables import print_tokens  # noqa: PLC0415 - the other commands do without

        print_tokens(tokens, now, wide=wide, sessions=sessions)
    else:
        _tell_of_none(listed, selection)


@main.command(short_help="The account against stacks: what nobody manages, what was left behind, what is gone.")
@_of_stacks
@click.option(
    "--expiring-within",
    "horizon",
    type=_span,
    metavar="SPAN",
    default="7d",
    show_default=True,
    help="Warn of tokens that expire within this time and that nothing rotates.",
)
@click.option(
    "--ignore",
    metavar="TEXT",
    multiple=True,
    help="Leave a token out, by its prefix, its description or a pattern of that; repeatable.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings, too.")
@click.option("--all", "everything", is_flag=True, help="Also show tokens without findings.")
@_as_json
@click.pass_context
def audit(  # noqa: PLR0913 - one an option
    context: click.Context,
    *,
    exports: Sequence[str],
    stacks: Sequence[str],
    all_stacks: bool,
    horizon: timedelta,
    ignore: Sequence[str],
    strict: bool,
    everything: bool,
    as_json: bool,
) -> None:
    """Compare the account with what stacks hold, and advise.

    An EXPORT is a file that `pulumi stack export` wrote, or - for a pipe; --show-secrets is not needed. Name every
    stack that has tokens of this account, or theirs look as if nobody managed them. Meant for a schedule: the exit
    status is 1 where anything is unmanaged, undelivered, an orphan or gone, else 0.

    \b
    Examples:
      pulumi stack export | pulumi-avn-token audit -
      pulumi-avn-token audit --stack organization/tokens/prod
      pulumi-avn-token audit --all-stacks --json
    """  # noqa: D301
    from pulumi_avn_token import inventory  # noqa: PLC0415

    if not (exports or stacks or all_stacks):
        raise click.UsageError(
            "give the stacks: files of `pulumi stack export`, --stack NAME, or --all-stacks", context
        )
    client = _client()
    tokens, holdings, makers = _account_and_stacks(client, exports, stacks, all_stacks=all_stacks)
    user = client.me()
    own, others, judged = inventory.of_user(holdings, user, tokens, makers)
    audited = list(inventory.audit(judged, own, _now(client), horizon, makers))
    entries = [entry for entry in audited if not inventory.is_ignored(entry, ignore)]
    if as_json:
        _print_json({"user": user.user, "other_users": others, "tokens": list(map(inventory.told, entries))})
    else:
        from pulumi_avn_token.tables import print_findings  # noqa: PLC0415

        print_findings(entries, user, others, ignored=len(audited) - len(entries), everything=everything)
    found = [finding for entry in entries for finding in entry.findings]
    context.exit(FINDINGS if any(strict or finding.is_failure for finding in found) else 0)


@main.group(short_help="Manifests (tokens.yaml): write one, check one, describe them.")
def manifest() -> None:
    """Work with manifests, the files that declare many tokens.

    \b
    Examples:
      pulumi-avn-token manifest from-account > tokens.yaml
      pulumi-avn-token manifest validate tokens.yaml
    """  # noqa: D301


@manifest.command("from-account", short_help="Write a manifest that takes over what is there.")
@_selecting
@_of_stacks
@click.pass_context
def from_account(
    context: click.Context, *, exports: Sequence[str], stacks: Sequence[str], all_stacks: bool, selection: Selection
) -> None:
    """Write a manifest that adopts the account's tokens as they are: applied, it changes nothing in the account.

    Name the stacks that have tokens of this account already (as for `audit`): their tokens are left out, or two stacks
    would each revoke the other's. No entry gets the name of one of their resources. If you have a manifest, add to it
    what is written: what a manifest no longer declares is revoked. Login sessions are left out. What cannot be declared
    is named on standard error, and then the exit status is 1.

    \b
    Examples:
      pulumi-avn-token manifest from-account > tokens.yaml
      pulumi-avn-token manifest from-account --all-stacks --description 'CI *'
    """  # noqa: D301
    from pulumi_avn_token.from_account import write  # noqa: PLC0415

    client = _client()
    listed, holdings, _ = _account_and_stacks(client, exports, stacks, all_stacks=all_stacks)
    tokens = select(listed, selection, "created", _now(client))
    if not tokens:
        _tell_of_none(listed, selection)
    written = write(tokens, holdings, trusted=selection.prefixes)
    if tokens and not (written.adopted or written.left_out):
        click.echo("These stacks hold all of them already.", err=True)
    click.echo(written.text.encode(), nl=False)  # a manifest is UTF-8 whatever the terminal is
    for token, reason in written.left_out:
        click.echo(f"left out: {one_line(token.token_prefix)}: {reason}", err=True)
    adoptable = {token.token_prefix for token in listed if not token.is_session}
    unknown = [prefix for prefix in selection.prefixes if prefix not in adoptable]
    for prefix in unknown:
        is_session = any(prefix == token.token_prefix for token in listed)
        what = "only a login session has" if is_session else "no valid token has"
        click.echo(f"{what} the prefix {one_line(shown(prefix))}", err=True)
    context.exit(FINDINGS if written.left_out or unknown else 0)


@manifest.command(short_help="Check manifests: every fault, with its place.")
@click.argument(
    "paths", metavar="FILE...", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, allow_dash=True)
)
@_as_json
@click.pass_context
def validate(context: click.Context, *, paths: Sequence[str], as_json: bool) -> None:
    """Check manifests as `pulumi up` does, without asking the account: FILE:LINE:COLUMN: what, for every fault.

    A FILE may be -, for a pipe.

    \b
    Examples:
      pulumi-avn-token manifest validate tokens.yaml
      git show HEAD:tokens.yaml | pulumi-avn-token manifest validate -
    """  # noqa: D301
    from pulumi_avn_token.manifest import parse  # noqa: PLC0415

    faults: list[Fault] = []
    for path in dict.fromkeys(paths):
        name = files.called(path)
        try:
            count = len(parse(files.read(path), name))
        except OSError as error:
            raise click.FileError(name, error.strerror or "") from None
        except ManifestError as error:
            faults += error.places
            told = str(error)
        else:
            told = f"{name}: {count} token{'' if count == 1 else 's'}, no faults"
        if not as_json:
            click.echo(told)
    if as_json:
        _print_json(
            [{"file": file, "line": line, "column": column, "fault": what} for file, line, column, what in faults]
        )
    context.exit(FINDINGS if faults else 0)


@manifest.command(short_help="Print the JSON Schema of manifests, for editors.")
def schema() -> None:
    """Print the JSON Schema of manifests. Beside a manifest that begins with the comment, editors complete and check.

    \b
    Example:
      pulumi-avn-token manifest schema > tokens.schema.json
      # and as the first line of tokens.yaml:
      # yaml-language-server: $schema=tokens.schema.json
    """  # noqa: D301
    from pulumi_avn_token.schema import schema as make  # noqa: PLC0415

    _print_json(make())


@main.command(short_help="A script by which a shell completes this command.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script by which SHELL completes this command.

    \b
    Examples:
      source <(pulumi-avn-token completion bash)
      pulumi-avn-token completion fish | source
    """  # noqa: D301
    script = get_completion_class(shell)
    if script is not None:
        click.echo(script(main, {}, "pulumi-avn-token", _COMPLETION_VARIABLE).source())


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
    """Serve Aiven's access-token API on this machine, for your own tests: no account, no internet, no Pulumi.

    With a COMMAND, run it with AIVEN_TOKEN and AIVEN_WEB_URL set to the emulator, and give back its exit status.
    Without one, print those two for a shell and serve until Ctrl-C.

    It serves POST, GET, PUT and DELETE /v1/access_token, GET /v1/me and POST /v1/me/expire_tokens, for the header
    `Authorization: aivenv1 TOKEN`, and answers 404 to all else. It keeps tokens as hashes, and listens on 127.0.0.1.

    What a real account would not let you do needs no credential: PUT /emulator/clock sets its clock apart from the
    machine's, PUT /emulator/faults has requests fail, GET /emulator/requests tells what was asked.

    \b
    Examples:
      pulumi-avn-token emulator -- avn user access-token list
      pulumi-avn-token emulator -- pytest
      pulumi-avn-token emulator --db account.sqlite3 -- pulumi up
      pulumi-avn-token emulator --port 8080
      curl -X PUT localhost:8080/emulator/clock -d '{"offset_seconds": 86400}'
    """  # noqa: D301
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


def _client() -> Client:
    from pulumi_avn_token.client import Client  # noqa: PLC0415 - the emulator does without
    from pulumi_avn_token.credentials import find_credential  # noqa: PLC0415

    return Client(find_credential(os.environ), sleep=_wait)


def _wait(seconds: float) -> None:
    """Wait before a request is tried again; somebody who looks on is told."""
    if sys.stderr is not None and sys.stderr.isatty():
        click.echo(f"Aiven cannot be reached now, or asks to wait: trying again in {math.ceil(seconds)} s.", err=True)
    time.sleep(seconds)


def _now(client: Client) -> datetime:
    """The service's time, as its last answer told it."""
    return datetime.now(timezone.utc) + client.clock_skew


def _tell_of_none(listed: Sequence[TokenInfo], selection: Selection) -> None:
    count = sum(selection.sessions or not token.is_session for token in listed)
    if count:
        click.echo(f"None of the {count} tokens matches." if count > 1 else "The only token does not match.", err=True)
    else:
        click.echo("There are no tokens.", err=True)


def _account_and_stacks(
    client: Client, exports: Sequence[str], names: Sequence[str], *, all_stacks: bool
) -> tuple[list[TokenInfo], list[Holding], dict[str, str]]:
    """What is in the account, what stacks hold, and which stacks they are, by the tag of their marks.

    States that are asked for now are framed by two lists, since an `up` may be going on.
    """
    from pulumi_avn_token import inventory, stacks  # noqa: PLC0415

    states = list(stacks.of_files(exports))
    tokens = client.list_tokens()
    asked = dict.fromkeys((*names, *(stacks.names() if all_stacks else ())))
    for name in asked:
        states += stacks.of_stack(name)
    holdings = [holding for state in states for holding in state.holdings]
    if asked:
        tokens = inventory.steady(tokens, client.list_tokens(), holdings)
    return tokens, holdings, {tag: stack for state in states for tag, stack in state.makers.items()}


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))
