from __future__ import annotations

import os
import subprocess
import sys

import pytest

from kirsch.supervise.strangers import reap_strangers

SCRIPT = """
import os, time
from kirsch.supervise.strangers import reap_strangers

def child(status):
    pid = os.fork()
    if pid == 0:
        os._exit(status)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)   # it has ended, and nobody has taken note
    return pid

stranger, ours = child(1), child(7)
while reap_strangers([ours]) == 0:   # the system chooses which of them it shows first
    assert os.waitpid(ours, os.WNOHANG) == (ours, 7 << 8)
    ours = child(7)
assert os.waitpid(ours, 0)[1] == 7 << 8, "the status of ours is still there"
try:
    os.waitpid(stranger, 0)
except ChildProcessError:
    print("reaped")
assert reap_strangers([]) == 0
"""


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="this system has no waitid")
def test_children_of_nobody_are_taken_note_of_and_ours_are_left() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("reaped\n", "", 0)


def test_nothing_happens_where_the_system_cannot_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "waitid", raising=False)
    assert reap_strangers([]) == 0
