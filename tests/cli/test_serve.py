from __future__ import annotations

import signal
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest
import trustme

from tests.cli.process import HELLO, SLOW, WAIT, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOOKS = """
import kirsch

class Root:
    @kirsch.expose
    def index(self):
        return kirsch.server.urls[0]

for channel in ("start", "stop", "exit"):
    kirsch.engine.subscribe(channel, lambda *args, channel=channel: print(channel, flush=True))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hello.py").write_text(HELLO)
    (tmp_path / "slow.py").write_text(SLOW)
    (tmp_path / "hooks.py").write_text(HOOKS)
    return tmp_path


@pytest.fixture
def other() -> Iterator[ThreadPoolExecutor]:
    """A thread that asks while the test goes on."""
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_running_request_finish_and_ends_with_0(
    folder: Path, other: ThreadPoolExecutor, number: signal.Signals
) -> None:
    with run("slow.py", directory=folder) as kirsch:
        kirsch.url()
        answer = other.submit(kirsch.get)
        kirsch.wait_for("in the handler", stream="out")
        kirsch.process.send_signal(number)
        response = answer.result(WAIT)
        assert response.text == "finished"
        assert response.headers["Connection"] == "close"
        assert kirsch.end() == 0
    assert "Kirsch stops: running requests may take 30 s to finish." in kirsch.err


def test_a_second_ctrl_c_ends_at_once(folder: Path, other: ThreadPoolExecutor) -> None:
    with run("slow.py", directory=folder) as kirsch:
        kirsch.url()
        answer = other.submit(kirsch.get, "/stuck")
        kirsch.wait_for("in the handler", stream="out")
        kirsch.process.send_signal(signal.SIGINT)
        kirsch.wait_for("Kirsch stops")
        while kirsch.process.poll() is None:
            # The first ones may come so soon that they count as an echo.
            kirsch.process.send_signal(signal.SIGINT)
        assert kirsch.end() == 130
        assert isinstance(answer.exception(WAIT), httpx.TransportError)
    assert "SIGINT again" in kirsch.err


def test_requests_that_are_cut_off_make_the_exit_code_1(folder: Path, other: ThreadPoolExecutor) -> None:
    with run("slow.py", "--set", "server.shutdown_timeout=0.2", directory=folder) as kirsch:
        kirsch.url()
        answer = other.submit(kirsch.get, "/stuck")
        kirsch.wait_for("in the handler", stream="out")
        assert kirsch.stop() == 1
        assert isinstance(answer.exception(WAIT), httpx.TransportError)
    assert "SERVER Cut off after 0.2 s of shutdown" in kirsch.err
    assert "GET /stuck" in kirsch.err


def test_hooks_of_the_program_run_in_order(folder: Path) -> None:
    with run("hooks:Root", directory=folder) as kirsch:
        assert kirsch.get().text == kirsch.url()
        assert kirsch.stop() == 0
    assert kirsch.out.split() == ["start", "stop", "exit"]
    assert len(kirsch.err.splitlines()) == 2, "the default log and server keep quiet"


def test_threads_that_serve_are_announced_and_serve_when_that_fails(folder: Path) -> None:
    (folder / "threads.py").write_text(
        HOOKS + "\nfrom os import write\n"
        "kirsch.engine.subscribe('start_thread', lambda number: write(1, b'start_thread %d\\n' % number))\n"
        "kirsch.engine.subscribe('stop_thread', lambda number: write(1, b'stop_thread %d\\n' % number))\n"
        "kirsch.engine.subscribe('start_thread', lambda number: 1 / 0)\n"
    )
    with run("threads:Root", "--threads", "1", directory=folder) as kirsch:
        assert kirsch.get().status_code == 200
        kirsch.wait_for("start_thread 1\n", stream="out")
        assert kirsch.stop() == 0
        kirsch.wait_for("stop_thread 1\n", stream="out")
    assert "BUS Error in 'start_thread' listener" in kirsch.err


def test_a_start_hook_that_fails_shows_its_traceback_and_ends_with_1(folder: Path) -> None:
    (folder / "failing.py").write_text(
        HOOKS
        + "\ndef connect():\n    raise OSError('no database.')\nkirsch.engine.subscribe('start', connect)\n"
    )
    with run("failing:Root", directory=folder) as kirsch:
        assert kirsch.end() == 1
    assert kirsch.out.split() == ["start", "stop", "exit"]
    assert "BUS Error in 'start' listener" in kirsch.err
    assert "failing.py" in kirsch.err
    assert kirsch.err.endswith("Error: failing:Root did not start: OSError: no database.\n")
    assert "serves" not in kirsch.err


def test_a_program_that_exits_while_it_starts_ends_with_its_code(folder: Path) -> None:
    (folder / "leaving.py").write_text(
        HOOKS + "\nkirsch.engine.subscribe('start', lambda: kirsch.engine.exit(3))\n"
    )
    with run("leaving:Root", directory=folder) as kirsch:
        assert kirsch.end() == 3
    assert "serves" not in kirsch.err


def test_a_stop_hook_that_fails_makes_the_exit_code_70(folder: Path) -> None:
    (folder / "failing.py").write_text(HOOKS + "\nkirsch.engine.subscribe('stop', lambda: 1 / 0)\n")
    with run("failing:Root", directory=folder) as kirsch:
        kirsch.url()
        assert kirsch.stop() == 70
    assert "    ZeroDivisionError: division by zero" in kirsch.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_the_program_is_imported_ends_at_once(
    folder: Path, number: signal.Signals, code: int
) -> None:
    (folder / "long.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    with run("long", directory=folder) as kirsch:
        kirsch.wait_for("importing", stream="out")
        assert kirsch.stop(number) == code
    assert kirsch.err == ""


def test_threads_of_the_program_that_go_on_do_not_keep_the_process(folder: Path) -> None:
    (folder / "lingering.py").write_text(
        "import threading, kirsch\nkirsch.engine.join_timeout = 0.1\n"
        "threading.Thread(target=threading.Event().wait, name='lingerer').start()\n" + HELLO
    )
    with run("lingering", directory=folder) as kirsch:
        kirsch.url()
        assert kirsch.stop() == 1
    assert "Still running after 0.1 s: lingerer" in kirsch.err


def test_what_the_program_sets_itself_holds_where_the_operator_is_silent(folder: Path) -> None:
    (folder / "set.py").write_text(
        HOOKS + "\nkirsch.config.update({'server.threads': 3, 'server.server_header': 'program'})\n"
    )
    with run("set:Root", "--set", "server.server_header=operator", directory=folder) as kirsch:
        kirsch.wait_for(r"\(3 threads, ")
        assert kirsch.get().headers["Server"] == "operator"


def test_a_unix_socket_is_served_and_removed(folder: Path) -> None:
    path = folder / "s.sock"
    with run("hello", "--bind", f"unix:{path}", directory=folder) as kirsch:
        kirsch.wait_for(f"on unix:{path} ")
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
            assert client.get("http://socket/").text == "hello"
        assert kirsch.stop() == 0
    assert not path.exists()


def test_an_inherited_socket_is_served(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number = listening.fileno()
        with run("hello", "--bind", f"fd:{number}", directory=folder, descriptors=[number]) as kirsch:
            assert kirsch.url() == f"http://127.0.0.1:{listening.getsockname()[1]}"
            assert kirsch.get().text == "hello"
            assert kirsch.stop() == 0


def test_a_descriptor_that_is_no_socket_is_one_sentence(folder: Path) -> None:
    with run("hello", "--bind", "fd:99", directory=folder) as kirsch:
        assert kirsch.end() == 1
    assert kirsch.err.startswith("Error: Cannot listen on fd:99: ")
    assert kirsch.err.count("\n") == 1


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def test_tls_with_certificate_chain_and_an_encrypted_key(folder: Path, authority: trustme.CA) -> None:
    from cryptography.hazmat.primitives import serialization

    leaf = authority.create_child_ca().issue_cert("127.0.0.1")
    own, *chain = leaf.cert_chain_pems
    own.write_to_path(folder / "cert.pem")
    (folder / "chain.pem").write_bytes(b"".join(each.bytes() for each in chain))
    key = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None)
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"open sesame"),
        )
    )
    (folder / "password").write_text("open sesame\nnot read\n")
    files = ("--tls-cert", "cert.pem", "--tls-key", "key.pem", "--tls-chain", "chain.pem")
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    with run("hello", *files, "--tls-password-file", "password", directory=folder) as kirsch:
        address = kirsch.url()
        assert address.startswith("https://")
        assert httpx.get(address, verify=trust, timeout=WAIT).text == "hello"
        assert kirsch.stop() == 0


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            ["--tls-cert", "other.pem", "--tls-key", "key.pem"],
            "The key key.pem does not belong to the certificate",
        ),
        (["--tls-cert", "key.pem"], "Cannot use key.pem for TLS: expected a certificate"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_one_sentence_before_the_program_is_imported(
    folder: Path, authority: trustme.CA, files: list[str], message: str
) -> None:
    authority.issue_cert("127.0.0.1").private_key_pem.write_to_path(folder / "key.pem")
    authority.issue_cert("127.0.0.1").cert_chain_pems[0].write_to_path(folder / "other.pem")
    (folder / "loud.py").write_text("print('imported')\n" + HELLO)
    with run("loud", *files, directory=folder) as kirsch:
        assert kirsch.end() == 1
    assert kirsch.err.startswith(f"Error: {message}")
    assert kirsch.err.count("\n") == 1
    assert kirsch.out == ""


def test_the_pid_file_is_written_and_removed(folder: Path) -> None:
    with run("hello", "--pidfile", "k.pid", directory=folder) as kirsch:
        kirsch.url()
        assert (folder / "k.pid").read_text() == f"{kirsch.process.pid}\n"
        with run("hello", "--pidfile", "k.pid", directory=folder) as second:
            assert second.end() == 1
        assert "belongs to a running process" in second.err
        assert second.err.count("\n") == 1
        assert kirsch.stop() == 0
    assert not (folder / "k.pid").exists()


def test_a_pid_file_that_cannot_be_written_is_one_sentence(folder: Path) -> None:
    with run("hello", "--pidfile", "nowhere/k.pid", directory=folder) as kirsch:
        assert kirsch.end() == 1
    assert kirsch.err == "Error: Cannot write the pid file nowhere/k.pid: No such file or directory.\n"


def test_logs_go_to_files_and_are_reopened_on_sigusr1(folder: Path) -> None:
    files = ("--set", "log.error_file=error.log", "--set", "log.access_file=access.log")
    with run("hello", *files, "--set", "log.screen=off", directory=folder) as kirsch:
        kirsch.get("/first")
        (folder / "access.log").rename(folder / "access.old")
        (folder / "error.log").rename(folder / "error.old")
        kirsch.process.send_signal(signal.SIGUSR1)
        while not (folder / "error.log").exists():
            pass  # the watchdog of the process ends this
        kirsch.get("/second")
        kirsch.process.send_signal(signal.SIGQUIT)
        while "Stacks of all threads" not in (folder / "error.log").read_text():
            assert kirsch.process.poll() is None
        assert kirsch.stop() == 0
    assert "GET /first" in (folder / "access.old").read_text()
    assert "GET /second" in (folder / "access.log").read_text()
    assert kirsch.out == ""


def test_a_restart_serves_again_from_the_directory_it_was_started_in(folder: Path) -> None:
    site = folder / "site"
    site.mkdir()
    (site / "again.py").write_text(
        "import os, threading, kirsch\nclass Root:\n    @kirsch.expose\n    def index(self):\n"
        "        threading.Thread(target=kirsch.engine.restart).start()\n"
        "        return f'{os.getpid()} {kirsch.server.urls}'\n"
    )
    path = site / "s.sock"
    with run("again:Root", "--chdir", "site", "--bind", "unix:s.sock", directory=folder) as kirsch:
        for count in (1, 2):
            kirsch.wait_for("serves again:Root on unix:s.sock", count=count)
            with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), timeout=WAIT) as client:
                assert client.get("http://socket/").text == f"{kirsch.process.pid} ['unix:s.sock']"
        kirsch.wait_for("serves again:Root on unix:s.sock", count=3)
        assert kirsch.stop() == 0
    assert not path.exists()


def test_a_bus_of_the_programs_own_is_used(folder: Path) -> None:
    (folder / "own.py").write_text(
        "from kirsch.bus import Bus\nfrom kirsch.web import Application, Site, expose\n"
        "class Root:\n    @expose\n    def index(self): return 'own'\n"
        "bus = Bus()\nbus.subscribe('exit', lambda: print('own exit', flush=True))\n"
        "app = Application(Root(), site=Site(bus=bus))\n"
    )
    with run("own", directory=folder) as kirsch:
        assert kirsch.get().text == "own"
        assert kirsch.stop() == 0
    assert kirsch.out == "own exit\n"


def test_a_handler_that_raises_system_exit_ends_the_program(folder: Path) -> None:
    (folder / "leaves.py").write_text("def app(environ, start_response):\n    raise SystemExit\n")
    with run("leaves", directory=folder) as kirsch:
        kirsch.url()
        with socket.create_connection(("127.0.0.1", int(kirsch.url().rpartition(":")[2]))) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            kirsch.wait_for("raised SystemExit")
            assert kirsch.end() == 0
