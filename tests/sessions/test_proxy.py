from __future__ import annotations

import pytest

import kirsch
from kirsch.sessions.errors import NoSessionError
from kirsch.sessions.proxy import session
from tests.sessions.helpers import Browser, Pages, gateway_of
from tests.web.helpers import app_of, ask


def test_the_face_and_the_room_have_the_same_session() -> None:
    assert kirsch.session is session


def test_it_is_a_dictionary() -> None:
    def index() -> str:
        session["a"] = 1
        session["b"] = 2
        del session["b"]
        session.update(c=3)
        assert "a" in session
        assert "b" not in session
        assert sorted(session) == ["a", "c"]
        assert len(session) == 2
        assert session.get("x", "y") == "y"
        assert session["c"] == 3
        assert session.pop("c") == 3
        assert session.setdefault("d", 4) == 4
        assert dict(session.items()) == {"a": 1, "d": 4}
        assert session
        assert repr(session) == "<Session loaded>"
        return session.id

    browser = Browser(gateway_of(Pages(index=index)))
    assert browser.text() == browser.id


def test_outside_of_a_request_there_is_none() -> None:
    assert not session
    assert not hasattr(session, "id")
    with pytest.raises(NoSessionError, match="only there while a request is being answered"):
        session["x"]
    with pytest.raises(NoSessionError):
        session.get("x")


def test_where_sessions_are_off_it_says_how_to_switch_them_on() -> None:
    def index() -> str:
        assert not session
        with pytest.raises(NoSessionError, match=r"there is no session for /; .*tools\.sessions\.on = True"):
            session["x"] = 1
        return "fine"

    assert ask(app_of(Pages(index=index)), "/").text == "fine"
