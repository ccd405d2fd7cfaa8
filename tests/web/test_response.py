"""What a handler sets, and what goes out."""

from __future__ import annotations

from io import BytesIO, StringIO
from typing import Any

import pytest

from kirsch.http import CookieError, FileBody, HeaderError
from kirsch.web import Response, current, expose
from kirsch.web.response import encode_body
from tests.web.helpers import app_of, ask


def finalized(body: Any = b"", status: Any = None, stream: bool = False, **fields: str) -> Any:
    response = Response()
    response.body, response.status, response.stream = body, status, stream
    for name, value in fields.items():
        response.headers[name.replace("_", "-")] = value
    return response.finalize()


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (None, "200 OK"),
        (204, "204 No Content"),
        ("201", "201 Created"),
        ("201 Made", "201 Made"),
        (299, "299 Successful"),
        (413, "413 Content Too Large"),
    ],
)
def test_a_status_becomes_a_line(status: int | str | None, line: str) -> None:
    assert finalized(status=status)[0] == line
    assert finalized(status=status)[0] == line


@pytest.mark.parametrize("status", [0, 99, 600, "OK", "200 OK\r\nX: y", "20", "200OK"])
def test_a_status_that_is_none_is_a_mistake(status: int | str) -> None:
    with pytest.raises(ValueError, match="status"):
        finalized(status=status)


@pytest.mark.parametrize("stream", [False, True])
def test_a_part_of_a_file_is_left_to_the_server(stream: bool) -> None:
    body = FileBody(BytesIO(b"0123456789"), 2, 3)
    _, fields, content = finalized(body, stream=stream)
    assert content is body
    assert ("Content-Length", "3") in fields
    unknown = FileBody(BytesIO(b"x"))
    assert "Content-Length" not in dict(finalized(unknown)[1])
    assert finalized(body, 304)[2] == b""
    assert body.file.closed


def test_a_part_of_a_file_can_be_collapsed() -> None:
    response = Response()
    response.body = FileBody(BytesIO(b"0123456789"), 2, 3)
    assert response.collapse_body() == b"234"


@pytest.mark.parametrize("body", ["é", ["é"]])
def test_text_is_collapsed_in_the_charset_it_will_be_sent_in(body: Any) -> None:
    response = Response()
    response.headers["Content-Type"] = "text/plain; charset=latin-1"
    response.body = body
    assert response.collapse_body() == b"\xe9"
    assert response.collapse_body() == b"\xe9"


def test_an_answer_that_is_a_file_goes_through_the_lifecycle() -> None:
    class Root:
        @expose
        def index(self) -> Any:
            return FileBody(BytesIO(b"0123456789"), 2, 3)

    answer = ask(app_of(Root()))
    assert (answer.body, answer.header("Content-Length")) == (b"234", "3")
    assert isinstance(answer.exchange.content, FileBody)


class Closing(list[Any]):
    closed = 0

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize(
    ("body", "content"),
    [
        (None, b""),
        ("é", b"\xc3\xa9"),
        (b"\xff", b"\xff"),
        (["a", b"b", "é"], b"ab\xc3\xa9"),
        (("a",), b"a"),
        (iter(["a", "b"]), b"ab"),
        ((piece for piece in ("a", "b")), b"ab"),
        (BytesIO(b"x" * 70000), b"x" * 70000),
        (StringIO("é"), b"\xc3\xa9"),
        ([], b""),
    ],
)
def test_bodies_become_bytes(body: Any, content: bytes) -> None:
    assert finalized(body)[2] == content


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (5, "a handler returned int"),
        ({"a": 1}, "tools.json_out"),
        ([5], "a body yielded int"),
        (object(), "object"),
    ],
)
def test_what_is_no_body_is_a_mistake_that_says_what_is(body: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        finalized(body)


def test_a_streamed_body_is_produced_piece_by_piece_and_closed() -> None:
    body = Closing(["a", b"b"])
    content = finalized(body, stream=True)[2]
    assert next(content) == b"a"
    assert body.closed == 0
    assert list(content) == [b"b"]
    assert body.closed == 1
    content.close()
    assert body.closed == 1


def test_a_streamed_body_that_was_never_begun_is_closed_too() -> None:
    body = Closing(["a"])
    finalized(body, stream=True)[2].close()
    assert body.closed == 1


@pytest.mark.parametrize("body", ["text", b"bytes", None])
def test_what_is_whole_is_never_streamed(body: Any) -> None:
    assert isinstance(finalized(body, stream=True)[2], bytes)


@pytest.mark.parametrize("code", [204, 205, 304])
def test_a_status_without_content_drops_it(code: int) -> None:
    body = Closing(["a"])
    _, fields, content = finalized(body, code, ETag='"x"', Content_Length="5")
    assert (fields, content, body.closed) == ([("ETag", '"x"')], b"", 1)


@pytest.mark.parametrize(
    ("kind", "sent", "content"),
    [
        ("text/html", "text/html; charset=utf-8", "é".encode()),
        ("text/plain", "text/plain; charset=utf-8", "é".encode()),
        ("TEXT/x", "TEXT/x; charset=utf-8", "é".encode()),
        ("text/plain; charset=iso-8859-1", "text/plain; charset=iso-8859-1", b"\xe9"),
        ('text/plain; Charset="latin-1"; x=y', 'text/plain; Charset="latin-1"; x=y', b"\xe9"),
        ("application/json", "application/json", "é".encode()),
        ("text/plain; charset=", "text/plain; charset=", "é".encode()),
    ],
)
def test_text_is_encoded_as_its_type_says(kind: str, sent: str, content: bytes) -> None:
    _, fields, body = finalized("é", Content_Type=kind)
    assert (dict(fields)["Content-Type"], body) == (sent, content)


def test_text_the_charset_cannot_express_is_a_mistake() -> None:
    with pytest.raises(UnicodeEncodeError):
        finalized("€", Content_Type="text/plain; charset=latin-1")


def test_a_content_length_the_program_set_becomes_true() -> None:
    assert dict(finalized("abc", Content_Length="99")[1])["Content-Length"] == "3"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "a\r\nSet-Cookie: b=c"),
        ("X-A", "a\nb"),
        ("X-A", "a\0b"),
        ("X-A\r\nX-B", "a"),
        ("", "a"),
        ("X A", "a"),
        ("X-A", "€"),
    ],
)
def test_fields_that_could_split_the_message_are_refused_when_set(name: str, value: str) -> None:
    with pytest.raises(HeaderError):
        Response().headers[name] = value


def test_cookies_go_out_checked() -> None:
    response = Response()
    response.set_cookie("a", "1", max_age=5)
    response.set_cookie("b", "2", http_only=False)
    response.set_cookie("b", "3")
    _, fields, _ = response.finalize()
    assert fields[1:] == [
        ("Set-Cookie", "a=1; Max-Age=5; Path=/; HttpOnly; SameSite=Lax"),
        ("Set-Cookie", "b=3; Path=/; HttpOnly; SameSite=Lax"),
    ]
    for value in ("a\r\nb", "a;b", "a b"):
        with pytest.raises(CookieError):
            response.set_cookie("c", value)


def test_finalizing_again_after_a_change_gives_the_change() -> None:
    response = Response()
    response.body = "a"
    response.finalize()
    response.status = 404
    response.body = "b"
    response.set_cookie("a", "1")
    response.finalize()
    assert response.finalize() == (response.output_status, response.header_list, b"b")
    assert response.output_status == "404 Not Found"
    assert len(response.header_list) == 2


def test_the_time_is_that_of_the_first_look() -> None:
    response = Response()
    assert response.time == response.time > 0


def test_pieces_can_be_encoded_in_another_charset() -> None:
    assert list(encode_body(["é", b"\xff"], "latin-1")) == [b"\xe9", b"\xff"]
    assert list(encode_body("é", "latin-1")) == [b"\xe9"]
    assert list(iter(encode_body(b"x"))) == [b"x"]


class Splitting:
    @expose
    def header(self, value: str) -> str:
        current().response.headers["X-Value"] = value  # type: ignore[union-attr]
        return ""

    @expose
    def cookie(self, value: str) -> str:
        current().response.set_cookie("a", value)  # type: ignore[union-attr]
        return ""

    @expose
    def status(self, value: str) -> str:
        current().response.status = value  # type: ignore[union-attr]
        return ""

    @expose
    def kind(self, value: str) -> str:
        current().response.headers["Content-Type"] = value  # type: ignore[union-attr]
        return ""


@pytest.mark.parametrize("page", ["header", "cookie", "status", "kind"])
@pytest.mark.parametrize("value", ["200 a%0d%0aSet-Cookie:%20x=y", "200 a%0ab", "200 a%0db", "200 a%00b"])
def test_input_that_reaches_a_field_splits_nothing(
    page: str, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = ask(app_of(Splitting()), f"/{page}?value={value.replace(' ', '%20')}")
    assert answer.code == 500
    assert all(char not in name + text for name, text in answer.fields for char in "\r\n\0")
    assert answer.header("Set-Cookie") is None
    assert caplog.records


def test_a_lone_surrogate_in_the_body_is_the_programs_mistake(caplog: pytest.LogCaptureFixture) -> None:
    class Wrong:
        @expose
        def index(self) -> str:
            return "\ud800"

    assert ask(app_of(Wrong()), "/").code == 500
