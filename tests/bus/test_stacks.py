"""Stacks of all threads as text."""

from __future__ import annotations

import _thread
import threading

from kirsch.bus.stacks import format_stacks


def waits_in_here(started: threading.Event, done: threading.Event) -> None:
    started.set()
    done.wait()


def test_every_thread_is_shown_with_its_name_and_where_it_is() -> None:
    started, done = threading.Event(), threading.Event()
    thread = threading.Thread(target=waits_in_here, args=(started, done), name="a waiter", daemon=True)
    thread.start()
    started.wait()
    text = format_stacks()
    done.set()
    thread.join()
    assert text.startswith(f"Thread 'MainThread', id {threading.main_thread().ident}:")
    block = text[text.index("Thread 'a waiter' (daemon)") :]
    assert "in waits_in_here" in block
    assert "test_every_thread_is_shown_with_its_name_and_where_it_is" in text


def test_a_thread_python_did_not_start_is_shown_too() -> None:
    started, done = threading.Event(), threading.Event()
    ended = threading.Event()

    def alien() -> None:
        waits_in_here(started, done)
        ended.set()

    _thread.start_new_thread(alien, ())
    started.wait()
    text = format_stacks()
    done.set()
    ended.wait()
    assert "Thread a thread Python did not start, id" in text
