"""The command; what a running program makes of it is in tests/cli/test_workers.py."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from kirsch.cli import main
from kirsch.cli.signal import ACTIONS, _age
from kirsch.supervise import Control

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

STATE = {
    "version": "9",
    "target": "site",
    "urls": ["http://127.0.0.1:1", "unix:/s"],
    "pid": 7,
    "state": "running",
    "age": 90061.0,
    "ready": 1,
    "wanted": 2,
    "reloads": 3,
    "crashes": 4,
    "workers": [
        {
            "number": 1,
            "pid": 8,
            "state": "ready",
            "age": 61.5,
            "requests": 5,
            "connections": 6,
            "memory": 3 * 2**20,
        },
        {"number": 2, "pid": 9, "state": "starting", "age": 0.2},
    ],
}


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Mapping[str, Any]]]:
    """Requests that have reached a program with the pid file k.pid."""
    requests: list[Mapping[str, Any]] = []

    def answer(request: Mapping[str, Any]) -> Mapping[str, Any]:
        requests.append(request)
        if request["do"] == "restart":
            raise RuntimeError("Not now.")
        return STATE if request["do"] == "status" else {"said": f"{request['do']} is done."}

    monkeypatch.chdir(tmp_path)
    control = Control("k.pid", answer)
    control.open()
    yield requests
    control.close()


def typed(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["signal", *arguments, "--pidfile", "k.pid"])
    return result.exit_code, result.output


@pytest.mark.parametrize("action", [each for each in ACTIONS if each not in {"scale", "status", "restart"}])
def test_an_action_is_asked_for_and_the_answer_shown(asked: list[Mapping[str, Any]], action: str) -> None:
    assert typed(action) == (0, f"{action} is done.\n")
    assert asked == [{"do": action, "count": None}]


def test_scale_takes_a_number_and_nothing_else_does(asked: list[Mapping[str, Any]]) -> None:
    assert typed("scale", "3") == (0, "scale is done.\n")
    assert asked == [{"do": "scale", "count": 3}]
    code, output = typed("scale")
    assert (code, "scale needs the number of workers behind it." in output) == (2, True)
    code, output = typed("stop", "3")
    assert (code, "stop takes no number." in output) == (2, True)
    assert typed("scale", "0")[0] == 2


def test_what_fails_is_an_error(asked: list[Mapping[str, Any]]) -> None:
    assert typed("restart") == (1, "Error: Not now.\n")


def test_the_state_is_lines_with_tabs_in_a_pipe(asked: list[Mapping[str, Any]]) -> None:
    code, output = typed("status")
    assert code == 0
    assert output == (
        "Kirsch 9 serves site on http://127.0.0.1:1 and unix:/s (pid 7, running for 1 d 1 h, 1 of 2 workers"
        " ready, 3 reloads, 4 crashes)\n"
        "worker\tpid\tstate\tage\trequests\tconnections\tmemory\n"
        "1\t8\tready\t1 min 1 s\t5\t6\t3 MiB\n"
        "2\t9\tstarting\t0 s\t\t\t\n"
    )


def test_the_state_is_a_table_on_a_terminal(
    asked: list[Mapping[str, Any]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    main(["signal", "status", "--pidfile", "k.pid"], standalone_mode=False)
    shown = capsys.readouterr().out
    assert "connections" in shown
    assert "3 MiB" in shown
    assert "\t" not in shown


def test_the_whole_answer_is_there_for_programs(asked: list[Mapping[str, Any]]) -> None:
    code, output = typed("status", "--json")
    assert code == 0
    assert json.loads(output) == {"ok": True, **STATE}


def test_nobody_there_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, output = typed("status")
    assert code == 1
    assert output.startswith("Error: No program can be reached by ")
    assert output.count("\n") == 1


def test_an_answer_that_does_not_come_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("k.pid.sock")
        listener.listen()
        code, output = typed("stop", "--timeout", "0.01")
    assert (code, output) == (1, "Error: No answer within 0.01 s; the program may still do it.\n")


def test_an_action_that_does_not_exist_is_told_which_do() -> None:
    code, output = typed("relaod")
    assert code == 2
    assert "'relaod' is not one of 'reload'" in output


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.9, "0 s"), (59, "59 s"), (3600, "1 h 0 min"), (200000, "2 d 7 h")]
)
def test_a_time_is_shown_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert _age(seconds) == text
