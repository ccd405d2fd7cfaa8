"""What proxies say of a client: believed of those on a list, ignored and removed of everybody else (HO1).

Sources: RFC 7239 (Forwarded); X-Forwarded-For, -Proto and -Host are conventions of older proxies. One of the
two is believed, not both: a proxy that sets one passes the other on as the client wrote it.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from kirsch.http.exchange import RequestHead
from kirsch.http.grammar import TOKEN, is_host, split_members, unquote_string
from kirsch.security.wrapping import Wrapper

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kirsch.http.exchange import Address, Exchange, Gateway, Link

__all__ = ["Hop", "TrustedProxies", "parse_forwarded"]

_SPOKEN: Final = frozenset(
    {
        *("forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"),
        *("x-forwarded-prefix", "x-forwarded-server", "x-forwarded-ssl", "x-forwarded-by", "x-real-ip"),
        *("x-forwarded-scheme", "x-forwarded-protocol", "x-url-scheme", "x-scheme", "front-end-https"),
    }
)
"""Fields by which proxies speak of clients. Programs read some of them whoever wrote them."""

_MOST: Final = 50
"""Hops looked at; chains of real proxies have two or three."""
_SCHEMES: Final = frozenset({"http", "https"})

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Hop(NamedTuple):
    """What one proxy said of the side it got a request from; empty where it said nothing."""

    peer: str
    """Address without port and brackets; `unknown` or `_name` as RFC 7239 6.2 and 6.3 have it."""
    scheme: str = ""
    host: str = ""


def parse_forwarded(field: str) -> list[Hop] | None:
    """Return the hops of a Forwarded field, nearest proxy last; None when it does not follow RFC 7239 4."""
    hops: list[Hop] = []
    for member in split_members(field)[-_MOST:]:
        pairs: dict[str, str] = {}
        for part in split_members(member, ";"):
            name, equals, value = part.partition("=")
            if value.startswith('"'):
                plain = unquote_string(value)
            else:
                plain = value if TOKEN.fullmatch(value) else None
            if not equals or TOKEN.fullmatch(name) is None or plain is None or name.lower() in pairs:
                return None
            pairs[name.lower()] = plain
        scheme, host = pairs.get("proto", "").lower(), pairs.get("host", "")
        if (scheme and scheme not in _SCHEMES) or not is_host(host):
            return None
        hops.append(Hop(_address(pairs.get("for", "")), scheme, host))
    return hops


def _address(text: str) -> str:
    """Return an address without port and brackets; text that is none stays, for its end of the chain."""
    text = text.strip()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class TrustedProxies(Wrapper):
    """Gives a program the address, scheme and host of the client behind its proxies.

    Parameters:
        gateway: what answers.
        peers: addresses and networks of our proxies, `10.0.0.0/8`, `::1`; `unix` for Unix sockets. Empty:
            nobody is believed. ValueError for what is none, and for networks that hold everybody.
        fields: which fields they set: `x-forwarded` or `forwarded`.

    The program sees no such field afterwards, whoever wrote it. Chains are read from our end: the client is
    the first address that is none of our proxies.
    """

    def __init__(
        self,
        gateway: Gateway,
        peers: Iterable[str],
        *,
        fields: Literal["x-forwarded", "forwarded"] = "x-forwarded",
    ) -> None:
        super().__init__(gateway)
        if fields not in {"x-forwarded", "forwarded"}:
            raise ValueError(f"proxies set x-forwarded or forwarded, not {fields!r}")
        self.fields = fields
        """Which fields are believed."""
        listed = list(peers)
        self._unix = "unix" in listed
        self._networks: Sequence[Network] = tuple(_network(peer) for peer in listed if peer != "unix")
        # By address; shared by all threads: an entry lost to a race is found again.
        self._known: dict[str, bool] = {}

    def trusts(self, address: str) -> bool:
        """Tell whether `address` is one of our proxies; empty for a Unix socket."""
        if not address:
            return self._unix
        found = self._known.get(address)
        if found is None:
            if len(self._known) >= 1024:  # noqa: PLR2004  as many peers as a front of proxies never has
                self._known = {}
            found = self._known[address] = self._looked_up(address)
        return found

    def _looked_up(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(parsed, "ipv4_mapped", None)
        return any((mapped or parsed) in network for network in self._networks)

    def __call__(self, exchange: Exchange) -> None:
        """Answer, as if the client had come without proxies."""
        head = exchange.head
        said = head.shared.get("forwarding")
        if said is None:
            said = head.shared["forwarding"] = any(name.lower() in _SPOKEN for name, _ in head.fields)
        if said:
            self._rewrite(exchange)
        self.gateway(exchange)

    def _rewrite(self, exchange: Exchange) -> None:
        head, link = exchange.head, exchange.link
        trusted = self.trusts(link.peer[0])
        key = (self, link.peer[0] if trusted else None)
        found = head.derived.get(key)
        if found is None:
            hop = self._client(head, link.peer[0]) if trusted else Hop("")
            found = head.derived[key] = (_without(head, hop.host), hop)
        exchange.head, hop = found
        if hop.peer or hop.scheme:
            exchange.link = _Proxied(link, hop.peer, hop.scheme)

    def _client(self, head: RequestHead, peer: str) -> Hop:
        """Return what our proxies say of the client; nothing where they say nothing that can be read."""
        hops = self._hops(head)
        client, scheme, host = "", "", ""
        while hops and self.trusts(peer):
            hop = hops.pop()
            scheme, host = hop.scheme or scheme, hop.host or host
            if not _is_address(hop.peer):
                break
            client = peer = hop.peer
        return Hop(client, scheme, host)

    def _hops(self, head: RequestHead) -> list[Hop]:
        if self.fields == "forwarded":
            return parse_forwarded(_joined(head, "forwarded")) or []
        peers = [_address(one) for one in _joined(head, "x-forwarded-for").split(",")[-_MOST:]]
        # One value each, written by the nearest proxy: what stands before it in a list came from the client.
        scheme = _joined(head, "x-forwarded-proto").rpartition(",")[2].strip().lower()
        host = _joined(head, "x-forwarded-host").rpartition(",")[2].strip()
        last = Hop(peers[-1], scheme if scheme in _SCHEMES else "", host if is_host(host) else "")
        return [*(Hop(one) for one in peers[:-1]), last]


class _Proxied:
    """The connection as it is between the client and the first proxy."""

    __slots__ = ("_link", "derived", "peer", "scheme")

    def __init__(self, link: Link, client: str, scheme: str) -> None:
        self._link = link
        self.derived: object = None
        self.peer: Address = (client, 0) if client else link.peer
        self.scheme: str = scheme or link.scheme

    @property
    def local(self) -> Address:
        return self._link.local

    def push(self, exchange: Exchange, data: bytes) -> None:
        self._link.push(exchange, data)

    def tls_environ(self) -> dict[str, str]:
        # Facts of TLS between the proxy and us say nothing of the client's.
        return {"HTTPS": "on"} if self.scheme == "https" else {}


def _joined(head: RequestHead, name: str) -> str:
    return ",".join([value for field, value in head.fields if field.lower() == name])


def _without(head: RequestHead, host: str) -> RequestHead:
    """Return a head without what proxies say, for `host` if there is one."""
    fields = tuple(
        ("Host", host) if host and name.lower() == "host" else (name, value)
        for name, value in head.fields
        if name.lower() not in _SPOKEN
    )
    return RequestHead(
        head.method,
        head.target,
        head.path,
        head.query,
        head.minor,
        fields,
        host=host or head.host,
        length=head.length,
        keep_alive=head.keep_alive,
        expect_continue=head.expect_continue,
    )


def _network(text: str) -> Network:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(
            f"{text!r} is no address or network of a proxy: write 10.0.0.7, 10.0.0.0/8, ::1 or unix ({error})"
        ) from None
    if network.prefixlen == 0:
        raise ValueError(f"{text} is everybody: whoever connects could say who it is; list your proxies")
    return network
