"""The HTTP/1.1 server: listeners, one leader, a pool, TLS, and the gateway to WSGI programs.

Knows nothing of the framework: it serves any `kirsch.http.exchange.Gateway`.
"""

from kirsch.server.errors import ApplicationError, BindError, ClientGone, RequestError, ServerError
from kirsch.server.pool import BusThreads, ThreadHooks
from kirsch.server.server import Server
from kirsch.server.wsgi import WSGIGateway

__all__ = [
    "ApplicationError",
    "BindError",
    "BusThreads",
    "ClientGone",
    "RequestError",
    "Server",
    "ServerError",
    "ThreadHooks",
    "WSGIGateway",
]
