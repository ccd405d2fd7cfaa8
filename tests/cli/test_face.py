from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
from kirsch.cli.face import face
assert face() is None
import kirsch
assert face() is None, "importing the package is not using it"
kirsch.expose
kirsch.engine.subscribe("start", lambda: print("started"), 90)
default = face()
assert default.engine is kirsch.engine and default.tree is kirsch.tree
assert default.log is kirsch.log and default.server is kirsch.server
default.step_back()
owners = [each.callback.__self__ for channel in ("log", "start", "graceful", "stop")
          for each in kirsch.engine.listeners[channel] if hasattr(each.callback, "__self__")]
assert kirsch.engine.thread_manager in owners
assert kirsch.log not in owners and kirsch.server not in owners
default.served_by(type("Server", (), {"urls": ["http://here:1"]}))
kirsch.engine.start()
print(kirsch.server.urls)
kirsch.engine.exit()
"""


def test_the_default_log_and_server_step_back_and_the_program_stays() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("started\n['http://here:1']\n", "", 0)
