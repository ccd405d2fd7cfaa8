"""Forged requests: a page of somebody else that has a browser act here with the user's cookies (CWE-352).

OWASP Cross-Site Request Forgery Prevention Cheat Sheet 2026, W3C Fetch Metadata. A browser says itself where
a request comes from, and pages cannot change what it says. In this order, the first that is there decides:

1. `Sec-Fetch-Site`, which all browsers send since 2023 to `https://` and to this machine;
2. `Origin`, then `Referer`, compared with the origin that was asked for;
3. a token bound to the session, for requests without any of them;
4. without that, whether the request carries anything a browser adds by itself: cookies, or credentials of
   Basic, Digest or Negotiate. One without them acts for nobody, so it may pass.

Methods that change nothing (RFC 9110 9.2.1) always pass, but where `isolate` keeps resources to ourselves.
"""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from kirsch.security.tokens import SessionTokens
from kirsch.security.wrapping import Wrapper, finished_by, refuse
from kirsch.web.errors import HTTPError
from kirsch.web.toolbox import Tool

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from kirsch.http.exchange import Exchange, Gateway, RequestHead
    from kirsch.web.request import Request

__all__ = ["CSRFGuard", "CSRFRules", "CSRFTool", "Verdict", "csrf_token", "verdict"]

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that change nothing. Others that RFCs call safe are not sent by forms."""

_AMBIENT: Final = ("basic ", "digest ", "negotiate ", "ntlm ")
"""Schemes whose credentials browsers keep and add by themselves."""

_PORTS: Final = {"http": 80, "https": 443}
_VARY: Final = "Sec-Fetch-Site, Origin"
_REFUSED: Final = "This request seems to come from another site's page, and was not carried out."


@dataclass(frozen=True, kw_only=True)
class CSRFRules:
    """How requests from elsewhere are told.

    Parameters:
        origins: other origins whose pages may send requests here, `https://admin.example`. Compared whole.
            ValueError for what is none.
        same_site: whether pages of hosts below the same registered domain may.
        isolate: whether other sites may not even read: of safe requests only navigations to pages pass.
        token_header: field in which scripts send the token.
        token_field: field of a form with the token.
    """

    origins: Collection[str] = ()
    same_site: bool = False
    isolate: bool = False
    token_header: str = "X-CSRF-Token"  # noqa: S105  the name of a field
    token_field: str = "csrf_token"  # noqa: S105  the name of a field

    def __post_init__(self) -> None:
        for origin in self.origins:
            if _origin(origin) != origin:
                raise ValueError(
                    f"{origin!r} is no origin: write https://admin.example, without a path, in lower case "
                    "and without a port that is the scheme's own"
                )


Verdict = Literal["safe", "same", "listed", "user", "token?", "cross-site", "cross-origin", "cross-referer"]
"""What can be told of a request: why it passes, that a token decides, or why it is refused."""

PASSES: Final = frozenset({"safe", "same", "listed", "user"})


def verdict(head: RequestHead, scheme: str, rules: CSRFRules) -> Verdict:
    """Return what the browser says of where a request comes from.

    Parameters:
        head: the request.
        scheme: `https` or `http`, as the client sees us.
        rules: the rules.
    """
    safe = head.method in SAFE
    if safe and not rules.isolate:
        return "safe"
    facts = {name.lower(): value for name, value in head.fields if name.lower() in _FACTS}
    site = facts.get("sec-fetch-site", "")
    if safe:
        return _isolated(head.method, site, facts, rules)
    if site == "same-origin":
        return "same"
    if site == "none":
        # Typed, or from a bookmark: the user's own act.
        return "user"
    if "origin" in facts:
        return _by_origin(facts["origin"], site, head, scheme, rules)
    if site == "same-site" and rules.same_site:
        return "same"
    if site in {"same-site", "cross-site"}:
        return "cross-site"
    referer = _origin(facts.get("referer", ""))
    if referer:
        if _is_ours(referer, head, scheme):
            return "same"
        return "listed" if referer in rules.origins else "cross-referer"
    return "token?"


_FACTS: Final = frozenset({"sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest", "origin", "referer"})


def _by_origin(origin: str, site: str, head: RequestHead, scheme: str, rules: CSRFRules) -> Verdict:
    if origin in rules.origins:
        return "listed"
    if site == "same-site" and rules.same_site:
        return "same"
    if site in {"same-site", "cross-site"}:
        return "cross-site"
    return "same" if _is_ours(_origin(origin), head, scheme) else "cross-origin"


def _isolated(method: str, site: str, facts: dict[str, str], rules: CSRFRules) -> Verdict:
    """Judge a safe request where resources are kept to ourselves (ASVS 3.5.8)."""
    if site not in {"same-site", "cross-site"} or (site == "same-site" and rules.same_site):
        return "safe"
    if facts.get("origin") in rules.origins:
        return "listed"
    navigates = facts.get("sec-fetch-mode") == "navigate" and method in {"GET", "HEAD"}
    if navigates and facts.get("sec-fetch-dest") not in {"object", "embed", "iframe", "frame"}:
        return "safe"
    return "cross-site"


def _origin(url: str) -> str:
    """Return the origin of a URL as browsers write it; empty for `null` and for what is none."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return ""
    if parts.scheme not in _PORTS or not host:
        return ""
    host = f"[{host}]" if ":" in host else host
    usual = port is None or port == _PORTS[parts.scheme]
    return f"{parts.scheme}://{host}{'' if usual else f':{port}'}"


def _is_ours(origin: str, head: RequestHead, scheme: str) -> bool:
    if not origin or not head.host:
        return False
    if origin == _origin(f"{scheme}://{head.host}"):
        return True
    # TLS may end before us, at a proxy we know nothing of. A page over https that names our host is ours; one
    # over http is not a page of ours over https.
    return scheme == "http" and origin == _origin(f"https://{head.host}")


def _acts_for_somebody(head: RequestHead) -> bool:
    """Whether a request carries what a browser adds by itself."""
    for name, value in head.fields:
        lower = name.lower()
        if lower == "cookie" or (lower == "authorization" and value.lower().startswith(_AMBIENT)):
            return True
    return False


class CSRFGuard(Wrapper):
    """Refuses forged requests to any program, with 403.

    Parameters:
        gateway: the program.
        rules: the rules; the defaults if None.
        exempt: paths, and all below them, that anybody's pages may send to: `/hooks/`.
        log: told of every refusal, as one line.
        log_only: whether requests that would be refused pass all the same, to see what there is.

    A foreign program knows no token of ours: what no field tells of passes only if it acts for nobody.
    """

    def __init__(
        self,
        gateway: Gateway,
        rules: CSRFRules | None = None,
        *,
        exempt: Collection[str] = (),
        log: Callable[[str], object] | None = None,
        log_only: bool = False,
    ) -> None:
        super().__init__(gateway)
        self.rules = CSRFRules() if rules is None else rules
        """The rules."""
        self._exempt = tuple(exempt)
        self._log = log
        self._log_only = log_only

    def __call__(self, exchange: Exchange) -> None:
        """Have the program answer what is not forged."""
        head = exchange.head
        if head.method in SAFE and not self.rules.isolate:
            self.gateway(exchange)
            return
        said = verdict(head, exchange.link.scheme, self.rules)
        refused = said not in PASSES and (said != "token?" or _acts_for_somebody(head))
        if refused and not any(_lies_below(head.path, path) for path in self._exempt):
            if self._log is not None:
                self._log(_line(head, said, exchange.link.peer[0]))
            if not self._log_only:
                refuse(exchange, "403 Forbidden", _REFUSED, [("Vary", _VARY)])
                return
        if self.rules.isolate:
            finished_by(exchange, _vary)
        self.gateway(exchange)


def _lies_below(path: str, above: str) -> bool:
    if path == above:
        return True
    # Encoded and dotted paths may lead elsewhere, and are not worth a guess: they are not exempt.
    return path.startswith(above.rstrip("/") + "/") and "%" not in path and ".." not in path


def _vary(exchange: Exchange) -> None:
    exchange.fields = [*exchange.fields, ("Vary", _VARY)]


def _line(head: RequestHead, said: str, peer: str) -> str:
    # The target is visible ASCII, checked by the server; nothing else of the client is in the line.
    return f"forged request refused ({said}): {head.method} {head.path} from {peer or 'a local socket'}"


def csrf_check(
    request: Request,
    /,
    origins: Collection[str] = (),
    same_site: bool = False,
    isolate: bool = False,
    token_header: str = CSRFRules.token_header,
    token_field: str = CSRFRules.token_field,
    log_only: bool = False,
) -> None:
    """Refuse a forged request with 403; the arguments are those of `CSRFRules` and `CSRFGuard`."""
    rules = CSRFRules(
        origins=tuple(origins),
        same_site=same_site,
        isolate=isolate,
        token_header=token_header,
        token_field=token_field,
    )
    head = request.head
    if head.method in SAFE and not isolate:
        return
    said = verdict(head, request.scheme, rules)
    if isolate:
        _add_vary(request)
    if said in PASSES:
        return
    if said == "token?" and (not _acts_for_somebody(head) or _has_token(request, rules)):
        return
    request.app.log(_line(head, said, request.remote.ip), "CSRF", logging.WARNING)
    if not log_only:
        raise HTTPError(403, _REFUSED, headers={"Vary": _VARY})


def _add_vary(request: Request) -> None:
    headers = request.response.headers
    before = headers.get("Vary")
    headers["Vary"] = f"{before}, {_VARY}" if before else _VARY


class CSRFTool(Tool):
    """`tools.csrf`: refuses forged requests to objects. The body is read by then: it may hold the token."""

    def __init__(self) -> None:
        super().__init__("before_handler", csrf_check, priority=20)


# --- tokens ---


@functools.cache
def _own_tokens() -> SessionTokens:
    """Return those of this process, for programs without a secret of their own."""
    return SessionTokens()


def csrf_token(request: Request) -> str:
    """Return a token for the forms of a page, bound to the session of `request`.

    Put it into a hidden field `csrf_token`, or into the field X-CSRF-Token of a script's requests; never into
    a URL. It is signed with `request.config["security.secret"]`, or a random key of the process if there is
    none; processes that share a port need the same. It is another for each session id, so one from before a
    login does not count after it.
    """
    return _tokens_of(request).make(_binding(request))


def _tokens_of(request: Request) -> SessionTokens:
    secret: Any = request.plan.config.get("security.secret")
    return _own_tokens() if secret is None else SessionTokens.of(secret)


def _names(request: Request) -> tuple[str, str]:
    """Return the names that the session's cookie may have."""
    name = request.plan.config.get("tools.sessions.name", "session_id")
    return f"__Host-{name}", name


def _binding(request: Request) -> str:
    """Return the session id the answer sets, else that of the request; empty without a session."""
    made = request.made_response
    pending = {} if made is None else made.__dict__.get("cookies", {})
    for name in _names(request):
        if name in pending:
            return str(pending[name].value)
    return _received(request)


def _received(request: Request) -> str:
    received = request.cookies
    return next((received[name] for name in _names(request) if name in received), "")


def _has_token(request: Request, rules: CSRFRules) -> bool:
    given = request.headers.get(rules.token_header)
    if given is None:
        body = request.made_body
        given = None if body is None else body.params.get(rules.token_field)
    return isinstance(given, str) and _tokens_of(request).check(given, _received(request))
