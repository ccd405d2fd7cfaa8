"""examples/notes, the demo, as its users use it: reading, writing, searching, files, the API, refusals."""

from __future__ import annotations

import re
import sqlite3
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.examples.served import Served, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "morello and pits"
JAR = httpx.BasicAuth("guest", PASSWORD)


@pytest.fixture(scope="module", name="server")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("notes")
    with serve("notes/app.py", NOTES_DATA=str(folder), NOTES_PASSWORD=PASSWORD) as server:
        yield server


@pytest.fixture(name="reader")
def _reader(server: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, follow_redirects=True) as client:
        yield client


@pytest.fixture(scope="module", name="cookie")
def _cookie(server: Served) -> str:
    """Log in once for all: a login takes its time on purpose."""
    with httpx.Client(base_url=server.url, follow_redirects=True) as client:
        login(client)
        return client.cookies["notebook"]


@pytest.fixture(name="writer")
def _writer(server: Served, cookie: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, follow_redirects=True, cookies={"notebook": cookie}) as client:
        yield client


def token(page: httpx.Response) -> str:
    found = re.search(r'name="token" value="([0-9a-f]+)"', page.text)
    assert found is not None, page.text
    return found[1]


def login(
    client: httpx.Client, password: str = PASSWORD, name: str = "guest", after: str = "/"
) -> httpx.Response:
    form = client.get("/login", params={"after": after})
    sent = {"name": name, "password": password, "after": after, "token": token(form)}
    return client.post("/login", data=sent)


def write(client: httpx.Client, title: str, body: str) -> httpx.Response:
    return client.post("/new", data={"title": title, "body": body, "token": token(client.get("/new"))})


class Checker(HTMLParser):
    """Sees that what is opened is closed, in order, and that ids are unique."""

    VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.ids += [value for name, value in attrs if name == "id" and value]
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        assert tag != "img" or "alt" in names
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()


def check(page: httpx.Response) -> Checker:
    checker = Checker()
    checker.feed(page.text)
    checker.close()
    assert not checker.open
    assert len(checker.ids) == len(set(checker.ids))
    assert page.text.startswith("<!DOCTYPE html>\n<html lang=")
    assert "script" not in checker.tags
    return checker


def test_a_new_notebook_is_full_of_text(reader: httpx.Client) -> None:
    page = reader.get("/")
    check(page)
    assert '<h2><a href="/note/welcome">' in page.text
    slugs = {note["slug"] for note in reader.get("/api/notes").json()["notes"]}
    assert {"welcome", "clafoutis", "loveliest-of-trees", "settings"} <= slugs
    for slug in sorted(slugs):
        check(reader.get(f"/note/{slug}"))


def test_the_design_is_served_with_its_types_and_nothing_else_is(reader: httpx.Client) -> None:
    assert reader.get("/static/notebook.css").headers["Content-Type"] == "text/css; charset=utf-8"
    assert reader.get("/static/cherry.svg").headers["Content-Type"] == "image/svg+xml"
    for path in ("/static/", "/static/app.py", "/static/..%2fsite.py", "/static/%2e%2e/site.py"):
        assert reader.get(path).status_code == 404


def test_a_note_is_written_found_and_read_escaped(writer: httpx.Client) -> None:
    body = "# <b>\n\nThe *quincunx* & `<script>` [x](javascript:alert(1)) [[Welcome]] [[No such note]]"
    page = write(writer, 'Planting <img src=x> "trees"', body)
    check(page)
    assert "<h1>Planting &lt;img src=x&gt; &quot;trees&quot;</h1>" in page.text
    assert "<em>quincunx</em> &amp; <code>&lt;script&gt;</code>" in page.text
    assert 'href="javascript' not in page.text
    assert '<a href="/note/welcome">Welcome</a>' in page.text
    assert 'href="/new?title=No+such+note"' in page.text
    found = writer.get("/search", params={"q": "quincu"})
    check(found)
    assert "<mark>quincunx</mark>" in found.text


@pytest.mark.parametrize(
    "query", ["", "   ", '"', "*", "AND", "NEAR(", "a" * 5000, "<b>", "title:x", "\u00fc\u0000"]
)
def test_any_query_is_an_answer(reader: httpx.Client, query: str) -> None:
    page = reader.get("/search", params={"q": query})
    assert page.status_code == 200
    check(page)


def test_every_version_of_a_note_is_kept(writer: httpx.Client) -> None:
    page = write(writer, "Kept", "the first words")
    for version, words in ((1, "the second words"), (2, "the third words")):
        form = writer.get(f"{page.url.path}/edit")
        check(form)
        sent = {"title": "Kept", "body": words, "version": str(version), "token": token(form)}
        assert words in writer.post(f"{page.url.path}/edit", data=sent).text
    history = writer.get(f"{page.url.path}/history")
    check(history)
    assert history.text.count("/version/") == 3
    assert "the first words" in writer.get(f"{page.url.path}/version/1").text
    assert writer.get(f"{page.url.path}/version/9").status_code == 404


def test_two_who_write_at_once_both_keep_their_words(writer: httpx.Client) -> None:
    path = write(writer, "Contested", "old").url.path + "/edit"
    sent = {"title": "Contested", "version": "1", "token": token(writer.get(path))}
    assert writer.post(path, data={**sent, "body": "mine"}).status_code == 200
    page = writer.post(path, data={**sent, "body": "yours"})
    check(page)
    assert page.status_code == 409
    assert "<pre>mine</pre>" in page.text
    assert "yours</textarea>" in page.text
    assert 'name="version" value="2"' in page.text


def test_a_file_comes_back_as_it_was_and_never_as_a_page(writer: httpx.Client) -> None:
    path = write(writer, "With files", "see below").url.path
    data = b"<script>alert(1)</script>" + bytes(range(256)) * 4000
    page = writer.post(
        f"{path}/attach",
        data={"token": token(writer.get(path))},
        files={"upload": ("../\u00fcber uns.html", data, "text/html")},
    )
    check(page)
    link = re.search(rf'<a href="({path}/file/\d+)">(.*?)</a>', page.text)
    assert link is not None
    assert link[2] == "\u00fcber uns.html"
    response = writer.get(link[1])
    assert response.content == data
    assert response.headers["Content-Disposition"].startswith("attachment;")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    number = link[1].rpartition("/")[2]
    gone = writer.post(f"{path}/detach", data={"token": token(page), "number": number})
    assert link[1] not in gone.text
    assert writer.get(link[1]).status_code == 404


def test_a_file_beyond_the_limit_is_refused(writer: httpx.Client) -> None:
    path = write(writer, "Too much", "").url.path
    response = writer.post(
        f"{path}/attach",
        data={"token": token(writer.get(path))},
        files={"upload": ("big", b"x" * (12 << 20))},
    )
    assert response.status_code == 413


def test_the_api_lists_reads_searches_and_writes(server: Served) -> None:
    with httpx.Client(base_url=server.url) as client:
        made = client.post("/api/notes", json={"title": "By a program", "body": "zymurgy"}, auth=JAR)
        assert made.status_code == 201
        note = client.get(made.headers["Location"]).json()
        assert (note["title"], note["body"], note["author"]) == ("By a program", "zymurgy", "guest")
        found = client.get("/api/notes", params={"q": "zymurg"}).json()["notes"]
        assert [each["slug"] for each in found] == [note["slug"]]
        assert note["url"] == f"{server.url}/note/{note['slug']}"
        two = client.get("/api/notes", params={"limit": "2", "offset": "1"}).json()["notes"]
        assert len(two) == 2


@pytest.mark.parametrize(
    ("content", "kind", "password", "status"),
    [
        (b'{"title": "x"}', "application/json", "wrong", 401),
        (b'{"title": "x"}', "text/plain", PASSWORD, 415),
        (b"{", "application/json", PASSWORD, 400),
        (b"[" * 100_000, "application/json", PASSWORD, 400),
        (b"[]", "application/json", PASSWORD, 422),
        (b"{}", "application/json", PASSWORD, 422),
        (b'{"title": 5}', "application/json", PASSWORD, 422),
    ],
)
def test_the_api_says_what_is_wrong_as_json(
    server: Served, content: bytes, kind: str, password: str, status: int
) -> None:
    response = httpx.post(
        f"{server.url}/api/notes", content=content, headers={"Content-Type": kind}, auth=("guest", password)
    )
    assert response.status_code == status
    assert response.json()["status"] == status


def test_the_cookie_of_a_login_does_not_write_through_the_api(writer: httpx.Client) -> None:
    assert writer.post("/api/notes", json={"title": "forged"}).status_code == 401


def test_whoever_wants_to_write_is_sent_to_log_in_and_back(reader: httpx.Client) -> None:
    page = reader.get("/new")
    check(page)
    assert page.url.params["after"] == "/new"
    assert login(reader, after="/new").url.path == "/new"
    out = reader.post("/logout", data={"token": token(reader.get("/new"))})
    assert "Log in" in out.text
    assert reader.get("/new").url.path == "/login"


@pytest.mark.parametrize(
    "after", ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:1"]
)
def test_a_login_leads_to_no_other_host(reader: httpx.Client, after: str) -> None:
    assert login(reader, after=after).url.path == "/"


def test_a_wrong_password_is_told_without_saying_whether_the_name_exists(reader: httpx.Client) -> None:
    pages = [login(reader, password="wrong", name=name) for name in ("guest", "nobody")]
    assert [page.status_code for page in pages] == [403, 403]
    assert all("Name or password is wrong." in page.text for page in pages)


def test_passwords_cannot_be_tried_without_end(reader: httpx.Client) -> None:
    found = [login(reader, password="wrong", name="victim").status_code for _ in range(6)]
    assert found == [403] * 5 + [429]


def test_forms_of_others_are_refused(server: Served, writer: httpx.Client) -> None:
    with httpx.Client(base_url=server.url) as other:
        foreign = token(other.get("/login"))
    for sent in ({}, {"token": ""}, {"token": "0" * 64}, {"token": foreign}, {"token": "\u00fc"}):
        assert writer.post("/new", data={"title": "forged", "body": "", **sent}).status_code == 403
        assert writer.post("/logout", data=sent).status_code == 403


def test_a_cookie_that_was_changed_is_nobodys(server: Served, writer: httpx.Client) -> None:
    cookie = writer.cookies["notebook"]
    body, _, signature = cookie.partition(".")
    for changed in (
        f"{body}A.{signature}",
        f"{body}.{signature[:-1]}0{signature[-1]}",
        body,
        ".",
        "x" * 3000,
    ):
        response = httpx.get(f"{server.url}/new", headers={"Cookie": f"notebook={changed}"})
        assert response.status_code == 303


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/note", 404),
        ("GET", "/note/index", 404),
        ("GET", "/note/edit", 404),
        ("GET", "/note/_store", 404),
        ("GET", "/_store/close", 404),
        ("GET", "/?page=0", 400),
        ("GET", "/?page=1e3", 400),
        ("GET", "/?page=1&page=2", 400),
        ("GET", "/note/welcome/version/x", 400),
        ("GET", "/note/welcome/file/9999999999999999999999", 400),
        ("GET", "/note/welcome/attach", 405),
        ("DELETE", "/note/welcome", 405),
        ("POST", "/note/welcome?slug=clafoutis", 405),
    ],
)
def test_what_cannot_be_answered_is_an_error_page_of_the_notebook(
    reader: httpx.Client, method: str, path: str, status: int
) -> None:
    page = reader.request(method, path)
    assert page.status_code == status
    check(page)
    assert "All notes" in page.text
    assert "<p>0 notes" not in page.text


def test_every_page_forbids_scripts_and_frames(reader: httpx.Client) -> None:
    for path in ("/", "/note/welcome", "/login", "/nowhere"):
        policy = reader.get(path).headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script-src" not in policy


def test_passwords_are_kept_as_hashes(tmp_path: object) -> None:
    with serve("notes/app.py", NOTES_DATA=str(tmp_path), NOTES_PASSWORD=PASSWORD) as server:
        assert server.end() == 0
    connection = sqlite3.connect(f"{tmp_path}/notes.sqlite3")
    try:
        ((kept,),) = connection.execute("select password from users").fetchall()
    finally:
        connection.close()
    assert kept.startswith("scrypt$")
    assert PASSWORD not in kept
    assert not any(PASSWORD in line for line in server.lines)
