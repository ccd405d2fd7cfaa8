"""Request heads: any bytes give a head or a refusal, and what is remembered is what parsing gives."""

from __future__ import annotations

import httptools
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kirsch.http.exchange import RequestHead
from kirsch.server.errors import RequestError
from kirsch.server.head import MALFORMED_LINE_END, HeadCache, HeadLimits, HeadParser, skip_empty_lines
from tests.server.cases import GROUPS

HEADS = sorted(
    {
        case.data[: end + 4]
        for cases in GROUPS.values()
        for case in cases
        if (end := case.data.find(b"\r\n\r\n")) > 0 and len(case.data) < 5000
    }
)
"""Every head of the table for the wire, good and bad."""

SIMPLE = b"GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n"


def outcome(parse: HeadParser | HeadCache, data: bytes) -> tuple[object, ...]:
    """Return all that a head says, or the refusal."""
    try:
        head = (
            parse.parse(data) if isinstance(parse, HeadParser) else parse.heads.get(data) or parse.get(data)
        )
    except RequestError as error:
        return error.status, error.text, error.reason
    assert isinstance(head, RequestHead)
    return tuple(getattr(head, name) for name in RequestHead.__slots__ if name not in {"derived", "shared"})


def test_a_head_says_what_it_consists_of() -> None:
    head = HeadParser().parse(
        b"POST /a%20b?c=%20d?e HTTP/1.1\r\nHost: example:80\r\nX-Y: \t a\xe4 b\t\r\nx-y:\r\n"
        b"content-length: 007\r\nexpect: 100-CONTINUE\r\nCONNECTION: a, Close\r\n\r\n"
    )
    assert (head.method, head.target, head.path, head.query) == (
        "POST",
        "/a%20b?c=%20d?e",
        "/a%20b",
        "c=%20d?e",
    )
    assert (head.minor, head.host, head.length) == (1, "example:80", 7)
    assert (head.keep_alive, head.expect_continue) == (False, True)
    assert head.fields[:3] == (("Host", "example:80"), ("X-Y", "a\xe4 b"), ("x-y", ""))


@pytest.mark.parametrize(
    ("fields", "minor", "keeps"),
    [
        (b"", 1, True),
        (b"", 0, False),
        (b"Connection: keep-alive\r\n", 0, True),
        (b"Connection: close\r\n", 1, False),
        (b"Connection: keep-alive\r\nConnection: x, CLOSE\r\n", 1, False),
    ],
)
def test_the_connection_is_kept_as_version_and_options_say(fields: bytes, minor: int, keeps: bool) -> None:
    head = HeadParser().parse(b"GET / HTTP/1.%d\r\nHost: a\r\n%b\r\n" % (minor, fields))
    assert head.keep_alive is keeps
    assert head.minor == minor


@pytest.mark.parametrize(
    ("fields", "expects"),
    [
        (b"Content-Length: 1\r\n", True),
        (b"Transfer-Encoding: chunked\r\n", True),
        (b"Content-Length: 0\r\n", False),
        (b"", False),
    ],
)
def test_only_a_client_with_a_body_waits_for_100(fields: bytes, expects: bool) -> None:
    data = b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n%b\r\n" % fields
    assert HeadParser().parse(data).expect_continue is expects
    old = data.replace(b"1.1", b"1.0")
    if b"chunked" not in fields:
        assert HeadParser().parse(old).expect_continue is False


def test_the_limits_are_the_owners() -> None:
    limits = HeadLimits(line=20, field=10, section=60, fields=3, body=5, refused_methods=frozenset({"PUT"}))
    parser = HeadParser(limits)

    def status(data: bytes) -> int:
        with pytest.raises(RequestError) as caught:
            parser.parse(data)
        return caught.value.status

    parser.parse(b"GET /abcdef HTTP/1.1\r\nHost: a\r\nX: 1234567\r\nY:\r\n\r\n")
    assert status(b"GET /abcdefg HTTP/1.1\r\nHost: a\r\n\r\n") == 414
    assert status(b"GET / HTTP/1.1\r\nHost: a\r\nX: 1234567890\r\n\r\n") == 431
    assert status(b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nX: 2\r\nX: 3\r\n\r\n") == 431
    assert status(b"GET / HTTP/1.1\r\nHost: a\r\nX: 1234567\r\nX: 1234567\r\nX: 1234567\r\n\r\n") == 431
    assert status(b"POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 6\r\n\r\n") == 431
    assert status(b"PUT / HTTP/1.1\r\nHost: a\r\n\r\n") == 501
    assert parser.parse(b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n").method == "TRACE"
    assert (
        HeadParser(HeadLimits(body=0))
        .parse(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999999999\r\n\r\n")
        .length
        == 10**18 - 1
    )


def test_an_owner_may_let_connect_through_with_an_authority_alone() -> None:
    parser = HeadParser(HeadLimits(refused_methods=frozenset()))
    assert parser.parse(b"CONNECT b:443 HTTP/1.1\r\nHost: a\r\n\r\n").host == "b:443"
    for target in (b"/", b"b", b"b:", b"*", b"http://b:443/"):
        assert outcome(parser, b"CONNECT %b HTTP/1.1\r\nHost: a\r\n\r\n" % target)[0] == 400


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        SIMPLE + b"x",
        SIMPLE[:-2],
        SIMPLE.replace(b"\r\n", b"\n"),
    ],
)
def test_anything_but_one_whole_head_is_refused(data: bytes) -> None:
    assert outcome(HeadParser(), data)[0] == 400
    assert outcome(HeadCache(HeadParser()), data)[0] == 400


@pytest.mark.parametrize("data", HEADS)
def test_no_head_changes_what_the_next_one_says(data: bytes) -> None:
    # One parser serves all connections: a head that poisons it is another client's outage.
    parser = HeadParser()
    outcome(parser, data)
    assert outcome(parser, SIMPLE) == outcome(HeadParser(), SIMPLE)


@pytest.mark.parametrize("data", [SIMPLE, *HEADS])
def test_a_head_that_is_remembered_says_the_same(data: bytes) -> None:
    cache = HeadCache(HeadParser())
    expected = outcome(HeadParser(), data)
    assert [outcome(cache, data) for _ in range(3)] == [expected] * 3
    cache.turn()
    assert outcome(cache, data) == expected
    # With a request line that was seen before, only the block of fields decides.
    cache = HeadCache(HeadParser())
    cache.get(SIMPLE)
    assert outcome(cache, data) == expected
    assert outcome(cache, data.replace(b" /a ", b" /b ")) == outcome(
        HeadParser(), data.replace(b" /a ", b" /b ")
    )


def test_equal_blocks_of_fields_share_what_is_derived_from_them() -> None:
    cache = HeadCache(HeadParser())
    heads = [cache.get(b"GET /%d HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n" % number) for number in range(3)]
    assert heads[1].shared is heads[2].shared
    assert heads[1].derived is not heads[2].derived
    assert heads[1].fields is heads[2].fields


def test_only_heads_without_a_body_and_of_modest_size_are_remembered() -> None:
    cache = HeadCache(HeadParser(), largest=100)
    for data in (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: %b\r\n\r\n" % (b"y" * 100),
    ):
        cache.get(data)
        assert not cache.heads
    assert cache.get(SIMPLE) is cache.heads[SIMPLE]


def test_a_flood_of_heads_leaves_those_in_use_and_stays_bounded() -> None:
    cache = HeadCache(HeadParser(), size=4)
    kept = cache.get(SIMPLE)
    for number in range(50):
        cache.get(b"GET /%d HTTP/1.1\r\nHost: a%d\r\n\r\n" % (number, number))
        assert (cache.heads.get(SIMPLE) or cache.get(SIMPLE)) is kept
        sizes = [len(each) for each in (cache.heads, cache._old_heads, cache._blocks, cache._old_blocks)]
        assert max(sizes) <= 4


def test_length_and_coding_exclude_each_other_whatever_the_parser_thinks() -> None:
    with pytest.raises(RequestError, match="exclude each other"):
        HeadParser._is_chunked({"transfer-encoding": ["chunked"], "content-length": ["0"]})


def test_what_nobody_asks_for_is_forgotten_after_two_turns() -> None:
    cache = HeadCache(HeadParser())
    head = cache.get(SIMPLE)
    other = cache.get(SIMPLE.replace(b"/a", b"/c"))
    cache.turn()
    assert cache.get(SIMPLE) is head
    assert cache.get(SIMPLE.replace(b"/a", b"/d")).shared is other.shared
    cache.turn()
    cache.turn()
    assert [cache.heads, cache._old_heads, cache._blocks, cache._old_blocks] == [{}] * 4


def test_a_line_longer_than_the_limit_does_not_pass_with_a_known_block() -> None:
    cache = HeadCache(HeadParser(HeadLimits(line=100, section=120)))
    block = b"Host: a\r\nX: %b\r\n\r\n" % (b"y" * 60)
    cache.get(b"GET / HTTP/1.1\r\n" + block)
    cache.get(b"GET /b HTTP/1.1\r\n" + block)
    assert outcome(cache, b"GET /%b HTTP/1.1\r\n%b" % (b"b" * 40, block))[0] == 431
    assert outcome(cache, b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"b" * 100))[0] == 414


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ("Invalid method for HTTP/x.x request", 501),
        ("Request has invalid `Transfer-Encoding`", 400),
        ("Content-Length overflow", 400),
        ("anything else", 400),
    ],
)
def test_what_the_parser_says_becomes_an_answer(
    monkeypatch: pytest.MonkeyPatch, message: str, status: int
) -> None:
    class Broken:
        def __init__(self, _: object) -> None:
            pass

        def feed_data(self, _: bytes) -> None:
            raise httptools.HttpParserError(message)

    monkeypatch.setattr(httptools, "HttpRequestParser", Broken)
    found = outcome(HeadParser(), SIMPLE)
    assert found[0] == status
    assert message not in str(found[1])


def test_a_parser_that_sees_no_end_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Deaf:
        def __init__(self, _: object) -> None:
            pass

        def feed_data(self, _: bytes) -> None:
            pass

    monkeypatch.setattr(httptools, "HttpRequestParser", Deaf)
    assert outcome(HeadParser(), SIMPLE)[0] == 400


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"a\r\nb\r\n", False),
        (b"a\r\nb\r", False),
        (b"", False),
        (b"\n", True),
        (b"a\nb", True),
        (b"a\r\r\n", True),
        (b"a\rb", True),
        (b"a\x00", True),
        (b"a\r\n\n", True),
    ],
)
def test_a_malformed_line_end_is_seen_before_the_head_is_whole(data: bytes, found: bool) -> None:
    assert (MALFORMED_LINE_END.search(data) is not None) is found
    whole = b"GET / HTTP/1.1\r\n" + data
    for start in range(len(whole)):
        if MALFORMED_LINE_END.search(whole[:start]) is None:
            # What was looked at before needs no second look, but for its last byte.
            assert (MALFORMED_LINE_END.search(whole, max(0, start - 1)) is not None) is found


pieces = st.sampled_from(
    [
        b"GET", b"POST", b"OPTIONS", b"HEAD", b"/", b"*", b"http://a/b", b"HTTP/1.1", b"HTTP/1.0",
        b"HTTP/1.2", b"Host", b":", b"a", b"close", b"keep-alive", b"5", b"0", b" ", b"\t", b"\r\n",
        b"\r", b"\n", b"\x00", b"\xff", b",", b"chunked", b"Transfer-Encoding", b"Content-Length",
        b"Connection", b"Expect", b"Upgrade", b"100-continue", b"\r\nHost: a\r\n", b"\r\n\r\n", b"x" * 300,
    ]
)  # fmt: skip


@settings(max_examples=300)
@given(st.one_of(st.binary(max_size=80), st.lists(pieces, max_size=30).map(b"".join)))
@example(SIMPLE)
def test_any_bytes_give_a_head_or_a_refusal_and_the_cache_agrees(data: bytes) -> None:
    cache = HeadCache(HeadParser())
    for whole in (data, b"GET / HTTP/1.1\r\nHost: a\r\n" + data, data + b"\r\n\r\n"):
        expected = outcome(HeadParser(), whole)
        assert outcome(cache, whole) == expected
        assert outcome(cache, whole) == expected


names = st.text(st.sampled_from("!#$%&'*+-.^_`|~0189AZaz"), min_size=1, max_size=8).filter(
    lambda name: name.lower() not in {"host", "expect", "connection", "upgrade"}
)
values = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=12).map(
    lambda value: value.strip(" \t")
)


@settings(max_examples=200)
@given(st.lists(st.tuples(names, values), max_size=8), st.sampled_from(["", " ", "\t", " \t "]))
def test_good_fields_come_back_as_they_were_sent(fields: list[tuple[str, str]], space: str) -> None:
    lines = "".join(f"{name}:{space}{value}{space}\r\n" for name, value in fields)
    data = f"GET /a HTTP/1.1\r\nHost: a\r\n{lines}\r\n".encode("latin-1")
    assert list(HeadParser().parse(data).fields) == [("Host", "a"), *fields]


@pytest.mark.parametrize(
    ("data", "left"),
    [
        (b"\r\nGET", b"GET"),
        (b"\r\n\r\n\r\n\r\nG", b"G"),
        (b"\r", b"\r"),
        (b"\r\n", b"\r\n"),
        (b"\r\n\r", b"\r\n\r"),
        (b"GET\r\n", b"GET\r\n"),
        (b"", b""),
    ],
)
def test_a_few_empty_lines_before_a_request_are_skipped(data: bytes, left: bytes) -> None:
    assert skip_empty_lines(data) == left


@pytest.mark.parametrize(
    "data",
    [
        b"\n",
        b"\nGET",
        b"\rGET",
        b"\r\r\n",
        b"\r\n\n",
        b"\r\n\rG",
        b"\n\r\nGET",
        b"\r\n" * 5,
        b"\r\n" * 5 + b"G",
    ],
)
def test_other_line_ends_before_a_request_are_refused(data: bytes) -> None:
    with pytest.raises(RequestError, match=r"^400: The request line is malformed\.$"):
        skip_empty_lines(data)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nX: y", 0),
        (b"GET / HTTP/1.1\r\nX: y\r", 0),
        (b"GET /\nX", 400),
        (b"GET / HTTP/1.1\r\nX: \x00", 400),
        (b"x" * 100, 0),
        (b"x" * 101, 414),
        (b"x" * 101 + b"\r\n", 414),
        (b"x" * 50 + b"\r\n" + b"y" * 148, 0),
        (b"x" * 50 + b"\r\n" + b"y" * 149, 431),
    ],
)
def test_a_head_is_refused_while_it_comes_when_it_is_bad_or_too_large(data: bytes, status: int) -> None:
    parser = HeadParser(HeadLimits(line=100, section=200))
    if not status:
        parser.check_unfinished(data, 0)
        return
    with pytest.raises(RequestError) as caught:
        parser.check_unfinished(data, 0)
    assert caught.value.status == status


def test_a_cache_says_whether_it_remembers_anything() -> None:
    cache = HeadCache(HeadParser())
    said = [cache.remembers]
    cache.get(SIMPLE)
    for _ in range(3):
        said.append(cache.remembers)
        cache.turn()
    assert said == [False, True, True, False]
