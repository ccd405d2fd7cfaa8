"""What the applications of one process share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kirsch.config import Config
from kirsch.web.logging import LogManager
from kirsch.web.toolbox import Toolbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kirsch.bus.channels import Channels

__all__ = ["Site"]


class Site:
    """Configuration, tools, logs and the bus of a set of applications. More than one may live in a process.

    Parameters:
        config: the global configuration; else an empty one.
        toolboxes: toolboxes by namespace; else one empty box, `tools`.
        log: the logs; else those named `kirsch`.
        bus: told `before_request` and `after_request` where somebody listens on these channels; may be None.
        namespaces: told configuration for each request, by namespace; see `Request.namespaces`.
    """

    def __init__(
        self,
        config: Config | None = None,
        toolboxes: Mapping[str, Toolbox] | None = None,
        log: LogManager | None = None,
        bus: Channels | None = None,
        namespaces: Mapping[str, Callable[[str, Any], object]] | None = None,
    ) -> None:
        self.config = Config() if config is None else config
        self.toolboxes: dict[str, Toolbox] = (
            {"tools": Toolbox("tools")} if toolboxes is None else dict(toolboxes)
        )
        self.log = LogManager() if log is None else log
        self.bus = bus
        self.listeners: Mapping[str, object] = {} if bus is None else bus.listeners
        """Listeners of the bus by channel, as they are at any moment; empty without a bus."""
        self.namespaces: dict[str, Callable[[str, Any], object]] = dict(namespaces or {})
