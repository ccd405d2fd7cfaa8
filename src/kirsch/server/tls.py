"""TLS by the standard library: contexts, handshakes in steps, and what the program is told.

Defaults are Mozilla's "intermediate" recommendation, version 5.7: TLS 1.2 and 1.3, forward secrecy only, no
renegotiation, no compression.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from kirsch.server.connection import Connection
from kirsch.server.errors import BindError, RequestError
from kirsch.server.phases import IDLE
from kirsch.server.poller import READ

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from kirsch.config import ServerSettings

__all__ = ["TLSConnection", "TLSSocket", "begin_handshake", "environ", "make_context", "shake_hands"]

# Mozilla Server Side TLS 5.7, "intermediate", TLS 1.2 part; those of TLS 1.3 are OpenSSL's own.
_CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305"
)

_HANDSHAKE_RECORD = 0x16
"""RFC 8446 section 5.1: ContentType handshake(22), the first byte of every TLS connection."""

_RECORD = 16384
"""RFC 8446 section 5.1: bytes of content in one record, at most."""

_PLAIN = "This port speaks HTTPS; the request came as plain HTTP. Use an https:// address."


def make_context(settings: ServerSettings) -> ssl.SSLContext | None:
    """Return the TLS context that the settings ask for, None when they ask for none.

    Raises BindError that names the file which cannot be used and says why.
    """
    if settings.tls_certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslsocket_class = TLSSocket
    context.minimum_version = (
        ssl.TLSVersion.TLSv1_3 if settings.tls_minimum == "1.3" else ssl.TLSVersion.TLSv1_2
    )
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_SINGLE_ECDH_USE
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    certificate, key = settings.tls_certificate, settings.tls_key
    for path in filter(None, (certificate, key, settings.tls_chain)):
        if not os.access(path, os.R_OK):
            raise BindError(
                f"Cannot read {path}: {'permission denied' if Path(path).exists() else 'no such file'}."
            )
    locked = False

    def password() -> str:
        nonlocal locked
        locked = True
        return _password(settings)

    try:
        context.load_cert_chain(certificate, key, password=password)
        if settings.tls_chain:
            _add_chain(context, settings.tls_chain)
    except ssl.SSLError as error:
        raise BindError(_explain(error, certificate, key, locked=locked)) from error
    except (OSError, ValueError) as error:
        # ValueError: a password longer than OpenSSL takes.
        raise BindError(f"Cannot use {certificate}: {getattr(error, 'strerror', None) or error}.") from error
    return context


def _add_chain(context: ssl.SSLContext, path: str) -> None:
    # OpenSSL completes the chain it sends from the certificates it was told of, so no client certificate is
    # trusted by this: none is asked for.
    context.load_verify_locations(path)


def _password(settings: ServerSettings) -> str:
    if settings.tls_password is None:
        # Without this OpenSSL would ask on the terminal, and a service would hang.
        raise BindError(
            f"The key {settings.tls_key or settings.tls_certificate} is encrypted: set server.tls.password."
        )
    return settings.tls_password


def _explain(error: ssl.SSLError, certificate: str, key: str | None, *, locked: bool) -> str:
    reason = error.reason or ""
    if "MISMATCH" in reason:
        return f"The key {key or certificate} does not belong to the certificate {certificate}."
    if locked:
        # What OpenSSL says of a wrong password differs from version to version.
        return f"The password given for the key {key or certificate} is wrong."
    return (
        f"Cannot use {certificate}{f' and {key}' if key else ''} for TLS: expected a certificate and its key"
        f" in PEM form ({reason or error})."
    )


class TLSSocket(ssl.SSLSocket):
    """A TLS socket whose `send` may send a part, as that of a plain socket may.

    OpenSSL, as Python sets it up, sends all or says that it would block, and then must be offered as much
    again, though a part is out. With a record at a time, what must be offered again is one record: whoever
    sends from where the last `send` ended, and no less than was left then, does.
    """

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        """Send and return the number of bytes; raises as `ssl.SSLSocket.send` does when that is none."""
        sent = 0
        with memoryview(data) as view:
            try:
                while sent < len(view):
                    with view[sent : sent + _RECORD] as record:
                        sent += super().send(record, flags)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                if not sent:
                    raise
        return sent


class TLSConnection(Connection):
    """A connection over TLS, or one of which that is not known yet; see `Connection`."""

    __slots__ = ()

    def on_event(self, event: int) -> bool:
        """See `Connection.on_event`.

        OpenSSL hands out one record at a time and no edge tells of the next, so there is no short way here:
        everything is read until nothing is left.
        """
        return self.attend(event)

    def hang_up(self) -> None:
        """See `Connection.hang_up`. Tells the peer that nothing was cut off (RFC 8446 section 6.1).

        It answers or not; nobody waits for it.
        """
        if self.lingers and isinstance(self.sock, ssl.SSLSocket):
            with contextlib.suppress(OSError, ValueError):
                self.sock.unwrap()
        super().hang_up()

    def tls_environ(self) -> dict[str, str]:
        """See `Link.tls_environ`."""
        return environ(self.sock) if isinstance(self.sock, ssl.SSLSocket) else {}


def begin_handshake(connection: Connection, context: ssl.SSLContext) -> bool:
    """Wrap the socket with its first bytes; return whether there is a step to take. Called by the leader.

    Plain HTTP is answered with a 400 that says so.
    """
    if isinstance(connection.sock, ssl.SSLSocket):
        return True
    try:
        first = connection.sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError as error:
        connection.lost(error)
        return False
    if not first:
        connection.close()
        return False
    if first[0] != _HANDSHAKE_RECORD:
        connection.scheme = "http"
        connection.refuse(RequestError(400, _PLAIN, "plain_http"))
        return False
    try:
        connection.sock = context.wrap_socket(
            connection.sock, server_side=True, do_handshake_on_connect=False
        )
    except OSError as error:
        # The client has reset the connection since.
        connection.lost(error)
        return False
    return True


def shake_hands(connection: Connection) -> None:
    """Take one step of the handshake, then give the connection back.

    Called in the pool; never waits for the client.
    """
    loop = connection.loop
    try:
        cast("ssl.SSLSocket", connection.sock).do_handshake()
    except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
        pass
    except OSError as error:
        loop.call(partial(connection.lost, error))
        return
    else:
        connection.state = IDLE
        connection.since = loop.now
        with loop.handover:
            # The first request may have come with the last of the handshake and be in OpenSSL's hands by now.
            connection.missed |= READ
    loop.call(connection.take_back)


def environ(sock: ssl.SSLSocket) -> dict[str, str]:
    """Return the TLS facts of a connection as environ keys; names as Apache's mod_ssl has them."""
    cipher = sock.cipher()
    facts = {"HTTPS": "on", "SSL_PROTOCOL": sock.version() or ""}
    if cipher is not None:
        facts["SSL_CIPHER"] = cipher[0]
        facts["SSL_CIPHER_USEKEYSIZE"] = str(cipher[2])
    return facts
