"""The command: read the arguments, prepare, run what was asked for, print and write the report."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import environment
import report
from load import LoadError
from measure import Settings, run_costs, run_idle, run_sleepers, run_starts, say

if TYPE_CHECKING:
    from types import FrameType

RUNS = ("cost", "sleepers", "idle", "startup")


def arguments() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="benchmarks/run",
        description="Measure Kirsch and its peers against an empty C epoll loop, on loopback only.",
    )
    parser.add_argument(
        "--quick", action="store_true", help="a look in about a minute: one short round, few peers beside"
    )
    parser.add_argument(
        "--only", default="", help="prefixes of servers, comma-separated: kirsch,granian (the limit stays)"
    )
    parser.add_argument(
        "--runs", default=",".join(RUNS), help=f"which runs, comma-separated (default: {','.join(RUNS)})"
    )
    parser.add_argument(
        "--seconds",
        type=int,
        help="seconds of each load of the cost run, at most 3 in the others (default 3; quick 1)",
    )
    parser.add_argument("--rounds", type=int, help="rounds over all servers (default 3; quick 1)")
    parser.add_argument("--idle", type=int, help="idle connections (default 10000; quick 2000)")
    parser.add_argument(
        "--output",
        type=Path,
        help="write the report here (default: RESULTS.md for a whole run, else nowhere)",
    )
    parser.add_argument(
        "--python",
        type=Path,
        default=Path(sys.executable),
        help="the interpreter all servers run on (default: the one this runs on)",
    )
    parser.add_argument(
        "--prepare", action="store_true", help="install the peers, compile the limit, and stop there"
    )
    return parser


def on_signal(number: int, _frame: FrameType | None) -> None:
    """Turn the first signal into an orderly end; later ones must not interrupt the ending of the servers."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    raise SystemExit(128 + number)


def settings_of(options: argparse.Namespace, failures: dict[str, str]) -> Settings:
    """Fill in what the command line left open."""
    quick: bool = options.quick
    return Settings(
        rounds=options.rounds or (1 if quick else 3),
        seconds=options.seconds or (1 if quick else 3),
        side_seconds=min(3, options.seconds or (1 if quick else 3)),
        first_warm=0.3 if quick else 1.0,
        warm=0.3,
        idle=options.idle or (2000 if quick else 10_000),
        starts=2 if quick else 3,
        only=[word for word in options.only.split(",") if word],
        quick=quick,
        failures=failures,
    )


def main(words: list[str]) -> int:
    """Run the benchmark; 0 when it ran, 2 when something it needs is missing."""
    parser = arguments()
    options = parser.parse_args(words)
    runs = options.runs.split(",")
    if unknown := set(runs) - set(RUNS):
        parser.error(f"--runs: unknown {', '.join(sorted(unknown))}; choose from {', '.join(RUNS)}")
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, on_signal)
    try:
        failures = environment.prepare(options.python)
    except environment.NotReadyError as error:
        print(f"benchmarks/run: {error}", file=sys.stderr)
        return 2
    if options.prepare:
        return 0
    began = time.monotonic()
    settings = settings_of(options, failures)
    results = report.Results(settings, report.now(), words)
    try:
        results.costs = run_costs(settings) if "cost" in runs else None
        results.sleepers = run_sleepers(settings) if "sleepers" in runs else None
        results.idle = run_idle(settings) if "idle" in runs else None
        results.starts = run_starts(settings) if "startup" in runs else None
    except LoadError as error:
        print(f"benchmarks/run: {error}", file=sys.stderr)
        return 2
    text = report.text(results)
    print(text)
    whole = not options.quick and not settings.only and set(runs) == set(RUNS)
    output: Path | None = options.output or (environment.HERE / "RESULTS.md" if whole else None)
    if output:
        output.write_text(text)
        say(f"written to {output}")
    say(f"took {time.monotonic() - began:.0f} s")
    return 0
