"""Functions called again and again."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import pytest

from kirsch.bus import BackgroundTask, Bus, Monitor

if TYPE_CHECKING:
    from collections.abc import Callable


class Counter:
    """Counts calls and tells when there have been `enough`."""

    def __init__(self, enough: int = 2, error: Exception | None = None) -> None:
        self.calls = 0
        self.reached = threading.Event()
        self._enough = enough
        self._error = error

    def __call__(self, *args: object, **kwargs: object) -> None:
        self.calls += 1
        self.arguments = args, kwargs
        if self.calls >= self._enough:
            self.reached.set()
        if self._error is not None:
            raise self._error


def stopped(task: threading.Thread) -> bool:
    task.join(10)
    return not task.is_alive()


def test_a_task_calls_its_function_again_and_again_with_its_arguments() -> None:
    counter = Counter(3)
    task = BackgroundTask(0.001, counter, (1,), {"a": 2})
    task.start()
    assert counter.reached.wait(10)
    task.cancel()
    assert stopped(task)
    assert counter.arguments == ((1,), {"a": 2})
    assert task.errors == 0


def test_cancelling_takes_effect_in_the_middle_of_the_sleep() -> None:
    counter = Counter()
    task = BackgroundTask(3600, counter)
    task.start()
    task.cancel()
    assert stopped(task)
    assert counter.calls == 0


def named() -> None: ...


@pytest.mark.parametrize(
    ("function", "name", "expected"),
    [
        (named, None, "Background task named"),
        (Counter(), None, "Background task Counter"),
        (named, "sweeper", "sweeper"),
    ],
)
def test_its_thread_is_a_daemon_with_a_name(
    function: Callable[[], None], name: str | None, expected: str
) -> None:
    task = BackgroundTask(1, function, name=name)
    assert task.name == expected
    assert task.daemon


def test_errors_are_counted_and_logged_on_the_bus_and_it_goes_on() -> None:
    bus = Bus()
    log: list[tuple[str, int]] = []
    bus.subscribe("log", lambda msg, level: log.append((msg, level)))
    error = ValueError("bad day")
    counter = Counter(3, error)
    task = BackgroundTask(0.001, counter, bus=bus, name="sweeper")
    task.start()
    assert counter.reached.wait(10)
    task.cancel()
    assert stopped(task)
    assert task.errors == counter.calls == len(log)
    assert task.last_error is error
    assert log[0][1] == 40
    assert log[0][0].startswith("Error 1 in background task 'sweeper' (it goes on)\nTraceback")
    assert "ValueError: bad day" in log[0][0]


def test_without_a_bus_errors_go_to_the_logger_and_it_ends_if_it_was_told_to(
    caplog: pytest.LogCaptureFixture,
) -> None:
    counter = Counter(error=ValueError("bad day"))
    with caplog.at_level(logging.ERROR, "kirsch.bus"):
        task = BackgroundTask(0.001, counter, name="sweeper", stop_on_error=True)
        task.start()
        assert stopped(task)
    assert counter.calls == task.errors == 1
    assert caplog.records[0].getMessage() == "Error 1 in background task 'sweeper' (it ends)"
    assert "ValueError: bad day" in caplog.text


def test_a_monitor_runs_while_the_bus_does() -> None:
    bus = Bus()
    counter = Counter()
    monitor = Monitor(bus, counter, 0.001, name="watcher")
    monitor.subscribe()
    bus.start()
    thread = monitor.thread
    assert thread is not None
    assert thread.name == "watcher"
    assert counter.reached.wait(10)
    monitor.start()
    assert monitor.thread is thread
    bus.stop()
    assert not thread.is_alive()
    monitor.stop()
    bus.start()
    again = monitor.thread
    assert again is not thread
    bus.exit()
    assert vars(monitor)["thread"] is None
    assert [one.priority for one in bus.listeners["start"]] == [70]


@pytest.mark.parametrize("frequency", [0, -1])
def test_a_monitor_without_a_frequency_does_not_run(frequency: int) -> None:
    monitor = Monitor(Bus(), Counter(), frequency)
    monitor.start()
    assert monitor.thread is None
    monitor.graceful()
    assert monitor.thread is None


def test_graceful_gives_a_monitor_a_new_thread_with_the_new_frequency() -> None:
    monitor = Monitor(Bus(), Counter(), 3600)
    monitor.start()
    first = monitor.thread
    monitor.frequency = 1800
    monitor.graceful()
    second = monitor.thread
    assert isinstance(first, BackgroundTask)
    assert isinstance(second, BackgroundTask)
    assert not first.is_alive()
    assert second.interval == 1800
    assert second.name == "Monitor"
    monitor.stop()


def test_a_callback_may_stop_its_own_monitor() -> None:
    bus = Bus()
    done = threading.Event()

    def callback() -> None:
        bus.exit()
        done.set()

    monitor = Monitor(bus, callback, 0.001)
    monitor.subscribe()
    bus.start()
    assert done.wait(10)
    assert monitor.thread is None


def test_a_subclass_may_wait_for_something_else_than_time() -> None:
    happened = threading.Event()

    class Other(Monitor):
        def make_thread(self, name: str) -> threading.Thread:
            return threading.Thread(target=happened.wait, name=name)

        def cancel_thread(self, thread: threading.Thread) -> None:
            super().cancel_thread(thread)
            happened.set()

    monitor = Other(Bus(), Counter(), 1)
    monitor.start()
    assert monitor.thread is not None
    assert monitor.thread.name == "Other"
    monitor.stop()
    assert happened.is_set()
