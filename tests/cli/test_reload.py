from __future__ import annotations

import contextlib
import signal
import sys
import threading
from typing import TYPE_CHECKING

import httpx
import pytest

from kirsch.bus import Bus, Reexec, State
from kirsch.cli.errors import Failure
from kirsch.cli.reload import Child, Supervisor, _complain, _short, supervise
from kirsch.cli.serve import Run
from kirsch.cli.sources import collect
from kirsch.cli.target import parse_target
from tests.cli.process import WAIT, Kirsch, run

if TYPE_CHECKING:
    from pathlib import Path

FAST = ("--reload", "--set", "engine.autoreload.frequency=0.05")
"""Looks at the files so often that a test does not wait."""


def program(greeting: str) -> str:
    return f"""
import os, sys

def app(environ, start_response):
    if environ["PATH_INFO"] == "/crash":
        os.kill(os.getpid(), 9)
    if environ["PATH_INFO"] == "/later":
        import later
        start_response("200 OK", [])
        return [later.word.encode()]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{greeting} {{os.getpid()}}".encode()]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site.py").write_text(program("one"))
    (tmp_path / "later.py").write_text("word = 'early'\n")
    return tmp_path


def changed(folder: Path, text: str, name: str = "site.py") -> None:
    """Replace a file as editors do: by a new one under its name, all at once."""
    (folder / "written").write_text(text)
    (folder / "written").replace(folder / name)


def greeting(kirsch: Kirsch) -> str:
    return kirsch.get().text.split()[0]


def test_a_change_is_served_at_the_same_address_and_no_request_is_refused(folder: Path) -> None:
    with run("site.py", *FAST, directory=folder) as kirsch:
        address = kirsch.url()
        assert greeting(kirsch) == "one"
        answers: list[str] = []
        enough = threading.Event()

        def ask() -> None:
            while not enough.is_set():
                answers.append(httpx.get(address, timeout=WAIT).text.split()[0])

        asking = threading.Thread(target=ask)
        asking.start()
        changed(folder, program("two"))
        assert kirsch.url(2) == address
        assert greeting(kirsch) == "two"
        enough.set()
        asking.join()
        assert kirsch.stop() == 0
    assert set(answers) <= {"one", "two"}
    assert answers == sorted(answers), "once the new program answers, the old one does no more"
    assert "site.py has changed; the program starts anew." in kirsch.err


def test_a_syntax_error_is_told_and_the_next_change_is_served(folder: Path) -> None:
    with run("site.py", *FAST, directory=folder) as kirsch:
        kirsch.url()
        changed(folder, "def app(:\n")
        kirsch.wait_for("SyntaxError")
        kirsch.wait_for("The program ended with exit code 1. It is started again when a file changes.")
        changed(folder, program("mended"))
        kirsch.url(2)
        assert greeting(kirsch) == "mended"
        assert kirsch.stop(signal.SIGINT) == 0


def test_a_program_that_is_broken_from_the_start_waits_for_what_it_misses(folder: Path) -> None:
    (folder / "needs.py").write_text("from missing import app\n")
    with run("needs", *FAST, directory=folder) as kirsch:
        kirsch.wait_for("It is started again when a file changes.")
        changed(folder, program("found"), "missing.py")
        assert greeting(kirsch) == "found"
        changed(folder, program("again"), "missing.py")
        kirsch.url(2)
        assert greeting(kirsch) == "again"
        assert kirsch.stop() == 0


def test_ctrl_c_while_the_program_is_broken_is_a_clean_end(folder: Path) -> None:
    (folder / "site.py").write_text("1 / 0\n")
    with run("site.py", *FAST, directory=folder) as kirsch:
        kirsch.wait_for("It is started again when a file changes.")
        assert kirsch.stop(signal.SIGINT) == 0


def test_a_crash_is_told_and_the_next_change_is_served(folder: Path) -> None:
    with run("site.py", *FAST, directory=folder) as kirsch:
        with pytest.raises(httpx.TransportError):
            kirsch.get("/crash")
        kirsch.wait_for(r"The program was ended by SIGKILL\. It is started again when a file changes\.")
        changed(folder, program("risen"))
        kirsch.url(2)
        assert greeting(kirsch) == "risen"
        assert kirsch.stop() == 0


def test_modules_that_are_imported_later_and_configuration_count_too(folder: Path) -> None:
    (folder / "site.conf").write_text("[global]\nserver.threads = 2\n")
    with run("site.py", *FAST, "--config", "site.conf", directory=folder) as kirsch:
        kirsch.wait_for(r"\(2 threads, ")
        assert kirsch.get("/later").text == "early"
        changed(folder, "word = 'late'\n", "later.py")
        kirsch.url(2)
        assert kirsch.get("/later").text == "late"
        changed(folder, "[global]\nserver.threads = 3\n", "site.conf")
        kirsch.wait_for(r"\(3 threads, ")
        assert kirsch.stop() == 0


def test_a_wrong_target_ends_it_at_once(folder: Path) -> None:
    with run("site:application", *FAST, directory=folder) as kirsch:
        assert kirsch.end() == 2
    assert kirsch.err.startswith("Error: ")
    assert kirsch.err.count("\n") == 1


def test_a_program_that_exits_ends_it(folder: Path) -> None:
    (folder / "leaves.py").write_text(
        "import kirsch\nclass Root:\n    @kirsch.expose\n    def index(self):\n        raise SystemExit\n"
    )
    with run("leaves:Root", *FAST, directory=folder) as kirsch:
        with contextlib.suppress(httpx.TransportError):
            kirsch.get()
        assert kirsch.end() == 0


def test_the_child_ends_with_its_parent(folder: Path) -> None:
    with run("site.py", *FAST, directory=folder) as kirsch:
        assert int(kirsch.get().text.split()[1]) != kirsch.process.pid
        kirsch.process.kill()
        kirsch.end()  # looks that nobody holds its streams any more
        with pytest.raises(httpx.ConnectError):
            kirsch.get()


def test_a_restart_of_the_program_keeps_its_address(folder: Path) -> None:
    (folder / "again.py").write_text(
        "import threading, kirsch\nclass Root:\n    @kirsch.expose\n    def stay(self):\n"
        "        return 'stayed'\n    @kirsch.expose\n    def index(self):\n"
        "        threading.Thread(target=kirsch.engine.restart).start()\n        return 'again'\n"
    )
    with run("again:Root", *FAST, directory=folder) as kirsch:
        address = kirsch.url()
        assert kirsch.get().text == "again"
        assert kirsch.url(2) == address
        assert kirsch.get("/stay").text == "stayed"
        assert kirsch.stop() == 0


def test_a_child_that_does_not_stop_is_killed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = (
        "import signal, socket, sys\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "socket.socket(fileno=int(sys.argv[1])).sendall(b'[]\\n')\nsignal.pause()"
    )
    child = Child(lambda link: [sys.executable, "-c", script, str(link)], [], str(tmp_path))
    ready = threading.Event()
    listening = threading.Thread(target=child.listen, args=(ready.set,))
    listening.start()
    assert ready.wait(WAIT)
    assert child.stop(0.1) == -signal.SIGKILL
    listening.join()
    assert capsys.readouterr().err == "The program did not stop within 0.1 s and is killed.\n"


def test_the_pid_file_and_the_sockets_are_the_parents(folder: Path) -> None:
    path = folder / "s.sock"
    with run("site.py", *FAST, "--pidfile", "k.pid", "--bind", f"unix:{path}", directory=folder) as kirsch:
        kirsch.wait_for("serves")
        assert (folder / "k.pid").read_text() == f"{kirsch.process.pid}\n"
        changed(folder, program("two"))
        kirsch.wait_for("serves", count=2)
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
            assert client.get("http://socket/").text.startswith("two")
        assert kirsch.stop() == 0
    assert not path.exists()
    assert not (folder / "k.pid").exists()


def test_an_address_in_use_is_one_sentence(folder: Path) -> None:
    with run("site.py", directory=folder) as first:
        address = first.url().removeprefix("http://")
        with run("site.py", *FAST, "--bind", address, directory=folder) as second:
            assert second.end() == 1
    assert second.err.startswith(f"Error: Cannot listen on {address}: the address is in use")


def test_systems_that_cannot_hand_sockets_on_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kirsch.cli.reload.INHERITS", False)
    with pytest.raises(Failure, match="--reload hands listening sockets from process to process"):
        supervise(job())


def test_what_a_child_tells_is_taken_once_and_half_a_line_is_none(tmp_path: Path) -> None:
    script = (
        'import socket, sys; s = socket.socket(fileno=int(sys.argv[1])); s.sendall(b\'["a"]\\n["b"]\\n["c\')'
    )
    child = Child(lambda link: [sys.executable, "-c", script, str(link)], [], str(tmp_path))
    woken: list[None] = []
    child.listen(lambda: woken.append(None))
    assert child.wait(WAIT) == 0
    assert child.has_ended()
    assert len(woken) == 4
    assert child.take() == ["a", "b"]
    assert child.take() == []
    child.close()


def job() -> Run:
    return Run(target=parse_target("site"), configuration=collect([], {}, {}), reexec=Reexec())


def test_a_reloader_that_fails_itself_ends_with_1() -> None:
    bus = Bus()
    told: list[str] = []
    bus.subscribe("log", lambda msg, level: told.append(msg) if level > 20 else None)

    def spawn() -> Child:
        raise OSError("no more processes")

    Supervisor(bus, job(), spawn, 1.0).subscribe()
    bus.start()
    assert bus.wait(State.EXITING, timeout=WAIT)
    assert bus.exit_status == 1
    assert "The reloader failed" in told[0]
    assert "no more processes" in told[0]


def test_a_path_is_shown_from_here_if_it_lies_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert _short(str(tmp_path / "deep" / "app.py")) == "deep/app.py"
    assert _short(str(tmp_path.parent / "app.py")) == str(tmp_path.parent / "app.py")


def test_a_bus_that_complains_is_heard(capsys: pytest.CaptureFixture[str]) -> None:
    _complain("Bus STARTED", 20)
    _complain("Still running", 30)
    assert capsys.readouterr().err == "Still running\n"
