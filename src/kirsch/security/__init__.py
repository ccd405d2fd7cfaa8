"""Protection: header fields, policies, hosts, proxies, forged requests, rates, cookies, passwords."""

from __future__ import annotations

from kirsch.security.csp import CSP, NONCE, CSPError, digest, nonce
from kirsch.security.guard import SecureHeaders
from kirsch.security.headers import HeaderRules, SecureHeadersTool, attachment, clear_site_data
from kirsch.security.hosts import AllowedHosts, HTTPSRedirect
from kirsch.security.protect import install
from kirsch.security.proxies import TrustedProxies
from kirsch.security.reports import ReportCollector
from kirsch.security.wrapping import Wrapper, refuse

__all__ = [
    "CSP",
    "NONCE",
    "AllowedHosts",
    "CSPError",
    "HTTPSRedirect",
    "HeaderRules",
    "ReportCollector",
    "SecureHeaders",
    "SecureHeadersTool",
    "TrustedProxies",
    "Wrapper",
    "attachment",
    "clear_site_data",
    "digest",
    "install",
    "nonce",
    "refuse",
]
