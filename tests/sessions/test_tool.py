from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import kirsch
from kirsch.http.cookies import CookieError
from kirsch.sessions.errors import NoSessionError
from kirsch.sessions.file import FileStore
from kirsch.sessions.memory import MemoryStore
from kirsch.sessions.tool import SessionTool, install, sessions
from kirsch.web import Building, HTTPError, Path, Request, Toolbox
from tests.sessions.helpers import Browser, Pages, gateway_of
from tests.web.helpers import app_of, make_exchange

if TYPE_CHECKING:
    from pathlib import Path as File

    from kirsch.sessions.store import Store


class Mine(MemoryStore):
    """A store of a program, with a setting of its own."""

    def __init__(self, *, colour: str = "red", **settings: Any) -> None:
        super().__init__(**settings)
        self.colour = colour


def store_of(**settings: Any) -> Store:
    return SessionTool().policy(settings).store


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, MemoryStore),
        ({"storage_class": "memory"}, MemoryStore),
        ({"storage_type": "ram"}, MemoryStore),
        ({"storage_class": "Memory", "serializer": "msgpack"}, MemoryStore),
        ({"storage_class": MemoryStore}, MemoryStore),
        ({"storage_class": Mine, "colour": "blue"}, Mine),
        ({"storage_class": "tests.sessions.test_tool.Mine", "colour": "blue"}, object),
    ],
)
def test_a_store_is_named_or_given(settings: dict[str, Any], kind: type) -> None:
    store = store_of(**settings)
    assert isinstance(store, kind)
    assert getattr(store, "colour", "blue") == "blue"


def test_a_store_that_was_made_is_used_as_it_is() -> None:
    mine = MemoryStore()
    assert store_of(storage_class=mine) is mine
    with pytest.raises(TypeError, match="has no argument 'serializer'"):
        store_of(storage_class=mine, serializer="msgpack")


def test_settings_of_a_store_are_passed_on(tmp_path: File) -> None:
    store = store_of(storage_class="file", storage_path=tmp_path / "s")
    assert isinstance(store, FileStore)
    assert store.folder == (tmp_path / "s").resolve()


def test_resources_that_are_configured_alike_share_a_store(tmp_path: File) -> None:
    tool = SessionTool()
    one = tool.policy({"timeout": 5}).store
    assert tool.policy({"timeout": 6}).store is one
    assert tool.policy({"serializer": "msgpack"}).store is not one
    first = tool.policy({"storage_class": "file", "storage_path": str(tmp_path / "a")}).store
    assert tool.policy({"storage_type": "file", "storage_path": str(tmp_path / "a")}).store is first
    assert tool.policy({"storage_type": "file", "storage_path": str(tmp_path / "b")}).store is not first

    def clock() -> float:
        return 1.0

    own = tool.policy({"clock": clock}).store
    assert tool.policy({"clock": clock}).store is own
    assert own is not one
    assert SessionTool().policy({}).store is not one


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        (
            {"timout": 5},
            TypeError,
            "the tool None with a MemoryStore has no argument 'timout'; did you mean timeout",
        ),
        ({"zzz": 5}, TypeError, "has no argument 'zzz'; it has domain, host_prefix, httponly, name"),
        ({"storage_path": "x"}, TypeError, "with a MemoryStore has no argument 'storage_path'"),
        ({"storage_class": "redsi"}, ValueError, "'redsi' is no store; did you mean 'redis'"),
        ({"storage_class": "qqqqqqqq"}, ValueError, "is no store; there are memory, ram, file, redis"),
        ({"storage_class": "builtins.dict"}, TypeError, "no subclass of kirsch.sessions.Store"),
        ({"locking": "never"}, ValueError, "is no way of locking"),
        ({"same_site": "lux"}, ValueError, "same_site"),
        ({"name": "a b"}, CookieError, "the name"),
        ({"signing_keys": "short"}, ValueError, "has 5 bytes and needs 32"),
    ],
)
def test_what_makes_no_sense_is_refused_when_a_plan_is_made(
    settings: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        SessionTool().policy(settings)


def test_it_stands_in_the_toolbox_of_every_program() -> None:
    assert isinstance(kirsch.tools.sessions, SessionTool)
    box = Toolbox("tools")
    install(box)
    assert box.sessions.name == "sessions"
    assert "timeout" in box.sessions.arguments()


def test_it_attaches_where_it_is_told() -> None:
    building = Building({}, slash=True)
    SessionTool().attach(building, {"priority": 33, "locking": "early"})
    hooks = {point: [hook.priority for hook in hooks] for point, hooks in building.hooks.items()}
    assert hooks == {"before_request_body": [33, 60], "before_finalize": [90], "on_end_resource": [90]}


def test_it_is_a_decorator() -> None:
    class Root:
        @kirsch.tools.sessions(timeout=5)  # type: ignore[untyped-decorator]
        @kirsch.expose
        def index(self) -> str:
            kirsch.session["x"] = 1
            return "x"

        @kirsch.expose
        def off(self) -> str:
            return str(bool(kirsch.session))

    browser = Browser(gateway_of(Root(), {"tools.sessions.on": False}))
    browser.ask()
    assert "Max-Age=300" in browser.attributes
    assert browser.text("/off") == "False"


def test_it_regenerates_the_session_of_the_request() -> None:
    def index() -> str:
        kirsch.session["x"] = 1
        return "x"

    def login() -> str:
        kirsch.tools.sessions.regenerate()
        return str(kirsch.session["x"])

    browser = Browser(gateway_of(Pages(index=index, login=login)))
    browser.ask()
    old = browser.id
    assert browser.text("/login") == "1"
    assert browser.id != old
    with pytest.raises(NoSessionError, match=r"there is no session to regenerate; .*tools\.sessions\.on"):
        kirsch.tools.sessions.regenerate()


def test_it_may_be_called_as_a_function() -> None:
    request = Request(app_of(None), make_exchange(), Path("", "/"))
    tool = SessionTool()
    assert tool.callable is sessions
    sessions(request, tool.policy({}))
    assert request.session.originalid is None  # type: ignore[attr-defined]


def test_its_stores_are_closed_with_the_program() -> None:
    closed: list[str] = []

    class Closing(MemoryStore):
        def close(self) -> None:
            closed.append("closed")

    tool = SessionTool()
    tool.policy({"storage_class": Closing})
    tool.close()
    assert closed == ["closed"]
    listeners = [listener.callback for listener in kirsch.engine.listeners["exit"]]
    assert kirsch.tools.sessions.close in listeners


def test_a_store_that_is_away_is_a_503() -> None:
    class Away(MemoryStore):
        def load(self, session_id: str) -> Any:
            raise HTTPError(503)

    def index() -> str:
        return str(kirsch.session.get("x"))

    gateway = gateway_of(Pages(index=index), storage_class=Away())
    assert Browser(gateway, session_id="x" * 43).ask().code == 503
