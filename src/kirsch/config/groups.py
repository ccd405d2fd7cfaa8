"""What every group of settings is made of: the registry of the house, and a class that checks itself.

A group is a frozen dataclass whose fields *are* the registry's entries, so a value and what is written about
it cannot drift apart. There is no way to hold one with a value that its settings refuse.
"""

from __future__ import annotations

from dataclasses import field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from kirsch.config.kinds import Duration, Maybe, PathName
from kirsch.config.registry import Registry, Setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kirsch.config.kinds import Kind

__all__ = ["FILE", "FIRST", "SETTINGS", "TIME", "Settings", "setting"]

SETTINGS = Registry()
"""The registry of the house. Filled while the modules that own settings are imported, only read after."""

T = TypeVar("T")

FIRST = "0.1.0"
"""The version everything so far appeared in."""

TIME = Duration()
FILE = Maybe(PathName())


def setting(
    name: str,
    kind: Kind[T],
    help: str,  # noqa: A002  the word of the registry and of every command line
    *precedents: tuple[str, str],
    default: T,
    zero: str = "",
    starts: str = "",
    resets: str = "",
    secret: bool = False,
) -> T:
    """Register a setting and return the dataclass field that holds it."""
    made = Setting(
        name=name,
        kind=kind,
        default=default,
        since=FIRST,
        help=help,
        zero=zero,
        starts=starts,
        resets=resets,
        precedents=precedents,
        secret=secret,
    )
    return field(default=default, repr=not secret, metadata={"setting": SETTINGS.add(made)})


class Settings:
    """A group of settings with their values. Immutable; any thread may read it."""

    __slots__ = ()
    namespace: ClassVar[str]

    @classmethod
    def settings(cls) -> dict[str, Setting]:
        """Return the settings of the group by attribute name."""
        return {each.name: each.metadata["setting"] for each in fields(cls)}  # type: ignore[arg-type]  # its subclasses are dataclasses

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object]) -> Self:
        """Return the group with the values that `mapping` gives under full names such as `server.threads`.

        Keys of other namespaces are left alone, so a whole flat configuration may be passed. Raises
        UnknownKeyError for a key of this namespace that is no setting, ConfigError for a value that is
        refused.
        """
        by_name = {setting.name: attribute for attribute, setting in cls.settings().items()}
        values: dict[str, Any] = {}
        for key, value in mapping.items():
            if key.partition(".")[0] != cls.namespace:
                continue
            if key not in by_name:
                raise SETTINGS.unknown(key)
            values[by_name[key]] = value
        return cls(**values)

    def to_mapping(self) -> dict[str, Any]:
        """Return all values by full name; `from_mapping` takes it back."""
        return {setting.name: getattr(self, attribute) for attribute, setting in self.settings().items()}

    def __post_init__(self) -> None:
        for attribute, setting in self.settings().items():
            # The dataclass is frozen for everybody but this moment, when text such as "64k"
            # becomes its value.
            object.__setattr__(self, attribute, setting.read(getattr(self, attribute)))
        self._check_together()

    def _check_together(self) -> None:
        """Raise ConfigError when two values that are each right contradict each other."""
