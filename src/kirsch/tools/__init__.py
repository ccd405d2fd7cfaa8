"""The built-in tools, one file per tool or family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kirsch.tools.accept import accept, choose_media
from kirsch.tools.allow import allow
from kirsch.tools.auth_basic import auth_basic, checkpassword_dict
from kirsch.tools.auth_digest import DigestAuth, get_ha1_dict, get_ha1_dict_plain, get_ha1_file_htdigest
from kirsch.tools.autovary import autovary
from kirsch.tools.caching import Caching
from kirsch.tools.decode import decode
from kirsch.tools.encode import encode
from kirsch.tools.etags import etags, validate_etags, validate_since
from kirsch.tools.expires import expires
from kirsch.tools.flatten import flatten
from kirsch.tools.gzip import gzip
from kirsch.tools.ignore_headers import ignore_headers
from kirsch.tools.json import json_in, json_out
from kirsch.tools.logs import log_headers, log_hooks, log_tracebacks
from kirsch.tools.params import params
from kirsch.tools.proxy import proxy
from kirsch.tools.redirect import err_redirect, redirect
from kirsch.tools.referer import referer
from kirsch.tools.response_headers import ResponseHeaders
from kirsch.tools.static import serve_download, serve_file, serve_fileobj, staticdir, staticfile
from kirsch.tools.trailing_slash import TrailingSlash
from kirsch.web.toolbox import ErrorTool, HandlerTool, Tool

if TYPE_CHECKING:
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


def install(toolbox: Toolbox) -> None:
    """Put the built-in tools into `toolbox`; those of their names that are there are replaced."""
    toolbox.trailing_slash = TrailingSlash()
    toolbox.json_in = Tool("before_request_body", json_in, priority=30)
    toolbox.json_out = Tool("before_handler", json_out, priority=30)
    toolbox.response_headers = ResponseHeaders()
    toolbox.auth_basic = Tool("before_handler", auth_basic, priority=1)
    toolbox.auth_digest = DigestAuth()
    toolbox.autovary = Tool("on_start_resource", autovary, priority=0)
    toolbox.caching = Caching()
    toolbox.decode = Tool("before_request_body", decode)
    toolbox.encode = Tool("before_handler", encode, priority=70)
    toolbox.etags = Tool("before_finalize", etags, priority=75)
    toolbox.expires = Tool("before_finalize", expires)
    toolbox.gzip = Tool("before_finalize", gzip, priority=80)
    toolbox.accept = Tool("on_start_resource", accept)
    toolbox.allow = Tool("on_start_resource", allow)
    toolbox.err_redirect = ErrorTool(err_redirect)
    toolbox.flatten = Tool("before_finalize", flatten)
    toolbox.ignore_headers = Tool("before_request_body", ignore_headers)
    toolbox.log_headers = Tool("before_error_response", log_headers)
    toolbox.log_hooks = Tool("on_end_request", log_hooks, priority=100)
    toolbox.log_tracebacks = Tool("before_error_response", log_tracebacks)
    toolbox.params = Tool("before_handler", params, priority=15)
    toolbox.proxy = Tool("before_request_body", proxy, priority=30)
    toolbox.redirect = Tool("on_start_resource", redirect)
    toolbox.referer = Tool("before_request_body", referer)
    toolbox.staticdir = HandlerTool(staticdir)
    toolbox.staticfile = HandlerTool(staticfile)
