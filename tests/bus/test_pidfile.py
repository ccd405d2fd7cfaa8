"""Pid files: locked, taken over from the dead, never another's."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from kirsch.bus import Bus, ChannelFailures, PIDFile, PIDFileError

from .child import Child

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
from kirsch.bus import PIDFile
PIDFile(bus, PATH).subscribe()
bus.start()
say("holding")
hear()
bus.exit()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kirsch.pid"


def subscribed(path: Path) -> tuple[Bus, list[str]]:
    bus = Bus()
    log: list[str] = []
    bus.subscribe("log", lambda msg, level: log.append(msg))
    PIDFile(bus, str(path)).subscribe()
    return bus, log


def test_the_file_holds_the_number_while_the_bus_runs_and_is_gone_after_it(path: Path) -> None:
    bus, log = subscribed(path)
    bus.start()
    assert path.read_text() == f"{os.getpid()}\n"
    assert f"PID {os.getpid()} written to {str(path)!r}" in log
    bus.stop()
    assert path.exists()
    bus.exit()
    assert not path.exists()
    assert f"PID file removed: {str(path)!r}" in log
    assert [one.priority for one in bus.listeners["start"]] == [70]


def test_it_survives_a_second_start_and_works_in_a_second_life(path: Path) -> None:
    bus, _ = subscribed(path)
    for _ in range(2):
        bus.start()
        bus.stop()
        bus.start()
        assert path.read_text() == f"{os.getpid()}\n"
        bus.exit()
        assert not path.exists()


@pytest.mark.skipif(os.name != "posix", reason="permission bits of POSIX")
def test_anybody_may_read_it_and_only_the_owner_write(path: Path) -> None:
    bus, _ = subscribed(path)
    before = os.umask(0)
    bus.start()
    os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    bus.exit()


def test_the_path_is_meant_from_where_the_program_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    plugin = PIDFile(Bus(), path.name)
    monkeypatch.chdir(path.parent.parent)
    assert plugin.path == path


def test_a_running_process_keeps_its_file_and_a_dead_one_loses_it(path: Path) -> None:
    with Child(HOLD.replace("PATH", repr(str(path)))) as child:
        child.expect("holding")
        bus, _ = subscribed(path)
        with pytest.raises(ChannelFailures) as caught:
            bus.start()
        [error] = caught.value.exceptions
        assert isinstance(error, PIDFileError)
        assert f"belongs to a running process ({child.process.pid}): stop that one first" in str(error)
        assert path.read_text() == f"{child.process.pid}\n"
        child.process.kill()
        child.process.wait()
        bus, log = subscribed(path)
        bus.start()
        assert path.read_text() == f"{os.getpid()}\n"
        assert any(f"taken over from process {child.process.pid}, which has ended" in line for line in log)
        bus.exit()


@pytest.mark.parametrize("content", ["", "\n", "12345\n", "99999999999"])
def test_an_empty_file_and_one_nobody_holds_are_taken_over(path: Path, content: str) -> None:
    path.write_text(content)
    bus, _ = subscribed(path)
    bus.start()
    assert path.read_text() == f"{os.getpid()}\n"
    bus.exit()
    assert not path.exists()


@pytest.mark.parametrize("content", ["important notes\n", "-1", "12 13", "\xff\n"])
def test_a_file_that_is_no_pid_file_is_not_touched(path: Path, content: str) -> None:
    path.write_bytes(content.encode("latin-1"))
    plugin = PIDFile(Bus(), path)
    with pytest.raises(PIDFileError, match="is not a pid file: it holds b"):
        plugin.start()
    plugin.exit()
    assert path.read_bytes() == content.encode("latin-1")


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="no O_NOFOLLOW here")
def test_a_symbolic_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    path.symlink_to(target)
    with pytest.raises(OSError, match="symbolic link"):
        PIDFile(Bus(), path).start()
    assert not target.exists()


@pytest.mark.parametrize("replacement", ["777\n", None])
def test_a_file_that_has_taken_the_place_of_ours_is_not_removed(path: Path, replacement: str | None) -> None:
    bus, log = subscribed(path)
    bus.start()
    path.unlink()
    if replacement is not None:
        path.write_text(replacement)
    bus.exit()
    assert path.exists() == (replacement is not None)
    assert not any(line.startswith("PID file removed") for line in log)
    assert bus.exit_status == 0


@pytest.mark.skipif(sys.platform == "win32", reason="fork")
def test_a_forked_child_that_exits_leaves_its_parents_file(path: Path) -> None:
    script = HOLD.replace("PATH", repr(str(path))).replace(
        'say("holding")',
        "child = os.fork()\nif not child:\n    bus.exit()\n    os._exit(0)\n"
        'os.waitpid(child, 0)\nsay("holding")',
    )
    with Child(script, PYTHONWARNINGS="ignore::DeprecationWarning") as child:
        child.expect("holding")
        assert path.read_text() == f"{child.process.pid}\n"
        child.tell()
        assert child.status() == 0
    assert not path.exists()


@pytest.mark.skipif(os.name != "posix", reason="the lock of POSIX")
def test_a_file_removed_between_opening_and_locking_is_opened_anew(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    flock = fcntl.flock
    calls: list[int] = []

    def late(fd: int, operation: int) -> None:
        if not calls:
            path.unlink()
        calls.append(fd)
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    bus, _ = subscribed(path)
    bus.start()
    assert len(calls) == 2
    assert path.read_text() == f"{os.getpid()}\n"
    bus.exit()
