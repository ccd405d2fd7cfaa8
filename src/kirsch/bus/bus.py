"""The bus: one object that owns the life cycle of a program.

Who may call what: every public method from any thread, unless it says otherwise. A transition (start, stop,
exit) is run by the thread that asked first; listeners run in that thread and no lock is held meanwhile. A
`stop` or `exit` that is asked for during a transition, by one of its listeners or by another thread, is
noted, returns at once, and is carried out by the running thread as soon as its step is through. So any number
of calls give one clean transition, and a listener that waits for a thread that calls `exit` does not wait for
ever.
"""

from __future__ import annotations

import atexit
import contextlib
import enum
import os
import threading
import time
import traceback as tracebacks
import warnings
from typing import TYPE_CHECKING, Any

from kirsch.bus.channels import ChannelFailures, Channels, last_resort
from kirsch.bus.joining import join_foreground
from kirsch.bus.reexec import Reexec
from kirsch.bus.states import State, allowed
from kirsch.bus.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

__all__ = ["BUILTIN_CHANNELS", "EX_SOFTWARE", "Bus"]

BUILTIN_CHANNELS = ("start", "stop", "exit", "graceful", "log", "main")
"""Channels every bus has. Others come to be when somebody subscribes."""

EX_SOFTWARE = 70
"""Exit status after a listener failed: EX_SOFTWARE of BSD's sysexits.h, the one CherryPy's bus ends with."""

START_PATIENCE = 60.0
"""Seconds `start` waits for a transition that another thread runs. Longer than servers let running requests
finish (30).
"""

INFO, WARNING, ERROR = 20, 30, 40
"""Levels on the channel `log`: those of the standard library's `logging`."""


class _Order(enum.Enum):
    START = "start"
    STOP = "stop"
    EXIT = "exit"


class Bus(Channels):
    """A process bus: channels plus a life cycle. Several may live in one process.

    Parameters:
        join_timeout: seconds `block` waits, once the bus is EXITING, for exit listeners and threads that
            still run.
        reexec: called by `block` with the descriptors to keep when a restart was asked for; without it the
            process is replaced by a new run of its command line.
    """

    states = State
    """The states, so that a program can write `bus.states.STARTED`."""

    def __init__(
        self, *, join_timeout: float = 5.0, reexec: Callable[[Sequence[int]], object] | None = None
    ) -> None:
        super().__init__(BUILTIN_CHANNELS)
        self.join_timeout = join_timeout
        """Seconds `block` grants exit listeners and threads after the bus is EXITING."""
        self.exit_status = 0
        """What the process should end with: 0, 70 when a start, stop or exit listener failed, or what `exit`
        was told.

        `start` resets it. `block` ends in SystemExit when it is not 0.
        """
        self.failures: list[Exception] = []
        """What failed in start, stop and exit since the last `start`; each already logged. Owned by the
        running thread.
        """
        self.execv = False
        """Whether `block` replaces the process when the bus has exited. Set by `restart`."""
        self.keep_fds: list[int] = []
        """Descriptors a restarted process inherits, such as listening sockets."""
        self.stragglers: tuple[str, ...] = ()
        """Names of the threads that still ran when `block` stopped waiting for them."""
        self._reexec = Reexec() if reexec is None else reexec
        # Guards everything below. Held for assignments only, never while listeners run. Re-entrant because a
        # Python-level signal handler of the program may call `exit` while its thread is inside.
        self._lock = threading.RLock()
        self._state = State.STOPPED
        self._runner: int | None = None
        """Ident of the thread that runs a transition."""
        self._running: _Order | None = None
        """What it is doing."""
        self._ordered: _Order | None = None
        """What it has to do next: STOP or EXIT."""
        self._stop_due = True
        """Whether the stop listeners have not run since the last start. True on a new bus, which may have
        been set up.
        """
        self._waiters: list[Wakeup] = []
        self._blocking: list[threading.Thread] = []
        """Threads in `block`, which must not wait for each other's end."""
        self._blocker: Wakeup | None = None
        """Wake-up of the thread in `block` that takes posted work."""
        self._blocker_idle = False
        self._work: Callable[[], object] | None = None
        self._pid = 0
        """Process that started the bus, after daemonising; a forked child that ends must not stop its
        parent's bus.
        """

    # -- what it is ------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The current state."""
        return self._state

    @property
    def exiting(self) -> bool:
        """Whether an exit has been asked for, is under way or is done."""
        with self._lock:
            return State.EXITING is self._state or _Order.EXIT in {self._running, self._ordered}

    @property
    def running(self) -> bool:
        """Whether the bus is STARTED or a thread is in the middle of a transition."""
        with self._lock:
            return self._state is State.STARTED or self._runner is not None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._state.name}>"

    # -- channels and log ------------------------------------------------------------------------------------

    def subscribe(self, channel: str, callback: Any = None, priority: float | None = None) -> Any:
        """As `Channels.subscribe`; the thread in `block` learns that somebody listens on `main`."""
        result = super().subscribe(channel, callback, priority)
        if channel == "main" and callback is not None:
            self._wake()
        return result

    def listener_failed(self, channel: str, callback: Callable[..., Any]) -> None:
        """Log the error that is being handled, except on channel `log`, which would fail again."""
        if channel != "log":
            self.log(f"Error in {channel!r} listener {callback!r}", level=ERROR, traceback=True)

    def log(self, msg: str = "", level: int = INFO, traceback: bool = False) -> None:
        """Publish `(msg, level)` on channel `log`. Never raises because a log listener failed.

        Parameters:
            msg: the text.
            level: as in `logging`, 10 to 50.
            traceback: whether to append the traceback of the error being handled.

        Failing log listeners, and from level 30 up a message that nobody listens for, go to standard error.
        """
        if traceback:
            msg = f"{msg}\n{tracebacks.format_exc()}"
        if level >= WARNING and not self._listeners.get("log"):
            last_resort(msg)
        try:
            self.publish("log", msg, level)
        except ChannelFailures as failures:
            last_resort("".join(tracebacks.format_exception(failures)))

    # -- life cycle ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Run the `start` listeners; STARTED when they are through. Nothing happens on a bus that is STARTED.

        When one fails, stop and exit listeners run and the error (ChannelFailures) is raised; the same for a
        KeyboardInterrupt or SystemExit in one. When another thread runs a transition this call waits for its
        end, at most 60 seconds (TimeoutError). RuntimeError when a stop or exit listener calls it.

        If the interpreter ends while the bus is neither STOPPED nor EXITING, the bus warns and exits by
        itself.
        """
        while True:
            with self._lock:
                if self._runner is None:
                    if self._state is State.STARTED:
                        return
                    self._claim(_Order.START)
                    self.failures = []
                    self.exit_status = 0
                    self.execv = False
                    break
                if self._runner == threading.get_ident():
                    if self._running is _Order.START:
                        return
                    raise RuntimeError(
                        f"start() was called by a listener while the bus was {self._state.name}; a stop or "
                        "exit listener cannot start it: use restart(), or start() after exit() has returned"
                    )
            if not self._sleep_until(lambda: self._runner is None, START_PATIENCE):
                raise TimeoutError(
                    f"start() waited {START_PATIENCE:g} s for another thread that is still busy with the bus "
                    f"({self._state.name}); a {self._state.name.lower()} listener seems to hang"
                )
        self._transit(_Order.START)

    def stop(self) -> None:
        """Run the `stop` listeners, once per start; the bus is STOPPED even when one fails.

        Raises ChannelFailures then. Nothing happens when they have run already. During a transition: see the
        module.
        """
        with self._lock:
            if self._runner is not None:
                if self._ordered is None:
                    self._ordered = _Order.STOP
                return
            if self._nothing_to_do(_Order.STOP):
                return
            self._claim(_Order.STOP)
        self._transit(_Order.STOP)

    def exit(self, status: int = 0) -> None:
        """Run the `stop` listeners if they are due and then the `exit` listeners; the bus ends EXITING.

        Parameters:
            status: what the process should end with; kept in `exit_status` unless that is an error already.

        Failing listeners are logged and kept in `failures`; they do not stop the others and raise nothing
        here. A SystemExit in a stop listener is raised when the exit listeners are through, a
        KeyboardInterrupt at once.
        """
        with self._lock:
            self.exit_status = self.exit_status or status
            if self._runner is not None:
                self._ordered = _Order.EXIT
                return
            if self._nothing_to_do(_Order.EXIT):
                return
            self._claim(_Order.EXIT)
        self._transit(_Order.EXIT)

    def restart(self) -> None:
        """Exit, then let the thread in `block` replace the process by a new run of its command line.

        Without a thread in `block` it is an exit. A bus that is exiting already goes on doing so and does not
        restart.
        """
        with self._lock:
            if self.exiting:
                return
            self.execv = True
        self.exit()

    def graceful(self) -> None:
        """Publish `graceful`: listeners reopen what they hold (logs, idle threads). The state stays.

        Raises ChannelFailures when listeners failed.
        """
        self.log("Bus graceful")
        self.publish("graceful")

    def start_with_callback(
        self,
        func: Callable[..., object],
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> threading.Thread:
        """Start the bus, then call `func(*args, **kwargs)` in a thread of its own.

        The thread is no daemon, and is made after the start listeners, one of which may fork. If the bus was
        asked to exit meanwhile the function is not called. Returns the running thread; raises what `start`
        raises.
        """
        self.start()
        started = self._state is State.STARTED

        def call() -> None:
            if started:
                func(*args, **(kwargs or {}))

        thread = threading.Thread(target=call)
        thread.name = f"Bus Callback {thread.name}"
        thread.start()
        return thread

    # -- waiting ---------------------------------------------------------------------------------------------

    def wait(
        self,
        state: State | Iterable[State],
        interval: float = 0.1,
        channel: str | None = None,
        *,
        timeout: float | None = None,
    ) -> bool:
        """Sleep until the bus is in `state`, or in one of several; return False when `timeout` passed first.

        Parameters:
            state: what to wait for.
            interval: seconds between two publications of `channel`; without a channel it means nothing.
            channel: published every `interval` while waiting.
            timeout: seconds; None for no bound.

        The channel's failing listeners are logged and do not end the wait.
        """
        wanted = {state} if isinstance(state, State) else set(state)
        if channel is None:
            return self._sleep_until(lambda: self._state in wanted, timeout)
        deadline = None if timeout is None else time.monotonic() + timeout
        tick = time.monotonic() + interval
        while True:
            limit = tick if deadline is None else min(tick, deadline)
            if self._sleep_until(lambda: self._state in wanted, max(0.0, limit - time.monotonic())):
                return True
            if limit == deadline:
                return False
            tick = self._tick(channel, interval)

    def block(self, interval: float = 0.1, *, join_timeout: float | None = None) -> None:
        """Sleep until the bus has exited; run what `post` brings; restart the process if that was asked for.

        Parameters:
            interval: seconds between two publications of the channel `main`, which happen only while
                somebody listens on it.
            join_timeout: seconds to wait, once the bus is EXITING, for exit listeners that run in another
                thread and for the threads of the program that are no daemons; without it the attribute.
                Threads that still run then are logged by name and kept in `stragglers`; workers of
                `concurrent.futures`, which the interpreter ends, are not waited for.

        Belongs in the main thread, where a KeyboardInterrupt makes the bus exit. A SystemExit, such as one
        from a signal's listener, makes it exit and is raised again. Ends in SystemExit when `exit_status` is
        not 0, and does not return from a restart.
        """
        patience = self.join_timeout if join_timeout is None else join_timeout
        me = threading.current_thread()
        with self._lock:
            self._blocking.append(me)
        try:
            self._block(interval, patience)
        finally:
            with self._lock:
                self._blocking.remove(me)
        if self.execv:
            self._reexec(tuple(self.keep_fds))
        if self.exit_status:
            raise SystemExit(self.exit_status)

    def _block(self, interval: float, patience: float) -> None:
        try:
            self._dwell(interval)
        except (KeyboardInterrupt, OSError) as error:
            self.log(f"{type(error).__name__} in block(): the bus exits", level=INFO)
            self.exit()
        except SystemExit:
            self.log("SystemExit in block(): the bus exits")
            self.exit()
            self._sleep_until(lambda: self._runner is None, patience)
            raise
        deadline = time.monotonic() + patience
        if not self._sleep_until(lambda: self._state is State.EXITING and self._runner is None, patience):
            self.log(f"The {self._state.name} listeners have not ended after {patience:g} s", level=WARNING)
        self.log("Waiting for child threads to terminate...")
        self.stragglers = tuple(
            thread.name for thread in join_foreground(deadline - time.monotonic(), self._blocking)
        )
        if self.stragglers:
            self.log(f"Still running after {patience:g} s: {', '.join(self.stragglers)}", level=WARNING)

    def post(self, work: Callable[[], object]) -> bool:
        """Have the thread in `block` call `work` now; False, and nothing done, when no thread sleeps there.

        An Exception in `work` is logged; KeyboardInterrupt and SystemExit end `block` as described there.
        """
        with self._lock:
            if self._blocker is None or not self._blocker_idle:
                return False
            self._work = work
            self._blocker_idle = False
            self._blocker.set()
            return True

    # -- transitions, by the running thread ------------------------------------------------------------------

    def _nothing_to_do(self, order: _Order) -> bool:
        if order is _Order.EXIT or self._state is State.EXITING:
            return self._state is State.EXITING
        return self._state is State.STOPPED and not self._stop_due

    def _claim(self, order: _Order) -> None:
        """Make this thread the running one. With the lock held and no other running."""
        self._runner = threading.get_ident()
        self._running = order

    def _transit(self, order: _Order) -> None:
        """Carry out `order` and whatever is ordered meanwhile; raise the first error at the end."""
        raised: BaseException | None = None
        following: _Order | None = order
        while following is not None:
            order = following
            failed = False
            try:
                _STEPS[order](self)
            except BaseException as error:  # noqa: BLE001  whatever happens, the bus must not stay between two states
                raised = raised or error
                failed = True
            following = self._next_order(exit_now=failed and order is _Order.START)
        if raised is not None:
            raise raised

    def _next_order(self, *, exit_now: bool) -> _Order | None:
        with self._lock:
            order = _Order.EXIT if exit_now else self._ordered
            self._ordered = None
            if order is not None and self._nothing_to_do(order):
                order = None
            self._running = order
            if order is None:
                self._runner = None
        if order is None:
            self._wake()
        return order

    def _do_start(self) -> None:
        self._stop_due = True
        self._move(State.STARTING)
        atexit.unregister(self._at_exit)
        atexit.register(self._at_exit)
        self._pid = os.getpid()
        self.log("Bus STARTING")
        try:
            self.publish("start")
        except Exception as error:
            self._failed(error)
            self.log("The bus exits because a start listener failed", level=ERROR)
            raise
        self._pid = os.getpid()
        with self._lock:
            # One step with the check: an order given later than this finds the bus STARTED.
            if self._ordered is not None:
                return
            self._move(State.STARTED)
        self.log("Bus STARTED")

    def _do_stop(self) -> None:
        self._stop_due = False
        self._move(State.STOPPING)
        self.log("Bus STOPPING")
        try:
            self.publish("stop")
        except Exception as error:
            self._failed(error)
            raise
        finally:
            self._move(State.STOPPED)
            self.log("Bus STOPPED")

    def _do_exit(self) -> None:
        leaving: SystemExit | None = None
        try:
            if self._stop_due or self._state is not State.STOPPED:
                with contextlib.suppress(Exception):  # logged and kept
                    self._do_stop()
        except SystemExit as error:
            leaving = error
        finally:
            self._move(State.EXITING)
            atexit.unregister(self._at_exit)
        self.log("Bus EXITING")
        try:
            self.publish("exit")
        except Exception as error:  # noqa: BLE001  logged by publish; an exit has to go on to its end
            self._failed(error)
        self.log("Bus EXITED")
        if leaving is not None:
            raise leaving

    def _failed(self, error: Exception) -> None:
        self.failures.append(error)
        self.exit_status = self.exit_status or EX_SOFTWARE

    def _move(self, target: State) -> None:
        with self._lock:
            if not allowed(self._state, target):
                raise RuntimeError(f"a bus cannot go from {self._state.name} to {target.name}")
            self._state = target
        self._wake()

    def _at_exit(self) -> None:
        if os.getpid() != self._pid or self._state in {State.STOPPED, State.EXITING}:
            return
        warnings.warn(
            f"the interpreter ends while the bus is {self._state.name}; the bus exits now. Call bus.block() "
            "after bus.start(), or bus.exit() before the program ends.",
            RuntimeWarning,
            stacklevel=1,
        )
        self.exit()

    # -- waiting, by the waiting thread ----------------------------------------------------------------------

    def _wake(self) -> None:
        with self._lock:
            waiters = tuple(self._waiters)
        for wakeup in waiters:
            wakeup.set()

    @contextlib.contextmanager
    def _waiter(self) -> Iterator[Wakeup]:
        wakeup = Wakeup()
        with self._lock:
            self._waiters.append(wakeup)
        try:
            yield wakeup
        finally:
            with self._lock:
                self._waiters.remove(wakeup)
            wakeup.close()

    def _sleep_until(self, done: Callable[[], bool], timeout: float | None) -> bool:
        """Sleep until `done()`, asked again whenever the bus changes; return whether it came true in time."""
        if done():
            return True
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._waiter() as wakeup:
            while not done():
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                wakeup.wait(left)
        return True

    def _tick(self, channel: str, interval: float) -> float:
        """Publish `channel` and return when the next publication is due."""
        with contextlib.suppress(ChannelFailures):  # logged one by one
            self.publish(channel)
        return time.monotonic() + interval

    def _dwell(self, interval: float) -> None:
        """Sleep, work and tick until the bus is EXITING. The first thread here takes the posted work."""
        with self._waiter() as wakeup:
            with self._lock:
                works = self._blocker is None
                if works:
                    self._blocker = wakeup
            tick: float | None = None
            try:
                while True:
                    if works and (work := self._take_work()) is not None:
                        self._do_work(work)
                        continue
                    if self._state is State.EXITING:
                        return
                    if not self._listeners["main"]:
                        tick = None
                    elif tick is None:
                        tick = time.monotonic() + interval
                    elif tick <= time.monotonic():
                        tick = self._tick("main", interval)
                        continue
                    if works:
                        self._rest()
                    wakeup.wait(None if tick is None else max(0.0, tick - time.monotonic()))
            finally:
                if works:
                    self._leave_block()

    def _take_work(self) -> Callable[[], object] | None:
        with self._lock:
            work, self._work = self._work, None
            self._blocker_idle = False
            return work

    def _rest(self) -> None:
        """Open the door to posted work: from here on this thread only sleeps, and posting wakes it."""
        with self._lock:
            self._blocker_idle = True

    def _leave_block(self) -> None:
        with self._lock:
            work, self._work = self._work, None
            self._blocker = None
            self._blocker_idle = False
        if work is not None:
            self._do_work(work)

    def _do_work(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception:  # noqa: BLE001  the boundary: posted work is not ours and must not end the program
            self.log(f"Error in posted work {work!r}", level=ERROR, traceback=True)


_STEPS: Mapping[_Order, Callable[[Bus], None]] = {
    _Order.START: Bus._do_start,  # noqa: SLF001  the class's own table of steps
    _Order.STOP: Bus._do_stop,  # noqa: SLF001  the same
    _Order.EXIT: Bus._do_exit,  # noqa: SLF001  the same
}
