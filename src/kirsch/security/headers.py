"""Security header fields on every response: `tools.secureheaders`, and what the guard applies.

Which fields, and their values: OWASP Secure Headers Project (2026-07), OWASP HTTP Headers Cheat Sheet, ASVS
5.0 3.4. Where the two of OWASP differ the docs say which was chosen and why (docs/security.md).

The fields depend on little: on which ones the program set itself, whether the request came over TLS, and
whether it is somebody's own. So whole answers' fields are made once and remembered; a request costs two
look-ups.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import fields as fields_of
from typing import TYPE_CHECKING, Any, Final

from kirsch.config import nearest
from kirsch.http.fields import SharedFields
from kirsch.http.headers import Headers
from kirsch.security.csp import CSP, nonce
from kirsch.web.plan import Memory
from kirsch.web.toolbox import Tool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kirsch.http.exchange import Exchange
    from kirsch.web.plan import Building
    from kirsch.web.request import Request
    from kirsch.web.response import Response

__all__ = [
    "DEFAULT_CSP",
    "PERMISSIONS",
    "VERSION_FIELDS",
    "HeaderRules",
    "SecureHeadersTool",
    "attachment",
    "clear_site_data",
    "secureheaders",
]

Fields = "list[tuple[str, str]] | SharedFields"

DEFAULT_CSP: Final = (
    "default-src 'self'; script-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'"
)
"""ASVS 5.0 3.4.3 and 3.4.6; `frame-ancestors` is added by the option `frame`, `upgrade-insecure-requests`
on TLS."""

PERMISSIONS: Final = ", ".join(
    f"{name}=(self)" if name == "sync-xhr" else f"{name}=()"
    for name in (
        *("accelerometer", "autoplay", "camera", "cross-origin-isolated", "display-capture"),
        *("encrypted-media", "fullscreen", "geolocation", "gyroscope", "keyboard-map", "magnetometer"),
        *("microphone", "midi", "payment", "picture-in-picture", "publickey-credentials-get"),
        *("screen-wake-lock", "sync-xhr", "usb", "web-share", "xr-spatial-tracking", "clipboard-read"),
        *("clipboard-write", "gamepad", "hid", "idle-detection", "interest-cohort", "serial", "unload"),
    )
)
"""OWASP Secure Headers Project, `headers_add.json` of 2026-07-19."""

VERSION_FIELDS: Final = frozenset(
    {
        *("server", "x-powered-by", "powered-by", "product", "x-framework", "x-generator", "x-generated-by"),
        *("x-aspnet-version", "x-aspnetmvc-version", "x-php-version", "x-cms", "x-powered-cms"),
        *("x-powered-by-plesk", "x-server-powered-by", "x-cf-powered-by", "x-content-encoded-by"),
        *("x-turbo-charged-by", "x-runtime", "x-version", "x-server", "sourcemap", "x-sourcemap"),
        *("x-mod-pagespeed", "x-page-speed", "x-varnish-backend", "x-varnish-server", "x-redirect-by"),
        *("x-joomla-version", "x-umbraco-version", "x-owa-version", "x-backend-server", "x-source-files"),
    }
)
"""Fields that tell what a program is made of and which version: those of OWASP's remove-list that a Python
program, or what it is a proxy of, may set."""

YEAR: Final = 31_536_000
"""Seconds; the least ASVS 3.4.1 accepts for Strict-Transport-Security."""

_FRAMES: Final = {"DENY": "'none'", "SAMEORIGIN": "'self'"}
_CSP, _XFO, _HSTS = "content-security-policy", "x-frame-options", "strict-transport-security"
_MOST: Final = 256
"""Answers' fields that are remembered for one set of rules, in each of its memories."""
_LONGEST: Final = 12
"""Fields of an answer that is remembered as a whole."""
_NOT_MODIFIED: Final = "304"


@dataclass(frozen=True, kw_only=True)
class HeaderRules:
    """Which fields every response gets. None leaves a field out. Never changes once made.

    Parameters:
        csp: Content-Security-Policy: text or a `CSP`; `NONCE` in it becomes the nonce of each response.
        csp_report_only: the same for Content-Security-Policy-Report-Only.
        csp_upgrade: whether the policy says `upgrade-insecure-requests` to clients that came over TLS.
        report_to: path of the endpoint for reports of broken policies: adds Reporting-Endpoints, and
            `report-uri` and `report-to` to both policies.
        frame: who may frame a page: `DENY`, `SAMEORIGIN`, or origins; X-Frame-Options and `frame-ancestors`
            at once, so that they never disagree. None leaves both out.
        content_type_options: X-Content-Type-Options.
        referrer_policy: Referrer-Policy.
        permissions_policy: Permissions-Policy.
        coop: Cross-Origin-Opener-Policy.
        corp: Cross-Origin-Resource-Policy.
        coep: Cross-Origin-Embedder-Policy; off until wanted, as it keeps out every resource of others that
            does not say it may be embedded.
        origin_agent_cluster: Origin-Agent-Cluster.
        cross_domain_policies: X-Permitted-Cross-Domain-Policies.
        dns_prefetch: X-DNS-Prefetch-Control.
        xss_protection: X-XSS-Protection. `0`, as OWASP's cheat sheet says: the filter it switches on in old
            browsers could be used to switch off scripts of a page. `1; mode=block` is what was advised once.
        hsts: seconds of Strict-Transport-Security, sent over TLS alone.
        hsts_subdomains: whether it holds for all hosts below.
        hsts_preload: whether the host asks for the lists that browsers ship; needs `hsts_subdomains`
            and a year.
        private_cache: Cache-Control of answers to somebody who is logged in, who sent credentials, or who
            gets a cookie.
        remove: names of fields that are taken out of responses.

    Raises ValueError for values that browsers would not take, CSPError for policies, HeaderError.
    """

    csp: str | CSP | None = DEFAULT_CSP
    csp_report_only: str | CSP | None = None
    csp_upgrade: bool = True
    report_to: str | None = None
    frame: str | Sequence[str] | None = "DENY"
    content_type_options: str | None = "nosniff"
    referrer_policy: str | None = "strict-origin-when-cross-origin"
    permissions_policy: str | None = PERMISSIONS
    coop: str | None = "same-origin"
    corp: str | None = "same-origin"
    coep: str | None = None
    origin_agent_cluster: str | None = "?1"
    cross_domain_policies: str | None = "none"
    dns_prefetch: str | None = "off"
    xss_protection: str | None = "0"
    hsts: int | None = YEAR
    hsts_subdomains: bool = False
    hsts_preload: bool = False
    private_cache: str | None = "no-store, max-age=0"
    remove: Sequence[str] = tuple(sorted(VERSION_FIELDS))

    def __post_init__(self) -> None:
        made = Finisher(self)
        # A frozen dataclass sets what follows from its values past its own guard.
        object.__setattr__(self, "_made", made)

    @property
    def finisher(self) -> Finisher:
        """What applies the rules; the same one, with its memory, for as long as they live."""
        made: Finisher = self._made  # type: ignore[attr-defined]  # set in __post_init__
        return made


_CHOICES: Final[dict[str, tuple[str, frozenset[str]]]] = {
    "content_type_options": ("X-Content-Type-Options", frozenset({"nosniff"})),
    "coop": (
        "Cross-Origin-Opener-Policy",
        frozenset({"same-origin", "same-origin-allow-popups", "noopener-allow-popups", "unsafe-none"}),
    ),
    "corp": ("Cross-Origin-Resource-Policy", frozenset({"same-origin", "same-site", "cross-origin"})),
    "coep": (
        "Cross-Origin-Embedder-Policy",
        frozenset({"require-corp", "credentialless", "unsafe-none"}),
    ),
    "origin_agent_cluster": ("Origin-Agent-Cluster", frozenset({"?1", "?0"})),
    "cross_domain_policies": (
        "X-Permitted-Cross-Domain-Policies",
        frozenset({"none", "master-only", "by-content-type", "by-ftp-filename", "all"}),
    ),
    "dns_prefetch": ("X-DNS-Prefetch-Control", frozenset({"off", "on"})),
    "xss_protection": ("X-XSS-Protection", frozenset({"0", "1", "1; mode=block"})),
}
_REFERRERS: Final = frozenset(
    {
        *("no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin", "origin"),
        *("origin-when-cross-origin", "no-referrer-when-downgrade", "unsafe-url"),
    }
)


class Finisher:
    """Applies rules to answers.

    Its memories are shared by all threads: an entry lost to a race is made again.

    Parameters:
        rules: the rules.
    """

    def __init__(self, rules: HeaderRules) -> None:
        self.rules = rules
        self._remove = frozenset(name.lower() for name in rules.remove)
        self._fixed = _fixed(rules)
        self._csp = _policy(rules, rules.csp)
        self._report_only = _policy(rules, rules.csp_report_only)
        self.needs_nonce = any(one is not None and one.needs_nonce for one in (self._csp, self._report_only))
        """Whether each response has a value of its own."""
        # What answers' fields become, by what they were: known by identity, the way most answers take, and
        # known by value. One dict for each kind: without and with TLS, then the same for somebody's own.
        self._known: tuple[dict[Any, SharedFields], ...] = ({}, {}, {}, {})
        self._whole: tuple[dict[Any, SharedFields], ...] = ({}, {}, {}, {})
        # What is to be added, by names alone.
        self._added: tuple[Memory[tuple[tuple[str, str], ...]], ...] = tuple(Memory(_MOST) for _ in range(4))

    def apply(self, fields: Any, *, tls: bool, private: bool) -> Any:
        """Return `fields` with what the rules add and without what they remove; `fields` stay as they are.

        Parameters:
            fields: pairs of name and value.
            tls: whether the request came over TLS.
            private: whether the answer is somebody's own; one that sets a cookie always is.
        """
        kind = tls + 2 * private
        if fields.__class__ is SharedFields:
            known = self._known[kind]
            found = known.get(fields)
            if found is None:
                # The same object for equal fields of different plans, so that the server remembers one head.
                found = self.apply(list(fields), tls=tls, private=private)
                if found.__class__ is SharedFields:
                    _keep(known, fields, found)
            return found
        key = tuple(fields)
        whole = self._whole[kind]
        found = whole.get(key)
        if found is None:
            listed = self._listed(key, kind)
            if len(key) > _LONGEST or not _repeats(key):
                return listed
            found = SharedFields(listed)
            _keep(whole, key, found)
        return found

    def finish_exchange(self, exchange: Exchange) -> None:
        """Apply the rules to the answer in `exchange`, of a program that does not know them."""
        private = exchange.head.shared.get("authorization")
        if private is None:
            private = has_credentials(exchange)
        fields = exchange.fields
        # `apply`, without its call: this and `finish` run for every answer.
        kind = 1 if exchange.link.scheme == "https" else 0
        if private:
            kind += 2
        found: Any
        if fields.__class__ is SharedFields:
            found = self._known[kind].get(fields)
        else:
            found = self._whole[kind].get(tuple(fields))
        exchange.fields = self.apply(fields, tls=bool(kind & 1), private=private) if found is None else found

    def _listed(self, fields: tuple[tuple[str, str], ...], kind: int) -> list[tuple[str, str]]:
        names = tuple([name for name, _ in fields])
        added = self._added[kind].get(names)
        if added is None:
            lower = {name.lower() for name in names}
            added = self._missing(fields, lower, tls=bool(kind & 1), private=bool(kind & 2))
            if not (lower & {_CSP, _XFO} or lower & self._remove):
                self._added[kind].put(names, added)
            fields = tuple(pair for pair in fields if pair[0].lower() not in self._remove)
        return [*fields, *added]

    def _missing(
        self, fields: tuple[tuple[str, str], ...], own: set[str], *, tls: bool, private: bool
    ) -> tuple[tuple[str, str], ...]:
        """Return the fields that the rules want and `fields`, whose names are `own`, do not have."""
        wanted = list(self._fixed)
        frame, ancestors = _frame(self.rules, fields, own)
        if frame:
            wanted.insert(0, ("X-Frame-Options", frame))
        for name, policy in (
            ("Content-Security-Policy", self._csp),
            ("Content-Security-Policy-Report-Only", self._report_only),
        ):
            if policy is not None and not policy.needs_nonce:
                text = str(self._complete(policy, ancestors, tls=tls))
                if text:
                    wanted.insert(0, (name, text))
        rules = self.rules
        if tls and rules.hsts is not None:
            wanted.append(("Strict-Transport-Security", _hsts(rules)))
        if (private or "set-cookie" in own) and rules.private_cache is not None:
            wanted.append(("Cache-Control", rules.private_cache))
        return tuple(Headers([pair for pair in wanted if pair[0].lower() not in own]).items())

    def _complete(self, policy: CSP, ancestors: str | None, *, tls: bool) -> CSP:
        more: dict[str, Any] = {}
        if ancestors is not None and "frame-ancestors" not in policy.directives:
            more["frame-ancestors"] = ancestors
        if tls and self.rules.csp_upgrade and policy is self._csp:
            more["upgrade-insecure-requests"] = True
        return policy.replace(**more) if more else policy

    def with_nonce(self, request: Request, fields: Any, *, tls: bool) -> Any:
        """Return `fields` with the policies that hold the request's nonce."""
        own = {name.lower() for name, _ in fields}
        _, ancestors = _frame(self.rules, tuple(fields), own)
        added = [
            (name, self._complete(policy, ancestors, tls=tls).text(nonce(request)))
            for name, policy in (
                ("Content-Security-Policy", self._csp),
                ("Content-Security-Policy-Report-Only", self._report_only),
            )
            if policy is not None and policy.needs_nonce and name.lower() not in own
        ]
        return [*fields, *added]

    def finish(self, request: Request) -> None:
        """Apply the rules to the answer in the exchange of `request`."""
        exchange = request.exchange
        private = exchange.head.shared.get("authorization")
        if private is None:
            private = has_credentials(exchange)
        if request.login:
            private = True
        # What a program has made of the scheme stands among its attributes; to make it costs as much as the
        # rest.
        kind = 1 if exchange.link.scheme == "https" or request.__dict__.get("scheme") == "https" else 0
        if private:
            kind += 2
        fields = exchange.fields
        found: Any = self._known[kind].get(fields) if fields.__class__ is SharedFields else None
        exchange.fields = self.apply(fields, tls=bool(kind & 1), private=private) if found is None else found

    def finish_with_nonce(self, request: Request) -> None:
        """Apply the rules, of which some need the nonce of `request`."""
        self.finish(request)
        exchange = request.exchange
        if not exchange.status.startswith(_NOT_MODIFIED):
            # A 304 would put a new nonce beside the page that the client has kept, with the old one in it.
            tls = request.scheme == "https"
            exchange.fields = self.with_nonce(request, exchange.fields, tls=tls)


def has_credentials(exchange: Exchange) -> bool:
    """Whether a request came with an Authorization field; remembered with its fields."""
    found = any(name.lower() == "authorization" for name, _ in exchange.head.fields)
    exchange.head.shared["authorization"] = found
    return found


def _keep(memory: dict[Any, SharedFields], key: Any, found: SharedFields) -> None:
    """Keep an entry. Emptied when full: what repeats is soon there again."""
    if len(memory) >= _MOST:
        memory.clear()
    memory[key] = found


def _repeats(fields: tuple[tuple[str, str], ...]) -> bool:
    """Whether fields may come again: cookies, validators and the like are another for each answer."""
    return not any(
        name.lower() in {"set-cookie", "etag", "last-modified", "expires", "date", "location"}
        for name, _ in fields
    )


def _frame(
    rules: HeaderRules, fields: tuple[tuple[str, str], ...], own: set[str]
) -> tuple[str | None, str | None]:
    """Return X-Frame-Options and `frame-ancestors`; what the program says of one holds for both."""
    frame = rules.frame
    if _XFO in own:
        said = next(value for name, value in fields if name.lower() == _XFO).strip().upper()
        return None, _FRAMES.get(said)
    if _CSP in own:
        text = next(value for name, value in fields if name.lower() == _CSP)
        directives = [part.split() for part in text.lower().split(";")]
        said_by_csp = next((words[1:] for words in directives if words[:1] == ["frame-ancestors"]), None)
        if said_by_csp is not None:
            return {"'none'": "DENY", "'self'": "SAMEORIGIN"}.get(" ".join(said_by_csp)), None
    if frame is None:
        return None, None
    if isinstance(frame, str):
        return frame.upper(), _FRAMES[frame.upper()]
    return None, " ".join(frame)


def _fixed(rules: HeaderRules) -> tuple[tuple[str, str], ...]:
    """Return the fields that are the same for every answer. Raises ValueError for values nobody knows."""
    _check(rules)
    found = []
    for option, (name, choices) in _CHOICES.items():
        value = getattr(rules, option)
        if value is None:
            continue
        if value not in choices:
            raise ValueError(f"{name} is {' or '.join(sorted(choices))}, not {value!r}")
        found.append((name, value))
    if rules.referrer_policy is not None:
        # Several are a list of fallbacks: the last that a browser knows holds (Referrer Policy 8.1).
        for one in rules.referrer_policy.split(","):
            if one.strip() not in _REFERRERS:
                close = nearest(one.strip(), tuple(sorted(_REFERRERS)))
                raise ValueError(f"Referrer-Policy: there is no {one.strip()!r}; did you mean {close}?")
        found.append(("Referrer-Policy", rules.referrer_policy))
    if rules.permissions_policy is not None:
        found.append(("Permissions-Policy", rules.permissions_policy))
    if rules.report_to is not None:
        found.append(("Reporting-Endpoints", f'csp="{rules.report_to}"'))
    return tuple(Headers(found).items())


def _check(rules: HeaderRules) -> None:
    if isinstance(rules.frame, str) and rules.frame.upper() not in _FRAMES:
        raise ValueError(
            f"frame is DENY, SAMEORIGIN, None or a list of origins, not {rules.frame!r}; X-Frame-Options "
            "knows no other words"
        )
    if rules.frame is not None and not isinstance(rules.frame, str):
        CSP(frame_ancestors=list(rules.frame))
    if rules.hsts is not None and rules.hsts < 0:
        raise ValueError("hsts is a number of seconds; 0 makes browsers forget, None leaves the field out")
    if rules.hsts_preload and not (rules.hsts_subdomains and (rules.hsts or 0) >= YEAR):
        raise ValueError(
            f"hsts_preload needs hsts_subdomains and an hsts of {YEAR} or more, or no list takes the host"
        )
    if rules.report_to is not None and (not rules.report_to.startswith("/") or '"' in rules.report_to):
        raise ValueError(f"report_to is a path such as /csp-reports, not {rules.report_to!r}")


def _hsts(rules: HeaderRules) -> str:
    return (
        f"max-age={rules.hsts}"
        f"{'; includeSubDomains' if rules.hsts_subdomains else ''}{'; preload' if rules.hsts_preload else ''}"
    )


def _policy(rules: HeaderRules, given: str | CSP | None) -> CSP | None:
    if given is None:
        return None
    policy = CSP.parse(given) if isinstance(given, str) else given
    if rules.report_to is not None:
        # Twice, as browsers of today know only the older of the two.
        policy = policy.replace(report_uri=rules.report_to, report_to="csp")
    return policy


def secureheaders(request: Request, /, **options: Any) -> None:
    """Set the fields of `HeaderRules(**options)` that the response does not have yet."""
    rules = HeaderRules(**options)
    response = request.response
    fields = rules.finisher.apply(
        response.headers.items(), tls=request.scheme == "https", private=bool(request.login)
    )
    if rules.finisher.needs_nonce:
        fields = rules.finisher.with_nonce(request, fields, tls=request.scheme == "https")
    response.headers.clear()
    response.headers.extend(list(fields))


class SecureHeadersTool(Tool):
    """`tools.secureheaders`: the arguments are those of `HeaderRules`.

    It finishes answers after all hooks at `before_finalize`, and those to errors that never get there. Plans
    with the same arguments share one set of rules. Owned by its toolbox; any thread may attach it.
    """

    def __init__(self) -> None:
        super().__init__("before_finalize", secureheaders, priority=60)
        self._rules: Memory[HeaderRules] = Memory(64)

    def arguments(self) -> tuple[str, ...]:
        """Return the names of the options."""
        return tuple(one.name for one in fields_of(HeaderRules))

    def attach(self, building: Building, arguments: dict[str, Any]) -> None:
        """Have the plan's answers finished. TypeError for unknown options, ValueError for their values."""
        arguments.pop("priority", None)
        known = self.arguments()
        for name in arguments:
            if name not in known:
                close = nearest(name, known)
                hint = f"did you mean {close}?" if close else f"it has {', '.join(known)}"
                raise TypeError(f"the tool {self.name} has no argument {name!r}; {hint}")
        finisher = self._of(arguments).finisher
        building.finishers.append(finisher.finish_with_nonce if finisher.needs_nonce else finisher.finish)

    def _of(self, arguments: dict[str, Any]) -> HeaderRules:
        key = tuple(
            (name, tuple(value) if isinstance(value, list) else value)
            for name, value in sorted(arguments.items())
        )
        rules = self._rules.get(key)
        if rules is None:
            rules = HeaderRules(**arguments)
            self._rules.put(key, rules)
        return rules


_SITE_DATA: Final = ("cache", "cookies", "storage", "clientHints", "executionContexts", "prefetchCache")


def clear_site_data(response: Response, *kinds: str) -> None:
    """Have the browser forget what it keeps of this site, as a logout does (ASVS 14.3.1). TLS only.

    Parameters:
        response: the response.
        kinds: of `cache`, `cookies`, `storage` ..., or `*`; none for these three. ValueError for others.
    """
    wanted = kinds or ("cache", "cookies", "storage")
    for kind in wanted:
        if kind != "*" and kind not in _SITE_DATA:
            raise ValueError(f"Clear-Site-Data knows {', '.join(_SITE_DATA)} and *, not {kind!r}")
    response.headers["Clear-Site-Data"] = ", ".join(f'"{kind}"' for kind in wanted)


def attachment(response: Response, name: str = "") -> None:
    """Have the browser save what somebody uploaded, and run none of it (ASVS 3.2.1).

    Parameters:
        response: the response.
        name: the name it is saved under; its last part alone is used.
    """
    from kirsch.http.media import format_disposition

    bare = name.replace("\\", "/").rpartition("/")[2]
    response.headers["Content-Disposition"] = format_disposition("attachment", bare) if bare else "attachment"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox; frame-ancestors 'none'"
    response.headers["X-Content-Type-Options"] = "nosniff"
