"""The five states of a bus and every move between them, as one table.

`bus.py` may only make a move that stands here; the diagram in the documentation is rendered from the same
table.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

__all__ = ["TRANSITIONS", "State", "Transition", "allowed", "diagram"]


class State(enum.Enum):
    """Where a bus is in its life. Names and repr (`states.NAME`) are those of CherryPy's bus."""

    STOPPED = "STOPPED"
    """Nothing runs. A new bus is here, and one whose `stop` listeners are through."""
    STARTING = "STARTING"
    """The `start` listeners are running."""
    STARTED = "STARTED"
    """All `start` listeners have returned: the program serves."""
    STOPPING = "STOPPING"
    """The `stop` listeners are running."""
    EXITING = "EXITING"
    """The `exit` listeners are running or have run: the process is to end, or to start the bus anew."""

    def __repr__(self) -> str:
        return f"states.{self.name}"


class Transition(NamedTuple):
    """One allowed move."""

    source: State
    target: State
    cause: str


TRANSITIONS = (
    Transition(State.STOPPED, State.STARTING, "start()"),
    Transition(State.STARTING, State.STARTED, "start listeners done"),
    Transition(State.STARTING, State.STOPPING, "start listener failed, or stop() or exit() meanwhile"),
    Transition(State.STARTED, State.STOPPING, "stop() or exit()"),
    Transition(State.STOPPED, State.STOPPING, "stop() or exit() before the first start()"),
    Transition(State.STOPPING, State.STOPPED, "stop listeners done"),
    Transition(State.STOPPED, State.EXITING, "exit()"),
    Transition(State.EXITING, State.STARTING, "start() again"),
)
"""Every allowed move with what causes it."""

_PAIRS = frozenset((move.source, move.target) for move in TRANSITIONS)


def allowed(source: State, target: State) -> bool:
    """Return whether the table lets a bus move from `source` to `target`."""
    return (source, target) in _PAIRS


def diagram() -> str:
    """Render the table as a Mermaid state diagram, without the fence; ends in a newline."""
    lines = ["stateDiagram-v2", "    [*] --> STOPPED"]
    lines += [f"    {move.source.name} --> {move.target.name}: {move.cause}" for move in TRANSITIONS]
    lines.append("    EXITING --> [*]")
    return "\n".join(lines) + "\n"
