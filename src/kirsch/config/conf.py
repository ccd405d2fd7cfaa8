"""The `.conf` format: INI with Python literals.

The dialect is that of `configparser`: case kept, `key = value` or `key: value`, `#` and `;` comments on lines
of their own, indented lines go on with a value, `%(name)s` is replaced from `[DEFAULT]`. Every value is a
Python literal (`kirsch.config.values`).
"""

from __future__ import annotations

import configparser
import re
from typing import Any, TypeAlias

from kirsch.config.errors import ConfigError
from kirsch.config.values import evaluate

__all__ = ["read_conf"]

_Misread: TypeAlias = (
    configparser.DuplicateSectionError | configparser.DuplicateOptionError | configparser.ParsingError
)
DEFAULT = "DEFAULT"
_SECRET = re.compile("password|passphrase|secret|token", re.IGNORECASE)


class _Parser(configparser.ConfigParser):
    def optionxform(self, optionstr: str) -> str:
        """Keep the case of keys: attributes of tools and plugins have one."""
        return optionstr


def read_conf(text: str, name: str, *, allow_references: bool = False) -> dict[str, dict[str, Any]]:
    """Return the values in `text` by section and key; keys of `[DEFAULT]` are in every section.

    Parameters:
        text: the content of the file.
        name: the name of the file, for errors.
        allow_references: whether values may name and call Python objects (`kirsch.config.values.evaluate`).

    Raises ConfigError naming file, section and key.
    """
    parser = _Parser(default_section=DEFAULT)
    try:
        parser.read_string(text, source=name or "<file>")
    except (
        configparser.DuplicateSectionError,
        configparser.DuplicateOptionError,
        configparser.ParsingError,
    ) as error:
        raise _misread(error, name) from error
    sections: dict[str, dict[str, Any]] = {}
    inherited = parser.defaults()
    for section in parser.sections():
        values = sections[section] = {}
        for key in parser.options(section):
            try:
                values[key] = evaluate(parser.get(section, key), allow_references=allow_references)
            except configparser.Error as error:
                hint = "Write %% for a percent sign; %(name)s is replaced by `name` of [DEFAULT]."
                raise ConfigError(
                    "has a % that cannot be replaced", hint=hint, source=name, section=section, key=key
                ) from error
            except ConfigError as error:
                if key in inherited and parser.get(section, key, raw=True) == inherited[key]:
                    # [DEFAULT] may hold bare text that is only there to be put into other values.
                    continue
                raise _without_secrets(error.at(source=name, section=section, key=key)) from None
    return sections


def _without_secrets(error: ConfigError) -> ConfigError:
    """Return `error`, without the value if the key sounds like a secret: errors end in logs."""
    if not _SECRET.search(error.key):
        return error
    hidden = ConfigError("the value (not shown) cannot be read", hint="If it is text, put quotes around it.")
    return hidden.at(source=error.source, section=error.section, key=error.key)


def _misread(error: _Misread, name: str) -> ConfigError:
    """Return `error` in the house's words, with its line."""
    if isinstance(error, configparser.MissingSectionHeaderError):
        problem, hint = f"line {error.lineno} stands before any section", "Begin the file with [global]."
    elif isinstance(error, configparser.DuplicateSectionError):
        problem, hint = f"line {error.lineno}: the section [{error.section}] is there twice", "Join the two."
    elif isinstance(error, configparser.DuplicateOptionError):
        problem = f"line {error.lineno}: the key {error.option} is twice in [{error.section}]"
        hint = "Remove one of the two."
    else:
        line, content = error.errors[0]
        # Python before 3.13 gives the line in quotes already.
        content = content if content[:1] in {"'", '"'} and content[-1:] == content[:1] else repr(content)
        problem = f"line {line} is neither a [section] nor key = value: {content:.80}"
        hint = "Indent lines that go on with a value."
    return ConfigError(problem, hint=hint, source=name)
