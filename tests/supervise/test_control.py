from __future__ import annotations

import json
import socket
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kirsch.supervise.control import Control, ControlError, ask, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WAIT = 20.0
OPEN = Path("/proc/self/fd")


def answer(request: Mapping[str, Any]) -> Mapping[str, Any]:
    if request["do"] == "fail":
        raise RuntimeError("That cannot be done now.")
    if request["do"] == "break":
        raise KeyError("count")
    if request["do"] == "stop":
        return {"said": "Stopping.", "follow": True}
    return {"said": f"Did {request['do']}."}


@pytest.fixture(params=["unix", "long", "loopback"])
def pidfile(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pid file beside which a Unix socket can be, or whose path is too long for one, or no system has."""
    if request.param == "loopback":
        monkeypatch.delattr(socket, "AF_UNIX")
    if request.param == "long":
        (tmp_path / ("x" * 100)).mkdir()
        return tmp_path / ("x" * 100) / "k.pid"
    return tmp_path / "k.pid"


@pytest.fixture
def control(pidfile: Path) -> Iterator[Control]:
    control = Control(pidfile, answer)
    control.open()
    yield control
    control.close()


def test_a_command_is_answered(pidfile: Path, control: Control) -> None:
    assert ask(pidfile, {"do": "reload"}, timeout=WAIT) == {"ok": True, "said": "Did reload."}
    assert ask(pidfile, {"do": "status"}, timeout=WAIT) == {"ok": True, "said": "Did status."}


def test_what_fails_is_an_answer_too(
    pidfile: Path, control: Control, caplog: pytest.LogCaptureFixture
) -> None:
    assert ask(pidfile, {"do": "fail"}, timeout=WAIT) == {"ok": False, "said": "That cannot be done now."}
    assert not caplog.records
    assert ask(pidfile, {"do": "break"}, timeout=WAIT) == {"ok": False, "said": "'count'"}
    assert "A command failed" in caplog.text


def test_only_its_owner_may_use_it(pidfile: Path, control: Control) -> None:
    path, file = place_of(pidfile)
    place = path if path.exists() else file
    assert stat.S_IMODE(place.stat().st_mode) == 0o600


def test_the_files_are_gone_at_the_end_and_a_command_finds_nobody(pidfile: Path, control: Control) -> None:
    control.close()
    control.close()
    assert not [path for path in place_of(pidfile) if path.exists()]
    with pytest.raises(
        ControlError, match=r"No program can be reached by .*k\.pid: there is no k\.pid\.sock"
    ):
        ask(pidfile, {"do": "status"}, timeout=WAIT)


def test_whoever_waits_for_the_end_waits_for_the_end(pidfile: Path) -> None:
    ended = threading.Event()
    control = Control(pidfile, answer)
    control.open()
    path, file = place_of(pidfile)
    if path.exists():
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(path))
        token = ""
    else:
        known = json.loads(file.read_text())
        client, token = socket.create_connection(("127.0.0.1", known["port"])), known["token"]
    with client, client.makefile("rwb") as stream:
        client.settimeout(WAIT)
        stream.write(json.dumps({"do": "stop", "token": token}).encode() + b"\n")
        stream.flush()
        assert json.loads(stream.readline())["follow"] is True
        assert not ended.is_set()
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.recv(1)
    control.close()


@pytest.mark.parametrize("line", [b"nonsense\n", b"[1]\n", b"\n"])
def test_what_is_no_request_is_told_so(tmp_path: Path, line: bytes) -> None:
    control = Control(tmp_path / "k.pid", answer)
    control.open()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(WAIT)
        client.connect(str(tmp_path / "k.pid.sock"))
        client.sendall(line)
        with client.makefile() as stream:
            assert json.loads(stream.readline()) == {"ok": False, "said": "That is no request."}
    control.close()


def test_without_the_secret_nothing_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_UNIX")
    control = Control(tmp_path / "k.pid", lambda request: pytest.fail("nobody may"))
    control.open()
    port = json.loads((tmp_path / "k.pid.port").read_text())["port"]
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b'{"do": "stop", "token": "guess"}\n')
        with client.makefile() as stream:
            said = json.loads(stream.readline())
    assert said == {"ok": False, "said": "The token is not the one of this program."}
    control.close()


def test_what_is_left_over_is_replaced(tmp_path: Path) -> None:
    for left_over in place_of(tmp_path / "k.pid"):
        left_over.write_text("old")
    control = Control(tmp_path / "k.pid", answer)
    control.open()
    assert ask(tmp_path / "k.pid", {"do": "it"}, timeout=WAIT)["said"] == "Did it."
    control.close()


def test_a_folder_that_cannot_be_written_to_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OSError, match="No such file"):
        Control(tmp_path / "gone" / "k.pid", answer).open()
    monkeypatch.delattr(socket, "AF_UNIX")
    with pytest.raises(OSError, match="No such file"):
        Control(tmp_path / "gone" / "k.pid", answer).open()


def test_a_program_that_was_killed_is_told_from_one_that_never_was(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(tmp_path / "k.pid.sock"))
    with pytest.raises(ControlError, match=r"Nobody answers at .*k\.pid\.sock"):
        ask(tmp_path / "k.pid", {"do": "status"})
    (tmp_path / "l.pid.port").write_text("{}")
    with pytest.raises(ControlError, match=r"l\.pid\.port cannot be read"):
        ask(tmp_path / "l.pid", {"do": "status"})


def test_the_program_of_another_user_is_named_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "k.pid.sock").touch()

    def refuse(self: socket.socket, address: object) -> None:
        raise PermissionError

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(ControlError, match="belongs to another user"):
        ask(tmp_path / "k.pid", {"do": "status"})


@pytest.mark.parametrize(("said", "error"), [(b"", ControlError), (b"{", ControlError)])
def test_an_end_without_an_answer_is_an_error(tmp_path: Path, said: bytes, error: type[Exception]) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "k.pid.sock"))
        listener.listen()

        def end() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(1000)
                client.sendall(said)

        ending = threading.Thread(target=end)
        ending.start()
        with pytest.raises(error, match="has ended without an answer"):
            ask(tmp_path / "k.pid", {"do": "status"}, timeout=WAIT)
        ending.join()


def test_patience_has_an_end(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "k.pid.sock"))
        listener.listen()
        with pytest.raises(TimeoutError):
            ask(tmp_path / "k.pid", {"do": "status"}, timeout=0.01)


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    if not OPEN.is_dir():
        pytest.skip("this system does not say which descriptors are open")
    threads = set(threading.enumerate())
    before = len(list(OPEN.iterdir()))
    for _ in range(5):
        control = Control(tmp_path / "k.pid", answer)
        control.open()
        ask(tmp_path / "k.pid", {"do": "it"}, timeout=WAIT)
        control.close()
    for thread in set(threading.enumerate()) - threads:
        thread.join(WAIT)
    assert len(list(OPEN.iterdir())) == before
