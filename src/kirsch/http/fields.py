"""The fields of an answer as one object that comes again and again, known by what it is and not by what it
holds.
"""

from __future__ import annotations

__all__ = ["SharedFields"]


class SharedFields(tuple[tuple[str, str], ...]):
    """Response fields that never change, shared by many answers; `Exchange.fields` may be one.

    Two of them are equal only if they are the same object (compared to an ordinary tuple what they hold
    counts), and hashing one does not look at what it holds. So the server finds the bytes of a whole head by
    one look-up, however many fields there are: sixteen of them cost it as much as one. For that, whoever
    makes them must keep them and hand out the same ones; made anew for each answer they only fill
    memories.
    """

    __slots__ = ()

    __eq__ = object.__eq__
    __ne__ = object.__ne__
    __hash__ = object.__hash__
