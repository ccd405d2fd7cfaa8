"""The built-in tools, one file per tool or family."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from kirsch.tools.json import json_in, json_out
from kirsch.tools.late import Late
from kirsch.tools.response_headers import ResponseHeaders
from kirsch.tools.trailing_slash import TrailingSlash
from kirsch.web.toolbox import ErrorTool, HandlerTool, Tool

if TYPE_CHECKING:
    from collections.abc import Callable

    from kirsch.tools.accept import choose_media
    from kirsch.tools.auth_basic import checkpassword_dict
    from kirsch.tools.auth_digest import (
        get_ha1_dict,
        get_ha1_dict_plain,
        get_ha1_file_htdigest,
    )
    from kirsch.tools.etags import validate_etags, validate_since
    from kirsch.tools.static import serve_download, serve_file, serve_fileobj
    from kirsch.web.toolbox import Toolbox

__all__ = [
    "checkpassword_dict",
    "choose_media",
    "get_ha1_dict",
    "get_ha1_dict_plain",
    "get_ha1_file_htdigest",
    "install",
    "serve_download",
    "serve_file",
    "serve_fileobj",
    "validate_etags",
    "validate_since",
]

_HOMES: Final = {
    "accept": ("choose_media",),
    "auth_basic": ("checkpassword_dict",),
    "auth_digest": ("get_ha1_dict", "get_ha1_dict_plain", "get_ha1_file_htdigest"),
    "etags": ("validate_etags", "validate_since"),
    "static": ("serve_download", "serve_file", "serve_fileobj"),
}

_LATE: Final[dict[str, tuple[str, Callable[[Any], Tool]]]] = {
    "accept": ("accept", lambda room: Tool("on_start_resource", room.accept)),
    "allow": ("allow", lambda room: Tool("on_start_resource", room.allow)),
    "auth_basic": ("auth_basic", lambda room: Tool("before_handler", room.auth_basic, priority=1)),
    "auth_digest": ("auth_digest", lambda room: room.DigestAuth()),
    "autovary": ("autovary", lambda room: Tool("on_start_resource", room.autovary, priority=0)),
    "caching": ("caching", lambda room: room.Caching()),
    "decode": ("decode", lambda room: Tool("before_request_body", room.decode)),
    "encode": ("encode", lambda room: Tool("before_handler", room.encode, priority=70)),
    "err_redirect": ("redirect", lambda room: ErrorTool(room.err_redirect)),
    "etags": ("etags", lambda room: Tool("before_finalize", room.etags, priority=75)),
    "expires": ("expires", lambda room: Tool("before_finalize", room.expires)),
    "flatten": ("flatten", lambda room: Tool("before_finalize", room.flatten)),
    "gzip": ("gzip", lambda room: Tool("before_finalize", room.gzip, priority=80)),
    "ignore_headers": ("ignore_headers", lambda room: Tool("before_request_body", room.ignore_headers)),
    "log_headers": ("logs", lambda room: Tool("before_error_response", room.log_headers)),
    "log_hooks": ("logs", lambda room: Tool("on_end_request", room.log_hooks, priority=100)),
    "log_tracebacks": ("logs", lambda room: Tool("before_error_response", room.log_tracebacks)),
    "params": ("params", lambda room: Tool("before_handler", room.params, priority=15)),
    "proxy": ("proxy", lambda room: Tool("before_request_body", room.proxy, priority=30)),
    "redirect": ("redirect", lambda room: Tool("on_start_resource", room.redirect)),
    "referer": ("referer", lambda room: Tool("before_request_body", room.referer)),
    "staticdir": ("staticdir", lambda room: room.StaticDir()),
    "staticfile": ("staticdir", lambda room: HandlerTool(room.staticfile)),
}
"""Tools by name: the module of this room that holds each, and how it is made of what is there."""


def install(toolbox: Toolbox) -> None:
    """Put the built-in tools into `toolbox`; those of their names that are there are replaced."""
    toolbox.trailing_slash = TrailingSlash()
    toolbox.json_in = Tool("before_request_body", json_in, priority=30)
    toolbox.json_out = Tool("before_handler", json_out, priority=30)
    toolbox.response_headers = ResponseHeaders()
    for name, (module, make) in _LATE.items():
        setattr(toolbox, name, Late(toolbox, name, f"{__name__}.{module}", make))


def __getattr__(name: str) -> Any:
    """Import what programs call from handlers when they first ask for it (PEP 562)."""
    for module, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"{__name__}.{module}"), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
