from __future__ import annotations

import contextlib
import enum
import pickle
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirsch.sessions.errors import UnstorableError
from kirsch.sessions.serial import MessagePack, Pickle, find_serializer

PACK = MessagePack()

VALUES: list[Any] = [
    None,
    True,
    0,
    -(2**63),
    2**64 - 1,
    2**64,
    -(2**200),
    1.5,
    float("inf"),
    "é\0",
    b"\x00\xff",
    [],
    (),
    (1, (2, [3])),
    {},
    {"a": {"b": (1,)}},
    {1: "a", (2, 3): "b", None: "c", b"d": [1]},
    set(),
    {1, "a", (2,)},
    frozenset({1}),
    datetime(2026, 2, 28, 23, 59, 59, 999999),  # noqa: DTZ001  one without a zone is kept, too
    datetime(2026, 2, 28, 23, 59, 59, 1, tzinfo=UTC),
    datetime(2026, 2, 28, tzinfo=timezone(timedelta(hours=-3, minutes=-30))),
    date(1, 1, 1),
    time(12, 30, 1, 5),
    timedelta(days=-3, seconds=5, microseconds=7),
    Decimal("-1.2300"),
    Decimal("NaN"),
    UUID(int=5),
]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_a_value_comes_back_as_what_it_was(value: Any) -> None:
    back = PACK.loads(PACK.dumps(value))
    assert type(back) is type(value)
    assert repr(back) == repr(value) if isinstance(value, Decimal) else back == value


_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.binary(max_size=8)
    | st.datetimes()
    | st.dates()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.timedeltas()
)
_KEYS = st.text(max_size=5) | st.integers() | st.tuples(st.integers(), st.text(max_size=3))
_TREES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(_KEYS, inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=12,
)


@given(_TREES)
@settings(max_examples=80)
def test_whatever_can_be_stored_comes_back_equal(value: Any) -> None:
    back = PACK.loads(PACK.dumps(value))
    assert back == value
    assert type(back) is type(value)


@given(st.binary(max_size=60))
@settings(max_examples=150)
def test_any_bytes_are_a_value_or_an_error(data: bytes) -> None:
    with contextlib.suppress(ValueError, ArithmeticError, TypeError, RecursionError):
        PACK.loads(data)


def test_reading_makes_values_and_runs_nothing() -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (pytest.fail, ("it ran",))

    with pytest.raises(ValueError, match=r".+"):
        PACK.loads(pickle.dumps(Trap()))


class Colour(enum.Enum):
    RED = 1


class Text(str):
    __slots__ = ()


class Thing:
    pass


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"cart": [1, Thing()]}, r"session\['cart'\]\[1\]: a .*Thing is not kept; store what it is made of"),
        ({"c": Colour.RED}, r"session\['c'\]: a .*Colour is not kept"),
        ({"t": Text("x")}, r"session\['t'\]: a .*Text is not kept"),
        ({"s": {"u": {3: (Thing,)}}}, r"session\['s'\]\['u'\]\[3\]\[0\]: a builtins.type is not kept"),
        ({"x": "\ud800"}, "it cannot be stored"),
        ({Thing: 1}, "a builtins.type is not kept"),
    ],
)
def test_what_is_not_kept_is_refused_with_its_place(value: Any, message: str) -> None:
    with pytest.raises(UnstorableError, match=message):
        PACK.dumps(value)


def test_a_cycle_is_refused() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(UnstorableError, match="more than 64 containers"):
        PACK.dumps(cycle)


def test_an_extension_type_of_somebody_else_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no extension type 99"):
        PACK.loads(b"\xd4\x63\x00")


def test_pickle_keeps_objects_where_it_is_asked_for() -> None:
    serializer = find_serializer("pickle")
    assert isinstance(serializer, Pickle)
    assert serializer.loads(serializer.dumps({"c": Colour.RED})) == {"c": Colour.RED}
    with pytest.raises(UnstorableError, match="pickle does not keep it"):
        serializer.dumps(lambda: None)


def test_serializers_are_found_by_name_or_are_objects() -> None:
    assert isinstance(find_serializer("msgpack"), MessagePack)
    assert find_serializer(PACK) is PACK
    with pytest.raises(ValueError, match=r"there is no serializer 'json'; there are msgpack and pickle"):
        find_serializer("json")
