from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from kirsch.supervise.member import STARTING, Member, fate, start_member

WAIT = 20.0
OPEN = Path("/proc/self/fd")


def started(tmp_path: Path, script: str, **environment: str) -> Member:
    return start_member(
        3,
        lambda link: [sys.executable, "-S", "-c", script, str(link)],
        descriptors=[],
        directory=str(tmp_path),
        environment={"PATH": os.environ["PATH"], **environment},
        now=5.0,
    )


def followed(member: Member) -> tuple[queue.SimpleQueue[Any], threading.Event]:
    told: queue.SimpleQueue[Any] = queue.SimpleQueue()
    ended = threading.Event()
    member.follow(told.put, ended.set)
    return told, ended


SPEAKS = (
    "import os, socket, sys; s = socket.socket(fileno=int(sys.argv[1]));"
    's.sendall((\'{"in": "%s", "says": "%s"}\\n\' % (os.getcwd(), os.environ[\'SAYS\'])).encode());'
)


def test_a_process_is_started_where_it_belongs_and_its_last_words_come_before_its_end(tmp_path: Path) -> None:
    member = started(tmp_path, SPEAKS + "sys.exit(4)", SAYS="hello")
    told, ended = followed(member)
    assert ended.wait(WAIT)
    assert told.get_nowait() == {"in": str(tmp_path), "says": "hello"}
    assert member.process.returncode == 4
    assert (member.number, member.state, member.began, member.heard) == (3, STARTING, 5.0, 5.0)
    assert member.pid == member.process.pid


def test_a_process_is_told_to_retire_while_it_listens(tmp_path: Path) -> None:
    member = started(tmp_path, SPEAKS + "s.sendall(s.recv(100))", SAYS="")
    told, ended = followed(member)
    assert told.get(timeout=WAIT)
    assert member.retire(2.5)
    assert told.get(timeout=WAIT) == {"retire": 2.5}
    assert ended.wait(WAIT)
    assert not member.retire(2.5)


@pytest.mark.parametrize(
    ("method", "number"), [("terminate", signal.SIGTERM), ("abort", signal.SIGABRT), ("kill", signal.SIGKILL)]
)
def test_a_process_is_ended_in_three_ways(tmp_path: Path, method: str, number: int) -> None:
    member = started(tmp_path, SPEAKS + "s.recv(1)", SAYS="")
    told, ended = followed(member)
    assert told.get(timeout=WAIT)
    getattr(member, method)()
    assert ended.wait(WAIT)
    assert member.process.returncode == -number
    getattr(member, method)()
    member.signal(signal.SIGUSR1)


def test_it_is_in_a_process_group_of_its_own(tmp_path: Path) -> None:
    member = started(tmp_path, SPEAKS + "s.recv(1)", SAYS="")
    told, ended = followed(member)
    assert told.get(timeout=WAIT)
    assert os.getpgid(member.pid) == member.pid != os.getpgid(0)
    member.link.close()  # its lifeline
    assert ended.wait(WAIT)


def test_a_process_it_has_forked_does_not_hide_its_end(tmp_path: Path) -> None:
    script = SPEAKS + "pid = os.fork()\nif pid: os._exit(0)\nos.read(0, 1)"
    reader, writer = os.pipe()
    held = os.dup(0)
    os.dup2(reader, 0)
    try:
        member = started(tmp_path, script, SAYS="")
    finally:
        os.dup2(held, 0)
        os.close(held)
        os.close(reader)
    _, ended = followed(member)
    assert ended.wait(WAIT), "though the grandchild has the link open"
    os.close(writer)  # which ends it


def test_what_cannot_be_started_leaves_nothing_open(tmp_path: Path) -> None:
    before = len(list(OPEN.iterdir())) if OPEN.is_dir() else 0
    with pytest.raises(FileNotFoundError):
        start_member(
            1,
            lambda link: ["/nowhere/at/all"],
            descriptors=[],
            directory=str(tmp_path),
            environment={},
            now=0,
        )
    if before:
        assert len(list(OPEN.iterdir())) == before


@pytest.mark.parametrize(
    ("status", "words"),
    [(3, "ended with exit code 3"), (-9, "was ended by SIGKILL"), (-99, "was ended by signal 99")],
)
def test_an_end_is_put_into_words(status: int, words: str) -> None:
    assert fate(status) == words
