"""`expose` in all its forms, and `popargs`."""

from __future__ import annotations

from typing import Any

import pytest

from kirsch.web import configure, expose, popargs
from kirsch.web.expose import Aliased
from tests.web.helpers import app_of, ask


class Root:
    @expose
    def plain(self) -> str:
        return "plain"

    @expose()
    def called(self) -> str:
        return "called"

    @expose("other")
    def one(self) -> str:
        return "one"

    @expose(["first.html", "second"])
    def several(self) -> str:
        return "several"

    @expose(alias="named")
    def by_name(self) -> str:
        return "by name"

    @expose(alias=["x", "y"])
    def by_names(self) -> str:
        return "by names"

    def later(self) -> str:
        return "later"

    assigned = expose(later, "also")

    @expose(alias=[])
    def no_alias(self) -> str:
        return "no alias"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/plain", "plain"),
        ("/called", "called"),
        ("/one", "one"),
        ("/other", "one"),
        ("/several", "several"),
        ("/first.html", "several"),
        ("/first_html", "several"),
        ("/second", "several"),
        ("/named", "by name"),
        ("/by_name", "by name"),
        ("/x", "by names"),
        ("/y", "by names"),
        ("/assigned", "later"),
        ("/also", "later"),
        ("/no_alias", "no alias"),
    ],
)
def test_every_name_leads_to_the_page(path: str, text: str) -> None:
    assert ask(app_of(Root()), path).text == text


def test_aliases_leave_plain_functions_behind() -> None:
    assert not any(isinstance(value, Aliased) for value in vars(Root).values())
    assert Root.other is Root.one  # type: ignore[attr-defined]
    assert Root.one.__name__ == "one"


def test_decorators_above_aliases_work_on_the_function() -> None:
    class Decorated:
        @(lambda function: configure(function, {"response.headers.X-Mark": "1"}))
        @expose("other")
        def page(self) -> str:
            return "page"

    app = app_of(Decorated())
    assert [ask(app, path).header("X-Mark") for path in ("/page", "/other")] == ["1", "1"]


def test_an_aliased_function_outside_of_a_class_is_still_a_function() -> None:
    @expose("other")
    def function(self: Any, name: str) -> str:
        return name

    assert isinstance(function, Aliased)
    assert function("self", "x") == "x"
    assert function.__get__(None) is function.__get__(None)
    assert function.__get__("self")("y") == "y"
    assert function.exposed is True
    assert function.__name__ == "function"


def test_a_class_is_exposed_and_takes_no_alias() -> None:
    @expose
    class Page:
        pass

    assert Page.exposed is True  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="other = Page"):
        expose(Page, "other")


def test_popargs_is_a_decorator_and_a_value() -> None:
    @popargs("a", "b")
    class Node:
        pass

    node = Node()
    vpath = ["1", "2", "3"]
    assert node._cp_dispatch.pop(vpath) == ({"a": "1", "b": "2"}, node)  # type: ignore[attr-defined]
    assert vpath == ["3"]
    assert node._cp_dispatch.pop([]) == ({}, node)  # type: ignore[attr-defined]


def test_popargs_calls_what_can_be_called_and_goes_on_at_what_cannot() -> None:
    def make(a: str) -> str:
        return f"made {a}"

    target = object()
    assert popargs("a", handler=make).pop(["1"]) == ({}, "made 1")
    assert popargs("a", handler=target).pop(["1"]) == ({"a": "1"}, target)


def test_popargs_takes_no_other_keywords() -> None:
    with pytest.raises(TypeError):
        popargs("a", controller=1)  # type: ignore[call-arg]
