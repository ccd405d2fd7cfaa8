"""Folders and single files: what is served, to whom nothing is, and what is remembered."""

from __future__ import annotations

import gzip
import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import pytest

from kirsch.tools import files, staticdir
from kirsch.tools.files import REFUSED
from tests.tools.folder import BIG, DATE, THEN, Nothing, Root, app_of, get
from tests.tools.helpers import ask, make, wsgi

if TYPE_CHECKING:
    from pathlib import Path


# ---- what is served -----------------------------------------------------------------------------------


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
    staticdir._folder.cache_clear()
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


# ---- who may see it -----------------------------------------------------------------------------------

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


# ---- encoded siblings ---------------------------------------------------------------------------------


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
    assert answer.text == ("0123456789" if coding is None else staticdir.CODINGS[coding])
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


# ---- one file -----------------------------------------------------------------------------------------


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


# ---- what is remembered -------------------------------------------------------------------------------


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as settled at once."""
    monkeypatch.setattr(staticdir, "_SETTLED", -1000)


def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the paths that are opened from now on."""
    paths: list[str] = []
    real = files._open

    def noting(path: str) -> Any:
        paths.append(path)
        return real(path)

    monkeypatch.setattr(files, "_open", noting)
    return paths


@pytest.mark.usefixtures("settled")
def test_a_small_file_is_opened_once_and_answered_the_same(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = opened(monkeypatch)
    app = app_of(root, index="index.html")
    for path in ("ten.txt", "docs/"):
        answers = [get(app, path) for _ in range(3)]
        assert len({(answer.status, tuple(answer.fields), answer.body) for answer in answers}) == 1
    assert paths == [str(root / "ten.txt"), str(root / "docs" / "index.html")]
    assert get(app, "ten.txt", "HEAD").fields == get(app, "ten.txt").fields


@pytest.mark.usefixtures("settled")
def test_fields_that_other_tools_add_are_not_remembered(root: Path) -> None:
    app = app_of(root)
    app.config["/"]["tools.response_headers.on"] = True
    app.config["/"]["tools.response_headers.headers"] = [("X-Own", "1")]

    def late(request: Any, /) -> None:
        request.response.headers["X-Late"] = request.headers.get("X-Say", "no")

    app.config["/"]["hooks.before_finalize"] = late
    for say in ("a", "b"):
        answer = get(app, "ten.txt", X_Say=say)
        assert (answer.header("X-Own"), answer.header("X-Late")) == ("1", say)


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("fields", [{"If_None_Match": "*"}, {"Range": "bytes=0-1"}, {"IF_MATCH": '"x"'}])
def test_conditions_and_ranges_are_looked_at_all_the_same(root: Path, fields: dict[str, str]) -> None:
    app = app_of(root)
    first = get(app, "ten.txt", **fields).code
    assert get(app, "ten.txt").code == 200
    assert get(app, "ten.txt", **fields).code == first != 200
    assert get(app, "ten.txt").body == b"0123456789"


@pytest.mark.usefixtures("settled")
def test_a_change_is_seen_at_once(root: Path) -> None:
    app = app_of(root)
    path = root / "ten.txt"
    before = get(app, "ten.txt")
    path.write_bytes(b"9876543210")
    # As if nothing had changed: size and date are the same.
    os.utime(path, (THEN, THEN))
    assert get(app, "ten.txt").body == b"9876543210"
    path.unlink()
    assert get(app, "ten.txt").code == 404
    path.write_bytes(b"0123456789")
    assert get(app, "ten.txt").body == before.body


@pytest.mark.usefixtures("settled")
def test_a_link_that_comes_in_the_place_of_a_file_is_looked_at(root: Path) -> None:
    app = app_of(root)
    assert get(app, "ten.txt").code == 200
    (root / "ten.txt").unlink()
    (root / "ten.txt").symlink_to("../secret.txt")
    assert get(app, "ten.txt").code == 404


@pytest.mark.parametrize(
    ("name", "keys"),
    [("big.bin", {}), ("ten.txt", {"precompressed": True}), ("none.txt", {})],
)
@pytest.mark.usefixtures("settled")
def test_what_is_large_missing_or_chosen_is_opened_each_time(
    root: Path, name: str, keys: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = app_of(root, **keys)
    paths = opened(monkeypatch)
    for _ in range(3):
        get(app, name)
    assert paths.count(str(root / name)) == 3


def test_what_was_changed_just_now_is_not_remembered(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = opened(monkeypatch)
    app = app_of(root)
    get(app, "ten.txt")
    get(app, "ten.txt")
    assert len(paths) == 2


@pytest.mark.usefixtures("settled")
def test_a_response_that_has_begun_is_added_to(root: Path) -> None:
    app = app_of(root)

    def early(request: Any, /) -> None:
        request.response.headers["X-Early"] = request.headers.get("X-Say", "no")

    app.config["/"]["hooks.on_start_resource"] = early
    assert [get(app, "ten.txt", X_Say=say).header("X-Early") for say in ("a", "b")] == ["a", "b"]


@pytest.mark.usefixtures("settled")
def test_what_is_remembered_is_bounded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staticdir, "_MOST_REMEMBERED", 2)
    app = app_of(root)
    for number in range(20):
        (root / f"{number}.txt").write_text(str(number))
        assert get(app, f"{number}.txt").text == str(number)
    (plan,) = [plan for plan in app._plans._young.values() if plan.hooks]
    (hook,) = plan.hooks["before_handler"]
    cells = hook.callback.__closure__ or ()
    (directory,) = [each for cell in cells if isinstance(each := cell.cell_contents, staticdir._Directory)]
    assert len(directory._memory) <= 4
