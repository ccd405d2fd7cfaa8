"""Which media type the client likes best."""

from __future__ import annotations

from typing import Any

import pytest

from kirsch.tools.accept import choose_media
from kirsch.web import NoRequestError, expose
from tests.tools.helpers import ask, make


class Root:
    @expose
    def index(self) -> str:
        return "page"

    @expose
    def chosen(self) -> str:
        return choose_media(["text/html", "text/plain"])


@pytest.mark.parametrize(
    ("field", "chosen"),
    [
        (None, "text/html"),
        ("", "text/html"),
        ("*/*", "text/html"),
        ("text/*", "text/html"),
        ("text/plain", "text/plain"),
        ("text/*;q=0.5, text/plain", "text/plain"),
        ("text/html;q=0.1, text/plain;q=0.2", "text/plain"),
        ("text/html;q=oops, text/plain;q=0.2", "text/plain"),
        ("image/png", None),
        ("text/*;q=0", None),
    ],
)
def test_the_client_chooses(field: str | None, chosen: str | None) -> None:
    fields = {} if field is None else {"Accept": field}
    answer = ask(make(Root()), "/chosen", fields=fields)
    assert answer.code == (200 if chosen else 406)
    if chosen:
        assert (answer.text, answer.header("Vary")) == (chosen, "Accept")
    tool = ask(make(Root(), accept__on=True, accept__media=["text/html", "text/plain"]), fields=fields)
    assert tool.code == answer.code


@pytest.mark.parametrize("media", [None, "", []])
def test_without_types_everybody_is_let_in(media: Any) -> None:
    answer = ask(make(Root(), accept__on=True, accept__media=media), fields={"Accept": "image/png"})
    assert (answer.code, answer.header("Vary")) == (200, None)


def test_a_refusal_says_what_there_is_and_escapes_what_was_sent() -> None:
    app = make(Root(), accept__on=True, accept__media="text/html")
    answer = ask(app, fields={"Accept": "image/png, <script>" + "x" * 1000})
    assert answer.code == 406
    assert "can be had as text/html; the request accepts only image/png, &lt;script&gt;x" in answer.text
    assert len(answer.text) < 700


def test_there_must_be_a_request() -> None:
    with pytest.raises(NoRequestError):
        choose_media("text/html")
