"""The kinds of value a setting may have: what is accepted, what it becomes, and how that is said to a person.

A kind has two doors. `read` takes a typed value, from Python, TOML or a `.conf` literal, and is strict: a
number in quotes is not a number. `parse` takes bare text, from an environment variable or the command line,
where everything is text. Both return the one form the program uses, and raise `ConfigError` for everything
else, never another exception.

Kinds are not changed once they are made; any thread may use them. They are plain classes because a dozen
dataclasses took several milliseconds of every start.
"""

from __future__ import annotations

import abc
import math
import os
import re
from typing import Generic, TypeVar

from kirsch.config.binds import parse_bind
from kirsch.config.errors import ConfigError, nearest, shown

__all__ = [
    "Binds",
    "Choice",
    "Count",
    "Duration",
    "Flag",
    "Integer",
    "Kind",
    "Maybe",
    "Mode",
    "PathName",
    "Real",
    "Size",
    "Text",
    "TextList",
]

T = TypeVar("T")

LONGEST = 7 * 86400.0
"""Seconds; the longest duration accepted. Poll and epoll take milliseconds in a C int, about 24 days."""

LARGEST = 2**62
"""The largest whole number and size accepted: fits any C file offset with room to add to it."""

_NUMBER = re.compile(r"[+-]?[0-9]{1,19}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_QUANTITY = re.compile(r"([0-9]{1,19}(?:\.[0-9]{1,9})?)\s*([A-Za-z]{0,7})\Z")
_SECONDS = {
    "": 1.0,
    "ms": 0.001,
    "s": 1.0,
    "sec": 1.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
# A bare k, m or g is 1024-based as in nginx and Apache; kB, MB and GB are the SI units they look like.
_BYTES = {
    "": 1,
    "b": 1,
    "k": 1024,
    "m": 1024**2,
    "g": 1024**3,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
}
_TRUE = frozenset({"true", "on", "yes", "1"})
_FALSE = frozenset({"false", "off", "no", "0"})


class Kind(abc.ABC, Generic[T]):
    """What the values of a setting may be."""

    @property
    @abc.abstractmethod
    def label(self) -> str:
        """The kind in a word or two, for the manual."""

    @property
    def unit(self) -> str:
        """What a plain number counts: `bytes`, `seconds`, or nothing."""
        return ""

    @property
    @abc.abstractmethod
    def expected(self) -> str:
        """What must be given, to follow the words "must be"."""

    @abc.abstractmethod
    def read(self, value: object) -> T:
        """Return typed `value` in the form the program uses; raises ConfigError if it is not of this kind."""

    def parse(self, text: str) -> T:
        """Return the value that bare `text` stands for; raises ConfigError if it stands for none."""
        return self.read(text)

    def show(self, value: T) -> str:
        """Return `value` as the manual and `kirsch check` write it; `read` or `parse` takes it back."""
        return str(value)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.expected}>"

    def refusal(self, value: object, hint: str = "") -> ConfigError:
        """Return the error that `value` is not of this kind."""
        return ConfigError(f"must be {self.expected}, not {shown(value)}", hint=hint)


class Integer(Kind[int]):
    """A whole number from `minimum` to `maximum`, both included."""

    label = "whole number"

    def __init__(self, minimum: int = 0, maximum: int = LARGEST) -> None:
        self.minimum = minimum
        self.maximum = maximum

    @property
    def expected(self) -> str:
        """What must be given, with the bounds that matter."""
        if self.maximum == LARGEST:
            return f"a whole number, {self.minimum} or more"
        return f"a whole number from {self.minimum} to {self.maximum}"

    def read(self, value: object) -> int:
        """Return `value` if it is an int in range; a bool is not a number here."""
        if isinstance(value, bool) or not isinstance(value, int):
            hint = "Write the number without quotes." if isinstance(value, str) else ""
            raise self.refusal(value, hint)
        if not self.minimum <= value <= self.maximum:
            raise self.refusal(value)
        return int(value)

    def parse(self, text: str) -> int:
        """Return the number in decimal digits, with an optional sign."""
        if not _NUMBER.match(text.strip()):
            raise self.refusal(text)
        return self.read(int(text))


class Count(Kind[int | str]):
    """A whole number from 0 up, or a word that stands for one the program finds out.

    Parameters:
        word: the word, in small letters.
        maximum: the largest number.
    """

    def __init__(self, word: str, maximum: int = 10_000) -> None:
        self.word = word
        self._number = Integer(0, maximum)

    @property
    def label(self) -> str:
        """The kind in words, for the manual."""
        return f"whole number, or {self.word}"

    @property
    def expected(self) -> str:
        """What must be given, with the bounds."""
        return f"{self._number.expected}, or {self.word}"

    def read(self, value: object) -> int | str:
        """Return the number, or the word in small letters."""
        if isinstance(value, str) and value.lower() == self.word:
            return self.word
        try:
            return self._number.read(value)
        except ConfigError as error:
            raise self.refusal(value, error.hint) from None

    def parse(self, text: str) -> int | str:
        """Return the number in decimal digits, or the word."""
        if text.strip().lower() == self.word:
            return self.word
        try:
            return self._number.parse(text)
        except ConfigError:
            raise self.refusal(text) from None


class Mode(Kind[int]):
    """Permission bits of a file, 0 to 0o777; text is read as octal digits."""

    label = "permission bits"
    expected = "permission bits such as 0o660"

    def read(self, value: object) -> int:
        """Return `value` if it is an int of at most nine bits, or text of octal digits."""
        if isinstance(value, str):
            return self.parse(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 0o777:  # noqa: PLR2004  the nine bits
            raise self.refusal(value, "Write it in octal, as chmod does: 0o660 for owner and group.")
        return int(value)

    def parse(self, text: str) -> int:
        """Return the bits that one to four octal digits stand for, with or without `0o`."""
        if not re.match(r"(?:0o)?[0-7]{1,4}\Z", text):
            raise self.refusal(text)
        return self.read(int(text.removeprefix("0o"), 8))

    def show(self, value: int) -> str:
        """Return the bits in octal."""
        return f"0o{value:o}"


class Real(Kind[float]):
    """A finite number from `minimum` to `maximum`, both included."""

    label = "number"

    def __init__(self, minimum: float = 0.0, maximum: float = float(LARGEST)) -> None:
        self.minimum = minimum
        self.maximum = maximum

    @property
    def expected(self) -> str:
        """What must be given, with the bounds that matter."""
        if self.maximum == float(LARGEST):
            return f"a number, {self.minimum:g} or more"
        return f"a number from {self.minimum:g} to {self.maximum:g}"

    def read(self, value: object) -> float:
        """Return `value` as a float if it is a finite int or float in range."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.refusal(value)
        # Compared before float(): an int past the range of floats would raise OverflowError there.
        # NaN fails both.
        if not self.minimum <= value <= self.maximum:
            raise self.refusal(value)
        return float(value)

    def parse(self, text: str) -> float:
        """Return the number written in `text` as Python writes floats."""
        try:
            number = float(text)
        except ValueError:
            raise self.refusal(text) from None
        return self.read(number)

    def show(self, value: float) -> str:
        """Return the number without needless digits."""
        return f"{value:g}"


class Flag(Kind[bool]):
    """True or False."""

    label = "true or false"
    expected = "True or False"

    def read(self, value: object) -> bool:
        """Return `value` if it is a bool; 0, 1 and words are refused so that `"off"` is never true."""
        if not isinstance(value, bool):
            raise self.refusal(value, "Write it without quotes." if isinstance(value, str) else "")
        return value

    def parse(self, text: str) -> bool:
        """Return the truth of `true`, `on`, `yes`, `1`, `false`, `off`, `no` or `0`, in any case."""
        word = text.strip().lower()
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
        raise self.refusal(text, "Write on or off.")


class Text(Kind[str]):
    """A line of text without control characters, so that it cannot break a header or a log line."""

    label = "text"

    def __init__(self, *, ascii_only: bool = False) -> None:
        self.ascii_only = ascii_only

    @property
    def expected(self) -> str:
        """What must be given, and its alphabet if that matters."""
        return "ASCII text of one line" if self.ascii_only else "text of one line"

    def read(self, value: object) -> str:
        """Return `value` if it is a str without control characters."""
        if not isinstance(value, str) or _CONTROL.search(value) or (self.ascii_only and not value.isascii()):
            raise self.refusal(value)
        return str(value)


class PathName(Kind[str]):
    """The path of a file or directory, as text; nothing looks whether it exists."""

    label = "path"
    expected = "the path of a file"

    def read(self, value: object) -> str:
        """Return `value`, a str or `os.PathLike` of str, as a str; empty paths and NUL are refused."""
        if not isinstance(value, (str, os.PathLike)):
            raise self.refusal(value)
        path = os.fspath(value)
        if not isinstance(path, str) or not path or "\0" in path:
            raise self.refusal(value)
        return path


class Choice(Kind[str]):
    """One of a few words."""

    label = "choice"

    def __init__(self, choices: tuple[str, ...]) -> None:
        self.choices = choices

    @property
    def expected(self) -> str:
        """The choices, each as it must be written."""
        return f"one of {', '.join(map(repr, self.choices))}"

    def read(self, value: object) -> str:
        """Return the choice that `value` is, exactly; a near miss gets the nearest choice as the hint."""
        if isinstance(value, str) and value in self.choices:
            return str(value)
        close = nearest(value, self.choices) if isinstance(value, str) else ""
        raise self.refusal(value, f"Did you mean {close!r}?" if close else "")


class TextList(Kind[tuple[str, ...]]):
    """A list of texts; one text alone stands for a list of one."""

    label = "list of text"
    expected = "a list of text"

    def __init__(self, item: Kind[str] | None = None) -> None:
        self.item = item or Text()

    def read(self, value: object) -> tuple[str, ...]:
        """Return the items of a list or tuple, or of one str, as a tuple."""
        if isinstance(value, str):
            return (self.item.read(value),)
        if not isinstance(value, (list, tuple)):
            raise self.refusal(value)
        return tuple(self.item.read(each) for each in value)

    def parse(self, text: str) -> tuple[str, ...]:
        """Return the items of `text` between commas, without white space around them; none for empty text."""
        return tuple(self.item.parse(part.strip()) for part in text.split(",") if part.strip())

    def show(self, value: tuple[str, ...]) -> str:
        """Return the items between commas."""
        return ", ".join(value)


class Binds(TextList):
    """A list of places to listen on, each checked; at least one."""

    label = "list of addresses"
    expected = 'a list of addresses such as "127.0.0.1:8080"'

    def read(self, value: object) -> tuple[str, ...]:
        """Return the addresses as a tuple, unchanged; raises ConfigError for one that is badly written."""
        binds = super().read(value)
        return self._checked(binds, value)

    def parse(self, text: str) -> tuple[str, ...]:
        """Return the addresses of `text` between commas."""
        return self._checked(super().parse(text), text)

    def _checked(self, binds: tuple[str, ...], value: object) -> tuple[str, ...]:
        if not binds:
            raise self.refusal(value)
        for bind in binds:
            parse_bind(bind)
        return binds


class Size(Kind[int]):
    """A number of bytes: an int, or text such as `"64k"` or `"10 MiB"`, from `minimum` up."""

    label = "size"
    unit = "bytes"

    def __init__(self, minimum: int = 0) -> None:
        self.minimum = minimum

    @property
    def expected(self) -> str:
        """What must be given, with the least."""
        least = f", {self.minimum} or more" if self.minimum else ""
        return f'a size in bytes such as 65536, "64k" or "10 MiB"{least}'

    def read(self, value: object) -> int:
        """Return the bytes as an int; `k` and `KiB` are 1024, `kB` is 1000, and so on for mega and giga."""
        if isinstance(value, str):
            return self.parse(value)
        if isinstance(value, bool) or not isinstance(value, int) or not self.minimum <= value <= LARGEST:
            raise self.refusal(value)
        return int(value)

    def parse(self, text: str) -> int:
        """Return the bytes that `text` stands for; a fraction must come out as a whole number of bytes."""
        found = _QUANTITY.match(text.strip())
        factor = _BYTES.get(found[2].lower()) if found else None
        if found is None or factor is None:
            raise self.refusal(text)
        whole, _, fraction = found[1].partition(".")
        scale = int("1" + "0" * len(fraction))
        size, rest = divmod((int(whole) * scale + int(fraction or "0")) * factor, scale)
        if rest or not self.minimum <= size <= LARGEST:
            raise self.refusal(text)
        return size

    def show(self, value: int) -> str:
        """Return the size in the largest unit that leaves a whole number."""
        for unit in ("GiB", "MiB", "KiB"):
            size, rest = divmod(value, _BYTES[unit.lower()])
            if size and not rest:
                return f"{size} {unit}"
        return str(value)


class Duration(Kind[float]):
    """A time in seconds: a number, or text such as `"500ms"`, `"30 s"` or `"2min"`; at most seven days."""

    label = "duration"
    unit = "seconds"

    def __init__(self, minimum: float = 0.0) -> None:
        self.minimum = minimum

    @property
    def expected(self) -> str:
        """What must be given, with the least."""
        least = f"at least {self.show(self.minimum)} and " if self.minimum else ""
        return f'a duration in seconds such as 30, "500ms" or "2min", {least}at most 7 days'

    def read(self, value: object) -> float:
        """Return the seconds as a float, `minimum` or more."""
        if isinstance(value, str):
            return self.parse(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.refusal(value)
        if not self.minimum <= value <= LONGEST:
            raise self.refusal(value)
        return float(value)

    def parse(self, text: str) -> float:
        """Return the seconds that `text` stands for; without a unit it counts seconds."""
        found = _QUANTITY.match(text.strip())
        factor = _SECONDS.get(found[2].lower()) if found else None
        if found is None or factor is None:
            raise self.refusal(text)
        seconds = float(found[1]) * factor
        if not self.minimum <= seconds <= LONGEST:
            raise self.refusal(text)
        return seconds

    def show(self, value: float) -> str:
        """Return the time in the largest unit of ms, s, min and h that leaves a whole number."""
        for unit, factor in (("h", 3600.0), ("min", 60.0)):
            if value >= factor and not math.fmod(value, factor):
                return f"{value / factor:g} {unit}"
        if value and value < 1:
            return f"{value * 1000:g} ms"
        return f"{value:g} s"


class Maybe(Kind[T | None]):
    """A value of another kind, or None; empty text is None too, as a variable cannot say it otherwise."""

    def __init__(self, kind: Kind[T]) -> None:
        self.kind = kind

    @property
    def label(self) -> str:
        """The label of the kind it may be."""
        return f"{self.kind.label}, or none"

    @property
    def unit(self) -> str:
        """The unit of the kind it may be."""
        return self.kind.unit

    @property
    def expected(self) -> str:
        """What must be given, and that None will do."""
        return f"{self.kind.expected}, or None"

    def read(self, value: object) -> T | None:
        """Return None for None or empty text, else what the kind makes of `value`."""
        if value is None or value == "":
            return None
        try:
            return self.kind.read(value)
        except ConfigError as error:
            raise self.refusal(value, error.hint) from None

    def parse(self, text: str) -> T | None:
        """Return None for empty text, else what the kind makes of `text`."""
        return self.kind.parse(text) if text else None

    def show(self, value: T | None) -> str:
        """Return `none`, or the value as its kind shows it."""
        return "none" if value is None else self.kind.show(value)
