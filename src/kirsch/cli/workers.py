"""`kirsch run --workers N`: a supervisor in this process, and workers that serve.

The addresses are bound once, here; every worker inherits them. This process imports nothing of the program,
so no error in that can end it, and a reload reads everything anew: modules, configuration, certificates. What
comes from outside, a signal or `kirsch signal`, becomes a method of the supervisor.

USR2 goes further: a new supervisor is started beside this one, from the files as they are now, Kirsch and
Python included. See `kirsch.supervise.replacement` for how the two agree.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import click

from kirsch._version import __version__
from kirsch.bus import Engine, SignalHandler
from kirsch.bus.notify import VARIABLES
from kirsch.cli.children import INHERITS, again
from kirsch.cli.errors import Failure
from kirsch.cli.logs import Logs
from kirsch.cli.serve import exit_code
from kirsch.cli.sockets import Sockets, check_tls
from kirsch.cli.station import Station
from kirsch.supervise import (
    Limits,
    Supervisor,
    processors,
    resident_bytes,
    start_member,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    from kirsch.cli.serve import Run
    from kirsch.config import ServerSettings
    from kirsch.supervise import Member

__all__ = ["serve_workers", "worker_count"]

_GRACE = 5.0
"""Seconds a worker may take beyond the bounds of its own shutdown before it is killed."""


def worker_count(settings: ServerSettings) -> int:
    """Return how many workers `settings` ask for; 0 for one process without a supervisor."""
    return settings.workers if isinstance(settings.workers, int) else processors()


def serve_workers(run: Run) -> int:
    """Serve by workers until a signal or a command ends it; return the exit code.

    Parameters:
        run: what is served.

    Belongs in the main thread. Raises Failure, with nothing left behind, when it cannot begin.
    """
    settings = run.configuration.server
    if not INHERITS:
        raise Failure(
            "--workers hands listening sockets from process to process, which this system does not do. Leave "
            "it out: one process serves with many threads."
        )
    if settings.worker_max_memory and resident_bytes() is None:
        raise Failure("server.worker_max_memory: this system tells nobody how much that is; install psutil.")
    check_tls(settings)
    logs = Logs(run.configuration.log)
    logs.open()
    try:
        with Sockets(settings, run.inherited) as sockets:
            return _Company(run, sockets, logs).serve()
    finally:
        logs.close()


class _Company:
    """A supervisor with all that is around it: the bus, signals, commands, files.

    Owned by the main thread but for what the supervisor's thread calls, `_ready` and `_over`, and `_answer`.
    """

    def __init__(self, run: Run, sockets: Sockets, logs: Logs) -> None:
        self._run = run
        self._settings = run.configuration.server
        self._logs = logs
        self._descriptors = sockets.descriptors
        self._urls = sockets.urls
        self._terminal = _is_terminal()
        self._bus = bus = Engine(reexec=run.reexec)
        bus.subscribe("log", logs.bus)
        bus.signal_handler = SignalHandler(bus, end=self._end_now)
        settings = self._settings
        bound = settings.drain_delay + settings.shutdown_timeout + bus.join_timeout + _GRACE
        self._limits = Limits(
            start=settings.worker_start_timeout,
            silence=settings.worker_timeout,
            stop=bound,
            retire=settings.worker_retire_timeout,
            backoff=settings.worker_backoff,
            crashes=settings.worker_crashes,
            window=settings.worker_crash_window,
        )
        self._supervisor = Supervisor(
            worker_count(settings),
            self._start_worker,
            self._limits,
            tell=logs.supervisor,
            ready=self._ready,
            ended=self._over,
        )
        self._station = Station(run, bus, sockets, logs, answer=self._answer, finish=bus.exit)
        self._notifier = self._station.manager.notifier
        self._environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}

    def serve(self) -> int:
        """Start the bus and block until it has exited; return the exit code."""
        bus = self._bus
        self._station.open()
        bus.subscribe("start", self._supervisor.begin)
        bus.subscribe("stop", self._stop)
        bus.subscribe("graceful", self._logs.reopen)
        bus.subscribe("graceful", lambda: self._supervisor.signal(signal.SIGUSR1))
        self._obey_signals()
        bus.start()
        try:
            bus.block(join_timeout=_GRACE)
            status = bus.exit_status
        except SystemExit as leaving:
            status = exit_code(leaving)
        if self._supervisor.failure is not None:
            message, detail, status = self._supervisor.failure
            Failure(message, detail=detail).show()
        return status

    # ---- workers -----------------------------------------------------------------------------------

    def _start_worker(self, number: int, now: float) -> Member:
        return start_member(
            number,
            lambda link: again(self._run.arguments, "--worker", sockets=self._descriptors, link=link),
            descriptors=self._descriptors,
            directory=self._run.directory,
            environment=self._environment,
            now=now,
        )

    def _ready(self) -> None:
        """All workers serve for the first time. Called by the supervisor's thread."""
        count = worker_count(self._settings)
        self._station.ready(f"{count} workers serve {self._run.target.text}")
        click.echo(self._describe(), err=True)

    def _describe(self) -> str:
        count, threads = worker_count(self._settings), self._settings.threads
        return (
            f"Kirsch {__version__} serves {self._run.target.text} on {' and '.join(self._urls)} "
            f"({count} worker{'' if count == 1 else 's'} of {threads} thread{'' if threads == 1 else 's'}, "
            f"pid {os.getpid()}); Ctrl-C stops it"
        )

    def _over(self, status: int) -> None:
        """No worker is left. Called by the supervisor's thread."""
        self._bus.exit(status)

    def _stop(self) -> None:
        """Stop the workers. The station, which listens before, has let go of the sockets."""
        if not self._station.handed_over and self._supervisor.failure is None:
            click.echo(
                f"Kirsch stops: running requests may take {self._settings.shutdown_timeout:g} s to finish. "
                "Ctrl-C again ends it at once.",
                err=True,
            )
        self._supervisor.stop(succeeded=self._station.handed_over)
        self._supervisor.join(self._limits.retire + self._limits.stop + _GRACE)

    def _end_now(self, status: int) -> None:
        """End everything at once: somebody asked twice."""
        self._supervisor.kill()
        os._exit(status)

    # ---- signals and commands ----------------------------------------------------------------------

    def _obey_signals(self) -> None:
        listeners: dict[str, Callable[[], object]] = {
            "SIGHUP": self._hang_up,
            "SIGQUIT": self._dump_stacks,
            "SIGUSR2": self._replace,
            "SIGTTIN": lambda: self._supervisor.scale(by=1),
            "SIGTTOU": lambda: self._supervisor.scale(by=-1),
            "SIGCHLD": self._supervisor.reap,
        }
        # Ignored by whoever started us, it would keep us from learning how workers end.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for name, listener in listeners.items():
            if hasattr(signal, name):
                self._bus.signal_handler.handlers[name] = listener
        self._bus.signals.subscribe()

    def _hang_up(self) -> None:
        if self._terminal and not _is_terminal():
            self._bus.log("SIGHUP, as the terminal is gone: the bus exits")
            self._bus.signal_handler.terminate()
        else:
            self._reload()

    def _reload(self) -> Any:
        self._notifier.reloading()
        reply = self._supervisor.reload()
        reply.add_done_callback(lambda _: self._notifier.ready())
        return reply

    def _dump_stacks(self) -> None:
        self._bus.signal_handler.dump_stacks()
        self._supervisor.signal(signal.SIGQUIT)

    def _replace(self) -> Future[str]:
        """Start a new program beside this one."""

        def start(launch: Callable[[], int]) -> None:
            # By the supervisor's thread, which must know the process before it can end.
            self._supervisor.post(lambda: self._supervisor.spared.append(launch()))

        return self._station.replace(start)

    def _answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer a command. Called by the control's thread for this request."""
        do = request.get("do")
        if do == "status":
            return {"version": __version__, "pid": os.getpid(), "target": self._run.target.text} | {
                "urls": self._urls,
                **self._supervisor.status().result(_GRACE),
            }
        if do == "reload":
            return {"said": self._reload().result()}
        if do == "scale":
            count = self._supervisor.scale(int(request["count"])).result(_GRACE)
            return {"said": f"{count} workers are wanted."}
        if do == "restart":
            return {"said": self._replace().result()}
        if do == "reopen-logs":
            self._bus.graceful()
            return {"said": "The logs are opened anew."}
        if do in {"stop", "quit"}:
            if do == "quit":
                self._supervisor.quit()
            # Elsewhere: the answer is to be out before the end.
            threading.Thread(target=self._bus.exit, name="Kirsch stop", daemon=True).start()
            return {"said": "Stopping.", "follow": True}
        raise RuntimeError(f"There is no command {do!r}.")


def _is_terminal() -> bool:
    with contextlib.suppress(OSError):
        return os.isatty(0)
    return False
