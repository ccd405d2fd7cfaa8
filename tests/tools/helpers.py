"""What the tests of this room share: applications with the built-in tools, asked as WSGI programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kirsch.tools import install
from kirsch.web import Application
from tests.web.helpers import Answer, ask, ask_wsgi, make_site

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Answer", "ask", "make", "wsgi"]


def make(root: Any, sections: dict[str, dict[str, Any]] | None = None, **tools: Any) -> Application:
    """Return an application with the built-in tools.

    `tools` are keys of the section `/`, without `tools.` and with `__` for dots.
    """
    site = make_site()
    install(site.toolboxes["tools"])
    config = {name: dict(section) for name, section in (sections or {}).items()}
    keys = {f"tools.{name.replace('__', '.')}": value for name, value in tools.items()}
    config["/"] = {**keys, **config.get("/", {})}
    return Application(root, "", config, site=site)


def wsgi(
    app: Application,
    target: str = "/",
    method: str = "GET",
    fields: Mapping[str, str] | None = None,
    body: bytes | None = None,
    **environ: Any,
) -> Answer:
    """Ask an application through its WSGI face, watched by `wsgiref.validate`."""
    keys = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in (fields or {}).items()}
    if "HTTP_CONTENT_TYPE" in keys:
        keys["CONTENT_TYPE"] = keys.pop("HTTP_CONTENT_TYPE")
    return ask_wsgi(app, target, method, {**keys, **environ}, body)
