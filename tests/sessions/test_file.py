from __future__ import annotations

import logging
import os
import pickle
import runpy
import stat
import sys
from typing import TYPE_CHECKING, Any

import pytest

from kirsch.sessions import file
from kirsch.sessions.errors import LockTimeoutError, StoreUnavailableError
from kirsch.sessions.file import FileStore
from kirsch.sessions.store import Record

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sessions.helpers import Clock

ONE, TWO = "1" * 43, "2" * 43


@pytest.fixture(name="files")
def _files(tmp_path: Path, clock: Clock) -> FileStore:
    return FileStore(tmp_path / "a" / "sessions", clock=clock)


def put(store: FileStore, session_id: str = ONE, life: float = 60, **data: Any) -> Path:
    """Save a session and return its file."""
    now = store.clock()
    store.save(session_id, Record(data, now + life, now))
    key = store.key(session_id)
    return store.folder / key[:2] / f"{key[2:]}.session"


def everything(store: FileStore) -> list[str]:
    return sorted(path.name for path in store.folder.rglob("*") if path.is_file() and path.name != ".guard")


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
def test_folders_and_files_are_for_their_owner_alone(files: FileStore) -> None:
    before = os.umask(0)
    try:
        path = put(files)
        lock = files.lock(ONE, 1)
        modes = {stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()}
        lock.release()
    finally:
        os.umask(before)
    assert modes == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(files.folder.stat().st_mode) == 0o700


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
def test_a_folder_everybody_may_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    with pytest.raises(ValueError, match=r"may be written to by everybody.*use a folder of its own"):
        FileStore(tmp_path)


@pytest.mark.parametrize(
    "session_id", ["../../x", "a/b", "..\\x", "C:\\x", "CON", "x\0y", "é", "", "x" * 5000]
)
def test_no_id_becomes_part_of_a_path(files: FileStore, session_id: str) -> None:
    path = put(files, session_id, x=1)
    assert path.is_file()
    found = files.load(session_id)
    assert found is not None
    assert found.data == {"x": 1}
    files.lock(session_id, 1).release()
    assert files.delete(session_id)
    assert everything(files) == []


@pytest.mark.parametrize("kind", ["pickle", "garbage", "nothing", "cut short"])
def test_a_file_that_is_no_session_is_an_empty_one_removed_and_logged(
    files: FileStore, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (pytest.fail, ("it ran",))

    path = put(files, x=1)
    raw = path.read_bytes()
    path.write_bytes(
        {"pickle": pickle.dumps(Trap()), "garbage": b"x", "nothing": b"", "cut short": raw[:-1]}[kind]
    )
    with caplog.at_level(logging.WARNING):
        assert files.load(ONE) is None
    assert not path.exists()
    assert "is dropped" in caplog.text
    assert ONE not in caplog.text


def test_what_a_pickling_store_wrote_is_not_read_by_another(tmp_path: Path, clock: Clock) -> None:
    pickling = FileStore(tmp_path, serializer="pickle", clock=clock)
    put(pickling, x=(1, object))
    found = pickling.load(ONE)
    assert found is not None
    assert found.data == {"x": (1, object)}
    assert FileStore(tmp_path, clock=clock).load(ONE) is None


def test_a_lock_file_is_gone_when_nobody_needs_it(files: FileStore) -> None:
    for number in range(20):
        files.lock(f"{number:043}", 1).release()
    assert everything(files) == []


def test_two_stores_of_one_folder_exclude_each_other(files: FileStore) -> None:
    other = FileStore(files.folder)
    lock = files.lock(ONE, 1)
    with pytest.raises(LockTimeoutError):
        other.lock(ONE, 0.02)
    lock.release()
    other.lock(ONE, 0).release()


def test_what_died_left_behind_is_swept_and_what_is_used_is_not(files: FileStore, clock: Clock) -> None:
    alive = put(files, ONE)
    folder = alive.parent
    for name in ("dead.lock", "used.lock", "dead.draft", "fresh.lock", "fresh.draft", "other"):
        (folder / name).touch()
        if not name.startswith("fresh"):
            os.utime(folder / name, (clock() - 7200, clock() - 7200))
    from kirsch.sessions.lockfile import LockFile

    used = LockFile(folder / "used.lock")
    assert used.try_acquire()
    assert files.sweep() == 0
    names = {path.name for path in folder.iterdir()}
    used.release()
    assert names - {".guard"} == {alive.name, "used.lock", "fresh.lock", "fresh.draft", "other"}


def test_each_look_sweeps_one_folder_and_all_in_turn(files: FileStore, clock: Clock) -> None:
    paths = [put(files, f"{number:043}", life=10) for number in range(30)]
    clock.move(seconds=11)
    files.tidy(256)
    assert sum(path.exists() for path in paths) >= 25
    for _ in range(255):
        clock.move(seconds=1)
        files.tidy(256)
    assert not any(path.exists() for path in paths)
    left = files._next
    files.tidy(256)
    assert files._next == left


def test_a_session_prolonged_while_it_is_swept_stays(
    files: FileStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(files, life=10)
    record = files.load(ONE)
    assert record is not None
    clock.move(seconds=11)
    guard = files._guard

    def prolong_first(folder: Path) -> Any:
        monkeypatch.undo()
        assert files.save(ONE, record._replace(expires=clock() + 60), record)
        return guard(folder)

    monkeypatch.setattr(files, "_guard", prolong_first)
    assert files.sweep() == 0
    assert path.exists()


def test_a_session_deleted_while_it_is_swept_is_no_error(
    files: FileStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(files, life=10)
    clock.move(seconds=11)
    guard = files._guard

    def delete_first(folder: Path) -> Any:
        path.unlink()
        return guard(folder)

    monkeypatch.setattr(files, "_guard", delete_first)
    assert files.sweep() == 0


def test_the_sessions_of_a_user_are_found_among_files_that_are_none(files: FileStore, clock: Clock) -> None:
    put(files, ONE)
    broken = put(files, TWO)
    broken.write_bytes(b"x")
    files.save("3" * 43, Record({}, clock() + 9, clock(), "anna"))
    assert files.delete_user("anna") == 1
    assert files.delete_user("anna", keep=ONE) == 0


def test_saving_over_what_is_not_there_makes_no_folder(files: FileStore, clock: Clock) -> None:
    record = Record({}, clock() + 1, clock())
    assert not files.save(ONE, record, record)
    assert not files.delete(ONE)
    assert list(files.folder.iterdir()) == []


def test_a_full_disk_is_a_503_and_leaves_no_draft(files: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    put(files, x=1)

    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "utime", full)
    with pytest.raises(StoreUnavailableError):
        put(files, x=2)
    monkeypatch.undo()
    assert len(everything(files)) == 1
    found = files.load(ONE)
    assert found is not None
    assert found.data == {"x": 1}


def test_a_folder_that_cannot_be_made_leaves_nothing_locked(
    files: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path) -> None:
        raise PermissionError

    monkeypatch.setattr(files, "_make_folder", fail)
    with pytest.raises(StoreUnavailableError):
        files.lock(ONE, 1)
    monkeypatch.undo()
    files.lock(ONE, 0).release()


def test_a_guard_that_cannot_be_taken_is_given_back(files: FileStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files._guard(tmp_path / "no")
    assert len(files._guards) == 0


def test_on_windows_a_file_that_is_read_just_now_is_replaced_a_little_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    replace: Any = runpy.run_path(file.__file__)["_replace"]
    monkeypatch.undo()

    class Draft:
        """A file whose place is taken for a while."""

        def __init__(self, refusals: int) -> None:
            self.left = refusals

        def replace(self, path: Path) -> None:
            if self.left:
                self.left -= 1
                raise PermissionError
            path.write_bytes(b"new")

    path = tmp_path / "x"
    replace(Draft(3), path)
    assert path.read_bytes() == b"new"
    with pytest.raises(PermissionError):
        replace(Draft(1000), path)
