"""Replace the running process by a new run of the same command line: what `restart` ends in.

`sys.orig_argv` has the interpreter's own arguments too (`-m`, `-c`, `-X dev`), so nothing needs to be
reconstructed, and PEP 446 makes descriptors non-inheritable, so none needs to be closed; those that are to
survive are named.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["Reexec"]


def _working_directory() -> str | None:
    try:
        return str(Path.cwd())
    except OSError:  # it has been removed under us
        return None


class Reexec:
    """How to start this program again, as found when the object is made.

    Parameters:
        argv: the whole command line, `argv[0]` included; without it that of this process.
        execute: what replaces the process: `os.execv` or a stand-in of the same shape.
    """

    def __init__(
        self,
        argv: Sequence[str] | None = None,
        execute: Callable[[str, list[str]], object] = os.execv,
    ) -> None:
        self.argv: list[str] = list(sys.orig_argv if argv is None else argv)
        """The command line; `argv[0]` is replaced by `sys.executable` when it is run."""
        self.directory: str | None = _working_directory()
        """Where the program was started, so that relative paths in `argv` still lead there. None to stay."""
        self._execute = execute

    def __call__(self, keep_fds: Iterable[int] = ()) -> None:
        """Become the new process; does not return. The process id stays, except on Windows.

        Parameters:
            keep_fds: open descriptors the new process shall inherit under the same numbers.

        Raises RuntimeError when the interpreter does not know its own path, OSError when the directory or the
        interpreter is gone or a descriptor is not open.
        """
        if not sys.executable:
            raise RuntimeError(
                "cannot restart: this Python is embedded and does not know its own path; set sys.executable "
                "to the program that is to be started"
            )
        arguments = [sys.executable, *self.argv[1:]]
        if sys.platform == "win32":
            # The C runtime joins the arguments with spaces and the new process splits them again.
            arguments = [subprocess.list2cmdline([one]) for one in arguments]
        if self.directory is not None:
            os.chdir(self.directory)
        for fd in keep_fds:
            os.set_inheritable(fd, True)  # noqa: FBT003  positional-only
        for stream in (sys.stdout, sys.stderr):
            # Buffers die with the old image. A stream may be missing (pythonw) or its reader gone.
            with contextlib.suppress(AttributeError, OSError, ValueError):
                stream.flush()
        self._execute(sys.executable, arguments)
