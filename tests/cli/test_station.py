"""What one program has alone. How it goes to the next one, with real ones: test_single and test_workers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from kirsch.bus import Bus, Reexec
from kirsch.cli import station as module
from kirsch.cli.errors import Failure
from kirsch.cli.logs import Logs
from kirsch.cli.serve import Run
from kirsch.cli.sockets import Sockets
from kirsch.cli.sources import collect
from kirsch.cli.station import Station
from kirsch.cli.target import parse_target
from kirsch.config import LogSettings, ServerSettings
from kirsch.supervise import ask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAIT = 20.0


class Waiting:
    """A program that is to replace another one, which gives way at once."""

    def __init__(self) -> None:
        self.asked = 0

    def ready(self) -> None:
        self.asked += 1


@pytest.fixture
def sockets() -> Iterator[Sockets]:
    with Sockets(ServerSettings(bind=("127.0.0.1:0",))) as made:
        yield made


def station(sockets: Sockets, folder: Path, **more: Any) -> tuple[Station, Bus, list[str]]:
    """Return a station with its bus, and what it is told to do."""
    did: list[str] = []
    bus = Bus()
    more.setdefault("configuration", collect([], {}, {}))
    run = Run(target=parse_target("site"), reexec=Reexec(), directory=str(folder), **more)
    logs = Logs(LogSettings(screen=False, error_file=str(folder / "error.log")))
    logs.open()
    bus.subscribe("exit", logs.close, 100)
    made = Station(
        run, bus, sockets, logs, answer=lambda request: {"said": "yes"}, finish=lambda: did.append("finish")
    )
    return made, bus, did


def test_a_program_takes_its_files_at_the_start_and_leaves_none(sockets: Sockets, tmp_path: Path) -> None:
    path = tmp_path / "k.pid"
    made, bus, _ = station(sockets, tmp_path, pidfile=str(path))
    made.open()
    bus.start()
    made.ready("serves")
    assert ask(path, {"do": "it"}, timeout=WAIT) == {"ok": True, "said": "yes"}
    bus.exit()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["error.log"]
    assert sockets.descriptors == (-1,), "the system takes no more connections"


@pytest.mark.parametrize(("delay", "turned"), [(0.0, 1), (0.1, 0)])
def test_who_comes_is_turned_away_at_the_stop_but_not_while_others_are_still_to_notice(
    sockets: Sockets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, delay: float, turned: int
) -> None:
    calls: list[Sockets] = []
    monkeypatch.setattr(Sockets, "turn_away", lambda self: calls.append(self))  # noqa: PLW0108  it must bind
    configuration = collect([], {}, {"server.drain_delay": delay})
    _, bus, _ = station(sockets, tmp_path, configuration=configuration)
    bus.start()
    bus.stop()
    assert len(calls) == turned
    bus.exit()


def test_a_program_that_is_to_replace_another_waits_until_it_serves(sockets: Sockets, tmp_path: Path) -> None:
    path = tmp_path / "k.pid"
    new = Waiting()
    made, bus, _ = station(sockets, tmp_path, pidfile=str(path), successor=new)
    made.open()
    assert not path.exists()
    bus.start()
    made.ready("serves")
    assert new.asked == 1
    assert path.read_text() == f"{os.getpid()}\n"
    bus.exit()


def test_one_that_cannot_have_the_files_of_the_other_serves_without(sockets: Sockets, tmp_path: Path) -> None:
    made, bus, _ = station(sockets, tmp_path, pidfile=str(tmp_path / "gone" / "k.pid"), successor=Waiting())
    made.open()
    bus.start()
    made.ready("serves")
    assert "No such file or directory. This program serves without." in (tmp_path / "error.log").read_text()
    bus.exit()


def test_commands_that_cannot_be_listened_for_are_one_sentence(
    sockets: Sockets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kirsch.supervise import Control

    def refuse(self: Control) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Control, "open", refuse)
    made, bus, _ = station(sockets, tmp_path, pidfile=str(tmp_path / "k.pid"))
    with pytest.raises(Failure, match=r"Cannot listen for commands beside .*: No space left on device"):
        made.open()
    bus.exit()


@pytest.mark.parametrize(
    ("pid", "inherits", "words"),
    [(1, True, "the first process of its container"), (2, False, "hands no sockets from process to process")],
)
def test_a_program_that_cannot_be_replaced_says_why(
    sockets: Sockets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pid: int, inherits: bool, words: str
) -> None:
    made, bus, _ = station(sockets, tmp_path)
    bus.start()
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: pid)
        patch.setattr(module, "INHERITS", inherits)
        reply = made.replace()
    with pytest.raises(RuntimeError, match=words):
        reply.result(WAIT)
    assert words in (tmp_path / "error.log").read_text()
    bus.exit()
    with pytest.raises(RuntimeError, match="it is ending"):
        made.replace().result(WAIT)


def test_a_new_program_that_cannot_even_be_started_changes_nothing(sockets: Sockets, tmp_path: Path) -> None:
    made, bus, did = station(sockets, tmp_path)
    bus.start()
    made._run = Run(
        target=parse_target("site"),
        configuration=collect([], {}, {}),
        reexec=Reexec(),
        directory=str(tmp_path / "gone"),
    )
    with pytest.raises(RuntimeError, match=r"The program is not replaced: .*No such file"):
        made.replace().result(WAIT)
    made._run = Run(
        target=parse_target("site"),
        configuration=collect([], {}, {}),
        reexec=Reexec(),
        directory=str(tmp_path),
    )
    made._replacement = None
    with pytest.raises(RuntimeError, match=r"The new program ended with exit code \d+; this one goes on"):
        made.replace().result(WAIT)
    assert did == []
    assert not made.handed_over
    bus.exit()
