"""Replacing the running program by a new one, on the same sockets, with nobody the wiser.

The old program starts the new one as a process of its own, with its listening sockets, and goes on serving.
Both speak over a link:

1. The new program says that it is ready: it accepts, beside the old one, what arrives at the sockets.
2. The old one gives up what only one may have: the pid file, the control socket.
3. It says so, and from then on does nothing but finish.
4. The new one takes those.

If the new one ends before it was ready, nothing has happened.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
from typing import TYPE_CHECKING

from kirsch.supervise.link import Link, pair
from kirsch.supervise.member import fate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Replacement", "Successor"]

_END = 5.0
"""Seconds a new program that is not to be may take to end before it is killed."""

_HANDOVER = 10.0
"""Seconds the new program waits for the old one to give up what only one may have."""


class Replacement:
    """The old program's side: starts a new one, and says what became of it.

    Parameters:
        command: returns the command line of the new program, given the descriptor of its end of the link.
        descriptors: what it inherits besides: the listening sockets.
        directory: where it starts.
        hand_over: called when it is ready, with its process id: gives up what only one may have.
        finish: called after that: has the old program finish, and end.
        failed: called with a sentence when it did not start.

    All three are called by a thread of the replacement. `start` belongs to one thread.
    """

    def __init__(
        self,
        command: Callable[[int], Sequence[str]],
        descriptors: Sequence[int],
        directory: str,
        *,
        hand_over: Callable[[int], object],
        finish: Callable[[], object],
        failed: Callable[[str], object],
    ) -> None:
        self._command = command
        self._descriptors = descriptors
        self._directory = directory
        self._hand_over = hand_over
        self._finish = finish
        self._failed = failed
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, limit: float) -> int:
        """Start the new program, and return its process id; RuntimeError when one is starting already.

        Parameters:
            limit: seconds it may take to be ready; then it is killed. 0 for no limit.
        """
        if self._process is not None and self._process.poll() is None:
            raise RuntimeError(f"A new program is starting already (pid {self._process.pid}).")
        link, theirs = pair()
        try:
            with theirs:
                process = subprocess.Popen(  # noqa: S603  our own command
                    self._command(theirs.fileno()),
                    pass_fds=(*self._descriptors, theirs.fileno()),
                    cwd=self._directory,
                )
        except BaseException:
            link.close()
            raise
        self._process = process
        threading.Thread(
            target=self._follow, args=(process, link, limit), name="Kirsch replacement", daemon=True
        ).start()
        return process.pid

    def kill(self) -> None:
        """End a new program that is not ready yet. From any thread."""
        process = self._process
        if process is not None:
            with contextlib.suppress(OSError):
                process.kill()

    def _follow(self, process: subprocess.Popen[bytes], link: Link, limit: float) -> None:
        late = threading.Event()

        def too_late() -> None:
            late.set()
            process.send_signal(signal.SIGTERM)

        timer = threading.Timer(limit, too_late) if limit else None
        if timer is not None:
            timer.daemon = True
            timer.start()
        ready = next((each for each in link.messages() if "ready" in each), None)
        if timer is not None:
            timer.cancel()
        if ready is not None and not late.is_set():
            self._hand_over(process.pid)
            self._process = None
            # It outlives us and is nobody's to wait for; without a code Python warns that nobody has.
            process.returncode = 0
            link.send(go=True)
            link.close()
            self._finish()
            return
        link.close()
        try:
            status = process.wait(_END)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        how = f"was not ready within {limit:g} s" if late.is_set() else fate(status)
        self._process = None
        self._failed(f"The new program {how}; this one goes on.")


class Successor:
    """The new program's side.

    Parameters:
        descriptor: of the socket that leads to the old program.

    Raises OSError when there is no such socket.
    """

    def __init__(self, descriptor: int) -> None:
        self._link = Link.inherited(descriptor)

    def ready(self) -> None:
        """Say that this program serves, and wait until the old one has given up what only one may have.

        When it is gone without a word, or takes more than ten seconds, that is as good: what it held is free,
        or whoever takes it is told so.
        """
        self._link.send(ready=True)
        timer = threading.Timer(_HANDOVER, self._link.close)
        timer.daemon = True
        timer.start()
        next((each for each in self._link.messages() if "go" in each), None)
        timer.cancel()
        self._link.close()
