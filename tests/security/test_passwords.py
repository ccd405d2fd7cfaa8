"""Hashes hold for their password, name their costs, and take as long for nobody as for somebody."""

from __future__ import annotations

import hashlib
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirsch.security import passwords
from kirsch.security.passwords import LONGEST, Passwords, hash_password, verify_password

# As cheap as they can be: what is tested is not the cost.
SCRYPT = Passwords(argon2=False, scrypt_cost=(1, 1, 1))
ARGON2 = Passwords(argon2=True, argon2_cost={"memory_cost": 8, "time_cost": 1, "parallelism": 1})


@pytest.mark.parametrize("made", [SCRYPT, ARGON2])
@pytest.mark.parametrize("checked", [SCRYPT, ARGON2])
def test_a_hash_holds_for_its_password_whoever_checks_it(made: Passwords, checked: Passwords) -> None:
    hashed = made.hash("correct horse")
    assert checked.verify("correct horse", hashed)
    assert not checked.verify("correct house", hashed)
    assert not checked.verify("", hashed)
    assert made.hash("correct horse") != hashed
    assert checked.outdated(hashed) is (made is not checked)


def test_hashes_name_their_function_and_its_costs() -> None:
    assert SCRYPT.hash("a").startswith("$scrypt$ln=1,r=1,p=1$")
    assert ARGON2.hash("a").startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert Passwords(argon2=False, scrypt_cost=(2, 1, 1)).outdated(SCRYPT.hash("a"))
    more = {"memory_cost": 16, "time_cost": 1, "parallelism": 1}
    assert Passwords(argon2_cost=more).outdated(ARGON2.hash("a"))


def test_the_costs_are_those_of_owasp_by_default() -> None:
    hashed = hash_password("a")
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert verify_password("a", hashed)
    assert not verify_password("b", hashed)
    assert Passwords(argon2=False).hash("a").startswith("$scrypt$ln=15,r=8,p=3$")


def test_a_hash_of_others_that_follows_the_format_is_checked() -> None:
    # RFC 7914 12, third vector but for the size: made by hashlib, written by hand.
    key = hashlib.scrypt(b"pleaseletmein", salt=b"SodiumChloride", n=16384, r=8, p=1, dklen=64)
    hashed = f"$scrypt$ln=14,r=8,p=1${passwords._b64(b'SodiumChloride')}${passwords._b64(key)}"
    assert SCRYPT.verify("pleaseletmein", hashed)


@pytest.mark.parametrize("made", [SCRYPT, ARGON2])
def test_nobody_costs_one_computation_as_anybody_does(
    made: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    check = Passwords._check

    def watch(self: Passwords, data: bytes, hashed: str) -> bool:
        seen.append(hashed)
        return check(self, data, hashed)

    monkeypatch.setattr(Passwords, "_check", watch)
    somebody = made.hash("a")
    assert not made.verify("a", None)
    assert not made.verify("a" * (LONGEST + 1), somebody)
    assert not made.verify("b", somebody)
    assert len(seen) == 3
    assert {text.rsplit("$", 2)[0] for text in seen} == {somebody.rsplit("$", 2)[0]}


@pytest.mark.parametrize("password", ["", "a" * (LONGEST + 1), "é" * LONGEST])
def test_what_is_no_password_is_refused_before_it_is_hashed(password: str) -> None:
    with pytest.raises(ValueError, match="1 to 4096 bytes"):
        SCRYPT.hash(password)
    assert not SCRYPT.verify(password, SCRYPT.hash("a"))


def test_a_letter_is_the_same_however_a_keyboard_composes_it() -> None:
    assert SCRYPT.verify("cafe\u0301", SCRYPT.hash("caf\u00e9"))
    assert SCRYPT.verify("a\x00b", SCRYPT.hash("a\x00b"))
    assert not SCRYPT.verify("a", SCRYPT.hash("a\x00b"))


@pytest.mark.parametrize(
    "hashed",
    [
        "",
        "secret",
        "$2b$12$abc",
        "$scrypt$ln=1,r=1,p=1$YQ$YR%",
        "$scrypt$ln=0,r=1,p=1$YQ$YQ",
        "$scrypt$ln=1,r=0,p=1$YQ$YQ",
        "$scrypt$ln=1,r=1,p=0$YQ$YQ",
        "$scrypt$ln=30,r=8,p=1$YQ$YQ",
        "$scrypt$ln=1,r=1,p=1$Y$YQ",
        "$argon2id$v=19$m=8,t=1,p=1$broken",
        "$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$" + "A" * 43,
        "$argon2",
    ],
)
def test_what_is_no_hash_of_ours_holds_for_nothing(hashed: str) -> None:
    assert not SCRYPT.verify("secret", hashed)
    assert not SCRYPT.verify("a", hashed)


def test_without_argon2_hashes_are_scrypts_and_argon2_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = ARGON2.hash("a")
    monkeypatch.setitem(sys.modules, "argon2", None)
    assert Passwords(scrypt_cost=(1, 1, 1)).hash("a").startswith("$scrypt$")
    with pytest.raises(RuntimeError, match="pip install"):
        Passwords(argon2=True).hash("a")
    with pytest.raises(RuntimeError, match="pip install"):
        Passwords(argon2=False).verify("a", hashed)


@settings(max_examples=50, deadline=None)
@given(st.text(min_size=1, max_size=40), st.text(max_size=60))
def test_any_password_is_known_again_and_any_text_is_checked(password: str, hashed: str) -> None:
    assert SCRYPT.verify(password, SCRYPT.hash(password))
    assert not SCRYPT.verify(password, hashed)
