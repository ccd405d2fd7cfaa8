"""Fields that a resource does not see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kirsch.web import current, expose
from tests.tools.helpers import ask, make

if TYPE_CHECKING:
    from pathlib import Path


class Root:
    @expose
    def index(self) -> str:
        return ", ".join(sorted(current().headers))  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("keys", "seen"),
    [
        ({}, "Host, X-A"),
        ({"ignore_headers__headers": ["x-a", "None"]}, "Host, Range"),
        ({"ignore_headers__headers": "X-A"}, "Host, Range"),
        ({"ignore_headers__headers": ()}, "Host, Range, X-A"),
    ],
)
def test_fields_are_removed(keys: dict[str, Any], seen: str) -> None:
    app = make(Root(), ignore_headers__on=True, **keys)
    for _ in range(2):
        assert ask(app, fields={"Range": "bytes=0-1", "X-A": "1"}).text == seen


def test_a_file_is_sent_whole_then(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("whole")
    section = {"tools.staticdir.on": True, "tools.staticdir.dir": str(tmp_path)}
    fields = {"Range": "bytes=0-1"}
    assert ask(make(None, {"/": section}), "/a.txt", fields=fields).text == "wh"
    assert ask(make(None, {"/": section}, ignore_headers__on=True), "/a.txt", fields=fields).text == "whole"
