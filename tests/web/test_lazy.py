"""Attributes that are made at the first look."""

from __future__ import annotations

import pytest

from kirsch.web.lazy import lazy


class Thing:
    made = 0

    @lazy
    def value(self) -> list[int]:
        """The value."""
        self.made += 1
        return [self.made]


def test_it_is_made_once_and_can_be_set_and_deleted() -> None:
    thing = Thing()
    assert thing.value is thing.value
    assert thing.made == 1
    thing.value = [5]
    assert thing.value == [5]
    del thing.value
    assert thing.value == [2]
    assert Thing.value.__doc__ == "The value."


def test_setting_before_the_first_look_makes_nothing() -> None:
    thing = Thing()
    thing.value = [1]
    assert thing.made == 0


def test_an_error_in_making_is_not_kept() -> None:
    class Failing:
        tries = 0

        @lazy
        def value(self) -> int:
            self.tries += 1
            if self.tries == 1:
                raise LookupError
            return self.tries

    thing = Failing()
    with pytest.raises(LookupError):
        _ = thing.value
    assert thing.value == 2


def test_it_can_be_given_a_name_by_assignment() -> None:
    class Renamed:
        def _make(self) -> int:
            return 1

        value = lazy(_make)

    thing = Renamed()
    assert (thing.value, vars(thing)) == (1, {"value": 1})
