"""`kirsch signal ACTION --pidfile FILE`: tell a running program what to do, on any system.

The program is found by the socket beside its pid file; `kirsch.supervise.control` says how. So a command can
be answered, and waits until what it asks for is done.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from kirsch.cli.errors import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ACTIONS", "command"]

ACTIONS: Mapping[str, str] = {
    "reload": "replace all workers by new ones, one after the other; waits until they serve",
    "restart": "replace the whole program by a new one on the same sockets; waits until that serves",
    "stop": "let running requests finish, and end; waits for the end",
    "quit": "end at once; what runs is lost",
    "reopen-logs": "open the log files anew, after something has moved them away",
    "scale": "have as many workers as the number behind it",
    "status": "show the program and its workers",
}
"""What may be asked for, and what it does."""

_COLUMNS = ("worker", "pid", "state", "age", "requests", "connections", "memory")


@click.command
@click.argument("action", type=click.Choice(list(ACTIONS)))
@click.argument("number", required=False, type=click.IntRange(1))
@click.option("--pidfile", metavar="FILE", required=True, help="The one that `kirsch run` was given.")
@click.option(
    "--timeout", metavar="SECONDS", type=click.FloatRange(0.001), help="How long to wait. [default for ever]"
)
@click.option("--json", "as_json", is_flag=True, help="Show the whole answer as JSON.")
def command(action: str, number: int | None, pidfile: str, timeout: float | None, as_json: bool) -> None:
    """Tell a running program what to do: reload, restart, stop, quit, reopen-logs, scale N or status.

    The exit code is 0 when that is done, 1 when it failed, 2 for a wrong command line.
    """
    if (action == "scale") != (number is not None):
        raise click.UsageError(
            "scale needs the number of workers behind it." if number is None else f"{action} takes no number."
        )
    from kirsch.supervise import ControlError, ask

    try:
        answer = ask(pidfile, {"do": action, "count": number}, timeout=timeout)
    except ControlError as error:
        raise Failure(str(error)) from error
    except TimeoutError:
        raise Failure(f"No answer within {timeout:g} s; the program may still do it.") from None
    if not answer.get("ok"):
        raise Failure(str(answer.get("said")))
    if as_json:
        click.echo(json.dumps(answer))
    elif action == "status":
        _show(answer)
    else:
        click.echo(answer.get("said", ""))


def _show(state: Mapping[str, Any]) -> None:
    workers = state["workers"]
    click.echo(
        f"Kirsch {state['version']} serves {state['target']} on {' and '.join(state['urls'])} "
        f"(pid {state['pid']}, {state['state']} for {_age(state['age'])}, "
        f"{state['ready']} of {state['wanted']} workers ready, {state['reloads']} reloads, "
        f"{state['crashes']} crashes)"
    )
    rows = [_row(each) for each in workers]
    if sys.stdout.isatty():
        _draw(rows)
    else:
        for row in (_COLUMNS, *rows):
            click.echo("\t".join(row))


def _row(worker: Mapping[str, Any]) -> tuple[str, ...]:
    memory = worker.get("memory")
    return (
        str(worker["number"]),
        str(worker["pid"]),
        worker["state"],
        _age(worker["age"]),
        str(worker.get("requests", "")),
        str(worker.get("connections", "")),
        "" if memory is None else f"{memory / 1024**2:.0f} MiB",
    )


def _age(seconds: float) -> str:
    """Return a time in its two largest units."""
    whole = int(seconds)
    for (name, size), (smaller, part) in (
        (("d", 86400), ("h", 3600)),
        (("h", 3600), ("min", 60)),
        (("min", 60), ("s", 1)),
    ):
        if whole >= size:
            return f"{whole // size} {name} {whole % size // part} {smaller}"
    return f"{whole} s"


def _draw(rows: Sequence[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*_COLUMNS)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
