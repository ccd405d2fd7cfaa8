"""Bodies of iterables in iterables."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from kirsch.http import FileBody
from kirsch.web import current, expose
from tests.tools.helpers import ask, make

if TYPE_CHECKING:
    from collections.abc import Iterator


class Root:
    def __init__(self, body: Any, *, stream: bool = False) -> None:
        self.body, self.stream = body, stream

    @expose
    def index(self) -> Any:
        current().response.stream = self.stream  # type: ignore[union-attr]
        return self.body() if callable(self.body) else self.body


def nested() -> Iterator[Any]:
    yield "a"
    yield (piece for piece in ["b", [b"c", ("d",)], []])
    yield "e"


def deep() -> Any:
    body: Any = "x"
    for _ in range(20_000):
        body = [body]
    return body


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("body", "text"),
    [
        (nested, "abcde"),
        (["a", ["b"]], "ab"),
        ([], ""),
        ("text", "text"),
        (b"bytes", "bytes"),
        (None, ""),
        (lambda: io.BytesIO(b"file"), "file"),
        (lambda: FileBody(io.BytesIO(b"part"), 1, 2), "ar"),
        (deep, "x"),
    ],
)
def test_it_becomes_one_sequence(body: Any, text: str, stream: bool) -> None:
    assert ask(make(Root(body, stream=stream), flatten__on=True)).text == text


@pytest.mark.parametrize("body", [{"a": 1}, ["a", 5], 5])
def test_what_is_no_body_is_still_none(body: Any) -> None:
    assert ask(make(Root(body), flatten__on=True)).code == 500


class Closing(list[Any]):
    def __init__(self, name: str, log: list[str], *pieces: Any) -> None:
        super().__init__(pieces)
        self.name, self.log = name, log

    def close(self) -> None:
        self.log.append(self.name)


def test_each_iterable_is_closed_when_it_ends() -> None:
    log: list[str] = []
    body = Closing("outer", log, "a", Closing("inner", log, "b"), "c")
    assert ask(make(Root(body), flatten__on=True)).text == "abc"
    assert log == ["inner", "outer"]


def test_all_that_are_open_are_closed_when_the_client_goes() -> None:
    log: list[str] = []
    body = Closing("outer", log, Closing("inner", log, "a", "b"), "c")
    response: Any = type("R", (), {"body": body})()
    request: Any = type("Q", (), {"response": response})()
    make(Root("")).site.toolboxes["tools"].flatten.callable(request)
    assert next(response.body) == "a"
    response.body.close()
    assert log == ["inner", "outer"]
    assert list(response.body) == []
