"""examples/falcon_app, untouched, by curl: JSON, hooks, middleware, uploads, a stream, a file."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.examples.served import EXAMPLES, Served, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    shutil.which("curl") is None, reason="curl is not installed; .ci/run installs it"
)

BOOK = {"isbn": "9780140449266", "title": "The Count of Monte Cristo", "author": "Dumas"}


@pytest.fixture(scope="module", name="server")
def _server() -> Iterator[Served]:
    with serve("falcon_app/library.py") as server:
        yield server


def curl(server: Served, path: str, *options: str) -> tuple[int, dict[str, str], bytes]:
    """Return status, fields by lower-case name, and content."""
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--include", "--max-time", "20", *options, server.url + path],
        capture_output=True,
        check=True,
    )
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    while head.startswith(b"HTTP/1.1 100"):
        head, _, body = body.partition(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").split("\r\n")
    pairs = (field.partition(":") for field in fields)
    return int(line.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}, body


def post(server: Served, book: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    return curl(server, "/books", "--json", json.dumps(book))


def test_a_book_is_made_read_listed_and_removed(server: Served) -> None:
    book = {**BOOK, "isbn": "9780000000001"}
    status, fields, _ = post(server, book)
    assert (status, fields["location"]) == (201, "/books/9780000000001")
    assert post(server, book)[0] == 200
    assert json.loads(curl(server, "/books/9780000000001")[2]) == book
    assert book in json.loads(curl(server, "/books?author=Dumas")[2])
    assert json.loads(curl(server, "/books?author=Nobody")[2]) == []
    status, fields, body = curl(server, "/books/9780000000001", "--request", "DELETE")
    assert (status, body) == (204, b"")
    assert "content-length" not in fields
    assert curl(server, "/books/9780000000001")[0] == 404


@pytest.mark.parametrize(
    ("path", "options", "status"),
    [
        ("/books/123", (), 400),
        ("/books/9789999999999", (), 404),
        ("/elsewhere", (), 404),
        ("/books", ("--request", "PATCH"), 405),
        ("/books", ("--json", "{"), 400),
        ("/books", ("--json", "[]"), 422),
        ("/books", ("--json", '{"title": "no isbn"}'), 400),
    ],
)
def test_falcon_tells_its_own_errors(
    server: Served, path: str, options: tuple[str, ...], status: int
) -> None:
    found, fields, body = curl(server, path, *options)
    assert found == status
    assert fields["content-type"] == "application/json"
    assert "title" in json.loads(body)


def test_an_upload_after_100_continue_comes_back_byte_by_byte(server: Served, tmp_path: Path) -> None:
    cover = tmp_path / "cover.png"
    cover.write_bytes(bytes(range(256)) * 8192)
    post(server, BOOK)
    status, _, _ = curl(
        server,
        f"/books/{BOOK['isbn']}/cover",
        *(
            "--upload-file",
            str(cover),
            "--header",
            "Content-Type: image/png",
            "--header",
            "Expect: 100-continue",
        ),
    )
    assert status == 204
    status, fields, body = curl(server, f"/books/{BOOK['isbn']}/cover")
    assert (status, fields["content-type"]) == (200, "image/png")
    assert body == cover.read_bytes()


def test_a_form_with_a_file_is_read_by_falcons_own_parser(server: Served, tmp_path: Path) -> None:
    cover = tmp_path / "form.png"
    cover.write_bytes(b"png" * 1000)
    post(server, BOOK)
    status, fields, _ = curl(
        server, f"/books/{BOOK['isbn']}/cover", "--form", f"cover=@{cover};type=image/png"
    )
    assert (status, fields["location"]) == (303, f"/books/{BOOK['isbn']}/cover")
    assert curl(server, f"/books/{BOOK['isbn']}/cover")[2] == cover.read_bytes()


def test_the_export_is_a_line_of_json_for_each_book(server: Served) -> None:
    post(server, BOOK)
    status, fields, body = curl(server, "/export", "--raw")
    assert status == 200
    assert fields["transfer-encoding"] == "chunked"
    sizes_and_lines = body.split(b"\r\n")
    assert sizes_and_lines[-3:] == [b"0", b"", b""]
    assert BOOK in [json.loads(line) for line in sizes_and_lines[1:-3:2]]


def test_a_file_given_to_the_server_arrives_whole(server: Served) -> None:
    status, fields, body = curl(server, "/source")
    assert status == 200
    assert body == (EXAMPLES / "falcon_app" / "library.py").read_bytes()
    assert int(fields["content-length"]) == len(body)


def test_the_middleware_names_every_request(server: Served) -> None:
    assert curl(server, "/books", "--header", "X-Request-ID: abc")[1]["x-request-id"] == "abc"
    with httpx.Client(base_url=server.url) as client:
        assert len({client.get("/books").headers["X-Request-ID"] for _ in range(3)}) == 3
