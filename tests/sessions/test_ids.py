from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirsch.sessions.ids import Signer, Verified, new_id, well_formed

OLD, NEW = "o" * 32, b"n" * 32
ID = "A" * 43


def test_ids_are_256_bits_and_never_the_same() -> None:
    made = {new_id() for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch(r"[0-9A-Za-z_-]{43}", one) for one in made)
    # Every position takes many values: nothing in an id is fixed.
    assert all(len({one[place] for one in made}) > 12 for place in range(43))


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        (ID, True),
        ("0123456789abcdef" * 2 + "01234567", True),
        ("x" * 22, True),
        ("x" * 21, False),
        ("x" * 129, False),
        ("", False),
        ("../../etc/passwd/../../x", False),
        (ID + "\n", False),
        ("é" * 43, False),
        (ID[:-1] + "\0", False),
        (ID[:-1] + ".", False),
    ],
)
def test_only_what_could_be_an_id_is_looked_up(text: str, fits: bool) -> None:
    assert well_formed(text) is fits


def test_a_signed_id_is_verified() -> None:
    signer = Signer([NEW])
    assert signer.verify(signer.sign(ID, 99)) == Verified(ID, current=True, expires=99)


@given(st.integers(0, 100), st.characters(min_codepoint=33, max_codepoint=126))
@settings(max_examples=60)
def test_a_signed_id_that_was_altered_anywhere_is_refused(place: int, char: str) -> None:
    signer = Signer([NEW])
    signed = signer.sign(ID, 1234)
    place %= len(signed)
    altered = signed[:place] + char + signed[place + 1 :]
    assert altered == signed or signer.verify(altered) is None


@pytest.mark.parametrize("value", ["", ID, f"{ID}.0.", f"{ID}..x", f"{ID}.0.{'é' * 43}", "." * 90])
def test_what_is_no_signed_id_is_refused(value: str) -> None:
    assert Signer([NEW]).verify(value) is None


def test_keys_can_be_changed_while_sessions_last() -> None:
    before = Signer([OLD]).sign(ID, 0)
    both = Signer([NEW, OLD])
    assert both.verify(before) == Verified(ID, current=False)
    assert both.verify(both.sign(ID, 0)) == Verified(ID, current=True)
    assert Signer([NEW]).verify(before) is None


def test_what_something_else_signed_with_the_key_is_no_session() -> None:
    import hmac
    from base64 import urlsafe_b64encode

    mac = urlsafe_b64encode(hmac.digest(NEW, f"{ID}.0".encode(), "sha256")).decode().rstrip("=")
    assert Signer([NEW]).verify(f"{ID}.0.{mac}") is None


def test_short_keys_and_no_keys_are_refused() -> None:
    with pytest.raises(ValueError, match=r"signing key 2 has 31 bytes and needs 32 or more.*token_hex"):
        Signer([NEW, "x" * 31])
    with pytest.raises(ValueError, match="there is no signing key"):
        Signer([])


def test_keys_are_not_shown() -> None:
    assert repr(Signer([OLD])) == "<Signer with 1 keys>"
