"""What a connection waits for, and how it ends: the words its parts share."""

from __future__ import annotations

__all__ = ["ASKED", "BODY", "CLOSED", "HANDLER", "HANDSHAKE", "HEAD", "IDLE", "LINGER", "WRITING"]

HANDSHAKE, IDLE, HEAD, BODY, HANDLER, WRITING, LINGER, CLOSED = range(8)
"""What a connection waits for: its TLS handshake, a request, the rest of a head, of a body, a handler, a slow
reader, the client's end after the server's. IDLE of a connection that has served nothing yet is under
`head_timeout`. Plain numbers in this order: at or past WRITING, nothing is read for the program."""

ASKED = 2
"""What `closing` is while a handler runs and the server has begun to stop. If the head of its answer was made
already, the client was told that the connection stays, and may have sent another request: it does stay."""
