"""Sessions through requests: what a browser and caches see."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

import kirsch
from kirsch.http.exchange import Exchange, FileBody
from kirsch.sessions.errors import SessionError
from kirsch.sessions.hooks import session_of
from kirsch.sessions.memory import MemoryStore
from kirsch.sessions.store import Record
from kirsch.web import HTTPError, HTTPRedirect, InternalRedirect, Tool, current
from tests.sessions.helpers import Browser, Pages, gateway_of
from tests.web.helpers import make_head

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kirsch.web import Gateway, Request
    from tests.sessions.helpers import Clock


@pytest.fixture(name="memory")
def _memory(clock: Clock) -> MemoryStore:
    return MemoryStore(clock=clock)


def count() -> str:
    kirsch.session["n"] = kirsch.session.get("n", 0) + 1
    return str(kirsch.session["n"])


def untouched() -> str:
    return "hello"


def program(memory: MemoryStore, config: dict[str, Any] | None = None, /, **pages: Any) -> Gateway:
    settings = {name: pages.pop(name) for name in ("locking", "lock_timeout", "priority") if name in pages}
    pages = {"index": count, "untouched": untouched, **pages}
    return gateway_of(Pages(**pages), config, storage_class=memory, **settings)


def test_a_browser_keeps_its_session(memory: MemoryStore) -> None:
    gateway = program(memory)
    one, two = Browser(gateway), Browser(gateway)
    assert [one.text(), one.text(), two.text(), one.text()] == ["1", "2", "1", "3"]


def test_a_page_that_does_not_use_its_session_says_nothing_of_it(memory: MemoryStore) -> None:
    answer = Browser(program(memory)).ask("/untouched")
    assert answer.fields == [("Content-Type", "text/html; charset=utf-8")]
    assert memory.count() == 0


@pytest.mark.parametrize("session_id", ["../../x", "x" * 43, "%00", "a b", "é", "x" * 4000])
def test_ids_that_are_made_up_give_a_new_session(memory: MemoryStore, session_id: str) -> None:
    browser = Browser(program(memory), session_id=session_id)
    assert browser.text() == "1"
    assert browser.id != session_id
    assert browser.text() == "2"


# --- caches ---


def test_an_answer_that_used_a_session_is_for_one_person(memory: MemoryStore) -> None:
    def look() -> str:
        return str(kirsch.session.get("n"))

    browser = Browser(program(memory, look=look))
    for _ in range(2):
        answer = browser.ask("/look")
        assert (answer.header("Cache-Control"), answer.header("Vary")) == ("private", "Cookie")
        browser.ask()


@pytest.mark.parametrize(
    ("set_by_page", "expected"),
    [
        ({"Cache-Control": "no-store"}, ("no-store", "Cookie")),
        ({"Vary": "Accept"}, ("private", "Accept, Cookie")),
        ({"Vary": "accept, cookie"}, ("private", "accept, cookie")),
        ({"Vary": "*"}, ("private", "*")),
        ({"X-Other": "1"}, ("private", "Cookie")),
    ],
)
def test_what_the_page_says_to_caches_stays(
    memory: MemoryStore, set_by_page: dict[str, str], expected: tuple[str, str]
) -> None:
    def index() -> str:
        kirsch.response.headers.update(set_by_page)
        return count()

    browser = Browser(program(memory, index=index))
    for _ in range(2):
        answer = browser.ask()
        assert (answer.header("Cache-Control"), answer.header("Vary")) == expected


def test_answers_of_a_resource_are_alike_and_do_not_mix(memory: MemoryStore) -> None:
    browser = Browser(program(memory))
    browser.ask()
    first, second = browser.ask().fields, browser.ask().fields
    assert first == second
    assert [name for name, _ in first] == ["Content-Type", "Cache-Control", "Vary"]
    assert browser.ask("/untouched").header("Vary") is None


# --- how requests end ---


def test_errors_and_redirects_of_a_page_keep_what_it_stored(memory: MemoryStore) -> None:
    def error() -> str:
        kirsch.session["from"] = "error"
        raise HTTPError(403)

    def away() -> str:
        kirsch.session["from"] = "away"
        raise HTTPRedirect("/look")

    def look() -> str:
        return str(kirsch.session["from"])

    browser = Browser(program(memory, error=error, away=away, look=look))
    answer = browser.ask("/error")
    assert (answer.code, answer.header("Vary")) == (403, "Cookie")
    assert browser.text("/look") == "error"
    assert browser.ask("/away").code == 303
    assert browser.text("/look") == "away"


def test_an_unexpected_error_drops_what_was_changed_and_gives_the_lock_back(memory: MemoryStore) -> None:
    def broken() -> str:
        kirsch.session["n"] = 100
        raise RuntimeError

    browser = Browser(program(memory, broken=broken))
    browser.ask()
    assert browser.ask("/broken").code == 500
    assert len(memory._locks) == 0
    assert browser.text() == "2"


def test_an_error_page_may_read_the_session(memory: MemoryStore) -> None:
    def broken() -> str:
        raise RuntimeError

    def page(**_: str) -> str:
        return f"sorry, {kirsch.session.get('n')}"

    browser = Browser(program(memory, {"error_page.500": page}, broken=broken))
    browser.ask()
    answer = browser.ask("/broken")
    assert (answer.code, answer.text) == (500, "sorry, 1")
    assert len(memory._locks) == 0


def test_the_end_of_the_program_gives_the_lock_back(memory: MemoryStore) -> None:
    def leave() -> str:
        assert kirsch.session["n"]
        raise SystemExit

    browser = Browser(program(memory, leave=leave))
    browser.ask()
    with pytest.raises(SystemExit):
        browser.ask("/leave")
    assert len(memory._locks) == 0


def test_a_session_that_is_locked_for_too_long_is_a_503(memory: MemoryStore) -> None:
    browser = Browser(program(memory, lock_timeout=0.01))
    browser.ask()
    lock = memory.lock(browser.id, 0)
    answer = browser.ask()
    assert (answer.code, answer.header("Retry-After")) == (503, "1")
    assert browser.ask("/untouched").code == 200
    lock.release()
    assert browser.text() == "2"


def test_a_value_that_cannot_be_stored_is_an_error_that_names_it(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    def index() -> str:
        kirsch.session["cart"] = [object()]
        return "never seen"

    store = MemoryStore(serializer="msgpack", clock=clock)
    with caplog.at_level(logging.ERROR):
        answer = Browser(program(store, index=index)).ask()
    assert answer.code == 500
    assert "session['cart'][0]: a builtins.object is not kept" in caplog.text


def test_an_internal_redirect_takes_the_session_along(memory: MemoryStore) -> None:
    def first() -> str:
        kirsch.session["from"] = "first"
        raise InternalRedirect("/second")

    def second() -> str:
        return f"{kirsch.session['from']} {kirsch.session.missing}"

    browser = Browser(program(memory, first=first, second=second))
    assert browser.text("/first") == "first False"
    assert browser.text("/second") == "first False"
    assert memory.count() == 1
    assert len(memory._locks) == 0


def test_the_cookie_comes_along_when_the_page_redirected_to_does_not_look(memory: MemoryStore) -> None:
    def first() -> str:
        kirsch.session["from"] = "first"
        raise InternalRedirect("/untouched")

    browser = Browser(program(memory, first=first))
    assert browser.text("/first") == "hello"
    assert memory.load(browser.id) is not None


# --- login and logout ---


def test_a_login_gives_a_new_id_by_a_cookie_with_all_its_attributes(memory: MemoryStore) -> None:
    def login() -> str:
        kirsch.session.regenerate()
        kirsch.session["user"] = "anna"
        return "in"

    gateway = gateway_of(
        Pages(index=count, login=login),
        storage_class=memory,
        path="/",
        same_site="Strict",
        persistent=True,
        timeout=30,
        partitioned=True,
    )
    browser = Browser(gateway, "https")
    browser.ask()
    before, old = browser.attributes, browser.id
    browser.ask("/login")
    assert browser.attributes == before
    assert {"HttpOnly", "Secure", "SameSite=Strict", "Max-Age=1800", "Partitioned"} < before
    assert browser.id != old
    assert browser.text() == "2"
    assert Browser(gateway, "https", **{"__Host-session_id": old}).text() == "1"


def test_a_logout_ends_the_session_and_takes_the_cookie(memory: MemoryStore) -> None:
    def logout() -> str:
        kirsch.session.delete()
        return "out"

    gateway = program(memory, logout=logout)
    browser = Browser(gateway)
    browser.ask()
    old = browser.id
    browser.ask("/logout")
    assert browser.cookies == {}
    assert memory.count() == 0
    assert Browser(gateway, session_id=old).text() == "1"


# --- hooks of a program ---


def test_hooks_may_use_the_session_from_before_the_body_to_before_the_head(memory: MemoryStore) -> None:
    seen: list[int] = []

    def early() -> None:
        kirsch.session["early"] = 1

    def late() -> None:
        kirsch.session["late"] = 1
        seen.append(len(kirsch.session))

    def over() -> None:
        seen.append(kirsch.session["n"])

    gateway = program(memory, {"tools.early.on": True, "tools.late.on": True, "tools.over.on": True})
    box = gateway.tree.site.toolboxes["tools"]
    box.early = Tool("before_request_body", early, priority=55)
    box.late = Tool("before_finalize", late, priority=80)
    box.over = Tool("on_end_resource", over, priority=95)
    browser = Browser(gateway)
    assert browser.text() == "1"
    assert seen == [3, 1]
    assert browser.text() == "2"
    record = memory.load(browser.id)
    assert record is not None
    assert record.data == {"early": 1, "late": 1, "n": 2}
    assert len(memory._locks) == 0


def test_a_hook_that_comes_after_the_session_was_stored_may_still_use_a_known_one(
    memory: MemoryStore,
) -> None:
    def late() -> None:
        kirsch.session["late"] = kirsch.session.get("late", 0) + 1

    gateway = program(memory, {"tools.late.on": True})
    gateway.tree.site.toolboxes["tools"].late = Tool("before_finalize", late, priority=99)
    browser = Browser(gateway)
    browser.ask()
    browser.ask()
    record = memory.load(browser.id)
    assert record is not None
    assert record.data == {"n": 2, "late": 2}
    assert len(memory._locks) == 0


def test_early_locking_locks_before_the_body_is_read(memory: MemoryStore) -> None:
    locked: list[bool] = []

    def look() -> None:
        locked.append(bool(kirsch.session.locked))

    gateway = program(memory, {"tools.look.on": True}, locking="early")
    gateway.tree.site.toolboxes["tools"].look = Tool("before_request_body", look, priority=70)
    browser = Browser(gateway)
    browser.ask()
    browser.ask()
    browser.ask("/untouched")
    assert locked == [False, True, True]
    assert len(memory._locks) == 0


def test_a_request_refused_before_its_session_began_ends_as_usual(memory: MemoryStore) -> None:
    def refuse(request: Request, /) -> None:
        assert session_of(request) is None
        raise HTTPError(403)

    gateway = program(memory, {"tools.refuse.on": True}, locking="early")
    gateway.tree.site.toolboxes["tools"].refuse = Tool("on_start_resource", refuse)
    assert Browser(gateway).ask().code == 403


# --- bodies that are made late ---


def test_a_generator_may_use_the_session(memory: MemoryStore) -> None:
    def index() -> Iterator[str]:
        yield "é "
        yield count()

    browser = Browser(program(memory, index=index))
    assert [browser.text(), browser.text()] == ["é 1", "é 2"]


def test_files_are_left_alone(memory: MemoryStore, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"file")

    def index() -> Any:
        count()
        return FileBody(path.open("rb"))

    def plain() -> Any:
        return path.open("rb")

    browser = Browser(program(memory, index=index, plain=plain))
    assert browser.text() == "file"
    assert browser.text("/plain") == "file"


def streaming(*, touch: bool) -> Any:
    def stream() -> Iterator[str]:
        kirsch.response.stream = True
        if touch:
            assert kirsch.session.id

        def body() -> Iterator[str]:
            yield "a"
            yield count()

        return body()

    return stream


def test_a_stream_may_use_the_session_and_holds_no_lock(memory: MemoryStore) -> None:
    def stream() -> Iterator[str]:
        kirsch.response.stream = True
        count()

        def body() -> Iterator[str]:
            yield str(len(memory._locks))
            yield count()
            yield str(len(memory._locks))

        return body()

    browser = Browser(program(memory, stream=stream))
    assert browser.text("/stream") == "020"
    assert browser.text("/stream") == "040"
    assert browser.text() == "5"


def test_a_stream_of_a_new_session_needs_its_id_before_it_begins(memory: MemoryStore) -> None:
    browser = Browser(program(memory, stream=streaming(touch=True)))
    assert browser.text("/stream") == "a1"
    assert browser.text() == "2"
    browser = Browser(program(memory, stream=streaming(touch=False)))
    with pytest.raises(SessionError, match="the head of the response is out"):
        browser.ask("/stream")
    assert len(memory._locks) == 0


def test_a_client_that_goes_away_ends_a_stream_with_what_it_had_stored(memory: MemoryStore) -> None:
    gateway = program(memory, stream=streaming(touch=True))
    browser = Browser(gateway)
    browser.ask()
    head = make_head("/stream", "GET", {"Cookie": f"session_id={browser.id}"})
    exchange = Exchange(head, None, 0, browser.link)
    gateway(exchange)
    content: Any = exchange.content
    assert [next(content), next(content)] == [b"a", b"2"]
    content.close()
    assert exchange.after is not None
    exchange.after()
    assert len(memory._locks) == 0
    assert browser.text() == "3"


def test_an_error_after_a_stream_was_begun_leaves_nothing_locked(memory: MemoryStore) -> None:
    def fail() -> None:
        raise RuntimeError

    gateway = program(memory, {"tools.fail.on": True}, stream=streaming(touch=True))
    gateway.tree.site.toolboxes["tools"].fail = Tool("before_finalize", fail, priority=95)
    assert Browser(gateway).ask("/stream").code == 500
    assert len(memory._locks) == 0


def test_the_hooks_can_be_read_in_a_dump(memory: MemoryStore) -> None:
    seen: list[str] = []

    def index() -> str:
        request = current()
        assert request is not None
        seen.extend(repr(hook) for hooks in request.hooks.values() for hook in hooks)
        return "x"

    Browser(program(memory, index=index)).ask()
    assert len(seen) == 3
    assert all("priority" in text for text in seen)


def test_expired_sessions_are_swept_by_those_who_come(memory: MemoryStore, clock: Clock) -> None:
    gateway = program(memory)
    for _ in range(5):
        Browser(gateway).ask()
    memory.save("9" * 43, Record({}, clock() + 60, clock()))
    clock.move(minutes=61)
    Browser(gateway).ask()
    assert memory.count() == 1
