"""Logs: one event is one line, wherever it goes."""

from __future__ import annotations

import io
import logging
import re
import sys
import uuid
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirsch.config import LogSettings
from kirsch.web import LogManager, current, expose
from kirsch.web.logging import escape_controls
from tests.web.helpers import app_of, ask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def log() -> Iterator[LogManager]:
    """Return logs whose loggers nobody else uses."""
    made = LogManager("", f"test-{uuid.uuid4()}")
    made.error_log.propagate = made.access_log.propagate = False
    yield made
    made.remove_handlers()


@given(st.text())
def test_nothing_escaped_ends_a_line_or_moves_a_cursor(text: str) -> None:
    escaped = escape_controls(text)
    assert escaped.splitlines() in ([escaped], [])
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", escaped)


@pytest.mark.parametrize(
    ("text", "escaped"), [("a\nb", r"a\nb"), ("\x1b[31m", r"\x1b[31m"), ("\u2028", r"\u2028"), ("é", "é")]
)
def test_controls_become_escapes(text: str, escaped: str) -> None:
    assert escape_controls(text) == escaped


def test_an_event_is_one_line_with_its_time_and_context(log: LogManager, tmp_path: Path) -> None:
    log.configure(LogSettings(screen=False, error_file=str(tmp_path / "error.log")))
    log("first\nsecond", "HTTP")
    log.error("debug", severity=logging.DEBUG)
    (line,) = (tmp_path / "error.log").read_text("utf-8").splitlines()
    assert re.fullmatch(r"\[\d\d/\w+/\d{4}:\d\d:\d\d:\d\d\] HTTP first\\nsecond", line)


def test_lines_of_a_traceback_are_indented_so_that_none_passes_for_an_event(
    log: LogManager, tmp_path: Path
) -> None:
    log.configure(LogSettings(screen=False, error_file=str(tmp_path / "error.log")))
    forged = "x\n[01/Jan/2026:00:00:00] HTTP forged\x1b"
    try:
        raise ValueError(forged)  # noqa: TRY301  its traceback is what is tested
    except ValueError as error:
        log("one", traceback=True)
        log("two", traceback=error)
    lines = (tmp_path / "error.log").read_text("utf-8").splitlines()
    log.error_log.warning("three\n[01/Jan/2026:00:00:00] forged %s", "\x1b")
    lines += (tmp_path / "error.log").read_text("utf-8").splitlines()[len(lines) :]
    events = [line for line in lines if not line.startswith("    ")]
    assert [event.rpartition(" ")[2] for event in events] == ["one", "two", "three"]
    assert "\x1b" not in "".join(lines)
    assert lines[1] == "    Traceback (most recent call last):"


@pytest.mark.parametrize(("traceback", "level"), [(False, logging.INFO), (True, logging.ERROR)])
def test_a_traceback_is_an_error_unless_said_otherwise(
    traceback: bool, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    LogManager().error("x", traceback=traceback)
    LogManager().error("y", severity=logging.WARNING, traceback=traceback)
    assert [record.levelno for record in caplog.records] == [level, logging.WARNING]


def test_screens_are_those_of_the_moment(log: LogManager, monkeypatch: pytest.MonkeyPatch) -> None:
    log.configure(LogSettings(screen=True))
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    log("event")
    log.access_log.info("access")
    assert err.getvalue().endswith(" event\n")
    assert out.getvalue() == "access\n"
    monkeypatch.setattr(sys, "stderr", None)
    log("nobody sees it")


def test_a_screen_that_is_closed_does_not_end_the_program(
    log: LogManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.configure(LogSettings(screen=True))
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(logging, "raiseExceptions", False)
    monkeypatch.setattr(sys, "stderr", closed)
    log("event")


def test_files_are_opened_again_after_they_were_moved(log: LogManager, tmp_path: Path) -> None:
    file = tmp_path / "error.log"
    log.configure(LogSettings(screen=True, error_file=str(file)))
    log("one")
    file.rename(tmp_path / "old.log")
    log("two")
    log.reopen_files()
    log.reopen_files()
    log("three")
    assert (tmp_path / "old.log").read_text("utf-8").count("\n") == 2
    assert file.read_text("utf-8").count("\n") == 1


def test_configuring_again_replaces_what_was_there(log: LogManager, tmp_path: Path) -> None:
    access = str(tmp_path / "access.log")
    for _ in range(2):
        log.configure(LogSettings(screen=False, access_file=access))
    # pytest hangs handlers of its own on loggers that do not propagate.
    files = [one for one in log.access_log.handlers if isinstance(one, logging.FileHandler)]
    assert [one.baseFilename for one in files] == [access]
    log.remove_handlers()
    assert files[0] not in log.access_log.handlers


class Root:
    @expose
    def index(self, **params: str) -> str:
        return "index"

    @expose
    def named(self) -> str:
        current().login = 'me"\n'  # type: ignore[union-attr]
        return ""


@pytest.mark.parametrize(
    ("target", "fields", "expected"),
    [
        ("/", {}, r'192\.0\.2\.7 - - \[[^]]+\] "GET / HTTP/1\.1" 200 5 "-" "-"'),
        (
            "/?a=1",
            {"Referer": "http://r/", "User-Agent": 'x"\x1b\\'},
            r'192\.0\.2\.7 - - \[[^]]+\] "GET /\?a=1 HTTP/1\.1" 200 5 "http://r/" "x\\"\\\\x1b\\\\"',
        ),
        ("/named", {}, r'192\.0\.2\.7 - me\\"\\\\n \[[^]]+\] "GET /named HTTP/1\.1" 200 0 "-" "-"'),
    ],
)
def test_an_access_line_is_combined_and_cannot_be_forged(
    target: str, fields: dict[str, str], expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    log = LogManager()
    app = app_of(Root(), {"/": {"hooks.on_end_request": lambda: log.access(current())}})  # type: ignore[arg-type]
    ask(app, target, fields=fields)
    assert re.fullmatch(expected, caplog.messages[-1])


def test_without_anybody_to_read_it_no_access_line_is_made(log: LogManager) -> None:
    log.access_log.setLevel(logging.ERROR)
    log.access(None)  # type: ignore[arg-type]  # it must not even be looked at
