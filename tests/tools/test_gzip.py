"""Pages compressed on their way out, or left alone."""

from __future__ import annotations

import gzip as standard
import io
import zlib
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from kirsch.http import FileBody
from kirsch.tools.gzip import CODINGS, _maker, compress, installed
from kirsch.web import Gateway, HTTPError, Tree, current, expose
from tests.server.harness import Client, serving
from tests.tools.helpers import Answer, ask, make, wsgi

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = "cherries " * 200


class Root:
    def __init__(self, body: Any = PAGE, *, stream: bool = False, status: int = 200, **fields: Any) -> None:
        self.body, self.stream, self.status = body, stream, status
        self.fields = fields

    @expose
    def index(self) -> Any:
        response = current().response  # type: ignore[union-attr]
        response.stream, response.status = self.stream, self.status
        for name, value in self.fields.items():
            response.headers[name.replace("_", "-")] = value
        return self.body() if callable(self.body) else self.body

    @expose
    def missing(self) -> str:
        raise HTTPError(404, PAGE)


def get(root: Root, accept: str | None = "gzip", path: str = "/", **keys: Any) -> Answer:
    keys = {f"gzip__{name}": value for name, value in keys.items()}
    fields = {} if accept is None else {"Accept-Encoding": accept}
    return ask(make(root, gzip__on=True, **keys), path, fields=fields)


def unpacked(answer: Answer) -> str:
    assert answer.header("Content-Encoding") == "gzip"
    assert answer.header("Content-Length") in {None, str(len(answer.body))}
    return standard.decompress(answer.body).decode()


@pytest.mark.parametrize(
    "body", [PAGE, PAGE.encode(), [PAGE], lambda: iter([PAGE]), lambda: io.BytesIO(PAGE.encode())]
)
def test_a_page_is_compressed(body: Any) -> None:
    answer = get(Root(body))
    assert unpacked(answer) == PAGE
    assert len(answer.body) < len(PAGE) // 10
    assert answer.header("Vary") == "Accept-Encoding"


def test_through_wsgi_it_is_the_same() -> None:
    answer = wsgi(make(Root(), gzip__on=True), "/", fields={"Accept-Encoding": "gzip"})
    assert unpacked(answer) == PAGE


@pytest.mark.parametrize(
    "accept", [None, "", "identity", "deflate", "gzip;q=0", "gzip;q=0.5, identity", "\xff", "gzip;q=2"]
)
def test_who_does_not_want_it_gets_the_page_as_it_is(accept: str | None) -> None:
    answer = get(Root(), accept)
    assert (answer.text, answer.header("Content-Encoding")) == (PAGE, None)
    assert answer.header("Vary") == "Accept-Encoding"


def test_who_wants_neither_is_told_what_there_is() -> None:
    answer = get(Root(), "identity;q=0, deflate")
    assert answer.code == 406
    assert "gzip" in answer.text
    # An error goes out as it is rather than not at all.
    assert get(Root(), "identity;q=0, deflate", "/missing").code == 404


def test_error_pages_are_compressed_too() -> None:
    answer = get(Root(), path="/missing")
    assert answer.code == 404
    assert PAGE in unpacked(answer)


@pytest.mark.parametrize(
    ("kind", "types", "done"),
    [
        ("text/html; charset=utf-8", ("text/html",), True),
        ("TEXT/HTML", ("text/html",), True),
        ("text/css", ("text/html", "text/plain"), False),
        ("text/css", ("text/*",), True),
        ("application/hal+json", ("application/*+json",), True),
        ("application/json", ("application/*+json",), False),
        ("application/x/y", ("application/*",), False),
        ("image/png", ("*/*",), True),
        ("text/html", (), False),
        ("", ("text/html",), False),
    ],
)
def test_types_are_chosen_by_pattern(kind: str, types: tuple[str, ...], done: bool) -> None:
    answer = get(Root(Content_Type=kind), mime_types=list(types))
    assert (answer.header("Content-Encoding") is not None) is done
    assert (answer.header("Vary") is not None) is done


@pytest.mark.parametrize(
    "body",
    ["", b"", None, "short", b"short", lambda: iter(["sh", "ort"]), FileBody(io.BytesIO(b"short"), 0, 5)],
)
def test_what_is_small_is_left_alone(body: Any) -> None:
    answer = get(Root(body))
    assert answer.header("Content-Encoding") is None
    assert answer.text in {"", "short"}


def test_the_least_size_can_be_chosen() -> None:
    assert unpacked(get(Root("short"), min_size=0)) == "short"
    assert get(Root(PAGE), min_size=10_000).header("Content-Encoding") is None
    assert get(Root(b"short", stream=True)).header("Content-Encoding") is None


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        (206, {"Content_Range": "bytes 0-1/5"}),
        (204, {}),
        (200, {"Content_Encoding": "x"}),
        (200, {"Cache_Control": "public, No-Transform"}),
    ],
)
def test_what_must_go_out_as_it_is_does(status: int, fields: dict[str, Any]) -> None:
    answer = get(Root(status=status, **fields))
    assert answer.header("Content-Encoding") in {None, "x"}
    assert answer.header("Vary") is None
    assert answer.code == status


def test_a_copy_from_the_cache_is_as_it_was_stored() -> None:
    app = make(Root(), gzip__on=True)

    def mark(request: Any, /) -> None:
        request.cached = True

    app.config["/"]["hooks.before_handler"] = mark
    assert ask(app, "/", fields={"Accept-Encoding": "gzip"}).text == PAGE


def test_fields_that_were_about_the_plain_bytes_change() -> None:
    answer = get(Root(ETag='"v1"', Accept_Ranges="bytes", Content_Length=str(len(PAGE)), Content_MD5="x"))
    assert unpacked(answer) == PAGE
    assert answer.header("ETag") == 'W/"v1"'
    assert answer.header("Accept-Ranges") is None
    assert answer.header("Content-MD5") is None


def test_a_304_speaks_of_what_the_client_has() -> None:
    app = make(Root(ETag='"v1"'), gzip__on=True, etags__on=True)
    packed = ask(app, "/", fields={"Accept-Encoding": "gzip"})
    assert packed.header("ETag") == 'W/"v1"'
    for accept, tag in (("gzip", 'W/"v1"'), ("identity", '"v1"'), ("identity;q=0", '"v1"')):
        answer = ask(app, "/", fields={"Accept-Encoding": accept, "If-None-Match": 'W/"v1"'})
        assert (answer.code, answer.header("ETag"), answer.header("Vary")) == (304, tag, "Accept-Encoding")


def test_a_stream_is_readable_piece_by_piece() -> None:
    answer = ask(
        make(Root(lambda: iter(["one", "two", PAGE]), stream=True), gzip__on=True),
        "/",
        fields={"Accept-Encoding": "gzip"},
    )
    assert unpacked(answer) == f"onetwo{PAGE}"
    coder = zlib.decompressobj(16 + zlib.MAX_WBITS)
    pieces = compress([b"one", b"two"])
    assert coder.decompress(next(pieces)) == b"one"
    assert coder.decompress(next(pieces)) == b"two"
    assert coder.decompress(next(pieces)) == b""
    assert coder.eof
    assert list(pieces) == []


def test_pieces_without_output_are_joined_with_the_next_where_nothing_waits() -> None:
    pieces = list(compress([b"a", b"b", b"c"], sync=False))
    assert standard.decompress(b"".join(pieces)) == b"abc"
    assert len(pieces) <= 2


class Closing:
    closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield b"x" * 1000

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("read", [0, 1, 9])
def test_what_is_streamed_is_closed_once_however_much_was_read(read: int) -> None:
    body = Closing()
    pieces = compress(body)
    for _ in range(read):
        next(pieces, None)
    pieces.close()  # type: ignore[attr-defined]
    assert body.closed == 1


def test_an_unacceptable_body_is_closed() -> None:
    body = Closing()
    assert get(Root(body, stream=True), "identity;q=0").code == 406
    assert body.closed == 1


@pytest.mark.parametrize("length", [-1, 2000])
def test_a_file_is_compressed_as_it_is_read(length: int) -> None:
    file = io.BytesIO(b"y" * 2000)
    answer = get(Root(FileBody(file, 0, length), Content_Length="2000"))
    assert unpacked(answer) == "y" * 2000
    assert file.closed


def test_a_static_file_is_compressed_and_its_parts_are_not(tmp_path: Any) -> None:
    (tmp_path / "a.txt").write_text("z" * 100_000)
    app = make(
        None, {"/s": {"tools.staticdir.on": True, "tools.staticdir.dir": str(tmp_path)}}, gzip__on=True
    )
    fields = {"Accept-Encoding": "gzip"}
    assert unpacked(ask(app, "/s/a.txt", fields=fields)) == "z" * 100_000
    part = ask(app, "/s/a.txt", fields={**fields, "Range": "bytes=0-999"})
    assert (part.code, part.header("Content-Encoding"), len(part.body)) == (206, None, 1000)


def test_text_is_compressed_in_its_charset() -> None:
    answer = get(Root("é" * 1000, Content_Type="text/plain; charset=latin-1"))
    assert standard.decompress(answer.body) == b"\xe9" * 1000
    streamed = get(Root(lambda: iter(["é" * 1000]), stream=True, Content_Type="text/plain; charset=latin-1"))
    assert standard.decompress(streamed.body) == b"\xe9" * 1000


def test_the_server_sends_it_whole_and_chunked() -> None:
    for root in (Root(), Root(lambda: iter([PAGE]), stream=True)):
        app = make(root, gzip__on=True)
        tree = Tree(app.site)
        tree.mount(app)
        with serving(Gateway(tree)) as server, Client(server) as client:
            _, fields, body = client.get(b"/", b"Accept-Encoding: gzip")
            assert fields[b"content-encoding"] == b"gzip"
            assert (b"transfer-encoding" in fields) is root.stream
            assert standard.decompress(body).decode() == PAGE


@pytest.mark.parametrize("level", [-1, 10])
def test_a_level_that_is_none_says_so(level: int, caplog: pytest.LogCaptureFixture) -> None:
    assert get(Root(), compress_level=level).code == 500
    assert "from 0 to 9" in caplog.text


def test_a_higher_level_packs_tighter() -> None:
    data = b"".join(b"%d cherries, " % (n * n) for n in range(2000))
    sizes = [len(b"".join(compress([data], level=level))) for level in (0, 1, 9)]
    assert sizes[0] > len(data) > sizes[1] > sizes[2]


def test_a_coding_nobody_knows_says_which_there_are(caplog: pytest.LogCaptureFixture) -> None:
    assert get(Root(), encodings=["rot13"]).code == 500
    assert "may hold br, zstd, gzip, not 'rot13'" in caplog.text


def test_a_coding_without_its_library_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    _maker.cache_clear()
    # As an attribute of the room the name is the tool's.
    monkeypatch.setattr(import_module("kirsch.tools.gzip"), "import_module", missing)
    try:
        assert installed() == ["gzip"]
        with pytest.raises(ValueError, match="the library for br is not installed: brotli or brotlicffi"):
            compress([b""], "br")
    finally:
        _maker.cache_clear()
    assert unpacked(get(Root(), "br, gzip", encodings=["gzip"])) == PAGE


@pytest.mark.parametrize("coding", [coding for coding in CODINGS if coding != "gzip"])
def test_a_coding_with_its_library_is_real(coding: str) -> None:
    if coding not in installed():
        pytest.skip(f"the library for {coding} is not installed; install the extra `compress`")
    if coding == "br":
        import brotli  # type: ignore[import-not-found, unused-ignore]

        decode = brotli.decompress
    else:
        from backports import zstd  # type: ignore[import-not-found, attr-defined, unused-ignore]

        decode = zstd.decompress
    answer = get(Root(), "gzip, deflate, br;q=1, zstd;q=1" if coding == "br" else coding)
    assert answer.header("Content-Encoding") == coding
    assert decode(answer.body) == PAGE.encode()
    streamed = list(compress([b"one", b"two" * 1000], coding))
    assert decode(b"".join(streamed)) == b"one" + b"two" * 1000
    assert len(streamed) == 3


@pytest.mark.parametrize(
    ("secret", "guess"), [("s3cr3t-t0k3n-of-the-session", "s3cr3t-t0k3n-of-the-session")]
)
def test_why_it_is_off_by_default(secret: str, guess: str) -> None:
    """Shows the leak the module warns of: the length tells a right guess from a wrong one."""

    secret = "s3cr3t-t0k3n-of-the-session"

    class Reflecting:
        @expose
        def index(self, q: str = "") -> str:
            return PAGE + f"<input value='{secret}'><p>{q}</p>"

    right, wrong = f"/?q={secret}", f"/?q={secret[::-1]}"
    fields = {"Accept-Encoding": "gzip"}
    on, off = make(Reflecting(), gzip__on=True), make(Reflecting())
    assert len(ask(on, right, fields=fields).body) < len(ask(on, wrong, fields=fields).body)
    assert len(ask(off, right, fields=fields).body) == len(ask(off, wrong, fields=fields).body)
