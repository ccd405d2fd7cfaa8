"""Children nobody here has started: whoever is the first process of a container inherits the orphans of it.

An orphan that ends stays in the table of processes until its parent has taken note; a table full of them lets
no process start.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["reap_strangers"]


def reap_strangers(ours: Collection[int]) -> int:
    """Take note of every child that has ended and is not among `ours`; return how many.

    Parameters:
        ours: process ids of the children that somebody else waits for.

    When one of those is the first in the system's queue, what is behind it is left for the next call: call it
    again once that child has been waited for. Nothing happens on systems without `waitid`.
    """
    count = 0
    with contextlib.suppress(ChildProcessError, AttributeError):
        while True:
            # Looked at, not taken: which one it will be is not to be chosen, and the status of ours is not
            # ours to take.
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is None or found.si_pid in ours:
                break
            os.waitpid(found.si_pid, 0)
            count += 1
    return count
