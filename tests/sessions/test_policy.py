from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from kirsch.sessions.cookie import SessionCookie
from kirsch.sessions.memory import MemoryStore
from kirsch.sessions.policy import FOREIGN, Policy
from kirsch.web import Application, Path, Request
from tests.web.helpers import make_exchange

if TYPE_CHECKING:
    from tests.sessions.helpers import Clock

KEY = "k" * 32
ID = "A" * 43


def policy_of(**settings: Any) -> Policy:
    settings.setdefault("store", MemoryStore())
    return Policy(cookie=SessionCookie(), **settings)


def request_of(cookie: str | None) -> Request:
    fields = {} if cookie is None else {"Cookie": cookie}
    return Request(Application(), make_exchange("/", "GET", fields), Path("", "/"))


def test_times_are_in_minutes_as_configured_and_in_seconds_inside() -> None:
    policy = policy_of()
    assert (policy.idle, policy.absolute, policy.clean_every) == (3600, 30 * 86400, 300)
    assert (policy.lock_timeout, policy.lock_waiters) == (5, None)
    policy = policy_of(absolute_timeout=0, clean_freq=0, lock_timeout=timedelta(minutes=1))
    assert (policy.absolute, policy.clean_every, policy.lock_timeout) == (None, math.inf, 60)


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [({}, 60), ({"timeout": 10}, 30), ({"timeout": 1 / 60}, 0.05), ({"renew_after": 0}, 0)],
)
def test_a_session_is_prolonged_a_twentieth_of_its_time_apart(
    settings: dict[str, float], seconds: float
) -> None:
    assert policy_of(**settings).renew_after == pytest.approx(seconds)


def test_a_session_ends_by_both_timeouts_whichever_is_first() -> None:
    policy = policy_of(timeout=10, absolute_timeout=60)
    assert policy.end(created=0, now=0) == 600
    assert policy.end(created=0, now=3500) == 3600
    assert policy_of(timeout=10, absolute_timeout=None).end(created=0, now=10**9) == 10**9 + 600


@pytest.mark.parametrize("locking", ["implicit", "early"])
def test_ways_of_locking_that_lock_by_themselves(locking: str) -> None:
    policy = policy_of(locking=locking)
    assert policy.locks
    assert not policy.readonly


def test_an_unknown_way_of_locking_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"'explict' is no way of locking; did you mean 'explicit'"):
        policy_of(locking="explict")
    with pytest.raises(ValueError, match=r"None is no way of locking; it is one of implicit, early"):
        policy_of(locking=None)


def test_a_timeout_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"tools\.sessions\.timeout is in minutes and more than 0, not 0"):
        policy_of(timeout=0)


@pytest.mark.parametrize(
    ("cookie", "found"),
    [
        (None, None),
        ("other=x", None),
        (f"session_id={ID}", ID),
        ("session_id=", ""),
        ("session_id=../../x", ""),
        (f"session_id={ID}.0.{'x' * 43}", ""),
    ],
)
def test_what_a_client_sends_is_an_id_nothing_or_foreign(cookie: str | None, found: str | None) -> None:
    read = policy_of().received(request_of(cookie))
    assert (None if read is None else read.id) == found
    assert (read is FOREIGN) == (found == "")


def test_the_same_fields_are_read_once() -> None:
    policy = policy_of()
    request = request_of(f"session_id={ID}")
    assert policy.received(request) is policy.received(request)
    other = policy_of()
    assert other.received(request) == policy.received(request)


def test_changes_of_the_program_to_the_cookies_of_a_request_do_not_count() -> None:
    request = request_of(f"session_id={ID}")
    request.cookies["session_id"] = "B" * 43
    read = policy_of().received(request)
    assert read is not None
    assert read.id == ID


def test_signed_ids_end_at_the_time_inside_of_them(clock: Clock) -> None:
    policy = policy_of(store=MemoryStore(clock=clock), signing_keys=KEY, absolute_timeout=10)
    request = request_of(f"session_id={policy.write(ID, clock())}")
    read = policy.received(request)
    assert read is not None
    assert read.id == ID
    clock.move(minutes=10)
    assert policy.received(request) is FOREIGN


def test_signed_ids_without_an_end_and_unsigned_ones(clock: Clock) -> None:
    policy = policy_of(signing_keys=[KEY], absolute_timeout=None)
    assert policy.write(ID, clock()).startswith(f"{ID}.0.")
    assert policy.received(request_of(f"session_id={ID}")) is FOREIGN
    assert policy_of().write(ID, clock()) == ID


def test_keys_are_not_shown() -> None:
    shown = repr(policy_of(signing_keys=[KEY]))
    assert "MemoryStore" in shown
    assert KEY not in shown
