"""The manual of settings is what the registry says."""

from __future__ import annotations

import pathlib
import subprocess
import sys

from kirsch.config.document import render
from kirsch.config.kinds import Integer
from kirsch.config.registry import Registry, Setting
from kirsch.config.settings import SETTINGS

ROOT = pathlib.Path(__file__).parents[2]


def test_the_page_in_the_repository_is_up_to_date() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == render(), "run: python -m kirsch.config.document > docs/settings.md"


def test_the_module_prints_the_page() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "kirsch.config.document"],
        capture_output=True,
        encoding="utf-8",
        check=True,
        timeout=60,
    )
    assert done.stdout == render()


def test_the_page_has_a_section_for_every_setting() -> None:
    lines = render().splitlines()
    for setting in SETTINGS:
        assert lines.count(f"### {setting.name}") == 1
        assert any(f"`{setting.variable}`" in line for line in lines)


def test_lines_are_short_enough_to_read_in_a_terminal() -> None:
    assert max(map(len, render().splitlines())) <= 110


def test_a_setting_is_described_with_what_it_has_and_without_what_it_has_not() -> None:
    registry = Registry()
    registry.add(
        Setting(
            name="x.limit",
            kind=Integer(0, 9),
            default=5,
            since="0.1.0",
            help="How many.",
            zero="none",
            precedents=(("nginx", "4"), ("Apache", "3")),
        )
    )
    assert render(registry).partition("## x\n")[2] == (
        "\n### x.limit\n\n"
        "whole number, default `5`, `KIRSCH_X_LIMIT`, since 0.1.0\n\n"
        "How many.\n\n"
        "- Must be: a whole number from 0 to 9\n"
        "- Zero means: none\n"
        "- Others: nginx 4; Apache 3\n"
    )
