"""Entity tags and conditional requests (RFC 9110 sections 8.8.3 and 13), as pure functions.

Used by `web/` and `tools/` (etags, conditional requests, static files, caching) and by `ranges` for If-Range.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from kirsch.http.dates import parse_date

__all__ = [
    "ETag",
    "any_matches",
    "evaluate",
    "parse_etag",
    "parse_etags",
    "strong_match",
    "weak_match",
]

# RFC 9110 8.8.3    entity-tag = [ weak ] opaque-tag          weak = %s"W/"     (case-sensitive)
#                   opaque-tag = DQUOTE *etagc DQUOTE         etagc = %x21 / %x23-7E / obs-text
# A backslash escapes nothing here, and a comma is allowed inside.
_OPAQUE: Final = re.compile(r"[\x21\x23-\x7e\x80-\xff]*+")
_ETAG: Final = re.compile(rf'(W/)?"({_OPAQUE.pattern})"')
# One member of a list with the comma or end behind it; a malformed member, without its tag, runs to the next
# comma. Linear: a tag that is not closed ends its own scan at the next quote or space, before the next tag
# begins. For `finditer`.
_MEMBER: Final = re.compile(rf"[ \t]*+(?:{_ETAG.pattern}[ \t]*+(?:,|\Z)|[^,]*+(?:,|\Z))")


class ETag(NamedTuple):
    """An entity tag: from the wire by `parse_etag`, made by `ETag.of`, written by `str(etag)`."""

    opaque: str
    """What stands between the quotes."""
    weak: bool = False
    """Whether it vouches for equal meaning only, not for equal bytes (RFC 9110 8.8.1)."""

    @classmethod
    def of(cls, opaque: str, *, weak: bool = False) -> ETag:
        """Return the tag with this text.

        Raises ValueError for spaces, double quotes, controls and what latin-1 does not hold.
        """
        if _OPAQUE.fullmatch(opaque) is None:
            raise ValueError(
                f"{opaque!a} cannot be an entity tag: only visible latin-1 characters without spaces and "
                "double quotes may stand in one; a hexadecimal digest always does"
            )
        return cls(opaque, weak)

    def __str__(self) -> str:
        return f'W/"{self.opaque}"' if self.weak else f'"{self.opaque}"'


def parse_etag(text: str) -> ETag | None:
    """Return the entity tag `text` is, or None when it is not exactly one."""
    match = _ETAG.fullmatch(text)
    return None if match is None else ETag(match[2], match[1] is not None)


def parse_etags(field: str) -> list[ETag] | Literal["*"]:
    """Return the tags of an If-Match or If-None-Match field, or `"*"` for any.

    A malformed member is dropped alone. Never raises; linear in the length of `field`.
    """
    if field.strip(" \t") == "*":
        return "*"
    return [ETag(match[2], match[1] is not None) for match in _MEMBER.finditer(field) if match[2] is not None]


def strong_match(one: ETag | None, other: ETag | None) -> bool:
    """Compare strongly (RFC 9110 8.8.3.2): equal and neither weak. None, no tag, matches nothing."""
    return one is not None and one == other and not one.weak


def weak_match(one: ETag | None, other: ETag | None) -> bool:
    """Compare weakly (RFC 9110 8.8.3.2): equal text, weak or not. None, no tag, matches nothing."""
    return one is not None and other is not None and one.opaque == other.opaque


def any_matches(tags: list[ETag] | Literal["*"], current: ETag | None, *, strong: bool, exists: bool) -> bool:
    """Tell whether a list from `parse_etags` names the current representation.

    Parameters:
        tags: what the client sent; `"*"` matches whatever exists.
        current: the tag of the representation, None without one.
        strong: compare strongly, as If-Match does, or weakly, as If-None-Match does.
        exists: whether there is a representation at all.
    """
    if tags == "*":
        return exists
    compare = strong_match if strong else weak_match
    return any(compare(tag, current) for tag in tags)


def evaluate(
    method: str,
    *,
    now: int,
    etag: ETag | None = None,
    last_modified: int | None = None,
    exists: bool = True,
    if_match: str | None = None,
    if_none_match: str | None = None,
    if_modified_since: str | None = None,
    if_unmodified_since: str | None = None,
) -> Literal[304, 412] | None:
    """Evaluate the conditions of a request in the order of RFC 9110 13.2.2, steps 1 to 4.

    Parameters:
        method: the request method.
        now: the current time as a timestamp in seconds (reading old dates needs it).
        etag: the tag of the selected representation, None without one.
        last_modified: when it was last modified, a timestamp in whole seconds, None when that is not known.
        exists: whether there is a current representation.
        if_match, if_none_match, if_modified_since, if_unmodified_since: values of the fields, None where
            absent.

    Returns None to go on with the method (step 5, If-Range, is `ranges.if_range`), 304 (Not Modified) or 412
    (Precondition Failed). A date that is not one is ignored, and so are date conditions without
    `last_modified`, as 13.1.3 and 13.1.4 have it. To be asked only when the answer without conditions would
    be a 2xx or 412 (13.2.1).
    """
    if if_match is not None:
        if not any_matches(parse_etags(if_match), etag, strong=True, exists=exists):
            return 412
    elif _modified_since(if_unmodified_since, last_modified, now) is True:
        return 412
    reads = method in {"GET", "HEAD"}
    if if_none_match is not None:
        if any_matches(parse_etags(if_none_match), etag, strong=False, exists=exists):
            return 304 if reads else 412
    elif reads and _modified_since(if_modified_since, last_modified, now) is False:
        return 304
    return None


def _modified_since(field: str | None, last_modified: int | None, now: int) -> bool | None:
    """Tell whether the representation changed after the date in `field`; None where that cannot be said."""
    if field is None or last_modified is None:
        return None
    since = parse_date(field, now)
    return None if since is None else last_modified > since
