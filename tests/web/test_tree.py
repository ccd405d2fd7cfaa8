"""Which program a path lies under."""

from __future__ import annotations

from typing import Any

import pytest

from kirsch.web import Application, Tree, expose
from tests.web.helpers import ask, ask_wsgi, make_site


class Root:
    def __init__(self, name: str = "root") -> None:
        self.name = name

    @expose
    def index(self) -> str:
        return self.name

    @expose
    def default(self, *args: str) -> str:
        return f"{self.name} {args}"


def grafted(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['SCRIPT_NAME']}|{environ['PATH_INFO']}".encode()]


def make() -> Tree:
    tree = Tree(make_site())
    tree.mount(Root("root"))
    tree.mount(Root("a"), "/a")
    tree.mount(Root("ab"), "/a/b/")
    tree.mount(Root("é"), "/é")
    tree.graft(grafted, "/wsgi")
    return tree


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "root"),
        ("/x", "root ('x',)"),
        ("/ab", "root ('ab',)"),
        ("/a", "a"),
        ("/a/", "a"),
        ("/a/x", "a ('x',)"),
        ("/a/b", "ab"),
        ("/a/b/c", "ab ('c',)"),
        ("//a/b", "ab"),
        ("/a//b/c", "ab ('c',)"),
        ("/a%2Fb/c", "root ('a/b', 'c')"),
        ("/a%2fb", "root ('a/b',)"),
        ("/%61/x", "a ('x',)"),
        ("/%C3%A9/x", "é ('x',)"),
    ],
)
def test_the_longest_script_name_wins_by_whole_segments(path: str, name: str) -> None:
    assert ask(make(), path).text == name


@pytest.mark.parametrize(
    ("path", "found"), [("/", ""), ("/a/x", "/a"), ("/a/b", "/a/b"), ("/abc", ""), ("", ""), ("/a/", "/a")]
)
def test_script_names_can_be_looked_up(path: str, found: str) -> None:
    assert make().script_name(path) == found


def test_a_path_under_nothing_is_not_found() -> None:
    tree = Tree(make_site())
    tree.mount(Root("a"), "/a")
    assert tree.script_name("/b") is None
    assert ask(tree, "/b").code == 404
    assert "was not found" in ask(tree, "/b").text
    assert ask_wsgi(tree, "/b").code == 404


def test_programs_can_be_taken_out_and_replaced_while_they_serve() -> None:
    from kirsch.web import Gateway

    tree = make()
    gateway = Gateway(tree)
    assert ask(gateway, "/a/x").text == "a ('x',)"
    tree.mount(Root("new"), "/a")
    assert ask(gateway, "/a/x").text == "new ('x',)"
    tree.unmount("/a/")
    assert ask(gateway, "/a/x").text == "root ('a', 'x')"
    with pytest.raises(KeyError):
        tree.unmount("/a")


def test_a_class_is_made_an_object_of() -> None:
    tree = Tree(make_site())
    app = tree.mount(Root, "/x")
    assert isinstance(app.root, Root)
    assert tree.apps == {"/x": app}
    assert tree["/x"] is app


def test_an_application_is_mounted_as_it_is() -> None:
    tree = Tree(make_site())
    app = Application(Root("own"), "/own", site=tree.site)
    assert tree.mount(app) is app
    assert tree.mount(app, "/own", {"/": {"response.headers.X-A": "1"}}) is app
    assert ask(tree, "/own").header("X-A") == "1"
    with pytest.raises(ValueError, match="has the script name '/own' and cannot be mounted at '/other'"):
        tree.mount(app, "/other")


def test_script_names_are_text_that_begins_with_a_slash() -> None:
    tree = Tree(make_site())
    with pytest.raises(TypeError, match="needs a script name"):
        tree.mount(Root(), None)
    with pytest.raises(ValueError, match="write '/x'"):
        tree.mount(Root(), "x")


@pytest.mark.parametrize(
    ("path", "script_name", "text"),
    [
        ("/", "", "root"),
        ("/a/x", "", "a ('x',)"),
        ("/x", "/a", "a ('x',)"),
        ("/wsgi/x/y", "", "/wsgi|/x/y"),
        ("/wsgi", "", "/wsgi|"),
        ("/Ã©/x", "", "é ('x',)"),
    ],
)
def test_a_tree_is_a_wsgi_program(path: str, script_name: str, text: str) -> None:
    assert ask_wsgi(make(), path, script_name=script_name).text == text


def test_two_trees_know_nothing_of_each_other() -> None:
    one, two = make(), Tree(make_site())
    two.mount(Root("two"))
    assert (ask(one, "/").text, ask(two, "/").text) == ("root", "two")
    assert repr(two) == "<Tree of />"
    assert repr(Tree(make_site())) == "<Tree of nothing>"
