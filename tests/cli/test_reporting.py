from __future__ import annotations

import importlib
import json
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from kirsch.bus import Bus
from kirsch.cli.reporting import Reporter, program_files, trace_files
from kirsch.config import EngineSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def parent() -> Iterator[tuple[socket.socket, Reporter]]:
    """The parent's end of the way, and the reporter at the other."""
    ours, theirs = socket.socketpair()
    ours.settimeout(10)
    reporter = Reporter(theirs.fileno())
    with ours, theirs:
        yield ours, reporter
        reporter._socket.close()


def test_the_files_of_the_program_are_told_from_those_that_are_installed(program_folder: Path) -> None:
    (program_folder / "kirsch_mine.py").touch()
    sys.path.insert(0, str(program_folder))
    importlib.import_module("kirsch_mine")
    files = program_files()
    assert str(program_folder / "kirsch_mine.py") in files
    assert not [name for name in files if "site-packages" in name or name == json.__file__]
    assert program_files("kirsch_mine") == {str(program_folder / "kirsch_mine.py")}


def failing(source: Path) -> None:
    try:
        compile("def f(:", str(source), "exec")
    except SyntaxError:
        json.loads("{")


def test_the_files_of_an_error_are_those_of_its_traceback_and_causes(tmp_path: Path) -> None:
    source = tmp_path / "wrong.py"
    with pytest.raises(json.JSONDecodeError) as caught:
        failing(source)
    assert trace_files(caught.value) == {__file__, str(source)}
    assert trace_files(None) == set()


def test_a_circle_of_causes_has_an_end() -> None:
    one, two = ValueError(), ValueError()
    one.__cause__, two.__cause__ = two, one
    assert trace_files(one) == set()


def test_each_file_is_told_once(parent: tuple[socket.socket, Reporter]) -> None:
    ours, reporter = parent
    reporter.tell({"b", "a"})
    reporter.tell({"a"})
    reporter.tell({"a", "c"})
    with ours.makefile() as lines:
        assert [json.loads(next(lines)) for _ in range(2)] == [["a", "b"], ["c"]]


def test_telling_a_parent_that_is_gone_is_no_error(parent: tuple[socket.socket, Reporter]) -> None:
    ours, reporter = parent
    ours.close()
    reporter.tell({"a"})


def test_when_the_parent_is_gone_the_process_is_told_to_end(
    parent: tuple[socket.socket, Reporter], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, reporter = parent
    told = threading.Event()
    numbers: list[int] = []

    def kill(pid: int, number: int) -> None:
        numbers.append(number)
        told.set()

    monkeypatch.setattr("os.kill", kill)
    reporter.listen()
    ours.sendall(b"ignored")
    ours.close()
    assert told.wait(10)
    assert numbers == [signal.SIGTERM]


def test_modules_that_are_loaded_later_are_told_while_the_bus_runs(
    parent: tuple[socket.socket, Reporter], program_folder: Path
) -> None:
    ours, reporter = parent
    bus = Bus()
    settings = EngineSettings(autoreload_frequency=0.01, autoreload_match="kirsch_(early|late)")
    (program_folder / "kirsch_early.py").touch()
    (program_folder / "kirsch_late.py").touch()
    sys.path.insert(0, str(program_folder))
    importlib.import_module("kirsch_early")
    reporter.watch(bus, settings)
    assert bus.keep_fds == [reporter._descriptor]
    bus.start()
    with ours.makefile() as lines:
        assert json.loads(next(lines)) == [str(program_folder / "kirsch_early.py")]
        importlib.import_module("kirsch_late")
        assert json.loads(next(lines)) == [str(program_folder / "kirsch_late.py")]
    bus.exit()
