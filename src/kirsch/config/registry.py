"""The registry: every setting once, with all that the manual, the command line and the errors say of it.

Nothing here is global: `kirsch.config.settings` makes the house's registry, a test makes its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kirsch.config.errors import ConfigError, UnknownKeyError, nearest
from kirsch.config.kinds import Duration, Kind, Maybe

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Registry", "Setting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting: what it is called, what it may be, and what a person should know before changing it.

    Parameters:
        name: dotted name with its namespace, such as `server.threads`.
        kind: what values it takes, and their unit.
        default: its value when nobody sets it, in the form the kind's `read` returns.
        since: the version it appeared in.
        help: one sentence.
        zero: what 0 means; required of durations.
        starts: when the clock of a timeout starts; required of durations.
        resets: when the clock of a timeout starts anew; required of durations.
        precedents: what others choose, for limits and timeouts: (who, what) pairs.
        secret: whether its value must not be shown.

    Raises ValueError when a required part is missing or the default is not of the kind: a mistake in the
    program.
    """

    name: str
    kind: Kind[Any]
    default: Any
    since: str
    help: str
    zero: str = ""
    starts: str = ""
    resets: str = ""
    precedents: tuple[tuple[str, str], ...] = ()
    secret: bool = False

    def __post_init__(self) -> None:
        if not self.help.endswith("."):
            raise ValueError(f"{self.name}: the help must be a sentence, with its full stop")
        timed = isinstance(self.kind.kind if isinstance(self.kind, Maybe) else self.kind, Duration)
        if timed and not (self.zero and self.starts and self.resets):
            raise ValueError(
                f"{self.name}: a duration must say when its clock starts, resets, and what zero means"
            )
        if self.kind.read(self.default) != self.default:
            raise ValueError(f"{self.name}: the default is not in the form its kind returns")

    @property
    def namespace(self) -> str:
        """The part of the name before its first dot."""
        return self.name.partition(".")[0]

    @property
    def unit(self) -> str:
        """What a plain number counts: `bytes`, `seconds`, or nothing."""
        return self.kind.unit

    @property
    def variable(self) -> str:
        """The environment variable that sets it, such as `KIRSCH_SERVER_THREADS`."""
        return "KIRSCH_" + self.name.upper().replace(".", "_")

    def read(self, value: object) -> Any:
        """Return typed `value` in the form the program uses; raises ConfigError naming the key."""
        try:
            return self.kind.read(value)
        except ConfigError as error:
            raise self._placed(error) from None

    def parse(self, text: str) -> Any:
        """Return the value that bare `text` stands for; raises ConfigError naming the key."""
        try:
            return self.kind.parse(text)
        except ConfigError as error:
            raise self._placed(error) from None

    def _placed(self, error: ConfigError) -> ConfigError:
        if self.secret:
            error = ConfigError(f"must be {self.kind.expected} (what was given is not shown)")
        return error.at(key=self.name)


class Registry:
    """Settings by name. Filled by one thread while it is made, read by any afterwards."""

    def __init__(self) -> None:
        self._settings: dict[str, Setting] = {}
        self._variables: dict[str, Setting] = {}

    def add(self, setting: Setting) -> Setting:
        """Take `setting` in and return it; raises ValueError when its name or its variable is taken."""
        for taken in (self._settings.get(setting.name), self._variables.get(setting.variable)):
            if taken is not None:
                raise ValueError(f"{setting.name}: already registered, as {taken.name} ({taken.variable})")
        self._settings[setting.name] = setting
        self._variables[setting.variable] = setting
        return setting

    def get(self, name: str) -> Setting:
        """Return the setting called `name`; raises UnknownKeyError with the nearest name."""
        try:
            return self._settings[name]
        except KeyError:
            raise self.unknown(name) from None

    def by_variable(self, variable: str) -> Setting:
        """Return the setting `variable` sets; raises UnknownKeyError with the nearest variable."""
        try:
            return self._variables[variable]
        except KeyError:
            close = nearest(variable, self._variables)
            hint = f"Did you mean {close}?" if close else "Remove it, or see the list of settings."
            raise UnknownKeyError("no such setting", hint=hint, key=variable) from None

    def unknown(self, name: str) -> UnknownKeyError:
        """Return the error that there is no setting called `name`, with the nearest name in its hint."""
        close = self.nearest(name)
        if close:
            hint = f"Did you mean {close}?"
        else:
            namespace = name.partition(".")[0]
            known = [setting.name for setting in self.namespace(namespace)]
            hint = f"The settings of {namespace} are {', '.join(known)}." if known else ""
        return UnknownKeyError("no such setting", hint=hint, key=name)

    def nearest(self, name: str) -> str:
        """Return the name most like `name`, in its own namespace first, or "" if none is close."""
        namespace = name.partition(".")[0]
        own = [setting.name for setting in self.namespace(namespace)]
        # Compared without the shared prefix, which would make every name of the namespace look alike.
        tails = {full.partition(".")[2]: full for full in own}
        close = nearest(name.partition(".")[2], tails)
        return tails[close] if close else nearest(name, self._settings)

    def names(self) -> tuple[str, ...]:
        """Return all names in the order they were added."""
        return tuple(self._settings)

    def namespaces(self) -> tuple[str, ...]:
        """Return the namespaces in the order their first setting was added."""
        return tuple(dict.fromkeys(setting.namespace for setting in self))

    def namespace(self, name: str) -> tuple[Setting, ...]:
        """Return the settings of namespace `name` in the order they were added."""
        return tuple(setting for setting in self if setting.namespace == name)

    def __iter__(self) -> Iterator[Setting]:
        return iter(self._settings.values())

    def __len__(self) -> int:
        return len(self._settings)

    def __contains__(self, name: object) -> bool:
        return name in self._settings
