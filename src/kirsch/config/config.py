"""`Config`: one flat configuration that checks what it is given and tells namespaces what changed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kirsch.config.errors import ConfigError, UnknownKeyError, nearest
from kirsch.config.load import Loaded, Source, load
from kirsch.config.merge import ENVIRONMENTS, environment, from_variables
from kirsch.config.namespaces import Namespaces
from kirsch.config.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Collection

    from kirsch.config.registry import Registry

__all__ = ["CLOSED", "Config"]

CLOSED = ("server", "log", "engine.autoreload", "environment")
"""Prefixes under which every key must be a setting. Elsewhere keys are free: who is told them checks them."""


class Config(Mapping[str, Any]):
    """A flat configuration, `{"server.threads": 4}`. As many as are wanted can be made in one process.

    Parameters:
        defaults: values that hold until something else is said, and again after `reset`.
        registry: the settings there are.
        environments: values by environment name.
        strict: whether keys under `CLOSED` must be settings and their values of the right kind. Programs that
            came in through the compatibility path bring other names, and are not checked here.
        allow_references: whether `.conf` files may name and call Python objects.

    Every change fires `namespaces` with the keys it changed. Writers are serialised by a lock that is never
    held while a handler runs; readers see the configuration before a change or after it, never half of it.
    """

    def __init__(
        self,
        defaults: Mapping[str, Any] | None = None,
        *,
        registry: Registry = SETTINGS,
        environments: Mapping[str, Mapping[str, Any]] = ENVIRONMENTS,
        strict: bool = True,
        allow_references: bool = False,
    ) -> None:
        self.namespaces = Namespaces()
        """Who is told what. Handlers added later are not told what is already there."""
        self.environments = dict(environments)
        """Values by environment name; may be added to."""
        self.registry = registry
        self.strict = strict
        self.allow_references = allow_references
        self.generation = 0
        """Grows with every change, so that whatever was derived from an older one can be known."""
        self.files: list[str] = []
        """Names of the files that were loaded, in order; an autoreloader watches them."""
        self.skipped: list[str] = []
        """Sections beside `global` in what was loaded: they are for applications, and do nothing here."""
        # Guards the replacement of the dicts below and of the counters above; nothing is called
        # while it is held.
        self._lock = threading.Lock()
        # Keys that were said explicitly: those no environment may change.
        self._explicit: frozenset[str] = frozenset()
        self._defaults = self._checked(Loaded({"global": dict(defaults or {})}))
        # Replaced as a whole, never changed in place.
        self._values: dict[str, Any] = dict(self._defaults)

    def update(self, source: Source | None = None, /, **values: Any) -> None:
        """Take over the global keys of `source`, then tell the namespaces.

        Parameters:
            source: a dict, the name of a file, or an open file (`kirsch.config.load.load`).
            values: more global keys, for `update(environment="production")`.

        Nothing changes if anything in it is refused: ConfigError, or UnknownKeyError with the nearest name.
        What a namespace handler raises comes out as it is, with the values already changed.
        """
        loaded = load({} if source is None else source, allow_references=self.allow_references)
        if values:
            loaded = Loaded({**loaded.sections, "global": {**loaded.general, **values}}, loaded.source)
        self._take(loaded)
        if loaded.source:
            self.files.append(loaded.source)
        self.skipped.extend(name for name in loaded.sections if name != "global")

    def update_from_variables(self, variables: Mapping[str, str], others: Collection[str] = ()) -> None:
        """Take over what `KIRSCH_...` environment variables say (`kirsch.config.merge.from_variables`)."""
        self._take(Loaded({"global": from_variables(variables, self.registry, others)}, "environment"))

    def reset(self) -> None:
        """Go back to the defaults and tell the namespaces."""
        with self._lock:
            self._values = dict(self._defaults)
            self._explicit = frozenset()
            self.generation += 1
            self.files.clear()
            self.skipped.clear()
        self.namespaces.apply(self._defaults)

    def _take(self, loaded: Loaded) -> None:
        new = self._checked(loaded)
        with self._lock:
            explicit = self._explicit | new.keys()
            if new.get("environment"):
                try:
                    chosen = environment(new["environment"], self.environments)
                except UnknownKeyError as error:
                    raise error.at(source=loaded.source, section="global" if loaded.source else "") from None
                new = {**{key: value for key, value in chosen.items() if key not in explicit}, **new}
            self._explicit = explicit
            self._values = {**self._values, **new}
            self.generation += 1
        self.namespaces.apply(new)

    def _checked(self, loaded: Loaded) -> dict[str, Any]:
        """Return the global keys of `loaded` as the program uses them; raises ConfigError with its place."""
        checked: dict[str, Any] = {}
        for key, value in loaded.general.items():
            try:
                checked[key] = self._read(key, value) if self.strict else value
            except ConfigError as error:
                raise error.at(source=loaded.source, section="global" if loaded.source else "") from None
        return checked

    def _read(self, key: str, value: Any) -> Any:
        if key in self.registry:
            return self.registry.get(key).read(value)
        if any(key == prefix or key.startswith(f"{prefix}.") for prefix in CLOSED):
            raise self.registry.unknown(key)
        self._refuse_slip(key)
        return value

    def _refuse_slip(self, key: str) -> None:
        """Raise UnknownKeyError when `key` is a setting but for a slip in its namespace: `sever.bind`."""
        namespace, dot, rest = key.partition(".")
        if namespace in self.namespaces or namespace in self.registry.namespaces():
            return
        meant = nearest(namespace, self.registry.namespaces())
        name = f"{meant}{dot}{rest}"
        if meant and name in self.registry:
            raise UnknownKeyError("no such setting", hint=f"Did you mean {name}?", key=key)

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._take(Loaded({"global": {key: value}}))

    def __delitem__(self, key: str) -> None:
        with self._lock:
            values = dict(self._values)
            del values[key]
            self._values = values
            self._explicit -= {key}
            self.generation += 1

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        # Values stay out: they hold passwords, and reprs end in logs.
        return f"<Config of {len(self)} keys, generation {self.generation}>"
