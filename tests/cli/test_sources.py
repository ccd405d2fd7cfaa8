from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kirsch.cli.errors import Failure
from kirsch.cli.sources import DEFAULT_ENVIRONMENT, Configuration, collect

if TYPE_CHECKING:
    from pathlib import Path


def collected(
    *files: Path, variables: dict[str, str] | None = None, options: dict[str, Any] | None = None
) -> Configuration:
    return collect([str(each) for each in files], variables or {}, options or {})


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    path = tmp_path / "site.conf"
    path.write_text(
        "[global]\nserver.threads = 2\nserver.backlog = 20\nserver.max_fields = 22\ntools.gzip.on = True\n"
        '[/static]\ntools.staticdir.on = True\n[database]\nname = "notes"\n'
    )
    return path


def test_nothing_said_is_the_defaults_in_production() -> None:
    configuration = collected()
    assert configuration.server.threads == 10
    assert configuration.environment == DEFAULT_ENVIRONMENT == "production"
    assert not configuration.chosen
    assert configuration.given == {}
    assert configuration.free == {}


def test_the_command_line_is_over_variables_and_variables_over_files(conf: Path) -> None:
    configuration = collected(
        conf,
        variables={"KIRSCH_SERVER_THREADS": "3", "KIRSCH_SERVER_BACKLOG": "30"},
        options={"server.threads": 4},
    )
    server = configuration.server
    assert (server.threads, server.backlog, server.max_fields) == (4, 30, 22)


def test_a_later_file_is_over_an_earlier_one(conf: Path, tmp_path: Path) -> None:
    more = tmp_path / "more.toml"
    more.write_text("[server]\nthreads = 5\n")
    configuration = collected(conf, more)
    assert (configuration.server.threads, configuration.server.backlog) == (5, 20)
    assert [each.source for each in configuration.files] == [str(conf), str(more)]


def test_what_is_for_the_applications_is_kept_for_them(conf: Path) -> None:
    configuration = collected(conf)
    assert configuration.free == {"tools.gzip.on": True}
    assert configuration.files[0].paths == {"/static": {"tools.staticdir.on": True}}
    assert configuration.files[0].free == {"database": {"name": "notes"}}


@pytest.mark.parametrize(
    ("variables", "options", "environment"),
    [
        ({"KIRSCH_ENVIRONMENT": "staging"}, {}, "staging"),
        ({"KIRSCH_ENVIRONMENT": "staging"}, {"environment": "test_suite"}, "test_suite"),
    ],
)
def test_an_environment_that_is_named_is_chosen(
    variables: dict[str, str], options: dict[str, Any], environment: str
) -> None:
    configuration = collected(variables=variables, options=options)
    assert configuration.environment == environment
    assert configuration.chosen


@pytest.mark.parametrize("options", [{}, {"environment": "production"}])
def test_production_does_not_silence_the_screen(options: dict[str, Any]) -> None:
    assert collected(options=options).log.screen
    assert not collected(options={**options, "log.screen": False}).log.screen


def test_a_file_for_access_lines_turns_them_on_unless_they_were_turned_off() -> None:
    assert collected(options={"log.access_file": "a.log"}).server.access_log == "combined"
    off = {"log.access_file": "a.log", "server.access_log": "off"}
    assert collected(options=off).server.access_log == "off"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[global]\nserver.treads = 2\n",
            "[global] server.treads: no such setting. Did you mean server.threads?",
        ),
        (
            "[global]\nserver.threads = 'x'\n",
            "server.threads: must be a whole number from 1 to 10000, not 'x'",
        ),
        ("[global]\nserver.tls.key = 'k.pem'\n", "server.tls.key: is set, but server.tls.certificate is not"),
        ("threads\n", "site.conf"),
    ],
)
def test_a_file_that_is_wrong_is_one_sentence_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "site.conf"
    path.write_text(text)
    with pytest.raises(Failure) as caught:
        collected(path)
    assert message in str(caught.value)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"gone\.conf: cannot be read: No such file or directory"):
        collected(tmp_path / "gone.conf")


def test_a_variable_that_sets_nothing_is_told_the_nearest() -> None:
    with pytest.raises(Failure, match=r"KIRSCH_SERVER_TREADS: .*Did you mean KIRSCH_SERVER_THREADS"):
        collected(variables={"KIRSCH_SERVER_TREADS": "3"})


def test_what_the_program_sets_itself_is_under_what_the_operator_says() -> None:
    configuration = collected(options={"server.threads": 4})
    assert configuration.server_over({"tools.gzip.on": True}) is configuration.server
    server = configuration.server_over({"server.threads": 7, "server.backlog": 70, "request.x": 1})
    assert (server.threads, server.backlog) == (4, 70)


def test_a_program_that_contradicts_the_operator_is_told() -> None:
    with pytest.raises(Failure, match=r"server\.max_field: is 70000 bytes, more than server\.max_head"):
        collected().server_over({"server.max_field": 70_000})
