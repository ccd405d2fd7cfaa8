"""`tools.caching`: responses kept in memory and sent again, by the rules of a shared cache (RFC 9111).

What is meant for one client is never kept: responses that set a cookie, are `private`, have the nonce of a
Content-Security-Policy, or were made for somebody logged in, with a session, or by the look of a cookie. What
is kept is bounded in bytes and number; the entry not asked for the longest goes first. No thread sweeps: an
entry whose time is over goes when it is next asked for, or when its room is needed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from kirsch.http.dates import parse_date
from kirsch.http.exchange import FileBody
from kirsch.http.grammar import decimal, split_members, unquote_string
from kirsch.http.headers import Headers
from kirsch.http.status import valid_status
from kirsch.tools.etags import validate_etags
from kirsch.web.errors import HTTPError
from kirsch.web.toolbox import HandlerTool

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from kirsch.web.request import Request

__all__ = ["Cache", "Caching", "MemoryCache", "Stored"]

STORABLE: Final = frozenset({200, 203, 301, 308})
"""Status codes of responses that are kept. Of those RFC 9110 15.1 allows; errors are left out."""

_PRIORITY: Final = 90
_LAST: Final = 100
"""Behind tools that change a response: what is kept is what was sent."""

_MOST_SECONDS: Final = 2**31
"""RFC 9111 1.2.2: a number of seconds that is larger means this."""

_PASS: Final = 10.0
"""Seconds in which nobody waits for a response that turned out not to be kept."""
_MOST_MARKS: Final = 1000
"""URIs about which something is remembered beside their responses."""


class Stored(NamedTuple):
    """A response that was kept."""

    status: str
    fields: tuple[tuple[str, str], ...]
    body: bytes
    created: float
    """When it was kept, by the clock of the cache; earlier by the Age it had."""
    lifetime: float
    """Seconds from then for which it may be sent."""
    vary: tuple[str, ...]
    """Names of the request fields it was chosen by, in lower case."""


class Cache(Protocol):
    """What keeps responses. Made by `cache_class` without arguments; keys of the tool become attributes."""

    def get(self, request: Request) -> Stored | None:
        """Return a response for `request` whose time is not over, None without one.

        May wait for another thread that is making it; `release` follows then.
        """

    def put(self, request: Request, stored: Stored, size: int) -> None:
        """Keep a response of `size` bytes for requests like `request`, or not."""

    def delete(self, request: Request) -> None:
        """Forget all responses for the URI of `request`, and those that are being made."""

    def clear(self) -> None:
        """Forget all responses."""

    def release(self, request: Request) -> None:
        """Let those go on who wait for what `request` is making. Follows each `get` that returned None."""

    def now(self) -> float:
        """Return the time by the clock of the cache, in seconds."""


class _Flight:
    """A response that is being made; others wait for it."""

    __slots__ = ("key", "landed")

    def __init__(self, key: tuple[str, tuple[str | None, ...]]) -> None:
        self.key = key
        self.landed = threading.Event()


class _Miss(NamedTuple):
    """What a request notes when it found nothing."""

    began: float
    flight: _Flight | None


class _Marks:
    """When something last happened to a URI, for as many as there is room. Owned by who holds the lock."""

    def __init__(self) -> None:
        self._times: OrderedDict[str, float] = OrderedDict()
        self.floor = float("-inf")
        """The latest time that was forgotten."""

    def set(self, uri: str, when: float) -> None:
        self._times.pop(uri, None)
        self._times[uri] = when
        if len(self._times) > _MOST_MARKS:
            self.floor = max(self.floor, self._times.popitem(last=False)[1])

    def get(self, uri: str) -> float:
        return self._times.get(uri, float("-inf"))


class MemoryCache:
    """A cache in the memory of this process. Any thread may call it."""

    maxobjects: int = 1000
    """Responses that are kept."""
    maxobj_size: int = 100_000
    """Bytes of one response; a larger one is not kept."""
    maxsize: int = 10_000_000
    """Bytes of all of them."""
    antistampede_timeout: float | None = 5
    """Seconds a request waits for another that is making what it wants; None or 0 for not at all."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.now = clock
        # Guards all that follows; nothing that waits or belongs to a program is done while it is held.
        self._lock = threading.Lock()
        self._varies: dict[str, tuple[str, ...]] = {}
        self._entries: OrderedDict[tuple[str, tuple[str | None, ...]], tuple[Stored, int]] = OrderedDict()
        self._by_uri: dict[str, set[tuple[str | None, ...]]] = {}
        self._size = 0
        self._flights: dict[tuple[str, tuple[str | None, ...]], _Flight] = {}
        self._deleted = _Marks()
        self._passed = _Marks()

    def __len__(self) -> int:
        """Return how many responses are kept."""
        return len(self._entries)

    @property
    def size(self) -> int:
        """Bytes of what is kept."""
        return self._size

    @staticmethod
    def uri(request: Request) -> str:
        """Return what responses are kept under: the URL with its query."""
        head = request.head
        return f"{request.base}{head.path}?{head.query}"

    def get(self, request: Request) -> Stored | None:
        """See `Cache.get`."""
        uri = self.uri(request)
        with self._lock:
            stored = self._find(uri, request)
            if stored is not None:
                return stored
            began = self.now()
            flight = self._join(uri, request, began)
            if flight is None:
                return None
        flight.landed.wait(self.antistampede_timeout)
        with self._lock:
            # Found or not, a request waits once: what cannot be kept would else be made one by one.
            stored = self._find(uri, request)
            if stored is None:
                vars(request)["caching"] = _Miss(self.now(), None)
            return stored

    def _join(self, uri: str, request: Request, began: float) -> _Flight | None:
        """Return the flight to wait for; None for a request that is to make the response itself."""
        key = self._key(uri, request)
        flight = self._flights.get(key)
        waits = self.antistampede_timeout and request.method == "GET"
        if flight is not None and waits and self._passed.get(uri) <= began:
            return flight
        if flight is None and waits:
            flight = self._flights[key] = _Flight(key)
        else:
            flight = None
        vars(request)["caching"] = _Miss(began, flight)
        return None

    def _key(self, uri: str, request: Request) -> tuple[str, tuple[str | None, ...]]:
        get = request.headers.get
        return uri, tuple([get(name) for name in self._varies.get(uri, ())])

    def _find(self, uri: str, request: Request) -> Stored | None:
        key = self._key(uri, request)
        found = self._entries.get(key)
        if found is None:
            return None
        stored = found[0]
        if self.now() - stored.created >= stored.lifetime:
            self._remove(key)
            return None
        self._entries.move_to_end(key)
        return stored

    def put(self, request: Request, stored: Stored, size: int) -> None:
        """See `Cache.put`."""
        if size > min(self.maxobj_size, self.maxsize):
            return
        uri = self.uri(request)
        with self._lock:
            miss: _Miss | None = vars(request).get("caching")
            began = self.now() if miss is None else miss.began
            if began <= max(self._deleted.get(uri), self._deleted.floor):
                # Made of what has changed since.
                return
            if self._varies.get(uri, stored.vary) != stored.vary:
                self._drop(uri)
            self._varies[uri] = stored.vary
            key = self._key(uri, request)
            self._remove(key)
            self._varies[uri] = stored.vary
            self._entries[key] = (stored, size)
            self._by_uri.setdefault(uri, set()).add(key[1])
            self._size += size
            while self._size > self.maxsize or len(self._entries) > self.maxobjects:
                self._remove(next(iter(self._entries)))

    def _remove(self, key: tuple[str, tuple[str | None, ...]]) -> None:
        found = self._entries.pop(key, None)
        if found is None:
            return
        self._size -= found[1]
        variants = self._by_uri[key[0]]
        variants.discard(key[1])
        if not variants:
            del self._by_uri[key[0]]
            self._varies.pop(key[0], None)

    def _drop(self, uri: str) -> None:
        for variant in tuple(self._by_uri.get(uri, ())):
            self._remove((uri, variant))

    def delete(self, request: Request) -> None:
        """See `Cache.delete`."""
        uri = self.uri(request)
        with self._lock:
            self._drop(uri)
            self._deleted.set(uri, self.now())

    def clear(self) -> None:
        """See `Cache.clear`. Responses that are being made are not kept either."""
        with self._lock:
            self._entries.clear()
            self._by_uri.clear()
            self._varies.clear()
            self._size = 0
            self._deleted.floor = self.now()

    def release(self, request: Request) -> None:
        """See `Cache.release`."""
        miss: _Miss | None = vars(request).pop("caching", None)
        if miss is None or miss.flight is None:
            return
        flight = miss.flight
        with self._lock:
            self._flights.pop(flight.key, None)
            uri = flight.key[0]
            if self._key(uri, request) not in self._entries:
                self._passed.set(uri, self.now() + _PASS)
        flight.landed.set()


class Caching(HandlerTool):
    """The tool. Resources with the same settings share a cache."""

    def __init__(self) -> None:
        # Guards the making of a cache; reading the table is atomic.
        self._making = threading.Lock()
        self._caches: dict[tuple[Any, ...], Cache] = {}
        super().__init__(self.answer, priority=_PRIORITY)

    def clear(self) -> None:
        """Forget all responses of all caches."""
        for cache in tuple(self._caches.values()):
            cache.clear()

    def answer(
        self,
        request: Request,
        /,
        invalid_methods: Collection[str] = ("POST", "PUT", "DELETE", "PATCH"),
        cache_class: Callable[[], Cache] = MemoryCache,
        delay: float = 600,
        *,
        maxobjects: int = MemoryCache.maxobjects,
        maxobj_size: int = MemoryCache.maxobj_size,
        maxsize: int = MemoryCache.maxsize,
        antistampede_timeout: float | None = MemoryCache.antistampede_timeout,
        expire_freq: float | None = None,
        debug: bool = False,
    ) -> bool:
        """Answer from the cache; return whether that was done. If not, keep the response for the next time.

        Parameters:
            invalid_methods: methods that change the resource: what is kept for its URL is forgotten.
            cache_class: makes a cache; see `Cache`.
            delay: seconds a response is kept; its own Cache-Control or Expires may shorten that.
            maxobjects: responses that are kept.
            maxobj_size: bytes of one response; a larger one is not kept.
            maxsize: bytes of all of them.
            antistampede_timeout: seconds a request waits for another that is making what it wants.
            expire_freq: means nothing: nothing is swept. For programs that set it.
            debug: whether to log what was done.

        Answers GET and HEAD; keeps what answered GET. `request.cached` tells whether it was answered so,
        `request.cacheable` whether it may be kept. The request's Cache-Control counts: `no-store`,
        `no-cache`, `max-age`, `min-fresh`, and `only-if-cached`, which is HTTPError 504 where nothing is
        kept. HTTPError 400 for a number of seconds that is none.
        """
        del expire_freq
        cache = self._cache(cache_class, maxobjects, maxobj_size, maxsize, antistampede_timeout)
        request.cached = request.cacheable = False  # type: ignore[attr-defined]  # attributes programs read
        if request.method in invalid_methods:
            self._invalidate(request, cache)
            return False
        control = _asked(request)
        if (
            request.method not in {"GET", "HEAD"}
            or "no-store" in control
            or "Authorization" in request.headers
        ):
            return False
        stored = None if "no-cache" in control else cache.get(request)
        if stored is not None and _fresh_enough(stored, cache.now(), control):
            _note(request, debug, "from the cache")
            _send(request, stored, cache.now())
            return True
        if "only-if-cached" in control:
            cache.release(request)
            raise HTTPError(504, "Nothing is kept, and nothing else was asked for.")
        _note(request, debug, "not in the cache")
        self._keep_later(request, cache, delay)
        return False

    def _cache(self, cache_class: Callable[[], Cache], *limits: Any) -> Cache:
        key = (cache_class, *limits)
        cache = self._caches.get(key)
        if cache is None:
            with self._making:
                cache = self._caches.get(key)
                if cache is None:
                    cache = cache_class()
                    names = ("maxobjects", "maxobj_size", "maxsize", "antistampede_timeout")
                    for name, value in zip(names, limits, strict=True):
                        setattr(cache, name, value)
                    self._caches[key] = cache
        return cache

    @staticmethod
    def _invalidate(request: Request, cache: Cache) -> None:
        def forget(request: Any, /) -> None:
            cache.delete(request)

        # Before, so that nobody is sent what is about to change; after, for what was made meanwhile.
        cache.delete(request)
        request.hooks.attach("on_end_resource", forget, failsafe=True)

    @staticmethod
    def _keep_later(request: Request, cache: Cache, delay: float) -> None:
        def keep(request: Any, /) -> None:
            if request.method == "GET":
                _keep(request, cache, delay)

        def release(request: Any, /) -> None:
            cache.release(request)

        request.cacheable = True  # type: ignore[attr-defined]  # as above
        # Where the cache was not asked, or had what is too old for this client.
        vars(request).setdefault("caching", _Miss(cache.now(), None))
        request.hooks.attach("before_finalize", keep, priority=_LAST)
        request.hooks.attach("on_end_resource", release, failsafe=True)


def _note(request: Request, debug: bool, text: str) -> None:
    if debug:
        request.app.log(f"{request.path_info}: {text}", "TOOLS.CACHING", logging.INFO)


def _directives(field: str) -> dict[str, str]:
    """Return the directives of a Cache-Control field; names in lower case, of several the first."""
    found: dict[str, str] = {}
    for member in split_members(field):
        name, _, value = member.partition("=")
        found.setdefault(name.lower(), unquote_string(value) or value)
    return found


def _asked(request: Request) -> dict[str, str]:
    """Return what the client wants of caches. HTTPError 400 for a number of seconds that is none."""
    field = request.headers.get("Cache-Control")
    if field is None:
        # RFC 9111 5.4: only where there is no Cache-Control.
        return _directives(request.headers.get("Pragma", ""))
    control = _directives(field)
    for name in ("max-age", "min-fresh"):
        if name in control and decimal(control[name], _MOST_SECONDS) is None:
            raise HTTPError(400, f"The {name} in Cache-Control must be a number of seconds.")
    return control


def _fresh_enough(stored: Stored, now: float, control: dict[str, str]) -> bool:
    age = now - stored.created
    if "max-age" in control and age > (decimal(control["max-age"], _MOST_SECONDS) or 0):
        return False
    return "min-fresh" not in control or stored.lifetime - age >= (
        decimal(control["min-fresh"], _MOST_SECONDS) or 0
    )


def _send(request: Request, stored: Stored, now: float) -> None:
    """Make a kept response the response. Raises HTTPRedirect 304 where the client has it."""
    response = request.response
    response.status = stored.status
    response.headers = Headers.trusted(stored.fields)
    response.headers["Age"] = int(now - stored.created)
    response.body = stored.body
    request.cached = True  # type: ignore[attr-defined]  # as above
    validate_etags(request=request)


def _keep(request: Request, cache: Cache, delay: float) -> None:
    """Keep the response, if it may be."""
    if not _storable(request):
        return
    response = request.response
    headers = response.headers
    lifetime = _lifetime(headers, int(response.time), delay)
    body = response.collapse_body()
    if not body or lifetime <= 0:
        return
    age = decimal(headers.get("Age", ""), _MOST_SECONDS) or 0
    fields = tuple(pair for pair in headers.items() if pair[0].lower() != "age")
    code, phrase = valid_status(response.status or 200)
    vary = tuple(sorted({name.lower() for name in split_members(headers.get("Vary", ""))}))
    size = len(body) + sum(len(name) + len(value) + 4 for name, value in fields)
    cache.put(request, Stored(f"{code} {phrase}", fields, body, cache.now() - age, lifetime, vary), size)


def _storable(request: Request) -> bool:
    response = request.response
    headers = response.headers
    code = valid_status(response.status or 200)[0]
    if code not in STORABLE or response.stream or isinstance(response.body, FileBody):
        return False
    # Meant for one client.
    if "Set-Cookie" in headers or vars(response).get("cookies"):
        return False
    if request.login or "session" in vars(request):
        return False
    vary = headers.get("Vary", "").lower()
    if "*" in vary or ("cookies" in vars(request) and "cookie" not in vary):
        return False
    control = _directives(headers.get("Cache-Control", ""))
    if {"no-store", "no-cache", "private"} & control.keys():
        return False
    policies = ("Content-Security-Policy", "Content-Security-Policy-Report-Only")
    # A nonce that is sent twice is none.
    return not any("'nonce-" in headers.get(name, "").lower() for name in policies)


def _lifetime(headers: Headers, now: int, delay: float) -> float:
    """Return seconds for which a response may be kept: at most `delay`, less if it says so."""
    control = _directives(headers.get("Cache-Control", ""))
    for name in ("s-maxage", "max-age"):
        if name in control:
            # RFC 9111 4.2.1: what is no number of seconds is stale.
            return min(delay, decimal(control[name], _MOST_SECONDS) or 0)
    if "Expires" in headers:
        date = parse_date(headers["Expires"], now)
        return min(delay, 0 if date is None else date - now)
    return delay
