"""An application: its configuration, its plans, internal redirects, and what it tells the bus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kirsch.bus import Channels
from kirsch.config import ConfigError
from kirsch.web import Application, InternalRedirect, Site, current, expose
from tests.web.helpers import app_of, ask, make_exchange, make_site

if TYPE_CHECKING:
    from pathlib import Path


class Root:
    @expose
    def index(self) -> str:
        return "index"

    @expose
    def page(self, *args: str) -> str:
        return "page"


# --- configuration ---


def test_it_can_be_made_with_nothing() -> None:
    app = Application()
    assert (app.root, app.script_name, dict(app.config)) == (None, "", {})
    assert repr(app) == "<Application NoneType at '/'>"
    assert ask(app, "/").code == 404


def test_configuration_is_merged_over_what_there_is(tmp_path: Path) -> None:
    app = app_of(Root(), {"/": {"a.b": 1, "c.d": 2}, "data": {"x": 3}})
    file = tmp_path / "app.conf"
    file.write_text(
        '[global]\nignored = 1\n[/]\na.b = 5\n[/page]\n response.headers.X-Mark = "file"\n', "utf-8"
    )
    app.merge(str(file))
    assert {name: dict(section) for name, section in app.config.items()} == {
        "/": {"a.b": 5, "c.d": 2},
        "data": {"x": 3},
        "/page": {"response.headers.X-Mark": "file"},
    }
    assert ask(app, "/page").header("X-Mark") == "file"


def test_keys_outside_of_sections_are_refused_with_what_to_write() -> None:
    with pytest.raises(ConfigError, match=r"Write \{'/': \{'tools.x.on': \.\.\.\}\}"):
        app_of(Root(), {"tools.x.on": True})
    app_of(Root(), {"global": {"a.b": 1}, "/": {}})


def test_a_value_is_found_upwards() -> None:
    app = app_of(Root(), {"/": {"a.b": 1}, "/x": {"a.b": 2}}, c__d=3)
    assert [app.find_config(path, "a.b") for path in ("/", "/x", "/x/y", "/xy")] == [1, 2, 2, 1]
    assert (app.find_config("/", "c.d"), app.find_config("/", "e.f", 4)) == (3, 4)


@pytest.mark.parametrize(
    "change",
    [
        lambda app: app.merge({"/": {"response.headers.X-Mark": "2"}}),
        lambda app: app.config["/"].update({"response.headers.X-Mark": "2"}),
        lambda app: app.config.__setitem__("/", {"response.headers.X-Mark": "2"}),
        lambda app: setattr(app, "config", {"/": {"response.headers.X-Mark": "2"}}),
        lambda app: app.config.pop("/") and app.site.config.update({"response.headers.X-Mark": "2"}),
    ],
)
def test_every_change_of_configuration_holds_from_the_next_request_on(change: Any) -> None:
    app = app_of(Root(), {"/": {"response.headers.X-Mark": "1"}})
    assert ask(app, "/").header("X-Mark") == "1"
    change(app)
    assert ask(app, "/").header("X-Mark") == "2"


def test_plans_are_made_once_and_their_number_is_bounded() -> None:
    app = app_of(Root())
    for number in range(50):
        ask(app, f"/page/{number}")
        ask(app, f"/nowhere/{number}")
    assert len(app._plans) == 2

    class Inventing:
        def __getattr__(self, name: str) -> Any:
            if name.startswith("_") or name in {"default", "exposed", "index"}:
                raise AttributeError(name)
            return expose(lambda: name)

    app = app_of(Inventing())
    app.renew()
    app._seen = app.site.config.generation
    app._plans.__init__(5)  # type: ignore[misc]
    for number in range(50):
        assert ask(app, f"/x{number}").text == f"x{number}"
    assert len(app._plans) <= 10


def test_the_pace_of_the_plan_is_that_of_the_exchange() -> None:
    app = app_of(Root())
    first, second, other = (ask(app, path).exchange.pace for path in ("/page/1", "/page/2", "/"))
    assert first is second
    assert first is not other
    assert ask(app, "/page/1", "POST").exchange.pace is not first


def test_a_dispatcher_can_be_configured_for_a_path() -> None:
    class Fixed:
        def __init__(self, app: Application) -> None:
            self.app = app

        def find(self, request: Any, sections: Any) -> Any:
            return self.app.dispatcher.find(request, sections)._replace(
                handler=lambda: "fixed", args=(), trace=None
            )

    app = app_of(Root())
    app.config["/page"] = {"request.dispatch": Fixed(app)}
    assert [ask(app, path).text for path in ("/", "/page", "/page/x", "/")] == [
        "index",
        "fixed",
        "fixed",
        "index",
    ]


def test_a_dispatcher_that_raises_an_error_answers_with_it() -> None:
    class Refusing:
        def _cp_dispatch(self, vpath: list[str]) -> Any:
            from kirsch.web import HTTPError

            raise HTTPError(410, "gone")

    answer = ask(app_of(Refusing()), "/x")
    assert (answer.code, "gone" in answer.text) == (410, True)


def test_applications_below_a_path_log_under_its_name() -> None:
    site = make_site()
    assert Application(None, "", site=site).log is site.log
    assert Application(None, "/a/b", site=site).log.error_log.name == "kirsch.error.a.b"


# --- internal redirects ---


class Redirecting:
    @expose
    def index(self, **params: str) -> str:
        request = current()
        assert request is not None
        previous = request.prev
        return f"{request.method} {sorted(params.items())} {request.headers.get('Content-Type')} {previous}"

    @expose
    def go(self, to: str = "/", query: str = "") -> str:
        raise InternalRedirect(to, query)

    @expose
    def loop(self) -> str:
        raise InternalRedirect("/loop2")

    @expose
    def loop2(self) -> str:
        raise InternalRedirect("/loop")

    @expose
    def count(self, n: str = "0") -> str:
        if int(n) == 5:
            return "counted"
        raise InternalRedirect("count", f"n={int(n) + 1}")


def test_another_resource_answers_with_get_and_without_the_body() -> None:
    fields = {"Content-Type": "application/x-www-form-urlencoded", "X-A": "1"}
    answer = ask(app_of(Redirecting()), "/go", "POST", fields, b"to=/%3Fa=1")
    assert answer.text == "GET [('a', '1')] None <Request POST /go>"


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("/go?to=/&query=x%3D2", "GET [('x', '2')] None <Request GET /go>"),
        ("/go?to=./", "GET [] None <Request GET /go>"),
        ("/count", "counted"),
    ],
)
def test_paths_are_relative_to_that_of_the_request(target: str, text: str) -> None:
    assert ask(app_of(Redirecting()), target).text == text


def test_a_path_below_an_application_stays_below() -> None:
    app = Application(Redirecting(), "/app", site=make_site())
    assert ask(app, "/app/go").text == "GET [] None <Request GET /app/go>"
    assert ask(app, "/app/go?to=/nowhere").code == 404


def test_a_loop_is_the_programs_mistake(caplog: pytest.LogCaptureFixture) -> None:
    assert ask(app_of(Redirecting()), "/loop").code == 500
    assert "InternalRedirect came back to /loop" in caplog.text


def test_every_request_of_a_redirect_is_ended() -> None:
    ended: list[str] = []

    def end(request: Any, /) -> None:
        ended.append(request.path_info)

    app = app_of(Redirecting(), {"/": {"hooks.on_end_request": end}})
    ask(app, "/count?n=3")
    assert ended == ["/count", "/count", "/count"]
    ended.clear()
    ask(app, "/go")
    assert ended == ["/go", "/"]


# --- the bus ---


def test_the_bus_is_told_where_somebody_listens() -> None:
    told: list[Any] = []
    bus = Channels()
    app = Application(Root(), site=Site(bus=bus))
    assert ask(app, "/").exchange.after is None
    bus.subscribe("before_request", lambda: told.append(("before", current() is not None)))
    ask(app, "/")
    assert told == [("before", True)]
    bus.subscribe("after_request", lambda: told.append(("after", current() is not None)))
    ask(app, "/nowhere")
    assert told == [("before", True)] * 2 + [("after", True)]


def test_a_request_is_over_when_its_answer_is() -> None:
    app = app_of(Root(), {"/": {"hooks.on_end_request": lambda: None}})
    from kirsch.web import Path

    request = app.respond(make_exchange("/"), Path("", "/"))
    assert not request.closed
    assert request.exchange.after is not None
    request.exchange.after()
    assert request.closed
