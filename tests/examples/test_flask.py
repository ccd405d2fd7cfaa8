"""examples/flask_app, untouched: templates, forms, a database, an upload, a stream, a download."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING

import pytest
import requests

from tests.examples.served import EXAMPLES, Served, serve

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", name="server")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    database = tmp_path_factory.mktemp("flask") / "guestbook.sqlite3"
    with serve("flask_app/guestbook.py", GUESTBOOK_DB=str(database)) as server:
        yield server


def sign(session: requests.Session, server: Served, name: str, message: str, picture: bytes = b"") -> str:
    files = {"picture": ("p.png", picture, "image/png")} if picture else None
    response = session.post(
        f"{server.url}/sign", data={"name": name, "message": message}, files=files, timeout=10
    )
    assert response.status_code == 200
    assert [each.status_code for each in response.history] == [302]
    return response.text


def test_a_signed_entry_is_shown_escaped_and_the_flash_came_by_the_session_cookie(server: Served) -> None:
    with requests.Session() as session:
        page = sign(session, server, "Ada <b>", "for the engine & the flowers")
    assert "Thank you, Ada &lt;b&gt;." in page
    assert "for the engine &amp; the flowers" in page


def test_an_upload_comes_back_byte_by_byte_and_in_ranges(server: Served) -> None:
    picture = bytes(range(256)) * 1000
    with requests.Session() as session:
        page = sign(session, server, "Grace", "with a picture", picture)
        links = re.findall(r'href="(/entries/\d+/picture)"', page)
        response = session.get(server.url + links[0], timeout=10)
        assert response.content == picture
        assert response.headers["Content-Disposition"].startswith("attachment")
        part = session.get(server.url + links[0], headers={"Range": "bytes=255-257"}, timeout=10)
        assert (part.status_code, part.content) == (206, b"\xff\x00\x01")


def test_the_list_is_streamed_in_chunks(server: Served) -> None:
    with requests.Session() as session:
        for number in range(5):
            sign(session, server, f"guest {number}", 'quoted, "text"')
        response = session.get(f"{server.url}/entries.csv", timeout=10)
        entries = session.get(f"{server.url}/entries.json", timeout=10).json()
    assert response.headers["Transfer-Encoding"] == "chunked"
    rows = list(csv.reader(response.text.splitlines()))
    assert rows[0] == ["id", "name", "message", "written"]
    assert len(rows) == len(entries) + 1
    assert ["guest 4", 'quoted, "text"'] in [row[1:3] for row in rows]


def test_a_file_is_sent_whole_and_not_again_when_it_has_not_changed(server: Served) -> None:
    first = requests.get(f"{server.url}/source", timeout=10)
    assert first.content == (EXAMPLES / "flask_app" / "guestbook.py").read_bytes()
    again = requests.get(f"{server.url}/source", headers={"If-None-Match": first.headers["ETag"]}, timeout=10)
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/nowhere", 404, "Back to the guestbook"),
        ("GET", "/entries/99999/picture", 404, "This entry has no picture."),
        ("GET", "/sign", 405, "Method Not Allowed"),
        ("GET", "/fail", 500, "Internal Server Error"),
    ],
)
def test_flask_draws_its_own_errors(server: Served, method: str, path: str, status: int, text: str) -> None:
    response = requests.request(method, server.url + path, timeout=10)
    assert response.status_code == status
    assert text in response.text


def test_a_limit_the_program_has_set_is_told_by_the_program(server: Served) -> None:
    sent = {"name": "x", "message": "y" * (2 << 20)}
    response = requests.post(f"{server.url}/sign", data=sent, timeout=10)
    assert response.status_code == 413
