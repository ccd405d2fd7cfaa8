"""Request bodies: every cut gives the same, any bytes a body or a refusal, nothing a shorter one."""

from __future__ import annotations

import errno
import tempfile
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kirsch.server.body import BodyLimits, ChunkedBody, LengthBody, receiver
from kirsch.server.errors import RequestError
from tests.server.cases import CHUNKS

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMITS = BodyLimits()
SMALL = BodyLimits(body=20, memory=8, overhead=40, fields=2, field=20)


def take(body: LengthBody | ChunkedBody, pieces: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """Feed pieces; return the body and what lies behind it, None when it is not over."""
    try:
        for number, piece in enumerate(pieces):
            rest = body.feed(piece)
            if rest is not None:
                with body.finish() as whole:
                    assert whole.tell() == 0
                    data = whole.read()
                assert body.received == len(data)
                return data, rest + b"".join(pieces[number + 1 :])
    finally:
        body.close()
    return None


def outcome(body: LengthBody | ChunkedBody, pieces: Sequence[bytes]) -> object:
    """Return what `take` does, or the status of the refusal."""
    try:
        return take(body, pieces)
    except RequestError as error:
        return error.status


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """Cut `data` at `places`."""
    ends = sorted({min(place, len(data)) for place in places} | {len(data)})
    return [data[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


def test_the_receiver_fits_the_length() -> None:
    assert isinstance(receiver(-1, LIMITS), ChunkedBody)
    assert isinstance(receiver(1, LIMITS), LengthBody)


@given(
    st.binary(max_size=60), st.integers(1, 60), st.lists(st.integers(0, 60), max_size=5), st.integers(0, 30)
)
def test_a_body_of_known_length_ends_to_the_byte_however_it_is_cut(
    data: bytes, length: int, places: list[int], memory: int
) -> None:
    body = LengthBody(length, BodyLimits(memory=memory))
    expected = (data[:length], data[length:]) if len(data) >= length else None
    assert take(body, cut(data, places)) == expected


def test_a_body_of_known_length_counts_what_it_received() -> None:
    body = LengthBody(10, LIMITS)
    assert body.feed(b"1234") is None
    assert body.received == 4
    assert body.feed(b"56789012") == b"12"
    assert body.received == 10
    assert body.finish().read() == b"1234567890"


extension = st.sampled_from([b"", b";a", b";a=b", b' ; a = "b;\\"\xff"', b";a;b=c"])


@st.composite
def chunked(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Return a body, and it chunked."""
    parts = draw(st.lists(st.binary(min_size=1, max_size=20), max_size=5))
    form = draw(st.sampled_from([b"%x", b"%X", b"0%x"]))
    wire = b"".join(form % len(part) + draw(extension) + b"\r\n" + part + b"\r\n" for part in parts)
    zeros = draw(st.sampled_from([b"0", b"000"]))
    trailers = draw(st.sampled_from([b"", b"X: y\r\n", b"X:\r\nY: \xff \t\r\n"]))
    return b"".join(parts), wire + zeros + draw(extension) + b"\r\n" + trailers + b"\r\n"


@settings(max_examples=200)
@given(chunked(), st.binary(max_size=10), st.lists(st.integers(0, 300), max_size=8), st.integers(0, 40))
def test_a_chunked_body_is_the_same_however_it_is_cut(
    pair: tuple[bytes, bytes], behind: bytes, places: list[int], memory: int
) -> None:
    data, wire = pair
    limits = BodyLimits(memory=memory)
    assert take(ChunkedBody(limits), cut(wire + behind, places)) == (data, behind)
    assert take(ChunkedBody(limits), [bytes([byte]) for byte in wire] + [behind]) == (data, behind)
    for end in range(len(wire)):
        assert take(ChunkedBody(limits), [wire[:end]]) is None


framing = st.sampled_from(
    [
        b"0", b"1", b"2", b"a", b"FF", b"\r\n", b"\r", b"\n", b";", b"=", b'"', b"\\", b" ", b"\t", b"x",
        b":", b"X: y\r\n", b"0\r\n\r\n", b"1\r\nx\r\n", b"\x00", b"\xff", b"-", b"5;a=b\r\nhello\r\n",
        b"Host: a\r\n",
    ]
)  # fmt: skip


@settings(max_examples=300)
@given(
    st.one_of(st.binary(max_size=40), st.lists(framing, max_size=20).map(b"".join)),
    st.lists(st.integers(0, 60), max_size=5),
)
@example(b"ffffffffffffffff\r\n", [])
def test_any_bytes_give_a_body_or_a_refusal_and_every_cut_agrees(data: bytes, places: list[int]) -> None:
    whole = outcome(ChunkedBody(SMALL), [data])
    assert whole in {400, 413, 431} or whole is None or isinstance(whole, tuple)
    assert outcome(ChunkedBody(SMALL), cut(data, places)) == whole
    assert outcome(ChunkedBody(SMALL), [bytes([byte]) for byte in data]) == whole


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name[:50]) for case in CHUNKS])
def test_the_table_of_chunked_bodies_holds_without_a_socket(case: Any) -> None:
    wire = case.data.partition(b"\r\n\r\n")[2]
    found = outcome(ChunkedBody(LIMITS), [wire])
    if case.closes:
        assert found == int(case.expected[0])
    else:
        assert isinstance(found, tuple)
        assert found[1] == b""
        assert f"200 POST /a {found[0].decode('latin-1')}".removesuffix(" ") == case.expected[0]


@pytest.mark.parametrize(
    "start",
    [
        b"x", b" ", b"5 x", b"5;\x00", b"0" * 17, b"5\r;", b"\r", b"1\r\nx\r\r", b"1\r\nxx", b"0\r\n:",
        b"0\r\nX y", b"0\r\nX:\x01",
    ],
)  # fmt: skip
def test_a_bad_line_is_refused_before_its_end_comes(start: bytes) -> None:
    assert outcome(ChunkedBody(LIMITS), [start]) == 400


@pytest.mark.parametrize(
    "start",
    [
        b"", b"5", b"5\r", b"5;", b"5 ", b'5;a="', b"1\r\nx", b"1\r\nx\r", b"0\r\n", b"0\r\n\r", b"0\r\nX",
        b"0\r\nX:",
    ],
)  # fmt: skip
def test_a_line_that_may_still_be_good_is_waited_for(start: bytes) -> None:
    assert outcome(ChunkedBody(LIMITS), [start]) is None


def test_the_limits_of_a_chunked_body_are_the_owners() -> None:
    def status(wire: bytes, limits: BodyLimits = SMALL) -> object:
        found = outcome(ChunkedBody(limits), [wire])
        return 200 if isinstance(found, tuple) else found

    assert status(b"14\r\n%b\r\n0\r\n\r\n" % (b"x" * 20)) == 200
    assert status(b"15\r\n") == 413
    assert status(b"a\r\n0123456789\r\nb\r\n") == 413
    assert status(b"fffffffffffffff\r\n", SMALL._replace(body=0)) is None
    assert status(b"0\r\nX: y\r\nX: y\r\n\r\n") == 200
    assert status(b"0\r\nX:\r\nX:\r\nX:\r\n\r\n") == 431
    assert status(b"0\r\nX: 34567890123456\r\n\r\n") == 200
    assert status(b"0\r\nX: 345678901234567890\r\n\r\n") == 431
    assert status(b"0\r\nX: %b\r\n\r\n" % (b"y" * 60)) == 400
    assert status(b"1;%b\r\nx\r\n" % (b"a" * 60)) == 400
    assert status(b"1;%b" % (b"a" * 60)) == 400
    assert status(b"0\r\nX: %b" % (b"a" * 60)) == 400


def test_tiny_chunks_are_fair_but_framing_beyond_them_is_not() -> None:
    limits = BodyLimits(overhead=100)
    tiny = b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n"
    assert take(ChunkedBody(limits), [tiny]) == (b"x" * 5000, b"")
    # Sixteen bytes and twice the data are fair; each of these has more.
    greedy = b"1;abcdefghijklmnopqrs\r\nx\r\n"
    assert outcome(ChunkedBody(limits), [greedy * 10 + b"0\r\n\r\n"]) is not None
    assert outcome(ChunkedBody(limits), [greedy * 1000 + b"0\r\n\r\n"]) == 400
    # None is put up with.
    assert outcome(ChunkedBody(BodyLimits(overhead=0)), [b"1;%b\r\nx\r\n" % (b"a" * 20)]) == 400


@pytest.mark.parametrize("form", ["length", "chunked"])
def test_a_long_body_goes_to_a_file_and_a_short_one_does_not(form: str) -> None:
    for size, spilled in ((8, False), (9, True)):
        body = receiver(size if form == "length" else -1, SMALL)
        data = b"123456789"[:size]
        wire = (
            data if form == "length" else b"4\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (data[:4], size - 4, data[4:])
        )
        half = len(wire) // 2
        assert body.feed(wire[:half]) is None
        assert body.feed(wire[half:]) == b""
        with body.finish() as whole:
            assert hasattr(whole, "getbuffer") is not spilled
            assert whole.readline() == data


class FullDisk:
    """A file on a disk without room, which shows when it is written to or when it is rewound."""

    def __init__(self, at: str) -> None:
        self.at = at
        self.closed = False

    def write(self, data: bytes) -> int:
        if self.at == "write":
            raise OSError(errno.ENOSPC, "No space left on device")
        return len(data)

    def seek(self, _: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def close(self) -> None:
        self.closed = True
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("at", ["open", "write", "seek"])
@pytest.mark.parametrize("wire", [b"0123456789", b"a\r\n0123456789\r\n0\r\n\r\n"])
def test_a_full_disk_refuses_the_body_and_leaves_nothing_open(
    monkeypatch: pytest.MonkeyPatch, at: str, wire: bytes
) -> None:
    disk = FullDisk(at)

    def temporary(**_: object) -> FullDisk:
        if at == "open":
            raise OSError(errno.EMFILE, "Too many open files")
        return disk

    monkeypatch.setattr(tempfile, "TemporaryFile", temporary)
    body = receiver(10 if len(wire) == 10 else -1, SMALL)
    with pytest.raises(RequestError) as caught:
        body.feed(wire)
    assert caught.value.status == 503
    body.close()
    assert disk.closed is (at != "open")


def test_chunk_lines_cost_time_in_proportion_to_their_length() -> None:
    # Each of these could make a pattern go back and forth; quadratic ones would take minutes.
    limits = BodyLimits(overhead=1 << 20, field=1 << 20)
    for shape in (b";a", b";a=b", b' ;a="b"', b';a="\\', b";a=", b" \t", b';a="'):
        line = b"5" + shape * (1 << 16)
        for end in (b"", b"\x00", b"\r\n", b'"\r\n'):
            outcome(ChunkedBody(limits), [line + end])
