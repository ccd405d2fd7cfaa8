"""examples/hello: the object hello."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.examples.served import Served, responses, serve, start

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", name="server")
def _server() -> Iterator[Served]:
    with serve("hello/hello.py:Root") as server:
        yield server


def test_objects_become_pages(server: Served) -> None:
    with httpx.Client(base_url=server.url) as client:
        assert client.get("/").text == "Hello, world!"
        assert client.get("/greet", params={"name": "Ada", "times": "2"}).text == "Hello, Ada!\nHello, Ada!"
        assert client.get("/greet/Grace").text == "Hello, Grace!"


@pytest.mark.parametrize(
    ("path", "status"),
    [("/nowhere", 404), ("/greet?surprise=1", 404), ("/greet?times=many", 500), ("/%00", 404)],
)
def test_what_does_not_fit_is_an_error_page(server: Served, path: str, status: int) -> None:
    response = httpx.get(server.url + path)
    assert response.status_code == status
    assert "many" not in response.text
    assert "Traceback" not in response.text


def test_a_kept_connection_serves_one_request_after_another(server: Served) -> None:
    with server.connect() as connection:
        for name in ("Ada", "Grace", "Barbara"):
            connection.sendall(f"GET /greet?name={name} HTTP/1.1\r\nHost: hello.example\r\n\r\n".encode())
            ((status, fields, body),) = responses(connection, 1)
            assert (status, body) == (200, f"Hello, {name}!".encode())
            assert fields["content-type"] == "text/plain; charset=utf-8"


def test_pipelined_requests_are_answered_in_their_order(server: Served) -> None:
    names = [f"n{number}" for number in range(40)]
    requests = "".join(f"GET /greet?name={name} HTTP/1.1\r\nHost: hello.example\r\n\r\n" for name in names)
    with server.connect() as connection:
        connection.sendall(requests.encode())
        assert [body for _, _, body in responses(connection, len(names))] == [
            f"Hello, {name}!".encode() for name in names
        ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_as_a_script_it_serves_until_a_signal(number: signal.Signals) -> None:
    program = (
        "import runpy, kirsch; kirsch.config.update({'server.bind': ['127.0.0.1:0']});"
        " runpy.run_path('hello/hello.py', run_name='__main__')"
    )
    with start("-c", program) as server:
        assert httpx.get(server.url).text == "Hello, world!"
        assert server.end(number) == 0
