"""The methods of a resource."""

from __future__ import annotations

from typing import Any

import pytest

from kirsch.web import expose
from tests.tools.helpers import ask, make, wsgi


class Root:
    @expose
    def index(self) -> str:
        return "page"


@pytest.mark.parametrize(
    ("methods", "allow"),
    [
        (None, "GET, HEAD"),
        ([], "GET, HEAD"),
        ("post", "POST"),
        (["GET", "POST"], "GET, POST, HEAD"),
        (("head", "get"), "HEAD, GET"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_other_methods_are_refused_and_those_there_are_named(methods: Any, allow: str, method: str) -> None:
    app = make(Root(), allow__on=True, allow__methods=methods)
    for answer in (ask(app, "/", method), wsgi(app, "/", method)):
        assert answer.code == (200 if method in allow.split(", ") else 405)
        assert answer.header("Allow") == allow
