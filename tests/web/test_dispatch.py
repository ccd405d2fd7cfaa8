"""The walk from path to page: rules, order of configuration, changes at run time, and hostile paths."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirsch.web import Dispatcher, Path, expose, popargs
from tests.web.helpers import app_of, ask


class Leaf:
    @expose
    def index(self) -> str:
        return "leaf index"

    @expose
    def page(self, *args: str, **params: str) -> str:
        return f"leaf page {args} {sorted(params.items())}"

    def hidden(self) -> str:
        return "secret"


class Catching:
    @expose
    def default(self, *args: str) -> str:
        return f"default {args}"

    @expose
    def known(self) -> str:
        return "known"


@expose
class Exposed:
    def __call__(self, *args: str) -> str:
        return f"called {args}"


class Root:
    leaf = Leaf()
    catching = Catching()
    exposed = Exposed()
    number = 5

    @expose
    def index(self) -> str:
        return "root index"

    @expose
    def one_two(self) -> str:
        return "underscored"

    @expose
    def echo(self, first: str, second: str = "-") -> str:
        return f"{first}|{second}"


@pytest.mark.parametrize(
    ("target", "code", "text"),
    [
        ("/", 200, "root index"),
        ("/index", 200, "root index"),
        ("/leaf", 200, "leaf index"),
        ("/leaf/", 200, "leaf index"),
        ("//leaf//", 200, "leaf index"),
        ("/leaf/page", 200, "leaf page () []"),
        ("/leaf/page/a/b?x=1", 200, "leaf page ('a', 'b') [('x', '1')]"),
        ("/leaf/hidden", 404, None),
        ("/catching", 200, "default ()"),
        ("/catching/known", 200, "known"),
        ("/catching/a/b", 200, "default ('a', 'b')"),
        ("/catching/a%2Fb/c", 200, "default ('a/b', 'c')"),
        ("/catching/known/x", 404, None),
        ("/exposed", 200, "called ()"),
        ("/exposed/x", 200, "called ('x',)"),
        ("/one-two", 200, "underscored"),
        ("/one.two", 200, "underscored"),
        ("/one%2Ftwo", 200, "underscored"),
        ("/echo/a/b", 200, "a|b"),
        ("/echo/%C3%A9", 200, "é|-"),
        ("/echo/%FF", 200, "ÿ|-"),
        ("/number", 404, None),
        ("/nothing", 404, None),
        ("/__class__", 404, None),
        ("/leaf/page/__init__", 200, "leaf page ('__init__',) []"),
        ("/__init__/__globals__", 404, None),
    ],
)
def test_paths_lead_where_the_rules_say(target: str, code: int, text: str | None) -> None:
    answer = ask(app_of(Root()), target)
    assert answer.code == code
    if text is not None:
        assert answer.text == text


class WithAttribute:
    """An object that has what `__call__` would never be asked for."""

    exposed = True


def test_an_exposed_object_that_cannot_be_called_is_no_page() -> None:
    class Holder:
        thing = WithAttribute()

    assert ask(app_of(Holder()), "/thing").code == 404


def test_an_index_that_is_not_exposed_falls_back_to_default() -> None:
    class Odd:
        def index(self) -> str:
            return "secret"

        @expose
        def default(self, *args: str) -> str:
            return "default"

    app = app_of(Odd())
    assert [ask(app, "/").text for _ in range(2)] == ["default", "default"]


def test_a_default_that_is_not_exposed_is_passed_over() -> None:
    class Inner:
        def default(self, *args: str) -> str:
            return "secret"

    class Outer:
        inner = Inner()

        @expose
        def default(self, *args: str) -> str:
            return f"outer {args}"

    assert ask(app_of(Outer()), "/inner/x").text == "outer ('inner', 'x')"


def test_a_plain_function_and_a_class_can_be_pages() -> None:
    @expose
    def function(name: str = "nobody") -> str:
        return f"hello {name}"

    @expose
    class Made:
        def __init__(self, name: str) -> None:
            self.name = name

        def __iter__(self) -> Any:
            yield self.name

    class Holder:
        pass

    root = Holder()
    root.function = function  # type: ignore[attr-defined]
    root.made = Made  # type: ignore[attr-defined]
    app = app_of(root)
    assert ask(app, "/function/you").text == "hello you"
    assert ask(app, "/made/you").text == "you"


def test_a_root_of_none_has_no_pages() -> None:
    assert ask(app_of(None), "/x").code == 404


# --- configuration ---


def configured(value: str) -> dict[str, Any]:
    return {"response.headers.X-Mark": value, f"response.headers.X-{value}": "seen"}


class Configured:
    _cp_config = configured("root")

    class Part:
        _cp_config = configured("part")

        @expose
        def index(self) -> str:
            return ""

        @expose
        def page(self, *args: str) -> str:
            return ""

        page._cp_config = configured("page")  # type: ignore[attr-defined]

        @expose
        def default(self, *args: str) -> str:
            return ""

        default._cp_config = configured("default")  # type: ignore[attr-defined]

    part = Part()


@pytest.mark.parametrize(
    ("sections", "target", "mark"),
    [
        ({}, "/part/", "part"),
        ({}, "/part/page", "page"),
        ({}, "/part/x", "default"),
        ({}, "/nowhere", "root"),
        ({"/": "slash"}, "/part/", "part"),
        ({"/": "slash"}, "/nowhere", "slash"),
        ({"/part": "section"}, "/part/", "section"),
        ({"/part": "section"}, "/part/page", "page"),
        ({"/part": "section"}, "/part/x", "default"),
        ({"/part/": "section"}, "/part/", "section"),
        ({"/part/page": "section"}, "/part/page", "section"),
        ({"/part/page/5": "deep"}, "/part/page/5", "deep"),
        ({"/part/page/5": "deep"}, "/part/page/6", "page"),
        ({"/part/x/y": "deep"}, "/part/x/y/z", "deep"),
        ({"/part/x": "deep"}, "/part/x", "deep"),
        ({"/part/index": "hidden"}, "/part/", "hidden"),
    ],
)
def test_deeper_configuration_wins(sections: dict[str, str], target: str, mark: str) -> None:
    app = app_of(Configured(), {path: configured(value) for path, value in sections.items()})
    for _ in range(2):
        assert ask(app, target).header("X-Mark") == mark


def test_global_configuration_is_the_weakest() -> None:
    app = app_of(Configured(), response__headers__GLOBAL="seen")
    app.site.config["response.headers.X-Mark"] = "global"
    answer = ask(app, "/part/")
    assert (answer.header("X-Mark"), answer.header("X-Root"), answer.header("GLOBAL")) == (
        "part",
        "seen",
        "seen",
    )


def test_a_section_with_a_static_directory_knows_its_path() -> None:
    app = app_of(Configured(), {"/part": {"tools.staticdir.dir": "/srv"}})
    ask(app, "/part/")
    ask(app, "/part/page")
    plans = app._plans._young.values()
    assert [plan.config.get("tools.staticdir.section") for plan in plans] == ["/part", "/part"]


# --- _cp_dispatch and popargs ---


class Dispatching:
    def __init__(self) -> None:
        self.seen: list[list[str]] = []

    def _cp_dispatch(self, vpath: list[str]) -> Any:
        self.seen.append(list(vpath))
        if vpath[0] == "two":
            del vpath[:2]
            return Leaf()
        if vpath[0] == "none":
            return None
        if vpath[0] == "grow":
            vpath.append("more")
            return Leaf()
        return Leaf()

    @expose
    def index(self) -> str:
        return "dispatching"

    @expose
    def default(self, *args: str) -> str:
        return f"default {args}"


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("/", "dispatching"),
        ("/one", "leaf index"),
        ("/one/page", "leaf page () []"),
        ("/one/page/x", "leaf page ('x',) []"),
        ("/two/three", "leaf index"),
        ("/two/three/page/x", "leaf page ('x',) []"),
        ("/none/x", "default ('none', 'x')"),
    ],
)
def test_a_dispatch_method_says_which_object_comes_next(target: str, text: str) -> None:
    app = app_of(Dispatching())
    assert [ask(app, target).text for _ in range(2)] == [text, text]


def test_a_dispatch_method_sees_the_segments_that_are_left() -> None:
    root = Dispatching()
    ask(app_of(root), "/one/page")
    assert root.seen == [["one", "page"]]


def test_a_dispatch_method_must_not_add_segments() -> None:
    assert ask(app_of(Dispatching()), "/grow").code == 500


def test_an_exposed_dispatch_method_is_a_page_and_not_asked() -> None:
    class Odd:
        @expose
        def _cp_dispatch(self, vpath: Any = None) -> str:
            return "page"

    app = app_of(Odd())
    assert ask(app, "/x").code == 404
    assert ask(app, "/_cp_dispatch").text == "page"


def test_the_dispatch_method_can_have_another_name() -> None:
    class Odd:
        def which(self, vpath: list[str]) -> Leaf:
            return Leaf()

    app = app_of(Odd())
    app.dispatcher = Dispatcher(dispatch_method_name="which")
    assert ask(app, "/x/page").text == "leaf page () []"


def test_segments_can_be_translated_otherwise() -> None:
    class Odd:
        @expose
        def aXb(self) -> str:  # noqa: N802  the point of the test
            return "found"

    table = "".join("X" if chr(code) == "-" else chr(code) for code in range(256))
    app = app_of(Odd())
    app.dispatcher = Dispatcher(translate=table)
    assert ask(app, "/a-b").text == "found"
    assert ask(app, "/a_b").code == 404


@popargs("year", "month")
class Archive:
    @expose
    def index(self, year: str = "-", month: str = "-") -> str:
        return f"{year} {month}"

    @expose
    def about(self, **params: str) -> str:
        return f"about {sorted(params.items())}"


class Handled:
    def __init__(self, name: str = "?") -> None:
        self.name = name

    @expose
    def index(self, **params: str) -> str:
        return f"handled {self.name} {sorted(params.items())}"


class Popping:
    archive = Archive()

    class ByCall:
        _cp_dispatch = popargs("name", handler=Handled)

    class ByInstance:
        _cp_dispatch = popargs("name", handler=Handled("one"))

    by_call = ByCall()
    by_instance = ByInstance()


@pytest.mark.parametrize(
    ("target", "code", "text"),
    [
        ("/archive/", 200, "- -"),
        ("/archive/2026", 200, "2026 -"),
        ("/archive/2026/11", 200, "2026 11"),
        ("/archive/about", 200, "about []"),
        ("/archive/2026/11/about", 200, "about [('month', '11'), ('year', '2026')]"),
        ("/archive/2026/about", 200, "2026 about"),
        ("/by_call/x", 200, "handled x []"),
        ("/by_instance/x", 200, "handled one [('name', 'x')]"),
        ("/by_instance/x?a=1", 200, "handled one [('a', '1'), ('name', 'x')]"),
        ("/by_call", 404, None),
    ],
)
def test_segments_become_parameters(target: str, code: int, text: str | None) -> None:
    app = app_of(Popping())
    for _ in range(2):
        answer = ask(app, target)
        assert answer.code == code
        if text is not None:
            assert answer.text == text


# --- labels and plans ---


@pytest.mark.parametrize(
    ("target", "label"),
    [
        ("/", "/"),
        ("/leaf/", "/leaf"),
        ("/leaf/page/1", "/leaf/page/{*}"),
        ("/leaf/page/1/2", "/leaf/page/{*}"),
        ("/catching/1", "/catching/{*}"),
        ("/one-two", "/one_two"),
        ("/nothing/here", "(not found)"),
    ],
)
def test_the_label_has_no_values_in_it(target: str, label: str) -> None:
    app = app_of(Root())
    ask(app, target)
    assert [plan.label for plan in app._plans._young.values()] == [label]


@pytest.mark.parametrize(
    ("root", "target", "label"),
    [
        (Popping, "/archive/2026/11", "/archive/{year}/{month}"),
        (Popping, "/archive/2026/11/about", "/archive/{year}/{month}/about"),
        (Dispatching, "/one/page/x", "/{*}/page/{*}"),
        (Dispatching, "/two/three/page", "/{*}/{*}/page"),
    ],
)
def test_the_label_names_parameters(root: type, target: str, label: str) -> None:
    app = app_of(root())
    ask(app, target)
    assert [plan.label for plan in app._plans._young.values()] == [label]


def test_requests_for_one_resource_share_a_plan_though_objects_are_made_for_each() -> None:
    app = app_of(Popping())
    for name in "abc":
        ask(app, f"/by_call/{name}")
    assert len(app._plans) == 1


@expose
class Callable:
    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, suffix: str = "") -> str:
        return self.name + suffix


def test_callable_instances_made_for_each_request_share_a_plan() -> None:
    class Making:
        def _cp_dispatch(self, vpath: list[str]) -> Callable:
            return Callable(vpath.pop(0))

    app = app_of(Making())
    assert [ask(app, f"/{name}").text for name in "ab"] == ["a", "b"]
    assert len(app._plans) == 1


def test_methods_of_c_are_called() -> None:
    class Holder:
        def __init__(self) -> None:
            self.parts = Parts()

    class Parts(list[str]):
        exposed = True
        __call__ = list.copy

    root = Holder()
    root.parts.extend(["x", "y"])
    assert [ask(app_of(root), "/parts").text for _ in range(2)] == ["xy", "xy"]


# --- Path ---


@pytest.mark.parametrize(
    ("rest", "text", "segments", "slash"),
    [
        ("", "", (), False),
        ("/", "/", (), True),
        ("//", "/", (), True),
        ("/a", "/a", ("a",), False),
        ("/a/", "/a/", ("a",), True),
        ("//a//b/", "/a/b/", ("a", "b"), True),
        ("/a%2Fb/%2fc", "/a%2Fb/%2Fc", ("a/b", "/c"), False),
        ("/%C3%A9", "/é", ("é",), False),
    ],
)
def test_a_path_is_taken_apart_once(rest: str, text: str, segments: tuple[str, ...], slash: bool) -> None:
    path = Path("/app", rest)
    assert (path.text, path.segments, path.slash, path.script_name) == (text, segments, slash, "/app")


# --- hostile paths ---

SEGMENT = st.one_of(
    st.sampled_from(
        ["leaf", "page", "catching", "index", "default", "echo", "exposed", "archive", "by_call", "__class__"]
    ),
    st.sampled_from(["_cp_dispatch", "_cp_config", "exposed", "number", "", "%2F", "%00", "..", "."]),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="?#/"), max_size=8),
    st.binary(max_size=4).map(lambda data: "".join(f"%{octet:02X}" for octet in data)),
)


class Everything(Root, Popping, Dispatching):
    pass


@settings(max_examples=150, deadline=None)
@given(
    path=st.lists(SEGMENT, max_size=6).map(lambda parts: "/" + "/".join(parts)),
    query=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20),
    method=st.sampled_from(["GET", "POST", "HEAD", "DELETE", "TRACE", "BREW"]),
)
def test_any_path_gets_an_answer_and_never_an_exception(path: str, query: str, method: str) -> None:
    app = app_of(Everything())
    answer = ask(app, f"{path}?{query}" if query else path, method)
    assert answer.code in {200, 400, 404, 405, 500, 501}
    if answer.code == 500:
        # Only a program can cause it: _cp_dispatch that adds segments.
        assert "grow" in path


def test_a_field_of_the_query_or_the_body_cannot_speak_for_the_path() -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": "9"}
    app = app_of(Archive())

    assert ask(app, "/2026/11/?year=1999").text == "2026 11"
    assert ask(app, "/2026/11/", "POST", form, body=b"year=1999").text == "2026 11"
