from __future__ import annotations

import configparser
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from kirsch.cli import main
from kirsch.cli.errors import Failure
from kirsch.cli.target import parse_target
from kirsch.cli.unit import Unit, quoted
from kirsch.config import ServerSettings


def parsed(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(
        strict=False, interpolation=None, delimiters=["="], comment_prefixes="#"
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return parser


def unit(*arguments: str) -> tuple[configparser.ConfigParser, configparser.ConfigParser]:
    result = CliRunner().invoke(main, ["unit", *arguments])
    assert result.exit_code == 0, result.output
    _, service, socket = result.output.split("# /etc/systemd/system/")
    assert service.startswith("wiki.service\n")
    return parsed(service.partition("\n")[2]), parsed(socket.partition("\n")[2])


def test_the_service_starts_the_program_with_workers_and_a_pid_file() -> None:
    service, socket = unit("wiki.site:app", "--directory", "/srv/wiki")
    own = service["Service"]
    assert own["ExecStart"] == (
        f"{sys.executable} -m kirsch run wiki.site:app --workers auto --pidfile %t/wiki/kirsch.pid"
    )
    assert own["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert own["WorkingDirectory"] == "/srv/wiki"
    assert own["RuntimeDirectory"] == "wiki"
    assert own["Type"] == "notify"
    assert service["Unit"]["Requires"] == "wiki.socket"
    assert socket["Socket"]["ListenStream"] == "127.0.0.1:8080"


def test_it_may_do_what_serving_takes_and_no_more() -> None:
    own = unit("wiki.py")[0]["Service"]
    assert own["DynamicUser"] == "yes"
    assert own["NoNewPrivileges"] == "yes"
    assert own["CapabilityBoundingSet"] == ""
    assert own["ProtectSystem"] == "strict"
    assert own["SystemCallFilter"] == "@system-service"
    assert unit("wiki.py", "--user", "www")[0]["Service"]["User"] == "www"
    assert "DynamicUser" not in unit("wiki.py", "--user", "www")[0]["Service"]


@pytest.mark.parametrize(("directory", "seen"), [("/srv/wiki", "yes"), ("/ho" + "me/a/wiki", "read-only")])
def test_a_program_in_a_home_is_seen(directory: str, seen: str) -> None:
    assert unit("wiki.py", "--directory", directory)[0]["Service"]["ProtectHome"] == seen


def test_systemd_waits_longer_than_the_program_takes() -> None:
    own, settings = unit("wiki.py")[0]["Service"], ServerSettings()
    assert float(own["TimeoutStopSec"]) > settings.shutdown_timeout + settings.worker_retire_timeout
    assert float(own["TimeoutStartSec"]) > settings.worker_start_timeout


def test_one_process_reloads_by_giving_way_to_another() -> None:
    own = unit("wiki.py", "--workers", "0")[0]["Service"]
    assert own["ExecReload"] == "/bin/kill -USR2 $MAINPID"
    assert "--workers" not in own["ExecStart"]


def test_options_of_run_stand_in_the_command() -> None:
    own = unit("wiki.py", "--threads", "20", "--set", "log.error_file=a b%$.log")[0]["Service"]
    assert own["ExecStart"].endswith('--threads 20 --set "log.error_file=a b%%$$.log"')


def test_addresses_become_streams() -> None:
    result = CliRunner().invoke(
        main, ["unit", "wiki.py", "--bind", "[::1]:80", "--bind", "unix:/run/w.sock", "--bind", "unix:@w"]
    )
    streams = [line for line in result.output.splitlines() if line.startswith("ListenStream")]
    assert streams == ["ListenStream=[::1]:80", "ListenStream=/run/w.sock", "ListenStream=@w"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["wiki.py", "--bind", "localhost:80"], 1, "systemd looks no names up"),
        (["wiki.py", "--bind", "fd:3"], 1, "as it is one's own"),
        (["wiki.py", "--bind", "8080"], 2, "must end in a colon and a port"),
        (["two words"], 2, "is no name of a module"),
        (
            ["wiki.py", "--workers", "many"],
            2,
            "server.workers: must be a whole number from 0 to 10000, or auto",
        ),
        (["wiki.py", "--output", "nowhere"], 1, "Cannot write nowhere/wiki.service: No such file"),
    ],
)
def test_what_cannot_be_is_one_sentence(arguments: list[str], code: int, message: str) -> None:
    result = CliRunner().invoke(main, ["unit", *arguments])
    assert result.exit_code == code
    assert message in result.output


def test_the_files_are_written_where_asked(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["unit", "a.b:c", "--name", "wiki", "--output", str(tmp_path)])
    assert result.exit_code == 0
    assert "systemctl enable --now wiki.socket" in result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["wiki.service", "wiki.socket"]


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("plain", "plain"),
        ("", '""'),
        ("a b", '"a b"'),
        ('say "x"', '"say \\"x\\""'),
        ("back\\slash", '"back\\\\slash"'),
        ("50%", "50%%"),
        ("$HOME", "$$HOME"),
        ("a;b", '"a;b"'),
    ],
)
def test_a_word_is_one_argument(word: str, text: str) -> None:
    assert quoted(word) == text
    assert shlex.split(text.replace("%%", "%").replace("$$", "$")) == [word]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_finds_nothing_to_say(tmp_path: Path) -> None:
    files = Unit(parse_target("wiki.py"), "wiki", tmp_path, binds=["127.0.0.1:8080", "[::1]:8080"]).files
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", *(str(tmp_path / name) for name in files)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "wiki" not in done.stderr


def test_a_unit_refuses_what_its_command_refuses() -> None:
    with pytest.raises(Failure, match="systemd looks no names up"):
        Unit(parse_target("wiki.py"), "wiki", Path("/srv"), binds=["example.org:80"])
