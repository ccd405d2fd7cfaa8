from __future__ import annotations

import pytest

from kirsch.sessions.errors import (
    LockTimeoutError,
    NoSessionError,
    SessionError,
    StoreUnavailableError,
    UnstorableError,
)
from kirsch.web import HTTPError, KirschError


def test_a_session_that_stays_locked_is_a_503_that_says_when_to_come_back() -> None:
    error = LockTimeoutError("it is held")
    assert isinstance(error, HTTPError)
    assert (error.code, error.headers, error.problem) == (503, {"Retry-After": "1"}, "it is held")
    assert "it is held" not in error.text("/")


def test_a_store_that_is_away_is_a_503() -> None:
    error = StoreUnavailableError()
    assert (error.code, error.headers) == (503, {"Retry-After": "1"})


def test_an_unstorable_value_names_its_place() -> None:
    error = UnstorableError("it is odd")
    error.where = ["cart", 3]
    assert str(error) == "session['cart'][3]: it is odd"
    assert isinstance(error, TypeError)
    assert isinstance(error, SessionError)


def test_no_session_is_an_attribute_error_too() -> None:
    with pytest.raises(AttributeError):
        raise NoSessionError("none")
    assert issubclass(SessionError, KirschError)
