"""Pages for those who come from certain pages."""

from __future__ import annotations

from typing import Any

import pytest

from kirsch.web import expose
from tests.tools.helpers import ask, make


class Root:
    @expose
    def index(self) -> str:
        return "page"


HERE = "http://example.test/"


@pytest.mark.parametrize(
    ("field", "keys", "code"),
    [
        ("http://example.test/a", {}, 200),
        ("http://elsewhere.test/", {}, 403),
        ("", {}, 403),
        ("\xff", {}, 403),
        (None, {}, 403),
        (None, {"accept_missing": True}, 200),
        (None, {"accept": False}, 403),
        (None, {"accept": False, "accept_missing": True}, 200),
        ("http://example.test/a", {"accept": False}, 403),
        ("http://elsewhere.test/", {"accept": False}, 200),
        ("http://elsewhere.test/", {"error": 404}, 404),
    ],
)
def test_who_comes_from_elsewhere_is_refused(field: str | None, keys: dict[str, Any], code: int) -> None:
    named: dict[str, Any] = {f"referer__{name}": value for name, value in keys.items()}
    app = make(Root(), referer__on=True, referer__pattern=HERE, **named)
    assert ask(app, fields={} if field is None else {"Referer": field}).code == code


def test_the_message_can_be_chosen_and_is_escaped() -> None:
    app = make(Root(), referer__on=True, referer__pattern=HERE, referer__message="<no>")
    assert "&lt;no&gt;" in ask(app).text
    assert "Forbidden Referer header." in ask(make(Root(), referer__on=True, referer__pattern=HERE)).text


def test_it_must_be_said_from_where(caplog: pytest.LogCaptureFixture) -> None:
    assert ask(make(Root(), referer__on=True)).code == 500
    assert "not 'tools.referer.pattern'" in caplog.text
