from __future__ import annotations

import math
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from kirsch.cli.errors import Failure, WrongTarget
from kirsch.cli.program import Program, make_program
from kirsch.config import ConfigError
from kirsch.server import WSGIGateway
from kirsch.web import Application, Site, Tree, expose, popargs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path


def name_of(value: Any) -> str:
    """Return a name for a test that is the same in every process."""
    return str(getattr(value, "__name__", type(value).__name__))


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [b""]


class Framework:
    """Shaped like Flask, Django and Falcon: an object that is called."""

    def __init__(self) -> None:
        self.handlers = [wsgi]

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        return wsgi(environ, start_response)


class Answer:
    """The shape of PEP 3333 where the class itself is the program."""

    def __init__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> None:
        self.start = start_response

    def __iter__(self) -> Iterator[bytes]:
        yield b""


class Pages:
    @expose
    def index(self) -> str:
        return "index"


class Static:
    @staticmethod
    @expose
    def index() -> str:
        return "index"


class Old:
    def index(self) -> str:
        return "index"

    index.exposed = 1  # type: ignore[attr-defined]


class Rest:
    exposed = True

    def GET(self) -> str:  # noqa: N802  the name of the method of HTTP
        return "got"


@popargs("name")
class Popping:
    pass


class Section:
    pages = Pages()


class Both:
    """Has a page and can be called as well."""

    @expose
    def __call__(self, first: str = "", second: str = "") -> str:
        return first


class Tricky:
    """Nothing of it may be run by looking at it."""

    pages = Pages()

    @property
    def exposed(self) -> bool:
        raise AssertionError

    @property
    def more(self) -> object:
        raise AssertionError


class Slotted:
    __slots__ = ("pages",)


def made_by_attributes() -> object:
    class Empty:
        pass

    root: Any = Empty()
    root.wiki = Empty()
    root.wiki.pages = Pages()
    root.wiki.parent = root
    return root


@pytest.mark.parametrize(
    "value",
    [wsgi, Framework(), Answer, partial(wsgi), lambda environ, start_response: [], Framework().__call__, max],
    ids=name_of,
)
def test_wsgi_callables_go_to_the_wsgi_gateway(value: Any) -> None:
    program = make_program(value, "m:app")
    assert isinstance(program.gateway, WSGIGateway)
    assert program.gateway.application == value
    assert program.tree is None
    assert program.site is None


def root_of(program: Program) -> Any:
    assert program.tree is not None
    return program.tree[""].root


@pytest.mark.parametrize("kind", [Pages, Static, Old, Rest, Popping, Section, Both, Tricky], ids=name_of)
def test_root_classes_and_their_objects_are_served_as_pages(kind: type) -> None:
    assert type(root_of(make_program(kind, "m:Root"))) is kind
    root = kind()
    assert root_of(make_program(root, "m:root")) is root


def test_an_object_whose_attributes_lead_to_pages_is_a_root() -> None:
    root = made_by_attributes()
    assert root_of(make_program(root, "m:root")) is root


def test_an_exposed_function_is_a_root() -> None:
    @expose
    def page() -> str:
        return "page"

    assert root_of(make_program(page, "m:page")) is page


def test_an_application_brings_its_site_and_path() -> None:
    app = Application(Pages(), "/wiki", site=Site())
    program = make_program(app, "m:app")
    assert program.site is app.site
    assert program.tree is not None
    assert program.tree.apps == {"/wiki": app}


def test_a_tree_is_served_as_it_is_with_what_is_grafted_into_it() -> None:
    tree = Tree()
    tree.mount(Pages())
    tree.graft(wsgi, "/wsgi")
    program = make_program(tree, "m:tree")
    assert program.tree is tree
    graft: Any = program.gateway
    made = graft._graft("/wsgi", wsgi)
    assert isinstance(made, WSGIGateway)
    assert made.script_name == "/wsgi"


def refused(value: Any) -> str:
    with pytest.raises(WrongTarget) as caught:
        make_program(value, "m:app")
    return str(caught.value)


async def asgi(scope: Any, receive: Any, send: Any) -> None: ...


class AsyncFramework:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


def wrapped_asgi(scope: Any, receive: Any, send: Any) -> None: ...


@pytest.mark.parametrize("value", [asgi, AsyncFramework(), wrapped_asgi], ids=name_of)
def test_asgi_programs_are_told_apart(value: Any) -> None:
    assert refused(value) == "m:app is an ASGI program; Kirsch serves WSGI programs and its own."


class Needy:
    def __init__(self, store: object) -> None:
        self.store = store

    @expose
    def index(self) -> str:
        return ""


class Plain:
    pass


class NeedyPlain:
    def __init__(self, store: object) -> None:
        self.store = store


def make() -> object:
    return wsgi


def one(environ: object) -> None: ...


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            make,
            "is a function that cannot be called with the two arguments of WSGI, environ and start_response.",
        ),
        (make, "If it makes the program, write m:app()."),
        (one, "is a function that cannot be called"),
        (Plain, "m:app is a class without exposed pages. To serve an object of it, write m:app()."),
        (Framework, "To serve an object of it, write m:app()."),
        (NeedyPlain, "Name an object of it."),
        (Needy, "is a root class that needs arguments"),
        (sys, "m:app is a module: neither a WSGI callable"),
        (5, "m:app is an int: neither a WSGI callable"),
        (Plain(), "m:app is a Plain: neither a WSGI callable"),
        (Slotted(), "m:app is a Slotted: neither"),
        ([Pages()], "m:app is a list: neither a WSGI callable"),
        (math.pi, "an object with exposed pages."),
    ],
)
def test_what_cannot_be_served_is_told_why(value: Any, message: str) -> None:
    assert message in refused(value)


def test_only_a_function_without_arguments_is_taken_for_a_factory() -> None:
    assert "If it makes" not in refused(one)


def test_a_root_class_that_fails_shows_its_traceback() -> None:
    class Root(Pages):
        def __init__(self) -> None:
            raise RuntimeError("no database.")

    with pytest.raises(Failure, match=r"m:Root\(\) failed: RuntimeError: no database\.") as caught:
        make_program(Root, "m:Root")
    assert "test_program.py" in caught.value.detail


def test_an_empty_tree_is_refused() -> None:
    with pytest.raises(Failure, match="The tree is empty"):
        make_program(Tree(), "m:tree")


def test_sections_of_paths_go_to_the_application_they_lie_in() -> None:
    tree = Tree()
    top, wiki = tree.mount(Pages()), tree.mount(Pages(), "/wiki")
    make_program(tree, "m:tree").merge(
        "site.conf",
        {"/": {"a": 1}, "/static": {"b": 2}, "/wiki": {"c": 3}, "/wiki/old": {"d": 4}, "data": {"e": 5}},
    )
    assert dict(top.config) == {"/": {"a": 1}, "/static": {"b": 2}, "data": {"e": 5}}
    assert dict(wiki.config) == {"/": {"c": 3}, "/old": {"d": 4}, "data": {"e": 5}}


def test_a_section_for_nobody_is_refused() -> None:
    tree = Tree()
    tree.mount(Pages(), "/wiki")
    with pytest.raises(Failure, match=r"site\.conf, \[/notes\]: no application .*; there is /wiki\."):
        make_program(tree, "m:tree").merge("site.conf", {"/notes": {}})
    with pytest.raises(Failure, match=r"site\.conf, \[/\]: sections are for Kirsch applications"):
        make_program(wsgi, "m:app").merge("site.conf", {"/": {}})
    make_program(wsgi, "m:app").merge("site.conf", {})


def test_the_environment_of_the_program_gives_way_to_one_that_was_chosen() -> None:
    site = Site()
    app = Application(Pages(), site=site)
    program = make_program(app, "m:app")
    program.configure("production", {}, chosen=False)
    assert site.config["environment"] == "production"
    assert site.config["request.show_tracebacks"] is False
    program.configure("staging", {}, chosen=False)
    assert site.config["environment"] == "production"
    program.configure("staging", {"request.show_tracebacks": True}, chosen=True)
    assert site.config["environment"] == "staging"
    assert site.config["request.show_tracebacks"] is True


def test_a_wsgi_program_has_no_configuration_to_be_told() -> None:
    make_program(wsgi, "m:app").configure("production", {"tools.gzip.on": True}, chosen=True)


def test_a_value_the_site_refuses_is_an_error() -> None:
    program = make_program(Application(Pages(), site=Site()), "m:app")
    with pytest.raises(ConfigError):
        program.configure("nowhere", {}, chosen=True)


def test_a_class_page_is_found_through_a_path(tmp_path: Path) -> None:
    # Objects of the standard library among the attributes are looked at without harm.
    class Root(Pages):
        folder = tmp_path
        ratio = math.pi

    assert isinstance(root_of(make_program(Root, "m:Root")), Root)
