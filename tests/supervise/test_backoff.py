from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from kirsch.supervise.backoff import HEALTH, Backoff


def test_the_first_start_is_at_once_and_each_later_one_waits_twice_as_long_up_to_the_longest() -> None:
    backoff = Backoff(30.0, 0, 30.0)
    pauses = [backoff.crashed(float(n), 0.0) for n in range(9)]
    assert pauses == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_a_minute_of_health_begins_anew() -> None:
    backoff = Backoff(30.0, 0, 30.0)
    assert [backoff.crashed(float(n), 0.0) for n in range(3)] == [0.0, 1.0, 2.0]
    assert backoff.crashed(100.0, HEALTH - 1) == 4.0
    assert backoff.crashed(200.0, HEALTH) == 0.0
    assert backoff.crashed(201.0, 0.0) == 1.0


def test_without_a_longest_pause_there_is_none() -> None:
    backoff = Backoff(0.0, 0, 30.0)
    assert [backoff.crashed(float(n), 0.0) for n in range(100)] == [0.0] * 100


def test_so_many_crashes_within_the_window_are_a_loop() -> None:
    backoff = Backoff(30.0, 3, 10.0)
    assert backoff.crashed(0.0, 0.0) == 0.0
    assert backoff.crashed(8.0, 0.0) == 1.0
    assert backoff.crashed(10.5, 0.0) == 2.0, "the first one is out of the window"
    assert backoff.crashed(18.0, 0.0) is None


@settings(max_examples=50)
@given(st.lists(st.floats(0.0, 100.0), max_size=80), st.integers(0, 5), st.floats(0.0, 60.0))
def test_a_pause_is_never_longer_than_the_longest(times: list[float], crashes: int, longest: float) -> None:
    backoff, now = Backoff(longest, crashes, 10.0), 0.0
    for time in times:
        now += time
        pause = backoff.crashed(now, time)
        assert pause is None or 0.0 <= pause <= max(longest, 0.0)
