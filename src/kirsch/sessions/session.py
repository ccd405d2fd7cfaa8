"""A session: what a program keeps for one browser from request to request.

Nothing happens until it is used. Then it is locked (unless the program locks it itself), loaded, and when the
response is made it is stored and the lock given back. What happens to a session in between:

    save, release_lock      stored, given back and forgotten: used again, it is locked and loaded again
    without a lock          stored by merging: under the lock, for a moment, the keys that were changed are
                            put into what is there by then
    regenerate              the old id ends at once, for everybody; the contents go on under a new one
    delete                  it ends; used again, it is a new one
    ended by somebody else  it stays ended: nothing is stored under its id again
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, Final

from kirsch.sessions.errors import LockTimeoutError, SessionError
from kirsch.sessions.ids import new_id
from kirsch.sessions.policy import FOREIGN
from kirsch.sessions.store import Record

if TYPE_CHECKING:
    from kirsch.http.cookies import SetCookie
    from kirsch.sessions.ids import Verified
    from kirsch.sessions.locks import Lock
    from kirsch.sessions.policy import Policy
    from kirsch.sessions.store import Store
    from kirsch.web.request import Request

__all__ = ["Session"]

_READ_ONLY: Final = (
    "this resource only reads its session; take tools.sessions.locking = 'readonly' off to change it"
)
_TOO_LATE: Final = (
    "the head of the response is out, and with it the chance to give the browser a cookie for a new session; "
    "read kirsch.session.id before the response begins to stream"
)
_OVER: Final = "the request is over, and what is put into its session now would be lost"


class Session(MutableMapping[Any, Any]):
    """The session of one request: a dictionary with an id. Owned by the thread that answers the request.

    Parameters:
        policy: how sessions are kept here.
        sent: the id the client sent; see `Policy.received`.
        heir: the session of the request this one was redirected from inside the program; its id counts as
            sent.

    A session is always true; `len(session)` says whether it holds anything.
    """

    # Class attributes are what most requests never set: a session is made for each of them, used or not.
    loaded = False
    """Whether its contents are here."""
    missing = False
    """Whether the client sent an id that no session has; known once it was used. It gets a new one, never
    that."""
    regenerated = False
    """Whether it has got a new id in this request."""
    used = False
    """Whether the response depends on it."""
    streams = False
    """Whether the head of the response is out while its body is still being made."""

    originalid: str | None = None
    """The id the client sent; None for none, or for text that can be no id of ours."""

    _id: str | None = None
    # Whether the store has, or had in this request, a session of that id.
    _known = False
    _lock: Lock | None = None
    # As it was loaded; None for a session the store does not know yet.
    _record: Record | None = None
    _since: float | None = None
    _user: str | None = None
    # Whether it is stored though it is empty: somebody knows its id.
    _wanted = False
    # What goes to the browser with the response: "set", "gone", or nothing.
    _cookie = ""
    # Whether the id came in a form that should be replaced.
    _stale = False
    # Why it may not be changed; empty if it may.
    _frozen = ""

    def __init__(self, policy: Policy, sent: Verified | None, heir: Session | None = None) -> None:
        self._policy = policy
        self._data: dict[Any, Any] = {}
        if policy.readonly:
            self._frozen = _READ_ONLY
        if heir is not None and heir.used:
            self.originalid = heir.originalid
            self._id = heir._id  # noqa: SLF001  another one of this class
            self._since = heir._since  # noqa: SLF001  as above
            self._stale = heir._stale  # noqa: SLF001  as above
            self._cookie = heir._cookie  # noqa: SLF001  as above
            self.used = bool(self._cookie)
        elif sent is FOREIGN:
            self.missing = True
        elif sent is not None:
            self.originalid = self._id = sent.id
            if not sent.current:
                self._stale = True

    # --- a dictionary ---

    def __getitem__(self, key: Any) -> Any:
        if not self.loaded:
            self.load()
        return self._data[key]

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the value of `key`, or `default`."""
        if not self.loaded:
            self.load()
        return self._data.get(key, default)

    def __setitem__(self, key: Any, value: Any) -> None:
        if not self.loaded:
            self.load()
        if self._frozen:
            raise SessionError(self._frozen)
        self._data[key] = value

    def __delitem__(self, key: Any) -> None:
        if not self.loaded:
            self.load()
        if self._frozen:
            raise SessionError(self._frozen)
        del self._data[key]

    def __contains__(self, key: object) -> bool:
        if not self.loaded:
            self.load()
        return key in self._data

    def __iter__(self) -> Iterator[Any]:
        if not self.loaded:
            self.load()
        return iter(self._data)

    def __len__(self) -> int:
        if not self.loaded:
            self.load()
        return len(self._data)

    def __bool__(self) -> bool:
        return True

    def clear(self) -> None:
        """Remove everything from it; the id stays."""
        self._writable()
        self._data.clear()

    def _writable(self) -> None:
        if not self.loaded:
            self.load()
        if self._frozen:
            raise SessionError(self._frozen)

    # --- identity ---

    @property
    def id(self) -> str:
        """Its id. Whoever reads it wants it to last: it is stored even if it stays empty."""
        if not (self.loaded or self._known):
            self.load()
        if self._id is None:
            self._id = new_id()
        if self.loaded and self._record is None and not self._frozen:
            self._wanted = True
        return self._id

    @property
    def user(self) -> str | None:
        """Whose it is, as the program says; `store.delete_user` ends all sessions of one user."""
        if not self.loaded:
            self.load()
        return self._user

    @user.setter
    def user(self, user: str | None) -> None:
        self._writable()
        self._user = user
        self._wanted = True

    @property
    def created(self) -> float:
        """When it began, in seconds since 1970; now for a new one. A new id does not make it younger."""
        if self._since is None and not self.loaded:
            self.load()
        return self._policy.store.clock() if self._since is None else self._since

    @property
    def store(self) -> Store:
        """Where it is kept."""
        return self._policy.store

    def regenerate(self) -> None:
        """Give it a new id and end the old one at once, for every request; keep what is in it.

        To be called whenever somebody logs in, or gets or loses rights (ASVS 7.2.4): an id that was planted
        or seen before is then worth nothing. The cookie keeps all its attributes.
        """
        self._writable()
        if self._record is not None and self._id is not None and not self._policy.store.delete(self._id):
            # Somebody has ended it since it was loaded; its contents must not live on under another id.
            self._begin()
        self._give_back()
        self._record = None
        self._id = None
        self._known = False
        self._wanted = True
        self.regenerated = True

    def delete(self) -> None:
        """End it: remove it from the store and have the browser forget its cookie. Used again, it is new.

        Needs no lock: whoever is using it now cannot store it again.
        """
        if self._frozen:
            raise SessionError(self._frozen)
        if self._id is not None:
            self._policy.store.delete(self._id)
        self.used = True
        self._begin()
        self._cookie = "gone"

    def expire(self) -> None:
        """Have the browser forget its cookie. The session stays in the store until its time is over."""
        self.used = True
        self._cookie = "gone"

    # --- store and lock ---

    @property
    def locked(self) -> bool:
        """Whether this request holds its lock."""
        return self._lock is not None and self._lock.held

    def acquire_lock(self) -> None:
        """Lock it, unless it is locked: until it is saved, no other request that locks can use it.

        What was loaded before is stored first, and loaded again when it is used: it may be out of date.

        Raises LockTimeoutError, which is a 503 with Retry-After.
        """
        if self.locked or self._policy.readonly or self._frozen:
            return
        if self.loaded:
            if self._record is None:
                return  # nobody else knows of it
            self.save()
        self._take()

    def _take(self) -> None:
        # One that has expired must not keep this request from its own successor.
        self._give_back()
        if self._id is not None:
            policy = self._policy
            self._lock = policy.store.lock(self._id, policy.lock_timeout, policy.lock_waiters)

    def _give_back(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    def release_lock(self) -> None:
        """Store it and give its lock back, so that other requests go on; used again, it is locked again."""
        self.save()
        self._give_back()

    def load(self) -> None:
        """Load it from the store, dropping what was changed since. Using it does that by itself.

        Raises LockTimeoutError when it is to be locked and is not free in time.
        """
        policy = self._policy
        self.used = True
        if self._id is None:
            self._begin()
            return
        lock = self._lock
        if policy.locks and (lock is None or not lock.held) and not (self.streams or self._frozen):
            if lock is not None:
                self._give_back()
            self._lock = policy.store.lock(self._id, policy.lock_timeout, policy.lock_waiters)
        store = policy.store
        record = store.load(self._id)
        if record is not None and policy.absolute is not None:
            latest = record.created + policy.absolute
            # Only a record kept under a more generous policy expires later than it may last.
            if record.expires > latest and latest <= store.clock():
                store.delete(self._id)
                record = None
        if record is None:
            # An id nobody gave out, or of a session that is over. Adopting it would let whoever planted it in
            # the browser know the id of what is to come (CWE-384).
            self.missing = True
            self._begin()
            return
        self._known = True
        self._record = record
        self._data = dict(record.data)
        self._user = record.user
        self._since = record.created
        self.loaded = True

    def _begin(self) -> None:
        """Become a new session, without an id until one is needed."""
        self._give_back()
        self._record = None
        self._id = None
        self._known = False
        self._data = {}
        self._user = None
        self._since = None
        self._stale = False
        self._wanted = False
        self.loaded = True
        if self.streams:
            self._frozen = self._frozen or _TOO_LATE

    def save(self) -> None:
        """Store it, give its lock back and forget its contents: used again, it is locked and loaded again.

        Nothing is stored if it was not used, if it is new and empty, or if somebody has ended it meanwhile.
        """
        if not self.loaded:
            return
        record = self._record
        try:
            if record is None:
                self._save_new()
            else:
                self._save_known(record)
        finally:
            self.loaded = False
            self._record = None
            lock = self._lock
            if lock is not None:
                self._lock = None
                lock.release()

    def _save_new(self) -> None:
        if self._frozen or not (self._data or self._wanted):
            return
        policy = self._policy
        store = policy.store
        now = store.clock()
        created = now if self._since is None else self._since
        if self._id is None:
            self._id = new_id()
        store.save(self._id, Record(self._data, policy.end(created, now), created, self._user))
        self._known = True
        self._since = created
        self._cookie = "set"
        self._wanted = False
        if now >= store.tidy_at:
            store.tidy(policy.clean_every)

    def _save_known(self, record: Record) -> None:
        policy = self._policy
        store = policy.store
        now = store.clock()
        expires = policy.end(record.created, now)
        due = expires - record.expires >= policy.renew_after
        if not due:
            expires = record.expires
        lock = self._lock
        if lock is not None and lock.held:
            there = store.save(
                self._id or "", Record(self._data, expires, record.created, self._user), record
            )
        else:
            self._give_back()
            there = self._merge(record, expires)
        if (due or self._stale) and there:
            self._renewed(due=due)
        if now >= store.tidy_at:
            store.tidy(policy.clean_every)

    def _renewed(self, *, due: bool) -> None:
        """Have the browser keep the cookie as long as the store keeps the session."""
        policy = self._policy
        if self._stale or (due and (policy.cookie.persistent or not policy.renew_after)):
            self._cookie = self._cookie or "set"

    def _merge(self, record: Record, expires: float) -> bool:
        """Put what was changed into what the store has by now. Return whether it has anything."""
        policy = self._policy
        store = policy.store
        before = {} if policy.readonly else store.original(record)
        data = before if policy.readonly else self._data
        changed = {
            key: value
            for key, value in data.items()
            if key not in before or (before[key] is not value and before[key] != value)
        }
        removed = before.keys() - data.keys()
        if not changed and not removed and self._user == record.user:
            return expires == record.expires or self._prolong(expires)
        session_id = self._id or ""
        lock = store.lock(session_id, policy.lock_timeout, policy.lock_waiters)
        try:
            current = store.load(session_id)
            if current is None:
                return False
            kept = {key: value for key, value in current.data.items() if key not in removed}
            user = current.user if self._user == record.user else self._user
            fresh = Record({**kept, **changed}, max(expires, current.expires), current.created, user)
            return store.save(session_id, fresh, current)
        finally:
            lock.release()

    def _prolong(self, expires: float) -> bool:
        """Let it expire later, if nobody is using it just now: they will do the same."""
        store = self._policy.store
        session_id = self._id or ""
        try:
            lock = store.lock(session_id, 0)
        except LockTimeoutError:
            return False
        try:
            current = store.load(session_id)
            if current is None or current.expires >= expires:
                return False
            return store.save(session_id, current._replace(expires=expires, raw=b""), current)
        finally:
            lock.release()

    # --- the request ---

    def answered(self, request: Request, *, streams: bool) -> None:
        """Store it and put its cookie into the response, which is about to go out.

        Parameters:
            request: the request. Not kept: the two would hold each other until the garbage collector came.
            streams: whether the body is made while it goes out, and may use the session still. It is not
                locked then, as that may take hours.
        """
        self.save()
        self.streams = streams
        if not self._cookie:
            return
        policy = self._policy
        response = request.response
        if self._cookie == "set" and self._id is not None:
            now = policy.store.clock()
            created = now if self._since is None else self._since
            value = policy.write(self._id, created)
            cookie: SetCookie = policy.cookie.make(request, value, policy.end(created, now) - now, now)
            response.cookies[cookie.name] = cookie
        else:
            cookie = policy.cookie.gone(request)
            response.cookies[cookie.name] = cookie

    def close(self, *, save: bool) -> None:
        """End its part in the request: give its lock back, and store it first or drop what was changed.

        It can be read afterwards, as error pages do, but not changed.
        """
        try:
            if save:
                self.save()
        finally:
            if self._lock is not None:
                self._give_back()
            self._frozen = self._frozen or _OVER

    def __repr__(self) -> str:
        # Neither id nor contents: reprs end in logs.
        state = "loaded" if self.loaded else "not loaded"
        return f"<Session {state}{', locked' if self.locked else ''}>"
