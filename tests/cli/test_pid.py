from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from kirsch.bus import Bus
from kirsch.cli.errors import Failure
from kirsch.cli.pid import write_pid

if TYPE_CHECKING:
    from pathlib import Path


def test_the_file_is_there_at_once_and_gone_when_the_bus_has_exited(tmp_path: Path) -> None:
    bus = Bus()
    path = tmp_path / "k.pid"
    assert write_pid(bus, str(path)) is not None
    assert path.read_text() == f"{os.getpid()}\n"
    bus.start()
    bus.exit()
    assert not path.exists()


def test_without_a_path_there_is_no_file() -> None:
    assert write_pid(Bus(), None) is None


def test_what_is_in_the_way_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "k.pid").write_text("no number")
    with pytest.raises(Failure, match=r"The pid file .* is not a pid file"):
        write_pid(Bus(), str(tmp_path / "k.pid"))
    with pytest.raises(Failure, match=r"Cannot write the pid file .*: No such file or directory"):
        write_pid(Bus(), str(tmp_path / "gone" / "k.pid"))
