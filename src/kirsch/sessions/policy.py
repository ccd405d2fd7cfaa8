"""What is configured for the sessions of a resource, checked once, when its plan is made."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from kirsch.config import nearest
from kirsch.sessions.ids import Signer, Verified, well_formed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kirsch.sessions.cookie import SessionCookie
    from kirsch.sessions.store import Store
    from kirsch.web.request import Request

__all__ = ["FOREIGN", "LOCKING", "Policy"]

LOCKING: Final = ("implicit", "early", "explicit", "readonly")
"""When a session is locked: when it is first used; before the body is read; when the program says so; never,
as it is only read."""

FOREIGN: Final = Verified("")
"""Stands for a cookie that holds no id of ours."""

_RENEW_SHARE: Final = 20
_RENEW_MOST_S: Final = 60.0
"""A session in use is prolonged when a twentieth of its time has passed, or a minute: for most requests the
store then has nothing new to keep and the browser no new cookie to take."""


class Policy:
    """How the sessions of a resource are kept.

    Parameters:
        store: where.
        cookie: the cookie.
        timeout: minutes a session lasts without being used.
        absolute_timeout: minutes it lasts at all, from when it began; None or 0 for any time. The default is
            30 days, as NIST SP 800-63B 4.1.3 has it for its lowest level.
        renew_after: seconds after which a session in use is prolonged, and its cookie with it; 0 for every
            request; None for a twentieth of `timeout`, at most a minute.
        locking: one of `LOCKING`.
        lock_timeout: seconds, or a timedelta, to wait for a lock; then the answer is a 503.
        lock_waiters: requests of one session that may wait at once in this process; one more is a 503 at
            once. None for any number.
        clean_freq: minutes between two looks for expired sessions; 0 for never.
        signing_keys: keys that sign the ids; see `Signer`. Empty for ids that are not signed.

    Raises ValueError for what makes no sense.
    """

    def __init__(
        self,
        store: Store,
        cookie: SessionCookie,
        *,
        timeout: float = 60,
        absolute_timeout: float | None = 43200,
        renew_after: float | None = None,
        locking: str = "implicit",
        lock_timeout: float | timedelta = 5,
        lock_waiters: int | None = None,
        clean_freq: float = 5,
        signing_keys: Sequence[str | bytes] | str | bytes = (),
    ) -> None:
        if locking not in LOCKING:
            close = nearest(str(locking), LOCKING)
            hint = f"did you mean {close!r}?" if close else f"it is one of {', '.join(LOCKING)}"
            raise ValueError(f"tools.sessions.locking = {locking!r} is no way of locking; {hint}")
        if timeout <= 0:
            raise ValueError(f"tools.sessions.timeout is in minutes and more than 0, not {timeout!r}")
        self.store = store
        self.cookie = cookie
        self.idle = timeout * 60.0
        """Seconds a session lasts without being used."""
        self.absolute = absolute_timeout * 60.0 if absolute_timeout else None
        """Seconds it lasts at all."""
        self.renew_after = (
            min(self.idle / _RENEW_SHARE, _RENEW_MOST_S) if renew_after is None else float(renew_after)
        )
        """Seconds after which a session in use is prolonged."""
        self.locking = locking
        """When it is locked."""
        self.locks = locking in {"implicit", "early"}
        """Whether it is locked without being told."""
        self.readonly = locking == "readonly"
        """Whether it may only be read."""
        self.lock_timeout = (
            lock_timeout.total_seconds() if isinstance(lock_timeout, timedelta) else float(lock_timeout)
        )
        """Seconds to wait for a lock."""
        self.lock_waiters = lock_waiters
        """Requests of one session that may wait at once."""
        self.clean_every = clean_freq * 60.0 if clean_freq > 0 else math.inf
        """Seconds between two looks for expired sessions; infinite for never."""
        keys = [signing_keys] if isinstance(signing_keys, (str, bytes)) else list(signing_keys)
        self._signer = Signer(keys) if keys else None
        # By whether the cookie is one for TLS, as that changes its name.
        self._keys = ((self, False), (self, True))

    def end(self, created: float, now: float) -> float:
        """Return when a session that began at `created` ends if it is used now and never again."""
        idle = now + self.idle
        return idle if self.absolute is None else min(idle, created + self.absolute)

    def received(self, request: Request) -> Verified | None:
        """Return the id the client sent; None if it sent none, and `FOREIGN` if that can be none of ours."""
        # The same fields say the same, however often they come on a connection.
        shared = request.exchange.head.shared
        key = self._keys[self.cookie.is_secure(request)]
        found: Verified | None
        if key in shared:
            found = shared[key]
        else:
            found = shared[key] = self._read(request)
        if found is not None and found.expires and found.expires <= self.store.clock():
            return FOREIGN
        return found

    def _read(self, request: Request) -> Verified | None:
        value = self.cookie.received(request)
        if value is None:
            return None
        if self._signer is not None:
            return self._signer.verify(value) or FOREIGN
        return Verified(value) if well_formed(value) else FOREIGN

    def write(self, session_id: str, created: float) -> str:
        """Return the value of the cookie for an id."""
        if self._signer is None:
            return session_id
        return self._signer.sign(session_id, 0 if self.absolute is None else int(created + self.absolute))

    def __repr__(self) -> str:
        names: dict[str, Any] = {"store": type(self.store).__name__, "locking": self.locking}
        return f"<Policy {names}>"
