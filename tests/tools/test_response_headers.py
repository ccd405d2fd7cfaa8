"""Fields on every response of a resource."""

from __future__ import annotations

from typing import Any

import pytest

from kirsch.http import HeaderError
from kirsch.tools import install
from kirsch.tools.response_headers import response_headers
from kirsch.web import Application, current, expose
from tests.web.helpers import ask, make_site


class Root:
    @expose
    def index(self) -> str:
        return "index"

    @expose
    def own(self) -> str:
        current().response.headers["X-A"] = "own"  # type: ignore[union-attr]
        return ""

    @expose
    def crash(self) -> str:
        raise ZeroDivisionError

    @expose
    def library(self) -> str:
        request = current()
        assert request is not None
        response_headers(request, [("X-A", "called")])
        return ""


def make(headers: Any, **more: Any) -> Application:
    site = make_site()
    install(site.toolboxes["tools"])
    config = {"tools.response_headers.on": True, "tools.response_headers.headers": headers, **more}
    return Application(Root(), "", {"/": config}, site=site)


@pytest.mark.parametrize(("target", "code"), [("/", 200), ("/crash", 500), ("/nowhere/x", 404)])
def test_every_response_has_them(target: str, code: int) -> None:
    answer = ask(make([("X-A", "1"), ("Content-Type", "text/plain; charset=utf-8")]), target)
    assert (answer.code, answer.header("X-A")) == (code, "1")
    assert (answer.header("Content-Type") == "text/plain; charset=utf-8") == (code == 200)


def test_a_name_that_comes_twice_gives_two_lines() -> None:
    fields = ask(make([("X-A", "1"), ("X-A", "2")]), "/").fields
    assert [value for name, value in fields if name == "X-A"] == ["1", "2"]


def test_what_a_handler_sets_stays() -> None:
    assert ask(make([("X-A", "1")]), "/own").header("X-A") == "own"


def test_it_costs_no_hook() -> None:
    app = make([("X-A", "1")], **{"tools.response_headers.priority": 10})
    ask(app, "/")
    assert next(iter(app._plans._young.values())).plain


def test_it_can_be_called() -> None:
    assert ask(make([]), "/library").header("X-A") == "called"


@pytest.mark.parametrize("headers", [[("X-A", "1\r\nX-B: 2")], [("X A", "1")], [("X-A", "€")]])
def test_what_could_split_the_message_is_refused(headers: Any, caplog: pytest.LogCaptureFixture) -> None:
    answer = ask(make(headers), "/")
    assert (answer.code, answer.header("X-B")) == (500, None)
    assert HeaderError.__name__ in caplog.text


def test_an_argument_it_does_not_have_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    assert ask(make([], **{"tools.response_headers.header": 1}), "/").code == 500
    assert "did you mean headers?" in caplog.text
