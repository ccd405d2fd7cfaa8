"""An application as a WSGI program, watched from both sides by `wsgiref.validate`."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from kirsch.web import Application, HTTPRedirect, current, expose
from kirsch.web.wsgi import Limited, exchange_from_environ
from tests.web.helpers import app_of, ask_wsgi, make_site


class Root:
    @expose
    def index(self, **params: Any) -> str:
        return f"index {sorted(params.items())}"

    @expose
    def read(self) -> bytes:
        return current().body.read()  # type: ignore[union-attr]

    @expose
    def lines(self) -> list[bytes]:
        return list(current().rfile)  # type: ignore[union-attr]

    @expose
    def about(self) -> str:
        request = current()
        assert request is not None
        return "|".join(
            [
                request.base,
                request.script_name,
                request.path_info,
                str(request.remote),
                str(request.local),
                str(request.protocol),
                str(request.exchange.link.tls_environ()),
                str(request.headers.get("X-Two-Words")),
            ]
        )

    @expose
    def nothing(self) -> None:
        current().response.status = 204  # type: ignore[union-attr]

    @expose
    def unchanged(self) -> str:
        raise HTTPRedirect([], 304)

    @expose
    def stream(self) -> Any:
        current().response.stream = True  # type: ignore[union-attr]
        return iter(["a", b"b"])

    @expose
    def sized(self) -> Any:
        response = current().response  # type: ignore[union-attr]
        response.headers["Content-Length"] = 1
        return "abc"

    @expose
    def push(self) -> str:
        request = current()
        assert request is not None
        return ""


@pytest.mark.parametrize(
    ("target", "method", "body", "status", "text"),
    [
        ("/", "GET", None, "200 OK", "index []"),
        ("/?a=1", "GET", None, "200 OK", "index [('a', '1')]"),
        ("/nowhere/at/all", "GET", None, "404 Not Found", None),
        ("/read", "POST", b"body", "200 OK", "body"),
        ("/read", "POST", b"", "200 OK", ""),
        ("/lines", "POST", b"a\nb\nc", "200 OK", "a\nb\nc"),
        ("/nothing", "GET", None, "204 No Content", ""),
        ("/unchanged", "GET", None, "304 Not Modified", ""),
        ("/stream", "GET", None, "200 OK", "ab"),
        ("/", "HEAD", None, "200 OK", ""),
        ("/stream", "HEAD", None, "200 OK", ""),
    ],
)
def test_requests_are_answered_to_the_letter(
    target: str, method: str, body: bytes | None, status: str, text: str | None
) -> None:
    answer = ask_wsgi(app_of(Root()), target, method, body=body)
    assert answer.status == status
    if text is not None:
        assert answer.text == text


def test_the_length_of_a_whole_body_is_declared_once() -> None:
    assert ask_wsgi(app_of(Root()), "/").header("Content-Length") == "8"
    assert ask_wsgi(app_of(Root()), "/", "HEAD").header("Content-Length") == "8"
    assert ask_wsgi(app_of(Root()), "/stream").header("Content-Length") is None
    assert ask_wsgi(app_of(Root()), "/nothing").header("Content-Length") is None
    lengths = [value for name, value in ask_wsgi(app_of(Root()), "/sized").fields if name == "Content-Length"]
    assert lengths == ["3"]


def test_what_the_environ_tells_reaches_the_request() -> None:
    environ = {
        "REMOTE_ADDR": "192.0.2.1",
        "REMOTE_PORT": "1234",
        "SERVER_PROTOCOL": "HTTP/1.0",
        "wsgi.url_scheme": "https",
        "HTTPS": "on",
        "SSL_PROTOCOL": "TLSv1.3",
        "HTTP_X_TWO_WORDS": "yes",
    }
    text = ask_wsgi(app_of(Root()), "/about", environ=environ, script_name="/app").text
    assert text.split("|") == [
        "https://example.test",
        "/app",
        "/about",
        "Host(ip='192.0.2.1', port=1234, name='192.0.2.1')",
        "Host(ip='127.0.0.1', port=8080, name='127.0.0.1')",
        "(1, 0)",
        "{'HTTPS': 'on', 'SSL_PROTOCOL': 'TLSv1.3'}",
        "yes",
    ]


def test_an_environ_with_little_in_it_will_do() -> None:
    environ: dict[str, Any] = {"REMOTE_PORT": "x", "CONTENT_LENGTH": "", "CONTENT_TYPE": ""}
    setup_testing_defaults(environ)
    started: list[Any] = []
    content = app_of(Root())(environ, lambda *args: started.append(args))
    assert b"".join(content) == b"index []"
    assert started[0][0] == "200 OK"


@pytest.mark.parametrize(
    ("own", "script_name", "path", "seen"),
    [
        ("", "", "/about", "|/about"),
        ("", "/outer", "/about", "/outer|/about"),
        ("/app", "", "/app/about", "/app|/about"),
        ("/app", "/app", "/about", "/app|/about"),
        ("/app", "/outer", "/about", "/outer|/about"),
        ("/app", "", "/about", "|/about"),
        (None, "/x", "/about", "/x|/about"),
    ],
)
def test_the_script_name_comes_from_who_mounted_it(
    own: str | None, script_name: str, path: str, seen: str
) -> None:
    app = Application(Root(), own, site=make_site())
    text = ask_wsgi(app, path, script_name=script_name).text
    assert "|".join(text.split("|")[1:3]) == seen


@pytest.mark.parametrize(("path", "found"), [("/Ã©", "/é"), ("/a b%", "/a b%"), ("/\xff", "/ÿ")])
def test_bytes_of_the_path_come_through_latin_1(path: str, found: str) -> None:
    environ: dict[str, Any] = {"PATH_INFO": path}
    setup_testing_defaults(environ)
    environ["PATH_INFO"] = path
    assert exchange_from_environ(environ, "")[1].text == found


@pytest.mark.parametrize(("length", "expected"), [("5", 5), ("", 0), ("x", 0), ("-1", 0), ("+5", 0)])
def test_only_digits_are_a_length(length: str, expected: int) -> None:
    environ: dict[str, Any] = {"CONTENT_LENGTH": length}
    setup_testing_defaults(environ)
    exchange, _ = exchange_from_environ(environ, "")
    assert (exchange.length, exchange.body is None) == (expected, expected == 0)


def test_a_body_that_ends_by_itself_is_read_to_its_end() -> None:
    environ = {
        "wsgi.input_terminated": True,
        "HTTP_TRANSFER_ENCODING": "chunked",
        "wsgi.input": BytesIO(b"all of it"),
    }
    assert ask_wsgi(app_of(Root()), "/read", "POST", environ).text == "all of it"
    form = {
        "wsgi.input_terminated": True,
        "HTTP_TRANSFER_ENCODING": "chunked",
        "wsgi.input": BytesIO(b"a=1"),
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
    }
    assert ask_wsgi(app_of(Root()), "/", "POST", form).text == "index [('a', '1')]"


def test_a_body_is_never_read_past_its_end() -> None:
    class Endless(BytesIO):
        """As a socket: reading past the declared length would block."""

        def read(self, size: int | None = -1) -> bytes:
            assert size is not None
            assert size > 0
            data = super().read(min(size, 3))
            assert data, "read past the end"
            return data

    body = Limited(Endless(b"one\ntwo\nmore"), 8)
    assert body.read(2) == b"on"
    assert body.readline() == b"e\n"
    assert body.readline(1) == b"t"
    assert body.read() == b"wo\n"
    assert (body.read(), body.read(5), body.readline()) == (b"", b"", b"")
    assert Limited(BytesIO(b"a\nb"), 3).readlines() == [b"a\n", b"b"]
    assert list(Limited(BytesIO(b"a\nb\nc"), 3)) == [b"a\n", b"b"]


def test_a_body_cut_short_is_no_whole_form() -> None:
    environ = {
        "CONTENT_LENGTH": "10",
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "wsgi.input": BytesIO(b"a=1"),
    }
    assert ask_wsgi(app_of(Root()), "/", "POST", environ).code == 400


def test_the_request_is_over_when_the_content_is_closed() -> None:
    ended: list[int] = []
    app = app_of(Root(), {"/": {"hooks.on_end_request": lambda: ended.append(1)}})
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    content: Any = app(environ, lambda *args: None)
    assert not ended
    content.close()
    content.close()
    assert ended == [1]


def test_a_streamed_body_is_closed_with_the_content() -> None:
    closed: list[int] = []

    class Streaming:
        _cp_config = {"response.stream": True}  # noqa: RUF012  as a program writes

        @expose
        def index(self) -> Any:
            try:
                yield "a"
                yield "b"
            finally:
                closed.append(1)

    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    content: Any = app_of(Streaming())(environ, lambda *args: None)
    assert next(iter(content)) == b"a"
    content.close()
    assert closed == [1]


def test_what_ends_the_program_goes_through_and_the_request_is_over() -> None:
    ended: list[int] = []

    class Ending:
        @expose
        def index(self) -> str:
            raise KeyboardInterrupt

    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    app = app_of(Ending(), {"/": {"hooks.on_end_request": lambda: ended.append(1)}})
    with pytest.raises(KeyboardInterrupt):
        app(environ, lambda *args: None)
    assert ended == [1]
    with pytest.raises(KeyboardInterrupt):
        app_of(Ending())(environ, lambda *args: None)


def test_writing_early_goes_through_write() -> None:
    written: list[bytes] = []
    environ: dict[str, Any] = {"kirsch.write": written.append}
    setup_testing_defaults(environ)
    exchange, _ = exchange_from_environ(environ, "")
    exchange.link.push(exchange, b"x")
    assert written == [b"x"]
