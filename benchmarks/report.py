"""What was measured as Markdown tables that also read well on a terminal, and the budgets held against it."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from environment import CHECKOUT, HERE, interpreter, versions
from measure import OPEN_WITHIN
from process import cores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from measure import CostRow, CostRun, IdleRow, Settings, SleepersRow, StartRun

MIB = 1024 * 1024
PEERS = (
    *("bjoern", "cheroot", "cherrypy", "fastwsgi", "falcon", "flask", "granian", "gunicorn"),
    *("httptools", "uvicorn", "uvloop", "a2wsgi", "waitress"),
)
SHAPES = {
    "same": "every connection repeats one head, as wrk does by itself",
    "varied": "the target and the Cookie differ in every request, so that no head can be remembered",
}


@dataclass
class Results:
    """All runs of one call; None where a run was left out."""

    settings: Settings
    began: datetime
    words: Sequence[str]  # the command line's arguments
    costs: CostRun | None = None
    sleepers: list[SleepersRow] | None = None
    idle: list[IdleRow] | None = None
    starts: StartRun | None = None


@dataclass(frozen=True)
class Budget:
    """One line of the plan: a figure that should not exceed (or, `at_least`, not fall below) its budget."""

    what: str
    budget: float
    unit: str
    measured: float | None
    at_least: bool = False

    def cells(self) -> list[str]:
        """Return the row of the budget table."""
        sign = ">=" if self.at_least else "<="
        wanted = f"{sign} {self.budget:g}{self.unit}"
        if self.measured is None:
            return [self.what, wanted, "-", "not measured"]
        met = self.measured >= self.budget if self.at_least else self.measured <= self.budget
        figure = f"{self.measured:.3g}" if self.measured < 1000 else f"{self.measured:.0f}"
        distance = abs(self.measured / self.budget - 1) * 100
        verdict = f"met, {distance:.0f} % to spare" if met else f"MISSED by {distance:.0f} %"
        return [self.what, wanted, f"{figure}{self.unit}", verdict]


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay a Markdown table out in columns; words are aligned left and figures right."""
    body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    widths = [max([len(head), 3, *(len(row[place]) for row in body)]) for place, head in enumerate(heads)]
    wordy = [not any(row[place][:1] in set("0123456789<>") for row in body) for place in range(len(heads))]

    def line(cells: Sequence[str]) -> str:
        laid = [
            cell.ljust(width) if left else cell.rjust(width)
            for cell, width, left in zip(cells, widths, wordy, strict=True)
        ]
        return f"| {' | '.join(laid)} |".rstrip()

    rule = [
        ("-" * width) if left else ("-" * (width - 1) + ":")
        for width, left in zip(widths, wordy, strict=True)
    ]
    return "\n".join([line(heads), line(rule), *(line(row) for row in body)])


def milliseconds(seconds: float) -> str:
    """Three significant digits are more than the machine holds still for."""
    return f"{seconds * 1000:.2f}"


def costs_text(run: CostRun) -> str:
    """Write the cost tables, one for each shape of load."""
    parts = []
    for shape, meaning in SHAPES.items():
        rows = [cost_cells(row) for row in run.rows if row.shape == shape]
        heads = [
            "server",
            "program",
            "cost",
            "of rounds",
            "p50 ms",
            "p99 ms",
            "RSS MiB",
            "PSS MiB",
            "remarks",
        ]
        parts.append(f"Load `{shape}`: {meaning}.\n\n{table(heads, rows)}")
    if run.foreign:
        usual, worst = median(run.foreign) * 100, max(run.foreign) * 100
        shares = f"{usual:.0f} % of the cores measured on in the median load, {worst:.0f} % in the worst"
        parts.append(f"Other programs on the machine used {shares}.")
    return "\n\n".join(parts)


def cost_cells(row: CostRow) -> list[str]:
    """Lay out one server; a server that is missing says why."""
    names = [row.server.name, row.server.program]
    if row.ratio is None:
        return [*names, "-", "-", "-", "-", "-", "-", row.problem]
    errors = sum(load.errors for load in row.loads)
    remarks = [row.problem, f"failed requests: {errors}" if errors else ""]
    return [
        *names,
        f"{row.ratio:.2f}",
        f"{min(row.ratios):.2f}..{max(row.ratios):.2f}",
        milliseconds(median(load.p50 for load in row.loads)),
        milliseconds(median(load.p99 for load in row.loads)),
        f"{row.memory.resident / MIB:.0f}" if row.memory else "-",
        f"{row.memory.proportional / MIB:.0f}" if row.memory else "-",
        "; ".join(filter(None, remarks)),
    ]


def sleepers_text(rows: Sequence[SleepersRow]) -> str:
    """Write the table of short handlers beside sleeping ones."""
    cells = []
    for row in rows:
        names = [row.server.name, row.server.program]
        if row.ratio is None:
            cells.append([*names, "-", "-", "-", "-", row.problem])
            continue
        alone, beside = milliseconds(median(row.without)), milliseconds(median(row.beside))
        cells.append(
            [*names, alone, beside, f"{row.ratio:.2f}", f"{median(row.pace) * 100:.0f} %", row.problem]
        )
    heads = ["server", "handlers", "p99 alone ms", "p99 beside ms", "ratio", "sleepers' pace", "remarks"]
    return table(heads, cells)


def idle_text(rows: Sequence[IdleRow]) -> str:
    """Write the table of idle connections."""
    cells = []
    for row in rows:
        if row.throughput is None or row.cost is None:
            cells.append([row.server.name, "-", "-", "-", "-", row.problem])
            continue
        fewer = f"took no more within {OPEN_WITHIN:.0f} s" if row.held < row.asked else ""
        remarks = [row.problem, fewer, f"closed {row.lost} of them meanwhile" if row.lost else ""]
        figures = [f"{row.held}", f"{row.bytes_each / 1024:.2f}", f"{row.throughput:.2f}", f"{row.cost:.2f}"]
        cells.append([row.server.name, *figures, "; ".join(filter(None, remarks))])
    heads = ["server", "idle held", "KiB each", "busy throughput", "busy cost", "remarks"]
    return table(heads, cells)


def starts_text(run: StartRun) -> str:
    """Write the tables of imports and starts."""
    imports = [[name, "-" if found is None else f"{found * 1000:.0f}"] for name, found in run.imports.items()]
    cells = []
    for row in run.rows:
        names = [row.server.name, row.server.program]
        if not row.ready or row.memory is None:
            cells.append([*names, "-", "-", "-", "-", row.problem])
            continue
        times = [f"{min(row.ready) * 1000:.0f}", f"{median(row.ready) * 1000:.0f}"]
        memory = [f"{row.memory.resident / MIB:.1f}", f"{row.memory.proportional / MIB:.1f}"]
        cells.append([*names, *times, *memory, row.problem])
    heads = ["server", "program", "ready ms, best", "median", "RSS MiB", "PSS MiB", "remarks"]
    return f"{table(['import', 'ms'], imports)}\n\n{table(heads, cells)}"


def budgets(results: Results) -> list[Budget]:
    """Hold the plan's budgets against what was measured."""
    return [*cost_budgets(results.costs), *other_budgets(results)]


def cost_budgets(run: CostRun | None) -> list[Budget]:
    """The budgets of a request's cost."""

    def ratio(key: str, shape: str) -> float | None:
        return run.ratio(key, shape) if run else None

    found = []
    for shape in SHAPES:
        bare, logged, rival = (ratio(key, shape) for key in ("kirsch-object", "kirsch-log", "cherrypy"))
        times = rival / logged if rival and logged else None
        found += [
            Budget(f"WSGI hello, {shape}", 1.8, " x the limit", ratio("kirsch-wsgi", shape)),
            Budget(f"object hello at this stage, {shape}", 2.5, " x the limit", bare),
            Budget(f"object hello with its access log, {shape}", 3, " x the limit", logged),
            Budget(f"CherryPy's cost over that, {shape}", 20, " x", times, at_least=True),
        ]
    return found


def other_budgets(results: Results) -> list[Budget]:
    """The budgets of sleepers, idle connections and starting."""
    found = []
    for name in ("wsgi", "object"):
        slept = next(
            (row.ratio for row in results.sleepers or [] if row.server.key == f"kirsch-{name}"), None
        )
        found += [
            Budget(f"p99 beside sleepers, {name}", 5, " x alone", slept),
            Budget(f"p99 beside sleepers, {name}, then", 2, " x alone", slept),
        ]
    idle = next(
        (row for row in results.idle or [] if row.server.key == "kirsch-wsgi" and row.throughput), None
    )
    starts = results.starts
    ready = next(
        (row for row in starts.rows if row.server.key == "kirsch-wsgi" and row.ready) if starts else iter(()),
        None,
    )
    imported = starts.imports.get("kirsch") if starts else None
    return [
        *found,
        Budget(
            "idle connections held",
            results.settings.idle,
            "",
            idle.held - idle.lost if idle else None,
            at_least=True,
        ),
        Budget("each idle connection", 4, " KiB", idle.bytes_each / 1024 if idle else None),
        Budget(
            "throughput beside idle ones", 0.9, " x alone", idle.throughput if idle else None, at_least=True
        ),
        Budget("import kirsch", 80, " ms", imported * 1000 if imported else None),
        Budget("start to first answer", 300, " ms", min(ready.ready) * 1000 if ready else None),
        Budget(
            "resident, WSGI hello",
            30,
            " MiB",
            ready.memory.resident / MIB if ready and ready.memory else None,
        ),
    ]


def machine_text() -> str:
    """Name the machine and the versions."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1024**3
    pins = "each on one core of its own" if cores()[0] is not None else "both on the only core"
    wrk = subprocess.run(["wrk", "--version"], check=False, capture_output=True, text=True).stdout.split(
        " Copyright"
    )[0]
    found = versions()
    peers = ", ".join(f"{name} {found.get(name, '(not installed)')}" for name in PEERS)
    git = ["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty"]
    commit = subprocess.run(git, check=False, capture_output=True, text=True).stdout.strip()
    return "\n".join(
        [
            f"- Machine: {model}, {os.cpu_count()} cores, {gib:.0f} GiB, Linux {platform.release()}",
            f"- Server and load: {pins}",
            f"- Interpreter: {interpreter()}",
            f"- Kirsch {found.get('kirsch', '(not installed)')}, commit {commit or 'unknown'}",
            f"- {peers}",
            f"- Load: {wrk.strip()}",
        ],
    )


METHOD = """\
Cost is the CPU time, user and system, of the whole server process tree for each completed request under
`wrk -t1 -c32` with ten browser-like headers, as a multiple of the same for an empty C epoll loop that
answers constant bytes ("the limit"). Servers take turns within a round, so that a drift of the machine meets
all of them; the limit is measured three times a round, and their median is what the round's costs are divided
by. The median of the rounds is shown; the spread in the limit's own row is the noise of the machine. Only
ratios are given for costs, because absolute figures belong to one machine. Servers run one process, ten
threads where they have threads, and write no line of log for each request unless the row says so; limits on
kept-alive connections are lifted. RSS counts a page that several processes share in each of them, PSS divides
it among them.
"""

SLEEPERS_METHOD = """\
The p99 of sixteen connections of short requests, alone and beside eight more connections whose handlers
sleep 20 ms; ten threads. The sleepers' pace is 100 % when their connections wait for nothing but the sleep.
"""

IDLE_METHOD = """\
Keep-alive connections that made one request each and stay, with thirty-two busy ones beside them. Memory is
the resident memory of the server, without the kernel's socket buffers. Throughput and cost of the busy ones
are those with idle neighbours over those without (before and after).
"""


def text(results: Results) -> str:
    """Write the whole report."""
    settings = results.settings
    amount = f"{settings.rounds} rounds of {settings.seconds} s for each load of the cost run"
    command = " ".join(["benchmarks/run", *results.words])
    parts = [
        "# Benchmark results",
        f"{results.began:%Y-%m-%d %H:%M} UTC, {amount}. Repeat with `make bench`, or `{command}`.",
        METHOD.strip(),
        machine_text(),
        "## Budgets",
        table(["what", "budget", "measured", "verdict"], [budget.cells() for budget in budgets(results)]),
    ]
    # The cause of a miss is a sentence somebody writes; the figures are written anew each time.
    causes = HERE / "causes.md"
    if causes.exists():
        parts.append(causes.read_text().strip())
    if results.costs:
        parts += ["## Cost of a hello", costs_text(results.costs)]
    if results.sleepers:
        parts += [
            "## Short handlers beside sleepers",
            SLEEPERS_METHOD.strip(),
            sleepers_text(results.sleepers),
        ]
    if results.idle:
        asked = f"{settings.idle} connections are asked for."
        parts += ["## Idle connections", f"{IDLE_METHOD.strip()} {asked}", idle_text(results.idle)]
    if results.starts:
        parts += ["## Starting", "Fresh processes, warm file cache.", starts_text(results.starts)]
    return "\n\n".join(parts) + "\n"


def now() -> datetime:
    """Return the time of day the report is dated with."""
    return datetime.now(UTC)
