"""The access log: one line per answer, nothing forged, nothing lost but what the stream will not take."""

from __future__ import annotations

import json
import os
import re
import threading
from io import StringIO
from typing import IO, TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirsch.bus import Bus
from kirsch.config import ServerSettings
from kirsch.http.exchange import Exchange, RequestHead
from kirsch.server import Server, WSGIGateway, access
from kirsch.server.access import FORMATS, AccessLog, escape
from tests.server.harness import Client, Log, hello

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kirsch.server.connection import Connection

NOON = 1_700_000_000.9
"""2023-11-14 22:13:20 UTC."""


class Peer:
    """What the log reads of a connection."""

    def __init__(self, peer: str = "10.1.2.3", sent: int = 42) -> None:
        self.peer = (peer, 1234)
        self.sent = sent
        self.active = 0


def note(log: AccessLog, *, status: str = "200 OK", peer: Peer | None = None, **fields: str) -> None:
    """Note one answer."""
    named = tuple((name.replace("_", "-"), value) for name, value in fields.items())
    head = RequestHead("GET", '/a"b\\c', "/", "", 1, named, host="example")
    link: Any = peer or Peer()
    exchange = Exchange(head, None, 0, link)
    exchange.status = status
    log(cast("Connection", link), exchange)


def written(form: str, **what: Any) -> str:
    """Return the line for one answer."""
    stream = StringIO()
    log = AccessLog(form, stream, lambda: NOON)
    note(log, **what)
    waiting = [log.waiting]
    log.flush()
    waiting.append(log.waiting)
    assert waiting == [True, False]
    text = stream.getvalue()
    assert text.endswith("\n")
    assert text.count("\n") == 1
    return text[:-1]


def test_the_common_format() -> None:
    assert written("common") == (
        '10.1.2.3 - - [14/Nov/2023:22:13:20 +0000] "GET /a\\x22b\\x5cc HTTP/1.1" 200 42'
    )


def test_the_combined_format_adds_where_from_and_with_what() -> None:
    line = written("combined", Referer="http://x/", User_Agent='a"\x1b[2J\xe9')
    assert line.endswith(' 200 42 "http://x/" "a\\x22\\x1b[2J\\xe9"')
    assert written("combined").endswith(' 200 42 "-" "-"')


def test_the_json_format_is_one_object_with_times_in_utc() -> None:
    peer = Peer()
    found = json.loads(written("json", peer=peer, Referer="r", User_Agent="u\n"))
    assert found.pop("duration_us") > 0
    assert found == {
        "time": "2023-11-14T22:13:20Z",
        "client": "10.1.2.3",
        "method": "GET",
        "target": '/a"b\\c',
        "protocol": "HTTP/1.1",
        "status": 200,
        "bytes": 42,
        "host": "example",
        "referer": "r",
        "user_agent": "u\n",
    }


def test_an_end_without_a_name_and_an_answer_without_a_status_have_their_place() -> None:
    line = written("common", peer=Peer("", 0), status="")
    assert re.fullmatch(r'- - - \[[^]]+\] "GET [^"]+" - 0', line)
    assert json.loads(written("json", status=""))["status"] is None


@given(st.text(max_size=40))
def test_what_a_client_sends_stays_on_its_line_and_within_its_quotes(text: str) -> None:
    for form in FORMATS:
        line = written(form, User_Agent=text, Referer=text)
        assert re.fullmatch("[ -~]+", line)
    assert re.fullmatch(r'[^"]*', escape(text))
    assert escape('a b~!\\"\u20ac\U0001f352\x7f') == "a b~!\\x5c\\x22\\u20ac\\U0001f352\\x7f"


def test_a_second_is_formatted_once() -> None:
    now = [NOON]
    stream = StringIO()
    log = AccessLog("common", stream, lambda: now[0])
    note(log)
    when = log._when
    note(log)
    assert log._when is when
    now[0] += 1
    note(log)
    log.flush()
    assert re.findall(r"22:13:2\d", stream.getvalue()) == ["22:13:20", "22:13:20", "22:13:21"]


def test_nothing_to_write_writes_nothing() -> None:
    class Silent(StringIO):
        def write(self, _: str) -> int:
            raise AssertionError

    log = AccessLog("common", Silent())
    log.flush()
    log._write()
    assert not log.waiting


@pytest.mark.parametrize("error", [OSError("disk full"), ValueError("closed")])
def test_a_broken_stream_costs_the_lines_and_nothing_else(error: Exception) -> None:
    class Broken(StringIO):
        def write(self, _: str) -> int:
            raise error

    log = AccessLog("common", Broken())
    note(log)
    note(log)
    log.flush()
    assert (log.dropped, log.waiting) == (2, False)


def test_lines_nobody_takes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "_MOST_WAITING", 3)
    stream = StringIO()
    log = AccessLog("common", stream)
    for _ in range(5):
        note(log)
    log.flush()
    assert (log.dropped, stream.getvalue().count("\n")) == (2, 3)


def test_a_stream_that_blocks_holds_one_thread_and_loses_nothing() -> None:
    class Stuck(StringIO):
        entered, free = threading.Event(), threading.Event()

        def write(self, text: str) -> int:
            self.entered.set()
            assert self.free.wait(10)
            return super().write(text)

    stream = Stuck()
    log = AccessLog("common", stream)
    note(log)
    thread = threading.Thread(target=log.flush)
    thread.start()
    assert stream.entered.wait(10)
    note(log)
    # Returns at once; the line is written by the thread that is at it.
    log.flush()
    waiting = [log.waiting]
    stream.free.set()
    thread.join(10)
    waiting.append(log.waiting)
    assert waiting == [True, False]
    assert stream.getvalue().count("\n") == 2


def test_a_flush_is_asked_for_once_until_it_begins() -> None:
    stream = StringIO()
    log = AccessLog("common", stream)
    asked: list[Callable[[], None]] = []
    for _ in range(3):
        note(log)
        log.flush_by(asked.append)
    assert len(asked) == 1
    asked.pop()()
    assert stream.getvalue().count("\n") == 3
    note(log)
    log.flush_by(asked.append)
    assert len(asked) == 1


def test_no_line_is_lost_or_mixed_between_threads() -> None:
    stream = StringIO()
    log = AccessLog("common", stream)

    def work(number: int) -> None:
        for count in range(200):
            note(log, peer=Peer(f"t{number}", count))
            if count % 7 == 0:
                log.flush()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.flush()
    found = [(line.split()[0], int(line.split()[-1])) for line in stream.getvalue().splitlines()]
    assert sorted(found) == sorted((f"t{number}", count) for number in range(4) for count in range(200))


def test_only_a_file_on_disk_or_in_memory_never_blocks(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as pipe, (tmp_path / "log").open("w") as file:
        assert AccessLog("common", pipe).blocks
        assert not AccessLog("common", file).blocks
    os.close(reading)
    assert not AccessLog("common", StringIO()).blocks

    class Own:
        """Has `write` and `flush` alone."""

    assert not AccessLog("common", cast("IO[str]", Own())).blocks


def test_refused_requests_are_logged_too() -> None:
    stream = StringIO()
    server = Server(
        WSGIGateway(hello),
        ServerSettings(bind=("127.0.0.1:0",), access_log="common", max_body=10),
        log=Log(),
        access_stream=stream,
    )
    server.start()
    try:
        with Client(server) as client:
            client.send(b"GET /\x1b HTTP/1.1\r\n\r\n")
            client.rest()
        with Client(server) as client:
            client.send(b"POST /long HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n")
            client.rest()
    finally:
        server.stop()

    bad, large = stream.getvalue().splitlines()
    assert '"- - HTTP/1.1" 400 ' in bad
    assert '"POST /long HTTP/1.1" 413 ' in large


def test_a_line_is_written_soon_though_nothing_else_comes() -> None:
    written = threading.Event()

    class Stream(StringIO):
        def flush(self) -> None:
            written.set()

    settings = ServerSettings(bind=("127.0.0.1:0",), access_log="common", inline=False)
    server = Server(WSGIGateway(hello), settings, log=Log(), access_stream=Stream())
    server.start()
    try:
        with Client(server) as client:
            client.get()
            # The pool answered, and the leader sleeps: the thread that answered writes.
            assert written.wait(10)
    finally:
        server.stop()


def test_lines_that_wait_are_written_before_the_log_is_reopened() -> None:
    stream = StringIO()
    bus = Bus()
    server = Server(
        WSGIGateway(hello),
        ServerSettings(bind=("127.0.0.1:0",), access_log="common"),
        log=Log(),
        access_stream=stream,
    )
    server.subscribe(bus)
    seen: list[str] = []
    bus.subscribe("graceful", lambda: seen.append(stream.getvalue()))
    server.start()
    try:
        with Client(server) as client:
            client.get()
            # Its line is noted when the same connection has served another.
            client.get()
            bus.publish("graceful")
    finally:
        server.stop()
        server.unsubscribe()

    assert '"GET / HTTP/1.1" 200 5' in seen[0]
    server.flush()
