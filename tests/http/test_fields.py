"""Tests of fields that are known by what they are."""

from __future__ import annotations

from kirsch.http.fields import SharedFields

PAIRS = (("Content-Type", "text/plain"), ("X-A", "1"))


def test_they_are_a_tuple_of_pairs() -> None:
    fields = SharedFields(PAIRS)
    assert list(fields) == list(PAIRS)
    assert fields[0] == PAIRS[0]
    assert isinstance(fields, tuple)


def test_they_are_equal_to_themselves_alone() -> None:
    fields, twin = SharedFields(PAIRS), SharedFields(PAIRS)
    assert fields == fields  # noqa: PLR0124  equality is what is tested
    assert fields != twin


def test_compared_to_an_ordinary_tuple_what_they_hold_counts() -> None:
    fields = SharedFields(PAIRS)
    assert fields == PAIRS
    assert fields != PAIRS[:1]


def test_a_memory_finds_them_by_identity() -> None:
    fields, twin = SharedFields(PAIRS), SharedFields(PAIRS)
    memory = {("200 OK", fields): 1, ("200 OK", *PAIRS): 2}
    assert memory["200 OK", fields] == 1
    assert ("200 OK", twin) not in memory
    assert memory["200 OK", *PAIRS] == 2
