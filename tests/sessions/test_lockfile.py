from __future__ import annotations

import os
import runpy
import stat
import subprocess
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from kirsch.sessions import lockfile
from kirsch.sessions.lockfile import LockFile

if TYPE_CHECKING:
    from pathlib import Path


def test_one_holder_at_a_time_and_no_file_left(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    one, two = LockFile(path), LockFile(path)
    assert one.try_acquire()
    assert not two.try_acquire()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    one.release()
    one.release()
    assert not path.exists()
    assert two.try_acquire()
    two.release()
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_file_that_was_removed_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.lock"
    holder, late = LockFile(path), LockFile(path)
    assert holder.try_acquire()
    real_open = os.open

    def open_then_lose(*args: object, **kwargs: object) -> int:
        fd = real_open(*args, **kwargs)  # type: ignore[arg-type]
        # The holder gives it back between the opening of the file and the asking for its lock.
        holder.release()
        return fd

    monkeypatch.setattr(os, "open", open_then_lose)
    assert not late.try_acquire()
    monkeypatch.undo()
    assert late.try_acquire()
    late.release()


def test_the_lock_of_another_file_of_that_name_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.lock"
    holder, late, third = LockFile(path), LockFile(path), LockFile(path)
    assert holder.try_acquire()
    real_open = os.open

    def open_then_lose(*args: object, **kwargs: object) -> int:
        fd = real_open(*args, **kwargs)  # type: ignore[arg-type]
        monkeypatch.undo()
        holder.release()
        assert third.try_acquire()
        return fd

    monkeypatch.setattr(os, "open", open_then_lose)
    assert not late.try_acquire()
    assert path.exists()
    third.release()


def test_a_file_may_be_kept(tmp_path: Path) -> None:
    path = tmp_path / ".guard"
    lock = LockFile(path, remove=False)
    assert lock.try_acquire()
    lock.release()
    assert path.exists()


def test_a_file_somebody_has_removed_is_given_back_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    lock = LockFile(path)
    assert lock.try_acquire()
    path.unlink()
    lock.release()


def test_a_folder_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        LockFile(tmp_path / "no" / "x.lock").try_acquire()


def test_a_folder_that_is_not_ours_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionError):
        LockFile(tmp_path / "x.lock").try_acquire()


def test_on_windows_a_file_is_locked_by_its_first_byte_and_removed_by_who_was_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class MSVCRT(ModuleType):
        """The two calls of Windows, by what POSIX has for them."""

        LK_NBLCK, LK_UNLCK = 1, 2

        @staticmethod
        def locking(fd: int, mode: int, count: int) -> None:
            assert count == 1
            fcntl.flock(fd, fcntl.LOCK_UN if mode == MSVCRT.LK_UNLCK else fcntl.LOCK_EX | fcntl.LOCK_NB)

    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setitem(sys.modules, "msvcrt", MSVCRT("msvcrt"))
    monkeypatch.setattr(sys, "platform", "win32")
    windows: Any = runpy.run_path(lockfile.__file__)["LockFile"]
    path = tmp_path / "x.lock"
    one, two = windows(path), windows(path)
    assert one.try_acquire()
    assert not two.try_acquire()
    one.release()
    assert not path.exists()
    kept = windows(path, remove=False)
    assert kept.try_acquire()
    kept.release()
    assert path.exists()

    def refuse(*args: object) -> int:
        raise PermissionError

    # Windows refuses to open what is being removed.
    monkeypatch.setattr(os, "open", refuse)
    assert not two.try_acquire()


def test_the_lock_of_a_process_that_died_is_free(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    program = (
        "import sys, os; from pathlib import Path; from kirsch.sessions.lockfile import LockFile; "
        "assert LockFile(Path(sys.argv[1])).try_acquire(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)
    assert path.exists()
    lock = LockFile(path)
    assert lock.try_acquire()
    lock.release()
