"""Kinds of values: what each takes from typed values and from bare text, and what it refuses."""

from __future__ import annotations

import math
import pathlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirsch.config.errors import ConfigError
from kirsch.config.kinds import (
    LARGEST,
    Binds,
    Choice,
    Count,
    Duration,
    Flag,
    Integer,
    Kind,
    Maybe,
    Mode,
    PathName,
    Real,
    Size,
    Text,
    TextList,
)

EVERY: list[Kind[Any]] = [
    Integer(),
    Integer(1, 9),
    Count("auto"),
    Mode(),
    Real(),
    Real(0.5, 2),
    Flag(),
    Text(),
    Text(ascii_only=True),
    PathName(),
    Choice(("off", "on")),
    TextList(),
    TextList(PathName()),
    Binds(),
    Size(),
    Size(16),
    Duration(),
    Duration(0.5),
    Maybe(Text()),
    Maybe(Duration()),
]
NAN = float("nan")
INFINITY = float("inf")


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Integer(), 0, 0),
        (Count("auto"), 0, 0),
        (Count("auto"), 4, 4),
        (Count("auto"), "AUTO", "auto"),
        (Integer(1, 9), 9, 9),
        (Mode(), 0o660, 0o660),
        (Mode(), "660", 0o660),
        (Mode(), "0o600", 0o600),
        (Real(), 1, 1.0),
        (Real(0.5, 2), 0.5, 0.5),
        (Flag(), True, True),
        (Flag(), False, False),
        (Text(), "Grüße", "Grüße"),
        (Text(), "", ""),
        (Text(ascii_only=True), "Kirsch", "Kirsch"),
        (PathName(), "/a b", "/a b"),
        (PathName(), pathlib.PurePosixPath("/a"), "/a"),
        (Choice(("off", "on")), "off", "off"),
        (TextList(), ["a", "b"], ("a", "b")),
        (TextList(), ("a",), ("a",)),
        (TextList(), "a,b", ("a,b",)),
        (TextList(), [], ()),
        (Binds(), "localhost:80", ("localhost:80",)),
        (Binds(), ["localhost:80", "fd:3"], ("localhost:80", "fd:3")),
        (Size(), 0, 0),
        (Size(), "64k", 65536),
        (Size(), "64K", 65536),
        (Size(), " 10 MiB ", 10 * 2**20),
        (Size(), "1.5kib", 1536),
        (Size(), "2g", 2 * 2**30),
        (Size(), "10 MB", 10_000_000),
        (Size(), "17", 17),
        (Size(), "17b", 17),
        (Size(16), 16, 16),
        (Duration(), 30, 30.0),
        (Duration(), 0, 0.0),
        (Duration(), 0.25, 0.25),
        (Duration(), "30", 30.0),
        (Duration(), "500ms", 0.5),
        (Duration(), "2min", 120.0),
        (Duration(), "1.5 h", 5400.0),
        (Duration(), "7 d", 604800.0),
        (Maybe(Text()), None, None),
        (Maybe(Text()), "", None),
        (Maybe(Text()), "x", "x"),
        (Maybe(Size()), "1k", 1024),
    ],
)
def test_a_typed_value_becomes_the_one_form_of_its_kind(
    kind: Kind[Any], value: object, expected: object
) -> None:
    read = kind.read(value)
    assert read == expected
    assert type(read) is type(expected)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Integer(), "4"),
        (Count("auto"), "4"),
        (Count("auto"), "none"),
        (Count("auto"), -1),
        (Count("auto"), True),
        (Count("auto"), 10_001),
        (Integer(), True),
        (Integer(), 4.0),
        (Integer(), None),
        (Integer(), -1),
        (Integer(), LARGEST + 1),
        (Integer(1, 9), 0),
        (Integer(1, 9), 10),
        (Mode(), 0o1000),
        (Mode(), -1),
        (Mode(), True),
        (Mode(), "9"),
        (Mode(), "1777"),
        (Mode(), 6.0),
        (Real(), True),
        (Real(), "1"),
        (Real(), NAN),
        (Real(), INFINITY),
        (Real(), 10**400),
        (Real(0.5, 2), 0.4),
        (Flag(), 1),
        (Flag(), 0),
        (Flag(), "off"),
        (Flag(), None),
        (Text(), 4),
        (Text(), "a\nb"),
        (Text(), "a\x00"),
        (Text(), "\x7f"),
        (Text(), b"bytes"),
        (Text(ascii_only=True), "Grüße"),
        (PathName(), ""),
        (PathName(), "a\0b"),
        (PathName(), 3),
        (PathName(), b"/a"),
        (Choice(("off", "on")), "Off"),
        (Choice(("off", "on")), False),
        (TextList(), 4),
        (TextList(), [4]),
        (TextList(), {"a"}),
        (TextList(), {"a": 1}),
        (Binds(), []),
        (Binds(), ["localhost"]),
        (Binds(), 8080),
        (Size(), -1),
        (Size(), 1.5),
        (Size(), True),
        (Size(), "64 kilo"),
        (Size(), "-1"),
        (Size(), "1.0001k"),
        (Size(), ""),
        (Size(), "9999999999g"),
        (Size(), LARGEST + 1),
        (Size(16), 15),
        (Size(16), "15"),
        (Duration(), -1),
        (Duration(), True),
        (Duration(), None),
        (Duration(), NAN),
        (Duration(), INFINITY),
        (Duration(), 604801),
        (Duration(), "8d"),
        (Duration(), "soon"),
        (Duration(), "1 week"),
        (Duration(), "1e3"),
        (Duration(), "٣"),
        (Duration(0.5), 0.4),
        (Duration(0.5), "400ms"),
        (Maybe(Text()), 4),
    ],
)
def test_a_value_of_another_kind_is_refused_with_what_is_expected(kind: Kind[Any], value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        kind.read(value)
    assert "must" in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (Integer(), " 4 ", 4),
        (Count("auto"), " 4 ", 4),
        (Count("auto"), " Auto ", "auto"),
        (Integer(), "+4", 4),
        (Mode(), "0660", 0o660),
        (Real(), "1.5", 1.5),
        (Flag(), "ON", True),
        (Flag(), "yes", True),
        (Flag(), "1", True),
        (Flag(), "true", True),
        (Flag(), "off", False),
        (Flag(), "No", False),
        (Flag(), "0", False),
        (Flag(), "false", False),
        (Text(), "as it is", "as it is"),
        (TextList(), "a, b,,", ("a", "b")),
        (TextList(), "", ()),
        (Binds(), "[::1]:80, fd:3", ("[::1]:80", "fd:3")),
        (Maybe(Integer()), "", None),
        (Maybe(Integer()), "4", 4),
    ],
)
def test_bare_text_is_read_as_the_kind_it_is_for(kind: Kind[Any], text: str, expected: object) -> None:
    parsed = kind.parse(text)
    assert parsed == expected
    assert type(parsed) is type(expected)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Integer(), "four"),
        (Count("auto"), "four"),
        (Count("auto"), "-1"),
        (Integer(), "4.0"),
        (Integer(), "9" * 5000),
        (Integer(), "٣"),
        (Integer(1, 9), "0"),
        (Mode(), "rw"),
        (Real(), "much"),
        (Real(), "nan"),
        (Real(), "inf"),
        (Flag(), "maybe"),
        (Binds(), ""),
        (Binds(), ","),
        (Maybe(Integer()), "x"),
    ],
)
def test_bare_text_that_stands_for_nothing_is_refused(kind: Kind[Any], text: str) -> None:
    with pytest.raises(ConfigError, match="must be"):
        kind.parse(text)


@pytest.mark.parametrize(
    ("kind", "value", "hint"),
    [
        (Integer(), "4", "without quotes"),
        (Flag(), "off", "without quotes"),
        (Maybe(Integer()), "4", "without quotes"),
        (Mode(), 660, "octal"),
        (Choice(("combined", "json")), "combind", "'combined'"),
        (Choice(("combined", "json")), "x", ""),
        (Flag(), 1, ""),
    ],
)
def test_the_hint_says_what_to_write_instead(kind: Kind[Any], value: object, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        kind.read(value)
    assert hint in caught.value.hint
    assert bool(hint) == bool(caught.value.hint)


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (Integer(), 4, "4"),
        (Mode(), 0o660, "0o660"),
        (Real(), 2.0, "2"),
        (Flag(), True, "True"),
        (TextList(), ("a", "b"), "a, b"),
        (Size(), 0, "0"),
        (Size(), 8190, "8190"),
        (Size(), 8192, "8 KiB"),
        (Size(), 100 * 2**20, "100 MiB"),
        (Size(), 2**30, "1 GiB"),
        (Duration(), 0.0, "0 s"),
        (Duration(), 0.5, "500 ms"),
        (Duration(), 75.0, "75 s"),
        (Duration(), 120.0, "2 min"),
        (Duration(), 7200.0, "2 h"),
        (Maybe(Size()), None, "none"),
        (Maybe(Size()), 1024, "1 KiB"),
    ],
)
def test_a_value_is_shown_in_the_unit_people_think_in(kind: Kind[Any], value: object, text: str) -> None:
    assert kind.show(value) == text


@pytest.mark.parametrize("kind", EVERY, ids=repr)
def test_every_kind_says_what_it_is_and_what_it_expects(kind: Kind[Any]) -> None:
    assert kind.expected in repr(kind)
    assert kind.label
    assert kind.expected
    assert kind.unit in {"", "bytes", "seconds"}


def test_the_expected_range_is_named_when_there_is_one() -> None:
    assert Integer(1, 9).expected == "a whole number from 1 to 9"
    assert Real(0.5, 2).expected == "a number from 0.5 to 2"
    assert "16 or more" in Size(16).expected
    assert "at least 500 ms" in Duration(0.5).expected


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("kind", EVERY, ids=repr)
@settings(max_examples=25)
@given(value=ANYTHING)
def test_any_value_is_read_to_a_form_that_reads_as_itself_or_is_a_config_error(
    kind: Kind[Any], value: object
) -> None:
    try:
        read = kind.read(value)
    except ConfigError:
        return
    assert kind.read(read) == read


@pytest.mark.parametrize("kind", EVERY, ids=repr)
@settings(max_examples=25)
@given(text=st.text(max_size=12) | st.text(alphabet="0123456789.kKmMibBsh onf", max_size=8))
def test_any_text_is_parsed_to_a_value_or_is_a_config_error(kind: Kind[Any], text: str) -> None:
    try:
        parsed = kind.parse(text)
    except ConfigError:
        return
    assert kind.read(parsed) == parsed


@given(st.integers(0, LARGEST))
def test_a_size_shown_is_read_back_the_same(size: int) -> None:
    assert Size().parse(Size().show(size)) == size


@given(st.integers(0, 7 * 86400 * 1000))
def test_a_duration_shown_is_read_back_nearly_the_same(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert math.isclose(Duration().parse(Duration().show(seconds)), seconds, rel_tol=1e-5, abs_tol=1e-9)
