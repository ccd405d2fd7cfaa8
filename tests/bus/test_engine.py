"""The bus with its usual plugins."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from kirsch.bus import Engine, State


def test_an_engine_has_its_plugins_at_hand_and_only_the_thread_manager_listens() -> None:
    engine = Engine()
    assert {channel for channel, listeners in engine.listeners.items() if listeners} == {
        "acquire_thread",
        "release_thread",
        "stop",
        "graceful",
    }
    assert not engine.signal_handler.subscribed
    engine.start()
    assert engine.autoreload.thread is None
    engine.publish("acquire_thread")
    assert engine.thread_manager.threads == {threading.get_ident(): 1}
    engine.exit()
    assert engine.thread_manager.threads == {}


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal to this very process")
def test_subscribing_its_signals_makes_the_process_obey_them() -> None:
    engine = Engine()
    engine.signals.subscribe()
    try:
        engine.start()
        signal.raise_signal(signal.SIGTERM)
        assert engine.wait(State.EXITING, timeout=10)
    finally:
        engine.signals.unsubscribe()
    assert engine.exit_status == 0


def test_importing_the_room_starts_no_thread_and_takes_no_signal() -> None:
    script = """
import threading, signal
before = {number: signal.getsignal(number) for number in signal.valid_signals()}
import kirsch.bus
assert threading.active_count() == 1
assert before == {number: signal.getsignal(number) for number in signal.valid_signals()}
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_platform_module_is_never_imported_when_the_room_is() -> None:
    blocked = "import sys\nfor name in ('fcntl', 'pwd', 'grp', 'termios'):\n    sys.modules[name] = None\n"
    done = subprocess.run(
        [sys.executable, "-c", blocked + "import kirsch.bus"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
