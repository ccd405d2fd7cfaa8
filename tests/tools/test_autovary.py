"""The Vary field tells what was looked at."""

from __future__ import annotations

from typing import Any

import pytest

from kirsch.web import HTTPError, current, expose
from tests.tools.helpers import ask, make, wsgi


class Root:
    def __init__(self, look: Any = None) -> None:
        self.look = look

    @expose
    def index(self) -> str:
        request = current()
        assert request is not None
        return repr(self.look(request)) if self.look else ""

    @expose
    def fail(self) -> str:
        current().headers.get("X-Reason")  # type: ignore[union-attr]
        raise HTTPError(409)


@pytest.mark.parametrize(
    ("look", "vary"),
    [
        (lambda request: request.headers.get("Accept-Language"), "Accept-Language"),
        (lambda request: request.headers.get("x-none"), "X-None"),
        (lambda request: "Origin" in request.headers, "Origin"),
        (lambda request: 5 in request.headers, None),
        (lambda request: request.headers["User-Agent"], "User-Agent"),
        (lambda request: request.headers.get_all("Accept"), "Accept"),
        (lambda request: request.cookies, "Cookie"),
        (lambda request: (request.headers.get("DNT"), request.headers.get("dnt")), "DNT"),
        (lambda request: request.headers.get("If-None-Match"), None),
        (lambda request: request.headers.get("Range"), None),
        (lambda request: request.headers.get("Content-Type"), None),
        (lambda request: request.headers.copy().get("X-Copied"), None),
        (lambda request: list(request.headers.items()), None),
        (None, None),
    ],
)
def test_what_was_looked_at_is_named(look: Any, vary: str | None) -> None:
    fields = {"User-Agent": "test", "Cookie": "a=1"}
    assert ask(make(Root(look), autovary__on=True), fields=fields).header("Vary") == vary
    assert wsgi(make(Root(look), autovary__on=True), fields=fields).header("Vary") == vary
    assert ask(make(Root(look)), fields=fields).header("Vary") is None


def test_the_fields_are_the_same_fields() -> None:
    app = make(Root(lambda request: sorted(request.headers.items())), autovary__on=True)
    assert ask(app, fields={"A": "1", "B": "2"}).text == "[('A', '1'), ('B', '2'), ('Host', 'example.test')]"

    def change(request: Any) -> Any:
        request.headers["B"] = "3"
        del request.headers["A"]
        return sorted(request.headers.items())

    app = make(Root(change), autovary__on=True)
    for _ in range(2):
        assert ask(app, fields={"A": "1", "B": "2"}).text == "[('B', '3'), ('Host', 'example.test')]"


def test_names_can_be_ignored() -> None:
    app = make(
        Root(lambda request: request.headers.get("X-One")), autovary__on=True, autovary__ignore=["x-one"]
    )
    assert ask(app).header("Vary") is None


def test_it_adds_to_what_other_tools_say() -> None:
    app = make(
        Root(lambda request: request.headers.get("X-One")), autovary__on=True, gzip__on=True, gzip__min_size=0
    )
    assert ask(app, fields={"Accept-Encoding": "gzip"}).header("Vary") == "Accept-Encoding, X-One"


def test_errors_tell_it_too() -> None:
    answer = ask(make(Root(), autovary__on=True), "/fail")
    assert (answer.code, answer.header("Vary")) == (409, "X-Reason, Accept")
