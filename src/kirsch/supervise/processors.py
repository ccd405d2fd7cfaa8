"""How many processors this process may use: what the system has, less what it is denied."""

from __future__ import annotations

import math
import os
from pathlib import Path

__all__ = ["processors"]

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Microseconds of processor time, and of what period, in the control group of a container (cgroup v2)."""


def processors(quota: Path = _QUOTA) -> int:
    """Return the number of processors this process may use, at least 1.

    Parameters:
        quota: where the system keeps the quota of the container, if there is one.
    """
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        count = os.cpu_count() or 1
    try:
        allowed, period = quota.read_text("ascii").split()
        # Rounded up: half a processor still takes one process to use it.
        count = min(count, math.ceil(int(allowed) / int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        pass  # no quota, or "max"
    return max(1, count)
