from __future__ import annotations

import importlib.util
import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from kirsch.cli.watching import Watch

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(path: Path, *, at: int = 1_000_000_000) -> str:
    """Write a file whose time of modification is `at` seconds of the epoch."""
    path.write_text(f"written at {at}")
    os.utime(path, (at, at))
    return str(path)


def watch(*files: str, since: int | None = None) -> Watch:
    made = Watch(0.01, time.time_ns() if since is None else since)
    made.add(files)
    return made


def test_a_file_that_stays_as_it_is_has_not_changed(folder: Path) -> None:
    assert watch(written(folder / "a.py")).look() is None


def test_a_file_that_is_written_has_changed(folder: Path) -> None:
    name = written(folder / "a.py")
    seen = watch(name)
    written(folder / "a.py", at=1_000_000_001)
    assert seen.look() == name


def test_a_file_of_another_size_has_changed_even_at_the_same_time(folder: Path) -> None:
    name = written(folder / "a.py")
    seen = watch(name)
    (folder / "a.py").write_text("longer than it was before")
    os.utime(name, (1_000_000_000, 1_000_000_000))
    assert seen.look() == name


def test_a_file_that_goes_or_comes_has_changed(folder: Path) -> None:
    name = written(folder / "a.py")
    gone, come = watch(name), watch(str(folder / "b.py"))
    (folder / "a.py").unlink()
    written(folder / "b.py")
    assert gone.look() == name
    assert come.look() == str(folder / "b.py")


def test_a_file_that_changed_after_the_child_began_has_changed_when_it_is_added(folder: Path) -> None:
    name = written(folder / "a.py")
    assert watch(name, since=999_999_999 * 10**9).look() == name


def test_a_time_in_the_future_is_no_change(folder: Path) -> None:
    assert watch(written(folder / "a.py", at=int(time.time()) + 1000), since=0).look() is None


def test_adding_a_file_again_does_not_forget_what_it_was_like(folder: Path) -> None:
    name = written(folder / "a.py")
    seen = watch(name)
    written(folder / "a.py", at=1_000_000_001)
    seen.add([name])
    assert seen.look() == name


def test_files_beside_those_watched_count_only_when_that_was_asked_for(folder: Path) -> None:
    (folder / "deep").mkdir()
    name = written(folder / "deep" / "a.py")
    beside = written(folder / "deep" / "beside.py")
    few, many = watch(name), watch(name)
    many.add_directories()
    many.add_directories()
    assert many.look() is None
    new = written(folder / "deep" / "new.py")
    written(folder / "deep" / "new.txt")
    assert few.look() is None
    assert many.look() == new
    (folder / "deep" / "new.py").unlink()
    written(folder / "deep" / "beside.py", at=1_000_000_001)
    assert few.look() is None
    assert many.look() == beside


def test_the_working_directory_always_counts(folder: Path) -> None:
    seen = watch()
    seen.add_directories()
    assert seen.look() is None
    assert seen.look() is None
    new = written(folder / "app.py")
    assert seen.look() == new


def test_a_folder_that_goes_is_no_error(folder: Path) -> None:
    (folder / "deep").mkdir()
    name = written(folder / "deep" / "a.py")
    seen = watch(name)
    (folder / "deep" / "a.py").unlink()
    (folder / "deep").rmdir()
    seen.add_directories()
    assert seen.look() == name


def without_watchfiles(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec

    def find_spec(name: str) -> object:
        return None if name == "watchfiles" else found(name)

    monkeypatch.setattr("importlib.util.find_spec", find_spec)


def test_a_wait_ends_by_itself(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_watchfiles(monkeypatch)
    watch(written(folder / "a.py")).wait()


def test_a_wait_is_ended_from_another_thread(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_watchfiles(monkeypatch)
    seen = Watch(60.0, 0)
    waker = threading.Thread(target=seen.wake.set)
    waker.start()
    seen.wait()
    waker.join()
    assert not seen.wake.is_set()


class TestWithEvents:
    """With `watchfiles`, where it is installed: it is an extra."""

    @pytest.fixture(autouse=True)
    def _installed(self) -> None:
        pytest.importorskip("watchfiles")

    def test_a_change_ends_the_wait(self, folder: Path) -> None:
        name = written(folder / "a.py")
        seen = Watch(10.0, time.time_ns())
        seen.add([name])
        timer = threading.Timer(0.3, written, (folder / "a.py",), {"at": 1_000_000_001})
        timer.start()
        begin = time.monotonic()
        while seen.look() is None:
            seen.wait()
        timer.join()
        assert time.monotonic() - begin < 8

    def test_waking_ends_the_wait_and_the_next_one_works(self, folder: Path) -> None:
        seen = Watch(10.0, time.time_ns())
        seen.add([written(folder / "a.py")])
        timer = threading.Timer(0.2, seen.wake.set)
        timer.start()
        begin = time.monotonic()
        seen.wait()
        timer.join()
        assert time.monotonic() - begin < 8
        seen.wake.set()
        seen.wait()
