"""Protection: header fields, policies, hosts, proxies, forged requests, rates, cookies, passwords."""

from __future__ import annotations

from kirsch.security.csp import CSP, NONCE, CSPError, digest, nonce
from kirsch.security.guard import SecureHeaders
from kirsch.security.headers import HeaderRules, SecureHeadersTool, attachment, clear_site_data
from kirsch.security.protect import install
from kirsch.security.wrapping import Wrapper, refuse

__all__ = [
    "CSP",
    "NONCE",
    "CSPError",
    "HeaderRules",
    "SecureHeaders",
    "SecureHeadersTool",
    "Wrapper",
    "attachment",
    "clear_site_data",
    "digest",
    "install",
    "nonce",
    "refuse",
]
