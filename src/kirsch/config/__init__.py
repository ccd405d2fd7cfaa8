"""Configuration: the registry of settings, loading, merging, namespaces, environments."""

from kirsch.config.binds import Bind, parse_bind
from kirsch.config.errors import ConfigError, UnknownKeyError
from kirsch.config.registry import Registry, Setting
from kirsch.config.settings import SETTINGS, EngineSettings, LogSettings, ServerSettings, Settings

__all__ = [
    "SETTINGS",
    "Bind",
    "ConfigError",
    "EngineSettings",
    "LogSettings",
    "Registry",
    "ServerSettings",
    "Setting",
    "Settings",
    "UnknownKeyError",
    "parse_bind",
]
