"""What only one program at a time may have, and how another one gets it.

The pid file, the socket for commands beside it, the paths of Unix sockets, the ear of the service manager. A
program has them from its start to its end, or until a new one, started in its place, is ready: see
`kirsch.supervise.replacement`.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from kirsch.bus.notify import ServiceManager
from kirsch.cli.children import INHERITS, again
from kirsch.cli.errors import Failure
from kirsch.cli.pid import write_pid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    from kirsch.bus import Bus, PIDFile
    from kirsch.cli.logs import Logs
    from kirsch.cli.serve import Run
    from kirsch.cli.sockets import Sockets
    from kirsch.supervise import Control, Replacement

__all__ = ["Station"]

_STARTS = 2.0
"""How many times what one worker may take a whole new program may take: it is ready when all of its are."""


class Station:
    """What one program has alone. Subscribes what ends with the bus.

    Parameters:
        run: what is served.
        bus: the bus of this program.
        sockets: the listening sockets.
        logs: where to tell of replacements.
        answer: returns the answer to a command; called by the thread of that command.
        finish: called when a new program serves in place of this one: has this one finish, and end.

    `open` belongs to the main thread; the rest may be called from any.
    """

    def __init__(
        self,
        run: Run,
        bus: Bus,
        sockets: Sockets,
        logs: Logs,
        *,
        answer: Callable[[Mapping[str, Any]], Mapping[str, Any]],
        finish: Callable[[], object],
    ) -> None:
        self.handed_over = False
        """Whether a new program has it all."""
        self.manager = ServiceManager(bus)
        """The service manager."""
        self._run = run
        self._bus = bus
        self._sockets = sockets
        self._descriptors = sockets.descriptors
        self._logs = logs
        self._answer = answer
        self._finish = finish
        self._limit = _STARTS * run.configuration.server.worker_start_timeout
        self._pidfile: PIDFile | None = None
        self._control: Control | None = None
        self._replacement: Replacement | None = None
        # Whoever waits for the replacement under way. Set by the thread that starts one.
        self._asked: Future[str] | None = None
        bus.subscribe("stop", self._stop, 1)
        bus.subscribe("exit", self._close_control, 0)
        bus.subscribe("exit", self.manager.exit)

    def open(self) -> None:
        """Take the pid file and listen for commands, unless another program has them still.

        Raises Failure when they are not to be had.
        """
        if self._run.successor is None:
            self._take_files()

    def ready(self, status: str) -> None:
        """This program serves: take over from another one, if it was started for that, and say so.

        Parameters:
            status: what the service manager shows.
        """
        if self._run.successor is not None:
            self._run.successor.ready()
            self._sockets.adopt()
            try:
                self._take_files()
            except Failure as failure:
                self._logs.supervisor(f"{failure.message} This program serves without.", logging.ERROR)
        self.manager.notifier.ready(STATUS=status)
        self.manager.watch()

    def replace(self, start: Callable[[Callable[[], int]], object] = lambda work: work()) -> Future[str]:
        """Start a new program beside this one; the result is a sentence when that has taken over.

        Parameters:
            start: calls what it is given, which returns the process id, in the thread that must know of it.

        RuntimeError, as the result, when it does not.
        """
        from concurrent.futures import Future  # most programs are never replaced

        asked: Future[str] = Future()
        obstacle = self._obstacle()
        if obstacle:
            self._refuse(asked, obstacle)
            return asked

        def launch() -> int:
            before, self._asked = self._asked, asked
            try:
                if self._replacement is None:
                    self._replacement = self._new_replacement()
                return self._replacement.start(self._limit)
            except (RuntimeError, OSError) as error:
                self._asked = before
                self._refuse(asked, str(error))
                return 0

        start(launch)
        return asked

    def abandon(self) -> None:
        """End a new program that is not ready yet."""
        if self._replacement is not None:
            self._replacement.kill()

    # ---- taking ------------------------------------------------------------------------------------

    def _take_files(self) -> None:
        path = self._run.pidfile
        if path is None:
            return
        from kirsch.supervise import Control

        self._pidfile = write_pid(self._bus, path)
        self._control = Control(path, self._answer)
        try:
            self._control.open()
        except OSError as error:
            raise Failure(f"Cannot listen for commands beside {path}: {error.strerror}.") from error

    def _close_control(self) -> None:
        control, self._control = self._control, None
        if control is not None:
            control.close()

    def _stop(self) -> None:
        """This program stops: nobody new is to come, unless another one serves on the same sockets."""
        self.abandon()
        if not self.handed_over:
            self.manager.notifier.stopping()
            if not self._run.configuration.server.drain_delay:
                # Else the server goes on taking connections for a while.
                self._sockets.turn_away()
        # Before the server closes its copies: with one left open the system would go on taking connections.
        self._sockets.release()

    # ---- giving ------------------------------------------------------------------------------------

    def _obstacle(self) -> str:
        if not INHERITS:
            return "this system hands no sockets from process to process."
        if os.getpid() == 1:
            return (
                "it is the first process of its container, which ends with it. A reload replaces workers; for"
                " the rest replace the container."
            )
        return "it is ending." if self._bus.exiting or self.handed_over else ""

    def _refuse(self, asked: Future[str], why: str) -> None:
        said = f"The program is not replaced: {why}"
        self._logs.supervisor(said, logging.ERROR)
        asked.set_exception(RuntimeError(said))

    def _new_replacement(self) -> Replacement:
        from kirsch.supervise import Replacement

        paths = self._sockets.paths
        return Replacement(
            lambda link: again(
                self._run.arguments, "--takeover", sockets=self._descriptors, paths=paths, link=link
            ),
            self._descriptors,
            self._run.directory,
            hand_over=self._hand_over,
            finish=self._finish,
            failed=self._not_replaced,
        )

    def _hand_over(self, pid: int) -> None:
        self.handed_over = True
        self._close_control()
        if self._pidfile is not None:
            self._pidfile.exit()
            self._pidfile.unsubscribe()
        self._sockets.disown()
        said = f"Process {pid} has taken over; this one finishes its requests and ends."
        self._logs.supervisor(said, logging.INFO)
        if self._asked is not None:
            self._asked.set_result(said)

    def _not_replaced(self, text: str) -> None:
        self._logs.supervisor(text, logging.ERROR)
        if self._asked is not None:
            self._asked.set_exception(RuntimeError(text))
