"""The documentation is executed, not trusted."""

from __future__ import annotations

import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pulumi_avn_token as avn
from pulumi_avn_token.emulator import Emulator
from pulumi_avn_token.inventory import FAILURES, KINDS
from tests.account import Observer
from tests.engine.project import ROOT, Project, typed
from tests.leaks import Secrets, assert_none_in

README = (ROOT / "README.md").read_text(encoding="utf-8")
UNDER_MOCKS = {"aiven-provider", "aws", "github-actions", "kubernetes"}
"""The examples that need plugins of other providers, which are not to be had everywhere: see `tests/examples`."""
EXAMPLES = sorted(
    path.parent for path in (ROOT / "examples").glob("*/Pulumi.yaml") if path.parent.name not in UNDER_MOCKS
)


def blocks(language: str) -> list[str]:
    """The README's code blocks in a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def checkout(folder: Path) -> Path:
    """A copy of what git tracks here, beside the environment and the engine that are there already."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, tracked.stdout.split("\0")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    for name in (".venv", ".engine"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def test_the_programs_of_the_readme_run(project: Project, observer: Observer) -> None:
    """Each Python block that declares tokens is a program that `pulumi up` takes: it makes what it says."""
    *declaring, _ = blocks("python")
    assert len(declaring) == 2
    for block, description in zip(declaring, ("CI deploys", "Ingest workers"), strict=True):
        (project.folder / "__main__.py").write_text(block, encoding="utf-8")
        project.up()
        assert list(observer.tokens()) == [description]


def test_coming_from_hand_made_tokens_runs_as_the_readme_says(
    project: Project, observer: Observer, emulator: Emulator
) -> None:
    """The three steps, typed as they stand, leave ten tokens as they were and manage them all; so an audit says."""
    for number in range(10):
        observer.make(f"by hand: {number}")
    before = observer.valid()
    (project.folder / "__main__.py").write_text(blocks("python")[2], encoding="utf-8")
    steps, at_a_glance = blocks("sh")[3:5]
    printed = typed(f"export AIVEN_TOKEN=…\n{steps}{at_a_glance}", project.folder, project.folder, emulator)
    assert observer.valid() == before
    assert set(project.state()) == {f"by-hand-{number}" for number in range(10)}
    assert ": 10 managed, 10 warnings." in printed


def test_the_page_about_the_command_line_runs(project: Project, observer: Observer, emulator: Emulator) -> None:
    """Its program prints the account's tokens, its commands audit a stack in every way, and its table is the code's."""
    document = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    programs, commands = (re.findall(rf"```{kind}\n(.*?)```", document, re.DOTALL) for kind in ("python", "sh"))
    made = observer.make("by hand")
    project.tokens(ci='description="d"').up()
    audits = commands[0].replace("organization/tokens/prod", "organization/scratch/test")
    exports = "for file in prod.json staging.json; do pulumi stack export > $file; done\n"
    adopted = audits.replace("pulumi-avn-token audit", "pulumi-avn-token audit --ignore 'by hand'")
    told = typed(f"export AIVEN_TOKEN=…\n{exports}{adopted}", project.folder, project.folder, emulator)
    assert told.count(": 1 managed, ") == 4
    environ = {**os.environ, "AIVEN_TOKEN": emulator.token, "AIVEN_WEB_URL": emulator.url}
    ran = subprocess.run([sys.executable, "-c", programs[0]], env=environ, check=True, capture_output=True, text=True)
    assert f"{made['token_prefix']} by hand {made['expiry_time']}" in ran.stdout
    table = re.findall(r"^\| `([a-z-]+)` \| (.*) \| ([01]) \|$", document, re.MULTILINE)
    assert table == [(kind, what, "1" if kind in FAILURES else "0") for kind, what in KINDS.items()]


def test_the_programs_of_the_page_about_moving_run(project: Project, observer: Observer) -> None:
    """The one adopts a token by its prefix; with the other, tokens of a manifest stay valid when their stack goes."""
    document = (ROOT / "docs" / "moving.md").read_text(encoding="utf-8")
    adopts, _, lets_go = re.findall(r"```python\n(.*?)```", document, re.DOTALL)
    by_hand = observer.make("by hand")
    (project.folder / "__main__.py").write_text(adopts.replace("XCJ3+bgWywIh", by_hand["token_prefix"]))
    project.up()
    assert project.state()["notebooks"]["id"] == by_hand["token_prefix"]
    assert list(observer.tokens()) == ["Python notebooks"]
    (project.folder / "tokens.yaml").write_text("tokens: {ci: {description: CI deploys}}")
    (project.folder / "__main__.py").write_text(lets_go)
    project.up()
    project.destroy()
    assert list(observer.tokens()) == ["CI deploys"]


def test_the_commands_of_the_readme_run(project: Project, observer: Observer, emulator: Emulator) -> None:
    """The shortest real use and the run for a schedule, typed as they stand, give a secret that works."""
    (project.folder / "__main__.py").write_text(blocks("python")[0], encoding="utf-8")
    printed = typed("".join(blocks("sh")[1:3]), project.folder, project.folder, emulator)
    (secret,) = (line for line in printed.splitlines() if len(line) > 300)
    assert observer.works(secret)
    assert "2 unchanged" in printed


def test_the_documents_about_the_emulator_run() -> None:
    """Its Python block runs as it stands, and so does its command that ends."""
    document = (ROOT / "docs" / "emulator.md").read_text(encoding="utf-8")
    programs = re.findall(r"```python\n(.*?)```", document, re.DOTALL)
    commands = re.findall(r"```sh\n(.*?)\n", document, re.DOTALL)
    environ = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for command in ([sys.executable, "-c", programs[0]], ["sh", "-c", commands[0]]):
        ran = subprocess.run(command, env=environ, check=True, capture_output=True, text=True)
        assert ran.stdout
        assert ran.stderr == ""


def test_the_first_two_commands_are_the_two_and_exist() -> None:
    """The first page starts with `make demo` and `make test`, and `.ci/run` calls the second."""
    assert blocks("sh")[0].split("\n") == ["make demo", "make test", ""]
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"demo", "test", "engine", "clean"} <= set(targets)
    assert "make test\n" in (ROOT / ".ci" / "run").read_text()


def test_the_table_of_arguments_is_the_signature() -> None:
    """Every argument stands in the page's tables, those of the first in their order, and no other does."""
    page = (ROOT / "docs" / "arguments.md").read_text(encoding="utf-8")
    tables = page.split("## Outputs")[0].split("A `RotatingAccessToken` takes")
    documented, further = [
        [name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)]
        for table in tables
    ]
    assert documented == keywords(avn.AccessToken)
    not_of_a_series = {"adopt_prefix", "full_token"}
    assert {*documented, *further} - not_of_a_series == set(keywords(avn.RotatingAccessToken))


def keywords(resource: type) -> list[str]:
    """The arguments of a resource, in their order."""
    parameters = inspect.signature(resource.__init__).parameters.values()  # type: ignore[misc]
    return [
        parameter.name
        for parameter in parameters
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.name != "opts"
    ]


def anchors(document: Path) -> list[str]:
    """The headings of a Markdown file, as links name them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


def test_the_links_of_the_documents_lead_somewhere() -> None:
    """Every relative link of a Markdown file names a file or a folder, and a heading that it has."""
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").rglob("*.md")]
    for document in documents:
        for link, heading in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", document.read_text(encoding="utf-8")):
            target = document.parent / link if link else document
            assert target.exists(), f"{document.name}: {link}"
            assert not heading or heading in anchors(target), f"{document.name}: {link}#{heading}"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_comes_up_once_and_goes_down(
    example: Path, tmp_path: Path, emulator: Emulator, observer: Observer
) -> None:
    """Each example makes tokens, comes up unchanged a second time, shows no secret, and leaves nothing behind."""
    folder = checkout(tmp_path / "checkout") / "examples" / example.name
    project = Project(folder, emulator)
    project.up()
    assert observer.tokens()
    project.up("--expect-no-changes", "--diff")
    secrets = Secrets(project.outputs(name)["full_token"] for name in project.state())
    project.pulumi("stack", "output")
    project.destroy()
    assert observer.tokens() == {}
    assert_none_in(secrets, "".join(project.printed).encode(), "what was printed")


def test_the_demo_shows_real_tokens_twice_and_touches_no_real_account(
    tmp_path: Path, emulator: Emulator, observer: Observer
) -> None:
    """`make demo` ends with a table, a second one changes nothing, and the account of the environment is left alone."""
    folder = checkout(tmp_path)
    environ = os.environ | {
        "AIVEN_TOKEN": emulator.token,
        "AIVEN_AUTH_TOKEN": emulator.token,
        "AIVEN_WEB_URL": emulator.url,
        "PULUMI_BACKEND_URL": (tmp_path / "elsewhere").as_uri(),
        "PULUMI_STACK": "elsewhere",
    }
    emulator.clear_requests()
    shown = [
        subprocess.run(
            [sys.executable, "-m", "tools.demo"], cwd=folder, env=environ, check=True, capture_output=True, text=True
        ).stdout
        for _ in range(2)
    ]
    assert "+ 4 created" in shown[0]
    assert "4 unchanged" in shown[1]
    for table in shown:
        assert re.search(r"^EXPIRY_TIME +TOKEN_PREFIX +DESCRIPTION ", table, re.MULTILINE)
        assert re.search(r" [A-Za-z0-9+/]{12}  CI deploys  ", table)
    assert emulator.requests == []
    assert observer.tokens() == {}
