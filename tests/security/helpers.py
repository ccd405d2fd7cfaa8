"""What the tests of this room share: exchanges over links of any kind, programs to protect, real servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kirsch.config import Config
from kirsch.http.exchange import Exchange, RequestHead
from kirsch.security import install
from kirsch.server import WSGIGateway
from kirsch.web import Application, Gateway, Site, Toolbox, Tree
from tests.web.helpers import Answer, FakeLink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

PEER = "192.0.2.7"


def send(
    gateway: Any,
    target: str = "/",
    method: str = "GET",
    fields: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    *,
    scheme: str = "http",
    host: str = "example.test",
    peer: str = PEER,
    local: tuple[str, int] = ("127.0.0.1", 8080),
    body: bytes | None = None,
) -> Answer:
    """Send one request through `gateway` as the server would, and return its answer."""
    from io import BytesIO

    pairs = tuple(fields.items() if hasattr(fields, "items") else fields)
    path, _, query = target.partition("?")
    length = 0 if body is None else len(body)
    head = RequestHead(method, target, path, query, 1, (("Host", host), *pairs), host=host, length=length)
    link = FakeLink(scheme)
    link.peer = (peer, 50000)
    link.local = local
    exchange: Exchange = gateway.exchange_type(
        head, BytesIO(body) if body is not None else None, length, link
    )
    gateway(exchange)
    content = exchange.content
    whole = content if isinstance(content, bytes) else b"".join(content)
    close = getattr(content, "close", None)
    if close is not None:
        close()
    if exchange.after is not None:
        exchange.after()
    return Answer(exchange.status, list(exchange.fields), whole, exchange)


def values(answer: Answer, name: str) -> list[str]:
    """Return the value of each line called `name`."""
    return [value for key, value in answer.fields if key.lower() == name.lower()]


def wsgi(
    fields: Sequence[tuple[str, str]] = (("Content-Type", "text/plain"),),
    status: str = "200 OK",
    seen: list[dict[str, Any]] | None = None,
) -> WSGIGateway:
    """Return the gateway of a program that answers with these fields, and notes the environs it saw."""

    def program(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if seen is not None:
            seen.append(environ)
        start_response(status, list(fields))
        return [b"hello"]

    return WSGIGateway(program)


def site_of(**config: Any) -> Site:
    """Return a site with the tools of this room; `config` is global, with `__` for dots."""
    box = Toolbox("tools")
    install(box)
    flat = {name.replace("__", "."): value for name, value in config.items()}
    return Site(Config(flat), {"tools": box})


def native(root: Any, sections: dict[str, Any] | None = None, **config: Any) -> Gateway:
    """Return the gateway of an application of a site of its own."""
    tree = Tree(site_of(**config))
    tree.mount(Application(root, "", sections, site=tree.site))
    return Gateway(tree)
