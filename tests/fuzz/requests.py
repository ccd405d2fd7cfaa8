"""Fuzzing of the server: mutated requests through real connections, on a loop that the fuzzer itself drives.

Invariants, for every input:

1. The server logs no error of its own, and no exception leaves it.
2. Every answer on the wire is well-formed HTTP/1.1, with one of the statuses a server may give.
3. Input in one piece and input byte by byte lead to the same answers.
4. A connection that was refused says no more: nothing behind a refused request is served.
5. The well-formed request that is sent on a new connection afterwards is answered.

Run `python -m tests.fuzz.requests --inputs 1000000`; a failure prints the input as a literal to repeat it
with.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import re
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

from kirsch.config import ServerSettings
from kirsch.server import WSGIGateway
from kirsch.server.connection import Connection
from kirsch.server.leader import Loop
from kirsch.server.phases import CLOSED, IDLE
from kirsch.server.pool import Pool, ThreadHooks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GOOD = b"GET /good HTTP/1.1\r\nHost: test\r\n\r\n"

SEEDS = [
    GOOD,
    b"GET / HTTP/1.0\r\n\r\n",
    b"HEAD /a?b=c HTTP/1.1\r\nHost: test:80\r\nAccept: */*\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n",
    b"GET http://test/x HTTP/1.1\r\nHost: test\r\nConnection: keep-alive, foo\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /p HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
    b"PUT /p HTTP/1.1\r\nHost: [::1]:8080\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    (
        b"POST /p HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'5;a=b;c="d"\r\nhello\r\nA\r\n0123456789\r\n0\r\nX-Trailer: y\r\n\r\n'
    ),
    b"POST /p HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
    b"GET / HTTP/1.1\r\nHost: t\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n",
    b"\r\nGET / HTTP/1.1\r\nHost: t\r\nCookie: a=b; c=d\r\nX: \xe9\r\n\r\n",
    GOOD + b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\nx" + GOOD,
]

TOKENS = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b",",
    b";",
    b"\x0b",
    b"\x80",
    b"\xff",
    b"\r\n\r\n",
    b"0\r\n\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 5, 5\r\n",
    b"Content-Length: +5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n",
    b"Host: other\r\n",
    b"Connection: close\r\n",
    b"Expect: 100-continue\r\n",
    b" folded\r\n",
    b"HTTP/1.1",
    b"HTTP/2.0",
    b"ffffffffffffffff",
    b"0x5",
    b"-1",
    b"_" * 300,
    b"a" * 9000,
    GOOD,
]

_HEAD = re.compile(
    rb"HTTP/1\.1 ([1-5][0-9][0-9]) [\t\x20-\x7e]*\r\n((?:[!-9;-~]+: [\t\x20-\x7e\x80-\xff]*\r\n)*)\r\n"
)
_STATUSES = {100, 200, 400, 408, 413, 414, 417, 431, 501, 505}
_PIECES = 400
"""Longer inputs are not sent byte by byte: their length is not what such a run is for."""


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer with what was understood."""
    body = environ["wsgi.input"].read()
    if len(body) != int(environ.get("CONTENT_LENGTH") or 0):
        raise AssertionError("A body was cut short before the program saw it.")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [repr((environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["QUERY_STRING"], body)).encode()]


class Driver:
    """A loop without threads: the pool's handlers run where they are put, and connections are fed by hand."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        pool = Pool(1, ThreadHooks(), "fuzz", self._log)
        self._tasks: list[tuple[Any, Any]] = []
        pool.put = lambda connection, exchange: self._tasks.append((connection, exchange))  # type: ignore[method-assign]
        self.loop = Loop(
            ServerSettings(max_body=100_000),
            WSGIGateway(application),
            [],
            pool,
            log=self._log,
            end=lambda error: self._log(repr(error)),
        )

    def _log(self, message: str, *, traceback: bool = False) -> None:
        self.errors.append(f"{message} {sys.exc_info()[1]!r}" if traceback else message)

    def run(self, pieces: Iterator[bytes]) -> tuple[bytes, bool]:
        """Send `pieces` on a new connection; return the answers, and whether the server closed."""
        client, accepted = socket.socketpair()
        client.settimeout(0)
        accepted.settimeout(0)
        connection = Connection(self.loop, accepted, ("192.0.2.1", 4711), "http", IDLE)
        self.loop.connections[connection.descriptor] = connection
        answers = b""
        try:
            for piece in pieces:
                with contextlib.suppress(BrokenPipeError):
                    client.send(piece)
                self._turn(connection)
                answers += self._answers(client)
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_WR)
            closed = bool(connection.state == CLOSED or connection.closing)
            self._turn(connection)
            self._turn(connection)
            answers += self._answers(client)
        finally:
            client.close()
            connection.close()
        return answers, closed

    def _turn(self, connection: Connection) -> None:
        for _ in range(64):
            if connection.state != CLOSED and not connection.busy:
                connection.on_event(5)
            elif connection.busy:
                connection.overhear(5)
            if not self._tasks and not self.loop._inbox:
                return
            while self._tasks:
                owner, exchange = self._tasks.pop()
                owner.answer(exchange)
                owner.release()
            while self.loop._inbox:
                self.loop._inbox.popleft()()
        raise AssertionError("A connection does not come to rest.")

    @staticmethod
    def _answers(client: socket.socket) -> bytes:
        data = b""
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while piece := client.recv(65536):
                data += piece
        return data

    def close(self) -> None:
        """Release the loop."""
        self.loop._end()


def parse(answers: bytes) -> list[tuple[int, bytes]]:
    """Return (status, body) of each answer; AssertionError when they are no well-formed HTTP/1.1."""
    found = []
    position = 0
    while position < len(answers):
        match = _HEAD.match(answers, position)
        assert match is not None, f"malformed answer {answers[position : position + 200]!r}"
        position = match.end()
        status = int(match[1])
        assert status in _STATUSES, f"unexpected status {status}"
        length = re.search(rb"(?i)^content-length: ([0-9]+)\r$", match[2], re.MULTILINE)
        # The seeds' one HEAD is the only answer whose length is not followed by as many bytes.
        size = int(length[1]) if length is not None else 0
        if answers[position : position + 5] == b"HTTP/" or position == len(answers):
            size = 0
        found.append((status, answers[position : position + size]))
        position += size
    return found


def mutate(chance: random.Random) -> bytes:
    """Return a request with a few bytes deleted, doubled, changed, cut off or put in, at random."""
    data = bytearray(chance.choice(SEEDS))
    for _ in range(chance.choice((0, 1, 1, 1, 2, 2, 3, 5))):
        at = chance.randrange(len(data) + 1)
        to = min(len(data), at + chance.choice((1, 1, 2, 5, 20)))
        move = chance.randrange(6)
        if move == 0:
            del data[at:to]
        elif move == 1:
            data[at:at] = data[at:to]
        elif move == 2:
            data[at:to] = bytes(chance.randrange(256) for _ in range(to - at))
        elif move == 3:
            del data[at:]
        elif move == 4:
            data[at:at] = chance.choice(TOKENS)
        else:
            data[at:to] = chance.choice(TOKENS)
    if chance.random() < 0.3:
        data += chance.choice((GOOD, b"junk", b"\r\n\r\n", b"\0"))
    return bytes(data)


def _outcome(answers: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Return what was served, and whether something was refused: a bad head may break several rules, and
    which one is met first depends on how much of it is there.
    """
    return [each if each[0] == 200 else (400, b"") for each in answers if each[0] != 100]


def check(driver: Driver, data: bytes) -> None:
    """Hold the invariants against one input; AssertionError says which one broke."""
    answers, closed = driver.run(iter([data]))
    assert not driver.errors, driver.errors
    whole = parse(answers)
    statuses = [status for status, _ in whole if status != 100]
    refused = [index for index, status in enumerate(statuses) if status >= 400]
    assert not refused or refused == [len(statuses) - 1], f"served after a refusal: {statuses}"
    if len(data) <= _PIECES:
        split, split_closed = driver.run(data[at : at + 1] for at in range(len(data)))
        assert not driver.errors, driver.errors
        pieces, same = _outcome(parse(split)), _outcome(whole)
        assert pieces == same, f"byte by byte {pieces}, whole {same}"
        assert split_closed == closed or not statuses, "closed in one way of sending only"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=None, help="repeat a run")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"{options.inputs} inputs, seed {seed}")
    chance = random.Random(seed)
    driver = Driver()
    begin = time.monotonic()
    for number in range(options.inputs):
        data = mutate(chance)
        try:
            check(driver, data)
        except Exception:
            print(f"input {number} of seed {seed} broke an invariant:\n{data!r}")
            raise
        if number % 1000 == 0:
            check(driver, GOOD)
        if number % 50_000 == 0 and number:
            print(f"{number} inputs in {time.monotonic() - begin:.0f} s, no invariant broken")
    driver.close()
    print(f"{options.inputs} inputs in {time.monotonic() - begin:.0f} s, no invariant broken")


if __name__ == "__main__":
    main()
