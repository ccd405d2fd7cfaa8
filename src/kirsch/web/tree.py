"""A tree: applications and other WSGI programs, each under its path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kirsch.web.application import Application
from kirsch.web.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kirsch.config import Source
    from kirsch.http.exchange import Exchange
    from kirsch.web.dispatch import Path

    WSGIProgram = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

__all__ = ["Tree"]


class Tree:
    """Programs by script name.

    As many trees as are wanted can be made in one process; also a WSGI program itself.

    Parameters:
        site: what the applications share; else a site of its own.

    Any thread may mount and look up; requests see the tree before or after.
    """

    application_class: type[Application] = Application
    """What `mount` makes."""

    def __init__(self, site: Site | None = None) -> None:
        self.site = Site() if site is None else site
        """What the applications share."""
        self.generation = 0
        """Grows when something is mounted or taken out through a method."""
        # Replaced as a whole, never changed in place.
        self._apps: dict[str, Any] = {}

    @property
    def apps(self) -> dict[str, Any]:
        """Programs by script name. A copy; use `mount`, `graft` and `unmount`."""
        return dict(self._apps)

    def mount(self, root: Any, script_name: str | None = "", config: Source | None = None) -> Application:
        """Mount an object, a class that is made an object of, or an application, and return the application.

        Parameters:
            root: the object the walk begins at, or an Application.
            script_name: the path, `/wiki`; empty for the root of the server.
            config: configuration by section; merged into that of an application.

        Raises TypeError for a script name of None, ValueError when an application has another one of its own.
        """
        if script_name is None:
            raise TypeError("mount needs a script name; '' is the root of the server")
        script_name = script_name.rstrip("/")
        if script_name and not script_name.startswith("/"):
            raise ValueError(f"a script name begins with a slash: write {'/' + script_name!r}")
        if isinstance(root, Application):
            app = root
            if script_name not in {"", app.script_name}:
                raise ValueError(
                    f"the application has the script name {app.script_name!r} "
                    f"and cannot be mounted at {script_name!r}"
                )
            script_name = app.script_name or ""
            if config:
                app.merge(config)
        else:
            if isinstance(root, type):
                root = root()
            app = self.application_class(root, script_name, config, site=self.site)
        self._put(script_name, app)
        return app

    def graft(self, wsgi_callable: WSGIProgram, script_name: str = "") -> None:
        """Put a WSGI program under `script_name`."""
        self._put(script_name.rstrip("/"), wsgi_callable)

    def unmount(self, script_name: str) -> Any:
        """Take out what is under `script_name`, and return it; KeyError if nothing is."""
        apps = dict(self._apps)
        app = apps.pop(script_name.rstrip("/"))
        self._apps = apps
        self.generation += 1
        return app

    def _put(self, script_name: str, program: Any) -> None:
        self._apps = {**self._apps, script_name: program}
        self.generation += 1

    def script_name(self, path: str) -> str | None:
        """Return the longest script name that `path`, decoded, lies under; None if it lies under none."""
        apps = self._apps
        path = path.rstrip("/")
        while True:
            if path in apps:
                return path
            if not path:
                return None
            path = path.rpartition("/")[0].rstrip("/")

    def __getitem__(self, script_name: str) -> Any:
        return self._apps[script_name]

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer as a WSGI program: pass on to the program the path lies under, 404 if it lies under none."""
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        decoded = path.encode("latin-1", "replace").decode("utf-8", "replace")
        script_name = self.script_name(decoded)
        if script_name is None:
            # An application without objects draws the same page as any other.
            return self.application_class(None, None, site=self.site)(environ, start_response)
        program = self._apps[script_name]
        own = script_name.encode().decode("latin-1")
        environ = {**environ, "SCRIPT_NAME": own, "PATH_INFO": path[len(own) :]}
        answer: Iterable[bytes] = program(environ, start_response)
        return answer

    def answer_nowhere(self, exchange: Exchange, path: Path) -> None:
        """Answer an exchange whose path lies under nothing: 404."""
        self.application_class(None, "", site=self.site).answer(exchange, path)

    def __repr__(self) -> str:
        return f"<Tree of {', '.join(name or '/' for name in self._apps) or 'nothing'}>"
