"""Tools: decorator, switch, page handler, and the boxes they are in."""

from __future__ import annotations

from typing import Any

import pytest

from kirsch.web import (
    ErrorTool,
    HandlerTool,
    HandlerWrapperTool,
    NotFound,
    Tool,
    Toolbox,
    configure,
    current,
    expose,
)
from tests.web.helpers import app_of, ask


def mark(request: Any, /, text: str = "on", again: str = "") -> None:
    """Mark the response."""
    request.response.headers["X-Mark"] = text + again


class Root:
    @expose
    def index(self, **params: str) -> str:
        return "index"

    @expose
    def crash(self) -> str:
        raise ZeroDivisionError


def app_with(config: dict[str, Any], **tools: Any) -> Any:
    app = app_of(Root(), {"/": config})
    for name, tool in tools.items():
        setattr(app.site.toolboxes["tools"], name, tool)
    return app


def test_a_tool_is_switched_on_by_configuration_and_gets_its_arguments() -> None:
    tool = Tool("before_finalize", mark)
    assert ask(app_with({}, mark=tool), "/").header("X-Mark") is None
    assert ask(app_with({"tools.mark.on": True}, mark=tool), "/").header("X-Mark") == "on"
    config = {"tools.mark.on": True, "tools.mark.text": "x", "tools.mark.again": "y"}
    assert ask(app_with(config, mark=tool), "/").header("X-Mark") == "xy"


def test_a_deeper_path_can_switch_it_off() -> None:
    app = app_with({"tools.mark.on": True}, mark=Tool("before_finalize", mark))
    app.config["/crash"] = {"tools.mark.on": False}
    assert ask(app, "/").header("X-Mark") == "on"
    assert ask(app, "/crash").header("X-Mark") is None


def test_a_tool_is_a_decorator() -> None:
    toolbox = Toolbox("tools")
    toolbox.mark = Tool("before_finalize", mark)

    class Decorated:
        @expose
        @toolbox.mark(text="decorated")  # type: ignore[untyped-decorator]  # a tool of any name
        def page(self) -> str:
            return ""

        @expose
        def other(self) -> str:
            return ""

    @toolbox.mark()
    class Whole(Decorated):
        pass

    class Child(Whole):
        _cp_config = {"tools.mark.text": "child"}  # noqa: RUF012  as a program writes

    for cls, path, expected in [
        (Decorated, "/page", "decorated"),
        (Decorated, "/other", None),
        (Whole, "/other", "on"),
        (Whole, "/page", "decorated"),
    ]:
        app = app_of(cls())
        app.site.toolboxes["tools"] = toolbox
        assert ask(app, path).header("X-Mark") == expected
    assert "_cp_config" not in vars(Decorated)


def test_positional_arguments_are_a_mistake() -> None:
    tool = Tool("before_finalize", mark, "mark")
    with pytest.raises(TypeError, match=r"write @tools\.mark\(\) above a handler"):
        tool(Root.index)


def test_the_switch_is_no_attribute() -> None:
    tool = Tool("before_finalize", mark, "mark")
    with pytest.raises(AttributeError, match=r"tools\.mark\.on"):
        _ = tool.on
    with pytest.raises(AttributeError, match=r"tools\.mark\.on"):
        tool.on = True


@pytest.mark.parametrize(("name", "hint"), [("txt", "did you mean text?"), ("zzz", "it has text, again")])
def test_an_argument_it_does_not_have_names_the_nearest(
    name: str, hint: str, caplog: pytest.LogCaptureFixture
) -> None:
    tool = Tool("before_finalize", mark)
    assert ask(app_with({"tools.mark.on": True, f"tools.mark.{name}": 1}, mark=tool), "/").code == 500
    assert hint in caplog.text


@pytest.mark.parametrize(
    ("name", "hint"), [("marc", "did you mean tools.mark.on?"), ("zzz", "there are mark")]
)
def test_a_tool_that_does_not_exist_names_the_nearest(
    name: str, hint: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = app_with({f"tools.{name}.on": True}, mark=Tool("before_finalize", mark))
    assert ask(app, "/").code == 500
    assert hint in caplog.text


def test_a_tool_that_is_not_on_may_not_exist() -> None:
    assert ask(app_with({"tools.later.x": 1, "tools.other.on": False}), "/").code == 200


def test_callables_that_take_anything_or_have_no_signature_are_not_checked() -> None:
    seen: list[Any] = []
    anything = Tool("before_handler", lambda **kwargs: seen.append(kwargs))
    ask(app_with({"tools.anything.on": True, "tools.anything.x": 1}, anything=anything), "/")
    assert seen == [{"x": 1}]
    assert Tool("before_handler", dict).arguments() == ()
    assert ask(app_with({"tools.builtin.on": True}, builtin=Tool("before_handler", dict)), "/").code == 200


def test_a_priority_comes_from_configuration_then_the_callable_then_the_tool() -> None:
    order: list[str] = []

    def make(name: str, priority: int | None = None) -> Any:
        def run() -> None:
            order.append(name)

        if priority is not None:
            run.priority = priority  # type: ignore[attr-defined]
        return run

    tools = {
        "a": Tool("before_handler", make("a"), priority=90),
        "b": Tool("before_handler", make("b", 80), priority=10),
        "c": Tool("before_handler", make("c", 80), priority=10),
        "d": HandlerTool(make("d"), priority=85),
    }
    config = {f"tools.{name}.on": True for name in tools} | {"tools.c.priority": 95}
    ask(app_with(config, **tools), "/")
    assert order == ["b", "d", "a", "c"]


def test_register_makes_a_function_a_tool_and_leaves_it_alone() -> None:
    toolbox = Toolbox("tools")

    @toolbox.register("before_finalize", priority=60)
    def first() -> None:
        """Say what it does."""
        current().response.headers["X-First"] = "1"  # type: ignore[union-attr]

    @toolbox.register("before_finalize", name="second")
    def another(request: Any, /) -> None:
        request.response.headers["X-Second"] = "2"

    assert list(toolbox) == ["first", "second"]
    assert toolbox.first.callable is first
    assert (toolbox.first.priority, toolbox.first.__doc__) == (60, "Say what it does.")
    app = app_of(Root(), {"/": {"tools.first.on": True, "tools.second.on": True}})
    app.site.toolboxes["tools"] = toolbox
    answer = ask(app, "/")
    assert (answer.header("X-First"), answer.header("X-Second")) == ("1", "2")


def test_a_box_of_ones_own_has_a_namespace_of_its_own() -> None:
    box = Toolbox("mine")
    box.mark = Tool("before_finalize", mark)
    app = app_of(Root(), {"/": {"mine.mark.on": True, "mine.mark.text": "box"}})
    app.site.toolboxes["mine"] = box
    assert ask(app, "/").header("X-Mark") == "box"
    assert repr(box.mark) == "<Tool mine.mark at before_finalize>"


# --- the other shapes ---


def answering(request: Any, /, body: str = "") -> bool:
    request.response.body = body
    return bool(body)


def answering_alone(body: str = "") -> bool:
    current().response.body = body  # type: ignore[union-attr]
    return bool(body)


@pytest.mark.parametrize("function", [answering, answering_alone])
@pytest.mark.parametrize(("body", "text"), [("tool", "tool"), ("", "index")])
def test_a_handler_tool_answers_or_lets_the_handler(function: Any, body: str, text: str) -> None:
    config = {"tools.answer.on": True, "tools.answer.body": body}
    assert ask(app_with(config, answer=HandlerTool(function)), "/").text == text


@pytest.mark.parametrize("function", [answering, answering_alone])
def test_a_handler_tool_can_be_a_page(function: Any) -> None:
    class Holder:
        yes = HandlerTool(function).handler(body="tool")
        no = HandlerTool(function).handler()

    app = app_of(Holder())
    assert ask(app, "/yes").text == "tool"
    assert ask(app, "/yes/x?a=1").text == "tool"
    assert ask(app, "/no").code == 404
    hooked = app_of(Holder(), {"/": {"hooks.before_handler": lambda: None}})
    assert ask(hooked, "/yes").text == "tool"


def test_a_wrapper_is_called_with_the_handler() -> None:
    def wrap(inner: Any, mark: str = "!") -> str:
        return str(inner()) + mark

    config = {"tools.wrap.on": True, "tools.wrap.mark": "?"}
    assert ask(app_with(config, wrap=HandlerWrapperTool(wrap)), "/").text == "index?"


def test_an_error_tool_answers_unexpected_errors() -> None:
    def respond(text: str = "sorry") -> None:
        current().response.body = text  # type: ignore[union-attr]

    config = {"tools.error.on": True, "tools.error.text": "oh"}
    answer = ask(app_with(config, error=ErrorTool(respond)), "/crash")
    assert answer.text == "oh"


def test_anything_with_attach_is_a_tool() -> None:
    class Own:
        def attach(self, building: Any, arguments: dict[str, Any]) -> None:
            building.headers["X-Own"] = str(arguments)

    answer = ask(app_with({"tools.own.on": True, "tools.own.x": 1}, own=Own()), "/")
    assert answer.header("X-Own") == "{'x': 1}"


def test_configure_gives_an_object_a_dict_of_its_own() -> None:
    class Base:
        _cp_config = {"a": 1}  # noqa: RUF012  as a program writes

    class Child(Base):
        pass

    configure(Child, {"b": 2})
    instance = configure(Child(), {"c": 3})
    assert Base._cp_config == {"a": 1}
    assert Child._cp_config == {"a": 1, "b": 2}
    assert instance._cp_config == {"a": 1, "b": 2, "c": 3}
    configure(Child, {"d": 4})
    assert Child._cp_config == {"a": 1, "b": 2, "d": 4}


def test_a_page_of_a_tool_that_finds_nothing_is_a_404() -> None:
    page = HandlerTool(lambda: False).handler()
    with pytest.raises(NotFound):
        page(None)
