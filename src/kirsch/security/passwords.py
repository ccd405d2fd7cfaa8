"""Passwords: hashed so that a stolen table is of little use, checked in constant time.

Source: OWASP Password Storage Cheat Sheet. Hashes are texts in the PHC string format, which names the
function and its costs: Argon2id where argon2-cffi is installed, else scrypt of the standard library. Either
is checked whoever made it, so that a program may change from one to the other; `outdated` tells which to
make anew at the next login.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import unicodedata
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

__all__ = ["LONGEST", "Passwords", "hash_password", "verify_password"]

LONGEST: Final = 4096
"""Bytes of a password; more is refused before anything is computed."""

# The minimum of OWASP's cheat sheet of 2025 for each.
_ARGON2: Final = {"memory_cost": 19456, "time_cost": 2, "parallelism": 1}
_SCRYPT: Final = (15, 8, 3)
_SALT: Final = 16
_SIZE: Final = 32
_MOST_MEMORY: Final = 1 << 30
"""Bytes that checking a stored hash may take."""

_PHC_SCRYPT: Final = re.compile(
    r"\$scrypt\$ln=([0-9]{1,2}),r=([0-9]{1,2}),p=([0-9]{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)"
)


@dataclass(frozen=True)
class Passwords:
    """Makes and checks hashes. Any thread may use it; one hash takes some 50 ms and 20 to 32 MiB.

    Parameters:
        argon2: whether to make Argon2id hashes; None for whether argon2-cffi is installed.
        scrypt_cost: log2 of N, r and p of scrypt hashes.
        argon2_cost: `memory_cost` in KiB, `time_cost` and `parallelism`.
    """

    argon2: bool | None = None
    scrypt_cost: tuple[int, int, int] = _SCRYPT
    argon2_cost: dict[str, Any] = field(default_factory=lambda: dict(_ARGON2))

    def hash(self, password: str) -> str:
        """Return a new hash of `password`. ValueError for an empty one and for more than 4096 bytes."""
        data = _bytes(password)
        if data is None:
            raise ValueError(f"a password has 1 to {LONGEST} bytes")
        if self._argon2 is not None:
            made: str = self._argon2.hash(data)
            return made
        salt = secrets.token_bytes(_SALT)
        ln, r, p = self.scrypt_cost
        return f"$scrypt$ln={ln},r={r},p={p}${_b64(salt)}${_b64(_scrypt(data, salt, ln, r, p))}"

    def verify(self, password: str, hashed: str | None) -> bool:
        """Tell whether `hashed` is of `password`.

        Parameters:
            password: what was typed in.
            hashed: what is kept of the user; None for a user that does not exist, which takes as long, so
                that nobody learns who exists (ASVS 6.3.8).

        False for a hash of another make; RuntimeError for Argon2 without argon2-cffi.
        """
        data = _bytes(password)
        if hashed is None or data is None:
            self._check(data or b"-", self._nobody)
            return False
        return self._check(data, hashed)

    def outdated(self, hashed: str) -> bool:
        """Tell whether a hash should be made anew: of another function, or cheaper than ours."""
        if self._argon2 is not None:
            old = not hashed.startswith("$argon2id$")
            return old or bool(self._argon2.check_needs_rehash(hashed))
        match = _PHC_SCRYPT.fullmatch(hashed)
        return match is None or tuple(int(match[each]) for each in (1, 2, 3)) < self.scrypt_cost

    @cached_property
    def _argon2(self) -> Any:
        if self.argon2 is False:
            return None
        try:
            from argon2 import PasswordHasher
        except ImportError:
            if self.argon2:
                raise RuntimeError("Argon2 needs argon2-cffi: pip install 'kirsch[sign]'") from None
            return None
        return PasswordHasher(**self.argon2_cost)

    @cached_property
    def _nobody(self) -> str:
        """A hash of nothing anybody could type, with the costs of every other."""
        return self.hash(secrets.token_urlsafe(32))

    def _check(self, data: bytes, hashed: str) -> bool:
        if hashed.startswith("$argon2"):
            return _check_argon2(data, hashed)
        match = _PHC_SCRYPT.fullmatch(hashed)
        if match is None:
            return False
        ln, r, p = int(match[1]), int(match[2]), int(match[3])
        if not ln or not r or not p or 128 * r << ln > _MOST_MEMORY:
            return False
        try:
            salt, expected = _unb64(match[4]), _unb64(match[5])
        except ValueError:
            return False
        return hmac.compare_digest(_scrypt(data, salt, ln, r, p, len(expected)), expected)


def _check_argon2(data: bytes, hashed: str) -> bool:
    try:
        from argon2 import exceptions, low_level
    except ImportError:
        raise RuntimeError(
            "this hash is of Argon2, and argon2-cffi is missing: pip install 'kirsch[sign]'"
        ) from None
    try:
        return low_level.verify_secret(hashed.encode(), data, low_level.Type.ID)
    except (exceptions.VerificationError, exceptions.InvalidHashError):
        return False


def _bytes(password: str) -> bytes | None:
    """Return a password as it is hashed: however a keyboard composes its letters (SP 800-63B 3.1.1.2)."""
    if len(password) > LONGEST:
        return None
    data = unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
    return data if 0 < len(data) <= LONGEST else None


def _scrypt(data: bytes, salt: bytes, ln: int, r: int, p: int, size: int = _SIZE) -> bytes:
    # OpenSSL counts 128 r (N + p) bytes, and some for itself.
    return hashlib.scrypt(
        data, salt=salt, n=1 << ln, r=r, p=p, dklen=size, maxmem=128 * r * ((1 << ln) + p) + (1 << 20)
    )


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def _unb64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


_default = Passwords()


def hash_password(password: str) -> str:
    """Return a new hash of `password`, by `Passwords()`."""
    return _default.hash(password)


def verify_password(password: str, hashed: str | None) -> bool:
    """Tell whether `hashed`, None for nobody, is of `password`, by `Passwords()`."""
    return _default.verify(password, hashed)
