"""An exchange becomes an answer: every way a program can fail, and how what it returns is framed."""

from __future__ import annotations

import asyncio
import io
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from kirsch.http.exchange import FileBody
from kirsch.server.answer import FileContent, _stream_of
from kirsch.server.phases import CLOSED, LINGER, WRITING
from tests.server.harness import GET, WAIT, Client, Log, serving
from tests.server.stage import Stage, Steady

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kirsch.http.exchange import Exchange

HTTP_1_0 = b"GET / HTTP/1.0\r\n\r\n"
HEAD = GET.replace(b"GET", b"HEAD")
OK = b"HTTP/1.1 200 OK"
BROKEN = b"HTTP/1.1 500 Internal Server Error"


class Boom(Exception):  # noqa: N818  what a program raises, by no rule of ours
    """An error of the program."""


class Body:
    """Content that counts how often it is closed, and raises the exceptions among its pieces."""

    def __init__(self, *pieces: Any, closing: BaseException | None = None) -> None:
        self.pieces = pieces
        self.closed = 0
        self.closing = closing

    def __iter__(self) -> Iterator[Any]:
        for piece in self.pieces:
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    def close(self) -> None:
        self.closed += 1
        if self.closing is not None:
            raise self.closing


class Show:
    """Answers one request after the other on a stage, each on a connection of its own."""

    def __init__(self, *, inline: bool) -> None:
        self.inline = inline
        self.stage = Stage()
        if inline:
            self.stage.gateway.kind = Steady()
        self.afters: list[Exchange] = []
        self.ended = False
        """Whether the last answer ended its connection."""

    def __call__(
        self,
        content: Any,
        request: bytes = GET,
        *,
        status: Any = "200 OK",
        fields: Any = (),
        gone: bool = False,
    ) -> tuple[bytes, bytes]:
        """Return head, without the stamp, and body as sent when the program answers `request` so.

        `content` may be a callable that is given the exchange; it is an exception that the program raises.
        """
        stage = self.stage
        if isinstance(content, Body):
            content.closed = 0

        def handle(exchange: Exchange) -> Any:
            exchange.after = lambda: self.afters.append(exchange)
            exchange.status = status
            exchange.fields = fields if isinstance(fields, list) else list(fields)
            if gone:
                stage.clients[-1].close()
            if isinstance(content, BaseException):
                raise content
            return content(exchange) if callable(content) else content

        stage.gateway.handle = handle
        connection = stage.connect(request)
        stage.batch(connection)
        stage.play()
        if not self.inline:
            stage.work()
            stage.play()
        self.ended = connection.state in {LINGER, CLOSED}
        assert len(self.afters) == 1, "the end of an exchange is told once"
        self.afters.clear()
        head, _, body = (b"" if gone else stage.received(-1)).partition(b"\r\n\r\n")
        own = [line for line in head.split(b"\r\n") if not line.startswith((b"Date:", b"Server:"))]
        return b"\r\n".join(own), body

    @property
    def log(self) -> list[str]:
        return self.stage.log.messages


@pytest.fixture(params=["leader", "pool"])
def show(request: pytest.FixtureRequest) -> Iterator[Show]:
    show = Show(inline=request.param == "leader")
    yield show
    show.stage.close()


def unchunked(body: bytes) -> list[bytes]:
    """Return the chunks of a whole chunked body."""
    chunks: list[bytes] = []
    while True:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        assert body[length : length + 2] == b"\r\n"
        if not length:
            assert body == b"\r\n"
            return chunks
        chunks.append(body[:length])
        body = body[length + 2 :]


# ---- failures before the head is out -------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(Boom("before"), id="raised"),
        pytest.param(asyncio.CancelledError(), id="cancelled"),
        pytest.param(Body(Boom("first")), id="at the first piece"),
        pytest.param(Body("text"), id="text"),
        pytest.param(Body(None), id="nothing as a piece"),
        pytest.param(Body(b"", 7), id="a number after an empty piece"),
        pytest.param(None, id="nothing"),
        pytest.param(7, id="a number"),
        pytest.param("text", id="text itself"),
        pytest.param(["text"], id="a list of text"),
        pytest.param([b"one", "two"], id="a list of both"),
        pytest.param((b"one", None), id="a tuple with nothing"),
        pytest.param(bytearray(b"text"), id="a bytearray, which iterates as numbers"),
    ],
)
def test_a_program_that_fails_before_the_head_is_out_gets_a_500(show: Show, content: Any) -> None:
    head, body = show(content)

    assert head.startswith(BROKEN)
    assert b"Connection: close" in head
    assert b"text" not in body
    assert show.ended
    assert show.log == ["The program failed on GET /."]
    assert show.stage.ends == []
    if isinstance(content, Body):
        assert content.closed == 1


@pytest.mark.parametrize(
    ("status", "fields", "content"),
    [
        pytest.param("", (), b"x", id="no status"),
        pytest.param("200", [("Content-Length", "2")], b"x", id="too short a body"),
        pytest.param("200", [("Content-Length", "1")], b"xx", id="too long a body"),
        pytest.param("200", [("Content-Length", "1")], Body(b"xx"), id="too long a first piece"),
        pytest.param("200", [("Content-Length", "1"), ("Content-Length", "1")], b"x", id="two lengths"),
        pytest.param("200", [("Content-Length", "-1")], b"x", id="a negative length"),
        pytest.param("200", [("Date", "now"), ("Content-Length", "2")], b"x", id="too short, with a date"),
        pytest.param("200", [("Connection", "close")], b"x", id="hop by hop"),
        pytest.param("200", [("X", "a\r\nY: b")], b"x", id="a split response"),
        pytest.param("200", [["X", "a"]], b"x", id="a list for a pair"),
        pytest.param("200", [["X", "a"]], Body(b"x"), id="a list for a pair, streamed"),
        pytest.param("200", [("X", 1)], b"x", id="a number for a value"),
        pytest.param("200", [7], b"x", id="a number for a pair"),
        pytest.param("204 No Content", (), b"x", id="a body where there is none"),
        pytest.param("304 Not Modified", (), b"x", id="a body where there is none either"),
        pytest.param("100 Continue", (), b"", id="an interim answer"),
    ],
)
def test_an_answer_against_the_rules_is_a_500(show: Show, status: str, fields: Any, content: Any) -> None:
    for _ in range(2):
        head, _ = show(content, status=status, fields=fields)

        assert head.startswith(BROKEN)
        assert b"Y: b" not in head
    if isinstance(content, Body):
        assert content.closed == 1


def test_a_500_in_answer_to_head_has_no_body(show: Show) -> None:
    head, body = show(Boom(), HEAD)

    assert head.startswith(BROKEN)
    assert body == b""


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("where", ["called", "first", "closed", "after"])
def test_an_order_to_end_is_passed_on_and_the_client_answered(
    show: Show, kind: type[BaseException], where: str
) -> None:
    body = Body(b"whole", closing=kind("end") if where == "closed" else None)

    def content(exchange: Exchange) -> Any:
        if where == "after":
            told = exchange.after
            assert told is not None

            def after() -> None:
                told()
                raise kind("end")

            exchange.after = after
        return {"called": kind("end"), "first": Body(kind("end"))}.get(where, body)

    def handle(exchange: Exchange) -> Any:
        made = content(exchange)
        if isinstance(made, BaseException):
            raise made
        return made

    head, _ = show(handle)

    assert head.startswith(OK if where in {"closed", "after"} else BROKEN)
    assert [type(each) for each in show.stage.ends] == [kind]
    if where in {"closed", "after"}:
        assert body.closed == 1


def test_an_error_after_the_answer_is_logged_and_the_connection_kept(show: Show) -> None:
    def content(exchange: Exchange) -> bytes:
        told = exchange.after
        assert told is not None

        def after() -> None:
            told()
            raise Boom

        exchange.after = after
        return b"fine"

    head, body = show(content)

    assert (head.startswith(OK), body) == (True, b"fine")
    assert not show.ended
    assert show.log == ["The end of a request raised an error."]


def test_a_500_is_counted_with_its_own_bytes() -> None:
    stage = Stage()
    stage.gateway.kind = Steady()
    connection = stage.connect(GET + HEAD)
    stage.gateway.handle = lambda exchange: Body("wrong") if exchange.head.method == "HEAD" else b"x" * 777
    stage.batch(connection)
    stage.play()
    assert connection.sent == 0

    connection = stage.connect(GET + GET)
    contents = iter([b"x" * 777, None])
    stage.gateway.handle = lambda _: next(contents)
    stage.batch(connection)
    stage.play()
    assert connection.sent == len(stage.received(1).rpartition(b"\r\n\r\n")[2])
    stage.close()


# ---- failures after the head is out --------------------------------------------------------------------


def test_an_error_in_the_middle_cuts_a_chunked_answer(show: Show) -> None:
    content = Body(b"one", Boom("middle"))

    head, body = show(content)

    assert head.startswith(OK)
    assert body == b"3\r\none\r\n", "no last chunk"
    assert show.ended
    assert content.closed == 1
    assert show.log == ["The program failed on GET /."]


@pytest.mark.parametrize("rest", [(Boom("middle"),), (), (b"",)])
def test_an_answer_shorter_than_declared_is_cut(show: Show, rest: Any) -> None:
    content = Body(b"one", *rest)

    head, body = show(content, fields=[("Content-Length", "6")])

    assert b"Content-Length: 6" in head
    assert body == b"one"
    assert show.ended
    assert content.closed == 1


def test_what_was_declared_is_sent_of_an_answer_that_is_too_long(show: Show) -> None:
    content = Body(b"one", b"three", b"five")

    head, body = show(content, fields=[("Content-Length", "6")])

    assert (b"Content-Length: 6" in head, body) == (True, b"onethr")
    assert show.ended
    assert show.log == ["The program failed on GET /."]
    assert content.closed == 1


@pytest.mark.parametrize("piece", ["text", 7, None])
def test_a_later_piece_of_the_wrong_type_cuts_the_answer(show: Show, piece: Any) -> None:
    content = Body(b"one", piece)

    _, body = show(content)

    assert body == b"3\r\none\r\n"
    assert content.closed == 1


def test_an_error_in_close_is_logged_and_the_answer_stands(show: Show) -> None:
    content = Body(b"one", closing=Boom("close"))

    _, body = show(content)

    assert unchunked(body) == [b"one"]
    assert content.closed == 1
    assert not show.ended
    assert show.log == ["Closing the content of a response raised an error."]


def test_errors_in_content_and_close_are_both_logged(show: Show) -> None:
    show(Body(b"one", Boom("middle"), closing=Boom("close")))

    assert show.log == [
        "The program failed on GET /.",
        "Closing the content of a response raised an error.",
    ]


def test_an_answer_without_framing_that_is_cut_ends_in_a_reset() -> None:
    more = threading.Event()

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"one"
        assert more.wait(WAIT)
        raise Boom

    log = Log()
    with serving(application, log=log) as server, Client(server) as client:
        client.send(HTTP_1_0)
        data = b""
        while not data.endswith(b"one"):
            data += client.sock.recv(100)
        more.set()
        with pytest.raises(ConnectionResetError):
            client.rest()
    assert log.messages == ["The program failed on GET /."]


def test_the_content_for_a_client_that_is_gone_is_closed(show: Show) -> None:
    content = Body(bytes(1000), bytes(1000))

    show(content, gone=True)

    assert content.closed == 1
    assert show.ended
    assert show.log == []


# ---- framing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"abc", [b"abc"], (b"abc",), [b"a", b"", b"bc"], (b"ab", b"c")])
@pytest.mark.parametrize("request_", [GET, HTTP_1_0], ids=["1.1", "1.0"])
def test_an_answer_that_is_there_as_a_whole_is_measured(show: Show, content: Any, request_: bytes) -> None:
    for _ in range(2):
        head, body = show(content, request_)

        assert head.startswith(OK)
        assert b"Content-Length: 3" in head
        assert body == b"abc"
        assert show.ended == (request_ == HTTP_1_0)


@pytest.mark.parametrize("content", [b"", [], (), [b""], [b"", b""]])
def test_an_empty_answer_has_length_zero(show: Show, content: Any) -> None:
    head, body = show(content)

    assert b"Content-Length: 0" in head
    assert body == b""
    assert not show.ended


@pytest.mark.parametrize("pieces", [(), (b"",), (b"",) * 1000])
def test_an_iterable_of_nothing_is_an_empty_body(show: Show, pieces: Any) -> None:
    content = Body(*pieces)

    head, body = show(content)

    assert b"Transfer-Encoding: chunked" in head
    assert unchunked(body) == []
    assert content.closed == 1


def test_empty_pieces_are_no_last_chunks(show: Show) -> None:
    content = Body(*[b""] * 500, b"one", *[b""] * 500, b"two")

    _, body = show(content)

    assert unchunked(body) == [b"one", b"two"]


def test_the_head_waits_for_the_first_piece_that_is_not_empty(show: Show) -> None:
    started: list[bool] = []

    def content(exchange: Exchange) -> Iterator[bytes]:
        yield b""
        started.append(exchange.started)
        yield b"one"
        started.append(exchange.started)

    show(content)

    assert started == [False, True]


def test_a_declared_length_frames_a_stream(show: Show) -> None:
    head, body = show(Body(b"one", b"two"), fields=[("Content-Length", "6")])

    assert b"Transfer-Encoding" not in head
    assert body == b"onetwo"
    assert not show.ended


def test_a_stream_to_http_1_0_ends_with_the_connection(show: Show) -> None:
    head, body = show(Body(b"one", b"two"), HTTP_1_0)

    assert b"Transfer-Encoding" not in head
    assert b"Connection: close" in head
    assert body == b"onetwo"
    assert show.ended


@pytest.mark.parametrize(
    ("content", "fields", "length"),
    [
        pytest.param(b"abc", (), b"3", id="whole"),
        pytest.param(b"", [("Content-Length", "3")], b"3", id="left out"),
        pytest.param(b"", (), None, id="nothing known"),
        pytest.param(b"abc", [("Content-Length", "9")], b"9", id="what the program says stands"),
        pytest.param(Body(b"abc"), (), None, id="streamed"),
        pytest.param(Body(b"abc", b"def"), [("Content-Length", "6")], b"6", id="streamed and declared"),
        pytest.param(Body(b"abc", Boom("never asked for")), (), None, id="not walked to its end"),
    ],
)
def test_an_answer_to_head_has_no_body(show: Show, content: Any, fields: Any, length: bytes | None) -> None:
    head, body = show(content, HEAD, fields=fields)

    assert head.startswith(OK)
    assert body == b""
    assert (b"Content-Length: %b" % (length or b"")) in head if length else b"Content-Length" not in head
    assert not show.ended
    assert show.log == []
    if isinstance(content, Body):
        assert content.closed == 1


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("content", [b"", [], Body(b"dropped"), Body()])
def test_a_status_without_body_has_none(show: Show, status: str, content: Any) -> None:
    head, body = show(content, status=status)

    assert head.startswith(b"HTTP/1.1 " + status.encode())
    assert body == b""
    assert b"Transfer-Encoding" not in head
    assert b"Content-Length" not in head
    assert not show.ended


def test_a_304_may_say_how_long_its_200_would_be_but_a_204_not(show: Show) -> None:
    head, _ = show(b"", status="304 Not Modified", fields=[("Content-Length", "77")])
    assert b"Content-Length: 77" in head

    head, _ = show(b"", status="204 No Content", fields=[("Content-Length", "0"), ("X", "y")])
    assert head == b"HTTP/1.1 204 No Content\r\nX: y"


@pytest.mark.parametrize("content", [b"abc", Body(b"abc")])
@pytest.mark.parametrize(
    ("own", "left"),
    [
        ([("Date", "now")], b"Server: Kirsch"),
        ([("Server", "mine")], b"Date: "),
        ([("dAte", "now"), ("seRver", "mine")], b""),
    ],
)
def test_a_programs_own_date_and_server_stand(show: Show, content: Any, own: Any, left: bytes) -> None:
    stage = show.stage
    show(content, fields=own)
    stage.gateway.handle = _answering(content, own)
    connection = stage.connect()
    stage.batch(connection)
    stage.play()
    if stage.pooled:
        stage.work()

    lines = stage.received(-1).partition(b"\r\n\r\n")[0].split(b"\r\n")
    stamped = [line for line in lines if line.lower().startswith((b"date:", b"server:"))]
    written = [f"{name}: {value}".encode() for name, value in own]
    assert stamped[: len(own)] == written
    assert len(stamped) == len(own) + bool(left)
    assert stamped[-1].startswith(left)


def _answering(content: Any, fields: Any) -> Callable[[Exchange], Any]:
    def handle(exchange: Exchange) -> Any:
        exchange.fields = fields
        return content

    return handle


def test_a_large_whole_answer_is_sent_whole(show: Show) -> None:
    stage = show.stage
    content = os.urandom(1_000_000)

    _, body = show(content)
    connection = next(iter(stage.loop.connections.values()))
    while connection.state == WRITING:
        stage.batch(connection)
        stage.play()
        body += stage.received(-1)

    assert body == content


def test_the_remembered_head_of_one_answer_is_not_that_of_another(show: Show) -> None:
    fields = [("X-A", "1"), ("X-B", "2")]
    assert b"X-A: 1\r\nX-B: 2" in show(b"abc", fields=fields)[0]

    assert show(b"abcd", fields=fields) == (
        b"HTTP/1.1 200 OK\r\nX-A: 1\r\nX-B: 2\r\nContent-Length: 4",
        b"abcd",
    )
    assert show(b"abcd", HEAD, fields=fields)[1] == b""
    assert show(b"abcd", status="404 Not Found", fields=fields)[0].startswith(b"HTTP/1.1 404 Not Found")
    assert b"Connection: close" in show(b"abcd", HTTP_1_0, fields=fields)[0]
    assert b"X-B" not in show(b"abcd", fields=fields[:1])[0]
    assert show(b"abc", fields=[("X-A", "1\r\nX-B: 2")])[0].startswith(BROKEN)


# ---- write() -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", [], b"three", Body(b"thr", b"ee")])
def test_pushed_pieces_come_before_the_content(show: Show, content: Any) -> None:
    def handle(exchange: Exchange) -> Any:
        exchange.link.push(exchange, b"one")
        assert exchange.started
        exchange.link.push(exchange, b"two")
        return content

    _, body = show(handle)

    rest = b"" if content in (b"", []) else b"three"
    assert b"".join(unchunked(body)) == b"onetwo" + rest


def test_pushed_pieces_count_against_the_declared_length(show: Show) -> None:
    def handle(exchange: Exchange) -> bytes:
        exchange.link.push(exchange, b"one")
        return b"four"

    _, body = show(handle, fields=[("Content-Length", "5")])

    assert body == b"onefo"
    assert show.ended


def test_pushed_pieces_in_answer_to_head_are_dropped(show: Show) -> None:
    def handle(exchange: Exchange) -> bytes:
        exchange.link.push(exchange, b"one")
        exchange.link.push(exchange, b"two")
        return b"three"

    head, body = show(handle, HEAD)

    assert (head.startswith(OK), body) == (True, b"")


# ---- files ---------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    return path


@pytest.mark.parametrize(
    ("offset", "fields", "expected"),
    [
        pytest.param(0, (), b"0123456789", id="whole"),
        pytest.param(4, (), b"456789", id="from where it stands"),
        pytest.param(4, [("Content-Length", "3")], b"456", id="as much as is declared"),
        pytest.param(10, (), b"", id="at its end"),
        pytest.param(99, (), b"", id="behind its end"),
    ],
)
def test_a_file_is_sent_from_its_position(
    show: Show, path: Path, offset: int, fields: Any, expected: bytes
) -> None:
    with path.open("rb") as file:
        file.seek(offset)
        content = FileContent(file)

        head, body = show(content, fields=fields)

        assert b"Content-Length: %d" % len(expected) in head
        assert body == expected
        assert file.closed
        assert not show.ended


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        pytest.param(2, 3, b"234", id="a part"),
        pytest.param(0, -1, b"0123456789", id="all, wherever it stands"),
        pytest.param(7, 99, b"789", id="no more than there is"),
        pytest.param(None, 2, b"56", id="from where it stands"),
        pytest.param(3, 0, b"", id="nothing"),
    ],
)
@pytest.mark.parametrize("descriptor", [True, False])
def test_a_part_of_a_file_is_sent_by_the_system_and_by_iterating_alike(
    show: Show, path: Path, descriptor: bool, start: int | None, length: int, expected: bytes
) -> None:
    file: Any = path.open("rb") if descriptor else io.BytesIO(path.read_bytes())
    with file:
        file.seek(5)

        head, body = show(FileBody(file, start, length))

        assert (body if descriptor else b"".join(unchunked(body))) == expected
        assert (b"Content-Length: %d" % len(expected) in head) is descriptor
        assert file.closed


def test_a_file_with_less_left_than_declared_is_a_500(show: Show, path: Path) -> None:
    with path.open("rb") as file:
        head, _ = show(FileContent(file), fields=[("Content-Length", "11")])

        assert head.startswith(BROKEN)
        assert file.closed


@pytest.mark.parametrize(
    ("request_", "status", "length"),
    [(HEAD, "200 OK", True), (GET, "304 Not Modified", False), (GET, "204 No Content", False)],
)
def test_a_file_is_not_sent_where_there_is_no_body(
    show: Show, path: Path, request_: bytes, status: str, length: bool
) -> None:
    with path.open("rb") as file:
        head, body = show(FileContent(file), request_, status=status)

        assert head.startswith(b"HTTP/1.1 " + status.encode())
        assert (b"Content-Length: 10" in head) is length
        assert body == b""
        assert file.closed


class _Bare:
    """An object with `read` and nothing else."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        return self._data.read(size)


@pytest.mark.parametrize("make", [io.BytesIO, _Bare])
def test_what_is_no_file_is_read_block_by_block(show: Show, make: Callable[[bytes], Any]) -> None:
    file = make(b"0123456789")

    head, body = show(FileContent(file, 4))

    assert b"Transfer-Encoding: chunked" in head
    assert unchunked(body) == [b"0123", b"4567", b"89"]
    if isinstance(file, io.BytesIO):
        assert file.closed


def test_a_pipe_is_read_block_by_block(show: Show) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"through a pipe")
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        _, body = show(FileContent(file))

        assert unchunked(body) == [b"through a pipe"]
        assert file.closed


def test_a_closed_file_is_a_500(show: Show, path: Path) -> None:
    file = path.open("rb")
    file.close()

    assert show(FileContent(file))[0].startswith(BROKEN)


def test_a_file_after_pushed_pieces_is_read_like_any_iterable(show: Show, path: Path) -> None:
    with path.open("rb") as file:

        def handle(exchange: Exchange) -> FileContent:
            exchange.link.push(exchange, b"first: ")
            return FileContent(file)

        _, body = show(handle)

        assert unchunked(body) == [b"first: ", b"0123456789"]
        assert file.closed


def test_a_file_for_a_client_that_is_gone_is_closed(show: Show, path: Path) -> None:
    with path.open("rb") as file:
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  a count

        show(FileContent(file), gone=True)

        assert file.closed
        # The file's own descriptor, and both ends of the connection that `show` made and that are closed.
        assert len(os.listdir("/proc/self/fd")) == before - 1  # noqa: PTH208  a count
        assert show.log == []


def test_a_file_cut_short_while_it_is_sent_cuts_the_answer(tmp_path: Path) -> None:
    path = tmp_path / "big"
    size = 30_000_000
    with path.open("wb") as file:
        file.truncate(size)

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](path.open("rb"))

    log = Log()
    with serving(application, log=log) as server, Client(server, SO_RCVBUF=4096) as client:
        client.send(GET)
        data = client.sock.recv(1000)
        assert b"Content-Length: %d" % size in data
        os.truncate(path, 1000)

        assert len(client.rest()) < size
        assert log.messages == []


def test_a_large_file_is_sent_while_no_thread_waits_for_it(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(os.urandom(1_000_000) * 10)

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](path.open("rb")) if environ["PATH_INFO"] == "/f" else [b"hello"]

    with serving(application, threads=1) as server, Client(server, SO_RCVBUF=4096) as client:
        client.send(GET.replace(b"/ ", b"/f ", 1))
        client.sock.recv(1, 2)  # MSG_PEEK: it has begun
        with Client(server) as probe:
            assert probe.get()[2] == b"hello"
        assert client.response()[2] == path.read_bytes()


# ---- defects -------------------------------------------------------------------------------------------


def test_a_response_without_a_stream_is_called_a_defect(show: Show) -> None:
    with pytest.raises(RuntimeError, match="defect of the server"):
        _stream_of(show.stage.connect(b""))
