"""When to start again what has crashed, and when to give up: arithmetic on times alone."""

from __future__ import annotations

from collections import deque

__all__ = ["HEALTH", "Backoff"]

HEALTH = 60.0
"""Seconds of service after which a crash counts as the first one again."""

_FIRST = 1.0
"""Seconds before the second start in a row; the first is at once."""


class Backoff:
    """The crashes in the place of one worker. Owned by one thread.

    Parameters:
        longest: seconds of the longest pause; 0 for none at all.
        crashes: so many within `window` are a loop; 0 for never.
        window: seconds.
    """

    def __init__(self, longest: float, crashes: int, window: float) -> None:
        self._longest = longest
        self._window = window
        self._loop = crashes
        self._times: deque[float] = deque(maxlen=max(1, crashes))
        self._in_a_row = 0

    def crashed(self, now: float, served: float) -> float | None:
        """Note a crash; return the seconds to wait before the next start, None for a loop.

        Parameters:
            now: seconds of a clock that only goes forward.
            served: seconds the worker was ready before it; 0 for one that never was.
        """
        if served >= HEALTH:
            self._in_a_row = 0
        self._in_a_row += 1
        self._times.append(now)
        if self._loop and len(self._times) == self._loop and now - self._times[0] <= self._window:
            return None
        if self._in_a_row == 1:
            return 0.0
        # The exponent is bounded: a float has no number for the doublings of a week.
        return min(self._longest, _FIRST * 2.0 ** min(self._in_a_row - 2, 30))
