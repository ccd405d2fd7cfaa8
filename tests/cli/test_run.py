from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from kirsch import __version__
from kirsch.cli import main
from kirsch.config import SETTINGS
from tests.cli.process import HELLO, Kirsch, run

if TYPE_CHECKING:
    from pathlib import Path

PAGES = """
import os
import kirsch

class Root:
    @kirsch.expose
    def index(self):
        return "pages"

    @kirsch.expose
    def settings(self, key):
        return repr(kirsch.request.config.get(key))

    @kirsch.expose
    def where(self):
        return os.getcwd()

app = kirsch.Application(Root())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hello.py").write_text(HELLO)
    (tmp_path / "pages.py").write_text(PAGES)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument 'TARGET'"),
        (["two words"], "'TARGET': 'two words' is no name of a module."),
        (
            ["hello:app", "--threads", "0"],
            "'--threads': must be a whole number from 1 to 10000, not 0 (int).",
        ),
        (
            ["hello:app", "--bind", "8080"],
            "'--bind': the address '8080' (str) must end in a colon and a port",
        ),
        (["hello:app", "--access-log", "comon"], "'--access-log': must be one of"),
        (["hello:app", "--access-log", "comon"], "Did you mean 'common'?"),
        (["hello:app", "--set", "server.treads=2"], "no such setting. Did you mean server.threads?"),
        (["hello:app", "--set", "server.threads=x"], "server.threads: must be a whole number"),
        (["hello:app", "--set", "server.threads"], "'server.threads' has no = in it. Write NAME=VALUE"),
        (["hello:app", "--environment", "prodution"], "Did you mean 'production'? There are staging,"),
        (["hello:app", "--environment", "zzz"], "there is no environment 'zzz'. There are staging,"),
        (["hello:app", "--thread", "3"], "No such option"),
        (["hello:app", "--reload-child", "x/y"], "--reload-child is for processes that `kirsch run` starts"),
        (["hello:app", "--worker", "{}"], "--worker is for processes that `kirsch run` starts itself."),
        (["hello:app", "--takeover", "[]"], "--takeover is for processes that `kirsch run` starts itself."),
        (["hello:app", "--workers", "many"], "'--workers': must be a whole number from 0 to 10000, or auto"),
    ],
)
def test_a_wrong_command_line_is_an_error_of_usage(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["run", *arguments])
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hello:app", "--config", "gone.conf"], "gone.conf: cannot be read: No such file or directory."),
        (
            ["hello:app", "--chdir", "nowhere"],
            "Cannot change to the directory nowhere: No such file or directory.",
        ),
        (
            ["hello:app", "--tls-cert", "c.pem", "--tls-password-file", "gone"],
            "Cannot read the password file gone: No such file or directory.",
        ),
        (
            ["hello:app", "--tls-cert", "c.pem", "--tls-password-file", "latin.txt"],
            "Cannot read the password file latin.txt: it is not UTF-8.",
        ),
        (["hello:app", "--tls-key", "k.pem"], "server.tls.key: is set, but server.tls.certificate is not."),
        (["hello:app", "--tls-cert", "gone.pem"], "Cannot read gone.pem: no such file."),
        (["hello:app", "--set", "log.error_file=nowhere/e.log"], "Cannot open the log file"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(folder)
    (folder / "latin.txt").write_bytes(b"\xff")
    result = CliRunner().invoke(main, ["run", *arguments])
    assert result.exit_code == 1
    assert result.output.count("\n") == 1
    assert message in result.output


def test_the_help_of_an_option_is_that_of_its_setting() -> None:
    text = " ".join(CliRunner().invoke(main, ["run", "--help"]).output.split())
    for name in ("server.bind", "server.threads", "server.access_log", "server.tls.certificate"):
        setting = SETTINGS.get(name)
        assert f"[{name}; default {setting.kind.show(setting.default)}]" in text
    assert "reload-child" not in text


def test_the_start_line_says_what_is_served_and_where(folder: Path) -> None:
    with run("hello:app", "--bind", "127.0.0.1:0", "--bind", "127.0.0.1:0", directory=folder) as kirsch:
        kirsch.wait_for("Ctrl-C stops it")
        line = re.fullmatch(
            rf"Kirsch {re.escape(__version__)} serves hello:app on (http://127\.0\.0\.1:\d+) and"
            rf" (http://127\.0\.0\.1:\d+) \(10 threads, pid {kirsch.process.pid}\); Ctrl-C stops it\n",
            kirsch.err,
        )
        assert line is not None
        assert line[1] != line[2]
        assert kirsch.get().text == "hello"
        assert kirsch.stop() == 0
        assert kirsch.out == ""


def test_settings_come_from_files_variables_and_the_command_line(folder: Path) -> None:
    (folder / "site.conf").write_text(
        "[global]\nserver.threads = 2\nserver.server_header = 'file'\ntools.response_headers.on = False\n"
        "[/settings]\nname = 'of the path'\n"
    )
    arguments = ("pages.py", "--config", "site.conf", "--set", "server.backlog=99", "--access-log", "common")
    with run(*arguments, directory=folder, KIRSCH_SERVER_SERVER_HEADER="variable") as kirsch:
        kirsch.wait_for(r"\(2 threads, ")
        response = kirsch.get("/settings?key=name")
        assert response.text == "'of the path'"
        assert response.headers["Server"] == "variable"
        assert kirsch.get("/settings?key=environment").text == "'production'"
        kirsch.wait_for(
            r'^127\.0\.0\.1 - - \[.+\] "GET /settings\?key=name HTTP/1\.1" 200 13\n', stream="out"
        )
        assert kirsch.stop() == 0


def test_the_command_line_is_over_a_variable(folder: Path) -> None:
    with run("hello", "--threads", "1", directory=folder, KIRSCH_SERVER_THREADS="7") as kirsch:
        kirsch.wait_for(r"\(1 thread, ")


def test_everything_is_seen_from_the_directory_that_is_gone_to(folder: Path) -> None:
    site = folder / "site"
    site.mkdir()
    (folder / "pages.py").rename(site / "pages.py")
    (site / "site.conf").write_text("[global]\nserver.threads = 3\n")
    with run("pages:Root", "--chdir", "site", "--config", "site.conf", directory=folder) as kirsch:
        kirsch.wait_for(r"\(3 threads, ")
        assert kirsch.get("/where").text == str(site)


def test_sections_for_a_wsgi_program_are_refused(folder: Path) -> None:
    (folder / "site.conf").write_text("[/static]\ntools.staticdir.on = True\n")
    with run("hello.py", "--config", "site.conf", directory=folder) as kirsch:
        assert kirsch.end() == 1
    assert "site.conf, [/static]: sections are for Kirsch applications" in kirsch.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["hallo:app"], 2, "Error: There is no module hallo in "),
        (["hello:ap"], 2, "Error: hello has nothing called ap. Did you mean app?"),
        (["gone.py"], 2, "Error: There is no file gone.py "),
    ],
)
def test_a_wrong_target_is_one_sentence(folder: Path, arguments: list[str], code: int, message: str) -> None:
    with run(*arguments, directory=folder) as kirsch:
        assert kirsch.end() == code
    assert kirsch.err.startswith(message)
    assert kirsch.err.count("\n") == 1
    assert kirsch.out == ""


def test_an_error_of_the_program_shows_its_traceback_and_a_sentence(folder: Path) -> None:
    (folder / "broken.py").write_text("import nothing_of_that_name\n")
    with run("broken", directory=folder) as kirsch:
        assert kirsch.end() == 1
    assert kirsch.err == (
        "Traceback (most recent call last):\n"
        f'  File "{folder}/broken.py", line 1, in <module>\n'
        "    import nothing_of_that_name\n"
        "ModuleNotFoundError: No module named 'nothing_of_that_name'\n"
        "Error: broken could not be imported: ModuleNotFoundError: No module named 'nothing_of_that_name'.\n"
    )


def test_a_busy_port_is_one_sentence_and_start_hooks_have_not_run(folder: Path) -> None:
    (folder / "hooked.py").write_text(PAGES + "kirsch.engine.subscribe('start', lambda: print('started'))\n")
    with socket.create_server(("127.0.0.1", 0)) as busy:
        address = f"127.0.0.1:{busy.getsockname()[1]}"
        with run("hooked", "--bind", address, directory=folder) as kirsch:
            assert kirsch.end() == 1
    assert kirsch.err.startswith(f"Error: Cannot listen on {address}: the address is in use")
    assert kirsch.err.count("\n") == 1
    assert kirsch.out == ""


def test_the_command_needs_no_module_of_its_own_name_beside_the_program(folder: Path) -> None:
    with Kirsch("run", "--help", directory=folder) as kirsch:
        assert kirsch.end() == 0
    assert "Usage: kirsch run" in kirsch.out
