"""Paces: trust is earned slowly, lost at once, and dearer each time."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from kirsch.http.pace import MOST_TRUST, SHORT_NS, STRIKES, TRUST, Pace, PaceTable
from tests.http.text import BOUND, given, seconds

SHORT, LONG = SHORT_NS, SHORT_NS + 1


def observe(pace: Pace, wall: int, times: int = 1, *, cpu: int = -1, leading: bool = False) -> None:
    for _ in range(times):
        pace.observe(wall, cpu, leading=leading)


def trusted() -> Pace:
    pace = Pace()
    observe(pace, SHORT, TRUST)
    return pace


def test_an_unknown_kind_starts_in_the_pool() -> None:
    assert not Pace().short


def test_short_observations_in_a_row_earn_trust() -> None:
    pace = Pace()
    observe(pace, SHORT, TRUST - 1)
    assert not pace.short
    observe(pace, SHORT)
    assert pace.short


def test_a_long_one_that_used_the_processor_starts_the_row_again() -> None:
    pace = Pace()
    observe(pace, SHORT, TRUST - 1)
    observe(pace, LONG, cpu=LONG)
    observe(pace, SHORT, TRUST - 1)
    assert not pace.short
    observe(pace, SHORT)
    assert pace.short


def test_a_long_one_without_a_measured_cpu_time_starts_the_row_again() -> None:
    pace = Pace()
    observe(pace, SHORT, TRUST - 1)
    observe(pace, LONG, cpu=-1)
    assert pace.score == 0


def test_a_wait_for_the_interpreter_in_the_pool_changes_nothing() -> None:
    pace = Pace()
    observe(pace, SHORT, TRUST - 1)
    observe(pace, LONG * 100, 5, cpu=SHORT)
    assert pace.score == TRUST - 1
    observe(pace, SHORT)
    assert pace.short


@pytest.mark.parametrize("cpu", [-1, 0, LONG])
def test_long_observations_on_the_leader_take_trust_back_and_double_its_price(cpu: int) -> None:
    pace = trusted()
    observe(pace, LONG, STRIKES - 1, cpu=cpu, leading=True)
    assert pace.short
    observe(pace, LONG, cpu=cpu, leading=True)
    assert not pace.short
    observe(pace, SHORT, 2 * TRUST - 1)
    assert not pace.short
    observe(pace, SHORT)
    assert pace.short


def test_short_observations_on_the_leader_keep_trust() -> None:
    pace = trusted()
    observe(pace, SHORT, 1000, leading=True)
    assert pace.short
    assert pace.score == TRUST


def test_a_long_one_between_short_ones_on_the_leader_costs_nothing() -> None:
    pace = trusted()
    for _ in range(10):
        observe(pace, LONG, STRIKES - 1, leading=True)
        observe(pace, SHORT, leading=True)
    assert pace.short
    assert pace.needed == TRUST


def test_trust_becomes_cheaper_again_while_it_is_deserved() -> None:
    pace = Pace()
    for _ in range(5):
        pace.fall()
    observe(pace, SHORT, pace.needed)
    observe(pace, SHORT, 100, leading=True)
    assert pace.short
    assert pace.needed <= 2 * TRUST


def test_the_price_of_trust_has_a_ceiling() -> None:
    pace = Pace()
    for _ in range(20):
        pace.fall()
    assert pace.needed == MOST_TRUST
    observe(pace, SHORT, MOST_TRUST - 1)
    assert not pace.short
    observe(pace, SHORT)
    assert pace.short


def test_a_kind_short_nine_times_of_ten_stalls_the_leader_ever_more_rarely() -> None:
    pace = Pace()
    stalls = []
    for turn in range(20_000):
        leading = pace.short
        long = turn % 10 == 9
        # The leader notes what is long, and of the rest a sample.
        if long or not leading or turn % 64 == 0:
            observe(pace, LONG if long else SHORT, cpu=LONG, leading=leading)
        if long and leading:
            stalls.append(turn)
    assert len(stalls) <= 4


@given(
    st.lists(
        st.tuples(st.integers(0, 2 * SHORT_NS), st.integers(-1, 2 * SHORT_NS), st.booleans()), max_size=50
    )
)
def test_the_score_stays_in_its_bounds(observations: list[tuple[int, int, bool]]) -> None:
    pace = Pace()
    for wall, cpu, leading in observations:
        pace.observe(wall, cpu, leading=leading)
        assert 0 <= pace.score <= pace.needed <= MOST_TRUST
        assert pace.short is (pace.score == pace.needed)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/item/17", "/item/18"),
        ("/item/17/edit", "/item/9999999/edit"),
        ("/a/0c3b1d", "/a/77ffe2"),
        ("/user/v1x", "/user/2"),
        ("/" + "x" * 25, "/" + "y" * 400),
        ("/1/2", "/3/4"),
    ],
)
def test_paths_of_one_shape_share_a_pace(one: str, other: str) -> None:
    table = PaceTable()
    assert table.get("GET", one) is table.get("GET", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/a", "/b"),
        ("/item/17", "/item/17/edit"),
        ("/item/17", "/items/17"),
        ("/a", "/a/"),
        ("/" + "x" * 24, "/" + "y" * 24),
    ],
)
def test_paths_of_different_shapes_do_not(one: str, other: str) -> None:
    table = PaceTable()
    assert table.get("GET", one) is not table.get("GET", other)


def test_methods_have_paces_of_their_own() -> None:
    table = PaceTable()
    assert table.get("GET", "/") is not table.get("POST", "/")
    assert table.get("GET", "/") is table.get("GET", "/")


def words(count: int) -> list[str]:
    return ["/" + "".join(chr(97 + int(digit)) for digit in str(number)) for number in range(count)]


def test_made_up_paths_flush_nothing_that_is_asked_for_meanwhile() -> None:
    table = PaceTable(size=8)
    kept = table.get("GET", "/kept")
    for path in words(1000):
        table.get("GET", path)
        assert table.get("GET", "/kept") is kept


def test_a_path_nobody_asks_for_is_forgotten_and_the_table_stays_bounded() -> None:
    table = PaceTable(size=8)
    forgotten = table.get("GET", "/forgotten")
    for path in words(100):
        table.get("GET", path)
        assert len(table._young) + len(table._old) <= 16
    assert table.get("GET", "/forgotten") is not forgotten


def test_a_shape_is_found_in_linear_time() -> None:
    table = PaceTable()
    assert seconds(lambda path: table.get("GET", path), "/") < BOUND
