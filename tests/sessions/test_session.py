from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from kirsch.sessions.cookie import SessionCookie
from kirsch.sessions.errors import LockTimeoutError, SessionError, UnstorableError
from kirsch.sessions.ids import Verified
from kirsch.sessions.memory import MemoryStore
from kirsch.sessions.policy import FOREIGN, Policy
from kirsch.sessions.session import Session
from kirsch.sessions.store import Record
from kirsch.web import Application, Path, Request
from tests.sessions.helpers import is_locked
from tests.web.helpers import make_exchange

if TYPE_CHECKING:
    from kirsch.sessions.store import Store
    from tests.sessions.helpers import Clock

KEY = "k" * 32


@pytest.fixture(name="memory")
def _memory(clock: Clock) -> MemoryStore:
    # With a serialiser, as what is inside of sessions must be kept apart for some of these tests.
    return MemoryStore(serializer="msgpack", clock=clock)


def policy_of(store: Store, **settings: Any) -> Policy:
    return Policy(store, SessionCookie(), **settings)


def again(policy: Policy, session_id: str) -> Session:
    """Return the session of the next request."""
    return Session(policy, Verified(session_id))


def made(policy: Policy, **values: Any) -> str:
    """Store a session and return its id."""
    session = Session(policy, None)
    session.update(values)
    session.save()
    return session.id


def contents(store: Store, session_id: str) -> dict[Any, Any] | None:
    record = store.load(session_id)
    return None if record is None else record.data


# --- nothing happens until it is used ---


def test_a_session_that_is_not_used_touches_no_store() -> None:
    session = Session(policy_of(None), Verified("1" * 43))  # type: ignore[arg-type]
    session.save()
    session.close(save=True)
    assert not session.used
    assert not session.loaded


def test_a_new_session_that_stays_empty_is_not_stored(memory: MemoryStore) -> None:
    session = Session(policy_of(memory), None)
    assert session.get("x") is None
    session.save()
    assert session.used
    assert memory.count() == 0


def test_a_new_session_whose_id_was_read_is_stored(memory: MemoryStore) -> None:
    session = Session(policy_of(memory), None)
    session_id = session.id
    assert session.id == session_id
    session.save()
    assert contents(memory, session_id) == {}


def test_what_is_put_in_is_there_in_the_next_request(store: Store) -> None:
    policy = policy_of(store)
    session_id = made(policy, a=1, b={"c": [2]})
    session = again(policy, session_id)
    assert dict(session) == {"a": 1, "b": {"c": [2]}}
    assert session.originalid == session.id == session_id
    session["b"]["c"].append(3)
    del session["a"]
    session.save()
    assert contents(store, session_id) == {"b": {"c": [2, 3]}}


def test_it_is_a_dictionary(memory: MemoryStore) -> None:
    session = Session(policy_of(memory), None)
    session["a"] = 1
    assert "a" in session
    assert len(session) == 1
    assert list(session) == ["a"]
    assert session["a"] == 1
    assert session.get("b", 2) == 2
    session.clear()
    assert len(session) == 0
    assert session
    with pytest.raises(KeyError):
        session["a"]
    with pytest.raises(KeyError):
        del session["a"]


@pytest.mark.parametrize(
    "use", [len, list, lambda one: one.clear(), lambda one: "x" in one, lambda one: one.id]
)
def test_any_use_loads_it(memory: MemoryStore, use: Any) -> None:
    policy = policy_of(memory)
    session = again(policy, made(policy, a=1))
    use(session)
    assert session.loaded
    session.close(save=False)


def test_deleting_a_key_loads_it(memory: MemoryStore) -> None:
    policy = policy_of(memory)
    session_id = made(policy, a=1)
    session = again(policy, session_id)
    del session["a"]
    session.save()
    assert contents(memory, session_id) == {}


# --- ids ---


def test_an_id_nobody_gave_out_is_never_adopted(store: Store) -> None:
    policy = policy_of(store)
    session = again(policy, "F" * 43)
    session["x"] = 1
    assert session.missing
    session.save()
    assert session.id != "F" * 43
    assert session.originalid == "F" * 43
    assert contents(store, "F" * 43) is None
    assert contents(store, session.id) == {"x": 1}


def test_text_that_can_be_no_id_gives_a_new_session(memory: MemoryStore) -> None:
    session = Session(policy_of(memory), FOREIGN)
    assert session.missing
    assert session.originalid is None
    session["x"] = 1
    session.save()
    assert memory.count() == 1


def test_a_new_id_keeps_the_contents_and_ends_the_old_one(store: Store) -> None:
    policy = policy_of(store)
    old = made(policy, cart=[1])
    session = again(policy, old)
    session.regenerate()
    assert store.load(old) is None
    session["user"] = "anna"
    session.save()
    assert session.regenerated
    assert contents(store, session.id) == {"cart": [1], "user": "anna"}
    assert session.id != old
    later = again(policy, old)
    assert len(later) == 0
    assert later.missing


def test_a_new_id_does_not_prolong_the_absolute_timeout(memory: MemoryStore, clock: Clock) -> None:
    policy = policy_of(memory)
    begin = clock()
    session = again(policy, made(policy, a=1))
    clock.move(minutes=30)
    session.regenerate()
    session.save()
    assert session.created == begin


def test_the_time_a_session_began_is_known_before_and_after_it_is_used(
    memory: MemoryStore, clock: Clock
) -> None:
    policy = policy_of(memory)
    begin = clock()
    session_id = made(policy, a=1)
    clock.move(minutes=5)
    session = again(policy, session_id)
    assert session.created == begin
    assert session.loaded
    session.close(save=False)
    assert Session(policy, None).created == clock()


def test_a_new_session_may_get_a_new_id_too(memory: MemoryStore) -> None:
    session = Session(policy_of(memory), None)
    first = session.id
    session.regenerate()
    session.save()
    assert session.id != first
    assert memory.count() == 1


def test_what_somebody_ended_meanwhile_does_not_live_on_under_a_new_id(memory: MemoryStore) -> None:
    policy = policy_of(memory, locking="explicit")
    session = again(policy, made(policy, user="anna"))
    assert session["user"] == "anna"
    memory.delete(session.id)
    session.regenerate()
    assert "user" not in session
    session.save()
    assert contents(memory, session.id) == {}


def test_deleting_removes_it_from_the_store_and_begins_anew(store: Store) -> None:
    policy = policy_of(store)
    old = made(policy, a=1)
    session = again(policy, old)
    session.delete()
    assert store.load(old) is None
    assert "a" not in session
    session.save()
    session = again(policy, old)
    session.delete()
    session["b"] = 2
    session.save()
    assert session.id != old
    assert contents(store, session.id) == {"b": 2}


def test_deleting_a_new_session_is_no_error(memory: MemoryStore) -> None:
    session = Session(policy_of(memory), None)
    session.delete()
    session.save()
    assert memory.count() == 0


def test_deleting_needs_no_lock_and_who_holds_it_cannot_store_it_again(store: Store) -> None:
    policy = policy_of(store)
    session_id = made(policy, a=1)
    holder, other = again(policy, session_id), again(policy, session_id)
    holder["a"] = 2
    other.delete()
    holder.save()
    assert store.load(session_id) is None


def test_a_session_knows_its_user_and_all_of_theirs_can_be_ended(memory: MemoryStore) -> None:
    policy = policy_of(memory)
    session = Session(policy, None)
    assert session.user is None
    session.user = "anna"
    session.save()
    here = session.id
    session.save()
    session = again(policy, here)
    assert session.user == "anna"
    assert session.store.delete_user("anna", keep=session.id) == 0
    session.save()
    assert memory.delete_user("anna") == 1
    assert again(policy, here).missing is False
    assert again(policy, here).user is None


# --- time ---


def test_a_session_ends_when_it_was_not_used_for_its_timeout(memory: MemoryStore, clock: Clock) -> None:
    policy = policy_of(memory, timeout=10)
    session_id = made(policy, a=1)
    clock.move(minutes=9)
    session = again(policy, session_id)
    assert session["a"] == 1
    session.save()
    clock.move(minutes=9)
    session = again(policy, session_id)
    assert session["a"] == 1
    session.save()
    clock.move(minutes=10)
    session = again(policy, session_id)
    assert "a" not in session
    assert session.missing


def test_a_session_ends_at_its_absolute_timeout_however_much_it_is_used(
    memory: MemoryStore, clock: Clock
) -> None:
    policy = policy_of(memory, timeout=10, absolute_timeout=25)
    session_id = made(policy, a=1)
    for _ in range(3):
        clock.move(minutes=8)
        session = again(policy, session_id)
        assert session["a"] == 1
        session.save()
    clock.move(minutes=1)
    assert "a" not in again(policy, session_id)


def test_a_shorter_absolute_timeout_holds_for_sessions_that_began_before(
    memory: MemoryStore, clock: Clock
) -> None:
    session_id = made(policy_of(memory, absolute_timeout=None), a=1)
    clock.move(minutes=30)
    strict = policy_of(memory, absolute_timeout=20)
    assert "a" not in again(strict, session_id)
    assert memory.load(session_id) is None


def test_a_record_that_would_last_too_long_is_still_used_while_it_may(
    memory: MemoryStore, clock: Clock
) -> None:
    session_id = made(policy_of(memory, absolute_timeout=None), a=1)
    clock.move(minutes=10)
    strict = policy_of(memory, absolute_timeout=20)
    session = again(strict, session_id)
    assert session["a"] == 1
    session.save()
    clock.move(minutes=10)
    assert "a" not in again(strict, session_id)


def test_a_session_in_use_is_prolonged_now_and_then(memory: MemoryStore, clock: Clock) -> None:
    policy = policy_of(memory, timeout=60)
    session_id = made(policy, a=1)
    first = memory.load(session_id)
    clock.move(seconds=59)
    session = again(policy, session_id)
    session["a"] = 2
    session.save()
    second = memory.load(session_id)
    assert first is not None
    assert second is not None
    assert second.data == {"a": 2}
    assert second.expires == first.expires
    clock.move(seconds=1)
    session = again(policy, session_id)
    assert session["a"] == 2
    session.save()
    third = memory.load(session_id)
    assert third is not None
    assert third.expires == clock() + 3600


# --- locks ---


@pytest.mark.parametrize("locking", ["implicit", "early"])
def test_a_session_in_use_is_locked_until_it_is_saved(memory: MemoryStore, locking: str) -> None:
    policy = policy_of(memory, locking=locking, lock_timeout=0.01)
    session_id = made(policy, n=1)
    one, two = again(policy, session_id), again(policy, session_id)
    one["n"] += 1
    assert is_locked(one)
    with pytest.raises(LockTimeoutError):
        two["n"] += 1
    assert not is_locked(two)
    one.save()
    assert not is_locked(one)
    two["n"] += 1
    two.save()
    assert contents(memory, session_id) == {"n": 3}


def test_a_new_session_needs_no_lock(memory: MemoryStore) -> None:
    session = Session(policy_of(memory), None)
    session["a"] = 1
    session.acquire_lock()
    assert not is_locked(session)


def test_the_lock_of_an_unknown_id_is_given_back_at_once(memory: MemoryStore) -> None:
    policy = policy_of(memory, lock_timeout=0.01)
    assert len(again(policy, "F" * 43)) == 0
    assert len(memory._locks) == 0


def test_what_follows_an_early_save_is_loaded_anew(store: Store) -> None:
    policy = policy_of(store, lock_timeout=1)
    session_id = made(policy, n=0)
    one = again(policy, session_id)
    one["n"] += 1
    one.save()
    assert not one.loaded
    # Another request comes and goes while the first one is at work.
    two = again(policy, session_id)
    two["n"] += 1
    two["other"] = "x"
    two.save()
    one["n"] += 1
    assert is_locked(one)
    one.save()
    assert contents(store, session_id) == {"n": 3, "other": "x"}


def test_nothing_is_stored_over_newer_data_after_an_early_release(store: Store) -> None:
    policy = policy_of(store)
    session_id = made(policy, n=0)
    one = again(policy, session_id)
    one["n"] = 1
    one.release_lock()
    two = again(policy, session_id)
    two["n"] = 2
    two.save()
    one.close(save=True)
    assert contents(store, session_id) == {"n": 2}


def test_releasing_a_lock_that_was_only_taken_gives_it_back(memory: MemoryStore) -> None:
    policy = policy_of(memory, locking="explicit")
    session = again(policy, made(policy, a=1))
    session.acquire_lock()
    session.acquire_lock()
    assert is_locked(session)
    session.release_lock()
    assert not is_locked(session)
    assert len(memory._locks) == 0


def test_explicit_locks_are_taken_when_the_program_says(memory: MemoryStore) -> None:
    policy = policy_of(memory, locking="explicit", lock_timeout=0.01)
    session_id = made(policy, n=1)
    one, two = again(policy, session_id), again(policy, session_id)
    assert one["n"] == 1
    assert not is_locked(one)
    two.acquire_lock()
    two["n"] = 5
    with pytest.raises(LockTimeoutError):
        one.acquire_lock()
    two.save()
    # What was read before the lock may be old, so it is loaded again.
    one.acquire_lock()
    assert one["n"] == 5
    one.close(save=False)


def test_without_a_lock_only_the_keys_that_were_changed_are_stored(store: Store) -> None:
    policy = policy_of(store, locking="explicit")
    session_id = made(policy, keep=1, change=1, remove=1, inside={"x": 1})
    one, two = again(policy, session_id), again(policy, session_id)
    one["change"] = 2
    del one["remove"]
    one["inside"] = {"x": 2}
    two["keep"] = 9
    two["new"] = [1]
    two.user = "anna"
    two.save()
    one.save()
    record = store.load(session_id)
    assert record is not None
    assert record.data == {"keep": 9, "change": 2, "inside": {"x": 2}, "new": [1]}
    assert record.user == "anna"


def test_without_a_lock_changes_inside_of_a_value_are_seen(memory: MemoryStore) -> None:
    policy = policy_of(memory, locking="explicit")
    session_id = made(policy, inside=[1])
    session = again(policy, session_id)
    session["inside"].append(2)
    session.save()
    assert contents(memory, session_id) == {"inside": [1, 2]}


def test_without_a_lock_a_session_that_was_ended_stays_ended(store: Store) -> None:
    policy = policy_of(store, locking="explicit")
    session_id = made(policy, a=1)
    session = again(policy, session_id)
    session["a"] = 2
    store.delete(session_id)
    session.save()
    assert store.load(session_id) is None


def test_without_a_lock_a_user_may_be_set(memory: MemoryStore) -> None:
    policy = policy_of(memory, locking="explicit")
    session = again(policy, made(policy, a=1))
    session.user = "anna"
    session.save()
    assert memory.delete_user("anna") == 1


def test_a_session_that_is_only_read_waits_for_nobody_and_keeps_nobody_waiting(store: Store) -> None:
    writing = policy_of(store, lock_timeout=1)
    session_id = made(writing, a=1)
    writer = again(writing, session_id)
    writer["a"] = 2
    reader = again(policy_of(store, locking="readonly"), session_id)
    assert reader["a"] == 1
    reader.acquire_lock()
    assert not is_locked(reader)
    reader.save()
    writer.save()
    assert contents(store, session_id) == {"a": 2}


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one.update(a=2),
        lambda one: one.pop("a"),
        lambda one: one.clear(),
        lambda one: one.regenerate(),
        lambda one: one.delete(),
        lambda one: setattr(one, "user", "x"),
    ],
)
def test_a_session_that_is_only_read_cannot_be_changed(memory: MemoryStore, change: Any) -> None:
    session_id = made(policy_of(memory), a=1)
    session = again(policy_of(memory, locking="readonly"), session_id)
    with pytest.raises(SessionError, match=r"only reads its session.*locking = 'readonly'"):
        change(session)
    session.save()
    assert contents(memory, session_id) == {"a": 1}


def test_a_new_session_that_is_only_read_is_not_stored(memory: MemoryStore) -> None:
    session = Session(policy_of(memory, locking="readonly"), None)
    assert session.id
    session.save()
    assert memory.count() == 0


def test_reading_prolongs_a_session_unless_somebody_is_writing(memory: MemoryStore, clock: Clock) -> None:
    policy = policy_of(memory, locking="readonly")
    session_id = made(policy_of(memory), a=1)
    clock.move(minutes=30)
    reader = again(policy, session_id)
    assert reader["a"] == 1
    lock = memory.lock(session_id, 0)
    reader.save()
    lock.release()
    record = memory.load(session_id)
    assert record is not None
    assert record.expires == clock() + 1800
    reader = again(policy, session_id)
    assert reader["a"] == 1
    reader.save()
    record = memory.load(session_id)
    assert record is not None
    assert record.expires == clock() + 3600
    assert record.data == {"a": 1}


def test_what_was_prolonged_or_ended_meanwhile_is_left_alone(memory: MemoryStore, clock: Clock) -> None:
    policy = policy_of(memory, locking="readonly")
    session_id = made(policy_of(memory), a=1)
    clock.move(minutes=30)
    one, two, three = (again(policy, session_id) for _ in range(3))
    assert one["a"] == two["a"] == three["a"]
    one.save()
    two.save()
    memory.delete(session_id)
    three.save()
    assert memory.count() == 0


class Losing(MemoryStore):
    """A store whose locks can be lost, as those that expire are."""

    def lock(self, session_id: str, timeout: float, waiters: int | None = None) -> Any:
        held = super().lock(session_id, timeout, waiters)

        class Lost:
            held = False

            def release(self) -> None:
                held.release()

        return Lost() if self.loses else held

    loses = True


def test_who_has_lost_the_lock_stores_by_merging_and_not_over_others(clock: Clock) -> None:
    store = Losing(serializer="msgpack", clock=clock)
    policy = policy_of(store, lock_timeout=0.01)
    store.loses = False
    session_id = made(policy, a=1, b=1)
    store.loses = True
    slow = again(policy, session_id)
    slow["a"] = 2
    store.loses = False
    # Somebody else had the lock meanwhile.
    record = store.load(session_id)
    assert record is not None
    store.save(session_id, record._replace(data={"a": 1, "b": 2}), record)
    slow.save()
    assert contents(store, session_id) == {"a": 2, "b": 2}
    assert len(store._locks) == 0


def test_who_has_lost_the_lock_does_not_wait_for_itself(clock: Clock) -> None:
    store = Losing(clock=clock)
    policy = policy_of(store, lock_timeout=0.01)
    store.loses = False
    session_id = made(policy, a=1)
    store.loses = True
    session = again(policy, session_id)
    assert session["a"] == 1
    session.load()
    store.loses = False
    session.acquire_lock()
    assert is_locked(session)
    session.close(save=False)
    assert len(store._locks) == 0


# --- ends ---


def test_a_value_that_cannot_be_stored_gives_the_lock_back(memory: MemoryStore) -> None:
    policy = policy_of(memory)
    session_id = made(policy, a=1)
    session = again(policy, session_id)
    session["x"] = object()
    with pytest.raises(UnstorableError, match=r"session\['x'\]: a builtins\.object is not kept"):
        session.save()
    assert not is_locked(session)
    assert contents(memory, session_id) == {"a": 1}


def test_after_the_request_it_can_be_read_but_not_changed(memory: MemoryStore) -> None:
    policy = policy_of(memory)
    session_id = made(policy, a=1)
    session = again(policy, session_id)
    session["a"] = 2
    session.close(save=False)
    assert session["a"] == 2
    assert contents(memory, session_id) == {"a": 1}
    with pytest.raises(SessionError, match="the request is over"):
        session["a"] = 3
    with pytest.raises(SessionError, match="the request is over"):
        session.delete()
    late = again(policy, session_id)
    late.close(save=True)
    assert late["a"] == 1
    late.acquire_lock()
    assert not is_locked(late)
    assert len(memory._locks) == 0


def test_a_session_begun_inside_the_program_is_handed_on(memory: MemoryStore) -> None:
    policy = policy_of(memory, signing_keys=KEY)
    first = Session(policy, None)
    first["a"] = 1
    first.close(save=True)
    second = Session(policy, None, heir=first)
    assert second.used
    assert second["a"] == 1
    assert second.id == first.id
    second.close(save=False)
    third = Session(policy, None, heir=Session(policy, None))
    assert not third.used


def answered(session: Session, **fields: str) -> list[str]:
    request = Request(Application(), make_exchange("/", "GET", fields), Path("", "/"))
    session.answered(request, streams=False)
    return [str(cookie) for cookie in request.response.cookies.values()]


def test_the_cookie_comes_with_a_new_session_and_when_it_is_prolonged(
    memory: MemoryStore, clock: Clock
) -> None:
    policy = policy_of(memory)
    session = Session(policy, None)
    assert answered(session) == []
    session["a"] = 1
    (line,) = answered(session)
    assert line == f"session_id={session.id}; Max-Age=3600; Path=/; HttpOnly; SameSite=Lax"
    session_id = session.id
    session = again(policy, session_id)
    session["a"] = 2
    assert answered(session) == []
    clock.move(minutes=1)
    session = again(policy, session_id)
    assert session["a"] == 2
    assert answered(session) == [line]


def test_a_browser_session_gets_its_cookie_once(memory: MemoryStore, clock: Clock) -> None:
    policy = Policy(memory, SessionCookie(persistent=False))
    session = again(policy, made(policy, a=1))
    clock.move(minutes=10)
    session["a"] = 2
    assert answered(session) == []


def test_every_answer_has_the_cookie_where_that_is_wanted(memory: MemoryStore) -> None:
    policy = Policy(memory, SessionCookie(persistent=False), renew_after=0)
    session = again(policy, made(policy, a=1))
    assert session["a"] == 1
    assert len(answered(session)) == 1


def test_an_id_signed_with_an_older_key_is_signed_anew(memory: MemoryStore) -> None:
    policy = policy_of(memory, signing_keys=["n" * 32, KEY])
    session_id = made(policy, a=1)
    session = Session(policy, Verified(session_id, current=False))
    assert session["a"] == 1
    (line,) = answered(session)
    assert line.startswith(f"session_id={policy.write(session_id, session.created)};")


def test_expiring_takes_the_cookie_and_leaves_the_session(memory: MemoryStore, clock: Clock) -> None:
    policy = policy_of(memory)
    session_id = made(policy, a=1)
    session = again(policy, session_id)
    clock.move(minutes=5)
    session["a"] = 2
    session.expire()
    (line,) = answered(session)
    assert line.startswith("session_id=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0")
    assert contents(memory, session_id) == {"a": 2}


def test_a_session_that_was_ended_by_another_request_leaves_the_cookie_alone(
    memory: MemoryStore, clock: Clock
) -> None:
    # The other one may have given the browser a new id, which must not be taken away.
    policy = policy_of(memory)
    session = again(policy, made(policy, a=1))
    clock.move(minutes=5)
    session["a"] = 2
    memory.delete(session.id)
    assert answered(session) == []


def test_streams_cannot_begin_a_session_once_the_head_is_out(memory: MemoryStore) -> None:
    session = Session(policy_of(memory), None)
    request = Request(Application(), make_exchange(), Path("", "/"))
    session.answered(request, streams=True)
    assert session.get("a") is None
    with pytest.raises(SessionError, match=r"the head of the response is out.*read kirsch\.session\.id"):
        session["a"] = 1


def test_streams_do_not_lock(memory: MemoryStore) -> None:
    policy = policy_of(memory)
    session_id = made(policy, n=1)
    session = again(policy, session_id)
    request = Request(Application(), make_exchange(), Path("", "/"))
    session.answered(request, streams=True)
    session["n"] = 2
    assert not is_locked(session)
    session.close(save=True)
    assert contents(memory, session_id) == {"n": 2}


def test_neither_id_nor_contents_are_shown_or_logged(
    memory: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        session = Session(policy_of(memory), None)
        session["secret"] = "hunter2"
        shown = repr(session)
        session.save()
        kept = again(policy_of(memory), session.id)
        kept["x"] = 1
        assert repr(kept) == "<Session loaded, locked>"
        kept.save()
    assert shown == "<Session loaded>"
    assert repr(kept) == "<Session not loaded>"
    assert caplog.text == ""


def test_sweeps_come_with_saving(memory: MemoryStore, clock: Clock) -> None:
    memory.save("9" * 43, Record({}, clock() + 1, clock()))
    policy = policy_of(memory)
    kept = made(policy, a=1)
    assert memory.count() == 2
    clock.move(minutes=6)
    session = again(policy, kept)
    assert session["a"] == 1
    session.save()
    assert memory.count() == 1
    memory.save("9" * 43, Record({}, clock() + 1, clock()))
    clock.move(minutes=6)
    made(policy_of(memory), b=1)
    assert memory.count() == 2
