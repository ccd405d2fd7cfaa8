"""The built-in tools, one file per tool or family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kirsch.tools.auth_basic import auth_basic, checkpassword_dict
from kirsch.tools.auth_digest import DigestAuth, get_ha1_dict, get_ha1_dict_plain, get_ha1_file_htdigest
from kirsch.tools.autovary import autovary
from kirsch.tools.caching import Caching
from kirsch.tools.decode import decode
from kirsch.tools.encode import encode
from kirsch.tools.etags import etags, validate_etags, validate_since
from kirsch.tools.expires import expires
from kirsch.tools.gzip import gzip
from kirsch.tools.json import json_in, json_out
from kirsch.tools.response_headers import ResponseHeaders
from kirsch.tools.static import serve_download, serve_file, serve_fileobj, staticdir, staticfile
from kirsch.tools.trailing_slash import TrailingSlash
from kirsch.web.toolbox import HandlerTool, Tool

if TYPE_CHECKING:
    from kirsch.web.toolbox import Toolbox

__all__ = [
    "checkpassword_dict",
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
    toolbox.staticdir = HandlerTool(staticdir)
    toolbox.staticfile = HandlerTool(staticfile)
