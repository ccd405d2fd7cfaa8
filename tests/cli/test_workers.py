"""The supervisor with real processes: what an operator sees. What it decides: tests/supervise."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest

from kirsch.bus import Reexec
from kirsch.cli.errors import Failure
from kirsch.cli.serve import Run
from kirsch.cli.sources import collect
from kirsch.cli.target import parse_target
from kirsch.cli.workers import serve_workers, worker_count
from kirsch.config import ServerSettings
from tests.cli.process import WAIT, Kirsch, run

if TYPE_CHECKING:
    from pathlib import Path

SITE = """
import ctypes, os, subprocess, sys, threading

release = threading.Event()

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/slow":
        print("in the handler", flush=True)
        release.wait(0.5)
    if path == "/stuck":
        print("in the handler", flush=True)
        release.wait(60)
    if path == "/hold":
        ctypes.PyDLL(None).sleep(60)      # with the lock of the interpreter: nothing of it runs
    if path == "/fault":
        ctypes.string_at(0)
    if path == "/orphan":
        # The grandchild is nobody's when its parent has ended, at once.
        code = "import os; os.fork() and os._exit(0); print('orphan', os.getpid(), flush=True)"
        subprocess.run([sys.executable, "-S", "-c", code])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"one {os.getpid()}".encode()]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site.py").write_text(SITE)
    return tmp_path


def workers(folder: Path, *options: str, count: int = 2) -> Kirsch:
    return run("site.py", "--workers", str(count), *options, directory=folder)


def tell(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Type `kirsch signal ...`; return exit code and both streams."""
    with Kirsch("signal", *arguments, "--pidfile", "k.pid", directory=folder) as kirsch:
        return kirsch.end(), kirsch.out, kirsch.err


def state(folder: Path) -> list[dict[str, str]]:
    code, out, err = tell(folder, "status")
    assert code == 0, err
    _, head, *rows = out.splitlines()
    return [dict(zip(head.split("\t"), row.split("\t"), strict=True)) for row in rows]


def pids(folder: Path) -> list[int]:
    return [int(worker["pid"]) for worker in state(folder) if worker["state"] == "ready"]


def changed(folder: Path, text: str) -> None:
    (folder / "written").write_text(text)
    (folder / "written").replace(folder / "site.py")


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def until(true: object, message: str = "it did not come true") -> None:
    """Wait for what only the system can say: that a process is gone."""
    assert callable(true)
    deadline = time.monotonic() + WAIT
    while not true():
        assert time.monotonic() < deadline, message
        time.sleep(0.01)


def test_workers_serve_as_one_program_and_a_command_tells_of_them(folder: Path) -> None:
    with workers(folder, "--pidfile", "k.pid", "--threads", "3") as kirsch:
        kirsch.wait_for("Ctrl-C stops it")
        assert re.fullmatch(
            rf"Kirsch \S+ serves site\.py on http://127\.0\.0\.1:\d+ \(2 workers of 3 threads, "
            rf"pid {kirsch.process.pid}\); Ctrl-C stops it\n",
            kirsch.err,
        )
        word, pid = kirsch.get().text.split()
        assert word == "one"
        both = pids(folder)
        assert int(pid) in both
        assert len(set(both)) == 2
        assert kirsch.process.pid not in both
        assert (folder / "k.pid").read_text() == f"{kirsch.process.pid}\n"
        assert tell(folder, "scale", "3") == (0, "3 workers are wanted.\n", "")
        code, out, _ = tell(folder, "stop")
        assert (code, out) == (0, "Stopping.\n")
        assert kirsch.process.poll() == 0, "the command waits for the end"
        assert kirsch.end() == 0
    assert "Kirsch stops: running requests may take 30 s to finish." in kirsch.err
    assert all(map(gone, both))
    assert not [path.name for path in folder.iterdir() if path.name.startswith("k.pid")]


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("import nothing_of_that_name\n", 1, "Error: site.py could not be imported: ModuleNotFoundError"),
        ("ap = None\n", 2, "Error: site.py has nothing called app, application, root or Root."),
        (
            "import os\nos.kill(os.getpid(), 9)\n",
            137,
            "Error: The program was ended by SIGKILL before it was",
        ),
    ],
)
def test_a_program_that_cannot_start_is_told_of_once(
    folder: Path, text: str, code: int, message: str
) -> None:
    changed(folder, text)
    with workers(folder) as kirsch:
        assert kirsch.end() == code
    assert len(re.findall("^Error: ", kirsch.err, re.MULTILINE)) == 1
    assert message in kirsch.err
    assert "Kirsch stops" not in kirsch.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_running_requests_finish(folder: Path, number: signal.Signals) -> None:
    with ThreadPoolExecutor(1) as other, workers(folder) as kirsch:
        kirsch.url()
        answer = other.submit(kirsch.get, "/slow")
        kirsch.wait_for("in the handler", stream="out")
        kirsch.process.send_signal(number)
        assert answer.result(WAIT).headers["Connection"] == "close"
        with pytest.raises(httpx.ConnectError):
            kirsch.get()
        assert kirsch.end() == 0


@pytest.mark.parametrize("how", ["signal", "command"])
def test_what_is_asked_for_twice_or_at_once_ends_at_once(folder: Path, how: str) -> None:
    with ThreadPoolExecutor(1) as other, workers(folder, "--pidfile", "k.pid") as kirsch:
        kirsch.url()
        answer = other.submit(kirsch.get, "/stuck")
        kirsch.wait_for("in the handler", stream="out")
        if how == "command":
            assert tell(folder, "quit")[0] == 0
            assert kirsch.end() == 1
        else:
            kirsch.process.send_signal(signal.SIGINT)
            kirsch.wait_for("Kirsch stops")
            while kirsch.process.poll() is None:
                kirsch.process.send_signal(signal.SIGINT)
            assert kirsch.end() == 130
        assert isinstance(answer.exception(WAIT), httpx.TransportError)


def test_a_reload_serves_what_is_there_now_and_a_broken_program_changes_nothing(folder: Path) -> None:
    with workers(folder, "--pidfile", "k.pid") as kirsch:
        kirsch.url()
        before = pids(folder)
        changed(folder, SITE.replace("one {", "two {"))
        kirsch.process.send_signal(signal.SIGHUP)
        kirsch.wait_for(r"2 workers reloaded in \d\.\d s\.")
        assert {kirsch.get().text.split()[0] for _ in range(8)} == {"two"}
        after = pids(folder)
        assert not set(before) & set(after)
        changed(folder, "def app(:\n")
        code, _, err = tell(folder, "reload")
        assert code == 1
        assert "Error: The reload is given up and the old workers go on: site.py could not be imp" in err
        assert "SyntaxError" in kirsch.err
        assert pids(folder) == after
        assert kirsch.get().text.startswith("two")
        changed(folder, SITE.replace("one {", "three {"))
        assert tell(folder, "reload")[0] == 0
        assert kirsch.get().text.startswith("three")
        assert kirsch.stop() == 0
    assert not [pid for pid in (*before, *after) if not gone(pid)]


def test_a_new_program_takes_over_and_one_that_does_not_start_changes_nothing(folder: Path) -> None:
    path = folder / "s.sock"
    with workers(folder, "--pidfile", "k.pid", "--bind", f"unix:{path}", count=1) as kirsch:
        kirsch.wait_for("serves")

        def ask() -> str:
            with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), timeout=WAIT) as client:
                return client.get("http://socket/").text.split()[0]

        changed(folder, "1 / 0\n")
        code, _, err = tell(folder, "restart")
        assert (code, err) == (1, "Error: The new program ended with exit code 1; this one goes on.\n")
        assert ask() == "one"
        changed(folder, SITE.replace("one {", "two {"))
        kirsch.process.send_signal(signal.SIGUSR2)
        kirsch.wait_for("serves", count=2)
        assert ask() == "two"
        new = int((folder / "k.pid").read_text())
        assert kirsch.process.wait(WAIT) == 0
        assert ask() == "two"
        assert path.exists()
        try:
            code, out, _ = tell(folder, "restart")
            assert (code, out.startswith("Process ")) == (0, True)
            new, old = int((folder / "k.pid").read_text()), new
            until(lambda: gone(old))
            assert ask() == "two"
        finally:
            os.kill(new, signal.SIGTERM)
        kirsch.end()
        until(lambda: gone(new))
    assert not path.exists()
    assert not (folder / "k.pid").exists()
    assert kirsch.err.count("Traceback") == 1


def test_a_worker_that_dies_takes_only_itself_along(folder: Path) -> None:
    with workers(folder, "--pidfile", "k.pid") as kirsch:
        address = kirsch.url()
        one = int(kirsch.get().text.split()[1])
        (other,) = {*pids(folder)} - {one}
        with httpx.Client(base_url=address, timeout=WAIT) as kept:
            while int(kept.get("/").text.split()[1]) != other:
                kept.get("/", headers={"Connection": "close"})  # the next one is another connection
            os.kill(one, signal.SIGKILL)
            kirsch.wait_for(r"Worker \d \(pid \d+\) was ended by SIGKILL; it is started again now\.")
            assert kept.get("/").text.split()[1] == str(other)
        with contextlib.suppress(httpx.TransportError):
            kirsch.get("/fault")
        kirsch.wait_for("was ended by SIGSEGV")
        kirsch.wait_for("Fatal Python error: Segmentation fault")
        kirsch.wait_for("site.py")
        until(lambda: len(pids(folder)) == 2)
        assert kirsch.stop() == 0


def test_a_worker_that_is_stuck_leaves_its_stacks_and_is_replaced(folder: Path) -> None:
    with workers(folder, "--set", "server.worker_timeout=1.5", count=1) as kirsch:
        kirsch.url()
        with pytest.raises(httpx.TransportError):
            kirsch.get("/hold")
        kirsch.wait_for("has given no sign of life for 1.5 s; it is ended.")
        kirsch.wait_for("Fatal Python error: Aborted")
        kirsch.wait_for(r'site\.py", line \d+ in app')
        kirsch.wait_for("was ended by SIGABRT; it is started again now.")
        assert kirsch.get().text.startswith("one")
        assert kirsch.stop() == 0


def test_a_program_that_keeps_crashing_is_given_up_with_a_reason(folder: Path) -> None:
    changed(folder, "import os, threading\nthreading.Timer(0.3, os._exit, [3]).start()\n" + SITE)
    settings = ("--set", "server.worker_crashes=3", "--set", "server.worker_backoff=0")
    with workers(folder, *settings, count=1) as kirsch:
        assert kirsch.end() == 1
    assert "Error: Worker 1 was lost 3 times within 30 s, and no other one lasts" in kirsch.err
    assert "ended with exit code 3" in kirsch.err


def test_workers_that_have_answered_enough_are_replaced_and_nobody_notices(folder: Path) -> None:
    with workers(folder, "--max-requests", "20", "--max-memory", "1G", count=1) as kirsch:
        address = kirsch.url()
        seen: list[str] = []
        with httpx.Client(base_url=address, timeout=WAIT) as client:
            deadline = time.monotonic() + WAIT
            while len(set(seen)) < 2:
                seen.append(client.get("/").text.split()[1])
                assert time.monotonic() < deadline
        kirsch.wait_for(r"Worker 1 \(pid \d+\) has answered \d+ requests; a new one takes its place\.")
        assert len(seen) >= 18
        assert kirsch.stop() == 0


def test_signals_scale_reopen_logs_and_show_stacks(folder: Path) -> None:
    (folder / "logs").mkdir()
    log = folder / "logs" / "error.log"
    with workers(folder, "--set", f"log.error_file={log}", "--pidfile", "k.pid", count=1) as kirsch:
        kirsch.url()
        kirsch.process.send_signal(signal.SIGTTIN)
        kirsch.wait_for("2 workers wanted")
        until(lambda: len(pids(folder)) == 2)
        kirsch.process.send_signal(signal.SIGTTOU)
        kirsch.wait_for("1 worker wanted")
        until(lambda: len(state(folder)) == 1)
        log.rename(folder / "logs" / "old.log")
        assert tell(folder, "reopen-logs") == (0, "The logs are opened anew.\n", "")
        until(log.exists)

        def stacks_are_in_the_log() -> bool:
            # The worker opens its log anew when it gets round to it.
            kirsch.process.send_signal(signal.SIGQUIT)
            return {"Kirsch supervisor", "kirsch leader"} <= set(
                re.findall("Kirsch supervisor|kirsch leader", log.read_text())
            )

        until(stacks_are_in_the_log)
        assert kirsch.stop() == 0


def test_workers_end_with_their_supervisor_and_finish_what_they_do(folder: Path) -> None:
    with ThreadPoolExecutor(1) as other, workers(folder) as kirsch:
        kirsch.url()
        answer = other.submit(kirsch.get, "/slow")
        kirsch.wait_for("in the handler", stream="out")
        kirsch.process.kill()
        assert answer.result(WAIT).text.startswith("one")
        kirsch.end()  # looks that nobody holds its streams any more


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux makes any process a reaper")
def test_the_first_process_of_a_container_takes_note_of_orphans(folder: Path) -> None:
    reaper = (
        "import ctypes, os, sys; assert ctypes.CDLL(None).prctl(36, 1) == 0;"  # PR_SET_CHILD_SUBREAPER
        "os.execv(sys.executable, [sys.executable, '-m', 'kirsch', *sys.argv[1:]])"
    )
    arguments = ("run", "site.py", "--workers", "1", "--bind", "127.0.0.1:0")
    with Kirsch(*arguments, directory=folder, code=reaper) as kirsch:
        kirsch.get("/orphan")
        pid = int(kirsch.wait_for(r"orphan (\d+)", stream="out")[1])
        until(lambda: gone(pid), "it is still in the table of processes")
        assert kirsch.stop() == 0


def test_a_worker_that_nobody_here_has_stopped_is_replaced(folder: Path) -> None:
    with workers(folder, count=1) as kirsch:
        pid = int(kirsch.get().text.split()[1])
        os.kill(pid, signal.SIGTERM)
        kirsch.wait_for("is ending, though nobody here has told it to; it is started again now.")
        until(lambda: gone(pid))
        assert int(kirsch.get().text.split()[1]) != pid
        assert kirsch.stop() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="what a terminal does to its processes differs")
def test_a_supervisor_whose_terminal_has_gone_ends_instead_of_reloading(folder: Path) -> None:
    ours, theirs = os.openpty()
    code = (
        "import fcntl, os, sys, termios; os.setsid(); fd = int(sys.argv[1]); os.dup2(fd, 0); os.close(fd);"
        "fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
        "os.execv(sys.executable, [sys.executable, '-m', 'kirsch', *sys.argv[2:]])"
    )
    arguments = (str(theirs), "run", "site.py", "--workers", "1", "--bind", "127.0.0.1:0")
    with Kirsch(*arguments, directory=folder, code=code, descriptors=[theirs]) as kirsch:
        os.close(theirs)
        kirsch.url()
        kirsch.process.send_signal(signal.SIGHUP)
        kirsch.wait_for(r"1 worker reloaded in")
        os.close(ours)  # the terminal is closed: the system sends SIGHUP by itself
        assert kirsch.end() == 0
    assert kirsch.err.count("reloaded in") == 1


def test_an_address_in_use_and_a_pid_file_of_another_are_one_sentence(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        address = f"127.0.0.1:{busy.getsockname()[1]}"
        with workers(folder, "--bind", address) as kirsch:
            assert kirsch.end() == 1
        assert kirsch.err.startswith(f"Error: Cannot listen on {address}: the address is in use")
    (folder / "no.pid").write_text("no number")
    with workers(folder, "--pidfile", "no.pid") as kirsch:
        assert kirsch.end() == 1
    assert "no.pid is not a pid file" in kirsch.err


def job(**values: object) -> Run:
    options = {f"server.{name}": value for name, value in values.items()}
    return Run(target=parse_target("site"), configuration=collect([], {}, options), reexec=Reexec())


def test_systems_that_cannot_hand_sockets_on_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kirsch.cli.workers.INHERITS", False)
    with pytest.raises(Failure, match="--workers hands listening sockets from process to process"):
        serve_workers(job(workers=2))


def test_a_limit_on_what_nobody_knows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kirsch.cli.workers.resident_bytes", lambda: None)
    with pytest.raises(Failure, match="install psutil"):
        serve_workers(job(workers=2, worker_max_memory=2**30))


def test_the_number_of_workers_is_said_or_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kirsch.cli.workers.processors", lambda: 5)
    assert worker_count(ServerSettings(workers="auto")) == 5
    assert worker_count(ServerSettings(workers=3)) == 3
    assert worker_count(ServerSettings()) == 0
