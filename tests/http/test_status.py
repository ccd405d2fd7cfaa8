"""Status codes: names, what a program may set, and which go without a body."""

from __future__ import annotations

import http

import pytest

from kirsch.http.status import REASONS, no_body, no_content, reason, status_line, valid_status
from tests.http.text import anything, given


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (200, (200, "OK")),
        ("404", (404, "Not Found")),
        ("404 Gone fishing", (404, "Gone fishing")),
        ("404 ", (404, "Not Found")),
        ("404 \t", (404, "Not Found")),
        ("200 caf\xe9", (200, "caf\xe9")),
        (413, (413, "Content Too Large")),
        (414, (414, "URI Too Long")),
        (416, (416, "Range Not Satisfiable")),
        (422, (422, "Unprocessable Content")),
        (100, (100, "Continue")),
        (599, (599, "Server Error")),
        (299, (299, "Successful")),
        (http.HTTPStatus.CREATED, (201, "Created")),
    ],
)
def test_a_status_is_read_in_every_form(status: int | str, result: tuple[int, str]) -> None:
    assert valid_status(status) == result
    assert type(valid_status(status)[0]) is int


@pytest.mark.parametrize(
    "status",
    [0, 99, 600, -200, 1000, "", "99", "600", "2000", "200OK", "OK", " 200", "200\n", "200 a\r\nb",
     "200 a\x00", "+20", "200 \u20ac", "\u0662\u0660\u0660", "200 \x7f", "2_0"],
)  # fmt: skip
def test_what_would_break_the_status_line_is_refused_with_a_sentence(status: int | str) -> None:
    with pytest.raises(ValueError, match="is not an HTTP status"):
        valid_status(status)


def test_every_registered_code_has_its_line() -> None:
    assert status_line(404) == "404 Not Found"
    assert status_line(499) == "499 Client Error"
    for code, name in REASONS.items():
        assert reason(code) == name
        assert valid_status(status_line(code)) == (code, name)


def test_the_codes_without_body_and_without_content() -> None:
    codes = range(100, 600)
    assert [code for code in codes if no_body(code)] == [*range(100, 200), 204, 304]
    assert [code for code in codes if no_content(code)] == [*range(100, 200), 204, 205, 304]


@given(anything)
def test_any_text_is_a_status_or_refused(text: str) -> None:
    try:
        code, phrase = valid_status(text)
    except ValueError:
        return
    assert 100 <= code <= 599
    assert "\n" not in phrase
