"""Tools are imported when they are used, once, and are then themselves; and all built-in ones are there."""

from __future__ import annotations

import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from kirsch import tools as default  # the toolbox of the default set
from kirsch.tools import __all__ as offered
from kirsch.tools import install
from kirsch.tools.late import Late
from kirsch.web import ErrorTool, HandlerTool, Tool, Toolbox, expose
from tests.tools.helpers import ask, make

TABLE = {
    "accept": ("on_start_resource", 50),
    "allow": ("on_start_resource", 50),
    "auth_basic": ("before_handler", 1),
    "auth_digest": ("before_handler", 1),
    "autovary": ("on_start_resource", 0),
    "caching": ("before_handler", 90),
    "decode": ("before_request_body", 50),
    "encode": ("before_handler", 70),
    "err_redirect": ("error_response", 50),
    "etags": ("before_finalize", 75),
    "expires": ("before_finalize", 50),
    "flatten": ("before_finalize", 50),
    "gzip": ("before_finalize", 80),
    "ignore_headers": ("before_request_body", 50),
    "json_in": ("before_request_body", 30),
    "json_out": ("before_handler", 30),
    "log_headers": ("before_error_response", 50),
    "log_hooks": ("on_end_request", 100),
    "log_tracebacks": ("before_error_response", 50),
    "params": ("before_handler", 15),
    "proxy": ("before_request_body", 30),
    "redirect": ("on_start_resource", 50),
    "referer": ("before_request_body", 50),
    "response_headers": ("on_start_resource", 50),
    "staticdir": ("before_handler", 50),
    "staticfile": ("before_handler", 50),
    "trailing_slash": ("before_handler", 60),
}
"""Points and priorities, which programs written for CherryPy rely on."""


@pytest.fixture
def box() -> Toolbox:
    toolbox = Toolbox("tools")
    install(toolbox)
    return toolbox


def test_every_tool_runs_where_and_when_its_ancestor_did(box: Toolbox) -> None:
    assert set(TABLE) <= set(box)
    assert {name: (getattr(box, name).point, getattr(box, name).priority) for name in TABLE} == TABLE


@pytest.mark.parametrize("name", TABLE)
def test_every_tool_is_documented_and_knows_its_name(box: Toolbox, name: str) -> None:
    tool = getattr(box, name)
    assert tool.__doc__
    assert tool.name == name
    assert tool.namespace == "tools"


def test_what_is_offered_is_there() -> None:
    room = sys.modules["kirsch.tools"]
    assert all(getattr(room, name) is not None for name in offered)
    with pytest.raises(AttributeError, match="has no attribute 'serve_flie'"):
        _ = room.serve_flie
    assert default.gzip.name == "gzip"


def test_setting_up_imports_no_tool_and_using_one_imports_that() -> None:
    program = (
        "import sys; from kirsch.tools import install; from kirsch.web import Toolbox\n"
        "box = Toolbox('tools'); install(box)\n"
        "heavy = {'kirsch.tools.' + name for name in ('static', 'caching', 'gzip', 'proxy', 'auth_digest')}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "box.gzip(min_size=5)\n"
        "assert heavy & set(sys.modules) == {'kirsch.tools.gzip'}\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_it_is_replaced_by_the_tool_and_goes_on_standing_for_it(box: Toolbox) -> None:
    late = box.expires
    assert type(late) is Late
    assert repr(late) == "<Tool tools.expires at before_finalize>"
    assert type(box.expires) is Tool
    assert late.real() is box.expires
    late.priority = 7
    assert box.expires.priority == 7
    assert type(box.staticdir.handler(dir="/x")).__name__ == "_ToolPage"
    assert isinstance(box.staticdir, HandlerTool)
    assert box.err_redirect.arguments() == ("url", "internal")
    assert isinstance(box.err_redirect, ErrorTool)


def test_its_switch_is_no_attribute_either(box: Toolbox) -> None:
    with pytest.raises(AttributeError, match=r"tools\.gzip\.on"):
        box.gzip.on = True
    with pytest.raises(TypeError, match="keyword arguments only"):
        Late(box, "gzip", "kirsch.tools.gzip", lambda room: Tool("before_finalize", room.gzip))(print)


def test_a_tool_that_took_its_place_stays(box: Toolbox) -> None:
    late = box.expires
    own = box.expires = Tool("before_finalize", lambda: None)
    assert late.real() is not own
    assert box.expires is own


def test_of_several_threads_all_get_the_same_tool(box: Toolbox) -> None:
    inside = threading.Barrier(2, timeout=10)
    made: list[Tool] = []

    def make_slowly(room: Any) -> Tool:
        made.append(Tool("before_handler", lambda: None))
        return made[-1]

    late = Late(box, "slow", "kirsch.tools.late", make_slowly)
    found: list[Tool] = []

    def use() -> None:
        inside.wait()
        found.append(late.real())

    threads = [threading.Thread(target=use) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == [made[0], made[0]]
    assert len(made) == 1
    assert "slow" not in vars(box)


def test_switched_on_it_attaches_with_its_arguments() -> None:
    class Root:
        @expose
        def index(self) -> str:
            return "page"

    app = make(Root(), expires__on=True, expires__force=True)
    assert ask(app).header("Pragma") == "no-cache"
    assert ask(make(Root(), expires__on=True, expires__sec=1)).code == 500
    building = SimpleNamespace(hooks=SimpleNamespace(add=lambda point, hook: points.append(point)))
    points: list[str] = []
    box = Toolbox("tools")
    install(box)
    box.expires.attach(building, {"secs": 5})
    assert points == ["before_finalize"]
