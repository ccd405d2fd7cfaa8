"""Serialisers: what a session holds, as bytes and back.

The usual one is MessagePack, and reading it can make nothing but values: None, bool, int, float, str, bytes,
list, tuple, dict, set, frozenset, datetime, date, time, timedelta, Decimal and UUID, each of which comes back
as what it was. Pickle is there for programs that ask for it by name. The two mark their bytes, so that
neither takes the other's.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Protocol
from uuid import UUID

from kirsch.sessions.errors import UnstorableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["MessagePack", "Pickle", "Serializer", "find_serializer"]

_DEEPEST: Final = 64
"""Containers in containers. JSON parsers stop between 100 (PHP sessions: 512) and Python's own limit; a
session that is deeper is a mistake or a cycle."""

_SMALLEST_INT: Final = -(2**63)
_LARGEST_INT: Final = 2**64 - 1

_PLAIN: Final = frozenset({str, float, bool, bytes, type(None)})
"""Types that MessagePack has itself."""

# Numbers of MessagePack's extension types; once used they keep their meaning, as stored sessions have them.
_TUPLE, _SET, _FROZENSET, _PAIRS, _INT = 1, 2, 3, 4, 5
_DATETIME, _DATE, _TIME, _TIMEDELTA, _DECIMAL, _UUID = 6, 7, 8, 9, 10, 11


class Serializer(Protocol):
    """Turns values into bytes and back."""

    mark: bytes
    """One byte that tells its bytes from those of others."""

    def dumps(self, value: Any) -> bytes:
        """Return `value` as bytes. Raises UnstorableError for what it does not keep."""

    def loads(self, data: bytes) -> Any:
        """Return the value. May raise anything for bytes that are not its own."""


def _timedelta(value: timedelta) -> str:
    return f"{value.days} {value.seconds} {value.microseconds}"


def _read_timedelta(text: str) -> timedelta:
    days, seconds, microseconds = map(int, text.split(" "))
    return timedelta(days, seconds, microseconds)


_TO_TEXT: Final[dict[type, tuple[int, Callable[[Any], str]]]] = {
    datetime: (_DATETIME, datetime.isoformat),
    date: (_DATE, date.isoformat),
    time: (_TIME, time.isoformat),
    timedelta: (_TIMEDELTA, _timedelta),
    Decimal: (_DECIMAL, str),
    UUID: (_UUID, str),
}
_FROM_TEXT: Final[dict[int, Callable[[str], Any]]] = {
    _INT: lambda text: int(text, 16),
    _DATETIME: datetime.fromisoformat,
    _DATE: date.fromisoformat,
    _TIME: time.fromisoformat,
    _TIMEDELTA: _read_timedelta,
    _DECIMAL: Decimal,
    _UUID: UUID,
}
_FROM_LIST: Final[dict[int, Callable[[Iterable[Any]], Any]]] = {
    _TUPLE: tuple,
    _SET: set,
    _FROZENSET: frozenset,
    _PAIRS: dict,
}
_TO_LIST: Final[dict[type, int]] = {tuple: _TUPLE, set: _SET, frozenset: _FROZENSET}


class MessagePack:
    """MessagePack by msgspec, with extension types for what it lacks. Safe to read from anywhere."""

    mark = b"m"

    def __init__(self) -> None:
        import msgspec  # late: a sixth of what importing the framework costs

        self._ext = msgspec.msgpack.Ext
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(ext_hook=self._revive).decode

    def dumps(self, value: Any) -> bytes:
        """Return `value` as bytes.

        Raises UnstorableError for a type that is not kept (subclasses are not, as they would come back as
        something else), for more than 64 containers in each other, and for text that is not Unicode.
        """
        packed = self._pack(value, 0)
        try:
            return self._encode(packed)
        except (TypeError, ValueError) as error:
            raise UnstorableError(f"it cannot be stored: {error}") from error

    def loads(self, data: bytes) -> Any:
        """Return the value. Raises ValueError or ArithmeticError for bytes that hold none."""
        return self._decode(data)

    def _pack(self, value: Any, depth: int) -> Any:
        """Return `value` with everything MessagePack lacks put into extension types."""
        kind = value.__class__
        if kind in _PLAIN:
            return value
        if kind is int:
            if _SMALLEST_INT <= value <= _LARGEST_INT:
                return value
            return self._ext(_INT, format(value, "x").encode())
        if depth >= _DEEPEST:
            raise UnstorableError(f"more than {_DEEPEST} containers lie in each other here")
        if kind is dict:
            return self._pack_dict(value, depth)
        if kind is list:
            return self._pack_all(value, depth)
        if kind in _TO_LIST:
            return self._ext(_TO_LIST[kind], self._encode(self._pack_all(value, depth)))
        if kind in _TO_TEXT:
            code, text = _TO_TEXT[kind]
            return self._ext(code, text(value).encode())
        raise UnstorableError(
            f"a {kind.__module__}.{kind.__qualname__} is not kept; store what it is made of (text, numbers, "
            "lists, dicts, dates, Decimal, UUID), or its key in your database. tools.sessions.serializer = "
            "'pickle' keeps it, and lets whoever can write to the store run code here"
        )

    def _pack_dict(self, values: dict[Any, Any], depth: int) -> Any:
        packed = {}
        textual = True
        for key, value in values.items():
            textual = textual and key.__class__ is str
            try:
                packed[key] = self._pack(value, depth + 1)
            except UnstorableError as error:
                error.where.insert(0, key)
                raise
        if textual:
            return packed
        pairs = [[self._pack(key, depth + 1), value] for key, value in packed.items()]
        return self._ext(_PAIRS, self._encode(pairs))

    def _pack_all(self, values: Iterable[Any], depth: int) -> list[Any]:
        packed = []
        for place, value in enumerate(values):
            try:
                packed.append(self._pack(value, depth + 1))
            except UnstorableError as error:
                error.where.insert(0, place)
                raise
        return packed

    def _revive(self, code: int, data: memoryview) -> Any:
        if code in _FROM_TEXT:
            return _FROM_TEXT[code](str(data, "ascii"))
        if code in _FROM_LIST:
            return _FROM_LIST[code](self._decode(data))
        raise ValueError(f"there is no extension type {code}")


class Pickle:
    """Pickle: keeps nearly any object, and runs what the bytes say.

    Whoever can write to the store can run code in the program (CWE-502). For programs that must keep objects
    of their own and whose store nobody else can write to.
    """

    mark = b"p"

    def dumps(self, value: Any) -> bytes:
        """Return `value` as bytes. Raises UnstorableError for what pickle does not keep."""
        import pickle

        try:
            return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
            raise UnstorableError(f"pickle does not keep it: {error}") from error

    def loads(self, data: bytes) -> Any:
        """Return the value. May raise anything."""
        import pickle

        return pickle.loads(data)  # noqa: S301  asked for by name


_NAMES: Final[dict[str, type[MessagePack | Pickle]]] = {"msgpack": MessagePack, "pickle": Pickle}


def find_serializer(wanted: str | Serializer) -> Serializer:
    """Return the serialiser called `wanted`, `msgpack` or `pickle`; an object with the methods is one itself.

    Raises ValueError for another name.
    """
    if not isinstance(wanted, str):
        return wanted
    kind = _NAMES.get(wanted)
    if kind is None:
        raise ValueError(f"there is no serializer {wanted!r}; there are {' and '.join(_NAMES)}")
    return kind()
