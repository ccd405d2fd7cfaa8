"""Header fields: names without case, several values each, in order, and nothing that splits a message.

Used by `web/` for requests and responses, by the gateways (which build them from fields the server has
checked), and by `tools/` and `security/`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, overload

from kirsch.http.grammar import FIELD_VALUE, TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["HeaderError", "Headers"]

_T = TypeVar("_T")

_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_MISSING: Final = object()

_SEPARATORS: Final = {"cookie": "; "}
"""What joins the lines of a name where it is not a comma: RFC 9113 8.2.3 for Cookie, whose values hold
commas."""


class HeaderError(ValueError):
    """A field that must not go into a message. The program that set it is at fault, never a client.

    The value is not part of the message: it may be a credential, and messages end in logs.
    """

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"header {name!a}: {problem}")
        self.name = name
        """The field name as it was given."""


def _checked_name(name: str) -> str:
    if not isinstance(name, str):
        raise TypeError(f"a header name is text, not {type(name).__name__}: {name!r}")
    if TOKEN.fullmatch(name) is None:
        raise HeaderError(
            name,
            "the name must not be empty and may hold only ASCII letters, digits and !#$%&'*+-.^_`|~ "
            "(RFC 9110 5.6.2)",
        )
    return name


def _checked_value(name: str, value: str | int) -> str:
    if isinstance(value, int):
        return str(int(value))
    if not isinstance(value, str):
        raise TypeError(
            f"header {name}: the value must be text or a whole number, not {type(value).__name__}"
        )
    if FIELD_VALUE.fullmatch(value) is not None:
        return value
    control = _CONTROL.search(value)
    if control is not None:
        raise HeaderError(
            name,
            f"the value holds the control character {control[0]!a} at position {control.start()}, which "
            "could end the line and begin another; remove it or percent-encode it",
        )
    # White space around a value is not part of it (RFC 9110 5.5).
    value = value.strip(" \t")
    foreign = next((place for place, char in enumerate(value) if char > "\xff"), None)
    if foreign is not None:
        raise HeaderError(
            name,
            f"the value holds {value[foreign]!a} at position {foreign}, outside latin-1, which headers "
            "cannot carry; percent-encode it in URLs, use an extended parameter (RFC 8187) for file names",
        )
    return value


class Headers:
    """The header fields of a message, in order, several lines of one name allowed.

    Names compare without case and keep the case they were set in. Reading `headers[name]` gives all lines of
    the name joined by `, ` (RFC 9110 5.3), so that a second line never hides: Cookie is joined by `; `, and
    Set-Cookie, which must not be joined, gives its first line. `get_all` gives the lines one by one. `len`
    and iteration count names; `items`, `values` and `lines` go line by line.

    Parameters:
        fields: pairs of name and value, or a mapping; each is added and checked.

    Writing checks: names must be tokens; values text of latin-1 without controls (or an int, written in
    decimal); white space around a value is dropped. What fails raises HeaderError, and nothing is changed.

    Not synchronised: owned by one thread at a time. Reading the same object from several threads is safe
    while nobody writes, and so is `copy` on it.
    """

    # `_keys` are the names of `_fields` in lower case, made at the first look-up. A list, not a dict:
    # messages have some ten fields, for which `list.index` is as fast as hashing, and it keeps lines in order
    # through every change. `_shared` says that another object holds the same `_fields` and `_keys`: copy
    # before writing.
    __slots__ = ("_fields", "_keys", "_shared")

    _fields: list[tuple[str, str]] | tuple[tuple[str, str], ...]
    _keys: list[str] | None
    _shared: bool

    def __init__(
        self, fields: Iterable[tuple[str, str | int]] | Mapping[str, str | int] | Headers = ()
    ) -> None:
        self._fields = []
        self._keys = None
        self._shared = False
        self.extend(fields)

    @classmethod
    def trusted(cls, fields: tuple[tuple[str, str], ...] | list[tuple[str, str]]) -> Headers:
        """Wrap fields that were validated before, as the server's are: no check, no copy.

        They are copied at the first change. Whoever passes a list must not change it afterwards.
        """
        headers = cls.__new__(cls)
        headers._fields = fields
        headers._keys = None  # noqa: SLF001  an instance of this class, made past __init__ and its checks
        headers._shared = True  # noqa: SLF001  the same
        return headers

    # --- reading ---

    def _index(self) -> list[str]:
        keys = self._keys
        if keys is None:
            # Two threads may both come here; they make equal lists and either may stay.
            keys = self._keys = [name.lower() for name, _ in self._fields]
        return keys

    def get_all(self, name: str) -> list[str]:
        """Return the value of each line called `name`, in order; an empty list if there is none."""
        keys = self._index()
        wanted = name.lower()
        fields = self._fields
        return [fields[place][1] for place, key in enumerate(keys) if key == wanted]

    def __getitem__(self, name: str) -> str:
        keys = self._index()
        wanted = name.lower()
        count = keys.count(wanted)
        if count == 0:
            raise KeyError(name)
        if count == 1 or wanted == "set-cookie":
            return self._fields[keys.index(wanted)][1]
        return _SEPARATORS.get(wanted, ", ").join(self.get_all(name))

    @overload
    def get(self, name: str, default: None = None) -> str | None: ...
    @overload
    def get(self, name: str, default: _T) -> str | _T: ...
    def get(self, name: str, default: object = None) -> object:
        """Return what `headers[name]` gives, or `default` if no line has that name."""
        try:
            return self[name]
        except KeyError:
            return default

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._index()

    def __iter__(self) -> Iterator[str]:
        """Go through the names, each once, in the case of its first line."""
        seen: set[str] = set()
        for key, (name, _) in zip(self._index(), tuple(self._fields), strict=True):
            if key not in seen:
                seen.add(key)
                yield name

    def __len__(self) -> int:
        return len(set(self._index()))

    def keys(self) -> list[str]:
        """Return the names, each once, in the case of its first line."""
        return list(self)

    def items(self) -> list[tuple[str, str]]:
        """Return every line as a (name, value) pair, in order."""
        return list(self._fields)

    def values(self) -> list[str]:
        """Return the value of every line, in order."""
        return [value for _, value in self._fields]

    def __eq__(self, other: object) -> bool:
        """Compare names without case and the values of each name in order.

        The order of different names means nothing (RFC 9110 5.3).
        """
        if not isinstance(other, Headers):
            return NotImplemented
        return self._grouped() == other._grouped()

    __hash__ = None  # type: ignore[assignment]  # mutable, so no key

    def _grouped(self) -> dict[str, list[str]]:
        grouped: dict[str, list[str]] = {}
        for key, (_, value) in zip(self._index(), self._fields, strict=True):
            grouped.setdefault(key, []).append(value)
        return grouped

    def lines(self) -> list[str]:
        """Return each line as it goes out, `Name: value`, without its end."""
        return [f"{name}: {value}" for name, value in self._fields]

    def encode(self) -> bytes:
        """Return the field lines as bytes, each ended by CRLF, without the empty line that ends a head."""
        return "".join([f"{name}: {value}\r\n" for name, value in self._fields]).encode("latin-1")

    def copy(self) -> Headers:
        """Return an equal object that changes apart from this one.

        Cheap: the lines are shared until one of the two writes.
        """
        self._shared = True
        twin = self.trusted(self._fields)
        twin._keys = self._keys  # noqa: SLF001  an instance of this class
        return twin

    __copy__ = copy

    def __repr__(self) -> str:
        # Values stay out: they carry cookies and credentials, and reprs end in logs.
        return f"<Headers {', '.join(self)}>" if self._fields else "<Headers, empty>"

    # --- writing ---

    def _writable(self) -> tuple[list[tuple[str, str]], list[str]]:
        fields, keys = self._fields, self._index()
        if self._shared or not isinstance(fields, list):
            fields = list(fields)
            keys = list(keys)
            self._fields, self._keys, self._shared = fields, keys, False
        return fields, keys

    def __setitem__(self, name: str, value: str | int) -> None:
        """Make `value` the only line called `name`; an existing first line keeps its place."""
        line = (_checked_name(name), _checked_value(name, value))
        fields, keys = self._writable()
        key = name.lower()
        if key not in keys:
            fields.append(line)
            keys.append(key)
            return
        first = keys.index(key)
        for place in range(len(keys) - 1, first, -1):
            if keys[place] == key:
                del fields[place], keys[place]
        fields[first] = line

    def add(self, name: str, value: str | int) -> None:
        """Append one line, beside the lines of the same name there may be. Raises HeaderError."""
        line = (_checked_name(name), _checked_value(name, value))
        fields, keys = self._writable()
        fields.append(line)
        keys.append(name.lower())

    def extend(self, fields: Iterable[tuple[str, str | int]] | Mapping[str, str | int] | Headers) -> None:
        """Append each of `fields` as a line of its own.

        Raises HeaderError, and then appends none.
        """
        lines = [(_checked_name(name), _checked_value(name, value)) for name, value in _pairs(fields)]
        own, keys = self._writable()
        own.extend(lines)
        keys.extend([name.lower() for name, _ in lines])

    def update(self, fields: Iterable[tuple[str, str | int]] | Mapping[str, str | int] | Headers) -> None:
        """Replace the lines of each name in `fields` by those given there; other names stay.

        Raises HeaderError, and then changes nothing.
        """
        fresh = Headers(fields)
        for name in fresh:
            self.remove(name)
        self.extend(fresh)

    def setdefault(self, name: str, value: str | int) -> str:
        """Set `name` to `value` unless it is there; return what `headers[name]` gives then."""
        if name not in self:
            self.add(name, value)
        return self[name]

    def remove(self, name: str) -> int:
        """Remove every line called `name`; return how many there were, 0 included."""
        wanted = name.lower()
        count = self._index().count(wanted)
        if count:
            fields, keys = self._writable()
            for place in range(len(keys) - 1, -1, -1):
                if keys[place] == wanted:
                    del fields[place], keys[place]
        return count

    def __delitem__(self, name: str) -> None:
        if not self.remove(name):
            raise KeyError(name)

    @overload
    def pop(self, name: str) -> str: ...
    @overload
    def pop(self, name: str, default: _T) -> str | _T: ...
    def pop(self, name: str, default: object = _MISSING) -> object:
        """Remove every line called `name` and return what `headers[name]` gave.

        Without such a line return `default`; raise KeyError if there is no default either.
        """
        if name not in self:
            if default is _MISSING:
                raise KeyError(name)
            return default
        value = self[name]
        self.remove(name)
        return value

    def clear(self) -> None:
        """Remove every line."""
        self._fields, self._keys, self._shared = [], [], False


def _pairs(
    fields: Iterable[tuple[str, str | int]] | Mapping[str, str | int] | Headers,
) -> Iterable[tuple[str, str | int]]:
    if isinstance(fields, Headers):
        return list(fields.items())
    items = getattr(fields, "items", None)
    pairs: Any = fields if items is None else items()
    return cast("Iterable[tuple[str, str | int]]", pairs)
