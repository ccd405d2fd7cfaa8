"""The manual says what is: its programs run, its commands print what stands below, its tables are true.

- A python block with a title is written to a file of that name.
- A console block is typed, line by line, where those files are: `$ kirsch run ...` serves on a port of the
  system's choice until the next one, every other `$` line is a command whose output must be what follows it.
- Python blocks without a title are one program, run with warnings as errors.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from kirsch.bus.states import TRANSITIONS
from tests.examples.served import Served, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

FENCE = re.compile(r"^```(?P<kind>\w*)(?P<rest>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
TITLE = re.compile(r'title="([^"]+)"')


class Block(NamedTuple):
    kind: str
    title: str
    text: str


class Typed(NamedTuple):
    command: str
    output: str


def blocks(page: Path) -> list[Block]:
    found = []
    for match in FENCE.finditer(page.read_text("utf-8")):
        title = TITLE.search(match["rest"])
        found.append(Block(match["kind"], title[1] if title else "", match["text"]))
    return found


def typed(text: str) -> list[Typed]:
    """Return the commands of a console block with the output that is said to follow each."""
    found: list[Typed] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append(Typed(line[2:], ""))
        else:
            command, output = found[-1]
            found[-1] = Typed(command, f"{output}{line}\n")
    return found


def with_blocks(kind: str, *, titled: bool | None = None) -> list[str]:
    return [
        page.name
        for page in PAGES
        if any(block.kind == kind and titled in {None, bool(block.title)} for block in blocks(page))
    ]


def page_of(name: str) -> Path:
    return next(page for page in PAGES if page.name == name)


class Terminal:
    """Types what a page says."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = contextlib.ExitStack()
        self._server: Served | None = None

    def close(self) -> None:
        self._stack.close()
        self._server = None

    def type(self, command: str) -> str:
        if command.startswith("kirsch run "):
            self.close()
            _, _, target, *options = command.split()
            self._server = self._stack.enter_context(serve(target, *options, cwd=self._folder))
            return ""
        if self._server is not None:
            command = command.replace("127.0.0.1:8080", f"127.0.0.1:{self._server.port}")
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert not done.stderr
        return done.stdout if done.stdout.endswith("\n") or not done.stdout else f"{done.stdout}\n"


@pytest.fixture(name="terminal")
def _terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed; .ci/run installs it")
@pytest.mark.parametrize("name", with_blocks("console"))
def test_commands_print_what_the_manual_says(name: str, terminal: Terminal, tmp_path: Path) -> None:
    commands = 0
    for block in blocks(page_of(name)):
        if block.kind == "python" and block.title:
            (tmp_path / block.title).write_text(block.text, "utf-8")
        if block.kind == "console":
            for command, output in typed(block.text):
                assert terminal.type(command) == output, command
                commands += 1
    assert commands


@pytest.mark.parametrize("name", with_blocks("python", titled=False))
def test_programs_of_the_manual_run(name: str, tmp_path: Path) -> None:
    program = "\n\n".join(
        block.text for block in blocks(page_of(name)) if block.kind == "python" and not block.title
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_there_are_programs_and_commands_to_check() -> None:
    assert {"README.md", "index.md", "tutorial.md", "running.md", "errors.md"} <= set(with_blocks("console"))
    assert {"tutorial.md", "bus.md"} <= set(with_blocks("python", titled=False))


def test_the_states_of_the_bus_are_those_of_its_table() -> None:
    text = (ROOT / "docs" / "bus.md").read_text("utf-8")
    rows = [f"| {move.source.name} | {move.target.name} | {move.cause} |\n" for move in TRANSITIONS]
    table = "| from | to | when |\n|---|---|---|\n" + "".join(rows)
    assert table in text, f"docs/bus.md needs this table:\n{table}"


def test_every_option_of_kirsch_run_is_in_the_manual_and_no_other() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kirsch", "run", "--help"], capture_output=True, text=True, check=True
    )
    options = set(re.findall(r"^  (--[a-z-]+)", done.stdout, re.MULTILINE))
    text = (ROOT / "docs" / "running.md").read_text("utf-8")
    documented = set(re.findall(r"^\| `(--[a-z-]+)", text, re.MULTILINE))
    assert documented == options


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert set(re.findall(r": ([a-z]+\.md)$", text, re.MULTILINE)) == pages


def test_the_architecture_names_every_room_there_is() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rooms = {path.parent.name for path in (ROOT / "src" / "kirsch").glob("*/__init__.py")}
    assert rooms <= set(re.findall(r"`(\w+)`", text))
