"""What passes between server and gateway: defaults, look-ups, and what stays out of logs."""

from __future__ import annotations

import io
from typing import Any

import pytest

from kirsch.http.exchange import Address, Exchange, FileBody, Gateway, Link, RequestHead
from kirsch.http.pace import Pace


class Loopback:
    """A connection of the kind tests need: everything that is pushed is kept."""

    scheme = "http"
    peer: Address = ("127.0.0.1", 4711)
    local: Address = ("127.0.0.1", 80)

    def __init__(self) -> None:
        self.derived: Any = None
        self.pushed = b""

    def push(self, exchange: Exchange, data: bytes) -> None:
        self.pushed += data

    def tls_environ(self) -> dict[str, str]:
        return {}


class Echo:
    """A gateway that answers with the body it got."""

    exchange_type = Exchange

    def __init__(self) -> None:
        self.paces = {"GET": Pace(), "POST": Pace()}

    def __call__(self, exchange: Exchange) -> None:
        exchange.status = "200 OK"
        exchange.fields = [*exchange.fields, ("Content-Type", "text/plain")]
        exchange.content = exchange.body.read() if exchange.body else b""

    def pace(self, head: RequestHead) -> Pace:
        return self.paces[head.method]


@pytest.fixture
def head() -> RequestHead:
    fields = (("Host", "a"), ("Accept", "x"), ("ACCEPT", "y"), ("Cookie", "id=secret"))
    return RequestHead("GET", "/a%20b?c=d", "/a%20b", "c=d", 1, fields)


def test_a_head_keeps_what_was_received(head: RequestHead) -> None:
    assert (head.method, head.target, head.path, head.query, head.minor) == (
        "GET",
        "/a%20b?c=d",
        "/a%20b",
        "c=d",
        1,
    )
    assert head.fields[2] == ("ACCEPT", "y")


def test_a_head_without_more_said_has_no_body_and_stays_connected(head: RequestHead) -> None:
    assert (head.host, head.length, head.keep_alive, head.expect_continue) == ("", 0, True, False)
    other = RequestHead(
        "PUT", "/", "/", "", 0, (), host="b", length=-1, keep_alive=False, expect_continue=True
    )
    assert (other.host, other.length, other.keep_alive, other.expect_continue) == ("b", -1, False, True)


def test_a_field_is_found_in_any_case_and_the_first_counts(head: RequestHead) -> None:
    assert head.get("accept") == head.get("Accept") == "x"
    assert head.get("Nope") == ""
    assert head.get("Nope", "default") == "default"


def test_what_is_derived_belongs_to_one_head(head: RequestHead) -> None:
    twin = RequestHead(head.method, head.target, head.path, head.query, head.minor, head.fields)
    head.derived["test"] = 1
    head.shared["test"] = 1
    assert twin.derived == twin.shared == {}


def test_the_repr_of_a_head_shows_no_values_and_no_query(head: RequestHead) -> None:
    assert repr(head) == "<RequestHead GET /a%20b HTTP/1.1, 4 fields>"


def test_an_exchange_begins_unanswered(head: RequestHead) -> None:
    link: Link = Loopback()
    exchange = Exchange(head, None, 0, link)
    assert (exchange.head, exchange.body, exchange.length, exchange.link) == (head, None, 0, link)
    assert (exchange.status, exchange.fields, exchange.content) == ("", [], b"")
    assert not exchange.started
    assert exchange.after is None
    assert exchange.pace is None
    assert Exchange(head, None, 0, link).fields is not exchange.fields


def test_a_gateway_fills_the_exchange_in(head: RequestHead) -> None:
    gateway: Gateway = Echo()
    link: Link = Loopback()
    exchange = gateway.exchange_type(head, io.BytesIO(b"body"), 4, link)
    gateway(exchange)
    assert (exchange.status, exchange.fields, exchange.content) == (
        "200 OK",
        [("Content-Type", "text/plain")],
        b"body",
    )
    assert gateway.pace(head) is gateway.pace(head)


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        (None, -1, [b"23", b"45", b"67", b"89"]),
        (None, 3, [b"23", b"4"]),
        (0, 4, [b"01", b"23"]),
        (7, -1, [b"78", b"9"]),
        (8, 99, [b"89"]),
        (0, 0, []),
    ],
)
def test_a_file_body_is_a_part_of_its_file(start: int | None, length: int, expected: list[bytes]) -> None:
    file = io.BytesIO(b"0123456789")
    file.seek(2)
    body = FileBody(file, start, length, block=2)
    assert list(body) == expected
    assert not file.closed
    body.close()
    assert file.closed


def test_a_file_body_of_something_that_cannot_be_closed_closes_quietly() -> None:
    class Bare:
        def read(self, size: int) -> bytes:
            return b""

    body = FileBody(Bare())
    assert list(body) == []
    body.close()


@pytest.mark.parametrize("kind", [RequestHead, Exchange])
def test_neither_takes_attributes_nobody_declared(kind: type, head: RequestHead) -> None:
    thing = head if kind is RequestHead else Exchange(head, None, 0, Loopback())
    with pytest.raises(AttributeError):
        thing.whatever = 1  # type: ignore[union-attr]
