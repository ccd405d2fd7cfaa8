"""The object hello on CherryPy, as its own server serves it in production: python hello_cherrypy.py PORT."""

from __future__ import annotations

import sys

import cherrypy
from cheroot.server import HTTPServer


class Root:
    @cherrypy.expose
    def index(self, n: str = "") -> str:  # noqa: ARG002  the varied load sends a parameter
        return "Hello, world!"


if __name__ == "__main__":
    # Cheroot keeps ten idle connections by default; the load has thirty-two and should not pay for new ones.
    HTTPServer.keep_alive_conn_limit = None
    cherrypy.config.update(
        {
            "environment": "production",
            "log.screen": False,
            "server.socket_host": "127.0.0.1",
            "server.socket_port": int(sys.argv[1]),
            "server.thread_pool": 10,
        },
    )
    cherrypy.quickstart(Root())
