from __future__ import annotations

import os
import queue
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from kirsch.supervise import replacement as module
from kirsch.supervise.link import Link, pair
from kirsch.supervise.replacement import Replacement, Successor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WAIT = 20.0

NEW = """
import sys
from kirsch.supervise.replacement import Successor
successor = Successor(int(sys.argv[1]))
successor.ready()
open("taken", "w").close()
"""


class Old:
    """A program that is to be replaced, and what happens to it."""

    def __init__(self, folder: Path, script: str) -> None:
        self.events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.folder = folder
        self.replacement = Replacement(
            lambda link: [sys.executable, "-c", script, str(link)],
            [],
            str(folder),
            hand_over=self.hand_over,
            finish=lambda: self.events.put("finish"),
            failed=self.events.put,
        )

    def hand_over(self, pid: int) -> None:
        # Nobody has been told yet that what is one's alone is free.
        assert not (self.folder / "taken").exists()
        self.events.put(("hand over", pid))


def test_the_new_program_is_told_when_the_old_one_has_given_up_what_is_ones_alone(tmp_path: Path) -> None:
    old = Old(tmp_path, NEW)
    pid = old.replacement.start(WAIT)
    assert old.events.get(timeout=WAIT) == ("hand over", pid)
    assert old.events.get(timeout=WAIT) == "finish"
    os.waitpid(pid, 0)
    assert (tmp_path / "taken").exists()


def test_a_new_program_that_does_not_start_changes_nothing_and_another_may_be_tried(tmp_path: Path) -> None:
    old = Old(tmp_path, "raise SystemExit(3)")
    old.replacement.start(WAIT)
    assert old.events.get(timeout=WAIT) == "The new program ended with exit code 3; this one goes on."
    old.replacement.start(0)
    assert old.events.get(timeout=WAIT) == "The new program ended with exit code 3; this one goes on."


def test_a_new_program_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    old = Old(tmp_path, "import time; time.sleep(60)")
    old.replacement.start(0.05)
    assert old.events.get(timeout=WAIT) == "The new program was not ready within 0.05 s; this one goes on."


def test_a_new_program_that_does_not_want_to_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_END", 0.05)
    # It has closed its end of the link, and goes on for no reason.
    old = Old(tmp_path, "import os, sys, time; os.close(int(sys.argv[1])); time.sleep(60)")
    old.replacement.start(WAIT)
    assert old.events.get(timeout=WAIT) == "The new program was ended by SIGKILL; this one goes on."


def test_there_is_one_new_program_at_a_time(tmp_path: Path) -> None:
    old = Old(tmp_path, "import time; time.sleep(60)")
    pid = old.replacement.start(WAIT)
    with pytest.raises(RuntimeError, match=f"A new program is starting already \\(pid {pid}\\)"):
        old.replacement.start(WAIT)
    old.replacement.kill()
    assert old.events.get(timeout=WAIT) == "The new program was ended by SIGKILL; this one goes on."
    old.replacement.kill()


def test_what_cannot_be_started_is_an_error(tmp_path: Path) -> None:
    old = Old(tmp_path / "gone", "")
    with pytest.raises(FileNotFoundError):
        old.replacement.start(WAIT)


@pytest.fixture
def successor() -> tuple[Link, Successor]:
    ours, theirs = pair()
    with theirs:
        return ours, Successor(theirs.fileno())


def asked(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_the_new_program_waits_for_the_word_of_the_old_one(successor: tuple[Link, Successor]) -> None:
    ours, new = successor
    waiting = asked(new.ready)
    assert next(iter(ours.messages())) == {"ready": True}
    assert waiting.is_alive()
    ours.send(go=True)
    waiting.join(WAIT)
    assert not waiting.is_alive()
    ours.close()


def test_an_old_program_that_is_gone_is_not_waited_for(successor: tuple[Link, Successor]) -> None:
    ours, new = successor
    ours.close()
    new.ready()


def test_the_word_of_the_old_program_is_not_waited_for_for_ever(
    successor: tuple[Link, Successor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_HANDOVER", 0.01)
    ours, new = successor
    new.ready()
    ours.close()
