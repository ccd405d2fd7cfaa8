"""The one default set of objects that `kirsch.engine`, `kirsch.tree` and the others are.

Each of their classes can be made again; these are only wired to each other: the server to the bus, the
configuration to whom it is for. Importing this starts nothing; threads, signals, sockets and log files wait
for `engine.start`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kirsch.bus import Engine
from kirsch.config import Config, LogSettings, load
from kirsch.security import install as install_security
from kirsch.sessions import install as install_sessions
from kirsch.tools import install
from kirsch.web.application import Application as _Application
from kirsch.web.context import current
from kirsch.web.logging import LogManager
from kirsch.web.site import Site
from kirsch.web.toolbox import Toolbox
from kirsch.web.tree import Tree as _Tree
from kirsch.web.url import make_url

if TYPE_CHECKING:
    from kirsch.config import ServerSettings, Source
    from kirsch.server import Server

__all__ = [
    "Application",
    "DefaultServer",
    "config",
    "engine",
    "log",
    "quickstart",
    "server",
    "site",
    "tools",
    "tree",
    "url",
]

DEFAULTS = {
    "tools.trailing_slash.on": True,
    "tools.secureheaders.on": True,
    "security.headers": True,
    "security.cookies": True,
}
"""Configuration of native programs where nothing else is said. Settings have their defaults in the
registry."""

_LOG_PRIORITY = 5
"""On `start`: before whatever may want to log."""


class _Log(LogManager):
    """Logs to the application of the request that is being answered, else to the site.

    It sends nothing anywhere until the bus is started, or has something to say.
    """

    configured = False

    def error(
        self,
        msg: str = "",
        context: str = "",
        severity: int | None = None,
        traceback: bool | BaseException = False,
    ) -> None:
        """See `LogManager.error`."""
        request = current()
        if request is not None and request.app.log is not self:
            request.app.log.error(msg, context, severity, traceback)
        else:
            super().error(msg, context, severity, traceback)

    def take(self, msg: str, level: int) -> None:
        """Log what the bus says."""
        self.open()
        # The bus puts tracebacks below its message; they are indented on their way out.
        self.error_log.log(level, "ENGINE %s", msg)

    def open(self) -> None:
        """Send the logs where the configuration says, unless that is done."""
        if not self.configured:
            self.configured = True
            self.configure(LogSettings.from_mapping(config))

    def changed(self, key: str, value: Any) -> None:
        """Send the logs elsewhere: the configuration has changed."""
        del key, value
        if self.configured:
            self.configure(LogSettings.from_mapping(config))


class DefaultServer:
    """The server of the default set: made from the configuration when the bus starts.

    Parameters:
        bus: what it starts and stops with.
        tree: what it serves.
        config: where its settings come from.
    """

    def __init__(self, bus: Engine, tree: _Tree, config: Config) -> None:
        self.bus = bus
        self.tree = tree
        self.config = config
        self.instance: Server | None = None
        """The server while it runs; None otherwise."""

    @property
    def settings(self) -> ServerSettings:
        """The settings that `KIRSCH_...` variables give, else the configuration; ConfigError if refused."""
        import os

        from kirsch.config import SETTINGS, ServerSettings, from_variables

        return ServerSettings.from_mapping({**self.config, **from_variables(os.environ, SETTINGS)})

    def start(self) -> None:
        """Bind and serve. Raises BindError for an address that cannot be used. Twice is once."""
        if self.instance is not None:
            return
        from kirsch.security import protect, protect_graft
        from kirsch.server import BusThreads, Server, WSGIGateway
        from kirsch.web.gateway import Gateway

        def serve_wsgi(program: Any, script_name: str) -> Any:
            return protect_graft(WSGIGateway(program, script_name=script_name), self.config)

        tree = Gateway(self.tree, serve_wsgi, WSGIGateway.exchange_type)
        gateway = protect(tree, self.config, foreign=False, log=self._refused)
        made = Server(gateway, self.settings, hooks=BusThreads(self.bus), log=self._failed, end=self._end)
        made.start()
        self.instance = made

    def stop(self) -> None:
        """Finish what runs, then close; see `kirsch.server.Server.stop`."""
        made, self.instance = self.instance, None
        if made is not None:
            made.stop()

    @property
    def urls(self) -> list[str]:
        """Where a person finds the server; empty while it is stopped."""
        return [] if self.instance is None else self.instance.urls

    def base(self) -> str:
        """Return scheme, host and port of the server, for URLs made outside of a request."""
        if self.urls:
            return self.urls[0].rstrip("/")
        scheme = "http" if self.settings.tls_certificate is None else "https"
        return f"{scheme}://{self.settings.bind[0]}"

    def subscribe(self) -> None:
        """Start and stop with the bus: after ordinary plugins on `start` (75), before them on `stop` (25)."""
        self.bus.subscribe("start", self.start, 75)
        self.bus.subscribe("stop", self.stop, 25)

    def unsubscribe(self) -> None:
        """Leave the bus, as a program does that another server serves."""
        self.bus.unsubscribe("start", self.start)
        self.bus.unsubscribe("stop", self.stop)

    @staticmethod
    def _failed(message: str, *, traceback: bool = False) -> None:
        log.error(message, "SERVER", 40, traceback)

    @staticmethod
    def _refused(line: str) -> None:
        log.error(line, "SECURITY", 30)

    def _end(self, error: BaseException) -> None:
        """End the program: a handler asked for it by SystemExit or KeyboardInterrupt."""
        import threading

        self.bus.log(f"A handler raised {type(error).__name__}: the program ends")
        # Not in the server's own thread, which `exit` waits for.
        threading.Thread(target=self.bus.exit, name="kirsch end", daemon=True).start()


config = Config(DEFAULTS)
tools = Toolbox("tools")
install(tools)
install_security(tools)
install_sessions(tools)
log = _Log()
engine = Engine()
site = Site(config, {"tools": tools}, log, engine)


class Application(_Application):
    """An application of the default site; see `kirsch.web.Application`."""

    def __init__(
        self,
        root: Any = None,
        script_name: str | None = "",
        config: Source | None = None,
        *,
        site: Site = site,
    ) -> None:
        super().__init__(root, script_name, config, site=site)


class _DefaultTree(_Tree):
    application_class = Application


tree = _DefaultTree(site)
server = DefaultServer(engine, tree, config)


def _tell_engine(key: str, value: Any) -> None:
    """Obey `engine.PLUGIN.on`, `engine.PLUGIN.ATTRIBUTE`, `engine.SIGNAL` and `engine.CHANNEL`."""
    plugin, dot, attribute = key.partition(".")
    if dot and attribute == "on":
        found = getattr(engine, plugin)
        if value:
            found.subscribe()
        else:
            found.unsubscribe()
    elif dot:
        setattr(getattr(engine, plugin), attribute, value)
    elif plugin.startswith("SIG"):
        # None: the signal is left alone.
        engine.signal_handler.handlers[plugin] = value
    elif value is not None:
        engine.subscribe(plugin, value)


def _tell_tree(key: str, value: Any) -> None:
    """Obey `tree.NAME = {script name: WSGI program}`, and `tree.NAME = application`."""
    del key
    if isinstance(value, _Application):
        tree.mount(value)
    else:
        for script_name, program in value.items():
            tree.graft(program, script_name)


config.namespaces["log"] = log.changed
config.namespaces["engine"] = _tell_engine
config.namespaces["tree"] = _tell_tree
# Read when the server is made.
config.namespaces["server"] = lambda key, value: None  # noqa: ARG005  the shape of a handler
config.namespaces["tools"] = lambda key, value: None  # noqa: ARG005  read when a plan is made
config.namespaces["security"] = lambda key, value: None  # noqa: ARG005  read when the server starts
config.namespaces["request"] = lambda key, value: None  # noqa: ARG005  as above
engine.subscribe("log", log.take)
engine.subscribe("start", log.open, _LOG_PRIORITY)
engine.subscribe("graceful", log.reopen_files)
engine.subscribe("exit", tools.sessions.close)
server.subscribe()


def quickstart(root: Any = None, script_name: str = "", config: Source | None = None) -> None:
    """Serve `root` until the program is told to end.

    Parameters:
        root: the object whose exposed methods are pages; a class is made an object of; or an Application.
        script_name: the path it is mounted at.
        config: a dict, the name of a file or an open file. Its global keys configure the process, its
            sections the application.

    Subscribes signals, so it belongs in the main thread. Ends in SystemExit when something failed.
    """
    sections: dict[str, Any] = {}
    if config:
        loaded = load(config)
        if isinstance(config, (str, bytes)) or hasattr(config, "__fspath__"):
            site.config.update(config)
        elif loaded.general:
            site.config.update({"global": loaded.general})
        sections = {**loaded.paths, **loaded.free}
    tree.mount(root, script_name, sections or None)
    engine.signals.subscribe()
    engine.start()
    engine.block()


def url(
    path: str = "",
    qs: Any = "",
    script_name: str | None = None,
    base: str | None = None,
    relative: bool | str | None = None,
) -> str:
    """Return a URL of this program, for `path` below the application; see `kirsch.web.make_url`.

    Outside of a request it begins with the address the server is bound to.
    """
    request = current()
    return make_url(
        request,
        path,
        qs,
        script_name,
        base,
        relative,
        server_base="" if request is not None or base is not None else server.base(),
    )
