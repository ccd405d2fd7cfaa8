"""The framework: applications, dispatch, plans, hooks, tools, requests, responses, errors, the gateway."""

from kirsch.web.application import Application, RedirectLoopError
from kirsch.web.body import RequestBody
from kirsch.web.context import Proxy, current
from kirsch.web.dispatch import Dispatcher, DispatchError, Finder, Found, Path
from kirsch.web.errors import (
    HTTPError,
    HTTPRedirect,
    InternalRedirect,
    KirschError,
    NoRequestError,
    NotFound,
    UnsafeRedirectError,
)
from kirsch.web.expose import PopArgs, expose, popargs
from kirsch.web.forms import Part
from kirsch.web.gateway import Gateway
from kirsch.web.hooks import POINTS, Hook, Hooks
from kirsch.web.logging import LogManager
from kirsch.web.plan import Building, Plan
from kirsch.web.request import Host, PageHandler, Request
from kirsch.web.response import Response
from kirsch.web.site import Site
from kirsch.web.toolbox import ErrorTool, HandlerTool, HandlerWrapperTool, Tool, Toolbox, configure
from kirsch.web.tree import Tree
from kirsch.web.url import check_redirect, make_url

__all__ = [
    "POINTS",
    "Application",
    "Building",
    "DispatchError",
    "Dispatcher",
    "ErrorTool",
    "Finder",
    "Found",
    "Gateway",
    "HTTPError",
    "HTTPRedirect",
    "HandlerTool",
    "HandlerWrapperTool",
    "Hook",
    "Hooks",
    "Host",
    "InternalRedirect",
    "KirschError",
    "LogManager",
    "NoRequestError",
    "NotFound",
    "PageHandler",
    "Part",
    "Path",
    "Plan",
    "PopArgs",
    "Proxy",
    "RedirectLoopError",
    "Request",
    "RequestBody",
    "Response",
    "Site",
    "Tool",
    "Toolbox",
    "Tree",
    "UnsafeRedirectError",
    "check_redirect",
    "configure",
    "current",
    "expose",
    "make_url",
    "popargs",
]
