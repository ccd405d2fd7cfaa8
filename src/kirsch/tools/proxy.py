"""`tools.proxy`: who the client is and what it asked for, where a proxy that is trusted says so.

Forwarded (RFC 7239) and the X-Forwarded fields can be sent by anybody. They are believed when the connection
comes from a proxy on the list, and of a chain of addresses, which each proxy adds to at its end, only the
part that trusted ones have added: from the right, up to the first address that is not on the list, which is
the client. From anybody else they are removed, so that nothing behind the tool can fall for them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from kirsch.http.grammar import is_host, split_members
from kirsch.http.media import parse_params
from kirsch.web.errors import HTTPError
from kirsch.web.request import Host

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

    from kirsch.web.request import Request

    Network = IPv4Network | IPv6Network
    Address = IPv4Address | IPv6Address

__all__ = ["proxy"]

ANYBODY: Final = "*"
UNIX: Final = "unix"

_KNOWN: Final = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP")
"""Fields that are removed from requests of others; those that are configured are too."""

_MOST_HOPS: Final = 50
"""Proxies of a chain that are looked at. More than a handful is a loop or an attack."""

_PORT: Final = re.compile(r":[0-9]{1,5}\Z")


class _Trusted(NamedTuple):
    """Who is believed."""

    everybody: bool
    unix: bool
    networks: tuple[Network, ...]

    def trusts(self, text: str) -> bool:
        if self.everybody:
            return True
        if not text:
            return self.unix
        address = _address(text)
        return address is not None and any(address in network for network in self.networks)


@lru_cache(maxsize=64)
def _trusted(names: tuple[str, ...]) -> _Trusted:
    import ipaddress  # late, as below: few programs need it

    networks = []
    for name in names:
        if name not in {ANYBODY, UNIX}:
            try:
                networks.append(ipaddress.ip_network(name, strict=False))
            except ValueError:
                raise ValueError(
                    f"tools.proxy.trusted holds {name!r}; it is a list of addresses (192.0.2.1), networks "
                    "(10.0.0.0/8, fd00::/8), 'unix' for Unix sockets, or '*' for anybody"
                ) from None
    return _Trusted(ANYBODY in names, UNIX in names, tuple(networks))


def _address(text: str) -> Address | None:
    """Return the address in a member of such a field: bare, with a port, in brackets; None without one."""
    import ipaddress

    text = text.strip(' \t"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = _PORT.sub("", text)
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return address if mapped is None else mapped


class _Hop(NamedTuple):
    """What one proxy said."""

    remote: str = ""
    host: str = ""
    scheme: str = ""


def proxy(
    request: Request,
    /,
    base: str | None = None,
    local: str = "X-Forwarded-Host",
    remote: str = "X-Forwarded-For",
    scheme: str = "X-Forwarded-Proto",
    *,
    trusted: str | Sequence[str] = (),
    forwarded: bool = False,
) -> None:
    """Set `request.remote`, `request.scheme` and `request.base` to what trusted proxies say.

    Parameters:
        base: scheme and host that all URLs begin with, whatever anybody says; None for what is said.
        local: field with the host the client asked for; empty for none.
        remote: field with the addresses of the client and of the proxies; empty for none.
        scheme: field with the scheme the client used; empty for none. One with "ssl" in its name says `on`.
        trusted: addresses and networks of proxies, `unix` for whoever comes by a Unix socket, `*` for
            anybody, which lets everybody be anybody. Nobody by default.
        forwarded: whether the proxies send Forwarded (RFC 7239). The other fields are not looked at then.

    HTTPError 400 for a host or scheme that is none. Raises ValueError for an entry of `trusted` that is none.
    """
    believed = _trusted((trusted,) if isinstance(trusted, str) else tuple(trusted))
    headers = request.headers
    hops: list[_Hop] = []
    if believed.trusts(request.remote.ip):
        hops = (
            _forwarded(headers.get("Forwarded", ""))
            if forwarded
            else _x_forwarded(request, local, remote, scheme)
        )
    else:
        for name in {*_KNOWN, local, remote, scheme} - {""}:
            headers.remove(name)
    client = _believe(request, believed, hops)
    host = request.head.host or request.base.partition("://")[2]
    if client.scheme:
        request.scheme = _scheme(client.scheme)
    if client.host:
        if not is_host(client.host, empty=False):
            raise HTTPError(400, "The host that a proxy tells of is none.")
        host = client.host
    if base is not None:
        request.base = base.rstrip("/") if "://" in base else f"{request.scheme}://{base}"
    else:
        request.base = f"{request.scheme}://{host}"


def _believe(request: Request, believed: _Trusted, hops: list[_Hop]) -> _Hop:
    """Go back along the chain to the client; return what the proxy it came to said of it."""
    said = _Hop()
    for hop in reversed(hops[-_MOST_HOPS:]):
        said = _Hop(hop.remote, hop.host or said.host, hop.scheme or said.scheme)
        address = _address(hop.remote)
        if address is None:
            # It does not tell; who stands left of it is anybody's word.
            break
        request.remote = Host(str(address), 0, str(address))
        if not believed.trusts(str(address)):
            break
    return said


def _x_forwarded(request: Request, local: str, remote: str, scheme: str) -> list[_Hop]:
    """Return the hops of three fields, each of which may have fewer members than there are hops."""
    headers = request.headers
    remotes, hosts, schemes = (
        split_members(headers.get(name, "")) if name else [] for name in (remote, local, scheme)
    )
    if "ssl" in scheme.lower():
        schemes = ["https" if one.lower() == "on" else "http" for one in schemes]
    count = max(len(remotes), len(hosts), len(schemes))

    def padded(members: list[str]) -> list[str]:
        # What a proxy sets anew instead of adding to it is the word of the last one.
        return [""] * (count - len(members)) + members

    return [_Hop(*each) for each in zip(padded(remotes), padded(hosts), padded(schemes), strict=True)]


def _forwarded(field: str) -> list[_Hop]:
    hops = []
    for member in split_members(field):
        params = parse_params(member)
        hops.append(_Hop(params.get("for", ""), params.get("host", ""), params.get("proto", "")))
    return hops


def _scheme(text: str) -> str:
    found = text.lower()
    if found not in {"http", "https"}:
        raise HTTPError(400, "The scheme that a proxy tells of is neither http nor https.")
    return found
