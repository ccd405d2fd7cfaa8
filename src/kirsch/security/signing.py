"""Signed values: what leaves the program and comes back, in a link or a cookie, unchanged or not at all.

By itsdangerous: HMAC-SHA256, the time inside of the signature, several keys so that one can be replaced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BadSignatureError", "ExpiredSignatureError", "Signer"]

_SHORTEST: Final = 32
_LONGEST: Final = 65536
"""Characters of a signed value that are looked at."""


class BadSignatureError(ValueError):
    """A value that was not signed with our keys for this purpose. The value is not part of the message."""


class ExpiredSignatureError(BadSignatureError):
    """A value that was signed too long ago."""


class Signer:
    """Signs values for one purpose. No state but the keys; any thread may use it.

    Parameters:
        secrets: keys of 32 bytes or more, newest first: the first signs, all are accepted. ValueError for a
            shorter one.
        purpose: what the values are for, `password reset`: one signed for another purpose is refused.

    Raises RuntimeError without itsdangerous.
    """

    def __init__(self, secrets: Sequence[str | bytes] | str | bytes, purpose: str) -> None:
        keys: list[Any] = [secrets] if isinstance(secrets, (str, bytes)) else list(secrets)
        sizes = [len(one.encode() if isinstance(one, str) else one) for one in keys]
        if not keys or min(sizes) < _SHORTEST:
            raise ValueError(
                f"a secret has {_SHORTEST} bytes or more; make one with "
                "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
            )
        if not purpose:
            raise ValueError("say what the values are for, so that none of them passes for another")
        try:
            import itsdangerous
        except ImportError:
            raise RuntimeError("signing needs itsdangerous: pip install 'kirsch[sign]'") from None
        import hashlib

        self._errors = itsdangerous
        # It wants the newest last.
        self._serializer: Any = itsdangerous.URLSafeTimedSerializer(
            keys[::-1],
            salt=purpose.encode(),
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def sign(self, value: Any) -> str:
        """Return `value`, which JSON must be able to write, signed and fit for a URL. TypeError for others.

        It is not encrypted: whoever gets it can read it.
        """
        signed: str = self._serializer.dumps(value)
        return signed

    def open(self, signed: str, max_age: float) -> Any:
        """Return the value in `signed`.

        Parameters:
            signed: what `sign` returned.
            max_age: seconds since then that are accepted.

        Raises BadSignatureError, and ExpiredSignatureError where only the time is wrong.
        """
        if len(signed) > _LONGEST:
            raise BadSignatureError("the value is too long to be one of ours")
        try:
            return self._serializer.loads(signed, max_age=max_age)
        except self._errors.SignatureExpired:
            raise ExpiredSignatureError(f"the value was signed more than {max_age:g} s ago") from None
        except self._errors.BadData:
            raise BadSignatureError("the value was not signed with our keys for this purpose") from None
