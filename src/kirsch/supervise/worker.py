"""The worker's end: tells the supervisor when it is ready, that it lives, when it wants to be replaced."""

from __future__ import annotations

import os
import random
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kirsch.supervise.link import Link

if TYPE_CHECKING:
    from collections.abc import Callable

    from kirsch.http.exchange import Exchange, Gateway, RequestHead
    from kirsch.http.pace import Pace

__all__ = ["BEAT", "Tally", "Worker", "resident_bytes"]

BEAT = 1.0
"""Seconds between two signs of life."""

_JITTER = 0.1
"""The part of the most requests by which it is more or less, so that workers that started together and are
given as much to do do not end together.
"""


class Tally:
    """A gateway that counts the requests another one answers.

    Parameters:
        gateway: answers them.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.pace: Callable[[RequestHead], Pace] = gateway.pace
        """As the other one says."""
        self.exchange_type = gateway.exchange_type
        """As the other one says."""
        self.requests = 0
        """Requests so far. On an interpreter without a global lock two at the same moment may count as one:
        what follows from it, a worker's age, needs no more.
        """

    def __call__(self, exchange: Exchange) -> None:
        """Count, and have it answered."""
        self.requests += 1
        self._gateway(exchange)


def resident_bytes() -> int | None:
    """Return the resident memory of this process; None where there is no way to know.

    From `/proc` on Linux, elsewhere by `psutil` where it is installed.
    """
    try:
        pages = Path("/proc/self/statm").read_text("ascii").split()[1]
        return int(pages) * int(os.sysconf("SC_PAGE_SIZE"))
    except (OSError, ValueError, IndexError, AttributeError):
        pass
    try:
        import psutil  # type: ignore[import-untyped,unused-ignore]  # its stubs are not installed everywhere
    except ImportError:
        return None
    return int(psutil.Process().memory_info().rss)


class Worker:
    """This process, as a worker of a supervisor. Everything but its threads belongs to the main thread.

    Parameters:
        descriptor: of the socket that leads to it.

    Raises OSError when there is no such socket.
    """

    def __init__(self, descriptor: int) -> None:
        self._link = Link.inherited(descriptor)
        self._max_requests = 0
        self._max_memory = 0
        self._asked = False
        """Whether a replacement has been asked for. Owned by the thread that beats."""
        self._ended = threading.Event()
        self._retire: Callable[[float], object] | None = None
        """Brings this process nearer to its end. Set by the main thread before anybody can ask for it."""

    def limit(self, max_requests: int, max_memory: int) -> None:
        """Ask to be replaced one day.

        Parameters:
            max_requests: requests after which, give or take a tenth; 0 for never.
            max_memory: resident bytes beyond which; 0 for never.
        """
        # No secret: workers that were given the same number are to differ.
        spread = random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311  see above
        self._max_requests = max(1, int(max_requests * spread)) if max_requests else 0
        self._max_memory = max_memory

    def listen(self) -> None:
        """Stop this process, as SIGTERM does, when the supervisor is gone or has put another in its place."""
        threading.Thread(target=self._wait, name="Kirsch lifeline", daemon=True).start()

    def _wait(self) -> None:
        wish = next((each for each in self._link.messages() if "retire" in each), None)
        retire = self._retire
        if wish is not None and retire is not None:
            retire(float(wish["retire"]))
        if not self._ended.is_set():
            os.kill(os.getpid(), signal.SIGTERM)

    def failed(self, message: str, detail: str, status: int) -> bool:
        """Tell why this process cannot begin to serve; return whether the supervisor has heard it.

        Parameters:
            message: one sentence, or two.
            detail: text to show before it, such as a traceback.
            status: the exit code this process ends with.
        """
        return self._link.send(failed=[message, detail, status])

    def ready(
        self,
        facts: Callable[[], dict[str, Any]],
        probe: Callable[[Callable[[], None]], object],
        retire: Callable[[float], object],
    ) -> None:
        """Tell that this process serves, and give signs of life from now on.

        Parameters:
            facts: returns what there is to say: `requests`, `connections`, `memory` in bytes, where known.
            probe: has a function called by the thread whose health is that of the process. While that does
            not happen there is no sign of life.
            retire: called when another worker is in the place of this one, which is to stop after it: takes
            the seconds it may last, in which those who have come so far are told that they are to leave.
        """
        self._retire = retire
        self._link.send(ready=True, facts=facts())
        threading.Thread(target=self._beat, args=(facts, probe), name="Kirsch heartbeat", daemon=True).start()

    def leave(self) -> None:
        """Tell that this process stops, and give no more signs of life."""
        self._ended.set()
        self._link.send(leaving=True)

    def _beat(
        self, facts: Callable[[], dict[str, Any]], probe: Callable[[Callable[[], None]], object]
    ) -> None:
        heard = threading.Event()
        heard.set()
        while not self._ended.wait(BEAT):
            if not heard.is_set():
                continue
            heard.clear()
            probe(heard.set)
            now = facts()
            if not self._link.send(facts=now):
                return
            self._look_at(now)

    def _look_at(self, facts: dict[str, Any]) -> None:
        """Ask for a replacement when there has been enough."""
        if self._asked:
            return
        requests, memory = facts.get("requests") or 0, facts.get("memory") or 0
        reason = ""
        if self._max_requests and requests >= self._max_requests:
            reason = f"has answered {requests} requests"
        elif self._max_memory and memory > self._max_memory:
            reason = f"takes {memory / 1024**2:.0f} MiB of memory"
        if reason:
            self._asked = self._link.send(recycle=reason)
