"""What the tests of this room share: exchanges without a server, and the answer in a form to compare."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple
from wsgiref.validate import validator

from kirsch.config import Config
from kirsch.http.exchange import Exchange, RequestHead
from kirsch.web import Application, Gateway, Site, Toolbox, Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kirsch.http.exchange import Address


class FakeLink:
    """A connection that goes nowhere."""

    def __init__(self, scheme: str = "http") -> None:
        self.scheme = scheme
        self.peer: Address = ("192.0.2.7", 51234)
        self.local: Address = ("127.0.0.1", 8080)
        self.derived: Any = None
        self.pushed: list[bytes] = []

    def push(self, exchange: Exchange, data: bytes) -> None:
        self.pushed.append(data)

    def tls_environ(self) -> dict[str, str]:
        return {}


class Answer(NamedTuple):
    """What came back."""

    status: str
    fields: list[tuple[str, str]]
    body: bytes
    exchange: Exchange

    @property
    def code(self) -> int:
        return int(self.status[:3])

    @property
    def text(self) -> str:
        return self.body.decode()

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.fields if key.lower() == name.lower()), None)


def make_head(
    target: str = "/",
    method: str = "GET",
    fields: Mapping[str, str] | None = None,
    *,
    length: int = 0,
    minor: int = 1,
    host: str = "example.test",
) -> RequestHead:
    path, _, query = target.partition("?")
    pairs = (("Host", host), *(fields or {}).items())
    return RequestHead(method, target, path, query, minor, pairs, host=host, length=length)


def make_exchange(
    target: str = "/",
    method: str = "GET",
    fields: Mapping[str, str] | None = None,
    body: bytes | None = None,
    **more: Any,
) -> Exchange:
    length = 0 if body is None else len(body)
    head = make_head(target, method, fields, length=length, **more)
    return Exchange(head, None if body is None else BytesIO(body), length, FakeLink())


def ask(
    served: Gateway | Tree | Application,
    target: str = "/",
    method: str = "GET",
    fields: Mapping[str, str] | None = None,
    body: bytes | None = None,
    **more: Any,
) -> Answer:
    """Ask a gateway, or a tree or application through one, and end the request as the server would."""
    if isinstance(served, Application):
        tree = Tree(served.site)
        tree.mount(served)
        served = tree
    gateway = served if isinstance(served, Gateway) else Gateway(served)
    exchange = make_exchange(target, method, fields, body, **more)
    gateway(exchange)
    content = exchange.content
    whole = content if isinstance(content, bytes) else b"".join(content)
    close = getattr(content, "close", None)
    if close is not None:
        close()
    if exchange.after is not None:
        exchange.after()
    return Answer(exchange.status, list(exchange.fields), whole, exchange)


def ask_wsgi(
    program: Callable[..., Any],
    target: str = "/",
    method: str = "GET",
    environ: Mapping[str, Any] | None = None,
    body: bytes | None = None,
    *,
    script_name: str = "",
) -> Answer:
    """Ask a WSGI program the way PEP 3333 says, with both sides watched by `wsgiref.validate`."""
    path, _, query = target.partition("?")
    full: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": script_name,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "example.test",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(body or b""),
        "wsgi.errors": _Errors(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **(environ or {}),
    }
    if body is not None:
        full.setdefault("CONTENT_LENGTH", str(len(body)))
    started: list[tuple[str, list[tuple[str, str]]]] = []
    written: list[bytes] = []

    def start_response(
        status: str, fields: list[tuple[str, str]], exc_info: object = None
    ) -> Callable[[bytes], object]:
        started.append((status, fields))
        return written.append

    iterable = validator(program)(full, start_response)
    try:
        whole = b"".join(iterable)
    finally:
        iterable.close()  # type: ignore[attr-defined]  # the validator's iterator has it
    return Answer(*started[0], b"".join(written) + whole, make_exchange())


class _Errors:
    """`wsgi.errors` with the methods `wsgiref.validate` asks for."""

    def write(self, text: str) -> None: ...
    def flush(self) -> None: ...
    def writelines(self, lines: list[str]) -> None: ...


def make_site(config: dict[str, Any] | None = None, **more: Any) -> Site:
    """Return a site without the default tools."""
    site = Site(Config(config or {}), {"tools": Toolbox("tools")}, **more)
    for name in ("tools", "request", "response", "hooks", "error_page"):
        site.config.namespaces[name] = lambda key, value: None
    return site


def app_of(root: Any, config: dict[str, Any] | None = None, **settings: Any) -> Application:
    """Return an application of a site of its own; `settings` are global, with `__` for dots."""
    flat = {name.replace("__", "."): value for name, value in settings.items()}
    return Application(root, "", config, site=make_site(flat))
