"""Text in the charset that is asked for."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest

from kirsch.http import FileBody
from kirsch.tools.encode import known_charset
from kirsch.web import current, expose
from tests.tools.helpers import Answer, ask, make, wsgi

EURO = "zwölf €"


class Root:
    def __init__(
        self, body: Any = "zwölf", *, stream: bool = False, kind: str = "text/html; charset=utf-8"
    ) -> None:
        self.body, self.stream, self.kind = body, stream, kind

    @expose
    def index(self) -> Any:
        response = current().response  # type: ignore[union-attr]
        response.stream = self.stream
        response.headers["Content-Type"] = self.kind
        return self.body() if callable(self.body) else self.body


def get(root: Root, accept: str | None = None, **keys: Any) -> Answer:
    keys = {f"encode__{name}": value for name, value in keys.items()}
    return ask(
        make(root, encode__on=True, **keys), "/", fields={} if accept is None else {"Accept-Charset": accept}
    )


@pytest.mark.parametrize(
    ("accept", "charset"),
    [
        (None, "utf-8"),
        ("", "utf-8"),
        ("*", "utf-8"),
        ("iso-8859-1", "iso-8859-1"),
        ("iso-8859-1, utf-8;q=0.5", "iso-8859-1"),
        ("iso-8859-1;q=0.5, utf-8", "utf-8"),
        ("utf-16, utf-8;q=0.5", "utf-16"),
        ("Latin-1", "latin-1"),
        ("us-ascii, utf-8;q=0.1", "utf-8"),
        ("us-ascii", "iso-8859-1"),
        ("punycode, base64, rot13, utf-8;q=0.1", "utf-8"),
        ("x-unknown, utf-8;q=0.1", "utf-8"),
        (";;;q=", "utf-8"),
    ],
)
def test_the_client_chooses(accept: str | None, charset: str) -> None:
    answer = get(Root(), accept)
    assert answer.header("Content-Type") == f"text/html; charset={charset}"
    assert answer.body.decode(charset) == "zwölf"


@pytest.mark.parametrize("accept", ["us-ascii, iso-8859-1", "us-ascii, *;q=0", "iso-8859-1, utf-8;q=0"])
def test_a_charset_without_the_characters_is_passed_over_until_there_is_none(accept: str) -> None:
    answer = get(Root(EURO), accept)
    assert answer.code == 406
    assert answer.header("Content-Type") == "text/html; charset=utf-8"


def test_nothing_accepted_names_what_there_is() -> None:
    answer = get(Root(), "utf-8;q=0, iso-8859-1;q=0")
    assert answer.code == 406
    assert "utf-8" in answer.text


def test_the_charset_can_be_fixed() -> None:
    answer = get(Root(), None, encoding="iso-8859-1")
    assert (answer.body, answer.header("Content-Type")) == (b"zw\xf6lf", "text/html; charset=iso-8859-1")
    assert get(Root(), "utf-8, iso-8859-1;q=0.1", encoding="iso-8859-1").body == b"zw\xf6lf"
    assert get(Root(), "utf-8", encoding="iso-8859-1").code == 406


def test_the_default_can_be_another() -> None:
    assert get(Root(EURO), None, default_encoding="cp1252").body == EURO.encode("cp1252")
    answer = get(Root(EURO), None, default_encoding="iso-8859-1")
    assert answer.code == 500
    assert "cannot be written in iso-8859-1" in answer.text
    assert (
        get(Root(EURO), None, default_encoding="iso-8859-1", errors="xmlcharrefreplace").body
        == b"zw\xf6lf &#8364;"
    )


def test_the_type_may_stay_unnamed() -> None:
    answer = get(Root(kind="text/html; charset=x"), None, encoding="utf-16-le", add_charset=False)
    assert answer.header("Content-Type") == "text/html; charset=x"
    assert answer.body == "zwölf".encode("utf-16-le")


def test_other_types_are_left_alone_unless_told() -> None:
    assert get(Root(kind="application/json"), None, encoding="iso-8859-1").body == "zwölf".encode()
    answer = get(Root(kind="application/xml; a=b"), None, encoding="iso-8859-1", text_only=False)
    assert (answer.body, answer.header("Content-Type")) == (
        b"zw\xf6lf",
        "application/xml; a=b; charset=iso-8859-1",
    )
    odd = get(Root(kind="odd"), None, encoding="iso-8859-1", text_only=False)
    assert (odd.body, odd.header("Content-Type")) == (b"zw\xf6lf", "odd")


class Closing(list[Any]):
    closed = 0

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("pieces", [["zw", "ö", b"lf"], ("zwölf",), [b"zw\xf6lf", ""]])
def test_pieces_of_text_are_encoded_and_bytes_are_not(pieces: Any) -> None:
    assert get(Root(pieces), "iso-8859-1").body == b"zw\xf6lf"
    assert get(Root(lambda: iter(pieces)), "iso-8859-1").body == b"zw\xf6lf"
    body = Closing(pieces)
    assert get(Root(body), "iso-8859-1").body == b"zw\xf6lf"
    assert body.closed == 1


@pytest.mark.parametrize(
    "body",
    [b"zw\xf6lf", lambda: io.BytesIO(b"zw\xf6lf"), [b"zw\xf6lf"], None, lambda: FileBody(io.BytesIO(b"x"))],
)
@pytest.mark.parametrize("stream", [False, True])
def test_bytes_have_the_charset_they_have(body: Any, stream: bool) -> None:
    answer = get(Root(body, stream=stream, kind="text/plain; charset=latin-1"), "utf-16")
    assert answer.body in {b"zw\xf6lf", b"", b"x"}


def test_a_stream_is_encoded_as_it_is_produced() -> None:
    answer = get(Root(lambda: iter(["zw", b"-", "ölf"]), stream=True), "utf-16, utf-8;q=0.5")
    assert answer.header("Content-Type") == "text/html; charset=utf-16"
    assert answer.body.replace(b"-", b"").decode("utf-16") == "zwölf"
    body = Closing(["ö"])
    answer = get(Root(body, stream=True, kind="text/x; charset=latin-1"), "iso-8859-1", add_charset=False)
    assert (answer.body, answer.header("Content-Type"), body.closed) == (
        b"\xf6",
        "text/x; charset=latin-1",
        1,
    )


def test_what_is_no_body_is_still_a_mistake(caplog: pytest.LogCaptureFixture) -> None:
    assert get(Root(5)).code == 500
    assert get(Root(["a", 5])).code == 500
    assert "a handler returned int" in caplog.text


def test_a_handler_that_was_taken_away_is_left_alone() -> None:
    def take(request: Any, /) -> None:
        request.response.body = "taken"
        request.handler = None

    app = make(Root(), encode__on=True)
    app.config["/"]["hooks.before_handler"] = take
    assert ask(app).text == "taken"


def test_through_wsgi_it_is_the_same() -> None:
    assert (
        wsgi(make(Root(), encode__on=True), "/", fields={"Accept-Charset": "iso-8859-1"}).body == b"zw\xf6lf"
    )


@pytest.mark.parametrize(
    "name",
    ["idna", "punycode", "unicode_escape", "utf-7", "rot13", "base64", "zip", "", "a\0b", "none", "\xff"],
)
def test_codecs_that_are_no_charsets_or_slow_are_not_taken_from_clients(name: str) -> None:
    assert known_charset(name) is None


def test_a_long_field_is_read_in_no_time() -> None:
    root = Root("ö" * 10_000)
    get(root)
    begun = time.process_time()
    get(root, ",".join(f"x{n}" for n in range(10_000)) + ",idna")
    assert time.process_time() - begun < 0.2
