"""The way in: the tools of this room for a toolbox, and its wrappers for a gateway, by configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kirsch.security.csrf import CSRFTool
from kirsch.security.headers import SecureHeadersTool

if TYPE_CHECKING:
    from kirsch.web.toolbox import Toolbox

__all__ = ["install"]


def install(toolbox: Toolbox) -> None:
    """Put the tools of this room into `toolbox`; those of their names that are there are replaced."""
    toolbox.csrf = CSRFTool()
    toolbox.secureheaders = SecureHeadersTool()
