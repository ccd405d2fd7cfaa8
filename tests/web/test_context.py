"""`kirsch.request` in threads and contexts, and where there is none."""

from __future__ import annotations

import threading
from contextvars import copy_context
from typing import Any

import pytest

from kirsch.web import NoRequestError, context, current, expose
from kirsch.web.context import serving
from tests.web.helpers import app_of, ask


class Root:
    @expose
    def index(self, name: str = "nobody") -> str:
        context.request.greeting = f"hello {name}"  # type: ignore[attr-defined]
        context.response.headers["X-Name"] = name
        return str(getattr(context.request, "greeting"))  # noqa: B009  through the proxy

    @expose
    def delete(self) -> str:
        context.request.greeting = "x"  # type: ignore[attr-defined]
        del context.request.greeting  # type: ignore[attr-defined]
        request: Any = context.request
        return f"{hasattr(request, 'greeting')} {bool(request)} {'params' in dir(request)}"

    @expose
    def representation(self) -> str:
        return repr(context.request)


def test_the_proxies_stand_for_the_request_being_answered() -> None:
    answer = ask(app_of(Root()), "/?name=you")
    assert (answer.text, answer.header("X-Name")) == ("hello you", "you")
    assert ask(app_of(Root()), "/delete").text == "False True True"
    assert ask(app_of(Root()), "/representation").text == "<Request GET /representation>"


def test_outside_of_a_request_they_say_so() -> None:
    assert current() is None
    assert not bool(context.request)
    assert not hasattr(context.request, "params")
    assert dir(context.request) == []
    assert repr(context.request) == "<no request is being answered here>"
    with pytest.raises(NoRequestError, match="only there while a request is being answered"):
        _ = context.request.params
    with pytest.raises(NoRequestError):
        context.response.status = 200
    with pytest.raises(NoRequestError):
        del context.response.status


def test_each_thread_has_its_own() -> None:
    barrier = threading.Barrier(4, timeout=10)
    app = None

    class Meeting:
        @expose
        def index(self, name: str) -> str:
            context.request.mine = name  # type: ignore[attr-defined]
            barrier.wait()
            return str(context.request.mine)  # type: ignore[attr-defined]

    app = app_of(Meeting())
    answers: dict[str, str] = {}

    def run(name: str) -> None:
        answers[name] = ask(app, f"/?name={name}").text

    threads = [threading.Thread(target=run, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert answers == {name: name for name in "abcd"}


def test_a_context_that_is_copied_takes_the_request_along() -> None:
    seen: list[Any] = []

    class Copying:
        @expose
        def index(self) -> str:
            seen.append(copy_context().run(current))
            return ""

    ask(app_of(Copying()), "/")
    assert seen[0] is not None
    assert serving.get(None) is None
