"""What can go wrong with sessions.

NoSessionError          `kirsch.session` was used where tools.sessions is off; also an AttributeError
SessionError            a program used a session as it may not be used
  UnstorableError       a value the serialiser does not keep; names where it stands
LockTimeoutError        another request holds the session for too long: 503 (Service Unavailable)
StoreUnavailableError   the store cannot be reached: 503
"""

from __future__ import annotations

from kirsch.web.errors import HTTPError, KirschError, NoRequestError

__all__ = ["LockTimeoutError", "NoSessionError", "SessionError", "StoreUnavailableError", "UnstorableError"]

_RETRY_S = "1"
"""Seconds a client is asked to wait: what holds a session or hides a store is mostly over soon."""


class NoSessionError(NoRequestError):
    """`kirsch.session` was used where there is none.

    An AttributeError too, so that `hasattr(kirsch.session, name)` is False there.
    """


class SessionError(KirschError):
    """A program used a session as it may not be used."""


class UnstorableError(SessionError, TypeError):
    """A value that the serialiser does not keep.

    Parameters:
        problem: what is wrong with it.

    `where` holds the keys and positions that lead to it, outermost first.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.where: list[object] = []

    def __str__(self) -> str:
        place = "".join(f"[{key!r}]" for key in self.where)
        return f"session{place}: {self.problem}"


class LockTimeoutError(HTTPError):
    """The lock of a session was not free in time (RFC 9110 15.6.4).

    Parameters:
        problem: what is known about it; for the log, not for the client.
    """

    def __init__(self, problem: str = "") -> None:
        super().__init__(
            503,
            "Another request of the same session is still being answered. Please try again.",
            headers={"Retry-After": _RETRY_S},
        )
        self.problem = problem
        """What is known about it."""


class StoreUnavailableError(HTTPError):
    """The store of the sessions cannot be reached (RFC 9110 15.6.4).

    What happened is logged, and its cause.
    """

    def __init__(self) -> None:
        super().__init__(
            503, "Sessions are not available just now. Please try again.", headers={"Retry-After": _RETRY_S}
        )
