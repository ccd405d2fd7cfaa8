"""Operating-system signals as channels of a bus.

The path of a signal: the C-level handler of the interpreter writes its number to a wake-up
(`signal.set_wakeup_fd`); the Python-level handler does nothing, so no interrupted bytecode ever runs our
code. A standing daemon thread, the reader, takes the number and has the channel named after the signal
published by the thread that sleeps in `bus.block()`, normally the main thread. When no thread sleeps there
(the program has a loop of its own, or the blocking thread is busy with an earlier signal) a daemon thread of
that signal publishes, so no signal is lost and none waits for the hanging listener of another. The reader
runs none of the listeners itself: it stays free to notice the second Ctrl-C even when the main thread is
stuck in C code.

A program with a loop of its own should end it when `bus.state` is EXITING (or sleep in `bus.wait`): a signal
makes the bus exit, it does not interrupt the loop.

Forked children get back the handlers that were there before, so that a signal to a child is no order to its
parent's program; a child that goes on as the program (a daemon) calls `subscribe` again.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import os
import queue
import signal as signals
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from kirsch.bus.bus import EX_SOFTWARE, WARNING
from kirsch.bus.channels import ChannelFailures
from kirsch.bus.stacks import format_stacks
from kirsch.bus.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable

    from kirsch.bus.bus import Bus

__all__ = ["ECHO", "NotMainThreadError", "SignalHandler", "Signals", "signal_names"]

ECHO = 0.1
"""Seconds in which a second SIGINT counts as the first one heard twice: launchers pass on what the terminal
has sent to the whole process group already. A hand needs longer.
"""

_STOP = 0
"""What `Wakeup.set` sends; no signal has this number."""

_FAULTS = frozenset({"SIGSEGV", "SIGFPE", "SIGILL", "SIGBUS"})
"""Raised by the instruction that failed, which runs again when the handler returns: a Python handler loops
for ever.
"""

_UNCATCHABLE = frozenset({"SIGKILL", "SIGSTOP"})

_JOIN = 1.0
"""Seconds `unsubscribe` waits for each of its threads. The reader ends at once; the others may be inside a
listener.
"""


class NotMainThreadError(RuntimeError):
    """Signals were subscribed, set or unsubscribed in a thread that may not do it."""


def signal_names() -> dict[int, str]:
    """Return the names of this platform's signals by number; real-time ones as `SIGRTMIN+1` and so on."""
    names = {int(one): one.name for one in signals.Signals if one.name.startswith("SIG")}
    first = getattr(signals, "SIGRTMIN", None)
    for number in signals.valid_signals():
        if first is not None and int(number) not in names:
            names[int(number)] = f"SIGRTMIN+{int(number) - int(first)}"
    return names


class SignalHandler:
    """Publishes the channels `SIGTERM`, `SIGINT`, ... and listens on them as `handlers` says.

    Parameters:
        bus: where the channels are.
        clock: seconds that only go forward; tells a second SIGINT from an echo of the first.
        end: ends the process at once with a status, without cleaning up.

    `subscribe`, `unsubscribe`, `set_handler` and `reset_handler` belong to the main thread, as the
    interpreter demands.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        clock: Callable[[], float] = time.monotonic,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        self.bus = bus
        """The bus signals are published on."""
        self.signals: dict[int, str] = signal_names()
        """Names of the signals of this platform, by number."""
        self.handlers: dict[str, Callable[[], object] | None] = {
            "SIGTERM": self.terminate,
            "SIGINT": self.terminate,
            "SIGBREAK": self.terminate,
            "SIGHUP": self.handle_SIGHUP,
            "SIGUSR1": bus.graceful,
            "SIGQUIT": self.dump_stacks,
        }
        """What listens on the channel of each signal, by name, called without arguments. May be changed
        before `subscribe`, with `set_handler` at any time. Of the names above those this platform lacks are
        passed over.
        """
        self._optional = frozenset(self.handlers)
        self._clock = clock
        self._end = end
        self._pid = os.getpid()
        # What follows is owned by the main thread, which alone may change handlers; the reader only looks
        # things up.
        self._listening: dict[str, Callable[[], object]] = {}
        """Listeners this object has subscribed, by signal name."""
        self._taken: set[int] = set()
        """Signals whose handler is ours now."""
        self._before: dict[int, Any] = {}
        """The Python-level handler that was there before ours; kept afterwards, for handlers that came on top
        of ours.
        """
        self._earlier: dict[str, list[Callable[[], object] | type[_Absent] | None]] = {}
        """What `set_handler` has replaced in `handlers`, latest last."""
        self._wakeup: Wakeup | None = None
        self._reader: threading.Thread | None = None
        self._publishers: dict[int, _Publisher] = {}
        """Threads that publish outside `block`, by signal. Owned by the reader, then by the main thread."""
        self._ending_since: float | None = None
        """When the first ending signal came. Set by the reader, cleared when the bus starts."""
        self._ended_early = False
        """Whether an ending signal found the bus not running; then the next start must not happen."""

    @property
    def subscribed(self) -> bool:
        """Whether this object handles any signal now. False in a forked child until it subscribes again."""
        return bool(self._taken)

    # -- by the program, in the main thread ------------------------------------------------------------------

    def subscribe(self) -> None:
        """Handle every signal in `handlers`, remembering what handled it before. Twice is as good as once.

        Raises NotMainThreadError off the main thread, ValueError when a name is no signal; nothing is changed
        then.
        """
        _require_main_thread("subscribe")
        wanted = [
            (self._number(name), listener)
            for name, listener in self.handlers.items()
            if name in self.signals.values() or name not in self._optional
        ]
        self._arm()
        for number, listener in wanted:
            self._listen(self.signals[number], listener)
            self._take(number)

    def unsubscribe(self) -> None:
        """Put back, for every signal, the handler that was there before, and take our listeners off the bus.

        `handlers` stays as it is. A handler another library has set on top of ours is left alone. Raises
        NotMainThreadError off the main thread. Nothing happens when nothing is subscribed.
        """
        if not self._taken:
            return
        _require_main_thread("unsubscribe")
        for number in tuple(self._taken):
            self._give_back(number)
        self._disarm()

    def set_handler(self, signal: str | int, listener: Callable[[], object] | None = None) -> None:
        """Handle `signal` from now on, with `listener` in place of the one in `handlers`.

        Parameters:
            signal: a name such as `SIGUSR2`, or a number.
            listener: called without arguments when the signal comes; None leaves it to those who subscribe to
                the channel.

        Other subscribers of the channel are called as well. `reset_handler` takes it back. Raises ValueError
        for a signal that does not exist or cannot be handled, NotMainThreadError off the main thread.
        """
        number = self._number(signal)
        _require_main_thread("set_handler")
        name = self.signals[number]
        self._earlier.setdefault(name, []).append(self.handlers.get(name, _Absent))
        self.handlers[name] = listener
        self._arm()
        self._listen(name, listener)
        self._take(number)

    def reset_handler(self, signal: str | int) -> None:
        """Take back the latest `set_handler` of `signal`: the listener it replaced is in force again.

        A signal that had none is given back to whoever handled it before. Raises ValueError when
        `set_handler` was not called for it, NotMainThreadError off the main thread.
        """
        number = self._number(signal)
        _require_main_thread("reset_handler")
        name = self.signals[number]
        if not self._earlier.get(name):
            raise ValueError(f"{name} has no handler to take back: set_handler was not called for it")
        listener = self._earlier[name].pop()
        if isinstance(listener, type):
            del self.handlers[name]
            self._give_back(number)
            if not self._taken:
                self._disarm()
            return
        self.handlers[name] = listener
        if number in self._taken:
            self._listen(name, listener)

    # -- default listeners, by whichever thread publishes ----------------------------------------------------

    def terminate(self) -> None:
        """Exit the bus for good: a restart that is under way becomes an exit.

        On a bus that is not running, the next `start` ends the program with SystemExit: the order came first.
        """
        self.bus.execv = False
        if not self.bus.running:
            self._ended_early = True
        self.bus.exit()

    def handle_SIGHUP(self) -> None:  # noqa: N802  CherryPy's name, which programs override and call
        """Restart when the program runs as a daemon, exit when it hangs on a terminal that has gone.

        A daemon is a program whose process is not the one that made this object and whose standard input is
        no terminal.
        """
        if os.getpid() != self._pid and not _stdin_is_terminal():
            self.bus.log("SIGHUP in a daemon: the bus restarts")
            self.bus.restart()
        else:
            self.terminate()

    def dump_stacks(self) -> None:
        """Log the stacks of all threads, at level 30, and go on."""
        self.bus.log(f"Stacks of all threads of process {os.getpid()}:\n{format_stacks()}", level=WARNING)

    # -- handlers and listeners, by the main thread ----------------------------------------------------------

    def _number(self, signal: str | int) -> int:
        """Return the number of a signal that may be handled; ValueError with the nearest one otherwise."""
        if isinstance(signal, int):
            number = int(signal)
            if number not in self.signals:
                nearest = min(self.signals, key=lambda one: abs(one - number))
                raise ValueError(
                    f"there is no signal {number} on this platform; the nearest is {nearest}, "
                    f"{self.signals[nearest]}"
                )
        else:
            numbers = {name: known for known, name in self.signals.items()}
            alias = getattr(signals, signal, None) if signal.startswith("SIG") else None
            if signal not in numbers and isinstance(alias, signals.Signals):
                signal = self.signals[int(alias)]
            if signal not in numbers:
                near = difflib.get_close_matches(signal.upper(), numbers, n=1, cutoff=0.0)[0]
                raise ValueError(f"there is no signal {signal!r} on this platform; the nearest is {near}")
            number = numbers[signal]
        name = self.signals[number]
        if name in _UNCATCHABLE:
            raise ValueError(f"{name} cannot be handled by any program; for an orderly end handle SIGTERM")
        if name in _FAULTS:
            raise ValueError(
                f"{name} comes from a failing instruction and cannot be handled in Python; "
                "faulthandler.enable() logs the stacks when it comes"
            )
        return number

    def _listen(self, name: str, listener: Callable[[], object] | None) -> None:
        present = self._listening.pop(name, None)
        if present is not None:
            self.bus.unsubscribe(name, present)
        if listener is not None:
            self.bus.subscribe(name, listener)
            self._listening[name] = listener

    def _take(self, number: int) -> None:
        if number in self._taken:
            return
        self._before[number] = signals.getsignal(number)
        signals.signal(number, self._noticed)
        self._taken.add(number)

    def _give_back(self, number: int) -> None:
        self._listen(self.signals[number], None)
        if number in self._taken:
            self._restore(number)

    def _restore(self, number: int) -> None:
        self._taken.discard(number)
        if signals.getsignal(number) == self._noticed:
            signals.signal(number, self._predecessor(number))

    def _predecessor(self, number: int) -> Any:
        """Return what handled the signal before, passing over objects of ours that do so no longer."""
        before = self._before.get(number)
        owner = getattr(before, "__self__", None)
        if isinstance(owner, SignalHandler) and number not in owner._taken:  # noqa: SLF001  of this class
            return owner._predecessor(number)  # noqa: SLF001  the same
        # None: somebody set it outside Python, which cannot be put back from here.
        return signals.SIG_DFL if before is None else before

    def _noticed(self, signum: int, frame: object) -> None:
        """Do nothing: this is the Python-level handler, and the number has gone to the wake-up already."""

    def _arm(self) -> None:
        if self._wakeup is not None:
            return
        self.bus.subscribe("start", self._before_start, priority=float("-inf"))
        self._wakeup = Wakeup()
        self._reader = threading.Thread(
            target=self._read, args=(self._wakeup,), name="Kirsch signal reader", daemon=True
        )
        self._reader.start()
        self._wakeup.arm()
        _armed.append(self)

    def _disarm(self) -> None:
        if self._wakeup is None or self._reader is None:
            return
        self.bus.unsubscribe("start", self._before_start)
        _armed.remove(self)
        self._wakeup.disarm()
        self._wakeup.set()
        self._reader.join(_JOIN)
        self._wakeup.close()
        for publisher in self._publishers.values():
            publisher.due.put(False)  # noqa: FBT003  what a queue takes
        for publisher in self._publishers.values():
            publisher.join(_JOIN)
        self._publishers = {}
        self._wakeup = self._reader = None

    def _forked(self) -> None:
        """In a forked child: neither thread exists here, and the wake-up would wake the parent.

        Takes no lock, because a thread that is gone may hold it: our listeners stay on the bus, where nothing
        publishes.
        """
        for number in tuple(self._taken):
            self._restore(number)
        if self._wakeup is not None:
            self._wakeup.close()
        self._publishers = {}
        self._wakeup = self._reader = None

    def _before_start(self) -> None:
        """Refuse a start that a signal to end has forestalled; listens on `start`, first of all."""
        self._ending_since = None
        if self._ended_early:
            self._ended_early = False
            self.bus.log("The bus does not start: a signal to end came before")
            raise SystemExit(self.bus.exit_status)

    # -- by the reader ---------------------------------------------------------------------------------------

    def _read(self, wakeup: Wakeup) -> None:
        while True:
            for number in wakeup.wait():
                if number == _STOP:
                    return
                # Signals are the process's, not one object's: with several buses each takes those it has
                # asked for.
                for handler in (self, *_armed):
                    if number in handler._taken:  # noqa: SLF001  of this class
                        handler._arrived(number)  # noqa: SLF001  the same
                        break

    def _arrived(self, number: int) -> None:
        name = self.signals[number]
        if self.handlers.get(name) == self.terminate:
            now = self._clock()
            if self._ending_since is None:
                self._ending_since = now
            elif name != "SIGTERM" and now - self._ending_since >= ECHO:
                self._end_now(number, name)
                return
        if self.bus.post(functools.partial(self._deliver, number)):
            return
        publisher = self._publishers.get(number)
        if publisher is None:
            publisher = self._publishers[number] = _Publisher(self, number)
            publisher.start()
        publisher.due.put(True)  # noqa: FBT003  what a queue takes

    def _end_now(self, number: int, name: str) -> None:
        """End the process: somebody asked twice. Past the log, which may be what hangs."""
        status = 128 + number
        with contextlib.suppress(OSError):
            os.write(2, f"{name} again: ending at once with status {status}\n".encode())
        self._end(status)

    # -- by the thread in block(), or by a publisher ---------------------------------------------------------

    def _deliver(self, number: int) -> None:
        name = self.signals[number]
        self.bus.log(f"Caught signal {name}.")
        with contextlib.suppress(ChannelFailures):  # logged one by one; the program goes on
            self.bus.publish(name)


class _Publisher(threading.Thread):
    """Publishes one signal, as often as it comes, until it finds False in its queue.

    One whose listener hangs ends when that returns: the queue is its own, and nobody waits for it long.
    """

    def __init__(self, handler: SignalHandler, number: int) -> None:
        super().__init__(name=f"Kirsch {handler.signals[number]} publisher", daemon=True)
        self.due: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._handler = handler
        self._number = number

    def run(self) -> None:
        bus = self._handler.bus
        while self.due.get():
            try:
                self._handler._deliver(self._number)  # noqa: SLF001  half of the handler, on a thread of its own
            except SystemExit as leaving:
                bus.exit(leaving.code if isinstance(leaving.code, int) else int(bool(leaving.code)))
            except BaseException:  # noqa: BLE001  the thread's top: what cuts through must not end the thread
                bus.log(f"{self.name}: a listener was cut short", level=WARNING, traceback=True)
                bus.exit(EX_SOFTWARE)


class Signals:
    """What `engine.signals` is: one call that makes the process obey its operating system.

    Parameters:
        bus: its attributes `signal_handler` and `console_control_handler`, where they exist, are what is
            subscribed.
    """

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        """The bus whose handlers are meant."""

    def subscribe(self) -> None:
        """Subscribe every handler of the bus. Raises NotMainThreadError off the main thread."""
        for handler in self._handlers():
            handler.subscribe()

    def unsubscribe(self) -> None:
        """Unsubscribe every handler of the bus."""
        for handler in self._handlers():
            handler.unsubscribe()

    def _handlers(self) -> list[Any]:
        names = ("signal_handler", "console_control_handler")
        return [handler for name in names if (handler := getattr(self.bus, name, None)) is not None]


class _Absent:
    """Stands for no entry in `handlers`, where None means an entry without a listener."""


# The one registry of this module: handlers that are subscribed, for signals that another one's reader
# receives and for forked children. Changed by the main thread alone.
_armed: list[SignalHandler] = []


def _require_main_thread(method: str) -> None:
    if threading.current_thread() is not threading.main_thread():
        raise NotMainThreadError(
            f"{method}() was called in thread {threading.current_thread().name!r}, but Python lets only "
            "the main thread handle signals: call it in the main thread before you start others, or leave "
            "signals to the program that runs this thread and let it call bus.exit()"
        )


def _stdin_is_terminal() -> bool:
    try:
        return bool(sys.stdin.isatty())
    except (AttributeError, ValueError):  # there is none, or it has been closed
        return False


def _after_fork_in_child() -> None:
    if _armed:
        Wakeup.disarm_all()
        for handler in _armed:
            handler._forked()  # noqa: SLF001  of the same module
        _armed.clear()


if hasattr(os, "register_at_fork"):
    # Once per process, at import: hooks cannot be taken back, and this one does nothing while no handler is
    # subscribed.
    os.register_at_fork(after_in_child=_after_fork_in_child)
