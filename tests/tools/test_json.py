"""JSON bodies in and out."""

from __future__ import annotations

from typing import Any

import pytest

from kirsch.tools import install
from kirsch.web import Application, current, expose
from tests.web.helpers import ask, make_site


class Root:
    @expose
    def read(self) -> str:
        return repr(current().json)  # type: ignore[union-attr]

    @expose
    def write(self, what: str = "") -> Any:
        return {"": {"a": [1, "é", None]}, "set": object(), "text": "x"}[what]


def make(**config: Any) -> Application:
    site = make_site()
    install(site.toolboxes["tools"])
    return Application(
        Root(),
        "",
        {"/": {f"tools.{name.replace('__', '.')}": value for name, value in config.items()}},
        site=site,
    )


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": [1, "\xc3\xa9"]}', {"a": [1, "é"]}),
        (b"5", 5),
        (b"null", None),
        (b' "x" ', "x"),
        (b"1e2", 100.0),
    ],
)
@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8", "text/javascript"])
def test_a_json_body_is_read(data: bytes, value: Any, kind: str) -> None:
    answer = ask(make(json_in__on=True), "/read", "POST", {"Content-Type": kind}, data)
    assert answer.text == repr(value)


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"",
        b"nope",
        b"{'a': 1}",
        b"\xff",
        b'"\xff"',
        b"[1,]",
        b"NaN",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"1" * 5000,
    ],
)
def test_what_is_not_json_is_the_clients_mistake(data: bytes) -> None:
    answer = ask(make(json_in__on=True), "/read", "POST", JSON, data)
    if data.isdigit():
        # A number of any length is JSON; it must only not take long or fail.
        assert answer.code in {200, 400}
    else:
        assert answer.code == 400
        assert "not valid JSON" in answer.text


def test_another_type_is_refused_unless_it_may_be() -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert ask(make(json_in__on=True), "/read", "POST", form, b"a=1").code == 415
    assert ask(make(json_in__on=True), "/read", "POST", {}, b"{}").code == 415
    relaxed = make(json_in__on=True, json_in__force=False)
    assert ask(relaxed, "/read", "POST", form, b"").text == "None"
    assert ask(relaxed, "/read", "POST", JSON, b"[1]").text == "[1]"


def test_without_a_body_there_is_no_value() -> None:
    app = make(json_in__on=True)
    assert ask(app, "/read").text == "None"
    assert ask(app, "/read", "POST").text == "None"
    assert ask(app, "/read", "GET", JSON, b"{}").text == "None"


def test_a_body_beyond_the_limit_is_refused() -> None:
    app = make(json_in__on=True, json_in__limit=5)
    assert ask(app, "/read", "POST", JSON, b"[1,2]").text == "[1, 2]"
    assert ask(app, "/read", "POST", JSON, b"[1, 2]").code == 413


def test_types_and_the_processor_can_be_chosen() -> None:
    def process(body: Any) -> None:
        current().json = body.read()  # type: ignore[union-attr]

    app = make(json_in__on=True, json_in__content_type="application/x-own", json_in__processor=process)
    assert ask(app, "/read", "POST", {"Content-Type": "application/x-own"}, b"raw").text == "b'raw'"
    assert ask(app, "/read", "POST", JSON, b"{}").code == 415


def test_what_the_handler_returns_goes_out_as_json() -> None:
    answer = ask(make(json_out__on=True), "/write")
    assert answer.body == b'{"a":[1,"\xc3\xa9",null]}'
    assert answer.header("Content-Type") == "application/json"


def test_type_and_encoder_can_be_chosen() -> None:
    app = make(json_out__on=True, json_out__content_type="application/x-own", json_out__handler=repr)
    answer = ask(app, "/write?what=text")
    assert (answer.text, answer.header("Content-Type")) == ("'x'", "application/x-own")


def test_what_cannot_be_encoded_is_the_programs_mistake(caplog: pytest.LogCaptureFixture) -> None:
    answer = ask(make(json_out__on=True), "/write?what=set")
    assert answer.code == 500
    assert answer.header("Content-Type") == "text/html; charset=utf-8"
    assert "TypeError" in caplog.text


def test_an_error_is_no_json_unless_the_client_prefers_that() -> None:
    assert ask(make(json_out__on=True), "/nowhere").header("Content-Type") == "text/html; charset=utf-8"
    answer = ask(make(json_out__on=True), "/nowhere", fields={"Accept": "application/json"})
    assert (answer.code, answer.header("Content-Type")) == (404, "application/json")


def test_a_handler_that_was_taken_away_is_left_alone() -> None:
    def take(request: Any, /) -> None:
        request.response.body = "taken"
        request.handler = None

    app = make(json_out__on=True)
    app.config["/"]["hooks.before_handler"] = take
    app.config["/"]["tools.json_out.priority"] = 90
    assert ask(app, "/write").text == "taken"
