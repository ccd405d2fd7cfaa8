"""A folder with files, good and bad, and the application that serves it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kirsch.http import format_date
from kirsch.web import Application, expose
from tests.tools.helpers import Answer, ask, make

if TYPE_CHECKING:
    from pathlib import Path

BIG = bytes(range(256)) * 1024
THEN = 1_700_000_000
DATE = format_date(THEN)


def furnish(place: Path) -> Path:
    root = place / "root"
    (root / "docs").mkdir(parents=True)
    (root / "ten.txt").write_bytes(b"0123456789")
    (root / "big.bin").write_bytes(BIG)
    (root / "empty.txt").write_bytes(b"")
    (root / "unknown.qqq").write_bytes(b"?")
    (root / "<img onerror>").write_bytes(b"<script>")
    (root / "docs" / "index.html").write_text("<p>docs")
    (root / ".env").write_text("SECRET")
    (root / "app.py").write_text("SECRET")
    (root / "app.conf").write_text("SECRET")
    (place / "secret.txt").write_text("SECRET")
    (place / "root-too").mkdir()
    (place / "root-too" / "s.txt").write_text("SECRET")
    for path in root.rglob("*"):
        os.utime(path, (THEN, THEN))
    return root


class Root:
    @expose
    def default(self, *path: str) -> str:
        return f"handler of {path}"


class Nothing:
    pass


def app_of(root: Path, page: Any = None, **keys: Any) -> Application:
    section = {"tools.staticdir.on": True, "tools.staticdir.dir": str(root)}
    section |= {f"tools.staticdir.{key}": value for key, value in keys.items()}
    return make(page or Nothing(), {"/static": section})


def get(app: Application, path: str, method: str = "GET", **fields: str) -> Answer:
    return ask(
        app, f"/static/{path}", method, {name.replace("_", "-"): value for name, value in fields.items()}
    )
