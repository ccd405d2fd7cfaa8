"""The order of everything, for success and for each kind of failure."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from kirsch.web import HTTPError, HTTPRedirect, InternalRedirect, NotFound, Tool, current, expose
from kirsch.web.context import response
from kirsch.web.hooks import POINTS
from tests.web.helpers import app_of, ask, make_exchange

if TYPE_CHECKING:
    from kirsch.web import Request
    from kirsch.web.plan import Building

RAISED = {
    "http": HTTPError(409, "taken"),
    "missing": NotFound(),
    "redirect": HTTPRedirect("/elsewhere"),
    "unexpected": ZeroDivisionError("secret"),
}


class Root:
    def __init__(self, seen: list[str]) -> None:
        self.seen = seen

    @expose
    def index(self, **params: str) -> str:
        self.seen.append("handler")
        return "fine"

    @expose
    def fail(self, how: str) -> str:
        self.seen.append("handler")
        raise RAISED[how]


def recording(seen: list[str], **failing: str) -> dict[str, Any]:
    """Return configuration with a hook at every point; those in `failing` raise."""

    def hook(point: str) -> Any:
        def run(request: Any, /) -> None:
            seen.append(point)
            if point in failing:
                raise RAISED[failing[point]]

        return run

    return {f"hooks.{point}": hook(point) for point in POINTS}


ORDERLY = [
    "on_start_resource",
    "before_request_body",
    "before_handler",
    "handler",
    "before_finalize",
    "on_end_resource",
    "on_end_request",
]


@pytest.mark.parametrize(
    ("target", "code", "order"),
    [
        ("/", 200, ORDERLY),
        ("/fail/http", 409, ORDERLY),
        ("/fail/missing", 404, ORDERLY),
        ("/fail/redirect", 303, ORDERLY),
        ("/nowhere/at/all", 404, [point for point in ORDERLY if point != "handler"]),
        (
            "/fail/unexpected",
            500,
            [
                *ORDERLY[:4],
                "on_end_resource",
                "before_error_response",
                "after_error_response",
                "on_end_request",
            ],
        ),
    ],
)
def test_hooks_run_in_the_order_of_the_book(target: str, code: int, order: list[str]) -> None:
    seen: list[str] = []
    answer = ask(app_of(Root(seen), {"/": recording(seen)}), target)
    assert (answer.code, seen) == (code, order)


@pytest.mark.parametrize(
    ("failing", "code", "order"),
    [
        (
            {"on_start_resource": "http"},
            409,
            ["on_start_resource", "before_finalize", "on_end_resource", "on_end_request"],
        ),
        (
            {"before_handler": "redirect"},
            303,
            [*ORDERLY[:3], *ORDERLY[4:]],
        ),
        (
            {"before_finalize": "http"},
            409,
            [*ORDERLY[:5], "before_finalize", *ORDERLY[5:]],
        ),
        (
            {"on_end_resource": "unexpected"},
            500,
            [*ORDERLY[:6], "before_error_response", "after_error_response", "on_end_request"],
        ),
        (
            {"before_handler": "unexpected", "before_error_response": "redirect"},
            303,
            [*ORDERLY[:3], "on_end_resource", "before_error_response", "on_end_request"],
        ),
        (
            {"before_handler": "unexpected", "before_error_response": "http"},
            409,
            [*ORDERLY[:3], "on_end_resource", "before_error_response", "on_end_request"],
        ),
        (
            {"before_handler": "unexpected", "after_error_response": "unexpected"},
            500,
            [
                *ORDERLY[:3],
                "on_end_resource",
                "before_error_response",
                "after_error_response",
                "on_end_request",
            ],
        ),
        ({"on_end_request": "unexpected"}, 200, ORDERLY),
    ],
)
def test_a_hook_that_fails_becomes_the_answer(
    failing: dict[str, str], code: int, order: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []
    answer = ask(app_of(Root(seen), {"/": recording(seen, **failing)}), "/")
    assert (answer.code, seen) == (code, order)


def test_the_stage_names_where_the_request_is() -> None:
    stages: list[Any] = []

    def note(request: Any, /) -> None:
        stages.append(request.stage)

    class Staged:
        @expose
        def index(self) -> str:
            stages.append(current().stage)  # type: ignore[union-attr]
            return ""

    ask(app_of(Staged(), {"/": {f"hooks.{point}": note for point in POINTS}}), "/")
    assert stages == ORDERLY


@pytest.mark.parametrize("config", [{}, {"hooks.on_end_resource": lambda: None}])
def test_an_unexpected_error_is_logged_under_the_id_the_client_sees(
    config: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    answer = ask(app_of(Root([]), {"/": config}), "/fail/unexpected")
    (record,) = caplog.records
    message = record.getMessage()
    assert record.levelno == logging.ERROR
    assert "ZeroDivisionError: secret" in message
    assert "GET /fail/unexpected failed at handler" in message
    reference = answer.text.partition("Reference: ")[2].partition("<")[0]
    assert len(reference) == 36
    assert reference in message
    assert "secret" not in answer.text
    assert "ZeroDivisionError" not in answer.text


@pytest.mark.parametrize("throws", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_goes_out(throws: type[BaseException]) -> None:
    class Ending:
        @expose
        def index(self) -> str:
            raise throws

    with pytest.raises(throws):
        ask(app_of(Ending()), "/")


def test_errors_go_out_when_they_are_asked_to() -> None:
    with pytest.raises(ZeroDivisionError):
        ask(app_of(Root([]), request__throw_errors=True), "/fail/unexpected")


def test_exceptions_in_throws_go_out() -> None:
    with pytest.raises(ZeroDivisionError):
        ask(app_of(Root([]), request__throws=(ZeroDivisionError,)), "/fail/unexpected")


@pytest.mark.parametrize(
    ("method", "code"), [("TRACE", 405), ("CONNECT", 405), ("BREW", 501), ("PROPFIND", 200), ("HEAD", 200)]
)
def test_methods_nobody_serves_are_refused(method: str, code: int) -> None:
    answer = ask(app_of(Root([])), "/", method)
    assert answer.code == code
    assert (answer.header("Allow") is None) == (code == 200)


def test_a_method_cannot_be_overridden_by_a_field_or_parameter() -> None:
    class Telling:
        @expose
        def index(self, **params: str) -> str:
            return current().method  # type: ignore[union-attr]

    fields = {"X-HTTP-Method-Override": "DELETE"}
    assert ask(app_of(Telling()), "/?_method=DELETE", "GET", fields).text == "GET"


def test_a_hook_can_take_the_handlers_place() -> None:
    def replace(request: Any, /) -> None:
        request.handler = lambda: "replaced"

    assert ask(app_of(Root([]), {"/": {"hooks.before_handler": replace}}), "/").text == "replaced"


def test_a_hook_can_wrap_the_handler() -> None:
    def wrap(request: Any, /) -> None:
        inner = request.handler
        request.handler = lambda: inner().upper()

    assert ask(app_of(Root([]), {"/": {"hooks.before_handler": wrap}}), "/").text == "FINE"


def test_a_hook_can_answer_itself() -> None:
    def answer(request: Any, /) -> None:
        request.response.body = "mine"
        request.handler = None

    seen: list[str] = []
    assert ask(app_of(Root(seen), {"/": {"hooks.before_handler": answer}}), "/").text == "mine"
    assert seen == []


def test_a_hook_may_change_the_parameters_up_to_the_call() -> None:
    class Telling:
        @expose
        def index(self, name: str = "nobody") -> str:
            return name

    def change(request: Any, /) -> None:
        request.params["name"] = "changed"

    assert ask(app_of(Telling(), {"/": {"hooks.before_handler": change}}), "/").text == "changed"


@pytest.mark.parametrize("fail", [None, HTTPError(409), ZeroDivisionError()])
def test_a_handler_may_attach_hooks_to_its_own_request(fail: Exception | None) -> None:
    seen: list[str] = []

    class Attaching:
        @expose
        def index(self) -> str:
            request = current()
            assert request is not None
            for point in POINTS:
                request.hooks.attach(point, lambda point=point: seen.append(point))
            if fail is not None:
                raise fail
            return "attached"

    app = app_of(Attaching())
    answer = ask(app, "/")
    if isinstance(fail, ZeroDivisionError):
        assert answer.code == 500
        expected = ["on_end_resource", "before_error_response", "after_error_response", "on_end_request"]
    else:
        expected = ["before_finalize", "on_end_resource", "on_end_request"]
    assert seen == expected
    seen.clear()
    assert not app._plans._young.popitem()[1].hooks


def test_an_error_response_of_the_program_takes_the_pages_place() -> None:
    def respond() -> None:
        request = current()
        assert request is not None
        request.response.status = 503
        request.response.body = "own"

    answer = ask(app_of(Root([]), {"/": {"request.error_response": respond}}), "/fail/unexpected")
    assert (answer.code, answer.text) == (503, "own")


@pytest.mark.parametrize(
    ("second", "code", "text"),
    [
        (HTTPError(503, "busy"), 503, "busy"),
        (HTTPRedirect("/x"), 303, "/x"),
        (RuntimeError("again"), 500, "Reference: "),
    ],
)
def test_an_error_response_that_fails_still_gives_an_answer(
    second: Exception, code: int, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    def respond() -> None:
        raise second

    answer = ask(app_of(Root([]), {"/": {"request.error_response": respond}}), "/fail/unexpected")
    assert (answer.code, text in answer.text) == (code, True)
    assert "again" not in answer.text


def test_an_internal_redirect_from_an_error_response_is_followed() -> None:
    def respond() -> None:
        raise InternalRedirect("/")

    answer = ask(app_of(Root([]), {"/": {"request.error_response": respond}}), "/fail/unexpected")
    assert (answer.code, answer.text) == (200, "fine")


def test_the_last_resort_is_plain(caplog: pytest.LogCaptureFixture) -> None:
    class Bad:
        @expose
        def index(self) -> str:
            raise HTTPError(400, headers={"X-Bad": "a\r\nSet-Cookie: b"})

    assert ask(app_of(Bad()), "/").code == 500

    def respond() -> None:
        raise HTTPError(400, headers={"a b": "c"})

    answer = ask(app_of(Root([]), {"/": {"request.error_response": respond}}), "/fail/unexpected")
    assert answer.fields == [("Content-Type", "text/plain; charset=utf-8")]
    assert answer.body.startswith(b"The server met an unexpected condition")


def test_response_settings_come_from_configuration() -> None:
    answer = ask(app_of(Root([]), {"/": {"response.status": 202, "response.headers.X-Mark": "1"}}), "/")
    assert (answer.status, answer.header("X-Mark"), answer.text) == ("202 Accepted", "1", "fine")


def test_namespaces_of_the_program_are_told_for_each_request() -> None:
    told: list[tuple[str, Any]] = []
    app = app_of(Root([]), {"/": {"mine.one": 1, "mine.two": 2, "other.x": 3}})
    app.site.namespaces["mine"] = lambda key, value: told.append((key, value))
    ask(app, "/")
    ask(app, "/")
    assert told == [("one", 1), ("two", 2)] * 2


def test_the_body_is_not_taken_apart_for_methods_without_one() -> None:
    fields = {"Content-Type": "application/x-www-form-urlencoded"}
    seen: list[str] = []
    assert ask(app_of(Root(seen)), "/", "GET", fields, b"a=1").code == 200
    assert (
        ask(
            app_of(Root(seen), {"/": {"request.process_request_body": False}}), "/", "POST", fields, b"%FF=1"
        ).code
        == 200
    )


def test_parameters_of_query_and_body_come_together() -> None:
    class Telling:
        @expose
        def index(self, **params: Any) -> str:
            return str(sorted(params.items()))

    fields = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = ask(app_of(Telling()), "/?a=1&b=2", "POST", fields, b"b=3&c=4&c=5")
    assert answer.text == "[('a', '1'), ('b', ['2', '3']), ('c', ['4', '5'])]"


@pytest.mark.parametrize(
    ("target", "fields", "body", "code", "text"),
    [
        ("/", None, None, 404, "Missing parameters: a"),
        ("/?a=1&x=2", None, None, 404, "Unexpected query string parameters: x"),
        (
            "/?a=1",
            {"Content-Type": "application/x-www-form-urlencoded"},
            b"x=2",
            400,
            "Unexpected body parameters: x",
        ),
        ("/index/1?a=2", None, None, 404, "Multiple values for parameters: a"),
        (
            "/index/1",
            {"Content-Type": "application/x-www-form-urlencoded"},
            b"a=2",
            400,
            "Multiple values for parameters: a",
        ),
        ("/index/1/2", None, None, 404, "Nothing matches the given URI"),
    ],
)
@pytest.mark.parametrize("explain", [True, False])
@pytest.mark.parametrize("hooked", [True, False])
def test_parameters_that_do_not_fit_are_the_clients_mistake(
    target: str,
    fields: dict[str, str] | None,
    body: bytes | None,
    code: int,
    text: str,
    explain: bool,
    hooked: bool,
) -> None:
    class Wanting:
        @expose
        def index(self, a: str) -> str:
            return a

    config: dict[str, Any] = {"request.show_mismatched_params": explain}
    if hooked:
        config["hooks.on_start_resource"] = lambda: None
    answer = ask(app_of(Wanting(), {"/": config}), target, "POST" if body else "GET", fields, body)
    assert answer.code == code
    assert (text in answer.text) == (explain or "Nothing" in text)


def test_a_type_error_inside_a_handler_is_the_programs_mistake(caplog: pytest.LogCaptureFixture) -> None:
    class Wrong:
        @expose
        def index(self) -> str:
            return self.index(1)  # type: ignore[call-arg]

    assert ask(app_of(Wrong()), "/").code == 500


@pytest.mark.parametrize("target", ["/?" + "a&" * 1000 + "a", "/?%FF=1"])
def test_a_query_that_cannot_be_read_is_refused(target: str) -> None:
    assert ask(app_of(Root([])), target).code == (404 if "FF" in target else 400)


# --- streaming ---


class Streaming:
    _cp_config = {"response.stream": True}  # noqa: RUF012  as a program writes

    def __init__(self) -> None:
        self.closed = 0

    @expose
    def index(self) -> Any:
        try:
            yield "one "
            yield current().path_info.encode()  # type: ignore[union-attr]
        finally:
            assert current() is not None
            self.closed += 1

    @expose
    def text(self) -> str:
        return "whole"

    @expose
    def late(self) -> Any:
        yield b"begun"
        raise HTTPError(404)


def test_a_streamed_body_is_produced_with_its_request_at_hand() -> None:
    root = Streaming()
    exchange = make_exchange("/")
    app = app_of(root)
    from kirsch.web import Gateway, Tree

    tree = Tree(app.site)
    tree.mount(app)
    Gateway(tree)(exchange)
    assert not isinstance(exchange.content, bytes)
    assert current() is None
    assert list(exchange.content) == [b"one ", b"/"]
    assert current() is None
    assert root.closed == 1


def test_a_streamed_body_that_is_given_up_is_closed() -> None:
    root = Streaming()
    exchange = make_exchange("/")
    app = app_of(root)
    from kirsch.web import Gateway, Tree

    tree = Tree(app.site)
    tree.mount(app)
    Gateway(tree)(exchange)
    content: Any = exchange.content
    assert next(content) == b"one "
    content.close()
    content.close()
    assert root.closed == 1


def test_text_is_never_streamed() -> None:
    assert ask(app_of(Streaming()), "/text").exchange.content == b"whole"


def test_an_error_after_the_head_goes_out_to_the_server() -> None:
    with pytest.raises(HTTPError):
        ask(app_of(Streaming()), "/late")


def test_without_streaming_an_error_in_the_body_still_has_its_page() -> None:
    class Generating:
        @expose
        def index(self) -> Any:
            yield "begun"
            raise HTTPError(404, "not here")

    answer = ask(app_of(Generating()), "/")
    assert answer.code == 404
    assert "begun" not in answer.text


def test_a_generator_is_collected_with_its_hooks_to_come() -> None:
    class Generating:
        @expose
        def index(self) -> Any:
            yield "a"
            yield b"b"

    answer = ask(app_of(Generating(), {"/": {"hooks.before_finalize": lambda: None}}), "/")
    assert answer.exchange.content == b"ab"


def test_what_a_tool_sets_up_each_time_is_called_for_each_request() -> None:
    calls: list[int] = []

    class Each:
        def attach(self, building: Any, arguments: dict[str, Any]) -> None:
            building.each_time.append(lambda: calls.append(1))

    app = app_of(Root([]), {"/": {"tools.each.on": True}})
    app.site.toolboxes["tools"].each = Each()
    ask(app, "/")
    ask(app, "/")
    assert calls == [1, 1]


def test_an_error_page_that_breaks_twice_still_gives_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    def breaking(**values: str) -> str:
        current().response.status = 9999  # type: ignore[union-attr]
        return "page"

    answer = ask(app_of(Root([]), {"/": {"error_page.500": breaking}}), "/fail/unexpected")
    assert answer.status == "500 Internal Server Error"
    assert answer.body.startswith(b"The server met an unexpected condition")


def test_a_streamed_body_without_close_is_closed_all_the_same() -> None:
    class Plain:
        _cp_config = {"response.stream": True}  # noqa: RUF012  as a program writes

        @expose
        def index(self) -> Any:
            return iter(["a"])

    assert ask(app_of(Plain()), "/").body == b"a"


# --- finishers: the one place that all answers pass ---


class Finishing(Tool):
    """Adds the status to every answer of a resource."""

    def __init__(self) -> None:
        super().__init__("before_finalize", lambda: None)

    def attach(self, building: Building, arguments: dict[str, Any]) -> None:
        def finish(request: Request) -> None:
            exchange = request.exchange
            exchange.fields = [*exchange.fields, ("X-Finished", exchange.status[:3])]

        building.finishers.append(finish)


class Everything:
    """Pages that end in every way."""

    @expose
    def index(self) -> str:
        return "fine"

    @expose
    def error(self) -> None:
        raise HTTPError(410)

    @expose
    def away(self) -> None:
        raise HTTPRedirect("/")

    @expose
    def unchanged(self) -> None:
        raise HTTPRedirect([], 304)

    @expose
    def inside(self) -> None:
        raise InternalRedirect("/error")

    @expose
    def circle(self) -> None:
        raise InternalRedirect("/circle")

    @expose
    def broken(self) -> None:
        raise RuntimeError("unexpected")

    @expose
    def unsendable(self) -> int:
        return 7

    @expose
    def stream(self) -> Any:
        response.stream = True
        yield "piece"

    def _cp_dispatch(self, segments: list[str]) -> object:
        raise RuntimeError("in dispatch")


def broken_response() -> None:
    raise RuntimeError("in the error response, again and again")


@pytest.mark.parametrize("hooked", [False, True])
@pytest.mark.parametrize(
    ("target", "method", "code"),
    [
        ("/", "GET", 200),
        ("/", "HEAD", 200),
        ("/", "BREW", 501),
        ("/", "TRACE", 405),
        ("/error", "GET", 410),
        ("/away", "GET", 303),
        ("/unchanged", "GET", 304),
        ("/inside", "GET", 410),
        ("/circle", "GET", 500),
        ("/broken", "GET", 500),
        ("/unsendable", "GET", 500),
        ("/stream", "GET", 200),
        ("/missing/below", "GET", 500),
        ("/error/too/many", "GET", 404),
        ("/?%ff=1", "GET", 404),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_every_answer_is_finished_once(target: str, method: str, code: int, hooked: bool) -> None:
    app = app_of(Everything(), {"/": {"tools.finishing.on": True}})
    app.site.toolboxes["tools"].finishing = Finishing()
    if hooked:
        app.merge({"/": {"hooks.before_finalize": lambda: None}})
    answer = ask(app, target, method)
    assert (answer.code, [value for name, value in answer.fields if name == "X-Finished"]) == (
        code,
        [str(code)],
    )


@pytest.mark.parametrize(
    "point", ["on_start_resource", "before_handler", "before_finalize", "on_end_resource"]
)
@pytest.mark.parametrize("error", [HTTPError(403), RuntimeError("in a hook")])
def test_answers_to_errors_in_hooks_are_finished(point: str, error: Exception) -> None:
    def fail() -> None:
        raise error

    app = app_of(Everything(), {"/": {"tools.finishing.on": True, f"hooks.{point}": fail}})
    app.site.toolboxes["tools"].finishing = Finishing()
    answer = ask(app)
    assert answer.code in {403, 500}
    assert answer.header("X-Finished") == answer.status[:3]


def test_the_last_resort_is_finished() -> None:
    settings = {"tools.finishing.on": True, "request.error_response": broken_response}
    app = app_of(Everything(), {"/": settings})
    app.site.toolboxes["tools"].finishing = Finishing()
    answer = ask(app, "/broken")
    assert (answer.code, answer.header("X-Finished")) == (500, "500")


def test_a_configuration_that_cannot_be_used_still_gives_an_answer() -> None:
    app = app_of(Everything(), {"/": {"tools.missing.on": True}})
    answer = ask(app)
    assert (answer.code, answer.header("X-Finished")) == (500, None)
