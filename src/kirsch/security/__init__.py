"""Protection: header fields, policies, hosts, proxies, forged requests, rates, cookies, passwords.

The names are fetched from their modules when they are first asked for: every program imports this room for
its tools, and few need all of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kirsch.security.cookies import CookieGuard, CookieRules
    from kirsch.security.cors import CORSGuard, CORSRules
    from kirsch.security.csp import CSP, NONCE, CSPError, digest, nonce
    from kirsch.security.csrf import CSRFGuard, CSRFRules, csrf_token
    from kirsch.security.guard import SecureHeaders
    from kirsch.security.headers import HeaderRules, SecureHeadersTool, attachment, clear_site_data
    from kirsch.security.hosts import AllowedHosts, HTTPSRedirect
    from kirsch.security.passwords import Passwords, hash_password, verify_password
    from kirsch.security.proxies import TrustedProxies
    from kirsch.security.ratelimit import RateLimiter, RateLimitGuard
    from kirsch.security.reports import ReportCollector
    from kirsch.security.signing import BadSignatureError, ExpiredSignatureError, Signer
    from kirsch.security.tokens import SessionTokens
    from kirsch.security.wiring import install, protect, protect_graft
    from kirsch.security.wrapping import Wrapper, refuse

__all__ = [
    "CSP",
    "NONCE",
    "AllowedHosts",
    "BadSignatureError",
    "CORSGuard",
    "CORSRules",
    "CSPError",
    "CSRFGuard",
    "CSRFRules",
    "CookieGuard",
    "CookieRules",
    "ExpiredSignatureError",
    "HTTPSRedirect",
    "HeaderRules",
    "Passwords",
    "RateLimitGuard",
    "RateLimiter",
    "ReportCollector",
    "SecureHeaders",
    "SecureHeadersTool",
    "SessionTokens",
    "Signer",
    "TrustedProxies",
    "Wrapper",
    "attachment",
    "clear_site_data",
    "csrf_token",
    "digest",
    "hash_password",
    "install",
    "nonce",
    "protect",
    "protect_graft",
    "refuse",
    "verify_password",
]

_HOMES = {
    "cookies": ("CookieGuard", "CookieRules"),
    "cors": ("CORSGuard", "CORSRules"),
    "csp": ("CSP", "NONCE", "CSPError", "digest", "nonce"),
    "csrf": ("CSRFGuard", "CSRFRules", "csrf_token"),
    "guard": ("SecureHeaders",),
    "headers": ("HeaderRules", "SecureHeadersTool", "attachment", "clear_site_data"),
    "hosts": ("AllowedHosts", "HTTPSRedirect"),
    "passwords": ("Passwords", "hash_password", "verify_password"),
    "proxies": ("TrustedProxies",),
    "ratelimit": ("RateLimitGuard", "RateLimiter"),
    "reports": ("ReportCollector",),
    "signing": ("BadSignatureError", "ExpiredSignatureError", "Signer"),
    "tokens": ("SessionTokens",),
    "wiring": ("install", "protect", "protect_graft"),
    "wrapping": ("Wrapper", "refuse"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Fetch a name from its module (PEP 562)."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return found
