"""Plans: what configuration becomes, and what is shared."""

from __future__ import annotations

from typing import Any

import pytest

from kirsch.http.headers import HeaderError
from kirsch.web import Hook, Plan, Tool, Toolbox
from kirsch.web.plan import NO_PLAN, Building, Memory, compile_plan


def compiled(config: dict[str, Any], **more: Any) -> Plan:
    return compile_plan(
        "/x",
        lambda: "",
        config,
        slash=False,
        toolboxes=more.pop("toolboxes", {"tools": Toolbox("tools")}),
        namespaces=more.pop("namespaces", {}),
        **more,
    )


def test_keys_go_to_those_they_are_for() -> None:
    plan = compiled(
        {
            "request.show_tracebacks": True,
            "request.dispatch": object(),
            "request.body.max_fields": 5,
            "response.stream": True,
            "response.headers.X-A": "1",
            "error_page.404": "page.html",
            "hooks.before_handler": len,
            "hooks.before_handler.1": Hook(repr, priority=10),
            "hooks.on_end_request": "os.getpid",
            "plain": 1,
            "nobody.is": 2,
        }
    )
    assert plan.request_settings == (("show_tracebacks", True),)
    assert plan.body_settings == (("max_fields", 5),)
    assert plan.response_settings == (("stream", True),)
    assert list(plan.fields) == [("Content-Type", "text/html; charset=utf-8"), ("X-A", "1")]
    assert plan.error_pages == {"404": "page.html"}
    assert [hook.callback for hook in plan.hooks["before_handler"]] == [repr, len]
    assert plan.hooks["on_end_request"][0].callback.__name__ == "getpid"
    assert not plan.plain


def test_without_hooks_a_plan_is_plain() -> None:
    assert compiled({"request.show_tracebacks": True}).plain
    assert NO_PLAN.plain
    assert not compiled({"mine.x": 1}, namespaces={"mine": lambda key, value: None}).plain


@pytest.mark.parametrize(
    ("config", "error"),
    [
        ({"hooks.before_handlers": len}, ValueError),
        ({"response.headers.A b": "1"}, HeaderError),
        ({"response.headers.A": "1\r\n2"}, HeaderError),
        ({"tools.unknown.on": True}, ValueError),
    ],
)
def test_configuration_that_cannot_be_is_refused(config: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        compiled(config)


def test_tools_attach_in_the_order_of_their_keys_and_only_when_on() -> None:
    toolbox = Toolbox("tools")
    for name in ("one", "two", "three"):
        setattr(toolbox, name, Tool("before_handler", lambda name=name: None))
    plan = compiled(
        {"tools.two.on": True, "tools.one.on": True, "tools.three.on": False, "tools.three.name": "x"},
        toolboxes={"tools": toolbox},
    )
    assert [hook.callback for hook in plan.hooks["before_handler"]] == [
        toolbox.two.callable,
        toolbox.one.callable,
    ]
    assert plan.toolmaps == {
        "tools": {"two": {"on": True}, "one": {"on": True}, "three": {"on": False, "name": "x"}}
    }


def test_what_runs_each_time_makes_a_plan_less_than_plain() -> None:
    class Each:
        def attach(self, building: Building, arguments: dict[str, Any]) -> None:
            building.each_time.append(lambda: None)

    toolbox = Toolbox("tools")
    toolbox.each = Each()
    plan = compiled({"tools.each.on": True}, toolboxes={"tools": toolbox})
    assert len(plan.each_time) == 1
    assert not plan.plain


def test_paces_are_kept_by_method_and_invented_methods_share_one() -> None:
    plan = compiled({})
    assert plan.pace("GET") is plan.pace("GET")
    assert plan.pace("GET") is not plan.pace("POST")
    assert plan.pace("BREW") is plan.pace("FOO")
    assert len(plan.paces) == 3
    assert repr(plan) == "<Plan of /x>"


def test_memory_is_bounded_and_what_is_asked_for_stays() -> None:
    memory: Memory[int] = Memory(10)
    memory.put("kept", -1)
    for number in range(1000):
        memory.put(number, number)
        assert memory.get("kept") == -1
        assert len(memory) <= 20
    assert memory.get(5) is None
    memory.clear()
    assert (memory.get("kept"), len(memory)) == (None, 0)
