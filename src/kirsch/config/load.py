"""Reading configuration: `.conf` files with Python literals, `.toml` files, dicts and open files.

`.conf` is INI with Python literals (`kirsch.config.conf`).

TOML has types and nesting of its own, so tables are flattened: `[server.tls]` with `key = "k.pem"` is the
global key `server.tls.key`. A table whose name begins with a slash, `["/static"]`, is the section of that
path, `[global]` holds global keys too, and every other table is global. A dict as a value is therefore not to
be had from TOML, except in a list.

The parsers are imported when there is something to parse: a program configured in code does not pay for them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, Any, TypeAlias

from kirsch.config.errors import ConfigError, shown

__all__ = ["Loaded", "Source", "load"]

Source: TypeAlias = "Mapping[str, Any] | str | bytes | os.PathLike[str] | IO[str] | IO[bytes]"
"""What configuration may come from: a dict, the name of a file, or an open file."""

GLOBAL = "global"


@dataclass(frozen=True, slots=True)
class Loaded:
    """Configuration as read: typed values, nothing checked against settings yet.

    Parameters:
        sections: values by section and key, in the order they stood.
        source: the name of the file, or "" for a dict.
    """

    sections: dict[str, dict[str, Any]] = field(default_factory=dict)
    source: str = ""

    @property
    def general(self) -> dict[str, Any]:
        """The section `global`, empty if there is none."""
        return self.sections.get(GLOBAL, {})

    @property
    def paths(self) -> dict[str, dict[str, Any]]:
        """The sections of paths: those whose names begin with a slash."""
        return {name: section for name, section in self.sections.items() if name.startswith("/")}

    @property
    def free(self) -> dict[str, dict[str, Any]]:
        """The sections that are neither: data of the application."""
        return {
            name: section
            for name, section in self.sections.items()
            if name != GLOBAL and not name.startswith("/")
        }


def load(source: Source, *, allow_references: bool = False) -> Loaded:
    """Return the configuration in `source`.

    Parameters:
        source: a dict, flat or of sections; the name of a `.toml` file or of any other, which is read as
            `.conf`; or an open file, text or binary, which is not closed. UTF-8.
        allow_references: whether `.conf` values may name and call Python objects
            (`kirsch.config.values.evaluate`).

    A dict is one of sections when it has a key `global` or one that begins with a slash, or when every value
    is a dict and no key has a dot; otherwise all of it is global. Raises ConfigError when the file cannot be
    read or understood, naming file, section, key and value.
    """
    if isinstance(source, Mapping):
        return _from_mapping(source)
    if isinstance(source, (str, bytes, os.PathLike)):
        name = os.fsdecode(source)
        return _from_text(_read_file(name), name, allow_references=allow_references)
    named = getattr(source, "name", "")  # a number for files opened by descriptor
    name = named if isinstance(named, str) else ""
    return _from_text(_read_open(source, name), name, allow_references=allow_references)


def _read_file(name: str) -> str:
    try:
        with open(name, "rb") as file:  # noqa: PTH123  a bytes name decodes to a str that may hold surrogates
            return _decode(file.read(), name)
    except (OSError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"cannot be read: {reason}", source=name or "''") from error


def _read_open(file: IO[str] | IO[bytes], name: str) -> str:
    try:
        content = file.read()
    except (OSError, ValueError) as error:  # ValueError: closed, or text that is not in its encoding
        raise ConfigError(f"cannot be read: {error}", source=name) from error
    return content if isinstance(content, str) else _decode(content, name)


def _decode(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"line {line} is not UTF-8", hint="Save the file as UTF-8.", source=name) from error


def _from_text(text: str, name: str, *, allow_references: bool) -> Loaded:
    if name.lower().endswith(".toml"):
        return _from_toml(text, name)
    from kirsch.config.conf import read_conf

    return Loaded(read_conf(text, name, allow_references=allow_references), name)


def _from_mapping(mapping: Mapping[str, Any]) -> Loaded:
    for key in mapping:
        if not isinstance(key, str):
            raise ConfigError(f"the key {shown(key)} is not text")
    marked = any(key.startswith("/") for key in mapping) or isinstance(mapping.get(GLOBAL), Mapping)
    nested = bool(mapping) and all(
        isinstance(value, Mapping) and "." not in key for key, value in mapping.items()
    )
    if not (marked or nested):
        return Loaded({GLOBAL: dict(mapping)} if mapping else {})
    sections: dict[str, dict[str, Any]] = {}
    for name, section in mapping.items():
        if not isinstance(section, Mapping):
            hint = f'Move {name} into "global", or into the section of a path.'
            raise ConfigError("stands beside sections but is not one", hint=hint, key=name)
        for key in section:
            if not isinstance(key, str):
                raise ConfigError(f"the key {shown(key)} is not text", section=name)
        sections[name] = dict(section)
    return Loaded(sections)


def _from_toml(text: str, name: str) -> Loaded:
    import tomllib

    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ConfigError(f"is not TOML: {reason}", source=name) from error
    sections: dict[str, dict[str, Any]] = {}
    for key, value in tables.items():
        inner = isinstance(value, dict) and (key == GLOBAL or key.startswith("/"))
        section = key if inner else GLOBAL
        flat = sections.setdefault(section, {})
        try:
            _flatten(value if inner else {key: value}, "", flat)
        except ConfigError as error:
            raise error.at(source=name, section=section) from None
    return Loaded(sections, name)


def _flatten(table: dict[str, Any], prefix: str, flat: dict[str, Any]) -> None:
    """Put the leaves of `table` into `flat` under dotted keys. tomllib bounds how deep tables nest."""
    for key, value in table.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            _flatten(value, f"{name}.", flat)
        elif name in flat:
            raise ConfigError("is given twice", hint="Remove one of the two.", key=name)
        else:
            flat[name] = value
