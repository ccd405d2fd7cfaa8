"""Signals: real ones to real processes, and the rules of handlers in this one."""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from kirsch.bus import Bus, Engine, NotMainThreadError, SignalHandler, Signals, State

from .child import Child

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

SERVE = """
bus.signals.subscribe()
bus.subscribe("stop", lambda: say("stop listener"))
bus.start()
say("ready")
bus.block()
say("block has returned")
"""

SERVED = 'bus.subscribe("SIGTERM", lambda: say("SIGTERM served"), priority=99)\n'

# Says when the main thread sleeps in block().
ASLEEP = """
def look():
    while not bus._blocker_idle:
        bus.wait(State.EXITING, timeout=0.001)
    say("asleep")

threading.Thread(target=look).start()
"""

# The clock of the handler jumps a second at every look: no second SIGINT is taken for an echo.
JUMPY = "bus.signal_handler = SignalHandler(bus, clock=itertools.count().__next__)\n"


# -- what the table promises -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_to_end_makes_an_orderly_exit_with_status_0(name: str) -> None:
    with Child(SERVE) as child:
        child.expect("ready")
        child.signal(signal.Signals[name])
        assert child.status() == 0
    assert child.lines[child.lines.index("ready") :] == [
        "ready",
        f"20 Caught signal {name}.",
        "20 Bus STOPPING",
        "stop listener",
        "20 Bus STOPPED",
        "20 Bus EXITING",
        "20 Bus EXITED",
        "20 Waiting for child threads to terminate...",
        "block has returned",
    ]


@pytest.mark.parametrize("first", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("blocked", ["bus.block()", "bus.wait(State.EXITING); hear()"])
def test_sigint_after_a_signal_to_end_ends_at_once_even_when_the_main_thread_is_stuck(
    first: str, blocked: str
) -> None:
    script = JUMPY + SERVE.replace('say("stop listener")', 'say("stopping") or hear()').replace(
        "bus.block()", blocked
    )
    with Child(script) as child:
        child.expect("ready")
        child.signal(signal.Signals[first])
        child.expect("stopping")
        child.signal(signal.SIGINT)
        assert child.status() == 130
    assert child.lines[-1] == "SIGINT again: ending at once with status 130"
    assert "20 Bus STOPPED" not in child.lines


def test_a_second_sigterm_does_not_hurry() -> None:
    script = JUMPY + SERVE.replace('say("stop listener")', 'say("stopping") or hear()')
    with Child(script) as child:
        child.expect("ready")
        child.signal(signal.SIGTERM)
        child.expect("stopping")
        child.signal(signal.SIGTERM)
        child.expect("Caught signal SIGTERM")
        child.tell()
        assert child.status() == 0
    assert child.lines.count("20 Bus STOPPING") == 1


def test_a_hundred_signals_in_a_row_are_one_clean_stop() -> None:
    script = SERVE.replace('say("stop listener")', 'say("stopping") or hear()')
    with Child(script) as child:
        child.expect("ready")
        for _ in range(50):
            child.signal(signal.SIGTERM)
            child.signal(signal.SIGINT)
        child.expect("stopping")
        child.tell()
        assert child.status() == 0
    for line in ("20 Bus STOPPING", "20 Bus STOPPED", "20 Bus EXITING", "20 Bus EXITED"):
        assert child.lines.count(line) == 1


def test_sigusr1_is_graceful_and_sigquit_shows_all_stacks_and_the_program_goes_on() -> None:
    script = (
        'threading.Thread(target=threading.Event().wait, name="idler", daemon=True).start()\n'
        'bus.subscribe("graceful", lambda: say("reopened"))\n'
    )
    with Child(script + SERVE) as child:
        child.expect("ready")
        child.signal(signal.SIGUSR1)
        child.expect("20 Bus graceful")
        child.expect("reopened")
        child.signal(signal.SIGQUIT)
        child.expect("30 Stacks of all threads")
        child.expect("Thread 'MainThread'")
        child.expect("Thread 'idler' (daemon)")
        child.signal(signal.SIGTERM)
        assert child.status() == 0


def test_sigquit_shows_the_stacks_while_a_stop_listener_hangs() -> None:
    script = SERVE.replace('say("stop listener")', 'say("stopping") or hear()')
    with Child(script) as child:
        child.expect("ready")
        child.signal(signal.SIGTERM)
        child.expect("stopping")
        child.signal(signal.SIGQUIT)
        child.expect("in <lambda>")
        child.tell()
        assert child.status() == 0


def test_sighup_restarts_a_daemon_in_the_same_process_id() -> None:
    script = "bus.signal_handler._pid = -1\n" + SERVE.replace('"ready"', 'f"ready {os.getpid()}"')
    with Child(script) as child:
        assert child.expect("ready") == f"ready {child.process.pid}"
        child.signal(signal.SIGHUP)
        child.expect("SIGHUP in a daemon: the bus restarts")
        assert child.expect("ready") == f"ready {child.process.pid}"
        child.signal(signal.SIGTERM)
        assert child.status() == 0
    assert child.lines.count("20 Bus EXITED") == 2


def test_sigterm_while_a_restart_is_stopping_makes_it_an_exit() -> None:
    script = SERVE.replace('say("stop listener")', 'say("stopping") or hear()')
    with Child("bus.signal_handler._pid = -1\n" + SERVED + script) as child:
        child.expect("ready")
        child.signal(signal.SIGHUP)
        child.expect("stopping")
        child.signal(signal.SIGTERM)
        child.expect("SIGTERM served")
        child.tell()
        assert child.status() == 0
    assert child.lines[-1] == "block has returned"


# -- when they come --------------------------------------------------------------------------------


def test_a_signal_while_the_bus_starts_ends_it_cleanly_when_the_listeners_are_through() -> None:
    script = 'bus.subscribe("start", lambda: say("starting") or hear())\n'
    with Child(script + SERVED + SERVE) as child:
        child.expect("starting")
        child.signal(signal.SIGTERM)
        child.expect("SIGTERM served")
        child.tell()
        assert child.status() == 0
    assert "20 Bus STARTED" not in child.lines
    assert child.lines.count("stop listener") == 1
    assert child.lines[-1] == "block has returned"


def test_a_signal_before_the_start_keeps_the_bus_from_starting() -> None:
    script = SERVE.replace("bus.start()", 'say("loading"); hear(); bus.start(); say("started")')
    with Child(script) as child:
        child.expect("loading")
        child.signal(signal.SIGTERM)
        child.expect("Bus EXITED")
        child.tell()
        assert child.status() == 0
    assert "started" not in child.lines
    assert "20 The bus does not start: a signal to end came before" in child.lines


def test_a_program_with_a_loop_of_its_own_has_its_signals_published_by_another_thread() -> None:
    script = SERVE.replace("bus.block()", "bus.wait(State.EXITING)").replace(
        'say("stop listener")', "say(threading.current_thread().name)"
    )
    with Child(script) as child:
        child.expect("ready")
        child.signal(signal.SIGUSR1)
        child.expect("Bus graceful")
        child.signal(signal.SIGTERM)
        assert child.status() == 0
    assert "Kirsch SIGTERM publisher" in child.lines
    assert "block has returned" in child.lines


def test_in_block_the_listeners_run_in_the_main_thread() -> None:
    with Child(ASLEEP + SERVE.replace('"stop listener"', "threading.current_thread().name")) as child:
        child.expect("asleep")
        child.signal(signal.SIGTERM)
        assert child.status() == 0
    assert child.lines[child.lines.index("20 Bus STOPPING") + 1] == "MainThread"


def test_without_signals_ctrl_c_in_block_still_makes_the_bus_exit() -> None:
    with Child(ASLEEP + SERVE.replace("bus.signals.subscribe()", "")) as child:
        child.expect("asleep")
        child.signal(signal.SIGINT)
        assert child.status() == 0
    assert "20 KeyboardInterrupt in block(): the bus exits" in child.lines
    assert child.lines.count("stop listener") == 1


def test_a_listener_that_leaves_with_a_status_ends_the_program_with_it() -> None:
    script = 'bus.signal_handler.handlers["SIGTERM"] = lambda: sys.exit(3)\n' + SERVE
    with Child(script) as child:
        child.expect("ready")
        child.signal(signal.SIGTERM)
        assert child.status() == 3
    assert child.lines.count("stop listener") == 1


def test_a_forked_child_has_the_handlers_of_before_and_its_signals_are_not_its_parents() -> None:
    script = """
bus.signals.subscribe()
bus.start()
child = os.fork()
if child == 0:
    say(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL and not bus.signal_handler.subscribed)
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait()
say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
child = os.fork()
if child == 0:
    bus.signals.subscribe()
    os.kill(os.getpid(), signal.SIGTERM)
    bus.wait(State.EXITING)
    os._exit(9)
say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
say(repr(bus.state))
bus.exit()
"""
    with Child(script, PYTHONWARNINGS="ignore::DeprecationWarning") as child:
        assert child.status() == 0
    assert [line for line in child.lines if line in {"True", "-15", "9", "states.STARTED"}] == [
        "True",
        "-15",
        "9",
        "states.STARTED",
    ]


# -- handlers, in this process ---------------------------------------------------------------------


@pytest.fixture
def bus() -> Iterator[Engine]:
    """An engine whose signals are given back; also checks that nothing of ours is left."""
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    threads = set(threading.enumerate())
    engine = Engine()
    yield engine
    engine.signals.unsubscribe()
    engine.exit()
    assert {number: signal.getsignal(number) for number in signal.valid_signals()} == before
    assert set(threading.enumerate()) <= threads


def raise_and_wait(number: int, happened: threading.Event) -> None:
    happened.clear()
    signal.raise_signal(number)
    assert happened.wait(10)


def test_subscribing_twice_is_as_good_as_once(bus: Engine) -> None:
    bus.signals.subscribe()
    threads = threading.active_count()
    bus.signals.subscribe()
    assert threading.active_count() == threads
    assert len(bus.listeners["SIGTERM"]) == 1
    assert bus.signal_handler.subscribed


def test_unsubscribing_restores_the_earlier_handlers_and_takes_the_listeners_off_the_bus(bus: Engine) -> None:
    def old(signum: int, frame: object) -> None: ...

    before = signal.signal(signal.SIGTERM, old)
    try:
        bus.signals.subscribe()
        assert signal.getsignal(signal.SIGTERM) != old
        bus.signals.unsubscribe()
        assert signal.getsignal(signal.SIGTERM) is old
        assert bus.listeners["SIGTERM"] == ()
        assert not bus.signal_handler.subscribed
        assert bus.listeners["start"] == ()
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_handler_set_on_top_of_ours_is_left_alone(bus: Engine) -> None:
    def theirs(signum: int, frame: object) -> None: ...

    before = signal.getsignal(signal.SIGUSR2)
    bus.signal_handler.set_handler("SIGUSR2")
    signal.signal(signal.SIGUSR2, theirs)
    bus.signals.unsubscribe()
    assert signal.getsignal(signal.SIGUSR2) is theirs
    signal.signal(signal.SIGUSR2, before)


def test_a_handler_set_outside_python_gives_way_to_the_default(
    bus: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus.signal_handler.set_handler("SIGUSR2")
    bus.signal_handler._before[signal.SIGUSR2] = None
    bus.signals.unsubscribe()
    assert signal.getsignal(signal.SIGUSR2) == signal.SIG_DFL


def test_two_buses_may_unsubscribe_in_any_order_and_each_gets_its_own_signals(bus: Engine) -> None:
    other = Engine()
    here, there = threading.Event(), threading.Event()
    bus.signal_handler.set_handler("SIGUSR1", here.set)
    other.signal_handler.set_handler("SIGUSR2", there.set)
    other.signal_handler.set_handler("SIGWINCH", there.set)
    bus.signal_handler.set_handler("SIGWINCH", here.set)
    raise_and_wait(signal.SIGUSR1, here)
    raise_and_wait(signal.SIGUSR2, there)
    other.signals.unsubscribe()
    raise_and_wait(signal.SIGUSR1, here)
    raise_and_wait(signal.SIGWINCH, here)


def test_a_listener_replaces_the_default_and_others_on_the_channel_are_called_too(bus: Engine) -> None:
    calls: list[str] = []
    happened = threading.Event()
    bus.signals.subscribe()
    bus.signal_handler.set_handler("SIGHUP", lambda: calls.append("mine"))
    bus.subscribe("SIGHUP", lambda: calls.append("other"))
    bus.subscribe("SIGHUP", happened.set, priority=99)
    raise_and_wait(signal.SIGHUP, happened)
    assert calls == ["mine", "other"]
    assert bus.state is State.STOPPED


def test_a_handler_may_be_set_by_number_and_taken_back_step_by_step(bus: Engine) -> None:
    calls: list[str] = []
    happened = threading.Event()
    before = signal.getsignal(signal.SIGUSR2)
    bus.subscribe("SIGUSR2", happened.set, priority=99)
    for name in ("first", "second"):
        bus.signal_handler.set_handler(signal.SIGUSR2, functools.partial(calls.append, name))
    raise_and_wait(signal.SIGUSR2, happened)
    bus.signal_handler.reset_handler("SIGUSR2")
    raise_and_wait(signal.SIGUSR2, happened)
    assert calls == ["second", "first"]
    bus.signal_handler.reset_handler("SIGUSR2")
    assert signal.getsignal(signal.SIGUSR2) == before
    assert "SIGUSR2" not in bus.signal_handler.handlers
    assert not bus.signal_handler.subscribed
    with pytest.raises(ValueError, match="SIGUSR2 has no handler to take back"):
        bus.signal_handler.reset_handler("SIGUSR2")


def test_the_default_comes_back_also_for_the_next_subscription(bus: Engine) -> None:
    default = bus.signal_handler.handlers["SIGUSR1"]
    bus.signals.subscribe()
    bus.signal_handler.set_handler("SIGUSR1", lambda: None)
    bus.signal_handler.set_handler("SIGUSR2", lambda: None)
    bus.signal_handler.reset_handler("SIGUSR2")
    assert bus.signal_handler.subscribed
    bus.signals.unsubscribe()
    bus.signal_handler.reset_handler("SIGUSR1")
    assert bus.signal_handler.handlers["SIGUSR1"] == default
    bus.signals.subscribe()
    assert [one.callback for one in bus.listeners["SIGUSR1"]] == [default]


def test_entries_of_the_table_may_be_changed_before_subscribing(bus: Engine) -> None:
    happened = threading.Event()
    bus.signal_handler.handlers.update(SIGTERM=happened.set, SIGINT=None)
    bus.signals.subscribe()
    raise_and_wait(signal.SIGTERM, happened)
    assert bus.listeners.get("SIGINT", ()) == ()
    assert bus.state is State.STOPPED


def test_a_misspelt_entry_is_an_error_before_anything_is_changed(bus: Engine) -> None:
    before = signal.getsignal(signal.SIGTERM)
    bus.signal_handler.handlers["SIGTREM"] = None
    with pytest.raises(ValueError, match="'SIGTREM' on this platform; the nearest is SIGTERM"):
        bus.signals.subscribe()
    assert signal.getsignal(signal.SIGTERM) == before


def test_defaults_this_platform_lacks_are_passed_over(bus: Engine) -> None:
    assert "SIGBREAK" in bus.signal_handler.handlers
    bus.signals.subscribe()
    assert "SIGBREAK" not in bus.listeners


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ("SIGUSER1", "there is no signal 'SIGUSER1' on this platform; the nearest is SIGUSR1"),
        ("hup", "the nearest is SIGHUP"),
        ("SIG_DFL", "there is no signal 'SIG_DFL'"),
        (0, "there is no signal 0 on this platform; the nearest is 1, SIGHUP"),
        (4000, "there is no signal 4000 on this platform; the nearest is 64, SIGRTMAX"),
        ("SIGKILL", "SIGKILL cannot be handled by any program; for an orderly end handle SIGTERM"),
        (int(signal.SIGSTOP), "SIGSTOP cannot be handled"),
        ("SIGSEGV", "SIGSEGV comes from a failing instruction"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="numbers of Linux")
def test_a_signal_that_cannot_be_handled_is_an_error_with_the_nearest_choice(
    bus: Engine, wanted: str | int, sentence: str
) -> None:
    for method in (bus.signal_handler.set_handler, bus.signal_handler.reset_handler):
        with pytest.raises(ValueError, match=sentence):
            method(wanted)
    assert not bus.signal_handler.subscribed


@pytest.mark.skipif(sys.platform != "linux", reason="real-time signals and aliases of Linux")
def test_real_time_signals_and_aliases_are_known(bus: Engine) -> None:
    happened = threading.Event()
    bus.signal_handler.set_handler("SIGRTMIN+2", happened.set)
    raise_and_wait(signal.SIGRTMIN + 2, happened)
    bus.signal_handler.set_handler("SIGCLD")
    assert signal.getsignal(signal.SIGCHLD) == bus.signal_handler._noticed


@pytest.mark.parametrize("method", ["subscribe", "unsubscribe", "set_handler", "reset_handler"])
def test_off_the_main_thread_it_is_an_error_that_says_what_to_do(bus: Engine, method: str) -> None:
    if method == "unsubscribe":
        bus.signals.subscribe()
    errors: list[str] = []

    def call() -> None:
        arguments = ("SIGUSR1",) if "handler" in method else ()
        try:
            getattr(bus.signal_handler, method)(*arguments)
        except NotMainThreadError as error:
            errors.append(str(error))

    thread = threading.Thread(target=call, name="a worker")
    thread.start()
    thread.join()
    assert errors[0].startswith(f"{method}() was called in thread 'a worker'")
    assert "call it in the main thread before you start others" in errors[0]


def test_a_handler_that_raises_is_logged_the_others_run_and_the_next_signal_is_served(bus: Engine) -> None:
    log: list[str] = []
    happened = threading.Event()
    bus.subscribe("log", lambda msg, level: log.append(msg))
    bus.signal_handler.set_handler("SIGUSR2", lambda: 1 / 0)
    bus.subscribe("SIGUSR2", happened.set)
    raise_and_wait(signal.SIGUSR2, happened)
    raise_and_wait(signal.SIGUSR2, happened)
    bus.signals.unsubscribe()
    assert sum("ZeroDivisionError" in line for line in log) == 2


@pytest.mark.parametrize(
    ("error", "status"),
    [(SystemExit(3), 3), (SystemExit(), 0), (SystemExit("why"), 1), (KeyboardInterrupt(), 70)],
)
def test_what_cuts_through_outside_block_makes_the_bus_exit_with_its_status(
    bus: Engine, error: BaseException, status: int
) -> None:
    def leave() -> None:
        raise error

    bus.subscribe("log", lambda msg, level: None)
    bus.start()
    bus.signal_handler.set_handler("SIGUSR2", leave)
    signal.raise_signal(signal.SIGUSR2)
    assert bus.wait(State.EXITING, timeout=10)
    bus.signals.unsubscribe()
    assert bus.exit_status == status


class Endings:
    """A handler with a clock to set and an end that is written down."""

    def __init__(self, bus: Bus) -> None:
        self.now = 0.0
        self.ended: list[int] = []
        self.handler = SignalHandler(bus, clock=lambda: self.now, end=self.ended.append)
        bus.subscribe("SIGINT", self.handler.terminate)

    def close(self) -> None:
        publisher = self.handler._publishers[signal.SIGINT]
        publisher.due.put(False)  # noqa: FBT003  what a queue takes
        publisher.join(10)


def test_stacks_are_logged_as_a_warning(bus: Engine) -> None:
    log: list[tuple[str, int]] = []
    bus.subscribe("log", lambda msg, level: log.append((msg, level)))
    bus.signal_handler.dump_stacks()
    assert log[0][1] == 30
    assert "Thread 'MainThread'" in log[0][0]
    assert "test_stacks_are_logged_as_a_warning" in log[0][0]


def test_an_order_to_end_before_the_start_holds_for_one_start(bus: Engine) -> None:
    bus.signals.subscribe()
    bus.signal_handler.terminate()
    with pytest.raises(SystemExit) as caught:
        bus.start()
    assert caught.value.code == 0
    assert bus.state is State.EXITING
    bus.start()
    assert bus.running


def test_an_echo_of_the_first_sigint_is_not_a_second_one(capfd: pytest.CaptureFixture[str]) -> None:
    bus = Bus()
    endings = Endings(bus)
    for now in (5.0, 5.09):
        endings.now = now
        endings.handler._arrived(signal.SIGINT)
    assert endings.ended == []
    endings.now = 5.11
    endings.handler._arrived(signal.SIGINT)
    assert endings.ended == [130]
    assert capfd.readouterr().err == "SIGINT again: ending at once with status 130\n"
    assert bus.wait(State.EXITING, timeout=10)
    endings.close()


def test_a_new_start_forgets_the_signal_that_ended_the_last_life() -> None:
    bus = Bus()
    endings = Endings(bus)
    bus.subscribe("start", endings.handler._before_start)
    for now in (5.0, 10.0):
        endings.now = now
        bus.start()
        endings.handler._arrived(signal.SIGINT)
        assert bus.wait(State.EXITING, timeout=10)
    assert endings.ended == []
    endings.close()


def test_with_a_handler_of_its_own_a_program_takes_sigint_as_often_as_it_comes(bus: Engine) -> None:
    ended: list[int] = []
    clock = iter(range(100))
    bus.signal_handler = SignalHandler(bus, clock=lambda: next(clock), end=ended.append)
    happened = threading.Event()
    bus.signal_handler.set_handler("SIGINT", happened.set)
    for _ in range(3):
        raise_and_wait(signal.SIGINT, happened)
    assert ended == []


@pytest.mark.parametrize("stdin", ["none", "closed", "terminal"])
def test_sighup_exits_unless_it_is_a_daemon(stdin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bus = Bus(reexec=lambda fds: None)
    handler = SignalHandler(bus)
    bus.start()
    if stdin == "terminal":
        monkeypatch.setattr(sys, "stdin", Terminal())
        handler._pid = -1
    elif stdin == "closed":
        closed = open(os.devnull)  # noqa: SIM115, PTH123  to be closed before it is used
        closed.close()
        monkeypatch.setattr(sys, "stdin", closed)
    else:
        monkeypatch.setattr(sys, "stdin", None)
    handler.handle_SIGHUP()
    assert bus.state is State.EXITING
    assert not bus.execv
    handler._pid = -1
    bus.start()
    handler.handle_SIGHUP()
    assert bus.execv == (stdin != "terminal")


class Terminal:
    def isatty(self) -> bool:
        return True


def test_a_listener_that_hangs_keeps_no_other_signal_waiting(bus: Engine) -> None:
    started, done, other = threading.Event(), threading.Event(), threading.Event()

    def hang() -> None:
        started.set()
        done.wait(10)

    bus.signal_handler.set_handler("SIGUSR1", hang)
    bus.signal_handler.set_handler("SIGUSR2", other.set)
    raise_and_wait(signal.SIGUSR1, started)
    raise_and_wait(signal.SIGUSR2, other)
    done.set()


def test_a_slow_listener_does_not_keep_unsubscribe_waiting_for_ever(
    bus: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kirsch.bus.signals._JOIN", 0.01)
    started, done, ended = threading.Event(), threading.Event(), threading.Event()

    def slow() -> None:
        started.set()
        done.wait(10)

    bus.signal_handler.set_handler("SIGUSR2", slow)
    raise_and_wait(signal.SIGUSR2, started)
    publisher: Any = bus.signal_handler._publishers[signal.SIGUSR2]
    bus.signals.unsubscribe()
    assert publisher.is_alive()
    bus.signal_handler.set_handler("SIGUSR2", ended.set)
    raise_and_wait(signal.SIGUSR2, ended)
    done.set()
    publisher.join(10)
    assert not publisher.is_alive()


def test_signals_subscribes_whatever_handlers_the_bus_has() -> None:
    class Recorder:
        def __init__(self) -> None:
            self.calls: list[str] = []

        def subscribe(self) -> None:
            self.calls.append("subscribe")

        def unsubscribe(self) -> None:
            self.calls.append("unsubscribe")

    bus: Any = Bus()
    helper = Signals(bus)
    helper.subscribe()
    bus.console_control_handler = Recorder()
    bus.signal_handler = Recorder()
    helper.subscribe()
    helper.unsubscribe()
    assert bus.console_control_handler.calls == bus.signal_handler.calls == ["subscribe", "unsubscribe"]
