"""Sections that tell when they are changed."""

from __future__ import annotations

from kirsch.web.watched import Section, Sections


def test_every_change_is_told() -> None:
    changes: list[int] = []
    section = Section({"a": 1}, lambda: changes.append(1))
    section["b"] = 2
    section.update(c=3)
    del section["a"]
    assert (dict(section), len(section), len(changes)) == ({"b": 2, "c": 3}, 2, 3)
    assert repr(section) == "<Section of 2 keys>"


def test_sections_inside_are_watched_too() -> None:
    changes: list[int] = []
    sections = Sections({"/": {"a": 1}}, lambda: changes.append(1))
    sections["/"]["a"] = 2
    sections["/x"] = {"b": 1}
    sections["/x"]["b"] = 2
    sections.section("/y")["c"] = 3
    assert len(changes) == 5
    assert {name: dict(section) for name, section in sections.items()} == {
        "/": {"a": 2},
        "/x": {"b": 2},
        "/y": {"c": 3},
    }
    sections["free"] = 5
    assert sections["free"] == 5
