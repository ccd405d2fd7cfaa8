"""One worker process, as the supervisor sees it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from kirsch.supervise.link import Link, pair

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["READY", "STARTING", "STOPPING", "Failure", "Member", "fate", "start_member"]

STARTING, READY, STOPPING = "starting", "ready", "stopping"
"""States of a member: not serving yet, serving, told to end."""

_LAST_WORDS = 0.5
"""Seconds what a worker has said may take to be read when it has ended. A process it has forked may keep the
socket open for ever.
"""


class Failure(NamedTuple):
    """Why a worker could not begin to serve."""

    message: str
    """One sentence, or two."""
    detail: str = ""
    """Text to show before it, such as the traceback of the program."""
    status: int = 1
    """Exit code."""


class Member:
    """A worker process. Everything but its two threads belongs to the thread that supervises.

    Parameters:
        number: of its place, from 1.
        process: running.
        link: our end of the way to it.
        now: seconds of the supervisor's clock.
    """

    def __init__(self, number: int, process: subprocess.Popen[bytes], link: Link, now: float) -> None:
        self.number = number
        self.process = process
        self.link = link
        self.state = STARTING
        self.generation = 0
        """How many reloads there had been when it was started."""
        self.began = now
        """When it was started."""
        self.ready_at: float | None = None
        """When it was ready."""
        self.heard = now
        """When it last gave a sign of life."""
        self.doom: float | None = None
        """When it is killed, if it has not ended by then."""
        self.facts: Mapping[str, Any] = {}
        """What it last said of itself: `requests`, `connections`, `memory` in bytes, where known."""
        self.failure: Failure | None = None
        """Why it could not begin, in its own words."""

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def follow(self, told: Callable[[Mapping[str, Any]], object], ended: Callable[[], object]) -> None:
        """Have `told` called with each message, and `ended` once, after the last one; from other threads."""

        def listen() -> None:
            for message in self.link.messages():
                told(message)

        def wait() -> None:
            self.process.wait()
            listener.join(_LAST_WORDS)
            self.link.close()
            ended()

        name = f"Kirsch worker {self.number}"
        listener = threading.Thread(target=listen, name=f"{name} listener", daemon=True)
        waiter = threading.Thread(target=wait, name=f"{name} waiter", daemon=True)
        listener.start()
        waiter.start()

    def signal(self, number: int) -> None:
        """Send it a signal; nothing happens when it has ended."""
        with contextlib.suppress(OSError):
            self.process.send_signal(number)

    def retire(self, seconds: float) -> bool:
        """Have it stop when its clients have gone, at most after so many seconds; return whether it heard."""
        return self.link.send(retire=seconds)

    def terminate(self) -> None:
        """Have it stop gracefully."""
        self.signal(signal.SIGTERM)

    def abort(self) -> None:
        """End it, its stacks going to its standard error, where the system has a signal for that."""
        self.signal(signal.SIGABRT if os.name == "posix" else signal.SIGTERM)

    def kill(self) -> None:
        """End it at once. From any thread."""
        with contextlib.suppress(OSError):
            self.process.kill()


def start_member(
    number: int,
    command: Callable[[int], Sequence[str]],
    *,
    descriptors: Sequence[int],
    directory: str,
    environment: Mapping[str, str],
    now: float,
) -> Member:
    """Start a worker process and return it.

    Parameters:
        number: of its place.
        command: returns the command line, given the descriptor of its end of the link.
        descriptors: what it inherits besides.
        directory: where it starts.
        environment: its environment variables.
        now: seconds of the supervisor's clock.

    Raises OSError when the system starts no process. It is in a process group of its own: what a terminal
    sends to all at once, Ctrl-C above all, is the supervisor's to pass on, in its order.
    """
    link, theirs = pair()
    try:
        with theirs:
            process = subprocess.Popen(  # noqa: S603  our own command
                command(theirs.fileno()),
                pass_fds=(*descriptors, theirs.fileno()),
                cwd=directory,
                env=dict(environment),
                process_group=0,
            )
    except BaseException:
        link.close()
        raise
    return Member(number, process, link, now)


def fate(status: int) -> str:
    """Return in words how a process ended, to follow its name.

    Parameters:
        status: its exit code; negative for the number of a signal.
    """
    if status >= 0:
        return f"ended with exit code {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"was ended by {name}"
