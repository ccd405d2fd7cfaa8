"""The supervisor: keeps so many workers serving, whatever happens to them.

All that happens is a piece of work in one queue, and one thread takes it from there: what a worker says, that
one has ended, what an operator asks for. So nothing here needs a lock, and every decision sees one state.

Each worker has a place, numbered from 1. A place whose worker is to be replaced (a reload, too many requests,
too much memory) starts a successor first; only when that serves is the old worker told to finish. One place
at a time, so there is always one worker more than wanted, never one fewer.
"""

from __future__ import annotations

import logging
import queue
import signal
import threading
import time
import traceback
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kirsch.supervise.backoff import Backoff
from kirsch.supervise.member import READY, STARTING, STOPPING, Failure, Member, fate
from kirsch.supervise.strangers import reap_strangers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["Limits", "Supervisor"]

MERCY = 2.0
"""Seconds between SIGABRT and SIGKILL for a worker that is stuck: for its stacks to be written."""

MOST_WORKERS = 10_000

_LAPSE = 5.0
"""Seconds this process may sleep longer than it meant to. Beyond that it was stopped itself, and the silence
of the workers is its own deafness.
"""

_RELOAD = "reload"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How patient a supervisor is, in seconds; 0 for no limit.

    Parameters:
        start: for a worker to be ready.
        silence: without a sign of life.
        stop: for a worker to finish what it does when it is told to end; 0 for none at all.
        retire: for the clients of a worker that is being replaced to go elsewhere, before that.
        backoff: longest pause before a worker that crashed is started again; 0 for no pause.
        crashes: so many in one place within `window` end everything; 0 for never.
        window: see `crashes`.
    """

    start: float = 60.0
    silence: float = 60.0
    stop: float = 30.0
    retire: float = 10.0
    backoff: float = 30.0
    crashes: int = 5
    window: float = 30.0


@dataclass(slots=True)
class _Place:
    number: int
    backoff: Backoff
    member: Member | None = None
    successor: Member | None = None
    due: float | None = None
    """When to start a worker, or a successor, here; None for as soon as there is reason to."""
    stale: str = ""
    """Why the worker is to be replaced; empty when it is not."""


@dataclass(slots=True)
class _Reload:
    began: float
    replies: list[Future[str]] = field(default_factory=list)


class Supervisor:
    """Workers, and what becomes of them. Its methods may be called from any thread.

    Parameters:
        count: workers wanted, 1 or more.
        start: starts the worker of a place, given its number and the time; may raise OSError.
        limits: of its patience.
        tell: takes what an operator may want to know, and its level as in `logging`.
        ready: called when all workers serve for the first time.
        ended: called once with the exit code, when no worker is left.
        clock: seconds that only go forward.

    `tell`, `ready` and `ended` are called by the thread of `begin`.
    """

    def __init__(
        self,
        count: int,
        start: Callable[[int, float], Member],
        limits: Limits,
        *,
        tell: Callable[[str, int], object],
        ready: Callable[[], object],
        ended: Callable[[int], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits
        self.failure: Failure | None = None
        """Why it gave up; None when it did not. Set before `ended` is called."""
        self.spared: list[int] = []
        """Process ids of other children, which somebody waits for. Appended to by the supervisor's thread, in
        work that is posted.
        """
        self._start_member = start
        self._tell = tell
        self._ready = ready
        self._ended = ended
        self._clock = clock
        self._inbox: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="Kirsch supervisor", daemon=True)
        # What follows is owned by the supervisor's thread; `_alive` is only read by others, in one step.
        self._places = [self._new_place(number + 1) for number in range(count)]
        self._leaving: set[Member] = set()
        self._alive: tuple[Member, ...] = ()
        self._generation = 0
        self._reload: _Reload | None = None
        self._served = False
        """Whether any worker was ever ready."""
        self._complete = False
        """Whether all were, so that `ready` has been called."""
        self._ending = False
        self._status = 0
        self._crashes = 0
        self._began = clock()

    # ---- what may be asked of it, from any thread --------------------------------------------------

    def begin(self) -> None:
        """Start the workers, in a thread of the supervisor's own."""
        self._thread.start()

    def stop(self, *, succeeded: bool = False) -> None:
        """Have all workers finish what they do, and end. A second time is as good as once.

        Parameters:
            succeeded: whether another program serves on their sockets, so that they may take their time.
        """
        self.post(lambda: self._stop_all(0, succeeded=succeeded))

    def quit(self) -> None:
        """Kill all workers and end."""

        def quit_now() -> None:
            self._stop_all(1)
            self.kill()

        self.post(quit_now)

    def join(self, timeout: float) -> bool:
        """Wait for the end, at most `timeout` seconds, unless called by the supervisor itself; return whether
        it is there.
        """
        if threading.current_thread() is self._thread:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def kill(self) -> None:
        """Kill every worker at once; for a process that is about to end by itself."""
        for member in self._alive:
            member.kill()

    def reload(self) -> Future[str]:
        """Replace all workers by new ones, one after the other.

        The result is a sentence when that is done; RuntimeError with one when a new worker did not start: the
        old ones go on then. Asked for during a reload, both are done when the newest workers serve.
        """
        reply: Future[str] = Future()
        self.post(lambda: self._begin_reload(reply))
        return reply

    def scale(self, count: int | None = None, *, by: int = 0) -> Future[int]:
        """Have `count` workers, or as many as now and `by` more; at least 1. The result is their number."""
        reply: Future[int] = Future()
        self.post(lambda: self._scale(count, by, reply))
        return reply

    def signal(self, number: int) -> None:
        """Pass a signal on to all workers."""

        def forward() -> None:
            for member in self._members():
                member.signal(number)

        self.post(forward)

    def reap(self) -> None:
        """Take note of children that have ended and are none of the workers."""
        self.post(self._reap)

    def status(self) -> Future[dict[str, Any]]:
        """Return the state of everything: how many workers, reloads and crashes, and each worker's facts."""
        reply: Future[dict[str, Any]] = Future()
        self.post(lambda: reply.set_result(self._snapshot()))
        return reply

    def post(self, work: Callable[[], object]) -> None:
        """Have the supervisor's thread call `work`."""
        self._inbox.put(work)

    # ---- the thread --------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self.look()
            while not (self._ending and not self._alive):
                self._take(self.patience())
                self.look()
        except Exception:  # noqa: BLE001  the thread's top: without it the program would hang for ever
            self._tell(f"The supervisor failed:\n{traceback.format_exc()}", logging.ERROR)
            self.kill()
            self._status = self._status or 1
        self._ended(self._status)

    def _take(self, timeout: float | None) -> None:
        """Wait for work and do all there is."""
        planned = None if timeout is None else self._clock() + timeout
        try:
            self._inbox.get(timeout=timeout)()
            while True:
                self._inbox.get_nowait()()
        except queue.Empty:
            pass
        now = self._clock()
        if planned is not None and now - planned > _LAPSE:
            for member in self._members():
                member.heard = now

    def patience(self) -> float | None:
        """Return for how many seconds nothing is due; None for ever."""
        times = [time for member in self._members() if (time := self._term(member)) is not None]
        if not self._ending:
            times += [place.due for place in self._places if place.due is not None]
        return max(0.0, min(times) - self._clock()) if times else None

    def look(self) -> None:
        """Do what is due."""
        now = self._clock()
        for member in tuple(self._members()):
            self._watch(member, now)
        if self._ending:
            return
        for place in self._places:
            if place.due is not None and place.due <= now:
                place.due = None
            if place.member is None and place.due is None and not self._ending:
                place.member, place.stale = self._launch(place), ""
        self._roll()

    def _members(self) -> Iterator[Member]:
        for place in self._places:
            for member in (place.member, place.successor):
                if member is not None:
                    yield member
        yield from self._leaving

    def _new_place(self, number: int) -> _Place:
        return _Place(number, Backoff(self.limits.backoff, self.limits.crashes, self.limits.window))

    def _place_of(self, member: Member) -> _Place | None:
        return next((each for each in self._places if member in {each.member, each.successor}), None)

    # ---- a worker's life ---------------------------------------------------------------------------

    def _launch(self, place: _Place) -> Member | None:
        """Start a worker; None, and a time to try again, when the system starts no process."""
        try:
            member = self._start_member(place.number, self._clock())
        except OSError as error:
            if not self._served:
                self._give_up(Failure(f"No worker could be started: {error.strerror}."))
                return None
            self._tell(f"Worker {place.number} could not be started: {error.strerror}.", logging.ERROR)
            self._postpone(place, 0.0)
            return None
        member.generation = self._generation
        self._alive = (*self._alive, member)
        member.follow(
            lambda message: self.post(lambda: self._told(member, message)),
            lambda: self.post(lambda: self._has_ended(member)),
        )
        return member

    def _told(self, member: Member, message: Mapping[str, Any]) -> None:
        member.heard = self._clock()
        if "facts" in message:
            member.facts = message["facts"]
        if "failed" in message:
            member.failure = Failure(*message["failed"])
        if "ready" in message and member.state == STARTING:
            self._serves(member)
        if "leaving" in message and member.state == READY:
            self._leaves(member)
        if "recycle" in message and member.state == READY:
            place = self._place_of(member)
            if place is not None and not place.stale:
                place.stale = str(message["recycle"])
                self._tell(f"{_name(member)} {place.stale}; a new one takes its place.", logging.INFO)

    def _serves(self, member: Member) -> None:
        member.state, member.ready_at = READY, self._clock()
        self._served = True
        place = self._place_of(member)
        if place is not None and place.successor is member:
            old, place.member, place.successor = place.member, member, None
            # One that was started before the latest reload was asked for may have read what was there before.
            place.stale, place.due = "" if member.generation == self._generation else _RELOAD, None
            if old is not None:
                self._retire(old)
        every = [each.member for each in self._places]
        if not self._complete and all(one is not None and one.state == READY for one in every):
            self._complete = True
            self._ready()

    def _retire(self, member: Member, *, now: bool = False) -> None:
        """Have a worker finish what it does and end; what it does not finish in time is cut.

        Parameters:
            now: whether nobody is there for its clients to go to.
        """
        gently = self.limits.retire if member.state == READY and not now else 0.0
        member.state = STOPPING
        self._leaving.add(member)
        if gently and member.retire(gently):
            member.doom = self._clock() + gently + self.limits.stop
        else:
            member.doom = self._clock() + self.limits.stop
            member.terminate()

    def _term(self, member: Member) -> float | None:
        """Return when patience with a worker ends."""
        if member.doom is not None:
            return member.doom
        if member.state == STARTING and self.limits.start:
            return member.began + self.limits.start
        if member.state == READY and self.limits.silence:
            return member.heard + self.limits.silence
        return None

    def _watch(self, member: Member, now: float) -> None:
        term = self._term(member)
        if term is None or now < term:
            return
        if member.doom is not None:
            if member.state == STOPPING:
                self._tell(f"{_name(member)} did not end in time and is killed.", logging.WARNING)
            member.doom = None
            member.state = STOPPING
            member.kill()
            return
        if member.state == STARTING:
            said = f"{_name(member)} was not ready within {self.limits.start:g} s"
            member.failure = member.failure or Failure(f"{said}.")
        else:
            said = f"{_name(member)} has given no sign of life for {self.limits.silence:g} s"
        self._tell(f"{said}; it is ended. Its stacks follow, if it can still write them.", logging.ERROR)
        member.doom = now + MERCY
        member.abort()

    # ---- a worker's end ----------------------------------------------------------------------------

    def _has_ended(self, member: Member) -> None:
        self._alive = tuple(each for each in self._alive if each is not member)
        status = member.process.returncode
        place = self._place_of(member)
        if member in self._leaving:
            self._leaving.discard(member)
            # SIGTERM ends a worker only when it has put its handlers away, with nothing left to cut: one that
            # has retired may be told to stop at that very moment.
            if self._ending and status not in {0, -signal.SIGTERM} and member.ready_at is not None:
                self._status = self._status or 1
        elif place is not None and place.successor is member:
            place.successor = None
            self._successor_failed(place, member, status)
        elif place is not None:
            place.member = None
            self._crashed(place, member, status)
        self._reap()

    def _reap(self) -> None:
        reap_strangers([*self.spared, *(member.pid for member in self._alive)])

    def _leaves(self, member: Member) -> None:
        """A worker stops that nobody here has told to: its program ended itself, or an operator ended it."""
        place = self._place_of(member)
        member.state, member.doom = STOPPING, self._clock() + self.limits.stop
        self._leaving.add(member)
        if place is not None:
            place.member = None
            self._lost(place, member, "is ending, though nobody here has told it to")

    def _crashed(self, place: _Place, member: Member, status: int) -> None:
        self._crashes += 1
        if self._served:
            self._lost(place, member, fate(status))
            return
        code = 128 - status if status < 0 else status or 1
        self._give_up(member.failure or Failure(f"The program {fate(status)} before it was ready.", "", code))

    def _lost(self, place: _Place, member: Member, how: str) -> None:
        """A place has no worker any more: start a new one, now or later, or give up."""
        now = self._clock()
        pause = place.backoff.crashed(now, 0.0 if member.ready_at is None else now - member.ready_at)
        said = f"{_name(member)} {how}"
        if member.failure is not None:
            said = f"{member.failure.detail}{said}: {member.failure.message}"
        if pause is None and not self._anybody_well(now):
            limits = self.limits
            self._tell(f"{said}.", logging.ERROR)
            self._give_up(
                Failure(
                    f"Worker {place.number} was lost {limits.crashes} times within {limits.window:g} s, and "
                    f"no other one lasts: everything stops, since starting once more will not help. The last "
                    f"one {how}; the log has more."
                )
            )
        elif place.successor is not None:
            place.member, place.successor, place.stale = place.successor, None, ""
            self._tell(f"{said}; its successor is starting already.", logging.ERROR)
        else:
            if pause is None:
                pause = max(1.0, self.limits.backoff)
            place.due = now + pause
            when = f"in {pause:g} s" if pause else "now"
            self._tell(f"{said}; it is started again {when}.", logging.ERROR)

    def _anybody_well(self, now: float) -> bool:
        """Whether another worker has served for longer than a loop of crashes takes: it is not to be stopped
        for the sake of one that cannot start, with a broken program already in place, say.
        """
        times = (place.member.ready_at for place in self._places if place.member is not None)
        return any(time is not None and now - time >= self.limits.window for time in times)

    def _postpone(self, place: _Place, served: float) -> None:
        """Wait before the next try in a place that is no reason to end everything."""
        now = self._clock()
        pause = place.backoff.crashed(now, served)
        place.due = now + (max(1.0, self.limits.backoff) if pause is None else max(1.0, pause))

    def _successor_failed(self, place: _Place, member: Member, status: int) -> None:
        why = f"{_name(member)} {fate(status)} before it was ready"
        detail = ""
        if member.failure is not None:
            detail, why = member.failure.detail, member.failure.message
        if self._ending:
            return
        if self._reload is not None:
            said = f"The reload is given up and the old workers go on: {why}"
            for each in self._places:
                each.stale = ""
            replies, self._reload = self._reload.replies, None
            for reply in replies:
                reply.set_exception(RuntimeError(said))
        else:
            said = f"The old worker {place.number} goes on, as its successor did not start: {why}"
            self._postpone(place, 0.0)
        self._tell(f"{detail}{said}", logging.ERROR)

    # ---- changes -----------------------------------------------------------------------------------

    def _begin_reload(self, reply: Future[str]) -> None:
        if self._ending:
            reply.set_exception(RuntimeError("The program is ending."))
            return
        self._generation += 1
        if self._reload is None:
            self._reload = _Reload(self._clock())
        self._reload.replies.append(reply)
        for place in self._places:
            # What is not running may be what the reload mends.
            place.due = None
            place.stale = _RELOAD

    def _roll(self) -> None:
        """Take the next step of replacing what is stale."""
        if any(
            place.successor is not None or (place.member is not None and place.member.state == STARTING)
            for place in self._places
        ):
            return
        for place in self._places:
            if place.stale and place.member is not None and place.due is None:
                place.successor = self._launch(place)
                return
        if self._reload is None or any(place.member is None for place in self._places):
            return
        done, self._reload = self._reload, None
        workers = _plural(len(self._places), "worker")
        said = f"{workers} reloaded in {self._clock() - done.began:.1f} s."
        self._tell(said, logging.INFO)
        for reply in done.replies:
            reply.set_result(said)

    def _scale(self, count: int | None, by: int, reply: Future[int]) -> None:
        if self._ending:
            reply.set_exception(RuntimeError("The program is ending."))
            return
        wanted = len(self._places) + by if count is None else count
        wanted = min(max(1, wanted), MOST_WORKERS)
        for number in range(len(self._places), wanted):
            self._places.append(self._new_place(number + 1))
        while len(self._places) > wanted:
            place = self._places.pop()
            for member in (place.member, place.successor):
                if member is not None:
                    self._retire(member)
        self._tell(f"{_plural(wanted, 'worker')} wanted.", logging.INFO)
        reply.set_result(wanted)

    def _give_up(self, failure: Failure) -> None:
        self.failure = self.failure or failure
        self._stop_all(self.failure.status)

    def _stop_all(self, status: int, *, succeeded: bool = False) -> None:
        self._status = self._status or status
        if self._ending:
            return
        self._ending = True
        if not succeeded:
            for old in tuple(self._leaving):
                self._retire(old, now=True)
        for place in self._places:
            place.due = None
            for member in (place.member, place.successor):
                if member is not None:
                    self._retire(member, now=not succeeded)
            place.member = place.successor = None
        replies = [] if self._reload is None else self._reload.replies
        self._reload = None
        for reply in replies:
            reply.set_exception(RuntimeError("The reload is given up, as the program is ending."))

    # ---- what there is to see ----------------------------------------------------------------------

    def _snapshot(self) -> dict[str, Any]:
        now = self._clock()
        return {
            "wanted": len(self._places),
            "ready": sum(place.member is not None and place.member.state == READY for place in self._places),
            "state": "stopping" if self._ending else "reloading" if self._reload else "running",
            "age": now - self._began,
            "reloads": self._generation,
            "crashes": self._crashes,
            "workers": [
                {
                    "number": member.number,
                    "pid": member.pid,
                    "state": member.state,
                    "age": now - member.began,
                    "silent": now - member.heard,
                    "generation": member.generation,
                    **member.facts,
                }
                for member in sorted(self._members(), key=lambda each: (each.number, each.began))
            ],
        }


def _name(member: Member) -> str:
    return f"Worker {member.number} (pid {member.pid})"


def _plural(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"
