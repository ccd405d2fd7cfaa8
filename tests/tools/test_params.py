"""Parameters as the annotations of the handler say."""

from __future__ import annotations

import decimal
import functools
from typing import TYPE_CHECKING, Any, Optional, Self

import pytest

from kirsch.web import expose
from tests.tools.helpers import Answer, ask, make

if TYPE_CHECKING:
    from kirsch.nowhere import Missing  # type: ignore[import-not-found]


class Upper(str):
    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        return super().__new__(cls, text.upper())


class Instance:
    exposed = True

    def __call__(self, n: int) -> str:
        return repr(n)


class Page:
    exposed = True

    def __init__(self, n: int = 0) -> None:
        self.n = n

    def __iter__(self) -> Any:
        return iter([repr(self.n)])


OF_C = functools.partial(repr)
OF_C.exposed = True  # type: ignore[attr-defined]


class Partial:
    exposed = True
    __call__ = functools.partial(lambda **more: repr(more))


class Root:
    instance = Instance()
    of_c = OF_C
    partial = Partial()
    cls = Page

    @expose
    def show(
        self,
        *,
        n: int = 0,
        f: float = 0,
        b: bool = False,
        u: int | None = None,
        o: Optional[float] = None,  # noqa: UP045  the old spelling is what is tried
        m: int | str = 0,
        d: decimal.Decimal = decimal.Decimal(0),
        up: Upper = Upper(""),  # noqa: B008  never called but here
        many: list[int] | Any = (),
        plain: str = "",
        anything: Any = None,
        **rest: Any,
    ) -> str:
        given = {name: value for name, value in locals().items() if name not in {"self", "rest"}}
        given |= rest
        defaults = {
            "n": 0,
            "f": 0,
            "b": False,
            "u": None,
            "o": None,
            "m": 0,
            "d": 0,
            "up": "",
            "many": (),
            "plain": "",
            "anything": None,
        }
        return repr(
            {name: value for name, value in given.items() if name not in defaults or value != defaults[name]}
        )

    @expose
    def lists(self, n: list[int], t: list = None, u: list[str] = ()) -> str:  # type: ignore[type-arg, assignment]  # noqa: RUF013  what is tried
        return repr((n, t, u))

    @expose
    def path(self, n: int, f: float, *rest: str, k: int = 0) -> str:
        return repr((n, f, rest, k))

    @expose
    def bare(self, n, t: tuple = ()) -> str:  # type: ignore[no-untyped-def, type-arg]  # noqa: ANN001  what is tried
        return repr((n, t))

    @expose
    def unknown(self, n: Missing) -> str:
        return repr(n)

    @expose
    def odd(self, n: decimal.Decimal) -> str:
        return repr(n)


def get(path: str, method: str = "GET", body: bytes | None = None, **keys: Any) -> Answer:
    named: dict[str, Any] = {f"params__{name}": value for name, value in keys.items()}
    fields = {"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {}
    return ask(make(Root(), params__on=True, **named), path, method, fields, body)


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("n=5", {"n": 5}),
        ("n=-5", {"n": -5}),
        ("f=1.5", {"f": 1.5}),
        ("b=1", {"b": True}),
        ("b=On", {"b": True}),
        ("b=no&n=1", {"n": 1}),
        ("b=&n=1", {"n": 1}),
        ("u=5", {"u": 5}),
        ("u=&n=1", {"n": 1}),
        ("o=1.5", {"o": 1.5}),
        ("m=5", {"m": 5}),
        ("m=five", {"m": "five"}),
        ("up=abc", {"up": "ABC"}),
        ("plain=5", {"plain": "5"}),
        ("anything=5", {"anything": "5"}),
        ("more=5", {"more": "5"}),
        ("", {}),
    ],
)
def test_values_are_converted(query: str, value: dict[str, Any]) -> None:
    assert get(f"/show?{query}").text == repr(value)
    assert ask(make(Root()), "/show?n=5").text == "{'n': '5'}"


def test_classes_of_any_kind_convert() -> None:
    assert get("/odd?n=1.50").text == "Decimal('1.50')"
    assert get("/instance?n=5").text == "5"
    assert get("/cls?n=5").text == "5"


@pytest.mark.parametrize(
    "query",
    ["n=x", "n=", "n=1.5", "n=" + "9" * 5000, "f=x", "b=maybe", "u=x", "n=1&n=2", "b=1&b=0", "n=%00"],
)
def test_what_cannot_be_converted_is_the_clients_mistake(query: str) -> None:
    answer = get(f"/show?{query}")
    assert answer.code == 400
    assert f"The parameter {query[0]} " in answer.text


def test_the_answer_to_it_can_be_chosen() -> None:
    assert get("/show?n=x", error=404).code == 404
    assert get("/odd?n=x").code == 500
    assert get("/odd?n=x", exception=(ValueError, ArithmeticError)).code == 400


def test_names_that_come_more_than_once_become_lists() -> None:
    assert get("/lists?n=1&n=2&t=a&u=b").text == "([1, 2], ['a'], ['b'])"
    assert get("/lists?n=1").text == "([1], None, ())"
    assert get("/lists?n=1&n=x").code == 400


def test_bodies_are_converted_too() -> None:
    assert get("/show", "POST", b"n=5&b=yes").text == "{'n': 5, 'b': True}"
    assert get("/show", "POST", b"n=x").code == 400


def test_segments_are_converted_in_their_places() -> None:
    assert get("/path/1/2.5/3/4?k=5").text == "(1, 2.5, ('3', '4'), 5)"
    assert get("/path/1?f=2").text == "(1, 2.0, (), 0)"
    assert get("/path/x/2").code == 400
    assert get("/path/1/2/3").text == "(1, 2.0, ('3',), 0)"
    assert get("/bare/1").text == "('1', ())"


def test_annotations_that_say_nothing_change_nothing() -> None:
    assert get("/bare?n=1&t=x").text == "('1', 'x')"
    assert get("/of_c/1").text == "'1'"
    assert get("/partial?n=1").text == "{'n': '1'}"
    assert get("/none?n=1").code == 404


def test_an_annotation_that_cannot_be_read_is_a_mistake_of_the_program(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert get("/unknown?n=1").code == 500
    assert "Missing" in caplog.text


def test_what_is_converted_already_stays() -> None:
    def early(request: Any, /) -> None:
        request.params["n"] = 7

    app = make(Root(), params__on=True)
    app.config["/"]["hooks.on_start_resource"] = early
    assert ask(app, "/show").text == "{'n': 7}"


def test_tools_that_are_pages_are_left_alone(tmp_path: Any) -> None:
    app = make(None, params__on=True)
    (tmp_path / "a.txt").write_text("file")
    app.root = type(
        "Holder",
        (),
        {"files": app.site.toolboxes["tools"].staticdir.handler(section="/files", dir=str(tmp_path))},
    )()
    assert ask(app, "/files/a.txt?section=/x").text == "file"
