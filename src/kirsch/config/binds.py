"""Where to listen, as text: `host:port`, `[v6]:port`, `unix:/path`, `unix:@name`, `fd:3`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from kirsch.config.errors import ConfigError, shown

__all__ = ["Bind", "parse_bind"]

_PORT = re.compile(r"[0-9]{1,5}\Z")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_.])?\Z")
_DESCRIPTOR = re.compile(r"[0-9]{1,6}\Z")
_LAST_PORT = 65535
_HINT = 'Write "127.0.0.1:8080", "[::1]:8080", "unix:/run/app.sock" or "fd:3".'


@dataclass(frozen=True, slots=True)
class Bind:
    """One place to listen on.

    Parameters:
        kind: `tcp`, `unix` or `fd`.
        host: address or host name, without brackets; empty unless `tcp`.
        port: TCP port, 0 for one the system chooses; 0 unless `tcp`.
        path: path of the Unix socket; `@name` stands for an abstract one (Linux); empty unless `unix`.
        descriptor: number of the inherited listening socket; -1 unless `fd`.
    """

    kind: Literal["tcp", "unix", "fd"]
    host: str = ""
    port: int = 0
    path: str = ""
    descriptor: int = -1

    def __str__(self) -> str:
        if self.kind == "unix":
            return f"unix:{self.path}"
        if self.kind == "fd":
            return f"fd:{self.descriptor}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_bind(text: str) -> Bind:
    """Return the place that `text` names; raises ConfigError with an example when it names none."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path.removeprefix("@") or "\0" in path:
            raise ConfigError(f"the address {shown(text)} has no path after unix:", hint=_HINT)
        return Bind("unix", path=path)
    if text.startswith("fd:"):
        number = text.removeprefix("fd:")
        if not _DESCRIPTOR.match(number):
            raise ConfigError(f"the address {shown(text)} has no descriptor number after fd:", hint=_HINT)
        return Bind("fd", descriptor=int(number))
    return _parse_tcp(text)


def _parse_tcp(text: str) -> Bind:
    host, colon, port = text.rpartition(":")
    if not colon or not _PORT.match(port) or int(port) > _LAST_PORT:
        raise ConfigError(
            f"the address {shown(text)} must end in a colon and a port from 0 to 65535", hint=_HINT
        )
    if not host:
        # Empty for "all interfaces" is how servers get exposed by accident.
        hint = f'Write "127.0.0.1:{port}" for this machine alone, "0.0.0.0:{port}" for everybody.'
        raise ConfigError(f"the address {shown(text)} has no host", hint=hint)
    if host.startswith("[") and host.endswith("]"):
        import ipaddress  # most programs never bind to an IPv6 address

        literal = host[1:-1]
        try:
            ipaddress.IPv6Address(literal)
        except ValueError:
            raise ConfigError(
                f"the address {shown(text)} has no IPv6 address in its brackets", hint=_HINT
            ) from None
        return Bind("tcp", host=literal, port=int(port))
    if ":" in host:
        raise ConfigError(f"the IPv6 address in {shown(text)} needs brackets", hint=_HINT)
    if not _HOST.match(host):
        raise ConfigError(f"the address {shown(text)} has no valid host", hint=_HINT)
    return Bind("tcp", host=host, port=int(port))
