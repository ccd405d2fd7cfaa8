"""Where the settings of `kirsch run` come from: files, environment variables, the command line.

From weakest to strongest: defaults, the environment, what the program itself has configured, files in the
order they are given, `KIRSCH_...` variables, the command line.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kirsch.cli.errors import Failure
from kirsch.config import (
    CLOSED,
    ENVIRONMENTS,
    SETTINGS,
    Config,
    ConfigError,
    EngineSettings,
    LogSettings,
    ServerSettings,
    from_variables,
    load,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kirsch.config import Loaded

__all__ = ["DEFAULT_ENVIRONMENT", "Configuration", "collect"]

DEFAULT_ENVIRONMENT = "production"
"""The environment of `kirsch run` when nobody names one: what serves is taken for the real thing."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """All that was said, put together and checked.

    Parameters:
        server: settings of the server.
        log: settings of the logs.
        engine: settings of the bus.
        environment: name of the environment in force.
        chosen: whether somebody named it; else it is the default.
        given: keys said explicitly, in whatever source, with their values.
        files: the files as loaded, for their sections.
    """

    server: ServerSettings
    log: LogSettings
    engine: EngineSettings
    environment: str
    chosen: bool
    given: Mapping[str, Any]
    files: tuple[Loaded, ...]

    @property
    def free(self) -> dict[str, Any]:
        """The keys said explicitly that are for the applications."""
        return {key: value for key, value in self.given.items() if not _is_closed(key)}

    def server_over(self, program: Mapping[str, Any]) -> ServerSettings:
        """Return the settings of the server over those that the program itself has set in its configuration.

        Raises Failure when they contradict each other.
        """
        own = {key: value for key, value in program.items() if key.startswith("server.")}
        if not own:
            return self.server
        said = {key: value for key, value in self.server.to_mapping().items() if key in self.given}
        try:
            return ServerSettings.from_mapping({**own, **said})
        except ConfigError as error:
            raise Failure(str(error)) from error


def collect(
    files: Sequence[str],
    variables: Mapping[str, str],
    options: Mapping[str, Any],
) -> Configuration:
    """Read and check every source.

    Parameters:
        files: names of configuration files, weaker ones first.
        variables: environment variables.
        options: typed values of the command line, by the name of the setting.

    Raises Failure, naming file, section, key and value.
    """
    try:
        return _collect(files, variables, options)
    except ConfigError as error:
        raise Failure(str(error)) from error


def _collect(files: Sequence[str], variables: Mapping[str, str], options: Mapping[str, Any]) -> Configuration:
    # CherryPy's production turns the screen off because its programs become daemons. What `kirsch run` starts
    # is looked at: only an explicit `log.screen` silences it.
    quiet = {
        name: {key: value for key, value in values.items() if key != "log.screen"}
        for name, values in ENVIRONMENTS.items()
    }
    config = Config(environments=quiet)
    loaded = tuple(load(name) for name in files)
    explicit: dict[str, Any] = {}
    for each in loaded:
        config.update(each.source)
        explicit.update(each.general)
    config.update_from_variables(variables)
    explicit.update(from_variables(variables, SETTINGS))
    config.update({"global": dict(options)})
    explicit.update(options)
    chosen = config.get("environment") is not None
    if not chosen:
        config.update({"environment": DEFAULT_ENVIRONMENT})
    server = ServerSettings.from_mapping(config)
    log = LogSettings.from_mapping(config)
    if log.access_file is not None and "server.access_log" not in config:
        # Whoever names a file for access lines wants them.
        server = replace(server, access_log="combined")
    return Configuration(
        server=server,
        log=log,
        engine=EngineSettings.from_mapping(_autoreload(config)),
        environment=config["environment"],
        chosen=chosen,
        given=explicit,
        files=loaded,
    )


def _autoreload(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of the namespace `engine` that are settings; others there are the program's."""
    return {key: value for key, value in config.items() if key in SETTINGS}


def _is_closed(key: str) -> bool:
    return any(key == prefix or key.startswith(f"{prefix}.") for prefix in CLOSED)
