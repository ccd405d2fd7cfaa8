"""Signed values come back unchanged, in time, for their purpose, or not at all."""

from __future__ import annotations

import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirsch.security.signing import BadSignatureError, ExpiredSignatureError, Signer

OLD, NEW = "o" * 32, "n" * 32


@pytest.mark.parametrize("value", ["anna", {"user": 7, "next": "/ä"}, [1, None, True], ""])
def test_a_value_comes_back_as_it_was(value: object) -> None:
    signer = Signer(NEW, "test")
    signed = signer.sign(value)
    assert signer.open(signed, 60) == value
    assert all(char.isalnum() or char in "-_." for char in signed)


def test_a_changed_value_does_not_come_back() -> None:
    signer = Signer(NEW, "test")
    signed = signer.sign({"user": "anna"})
    forged = Signer("f" * 32, "test").sign({"user": "admin"})
    payload = forged.split(".", maxsplit=1)[0] + "." + signed.split(".", 1)[1]
    for wrong in (signed[:-2], signed[1:], forged, payload, "", ".", "é", "a" * 70000):
        with pytest.raises(BadSignatureError) as caught:
            signer.open(wrong, 60)
        assert "anna" not in str(caught.value)


def test_a_value_for_one_purpose_is_none_for_another() -> None:
    signed = Signer(NEW, "password reset").sign("anna")
    with pytest.raises(BadSignatureError):
        Signer(NEW, "newsletter").open(signed, 60)


def test_keys_change_without_a_value_being_lost() -> None:
    before = Signer(OLD, "test").sign("anna")
    during = Signer([NEW, OLD], "test")
    assert during.open(before, 60) == "anna"
    assert Signer(NEW.encode(), "test").open(during.sign("eve"), 60) == "eve"
    with pytest.raises(BadSignatureError):
        Signer(NEW, "test").open(before, 60)


def test_a_value_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    signer = Signer(NEW, "test")
    now = time.time()
    signed = signer.sign("anna")
    monkeypatch.setattr(time, "time", lambda: now + 100)
    assert signer.open(signed, 101) == "anna"
    with pytest.raises(ExpiredSignatureError, match="more than 60 s ago"):
        signer.open(signed, 60)


@pytest.mark.parametrize("secrets", ["short", [], [NEW, b"short"]])
def test_short_keys_are_refused(secrets: list[str]) -> None:
    with pytest.raises(ValueError, match="32 bytes or more"):
        Signer(secrets, "test")


def test_a_purpose_is_needed() -> None:
    with pytest.raises(ValueError, match="say what the values are for"):
        Signer(NEW, "")


def test_without_itsdangerous_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "itsdangerous", None)
    with pytest.raises(RuntimeError, match="pip install"):
        Signer(NEW, "test")


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_opened_or_refused(text: str) -> None:
    with pytest.raises(BadSignatureError):
        Signer(NEW, "test").open(text, 60)
