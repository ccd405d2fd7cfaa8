"""`tools.auth_digest`: a password that never travels (RFC 7616).

What it guards against, and how: a nonce of our own making, signed and with an end (3.3); each use of it
counted, so that nothing can be sent twice (3.4.5, 5.4); the target of the request in the digest compared with
that of the request (3.4.6); SHA-256 unless MD5 is asked for; comparisons that take the same time whatever
they find.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NoReturn

from kirsch.http.grammar import split_members, split_target
from kirsch.http.media import parse_params
from kirsch.http.urls import decode_segments, percent_decode
from kirsch.tools.auth import credentials, quoted, refuse, required
from kirsch.web.errors import HTTPError
from kirsch.web.toolbox import Tool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kirsch.tools.auth import Failed
    from kirsch.web.request import Request

__all__ = [
    "ALGORITHMS",
    "DigestAuth",
    "Nonces",
    "digest_of",
    "get_ha1_dict",
    "get_ha1_dict_plain",
    "get_ha1_file_htdigest",
]

ALGORITHMS: Final = {"SHA-256": "sha256", "SHA-256-sess": "sha256", "MD5": "md5", "MD5-sess": "md5"}
"""Algorithms of RFC 7616 3.2 and what hashes for them."""

LIFE: Final = 600
"""Seconds a nonce can be used. As CherryPy; Apache takes 300."""

MOST_NONCES: Final = 10_000
"""Nonces whose uses are counted, some 200 bytes each. Only who knows a password makes one count."""

WINDOW: Final = 64
"""Uses of a nonce that may overtake each other: browsers send on six connections at once."""

_PRIORITY: Final = 1
_COUNT: Final = re.compile("[0-9a-fA-F]{8}")
_NEEDED: Final = ("username", "realm", "nonce", "uri", "response", "cnonce", "nc", "qop")
_STAMP, _SALT, _MAC = 8, 8, 16


class _Uses:
    """Which counts of one nonce were used: the highest, and a bit for each of those just below it."""

    __slots__ = ("highest", "issued", "seen")

    def __init__(self, issued: int) -> None:
        self.issued = issued
        self.highest = 0
        self.seen = 0

    def add(self, count: int) -> bool:
        """Note a use; tell whether it is the first with that count, as far as can be known."""
        ahead = count - self.highest
        if ahead > 0:
            self.seen = ((self.seen << min(ahead, WINDOW)) | 1) & ((1 << WINDOW) - 1)
            self.highest = count
            return True
        bit = 1 << -ahead
        if -ahead >= WINDOW or self.seen & bit:
            return False
        self.seen |= bit
        return True


class Nonces:
    """Makes nonces, knows its own again, and sees to it that each count of one is used once.

    Parameters:
        size: nonces in use that are remembered. When there are more, all that are as old as one that was
            forgotten count as used up.
        clock: returns the time in seconds since 1970.

    Any thread may call it. Nonces from before it was made are used up, since nobody counted them.
    """

    def __init__(self, size: int = MOST_NONCES, clock: Callable[[], float] = time.time) -> None:
        self._size = size
        self._clock = clock
        # Guards the table and `_floor`; nothing else is done while it is held.
        self._lock = threading.Lock()
        self._table: OrderedDict[str, _Uses] = OrderedDict()
        self._floor = self._now() - 1

    def _now(self) -> int:
        return int(self._clock() * 1_000_000)

    def issue(self, key: bytes, realm: str) -> str:
        """Return a new nonce, signed with `key` for `realm`."""
        from base64 import urlsafe_b64encode
        from secrets import token_bytes

        data = self._now().to_bytes(_STAMP, "big") + token_bytes(_SALT)
        return urlsafe_b64encode(data + _mac(key, realm, data)).decode("ascii").rstrip("=")

    def issued(self, key: bytes, realm: str, nonce: str) -> int | None:
        """Return when `nonce` was made, in microseconds since 1970; None if it is none of ours."""
        from base64 import b64decode
        from hmac import compare_digest

        try:
            data = b64decode(f"{nonce}=", altchars=b"-_", validate=True)
        except ValueError:
            return None
        signed, mac = data[:-_MAC], data[-_MAC:]
        if len(signed) != _STAMP + _SALT or not compare_digest(_mac(key, realm, signed), mac):
            return None
        return int.from_bytes(signed[:_STAMP], "big")

    def use(self, nonce: str, issued: int, count: int, life: float) -> bool:
        """Use a nonce of ours; tell whether it is young enough and `count` is new for it."""
        now = self._now()
        oldest = now - int(life * 1_000_000)
        if not oldest < issued <= now:
            return False
        with self._lock:
            uses = self._table.get(nonce)
            if uses is None:
                if issued <= self._floor:
                    return False
                while self._table and (len(self._table) >= self._size or self._first().issued <= oldest):
                    _, forgotten = self._table.popitem(last=False)
                    self._floor = max(self._floor, forgotten.issued)
                if issued <= self._floor:
                    return False
                uses = self._table[nonce] = _Uses(issued)
            return uses.add(count)

    def _first(self) -> _Uses:
        return next(iter(self._table.values()))

    def __len__(self) -> int:
        """Return how many nonces are remembered."""
        return len(self._table)


def _mac(key: bytes, realm: str, data: bytes) -> bytes:
    import hmac

    return hmac.digest(key, b"kirsch digest nonce\0" + realm.encode() + b"\0" + data, "sha256")[:_MAC]


def _hash(algorithm: str, text: str) -> str:
    import hashlib

    return hashlib.new(ALGORITHMS[algorithm], text.encode("utf-8", "surrogatepass")).hexdigest()


def digest_of(ha1: str, method: str, params: Mapping[str, str], algorithm: str = "SHA-256") -> str:
    """Return the `response` that belongs to the parameters of an Authorization field (RFC 7616 3.4.1).

    Parameters:
        ha1: hash of `user:realm:password`, in hexadecimal.
        method: method of the request.
        params: `nonce`, `nc`, `cnonce`, `qop` and `uri`.
        algorithm: one of `ALGORITHMS`.
    """
    if algorithm.endswith("-sess"):
        ha1 = _hash(algorithm, f"{ha1}:{params['nonce']}:{params['cnonce']}")
    ha2 = _hash(algorithm, f"{method}:{params['uri']}")
    whole = f"{params['nonce']}:{params['nc']}:{params['cnonce']}:{params['qop']}:{ha2}"
    return _hash(algorithm, f"{ha1}:{whole}")


class DigestAuth(Tool):
    """The tool.

    Parameters:
        nonces: what makes and counts nonces.

    One set of nonces serves all realms. Another process has its own: a client that comes to one from another
    is asked once more, without its user noticing.
    """

    def __init__(self, nonces: Nonces | None = None) -> None:
        self.nonces = Nonces() if nonces is None else nonces
        self._key = os.urandom(32)
        super().__init__("before_handler", self.authenticate, priority=_PRIORITY)

    def authenticate(
        self,
        request: Request,
        /,
        realm: str = "",
        get_ha1: Callable[[str, str], str | None] | None = None,
        key: str | bytes | None = None,
        accept_charset: str = "utf-8",
        algorithm: str = "SHA-256",
        nonce_life: float = LIFE,
        failed: Failed | None = None,
    ) -> None:
        """Let only those in who know a password, and note them in `request.login`.

        Parameters:
            realm: what the password is for, shown to the user.
            get_ha1: called with realm and user; returns the hash of `user:realm:password` by `algorithm`, in
                hexadecimal, or None for an unknown user.
            key: secret that signs nonces; None for a random one, which other processes do not know.
            accept_charset: charset of user names; what is not in it is read as ISO-8859-1.
            algorithm: `SHA-256`, `SHA-256-sess`, or `MD5` and `MD5-sess` for clients that know nothing
                better.
            nonce_life: seconds after which a client must use a new nonce; it does so by itself.
            failed: told of each failure: request, user, reason. May raise an HTTPError of its own.

        HTTPError 401 with a challenge, 400 for an Authorization field that is malformed or for another
        target. Failures are logged. Raises ValueError for an unknown algorithm, and while `realm` or
        `get_ha1` is not configured.
        """
        required("auth_digest", realm=realm, get_ha1=get_ha1)
        if algorithm not in ALGORITHMS:
            raise ValueError(
                f"tools.auth_digest.algorithm is one of {', '.join(ALGORITHMS)}, not {algorithm!r}"
            )
        secret = self._key if not key else key.encode() if isinstance(key, str) else key

        def ask(user: str = "", reason: str = "", *, stale: bool = False) -> NoReturn:
            challenge = self._challenge(secret, realm, algorithm, accept_charset, stale=stale)
            refuse(request, challenge, user=user, reason=reason, failed=None if stale else failed)

        token = credentials(request, "Digest")
        if token is None:
            ask()
        params = _parsed(token)
        user = _decoded(params["username"], accept_charset)
        _check(request, params, algorithm)
        if _decoded(params["realm"], "utf-8") != realm:
            ask(user, "another realm")
        if not _right(request, get_ha1(realm, user), params, algorithm):  # type: ignore[misc]  # `required` says that it is there
            ask(user, "wrong user or password")
        if not self._fresh(request, secret, realm, params, nonce_life):
            # The password is right, so the client may be told that only the nonce is not.
            ask(user, "the nonce is used up, or another process's", stale=True)
        request.login = user

    def _fresh(
        self, request: Request, key: bytes, realm: str, params: Mapping[str, str], life: float
    ) -> bool:
        """Use the nonce and its count; once for a request and those of its InternalRedirects."""
        used: set[tuple[str, str]] = vars(_outer(request)).setdefault("digest_nonces", set())
        use = params["nonce"], params["nc"]
        if use in used:
            return True
        issued = self.nonces.issued(key, realm, params["nonce"])
        if issued is None or not self.nonces.use(params["nonce"], issued, int(params["nc"], 16), life):
            return False
        used.add(use)
        return True

    def _challenge(self, key: bytes, realm: str, algorithm: str, charset: str, *, stale: bool) -> str:
        # RFC 7616 3.3: UTF-8 is all that may be said of the charset.
        named = ", charset=UTF-8" if charset.lower() in {"utf-8", "utf8"} else ""
        return (
            f"Digest realm={quoted(realm)}, "
            f'nonce="{self.nonces.issue(key, realm)}", algorithm={algorithm}, qop="auth"'
            f"{named}{', stale=true' if stale else ''}"
        )


def _parsed(token: str) -> dict[str, str]:
    params = parse_params(";".join(split_members(token)))
    missing = [name for name in _NEEDED if not params.get(name)]
    if missing:
        raise HTTPError(400, f"The Authorization field lacks {', '.join(missing)}.")
    if params["qop"].lower() != "auth" or _COUNT.fullmatch(params["nc"]) is None or not int(params["nc"], 16):
        raise HTTPError(400, "The Authorization field has a qop other than auth, or no valid nc.")
    return params


def _decoded(name: str, charset: str) -> str:
    try:
        return name.encode("latin-1").decode(charset)
    except UnicodeError:
        # Of an extended parameter, or in ISO-8859-1.
        return name


def _outer(request: Request) -> Request:
    """Return the request the client sent."""
    while request.prev is not None:
        request = request.prev
    return request


def _check(request: Request, params: Mapping[str, str], algorithm: str) -> None:
    """Raise HTTPError 400 for credentials that are not for this request."""
    # RFC 7616 3.4: without one it is MD5.
    if params.get("algorithm", "MD5").lower() != algorithm.lower():
        raise HTTPError(400, f"The algorithm must be {algorithm}.")
    head = _outer(request).head
    target = split_target(head.method, params["uri"])
    # Compared as what they mean: a server on the way may have written the escapes otherwise.
    if target is None or (decode_segments(target.path), percent_decode(target.query)) != (
        decode_segments(head.path),
        percent_decode(head.query),
    ):
        raise HTTPError(400, "The credentials are for another target.")


def _right(request: Request, ha1: str | None, params: Mapping[str, str], algorithm: str) -> bool:
    from hmac import compare_digest

    # An unknown user costs the same.
    expected = digest_of(ha1 or _hash(algorithm, ""), _outer(request).head.method, params, algorithm)
    same = compare_digest(expected.encode(), params["response"].lower().encode())
    return same and ha1 is not None


def get_ha1_dict_plain(
    user_password_dict: Mapping[str, str], algorithm: str = "SHA-256"
) -> Callable[[str, str], str | None]:
    """Return a `get_ha1` for passwords in a dict."""

    def get_ha1(realm: str, username: str) -> str | None:
        password = user_password_dict.get(username)
        return None if password is None else _hash(algorithm, f"{username}:{realm}:{password}")

    return get_ha1


def get_ha1_dict(user_ha1_dict: Mapping[str, str]) -> Callable[[str, str], str | None]:
    """Return a `get_ha1` for hashes in a dict, made with the realm and algorithm they are used with."""

    def get_ha1(realm: str, username: str) -> str | None:
        del realm
        return user_ha1_dict.get(username)

    return get_ha1


def get_ha1_file_htdigest(filename: str | os.PathLike[str]) -> Callable[[str, str], str | None]:
    """Return a `get_ha1` for a file with lines `user:realm:hash`, as Apache's htdigest writes them (in MD5).

    The file is read for every request, so changes count at once. Raises OSError, when called, for one that
    cannot be read.
    """

    def get_ha1(realm: str, username: str) -> str | None:
        with open(filename, encoding="utf-8") as file:  # noqa: PTH123  pathlib is not loaded for this alone
            for line in file:
                user, _, rest = line.rstrip("\r\n").partition(":")
                # A realm may hold a colon.
                of, _, ha1 = rest.rpartition(":")
                if user == username and of == realm:
                    return ha1
        return None

    return get_ha1
