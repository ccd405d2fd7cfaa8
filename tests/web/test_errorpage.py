"""Error pages and redirects: what they say, what they keep to themselves, and that nothing breaks out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from kirsch.web import HTTPError, HTTPRedirect, NotFound, current, expose
from tests.web.helpers import app_of, ask

if TYPE_CHECKING:
    from pathlib import Path


class Root:
    @expose
    def error(self, code: str = "400", message: str | None = None) -> str:
        response = current().response  # type: ignore[union-attr]
        for name in (
            "ETag",
            "Last-Modified",
            "Vary",
            "Content-Range",
            "X-Kept",
            "Content-Encoding",
            "Location",
        ):
            response.headers[name] = '"x"'
        response.set_cookie("kept", "1")
        raise HTTPError(int(code), message)

    @expose
    def missing(self, path: str | None = None) -> str:
        raise NotFound(path)

    @expose
    def crash(self) -> str:
        raise RuntimeError("<b>secret</b>")

    @expose
    def go(self, to: str = "/there", status: str | None = None, external: str = "") -> str:
        raise HTTPRedirect(to, None if status is None else int(status), external=bool(external))

    @expose
    def many(self) -> str:
        raise HTTPRedirect(["/one", "/two"], 300)

    @expose
    def wrong(self) -> str:
        raise HTTPError(405, headers={"Allow": "GET, HEAD"})


def test_the_page_is_small_escaped_and_says_nothing_of_us() -> None:
    answer = ask(app_of(Root()), "/error/400/%3Cscript%3E")
    assert answer.header("Content-Type") == "text/html; charset=utf-8"
    assert "<p>&lt;script&gt;</p>" in answer.text
    assert "Kirsch" not in answer.text
    assert "Reference" not in answer.text


@pytest.mark.parametrize("target", ["/<script>alert(1)</script>", "/%3Cscript%3E%22'", "/x%00%0d%0ay"])
def test_a_path_is_repeated_escaped(target: str) -> None:
    answer = ask(app_of(Root()), target)
    assert answer.code == 404
    assert "<script>" not in answer.text
    assert "was not found" in answer.text


@pytest.mark.parametrize(("target", "path"), [("/missing", "/missing"), ("/missing?path=/other", "/other")])
def test_not_found_names_the_path(target: str, path: str) -> None:
    assert f"The path &#x27;{path}&#x27; was not found." in ask(app_of(Root()), target).text


def test_fields_of_the_content_there_would_have_been_are_gone_and_others_stay() -> None:
    answer = ask(app_of(Root()), "/error")
    assert [name for name, _ in answer.fields] == ["Content-Type", "X-Kept", "Set-Cookie"]


def test_a_range_that_cannot_be_satisfied_keeps_its_content_range() -> None:
    assert ask(app_of(Root()), "/error/416").header("Content-Range") == '"x"'


def test_an_error_brings_its_own_fields() -> None:
    answer = ask(app_of(Root()), "/wrong")
    assert (answer.code, answer.header("Allow")) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json", "application/json"),
        ("text/html;q=0.5, application/json", "application/json"),
        ("text/html, application/json", "text/html; charset=utf-8"),
        ("*/*", "text/html; charset=utf-8"),
        ("image/png", "text/html; charset=utf-8"),
        ("\xff;;q=zz", "text/html; charset=utf-8"),
    ],
)
def test_a_client_that_prefers_json_gets_json(accept: str, kind: str) -> None:
    answer = ask(app_of(Root()), "/error/409/taken", fields={"Accept": accept})
    assert answer.header("Content-Type") == kind
    if kind == "application/json":
        assert json.loads(answer.body) == {"status": 409, "error": "Conflict", "message": "taken"}


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
@pytest.mark.parametrize("target", ["/crash", "/error"])
def test_tracebacks_are_shown_only_when_asked_for(accept: str, target: str) -> None:
    fields = {"Accept": accept}
    hidden = ask(app_of(Root()), target, fields=fields)
    shown = ask(app_of(Root(), request__show_tracebacks=True), target, fields=fields)
    assert "Traceback" not in hidden.text
    assert "Traceback" in shown.text
    assert "<b>secret</b>" not in hidden.text + shown.text or accept == "application/json"


def test_json_of_an_unexpected_error_has_the_reference() -> None:
    document = json.loads(ask(app_of(Root()), "/crash", fields={"Accept": "application/json"}).body)
    assert sorted(document) == ["error", "message", "reference", "status"]


# --- pages of the program ---


def test_a_page_of_the_program_gets_what_it_needs() -> None:
    def page(status: str, message: str, traceback: str, version: str) -> str:
        return f"{status}|{message}|{traceback}|{version}"

    answer = ask(app_of(Root(), {"/": {"error_page.404": page}}), "/missing?path=x")
    assert answer.text == "404 Not Found|The path 'x' was not found.||Kirsch"


@pytest.mark.parametrize(("target", "text"), [("/error/404", "special"), ("/error/409", "general")])
def test_a_page_for_a_code_comes_before_that_for_all(target: str, text: str) -> None:
    config = {"error_page.404": lambda **_: "special", "error_page.default": lambda **_: ["general"]}
    assert ask(app_of(Root(), {"/": config}), target).text == text


def test_a_file_has_its_blanks_filled_in_escaped(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<i>%(status)s</i> %(message)s 100%%", "utf-8")
    answer = ask(app_of(Root(), {"/": {"error_page.default": str(page)}}), "/error/400/%3Cb%3E")
    assert answer.text == "<i>400 Bad Request</i> &lt;b&gt; 100%"


@pytest.mark.parametrize("show", [True, False])
def test_a_page_that_fails_leaves_the_place_to_ours(show: bool, caplog: pytest.LogCaptureFixture) -> None:
    def page(**values: str) -> str:
        raise LookupError("page broken")

    config = {"error_page.default": page, "request.show_tracebacks": show}
    answer = ask(app_of(Root(), {"/": config}), "/error/400")
    assert answer.code == 400
    assert ("page broken" in answer.text) == show
    assert "page broken" in caplog.text


# --- redirects ---


@pytest.mark.parametrize(
    ("target", "minor", "code", "location"),
    [
        ("/go", 1, 303, "/there"),
        ("/go", 0, 302, "/there"),
        ("/go?status=301", 1, 301, "/there"),
        ("/go?status=307", 1, 307, "/there"),
        ("/go?to=there", 1, 303, "/there"),
        ("/go?to=./a/../b", 1, 303, "/b"),
        ("/go?to=%3Fx%3D1", 1, 303, "/go?x=1"),
        ("/go?to=/%C3%A9%20%22%3C", 1, 303, "/%C3%A9%20%22%3C"),
        ("/go?to=http://example.test/x", 1, 303, "http://example.test/x"),
        ("/go?to=http://elsewhere.test/x&external=1", 1, 303, "http://elsewhere.test/x"),
        ("/many", 1, 300, "/one"),
    ],
)
def test_redirects_lead_where_they_should(target: str, minor: int, code: int, location: str) -> None:
    answer = ask(app_of(Root()), target, minor=minor)
    assert (answer.code, answer.header("Location")) == (code, location)


def test_all_urls_of_a_choice_are_on_the_page() -> None:
    text = ask(app_of(Root()), "/many").text
    assert '<a href="/one">' in text
    assert '<a href="/two">' in text


def test_a_host_can_be_allowed() -> None:
    app = app_of(Root(), {"/": {"request.redirect_hosts": ["Login.test"]}})
    assert ask(app, "/go?to=https://login.test/x").header("Location") == "https://login.test/x"


@pytest.mark.parametrize(
    "to", ["//evil", "https://evil.test/", "/%5Cevil", "javascript:alert(1)", "/x%0d%0aA: b"]
)
def test_a_redirect_elsewhere_is_refused_and_logged(to: str, caplog: pytest.LogCaptureFixture) -> None:
    answer = ask(app_of(Root()), f"/go?to={to}")
    assert answer.code == 500
    assert answer.header("Location") is None
    assert "was refused" in caplog.text


def test_not_modified_has_no_body_and_keeps_its_etag() -> None:
    class Etagged:
        @expose
        def index(self) -> Any:
            response = current().response  # type: ignore[union-attr]
            response.headers["ETag"] = '"x"'
            response.headers["Content-Length"] = 5
            raise HTTPRedirect([], 304)

    answer = ask(app_of(Etagged()), "/")
    assert (answer.status, answer.fields, answer.body) == ("304 Not Modified", [("ETag", '"x"')], b"")


def test_a_redirect_to_nowhere_has_no_location() -> None:
    class Nowhere:
        @expose
        def index(self) -> Any:
            raise HTTPRedirect([], 303)

    answer = ask(app_of(Nowhere()), "/")
    assert (answer.code, answer.header("Location")) == (303, None)
