"""Serving a program in this process: from the bus's start to the exit code.

The order, each step only when those before it have succeeded: settings are read and checked
(`kirsch.cli.sources`), the program is imported, addresses are bound, the pid file is taken, the bus starts,
the server accepts, one line says so. The exit code is 0 after a clean stop; 128 + n when signal n comes while
the program is imported, or is a second Ctrl-C; 1 when it cannot begin (2 for a target that is not there) or
requests were cut off; else what the program told the bus, such as 70 for listeners that failed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from kirsch._version import __version__
from kirsch.bus import Bus, ChannelFailures, Engine, SignalHandler, State
from kirsch.cli.errors import Failure
from kirsch.cli.face import face
from kirsch.cli.logs import Logs
from kirsch.cli.program import make_program
from kirsch.cli.reporting import program_files, trace_files
from kirsch.cli.single import Single, retire
from kirsch.cli.sockets import Sockets, check_tls
from kirsch.cli.target import load
from kirsch.server import Server, ThreadHooks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from kirsch.bus import Reexec
    from kirsch.cli.program import Program
    from kirsch.cli.reporting import Reporter
    from kirsch.cli.sources import Configuration
    from kirsch.cli.station import Station
    from kirsch.cli.target import Target
    from kirsch.http.exchange import Gateway
    from kirsch.supervise import Successor, Tally, Worker

__all__ = ["Run", "describe", "exit_code", "interruptible", "obey_signals", "serve"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run is to do.

    Parameters:
        target: the program.
        configuration: all settings.
        reexec: how to start this command again.
        arguments: those of `kirsch run`, as they were given.
        directory: where the command was started.
        pidfile: path of the pid file, None for none.
        reporter: the way to the process that watches the files of the program; None when nobody does.
        worker: the way to the supervisor whose worker this process is; None when it is none.
        successor: the way to the running program that this one is to replace; None when there is none.
        inherited: descriptors and paths of listening sockets that a process of ours has handed on.
    """

    target: Target
    configuration: Configuration
    reexec: Reexec
    arguments: tuple[str, ...] = ()
    directory: str = "."
    pidfile: str | None = None
    reporter: Reporter | None = None
    worker: Worker | None = None
    successor: Successor | None = None
    inherited: tuple[tuple[int, str], ...] = ()


def serve(run: Run) -> int:
    """Serve until the bus has exited, and return the exit code. Belongs in the main thread.

    Raises Failure, with nothing left behind, when it cannot begin. Does not return from a restart.
    """
    check_tls(run.configuration.server)
    logs = Logs(run.configuration.log)
    logs.open()
    try:
        with interruptible():
            program = _load(run)
        settings = run.configuration.server
        if program.site is not None:
            settings = run.configuration.server_over(program.site.config)
            check_tls(settings)
        with Sockets(settings, run.inherited) as sockets:
            end = _serve(run, program, sockets, logs)
    finally:
        logs.close()
    if end.restart is not None and run.worker is None:
        # A worker only ends: its supervisor starts another one.
        run.reexec(end.restart)
    if end.stuck:
        # The interpreter would wait for their end for ever; the bus has named them in the log.
        _end_now(end.status or 1)
    return end.status


def _load(run: Run) -> Program:
    target, configuration = run.target, run.configuration
    try:
        value, name = load(target)
    except Failure as failure:
        if run.reporter is not None:
            run.reporter.tell(program_files() | trace_files(failure.cause))
        raise
    program = make_program(value, f"{target.place}:{name}")
    program.configure(configuration.environment, configuration.free, chosen=configuration.chosen)
    for each in configuration.files:
        program.merge(each.source, {**each.free, **each.paths})
    return program


class _End(NamedTuple):
    """How a run has ended."""

    status: int
    """The exit code."""
    stuck: bool
    """Whether threads are left that would keep the process."""
    restart: tuple[int, ...] | None
    """Descriptors to keep when the process is to start anew; None when it is not."""


def _serve(run: Run, program: Program, sockets: Sockets, logs: Logs) -> _End:
    bus = _bus(program)
    if not bus.listeners.get("log"):
        bus.subscribe("log", logs.bus)
    bus.subscribe("graceful", logs.reopen)
    tally = None if run.worker is None else _tally(program.gateway)
    server = Server(
        tally or program.gateway,
        sockets.settings,
        hooks=_Hooks(bus),
        log=logs.server,
        access_stream=logs.access_stream,
    )
    server.subscribe(bus)
    if run.reporter is not None:
        run.reporter.watch(bus, run.configuration.engine)
    single = None
    if run.reporter is None and run.worker is None:
        single = Single(run, bus, server, sockets, logs)
        single.station.open()
    obey_signals(bus, {} if single is None else {"SIGUSR2": single.station.replace})
    _start(bus, run.target)
    if single is None:
        sockets.release()
    if bus.state is State.STARTED:
        if (default := face()) is not None and default.engine is bus:
            default.served_by(server)
        if run.worker is not None and tally is not None:
            _report(run.worker, tally, server, bus)
        elif single is None:
            click.echo(describe(run.target, server), err=True)
        else:
            single.station.ready(f"Serves {run.target.text}")
            click.echo(describe(run.target, server), err=True)
            bus.subscribe("stop", lambda: _say_stopping(server, single.station), 0)
    return _block(bus, server)


def _tally(gateway: Gateway) -> Tally:
    from kirsch.supervise import Tally  # who is no worker does without the supervisor's room

    return Tally(gateway)


def _report(worker: Worker, tally: Tally, server: Server, bus: Bus) -> None:
    """Tell the supervisor that this worker serves, and when it stops."""
    from kirsch.supervise import resident_bytes

    loop = server.loop
    if loop is None:  # stopped already
        return

    def facts() -> dict[str, Any]:
        return {
            "requests": tally.requests,
            "connections": len(loop.connections),
            "memory": resident_bytes(),
        }

    bus.subscribe("stop", worker.leave, 0)
    worker.ready(facts, loop.call, lambda seconds: retire(server, seconds))


def _bus(program: Program) -> Bus:
    """Return the bus of the program's applications, else the default one if it uses that, else a new one."""
    default = face()
    own = None if program.site is None else program.site.bus
    bus: Bus = own if isinstance(own, Bus) else Engine() if default is None else default.engine
    if default is not None and bus is default.engine:
        default.step_back()
    return bus


def _start(bus: Bus, target: Target) -> None:
    try:
        bus.start()
    except ChannelFailures as failures:
        # The bus has logged each with its traceback and has run the stop and exit listeners.
        first = failures.exceptions[0]
        reason = f"{type(first).__name__}: {first}".rstrip(".: ")
        raise Failure(f"{target.text} did not start: {reason}.", cause=first) from failures


def _block(bus: Bus, server: Server) -> _End:
    restart = False

    def take_restart() -> None:
        # Done by `serve`, with the sockets and logs closed and from the directory the command was started in.
        nonlocal restart
        restart, bus.execv = bus.execv, False

    bus.subscribe("exit", take_restart, float("inf"))
    try:
        bus.block()
        status = bus.exit_status
    except SystemExit as leaving:
        status = exit_code(leaving)
    if server.cut and not status:
        status = 1
    return _End(status, bool(bus.stragglers), tuple(bus.keep_fds) if restart else None)


def exit_code(leaving: SystemExit) -> int:
    """Return the exit code that the interpreter would make of `leaving`."""
    if leaving.code is None:
        return 0
    return leaving.code if isinstance(leaving.code, int) else 1


def _end_now(status: int) -> None:
    """End the process with what is buffered written; nothing else of the program runs."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()
    os._exit(status)


def obey_signals(bus: Bus, listeners: Mapping[str, Callable[[], object]] | None = None) -> None:
    """Have `bus` obey the operating system's signals, and Windows' console events where there are any.

    Parameters:
        bus: the bus.
        listeners: for signals, by name, that neither the bus nor the program handles otherwise. Those the
            system lacks are passed over.
    """
    handler = bus.signal_handler if isinstance(bus, Engine) else SignalHandler(bus)
    for name, listener in (listeners or {}).items():
        if hasattr(signal, name):
            handler.handlers.setdefault(name, listener)
    if isinstance(bus, Engine):
        bus.signals.subscribe()
    else:
        handler.subscribe()


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """While the program is imported, have Ctrl-C and SIGTERM end the process at once, with 128 + n.

    There is nothing to finish yet. SIGTERM needs a handler for that: a process that is the first in its
    container has no default action.
    """

    def end(number: int, frame: object) -> None:
        del frame
        raise KeyboardInterrupt(number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    except KeyboardInterrupt as interrupt:
        number = next((each for each in interrupt.args if isinstance(each, int)), signal.SIGINT)
        raise SystemExit(128 + number) from None
    finally:
        for number, handler in before.items():
            # None: set outside Python, and not to be put back from here.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def describe(target: Target, server: Server) -> str:
    """Return the line that says what is served, and where."""
    threads = server.settings.threads
    return (
        f"Kirsch {__version__} serves {target.text} on {' and '.join(server.urls)} "
        f"({threads} thread{'' if threads == 1 else 's'}, pid {os.getpid()}); Ctrl-C stops it"
    )


def _say_stopping(server: Server, station: Station) -> None:
    if station.handed_over:
        return
    bound = server.settings.shutdown_timeout
    click.echo(
        f"Kirsch stops: running requests may take {bound:g} s to finish. Ctrl-C again ends it at once.",
        err=True,
    )


class _Hooks(ThreadHooks):
    """Tells the bus which threads serve, as CherryPy does: programs keep what belongs to a thread by it."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def started(self) -> None:
        """Publish `acquire_thread`."""
        self._publish("acquire_thread")

    def stopped(self) -> None:
        """Publish `release_thread`."""
        self._publish("release_thread")

    def _publish(self, channel: str) -> None:
        with contextlib.suppress(ChannelFailures):  # logged one by one; the thread has requests to serve
            self._bus.publish(channel)
