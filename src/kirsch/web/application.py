"""An application: a tree of objects under one path, with its configuration.

Also a WSGI program for other servers.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from kirsch.config import ConfigError, find, load
from kirsch.http.exchange import RequestHead
from kirsch.http.urls import quote
from kirsch.web import lifecycle
from kirsch.web.context import serving
from kirsch.web.dispatch import Dispatcher, Found, Path
from kirsch.web.errors import InternalRedirect, KirschError
from kirsch.web.logging import LogManager
from kirsch.web.plan import NO_PLAN, Memory, Plan, compile_plan
from kirsch.web.request import Request
from kirsch.web.response import Response
from kirsch.web.site import Site
from kirsch.web.watched import Sections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from kirsch.config import Source
    from kirsch.http.exchange import Exchange
    from kirsch.web.dispatch import Finder

__all__ = ["Application", "RedirectLoopError"]

_MOST_PLANS = 2048
"""Plans kept in each of two generations. A program has some hundred; only objects that invent attributes
have more."""

_SPARE = "(failed)"

_OF_BODY = frozenset({"content-length", "content-type", "content-encoding", "transfer-encoding", "expect"})


class RedirectLoopError(KirschError):
    """InternalRedirects that came back to a path they had been to; the program is at fault."""


def _close_all(requests: list[Request]) -> None:
    for request in requests:
        request.close()


class _Memo:
    """What a path led to, for as long as its trace holds and the plans are those."""

    __slots__ = ("args", "is_index", "plan", "plans", "trace")

    def __init__(self, plans: Memory[Plan], plan: Plan, found: Found) -> None:
        self.plans = plans
        self.plan = plan
        self.trace = found.trace
        self.args = found.args
        self.is_index = found.is_index


class Application:
    """A tree of objects, mounted at a path.

    Parameters:
        root: the object the walk begins at; may be None while nothing is to be found.
        script_name: the path it is mounted at, `/wiki`, without a slash at its end; None takes it from the
            WSGI environ of each request.
        config: configuration by section, `{"/static": {...}}`: a dict, the name of a file or an open file.
        site: what it shares with other applications; else a site of its own.

    Any thread may call it. `merge` and changes of `config` may happen while it serves: requests see the
    configuration before or after.
    """

    request_class: type[Request] = Request
    response_class: type[Response] = Response
    relative_urls: bool | str = False
    """What `kirsch.url` does without being told: False for absolute URLs, True for relative ones,
    `"server"`."""

    def __init__(
        self,
        root: Any = None,
        script_name: str | None = "",
        config: Source | None = None,
        *,
        site: Site | None = None,
    ) -> None:
        self.site = Site() if site is None else site
        """What it shares with other applications."""
        self.root = root
        """The object the walk begins at. May be replaced."""
        self.script_name = script_name.rstrip("/") if script_name else script_name
        """The path it is mounted at."""
        self.log = self.site.log if not script_name else LogManager(script_name.strip("/").replace("/", "."))
        """Its logs."""
        self.dispatcher: Finder = Dispatcher()
        """What finds the handler where configuration names no `request.dispatch`."""
        # Guards `_seen` together with the clearing of the plans; held for that alone.
        self._renewing = threading.Lock()
        self._seen = -1
        self._plans: Memory[Plan] = Memory(_MOST_PLANS)
        self._sections: dict[str, dict[str, Any]] = {}
        self._own_dispatch = False
        self._config = Sections({}, self.renew)
        if config:
            self.merge(config)

    # --- configuration ---

    @property
    def config(self) -> Sections:
        """Configuration by section. Changing it, or a section in it, has effect from the next request on."""
        return self._config

    @config.setter
    def config(self, sections: Mapping[str, Mapping[str, Any]]) -> None:
        self._config = Sections(sections, self.renew)
        self.renew()

    def merge(self, config: Source) -> None:
        """Merge configuration over what there is: a dict of sections, the name of a file, or an open file.

        Raises ConfigError for what cannot be read, and for keys outside of any section.
        """
        loaded = load(config, allow_references=self.site.config.allow_references)
        if isinstance(config, Mapping) and loaded.general and "global" not in config:
            key = next(iter(loaded.general))
            raise ConfigError(
                "an application is configured by sections",
                hint=f"Write {{'/': {{{key!r}: ...}}}} to set it for the whole application.",
                source=loaded.source,
                key=key,
            )
        for name, section in loaded.sections.items():
            if name != "global":
                self._config.section(name).update(section)
        self.renew()

    def find_config(self, path: str, key: str, default: Any = None) -> Any:
        """Return the value of `key` for `path`: of the nearest section upwards, else the global one."""
        missing = object()
        found = find(self._config, path, key, missing)
        return self.site.config.get(key, default) if found is missing else found

    def renew(self) -> None:
        """Compile every plan anew when it is next needed.

        To be called after a change inside a `_cp_config` dict; all other changes are noticed.
        """
        with self._renewing:
            self._sections = {
                name if name == "/" else name.rstrip("/"): section
                for name, section in self._config.items()
                if name.startswith("/")
            }
            self._own_dispatch = "request.dispatch" in self.site.config or any(
                "request.dispatch" in section for section in self._sections.values()
            )
            self._plans = Memory(_MOST_PLANS)
            self._seen = self.site.config.generation

    # --- requests ---

    def find(self, request: Request) -> Plan:
        """Find what answers `request`, note it there, and return its plan.

        Raises what objects and dispatchers of the program raise.
        """
        if self._seen != self.site.config.generation:
            self.renew()
        plans = self._plans
        request.stage = "get_resource"
        path = request.path
        memo = path.memo
        if memo is not None and memo.plans is plans:
            handler = memo.trace.follow(self.root)
            if handler is not None:
                request.callable = handler
                request.args = memo.args
                request.is_index = memo.is_index
                plan: Plan | None
                request.plan = plan = memo.plan
                return plan
        dispatcher = self.dispatcher
        if self._own_dispatch:
            dispatcher = self.find_config(request.path_info, "request.dispatch") or dispatcher
        found = dispatcher.find(request, self._sections)
        request.callable = found.handler
        request.args = found.args
        request.is_index = found.is_index
        plan = plans.get(found.key)
        if plan is None:
            plan = self._compile(request, found)
            plans.put(found.key, plan)
        request.plan = plan
        if found.trace is not None:
            path.memo = _Memo(plans, plan, found)
        return plan

    def _compile(self, request: Request, found: Found) -> Plan:
        label = f"{self.script_name or ''}{found.label}" if found.label else "(not found)"
        return self._compile_for(label, found.handler, found.layers, slash=request.path.slash)

    def _compile_for(
        self,
        label: str,
        handler: Callable[..., object] | None,
        layers: Sequence[tuple[str, Mapping[str, Any]]],
        *,
        slash: bool,
    ) -> Plan:
        config: dict[str, Any] = dict(self.site.config)
        for path, layer in layers:
            config.update(layer)
            if "tools.staticdir.dir" in layer:
                config["tools.staticdir.section"] = path
        kept: Iterable[object] = (handler, *(layer for _, layer in layers))
        return compile_plan(
            label,
            handler,
            config,
            slash=slash,
            toolboxes=self.site.toolboxes,
            namespaces={**self.site.namespaces, **self.request_class.namespaces},
            kept=kept,
        )

    def spare_plan(self) -> Plan:
        """Return the plan of answers for which dispatch failed to find one: that of nothing at `/`."""
        plans = self._plans
        plan = plans.get(_SPARE)
        if plan is None:
            try:
                plan = self._compile_for("(failed)", None, [("/", self._sections.get("/", {}))], slash=True)
            except Exception:  # noqa: BLE001  what is wrong with the configuration was the failure, and is logged
                plan = NO_PLAN
            plans.put(_SPARE, plan)
        return plan

    def respond(self, exchange: Exchange, path: Path) -> Request:
        """Answer an exchange whose path is ours, and return the request that was answered."""
        listeners = self.site.listeners
        request = self.request_class(self, exchange, path)
        token = serving.set(request)
        try:
            if listeners and listeners.get("before_request"):
                self.site.bus.publish("before_request")  # type: ignore[union-attr]  # there are listeners
            try:
                lifecycle.answer(request)
            except InternalRedirect as redirect:
                request = self._redirected(request, redirect)
        finally:
            serving.reset(token)
        if exchange.after is None and listeners and listeners.get("after_request"):
            exchange.after = request.close
        return request

    def _redirected(self, request: Request, redirect: InternalRedirect) -> Request:
        """Answer the exchange of `request` by the resources of InternalRedirects, one after another."""
        exchange = request.exchange
        visited = {(request.path_info, request.query_string)}
        requests = [request]
        while True:
            request = self._successor(request, redirect)
            requests.append(request)
            token = serving.set(request)
            try:
                place = (request.path_info, request.query_string)
                if place in visited:
                    loop = RedirectLoopError(f"InternalRedirect came back to {request.path_info}")
                    lifecycle.recover(request, loop)
                    lifecycle.finish(request)
                else:
                    visited.add(place)
                    lifecycle.answer(request)
            except InternalRedirect as another:
                redirect = another
                continue
            finally:
                serving.reset(token)
            inner = request.exchange
            exchange.status, exchange.fields, exchange.content = inner.status, inner.fields, inner.content
            closing = [one for one in requests if one.exchange.after is not None]
            if closing:
                exchange.after = functools.partial(_close_all, closing)
            return request

    def _successor(self, request: Request, redirect: InternalRedirect) -> Request:
        """Return the request that `redirect` asks for in the place of `request`."""
        old = request.head
        rest = urljoin(quote(request.path_info, "/%"), quote(redirect.path, "/%"))
        path = quote(request.script_name, "/") + rest
        query = redirect.query_string
        head = RequestHead(
            "GET",
            f"{path}?{query}" if query else path,
            path,
            query,
            old.minor,
            tuple(pair for pair in old.fields if pair[0].lower() not in _OF_BODY),
            host=old.host,
            keep_alive=old.keep_alive,
        )
        outer = request.exchange
        successor = self.request_class(
            self, type(outer)(head, None, 0, outer.link), Path(request.script_name, rest)
        )
        successor.prev = request
        return successor

    def released(self, request: Request) -> None:
        """Tell the bus that a request is over. Called by `Request.close`."""
        del request
        if self.site.listeners.get("after_request"):
            self.site.bus.publish("after_request")  # type: ignore[union-attr]  # there are listeners

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer as a WSGI program (PEP 3333)."""
        from kirsch.web.wsgi import respond

        return respond(self.answer, environ, start_response, self.script_name)

    def answer(self, exchange: Exchange, path: Path) -> None:
        """Answer an exchange, as `respond` does."""
        self.respond(exchange, path)

    def __repr__(self) -> str:
        return f"<Application {type(self.root).__name__} at {self.script_name or '/'!r}>"
