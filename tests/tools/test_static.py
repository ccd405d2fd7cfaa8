"""Files over HTTP: who may see them, what is said of them, which part is sent and how."""

from __future__ import annotations

import gzip
import io
import os
import re
import time
from email import message_from_bytes
from typing import TYPE_CHECKING, Any

import pytest

from kirsch.http import FileBody, format_date
from kirsch.tools import files, static
from kirsch.tools.files import REFUSED
from kirsch.tools.static import media_type, serve_download, serve_file, serve_fileobj
from kirsch.web import Application, Gateway, NoRequestError, Tree, current, expose
from tests.server.harness import Client, serving
from tests.server.stage import until
from tests.tools.helpers import Answer, ask, make, wsgi
from tests.web.helpers import make_exchange

if TYPE_CHECKING:
    from pathlib import Path

BIG = bytes(range(256)) * 1024
THEN = 1_700_000_000
DATE = format_date(THEN)


def _furnish(place: Path) -> Path:
    root = place / "root"
    (root / "docs").mkdir(parents=True)
    (root / "ten.txt").write_bytes(b"0123456789")
    (root / "big.bin").write_bytes(BIG)
    (root / "empty.txt").write_bytes(b"")
    (root / "unknown.qqq").write_bytes(b"?")
    (root / "<img onerror>").write_bytes(b"<script>")
    (root / "docs" / "index.html").write_text("<p>docs")
    (root / ".env").write_text("SECRET")
    (root / "app.py").write_text("SECRET")
    (root / "app.conf").write_text("SECRET")
    (place / "secret.txt").write_text("SECRET")
    (place / "root-too").mkdir()
    (place / "root-too" / "s.txt").write_text("SECRET")
    for path in root.rglob("*"):
        os.utime(path, (THEN, THEN))
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return _furnish(tmp_path)


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for tests that change nothing in it."""
    return _furnish(tmp_path_factory.mktemp("still"))


class Root:
    @expose
    def default(self, *path: str) -> str:
        return f"handler of {path}"


class Nothing:
    pass


def app_of(root: Path, page: Any = None, **keys: Any) -> Application:
    section = {"tools.staticdir.on": True, "tools.staticdir.dir": str(root)}
    section |= {f"tools.staticdir.{key}": value for key, value in keys.items()}
    return make(page or Nothing(), {"/static": section})


def get(app: Application, path: str, method: str = "GET", **fields: str) -> Answer:
    return ask(
        app, f"/static/{path}", method, {name.replace("_", "-"): value for name, value in fields.items()}
    )


# ---- what is served ------------------------------------------------------------------------------------


def test_a_file_is_served_with_all_that_is_known_of_it(root: Path) -> None:
    answer = get(app_of(root), "ten.txt")
    assert answer.status == "200 OK"
    assert answer.body == b"0123456789"
    assert answer.header("Content-Type") == "text/plain; charset=utf-8"
    assert answer.header("Last-Modified") == DATE
    assert answer.header("Accept-Ranges") == "bytes"
    assert answer.header("X-Content-Type-Options") == "nosniff"
    assert re.fullmatch(r'"[0-9a-f]{24}"', answer.header("ETag") or "")
    assert answer.header("Vary") is None


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_through_wsgi_it_is_the_same(root: Path, method: str) -> None:
    app = app_of(root)
    for name, size in (("ten.txt", 10), ("big.bin", len(BIG))):
        answer = wsgi(app, f"/static/{name}", method)
        assert answer.status == "200 OK"
        assert answer.header("Content-Length") == str(size)
        assert len(answer.body) == (size if method == "GET" else 0)


def test_other_methods_and_missing_files_are_for_the_handler(root: Path) -> None:
    app = app_of(root, Root())
    assert get(app, "ten.txt").body == b"0123456789"
    assert get(app, "none.txt").text == "handler of ('static', 'none.txt')"
    assert get(app, "ten.txt", "POST").text == "handler of ('static', 'ten.txt')"
    assert ask(app, "/static").text == "handler of ('static',)"


def test_a_slash_behind_a_file_is_another_path(root: Path) -> None:
    assert get(app_of(root), "ten.txt/").code == 404
    assert get(app_of(root, index="index.html"), "ten.txt/").code == 404


def test_a_folder_is_served_by_its_index_below_its_slash(root: Path) -> None:
    app = app_of(root, index="index.html")
    assert get(app, "docs/").text == "<p>docs"
    assert get(app, "docs/").header("Content-Type") == "text/html; charset=utf-8"
    answer = get(app, "docs?a=1")
    assert (answer.code, answer.header("Location")) == (301, "/static/docs/?a=1")
    assert ask(app, "/static").code == 404
    (root / "index.html").write_text("top")
    assert ask(app, "/static/").text == "top"
    assert ask(app, "/static").header("Location") == "/static/"


def test_there_are_no_listings(root: Path) -> None:
    app = app_of(root)
    assert [get(app, path).code for path in ("", "docs", "docs/")] == [404, 404, 404]


def test_an_index_may_lie_deeper(root: Path) -> None:
    assert ask(app_of(root, index="docs/index.html"), "/static/").text == "<p>docs"


def test_paths_that_do_not_match_are_left_alone(root: Path) -> None:
    app = app_of(root, match=r"\.txt$")
    assert get(app, "ten.txt").code == 200
    assert get(app, "big.bin").code == 404


def test_the_folder_may_be_relative_to_a_root_and_to_home(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (
        get(
            make(
                Nothing(),
                {
                    "/static": {
                        "tools.staticdir.on": True,
                        "tools.staticdir.dir": "root",
                        "tools.staticdir.root": str(root.parent),
                    }
                },
            ),
            "ten.txt",
        ).code
        == 200
    )
    monkeypatch.setenv("HOME", str(root.parent))
    monkeypatch.setenv("USERPROFILE", str(root.parent))
    static._folder.cache_clear()
    assert (
        get(
            make(Nothing(), {"/static": {"tools.staticdir.on": True, "tools.staticdir.dir": "~/root"}}),
            "ten.txt",
        ).code
        == 200
    )


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"staticdir.on": True}, "not 'tools.staticdir.dir'"),
        ({"staticdir.on": True, "staticdir.dir": "relative"}, "'relative', which is relative"),
        ({"staticfile.on": True}, "not 'tools.staticfile.filename'"),
        ({"staticfile.on": True, "staticfile.filename": "a.txt"}, "set 'tools.staticfile.root'"),
        ({"staticdir.on": True, "staticdir.dri": "/x"}, "did you mean dir?"),
    ],
)
def test_a_configuration_that_leads_nowhere_says_so(
    config: dict[str, Any], text: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = make(Nothing(), {"/static": {f"tools.{key}": value for key, value in config.items()}})
    assert ask(app, "/static/a.txt").code == 500
    assert text in caplog.text


def test_as_a_page_it_serves_below_where_it_is_assigned(root: Path) -> None:
    app = make(Nothing())
    app.root = type(
        "Holder",
        (),
        {"files": app.site.toolboxes["tools"].staticdir.handler(section="/files", dir=str(root))},
    )()
    assert ask(app, "/files/ten.txt").body == b"0123456789"
    assert ask(app, "/files/none.txt").code == 404
    wrong = make(Nothing())
    wrong.root = type(
        "Holder",
        (),
        {"files": wrong.site.toolboxes["tools"].staticdir.handler(section="/other", dir=str(root))},
    )()
    assert ask(wrong, "/files/ten.txt").code == 404


def test_debugging_tells_what_was_done(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "kirsch.error")
    app = app_of(root, debug=True)
    get(app, "none.txt")
    assert "nothing to serve for /static/none.txt" in caplog.text


# ---- who may see it ------------------------------------------------------------------------------------

HOSTILE = [
    *(
        "../secret.txt",
        "..%2fsecret.txt",
        "%2e%2e/secret.txt",
        "%2e%2e%2fsecret.txt",
        "%252e%252e/secret.txt",
    ),
    *(
        "..%252fsecret.txt",
        "docs/../../secret.txt",
        "docs/..%2f..%2fsecret.txt",
        "./../secret.txt",
        ".%2e/secret.txt",
    ),
    *(
        "..\\secret.txt",
        "..%5csecret.txt",
        "%2e%2e%5csecret.txt",
        "docs\\..\\..\\secret.txt",
        "..%c0%afsecret.txt",
    ),
    *(
        "../root-too/s.txt",
        "..%2froot-too%2fs.txt",
        "%2froot-too%2fs.txt",
        "..;/secret.txt",
        "..%00/secret.txt",
    ),
    *(
        "%2fetc%2fpasswd",
        "%2Fetc/passwd",
        "/etc/passwd",
        "//etc/passwd",
        "%5cetc%5cpasswd",
        "file:%2f%2f%2fetc%2fpasswd",
    ),
    *(
        "C:%5csecret.txt",
        "C:/secret.txt",
        "c%3asecret.txt",
        "%5c%5chost%5cshare",
        "%2f%2fhost%2fshare",
        "//host/share",
    ),
    *("%5c%5c%3f%5cC:%5csecret.txt", "%5c%5c.%5cNUL", "ten.txt%00", "ten.txt%00.html", "ten.txt%0a", "%00"),
    *(
        "ten.txt.",
        "ten.txt%20",
        "ten.txt%20.",
        "ten.txt::$DATA",
        "ten.txt:x",
        "ten.txt%3a%3a$DATA",
        "docs./index.html",
    ),
    *("CON", "NUL", "nul", "COM1", "docs/NUL", "NUL.txt.x", "aux.html", "lpt1", "docs/con.txt", "COM%c2%b9"),
    *(
        ".env",
        "%2eenv",
        "app.py",
        "APP.PY",
        "app.conf",
        ".git/config",
        "docs/.htaccess",
        "ten.txt%2f",
        "docs%2findex.html",
    ),
    *("%2e", "%2e%2e", "...", "%2e%2e%2e/secret.txt", "....//secret.txt", "..%2f..%2f..%2f..%2fetc%2fpasswd"),
]


@pytest.mark.parametrize("path", HOSTILE)
def test_no_path_leads_out_or_to_what_is_not_public(still: Path, path: str) -> None:
    answer = get(app_of(still, index="index.html"), path)
    assert answer.code == 404
    assert b"SECRET" not in answer.body


@pytest.mark.parametrize("path", HOSTILE)
def test_nor_through_wsgi_where_the_path_comes_decoded(still: Path, path: str) -> None:
    from urllib.parse import unquote_to_bytes

    decoded = unquote_to_bytes(f"/static/{path}").decode("latin-1")
    answer = wsgi(app_of(still, index="index.html"), "", PATH_INFO=decoded)
    assert answer.code == 404 or answer.body in {b"<p>docs", b"0123456789"}, path
    assert b"SECRET" not in answer.body


def test_the_table_is_as_long_as_it_is_said_to_be() -> None:
    assert len(HOSTILE) >= 60


@pytest.mark.parametrize("path", ["..%2fsecret.txt", "..%2froot-too%2fs.txt"])
def test_without_the_fences_the_same_paths_lead_out(
    root: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "is_plain_name", lambda name: True)
    assert get(app_of(root), path).code == 404
    assert get(app_of(root, follow_symlinks=True, refuse=()), path).text == "SECRET"


@pytest.mark.parametrize("path", [".env", "app.py", "app.conf"])
def test_what_is_not_public_can_be_made_so(root: Path, path: str) -> None:
    assert get(app_of(root, refuse=[one for one in REFUSED if one == "none"]), path).text == "SECRET"


def test_links_lead_out_only_when_they_may(root: Path) -> None:
    (root / "out.txt").symlink_to("../secret.txt")
    assert get(app_of(root), "out.txt").code == 404
    assert get(app_of(root, follow_symlinks=True), "out.txt").text == "SECRET"


def test_links_of_encoded_siblings_lead_out_as_little(root: Path) -> None:
    (root / "ten.txt.gz").symlink_to("../secret.txt")
    answer = get(app_of(root, precompressed=True), "ten.txt", Accept_Encoding="gzip")
    assert answer.body == b"0123456789"
    (root / "big.bin.gz").symlink_to("../secret.txt")
    os.utime(root.parent / "secret.txt", (THEN, THEN))
    follow = get(app_of(root, precompressed=True, follow_symlinks=True), "ten.txt", Accept_Encoding="gzip")
    assert follow.text == "SECRET"


# ---- what it is ----------------------------------------------------------------------------------------


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


# ---- conditions ----------------------------------------------------------------------------------------


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


# ---- ranges --------------------------------------------------------------------------------------------


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


# ---- encoded siblings ----------------------------------------------------------------------------------


def with_siblings(root: Path, *ends: str) -> None:
    for end in ends:
        path = root / f"ten.txt{end}"
        path.write_bytes(end.encode())
        os.utime(path, (THEN, THEN))


@pytest.mark.parametrize(
    ("field", "coding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, zstd", "zstd"),
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("br;q=0.5, gzip", "gzip"),
        ("br;q=0, *", "zstd"),
        ("*", "br"),
        ("identity;q=0, gzip;q=0.1", "gzip"),
        ("identity, gzip;q=0.5", None),
        ("deflate", None),
        ("", None),
        ("\xff;q=", None),
        ("identity;q=0", None),
        (None, None),
    ],
)
def test_the_encoded_sibling_the_client_likes_best_is_sent(
    root: Path, field: str | None, coding: str | None
) -> None:
    with_siblings(root, ".br", ".zst", ".gz")
    answer = get(
        app_of(root, precompressed=True), "ten.txt", **({} if field is None else {"Accept_Encoding": field})
    )
    assert answer.header("Content-Encoding") == coding
    assert answer.text == ("0123456789" if coding is None else static.CODINGS[coding])
    assert answer.header("Content-Type") == "text/plain; charset=utf-8"
    assert answer.header("Vary") == "Accept-Encoding"


def test_a_sibling_that_is_missing_or_older_is_passed_over(root: Path) -> None:
    with_siblings(root, ".br", ".gz")
    os.utime(root / "ten.txt.br", (THEN - 1, THEN - 1))
    answer = get(app_of(root, precompressed=True), "ten.txt", Accept_Encoding="br, zstd, gzip")
    assert answer.header("Content-Encoding") == "gzip"


def test_each_encoding_has_a_tag_and_ranges_of_its_own(root: Path) -> None:
    (root / "big.bin.gz").write_bytes(gzip.compress(BIG))
    app = app_of(root, precompressed=True)
    plain, packed = get(app, "big.bin"), get(app, "big.bin", Accept_Encoding="gzip")
    assert plain.header("ETag") != packed.header("ETag")
    assert gzip.decompress(packed.body) == BIG
    part = get(
        app, "big.bin", Accept_Encoding="gzip", Range="bytes=0-1", If_Range=packed.header("ETag") or ""
    )
    assert (part.code, part.body, part.header("Content-Encoding")) == (206, b"\x1f\x8b", "gzip")
    answer = get(app, "big.bin", Accept_Encoding="gzip", If_None_Match=packed.header("ETag") or "")
    assert (answer.code, answer.header("Vary")) == (304, "Accept-Encoding")


def test_siblings_are_only_looked_for_when_asked_to(root: Path) -> None:
    with_siblings(root, ".gz")
    answer = get(app_of(root), "ten.txt", Accept_Encoding="gzip")
    assert (answer.body, answer.header("Vary")) == (b"0123456789", None)


# ---- one file ------------------------------------------------------------------------------------------


def test_one_file_answers_for_its_path(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "kirsch.error")
    section = {
        "tools.staticfile.on": True,
        "tools.staticfile.filename": "ten.txt",
        "tools.staticfile.root": str(root),
    }
    app = make(Root(), {"/one": section})
    assert ask(app, "/one").body == b"0123456789"
    assert ask(app, "/one", "HEAD").code == 200
    assert ask(app, "/one", "POST").text.startswith("handler")
    with_siblings(root, ".gz")
    assert ask(app, "/one", fields={"Accept-Encoding": "gzip"}).body == b"0123456789"
    app.config["/one"]["tools.staticfile.precompressed"] = True
    assert ask(app, "/one", fields={"Accept-Encoding": "gzip"}).header("Content-Encoding") == "gzip"
    app.config["/one"]["tools.staticfile.match"] = "none"
    assert ask(app, "/one").text.startswith("handler")
    app.config["/one"].update({"tools.staticfile.match": "", "tools.staticfile.debug": True})
    (root / "ten.txt").unlink()
    assert ask(app, "/one").text.startswith("handler")
    assert "there is no file" in caplog.text


# ---- called by handlers --------------------------------------------------------------------------------


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


# ---- on the wire ---------------------------------------------------------------------------------------


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
