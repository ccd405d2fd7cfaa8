from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kirsch.sessions.errors import UnstorableError
from kirsch.sessions.memory import MemoryStore
from kirsch.sessions.store import Record

if TYPE_CHECKING:
    from tests.sessions.helpers import Clock

ID = "1" * 43


def test_objects_of_any_type_are_kept_as_they_are(clock: Clock) -> None:
    store = MemoryStore(clock=clock)
    thing = object()
    store.save(ID, Record({"thing": thing}, clock() + 1, clock()))
    found = store.load(ID)
    assert found is not None
    assert found.data["thing"] is thing


def test_with_a_serializer_requests_share_nothing_inside(clock: Clock) -> None:
    store = MemoryStore(serializer="msgpack", clock=clock)
    store.save(ID, Record({"a": [1]}, clock() + 1, clock()))
    first = store.load(ID)
    assert first is not None
    first.data["a"].append(2)
    second = store.load(ID)
    assert second is not None
    assert second.data == {"a": [1]}
    with pytest.raises(UnstorableError):
        store.save(ID, Record({"a": object()}, clock() + 1, clock()))


def test_sessions_that_ended_take_no_memory_after_a_sweep(clock: Clock) -> None:
    store = MemoryStore(clock=clock)
    for number in range(50):
        store.save(f"{number:043}", Record({}, clock() + number, clock()))
    clock.move(seconds=20)
    store.tidy(300)
    assert store.count() == 29
    store.lock(ID, 0).release()
    assert len(store._locks) == 0
