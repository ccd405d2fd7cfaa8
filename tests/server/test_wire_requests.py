"""Requests on the wire: raw bytes in, statuses out.

Every case of the table runs whole, byte by byte, and with bytes behind it. After an answer that closes,
nothing of those may be served; after another, the connection must serve the next request. The program echoes
what it saw, so a request that was taken apart wrongly shows.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.server.cases import GROUPS, SMUGGLED, Case
from tests.server.wire import Answer, Client, echo, get, serving, talk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.wire import Live

JUNK = b"\x01junk\r\n\r\n"
"""What follows a request that does not close; it must be refused by itself."""

CASES = [
    pytest.param(case, id=f"{group}: {case.name[:60]}") for group, cases in GROUPS.items() for case in cases
]


@pytest.fixture(scope="module")
def server() -> Iterator[Live]:
    with serving(echo) as live:
        yield live


def summary(answer: Answer) -> str:
    """Return an answer as the cases write it."""
    if answer.status != 200 or not answer.body:
        return str(answer.status)
    seen = json.loads(answer.body)
    return f"200 {seen['method']} {seen['target']} {seen['body']}".removesuffix(" ")


def read(client: Client, expected: list[str]) -> list[str]:
    """Read as many answers as are expected; 100 (Continue) may come before any of them."""
    found = []
    for wanted in expected:
        head = wanted == "200 HEAD"
        answer = client.answer("HEAD" if head else "GET")
        if answer.status == 100:
            answer = client.answer()
        assert answer.status != 100
        found.append("200 HEAD" if head and answer.status == 200 else summary(answer))
        closes = answer.get("Connection") == "close"
        if closes:
            break
    return found


def check_end(client: Client, case: Case) -> None:
    """Require that the connection ends, or serves another request, as the case says."""
    if case.closes:
        assert client.ended()
        return
    client.send(get("/next"))
    assert read(client, ["200 GET /next"]) == ["200 GET /next"]


@pytest.mark.parametrize("case", CASES)
def test_a_request_sent_whole_is_answered_as_the_rules_say(server: Live, case: Case) -> None:
    with Client(server) as client:
        client.send(case.data)
        assert read(client, case.expected) == case.expected
        check_end(client, case)


@pytest.mark.parametrize("case", CASES)
def test_a_request_sent_byte_by_byte_is_answered_the_same(server: Live, case: Case) -> None:
    with Client(server) as client:
        # Long ones in pieces of some bytes, for time's sake.
        client.send(case.data, min(len(case.data), 400))
        assert read(client, case.expected) == case.expected
        check_end(client, case)


@pytest.mark.parametrize("case", CASES)
def test_what_follows_a_request_is_served_only_when_nothing_was_in_doubt(server: Live, case: Case) -> None:
    expected = case.expected if case.closes else [*case.expected, "400"]
    with Client(server) as client:
        client.send(case.data + (SMUGGLED if case.closes else JUNK))
        assert read(client, expected) == expected
        assert client.ended()


MIXED = (
    b"\r\nPOST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n\r\n"
    b"PUT /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"1;a=b\r\n\r\r\n1\r\n\n\r\n0\r\nX: y\r\n\r\n"
    b"GET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /4 HTTP/1.1\r\nHost: a\r\n\r\n"
)


def test_wherever_requests_are_cut_in_two_they_are_read_the_same(server: Live) -> None:
    for cut in range(1, len(MIXED)):
        with Client(server) as client:
            client.send(MIXED[:cut])
            client.send(MIXED[cut:])
            expected = ["200 POST /1 \r\n", "200 PUT /2 \r\n", "200 GET /3"]
            assert read(client, expected) == expected, cut
            assert client.ended(), cut


@pytest.mark.parametrize(
    "data",
    [
        b"G",
        b"GET /a HTTP/1.1\r\nHost: a\r\n",
        b"GET /a HTTP/1.1\r\nHost: a\r\n\r",
        b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell",
        b"POST /a HTTP/1.0\r\nContent-Length: 5\r\n\r\nhell",
        b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello",
        b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n",
    ],
)
@pytest.mark.parametrize("before", [b"", get("/first")])
def test_a_request_cut_short_never_reaches_the_program(server: Live, before: bytes, data: bytes) -> None:
    with Client(server) as client:
        client.send(before + data)
        client.end()
        if before:
            assert summary(client.answer()) == "200 GET /first"
        assert client.answer().status == 400
        assert client.ended()


def test_an_end_between_requests_is_no_error(server: Live) -> None:
    assert talk(server, b"") == b""
    assert talk(server, get("/a")).count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("framing", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
def test_a_client_that_expects_it_is_told_to_continue(server: Live, framing: bytes) -> None:
    with Client(server) as client:
        client.send(b"POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n" + framing + b"\r\n\r\n")
        assert client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hello" if b"5" in framing else b"5\r\nhello\r\n0\r\n\r\n")
        assert summary(client.answer()) == "200 POST /a hello"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (b"Content-Length: 104857601\r\nExpect: 100-continue", 413),
        (b"Content-Length: 5\r\nExpect: something", 417),
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue", 400),
        (b"Transfer-Encoding: gzip, chunked\r\nExpect: 100-continue", 501),
    ],
)
def test_a_client_that_expects_it_is_refused_before_it_sends(
    server: Live, fields: bytes, status: int
) -> None:
    with Client(server) as client:
        client.send(b"POST /a HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n\r\n")
        assert client.answer().status == status
        assert client.ended()


def test_the_authority_of_the_target_stands_for_the_host(server: Live) -> None:
    with Client(server) as client:
        client.send(b"GET http://b:81/c%2Fd?e HTTP/1.1\r\nHost: a\r\n\r\n")
        seen = client.answer().json
        assert seen["fields"] == {"HTTP_HOST": "b:81"}
        assert (seen["path"], seen["query"], seen["target"]) == ("/c/d", "e", "http://b:81/c%2Fd?e")


def test_fields_reach_the_program_joined_and_without_their_twins(server: Live) -> None:
    lines = (
        "Cookie: a=1",
        "X-Forwarded-For: 10.0.0.1",
        "X_Forwarded_For: 6.6.6.6",
        "Accept: a",
        "cookie: b=2",
        "ACCEPT: b",
        "Content_Length: 9",
    )
    with Client(server) as client:
        client.send(get("/", *lines))
        assert client.answer().json["fields"] == {
            "HTTP_HOST": "localhost",
            "HTTP_COOKIE": "a=1; b=2",
            "HTTP_X_FORWARDED_FOR": "10.0.0.1",
            "HTTP_ACCEPT": "a, b",
        }


def test_trailers_do_not_become_fields(server: Live) -> None:
    with Client(server) as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"1\r\nx\r\n0\r\nX-Forwarded-For: 1\r\nX-Checksum: 2\r\n\r\n"
        )
        seen = client.answer().json
        assert seen["fields"] == {"HTTP_HOST": "a", "CONTENT_LENGTH": "1"}
        assert seen["body"] == "x"


def test_a_refusal_repeats_nothing_of_the_request(server: Live) -> None:
    for data in (
        b"<script>alert(1)</script>\r\n\r\n",
        b"GET /<script> HTTP/1.1\r\nHost: <script>\r\n\r\n",
        b"<script> /<script> HTTP/1.1\r\n<script>: <script>\r\n\r\n",
    ):
        answer = talk(server, data)
        assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 "))
        assert b"script" not in answer


def test_one_clients_close_is_no_other_clients_affair(server: Live) -> None:
    for number in range(3):
        assert talk(server, get(f"/{number}", "Connection: close")).startswith(b"HTTP/1.1 200 OK\r\n")
        assert talk(server, get(f"/other/{number}", "X: y")).startswith(b"HTTP/1.1 200 OK\r\n")
