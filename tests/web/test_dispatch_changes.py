"""Objects that change while they are served are found as they are, however often a path was walked before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kirsch.web import Gateway, Tree, expose
from tests.web.helpers import app_of, ask
from tests.web.test_dispatch import Leaf, Root

if TYPE_CHECKING:
    from kirsch.web import Application


def test_a_page_that_is_added_later_is_found() -> None:
    root = Root()
    app = app_of(root)
    assert ask(app, "/later").code == 404
    later = expose(lambda: "later")
    root.later = later  # type: ignore[attr-defined]
    assert ask(app, "/later").text == "later"
    del root.later  # type: ignore[attr-defined]
    assert ask(app, "/later").code == 404


class Changing:
    """Every test changes a class of its own."""

    def __init__(self) -> None:
        class Inner:
            @expose
            def index(self) -> str:
                return "inner"

        class Outer:
            inner = Inner()

            @expose
            def index(self) -> str:
                return "index"

            @expose
            def default(self, *args: str) -> str:
                return f"default {args}"

            @expose
            def page(self, *args: str) -> str:
                return f"page {args}"

        self.inner = Inner
        self.outer = Outer
        self.root = Outer()
        self.app: Application = app_of(self.root)
        tree = Tree(self.app.site)
        tree.mount(self.app)
        # One gateway, so that paths are remembered.
        self.gateway = Gateway(tree)

    def ask(self, target: str) -> str:
        answer = ask(self.gateway, target)
        return answer.text if answer.code == 200 else answer.status


def test_what_is_remembered_of_a_path_is_compared_with_what_is_there() -> None:
    world = Changing()
    for _ in range(3):
        assert world.ask("/") == "index"
        assert world.ask("/inner/") == "inner"
        assert world.ask("/page/1") == "page ('1',)"
        assert world.ask("/other/1") == "default ('other', '1')"


@pytest.mark.parametrize("target", ["/", "/inner/", "/page/1", "/other/1"])
def test_another_root_object_takes_over(target: str) -> None:
    world = Changing()
    world.ask(target)
    world.app.root = Root()
    assert world.ask(target) == {"/": "root index"}.get(target, "404 Not Found")


def test_a_method_that_is_replaced_is_replaced() -> None:
    world = Changing()
    world.ask("/")
    world.outer.index = expose(lambda self: "new")  # type: ignore[method-assign]
    assert world.ask("/") == "new"
    world.root.index = expose(lambda: "own")  # type: ignore[method-assign]
    assert world.ask("/") == "own"


def test_an_object_that_is_replaced_is_replaced() -> None:
    world = Changing()
    world.ask("/inner/")
    world.root.inner = Leaf()  # type: ignore[assignment]
    assert world.ask("/inner/") == "leaf index"


def test_a_page_that_is_no_longer_exposed_is_gone() -> None:
    world = Changing()
    assert world.ask("/page/1") == "page ('1',)"
    world.outer.page.exposed = False  # type: ignore[attr-defined]
    assert world.ask("/page/1") == "default ('page', '1')"
    world.outer.default.exposed = False  # type: ignore[attr-defined]
    assert world.ask("/page/1") == "404 Not Found"


def test_a_default_that_appears_behind_is_found() -> None:
    world = Changing()
    assert world.ask("/inner/x") == "default ('inner', 'x')"
    world.inner.default = expose(lambda self, *args: f"inner default {args}")  # type: ignore[attr-defined]
    assert world.ask("/inner/x") == "inner default ('x',)"


def test_an_object_that_becomes_a_page_is_one() -> None:
    world = Changing()
    assert world.ask("/inner/x") == "default ('inner', 'x')"
    setattr(world.inner, "__call__", lambda self, *args: f"called {args}")  # noqa: B010  mypy knows better
    world.inner.exposed = True  # type: ignore[attr-defined]
    assert world.ask("/inner/x") == "called ('x',)"
    assert world.ask("/inner/x") == "called ('x',)"
    world.inner.exposed = False  # type: ignore[attr-defined]
    assert world.ask("/inner/x") == "default ('inner', 'x')"


def test_a_default_that_is_replaced_is_replaced() -> None:
    world = Changing()
    assert world.ask("/other/1") == "default ('other', '1')"
    world.outer.default = expose(lambda self, *args: "new default")  # type: ignore[method-assign]
    assert world.ask("/other/1") == "new default"
    world.root.default = expose(lambda *args: "own default")  # type: ignore[method-assign]
    assert world.ask("/other/1") == "own default"


def test_a_segment_that_gets_an_attribute_leads_there() -> None:
    world = Changing()
    assert world.ask("/other/1") == "default ('other', '1')"
    world.root.other = Leaf()  # type: ignore[attr-defined]
    assert world.ask("/other/1") == "default ('other', '1')"
    assert world.ask("/other/page") == "leaf page () []"


def test_a_dispatch_method_that_appears_is_asked() -> None:
    world = Changing()
    assert world.ask("/inner/x") == "default ('inner', 'x')"
    world.inner._cp_dispatch = lambda self, vpath: Leaf()  # type: ignore[attr-defined]
    assert world.ask("/inner/x") == "leaf index"


@pytest.mark.parametrize(
    ("target", "holder"), [("/", "outer"), ("/inner/", "inner"), ("/page/1", "outer"), ("/other/1", "outer")]
)
def test_a_configuration_dict_that_is_replaced_holds_at_once(target: str, holder: str) -> None:
    world = Changing()
    assert ask(world.gateway, target).header("X-Mark") is None
    getattr(world, holder)._cp_config = {"response.headers.X-Mark": "1"}
    assert ask(world.gateway, target).header("X-Mark") == "1"
    getattr(world, holder)._cp_config = {"response.headers.X-Mark": "2"}
    assert ask(world.gateway, target).header("X-Mark") == "2"


@pytest.mark.parametrize(("target", "name"), [("/", "index"), ("/page/1", "page"), ("/other/1", "default")])
def test_a_configuration_of_a_method_that_is_replaced_holds_at_once(target: str, name: str) -> None:
    world = Changing()
    assert ask(world.gateway, target).header("X-Mark") is None
    getattr(world.outer, name)._cp_config = {"response.headers.X-Mark": "1"}
    assert ask(world.gateway, target).header("X-Mark") == "1"


def test_a_change_inside_a_configuration_dict_holds_after_renew() -> None:
    world = Changing()
    config = {"response.headers.X-Mark": "1"}
    world.outer._cp_config = config  # type: ignore[attr-defined]
    assert ask(world.gateway, "/").header("X-Mark") == "1"
    config["response.headers.X-Mark"] = "2"
    world.app.renew()
    assert ask(world.gateway, "/").header("X-Mark") == "2"
