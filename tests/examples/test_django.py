"""examples/django_app, untouched: models, templates, forms with CSRF tokens, sessions, streams."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.examples.served import EXAMPLES, Served, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module", name="database")
def _database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    database = tmp_path_factory.mktemp("django") / "survey.sqlite3"
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        cwd=EXAMPLES / "django_app",
        env={**os.environ, "SURVEY_DB": str(database)},
        check=True,
    )
    return database


@pytest.fixture(scope="module", name="server")
def _server(database: Path) -> Iterator[Served]:
    with serve("survey.wsgi", "--chdir", "django_app", SURVEY_DB=str(database)) as server:
        yield server


@pytest.fixture(name="client")
def _client(server: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, follow_redirects=True) as client:
        yield client


def ask(client: httpx.Client, question: str, choices: str) -> httpx.Response:
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', client.get("/ask/").text)
    assert found is not None
    form = {"csrfmiddlewaretoken": found[1], "text": question, "choices": choices}
    return client.post("/ask/", data=form)


def test_a_question_is_asked_and_voted_on(client: httpx.Client) -> None:
    page = ask(client, "Sweet or sour?", "Sweet\r\nSour")
    assert "Your question is asked." in page.text
    choices = re.findall(r'name="choice" value="(\d+)"', page.text)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert token is not None
    for _ in range(2):
        page = client.post(
            f"{page.url.path}vote/" if not page.url.path.endswith("vote/") else page.url.path,
            data={"csrfmiddlewaretoken": token[1], "choice": choices[1]},
        )
    assert "You chose Sour." in page.text
    assert "(2 votes)" in page.text


def test_a_form_without_its_token_is_refused(client: httpx.Client) -> None:
    assert client.post("/ask/", data={"text": "?", "choices": "a\nb"}).status_code == 403


def test_a_form_that_is_not_valid_comes_back_with_its_errors(client: httpx.Client) -> None:
    page = ask(client, "Only one?", "One")
    assert page.status_code == 200
    assert "Give at least two choices." in page.text


def test_results_are_streamed(client: httpx.Client) -> None:
    ask(client, "Which, of these?", "Bing\nLapins")
    response = client.get("/results.csv")
    assert response.headers["Transfer-Encoding"] == "chunked"
    assert response.headers["Content-Disposition"] == 'attachment; filename="results.csv"'
    assert '"Which, of these?",Bing,0\r\n' in response.text


def test_a_file_is_sent_whole(client: httpx.Client) -> None:
    response = client.get("/source/")
    assert response.content == (EXAMPLES / "django_app" / "polls" / "views.py").read_bytes()
    assert int(response.headers["Content-Length"]) == len(response.content)


def test_a_path_without_its_slash_is_redirected(server: Served) -> None:
    response = httpx.get(f"{server.url}/ask")
    assert (response.status_code, response.headers["Location"]) == (301, "/ask/")


def test_django_draws_its_own_errors(client: httpx.Client) -> None:
    response = client.get("/nowhere/<i>")
    assert response.status_code == 404
    assert "Nothing is asked at /nowhere/&lt;i&gt;." in response.text


def test_a_host_django_does_not_know_is_its_own_400(server: Served) -> None:
    assert httpx.get(server.url, headers={"Host": "evil.example"}).status_code == 400


def test_a_head_request_has_the_fields_of_its_get_and_no_content(client: httpx.Client) -> None:
    response = client.head("/source/")
    assert response.status_code == 200
    assert response.headers["Content-Length"] == client.get("/source/").headers["Content-Length"]
    assert response.content == b""
