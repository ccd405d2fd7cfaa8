"""The short form of `make chaos`: what clients under load notice of reloads, replacements, kills, stops."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

CHAOS = Path(__file__).resolve().parents[2] / "benchmarks" / "chaos.py"


def test_no_request_is_lost_but_those_of_a_killed_worker() -> None:
    command = [sys.executable, str(CHAOS), "--short", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode in {0, 1}, done.stderr
    rows = {row["what"].split()[0]: row for row in json.loads(done.stdout)}
    for name, times in (("rolling", 3), ("replacements", 1), ("kill", 3), ("SIGTERM", 1)):
        row = rows[name]
        assert row["times"] == len(row["back"]) == times
        assert row["unexplained"] == 0, row["reasons"]
        assert row["requests"] > (8 if name == "SIGTERM" else 100)
        if name != "kill":
            assert row["failed"] == 0
    # A second is what `make chaos` asks for; here other tests take their share of the processors.
    assert max(rows["kill"]["back"]) < 10
