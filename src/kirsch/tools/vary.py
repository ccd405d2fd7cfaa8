"""The Vary field: on which fields of the request the choice of a response depends (RFC 9110 12.5.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kirsch.http.grammar import split_members

if TYPE_CHECKING:
    from kirsch.http.headers import Headers

__all__ = ["add_vary"]


def add_vary(headers: Headers, *names: str) -> None:
    """Add `names` to the Vary field of a response, each once whatever its case; a `*` there says it all."""
    present = split_members(headers.get("Vary", ""))
    known = {name.lower() for name in present}
    if "*" in known:
        return
    missing = [name for name in names if name.lower() not in known]
    if missing:
        headers["Vary"] = ", ".join([*present, *missing])
