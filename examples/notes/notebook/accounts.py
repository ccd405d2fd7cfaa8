"""Who is there: passwords, the signed cookie of a visit, and the tokens that prove a form is ours."""

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from typing import NamedTuple

COOKIE = "notebook"
LIFE = 7 * 24 * 3600
"""Seconds a visit lasts."""

# scrypt with 16 MiB and about 0.2 s a try, as OWASP recommends (N=2^14, r=8, p=5).
COST = {"n": 1 << 14, "r": 8, "p": 5, "maxmem": 1 << 26}
TRIES, PAUSE = 5, 60
"""Wrong passwords for one name that are looked at within so many seconds."""


def hash_password(password):
    """Return what is kept of a password."""
    salt = secrets.token_bytes(16)
    return f"scrypt${salt.hex()}${hashlib.scrypt(password.encode(), salt=salt, **COST).hex()}"


_NOBODY = f"scrypt${'00' * 16}${'00' * 64}"


def check_password(kept, password):
    """Say whether `password` is the one that was kept. Takes as long for a user who does not exist (None)."""
    _, salt, expected = (kept or _NOBODY).split("$")
    found = hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), **COST)
    return hmac.compare_digest(found, bytes.fromhex(expected)) and kept is not None


class Throttle:
    """Counts wrong passwords by name, so that nobody can try them all. Every thread may use it."""

    def __init__(self, clock=time.monotonic):
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = {}

    def wait(self, name):
        """Return the seconds until the next try, 0 if it may be made now."""
        with self._lock:
            recent = self._recent(name)
            return 0 if len(recent) < TRIES else max(1, int(recent[0] + PAUSE - self._clock()) + 1)

    def failed(self, name):
        with self._lock:
            if len(self._failures) > 10_000:  # noqa: PLR2004  invented names shall not fill the memory
                self._failures.clear()
            self._failures[name] = [*self._recent(name), self._clock()][-TRIES:]

    def _recent(self, name):
        since = self._clock() - PAUSE
        return [when for when in self._failures.get(name, ()) if when > since]


class Visit(NamedTuple):
    """A visit, as the cookie tells it."""

    id: str
    user: str
    """Empty for somebody who has not logged in."""
    since: float


class Visits:
    """Makes and reads the cookies. They are signed, not encrypted: the browser may see what is in them."""

    def __init__(self, key, clock=time.time):
        self._key = key
        self._clock = clock

    def begin(self, user=""):
        """Return a new visit."""
        return Visit(secrets.token_urlsafe(18), user, int(self._clock()))

    def seal(self, visit):
        """Return the value of the cookie."""
        body = base64.urlsafe_b64encode(json.dumps(visit).encode()).decode().rstrip("=")
        return f"{body}.{self._sign('visit', body)}"

    def open(self, value):
        """Return the visit a cookie tells of; None if it is not ours or too old."""
        body, _, signature = (value or "").partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign("visit", body).encode()):
            return None
        visit = Visit(*json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))
        return visit if 0 <= self._clock() - visit.since < LIFE else None

    def token(self, visit):
        """Return what the forms of a visit carry."""
        return self._sign("form", visit.id)

    def is_token(self, visit, token):
        return visit is not None and hmac.compare_digest(self.token(visit).encode(), token.encode())

    def _sign(self, purpose, text):
        return hmac.new(self._key, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()
