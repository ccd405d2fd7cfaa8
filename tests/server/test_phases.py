"""The phases' order, which code compares by."""

from __future__ import annotations

from kirsch.server import phases


def test_nothing_is_read_for_the_program_from_writing_on() -> None:
    reading = (phases.HANDSHAKE, phases.IDLE, phases.HEAD, phases.BODY, phases.HANDLER)
    ending = (phases.WRITING, phases.LINGER, phases.CLOSED)

    assert max(reading) < min(ending)
    assert list(ending) == sorted(ending)


def test_being_asked_to_close_is_neither_yes_nor_no() -> None:
    assert phases.ASKED not in {True, False}
    assert phases.ASKED
