"""The life cycle of a bus: transitions, exits from anywhere, waiting, blocking, the interpreter's end."""

from __future__ import annotations

import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirsch.bus import Bus, ChannelFailures, State, Wakeup
from kirsch.bus import bus as module

from .child import Child

if TYPE_CHECKING:
    from collections.abc import Callable

CHANNELS = ("start", "stop", "exit", "graceful")


class Book:
    """A bus that writes down what its channels and its log say."""

    def __init__(self, **options: Any) -> None:
        self.bus = Bus(**options)
        self.log: list[str] = []
        self.calls: list[str] = []
        self.bus.subscribe("log", self.note)
        for channel in CHANNELS:
            self.bus.subscribe(channel, lambda channel=channel: self.calls.append(channel))

    def note(self, msg: str, level: int) -> None:
        self.log.append(msg if level == 20 else f"{level} {msg}")


def failing(error: BaseException) -> Callable[[], None]:
    def called() -> None:
        raise error

    return called


def in_thread(function: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=function)
    thread.start()
    return thread


# -- transitions -----------------------------------------------------------------------------------


def test_a_life_from_start_to_exit_is_told_by_listeners_log_and_state() -> None:
    book = Book()
    bus = book.bus
    states, running = [bus.state], [bus.running]
    bus.start()
    states.append(bus.state)
    running.append(bus.running)
    bus.graceful()
    bus.stop()
    states.append(bus.state)
    exiting = [bus.exiting]
    bus.exit()
    states.append(bus.state)
    running.append(bus.running)
    assert [*exiting, bus.exiting] == [False, True]
    assert running == [False, True, False]
    assert bus.exit_status == 0
    assert book.calls == ["start", "graceful", "stop", "exit"]
    assert book.log == [
        "Bus STARTING",
        "Bus STARTED",
        "Bus graceful",
        "Bus STOPPING",
        "Bus STOPPED",
        "Bus EXITING",
        "Bus EXITED",
    ]
    assert repr(bus) == "<Bus EXITING>"
    assert repr(states) == "[states.STOPPED, states.STARTED, states.STOPPED, states.EXITING]"


def test_a_new_bus_runs_stop_and_exit_listeners_when_it_is_told_to_exit() -> None:
    book = Book()
    book.bus.exit()
    assert book.calls == ["stop", "exit"]
    assert book.log == ["Bus STOPPING", "Bus STOPPED", "Bus EXITING", "Bus EXITED"]


def test_a_new_bus_runs_stop_listeners_when_it_is_told_to_stop() -> None:
    book = Book()
    book.bus.stop()
    assert book.calls == ["stop"]
    assert book.bus.state is State.STOPPED


def test_repeated_calls_are_one_transition() -> None:
    book = Book()
    for name in ("start", "start", "stop", "stop", "exit", "exit", "stop"):
        getattr(book.bus, name)()
    assert book.calls == ["start", "stop", "exit"]
    assert book.bus.state is State.EXITING


def test_a_bus_starts_again_after_stop_and_after_exit() -> None:
    book = Book()
    for name in ("start", "stop", "start", "exit", "start", "exit"):
        getattr(book.bus, name)()
    assert book.calls == ["start", "stop", "start", "stop", "exit", "start", "stop", "exit"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["start", "stop", "exit", "restart", "graceful"]), max_size=8),
    st.sets(st.sampled_from(CHANNELS), max_size=2),
)
def test_whatever_is_called_and_whatever_fails_the_bus_ends_in_a_resting_state(
    orders: list[str], broken: set[str]
) -> None:
    book = Book()
    for channel in broken:
        book.bus.subscribe(channel, failing(ValueError(channel)))
    starts = 0
    raised: set[str] = set()
    for order in orders:
        before = book.bus.state
        try:
            getattr(book.bus, order)()
        except ChannelFailures as failures:
            raised.add(failures.channel)
        expected = {
            "start": State.EXITING if "start" in broken else State.STARTED,
            "stop": State.EXITING if before is State.EXITING else State.STOPPED,
            "exit": State.EXITING,
            "restart": State.EXITING,
            "graceful": before,
        }[order]
        assert book.bus.state is expected
        starts += order == "start" and before is not State.STARTED
        assert book.calls.count("start") == starts
    book.bus.exit()
    assert raised <= broken
    # Once per start, and once more if the first order was to end a bus that had never started.
    assert book.calls.count("stop") - starts in ({0} if orders[:1] == ["start"] else {0, 1})
    assert not any("cannot go" in line for line in book.log)


def test_a_move_that_is_not_in_the_table_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="cannot go from STOPPED to STARTED"):
        Bus()._move(State.STARTED)


def test_a_hundred_lives_leak_no_descriptor_and_no_thread() -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0

    book = Book()
    before = descriptors(), threading.active_count()
    for _ in range(100):
        blocking = in_thread(book.bus.block)
        book.bus.start()
        book.bus.stop()
        book.bus.exit()
        blocking.join()
    assert (descriptors(), threading.active_count()) == before
    assert len(book.calls) == 300


# -- failures --------------------------------------------------------------------------------------


def test_a_failing_start_is_logged_exits_the_bus_and_raises_the_original() -> None:
    book = Book()
    error = ValueError("no port")
    book.bus.subscribe("start", failing(error), priority=10)
    with pytest.raises(ChannelFailures) as caught:
        book.bus.start()
    assert caught.value.get_instances() == [error]
    assert book.calls == ["start", "stop", "exit"]
    assert book.bus.state is State.EXITING
    assert book.bus.exit_status == 70
    assert book.bus.failures == [caught.value]
    assert book.log[1].startswith("40 Error in 'start' listener")
    assert "ValueError: no port" in book.log[1]
    assert book.log[2] == "40 The bus exits because a start listener failed"


def test_the_next_start_forgets_the_failures_of_the_last() -> None:
    book = Book()
    broken = book.bus.subscribe("start", failing(ValueError()))
    with pytest.raises(ChannelFailures):
        book.bus.start()
    book.bus.unsubscribe("start", broken)
    book.bus.start()
    book.bus.exit()
    assert book.bus.exit_status == 0
    assert book.bus.failures == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_what_cuts_through_a_start_is_raised_when_the_bus_has_exited(error: BaseException) -> None:
    book = Book()
    book.bus.subscribe("start", failing(error))
    with pytest.raises(type(error)):
        book.bus.start()
    assert book.calls == ["start", "stop", "exit"]
    assert book.bus.exit_status == 0


def test_a_failing_stop_listener_raises_from_stop_and_the_bus_is_stopped() -> None:
    book = Book()
    book.bus.start()
    book.bus.subscribe("stop", failing(ValueError()), priority=1)
    with pytest.raises(ChannelFailures):
        book.bus.stop()
    assert book.bus.state is State.STOPPED
    assert book.calls == ["start", "stop"]
    assert book.bus.exit_status == 70


@pytest.mark.parametrize("channel", ["stop", "exit"])
def test_a_failing_listener_does_not_keep_exit_from_its_end(channel: str) -> None:
    book = Book()
    book.bus.start()
    book.bus.subscribe(channel, failing(ValueError()), priority=1)
    book.bus.exit()
    assert book.calls == ["start", "stop", "exit"]
    assert book.log[-1] == "Bus EXITED"
    assert book.bus.exit_status == 70
    assert len(book.bus.failures) == 1


def test_a_system_exit_in_a_stop_listener_is_raised_when_the_exit_listeners_are_through() -> None:
    book = Book()
    book.bus.start()
    book.bus.subscribe("stop", failing(SystemExit(4)))
    with pytest.raises(SystemExit) as caught:
        book.bus.exit()
    assert caught.value.code == 4
    assert book.calls == ["start", "stop", "exit"]


def test_a_keyboard_interrupt_in_a_stop_listener_is_raised_at_once() -> None:
    book = Book()
    book.bus.start()
    book.bus.subscribe("stop", failing(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        book.bus.exit()
    assert book.calls == ["start", "stop"]
    assert book.bus.state is State.EXITING
    assert not book.bus.running


def test_the_status_told_to_exit_stays_unless_it_is_an_error_already() -> None:
    bus = Bus()
    bus.exit(3)
    bus.exit(4)
    bus.exit()
    assert bus.exit_status == 3


# -- from listeners and other threads --------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "state", "calls"),
    [("exit", State.EXITING, ["start", "stop", "exit"]), ("stop", State.STOPPED, ["start", "stop"])],
)
@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_start_listener_or_a_thread_it_waits_for_may_end_the_bus(
    order: str, state: State, calls: list[str], elsewhere: bool
) -> None:
    book = Book()

    def ends() -> None:
        if elsewhere:
            in_thread(getattr(book.bus, order)).join()
        else:
            getattr(book.bus, order)()
        assert book.bus.exiting == (order == "exit")

    book.bus.subscribe("start", ends, priority=1)
    book.bus.start()
    assert book.bus.state is state
    assert book.calls == calls
    assert "Bus STARTED" not in book.log
    assert book.bus.exit_status == 0
    book.bus.exit()


def test_an_exit_outranks_a_stop_that_was_ordered_before_and_after_it() -> None:
    book = Book()
    for order in ("stop", "exit", "stop"):
        book.bus.subscribe("start", getattr(book.bus, order), priority=1)
        book.bus.subscribe("start", lambda order=order: getattr(book.bus, order)())
    book.bus.start()
    assert book.calls == ["start", "stop", "exit"]


@pytest.mark.parametrize("channel", ["stop", "exit"])
def test_exit_from_a_listener_of_stop_or_exit_changes_nothing(channel: str) -> None:
    book = Book()
    book.bus.subscribe(channel, book.bus.exit)
    book.bus.subscribe(channel, book.bus.stop)
    book.bus.start()
    book.bus.exit()
    assert book.calls == ["start", "stop", "exit"]


def test_exit_from_a_listener_of_a_plain_stop_exits_after_it() -> None:
    book = Book()
    book.bus.subscribe("stop", book.bus.exit, priority=1)
    book.bus.start()
    book.bus.stop()
    assert book.calls == ["start", "stop", "exit"]
    assert book.bus.state is State.EXITING


def test_start_from_its_own_listener_is_nothing_new() -> None:
    book = Book()
    book.bus.subscribe("start", book.bus.start)
    book.bus.start()
    assert book.calls == ["start"]
    book.bus.exit()


def test_start_from_a_stop_listener_is_an_error_that_says_what_to_do() -> None:
    book = Book()
    book.bus.start()
    book.bus.subscribe("stop", book.bus.start)
    book.bus.exit()
    assert "use restart()" in book.log[3]
    assert book.bus.exit_status == 70


def test_many_threads_at_once_make_one_clean_transition() -> None:
    book = Book()
    gate = threading.Barrier(24)

    def call(name: str) -> None:
        gate.wait()
        getattr(book.bus, name)()

    book.bus.start()
    with ThreadPoolExecutor(24) as pool:
        list(pool.map(call, ["exit", "stop", "exit"] * 8))
    assert book.bus.wait(State.EXITING, timeout=10)
    assert book.calls == ["start", "stop", "exit"]
    assert book.bus.state is State.EXITING


def test_many_threads_may_start_it_at_once() -> None:
    book = Book()
    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(book.bus.start) for _ in range(8)]:
            future.result()
            assert book.bus.state is State.STARTED
    assert book.calls == ["start"]
    book.bus.exit()


def test_start_waits_for_the_exit_another_thread_runs() -> None:
    book = Book()
    book.bus.start()
    exiting, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        exiting.set()
        go_on.wait(10)

    book.bus.subscribe("exit", slow)
    leaving = in_thread(book.bus.exit)
    exiting.wait(10)
    again = in_thread(book.bus.start)
    assert again.is_alive()
    go_on.set()
    again.join()
    leaving.join()
    assert book.bus.state is State.STARTED
    book.bus.exit()


def test_start_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "START_PATIENCE", 0.01)
    book = Book()
    stopping, go_on = threading.Event(), threading.Event()
    book.bus.subscribe("stop", stopping.set)
    book.bus.subscribe("stop", lambda: go_on.wait(10))
    thread = in_thread(book.bus.exit)
    stopping.wait(10)
    with pytest.raises(TimeoutError, match="a stopping listener seems to hang"):
        book.bus.start()
    go_on.set()
    thread.join()


# -- log -------------------------------------------------------------------------------------------


def test_a_traceback_is_appended_to_the_message_on_request() -> None:
    book = Book()
    try:
        failing(ValueError("this one"))()
    except ValueError:
        book.bus.log("trouble", 40, traceback=True)
    assert book.log[0].startswith("40 trouble\nTraceback")
    assert "ValueError: this one" in book.log[0]


def test_a_failing_log_listener_disturbs_nobody_and_is_shown_on_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    book = Book()
    book.bus.subscribe("log", lambda msg, level: 1 / 0)
    book.bus.start()
    book.bus.exit()
    assert book.log[-1] == "Bus EXITED"
    assert "ZeroDivisionError" in capsys.readouterr().err
    with pytest.raises(ChannelFailures):
        book.bus.publish("log", "direct", 20)
    assert capsys.readouterr().err == ""


def test_warnings_nobody_listens_for_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    bus = Bus()
    bus.log("by the way")
    bus.log("look out", 30)
    assert capsys.readouterr().err == "look out\n"


def test_without_standard_error_the_log_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    Bus().log("look out", 30)


# -- waiting ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "states"),
    [
        ("start", State.STARTED),
        ("start", [State.STARTED]),
        ("exit", [State.EXITING]),
        ("exit", {State.STOPPING, State.EXITING}),
    ],
)
def test_wait_ends_when_another_thread_has_brought_the_state(method: str, states: Any) -> None:
    book = Book()
    thread = in_thread(getattr(book.bus, method))
    assert book.bus.wait(states, timeout=10)
    thread.join()
    book.bus.exit()


def test_wait_returns_false_when_its_time_is_over() -> None:
    bus = Bus()
    assert bus.wait(State.STOPPED) is True
    assert bus.wait(State.STARTED, timeout=0.001) is False
    assert bus.wait(State.STARTED, timeout=0) is False


def test_wait_publishes_a_channel_at_the_interval() -> None:
    book = Book()
    ticks: list[int] = []

    def tick() -> None:
        ticks.append(1)
        if len(ticks) == 3:
            book.bus.start()
        raise ValueError("does not end the wait")

    book.bus.subscribe("tick", tick)
    assert book.bus.wait(State.STARTED, 0.001, "tick", timeout=10)
    assert len(ticks) == 3
    book.bus.exit()


def test_wait_with_a_channel_has_a_bound_too() -> None:
    book = Book()
    ticks: list[int] = []
    book.bus.subscribe("tick", lambda: ticks.append(1))
    assert not book.bus.wait(State.STARTED, 0.01, "tick", timeout=0.025)
    assert len(ticks) in {1, 2}


def test_the_callback_runs_in_its_own_thread_after_all_start_listeners() -> None:
    book = Book()
    seen: list[Any] = []

    def callback(*args: int, **kwargs: str) -> None:
        seen.append((args, kwargs, list(book.calls), threading.current_thread()))

    thread = book.bus.start_with_callback(callback, (1, 2), {"a": "b"})
    thread.join()
    assert seen == [((1, 2), {"a": "b"}, ["start"], thread)]
    assert thread.name.startswith("Bus Callback ")
    assert not thread.daemon
    book.bus.exit()


def test_the_callback_does_not_run_when_the_bus_was_ended_while_it_started() -> None:
    book = Book()
    book.bus.subscribe("start", book.bus.exit)
    seen: list[int] = []
    book.bus.start_with_callback(lambda: seen.append(1)).join()
    assert seen == []


# -- block -----------------------------------------------------------------------------------------


def test_block_returns_when_the_bus_has_exited_and_has_waited_for_threads() -> None:
    book = Book()
    book.bus.start()
    done = threading.Event()
    worker = in_thread(lambda: done.wait(10))
    book.bus.subscribe("exit", done.set)
    leaving = in_thread(book.bus.exit)
    book.bus.block()
    assert not worker.is_alive()
    assert not leaving.is_alive()
    assert book.log[-3:] == ["Bus EXITING", "Bus EXITED", "Waiting for child threads to terminate..."]
    assert book.bus.stragglers == ()


def test_block_waits_for_threads_only_so_long_and_names_those_that_go_on() -> None:
    book = Book()
    done = threading.Event()
    worker = threading.Thread(target=done.wait, name="stubborn")
    worker.start()
    book.bus.exit()
    book.bus.block(join_timeout=0.01)
    assert book.bus.stragglers == ("stubborn",)
    assert book.log[-1] == "30 Still running after 0.01 s: stubborn"
    done.set()
    worker.join()


def test_block_waits_for_exit_listeners_in_another_thread_only_so_long() -> None:
    book = Book(join_timeout=0.01)
    done = threading.Event()
    exiting = threading.Event()
    book.bus.subscribe("exit", exiting.set)
    book.bus.subscribe("exit", lambda: done.wait(10))
    thread = in_thread(book.bus.exit)
    exiting.wait(10)
    book.bus.block()
    assert "30 The EXITING listeners have not ended after 0.01 s" in book.log
    done.set()
    thread.join()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("interrupted")])
def test_an_interrupt_in_block_makes_the_bus_exit(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = Book()
    book.bus.start()
    book.bus.subscribe("main", failing(error))
    if isinstance(error, OSError):
        monkeypatch.setattr(Wakeup, "wait", lambda self, timeout: failing(error)())
    book.bus.block(0.001)
    assert book.calls == ["start", "stop", "exit"]
    assert f"{type(error).__name__} in block(): the bus exits" in book.log


def test_a_system_exit_in_block_makes_the_bus_exit_and_goes_on() -> None:
    book = Book()
    book.bus.start()
    book.bus.subscribe("main", failing(SystemExit(5)))
    with pytest.raises(SystemExit) as caught:
        book.bus.block(0.001)
    assert caught.value.code == 5
    assert book.calls == ["start", "stop", "exit"]


def test_block_ends_in_the_status_of_what_failed() -> None:
    book = Book()
    book.bus.subscribe("stop", failing(ValueError()))
    book.bus.exit()
    with pytest.raises(SystemExit) as caught:
        book.bus.block()
    assert caught.value.code == 70


def test_main_is_published_at_the_interval_also_for_one_who_subscribes_late() -> None:
    book = Book()
    ticks: list[int] = []

    def tick() -> None:
        ticks.append(1)
        if len(ticks) == 3:
            book.bus.unsubscribe("main", tick)
            book.bus.post(lambda: None)
            in_thread(book.bus.exit)
        raise ValueError("logged")

    book.bus.start()
    timer = threading.Timer(0.01, lambda: book.bus.subscribe("main", tick))
    timer.start()
    book.bus.block(0.001)
    timer.join()
    assert len(ticks) == 3
    assert sum("ValueError: logged" in line for line in book.log) == 3


def test_posted_work_is_done_by_the_thread_in_block() -> None:
    book = Book()
    book.bus.start()
    done: list[threading.Thread] = []
    assert not book.bus.post(lambda: done.append(threading.current_thread()))

    def work() -> None:
        done.append(threading.current_thread())
        assert not book.bus.post(lambda: None), "it is busy with this very work"
        raise ValueError("logged")

    posted = threading.Event()

    def post_when_idle() -> None:
        while not book.bus.post(work):
            book.bus.wait(State.EXITING, timeout=0.001)
        posted.set()
        while not book.bus.post(book.bus.exit):
            book.bus.wait(State.EXITING, timeout=0.001)

    thread = in_thread(post_when_idle)
    book.bus.block()
    thread.join()
    assert posted.is_set()
    assert done == [threading.current_thread()]
    assert any("40 Error in posted work" in line and "ValueError: logged" in line for line in book.log)
    assert not book.bus.post(work)


def test_of_two_threads_in_block_one_takes_posted_work_and_both_return() -> None:
    book = Book()
    book.bus.start()
    threads = [in_thread(book.bus.block), in_thread(book.bus.block)]
    while not book.bus.post(book.bus.exit):
        book.bus.wait(State.EXITING, timeout=0.001)
    for thread in threads:
        thread.join()
    assert book.calls == ["start", "stop", "exit"]


def test_work_that_was_posted_when_block_is_left_is_still_done() -> None:
    bus = Bus()
    done: list[int] = []
    with bus._waiter() as wakeup:
        bus._blocker = wakeup
        bus._rest()
        assert bus.post(lambda: done.append(1))
        bus._leave_block()
    assert done == [1]
    assert not bus.post(lambda: done.append(2))


def test_restart_exits_and_block_replaces_the_process_with_the_descriptors_to_keep() -> None:
    replaced: list[Any] = []
    book = Book(reexec=replaced.append)
    book.bus.start()
    book.bus.keep_fds.append(9)
    book.bus.restart()
    assert book.bus.execv
    assert replaced == []
    book.bus.block()
    assert replaced == [(9,)]
    assert book.calls == ["start", "stop", "exit"]


def test_a_restart_while_exiting_stays_an_exit() -> None:
    replaced: list[Any] = []
    book = Book(reexec=replaced.append)
    book.bus.subscribe("stop", book.bus.restart)
    book.bus.start()
    book.bus.exit()
    book.bus.restart()
    book.bus.block()
    assert replaced == []


# -- the end of the interpreter --------------------------------------------------------------------


def test_a_program_that_ends_without_exit_is_warned_and_the_bus_exits() -> None:
    with Child(
        "bus.subscribe('stop', lambda: say('cleaned up'))\nbus.start()\nbus.stop()\nbus.start()"
    ) as child:
        assert child.status() == 0
    assert sum("RuntimeWarning: the interpreter ends while the bus is STARTED" in x for x in child.lines) == 1
    assert child.lines.count("cleaned up") == 2
    assert child.lines[-1] == "20 Bus EXITED"


@pytest.mark.parametrize("end", ["bus.exit()", "bus.stop()", "os.fork() or sys.exit()\nbus.exit()"])
def test_a_program_that_has_ended_its_bus_and_a_forked_child_of_one_are_not_warned(end: str) -> None:
    with Child(f"bus.start()\n{end}\n") as child:
        assert child.status() == 0
    assert "RuntimeWarning" not in "".join(child.lines)
    assert child.lines.count("20 Bus STOPPED") == 1


def test_the_hook_for_the_end_warns_only_while_the_bus_runs() -> None:
    book = Book()
    book.bus.start()
    with pytest.warns(RuntimeWarning, match="Call bus.block"):
        book.bus._at_exit()
    assert book.bus.state is State.EXITING
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        book.bus._at_exit()


def test_a_program_whose_stop_listener_fails_ends_with_70_after_all_its_cleaning_up() -> None:
    script = """
import atexit
atexit.register(say, "flushed")
bus.subscribe("stop", lambda: 1 / 0)
bus.subscribe("exit", lambda: say("exit listener"))
bus.start()
threading.Thread(target=bus.exit).start()
bus.block()
"""
    with Child(script) as child:
        assert child.status() == 70
    assert child.lines[-1] == "flushed"
    assert "exit listener" in child.lines
