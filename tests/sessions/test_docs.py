"""The manual's table of keys is that of the source."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from kirsch.sessions.cookie import SessionCookie
from kirsch.sessions.policy import Policy
from kirsch.sessions.tool import SessionTool

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sessions.md"


def documented() -> dict[str, str]:
    text = PAGE.read_text("utf-8").partition("<!-- keys")[2].partition("<!-- end -->")[0]
    return {
        key: default.strip("`")
        for key, default in re.findall(r"^\| `(\w+)` \| ([^|]*?) ?\|", text, re.MULTILINE)
    }


def test_every_key_is_in_the_manual_and_no_other() -> None:
    assert set(documented()) == {"on", *SessionTool().arguments()}


def test_the_defaults_are_those_of_the_source() -> None:
    defaults = {
        name: parameter.default
        for kind in (Policy, SessionCookie)
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    assert {name: str(value) for name, value in defaults.items()} == {
        name: value
        for name, value in documented().items()
        if name not in {"on", "storage_class", "storage_type"}
    }
