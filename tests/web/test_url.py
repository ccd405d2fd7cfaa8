"""URLs for links, and where redirects may lead."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirsch.web import Tree, UnsafeRedirectError, check_redirect, current, expose, make_url
from kirsch.web.url import normal_path
from tests.web.helpers import app_of, ask, make_site


class Root:
    """Answers with a URL made with what `arguments` holds."""

    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments

    @expose
    def index(self) -> str:
        return make_url(current(), **self.arguments)

    @expose
    def default(self, *args: str, **params: str) -> str:
        return make_url(current(), **self.arguments)

    @expose
    def leaf(self) -> str:
        return make_url(current(), **self.arguments)


def made(target: str, script_name: str = "", **arguments: Any) -> str:
    tree = Tree(make_site())
    tree.mount(Root(**arguments), script_name)
    return ask(tree, script_name + target).text


@pytest.mark.parametrize(
    ("target", "arguments", "url"),
    [
        ("/", {}, "http://example.test/"),
        ("/", {"path": "/x"}, "http://example.test/x"),
        ("/", {"path": "x"}, "http://example.test/x"),
        ("/a/b", {}, "http://example.test/a/b"),
        ("/a/b", {"path": "c"}, "http://example.test/a/c"),
        ("/a/b/", {"path": "c"}, "http://example.test/a/b/c"),
        ("/a/b/", {"path": "../c"}, "http://example.test/a/c"),
        ("/a/b/", {"path": "./c/../d"}, "http://example.test/a/b/d"),
        ("/a", {"path": "../../../x"}, "http://example.test/x"),
        ("/leaf", {"path": "x"}, "http://example.test/x"),
        ("/leaf/", {"path": "x"}, "http://example.test/x"),
        ("/", {"path": "/x", "qs": "a=../b"}, "http://example.test/x?a=../b"),
        ("/", {"path": "/x?a=../b"}, "http://example.test/x?a=../b"),
        ("/", {"path": "/x", "qs": {"a": "1 2", "b": ["x", 3]}}, "http://example.test/x?a=1+2&b=x&b=3"),
        ("/", {"path": "/x", "qs": [("a", "é")]}, "http://example.test/x?a=%C3%A9"),
        ("/", {"path": "/x", "qs": {}}, "http://example.test/x"),
        ("/", {"path": "/x", "qs": {"a": []}}, "http://example.test/x"),
        ("/", {"path": "/é ü"}, "http://example.test/%C3%A9%20%C3%BC"),
        ("/%C3%A9/x", {"path": "y"}, "http://example.test/%C3%A9/y"),
        ("/", {"path": "/x", "base": "https://other.test"}, "https://other.test/x"),
        ("/", {"path": "/x", "script_name": "/app"}, "http://example.test/app/x"),
        ("/", {"path": "/x", "relative": "server"}, "/x"),
        ("/a/b", {"path": "/a/c", "relative": True}, "c"),
        ("/a/b", {"path": "/c/d", "relative": True}, "../c/d"),
        ("/a/b", {"path": "/a/", "relative": True}, "./"),
        ("/a/b", {"path": "/a/x:y", "relative": True}, "./x:y"),
        ("/a/b", {"path": "/", "relative": True, "qs": "a=1"}, "../?a=1"),
    ],
)
def test_urls_are_made_from_where_the_request_is(target: str, arguments: dict[str, Any], url: str) -> None:
    assert made(target, **arguments) == url


def test_an_application_below_a_path_stays_below() -> None:
    assert made("/", "/app", path="/x") == "http://example.test/app/x"
    assert made("/a/b", "/app", path="../c") == "http://example.test/app/c"
    assert made("", "/app", path="x") == "http://example.test/app/x"


def test_an_application_can_want_relative_urls() -> None:
    app = app_of(Root(path="/x"))
    app.relative_urls = "server"
    assert ask(app, "/").text == "/x"


def test_outside_of_a_request_the_address_of_the_server_is_taken() -> None:
    assert make_url(None, "x", server_base="http://127.0.0.1:8080") == "http://127.0.0.1:8080/x"
    assert make_url(None, "/x", "a=1", base="http://b") == "http://b/x?a=1"
    assert make_url(None, "/a/../x", script_name="/app") == "/app/x"


@pytest.mark.parametrize(
    ("path", "normal"),
    [("/a/./b", "/a/b"), ("/a/b/..", "/a/"), ("/a?b/../c", "/a?b/../c"), ("/a/..#x/..", "/#x/..")],
)
def test_dots_are_resolved_in_the_path_only(path: str, normal: str) -> None:
    assert normal_path(path) == normal


HERE = "https://example.test/app/page"


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("", "/app/page"),
        ("/", "/"),
        ("/x?y=1#z", "/x?y=1#z"),
        ("x", "/app/x"),
        ("./x", "/app/x"),
        ("../x", "/x"),
        ("../../../x", "/x"),
        ("?a=1", "/app/page?a=1"),
        ("#top", "/app/page#top"),
        ("/x y", "/x%20y"),
        ("/%20", "/%20"),
        ("/é", "/%C3%A9"),
        ("/a//b", "/a//b"),
        ("/..//evil.test", "/evil.test"),
        ("/%2e%2e//evil.test", "/evil.test"),
        ("..//evil.test", "/evil.test"),
        ("/x?next=\\y", "/x?next=%5Cy"),
        ("/x?next=//evil.test", "/x?next=//evil.test"),
        ("https://example.test/x", "https://example.test/x"),
        ("HTTPS://EXAMPLE.test:443/x", "HTTPS://EXAMPLE.test:443/x"),
        ("https://login.test/x", "https://login.test/x"),
        ("http://127.0.0.1:9000/", "http://127.0.0.1:9000/"),
    ],
)
def test_redirects_that_stay_are_let_through(url: str, location: str) -> None:
    assert check_redirect(url, HERE, ["login.test", "127.0.0.1:9000"]) == location


@pytest.mark.parametrize(
    "url",
    [
        "//evil.test",
        "///evil.test",
        "////evil.test",
        "//evil.test/%2f..",
        "/\\evil.test",
        "\\/evil.test",
        "\\\\evil.test",
        "/a\\b",
        "https:evil.test",
        "https:/evil.test",
        "https:///evil.test",
        "https://",
        "http:\\\\evil.test",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "ftp://example.test/",
        " //evil.test",
        " https://evil.test",
        "\t//evil.test",
        "\n//evil.test",
        "\x00//evil.test",
        "\x1f/x",
        "\x7f/x",
        "\x85/x",
        "/x\r\nSet-Cookie: a=b",
        "/x\x00y",
        "java\nscript:alert(1)",
        "https://evil.test",
        "https://example.test.evil.test/",
        "https://evil.test/example.test",
        "https://example.test@evil.test/",
        "https://user:password@example.test/",
        "https://example.test:444/",
        "http://example.test/",
        "https://example.test:99999/",
        "https://[::1",
        "https://exämple.test/",
        "https://login.test:444/",
        "https://example.test\\.evil.test/",
        "https://evil.test#@example.test/",
        "https://evil.test?@example.test/",
    ],
)
def test_redirects_elsewhere_are_refused(url: str) -> None:
    with pytest.raises(UnsafeRedirectError, match="was refused"):
        check_redirect(url, HERE, ["login.test"])


def test_with_external_any_host_will_do_but_not_any_trick() -> None:
    assert check_redirect("https://evil.test/", HERE, external=True) == "https://evil.test/"
    for url in ("//evil.test", "javascript:x", "https://a@evil.test/", "https:evil.test"):
        with pytest.raises(UnsafeRedirectError):
            check_redirect(url, HERE, external=True)


PIECES = [*"/\\.:@?#%a \t\n", "http", "https:", "//", "evil", "example.test", "..", "%2e", "%5c", "é"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=10).map("".join))
def test_a_redirect_that_is_let_through_stays_whatever_it_is_made_of(url: str) -> None:
    try:
        location = check_redirect(url, HERE)
    except UnsafeRedirectError:
        return
    assert location.isascii()
    assert location.isprintable()
    # As browsers do: backslashes before the query are slashes.
    seen = urlsplit(urljoin(HERE, location.replace("\\", "/")))
    assert (seen.scheme, seen.hostname, seen.port or 443, seen.username) == (
        "https",
        "example.test",
        443,
        None,
    )
