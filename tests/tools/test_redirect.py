"""Another page answers."""

from __future__ import annotations

from typing import Any

import pytest

from kirsch.web import current, expose
from tests.tools.helpers import Answer, ask, make, wsgi


class Root:
    @expose
    def index(self) -> str:
        return "index"

    @expose
    def crash(self) -> str:
        raise ZeroDivisionError

    @expose
    def sorry(self) -> str:
        return f"sorry for {current().prev.path_info}"  # type: ignore[union-attr]


def on(path: str, tool: str, **keys: Any) -> Any:
    section = {f"tools.{tool}.on": True, **{f"tools.{tool}.{name}": value for name, value in keys.items()}}
    return make(Root(), {path: section})


def get(app: Any, path: str) -> Answer:
    answer = ask(app, path)
    assert wsgi(app, path).status == answer.status
    return answer


def test_another_page_answers_unseen() -> None:
    assert get(on("/here", "redirect", url="/sorry"), "/here").text == "sorry for /here"


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("/sorry", "/sorry"),
        ("sorry?a=1", "/sorry?a=1"),
        ("https://elsewhere.test/x", "https://elsewhere.test/x"),
    ],
)
def test_or_the_client_is_sent_there(url: str, location: str) -> None:
    answer = get(on("/here", "redirect", url=url, internal=False), "/here")
    assert (answer.code, answer.header("Location")) == (303, location)


def test_a_url_that_splits_the_head_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    answer = get(on("/here", "redirect", url="/a\r\nX: y", internal=False), "/here")
    assert (answer.code, answer.header("X")) == (500, None)
    assert "control character" in caplog.text


def test_another_page_answers_for_errors() -> None:
    assert get(on("/crash", "err_redirect", url="/sorry"), "/crash").text == "sorry for /crash"
    answer = get(on("/crash", "err_redirect", url="/sorry", internal=False), "/crash")
    assert (answer.code, answer.header("Location")) == (303, "/sorry")
    assert get(on("/crash", "err_redirect", url="/sorry"), "/").text == "index"
    assert get(on("/none", "err_redirect", url="/sorry"), "/none").code == 404


@pytest.mark.parametrize("path", ["/crash", "/other"])
def test_errors_that_answer_for_errors_come_to_an_end(path: str) -> None:
    app = on("/", "err_redirect", url="/crash")
    app.root.other = app.root.crash
    assert get(app, path).code == 500


@pytest.mark.parametrize(("tool", "path"), [("redirect", "/"), ("err_redirect", "/crash")])
def test_it_must_be_said_where_to(tool: str, path: str, caplog: pytest.LogCaptureFixture) -> None:
    assert get(on(path, tool), path).code == 500
    assert f"not 'tools.{tool}.url'" in caplog.text
