"""The way in: the tools of this room for a toolbox, and its wrappers for a gateway, by configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kirsch.config import ConfigError, nearest
from kirsch.security.cors import CORSGuard, CORSRules, CORSTool
from kirsch.security.csrf import CSRFGuard, CSRFRules, CSRFTool
from kirsch.security.headers import HeaderRules, SecureHeadersTool
from kirsch.security.ratelimit import RateLimiter, RateLimitGuard, RateLimitTool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kirsch.http.exchange import Gateway
    from kirsch.web.toolbox import Toolbox

__all__ = ["KEYS", "install", "protect", "protect_graft"]

KEYS: Final[dict[str, str]] = {
    "security.headers": "Fields of a foreign program: options of `HeaderRules` in a dict; False for none.",
    "security.cookies": "Its cookies: `readable` and `left` in a dict; False to leave them as they are.",
    "security.hosts": "Hosts we answer for, `notes.example`, `.notes.example`; if not set, all of them.",
    "security.proxies": "Addresses and networks of our proxies; an empty list believes nobody.",
    "security.proxy_fields": "What they set: `x-forwarded` or `forwarded`.",
    "security.csrf": "True, or options of `CSRFRules`, `exempt` and `log_only` in a dict.",
    "security.cors": "Options of `CORSRules` in a dict.",
    "security.rate": "Requests a minute from one address, or `limit`, `period`, `burst`, `most` in a dict.",
    "security.secret": "Keys of 32 bytes or more for tokens, newest first.",
}
"""What configuration may say, and what it means."""


def install(toolbox: Toolbox) -> None:
    """Put the tools of this room into `toolbox`; those of their names that are there are replaced."""
    toolbox.cors = CORSTool()
    toolbox.csrf = CSRFTool()
    toolbox.ratelimit = RateLimitTool()
    toolbox.secureheaders = SecureHeadersTool()


def protect(
    gateway: Gateway,
    config: Mapping[str, Any],
    *,
    foreign: bool,
    log: Callable[[str], object] | None = None,
) -> Gateway:
    """Return `gateway` with the protections around it that `config` asks for.

    Parameters:
        gateway: what answers.
        config: flat configuration; keys outside of `security` are passed over.
        foreign: whether the program knows nothing of ours. It gets header fields and safe cookies unless
            configuration says otherwise; objects have tools for these, and those two keys mean nothing.
        log: told of refusals, one line each.

    From the outside in: header fields and cookies, proxies, hosts, rates, forged requests, other origins.
    Each knows what those around it have found out, and every refusal gets the fields. Raises ConfigError for
    unknown keys and for values that are refused.
    """
    values = {key: value for key, value in config.items() if key.startswith("security.")}
    for key in values:
        if key not in KEYS:
            close = nearest(key, tuple(KEYS))
            raise ConfigError("no such setting", hint=f"Did you mean {close}?" if close else "", key=key)
    for key in _WRAPS:
        gateway = _wrapped(gateway, key, values, log)
    return _fields_and_cookies(gateway, {**_FOREIGN, **values}) if foreign else gateway


def protect_graft(gateway: Gateway, config: Mapping[str, Any]) -> Gateway:
    """Return the gateway of a foreign program inside of a tree of ours, with header fields and safe cookies.

    What else `config` asks for stands around the tree. Without a word in `config` it stays bare, as programs
    of old expect; the defaults of native programs say it. Raises ConfigError for values that are refused.
    """
    return _fields_and_cookies(gateway, config)


def _fields_and_cookies(gateway: Gateway, values: Mapping[str, Any]) -> Gateway:
    headers, cookies = values.get("security.headers"), values.get("security.cookies")
    if not headers and not cookies:
        return gateway
    from kirsch.security.cookies import CookieGuard, CookieRules
    from kirsch.security.guard import SecureHeaders

    key = "security.cookies"
    try:
        rules = CookieRules(**_options(cookies)) if cookies else None
        key = "security.headers"
        if headers:
            return SecureHeaders(gateway, HeaderRules(**_options(headers)), cookies=rules)
    except (TypeError, ValueError) as error:
        raise ConfigError(str(error), key=key) from error
    return CookieGuard(gateway, rules)


def _wrapped(gateway: Gateway, key: str, values: Mapping[str, Any], log: Any) -> Gateway:
    value = values.get(key)
    # An empty list of proxies says something: that nobody is believed.
    if not value and not (key == "security.proxies" and value is not False and value is not None):
        return gateway
    try:
        return _WRAPS[key](gateway, value, values, log)
    except (TypeError, ValueError) as error:
        raise ConfigError(str(error), key=key) from error


def _options(value: Any) -> dict[str, Any]:
    if value is True:
        return {}
    if not isinstance(value, dict):
        raise TypeError(f"it is True, False or options in a dict, not {value!r}")
    return dict(value)


def _hosts(gateway: Gateway, value: Any, values: Mapping[str, Any], log: Any) -> Gateway:
    from kirsch.security.hosts import AllowedHosts

    del values, log
    return AllowedHosts(gateway, [value] if isinstance(value, str) else value)


def _proxies(gateway: Gateway, value: Any, values: Mapping[str, Any], log: Any) -> Gateway:
    from kirsch.security.proxies import TrustedProxies

    del log
    fields = values.get("security.proxy_fields", "x-forwarded")
    return TrustedProxies(gateway, [value] if isinstance(value, str) else value, fields=fields)


def _csrf(gateway: Gateway, value: Any, values: Mapping[str, Any], log: Any) -> Gateway:
    del values
    options = _options(value)
    more = {name: options.pop(name) for name in ("exempt", "log_only") if name in options}
    return CSRFGuard(gateway, CSRFRules(**options), log=log, **more)


def _cors(gateway: Gateway, value: Any, values: Mapping[str, Any], log: Any) -> Gateway:
    del values, log
    return CORSGuard(gateway, CORSRules(**_options(value)))


def _rate(gateway: Gateway, value: Any, values: Mapping[str, Any], log: Any) -> Gateway:
    del values, log
    if isinstance(value, int) and not isinstance(value, bool):
        return RateLimitGuard(gateway, RateLimiter(value))
    options = _options(value)
    tell = options.pop("tell", True)
    return RateLimitGuard(gateway, RateLimiter(**options), tell=tell)


_WRAPS: Final[dict[str, Callable[[Gateway, Any, Mapping[str, Any], Any], Gateway]]] = {
    "security.cors": _cors,
    "security.csrf": _csrf,
    "security.rate": _rate,
    "security.hosts": _hosts,
    "security.proxies": _proxies,
}
"""What makes the wrapper of each key, from the inside out."""

_FOREIGN: Final = {"security.headers": True, "security.cookies": True}
"""What holds for foreign programs where nothing else is said."""
