"""What sessions do at the points of a request.

before_request_body   the request gets its session; with early locking it is locked (60)
before_finalize       it is stored, given back, and its cookie and fields are put into the response
on_end_resource       it is given back, if something failed before
on_end_request        it is stored, if the body went out while it was made
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from kirsch.http.exchange import FileBody
from kirsch.http.headers import Headers
from kirsch.sessions.session import Session
from kirsch.web.errors import InternalRedirect
from kirsch.web.hooks import Hook

if TYPE_CHECKING:
    from kirsch.sessions.policy import Policy
    from kirsch.web.hooks import Hooks
    from kirsch.web.request import Request
    from kirsch.web.response import Response

__all__ = ["attach", "begin", "session_of"]

_LOCK: Final = 60
_ANSWERED: Final = 90
"""After tools that compress (80), whose bodies are still made then; before autovary (95) reads the fields."""
_CLOSE: Final = 90

_READY: Final = frozenset({bytes, str, type(None), list, tuple, FileBody})
"""Bodies that are made. All others may still use the session while they are, but for files."""


def attach(hooks: Hooks, policy: Policy, priority: float) -> None:
    """Add the hooks of a resource whose sessions are kept by `policy`.

    Parameters:
        hooks: the hooks of its plan.
        policy: how its sessions are kept.
        priority: when a request gets its session, at before_request_body.
    """
    hooks.add("before_request_body", _Begin(policy, priority))
    if policy.locking == "early":
        hooks.add("before_request_body", Hook(_lock, priority=_LOCK))
    hooks.add("before_finalize", _Answered())
    hooks.add("on_end_resource", _Ended())


def begin(request: Request, policy: Policy) -> None:
    """Give `request` its session, as `request.session`. Nothing is loaded."""
    heir = None if request.prev is None else session_of(request.prev)
    # No attribute of the class, as only some requests have one; and never through `__dict__`, which makes
    # every later access to an attribute of the request slower in CPython.
    setattr(request, "session", Session(policy, policy.received(request), heir))  # noqa: B010  as above


def session_of(request: Request) -> Session | None:
    """Return the session of `request`, None if it has none (yet)."""
    return getattr(request, "session", None)


# The hooks are classes of their own because they run for every request of the resource: one call each, and
# room for what is made once.


class _Begin(Hook):
    """Gives the request its session."""

    __slots__ = ("_policy",)

    def __init__(self, policy: Policy, priority: float) -> None:
        super().__init__(begin, priority=priority, policy=policy)
        self._policy = policy

    def __call__(self, request: Any) -> None:
        begin(request, self._policy)


class _Answered(Hook):
    """Stores the session before the head goes out, and puts its cookie and its fields into the response."""

    __slots__ = ("_fields", "_private")

    def __init__(self) -> None:
        super().__init__(Session.answered, failsafe=True, priority=_ANSWERED)
        # The fields a response of the resource begins with, and those with `_PRIVATE`: made once, as nearly
        # every response that uses its session has just these. Written by any thread, always alike.
        self._fields: list[tuple[str, str]] | None = None
        self._private: list[tuple[str, str]] = []

    def __call__(self, request: Any) -> None:
        session = session_of(request)
        if session is None:
            return  # failed before it began
        response = request.response
        body = response.body
        streams = False
        if body.__class__ not in _READY and hasattr(body, "__iter__") and not hasattr(body, "read"):
            streams = response.stream
            if streams:
                request.hooks.attach("on_end_request", _end_of_stream, failsafe=True, priority=_CLOSE)
            else:
                # Made now, while it can still use the session, and not when the response is finalized.
                response.collapse_body()
        session.answered(request, streams=streams)
        if session.used:
            self._mark(request, response)

    def _mark(self, request: Request, response: Response) -> None:
        """Tell every cache on the way that the answer is for one person."""
        headers = response.headers
        fields = headers.items()
        if fields == self._fields:
            response.headers = Headers.trusted(self._private)
            return
        response.headers = _private(headers)
        if len(fields) == len(request.plan.fields) and fields == list(request.plan.fields):
            self._private = response.headers.items()
            self._fields = fields


def _private(headers: Headers) -> Headers:
    """Return `headers` with the fields of an answer for one person, where the program has not said other.

    RFC 9111 5.2.2.7 and RFC 9110 12.5.5.
    """
    headers = headers.copy()
    headers.setdefault("Cache-Control", "private")
    varies = headers.setdefault("Vary", "Cookie")
    if "*" not in varies and "cookie" not in {name.strip().lower() for name in varies.split(",")}:
        headers["Vary"] = f"{varies}, Cookie"
    return headers


def _lock(request: Request, /) -> None:
    session = session_of(request)
    if session is not None:
        session.acquire_lock()


class _Ended(Hook):
    """Ends what the session has to do with the request, unless the body is still to be made."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(Session.close, failsafe=True, priority=_CLOSE)

    def __call__(self, request: Any) -> None:
        session = session_of(request)
        if session is not None and not session.streams:
            # Runs while an unexpected error is on its way; then what was changed is dropped.
            error = sys.exception() if session.loaded else None
            session.close(save=error is None or isinstance(error, InternalRedirect))


def _end_of_stream(request: Request, /) -> None:
    session = session_of(request)
    if session is not None:
        session.close(save=True)
