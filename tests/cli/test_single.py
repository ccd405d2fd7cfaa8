"""A program of one process: commands, and giving way to a new one."""

from __future__ import annotations

import json
import os
import signal
import socket
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.cli.process import WAIT, Kirsch, run
from tests.cli.test_workers import SITE, changed, gone, tell, until

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site.py").write_text(SITE)
    return tmp_path


def single(folder: Path, *options: str, **variables: Any) -> Kirsch:
    return run("site.py", "--pidfile", "k.pid", *options, directory=folder, **variables)


def test_commands_reach_a_program_without_a_supervisor(folder: Path) -> None:
    with single(folder) as kirsch:
        address = kirsch.url()
        code, out, _ = tell(folder, "status", "--json")
        state = json.loads(out)
        assert (code, state["pid"], state["state"]) == (0, kirsch.process.pid, "running")
        assert state["urls"] == [address]
        assert [worker["pid"] for worker in state["workers"]] == [kirsch.process.pid]
        assert tell(folder, "reopen-logs") == (0, "The logs are opened anew.\n", "")
        code, _, err = tell(folder, "scale", "2")
        assert (code, "start it with --workers" in err) == (1, True)
        assert tell(folder, "stop")[:2] == (0, "Stopping.\n")
        assert kirsch.end() == 0
    assert not [each.name for each in folder.iterdir() if each.name.startswith("k.pid")]


def test_quit_ends_at_once_and_leaves_no_files(folder: Path) -> None:
    path = folder / "s.sock"
    with single(folder, "--bind", f"unix:{path}") as kirsch:
        kirsch.wait_for("serves")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n")
            kirsch.wait_for("in the handler", stream="out")
            assert tell(folder, "quit")[0] == 0
            assert kirsch.end() == 1
    assert not path.exists()
    assert not [each.name for each in folder.iterdir() if each.name.startswith("k.pid")]


def test_a_new_program_takes_over_while_clients_keep_their_connections(folder: Path) -> None:
    with single(folder) as kirsch:
        address = kirsch.url()
        with httpx.Client(base_url=address, timeout=WAIT) as kept:
            assert kept.get("/").text.startswith("one")
            changed(folder, "1 / 0\n")
            code, _, err = tell(folder, "reload")
            assert (code, err) == (1, "Error: The new program ended with exit code 1; this one goes on.\n")
            changed(folder, SITE.replace("one {", "two {"))
            kirsch.process.send_signal(signal.SIGUSR2)
            assert kirsch.url(2) == address
            kirsch.wait_for(r"Process \d+ has taken over; this one finishes its requests and ends\.")
            last = kept.get("/")
            assert (last.text.split()[0], last.headers["Connection"]) == ("one", "close")
            assert kept.get("/").text.startswith("two")
        assert kirsch.process.wait(WAIT) == 0
        new = int((folder / "k.pid").read_text())
        try:
            assert kirsch.get().text == f"two {new}"
        finally:
            os.kill(new, signal.SIGTERM)
        kirsch.end()
        until(lambda: gone(new))
    assert "Kirsch stops" in kirsch.err


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_service_manager_gives_sockets_and_is_told_what_happens(folder: Path, workers: str) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        port = listener.getsockname()[1]
        manager.settimeout(WAIT)
        manager.bind(str(folder / "notify"))
        activate = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid());"
            "os.execv(sys.executable, [sys.executable, '-m', 'kirsch', *sys.argv[2:]])"
        )
        arguments = (str(listener.fileno()), "run", "site.py", "--workers", workers, "--pidfile", "k.pid")
        with Kirsch(
            *arguments,
            directory=folder,
            code=activate,
            descriptors=[listener.fileno()],
            LISTEN_FDS="1",
            NOTIFY_SOCKET=str(folder / "notify"),
            WATCHDOG_USEC="200000",
        ) as kirsch:
            assert kirsch.url() == f"http://127.0.0.1:{port}"
            pid = str(kirsch.process.pid)
            said = manager.recv(4096).decode().splitlines()
            assert said[:2] == ["READY=1", f"MAINPID={pid}"]
            assert said[2].startswith("STATUS=")
            assert manager.recv(4096) == b"WATCHDOG=1"
            assert kirsch.get().text.startswith("one")
            assert tell(folder, "restart")[0] == 0
            said = told(manager)
            assert said[0] == "READY=1"
            assert said[1] != f"MAINPID={pid}"
            assert kirsch.process.wait(WAIT) == 0
            if workers == "1":
                assert tell(folder, "reload")[0] == 0
                assert told(manager)[0] == "RELOADING=1"
                assert told(manager)[0] == "READY=1"
            os.kill(int((folder / "k.pid").read_text()), signal.SIGTERM)
            assert told(manager) == ["STOPPING=1"]
            kirsch.end()
        # It is the service manager's, and takes connections as before.
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            listener.accept()[0].close()


def told(manager: socket.socket) -> list[str]:
    """Return the next thing said that is no sign of life."""
    while (said := manager.recv(4096).decode().splitlines()) == ["WATCHDOG=1"]:
        pass
    return said
