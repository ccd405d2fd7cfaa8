"""The room's way in, and a user's own tool in the place of a built-in one, served by `kirsch run`."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING

from kirsch.security.headers import SecureHeadersTool
from kirsch.security.protect import install
from kirsch.web import Toolbox
from tests.examples.served import Served

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import kirsch

{tool}
class Root:
    @kirsch.expose
    def index(self):
        return "hello"

if __name__ == "__main__":
    kirsch.quickstart(Root(), "", "site.conf")
"""

TOOL = """
@kirsch.tools.register('before_finalize', priority=60)
def secureheaders():
    headers = kirsch.response.headers
    headers['X-Frame-Options'] = 'DENY by hand'
    headers['X-XSS-Protection'] = '1; mode=block'
    headers['Content-Security-Policy'] = "default-src 'self';"
"""

CONF = """
[global]
server.bind = "127.0.0.1:0"

[/]
tools.secureheaders.on: True
"""


def headers_of(folder: Path, tool: str, *command: str) -> dict[str, str]:
    """Serve the program and return the fields of its page."""
    (folder / "site.conf").write_text(CONF, encoding="utf-8")
    (folder / "program.py").write_text(PROGRAM.format(tool=tool), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, *command], cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    with Served(process) as served, urllib.request.urlopen(served.url, timeout=10) as answer:
        return dict(answer.headers)


def test_a_users_own_tool_switched_on_by_a_file_replaces_the_built_in_one(tmp_path: Path) -> None:
    found = headers_of(tmp_path, TOOL, "program.py")
    assert found["X-Frame-Options"] == "DENY by hand"
    assert found["X-XSS-Protection"] == "1; mode=block"
    assert found["Content-Security-Policy"] == "default-src 'self';"
    assert "Referrer-Policy" not in found


def test_kirsch_run_has_it_too(tmp_path: Path) -> None:
    command = ("-m", "kirsch", "run", "--config", "site.conf", "program:Root")
    assert headers_of(tmp_path, TOOL, *command)["X-Frame-Options"] == "DENY by hand"


def test_without_it_the_built_in_one_is_on(tmp_path: Path) -> None:
    found = headers_of(tmp_path, "", "program.py")
    assert found["X-Frame-Options"] == "DENY"
    assert found["Referrer-Policy"] == "strict-origin-when-cross-origin"


def test_the_tools_of_the_room_go_into_any_toolbox() -> None:
    box = Toolbox("tools")
    install(box)
    assert isinstance(box.secureheaders, SecureHeadersTool)
    assert box.secureheaders.name == "secureheaders"
