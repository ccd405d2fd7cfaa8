"""Which value holds: explicit keys over environments, deeper paths over shallower, variables over files.

From weakest to strongest: defaults of settings; the environment (`environment = "production"`); global keys
of files and dicts in the order they come; environment variables; the command line. Below a request's path the
sections of its application follow, from `/` down.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from kirsch.config.errors import ConfigError, UnknownKeyError, nearest, shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from kirsch.config.registry import Registry

__all__ = ["ENVIRONMENTS", "environment", "find", "for_path", "from_variables", "merge"]

_STAGING = {
    "engine.autoreload.on": False,
    "checker.on": False,
    "tools.log_headers.on": False,
    "request.show_tracebacks": False,
    "request.show_mismatched_params": False,
}
_PRODUCTION = {**_STAGING, "log.screen": False}

ENVIRONMENTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "staging": MappingProxyType(_STAGING),
        "production": MappingProxyType(_PRODUCTION),
        # For a process that belongs to another server: its signals are that server's.
        "embedded": MappingProxyType({**_PRODUCTION, "engine.SIGHUP": None, "engine.SIGTERM": None}),
        "test_suite": MappingProxyType(
            {
                **_PRODUCTION,
                "request.show_tracebacks": True,
                "request.show_mismatched_params": True,
            }
        ),
    }
)
"""The environments of CherryPy, by name: sets of values for a purpose, under whatever is said explicitly."""

# Kubernetes, and Docker's links before it, put these into every container beside a service called
# `kirsch...`.
_INJECTED = re.compile(
    r"KIRSCH_(?:[A-Z0-9_]+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT_[0-9]+_(?:TCP|UDP)(?:_[A-Z]+)?)\Z"
)
_PREFIX = "KIRSCH_"


def environment(
    name: object, environments: Mapping[str, Mapping[str, Any]] = ENVIRONMENTS
) -> Mapping[str, Any]:
    """Return the values of environment `name`; raises UnknownKeyError with the nearest name."""
    if isinstance(name, str) and name in environments:
        return environments[name]
    close = nearest(name, environments) if isinstance(name, str) else ""
    hint = f"Did you mean {close!r}? " if close else ""
    hint += f"There are {', '.join(environments)}."
    raise UnknownKeyError(f"there is no environment {shown(name)}", hint=hint, key="environment")


def merge(
    base: Mapping[str, Mapping[str, Any]], more: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return the sections of both; where a key is in a section of both, `more` holds. Neither is changed."""
    sections = {name: dict(section) for name, section in base.items()}
    for name, section in more.items():
        sections.setdefault(name, {}).update(section)
    return sections


def _upward(path: str) -> Iterator[str]:
    """Yield `path` and the paths above it: `/a/b/`, `/a/b`, `/a`, `/`."""
    while path and path != "/":
        yield path
        path = path.rpartition("/")[0]
    yield "/"


def find(sections: Mapping[str, Mapping[str, Any]], path: str, key: str, default: Any = None) -> Any:
    """Return the value of `key` in the section of `path` or the nearest one above it, or `default`."""
    for name in _upward(path):
        section = sections.get(name)
        if section is not None and key in section:
            return section[key]
    return default


def for_path(
    general: Mapping[str, Any], sections: Mapping[str, Mapping[str, Any]], path: str
) -> dict[str, Any]:
    """Return the flat configuration of `path`: `general`, then every section on the way down from `/`."""
    flat = dict(general)
    for name in reversed(list(_upward(path))):
        flat.update(sections.get(name, {}))
    return flat


def from_variables(
    variables: Mapping[str, str], registry: Registry, others: Collection[str] = ()
) -> dict[str, Any]:
    """Return the settings that environment variables give, by setting name, as typed values.

    `KIRSCH_SERVER_THREADS` sets `server.threads`: upper case, dots as underscores, looked up in the registry
    so that nothing is guessed. Text is read as the kind of the setting says: `on` and `off`, `64k`, `2min`,
    lists between commas.

    Parameters:
        variables: most often `os.environ`.
        registry: the settings there are.
        others: names of `KIRSCH_...` variables that are somebody else's and are left alone.

    Raises UnknownKeyError, with the nearest variable, for a `KIRSCH_...` variable that sets nothing, and
    ConfigError for a value that is refused. What Kubernetes injects for a service called `kirsch` is left
    alone.
    """
    found: dict[str, Any] = {}
    for variable, text in variables.items():
        if not variable.startswith(_PREFIX) or variable in others:
            continue
        try:
            setting = registry.by_variable(variable)
        except UnknownKeyError as error:
            if _injected(variable, text):
                continue
            raise error.at(source="environment") from None
        try:
            found[setting.name] = setting.parse(text)
        except ConfigError as error:
            raise error.at(source=f"environment variable {variable}") from None
    return found


def _injected(variable: str, text: str) -> bool:
    # A bare ..._PORT is only theirs when it holds an address: KIRSCH_SERVER_PORT=8080 is a person's mistake.
    return bool(_INJECTED.match(variable)) or (
        variable.endswith("_PORT") and text.startswith(("tcp://", "udp://"))
    )
