"""Running the same command line again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kirsch.bus.reexec import Reexec

AGAIN = """
import os, sys
from kirsch.bus import Reexec
again = Reexec()
if "FIRST" in os.environ:
    del os.environ["FIRST"]
    reader, writer = os.pipe()
    lost, _ = os.pipe()
    os.write(writer, b"kept")
    os.environ["READER"], os.environ["LOST"] = str(reader), str(lost)
    os.environ["PID"] = str(os.getpid())
    os.chdir("/")
    sys.stdout.write("unflushed ")
    again([reader])
try:
    os.fstat(int(os.environ["LOST"]))
except OSError:
    print("closed", end=" ")
print(os.read(int(os.environ["READER"]), 9), os.environ["PID"] == str(os.getpid()), sys.argv[1:],
      sys.flags.dont_write_bytecode, os.getcwd())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors are inherited by number on POSIX only")
@pytest.mark.parametrize("how", ["-c", "script", "-m"])
def test_the_process_becomes_the_same_command_line_in_the_same_place(how: str, tmp_path: Path) -> None:
    (tmp_path / "again.py").write_text(AGAIN)
    what = {"-c": ["-c", AGAIN], "script": ["again.py"], "-m": ["-m", "again"]}[how]
    done = subprocess.run(
        [sys.executable, "-B", *what, "one arg", "two"],
        env={**os.environ, "FIRST": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"unflushed closed b'kept' True ['one arg', 'two'] 1 {tmp_path.resolve()}\n"


class Recorder:
    def __init__(self) -> None:
        self.calls: list[tuple[str, list[str]]] = []

    def __call__(self, program: str, arguments: list[str]) -> None:
        self.calls.append((program, arguments))


def test_the_interpreter_is_named_by_its_path_whatever_argv_says() -> None:
    recorder = Recorder()
    Reexec(["python", "-m", "site"], recorder)()
    assert recorder.calls == [(sys.executable, [sys.executable, "-m", "site"])]


def test_arguments_are_quoted_where_the_c_runtime_joins_them(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setattr(sys, "executable", "C:\\Program Files\\python.exe")
    monkeypatch.setattr(sys, "platform", "win32")
    Reexec(["python", "a b.py", "plain"], recorder)()
    assert recorder.calls[0][1] == ['"C:\\Program Files\\python.exe"', '"a b.py"', "plain"]


def test_an_embedded_interpreter_cannot_be_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(RuntimeError, match=r"set sys\.executable"):
        Reexec(["python"], Recorder())()


def test_missing_streams_and_a_removed_directory_do_not_matter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here = Path.cwd()
    gone = tmp_path / "gone"
    gone.mkdir()
    recorder = Recorder()
    try:
        os.chdir(gone)
        gone.rmdir()
        again = Reexec(["python"], recorder)
    finally:
        os.chdir(here)
    assert again.directory is None
    monkeypatch.setattr(sys, "stdout", None)
    again()
    assert len(recorder.calls) == 1
