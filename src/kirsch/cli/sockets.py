"""The listening sockets of a run: bound before anything else starts, handed on by their descriptors."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from kirsch.cli.errors import Failure
from kirsch.server import BindError
from kirsch.server.listener import Listener, open_listeners

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from kirsch.config import ServerSettings

__all__ = ["Sockets", "check_tls"]


class Sockets:
    """Every address of `settings`, bound. A context manager: at its end they are closed.

    Parameters:
        settings: settings of a server.
        inherited: descriptor and path of each socket that another process of ours has handed to this one, if
            those are what `settings` names; "" for a path that is not to be removed. The descriptors are
            closed: who holds these sockets decides whether the system goes on taking connections. The paths
            are the other process's until `adopt`.

    Raises Failure for the first address that cannot be listened on; none is bound then. Owned by one thread.
    """

    def __init__(self, settings: ServerSettings, inherited: Sequence[tuple[int, str]] = ()) -> None:
        self._settings = settings
        self._open(settings)
        self._paths = tuple(path for _, path in inherited) or tuple(each.path for each in self._listeners)
        for descriptor, _ in inherited:
            os.close(descriptor)

    def _open(self, settings: ServerSettings) -> None:
        try:
            self._listeners = open_listeners(
                settings.bind, backlog=settings.backlog, unix_mode=settings.unix_mode
            )
        except BindError as error:
            raise Failure(str(error)) from error

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The descriptors, as long as `release` has not been called."""
        return tuple(each.sock.fileno() for each in self._listeners)

    @property
    def paths(self) -> tuple[str, ...]:
        """The path of each Unix socket that is to be removed at the end, by us or who comes after us; "" for
        the others.
        """
        return self._paths

    @property
    def urls(self) -> tuple[str, ...]:
        """Where a person finds each, as long as `release` has not been called."""
        scheme = "https" if self._settings.tls_certificate is not None else "http"
        return tuple(each.url(scheme) for each in self._listeners)

    @property
    def settings(self) -> ServerSettings:
        """The settings with these sockets in place of their addresses; the server duplicates them."""
        return replace(self._settings, bind=tuple(f"fd:{number}" for number in self.descriptors))

    def turn_away(self) -> None:
        """Have the system ignore who wants to connect, where it can, as all who hold these sockets will close
        them: see `Listener.turn_away`.
        """
        for each in self._listeners:
            each.turn_away()

    def release(self) -> None:
        """Close our copies once the server has its own.

        With one left open the system would go on taking connections that nobody accepts while the server
        stops. Paths of Unix sockets stay until the end, as only we know that we made them.
        """
        for each in self._listeners:
            each.sock.close()

    def adopt(self) -> None:
        """Remove the paths of inherited sockets at the end, as if they had been made here."""
        self._listeners = [
            Listener(each.sock, path) if path else each
            for each, path in zip(self._listeners, self._paths, strict=True)
        ]

    def disown(self) -> None:
        """Leave the paths of Unix sockets where they are at the end: they are another process's now."""
        for each in self._listeners:
            each.path = ""

    def close(self) -> None:
        """Close what is open, and remove the paths that are ours."""
        for each in self._listeners:
            with contextlib.suppress(OSError):
                each.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check_tls(settings: ServerSettings) -> None:
    """Raise Failure when the certificate or the key of `settings` cannot be used."""
    if settings.tls_certificate is None:
        return
    from kirsch.server.tls import make_context

    try:
        make_context(settings)
    except BindError as error:
        raise Failure(str(error)) from error
