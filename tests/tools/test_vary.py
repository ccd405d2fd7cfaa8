"""The Vary field grows by what is missing."""

from __future__ import annotations

import pytest

from kirsch.http import Headers
from kirsch.tools.vary import add_vary


@pytest.mark.parametrize(
    ("before", "names", "after"),
    [
        (None, ("Accept",), "Accept"),
        ("Cookie", ("Accept", "Origin"), "Cookie, Accept, Origin"),
        ("cookie , ACCEPT", ("Accept", "Cookie"), "cookie , ACCEPT"),
        ("*", ("Accept",), "*"),
        ("", ("Accept",), "Accept"),
    ],
)
def test_each_name_is_added_once(before: str | None, names: tuple[str, ...], after: str) -> None:
    headers = Headers({} if before is None else {"Vary": before})
    add_vary(headers, *names)
    assert headers["Vary"] == after


def test_nothing_to_add_adds_no_field() -> None:
    headers = Headers()
    add_vary(headers)
    assert "Vary" not in headers
