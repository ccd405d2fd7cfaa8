"""Cross-origin requests (WHATWG Fetch 3.2): off, and when on for a list of origins alone (ASVS 3.4.2).

The mistakes that are known are not possible: an origin is compared whole and in its own case, none is
reflected that is not on the list, `*` never goes with credentials, `null` is nobody, and caches learn what an
answer depended on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kirsch.http.grammar import is_token
from kirsch.security.wrapping import Wrapper, finished_by, refuse
from kirsch.web.errors import HTTPError
from kirsch.web.toolbox import Tool

if TYPE_CHECKING:
    from collections.abc import Collection

    from kirsch.http.exchange import Exchange, Gateway, RequestHead
    from kirsch.web.plan import Building
    from kirsch.web.request import Request

__all__ = ["CORSGuard", "CORSRules", "CORSTool"]

_REFUSED: Final = "Pages of this origin may not send such a request."
# RFC 6454 6.2, as browsers write it: lower case, and no port that is the scheme's own.
_ORIGIN: Final = re.compile(r"([a-z][a-z0-9+.-]*)://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?")
_PORTS: Final = {"http": "80", "https": "443"}
_SIMPLE: Final = frozenset({"accept", "accept-language", "content-language", "content-type", "range"})
"""Fields that scripts may set without asking (Fetch 2.2.2); browsers ask for some of their values."""


@dataclass(frozen=True, kw_only=True)
class CORSRules:
    """Which pages of others may do what. Never changes once made.

    Parameters:
        origins: origins, `https://app.example`, or `*` alone for public data. ValueError for what is none,
            TypeError for text.
        methods: methods their scripts may use.
        headers: fields they may send beside the simple ones.
        expose: fields of answers they may read beside the simple ones.
        credentials: whether their requests carry cookies. ValueError together with `*`.
        max_age: seconds a browser remembers what it was told; Chrome keeps it two hours at most.
    """

    origins: Collection[str] = ()
    methods: Collection[str] = ("GET", "HEAD", "POST")
    headers: Collection[str] = ()
    expose: Collection[str] = ()
    credentials: bool = False
    max_age: int = 600

    def __post_init__(self) -> None:
        if isinstance(self.origins, str):
            raise TypeError("origins is a list of origins, or ['*']")
        for origin in self.origins:
            if origin != "*" and not _is_origin(origin):
                raise ValueError(
                    f"{origin!r} is no origin: write https://app.example, without a path, in lower case and "
                    "without a port that is the scheme's own"
                )
        if "*" in self.origins and (self.credentials or len(self.origins) > 1):
            raise ValueError("'*' stands alone and without credentials; list the origins that may have them")
        for name in (*self.methods, *self.headers, *self.expose):
            if not is_token(name) or name == "*":
                raise ValueError(f"{name!r} is not the name of a method or a field")

    @property
    def for_all(self) -> bool:
        """Whether every origin may read."""
        return "*" in self.origins

    def allows(self, origin: str) -> bool:
        """Tell whether pages of `origin` may read answers."""
        return self.for_all or origin in self.origins

    def fields(self, origin: str) -> list[tuple[str, str]]:
        """Return the fields of an answer to `origin`; none but Vary for one that is not on the list."""
        found = [] if self.for_all else [("Vary", "Origin")]
        if not origin or not self.allows(origin):
            return found
        found.append(("Access-Control-Allow-Origin", "*" if self.for_all else origin))
        if self.credentials:
            found.append(("Access-Control-Allow-Credentials", "true"))
        if self.expose:
            found.append(("Access-Control-Expose-Headers", ", ".join(self.expose)))
        return found

    def preflight(self, head: RequestHead) -> list[tuple[str, str]] | None:
        """Return the fields that answer a browser's question, None for one to be refused (403)."""
        origin = head.get("Origin")
        asked = head.get("Access-Control-Request-Headers").lower()
        wanted = [name for each in asked.split(",") if (name := each.strip())]
        known = {name.lower() for name in self.headers} | _SIMPLE
        if (
            not self.allows(origin)
            or head.get("Access-Control-Request-Method") not in self.methods
            or not known.issuperset(wanted)
        ):
            return None
        found = self.fields(origin)
        found.append(("Access-Control-Allow-Methods", ", ".join(self.methods)))
        if self.headers:
            found.append(("Access-Control-Allow-Headers", ", ".join(self.headers)))
        found.append(("Access-Control-Max-Age", str(self.max_age)))
        return found


def _is_origin(text: str) -> bool:
    match = _ORIGIN.fullmatch(text)
    return match is not None and match[2] != _PORTS.get(match[1])


def _asks(head: RequestHead) -> bool:
    """Whether a request is a browser's question before another one."""
    return bool(head.method == "OPTIONS" and head.get("Origin") and head.get("Access-Control-Request-Method"))


def _add(exchange: Exchange, rules: CORSRules) -> None:
    """Add the fields to an answer; a program that has set them itself knows why."""
    names = {name.lower() for name, _ in exchange.fields}
    if "access-control-allow-origin" not in names:
        exchange.fields = [*exchange.fields, *rules.fields(exchange.head.get("Origin"))]


class CORSGuard(Wrapper):
    """Lets pages of listed origins use a program, and answers their browsers' questions.

    Parameters:
        gateway: the program.
        rules: which origins may do what.
    """

    def __init__(self, gateway: Gateway, rules: CORSRules) -> None:
        super().__init__(gateway)
        self.rules = rules
        """Which origins may do what."""

    def __call__(self, exchange: Exchange) -> None:
        """Answer a question, or have the program answer."""
        if not _asks(exchange.head):
            finished_by(exchange, self._finish)
            self.gateway(exchange)
            return
        fields = self.rules.preflight(exchange.head)
        if fields is None:
            refuse(exchange, "403 Forbidden", _REFUSED, [("Vary", "Origin")])
            return
        exchange.status = "204 No Content"
        exchange.fields = fields
        if exchange.finish is not None:
            exchange.finish(exchange)

    def _finish(self, exchange: Exchange) -> None:
        _add(exchange, self.rules)


def cors(request: Request, /, **options: Any) -> None:
    """Answer a browser's question by `CORSRules(**options)`, before anything asks who the user is."""
    _answer(request, CORSRules(**options))


def _answer(request: Request, rules: CORSRules) -> None:
    if not _asks(request.head):
        return
    fields = rules.preflight(request.head)
    if fields is None:
        raise HTTPError(403, _REFUSED, headers={"Vary": "Origin"})
    for name, value in fields:
        request.response.headers[name] = value
    request.response.status = 204
    request.handler = None
    # The question comes without credentials, so nothing that wants them may run.
    request.hooks.pop("before_handler", None)


class CORSTool(Tool):
    """`tools.cors`: the arguments are those of `CORSRules`, checked when a plan is made."""

    def __init__(self) -> None:
        super().__init__("on_start_resource", cors, priority=10)

    def attach(self, building: Building, arguments: dict[str, Any]) -> None:
        """Answer questions and finish answers. TypeError for unknown arguments, ValueError for values."""
        priority = self._priority(arguments.pop("priority", None))
        rules = CORSRules(**arguments)

        def answer(request: Request, /) -> None:
            _answer(request, rules)

        def finish(request: Request) -> None:
            if not _asks(request.head):
                _add(request.exchange, rules)

        building.hooks.attach(self.point, answer, priority=priority)
        building.finishers.append(finish)
