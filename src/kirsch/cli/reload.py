"""`kirsch run --reload`: a parent that holds the sockets and watches, and a child that serves.

The addresses are bound once, by the parent, and every child inherits them: while one child stops and the next
starts, new connections wait in the queue of the system, and none is refused. The parent imports nothing of
the program, so no error in it can end the parent; a child that fails is told of, and the next change of a
file tries again.

For development: a request that waits while the program is broken is answered when it is mended.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kirsch.bus import Engine, Plugin
from kirsch.cli.children import INHERITS, again
from kirsch.cli.errors import Failure
from kirsch.cli.pid import write_pid
from kirsch.cli.serve import exit_code, obey_signals
from kirsch.cli.sockets import Sockets, check_tls
from kirsch.cli.watching import Watch
from kirsch.supervise import fate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kirsch.bus import Bus
    from kirsch.cli.serve import Run

__all__ = ["Child", "Supervisor", "supervise"]

USAGE = 2
"""Exit code of a child whose command line was wrong: no change of a file mends that."""

_GRACE = 5.0
"""Seconds a child may take beyond the bounds of its own shutdown before it is killed."""


def supervise(run: Run) -> int:
    """Serve by way of children until a signal comes or the program ends itself; return the exit code.

    Parameters:
        run: what is served.

    Belongs in the main thread. Raises Failure, with nothing left behind, when it cannot begin.
    """
    if not INHERITS:
        raise Failure(
            "--reload hands listening sockets from process to process, which this system does not do."
        )
    settings = run.configuration.server
    check_tls(settings)
    with Sockets(settings) as sockets:
        bus = Engine(reexec=run.reexec)
        bus.subscribe("log", _complain)

        def spawn() -> Child:
            return Child(
                lambda link: again(run.arguments, "--reload-child", sockets=sockets.descriptors, link=link),
                sockets.descriptors,
                run.directory,
            )

        bound = settings.drain_delay + settings.shutdown_timeout + bus.join_timeout + _GRACE
        supervisor = Supervisor(bus, run, spawn, bound)
        supervisor.subscribe()
        write_pid(bus, run.pidfile)
        obey_signals(bus)
        bus.start()
        try:
            bus.block(join_timeout=_GRACE)
        except SystemExit as leaving:
            return exit_code(leaving)
        return bus.exit_status


def _complain(msg: str, level: int) -> None:
    if level > 20:  # noqa: PLR2004  INFO: what a healthy run says
        click.echo(msg, err=True)


class Child:
    """A process that serves.

    Parameters:
        command: returns its command line, given the descriptor of its socket to us.
        descriptors: what it inherits besides.
        directory: where it starts.

    Owned by the thread that supervises, but for `listen`.
    """

    def __init__(
        self, command: Callable[[int], list[str]], descriptors: Sequence[int], directory: str
    ) -> None:
        self.began = time.time_ns()
        """When it was started, in nanoseconds of the epoch."""
        self.told: list[str] = []
        """Files it has told of that nobody has taken yet. Appended to by `listen`."""
        self.ended = threading.Event()
        """Set when its socket is closed: it has ended, or is about to."""
        self._ours, theirs = socket.socketpair()
        with theirs:
            keep = (*descriptors, theirs.fileno())
            self.process = subprocess.Popen(command(theirs.fileno()), pass_fds=keep, cwd=directory)  # noqa: S603  our own command

    def listen(self, wake: Callable[[], object]) -> None:
        """Take what it tells until it has ended, and call `wake` after each piece; needs its own thread."""
        with contextlib.suppress(OSError), self._ours.makefile("rb") as lines:
            for line in lines:
                with contextlib.suppress(ValueError):  # cut off in the middle: it was killed
                    self.told.extend(json.loads(line))
                wake()
        self.ended.set()
        wake()

    def take(self) -> list[str]:
        """Return the files it has told of since the last time."""
        taken, self.told = self.told, []
        return taken

    def has_ended(self) -> bool:
        """Whether it has ended or is about to. A process it has forked may keep its socket open."""
        return self.ended.is_set() or self.process.poll() is not None

    def stop(self, bound: float) -> int:
        """Stop it gracefully, as `wait` does after that."""
        with contextlib.suppress(OSError):
            self.process.send_signal(signal.SIGTERM)
        status = self.wait(bound)
        self.close()
        return status

    def wait(self, bound: float) -> int:
        """Wait for its end, kill it after `bound` seconds; return its exit code, negative for a signal."""
        try:
            return self.process.wait(bound)
        except subprocess.TimeoutExpired:
            click.echo(f"The program did not stop within {bound:g} s and is killed.", err=True)
            self.process.kill()
            return self.process.wait()

    def close(self) -> None:
        """Close our end of the socket."""
        with contextlib.suppress(OSError):
            self._ours.shutdown(socket.SHUT_RDWR)
        self._ours.close()


class Supervisor(Plugin):
    """Keeps one child running while the bus does, and replaces it when a file changes.

    Parameters:
        bus: the bus of the parent.
        run: what is served.
        spawn: starts a child.
        bound: seconds a child may take to stop.
    """

    def __init__(self, bus: Bus, run: Run, spawn: Callable[[], Child], bound: float) -> None:
        super().__init__(bus)
        self._run = run
        self._spawn = spawn
        self._patience = bound
        self._settings = run.configuration.engine
        self._ending = threading.Event()
        # Replaced by the supervising thread; `stop` only sets its event.
        self._watch = Watch(self._settings.autoreload_frequency, time.time_ns())
        self._thread = threading.Thread(target=self._supervise, name="Kirsch reload", daemon=True)

    def start(self) -> None:
        """Start the first child."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the child and wait for its end; its exit code becomes that of the bus."""
        self._ending.set()
        self._watch.wake.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(self._patience + _GRACE)

    def _supervise(self) -> None:
        try:
            first = True
            while not self._ending.is_set():
                status = self._attend(self._spawn(), first=first)
                first = False
                if status is not None:
                    # `exit` runs the stop listeners in this thread when nobody else has asked yet.
                    self.bus.exit(status)
                    return
        except Exception:  # noqa: BLE001  the thread's top: without it the parent would sleep for ever
            self.bus.log("The reloader failed", level=40, traceback=True)
            self.bus.exit(1)

    def _attend(self, child: Child, *, first: bool) -> int | None:
        """Watch over one child. Return the exit code to end with, None to start another one."""
        watch = Watch(self._settings.autoreload_frequency, child.began)
        # Before the loop looks at `_ending`: whoever sets that afterwards wakes this watch.
        self._watch = watch
        watch.add(str(Path(each).absolute()) for each in self._run_files())
        listener = threading.Thread(
            target=child.listen, args=(watch.wake.set,), name="Kirsch reload listener", daemon=True
        )
        listener.start()
        failed = False
        while True:
            ended = child.has_ended()
            watch.add(child.take())
            changed = watch.look()
            if self._ending.is_set():
                status = child.stop(self._patience)
                return 0 if failed else _shell_status(status)
            if changed is not None:
                click.echo(f"{_short(changed)} has changed; the program starts anew.", err=True)
                child.stop(self._patience)
                return None
            if ended and not failed:
                status = child.wait(self._patience)
                if status == 0 or (first and status == USAGE):
                    child.close()
                    return status
                failed = True
                watch.add_directories()
                click.echo(f"The program {fate(status)}. It is started again when a file changes.", err=True)
                continue
            watch.wait()

    def _run_files(self) -> list[str]:
        configured = (each.source for each in self._run.configuration.files)
        target = self._run.target.file
        return [*configured, *self._settings.autoreload_files, *([target] if target else ())]


def _shell_status(status: int) -> int:
    return 128 - status if status < 0 else status


def _short(path: str) -> str:
    """Return the path from here, if it lies below."""
    with contextlib.suppress(ValueError, OSError):
        relative = os.path.relpath(path)
        return path if relative.startswith(os.pardir) else relative
    return path
