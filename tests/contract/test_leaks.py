"""No secret in the open: in tracebacks with locals, in what objects print, in pickles, on the command line."""

from __future__ import annotations

import base64
import copy
import io
import pickle
import sys
import threading
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from pulumi.dynamic.dynamic import serialize_provider
from rich.console import Console
from rich.traceback import Traceback

from pulumi_avn_token import lifecycle
from pulumi_avn_token.cli import main
from pulumi_avn_token.client import Client
from pulumi_avn_token.emulator import Emulator, Fault
from pulumi_avn_token.errors import ApiError, AvnTokenError
from pulumi_avn_token.model import written
from pulumi_avn_token.operation import Operation
from pulumi_avn_token.provider import AccessTokenProvider, RotatingAccessTokenProvider
from tests.contract.servers import (
    CREDENTIAL,
    DROPPED,
    EVERYTHING,
    ISSUED,
    ME,
    SPEC,
    Answer,
    Clients,
    Server,
    cut,
    draw_token,
    page,
    raw,
    refusal,
    said,
    token_object,
)
from tests.contract.terminal import export, series_of_a_stack, stub, token_of_a_stack
from tests.leaks import Secrets, assert_none_in
from tests.providers import new_provider

PACKAGE = str(Path(lifecycle.__file__).parent)
DAY = 24 * 60 * 60
NOW = datetime.now(timezone.utc)
PREVIOUS = draw_token()
"""The secret of the token before the one that a series here holds."""

Bag = dict[str, Any]
TOKEN: Bag = {
    "token_prefix": ISSUED[:12],
    "full_token": ISSUED,
    "description": "old",
    "max_age_seconds": 30.0 * DAY,
    "extend_when_used": False,
    "create_time": written(NOW - timedelta(days=1)),
    "expiry_time": written(NOW + timedelta(days=29)),
    "rotation_triggers": {"release": 1},
    lifecycle.DECLARED: {"description": "old"},
    lifecycle.OWNER: ME["user"],
}
"""The recorded outputs of an `AccessToken`."""
SERIES: Bag = {
    **TOKEN,
    "early_rotation_window_seconds": 1.0 * DAY,
    "overlap_seconds": 0.0,
    "retire_previous": "when_idle",
    **{f"previous_{name}": TOKEN[name] for name in ("create_time", "expiry_time")},
    **{f"previous_{name}": TOKEN["create_time"] for name in ("superseded_time", "retires_at")},
    "previous_token_prefix": PREVIOUS[:12],
    "previous_full_token": PREVIOUS,
    lifecycle.REASON: "created",
}
"""Those of a `RotatingAccessToken`, one rotation later."""
NEWS: Bag = {"description": "new", "rotation_triggers": {"release": 2}}
NEWS_OF_SERIES: Bag = {**NEWS, **{name: SERIES[name] for name in ("max_age_seconds", "early_rotation_window_seconds")}}
ID = "series-" + "0123456789abcdef"

Call = Callable[[AccessTokenProvider, RotatingAccessTokenProvider], object]
WITHOUT_SECRETS: Mapping[str, Call] = {
    "create": lambda token, _: token.create({**NEWS}),
    "create-series": lambda _, series: series.create({**NEWS_OF_SERIES}),
}
WITH_SECRETS: Mapping[str, Call] = {
    "adopt": lambda token, _: token.create({**NEWS, "adopt_prefix": ISSUED, "full_token": ISSUED}),
    "diff": lambda token, _: token.diff(ISSUED[:12], {**TOKEN}, {**NEWS}),
    "read": lambda token, _: token.read(ISSUED[:12], {**TOKEN}),
    "update": lambda token, _: token.update(ISSUED[:12], {**TOKEN}, {**NEWS}),
    "delete": lambda token, _: token.delete(ISSUED[:12], {**TOKEN}),
    "diff-series": lambda _, series: series.diff(ID, {**SERIES}, {**NEWS_OF_SERIES}),
    "read-series": lambda _, series: series.read(ID, {**SERIES}),
    "update-series": lambda _, series: series.update(ID, {**SERIES}, {**NEWS_OF_SERIES}),
    "delete-series": lambda _, series: series.delete(ID, {**SERIES}),
}
"""What the engine asks of the providers: without a secret among the arguments, and with one."""

ECHOES: Mapping[str, Answer] = {f"{status}": refusal(status, "no") for status in (400, 401, 404, 429, 500)}
SILENT: Mapping[str, Answer] = {
    "dropped": DROPPED,
    "cut": cut(EVERYTHING),
    "empty": said({}),
    "html": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"),
    "503": raw(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"),
    "401": said({"message": "no", "errors": [{"message": "no", "status": 401}]}, 401),
}
"""Answers that are errors: with what was asked in them, and without."""


def asked(call: Call, answer: Answer, after: int = 0) -> BaseException | None:
    """What comes of a call, as a fresh process makes it, where the account answers so after some good answers."""
    with Server(*[EVERYTHING] * after, answer) as server:
        try:
            kinds = (AccessTokenProvider, RotatingAccessTokenProvider)
            call(*(new_provider(kind, server.url, CREDENTIAL) for kind in kinds))
        except Exception as error:  # noqa: BLE001 - whatever it is
            return error
    return None


def with_locals(error: BaseException) -> bytes:
    """What those print of an error who show the variables of each frame; of the package's frames, on from the first."""
    trace = error.__traceback__
    while trace is not None and not trace.tb_frame.f_code.co_filename.startswith(PACKAGE):
        trace = trace.tb_next
    error.__traceback__ = trace
    screen = io.StringIO()
    shown = Traceback.from_exception(type(error), error, trace, show_locals=True, locals_max_string=1000)
    Console(file=screen, width=2000).print(shown)
    return "".join(
        [*traceback.TracebackException.from_exception(error, capture_locals=True).format(), screen.getvalue()]
    ).encode(errors="backslashreplace")


@pytest.mark.parametrize(
    "name",
    [*WITHOUT_SECRETS, *WITH_SECRETS],
)
def test_no_error_of_a_provider_shows_a_secret_in_its_variables(name: str) -> None:
    """Of what leaves a provider, a traceback with locals shows neither the credential nor a token that was held."""
    call, errors = {**WITHOUT_SECRETS, **WITH_SECRETS}[name], 0
    for answer in (*ECHOES.values(), *SILENT.values(), page(503)):
        for after in range(4):
            if (error := asked(call, answer, after)) is not None:
                assert isinstance(error, AvnTokenError)
                assert_none_in((CREDENTIAL, ISSUED, PREVIOUS), with_locals(error), f"{type(error)} after {after}")
                errors += 1
    assert errors > 10


@pytest.mark.parametrize("answer", SILENT)
def test_no_error_of_the_client_shows_the_credential_in_its_variables(clients: Clients, answer: str) -> None:
    """Nor does one of the client, whose libraries have the headers in theirs, unless the server itself tells it."""
    calls: list[Callable[[Client], object]] = [
        Client.list_tokens,
        Client.me,
        lambda client: client.create(SPEC),
        lambda client: client.update("prefix", "new"),
    ]
    for call in calls:
        with Server(SILENT[answer]) as server, pytest.raises(ApiError) as caught:
            call(clients.make(server.url))
        assert_none_in([CREDENTIAL], with_locals(caught.value), answer)


@pytest.mark.parametrize("odd", ["\n", "\r\nX: y", "\u2028", "\ud800"], ids=ascii)
@pytest.mark.parametrize("name", WITHOUT_SECRETS)
def test_a_new_token_that_fits_no_header_is_neither_shown_nor_lost(name: str, odd: str) -> None:
    """A secret by which nobody can authenticate, since the service spoilt it, is no reason to print it."""
    answer = said({**token_object(), **ME, "tokens": [], "full_token": ISSUED + odd})
    error = asked(WITHOUT_SECRETS[name], answer)
    shown = "".join(traceback.format_exception(error)) if error else ""
    assert_none_in([ISSUED], f"{shown} {error!r}".encode(errors="backslashreplace"), "a traceback")
    assert error is None or isinstance(error, AvnTokenError)


@pytest.mark.parametrize("kind", [AccessTokenProvider, RotatingAccessTokenProvider])
def test_a_provider_that_has_a_credential_is_pickled_and_copied_without_it(
    kind: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An instance holds nothing, however long it has worked: what it shares with others hangs on its class."""
    monkeypatch.setenv("AIVEN_TOKEN", CREDENTIAL)
    with Server(EVERYTHING) as server:
        monkeypatch.setattr(kind, "operation", new_provider(kind, server.url, CREDENTIAL).operation)
        used = kind()
        used.create({**NEWS_OF_SERIES})
        assert "AIVEN_TOKEN" in used.operation.credential().source
        for one in (used, copy.copy(used), copy.deepcopy(used), pickle.loads(pickle.dumps(used))):  # noqa: S301
            attributes = list(vars(one))
            assert attributes == []
            for pickled in (pickle.dumps(one), base64.b64decode(serialize_provider(one))):
                assert_none_in((CREDENTIAL, ISSUED), pickled, "a pickle")
                assert len(pickled) < 100
            assert_none_in((CREDENTIAL, ISSUED), f"{one} {one!r}".encode(), "what it prints")


# -- what objects print


HELD = ("Account", "Client", "Credential", "Emulator", "Holding", "IssuedToken", "Operation", "Previous", "Series")
"""Classes that have secrets, or see them."""


@contextmanager
def printing() -> Iterator[dict[str, set[str]]]:
    """Print, by class, each object of the package and of `requests` that one of the package's functions ends with."""
    printed: defaultdict[str, set[str]] = defaultdict(set)

    def look(frame: FrameType, event: str, result: Any) -> None:
        if event == "return" and frame.f_code.co_filename.startswith(PACKAGE):
            for value in (*frame.f_locals.values(), result):
                if type(value).__module__.partition(".")[0] in {"pulumi_avn_token", "requests"}:
                    with suppress(AttributeError):  # it is still being made
                        printed[type(value).__qualname__].add(f"{value} {value!r} {value!s}")

    threading.setprofile(look)  # the emulator's
    sys.setprofile(look)
    try:
        yield printed
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def test_no_object_prints_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever object of the package anybody prints, formats or logs, at any moment of a life: it shows none."""
    with printing() as printed, Emulator(tmp_path / "db.sqlite3") as emulator:
        secrets = _live(emulator)
        (tmp_path / "export.json").write_text(_export(emulator, secrets), encoding="utf-8")
        monkeypatch.setenv("AIVEN_TOKEN", emulator.token)
        monkeypatch.setenv("AIVEN_WEB_URL", emulator.url)
        for command in ("list", "list --json", "audit", "audit --json", "manifest from-account"):
            words = [*command.split(), *([] if "list" in command else [str(tmp_path / "export.json")])]
            main(words, standalone_mode=False)
        secrets.append(emulator.token)
    assert set(HELD) <= set(printed)
    for name, texts in printed.items():
        assert_none_in(secrets, "\n".join(texts).encode(errors="backslashreplace"), f"what {name} prints")
    assert_none_in(secrets, "".join(capsys.readouterr()).encode(), "what a command prints")


def _live(emulator: Emulator) -> Secrets:
    """Call the providers as the engine does, for all they can do, and give the secrets of the tokens that they made."""
    adopted = emulator.issue_token(description="adopted")
    secrets = Secrets([adopted])
    token, series = (
        new_provider(kind, emulator.url, emulator.token) for kind in (AccessTokenProvider, RotatingAccessTokenProvider)
    )
    news = {**NEWS, "max_age_seconds": 30 * DAY}
    made = token.create(news)
    secrets.append(made.outs["full_token"])
    for changed in ({"description": "newer"}, {"max_age_seconds": 3600}):
        token.diff(made.id, made.outs, {**news, **changed})
    token.read(made.id, made.outs)
    token.update(made.id, made.outs, {**news, "description": "newer"})
    arguments = {"description": "adopted", "adopt_prefix": adopted, "full_token": adopted}
    token.check({}, arguments)
    token.create(arguments)
    one = series.create(NEWS_OF_SERIES)
    outs = one.outs
    secrets.append(outs["full_token"])
    for release in (3, 4):
        triggers = {**NEWS_OF_SERIES, "rotation_triggers": {"release": release}}
        series.check({}, triggers)
        series.diff(one.id, outs, triggers)
        outs = series.update(one.id, outs, triggers).outs
        secrets.append(outs["full_token"])
        outs = series.read(one.id, outs).outs
    emulator.faults = [Fault(kind="status", status=503), Fault(kind="truncated", method="POST")]
    for call in (token.create, series.create):
        with pytest.raises(ApiError):
            call(NEWS_OF_SERIES)
    emulator.faults = []
    token.delete(made.id, made.outs)
    return secrets


def _export(emulator: Emulator, secrets: Secrets) -> str:
    """An export of a stack whose secrets are in the open."""
    client = Client(Operation(environ={"AIVEN_TOKEN": emulator.token, "AIVEN_WEB_URL": emulator.url}).credential())
    shown = {token.token_prefix: vars(token) for token in client.list_tokens()}
    current, previous = (shown[secret[:12]] for secret in reversed(secrets[-2:]))
    client.close()
    before = {"previous_token_prefix": previous["token_prefix"], "previous_full_token": secrets[-2]}
    return export(
        token_of_a_stack(shown[secrets[0][:12]], full_token=secrets[0]),
        series_of_a_stack(current, full_token=secrets[-1], **before, previous_expiry_time=previous["expiry_time"]),
    )


# -- the command line


WRONG_PLACES = (
    "SECRET",
    "list SECRET",
    "list --token=SECRET",
    "list --token SECRET",
    "list --prefix SECRET",
    "list --prefix=SECRET",
    "list --description SECRET",
    "list --expiring-within SECRET",
    "list --sort SECRET",
    "audit SECRET",
    "audit --ignore SECRET -",
    "manifest SECRET",
    "manifest validate SECRET",
    "manifest validate --json SECRET",
    "manifest validate FILE",
    "manifest validate --json FILE",
    "manifest schema SECRET",
    "manifest from-account SECRET",
    "manifest from-account --prefix SECRET",
    "completion SECRET",
    "emulator --port SECRET",
    "emulator --quota SECRET",
    "AIVEN_WEB_URL=SECRET list",
    "AIVEN_WEB_URL=https://SECRET list",
    "AIVEN_WEB_URL=https://user:SECRET@example.org list",
    "AIVEN_WEB_URL=https://127.0.0.1:1 HTTPS_PROXY=http://user:SECRET@127.0.0.1:1 list",
    "AIVEN_WEB_URL=https://127.0.0.1:1 REQUESTS_CA_BUNDLE=SECRET list",
)
SHOWN_IN = (
    "audit --stack SECRET",
    "manifest from-account --stack SECRET",
    "emulator SECRET",
    "emulator -- SECRET",
    "emulator --db SECRET -- true",
    "AIVEN_CA_CERT=SECRET list",
    "AIVEN_TOKEN= AIVEN_CREDENTIALS_FILE=SECRET list",
    "AIVEN_TOKEN= AIVEN_CONFIG_DIR=SECRET list",
)


@pytest.mark.parametrize(
    "line",
    [*WRONG_PLACES, *SHOWN_IN],
)
def test_a_token_that_was_typed_in_the_wrong_place_is_not_shown(
    line: str,
    tmp_path: Path,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Wherever a full token stands on a line, in a file or in a variable, no command prints it."""
    secret = emulator.issue_token(description="nb")
    monkeypatch.chdir(tmp_path)
    file = "tokens: {SECRET: {description: SECRET, adopt_prefix: SECRET, max_age: SECRET, SECRET: [SECRET]}}"
    Path("FILE").write_text(file.replace("SECRET", secret), encoding="utf-8")
    path = stub(tmp_path / "bin", "echo \"error: no stack named '$4' found\" >&2; exit 255")
    words = line.split()
    assigned = [word.partition("=")[::2] for word in words if word[0].isupper() and "=" in word]
    environ = {"HOME": str(tmp_path), "PATH": path, "AIVEN_TOKEN": emulator.token, "AIVEN_WEB_URL": emulator.url}
    for name, value in (environ | dict(assigned)).items():
        monkeypatch.setenv(name, value.replace("SECRET", secret))
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    with pytest.raises(SystemExit):
        main([word.replace("SECRET", secret) for word in words[len(assigned) :]])
    printed = "".join(capfd.readouterr())
    assert printed
    assert_none_in((secret, emulator.token), printed.encode(), "what was printed")
