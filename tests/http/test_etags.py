"""Entity tags and conditions: the comparison table of RFC 9110 8.8.3.2 and the order of 13.2.2."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import strategies as st

from kirsch.http.dates import format_date
from kirsch.http.etags import ETag, any_matches, evaluate, parse_etag, parse_etags, strong_match, weak_match
from tests.http.text import BOUND, anything, given, seconds, wire

opaque = st.text(
    st.one_of(st.sampled_from(",W/*'!#"), st.characters(min_codepoint=0x23, max_codepoint=0x7E)), max_size=10
)
tags = st.builds(ETag, opaque, st.booleans())


@pytest.mark.parametrize(
    ("one", "other", "strong", "weak"),
    [
        ('W/"1"', 'W/"1"', False, True),
        ('W/"1"', 'W/"2"', False, False),
        ('W/"1"', '"1"', False, True),
        ('"1"', '"1"', True, True),
    ],
)
def test_tags_compare_as_the_table_of_the_rfc_says(one: str, other: str, *, strong: bool, weak: bool) -> None:
    for left, right in ((one, other), (other, one)):
        assert strong_match(parse_etag(left), parse_etag(right)) is strong
        assert weak_match(parse_etag(left), parse_etag(right)) is weak


def test_no_tag_matches_nothing() -> None:
    for match in (strong_match, weak_match):
        assert not match(None, None)
        assert not match(ETag("a"), None)
        assert not match(None, ETag("a"))


@pytest.mark.parametrize(
    "text", ["", '"', "a", '"a', 'a"', 'w/"a"', 'W/ "a"', '"a b"', '"a"b"', '"\x7f"', '"a" ', "*", '"\u20ac"']
)
def test_what_is_no_tag_is_none(text: str) -> None:
    assert parse_etag(text) is None


@given(tags)
def test_a_tag_written_reads_back(tag: ETag) -> None:
    assert parse_etag(str(tag)) == tag
    assert ETag.of(tag.opaque, weak=tag.weak) == tag


@pytest.mark.parametrize("text", ["a b", '"', "a\n", "\x00", "\x7f", "\u20ac"])
def test_a_tag_that_cannot_be_written_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cannot be an entity tag"):
        ETag.of(text)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("*", "*"),
        (" * ", "*"),
        ("", []),
        ('"a"', [ETag("a")]),
        ('"a", W/"b" ,"c"', [ETag("a"), ETag("b", weak=True), ETag("c")]),
        ('"a,b", "c"', [ETag("a,b"), ETag("c")]),
        ('"", "\\"', [ETag(""), ETag("\\")]),
        ('a, "b"', [ETag("b")]),
        ('"a"x, "b"', [ETag("b")]),
        ('"a" "b", "c"', [ETag("c")]),
        (',, "a",,', [ETag("a")]),
        ('"a", *', [ETag("a")]),
        ('w/"a", "b"', [ETag("b")]),
        ('"a', []),
    ],
)
def test_a_list_of_tags_drops_only_what_is_malformed(field: str, expected: list[ETag] | Literal["*"]) -> None:
    assert parse_etags(field) == expected


@given(st.lists(tags, max_size=6), st.sampled_from([",", ", ", " ,\t"]))
def test_a_list_written_reads_back(listed: list[ETag], comma: str) -> None:
    assert parse_etags(comma.join(map(str, listed))) == listed


@given(st.one_of(anything, wire))
def test_any_field_gives_tags(field: str) -> None:
    found = parse_etags(field)
    assert found == "*" or all(str(tag) in field for tag in found)


def test_parsing_is_linear() -> None:
    for prefix in ("", 'W/"'):
        assert seconds(parse_etags, prefix) < BOUND
        assert seconds(parse_etag, prefix) < BOUND


def test_any_matches_whatever_exists() -> None:
    assert any_matches("*", None, strong=True, exists=True)
    assert not any_matches("*", None, strong=True, exists=False)
    assert any_matches([ETag("a"), ETag("b", weak=True)], ETag("b"), strong=False, exists=True)
    assert not any_matches([ETag("a"), ETag("b", weak=True)], ETag("b"), strong=True, exists=True)


NOW = 1_700_000_000
T = NOW - 1000
BEFORE, AT, AFTER = format_date(T - 1), format_date(T), format_date(T + 1)
STATE: dict[str, Any] = {"etag": ETag("a"), "last_modified": T}


@pytest.mark.parametrize(
    ("method", "state", "conditions", "answer"),
    [
        ("GET", STATE, {}, None),
        # Step 1: If-Match, strongly.
        ("PUT", STATE, {"if_match": '"a"'}, None),
        ("PUT", STATE, {"if_match": '"b"'}, 412),
        ("PUT", STATE, {"if_match": 'W/"a"'}, 412),
        ("PUT", STATE, {"if_match": "*"}, None),
        ("PUT", {"exists": False}, {"if_match": "*"}, 412),
        ("PUT", {"exists": True}, {"if_match": "*"}, None),
        ("GET", STATE, {"if_match": '"b"'}, 412),
        ("GET", STATE, {"if_match": "garbage"}, 412),
        # Step 2: If-Unmodified-Since, only without If-Match.
        ("PUT", STATE, {"if_unmodified_since": BEFORE}, 412),
        ("PUT", STATE, {"if_unmodified_since": AT}, None),
        ("PUT", STATE, {"if_unmodified_since": AFTER}, None),
        ("PUT", STATE, {"if_unmodified_since": "garbage"}, None),
        ("PUT", {"etag": ETag("a")}, {"if_unmodified_since": BEFORE}, None),
        ("PUT", STATE, {"if_match": '"a"', "if_unmodified_since": BEFORE}, None),
        # Step 3: If-None-Match, weakly.
        ("GET", STATE, {"if_none_match": '"a"'}, 304),
        ("HEAD", STATE, {"if_none_match": 'W/"a"'}, 304),
        ("PUT", STATE, {"if_none_match": '"a"'}, 412),
        ("GET", STATE, {"if_none_match": '"b", "c"'}, None),
        ("GET", STATE, {"if_none_match": "*"}, 304),
        ("PUT", STATE, {"if_none_match": "*"}, 412),
        ("PUT", {"exists": False}, {"if_none_match": "*"}, None),
        ("GET", STATE, {"if_none_match": "garbage"}, None),
        # Step 4: If-Modified-Since, only for GET and HEAD and without If-None-Match.
        ("GET", STATE, {"if_modified_since": BEFORE}, None),
        ("GET", STATE, {"if_modified_since": AT}, 304),
        ("HEAD", STATE, {"if_modified_since": AFTER}, 304),
        ("POST", STATE, {"if_modified_since": AFTER}, None),
        ("GET", STATE, {"if_modified_since": "garbage"}, None),
        ("GET", {"etag": ETag("a")}, {"if_modified_since": AFTER}, None),
        ("GET", STATE, {"if_none_match": '"b"', "if_modified_since": AFTER}, None),
        ("GET", STATE, {"if_none_match": '"a"', "if_modified_since": BEFORE}, 304),
        # Both halves: If-Match first, then If-None-Match.
        ("GET", STATE, {"if_match": '"b"', "if_none_match": '"a"'}, 412),
        ("GET", STATE, {"if_match": '"a"', "if_none_match": '"a"'}, 304),
        ("GET", STATE, {"if_unmodified_since": AT, "if_modified_since": AT}, 304),
    ],
)
def test_conditions_are_evaluated_in_the_order_of_the_rfc(
    method: str, state: dict[str, Any], conditions: dict[str, Any], answer: int | None
) -> None:
    assert evaluate(method, now=NOW, **state, **conditions) == answer
