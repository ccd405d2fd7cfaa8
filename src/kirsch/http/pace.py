"""How long requests of one kind take, learnt as they run: decides who runs on the leader and who goes to the
pool.

A `Pace` is a small score with hysteresis. It begins at zero: unknown kinds run in the pool. Observations in
the pool that were short raise it; when it reaches `TRUST` the kind runs on the leader. One long observation
takes that back, and each further fall makes trust dearer, so that a kind that is short nine times of ten does
not go on stalling the leader.

No clock is read here: the caller measures, so tests are exact.
"""

from __future__ import annotations

import re

__all__ = ["SHORT_NS", "STRIKES", "TRUST", "Pace", "PaceTable"]

SHORT_NS = 400_000
"""A handler that ends within this many nanoseconds of wall time is short. Four tenths of a millisecond delays
the others on the leader less than one scheduler slice, and a hop to the pool and back costs about a tenth of
it."""

TRUST = 4
"""Short observations in a row before a kind runs on the leader."""

STRIKES = 2
"""Long observations on the leader that take trust back, when no short one was noted between them. One alone
may be a collection of garbage, or another program's turn on the processor."""

MOST_TRUST = 4096
"""The dearest trust gets. Doubling from 4 reaches it after ten falls."""

_VARIABLE = re.compile(r"[^/]*[0-9][^/]*|[^/]{25,}")
"""A path segment that is likely a parameter: it holds a digit, or is longer than any usual word."""


class Pace:
    """The running verdict on one kind of request.

    Mutable and shared: any thread that ran such a request may call `observe`. A lost update between two
    threads moves the verdict by one observation, which is why no lock guards it.
    """

    __slots__ = ("needed", "score", "short", "strikes")

    def __init__(self) -> None:
        self.score = 0
        """Short observations in a row."""
        self.needed = TRUST
        """Score at which the kind counts as short."""
        self.short = False
        """Whether requests of this kind run on the leader."""
        self.strikes = 0
        """Long observations on the leader since the last short one that was noted there."""

    def observe(self, wall_ns: int, cpu_ns: int, *, leading: bool) -> None:
        """Take one observation into account.

        Parameters:
            wall_ns: wall time of the handler, in nanoseconds.
            cpu_ns: CPU time its thread spent in it, in nanoseconds; -1 when it was not measured.
            leading: whether it ran on the leader.

        In the pool, a long wall time with little CPU time may be a wait for the interpreter lock and says
        nothing of the handler, except that it gives no reason to trust it: the score stays. On the leader a
        long one is a fall.
        """
        if wall_ns <= SHORT_NS:
            if leading:
                self.strikes = 0
                self.needed = max(TRUST, self.needed - self.needed // 8)
                self.score = min(self.score, self.needed)
            if not self.short:
                self.score += 1
                if self.score >= self.needed:
                    self.short = True
            return
        if leading:
            self.strikes += 1
            if self.strikes >= STRIKES:
                self.fall()
        elif cpu_ns < 0 or cpu_ns > SHORT_NS:
            self.score = 0
            self.short = False

    def fall(self) -> None:
        """Take trust back and double its price: the leader was caught in a handler of this kind."""
        self.short = False
        self.score = self.strikes = 0
        self.needed = min(self.needed * 2, MOST_TRUST)


class PaceTable:
    """Paces by method and shape of path, for programs whose routes the server cannot see.

    The shape replaces segments that look like parameters by `*`, so `/item/17` and `/item/18` share a pace.
    At most twice
    `size` shapes are kept, in two generations: an attacker who makes up paths costs one dictionary miss each
    and flushes nothing that is asked for meanwhile.

    Owned by whoever calls `get`; dictionary operations are atomic, a pace lost to a race is learnt again.
    """

    __slots__ = ("_old", "_size", "_young")

    def __init__(self, size: int = 1024) -> None:
        self._size = size
        self._young: dict[str, Pace] = {}
        self._old: dict[str, Pace] = {}

    def get(self, method: str, path: str) -> Pace:
        """Return the pace of requests like this one, a new one if there is none; `path` is
        percent-encoded.
        """
        key = f"{method} {_VARIABLE.sub('*', path)}"
        pace = self._young.get(key)
        if pace is None:
            pace = self._old.get(key)
            if pace is None:
                pace = Pace()
            if len(self._young) >= self._size:
                self._old = self._young
                self._young = {}
            self._young[key] = pace
        return pace
