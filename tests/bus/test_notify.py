from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

import pytest

from kirsch.bus import Bus
from kirsch.bus.notify import Notifier, ServiceManager, activated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAIT = 20.0


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The service manager's socket; its name is the path."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(WAIT)
        sock.bind(str(tmp_path / "notify"))
        yield sock


def told(manager: socket.socket) -> list[str]:
    return manager.recv(4096).decode().splitlines()


def environ(manager: socket.socket, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": str(manager.getsockname()), **more}


def test_what_happens_is_sent_in_lines(manager: socket.socket) -> None:
    notifier = Notifier(environ(manager))
    assert notifier.send(STATUS="two\nlines", EXTEND_TIMEOUT_USEC=5)
    assert told(manager) == ["STATUS=two lines", "EXTEND_TIMEOUT_USEC=5"]
    assert notifier.ready(STATUS="serves")
    assert told(manager) == ["READY=1", f"MAINPID={os.getpid()}", "STATUS=serves"]
    before = time.monotonic_ns() // 1000
    assert notifier.reloading()
    reloading, stamp = told(manager)
    assert reloading == "RELOADING=1"
    assert before <= int(stamp.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
    assert notifier.stopping()
    assert told(manager) == ["STOPPING=1"]


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="only Linux has names without a path")  # noqa: PTH112  as short as it gets
def test_a_name_without_a_path_will_do() -> None:
    name = f"kirsch-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(WAIT)
        sock.bind(f"\0{name}")
        assert Notifier({"NOTIFY_SOCKET": f"@{name}"}).stopping()
        assert told(sock) == ["STOPPING=1"]


def test_where_nobody_asked_nothing_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Notifier({}).ready()
    assert not Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()
    monkeypatch.delattr(socket, "AF_UNIX")
    assert not Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "often"}, 0.0),
        ({}, 0.0),
    ],
)
def test_a_watchdog_is_fed_at_half_its_time(
    manager: socket.socket, variables: dict[str, str], seconds: float
) -> None:
    assert Notifier(environ(manager, **variables)).watchdog == seconds
    assert Notifier(variables).watchdog == 0.0, "nobody to tell"


def test_a_bus_tells_when_it_has_started_that_it_lives_and_when_it_stops(manager: socket.socket) -> None:
    bus = Bus()
    alive = [True]
    plugin = ServiceManager(bus, Notifier(environ(manager, WATCHDOG_USEC="2000")), alive=lambda: alive[0])
    plugin.subscribe()
    order: list[str] = []
    bus.subscribe("start", lambda: order.append("server"), 75)
    bus.start()
    assert order == ["server"]
    assert told(manager)[0] == "READY=1"
    assert told(manager) == ["WATCHDOG=1"]
    plugin.watch()
    alive[0] = False
    bus.exit()
    said = told(manager)
    while said == ["WATCHDOG=1"]:
        said = told(manager)
    assert said == ["STOPPING=1"]
    plugin.unsubscribe()
    plugin.exit()


def test_a_bus_without_a_watchdog_starts_no_thread(manager: socket.socket) -> None:
    bus = Bus()
    plugin = ServiceManager(bus, Notifier(environ(manager)))
    plugin.subscribe()
    bus.start()
    assert plugin._monitor is None
    bus.exit()
    assert told(manager)[0] == "READY=1"
    assert told(manager) == ["STOPPING=1"]


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2"}, (3, 4)),
        ({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "0"}, ()),
        ({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "many"}, ()),
        ({"LISTEN_PID": str(os.getpid())}, ()),
        ({"LISTEN_PID": "1", "LISTEN_FDS": "2"}, ()),
        ({"LISTEN_FDS": "2"}, ()),
        ({}, ()),
    ],
)
def test_sockets_of_a_service_manager_are_those_meant_for_this_process(
    variables: dict[str, str], found: tuple[int, ...]
) -> None:
    assert activated(variables) == found
