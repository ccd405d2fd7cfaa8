"""The table of states."""

from __future__ import annotations

import itertools

import pytest

from kirsch.bus.states import TRANSITIONS, State, allowed, diagram

MOVES = {
    ("STOPPED", "STARTING"),
    ("STARTING", "STARTED"),
    ("STARTING", "STOPPING"),
    ("STARTED", "STOPPING"),
    ("STOPPED", "STOPPING"),
    ("STOPPING", "STOPPED"),
    ("STOPPED", "EXITING"),
    ("EXITING", "STARTING"),
}


@pytest.mark.parametrize(("source", "target"), list(itertools.product(State, State)))
def test_only_the_moves_of_the_plan_are_allowed(source: State, target: State) -> None:
    assert allowed(source, target) == ((source.name, target.name) in MOVES)


def test_no_move_stands_twice_in_the_table() -> None:
    pairs = [(move.source, move.target) for move in TRANSITIONS]
    assert len(pairs) == len(set(pairs))


def test_a_state_shows_itself_as_programs_for_cherrypy_expect() -> None:
    assert repr(State.STARTED) == "states.STARTED"
    assert State.STARTED.name == "STARTED"


def test_the_diagram_has_a_line_for_every_move() -> None:
    lines = diagram().splitlines()
    assert lines[0] == "stateDiagram-v2"
    assert [line for line in lines if "[*]" in line] == ["    [*] --> STOPPED", "    EXITING --> [*]"]
    assert len(lines) == len(TRANSITIONS) + 3
    assert "    STOPPED --> STARTING: start()" in lines
    assert diagram().endswith("\n")
