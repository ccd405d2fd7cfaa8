"""Responses on the wire, byte by byte: framing, files, and what programs do wrong."""

from __future__ import annotations

import os
import sys
import threading
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from wsgiref.validate import validator

import pytest

from tests.server.programs import BROKEN, CLOSE, OK, TAIL, Content, Stage, answers, yields
from tests.server.wire import Client, get, serving, talk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.programs import Program


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    made = Stage()
    with serving(made) as made.live:
        yield made


@pytest.fixture(autouse=True)
def fresh(stage: Stage) -> Iterator[None]:
    """Every test starts with a kind of request the server knows nothing of, and an empty log."""
    stage.live.logged.clear()
    yield
    assert not [line for line in stage.live.logged if "of its own" in line]


# ---- framing ---------------------------------------------------------------------------------------


def test_a_list_is_sent_with_its_length(stage: Stage) -> None:
    for _ in range(3):
        assert stage.says(answers(b"hello")) == OK + b"Content-Length: 5\r\n" + TAIL + b"\r\nhello"
    assert stage.says(answers(b"he", b"", b"llo")) == OK + b"Content-Length: 5\r\n" + TAIL + b"\r\nhello"
    assert stage.says(answers()) == OK + b"Content-Length: 0\r\n" + TAIL + b"\r\n"


def test_fields_are_sent_as_the_program_ordered_them(stage: Stage) -> None:
    fields = (
        ("X-B", "1"),
        ("Set-Cookie", "a=b"),
        ("content-length", "2"),
        ("Set-Cookie", "c=d"),
        ("x-a", ""),
    )
    assert stage.says(answers(b"ok", fields=fields)) == (
        OK
        + b"X-B: 1\r\nSet-Cookie: a=b\r\ncontent-length: 2\r\nSet-Cookie: c=d\r\nx-a: \r\n"
        + TAIL
        + b"\r\nok"
    )


def test_the_programs_own_date_and_server_stand(stage: Stage) -> None:
    date = "Thu, 01 Jan 1970 00:00:00 GMT"
    says = talk(stage.live, b"")
    stage.program = answers(b"", fields=(("Date", date),))
    says = talk(stage.live, get("/"))
    assert says.count(b"Date:") == 1
    assert date.encode() in says
    assert b"Server: Kirsch\r\n" in says
    assert stage.says(answers(b"", fields=(("Server", "x"),))).count(b"Server:") == 1


def test_a_generator_is_sent_in_chunks(stage: Stage) -> None:
    says = stage.says(yields(b"hello", b"", b"x" * 20))
    assert says == (
        OK
        + b"Transfer-Encoding: chunked\r\n"
        + TAIL
        + b"\r\n5\r\nhello\r\n14\r\n"
        + b"x" * 20
        + b"\r\n0\r\n\r\n"
    )
    assert stage.says(yields()) == OK + b"Transfer-Encoding: chunked\r\n" + TAIL + b"\r\n0\r\n\r\n"


def test_a_generator_of_known_length_is_sent_as_it_is(stage: Stage) -> None:
    says = stage.says(yields(b"he", b"llo", fields=(("Content-Length", "5"),)))
    assert says == OK + b"Content-Length: 5\r\n" + TAIL + b"\r\nhello"


def test_the_connection_is_kept_after_every_framed_answer(stage: Stage) -> None:
    for program in (answers(b"x"), yields(b"x"), answers(status="204 No Content"), yields(b"", b"")):
        stage.program = program
        with Client(stage.live) as client:
            for _ in range(3):
                client.send(get("/"))
                client.answer()


@pytest.mark.parametrize("fields", [(), (("Content-Length", "5"),)])
def test_an_answer_to_head_is_the_same_head_alone(stage: Stage, fields: tuple[tuple[str, str], ...]) -> None:
    head = get("/", method="HEAD")
    whole = OK + b"Content-Length: 5\r\n" + TAIL + b"\r\n"
    assert stage.says(answers(b"hello", fields=fields), head) == whole
    if fields:
        # The program left the body out, as it may.
        assert stage.says(answers(fields=fields), head) == whole
        assert stage.says(yields(b"hello", fields=fields), head) == whole
    else:
        assert stage.says(answers(), head) == OK + TAIL + b"\r\n"
        assert stage.says(yields(b"hello"), head) == OK + TAIL + b"\r\n"


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_status_without_a_body_has_none(stage: Stage, status: str) -> None:
    line = f"HTTP/1.1 {status}\r\n".encode()
    assert stage.says(answers(status=status)) == line + TAIL + b"\r\n"
    length = (("Content-Length", "0"),) if status.startswith("204") else (("Content-Length", "5"),)
    kept = b"" if status.startswith("204") else b"Content-Length: 5\r\n"
    assert stage.says(answers(status=status, fields=length)) == line + kept + TAIL + b"\r\n"
    # With one, the program is wrong, and nothing of it may reach the next request.
    assert stage.says(answers(b"x", status=status)) == BROKEN

    def streams(_: object, start_response: Any) -> Iterator[bytes]:
        start_response(status, [])
        yield b""

    assert stage.says(streams) == line + TAIL + b"\r\n"


def test_http_1_0_gets_what_it_understands(stage: Stage) -> None:
    old = get("/", version="1.0")
    kept = get("/", "Connection: keep-alive", version="1.0")
    body = b"Content-Length: 5\r\n"
    assert stage.says(answers(b"hello"), old) == OK + body + TAIL + CLOSE + b"hello"
    assert stage.says(answers(b"hello"), kept) == OK + body + TAIL + b"Connection: keep-alive\r\n\r\nhello"
    # No chunks: the end of the connection is the end of the body.
    for request in (old, kept):
        assert stage.says(yields(b"he", b"llo"), request) == OK + TAIL + CLOSE + b"hello"
    assert stage.says(yields(b"hello", fields=(("Content-Length", "5"),)), kept) == (
        OK + body + TAIL + b"Connection: keep-alive\r\n\r\nhello"
    )


def test_the_last_answer_says_so(stage: Stage) -> None:
    closing = get("/", "Connection: close")
    assert stage.says(answers(b"x"), closing) == OK + b"Content-Length: 1\r\n" + TAIL + CLOSE + b"x"
    assert stage.says(yields(b"x"), closing) == (
        OK + b"Transfer-Encoding: chunked\r\n" + TAIL + CLOSE + b"1\r\nx\r\n0\r\n\r\n"
    )


def test_a_large_body_arrives_whole(stage: Stage) -> None:
    block = bytes(range(256)) * 256
    for program in (answers(block * 80), yields(*[block] * 80), answers(*[block] * 80)):
        stage.program = program
        with Client(stage.live) as client:
            client.send(get("/"))
            assert client.answer().body == block * 80


# ---- what programs do wrong ----------------------------------------------------------------------


def returns(content: Any) -> Program:
    """Return a program that returns what it must not."""

    def program(_: object, start_response: Any) -> Any:
        start_response("200 OK", [])
        return content

    return program


def starts(*arguments: Any) -> Program:
    """Return a program that calls start_response with what it must not."""

    def program(_: object, start_response: Any) -> list[bytes]:
        start_response(*arguments)
        return [b"body"]

    return program


def never_starts(_: object, __: object) -> list[bytes]:
    return [b"body"]


def starts_twice(_: object, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    start_response("200 OK", [])
    return [b"body"]


def writes_text(_: object, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])("text")
    return []


def raises(_: object, __: object) -> list[bytes]:
    raise ValueError("a secret of the program")


WRONG = {
    "an exception": raises,
    "a generator that raises first": yields(ValueError("a secret")),
    "no start_response": never_starts,
    "two start_responses": starts_twice,
    "text": returns(["text"]),
    "text in a list": returns([b"x", "text"]),
    "text in a generator": returns(iter(["text"])),
    "None": returns(None),
    "a number": returns(5),
    "a text as a whole": returns("text"),
    "write() of text": writes_text,
    "no status": starts("", []),
    "a status in bytes": starts(b"200 OK", []),
    "a number as status": starts(200, []),
    "a list as status": starts(["200 OK"], []),
    "an interim status": starts("100 Continue", []),
    "a status that splits": starts("200 OK\r\nX: y", []),
    "a status with LF": starts("200 OK\nX: y", []),
    "fields in a tuple": starts("200 OK", ()),
    "fields in a dict": starts("200 OK", {}),
    "a field in a list": starts("200 OK", [["X", "y"]]),
    "a field in bytes": starts("200 OK", [(b"X", b"y")]),
    "a value that splits": starts("200 OK", [("X", "y\r\n\r\n<script>")]),
    "a value with LF": starts("200 OK", [("X", "y\nZ: z")]),
    "a value with CR": starts("200 OK", [("X", "y\rZ: z")]),
    "a value with NUL": starts("200 OK", [("X", "y\x00")]),
    "a name that splits": starts("200 OK", [("X\r\nY", "z")]),
    "a name with a colon": starts("200 OK", [("X: y\r\nZ", "z")]),
    "no name": starts("200 OK", [("", "z")]),
    "a euro sign": starts("200 OK", [("X", "\u20ac")]),
    "Connection": starts("200 OK", [("Connection", "close")]),
    "Transfer-Encoding": starts("200 OK", [("Transfer-Encoding", "chunked")]),
    "Upgrade": starts("200 OK", [("upgrade", "x")]),
    "two lengths": starts("200 OK", [("Content-Length", "4"), ("content-length", "4")]),
    "a bad length": starts("200 OK", [("Content-Length", "4, 4")]),
    "a negative length": starts("200 OK", [("Content-Length", "-4")]),
    "a list too short": starts("200 OK", [("Content-Length", "5")]),
    "a list too long": starts("200 OK", [("Content-Length", "3")]),
    "an empty list with a length": answers(fields=(("Content-Length", "3"),)),
    "a generator with two lengths": yields(b"x", fields=(("Content-Length", "1"), ("Content-Length", "1"))),
    "a generator that splits": yields(b"x", fields=(("X", "\r\n"),)),
}


@pytest.mark.parametrize("program", [pytest.param(value, id=key) for key, value in WRONG.items()])
def test_a_wrong_program_is_a_plain_500_that_closes_and_a_line_in_the_log(
    stage: Stage, program: Program
) -> None:
    assert stage.says(program, get("/") + get("/next")) == BROKEN
    (line,) = stage.live.logged
    assert line.startswith("The program failed on GET /.")


def test_a_wrong_program_is_answered_to_head_without_a_body(stage: Stage) -> None:
    assert stage.says(raises, get("/", method="HEAD")) == BROKEN.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


def test_a_generator_that_yields_too_little_or_too_much_ends_the_connection(stage: Stage) -> None:
    head = OK + b"Content-Length: 5\r\n" + TAIL + b"\r\n"
    five = (("Content-Length", "5"),)
    twice = get("/") + get("/next")
    assert stage.says(yields(b"hell", fields=five), twice) == head + b"hell"
    assert stage.says(yields(b"he", b"llo!!", fields=five), twice) == head + b"hello"
    assert stage.says(yields(b"hello", b"!", fields=five), twice) == head + b"hello"
    assert stage.says(yields(fields=five), twice) == head
    assert [line.partition(" ApplicationError")[0] for line in stage.live.logged] == [
        "The program failed on GET /."
    ] * 4


def test_an_error_behind_the_head_ends_the_connection_before_the_body_does(stage: Stage) -> None:
    says = stage.says(yields(b"hello", ValueError("a secret")), get("/") + get("/next"))
    assert says == OK + b"Transfer-Encoding: chunked\r\n" + TAIL + b"\r\n5\r\nhello\r\n"


def test_an_error_behind_the_head_resets_a_connection_whose_end_would_be_the_bodys(stage: Stage) -> None:
    stage.program = yields(b"hello", ValueError("a secret"))
    with Client(stage.live) as client:
        client.send(get("/", version="1.0"))
        with pytest.raises(ConnectionResetError):
            b"".join(iter(lambda: client.sock.recv(1000), b""))


def test_exc_info_replaces_an_answer_that_is_not_out_and_raises_behind_one_that_is(stage: Stage) -> None:
    def program(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("X", "first")])
        if environ["PATH_INFO"] == "/late":
            yield b"hello"
        try:
            int("a secret")
        except ValueError:
            start_response("503 Later", [("X", "second")], sys.exc_info())
        yield b"sorry"

    assert stage.says(program) == (
        b"HTTP/1.1 503 Later\r\nX: second\r\nTransfer-Encoding: chunked\r\n"
        + TAIL
        + b"\r\n5\r\nsorry\r\n0\r\n\r\n"
    )
    assert stage.says(program, get("/late")) == (
        OK + b"X: first\r\nTransfer-Encoding: chunked\r\n" + TAIL + b"\r\n5\r\nhello\r\n"
    )
    assert "ValueError" in stage.live.logged[-1]


def test_write_sends_at_once(stage: Stage) -> None:
    seen = threading.Event()

    def program(_: object, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [])
        write(b"")
        write(b"he")
        assert seen.wait(10)
        write(b"llo")
        return [b"!"]

    stage.program = program
    with Client(stage.live) as client:
        client.send(get("/"))
        client.until(b"\r\n\r\n2\r\nhe\r\n")
        seen.set()
        assert client.until(b"0\r\n\r\n") == b"3\r\nllo\r\n1\r\n!\r\n0\r\n\r\n"


def test_a_generators_pieces_are_sent_as_they_come(stage: Stage) -> None:
    seen = threading.Event()

    def program(_: object, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"he"
        assert seen.wait(10)
        yield b"llo"

    stage.program = program
    with Client(stage.live) as client:
        client.send(get("/"))
        client.until(b"2\r\nhe\r\n")
        seen.set()
        client.until(b"3\r\nllo\r\n0\r\n\r\n")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "wrong"])
@pytest.mark.parametrize("pieces", [(), (b"a",), (b"a", b"b")])
@pytest.mark.parametrize("error", [None, ValueError])
def test_content_is_closed_once_whatever_happens(
    stage: Stage, method: str, status: str, pieces: tuple[bytes, ...], error: type[BaseException] | None
) -> None:
    content = Content(*pieces, error=error)

    def program(_: object, start_response: Any) -> Content:
        start_response(status, [])
        return content

    stage.says(program, get("/", method=method))
    content.check()


def test_content_is_closed_when_the_client_leaves(stage: Stage) -> None:
    left = threading.Event()

    class Endless(Content):
        def __iter__(self) -> Iterator[bytes]:
            yield b"x"
            assert left.wait(10)
            while True:
                yield b"x" * 65536

    content = Endless()

    def program(_: object, start_response: Any) -> Content:
        start_response("200 OK", [])
        return content

    stage.program = program
    with Client(stage.live) as client:
        client.send(get("/"))
        client.until(b"1\r\nx\r\n")
    left.set()
    content.check()
    # A client that leaves is no error of the program.
    assert not stage.live.logged


def test_a_close_that_raises_is_logged_and_the_answer_stands(stage: Stage) -> None:
    class Bad(Content):
        def close(self) -> None:
            raise ValueError("a secret")

    def program(_: object, start_response: Any) -> Content:
        start_response("200 OK", [("Content-Length", "1")])
        return Bad(b"x")

    assert stage.says(program) == OK + b"Content-Length: 1\r\n" + TAIL + b"\r\nx"
    assert stage.live.logged == ["Closing the content of a response raised an error. ValueError('a secret')"]


@pytest.mark.parametrize(
    ("request_bytes", "body"),
    [
        (get("/a%20b?c=d"), b"GET /a b c=d "),
        (get("/", method="HEAD"), b""),
        (get("/", version="1.0"), b"GET /  "),
        (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", b"OPTIONS   "),
        (
            b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Type: t/x\r\nContent-Length: 3\r\n\r\nabc",
            b"POST /x  abc",
        ),
        (
            b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            b"POST /x  abc",
        ),
    ],
)
def test_the_servers_side_of_the_contract_passes_the_validator(
    stage: Stage, request_bytes: bytes, body: bytes
) -> None:
    def program(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        if environ["REQUEST_METHOD"] == "HEAD":
            return []
        environ["wsgi.errors"].flush()
        line = " ".join(environ[key] for key in ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING"))
        return [line.encode() + b" " + environ["wsgi.input"].read(100)]

    says = stage.says(validator(program), request_bytes)
    assert stage.live.logged == []
    assert says.startswith(OK + b"Content-Type: text/plain\r\n")
    if body:
        assert body in says


# ---- files -----------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 4096)
    return path


def wraps(path: Path, *, offset: int = 0, fields: tuple[tuple[str, str], ...] = ()) -> Program:
    """Return a program that answers with a file through the server's wrapper."""

    def program(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", list(fields))
        file = path.open("rb")
        file.seek(offset)
        return environ["wsgi.file_wrapper"](file, 1000)

    return program


def test_a_file_is_sent_from_where_it_stands(stage: Stage, file: Path) -> None:
    whole = file.read_bytes()
    for offset in (0, 5, 1 << 20):
        head = OK + b"Content-Length: %d\r\n" % (len(whole) - offset) + TAIL + b"\r\n"
        assert stage.says(wraps(file, offset=offset)) == head + whole[offset:]


def test_of_a_file_no_more_is_sent_than_was_declared(stage: Stage, file: Path) -> None:
    length = (("Content-Length", "300000"),)
    says = stage.says(wraps(file, offset=7, fields=length), get("/") + get("/"))
    head = OK + b"Content-Length: 300000\r\n" + TAIL + b"\r\n"
    assert says == (head + file.read_bytes()[7:300_007]) * 2
    assert stage.says(wraps(file, offset=(1 << 20) - 1, fields=length)) == BROKEN


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_file_has_one_length_for_get_and_head(stage: Stage, file: Path, method: str) -> None:
    says = stage.says(wraps(file), get("/", method=method))
    assert says.startswith(OK + b"Content-Length: 1048576\r\n" + TAIL + b"\r\n")
    assert len(says.partition(b"\r\n\r\n")[2]) == (0 if method == "HEAD" else 1 << 20)


def test_what_is_no_file_on_disk_is_read(stage: Stage) -> None:
    closed = []

    class Memory(BytesIO):
        def close(self) -> None:
            closed.append(True)
            super().close()

    def program(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", "2500")])
        return environ["wsgi.file_wrapper"](Memory(b"x" * 2500), 1000)

    assert stage.says(program) == OK + b"Content-Length: 2500\r\n" + TAIL + b"\r\n" + b"x" * 2500

    def pipe(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [])
        reading, writing = os.pipe()
        os.write(writing, b"hello")
        os.close(writing)
        return environ["wsgi.file_wrapper"](os.fdopen(reading, "rb"))

    chunked = OK + b"Transfer-Encoding: chunked\r\n" + TAIL + b"\r\n5\r\nhello\r\n0\r\n\r\n"
    assert stage.says(pipe) == chunked
    assert closed == [True]


def test_files_sent_or_given_up_leave_no_descriptor(stage: Stage, file: Path) -> None:
    for _ in range(3):
        stage.says(wraps(file))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(20):
        stage.program = wraps(file)
        with Client(stage.live, buffer=4096) as client:
            client.send(get("/"))
            client.exactly(100 * number + 1)
    for _ in range(100):
        if len(list(Path("/proc/self/fd").iterdir())) <= before:
            break
        stage.says(answers(b"x"))
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
