"""Errors of the server, by blame.

- ServerError
    - RequestError      the client's fault: carries the status that answers it; the connection is closed
    - ClientGone        nobody's fault: the client left, or read nothing for too long; a ConnectionError
    - ApplicationError  the program broke the contract of PEP 3333 or of `Exchange`
    - BindError         the operator's fault: an address or a certificate that cannot be used
"""

from __future__ import annotations

__all__ = ["ApplicationError", "BindError", "ClientGone", "RequestError", "ServerError"]


class ServerError(Exception):
    """The root of the server's own errors."""


class RequestError(ServerError):
    """A request that must be refused (RFC 9110 section 15.5, 9112 section 2.2).

    Parameters:
        status: the status code of the answer.
        text: one sentence for the client. Fixed text only: nothing of the request is ever repeated in it.
        reason: the short name that metrics and logs count it under.
    """

    def __init__(self, status: int, text: str, reason: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.status}: {self.text}"


class ClientGone(ServerError, ConnectionError):  # noqa: N818  an event, not a fault
    """The client closed the connection, or read nothing for longer than `server.write_timeout`."""


class ApplicationError(ServerError):
    """The program under the server returned or called something that PEP 3333 does not allow."""


class BindError(ServerError):
    """An address that cannot be listened on, or a certificate that cannot be used.

    The message names it, the cause and what to try.
    """
