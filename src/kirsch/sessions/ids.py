"""Session ids: made, recognised, and signed where a program wants that.

An id is 256 random bits and means nothing (OWASP session management, ASVS 7.2.3). A signed id is
`ID.EXPIRES.MAC`: the time the session ends at the latest, in seconds since 1970 or 0, is inside the MAC, so a
cookie that was altered or is too old is refused before any store is asked.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Signer", "Verified", "new_id", "well_formed"]

_BYTES: Final = 32
_FEWEST_KEY_BYTES: Final = 32
"""Bytes of a signing key; RFC 2104 3 and NIST SP 800-107 want no less than the hash has, which is 32."""
_PURPOSE: Final = b"kirsch.session.id\0"
"""Inside every MAC, so that what another part of a program signs with the same key is no session."""

# 22 characters are 128 bits in base64url. The upper end only keeps foreign text from going further.
_ID: Final = re.compile(r"[0-9A-Za-z_-]{22,128}")
_SIGNED: Final = re.compile(r"([0-9A-Za-z_-]{22,128})\.([0-9]{1,12})\.([0-9A-Za-z_-]{43})")


def new_id() -> str:
    """Return a new id: 43 characters, 256 bits of the operating system's generator."""
    import secrets  # late: it loads `random` and `hmac`, which only programs with sessions need

    return secrets.token_urlsafe(_BYTES)


def well_formed(text: str) -> bool:
    """Tell whether `text` could be an id."""
    return _ID.fullmatch(text) is not None


class Verified(NamedTuple):
    """What a signed id turned out to be."""

    id: str
    """The id."""
    current: bool = True
    """Whether the newest key has signed it; otherwise it should be signed anew."""
    expires: int = 0
    """When it ends at the latest, in seconds since 1970; 0 for no such time."""


class Signer:
    """Signs ids with HMAC-SHA256 (RFC 2104).

    Parameters:
        keys: secrets of at least 32 bytes each, text or bytes. The first one signs, all of them verify: put a
            new one in front and take the old one out when its sessions have ended.

    Raises ValueError for a key that is too short, and when there is none.
    """

    def __init__(self, keys: Sequence[str | bytes]) -> None:
        self._keys = [key.encode() if isinstance(key, str) else bytes(key) for key in keys]
        if not self._keys:
            raise ValueError("there is no signing key; give a list of one or more, the newest first")
        for place, key in enumerate(self._keys, 1):
            if len(key) < _FEWEST_KEY_BYTES:
                raise ValueError(
                    f"signing key {place} has {len(key)} bytes and needs {_FEWEST_KEY_BYTES} or more; "
                    "`python -c 'import secrets; print(secrets.token_hex(32))'` makes one"
                )

    def sign(self, session_id: str, expires: int) -> str:
        """Return the signed id.

        Parameters:
            session_id: the id.
            expires: when the session ends at the latest, in seconds since 1970; 0 for no such time.
        """
        text = f"{session_id}.{expires}"
        return f"{text}.{self._mac(self._keys[0], text)}"

    def verify(self, value: str) -> Verified | None:
        """Return what `value` is the signed form of, expired or not; None if it is none."""
        import hmac

        match = _SIGNED.fullmatch(value)
        if match is None:
            return None
        session_id, expires, mac = match.groups()
        text = f"{session_id}.{expires}"
        # Every key is tried, so that the time taken does not tell which one fits.
        fits = [hmac.compare_digest(self._mac(key, text), mac) for key in self._keys]
        return Verified(session_id, fits[0], int(expires)) if any(fits) else None

    @staticmethod
    def _mac(key: bytes, text: str) -> str:
        import hmac
        from base64 import urlsafe_b64encode

        digest = hmac.digest(key, _PURPOSE + text.encode("ascii"), "sha256")
        return urlsafe_b64encode(digest).decode("ascii").rstrip("=")

    def __repr__(self) -> str:
        # Without the keys: reprs end in logs.
        return f"<Signer with {len(self._keys)} keys>"
