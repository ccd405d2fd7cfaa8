"""Forms in other charsets."""

from __future__ import annotations

from typing import Any

import pytest

from kirsch.web import expose
from tests.tools.helpers import Answer, ask, make

FORM = "application/x-www-form-urlencoded"


class Root:
    @expose
    def index(self, **params: Any) -> str:
        return repr(params)


def post(data: bytes, charset: str = "", method: str = "POST", **keys: Any) -> Answer:
    kind = f"{FORM}; charset={charset}" if charset else FORM
    keys = {f"decode__{name}": value for name, value in keys.items()}
    return ask(make(Root(), decode__on=True, **keys), "/", method, {"Content-Type": kind}, data)


LATIN, KOI = b"a=%E9", b"a=%C1"


@pytest.mark.parametrize(
    ("data", "charset", "keys", "value"),
    [
        (b"a=%C3%A9", "", {}, "é"),
        (LATIN, "latin-1", {}, "é"),
        (LATIN, "ISO-8859-1", {}, "é"),
        (KOI, "koi8-r", {}, "\u0430"),
        (LATIN, "", {"default_encoding": "latin-1"}, "é"),
        (LATIN, "", {"default_encoding": ["utf-8", "latin-1"]}, "é"),
        (b"a=%C3%A9", "", {"default_encoding": ["utf-8", "latin-1"]}, "é"),
        (LATIN, "utf-8", {"default_encoding": ["latin-1"]}, "é"),
        (LATIN, "utf-8", {"encoding": "latin-1"}, "é"),
        (LATIN, "idna", {"default_encoding": "latin-1"}, "é"),
        (LATIN, "x-none", {"encoding": ["utf-8", "latin-1"]}, "é"),
    ],
)
def test_the_first_charset_that_fits_is_taken(
    data: bytes, charset: str, keys: dict[str, Any], value: str
) -> None:
    assert post(data, charset, **keys).text == repr({"a": value})


@pytest.mark.parametrize(
    ("charset", "keys"), [("", {}), ("utf-8", {}), ("latin-1", {"encoding": "utf-8"}), ("ascii", {})]
)
def test_a_form_in_none_of_them_is_the_clients_mistake(charset: str, keys: dict[str, Any]) -> None:
    answer = post(LATIN, charset, **keys)
    assert answer.code == 400
    assert "not in the charset" in answer.text


def test_limits_hold() -> None:
    assert post(b"&".join([b"a=1"] * 1001)).code == 413


def test_other_bodies_and_requests_without_one_are_left_alone() -> None:
    app = make(Root(), decode__on=True)
    assert ask(app).text == "{}"
    assert ask(app, "/", "POST", {"Content-Type": "text/plain"}, b"a=1").text == "{}"


def test_a_charset_of_the_program_that_nobody_knows_is_a_mistake(caplog: pytest.LogCaptureFixture) -> None:
    assert post(b"a=1", encoding="x-none").code == 500
    assert "unknown encoding: x-none" in caplog.text
