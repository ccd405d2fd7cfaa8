"""One URL for each page."""

from __future__ import annotations

from typing import Any

import pytest

from kirsch.tools import install
from kirsch.web import Application, Tree, current, expose
from tests.web.helpers import ask, make_site


class Leaf:
    @expose
    def index(self, **params: str) -> str:
        return "leaf"

    @expose
    def page(self, *args: str, **params: str) -> str:
        return "page"


class Root:
    leaf = Leaf()

    @expose
    def index(self) -> str:
        return "root"

    @expose
    def default(self, *args: str) -> str:
        return "default"


def make(config: dict[str, Any] | None = None, script_name: str = "") -> Tree:
    site = make_site({"tools.trailing_slash.on": True})
    install(site.toolboxes["tools"])
    tree = Tree(site)
    tree.mount(Root(), script_name, {"/": config or {}})
    return tree


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/", None),
        ("/leaf/", None),
        ("/leaf", "/leaf/"),
        ("/leaf?a=1&b=%2F", "/leaf/?a=1&b=%2F"),
        ("//leaf", "/leaf/"),
        ("/leaf/page", None),
        ("/leaf/page/", None),
        ("/leaf/page/x", None),
        ("/some/thing", None),
        ("/some/thing/", None),
        ("//evil.test/%2f..", None),
    ],
)
def test_an_index_without_a_slash_redirects_to_itself_with_one(target: str, location: str | None) -> None:
    answer = ask(make(), target)
    assert (answer.code, answer.header("Location")) == ((301, location) if location else (200, None))


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/leaf/page/", "/leaf/page"),
        ("/leaf/page/x%2Fy/", "/leaf/page/x%2Fy"),
        ("/leaf/page/a%20%22%C3%A9/?q=1", "/leaf/page/a%20%22%C3%A9?q=1"),
        ("/leaf/page", None),
        ("/leaf/", None),
        ("/", None),
    ],
)
def test_a_page_with_a_slash_redirects_to_itself_without_when_asked(
    target: str, location: str | None
) -> None:
    answer = ask(make({"tools.trailing_slash.extra": True}), target)
    assert (answer.code, answer.header("Location")) == ((301, location) if location else (200, None))


@pytest.mark.parametrize(
    ("target", "script_name", "location"),
    [("/app", "/app", "/app/"), ("/app/leaf", "/app", "/app/leaf/"), ("/%C3%A9", "/é", "/%C3%A9/")],
)
def test_below_a_script_name_it_stays_there(target: str, script_name: str, location: str) -> None:
    assert ask(make(script_name=script_name), target).header("Location") == location


@pytest.mark.parametrize(("method", "code"), [("GET", 301), ("HEAD", 301), ("POST", 308), ("PUT", 308)])
def test_other_methods_are_repeated_as_they_are(method: str, code: int) -> None:
    assert ask(make(), "/leaf", method).code == code


def test_the_status_can_be_chosen() -> None:
    assert ask(make({"tools.trailing_slash.status": 302}), "/leaf").code == 302


def test_each_half_can_be_switched_off() -> None:
    assert ask(make({"tools.trailing_slash.missing": False}), "/leaf").code == 200
    assert ask(make({"tools.trailing_slash.on": False}), "/leaf").code == 200


def test_it_is_not_attached_where_it_could_never_act() -> None:
    tree = make()
    for target, attached in (("/", False), ("/leaf/", False), ("/leaf/page", True)):
        exchange = ask(tree, target)
        assert exchange.code == 200
        app: Application = tree[""]
        assert ("before_handler" in list(app._plans._young.values())[-1].hooks) == attached


def test_a_resource_can_say_that_it_is_no_index() -> None:
    class Odd:
        @expose
        def index(self) -> str:
            return "odd"

    def no_index(request: Any, /) -> None:
        request.is_index = False

    tree = make()
    tree.mount(Odd(), "/odd", {"/": {"hooks.before_request_body": no_index}})
    assert ask(tree, "/odd").text == "odd"
    assert current() is None
