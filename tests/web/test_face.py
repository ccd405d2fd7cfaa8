"""The package as programs see it: its names, what importing it does, and its default objects at work."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import kirsch
from kirsch import _defaults
from kirsch.config import Config
from kirsch.web import Application, LogManager, Tree
from tests.web.helpers import ask, ask_wsgi

if TYPE_CHECKING:
    from pathlib import Path

NAMES = {
    "Application",
    "HTTPError",
    "HTTPRedirect",
    "InternalRedirect",
    "NotFound",
    "Tool",
    "__version__",
    "config",
    "dispatch",
    "engine",
    "expose",
    "log",
    "popargs",
    "quickstart",
    "request",
    "response",
    "server",
    "session",
    "tools",
    "tree",
    "url",
}


def run(code: str, *args: str) -> Any:
    """Run `code` in an interpreter of its own and return what it prints as JSON."""
    done = subprocess.run(
        [sys.executable, *args, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_public_names_are_exactly_these() -> None:
    assert set(kirsch.__all__) == NAMES
    assert list(kirsch.__all__) == sorted(kirsch.__all__)
    for name in NAMES:
        assert getattr(kirsch, name) is not None
    assert set(dir(kirsch)) >= NAMES


def test_rooms_with_the_name_of_an_object_do_not_hide_it() -> None:
    import kirsch.config
    import kirsch.server
    import kirsch.tools

    assert isinstance(kirsch.config, Config)
    assert kirsch.server is _defaults.server
    assert kirsch.tools is _defaults.tools
    assert sys.modules["kirsch.config"].Config is Config


def test_a_name_can_be_set_as_tests_of_programs_do() -> None:
    before = kirsch.tree
    mine = Tree()
    kirsch.tree = mine  # type: ignore[assignment, unused-ignore]
    try:
        assert kirsch.tree is mine
    finally:
        kirsch.tree = before


def test_importing_starts_nothing() -> None:
    code = """
import atexit, json, logging, signal, sys, threading
registered = []
atexit.register = lambda *args, **kwargs: registered.append(args)
signals = {number: signal.getsignal(number) for number in signal.valid_signals()}
hooks = sys.excepthook, threading.excepthook
import kirsch
for name in kirsch.__all__:
    getattr(kirsch, name)
print(json.dumps({
    "threads": threading.active_count(),
    "signals": all(signal.getsignal(number) is handler for number, handler in signals.items()),
    "atexit": [str(args) for args in registered if "kirsch" in str(args)],
    "hooks": (sys.excepthook, threading.excepthook) == hooks,
    "handlers": len(logging.getLogger("kirsch.error").handlers) + len(logging.getLogger().handlers),
    "state": kirsch.engine.state.name,
}))
"""
    assert run(code) == {
        "threads": 1,
        "signals": True,
        "atexit": [],
        "hooks": True,
        "handlers": 0,
        "state": "STOPPED",
    }


def test_importing_loads_no_room_before_it_is_needed() -> None:
    code = """
import json, sys, kirsch
first = sorted(name for name in sys.modules if name.startswith("kirsch"))
kirsch.quickstart, kirsch.tree, kirsch.expose, kirsch.request
heavy = {"ssl", "asyncio", "multipart", "msgspec", "email", "http.client", "kirsch.server"}
print(json.dumps([first, sorted(heavy & set(sys.modules))]))
"""
    assert run(code) == [["kirsch", "kirsch._version"], []]


class Root:
    @kirsch.expose
    def index(self, name: str = "you") -> str:
        kirsch.response.headers["X-Path"] = kirsch.request.path_info
        return f"hello {name}"

    @kirsch.expose
    def link(self) -> str:
        return kirsch.url("/x", {"a": 1})

    @kirsch.expose
    def log(self) -> str:
        kirsch.log("from a handler", "TEST")
        return ""


def test_an_application_of_the_face_shares_the_default_site() -> None:
    app = kirsch.Application(Root(), "/app")
    assert app.site is _defaults.site
    assert isinstance(app, Application)
    answer = ask_wsgi(app, "/", script_name="/app")
    assert (answer.text, answer.header("X-Path")) == ("hello you", "/")
    assert ask_wsgi(app, "/link", script_name="/app").text == "http://example.test/app/x?a=1"
    assert ask(app, "/app").header("Location") == "/app/"


def test_a_tool_is_registered_and_switched_on_as_the_book_says() -> None:
    @kirsch.tools.register("before_finalize", priority=60)
    def sample() -> None:
        kirsch.response.headers["X-Sample"] = "1"

    try:
        app = kirsch.Application(Root(), "", {"/": {"tools.sample.on": True}})
        assert ask(app, "/").header("X-Sample") == "1"
    finally:
        del kirsch.tools.sample


def test_outside_of_a_request_urls_begin_with_the_server() -> None:
    assert kirsch.url("/x") == "http://127.0.0.1:8080/x"
    assert kirsch.url("x", base="http://b") == "http://b/x"


def test_inside_a_request_the_log_is_that_of_the_application(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    ask(kirsch.Application(Root(), "/app"), "/app/log")
    kirsch.log("outside")
    ask(kirsch.Application(Root()), "/log")
    assert [record.name for record in caplog.records] == ["kirsch.error.app", "kirsch.error", "kirsch.error"]
    assert isinstance(kirsch.log, LogManager)


PROGRAM = """
import json, sys, threading, urllib.request
import kirsch

class Root:
    @kirsch.expose
    def index(self):
        return "hello " + kirsch.url("/x")
    @kirsch.expose
    def end(self):
        raise SystemExit

def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["SCRIPT_NAME"].encode()]

def ask(path):
    with urllib.request.urlopen(kirsch.server.urls[0].rstrip("/") + path, timeout=20) as answer:
        return answer.read().decode()

seen = {}
def look():
    kirsch.engine.wait(kirsch.engine.states.STARTED, timeout=20)
    try:
        seen["page"] = ask("/").replace(kirsch.server.urls[0].rstrip("/"), "URL")
        seen["wsgi"] = ask("/wsgi")
        seen["urls"] = len(kirsch.server.urls)
        seen["twice"] = kirsch.server.start()
    finally:
        ENDING

threading.Thread(target=look, daemon=True).start()
kirsch.tree.graft(wsgi, "/wsgi")
kirsch.quickstart(Root, config={"global": {"server.bind": ["127.0.0.1:0"], "log.screen": False}, "/": {}})
seen["after"] = kirsch.server.urls
seen["state"] = kirsch.engine.state.name
print(json.dumps(seen))
"""


@pytest.mark.parametrize(
    "ending", ["kirsch.engine.exit()", "threading.Thread(target=ask, args=('/end',), daemon=True).start()"]
)
def test_quickstart_serves_until_it_is_told_to_end(ending: str) -> None:
    assert run(PROGRAM.replace("ENDING", ending)) == {
        "page": "hello URL/x",
        "wsgi": "/wsgi",
        "urls": 1,
        "twice": None,
        "after": [],
        "state": "EXITING",
    }


def test_quickstart_takes_a_file_and_logs_where_it_says(tmp_path: Path) -> None:
    file = tmp_path / "site.conf"
    log = tmp_path / "error.log"
    file.write_text(
        f'[global]\nserver.bind = ["127.0.0.1:0"]\nlog.screen = False\nlog.error_file = {str(log)!r}\n'
        '[/]\nresponse.headers.X-Mark = "file"\n',
        "utf-8",
    )
    code = f"""
import json, threading, urllib.request, kirsch
class Root:
    @kirsch.expose
    def index(self):
        return "x"
seen = []
def look():
    kirsch.engine.wait(kirsch.engine.states.STARTED, timeout=20)
    with urllib.request.urlopen(kirsch.server.urls[0], timeout=20) as answer:
        seen.append(answer.headers["X-Mark"])
    kirsch.engine.exit()
threading.Thread(target=look, daemon=True).start()
kirsch.quickstart(Root(), "", {str(file)!r})
print(json.dumps(seen))
"""
    assert run(code) == ["file"]
    text = log.read_text("utf-8")
    assert "] Serving on http://127.0.0.1:" in text
    assert "Bus STARTING" in text
    assert "Bus EXITED" in text


def test_a_busy_port_ends_the_program_with_an_error(tmp_path: Path) -> None:
    code = """
import json, socket, kirsch
taken = socket.socket()
taken.bind(("127.0.0.1", 0))
taken.listen()
kirsch.config.update({"server.bind": [f"127.0.0.1:{taken.getsockname()[1]}"], "log.screen": False})
try:
    kirsch.engine.start()
except Exception as error:
    found = str(error)
taken.close()
print(json.dumps([found, kirsch.engine.state.name, kirsch.server.urls]))
"""
    found, state, urls = run(code)
    assert "127.0.0.1:" in found
    assert (state, urls) == ("EXITING", [])


def test_configuration_reaches_whom_it_is_for() -> None:
    code = """
import json, kirsch
def app(environ, start_response): return []
kirsch.config.update({
    "engine.autoreload.match": "x.*",
    "engine.autoreload.on": True,
    "engine.SIGHUP": None,
    "engine.graceful": len,
    "engine.nothing": None,
    "tree.main": {"/wsgi": app},
    "tree.app": kirsch.Application(None, "/mounted"),
    "server.threads": 3,
    "log.screen": False,
    "request.show_tracebacks": True,
    "tools.json_out.on": False,
})
def reloading():
    return any("autoreload" in str(one).lower() for one in kirsch.engine.listeners["start"])
on = kirsch.engine.autoreload.match, reloading()
kirsch.config.update({"engine.autoreload.on": False})
off = reloading()
graceful = any(one.callback is len for one in kirsch.engine.listeners["graceful"])
handler = kirsch.engine.signal_handler.handlers["SIGHUP"]
print(json.dumps([on, off, handler, graceful, sorted(kirsch.tree.apps),
    kirsch.server.settings.threads, "nothing" in kirsch.engine.listeners]))
"""
    assert run(code) == [["x.*", True], False, None, True, ["/mounted", "/wsgi"], 3, False]


def test_a_program_that_another_server_serves_leaves_ours_out() -> None:
    code = """
import json, kirsch
kirsch.server.unsubscribe()
kirsch.config.update({"log.screen": False})
kirsch.engine.start()
urls = kirsch.server.urls
kirsch.config.update({"log.screen": True})
kirsch.config.update({"log.screen": False})
kirsch.engine.graceful()
kirsch.engine.exit()
kirsch.server.stop()
print(json.dumps(urls))
"""
    assert run(code) == []


def test_the_server_says_where_it_would_be() -> None:
    code = """
import json, kirsch
first = kirsch.server.base()
kirsch.config.update({"server.tls.certificate": "/x.pem", "server.bind": ["0.0.0.0:8443"]})
print(json.dumps([first, kirsch.server.base()]))
"""
    assert run(code) == ["http://127.0.0.1:8080", "https://0.0.0.0:8443"]


def test_a_variable_of_the_environment_wins_over_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIRSCH_SERVER_THREADS", "7")
    code = """
import json, kirsch
kirsch.config.update({"server.threads": 3, "server.backlog": 9})
print(json.dumps([kirsch.server.settings.threads, kirsch.server.settings.backlog]))
"""

    assert run(code) == [7, 9]
