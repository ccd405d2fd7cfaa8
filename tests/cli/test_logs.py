from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

import pytest

from kirsch.cli.errors import Failure
from kirsch.cli.logs import Logs
from kirsch.config import LogSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Logs]:
    made = Logs(
        LogSettings(
            screen=False, error_file=str(tmp_path / "error.log"), access_file=str(tmp_path / "access.log")
        )
    )
    made.open()
    yield made
    made.close()


def test_errors_go_to_standard_error_and_access_lines_to_standard_output(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs = Logs(LogSettings())
    logs.open()
    try:
        logs.server("It broke.")
        logging.getLogger("kirsch.access.wiki").info("GET /")
        logs.access_stream.write("GET /2\n")
        logs.access_stream.flush()
    finally:
        logs.close()
    out, err = capsys.readouterr()
    assert out == "GET /\nGET /2\n"
    assert re.fullmatch(r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d\] SERVER It broke\.\n", err)


def test_files_take_the_same_lines(logs: Logs, tmp_path: Path) -> None:
    logs.bus("Careful", logging.WARNING)
    logs.access_stream.write("GET /\n")
    logs.access_stream.flush()
    assert (tmp_path / "error.log").read_text().endswith("BUS Careful\n")
    assert (tmp_path / "access.log").read_text() == "GET /\n"
    assert logs.access_stream.fileno() > 2


def test_what_a_healthy_bus_says_is_not_written(logs: Logs, tmp_path: Path) -> None:
    logs.bus("Bus STARTED")
    assert (tmp_path / "error.log").read_text() == ""


def test_lines_after_the_first_are_indented_and_control_characters_escaped(
    logs: Logs, tmp_path: Path
) -> None:
    logs.bus("Stacks:\none\x1b[2J\ntwo\r", logging.ERROR)
    lines = (tmp_path / "error.log").read_text().splitlines()
    assert lines[0].endswith("BUS Stacks:")
    assert lines[1:] == ["    one\\x1b[2J", "    two\\r"]


def test_a_traceback_stands_indented_under_its_message(logs: Logs, tmp_path: Path) -> None:
    try:
        int("first\n[01/Jan/2000:00:00:00] SERVER forged")
    except ValueError:
        logs.server("A handler failed.", traceback=True)
    first, *rest = (tmp_path / "error.log").read_text().splitlines()
    assert first.endswith("SERVER A handler failed.")
    assert all(line.startswith("    ") for line in rest)
    assert "ValueError" in rest[-1]


def test_reopening_follows_the_name_of_the_file(logs: Logs, tmp_path: Path) -> None:
    (tmp_path / "access.log").rename(tmp_path / "access.old")
    logs.access_stream.write("old\n")
    logs.reopen()
    logs.access_stream.write("new\n")
    logs.access_stream.flush()
    assert (tmp_path / "access.old").read_text() == "old\n"
    assert (tmp_path / "access.log").read_text() == "new\n"


def test_the_path_is_kept_when_the_directory_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    logs = Logs(LogSettings(screen=False, error_file="error.log"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    logs.reopen()
    logs.close()
    assert not (tmp_path / "elsewhere" / "error.log").exists()


def test_nothing_to_write_to_is_no_error() -> None:
    logs = Logs(LogSettings(screen=False))
    logs.access_stream.write("GET /\n")
    logs.access_stream.flush()
    logs.reopen()
    with pytest.raises(ValueError, match="nothing is written to"):
        logs.access_stream.fileno()
    logs.close()


def test_a_file_that_cannot_be_opened_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "error.log"
    with pytest.raises(Failure, match=f"Cannot open the log file {path}: No such file or directory."):
        Logs(LogSettings(error_file=str(path)))


def test_closing_leaves_the_loggers_as_they_were(tmp_path: Path) -> None:
    logger = logging.getLogger("kirsch.error")
    before = (list(logger.handlers), logger.level)
    logs = Logs(LogSettings(screen=False))
    logs.open()
    assert len(logger.handlers) == len(before[0]) + 1
    logs.close()
    assert (list(logger.handlers), logger.level) == before


def test_a_level_that_was_set_is_left_alone() -> None:
    logger = logging.getLogger("kirsch.error")
    logger.setLevel(logging.CRITICAL)
    try:
        logs = Logs(LogSettings(screen=False))
        logs.open()
        assert logger.level == logging.CRITICAL
        logs.close()
        assert logger.level == logging.CRITICAL
    finally:
        logger.setLevel(logging.NOTSET)
