"""More in the error log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kirsch.web import expose
from tests.tools.helpers import ask, make

if TYPE_CHECKING:
    import pytest


class Root:
    @expose
    def index(self) -> str:
        return "page"

    @expose
    def crash(self) -> str:
        raise ZeroDivisionError("why")


SECRETS = {
    "Authorization": "Basic secret1",
    "Cookie": "session=secret2",
    "X-Api-Key": "secret3",
    "User-Agent": "test\x1b[0m",
}


def test_fields_of_a_failed_request_are_logged_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    app = make(Root(), log_headers__on=True)
    ask(app, "/", fields=SECRETS)
    assert not caplog.records
    ask(app, "/crash", fields=SECRETS)
    assert "'Host: example.test'" in caplog.text
    assert "'Authorization: (not shown)'" in caplog.text
    assert "secret" not in caplog.text
    assert "\x1b" not in caplog.text
    (record,) = [one for one in caplog.records if "Request headers" in one.getMessage()]
    assert (record.levelname, "\n" in record.getMessage()) == ("ERROR", False)


def test_severity_and_what_is_secret_can_be_chosen(caplog: pytest.LogCaptureFixture) -> None:
    ask(
        make(Root(), log_headers__on=True, log_headers__severity=30, log_headers__masked=["HOST"]),
        "/crash",
        fields=SECRETS,
    )
    assert "'Host: (not shown)'" in caplog.text
    assert "secret1" in caplog.text
    assert "WARNING" in {record.levelname for record in caplog.records}


def test_tracebacks_are_logged_with_a_severity_of_ones_own(caplog: pytest.LogCaptureFixture) -> None:
    ask(make(Root(), log_tracebacks__on=True, log_tracebacks__severity=50), "/crash")
    (record,) = [one for one in caplog.records if one.levelname == "CRITICAL"]
    assert "ZeroDivisionError: why" in record.getMessage()


def test_hooks_are_logged_point_by_point(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "kirsch.error")
    app = make(Root(), log_hooks__on=True, expires__on=True, expires__secs=5, allow__on=True)
    ask(app)
    assert "HOOKS GET /: on_start_resource 50 allow\n" in caplog.text
    assert "HOOKS GET /: before_finalize 50 expires {'secs': 5}" in caplog.text
    assert "HOOKS GET /: on_end_request 100 log_hooks" in caplog.text


def test_hooks_without_a_name_are_logged_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    class Nameless:
        def __call__(self) -> None: ...

        def __repr__(self) -> str:
            return "<nameless>"

    caplog.set_level("INFO", "kirsch.error")
    app = make(Root(), log_hooks__on=True)
    app.config["/"]["hooks.before_handler"] = Nameless()
    ask(app)
    assert "before_handler 50 <nameless>" in caplog.text
