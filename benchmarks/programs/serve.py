"""Start a server that has no command line of its own, or none that reaches the settings needed.

    python serve.py SERVER MODULE:ATTR PORT

Each is given what serves it best under this load: ten threads where it has threads, no limit on kept-alive
connections, no log line per request.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable
from typing import Any

App = Callable[..., Any]


def serve_bjoern(app: App, port: int) -> None:
    import bjoern

    bjoern.run(app, "127.0.0.1", port)


def serve_fastwsgi(app: App, port: int) -> None:
    import fastwsgi

    fastwsgi.run(app, "127.0.0.1", port, loglevel=0)


def serve_cheroot(app: App, port: int) -> None:
    from cheroot import wsgi

    server = wsgi.Server(("127.0.0.1", port), app, numthreads=10, timeout=75, request_queue_size=1024)
    server.keep_alive_conn_limit = None
    server.safe_start()


def serve_waitress(app: App, port: int) -> None:
    import waitress

    # With more connections than threads it would write a warning for every request.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    waitress.serve(
        app,
        host="127.0.0.1",
        port=port,
        threads=10,
        connection_limit=60_000,
        channel_timeout=600,
        asyncore_use_poll=True,
        backlog=1024,
    )


SERVERS = {
    "bjoern": serve_bjoern,
    "cheroot": serve_cheroot,
    "fastwsgi": serve_fastwsgi,
    "waitress": serve_waitress,
}

if __name__ == "__main__":
    name, target, port_text = sys.argv[1:]
    module, _, attribute = target.partition(":")
    # The interpreter puts this file's folder first on the path, which is where the programs lie.
    SERVERS[name](getattr(importlib.import_module(module), attribute), int(port_text))
