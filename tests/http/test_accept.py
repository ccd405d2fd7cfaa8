"""Accept lists: the examples of RFC 9110 12.5 and RFC 4647, and members that are not worth reading."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from kirsch.http.accept import (
    MOST_MEMBERS,
    Accept,
    AcceptCharset,
    AcceptEncoding,
    AcceptLanguage,
    Preference,
)
from tests.http.text import BOUND, anything, given, seconds, token, wire

FIELDS = [Accept, AcceptCharset, AcceptEncoding, AcceptLanguage]
RFC = "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, text/plain;format=fixed;q=0.4, */*;q=0.5"


@pytest.mark.parametrize(
    ("offer", "quality"),
    [
        ("text/plain;format=flowed", 1.0),
        ("text/plain", 0.7),
        ("text/html", 0.3),
        ("image/jpeg", 0.5),
        ("text/plain;format=fixed", 0.4),
        ("text/html;level=3", 0.3),
        ("TEXT/Plain; Format=flowed", 1.0),
    ],
)
def test_the_most_specific_range_gives_the_quality(offer: str, quality: float) -> None:
    assert Accept.parse(RFC).quality(offer) == quality


@pytest.mark.parametrize(
    ("field", "offers", "best"),
    [
        (None, ["a/b", "c/d"], "a/b"),
        ("", ["a/b", "c/d"], "a/b"),
        ("garbage", ["a/b", "c/d"], "a/b"),
        ("*/*", ["a/b", "c/d"], "a/b"),
        ("c/d", ["a/b", "c/d"], "c/d"),
        ("C/D", ["a/b", "c/d"], "c/d"),
        ("c/*", ["a/b", "c/d"], "c/d"),
        ("a/b;q=0.5, c/d", ["a/b", "c/d"], "c/d"),
        ("a/b;q=0.5, c/d;q=0.5", ["c/d", "a/b"], "c/d"),
        ("a/b;q=0", ["a/b"], None),
        ("a/b;q=0, */*;q=0.1", ["a/b", "c/d"], "c/d"),
        ("*/*;q=0", ["a/b"], None),
        ("c/d", ["a/b"], None),
        ("c/d", [], None),
        ('a/b;x="1,2";q=0.2, c/d;q=0.1', ["c/d", "a/b;x=1", 'a/b;x="1,2"'], 'a/b;x="1,2"'),
        (
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            ["application/json", "text/html"],
            "text/html",
        ),
    ],
)
def test_the_best_media_type_is_chosen(field: str | None, offers: list[str], best: str | None) -> None:
    assert Accept.parse(field).best(offers) == best


@pytest.mark.parametrize(
    ("weight", "quality"),
    [("", 1.0), (";q=1", 1.0), (";q=1.000", 1.0), (";q=1.", 1.0), (";q=0", 0.0), (";q=0.", 0.0),
     (" ; Q=0.125", 0.125), (";q=0.5;ext=1", 0.5), (";level=1;q=0.3", 0.3), (";q=0.1;q=0.9", 0.1),
     (";", 1.0), (";;q=0.2", 0.2)],
)  # fmt: skip
def test_a_weight_is_read(weight: str, quality: float) -> None:
    (member,) = Accept.parse(f"a/b{weight}").members
    assert member.quality == quality
    assert "q" not in member.params


@pytest.mark.parametrize(
    "weight",
    [
        "2",
        "1.1",
        "1.001",
        "-1",
        "+1",
        "0.1234",
        ".5",
        "1e0",
        "nan",
        "inf",
        "",
        "x",
        "0 .5",
        "\u0661",
        '"',
        "1.0000",
    ],
)
@pytest.mark.parametrize("kind", FIELDS)
def test_a_member_with_a_bad_weight_is_dropped_alone(kind: type[Accept], weight: str) -> None:
    one, two = ("a/b", "c/d") if kind is Accept else ("aa", "cc")
    assert [
        member.value for member in kind.parse(f"{one};q={weight}, {two};q=0.5").members if member.value == one
    ] == []
    assert kind.parse(f"{two};q=0.5, {one};q={weight}").members[0] == Preference(two, 0.5, {})
    assert kind.parse(f"{one};q, {two}").members == (Preference(two, 1.0, {}),)


@pytest.mark.parametrize(
    "member", ["a", "a/", "/b", "a b/c", "a/b/c", "\u212a/b", "a/b x", '"a/b"', "\xe9/b"]
)
def test_a_media_range_outside_the_grammar_is_dropped(member: str) -> None:
    assert [found.value for found in Accept.parse(f"{member}, c/d").members] == ["c/d"]


@pytest.mark.parametrize(
    ("field", "offers", "best"),
    [
        (None, ["gzip", "identity"], "identity"),
        (None, ["gzip"], None),
        ("", ["gzip", "identity"], "identity"),
        ("", ["gzip"], None),
        ("gzip", ["br", "gzip", "identity"], "gzip"),
        ("gzip, br", ["br", "gzip", "identity"], "br"),
        ("gzip;q=1.0, identity; q=0.5, *;q=0", ["br", "identity", "gzip"], "gzip"),
        ("gzip;q=1.0, identity; q=0.5, *;q=0", ["br", "identity"], "identity"),
        ("gzip;q=0.001", ["identity", "gzip"], "gzip"),
        ("gzip;q=0", ["gzip", "identity"], "identity"),
        ("identity;q=0", ["identity"], None),
        ("identity;q=0, gzip", ["identity", "gzip"], "gzip"),
        ("*;q=0", ["identity"], None),
        ("*;q=0, identity;q=0.2", ["identity"], "identity"),
        ("*", ["identity", "br"], "br"),
        ("*;q=0.5", ["identity"], "identity"),
        ("x-gzip", ["gzip", "identity"], "gzip"),
        ("GZIP", ["x-gzip", "identity"], "x-gzip"),
        ("gzip;q=2", ["gzip", "identity"], "identity"),
    ],
)
def test_the_best_coding_is_chosen(field: str | None, offers: list[str], best: str | None) -> None:
    assert AcceptEncoding.parse(field).best(offers) == best


@pytest.mark.parametrize(
    ("field", "offers", "best"),
    [
        (None, ["en", "de"], "en"),
        ("", ["en", "de"], "en"),
        ("da, en-gb;q=0.8, en;q=0.7", ["en", "en-GB", "da"], "da"),
        ("da, en-gb;q=0.8, en;q=0.7", ["en", "en-GB"], "en-GB"),
        ("de", ["en", "de-CH"], "de-CH"),
        ("de", ["den"], None),
        ("de-CH", ["en", "de"], "de"),
        ("zh-Hant-TW;q=0.5, fr-CA", ["zh", "fr"], "fr"),
        ("zh-Hant-TW, fr-CA;q=0.5", ["fr", "zh-Hant"], "zh-Hant"),
        ("de-CH, de;q=0", ["de"], None),
        ("de-CH, en;q=0.1", ["de", "en"], "en"),
        ("en, *;q=0.5", ["fr", "en"], "en"),
        ("en, *;q=0.5", ["fr"], "fr"),
        ("en;q=0, *", ["en-US", "fr"], "fr"),
        ("de-CH, *;q=0", ["de"], "de"),
        ("fr", ["en"], None),
        ("fr;q=0", ["fr"], None),
        ("*, en", ["en", "fr"], "en"),
        ("toolongtag, e1, -, en", ["en"], "en"),
    ],
)
def test_the_best_language_is_chosen(field: str | None, offers: list[str], best: str | None) -> None:
    assert AcceptLanguage.parse(field).best(offers) == best


@pytest.mark.parametrize(
    ("field", "offers", "best"),
    [
        (None, ["utf-8"], "utf-8"),
        ("iso-8859-5, unicode-1-1;q=0.8", ["unicode-1-1", "ISO-8859-5"], "ISO-8859-5"),
        ("*;q=0.1, utf-8, *", ["latin-1", "UTF-8"], "UTF-8"),
        ("utf-8;q=0, *", ["utf-8", "latin-1"], "latin-1"),
        ("utf-8", ["latin-1"], None),
    ],
)
def test_the_best_charset_is_chosen(field: str | None, offers: list[str], best: str | None) -> None:
    assert AcceptCharset.parse(field).best(offers) == best


def test_presence_is_known() -> None:
    assert not Accept.parse(None).present
    assert Accept.parse("").present
    assert Accept.parse("a/b").present
    assert not Accept.parse("garbage").present


def test_only_so_many_members_are_read() -> None:
    assert len(AcceptCharset.parse(",".join(f"c{n}" for n in range(1000))).members) == MOST_MEMBERS


def test_a_repr_reads_like_the_field() -> None:
    assert repr(AcceptCharset.parse("a, b;q=0.5")) == "<AcceptCharset a;q=1, b;q=0.5>"


@given(
    st.lists(
        st.tuples(token.filter("*".__ne__), st.integers(0, 1000)),
        min_size=1,
        max_size=6,
        unique_by=lambda p: p[0].lower(),
    )
)
def test_the_best_charset_has_the_highest_weight(weighted: list[tuple[str, int]]) -> None:
    field = ", ".join(f"{name};q={weight / 1000:.3f}" for name, weight in weighted)
    best = AcceptCharset.parse(field).best([name for name, _ in weighted])
    highest = max(weight for _, weight in weighted)
    assert best == (next(name for name, weight in weighted if weight == highest) if highest else None)


@pytest.mark.parametrize("kind", FIELDS)
@given(st.one_of(anything, wire), st.lists(st.one_of(anything, token), max_size=4))
def test_any_field_gives_one_of_the_offers(kind: type[Accept], field: str, offers: list[str]) -> None:
    assert kind.parse(field).best(offers) in [*offers, None]


@pytest.mark.parametrize("kind", FIELDS)
def test_choosing_is_linear(kind: type[Accept]) -> None:
    for prefix in ("", "a/b;x=", "en-"):
        assert seconds(lambda text: kind.parse(text).best(["a/b", "gzip", "en"]), prefix) < BOUND
