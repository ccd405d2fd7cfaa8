"""Tokens hold for one session and one key, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirsch.security.tokens import SessionTokens

OLD, NEW = "o" * 32, "n" * 32


def test_a_token_holds_for_its_session_alone() -> None:
    tokens = SessionTokens(NEW)
    token = tokens.make("anna")
    assert tokens.check(token, "anna")
    assert not tokens.check(token, "eve")
    assert not tokens.check(token, "")
    assert tokens.check(tokens.make(""), "")
    assert tokens.make("anna") != token


@pytest.mark.parametrize("place", range(67))
def test_a_token_with_one_other_character_does_not_hold(place: int) -> None:
    tokens = SessionTokens(NEW)
    token = tokens.make("anna")
    # The last character of base64 holds two bits that mean nothing to a decoder; here they count.
    other = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
    assert not tokens.check(other, "anna")


def test_keys_change_without_a_token_being_lost() -> None:
    before = SessionTokens(OLD).make("anna")
    during = SessionTokens([NEW, OLD])
    assert during.check(before, "anna")
    assert SessionTokens(NEW).check(during.make("anna"), "anna")
    assert not SessionTokens(NEW).check(before, "anna")


def test_processes_with_random_keys_do_not_know_each_others_tokens() -> None:
    assert not SessionTokens().check(SessionTokens().make("anna"), "anna")
    assert SessionTokens(b"b" * 32).check(SessionTokens("b" * 32).make(""), "")


@pytest.mark.parametrize("secrets", ["", "short", [], [NEW, "short"], b"x" * 31])
def test_short_keys_are_refused(secrets: list[str]) -> None:
    with pytest.raises(ValueError, match="32 bytes or more"):
        SessionTokens(secrets)


def test_the_same_keys_give_the_same_object_and_memory_is_bounded() -> None:
    assert SessionTokens.of([NEW, OLD]) is SessionTokens.of([NEW, OLD])
    for number in range(40):
        SessionTokens.of(f"{number:032}")
    assert len(SessionTokens._known) <= 16
    assert NEW not in repr(SessionTokens(NEW))


def test_no_other_session_makes_the_same_text() -> None:
    tokens = SessionTokens(NEW)
    token = tokens.make("a!b")
    assert not tokens.check(token, "a")
    assert not tokens.check("!b" + token[2:], "a")


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80), st.text(max_size=20))
def test_any_text_is_checked_and_refused(token: str, session: str) -> None:
    assert not SessionTokens(NEW).check(token, session)
    assert not SessionTokens(NEW).check(token.ljust(67, "A")[:67], session)
