"""What a program sees of a request."""

from __future__ import annotations

from typing import Any

import pytest

from kirsch.http.exchange import Exchange, RequestHead
from kirsch.web import Application, Host, PageHandler, Path, Request, expose
from tests.web.helpers import FakeLink, app_of, ask, make_exchange


def make(
    target: str = "/", method: str = "GET", fields: dict[str, str] | None = None, **more: Any
) -> Request:
    return Request(
        app_of(None), make_exchange(target, method, fields, **more), Path("/app", target.partition("?")[0])
    )


def test_the_request_line_and_what_is_in_it() -> None:
    request = make("/a%20b?x=1", "PUT")
    assert request.method == "PUT"
    assert request.path_info == "/a b"
    assert request.script_name == "/app"
    assert request.query_string == "x=1"
    assert request.request_line == "PUT /a%20b?x=1 HTTP/1.1"
    assert (request.protocol, request.server_protocol) == ((1, 1), "HTTP/1.1")
    assert make("/", minor=0).protocol == (1, 0)
    assert request.head is request.exchange.head
    assert repr(request) == "<Request PUT /app/a b>"


def test_both_ends_of_the_connection() -> None:
    request = make()
    assert request.remote == Host("192.0.2.7", 51234, "192.0.2.7")
    assert request.local == Host("127.0.0.1", 8080, "127.0.0.1")
    assert (request.scheme, request.base) == ("http", "http://example.test")


@pytest.mark.parametrize(("port", "base"), [(80, "http://127.0.0.1"), (8080, "http://127.0.0.1:8080")])
def test_without_host_the_base_is_our_own_address(port: int, base: str) -> None:
    request = make(host="")
    link = FakeLink()
    link.local = ("127.0.0.1", port)
    request.exchange.link = link
    assert request.base == base


def test_headers_and_cookies() -> None:
    request = make(fields={"X-A": "1", "Cookie": "a=1; b=2"})
    assert (request.headers["x-a"], request.cookies) == ("1", {"a": "1", "b": "2"})
    assert request.header_list[0] == ("Host", "example.test")
    assert make().cookies == {}


def test_changing_headers_changes_nothing_for_the_next_request_with_the_same_head() -> None:
    exchange = make_exchange("/", fields={"X-A": "1"})
    app = app_of(None)
    first = Request(app, exchange, Path("", "/"))
    first.headers["X-A"] = "2"
    second = Request(app, Exchange(exchange.head, None, 0, exchange.link), Path("", "/"))
    assert second.headers["X-A"] == "1"


@pytest.mark.parametrize(
    ("query", "params"),
    [("", {}), ("a=1", {"a": "1"}), ("a=1&a=2&b", {"a": ["1", "2"], "b": ""}), ("a=%C3%A9+x", {"a": "é x"})],
)
def test_parameters_of_the_query(query: str, params: dict[str, Any]) -> None:
    request = make(f"/?{query}")
    assert request.params == params
    request.params["more"] = "x"
    assert "more" not in request.query_params


def test_the_body_is_there_when_it_is_asked_for() -> None:
    request = make("/", "POST", body=b"one\ntwo")
    assert request.body is request.body
    assert request.rfile.read() == b"one\ntwo"
    assert make().body.read() == b""


def test_each_request_has_an_id_of_its_own() -> None:
    request = make()
    assert request.unique_id == request.unique_id
    assert request.unique_id != make().unique_id


def test_before_dispatch_there_is_nothing_to_be_configured() -> None:
    request = make()
    assert (request.config, request.error_page, dict(request.hooks)) == ({}, {}, {})
    assert request.response.headers["Content-Type"] == "text/html; charset=utf-8"


def test_configuration_is_a_copy_of_ones_own() -> None:
    seen: list[Request] = []

    class Root:
        @expose
        def index(self, **params: str) -> str:
            from kirsch.web import current

            request = current()
            assert request is not None
            request.config["mine"] = 1
            request.error_page["404"] = "x"
            seen.append(request)
            return str(request.config.get("a.b"))

    app = app_of(Root(), {"/": {"a.b": 5}})
    assert ask(app, "/").text == "5"
    assert "mine" not in seen[0].plan.config
    assert "404" not in seen[0].plan.error_pages


def test_settings_of_the_body_come_from_configuration() -> None:
    class Root:
        @expose
        def index(self, **params: str) -> str:
            return "read"

    app = app_of(Root(), {"/": {"request.body.max_fields": 2}})
    fields = {"Content-Type": "application/x-www-form-urlencoded"}
    assert ask(app, "/", "POST", fields, b"a=1&b=2").code == 200
    assert ask(app, "/", "POST", fields, b"a=1&b=2&c=3").code == 413


def test_the_handler_can_be_looked_at_and_called() -> None:
    seen: list[Any] = []

    class Root:
        @expose
        def page(self, *args: str, **kwargs: str) -> str:
            return f"{args} {kwargs}"

    def look(request: Request, /) -> None:
        handler = request.handler
        assert isinstance(handler, PageHandler)
        seen.append((handler.callable.__name__, tuple(handler.args), handler.kwargs))

    answer = ask(app_of(Root(), {"/": {"hooks.before_handler": look}}), "/page/x?a=1")
    assert seen == [("page", ("x",), {"a": "1"})]
    assert answer.text == "('x',) {'a': '1'}"


def test_programs_may_keep_what_they_like_on_a_request() -> None:
    request = make()
    request.user = "me"  # type: ignore[attr-defined]
    assert request.user == "me"  # type: ignore[attr-defined]


def test_a_class_of_ones_own_can_answer() -> None:
    class Own(Request):
        namespaces = {"own": lambda key, value: told.append((key, value))}  # noqa: RUF012  as a program writes

    class OwnApplication(Application):
        request_class = Own

    told: list[Any] = []

    class Root:
        @expose
        def index(self) -> str:
            return "own"

    app = OwnApplication(Root(), "", {"/": {"own.x": 1}})
    assert ask(app, "/").text == "own"
    assert told == [("x", 1)]


def test_closing_twice_is_closing_once() -> None:
    calls: list[int] = []
    request = make()
    request.hooks.attach("on_end_request", lambda: calls.append(1))
    request.close()
    request.close()
    assert (calls, request.stage) == ([1], "on_end_request")


def test_a_head_may_be_shared_by_threads() -> None:
    head = RequestHead("GET", "/", "/", "", 1, (("X-A", "1"),))
    app = app_of(None)
    requests = [Request(app, Exchange(head, None, 0, FakeLink()), Path("", "/")) for _ in range(2)]
    assert requests[0].headers is not requests[1].headers
    assert requests[0].headers == requests[1].headers
