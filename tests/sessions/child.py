"""A process of its own that uses one session in several threads: `python -m tests.sessions.child SETTINGS`.

SETTINGS is JSON: the settings of the tool, the session's id, the first key and how many. Each thread sends
one request, which puts a key of its own into the session and counts.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

import kirsch
from tests.sessions.helpers import Browser, Pages, gateway_of


def put(key: str) -> str:
    """Put a key into the session, and count; slowly enough for others to come between."""
    before = kirsch.session.get("n", 0)
    kirsch.session[key] = True
    kirsch.session["n"] = before + 1
    return "done"


def run(settings: dict[str, Any], session_id: str, first: int, count: int) -> list[int]:
    """Send `count` requests of one session at once; return the status codes of their answers."""
    gateway = gateway_of(Pages(put=put), **settings)
    codes: list[int] = []
    together = threading.Barrier(count)

    def one(number: int) -> None:
        browser = Browser(gateway, session_id=session_id)
        together.wait(20)
        codes.append(browser.ask(f"/put?key=k{number}").code)

    threads = [threading.Thread(target=one, args=(first + number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for store in gateway.tree.site.toolboxes["tools"].sessions.stores.values():
        store.close()
    return codes


if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    # The parent starts all its children at once by a line to each.
    print("ready", flush=True)  # noqa: T201  what the parent waits for
    sys.stdin.readline()
    print(json.dumps(run(**told)))  # noqa: T201  what the parent reads
