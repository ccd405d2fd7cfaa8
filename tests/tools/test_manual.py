"""The pages on the tools say what is: their programs run, their commands print what stands below."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.docs import test_manual as manual

if TYPE_CHECKING:
    from pathlib import Path

PAGES = sorted((manual.ROOT / "docs" / "tools").glob("*.md"))


CONSOLES = [page.name for page in PAGES if any(block.kind == "console" for block in manual.blocks(page))]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed; .ci/run installs it")
@pytest.mark.parametrize("name", CONSOLES)
def test_commands_print_what_the_page_says(name: str, tmp_path: Path) -> None:
    terminal = manual.Terminal(tmp_path)
    try:
        for block in manual.blocks(manual.ROOT / "docs" / "tools" / name):
            if block.kind == "python" and block.title:
                (tmp_path / block.title).write_text(block.text, "utf-8")
            if block.kind == "console":
                for command, output in manual.typed(block.text):
                    assert terminal.type(command) == output, command
    finally:
        terminal.close()


def test_every_page_has_something_to_check() -> None:
    assert [page.name for page in PAGES] == CONSOLES != []
