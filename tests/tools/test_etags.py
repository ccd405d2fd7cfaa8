"""Conditions of requests for pages: RFC 9110 section 13."""

from __future__ import annotations

import io
from typing import Any

import pytest

from kirsch.http import FileBody, format_date
from kirsch.tools.etags import validate_etags, validate_since
from kirsch.web import HTTPError, NoRequestError, current, expose
from tests.tools.helpers import ask, make, wsgi

THEN = 1_700_000_000
EARLIER, DATE, LATER = (format_date(THEN + shift) for shift in (-1, 0, 1))


class Body(list[bytes]):
    closed = 0

    def close(self) -> None:
        self.closed += 1


class Root:
    def __init__(self) -> None:
        self.etag: str | None = '"v1"'
        self.modified: str | None = None
        self.body: Any = "page"
        self.stream = False
        self.status: Any = None
        self.changes = 0

    @expose
    def index(self) -> Any:
        response = current().response  # type: ignore[union-attr]
        if self.etag is not None:
            response.headers["ETag"] = self.etag
        if self.modified is not None:
            response.headers["Last-Modified"] = self.modified
        response.stream, response.status = self.stream, self.status
        return self.body

    @expose
    def change(self) -> str:
        response = current().response  # type: ignore[union-attr]
        response.headers["ETag"] = '"v1"'
        validate_etags()
        self.changes += 1
        response.headers["ETag"] = '"v2"'
        return "changed"

    @expose
    def dated(self) -> str:
        current().response.headers["Last-Modified"] = DATE  # type: ignore[union-attr]
        validate_since()
        self.changes += 1
        return "dated"

    @expose
    def fail(self) -> str:
        current().response.headers["ETag"] = '"v1"'  # type: ignore[union-attr]
        raise HTTPError(404)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, 200),
        ({"If-None-Match": '"v1"'}, 304),
        ({"If-None-Match": 'W/"v1"'}, 304),
        ({"If-None-Match": '"x" , "v1"'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"v2"'}, 200),
        ({"If-None-Match": "v1"}, 200),
        ({"If-None-Match": "\xff\xff" * 5000}, 200),
        ({"If-Match": '"v1"'}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": 'W/"v1"'}, 412),
        ({"If-Match": '"v2"'}, 412),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_tags_are_compared(fields: dict[str, str], code: int, method: str) -> None:
    answer = wsgi(make(Root(), etags__on=True), "/", method, fields)
    assert answer.code == code
    if code == 304:
        assert (answer.header("ETag"), answer.body) == ('"v1"', b"")
    if code == 412:
        assert answer.header("ETag") is None


def test_without_the_tool_nothing_is_compared() -> None:
    assert ask(make(Root()), "/", fields={"If-None-Match": '"v1"'}).code == 200


def test_a_weak_tag_never_matches_strongly() -> None:
    root = Root()
    root.etag = 'W/"v1"'
    app = make(root, etags__on=True)
    assert ask(app, "/", fields={"If-Match": 'W/"v1"'}).code == 412
    assert ask(app, "/", fields={"If-None-Match": '"v1"'}).code == 304


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"If-Modified-Since": EARLIER}, 200),
        ({"If-Modified-Since": DATE}, 304),
        ({"If-Modified-Since": LATER}, 304),
        ({"If-Modified-Since": "never"}, 200),
        ({"If-Unmodified-Since": EARLIER}, 412),
        ({"If-Unmodified-Since": DATE}, 200),
        ({"If-None-Match": '"v2"', "If-Modified-Since": LATER}, 200),
    ],
)
def test_dates_are_compared_as_dates(fields: dict[str, str], code: int) -> None:
    root = Root()
    root.etag, root.modified = None, DATE
    assert ask(make(root, etags__on=True), "/", fields=fields).code == code


def test_a_date_or_tag_of_the_program_that_is_none_counts_as_none() -> None:
    root = Root()
    root.etag, root.modified = "v1", "yesterday"
    app = make(root, etags__on=True)
    assert ask(app, "/", fields={"If-None-Match": '"v1"', "If-Modified-Since": LATER}).code == 200


@pytest.mark.parametrize("body", ["page", b"page", ["pa", b"ge"]])
def test_a_tag_is_made_of_the_body(body: Any) -> None:
    root = Root()
    root.etag, root.body = None, body
    app = make(root, etags__on=True, etags__autotags=True)
    tag = ask(app).header("ETag")
    assert tag is not None
    assert tag.startswith('"')
    root.body = "page"
    assert ask(app, "/", fields={"If-None-Match": tag}).code == 304
    root.body = "other"
    assert ask(app, "/", fields={"If-None-Match": tag}).code == 200


@pytest.mark.parametrize("case", ["stream", "file", "off"])
def test_no_tag_is_made_of_streams_and_files_or_unasked(case: str) -> None:
    root = Root()
    root.etag, root.stream = None, case == "stream"
    root.body = FileBody(io.BytesIO(b"x"), 0, 1) if case == "file" else iter([b"x"])
    answer = ask(make(root, etags__on=True, etags__autotags=case != "off"))
    assert (answer.header("ETag"), answer.body) == (None, b"x")


def test_a_tag_of_the_programs_own_stays() -> None:
    assert ask(make(Root(), etags__on=True, etags__autotags=True)).header("ETag") == '"v1"'


@pytest.mark.parametrize("status", [201, "404 Gone fishing", 500])
def test_only_what_would_succeed_is_compared(status: Any) -> None:
    root = Root()
    root.status = status
    answer = ask(make(root, etags__on=True), "/", fields={"If-None-Match": '"v1"'})
    assert answer.code == (304 if status == 201 else int(str(status)[:3]))
    assert ask(make(root, etags__on=True), "/fail", fields={"If-Match": '"x"'}).code == 404


def test_what_is_done_is_not_denied_afterwards() -> None:
    root = Root()
    app = make(root, etags__on=True)
    answer = ask(app, "/change", "POST", {"If-Match": '"v1"'}, b"")
    assert (answer.code, root.changes) == (200, 1)
    assert ask(app, "/change", "PUT", {"If-Match": '"v0"'}, b"").code == 412
    assert ask(app, "/change", "POST", {"If-None-Match": "*"}, b"").code == 412
    assert root.changes == 1


def test_every_method_is_compared_when_asked_to() -> None:
    app = make(Root(), etags__on=True, etags__methods=None)
    assert ask(app, "/", "POST", {"If-None-Match": '"v1"'}, b"").code == 412
    assert ask(app, "/", "POST", {"If-Match": '"v1"'}, b"").code == 200


def test_a_handler_can_compare_before_it_makes_the_page() -> None:
    root = Root()
    app = make(root)
    assert ask(app, "/dated", fields={"If-Modified-Since": DATE}).code == 304
    assert root.changes == 0
    assert ask(app, "/dated", fields={"If-Modified-Since": EARLIER}).text == "dated"


def test_a_body_that_is_not_sent_is_closed() -> None:
    root = Root()
    root.body, root.stream = Body([b"x"]), True
    app = make(root, etags__on=True)
    assert ask(app, "/", fields={"If-None-Match": "*"}).code == 304
    assert root.body.closed == 1


def test_there_must_be_a_request() -> None:
    with pytest.raises(NoRequestError, match="while a request is being answered"):
        validate_etags()
