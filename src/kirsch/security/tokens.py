"""Tokens bound to a session: a random part, and a MAC of it and the session id (OWASP CSRF Cheat Sheet)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SessionTokens"]

_RANDOM: Final = 18
"""Bytes: 144 bits, 24 characters."""
_MAC: Final = 32
_SHORTEST: Final = 32
"""Bytes of a secret; the length of the MAC (RFC 2104 3)."""
_LENGTH: Final = 24 + 43


class SessionTokens:
    """Makes and checks tokens. No state but the keys; any thread may use it.

    Parameters:
        secrets: keys of 32 bytes or more, newest first: the first signs, all are accepted. None for a random
            one, which other processes do not know. ValueError for a shorter one.
    """

    _known: dict[Any, SessionTokens] = {}  # noqa: RUF012  a memory of a pure function; lost entries are made again

    def __init__(self, secrets: Sequence[str | bytes] | str | bytes | None = None) -> None:
        if secrets is None:
            import secrets as random  # late, as hmac: programs without tokens never need them

            keys = [random.token_bytes(_SHORTEST)]
        else:
            several = [secrets] if isinstance(secrets, (str, bytes)) else list(secrets)
            keys = [one.encode() if isinstance(one, str) else one for one in several]
        if not keys or min(map(len, keys)) < _SHORTEST:
            raise ValueError(
                f"a secret has {_SHORTEST} bytes or more; make one with "
                "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
            )
        self._keys = keys

    @classmethod
    def of(cls, secrets: Sequence[str | bytes] | str | bytes) -> SessionTokens:
        """Return the same object for the same keys."""
        key = secrets if isinstance(secrets, (str, bytes)) else tuple(secrets)
        found = cls._known.get(key)
        if found is None:
            if len(cls._known) >= 16:  # noqa: PLR2004  a process has one, and some while a key changes
                cls._known.clear()
            found = cls._known[key] = cls(secrets)
        return found

    def make(self, session: str) -> str:
        """Return a new token for a session id, which may be empty."""
        import secrets

        random = secrets.token_urlsafe(_RANDOM)
        return random + _mac(self._keys[0], session, random)

    def check(self, token: str, session: str) -> bool:
        """Tell whether `token` was made for `session`, in constant time."""
        import hmac

        if len(token) != _LENGTH or not token.isascii():
            return False
        random, mac = token[:24], token[24:]
        # All keys are tried: which one fits takes no other time.
        fits = [hmac.compare_digest(mac, _mac(key, session, random)) for key in self._keys]
        return any(fits)

    def __repr__(self) -> str:
        # The keys stay out: reprs end in logs.
        return f"<SessionTokens, {len(self._keys)} keys>"


def _mac(key: bytes, session: str, random: str) -> str:
    import hmac

    # The length first, so that no other session and random part make the same text.
    text = f"{len(session)}!{session}!{random}".encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(hmac.digest(key, text, "sha256")).decode().rstrip("=")
