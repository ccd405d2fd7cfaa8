"""The exceptions: their family, what they accept, what they say."""

from __future__ import annotations

import re

import pytest

from kirsch.web import errors
from kirsch.web.errors import HTTPError, HTTPRedirect, InternalRedirect, KirschError, NotFound


def test_the_drawing_is_the_family() -> None:
    drawing = errors.__doc__ or ""
    lines = re.findall(r"^( +)(\w+)  ", drawing, re.MULTILINE)
    above: list[tuple[int, str]] = []
    drawn = {}
    for indent, name in lines:
        while above and above[-1][0] >= len(indent):
            above.pop()
        drawn[name] = above[-1][1] if above else "Exception"
        above.append((len(indent), name))
    real = {name: getattr(errors, name).__bases__[0].__name__ for name in errors.__all__}
    assert drawn == real


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (404, 404, "Not Found"),
        ("404", 404, "Not Found"),
        ("404 No such note", 404, "No such note"),
        (599, 599, "Server Error"),
    ],
)
def test_a_status_is_a_code_with_or_without_words(status: int | str, code: int, reason: str) -> None:
    error = HTTPError(status)
    assert (error.code, error.reason, error.status) == (code, reason, f"{code} {reason}")


@pytest.mark.parametrize("status", [200, 399, 600, "200 OK", "x", "404\r\n"])
def test_another_status_is_a_mistake(status: int | str) -> None:
    with pytest.raises(ValueError, match="status"):
        HTTPError(status)


def test_a_message_stands_for_the_sentence_of_the_code() -> None:
    assert str(HTTPError(404)) == "404 Not Found: Nothing matches the given URI"
    assert str(HTTPError(404, "gone fishing")) == "404 Not Found: gone fishing"
    assert str(HTTPError(599)) == "599 Server Error: "
    assert NotFound("/x").text("/y") == "The path '/x' was not found."
    assert NotFound().text("/y") == "The path '/y' was not found."


@pytest.mark.parametrize("error", [HTTPError(404), HTTPRedirect("/x")])
def test_an_instance_raises_itself_when_called(error: HTTPError | HTTPRedirect) -> None:
    with pytest.raises(type(error)) as caught:
        error()
    assert caught.value is error


def test_other_exceptions_can_be_turned_into_errors() -> None:
    with pytest.raises(HTTPError) as caught, HTTPError.handle(ValueError, 400):
        int("x")
    assert caught.value.code == 400
    assert "invalid literal" in caught.value.text("")
    with pytest.raises(HTTPError) as caught, HTTPError.handle((ValueError, KeyError), 409, "taken"):
        raise KeyError("x")
    assert caught.value.text("") == "taken"
    with pytest.raises(TypeError), HTTPError.handle(ValueError, 400):
        raise TypeError
    with HTTPError.handle(ValueError, 400):
        pass


@pytest.mark.parametrize("status", [200, 299, 306, 309, 400])
def test_a_redirect_has_a_status_of_a_redirect(status: int) -> None:
    with pytest.raises(ValueError, match="a redirect has a status of 300, 301"):
        HTTPRedirect("/x", status)


def test_a_redirect_takes_one_url_or_several() -> None:
    assert HTTPRedirect("/x").urls == ["/x"]
    assert HTTPRedirect(("/x", "/y"), 300).urls == ["/x", "/y"]
    assert HTTPRedirect("/x").status is None


@pytest.mark.parametrize(
    ("args", "path", "query"),
    [
        (("/x",), "/x", ""),
        (("/x?a=1",), "/x", "a=1"),
        (("/x", "b=2"), "/x", "b=2"),
        (("/x?a", "b"), "/x?a", "b"),
    ],
)
def test_an_internal_redirect_may_hold_its_query(args: tuple[str, ...], path: str, query: str) -> None:
    redirect = InternalRedirect(*args)
    assert (redirect.path, redirect.query_string) == (path, query)


def test_everything_is_one_family() -> None:
    assert all(issubclass(getattr(errors, name), KirschError) for name in errors.__all__)
    assert issubclass(errors.NoRequestError, AttributeError)
