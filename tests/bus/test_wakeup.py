"""The wake-up: from threads, from signals, and given back."""

from __future__ import annotations

import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from kirsch.bus import wakeup as module
from kirsch.bus.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are sent to this very process")


@pytest.fixture
def wakeup() -> Iterator[Wakeup]:
    one = Wakeup()
    yield one
    one.disarm()
    one.close()


@pytest.fixture
def usr2() -> Iterator[None]:
    """A Python-level handler, so that the interpreter's C-level one writes to the wake-up."""
    before = signal.signal(signal.SIGUSR2, lambda signum, frame: None)
    yield
    signal.signal(signal.SIGUSR2, before)


def wakeup_fd() -> int:
    fd = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(fd, warn_on_full_buffer=False)
    return fd


def test_a_wait_ends_when_another_thread_sets_it(wakeup: Wakeup) -> None:
    thread = threading.Thread(target=wakeup.set)
    thread.start()
    assert wakeup.wait(10) == b"\0"
    thread.join()


def test_setting_it_before_the_wait_counts_and_many_are_taken_at_once(wakeup: Wakeup) -> None:
    wakeup.set()
    wakeup.set(b"\7")
    assert wakeup.wait() == b"\0\7"
    assert wakeup.wait(0) == b""
    assert wakeup.wait(0.001) == b""


def test_setting_it_never_blocks_however_often(wakeup: Wakeup) -> None:
    for _ in range(5000):
        wakeup.set()
    assert wakeup.wait(0)


def test_setting_a_closed_one_does_nothing() -> None:
    one = Wakeup()
    one.close()
    one.set()


@pytest.mark.usefixtures("usr2")
def test_an_armed_one_receives_the_numbers_of_signals(wakeup: Wakeup) -> None:
    wakeup.arm()
    signal.raise_signal(signal.SIGUSR2)
    assert wakeup.wait(10) == bytes([signal.SIGUSR2])


@pytest.mark.usefixtures("usr2")
def test_the_one_armed_last_receives_and_disarming_in_any_order_leaves_nothing(wakeup: Wakeup) -> None:
    other = Wakeup()
    before = wakeup_fd()
    wakeup.arm()
    other.arm()
    signal.raise_signal(signal.SIGUSR2)
    assert other.wait(10)
    wakeup.disarm()
    signal.raise_signal(signal.SIGUSR2)
    assert other.wait(10)
    assert wakeup.wait(0) == b""
    wakeup.arm()
    wakeup.disarm()
    signal.raise_signal(signal.SIGUSR2)
    assert other.wait(10)
    other.disarm()
    other.close()
    assert wakeup_fd() == before


def test_what_another_library_had_set_comes_back(wakeup: Wakeup) -> None:
    theirs, ours = socket.socketpair()
    theirs.settimeout(0)
    before = signal.set_wakeup_fd(theirs.fileno())
    try:
        wakeup.arm()
        wakeup.disarm()
        assert wakeup_fd() == theirs.fileno()
    finally:
        signal.set_wakeup_fd(before)
        theirs.close()
        ours.close()


def test_what_another_library_had_set_and_closed_does_not_come_back(wakeup: Wakeup) -> None:
    theirs, ours = socket.socketpair()
    theirs.settimeout(0)
    before = signal.set_wakeup_fd(theirs.fileno())
    try:
        wakeup.arm()
        theirs.close()
        ours.close()
        wakeup.disarm()
        assert wakeup_fd() == -1
    finally:
        signal.set_wakeup_fd(before)


def test_a_forked_child_disarms_all(wakeup: Wakeup) -> None:
    wakeup.arm()
    Wakeup.disarm_all()
    assert wakeup_fd() == -1


@pytest.mark.usefixtures("usr2")
def test_where_signals_do_not_end_a_wait_the_main_thread_is_woken_by_them(
    wakeup: Wakeup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "INTERRUPTIBLE", False)
    before = wakeup_fd()
    thread = threading.Thread(target=signal.pthread_kill, args=(threading.get_ident(), signal.SIGUSR2))
    timer = threading.Timer(0.01, thread.start)
    timer.start()
    assert wakeup.wait(10) == bytes([signal.SIGUSR2])
    timer.join()
    thread.join()
    assert wakeup_fd() == before
