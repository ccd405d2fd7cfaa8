"""The one error of this room: a sentence on standard error and an exit code.

click.ClickException
  Failure          anything that keeps a command from doing its work; exit code 1
    WrongTarget    a target that is not there or cannot be served; exit code 2
  (UsageError)     click's own, for a command line that cannot be understood; exit code 2
"""

from __future__ import annotations

from typing import IO, Any

import click

__all__ = ["Failure", "WrongTarget"]


class Failure(click.ClickException):
    """What keeps a command from doing its work.

    Parameters:
        message: one sentence, or two when the second says what to do.
        detail: text to show before it, such as the traceback of the user's program; may be empty.
        cause: the exception of the user's program, if that is what failed.
    """

    exit_code = 1

    def __init__(self, message: str, *, detail: str = "", cause: BaseException | None = None) -> None:
        super().__init__(message)
        self.detail = detail
        self.cause = cause

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the detail and the sentence to `file`, by default standard error."""
        if self.detail:
            click.echo(self.detail.rstrip("\n"), file=file, err=file is None)
        super().show(file)


class WrongTarget(Failure):
    """A target that is not there or is nothing that can be served: the command line is to be mended."""

    exit_code = 2
