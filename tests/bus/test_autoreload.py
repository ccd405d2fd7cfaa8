"""Restarting when files change."""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
import types
from typing import TYPE_CHECKING

import pytest

from kirsch.bus import Autoreloader, Bus, State
from kirsch.bus.autoreload import module_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

has_watchfiles = importlib.util.find_spec("watchfiles") is not None


class Scene:
    """A bus that does not really restart and a reloader that watches one file and no modules."""

    def __init__(self, *files: Path, frequency: float = 0.001) -> None:
        self.bus = Bus(reexec=lambda fds: None)
        self.log: list[str] = []
        self.bus.subscribe("log", lambda msg, level: self.log.append(msg))
        self.reloader = Autoreloader(self.bus, frequency, match="no such module$", files=files)


def touch(path: Path, seconds: int = 10) -> None:
    path.touch()
    later = path.stat().st_mtime + seconds
    os.utime(path, (later, later))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "settings.conf"
    path.write_text("")
    return path


@pytest.mark.parametrize(
    ("change", "what"),
    [(touch, "changed"), (os.remove, "disappeared"), (lambda path: touch(path, -10), "changed")],
)
def test_a_file_that_differs_from_when_it_was_first_seen_restarts_the_bus(
    file: Path, change: Callable[[Path], None], what: str
) -> None:
    scene = Scene(file)
    scene.bus.start()
    scene.reloader.look()
    change(file)
    assert scene.bus.running
    scene.reloader.look()
    assert scene.bus.state is State.EXITING
    assert scene.bus.execv
    assert f"{file} {what}: the bus restarts" in scene.log


def test_a_missing_file_counts_once_it_appears(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "later")
    scene.reloader.look()
    scene.reloader.look()
    assert not scene.bus.execv
    touch(tmp_path / "later")
    scene.reloader.look()
    assert scene.bus.execv


def test_files_may_be_added_later_and_named_by_text(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    scene = Scene()
    scene.reloader.files.add(file.name)
    assert scene.reloader.watched() == {file}


def test_what_changed_while_nobody_watched_does_not_count(file: Path) -> None:
    scene = Scene(file, frequency=0)
    scene.reloader.look()
    touch(file)
    scene.reloader.start()
    scene.reloader.look()
    assert not scene.bus.execv
    assert scene.reloader.thread is None


def test_source_files_and_archives_of_matching_modules_are_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def module(name: str, **attributes: object) -> None:
        made = types.ModuleType(name)
        vars(made).update(attributes)
        monkeypatch.setitem(sys.modules, name, made)

    class Loader:
        archive = str(tmp_path / "bundle.zip")

    spec = types.SimpleNamespace(loader=Loader())
    module("watched_a", __file__=str(tmp_path / "a.py"))
    module("watched_b", __file__=str(tmp_path / "b.pyc"))
    module("watched_c", __file__=None)
    module("watched_d", __spec__=spec, __file__=str(tmp_path / "bundle.zip" / "d.py"))
    module("other_watched_e", __file__=str(tmp_path / "e.py"))
    monkeypatch.setitem(sys.modules, "watched_f", None)
    assert module_files("watched_") == {tmp_path / name for name in ("a.py", "b.py", "bundle.zip")}
    assert tmp_path / "e.py" in module_files()


def wait_for_restart(scene: Scene, change: Callable[[], None]) -> None:
    """Change the file once the watching thread has seen it, and wait for the bus to exit."""
    looked = threading.Event()
    look = scene.reloader.look

    def looking() -> None:
        look()
        looked.set()

    scene.reloader.callback = scene.reloader.look = looking  # type: ignore[method-assign]  # to see the first look
    scene.reloader.subscribe()
    scene.bus.start()
    assert looked.wait(10)
    change()
    assert scene.bus.wait(State.EXITING, timeout=10)
    assert scene.bus.execv


def test_without_watchfiles_a_thread_looks_at_the_time_of_modification(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    scene = Scene(file)
    wait_for_restart(scene, lambda: touch(file))
    assert [one.priority for one in scene.bus.listeners["start"]] == [70]


@pytest.mark.skipif(not has_watchfiles, reason="watchfiles is not installed")
def test_with_watchfiles_the_operating_system_tells_of_changes(file: Path) -> None:
    scene = Scene(file, frequency=0.05)
    wait_for_restart(scene, lambda: touch(file))


@pytest.mark.skipif(not has_watchfiles, reason="watchfiles is not installed")
def test_with_watchfiles_new_files_are_watched_too(file: Path, tmp_path: Path) -> None:
    scene = Scene(file, frequency=0.05)
    later = tmp_path / "deeper" / "later.py"
    later.parent.mkdir()
    later.touch()
    seen = threading.Event()

    def add_and_change() -> None:
        watched = scene.reloader.watched
        scene.reloader.files.add(later)
        while later not in scene.reloader._seen:
            seen.wait(0.01)
        touch(later)
        assert later in watched()

    wait_for_restart(scene, add_and_change)


@pytest.mark.skipif(not has_watchfiles, reason="watchfiles is not installed")
def test_with_watchfiles_the_thread_ends_when_the_bus_stops(file: Path) -> None:
    scene = Scene(file, frequency=0.05)
    scene.reloader.subscribe()
    scene.bus.start()
    thread = scene.reloader.thread
    assert thread is not None
    scene.bus.exit()
    assert not thread.is_alive()


@pytest.mark.skipif(not has_watchfiles, reason="watchfiles is not installed")
def test_an_error_of_the_watcher_is_logged_and_it_tries_again(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(file, frequency=0.01)
    watched = scene.reloader.watched
    errors = iter([OSError("no more watches")])

    def failing_once() -> set[Path]:
        for error in errors:
            raise error
        return watched()

    monkeypatch.setattr(scene.reloader, "watched", failing_once)
    wait_for_restart(scene, lambda: touch(file))
    assert any("OSError: no more watches" in line for line in scene.log)
