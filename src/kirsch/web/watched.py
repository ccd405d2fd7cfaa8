"""Configuration sections that tell when they are changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Section", "Sections"]


class Section(MutableMapping[str, Any]):
    """One section. A mapping that calls `changed` after every change.

    Readers on other threads see it before a change or after it: it is replaced as a whole.
    """

    __slots__ = ("_changed", "_values")

    def __init__(self, values: Mapping[str, Any], changed: Callable[[], object]) -> None:
        self._values = dict(values)
        self._changed = changed

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._values = {**self._values, key: value}
        self._changed()

    def __delitem__(self, key: str) -> None:
        values = dict(self._values)
        del values[key]
        self._values = values
        self._changed()

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        # Values stay out: they hold passwords, and reprs end in logs.
        return f"<{type(self).__name__} of {len(self)} keys>"


class Sections(Section):
    """Sections by name. Mappings put into it become sections of their own.

    Parameters:
        values: sections by name.
        changed: called after a change of it or of a section in it.
    """

    __slots__ = ()

    def __init__(self, values: Mapping[str, Mapping[str, Any]], changed: Callable[[], object]) -> None:
        super().__init__({name: _section(section, changed) for name, section in values.items()}, changed)

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, _section(value, self._changed))

    def section(self, name: str) -> Section:
        """Return the section `name`, a new one if there is none."""
        if name not in self:
            self[name] = {}
        found: Section = self[name]
        return found


def _section(value: Any, changed: Callable[[], object]) -> Any:
    return Section(value, changed) if isinstance(value, Mapping) else value
