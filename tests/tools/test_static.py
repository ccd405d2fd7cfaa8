"""Files over HTTP: what is said of them, which part is sent and how."""

from __future__ import annotations

import io
import os
import time
from email import message_from_bytes
from typing import TYPE_CHECKING, Any

import pytest

from kirsch.http import FileBody, format_date
from kirsch.tools.static import media_type, serve_download, serve_file, serve_fileobj
from kirsch.web import Gateway, NoRequestError, Tree, current, expose
from tests.server.harness import Client, serving
from tests.server.stage import until
from tests.tools.folder import BIG, DATE, THEN, Nothing, app_of, get
from tests.tools.helpers import Answer, ask, make
from tests.web.helpers import make_exchange

if TYPE_CHECKING:
    from pathlib import Path


# ---- what it is ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.html", "text/html; charset=utf-8"),
        ("A.HTML", "text/html; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("a.json", "application/json"),
        ("a.svg", "image/svg+xml"),
        ("a.woff2", "font/woff2"),
        ("a.wasm", "application/wasm"),
        ("a.tar.gz", "application/gzip"),
        ("a.dwg", "image/x-dwg"),
        ("a.ico", "image/vnd.microsoft.icon"),
        ("a", "application/octet-stream"),
        ("a.qqq", "application/octet-stream"),
        (".html", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_the_type_follows_from_the_extension_on_every_machine(name: str, kind: str) -> None:
    assert media_type(name) == kind


@pytest.mark.parametrize(
    ("types", "kind"),
    [
        ({"txt": "text/x-own"}, "text/x-own; charset=utf-8"),
        ({".txt": "application/x-own"}, "application/x-own"),
        ({"txt": "text/plain; charset=latin-1"}, "text/plain; charset=latin-1"),
    ],
)
def test_a_program_may_know_better(root: Path, types: dict[str, str], kind: str) -> None:
    assert media_type("a.TXT", types) == kind
    assert get(app_of(root, content_types=types), "ten.txt").header("Content-Type") == kind


@pytest.mark.parametrize("path", ["unknown.qqq", "%3Cimg%20onerror%3E"])
def test_what_is_unknown_is_not_to_be_guessed_at(root: Path, path: str) -> None:
    answer = get(app_of(root), path)
    assert answer.header("Content-Type") == "application/octet-stream"
    assert answer.header("X-Content-Type-Options") == "nosniff"


def test_a_name_is_escaped_where_it_is_shown(root: Path) -> None:
    assert b"<img" not in get(app_of(root), "none%3Cimg%20onerror%3E").body


# ---- conditions ---------------------------------------------------------------------------------------


@pytest.fixture
def tag(still: Path) -> str:
    tag = get(app_of(still), "ten.txt").header("ETag")
    assert tag is not None
    return tag


EARLIER, LATER = format_date(THEN - 1), format_date(THEN + 1)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"If-None-Match": "TAG"}, 304),
        ({"If-None-Match": "W/TAG"}, 304),
        ({"If-None-Match": '"x", TAG'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"x"'}, 200),
        ({"If-None-Match": '"x"', "If-Modified-Since": DATE}, 200),
        ({"If-Modified-Since": DATE}, 304),
        ({"If-Modified-Since": LATER}, 304),
        ({"If-Modified-Since": EARLIER}, 200),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"If-Match": "TAG"}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": "W/TAG"}, 412),
        ({"If-Match": '"x"'}, 412),
        ({"If-Match": "TAG", "If-Unmodified-Since": EARLIER}, 200),
        ({"If-Unmodified-Since": DATE}, 200),
        ({"If-Unmodified-Since": EARLIER}, 412),
        ({"If-Unmodified-Since": "\xff" * 100}, 200),
        ({"If-None-Match": "TAG", "Range": "bytes=0-1"}, 304),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_conditions_are_those_of_rfc_9110(
    still: Path, tag: str, fields: dict[str, str], code: int, method: str
) -> None:
    fields = {name: value.replace("TAG", tag) for name, value in fields.items()}
    answer = ask(app_of(still), "/static/ten.txt", method, fields)
    assert answer.code == code
    if code == 304:
        assert answer.body == b""
        assert answer.header("ETag") == tag
        assert answer.header("Last-Modified") == DATE
        assert answer.header("Content-Type") is None
    if code == 412:
        assert answer.header("ETag") is None


def test_a_file_from_the_future_was_modified_now(root: Path) -> None:
    os.utime(root / "ten.txt", (2**40, 2**40))
    answer = get(app_of(root), "ten.txt")
    shown = answer.header("Last-Modified") or ""
    assert shown in {format_date(int(time.time()) - back) for back in range(5)}


# ---- ranges -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "body", "shown"),
    [
        ("bytes=0-0", b"0", "bytes 0-0/10"),
        ("bytes=2-5", b"2345", "bytes 2-5/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=0-99999999999999999999", b"0123456789", "bytes 0-9/10"),
        ("bytes=0-3,2-5", b"012345", "bytes 0-5/10"),
        ("bytes=0-0, 99-", b"0", "bytes 0-0/10"),
        ("BYTES=1-1", b"1", "bytes 1-1/10"),
    ],
)
def test_one_range_is_sent_alone(still: Path, field: str, body: bytes, shown: str) -> None:
    answer = get(app_of(still), "ten.txt", Range=field)
    assert (answer.code, answer.body, answer.header("Content-Range")) == (206, body, shown)
    assert answer.header("ETag") is not None


@pytest.mark.parametrize(
    "field",
    [
        *(
            "foo",
            "bytes",
            "bytes=",
            "bytes=a-b",
            "bytes=5-2",
            "bytes=--1",
            "bytes=1",
            "lines=0-1",
            "bytes=0-1;2",
        ),
        *(
            "bytes=\xb2-",
            "bytes=0x1-2",
            "bytes=-",
            ",",
            "bytes=" + "0-0," * 100 + "1-1",
            "bytes=" + "9" * 5000,
        ),
    ],
)
def test_a_field_that_is_no_range_is_ignored(still: Path, field: str) -> None:
    answer = get(app_of(still), "ten.txt", Range=field)
    assert (answer.code, answer.body) == (200, b"0123456789")


@pytest.mark.parametrize("field", ["bytes=10-", "bytes=99-100", "bytes=-0", "bytes=10-,20-"])
def test_a_range_outside_is_a_416_that_says_how_long_the_file_is(still: Path, field: str) -> None:
    answer = get(app_of(still), "ten.txt", Range=field)
    assert (answer.code, answer.header("Content-Range")) == (416, "bytes */10")


def test_an_empty_file_has_no_ranges(root: Path) -> None:
    assert get(app_of(root), "empty.txt", Range="bytes=0-").code in {200, 416}
    assert get(app_of(root), "empty.txt").body == b""


def test_head_and_http_1_0_are_not_answered_in_part(root: Path) -> None:
    app = app_of(root)
    assert get(app, "ten.txt", "HEAD", Range="bytes=0-1").code == 200
    assert ask(app, "/static/ten.txt", fields={"Range": "bytes=0-1"}, minor=0).code == 200


@pytest.mark.parametrize(
    ("value", "code"),
    [("TAG", 206), (DATE, 206), ("W/TAG", 200), ('"x"', 200), (EARLIER, 200), (LATER, 200), ("x", 200)],
)
def test_a_range_is_sent_only_of_the_file_it_is_meant_for(
    still: Path, tag: str, value: str, code: int
) -> None:
    answer = get(app_of(still), "ten.txt", Range="bytes=0-1", If_Range=value.replace("TAG", tag))
    assert answer.code == code


def parts(answer: Answer) -> list[tuple[str | None, str | None, bytes]]:
    kind = answer.header("Content-Type") or ""
    message = message_from_bytes(f"Content-Type: {kind}\r\n".encode() + answer.body)
    assert message.is_multipart()
    return [
        (part["Content-Type"], part["Content-Range"], part.get_payload(decode=True))  # type: ignore[union-attr, misc, index]
        for part in message.get_payload()
    ]


def test_several_ranges_are_parts(root: Path) -> None:
    answer = get(app_of(root), "ten.txt", Range="bytes=8-9, 0-1, 1-2")
    assert answer.code == 206
    assert answer.header("Content-Range") is None
    assert answer.header("Content-Length") == str(len(answer.body))
    kind = "text/plain; charset=utf-8"
    assert parts(answer) == [(kind, "bytes 8-9/10", b"89"), (kind, "bytes 0-2/10", b"012")]


def test_parts_of_a_large_file_are_read_in_blocks(root: Path) -> None:
    answer = get(app_of(root), "big.bin", Range="bytes=1-200000, 200002-200003")
    assert [found for _, _, found in parts(answer)] == [BIG[1:200001], BIG[200002:200004]]


def test_a_large_part_is_left_to_the_server(root: Path) -> None:
    answer = get(app_of(root), "big.bin", Range="bytes=100-")
    assert isinstance(answer.exchange.content, FileBody)
    assert answer.body == BIG[100:]
    assert answer.header("Content-Length") == str(len(BIG) - 100)


def test_more_ranges_than_allowed_are_the_whole_file(root: Path) -> None:
    app = app_of(root, max_ranges=2)
    assert get(app, "ten.txt", Range="bytes=0-0,2-2").code == 206
    assert get(app, "ten.txt", Range="bytes=0-0,2-2,4-4").code == 200


def test_ten_thousand_ranges_cost_next_to_nothing(root: Path) -> None:
    app = app_of(root)
    field = "bytes=" + ",".join(f"{n}-" for n in range(10_000))
    get(app, "big.bin")
    begun = time.process_time()
    answer = get(app, "big.bin", Range=field)
    assert time.process_time() - begun < 0.1
    assert answer.code == 200


# ---- called by handlers -------------------------------------------------------------------------------


class Calls:
    def __init__(self, call: Any) -> None:
        self.call = call

    @expose
    def index(self) -> Any:
        return self.call()


def called(call: Any, **fields: str) -> Answer:
    return ask(
        make(Calls(call)), "/", fields={name.replace("_", "-"): value for name, value in fields.items()}
    )


def test_a_handler_serves_a_file(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "kirsch.error")
    path = root / "ten.txt"
    assert called(lambda: serve_file(path, debug=True)).body == b"0123456789"
    assert "10 bytes" in caplog.text
    assert called(lambda: serve_file(str(path), "text/x-own"), Range="bytes=0-1").code == 206
    answer = called(lambda: serve_file(path, disposition="attachment", name="Größe \u20ac.txt"))
    assert answer.header("Content-Disposition") == (
        "attachment; filename=\"Gro_e _.txt\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%20%E2%82%AC.txt"
    )
    answer = called(lambda: serve_download(path))
    assert answer.header("Content-Type") == "application/x-download"
    assert answer.header("Content-Disposition") == 'attachment; filename="ten.txt"'


@pytest.mark.parametrize("name", ["docs", "none", "a\0b", "x" * 300])
def test_what_is_no_file_is_not_found(still: Path, name: str) -> None:
    assert called(lambda: serve_file(f"{still}/{name}", debug=True)).code == 404


def test_a_relative_path_is_a_mistake_of_the_program(caplog: pytest.LogCaptureFixture) -> None:
    assert called(lambda: serve_file("ten.txt")).code == 500
    assert "'ten.txt' is not an absolute path" in caplog.text


def test_a_name_that_would_split_the_head_is_refused_and_the_file_closed(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = (root / "ten.txt").open("rb")
    answer = called(lambda: serve_fileobj(file, disposition="attachment", name='"\r\nX: y'))
    assert answer.code == 500
    assert answer.header("X") is None
    assert file.closed
    assert "control character" in caplog.text


def test_there_must_be_a_request(root: Path) -> None:
    with pytest.raises(NoRequestError):
        serve_file(root / "ten.txt")


def test_an_open_file_is_served_from_where_it_stands(root: Path) -> None:
    def serve() -> Any:
        file = (root / "ten.txt").open("rb")
        file.seek(4)
        return serve_fileobj(file, name="x.txt")

    answer = called(serve)
    assert answer.body == b"456789"
    assert answer.header("Last-Modified") == DATE
    assert answer.header("Content-Type") == "text/plain; charset=utf-8"
    assert called(serve, Range="bytes=1-2").body == b"56"
    assert answer.header("ETag") != called(lambda: serve_file(root / "ten.txt")).header("ETag")


def test_bytes_in_memory_have_ranges_but_no_validators() -> None:
    answer = called(lambda: serve_fileobj(io.BytesIO(b"0123456789")), Range="bytes=-1")
    assert (answer.code, answer.body) == (206, b"9")
    assert answer.header("ETag") is None
    assert answer.header("Content-Type") == "application/octet-stream"


def test_what_cannot_seek_is_streamed() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"through a pipe")
    os.close(writing)
    answer = called(lambda: serve_fileobj(os.fdopen(reading, "rb"), "text/plain"), Range="bytes=0-1")
    assert (answer.code, answer.body, answer.header("Content-Length")) == (200, b"through a pipe", None)

    class Bare:
        def __init__(self) -> None:
            self.pieces = [b"a", b"b"]

        def read(self, size: int) -> bytes:
            return self.pieces.pop(0) if self.pieces else b""

    assert called(lambda: serve_fileobj(Bare())).body == b"ab"


def test_a_handler_may_pass_its_request(root: Path) -> None:
    app = make(Nothing())
    seen: list[Any] = []

    class Holder:
        @expose
        def index(self) -> Any:
            seen.append(current())
            return serve_file(root / "ten.txt", request=current())

    app.root = Holder()
    assert ask(app, "/").body == b"0123456789"
    assert seen


# ---- on the wire --------------------------------------------------------------------------------------


def test_the_real_server_sends_small_and_large_files_and_parts(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = app_of(root)
    tree = Tree(app.site)
    tree.mount(app)
    sent: list[int] = []
    real = getattr(os, "sendfile", None)
    if real is not None:

        def counting(*args: Any) -> int:
            count: int = real(*args)
            sent.append(count)
            return count

        monkeypatch.setattr(os, "sendfile", counting)
    with serving(Gateway(tree)) as server, Client(server) as client:
        for _ in range(2):
            line, fields, body = client.get(b"/static/ten.txt")
            assert (line, body) == (b"HTTP/1.1 200 OK", b"0123456789")
            assert fields[b"content-length"] == b"10"
        assert sent == []
        line, fields, body = client.get(b"/static/big.bin")
        assert (line, fields[b"content-length"], body) == (b"HTTP/1.1 200 OK", str(len(BIG)).encode(), BIG)
        until(lambda: real is None or sum(sent) == len(BIG))
        line, fields, body = client.get(b"/static/big.bin", b"Range: bytes=5-200004")
        assert (line, body) == (b"HTTP/1.1 206 Partial Content", BIG[5:200005])
        until(lambda: real is None or sum(sent) == len(BIG) + 200000)
        line, fields, body = client.get(b"/static/big.bin", b"Range: bytes=0-1,5-6")
        assert line == b"HTTP/1.1 206 Partial Content"
        assert fields[b"content-length"] == str(len(body)).encode()
        assert b"transfer-encoding" not in fields
        etag = fields[b"etag"]
        line, fields, body = client.get(b"/static/big.bin", b"If-None-Match: " + etag)
        assert (line, body) == (b"HTTP/1.1 304 Not Modified", b"")
        client.send(b"HEAD /static/big.bin HTTP/1.1\r\nHost: test\r\n\r\n")
        line, fields, body = client.response(head_only=True)
        assert fields[b"content-length"] == str(len(BIG)).encode()
        line, fields, body = client.get(b"/static/../secret.txt")
        assert line.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400"))


def test_a_file_cut_short_while_its_parts_are_sent_is_never_taken_for_whole(root: Path) -> None:
    exchange = make_exchange("/static/big.bin", fields={"Range": "bytes=0-99999, 150000-"})
    app = app_of(root)
    tree = Tree(app.site)
    tree.mount(app)
    Gateway(tree)(exchange)
    pieces = iter(exchange.content)
    declared = int(dict(exchange.fields)["Content-Length"])
    first = next(pieces)
    os.truncate(root / "big.bin", 10)
    assert len(b"".join((first, *pieces))) < declared  # type: ignore[arg-type]


def test_a_file_that_is_not_sent_after_all_is_closed(root: Path) -> None:
    """A 304, a 412 and a 416 open the file and send nothing of it."""
    app = app_of(root)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  a count
    for fields in ({"If_None_Match": "*"}, {"If_Match": '"x"'}, {"Range": "bytes=999999-"}):
        get(app, "big.bin", **fields)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208  a count
