from __future__ import annotations

import pytest
from click.testing import CliRunner

from kirsch.cli import main, settings
from kirsch.config import SETTINGS


def shown(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["settings", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_every_setting_is_one_line_with_name_default_and_sentence() -> None:
    lines = [line.split("\t") for line in shown().splitlines()]
    assert [line[0] for line in lines] == list(SETTINGS.names())
    assert ["server.threads", "10", SETTINGS.get("server.threads").help] in lines


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("shutdown", ["server.shutdown_timeout", "server.shutdown_head_timeout"]),
        ("log.*file", ["log.error_file", "log.access_file"]),
    ],
)
def test_a_pattern_is_a_part_of_a_name_or_has_wildcards(pattern: str, names: list[str]) -> None:
    assert [line.split("\t")[0] for line in shown(pattern).splitlines()] == names


def test_a_full_name_shows_all_that_is_known() -> None:
    text = shown("server.head_timeout")
    for label in ("name:", "does:", "takes:", "default:", "0 means:", "starts:", "resets:", "elsewhere:"):
        assert f"\n{label}" in f"\n{text}"
    assert "KIRSCH_SERVER_HEAD_TIMEOUT" in text
    assert "20 s" in text


@pytest.mark.parametrize("name", SETTINGS.names())
def test_every_setting_can_be_shown(name: str) -> None:
    found = dict(settings.details(SETTINGS.get(name)))
    assert found["name"] == name
    assert all(found.values())


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [("server.treads", "Did you mean server.threads?"), ("zzzz", "Without a pattern all are shown.")],
)
def test_a_pattern_that_matches_nothing_names_the_nearest(pattern: str, hint: str) -> None:
    result = CliRunner().invoke(main, ["settings", pattern])
    assert result.exit_code == 1
    assert f"No setting matches '{pattern}'. {hint}" in result.output


def test_a_terminal_gets_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    assert settings.command.callback is not None
    settings.command.callback("log.*")
    out = capsys.readouterr().out
    assert "log.error_file" in out
    assert "What it does" in out
    assert "\t" not in out
