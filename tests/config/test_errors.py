"""Errors of the configuration room: their text, their place, and the nearest name."""

from __future__ import annotations

import pytest

from kirsch.config.errors import ConfigError, UnknownKeyError, nearest, shown


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConfigError("is wrong"), "is wrong."),
        (ConfigError("is wrong", hint="Write it right."), "is wrong. Write it right."),
        (ConfigError("is wrong", key="a.b"), "a.b: is wrong."),
        (ConfigError("is wrong", section="/x"), "[/x]: is wrong."),
        (ConfigError("is wrong", source="site.conf"), "site.conf: is wrong."),
        (
            ConfigError("is wrong", source="site.conf", section="global", key="a.b", hint="No."),
            "site.conf, [global] a.b: is wrong. No.",
        ),
    ],
)
def test_the_text_names_the_place_as_far_as_it_is_known(error: ConfigError, text: str) -> None:
    assert str(error) == text


def test_an_error_is_a_value_error_for_programs_that_catch_that() -> None:
    with pytest.raises(ValueError, match="is wrong"):
        raise UnknownKeyError("is wrong")


def test_at_fills_in_what_is_missing_and_keeps_what_is_known() -> None:
    first = UnknownKeyError("is wrong", hint="No.", key="inner")
    placed = first.at(source="f", section="s", key="outer")
    assert isinstance(placed, UnknownKeyError)
    assert (placed.source, placed.section, placed.key, placed.hint) == ("f", "s", "inner", "No.")
    assert first.source == ""


@pytest.mark.parametrize(
    ("name", "valid", "expected"),
    [
        ("thread", ["backlog", "threads"], "threads"),
        ("THREADS", ["threads"], "threads"),
        ("threads", ["THREADS"], "THREADS"),
        ("zzz", ["threads"], ""),
        ("threads", [], ""),
    ],
)
def test_nearest_ignores_case_and_says_nothing_rather_than_nonsense(
    name: str, valid: list[str], expected: str
) -> None:
    assert nearest(name, valid) == expected


def test_a_long_value_is_cut_in_the_text() -> None:
    text = shown("x" * 10_000)
    assert len(text) < 100
    assert text.endswith("(str)")


def test_a_value_whose_repr_fails_is_still_shown_by_its_type() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("no repr")

    assert shown(Broken()).endswith("(Broken)")


def test_an_int_too_long_for_text_is_still_shown_by_its_type() -> None:
    assert shown(10**10_000) == "a value (int)"
