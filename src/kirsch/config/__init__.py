"""Configuration: the registry of settings, loading, merging, namespaces, environments."""

from kirsch.config.binds import Bind, parse_bind
from kirsch.config.config import CLOSED, Config
from kirsch.config.errors import ConfigError, UnknownKeyError, nearest
from kirsch.config.load import Loaded, Source, load
from kirsch.config.merge import ENVIRONMENTS, environment, find, for_path, from_variables, merge
from kirsch.config.namespaces import Handler, Namespaces
from kirsch.config.registry import Registry, Setting
from kirsch.config.settings import SETTINGS, EngineSettings, LogSettings, ServerSettings, Settings
from kirsch.config.values import evaluate

__all__ = [
    "CLOSED",
    "ENVIRONMENTS",
    "SETTINGS",
    "Bind",
    "Config",
    "ConfigError",
    "EngineSettings",
    "Handler",
    "Loaded",
    "LogSettings",
    "Namespaces",
    "Registry",
    "ServerSettings",
    "Setting",
    "Settings",
    "Source",
    "UnknownKeyError",
    "environment",
    "evaluate",
    "find",
    "for_path",
    "from_variables",
    "load",
    "merge",
    "nearest",
    "parse_bind",
]
