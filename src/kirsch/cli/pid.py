"""The pid file of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kirsch.bus import PIDFile, PIDFileError
from kirsch.cli.errors import Failure

if TYPE_CHECKING:
    from kirsch.bus import Bus

__all__ = ["write_pid"]


def write_pid(bus: Bus, path: str | None) -> PIDFile | None:
    """Write the pid file and have `bus` remove it when it exits; Failure when it is another process's."""
    if path is None:
        return None
    file = PIDFile(bus, path)
    try:
        file.start()
    except PIDFileError as error:
        raise Failure(f"The pid file {error}.") from error
    except OSError as error:
        raise Failure(f"Cannot write the pid file {path}: {error.strerror}.") from error
    file.subscribe()
    return file
