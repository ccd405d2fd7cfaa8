"""The manual of settings, made from the registry: `python -m kirsch.config.document > docs/settings.md`."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING

from kirsch.config.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kirsch.config.registry import Registry, Setting

__all__ = ["render"]

_INTRODUCTION = """\
# Settings

This page is made from the registry of settings (`python -m kirsch.config.document > docs/settings.md`);
a test keeps the two the same.

A setting is given, from weakest to strongest: by an environment (`environment = "production"`), in a file
(`kirsch run --config site.conf` or `site.toml`) or a dict, by an environment variable, on the command line.
In `.conf` files values are Python literals under `[global]`; in TOML the dots of a name are tables. In
environment variables they are bare text: `on` or `off`, `64k`, `2min`, lists between commas.

Sizes are bytes, or text such as `"64k"` and `"10 MiB"` (1024-based; `"10 MB"` is 1000-based). Durations are
seconds, or text such as `"500ms"`, `"30 s"`, `"2min"` and `"1h"`. A name that does not exist, or a value of
the wrong kind, stops the program with the nearest valid name or what was expected.
"""


def render(registry: Registry = SETTINGS) -> str:
    """Return the manual of all settings in `registry` as Markdown, one section for each namespace."""
    lines = [_INTRODUCTION]
    for namespace in registry.namespaces():
        lines.append(f"## {namespace}\n")
        lines.extend("\n".join(_entry(setting)) + "\n" for setting in registry.namespace(namespace))
    return "\n".join(lines)


def _entry(setting: Setting) -> Iterator[str]:
    shown = setting.kind.show(setting.default)
    default = f"`{shown}`" if shown else "empty"
    facts = [setting.kind.label, f"default {default}", f"`{setting.variable}`", f"since {setting.since}"]
    yield f"### {setting.name}\n"
    yield f"{', '.join(facts)}\n"
    yield textwrap.fill(setting.help, 110)
    notes = [
        ("Must be", setting.kind.expected),
        ("Clock starts", setting.starts),
        ("Clock resets", setting.resets),
        ("Zero means", setting.zero),
        ("Others", "; ".join(f"{who} {what}" for who, what in setting.precedents)),
    ]
    yield from (
        f"{'' if index else chr(10)}{_item(head, text)}" for index, (head, text) in enumerate(_said(notes))
    )


def _item(head: str, text: str) -> str:
    return textwrap.fill(f"- {head}: {text}", 110, subsequent_indent="  ")


def _said(notes: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(head, text) for head, text in notes if text]


if __name__ == "__main__":
    sys.stdout.write(render())
