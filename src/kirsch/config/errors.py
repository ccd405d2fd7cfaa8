"""The one error of this room, and the "did you mean" in it.

    ValueError
      ConfigError        anything wrong with a configuration: the file, a key, a value, or two values together
        UnknownKeyError  a key, section, environment or variable that nothing reads

`ConfigError` is a ValueError because programs written for CherryPy catch that around `config.update`.
"""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ConfigError", "UnknownKeyError", "nearest", "shown"]

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80


class ConfigError(ValueError):
    """A configuration that cannot be used. The operator is to blame, so the text says what to write instead.

    Parameters:
        problem: what is wrong, as a clause without a full stop.
        hint: what to do about it, as a sentence; may be empty.
        source: the file or variable it came from; may be empty.
        section: the section of the file, without brackets; may be empty.
        key: the key; may be empty.

    The parts are attributes of the same names. `at` fills in the place as the error travels up to who knows
    it.
    """

    def __init__(
        self, problem: str, *, hint: str = "", source: str = "", section: str = "", key: str = ""
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint
        self.source = source
        self.section = section
        self.key = key

    def at(self, *, source: str = "", section: str = "", key: str = "") -> Self:
        """Return a copy of the error with those parts of its place filled in that it did not know yet."""
        return type(self)(
            self.problem,
            hint=self.hint,
            source=self.source or source,
            section=self.section or section,
            key=self.key or key,
        )

    def __str__(self) -> str:
        section = f"[{self.section}]" if self.section else ""
        place = ", ".join(part for part in (self.source, " ".join(filter(None, (section, self.key)))) if part)
        text = f"{place}: {self.problem}." if place else f"{self.problem}."
        return f"{text} {self.hint}" if self.hint else text


class UnknownKeyError(ConfigError):
    """A name that nothing reads: most often a slip of the pen, so the nearest valid name is in the hint."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return the name in `valid` that is most like `name`, or "" if none is close enough to be meant."""
    import difflib  # only once something is wrong

    by_folded: dict[str, str] = {}
    for candidate in valid:
        by_folded.setdefault(candidate.lower(), candidate)
    # 0.6 is difflib's own cutoff; below it suggestions confuse more than they help.
    found = difflib.get_close_matches(name.lower(), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else ""


def shown(value: object) -> str:
    """Return `value` as a short text for an error: its repr cut to about 80 characters, and its type."""
    try:
        text = _SHORT.repr(value)
    except (
        ValueError
    ):  # an int of more digits than `sys.get_int_max_str_digits` allows; reprlib catches the rest
        text = "a value"
    return f"{text} ({type(value).__name__})"
