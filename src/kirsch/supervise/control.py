"""The way an operator's command reaches a running program: a socket beside its pid file.

A Unix socket that only its owner may use; where there is none, or its path is too long for one (107 bytes on
Linux), a loopback port, with the port and a secret in a file that only its owner may read. One line of JSON
there, one line back.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import logging
import os
import secrets
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Control", "ControlError", "ask", "place_of"]

_LINE = 65536
"""Bytes of the longest request; a thousandth of that is usual."""

_PATIENCE = 5.0
"""Seconds a client may take to send its request."""

_AT_ONCE = 16
"""Clients served at a time; more wait in the system's queue. One waits as long as a reload takes."""

Answer = dict[str, Any]


class ControlError(RuntimeError):
    """A running program cannot be reached by its pid file."""


def place_of(pidfile: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Return where the socket of the program with that pid file is, and the file that stands in for it."""
    path = Path(pidfile).absolute()
    return path.with_name(f"{path.name}.sock"), path.with_name(f"{path.name}.port")


class Control:
    """Answers commands until it is closed.

    Parameters:
        pidfile: path of the pid file, which this process holds: whatever lies beside it is left over.
        answer: returns the answer to a request. Called in a thread of that request, and may take its time.
            What it raises becomes an answer with `ok` false.

    `open` and `close` belong to one thread at a time.
    """

    def __init__(
        self, pidfile: str | os.PathLike[str], answer: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    ) -> None:
        self._path, self._file = place_of(pidfile)
        self._answer = answer
        self._token = ""
        self._listener: socket.socket | None = None
        self._free = threading.Semaphore(_AT_ONCE)

    def open(self) -> None:
        """Begin to listen; OSError when the folder of the pid file cannot be written to."""
        for left_over in (self._path, self._file):
            left_over.unlink(missing_ok=True)
        self._listener = self._unix() or self._loopback()
        threading.Thread(
            target=self._accept, args=(self._listener,), name="Kirsch control", daemon=True
        ).start()

    def close(self) -> None:
        """Listen no more, and remove the socket. Who is being answered still is."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        # Shut down first: that alone wakes a thread that accepts.
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for each in (self._path, self._file):
            each.unlink(missing_ok=True)

    def _unix(self) -> socket.socket | None:
        if not hasattr(socket, "AF_UNIX"):
            return None
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind(str(self._path))
        except OSError as error:
            listener.close()
            if error.errno is None:  # the path is too long
                return None
            raise
        # Before it listens nobody can have connected.
        self._path.chmod(0o600)
        listener.listen()
        return listener

    def _loopback(self) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", 0))
        self._token = secrets.token_hex(32)
        content = json.dumps({"port": listener.getsockname()[1], "token": self._token})
        try:
            # Exclusive: not into a file, or through a link, that somebody has put there meanwhile.
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(content)
        except BaseException:
            listener.close()
            raise
        return listener

    def _accept(self, listener: socket.socket) -> None:
        while True:
            self._free.acquire()
            try:
                client, _ = listener.accept()
            except OSError:
                self._free.release()
                if self._listener is not listener:
                    return
                continue  # the client has gone already
            threading.Thread(
                target=self._serve, args=(client,), name="Kirsch control client", daemon=True
            ).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client, contextlib.suppress(OSError), client.makefile("rwb") as stream:
                client.settimeout(_PATIENCE)
                answer = self._answer_to(stream.readline(_LINE))
                stream.write(json.dumps(answer).encode() + b"\n")
                stream.flush()
                if answer.get("follow"):
                    # Until this process ends, or the client goes: that is what it waits for.
                    client.settimeout(None)
                    stream.readline(_LINE)
        finally:
            self._free.release()

    def _answer_to(self, line: bytes) -> Mapping[str, Any]:
        try:
            request = json.loads(line)
            token = str(request.pop("token", ""))
        except (ValueError, AttributeError, TypeError):
            return {"ok": False, "said": "That is no request."}
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            return {"ok": False, "said": "The token is not the one of this program."}
        try:
            return {"ok": True, **self._answer(request)}
        except Exception as error:
            if not isinstance(error, RuntimeError):
                logging.getLogger("kirsch.error").exception("A command failed: %s", request)
            return {"ok": False, "said": str(error) or type(error).__name__}


def ask(
    pidfile: str | os.PathLike[str], request: Mapping[str, Any], *, timeout: float | None = None
) -> Answer:
    """Send a request to the program with that pid file, and return its answer.

    Parameters:
        pidfile: path of its pid file.
        request: what it is to do.
        timeout: seconds for each step; None for no bound.

    An answer with `follow` is returned when the program has ended. Raises ControlError when nobody answers,
    TimeoutError when it takes too long.
    """
    path, file = place_of(pidfile)
    with _connected(path, file, timeout) as (sock, token):
        try:
            with sock.makefile("rwb") as stream:
                stream.write(json.dumps({**request, "token": token}).encode() + b"\n")
                stream.flush()
                answer: Answer = json.loads(stream.readline())
                if answer.get("follow"):
                    stream.readline()
        except TimeoutError:
            raise
        except (OSError, ValueError) as error:
            raise ControlError(f"The program of {pidfile} has ended without an answer.") from error
    return answer


@contextlib.contextmanager
def _connected(path: Path, file: Path, timeout: float | None) -> Any:
    token = ""
    try:
        if path.exists():
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(timeout)
            address: Any = str(path)
        else:
            known = json.loads(file.read_text("ascii"))
            token, address = known["token"], ("127.0.0.1", known["port"])
            sock = socket.socket()
            sock.settimeout(timeout)
    except FileNotFoundError as error:
        raise ControlError(
            f"No program can be reached by {path.with_suffix('')}: there is no {path.name} beside it. Is it "
            "running, and was it started with --pidfile?"
        ) from error
    except (OSError, ValueError, KeyError) as error:
        raise ControlError(f"{file} cannot be read: {error}.") from error
    with sock:
        try:
            sock.connect(address)
        except (ConnectionRefusedError, FileNotFoundError) as error:
            raise ControlError(
                f"Nobody answers at {path}: the program has ended without removing it. Start it again."
            ) from error
        except PermissionError as error:
            raise ControlError(f"{path} belongs to another user.") from error
        yield sock, token
