"""What a client would like: Accept, Accept-Encoding, Accept-Language and Accept-Charset (RFC 9110 12.5).

Used by `web/` and `tools/` (accept, gzip and encode tools, error pages that answer in JSON).

Each class is one field: `parse` it, then ask `best(offers)`. The answer depends on nothing but the field and
the offers: the highest quality wins, and among equals the offer that stands first, so a program lists what it
likes best first. At most `MOST_MEMBERS` members are read, a malformed one is dropped alone, and a field
without any that can be read counts as absent.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, Self

from kirsch.http.grammar import TOKEN, split_members
from kirsch.http.media import parse_params

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "MOST_MEMBERS",
    "Accept",
    "AcceptCharset",
    "AcceptEncoding",
    "AcceptLanguage",
    "Preference",
]

MOST_MEMBERS: Final = 100
"""Members of one field that are read. Browsers send fewer than ten, feed readers some twenty."""

# RFC 9110 12.4.2   weight = OWS ";" OWS "q=" qvalue
#                   qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )
_QVALUE: Final = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")


class Preference(NamedTuple):
    """One member of such a field."""

    value: str
    """The range, coding, tag or charset, in lower case."""
    quality: float
    """From 0.0, not acceptable, to 1.0."""
    params: Mapping[str, str]
    """Parameters of a media range other than `q`, names in lower case."""


class _Preferences:
    """What the four fields share: reading, and choosing by quality, then by order of the offers.

    Parameters:
        members: the preferences in the order of the field.
        present: whether the client sent the field.
    """

    __slots__ = ("members", "present")

    grammar: ClassVar[re.Pattern[str]] = TOKEN

    def __init__(self, members: tuple[Preference, ...] = (), *, present: bool = True) -> None:
        self.members = members
        self.present = present

    @classmethod
    def parse(cls, field: str | None) -> Self:
        """Read the value of the field, None where it is absent. Never raises; linear in its length."""
        if field is None:
            return cls(present=False)
        members = tuple(
            preference
            for member in split_members(field)[:MOST_MEMBERS]
            if (preference := _preference(member, cls.grammar)) is not None
        )
        return cls(members, present=bool(members) or not field.strip(" \t"))

    def quality(self, offer: str) -> float:
        """Return how welcome `offer` is, from 0.0, not acceptable, to 1.0."""
        if not self.members:
            return 1.0
        found = self._find(offer.lower())
        return 0.0 if found is None else found.quality

    def best(self, offers: Sequence[str]) -> str | None:
        """Return the most welcome of `offers`, the first among equals; None when none is acceptable."""
        best, highest = None, 0.0
        for offer in offers:
            quality = self.quality(offer)
            if quality > highest:
                best, highest = offer, quality
        return best

    def _find(self, offer: str) -> Preference | None:
        """Return the member that decides on `offer`: the one that names it, else `*`."""
        star = None
        for member in self.members:
            if member.value == offer:
                return member
            if member.value == "*" and star is None:
                star = member
        return star

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {', '.join(f'{m.value};q={m.quality:g}' for m in self.members)}>"


def _preference(member: str, grammar: re.Pattern[str]) -> Preference | None:
    value, _, rest = member.partition(";")
    value = value.rstrip(" \t")
    # Matched before it is lowered: the Kelvin sign, for one, is a `k` in lower case.
    if grammar.fullmatch(value) is None:
        return None
    # The weight is looked for in the text: `parse_params` would drop a malformed one, and none means 1.
    weights = [part[2:] for part in split_members(rest, ";") if part[:2] in {"q=", "Q=", "q", "Q"}]
    weight = weights[0] if weights else "1"
    if _QVALUE.fullmatch(weight) is None:
        return None
    params = parse_params(rest)
    params.pop("q", None)
    return Preference(value.lower(), float(weight), params)


class Accept(_Preferences):
    """The Accept field (RFC 9110 12.5.1). Absent or empty, everything is equally welcome."""

    __slots__ = ()

    # RFC 9110 12.5.1   media-range = ( "*/*" / ( type "/" "*" ) / ( type "/" subtype ) ) parameters
    grammar = re.compile(rf"{TOKEN.pattern}/{TOKEN.pattern}")

    def quality(self, offer: str) -> float:
        """Return how welcome the media type `offer` is, from 0.0, not acceptable, to 1.0.

        The most specific range that covers it decides: one with parameters, all of which the offer has,
        before the plain type, before `type/*`, before `*/*`.
        """
        if not self.members:
            return 1.0
        value, _, rest = offer.partition(";")
        value = value.strip(" \t").lower()
        params = parse_params(rest)
        major = value.partition("/")[0]
        best, rank = 0.0, -1
        for member in self.members:
            if member.value == value:
                if any(params.get(name) != text for name, text in member.params.items()):
                    continue
                specific = 2 + len(member.params)
            elif member.value == f"{major}/*":
                specific = 1
            elif member.value == "*/*":
                specific = 0
            else:
                continue
            if specific > rank:
                best, rank = member.quality, specific
        return best


class AcceptCharset(_Preferences):
    """The Accept-Charset field (RFC 9110 12.5.2; deprecated, seldom sent). Absent, any charset will do."""

    __slots__ = ()


class AcceptEncoding(_Preferences):
    """The Accept-Encoding field (RFC 9110 12.5.3).

    `identity`, no coding, is acceptable unless the field excludes it by `identity;q=0` or by `*;q=0`. An
    absent field allows any coding by the letter; here it welcomes `identity` alone, since clients that do not
    ask seldom decode. An empty field asks for `identity`.
    """

    __slots__ = ()

    def quality(self, offer: str) -> float:
        """Return how welcome the coding `offer` is, from 0.0 to 1.0; `x-gzip` is `gzip` (RFC 9110 8.4.1.3).

        `identity` that no member speaks of is acceptable with the least quality there is, so that any coding
        the client names comes before it.
        """
        offer = _ALIASES.get(offer.lower(), offer.lower())
        found = self._find(offer)
        if found is not None and (offer != "identity" or found.value != "*" or not found.quality):
            return found.quality
        if offer != "identity":
            return 0.0
        return _LEAST if self.members else 1.0

    def _find(self, offer: str) -> Preference | None:
        star = None
        for member in self.members:
            if _ALIASES.get(member.value, member.value) == offer:
                return member
            if member.value == "*" and star is None:
                star = member
        return star


_ALIASES: Final = {"x-gzip": "gzip", "x-compress": "compress"}
_LEAST: Final = 0.0005
"""Below the smallest quality that can be written, 0.001."""


class AcceptLanguage(_Preferences):
    """The Accept-Language field (RFC 9110 12.5.4), matched as RFC 4647 says. Absent, any language will do."""

    __slots__ = ()

    # RFC 4647 2.1      language-range = (1*8ALPHA *("-" 1*8alphanum)) / "*"
    grammar = re.compile(r"\*|[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")

    def best(self, offers: Sequence[str]) -> str | None:
        """Return the most welcome of the language tags `offers`, or None when none is acceptable.

        Where no range covers an offer (basic filtering, RFC 4647 3.3.1: `de` covers `de-CH`), ranges are
        shortened from their end until one does (lookup, 3.4): a reader of `de-CH` gets `de` before nothing at
        all.
        """
        found = super().best(offers)
        if found is not None:
            return found
        ranges = sorted((m for m in self.members if m.quality), key=lambda m: -m.quality)
        for member in ranges:
            tag = member.value
            while "-" in tag:
                tag = tag.rpartition("-")[0]
                for offer in offers:
                    if offer.lower() == tag and not self._refused(tag):
                        return offer
        return None

    def _refused(self, tag: str) -> bool:
        found = self._find(tag)
        return found is not None and found.value != "*" and not found.quality

    def _find(self, offer: str) -> Preference | None:
        best: Preference | None = None
        rank = -1
        for member in self.members:
            value = member.value
            if value == "*":
                specific = 0
            elif offer == value or offer.startswith(f"{value}-"):
                specific = len(value)
            else:
                continue
            if specific > rank:
                best, rank = member, specific
        return best
