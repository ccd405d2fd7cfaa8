"""The table of requests for the tests of the wire: what is sent, what must come back, and what then.

By the rules of RFC 9110 and 9112 and by what has smuggled requests past other servers. Where the RFCs leave a
choice, this server refuses.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["GROUPS", "SMUGGLED", "Case"]

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
"""What follows a request that closes; it must never be served."""


class Case(NamedTuple):
    """One exchange: what is sent, what must come back, and whether the connection must end with it."""

    name: str
    data: bytes
    expected: list[str]
    """Statuses; of answers of the program with the method, the target and the body it saw."""
    closes: bool


def request(
    line: bytes = b"GET /a HTTP/1.1", *fields: bytes, host: bytes | None = b"a", body: bytes = b""
) -> bytes:
    """Return a request in bytes."""
    lines = [line, *([] if host is None else [b"Host: " + host]), *fields, b"", b""]
    return b"\r\n".join(lines) + body


POST = b"POST /a HTTP/1.1"
OLD = b"GET /a HTTP/1.0"
CHUNKED = b"Transfer-Encoding: chunked"
FIVE = b"Content-Length: 5"


def good(name: str, data: bytes, *expected: str) -> Case:
    """Return a case that is served, and the connection after it."""
    return Case(name, data, list(expected) or ["200 GET /a"], closes=False)


def last(name: str, data: bytes, *expected: str) -> Case:
    """Return a case that is served, but is the last."""
    return Case(name, data, list(expected) or ["200 GET /a"], closes=True)


def bad(name: str, data: bytes, status: int = 400, *before: str) -> Case:
    """Return a case that is refused, after what was served `before`."""
    return Case(name, data, [*before, str(status)], closes=True)


def field(line: bytes) -> bytes:
    """Return a request with a body of five bytes and one field line of its own."""
    return request(POST, line, FIVE, body=b"hello")


def chunks(body: bytes, *fields: bytes) -> bytes:
    """Return a request with a chunked body as given."""
    return request(POST, CHUNKED, *fields, body=body)


HOSTS_VALID = (
    b"a", b"A.Example", b"a:80", b"a:", b"a:65535", b"127.0.0.1", b"127.0.0.1:8080", b"[::1]", b"[::1]:80",
    b"[v1.x]", b"xn--nxasmq6b", b"a_b-c.d~e", b"%41", b"a,b", b" \t a \t", b"!$&'()*+,;=",
)  # fmt: skip

HOSTS_INVALID = (
    b"a b", b"a\tb", b"a, b", b"a/", b"a/b", b"a?b", b"a#b", b"a\\b", b"<a>", b"u@a", b"u:p@a", b"http://a",
    b"a:x", b"a:80:80", b"a:+80", b"a:65536", b"a:99999999999999999999", b"a:\xb2", b":80", b"::1", b"[::1",
    b"::1]", b"[]", b"[::g]", b"[::1%25eth0]", b"[1.2.3.4]", b"[::1]x", b"\xe9", b"a\x00", b"a\x7f",
    b"a\xad", b"%4", b"%zz", b'"a"', b"a|b", b"a^b", b"{a}",
)  # fmt: skip

LENGTHS_INVALID = (
    b"", b" ", b"\t", b"+5", b"-5", b"-0", b"5,5", b"5, 5", b"5,", b",5", b"5;5", b"5 5", b"5\t5", b"0x5",
    b"5h", b"5.0", b"5e0", b"1_0", b"a", b"'5'", b'"5"', b"\xd9\xa5", b"\xef\xbc\x95", b"\xb2", b"\xa05",
    b"5\xa0", b"5\x0b", b"\x0b5", b"5\x0c", b"5\x00", b"\x005", b"5\x85", b"5\r6", b"5\n", b"5\n6",
    b"9223372036854775808", b"18446744073709551615", b"18446744073709551616", b"18446744073709551621",
    b"4294967301" * 3, b"9" * 400, b"%35", b"5%00", b"=?utf-8?q?5?=", b"\r\n 5", b"5\r\n 0",
)  # fmt: skip

CODINGS_INVALID = (
    b"", b",", b"gzip", b"identity", b"x", b"xchunked", b"chunkedx", b"chunked x", b"chunk", b"chun ked",
    b"chunked, gzip", b"chunked, identity", b"chunked,", b",chunked", b"chunked, chunked",
    b"chunked,chunked", b"chunked;q=1", b"chunked; x", b"'chunked'", b'"chunked"', b"\x0bchunked",
    b"chunked\x0b", b"\x0cchunked", b"\x85chunked", b"\xa0chunked", b"chunked\xa0", b"chunked\x00",
    b"\x00chunked", b"chunked\x1f", b"\x7fchunked", b"\xadchunked", b"chunke\xc4\x91",
    b"=?utf-8?q?chunked?=", b"\r\n chunked", b"chunked\r\n ", b"\nchunked", b"\rchunked", b"chunked\r",
    b"chunked\n", b"x\r\n chunked", b"chunked\r\n\tx", b"%63hunked",
)  # fmt: skip

CODINGS_UNKNOWN = (
    b"gzip, chunked", b"deflate,gzip,chunked", b"identity, chunked", b"cow, chunked", b"x;q=1, chunked",
)  # fmt: skip

CODING_LINES_INVALID = (
    b"Transfer-Encoding : chunked", b"Transfer-Encoding\t: chunked", b" Transfer-Encoding: chunked",
    b"Transfer-Encoding\x0b: chunked", b"Transfer-Encoding\xa0: chunked", b"Transfer-Encoding\x00: chunked",
    b"\x00Transfer-Encoding: chunked", b"\x0bTransfer-Encoding: chunked", b"Transfer Encoding: chunked",
    b"Transfer\xadEncoding: chunked", b"X: y\nTransfer-Encoding: chunked",
    b"X: y\rTransfer-Encoding: chunked", b"X: y\r\n Transfer-Encoding: chunked",
    b"X: y\n\rTransfer-Encoding: chunked", b"Transfer-Encoding\r: chunked",
    b"Transfer-Encoding\r\n: chunked", b"Transfer-Encoding\n: chunked", b"Transfer-Encoding",
    b"(Transfer-Encoding): chunked",
)  # fmt: skip

FIELDS_VALID = (
    b"X:", b"X: ", b"X:v", b"X:\t v \t", b"X: a b\tc", b"X: \x80\xff\xa0", b"!#$%&'*+-.^_`|~09aZ: v",
    b'X: "a\\"b"', b"X: a\r\nX: b", b"x_y: v", b"X: : :",
)  # fmt: skip

FIELDS_INVALID = (
    b"X : v", b"X\t: v", b": v", b":", b"X", b"X v", b" : v", b" X: v", b"\tX: v", b"X y: v", b"(X): v",
    b"X@: v", b"X[]: v", b"X{: v", b"X/: v", b"X\\: v", b"X=: v", b"X,: v", b"X;: v", b'"X": v',
    b"X\x80: v", b"\xefX: v", b"X\x7f: v", b"X: a\r\n b", b"X: a\r\n\tb", b"X:\r\n b", b"X: a\r\n ",
    b"X: a\r\n \r\n b", b"X: \x00", b"X: \x01", b"X: \x07", b"X: \x08", b"X: a\x0b", b"X: \x0c", b"X: \x0e",
    b"X: \x1b[2J", b"X: \x1f", b"X: \x7f", b"X: a\rb", b"X: a\nb", b"X: a\r", b"X: a\n", b"X: \r\r",
    b"X\r: v", b"X\n: v", b"X\x00: v", b"\x00", b"X: a\n\r\nY: b", b"X: a\r\r\nY: b", b"X: a\nY: b",
    b"X: a\rY: b", b"\n", b"\r", b"X: a\n\n", b"\x0b",
)  # fmt: skip

LINES_INVALID = (
    b"GET", b"GET ", b"GET /a", b"GET /a ", b"GET  /a HTTP/1.1", b"GET /a  HTTP/1.1", b"GET /a HTTP/1.1 ",
    b" GET /a HTTP/1.1", b"\tGET /a HTTP/1.1", b"GET\t/a HTTP/1.1", b"GET /a\tHTTP/1.1",
    b"GET\x0b/a HTTP/1.1", b"GET\x0c/a\x0cHTTP/1.1", b"GET\xa0/a HTTP/1.1", b"GET /a b HTTP/1.1",
    b"GET /a HTTP/1.1 x", b"GET /a HTTP/1.1 HTTP/1.1", b"GET /a http/1.1", b"GET /a Http/1.1",
    b"GET /a HTTP/11", b"GET /a HTTP/1", b"GET /a HTTP/1.", b"GET /a HTTP/.1", b"GET /a HTTP/1.1.1",
    b"GET /a HTTP/01.1", b"GET /a HTTP/1.01", b"GET /a HTTP/1.x", b"GET /a HTTP/x.1", b"GET /a HTP/1.1",
    b"GET /a HTTP 1.1", b"GET /a HTTP/1,1", b"GET /a HTTP/-1.1", b"GET /a HTTP/+1.1", b"GET /a HTTP/1.\xb2",
    b"GET /a HTTP/\xd9\xa1.1", b"GET /a HTTP/1.1\x00", b"GET /a HTTP/1.1\x0b", b"GET /a HTTPS/1.1",
    b"GET /a ICE/1.0", b"GET /a RTSP/1.0", b"GET /a HTTP/", b"GET HTTP/1.1", b"/a HTTP/1.1", b"/a",
    b"HTTP/1.1 200 OK", b"\x16\x03\x01\x02\x00", b"\x80\x2e", b"\xff\xfe", b"{}", b"\x00GET /a HTTP/1.1",
    b"G\x00T /a HTTP/1.1", b"GET /a\x00b HTTP/1.1", b"GET /a H\x00TP/1.1", b"G\rT /a HTTP/1.1",
    b"GET /a\rb HTTP/1.1", b"GET /a\nb HTTP/1.1", b"GET /a HTTP/1.1\rX: y", b"G\xe9T /a HTTP/1.1",
    b"G@T /a HTTP/1.1", b"GET, /a HTTP/1.1", b"G:T /a HTTP/1.1", b"(GET) /a HTTP/1.1", b'"GET" /a HTTP/1.1',
    b"GET/a HTTP/1.1", b"\xef\xbb\xbfGET /a HTTP/1.1",
)  # fmt: skip

VERSIONS_OTHER = (
    b"GET /a HTTP/2.0", b"GET /a HTTP/0.9", b"GET /a HTTP/0.0", b"GET /a HTTP/3.1", b"GET /a HTTP/9.9",
)  # fmt: skip

METHODS_KNOWN = (
    "DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT", "PROPFIND", "M-SEARCH", "QUERY",
)  # fmt: skip

METHODS_UNKNOWN = (
    "get", "Get", "GETT", "GE", "FOO", "X" * 1000, "TRACE", "DESCRIBE", "0", "!",
)  # fmt: skip

TARGETS_VALID = (
    "/", "/a?b=c", "/?", "/a??b", "/%20%2f%00%zz", "/a;b=c", "//b/c", "/a//b", "/../..", "/.", "/a\\b",
    '/"<>^`{|}', "/a?b=/c", "/:80", "/@", "/a,b", "/http://b/", "http://b", "http://b/", "http://b/c?d",
    "HTTP://B/c", "https://b/c", "http://b?c", "http://b:80/c", "http://[::1]:80/c", "/" + "a" * 8000,
)  # fmt: skip

TARGETS_INVALID = (
    b"*", b"*/", b"a", b"a/b", b"a:80", b"?a", b"#", b"/a#b", b"/#", b"/\xff", b"/\xc3\xa9", b"/\x7f",
    b"/\x1b", b"/a\x0bb", b"/\x01", b"http:", b"http:/a", b"http://", b"http:///a", b"http://?a",
    b"http://a b/", b"http://a#b", b"http://u@a/", b"http://u:p@a/", b"http://a:x/", b"http://a:99999/",
    b"http://[::1/", b"ftp://a/", b"ws://a/", b"file:///a", b"javascript:x", b"://a/", b".", b"\\a",
)  # fmt: skip

EXTENSIONS_VALID = (
    b";a", b";a=b", b';a="b"', b";a;b=c;d", b';a="b;c\\"\\\\ \t\xff"', b" ;a", b"\t;\ta", b" ; a = b",
    b' ; a = "b" ; c', b";a=1!#$%&'*+-.^_`|~",
)  # fmt: skip

SIZES_INVALID = (
    b"", b" ", b" 5", b"5 ", b"5\t", b"\t5", b"0x5", b"0X5", b"x5", b"+5", b"-5", b"-0", b"5h", b"g",
    b"5_0", b"0_2e", b"5.0", b"5,", b"5,a", b"5\x0b", b"5\x0c", b"\x0b5", b"5\x00", b"\x005", b"5\x80",
    b"\xd9\xa5", b"\xef\xbc\x95", b"\xb5", b'"5"', b"5=", b"5:", b"5 a", b"5 =a", b"00000000000000005",
    b"FFFFFFFFFFFFFFFFF", b"10000000000000005", b"5;", b"5;;a", b"5;a;", b"5; ", b"5;=b", b"5;a=", b"5;a= ",
    b"5;a=;b", b'5;a="b', b'5;a="b"c', b'5;a=b"', b'5;a="b\\"', b"5;a=b=c", b"5;a b", b"5;a,b", b"5;(a)",
    b"5;a=(b)", b"5;a\x00", b"5;a\x01", b"5;a\x7f", b"5;\x80", b"5;a=\x80", b'5;a="\x00"', b'5;a="\x0b"',
    b"INVALID!!!", b"5\n", b"5\r", b"5\r\r", b"5\n\r", b"5;a\n", b"5;a\r", b"5;a\rb", b"5;a\nb",
    b"5;a=b\nc", b'5;a="\n"', b'5;a="\r"', b'5;a="\r\n"', b"5;\n", b"5;\r", b"\r\n5", b"\n5",
)  # fmt: skip

SIZES_HUGE = (
    b"6400001", b"7fffffff", b"100000000", b"7FFFFFFFFFFFFFFF", b"ffffffffffffffff", b"8000000000000005",
)  # fmt: skip

CHUNKS_INVALID = (
    b"5\nhello\r\n0\r\n\r\n", b"5\rhello\r\n0\r\n\r\n", b"5\r\nhello\n0\r\n\r\n", b"5\r\nhello\r0\r\n\r\n",
    b"5\r\nhelloXX0\r\n\r\n", b"5\r\nhelloX\r\n0\r\n\r\n", b"5\r\nhello0\r\n\r\n",
    b"5\r\nhell\r\n0\r\n\r\n", b"5\r\nhello\n\r0\r\n\r\n", b"5\r\nhello\r\r\n0\r\n\r\n",
    b"5\r\nhello\r\n\r\n0\r\n\r\n", b"5\r\nhello \r\n0\r\n\r\n", b"0\n\n", b"0\r\n\n", b"0\n\r\n",
    b"0\r\rX", b"0\r\n\rX", b"0\r\n\x00", b"0\r\nXX\r\n",
    b"0\r\nX:POST /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", b"0\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /smuggled HTTP/1.1\r\n\r\n",
)  # fmt: skip

TRAILERS_FORBIDDEN = (
    "Content-Length", "TRANSFER-ENCODING", "host", "Trailer", "TE", "Connection", "Upgrade", "Expect",
    "Range", "Cache-Control", "Max-Forwards", "Authorization", "Proxy-Authorization", "Cookie",
    "Set-Cookie", "Content-Encoding", "Content-Type", "Content-Range",
)  # fmt: skip

TRAILERS_INVALID = (
    b"X", b": y", b"X : y", b" X: y", b"\tX: y", b"X: y\r\n z", b"X: y\nZ: z", b"X: y\rZ: z", b"X: \x00",
    b"X: \x01", b"X: \x7f", b"X\x80: y", b"(X): y", b"X: y\n", b"X: y\r", b"\n",
)  # fmt: skip

CLOSING = (
    b"close", b"Close", b"CLOSE", b"keep-alive, close", b"close, keep-alive", b"x ,\tclose\t, y",
    b",close,", b"close\r\nConnection: keep-alive", b"keep-alive\r\nConnection: close",
)  # fmt: skip

KEEPING_ON = (
    b"", b"keep-alive", b"closed", b"xclose", b"close x", b"TE", b"\xff", b"close;x", b'"close"',
)  # fmt: skip

PROTOCOLS = (
    "websocket", "h2c", "TLS/1.0", "x/2, y",
)  # fmt: skip


HOSTS = [
    bad("no host", request(host=None)),
    last("no host in 1.0", request(OLD, host=None)),
    bad("empty host", request(host=b"")),
    bad("empty host in 1.0", request(OLD, host=b"")),
    bad("two hosts that agree", request(host=b"a\r\nHost: a")),
    bad("two hosts that differ", request(host=b"a\r\nhOST: b")),
    bad("two hosts in 1.0", request(OLD, host=b"a\r\nHost: a")),
    bad("host before space colon", request(host=None)[:-2] + b"Host : a\r\n\r\n"),
    bad("absolute-form without host", request(b"GET http://a/x HTTP/1.1", host=None)),
    bad("absolute-form with a bad host", request(b"GET http://a/x HTTP/1.1", host=b"a b")),
    *(good(f"host {host!r}", request(host=host)) for host in HOSTS_VALID),
    *(bad(f"host {host!r}", request(host=host)) for host in HOSTS_INVALID),
]

LENGTHS = [
    good("a body", request(POST, FIVE, body=b"hello"), "200 POST /a hello"),
    good("no body", request(POST), "200 POST /a"),
    good("an empty body", request(POST, b"Content-Length: 0"), "200 POST /a"),
    good("leading zeros", request(POST, b"Content-Length: 0005", body=b"hello"), "200 POST /a hello"),
    good("space around", request(POST, b"Content-Length: \t 5 \t", body=b"hello"), "200 POST /a hello"),
    good("no space", request(POST, b"content-length:5", body=b"hello"), "200 POST /a hello"),
    good("a body of GET", request(b"GET /a HTTP/1.1", FIVE, body=b"hello"), "200 GET /a hello"),
    good("a body of DELETE", request(b"DELETE /a HTTP/1.1", FIVE, body=b"hello"), "200 DELETE /a hello"),
    good(
        "a request as a body",
        request(POST, b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED),
        f"200 POST /a {SMUGGLED.decode()}",
    ),
    last("a body in 1.0", request(b"POST /a HTTP/1.0", FIVE, body=b"hello"), "200 POST /a hello"),
    bad("more than the limit", request(POST, b"Content-Length: 104857601"), 413),
    bad("eighteen digits", request(POST, b"Content-Length: 999999999999999999"), 413),
    *(
        bad(f"length {value!r}", request(POST, b"Content-Length: " + value, body=b"hello"))
        for value in LENGTHS_INVALID
    ),
    bad("two lengths that agree", request(POST, FIVE, FIVE, body=b"hello")),
    bad("two lengths that differ", request(POST, b"Content-Length: 0", FIVE, body=b"hello")),
    bad(
        "two lengths in other case", request(POST, b"content-length: 5", b"CONTENT-LENGTH: 5", body=b"hello")
    ),
    bad("an empty length before a real one", request(POST, b"Content-Length:", FIVE, body=b"hello")),
    bad("a length before space colon", request(POST, b"Content-Length : 5", body=b"hello")),
    bad("a length before tab colon", request(POST, b"Content-Length\t: 5", body=b"hello")),
    bad("a folded length", request(POST, b"X: y", b" Content-Length: 5", body=b"hello")),
    bad("a length behind a bare LF", request(POST, b"X: y\nContent-Length: 5", body=b"hello")),
    bad("a length behind a bare CR", request(POST, b"X: y\rContent-Length: 5", body=b"hello")),
    bad("a length behind NUL", request(POST, b"\x00Content-Length: 5", body=b"hello")),
]

BODY = b"5\r\nhello\r\n0\r\n\r\n"
SEEN = "200 POST /a hello"

CODINGS = [
    good("chunked", chunks(BODY), SEEN),
    good("chunked in capitals", request(POST, b"TRANSFER-ENCODING:CHUNKED", body=BODY), SEEN),
    good("chunked with space around", request(POST, b"Transfer-Encoding:   chunked  ", body=BODY), SEEN),
    good("chunked of GET", request(b"GET /a HTTP/1.1", CHUNKED, body=BODY), "200 GET /a hello"),
    bad("length and coding", request(POST, FIVE, CHUNKED, body=BODY)),
    bad("coding and length", request(POST, CHUNKED, FIVE, body=BODY)),
    bad("length 0 and coding", request(POST, b"Content-Length: 0", CHUNKED, body=BODY)),
    bad("length and unknown coding", request(POST, FIVE, b"Transfer-Encoding: x", body=b"hello")),
    bad("length and identity", request(POST, FIVE, b"Transfer-Encoding: identity", body=b"hello")),
    bad("bad length and coding", request(POST, b"Content-Length: x", CHUNKED, body=BODY)),
    bad("coding in 1.0", request(b"POST /a HTTP/1.0", CHUNKED, body=BODY)),
    bad("coding in kept 1.0", request(b"POST /a HTTP/1.0", CHUNKED, b"Connection: keep-alive", body=BODY)),
    bad("coding and length in 1.0", request(b"POST /a HTTP/1.0", CHUNKED, FIVE, body=BODY)),
    *(
        bad(f"coding {value!r}", request(POST, b"Transfer-Encoding: " + value, body=BODY))
        for value in CODINGS_INVALID
    ),
    *(
        bad(f"coding {value!r}", request(POST, b"Transfer-Encoding: " + value, body=BODY), 501)
        for value in CODINGS_UNKNOWN
    ),
    bad("two codings", request(POST, CHUNKED, CHUNKED, body=BODY)),
    bad("chunked and identity", request(POST, CHUNKED, b"Transfer-Encoding: identity", body=BODY)),
    bad("chunked and x", request(POST, CHUNKED, b"Transfer-encoding: x", body=BODY)),
    bad("an empty coding and chunked", request(POST, b"Transfer-Encoding:", CHUNKED, body=BODY)),
    *(
        bad(f"coding line {line!r}", request(POST, line, FIVE, body=b"hello"))
        for line in CODING_LINES_INVALID
    ),
]

FIELDS = [
    *(good(f"field {line!r}", field(line), SEEN) for line in FIELDS_VALID),
    *(bad(f"field {line!r}", field(line)) for line in FIELDS_INVALID),
    bad("a first field behind space", b"GET /a HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n"),
    bad("a first field behind tab", b"GET /a HTTP/1.1\r\n\tHost: a\r\n\r\n"),
    bad("only space behind the request line", b"GET /a HTTP/1.1\r\n \r\nHost: a\r\n\r\n"),
    bad("LF behind the request line", b"GET /a HTTP/1.1\nHost: a\r\n\r\n"),
    bad("CR behind the request line", b"GET /a HTTP/1.1\rHost: a\r\n\r\n"),
    bad("CR CR LF behind the request line", b"GET /a HTTP/1.1\r\r\nHost: a\r\n\r\n"),
    bad("LF everywhere", b"GET /a HTTP/1.1\nHost: a\n\n"),
    bad("LF as the empty line", b"GET /a HTTP/1.1\r\nHost: a\r\n\n"),
    bad("LF before the empty line", b"GET /a HTTP/1.1\r\nHost: a\n\r\n"),
    bad("CR as the empty line", b"GET /a HTTP/1.1\r\nHost: a\r\n\rX"),
    bad("CR CR LF as the empty line", b"GET /a HTTP/1.1\r\nHost: a\r\n\r\r\n"),
]

LINES = [
    *(bad(f"line {line!r}", request(line)) for line in LINES_INVALID),
    *(bad(f"line {line!r}", request(line), 505) for line in VERSIONS_OTHER),
    bad("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    good("minor version 2", request(b"GET /a HTTP/1.2")),
    good("minor version 9", request(b"GET /a HTTP/1.9")),
    bad("minor version 9 without a host", request(b"GET /a HTTP/1.9", host=None)),
    *(
        good(f"method {method}", request(f"{method} /a HTTP/1.1".encode()), f"200 {method} /a")
        for method in METHODS_KNOWN
    ),
    *(
        bad(f"method {method[:9]}", request(f"{method} /a HTTP/1.1".encode()), 501)
        for method in METHODS_UNKNOWN
    ),
    bad("CONNECT", request(b"CONNECT a:443 HTTP/1.1"), 501),
    bad("CONNECT without a port", request(b"CONNECT a HTTP/1.1"), 501),
]

TARGETS = [
    *(
        good(f"target {target}", request(f"GET {target} HTTP/1.1".encode()), f"200 GET {target}")
        for target in TARGETS_VALID
    ),
    good("asterisk", request(b"OPTIONS * HTTP/1.1"), "200 OPTIONS *"),
    good("absolute asterisk", request(b"OPTIONS http://b HTTP/1.1"), "200 OPTIONS http://b"),
    *(bad(f"target {target!r}", request(b"GET " + target + b" HTTP/1.1")) for target in TARGETS_INVALID),
    bad("POST asterisk", request(b"POST * HTTP/1.1")),
]

CHUNKS = [
    good("no chunks", chunks(b"0\r\n\r\n"), "200 POST /a"),
    good("two chunks", chunks(b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"), SEEN),
    good(
        "a hexadecimal size",
        chunks(b"a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n"),
        "200 POST /a 01234567890123456789a",
    ),
    good("zeros before sizes", chunks(b"0000005\r\nhello\r\n0000\r\n\r\n"), SEEN),
    good("sixteen digits", chunks(b"0000000000000005\r\nhello\r\n0\r\n\r\n"), SEEN),
    good("line ends in data", chunks(b"6\r\n\r\n0\r\n\r\r\n0\r\n\r\n"), "200 POST /a \r\n0\r\n\r"),
    good("a trailer", chunks(b"5\r\nhello\r\n0\r\nX: y\r\n\r\n"), SEEN),
    good("trailers", chunks(b"5\r\nhello\r\n0\r\nX:\r\nDigest: y \r\n\r\n"), SEEN),
    *(
        good(
            f"extension {extension!r}",
            chunks(b"5" + extension + b"\r\nhello\r\n0" + extension + b"\r\n\r\n"),
            SEEN,
        )
        for extension in EXTENSIONS_VALID
    ),
    *(bad(f"size {size!r}", chunks(size + b"\r\nhello\r\n0\r\n\r\n")) for size in SIZES_INVALID),
    *(bad(f"size {size!r}", chunks(size + b"\r\nhello\r\n0\r\n\r\n"), 413) for size in SIZES_HUGE),
    *(bad(f"body {body!r}", chunks(body)) for body in CHUNKS_INVALID),
    *(
        bad(f"trailer {name}", chunks(b"5\r\nhello\r\n0\r\n" + name.encode() + b": 5\r\n\r\n"))
        for name in TRAILERS_FORBIDDEN
    ),
    *(
        bad(f"trailer {line!r}", chunks(b"5\r\nhello\r\n0\r\n" + line + b"\r\n\r\n"))
        for line in TRAILERS_INVALID
    ),
    bad("101 trailers", chunks(b"0\r\n" + b"X: y\r\n" * 101 + b"\r\n"), 431),
    bad("an endless trailer", chunks(b"0\r\nX: " + b"y" * 17000)),
    bad("an endless extension", chunks(b"5;" + b"a" * 17000)),
    bad("extensions beyond measure", chunks((b"1;" + b"a" * 2000 + b"\r\nx\r\n") * 10 + b"0\r\n\r\n")),
    bad("zeros beyond measure", chunks(b"0" * 20000)),
]

LIMITS = [
    good(
        "the longest line",
        request(b"GET /" + b"a" * (8192 - 14) + b" HTTP/1.1"),
        f"200 GET /{'a' * (8192 - 14)}",
    ),
    bad("a longer line", request(b"GET /" + b"a" * (8193 - 14) + b" HTTP/1.1"), 414),
    bad("a line without an end", b"GET /" + b"a" * 9000, 414),
    bad("a method without an end", b"G" * 9000, 414),
    good("a hundred fields", request(b"GET /a HTTP/1.1", *[b"X: y"] * 99)),
    bad("more fields", request(b"GET /a HTTP/1.1", *[b"X: y"] * 100), 431),
    good("the longest field", request(b"GET /a HTTP/1.1", b"X: " + b"y" * 16383)),
    bad("a longer field", request(b"GET /a HTTP/1.1", b"X: " + b"y" * 16384), 431),
    bad("a longer field name", request(b"GET /a HTTP/1.1", b"X" * 16384 + b": y"), 431),
    bad("a longer head", request(b"GET /a HTTP/1.1", *[b"X: " + b"y" * 9000] * 8), 431),
    bad("a head without an end", request(b"GET /a HTTP/1.1", *[b"X: " + b"y" * 9000] * 8)[:-4], 431),
    bad("a field without an end", b"GET /a HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 66000, 431),
    good("an empty line first", b"\r\n" + request()),
    good("four empty lines first", b"\r\n" * 4 + request()),
    bad("empty lines without end", b"\r\n" * 5 + request()),
    bad("LF first", b"\n" + request()),
    bad("CR first", b"\r" + request()),
    bad("CR CR LF first", b"\r\r\n" + request()),
    bad("an empty line and a space first", b"\r\n " + request()),
    bad("LF between requests", request() + b"\n" + request(), 400, "200 GET /a"),
    good("an empty line between requests", request() + b"\r\n" + request(), "200 GET /a", "200 GET /a"),
    good(
        "an empty line behind a body", request(POST, FIVE, body=b"hello\r\n") + request(), SEEN, "200 GET /a"
    ),
]

EXPECTS = [
    good("Expect with a body", request(POST, FIVE, b"Expect: 100-continue", body=b"hello"), SEEN),
    good("Expect in other case", request(POST, FIVE, b"expect: 100-Continue", body=b"hello"), SEEN),
    good("Expect with chunks", chunks(BODY, b"Expect: 100-continue"), SEEN),
    good("Expect without a body", request(b"GET /a HTTP/1.1", b"Expect: 100-continue")),
    good("an empty Expect", request(b"GET /a HTTP/1.1", b"Expect:")),
    last("Expect in 1.0", request(b"POST /a HTTP/1.0", FIVE, b"Expect: 100-continue", body=b"hello"), SEEN),
    bad("another expectation", request(POST, FIVE, b"Expect: x", body=b"hello"), 417),
    bad("two expectations", request(POST, FIVE, b"Expect: 100-continue, x", body=b"hello"), 417),
    bad("an expectation with more", request(POST, FIVE, b"Expect: 100-continue x", body=b"hello"), 417),
    bad("Expect with an ambiguous body", request(POST, FIVE, CHUNKED, b"Expect: 100-continue", body=BODY)),
    bad(
        "Expect with a large body", request(POST, b"Content-Length: 104857601", b"Expect: 100-continue"), 413
    ),
]

KEEPING = [
    last("1.0", request(OLD)),
    good("kept 1.0", request(OLD, b"Connection: keep-alive")),
    good("kept 1.0 in a list", request(OLD, b"Connection: x,, Keep-Alive ,")),
    last("1.0 with another option", request(OLD, b"Connection: keep-alives")),
    last("kept and closed 1.0", request(OLD, b"Connection: keep-alive, close")),
    *(
        last(f"connection {value!r}", request(b"GET /a HTTP/1.1", b"Connection: " + value))
        for value in CLOSING
    ),
    *(
        good(f"connection {value!r}", request(b"GET /a HTTP/1.1", b"Connection: " + value))
        for value in KEEPING_ON
    ),
    good("Proxy-Connection", request(b"GET /a HTTP/1.1", b"Proxy-Connection: close")),
    last("nothing behind close", request(b"GET /a HTTP/1.1", b"Connection: close") + request()),
    last("nothing behind 1.0", request(OLD) + request()),
    last("a body and close", request(POST, FIVE, b"Connection: close", body=b"hello"), SEEN),
    last("chunks and close", chunks(BODY, b"Connection: close"), SEEN),
    good("HEAD", request(b"HEAD /a HTTP/1.1"), "200 HEAD"),
    good(
        "HEAD with a body",
        request(b"HEAD /a HTTP/1.1", FIVE, body=b"hello") + request(),
        "200 HEAD",
        "200 GET /a",
    ),
    last("HEAD in 1.0", request(b"HEAD /a HTTP/1.0"), "200 HEAD"),
    *(
        good(
            f"upgrade to {protocol}",
            request(
                b"GET /a HTTP/1.1",
                b"Upgrade: " + protocol.encode(),
                b"Connection: Upgrade",
                b"HTTP2-Settings: AAMAAABkAAQAAP__",
            ),
        )
        for protocol in PROTOCOLS
    ),
    good(
        "upgrade with a body",
        request(POST, b"Upgrade: websocket", b"Connection: Upgrade", FIVE, body=b"hello") + request(),
        SEEN,
        "200 GET /a",
    ),
    good(
        "upgrade with chunks",
        chunks(BODY, b"Upgrade: websocket", b"Connection: Upgrade") + request(),
        SEEN,
        "200 GET /a",
    ),
    last("upgrade in 1.0", request(OLD, b"Upgrade: websocket", b"Connection: Upgrade")),
    last(
        "upgrade and close", request(b"GET /a HTTP/1.1", b"Upgrade: websocket", b"Connection: Upgrade, close")
    ),
    good(
        "three in a row",
        request() + request(b"GET /b HTTP/1.1") + request(b"HEAD /c HTTP/1.1"),
        "200 GET /a",
        "200 GET /b",
        "200 HEAD",
    ),
    good(
        "bodies in a row",
        request(POST, FIVE, body=b"hello")
        + chunks(BODY)
        + request(b"PUT /b HTTP/1.1", b"Content-Length: 1", body=b"x"),
        SEEN,
        SEEN,
        "200 PUT /b x",
    ),
    good(
        "forty in a row",
        b"".join(request(b"GET /%d HTTP/1.1" % n) for n in range(40)),
        *[f"200 GET /{n}" for n in range(40)],
    ),
    bad("a bad one behind a good one", request() + request(host=b"a b"), 400, "200 GET /a"),
    bad("junk behind a body", request(POST, FIVE, body=b"hello()\r\n\r\n"), 400, SEEN),
    bad("a good one behind a bad one", request(host=None) + request()),
]

GROUPS = {
    "host": HOSTS,
    "length": LENGTHS,
    "coding": CODINGS,
    "field": FIELDS,
    "line": LINES,
    "target": TARGETS,
    "chunk": CHUNKS,
    "limit": LIMITS,
    "expect": EXPECTS,
    "keeping": KEEPING,
}
