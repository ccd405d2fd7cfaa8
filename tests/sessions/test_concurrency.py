"""Many requests of one session at once: nothing is lost, nobody is kept waiting for ever."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import kirsch
from kirsch.config import ServerSettings
from kirsch.server import Server
from kirsch.sessions.memory import MemoryStore
from tests.sessions.child import run
from tests.sessions.conftest import CLASSES, SHARED, settings_of
from tests.sessions.helpers import Browser, Clock, Pages, gateway_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kirsch.web import Gateway

ROOT = Path(__file__).resolve().parents[2]


def begin() -> str:
    kirsch.session["begun"] = True
    return "begun"


def session_of(settings: dict[str, Any]) -> tuple[Gateway, str]:
    gateway = gateway_of(Pages(begin=begin), **settings)
    browser = Browser(gateway)
    browser.ask("/begin")
    return gateway, browser.id


def contents(gateway: Gateway, session_id: str) -> dict[Any, Any]:
    (store,) = gateway.tree.site.toolboxes["tools"].sessions.stores.values()
    record = store.load(session_id)
    store.close()
    return dict(record.data)


EXPECTED = {"begun": True, "n": 40, **{f"k{number}": True for number in range(40)}}


@pytest.mark.parametrize("name", CLASSES)
def test_forty_requests_at_once_lose_no_key(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    kind = name.partition("-")[0]
    settings: dict[str, Any] = {"lock_timeout": 30, **settings_of(name, request, tmp_path)}
    if kind == "memory":
        settings["storage_class"] = MemoryStore(**settings_of(name, request, tmp_path))
        settings.pop("serializer", None)
        gateway = gateway_of(Pages(begin=begin), **settings)
        browser = Browser(gateway)
        browser.ask("/begin")
        assert run(settings, browser.id, 0, 40) == [200] * 40
        record = settings["storage_class"].load(browser.id)
        assert record.data == EXPECTED
        return
    settings["storage_class"] = kind
    gateway, session_id = session_of(settings)
    assert run(settings, session_id, 0, 40) == [200] * 40
    assert contents(gateway, session_id) == EXPECTED


@pytest.mark.parametrize("kind", SHARED)
def test_two_processes_with_twenty_requests_each_lose_no_key(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    settings = {"storage_class": kind, "lock_timeout": 30, **settings_of(kind, request, tmp_path)}
    gateway, session_id = session_of(settings)
    children = [
        subprocess.Popen(
            [
                *(sys.executable, "-W", "error", "-m", "tests.sessions.child"),
                json.dumps({"settings": settings, "session_id": session_id, "first": first, "count": 20}),
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for first in (0, 20)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    # `communicate` on one would wait for it to end before the other begins.
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        output, _ = child.communicate(timeout=60)
        assert json.loads(output) == [200] * 20
    assert contents(gateway, session_id) == EXPECTED
    if kind == "file":
        left = {path.suffix for path in (tmp_path / "sessions").rglob("*") if path.is_file()}
        assert left == {".session", ""}  # the guards have no suffix


def test_of_many_requests_that_log_in_at_once_none_keeps_the_old_id_alive(clock: Clock) -> None:
    store = MemoryStore(clock=clock)
    together = threading.Barrier(10)

    def login() -> str:
        together.wait(10)
        kirsch.session.regenerate()
        return str(kirsch.session.get("begun"))

    gateway = gateway_of(Pages(begin=begin, login=login), storage_class=store)
    browser = Browser(gateway)
    browser.ask("/begin")
    old = browser.id
    answers: list[str] = []

    def one() -> None:
        other = Browser(gateway, session_id=old)
        answers.append(other.text("/login"))

    threads = [threading.Thread(target=one) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert store.load(old) is None
    # One of them had the session; for all others it had ended.
    assert sorted(answers) == ["None"] * 9 + ["True"]


# --- the pool of a server ---


class Slow:
    """A program with a page that holds its session until it is told to go on."""

    def __init__(self) -> None:
        self.inside = threading.Semaphore(0)
        self.go_on = threading.Event()

    @kirsch.expose
    def begin(self) -> str:
        return begin()

    @kirsch.expose
    def hold(self) -> str:
        assert kirsch.session["begun"]
        self.inside.release()
        assert self.go_on.wait(30)
        return "held"

    @kirsch.expose
    def other(self) -> str:
        return "other"


@contextmanager
def serving(gateway: Gateway) -> Iterator[Server]:
    server = Server(gateway, ServerSettings(bind=("127.0.0.1:0",), threads=10), log=lambda *_, **__: None)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def ask(server: Server, path: str, cookie: str = "") -> tuple[int, str, str]:
    """Return status, Retry-After and cookie of an answer."""
    host = server.urls[0].removeprefix("http://").rstrip("/")
    connection = http.client.HTTPConnection(host, timeout=30)
    try:
        connection.request("GET", path, headers={"Cookie": cookie} if cookie else {})
        answer = connection.getresponse()
        answer.read()
        set_cookie = answer.headers.get("Set-Cookie", "").partition(";")[0]
        return answer.status, answer.headers.get("Retry-After", ""), set_cookie
    finally:
        connection.close()


def hold_by(
    server: Server, cookie: str, count: int, codes: list[tuple[int, str]], ended: threading.Semaphore
) -> list[threading.Thread]:
    def one() -> None:
        codes.append(ask(server, "/hold", cookie)[:2])
        ended.release()

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


def test_twenty_requests_of_one_session_leave_the_pool_usable(clock: Clock) -> None:
    root = Slow()
    with serving(gateway_of(root, storage_class=MemoryStore(clock=clock), lock_timeout=0.2)) as server:
        _, _, cookie = ask(server, "/begin")
        codes: list[tuple[int, str]] = []
        ended = threading.Semaphore(0)
        threads = hold_by(server, cookie, 20, codes, ended)
        assert root.inside.acquire(timeout=20)
        # Nine threads of ten wait for the session; each for a fifth of a second at most.
        assert ask(server, "/other")[0] == 200
        assert all(ended.acquire(timeout=20) for _ in range(19))
        root.go_on.set()
        for thread in threads:
            thread.join(30)
        assert sorted(codes) == [(200, ""), *[(503, "1")] * 19]
        assert ask(server, "/hold", cookie)[0] == 200


def test_with_a_bound_on_those_who_wait_others_are_answered_while_a_session_is_held(clock: Clock) -> None:
    root = Slow()
    store = MemoryStore(clock=clock)
    with serving(gateway_of(root, storage_class=store, lock_timeout=30, lock_waiters=3)) as server:
        _, _, cookie = ask(server, "/begin")
        codes: list[tuple[int, str]] = []
        ended = threading.Semaphore(0)
        threads = hold_by(server, cookie, 20, codes, ended)
        assert root.inside.acquire(timeout=20)
        # One is answered and three wait, all with time to spare; so there are threads for everybody else.
        for _ in range(20):
            assert ask(server, "/other")[0] == 200
        root.go_on.set()
        for thread in threads:
            thread.join(30)
        assert codes.count((200, "")) >= 4
        assert codes.count((503, "1")) == 20 - codes.count((200, ""))


def test_a_client_that_goes_away_leaves_its_session_free(clock: Clock) -> None:
    root = Slow()
    with serving(gateway_of(root, storage_class=MemoryStore(clock=clock), lock_timeout=20)) as server:
        _, _, cookie = ask(server, "/begin")
        host = server.urls[0].removeprefix("http://").rstrip("/")
        gone = http.client.HTTPConnection(host, timeout=30)
        gone.request("GET", "/hold", headers={"Cookie": cookie})
        assert root.inside.acquire(timeout=20)
        gone.close()
        root.go_on.set()
        assert ask(server, "/hold", cookie)[0] == 200
