"""`tools.auth_basic`: user name and password with every request (RFC 7617)."""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING

from kirsch.tools.auth import credentials, is_private, quoted, refuse, required
from kirsch.web.errors import HTTPError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kirsch.tools.auth import Failed
    from kirsch.web.request import Request

__all__ = ["auth_basic", "checkpassword_dict"]


def auth_basic(
    request: Request,
    /,
    realm: str = "",
    checkpassword: Callable[[str, str, str], object] | None = None,
    accept_charset: str = "utf-8",
    plain_http: bool = False,
    failed: Failed | None = None,
) -> None:
    """Let only those in who know a password, and note them in `request.login`.

    Parameters:
        realm: what the password is for, shown to the user.
        checkpassword: called with realm, user and password; true lets the user in. It should take as long for
            an unknown user as for a wrong password, as those of `checkpassword_dict` do.
        accept_charset: charset of user and password; what is not in it is read as ISO-8859-1.
        plain_http: whether to take passwords that everybody on the way could read: without TLS, from another
            machine. Else such requests are refused with 403, without a challenge.
        failed: told of each failure: request, user, reason. May raise an HTTPError of its own, such as 429.

    HTTPError 401 with a challenge, 400 for credentials that are malformed. Failures are logged, passwords
    not. Raises ValueError while `realm` or `checkpassword` is not configured.
    """
    required("auth_basic", realm=realm, checkpassword=checkpassword)
    if not plain_http and not is_private(request):
        raise HTTPError(403, "This page takes a password, and only over https.")
    # RFC 7617 2.1: UTF-8 is all that may be said of the charset.
    named = ', charset="UTF-8"' if accept_charset.lower() in {"utf-8", "utf8"} else ""
    challenge = f"Basic realm={quoted(realm)}{named}"
    token = credentials(request, "Basic")
    if token is None:
        refuse(request, challenge)
    user, password = _decoded(token, accept_charset)
    if not checkpassword(realm, user, password):  # type: ignore[misc]  # `required` says that it is there
        refuse(request, challenge, user=user, reason="wrong user or password", failed=failed)
    request.login = user


def _decoded(token: str, charset: str) -> tuple[str, str]:
    import unicodedata  # late: a megabyte of tables

    try:
        data = binascii.a2b_base64(token.encode("ascii"), strict_mode=True)
    except (ValueError, binascii.Error):
        raise HTTPError(400, "The credentials are not valid Base64.") from None
    try:
        text = data.decode(charset)
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    user, colon, password = unicodedata.normalize("NFC", text).partition(":")
    # RFC 7617 2: no control characters in either.
    if not colon or any(char < " " or "\x7f" <= char <= "\x9f" for char in text):
        raise HTTPError(400, "The credentials are not a user name, a colon and a password.")
    return user, password


def checkpassword_dict(user_password_dict: Mapping[str, str]) -> Callable[[str, str, str], bool]:
    """Return a `checkpassword` that knows the passwords in a dict.

    It takes as long for a wrong password as for an unknown user.
    """
    from hashlib import sha256
    from hmac import compare_digest
    from secrets import token_hex

    nobody = token_hex(16)

    def checkpassword(realm: str, user: str, password: str) -> bool:
        del realm
        expected = user_password_dict.get(user)
        # Hashed first, so that their lengths do not show either.
        same = compare_digest(
            sha256(password.encode()).digest(),
            sha256((nobody if expected is None else expected).encode()).digest(),
        )
        return same and expected is not None

    return checkpassword
