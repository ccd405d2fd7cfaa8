"""How long a page may be kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kirsch.http import parse_date
from kirsch.web import current, expose
from tests.tools.helpers import Answer, ask, make

NOW = 1_700_000_000


class Root:
    def __init__(self, **fields: str) -> None:
        self.fields = fields

    @expose
    def index(self) -> str:
        response = current().response  # type: ignore[union-attr]
        response.time = float(NOW)
        for name, value in self.fields.items():
            response.headers[name.replace("_", "-")] = value
        return "page"


def expired(secs: Any = None, force: bool = False, **fields: Any) -> Answer:
    more = {} if secs is None else {"expires__secs": secs}
    return ask(make(Root(**fields), expires__on=True, expires__force=force, **more))


@pytest.mark.parametrize("secs", [60, 60.5, timedelta(minutes=1)])
def test_a_page_stays_fresh_for_a_while(secs: Any) -> None:
    answer = expired(secs, ETag='"x"')
    assert parse_date(answer.header("Expires") or "", NOW) == NOW + 60
    assert answer.header("Cache-Control") is None
    assert answer.header("Pragma") is None


@pytest.mark.parametrize("indicator", ["ETag", "Last_Modified", "Age", "Expires"])
def test_what_looks_as_if_it_could_be_cached_is_kept_out_of_caches(indicator: str) -> None:
    fields: dict[str, Any] = {indicator: '"x"'}
    answer = expired(**fields)
    assert answer.header("Cache-Control") == "no-cache, must-revalidate"
    assert answer.header("Pragma") == "no-cache"
    own = indicator == "Expires"
    assert answer.header("Expires") == ('"x"' if own else "Sun, 28 Jan 2007 00:00:00 GMT")


def test_other_pages_are_left_alone_unless_forced() -> None:
    assert expired(60).header("Expires") is None
    assert expired(60, force=True).header("Expires") is not None


def test_what_is_set_stays_unless_forced() -> None:
    own: dict[str, Any] = {"ETag": '"x"', "Cache_Control": "private"}
    assert expired(0, **own).header("Cache-Control") == "private"
    assert expired(0, force=True, **own).header("Cache-Control") == "no-cache, must-revalidate"


@pytest.mark.parametrize("secs", ["60", True, [1]])
def test_what_is_no_number_is_a_mistake(secs: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert expired(secs, force=True).code == 500
    assert "TypeError: tools.expires.secs is a number of seconds or a timedelta" in caplog.text
