"""What the tests of this room share: a clock, a site with sessions, a browser that keeps cookies."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from kirsch.http.exchange import Exchange
from kirsch.sessions import install
from kirsch.web import Application, Gateway, Tree
from tests.web.helpers import Answer, FakeLink, make_head, make_site

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kirsch.sessions import Lock, Session


class Clock:
    """A clock that is moved by hand. Begins now, as stores of others expire by theirs."""

    def __init__(self) -> None:
        self.now = float(int(time.time()))

    def __call__(self) -> float:
        return self.now

    def move(self, *, minutes: float = 0, seconds: float = 0) -> None:
        self.now += minutes * 60 + seconds


def is_locked(session: Session) -> bool:
    """Return whether a session is locked; a call, as type checkers take attributes for unchanging."""
    return session.locked


def is_held(lock: Lock) -> bool:
    """Return whether a lock is held."""
    return lock.held


class Pages:
    """A root whose pages are functions."""

    def __init__(self, **pages: Callable[..., Any]) -> None:
        for name, page in pages.items():
            page.exposed = True  # type: ignore[attr-defined]
            setattr(self, name, page)


def gateway_of(root: object, config: dict[str, Any] | None = None, /, **settings: Any) -> Gateway:
    """Return a gateway to a program with sessions on; `settings` are keys of the tool."""
    values = {f"tools.sessions.{name}": value for name, value in settings.items()}
    site = make_site({"tools.sessions.on": True, **values, **(config or {})})
    install(site.toolboxes["tools"])
    tree = Tree(site)
    tree.mount(Application(root, "", None, site=site))
    return Gateway(tree)


class Browser:
    """Asks a gateway and keeps the cookies it is given."""

    def __init__(
        self, gateway: Gateway, scheme: str = "http", peer: str = "127.0.0.1", **cookies: str
    ) -> None:
        self.gateway = gateway
        self.link = FakeLink(scheme)
        self.link.peer = (peer, 51234)
        self.cookies: dict[str, str] = dict(cookies)
        self.lines: list[str] = []

    def ask(self, target: str = "/", fields: Mapping[str, str] | None = None) -> Answer:
        sent = dict(fields or {})
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        exchange = Exchange(make_head(target, "GET", sent), None, 0, self.link)
        self.gateway(exchange)
        content = exchange.content
        try:
            whole = content if isinstance(content, bytes) else b"".join(content)
        finally:
            close = getattr(content, "close", None)
            if close is not None:
                close()
            if exchange.after is not None:
                exchange.after()
        self.lines = [value for name, value in exchange.fields if name == "Set-Cookie"]
        for line in self.lines:
            self._take(line)
        return Answer(exchange.status, list(exchange.fields), whole, exchange)

    def text(self, target: str = "/") -> str:
        answer = self.ask(target)
        assert answer.code == 200, answer
        return answer.text

    def _take(self, line: str) -> None:
        pair, *attributes = line.split("; ")
        name, _, value = pair.partition("=")
        if "Max-Age=0" in attributes:
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value

    @property
    def id(self) -> str:
        """The id as the cookie has it."""
        (value,) = self.cookies.values()
        return value

    @property
    def attributes(self) -> set[str]:
        """The attributes of the one cookie that came with the last answer."""
        (line,) = self.lines
        return set(line.split("; ")[1:])
