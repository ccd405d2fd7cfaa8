from __future__ import annotations

import json
import sys

import click
import pytest

from kirsch.cli.children import Inherited, again, inherited


def test_a_child_is_started_as_its_parent_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "python")
    monkeypatch.setattr(sys, "argv", ["kirsch", "run", "site"])
    monkeypatch.setattr(sys, "orig_argv", ["python", "-X", "dev", "-m", "kirsch", "run", "site"])
    told = json.dumps({"sockets": [3, 4], "link": 5})
    command = ["python", "-X", "dev", "-m", "kirsch", "run", "--reload-child", told, "site"]
    assert again(["site"], "--reload-child", sockets=[3, 4], link=5) == command
    monkeypatch.setattr(sys, "orig_argv", ["python", "suite.py"])
    command = ["python", "-m", "kirsch", "run", "--worker", told, "site"]
    assert again(["site"], "--worker", sockets=[3, 4], link=5) == command


def test_what_a_process_was_told_itself_is_not_told_to_its_children() -> None:
    command = again(["--takeover", "{}", "site", "--worker", "x"], "--worker", link=5)
    assert command[-5:] == ["--worker", '{"link": 5}', "site", "--worker", "x"]


def test_a_child_reads_what_its_parent_has_written() -> None:
    command = again(["site"], "--takeover", sockets=(3, 4), paths=("", "/run/a,b.sock"), link=5)
    told = inherited("--takeover", command[command.index("--takeover") + 1])
    assert told == Inherited((3, 4), 5, ("", "/run/a,b.sock"))
    assert told.binds == ("fd:3", "fd:4")
    assert told.owned == ((3, ""), (4, "/run/a,b.sock"))
    assert inherited("--worker", '{"sockets": [7], "link": 8}').owned == ((7, ""),)


@pytest.mark.parametrize("text", ["", "3,4/5", "[]", "{}", '{"sockets": ["x"], "link": 1}', '{"sockets": 3}'])
def test_what_no_parent_has_written_is_an_error_of_usage(text: str) -> None:
    with pytest.raises(click.UsageError, match="--worker is for processes that `kirsch run` starts itself"):
        inherited("--worker", text)
