"""The four runs: cost of a hello, short handlers beside sleepers, idle connections, starting up."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from environment import PYTHON
from load import Cost, IdleConnections, Load, LoadError, Wrk, cost, drive, warm
from process import Memory, cores, machine_seconds, pinned
from servers import HELLOS, HOLDING, SLEEPING, STARTING, Server, Started, chosen, started

if TYPE_CHECKING:
    from collections.abc import Iterable

SLEEP = 0.020
SLEEPERS = 8
QUICK = ["kirsch", "bjoern", "cheroot", "cherrypy"]  # whose cost a quick look shows when --only names nobody
SHORT_CONNECTIONS = 16
OPEN_WITHIN = 25.0  # seconds for opening the idle connections


@dataclass(frozen=True)
class Settings:
    """How much is measured."""

    rounds: int
    seconds: int  # of one measured load of the cost run
    side_seconds: int  # the same for the other runs
    first_warm: float  # seconds of load before a server's first measurement
    warm: float  # seconds of load before each later one
    idle: int
    starts: int
    only: list[str]
    quick: bool
    failures: dict[str, str]  # packages that did not build, with the reason


def say(text: str) -> None:
    """Tell the person at the terminal what happens now."""
    print(text, file=sys.stderr, flush=True)


@dataclass
class CostRow:
    """One server, one shape of load, all rounds."""

    server: Server
    shape: str
    ratios: list[float] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)
    memory: Memory | None = None
    problem: str = ""

    @property
    def ratio(self) -> float | None:
        """Median cost as a multiple of the limit's in the same round and shape."""
        return median(self.ratios) if self.ratios else None


@dataclass
class CostRun:
    """All rows, and what share of the cores other programs used meanwhile, one figure for each load."""

    rows: list[CostRow]
    foreign: list[float]

    def ratio(self, key: str, shape: str) -> float | None:
        """Look one ratio up."""
        return next((row.ratio for row in self.rows if row.server.key == key and row.shape == shape), None)


def run_costs(settings: Settings) -> CostRun:
    """Measure every hello, round-robin, so that a drift of the machine meets all servers alike."""
    shapes = ("same", "varied")
    only = settings.only or (QUICK if settings.quick else [])
    with started(told(chosen(HELLOS, only)), settings.failures) as servers:
        rows = [CostRow(one.server, shape, problem=one.problem) for shape in shapes for one in servers]
        rows = [row for row in rows if row.shape in row.server.shapes]
        places = {one.server.key: one for one in servers}
        run = CostRun(rows, [])
        for number in range(settings.rounds):
            say(
                f"cost: round {number + 1} of {settings.rounds}, {sum(not row.problem for row in rows)} loads"
            )
            seconds = settings.warm if number else settings.first_warm
            for shape in shapes:
                limits, *others = [row for row in rows if row.shape == shape]
                # The limit divides every figure of the round, so it is measured three times and not once.
                half = len(others) // 2
                turns = [limits, *others[:half], limits, *others[half:], limits]
                costs = [
                    (row, measure_cost(run, row, places[row.server.key], settings, seconds)) for row in turns
                ]
                fold_round(limits, costs)
        for row in rows:
            if not row.problem:
                row.memory = places[row.server.key].running().memory()
    return run


def fold_round(limits: CostRow, costs: list[tuple[CostRow, float | None]]) -> None:
    """Turn one round's costs into ratios; raises LoadError when the limit itself could not be measured."""
    base = [found for row, found in costs if row is limits and found is not None]
    if not base:
        raise LoadError(f"the limit was not measured: {limits.problem}")
    for row, found in costs:
        if found is not None:
            row.ratios.append(found / median(base))


def told(servers: Iterable[Server]) -> Iterable[Server]:
    """Name each server as it is about to be started."""
    for server in servers:
        say(f"starting {server.name}, {server.program}")
        yield server


def measure_cost(
    run: CostRun,
    row: CostRow,
    place: Started,
    settings: Settings,
    warm_seconds: float,
) -> float | None:
    """Return the CPU seconds of a request; None, and a word in the row, when that cannot be had."""
    if row.problem:
        return None
    try:
        warm(place.port, connections=32, seconds=warm_seconds, shape=row.shape)
        began, busy = time.monotonic(), machine_seconds()
        found = cost(place.running(), place.port, seconds=settings.seconds, shape=row.shape)
        run.foreign.append(foreign_share(found, machine_seconds() - busy, time.monotonic() - began))
    except LoadError as error:
        row.problem = str(error)
        return None
    if not place.running().alive():
        row.problem = f"ended under load: {place.last_words()}"
    row.loads.append(found.load)
    return found.seconds


def foreign_share(found: Cost, busy: float, elapsed: float) -> float:
    """Share of the machine's two measured cores that neither the server nor wrk used."""
    used = found.seconds * found.load.requests + found.load.own_seconds
    return max(0.0, busy - used) / (elapsed * (1 if cores()[0] is None else 2))


@dataclass
class SleepersRow:
    """p99 of short handlers in seconds, one for each round, without and with sleeping neighbours."""

    server: Server
    without: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    pace: list[float] = field(default_factory=list)  # of the sleepers, 1.0 when each only sleeps
    problem: str = ""

    @property
    def ratio(self) -> float | None:
        """Median p99 beside sleepers over the median without."""
        return median(self.beside) / median(self.without) if self.beside else None


def run_sleepers(settings: Settings) -> list[SleepersRow]:
    """Measure sixteen connections of short requests, alone and beside eight whose handlers sleep."""
    wanted = [
        server
        for server in chosen(SLEEPING, settings.only)
        if not settings.quick or server.package == "kirsch"
    ]
    with started(told(wanted), settings.failures) as servers:
        rows = {one.server.key: SleepersRow(one.server, problem=one.problem) for one in servers}
        for number in range(settings.rounds):
            say(f"sleepers: round {number + 1} of {settings.rounds}")
            for one in servers:
                row = rows[one.server.key]
                if row.problem:
                    continue
                try:
                    if not number:
                        warm(one.port, connections=SLEEPERS, seconds=settings.first_warm / 2, path="/sleep")
                        warm(one.port, connections=SHORT_CONNECTIONS, seconds=settings.first_warm)
                    measure_sleepers(row, one.port, settings.side_seconds)
                except LoadError as error:
                    row.problem = str(error)
    return list(rows.values())


def measure_sleepers(row: SleepersRow, port: int, seconds: int) -> None:
    """Fill one round into one row."""
    row.without.append(drive(port, connections=SHORT_CONNECTIONS, seconds=seconds).p99)
    with Wrk(port, connections=SLEEPERS, seconds=seconds + 1, path="/sleep") as neighbours:
        time.sleep(0.5)
        row.beside.append(drive(port, connections=SHORT_CONNECTIONS, seconds=seconds).p99)
        row.pace.append(neighbours.result().rate * SLEEP / SLEEPERS)


@dataclass
class IdleRow:
    """What idle connections hold and what they cost the busy ones."""

    server: Server
    asked: int
    held: int = 0
    lost: int = 0  # closed by the server while the busy ones were measured
    bytes_each: float = 0.0
    throughput: float | None = None  # of the busy ones, with the idle ones over without
    cost: float | None = None  # of a request, the same way round
    problem: str = ""


def run_idle(settings: Settings) -> list[IdleRow]:
    """Hold idle connections on one server after the other, each measured before, with and after them."""
    wanted = [
        server
        for server in chosen(HOLDING, settings.only)
        if not settings.quick or server.key == "kirsch-wsgi"
    ]
    rows = []
    for server in wanted:
        say(f"idle connections: {server.name}")
        row = IdleRow(server, settings.idle)
        with started([server], settings.failures) as [one]:
            row.problem = one.problem
            if not row.problem:
                try:
                    measure_idle(row, one, settings)
                except LoadError as error:
                    row.problem = str(error)
        rows.append(row)
    return rows


def measure_idle(row: IdleRow, one: Started, settings: Settings) -> None:
    """Fill one row."""
    tree = one.running()
    warm(one.port, connections=32, seconds=settings.first_warm)
    alone = [cost(tree, one.port, seconds=settings.side_seconds)]
    before = tree.memory().resident
    with IdleConnections(one.port) as idle:
        row.held = idle.open(settings.idle, within=OPEN_WITHIN)
        time.sleep(0.3)
        row.bytes_each = (tree.memory().resident - before) / max(1, row.held)
        beside = cost(tree, one.port, seconds=settings.side_seconds)
        row.lost = row.held - idle.still_open()
    time.sleep(1.0)  # the closing of ten thousand connections is not part of the next load
    alone.append(cost(tree, one.port, seconds=settings.side_seconds))
    row.throughput = beside.load.rate / (sum(found.load.rate for found in alone) / 2)
    row.cost = beside.seconds / (sum(found.seconds for found in alone) / 2)


@dataclass
class StartRow:
    """From nothing to the first answer."""

    server: Server
    ready: list[float] = field(default_factory=list)  # seconds
    memory: Memory | None = None  # after that first answer
    problem: str = ""


@dataclass
class StartRun:
    """Start-up of servers, and seconds of an import (best of several fresh processes; None: it failed)."""

    rows: list[StartRow]
    imports: dict[str, float | None]


def run_starts(settings: Settings) -> StartRun:
    """Time imports and starts, each in a fresh process."""
    wanted = [
        server
        for server in chosen(STARTING, settings.only)
        if not settings.quick or server.package == "kirsch"
    ]
    rows = [StartRow(server) for server in wanted]
    for number in range(settings.starts):
        say(f"start-up: {number + 1} of {settings.starts}")
        for row in rows:
            if row.problem:
                continue
            with started([row.server], settings.failures) as [one]:
                row.problem = one.problem
                if not row.problem:
                    row.ready.append(one.ready_after)
                    row.memory = one.running().memory()
    names = ["kirsch"] if settings.quick else ["kirsch", "cherrypy", "flask", "falcon"]
    return StartRun(rows, {name: import_seconds(name, 2 * settings.starts + 1) for name in names})


def import_seconds(name: str, times: int) -> float | None:
    """Seconds of `import name` alone, the interpreter's own start left out; the best of so many processes."""
    program = f"import time; t = time.perf_counter(); import {name}; print(time.perf_counter() - t)"
    command = pinned([str(PYTHON), "-c", program], cores()[0])
    found = []
    for _ in range(times):
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
        if done.returncode:
            return None
        found.append(float(done.stdout))
    return min(found)
