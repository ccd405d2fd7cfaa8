"""Which hosts a program answers for (ASVS 4.1, HO1): a name that is not on the list is refused with 400.

A program that builds links from the Host field sends people wherever a client says; one on a private address
answers pages of others whose name suddenly points there (DNS rebinding). The syntax of the field is the
server's to check; which names are ours only configuration knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kirsch.http.grammar import split_host
from kirsch.security.wrapping import Wrapper, refuse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kirsch.http.exchange import Exchange, Gateway

__all__ = ["AllowedHosts", "HTTPSRedirect", "host_matches"]

_MOST: Final = 1024
"""Hosts whose answer is remembered."""
_REFUSED: Final = "This server does not answer for the host that was asked for."


def host_matches(host: str, patterns: Iterable[str]) -> bool:
    """Tell whether `host`, a name with or without port, is one of `patterns`.

    Parameters:
        host: the value of a Host field.
        patterns: `notes.example` with any port, `notes.example:8443` with that one, `.notes.example` for the
            name and all below it, `*` for every name. Case and one dot at the end do not count.
    """
    found = split_host(host)
    if found is None:
        return False
    name, port = found[0].lower().removesuffix("."), found[1]
    for pattern in patterns:
        if pattern == "*":
            return True
        wanted = split_host(pattern.removeprefix("."))
        if wanted is None:
            continue
        ours, ours_port = wanted[0].lower().removesuffix("."), wanted[1]
        if ours_port is not None and ours_port != port:
            continue
        if name == ours or (pattern.startswith(".") and name.endswith(f".{ours}")):
            return True
    return False


class AllowedHosts(Wrapper):
    """Refuses requests for hosts that are not ours, with 400.

    Parameters:
        gateway: what answers for our hosts.
        hosts: patterns; see `host_matches`. Raises ValueError for one that is no host.
        loopback: whether connections to a loopback address or a Unix socket may name any host, as while a
            program is written, and for health checks.

    A request of HTTP/1.0 without a host passes: links in its answer are made from our own address.
    """

    def __init__(self, gateway: Gateway, hosts: Iterable[str], *, loopback: bool = True) -> None:
        super().__init__(gateway)
        self.hosts = tuple(hosts)
        """The patterns."""
        self.loopback = loopback
        for host in self.hosts:
            if host != "*" and split_host(host.removeprefix(".")) in {None, ("", None)}:
                raise ValueError(
                    f"{host!r} is no host: write notes.example, notes.example:8443, .notes.example or *, "
                    "without a scheme"
                )
        # Shared by all threads: an entry lost to a race is found again.
        self._known: dict[str, bool] = {"": True}

    def allows(self, host: str) -> bool:
        """Tell whether `host` is one of ours."""
        found = self._known.get(host)
        if found is None:
            if len(self._known) >= _MOST:
                self._known = {"": True}
            found = self._known[host] = host_matches(host, self.hosts)
        return found

    def __call__(self, exchange: Exchange) -> None:
        """Answer for our hosts, refuse others."""
        known = self._known.get(exchange.head.host)
        if known or (known is None and self.allows(exchange.head.host)) or self._is_local(exchange):
            self.gateway(exchange)
        else:
            refuse(exchange, "400 Bad Request", _REFUSED)

    def _is_local(self, exchange: Exchange) -> bool:
        address, port = exchange.link.local
        return self.loopback and (not port or address.startswith("127.") or address == "::1")


class HTTPSRedirect(Wrapper):
    """Sends requests without TLS to the same place with it, with 308 (RFC 6797 7.2).

    Parameters:
        gateway: what answers requests over TLS.
        hosts: patterns of our hosts; a request for another one is a 400, as it could be sent anywhere.
        port: the port of TLS.

    Put it inside of `TrustedProxies`, if there is one, which knows of TLS that ends before us.
    """

    def __init__(self, gateway: Gateway, hosts: Iterable[str], *, port: int = 443) -> None:
        super().__init__(gateway)
        self._allowed = AllowedHosts(gateway, hosts)
        self._port = "" if port == 443 else f":{port}"  # noqa: PLR2004  RFC 9110 4.2.2

    def __call__(self, exchange: Exchange) -> None:
        """Answer over TLS, redirect without."""
        if exchange.link.scheme == "https":
            self.gateway(exchange)
            return
        head = exchange.head
        found = split_host(head.host)
        if not head.host or found is None or not self._allowed.allows(head.host):
            refuse(exchange, "400 Bad Request", _REFUSED)
            return
        path = head.path if head.path.startswith("/") else "/"
        query = f"?{head.query}" if head.query else ""
        place = f"https://{found[0]}{self._port}{path}{query}"
        refuse(exchange, "308 Permanent Redirect", "This resource is at https://.", [("Location", place)])
