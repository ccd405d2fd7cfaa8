"""Rate limits: so many requests in so long, per address, per user, per page, in the memory of one process.

The generic cell rate algorithm (ITU-T I.371): one number for each key, the time at which it would have used
up nothing. It forgets by itself, allows bursts, and cannot be outwitted at the edge of a window.
"""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kirsch.security.wrapping import Wrapper, finished_by, refuse
from kirsch.web.errors import HTTPError
from kirsch.web.toolbox import Tool

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from kirsch.http.exchange import Exchange, Gateway
    from kirsch.web.plan import Building
    from kirsch.web.request import Request

__all__ = ["Decision", "RateLimitGuard", "RateLimitTool", "RateLimiter", "address_key"]

_REFUSED: Final = "Too many requests. Wait, then try again."


class Decision(NamedTuple):
    """What a limiter says of one request."""

    allowed: bool
    remaining: int
    """Requests that would be allowed now."""
    reset: int
    """Seconds until the whole burst is there again, rounded up."""
    retry_after: int
    """Seconds until one more is allowed, rounded up; 0 if that is now."""


class RateLimiter:
    """Counts requests by key.

    Parameters:
        limit: requests in `period`.
        period: seconds.
        burst: requests that may come at once; `limit` if None.
        most: keys that are remembered. When there are more, those are forgotten first that have used up
            nothing, then those that were not heard of longest.
        clock: returns seconds, monotonic.

    Any thread may call it. A lock guards the keys; it is held for some dictionary operations.
    """

    def __init__(
        self,
        limit: int,
        period: float = 60.0,
        burst: int | None = None,
        *,
        most: int = 100_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if limit < 1 or period <= 0 or (burst is not None and burst < 1) or most < 1:
            raise ValueError("a rate limit is at least 1 request, in more than 0 seconds, with a burst of 1")
        self.limit = limit
        self.period = period
        self.burst = limit if burst is None else burst
        self._interval = period / limit
        self._capacity = self._interval * self.burst
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._until: dict[Hashable, float] = {}

    def hit(self, key: Hashable, cost: int = 1) -> Decision:
        """Count a request of `key`, worth `cost`, if it is allowed, and say whether it is."""
        now = self._clock()
        with self._lock:
            until = max(self._until.get(key, now), now)
            after = until + cost * self._interval
            allowed = after - now <= self._capacity + 1e-9
            if allowed:
                # To the end of the dict: what is there longest without a request is forgotten first.
                if self._until.pop(key, None) is None and len(self._until) >= self._most:
                    self._forget(now)
                self._until[key] = until = after
        left = self._capacity - (until - now)
        return Decision(
            allowed,
            max(0, int(left / self._interval + 1e-9)),
            math.ceil(until - now),
            0 if allowed else max(1, math.ceil(after - now - self._capacity)),
        )

    def forgive(self, key: Hashable) -> None:
        """Forget what `key` has used up, as after a login that succeeded."""
        with self._lock:
            self._until.pop(key, None)

    def _forget(self, now: float) -> None:
        """Make room; the lock is held. Goes through all keys, which happens once in many: a tenth goes."""
        kept = {key: until for key, until in self._until.items() if until > now}
        room = max(1, self._most // 10)
        excess = len(kept) - (self._most - room)
        for key in list(kept)[: max(0, excess)]:
            del kept[key]
        self._until = kept

    def __len__(self) -> int:
        return len(self._until)

    def policy(self, name: str) -> str:
        """Return what RateLimit-Policy says (draft-ietf-httpapi-ratelimit-headers-10)."""
        return f'"{name}";q={self.burst};w={math.ceil(self._capacity)}'


def address_key(address: str) -> str:
    """Return what one client cannot change at will: an IPv4 address, the /64 of an IPv6 one (RFC 6177)."""
    import ipaddress  # late: only programs with limits need it

    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address or "local"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.IPv6Address(int(parsed) >> 64 << 64)) + "/64"
    return str(parsed)


def _fields(name: str, limiter: RateLimiter, decision: Decision) -> list[tuple[str, str]]:
    fields = [
        ("RateLimit-Policy", limiter.policy(name)),
        ("RateLimit", f'"{name}";r={decision.remaining};t={decision.reset}'),
    ]
    if not decision.allowed:
        fields.append(("Retry-After", str(decision.retry_after)))
    return fields


class RateLimitGuard(Wrapper):
    """Limits the requests of each address to any program; more are a 429 (RFC 6585 4).

    Parameters:
        gateway: the program.
        limiter: the limit.
        name: what the fields call it.
        tell: whether answers tell what is left, in RateLimit fields; refusals always do.

    Put it inside of `TrustedProxies`, if there is one, which knows the client's address.
    """

    def __init__(
        self, gateway: Gateway, limiter: RateLimiter, *, name: str = "default", tell: bool = True
    ) -> None:
        super().__init__(gateway)
        self.limiter = limiter
        """The limit."""
        self._name = name
        self._tell = tell

    def __call__(self, exchange: Exchange) -> None:
        """Have the program answer as many as may come."""
        decision = self.limiter.hit(address_key(exchange.link.peer[0]))
        if not decision.allowed:
            refuse(exchange, "429 Too Many Requests", _REFUSED, _fields(self._name, self.limiter, decision))
            return
        if self._tell:
            fields = _fields(self._name, self.limiter, decision)

            def finish(exchange: Exchange) -> None:
                exchange.fields = [*exchange.fields, *fields]

            finished_by(exchange, finish)
        self.gateway(exchange)


def ratelimit(
    request: Request,
    /,
    limit: int = 60,
    period: float = 60.0,
    burst: int | None = None,
    by: str | Callable[[Request], Hashable] = "address",
    name: str = "default",
    tell: bool = True,
) -> None:
    """Refuse requests beyond a limit with 429 and Retry-After.

    Parameters:
        limit: requests in `period`.
        period: seconds.
        burst: requests that may come at once; `limit` if None.
        by: whose requests are counted together: those of an `address`, of a `login` (of an address where
            nobody is logged in), of all; or what a callable returns for a request. They are counted over all
            pages with the same name and limit.
        name: what the fields call it; pages with other names are counted apart.
        tell: whether answers tell what is left.
    """
    _apply(request, _limiter(name, limit, period, burst), by, name, tell=tell)


_limiters: dict[Any, RateLimiter] = {}
"""Limiters of the tool by name and limit: pages with the same share one. As many as a configuration names."""


def _limiter(name: str, limit: int, period: float, burst: int | None) -> RateLimiter:
    key = (name, limit, period, burst)
    found = _limiters.get(key)
    # `setdefault`, as two threads may come here at once, and both must count in one.
    return _limiters.setdefault(key, RateLimiter(limit, period, burst)) if found is None else found


def _key(request: Request, by: str | Callable[[Request], Hashable]) -> Hashable:
    if callable(by):
        return by(request)
    if by == "all":
        return ""
    if by == "login" and request.login:
        return ("login", request.login)
    return address_key(request.remote.ip)


def _apply(
    request: Request, limiter: RateLimiter, by: str | Callable[[Request], Hashable], name: str, *, tell: bool
) -> None:
    decision = limiter.hit(_key(request, by))
    fields = dict(_fields(name, limiter, decision))
    if not decision.allowed:
        raise HTTPError(429, _REFUSED, headers=fields)
    if tell:
        request.response.headers.update(fields)


class RateLimitTool(Tool):
    """`tools.ratelimit`: by address before anything else is done, by login once it is known who that is."""

    def __init__(self) -> None:
        super().__init__("on_start_resource", ratelimit, priority=5)

    def attach(self, building: Building, arguments: dict[str, Any]) -> None:
        """Attach the hook. TypeError for unknown arguments, ValueError for values."""
        priority = arguments.pop("priority", None)
        self._check(arguments)
        by = arguments.get("by", "address")
        if not callable(by) and by not in {"address", "login", "all"}:
            raise ValueError(f"a rate is counted by address, login or all, or by a callable, not {by!r}")
        RateLimiter(arguments.get("limit", 60), arguments.get("period", 60.0), arguments.get("burst"))
        point = self.point if by in {"address", "all"} else "before_handler"
        building.hooks.attach(point, ratelimit, priority=self._priority(priority), **arguments)
