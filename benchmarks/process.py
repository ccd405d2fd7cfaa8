"""Process trees: start one pinned to a core, read what it has cost and holds, and end it for certain.

Linux only: everything is read from /proc. A tree is its root, the root's descendants, and whatever else lives
in the session the root was started in (who forks twice leaves the line of descent but not the session).
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Stat(NamedTuple):
    """One line of /proc/PID/stat, as far as it is needed; see proc(5)."""

    pid: int
    state: str
    parent: int
    session: int
    ticks: int  # utime + stime
    reaped_ticks: int  # cutime + cstime: descendants that ended and were waited for
    resident: int  # bytes


class Memory(NamedTuple):
    """What a tree holds, in bytes: the sums of the resident and of the proportional set sizes."""

    resident: int
    proportional: int


def read_stat(pid: int) -> Stat | None:
    """Read one process; None when it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name stands in parentheses and may hold spaces and parentheses itself.
    fields = text[text.rindex(")") + 2 :].split()
    return Stat(
        pid=pid,
        state=fields[0],
        parent=int(fields[1]),
        session=int(fields[3]),
        ticks=int(fields[11]) + int(fields[12]),
        reaped_ticks=int(fields[13]) + int(fields[14]),
        resident=int(fields[21]) * PAGE,
    )


def machine_seconds() -> float:
    """CPU seconds the whole machine has spent working so far, stolen time included (/proc/stat)."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / TICK


def cores() -> tuple[int | None, int | None]:
    """Return the core for servers and the core for the load; None for both where there is only one."""
    free = sorted(os.sched_getaffinity(0))
    return (free[0], free[1]) if len(free) > 1 else (None, None)


def pinned(command: Sequence[str], core: int | None) -> list[str]:
    """Put `taskset` before a command."""
    return list(command) if core is None else ["taskset", "--cpu-list", str(core), *command]


class Tree:
    """A started process and all it starts, in a session of its own. Its output goes to a temporary file."""

    def __init__(
        self, command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], core: int | None
    ) -> None:
        self.output = tempfile.TemporaryFile()  # noqa: SIM115  closed by end()
        self.root = subprocess.Popen(  # ended by end()
            pinned(command, core),
            cwd=cwd,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def members(self) -> list[Stat]:
        """List the living members of the tree."""
        stats = [stat for path in Path("/proc").glob("[0-9]*") if (stat := read_stat(int(path.name)))]
        own = {self.root.pid}
        grown = True
        while grown:
            found = {stat.pid for stat in stats if stat.parent in own or stat.session == self.root.pid}
            grown = not found <= own
            own |= found
        return [stat for stat in stats if stat.pid in own and stat.state not in "ZX"]

    def seconds(self) -> float:
        """CPU seconds, user and system, spent by the tree so far, ended and waited-for children included."""
        return sum(stat.ticks + stat.reaped_ticks for stat in self.members()) / TICK

    def memory(self) -> Memory:
        """Memory held by the tree now."""
        members = self.members()
        proportional = 0
        for stat in members:
            with suppress(OSError):
                rollup = Path(f"/proc/{stat.pid}/smaps_rollup").read_text()
                proportional += (
                    next(int(row.split()[1]) for row in rollup.splitlines() if row.startswith("Pss:")) * 1024
                )
        return Memory(sum(stat.resident for stat in members), proportional)

    def alive(self) -> bool:
        """Tell whether the root still runs."""
        return self.root.poll() is None

    def last_line(self) -> str:
        """Return the last line the tree wrote, for the row of a server that did not start."""
        self.output.seek(0)
        lines = [line.strip() for line in self.output.read()[-4000:].decode(errors="replace").splitlines()]
        return next((line for line in reversed(lines) if line), "no output")

    def forget_output(self) -> None:
        """Drop what was written so far, lest an access log fill the disk; the offset is shared with it."""
        self.output.seek(0)
        self.output.truncate()

    def ask_to_end(self) -> None:
        """Send SIGTERM to the whole tree and do not wait."""
        self._signal(signal.SIGTERM)

    def end(self, patience: float = 3.0) -> None:
        """End the whole tree: SIGTERM, then SIGKILL after `patience` seconds."""
        self.ask_to_end()
        deadline = time.monotonic() + patience
        while self.members() and time.monotonic() < deadline:
            self.root.poll()
            time.sleep(0.02)
        self._signal(signal.SIGKILL)
        self.root.wait()
        self.output.close()

    def _signal(self, number: signal.Signals) -> None:
        for stat in self.members():
            with suppress(ProcessLookupError):
                os.kill(stat.pid, number)
