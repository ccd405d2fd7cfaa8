"""Namespaces: who is told which part of a flat configuration.

The part of a key before its first dot is its namespace. `Namespaces` maps that to a handler, in one of two
shapes:

- a callable, called with the rest of the key and the value, once for each key; - a context manager whose
`__enter__` returns such a callable. It is entered even when there are no keys for it, and left when its keys
are done, so it can collect them and act once; an exception of a key goes through its `__exit__`.

Order: namespaces in the order they were registered, keys in the order of the configuration.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Handler", "Namespaces"]

Handler: TypeAlias = "Callable[[str, Any], object] | AbstractContextManager[Callable[[str, Any], object]]"
"""What is told the keys of a namespace."""


class Namespaces(dict[str, Handler]):
    """Handlers by namespace. Filled by the thread that configures; then `apply` may run on many threads."""

    def copy(self) -> Namespaces:
        """Return new namespaces with the same handlers."""
        return Namespaces(self)

    def apply(self, config: Mapping[str, Any]) -> None:
        """Tell every handler its keys of `config`.

        Keys without a dot, and keys of a namespace nobody handles, stay untold. What a handler raises comes
        out as it is, and ends the matter: the handlers after it are not told.
        """
        parts: dict[str, list[tuple[str, Any]]] = {}
        for key, value in config.items():
            namespace, dot, rest = key.partition(".")
            if dot:
                parts.setdefault(namespace, []).append((rest, value))
        # A copy, as a handler may register another namespace, which then counts from the next time on.
        for namespace, handler in list(self.items()):
            keys = parts.get(namespace, [])
            if isinstance(handler, AbstractContextManager):
                with handler as tell:
                    for rest, value in keys:
                        tell(rest, value)
            else:
                for rest, value in keys:
                    handler(rest, value)
