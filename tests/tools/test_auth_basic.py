"""User name and password with every request."""

from __future__ import annotations

import base64
import hmac
import time
from typing import Any

import pytest

from kirsch.tools.auth_basic import checkpassword_dict
from kirsch.web import Gateway, HTTPError, Tree, current, expose
from tests.server.harness import Client, serving
from tests.tools.helpers import Answer, ask, make, wsgi

USERS = {"bing": "s3cr3t", "jörg": "kirschgrün€", "colon": "a:b:c", "empty": ""}


class Root:
    @expose
    def index(self) -> str:
        return f"hello {current().login}"  # type: ignore[union-attr]


def app(**keys: Any) -> Any:
    settings = {
        "on": True,
        "realm": "cherries",
        "checkpassword": checkpassword_dict(USERS),
        "plain_http": True,
    }
    named: dict[str, Any] = {f"auth_basic__{name}": value for name, value in (settings | keys).items()}
    return make(Root(), **named)


def header(user: str, password: str, charset: str = "utf-8") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode(charset)).decode()}


def get(fields: dict[str, str], **keys: Any) -> Answer:
    return ask(app(**keys), fields=fields)


@pytest.mark.parametrize("user", USERS)
def test_who_knows_the_password_gets_in(user: str) -> None:
    for answer in (get(header(user, USERS[user])), wsgi(app(), fields=header(user, USERS[user]))):
        assert (answer.code, answer.text) == (200, f"hello {user}")


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("bing", "wrong"),
        ("bing", ""),
        ("none", "s3cr3t"),
        ("", ""),
        ("BING", "s3cr3t"),
        ("bing", "s3cr3t "),
        ("none", ""),
    ],
)
def test_who_does_not_stays_out_and_is_logged_without_the_password(
    user: str, password: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = get(header(user, password))
    assert answer.code == 401
    assert answer.header("WWW-Authenticate") == 'Basic realm="cherries", charset="UTF-8"'
    assert f"refused {user!a} from 192.0.2.7: wrong user or password" in caplog.text
    assert not password or password not in caplog.text.replace("wrong user", "")
    assert "hello" not in answer.text


@pytest.mark.parametrize(
    "fields", [{}, {"Authorization": "Bearer x"}, {"Authorization": "Digest a=b"}, {"Authorization": ""}]
)
def test_who_did_not_try_is_asked(fields: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    answer = get(fields)
    assert answer.code == 401
    assert answer.header("WWW-Authenticate") is not None
    assert not caplog.records


@pytest.mark.parametrize(
    "token",
    [
        *("", "x", "====", "YmluZw==", "YmluZzpz?", "YmluZzpzM2NyM3Q", "é", "\xff\xfe", "YmluZzpz M2NyM3Q="),
        base64.b64encode(b"bing:s3cr3t\n").decode(),
        base64.b64encode(b"bi\0ng:s3cr3t").decode(),
        base64.b64encode("bing:\x9f".encode()).decode(),
        "A" * 9000,
    ],
)
def test_what_is_malformed_is_the_clients_mistake(token: str) -> None:
    assert get({"Authorization": f"Basic {token}"}).code == 400


def test_names_in_other_charsets_and_forms_are_the_same_names() -> None:
    users = {"jörg": "é"}
    check = checkpassword_dict(users)
    assert get(header("jörg", "é", "latin-1"), checkpassword=check).code == 200
    # Decomposed, as some systems type it.
    assert get(header("jo\u0308rg", "e\u0301"), checkpassword=check).code == 200
    answer = get({}, checkpassword=check, accept_charset="latin-1")
    assert answer.header("WWW-Authenticate") == 'Basic realm="cherries"'
    assert get(header("jörg", "é", "latin-1"), checkpassword=check, accept_charset="latin-1").code == 200


def test_a_realm_is_escaped() -> None:
    assert get({}, realm='a "b"').header("WWW-Authenticate") == r'Basic realm="a \"b\"", charset="UTF-8"'


def test_the_check_gets_realm_user_and_password() -> None:
    seen: list[Any] = []

    def check(realm: str, user: str, password: str) -> int:
        seen.append((realm, user, password))
        return 1

    get(header("a", "b:c"), checkpassword=check)
    assert seen == [("cherries", "a", "b:c")]


def test_passwords_are_not_taken_where_everybody_can_read_them(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = get(header("bing", "s3cr3t"), plain_http=False)
    assert answer.code == 403
    assert answer.header("WWW-Authenticate") is None
    assert "https" in answer.text
    tls: dict[str, Any] = {"wsgi.url_scheme": "https"}
    secure = wsgi(app(plain_http=False), fields=header("bing", "s3cr3t"), **tls)
    assert secure.code == 200
    here = wsgi(app(plain_http=False), fields=header("bing", "s3cr3t"), REMOTE_ADDR="127.0.0.1")
    assert here.code == 200


def test_a_program_is_told_of_failures_and_may_slow_them_down() -> None:
    def failed(request: Any, user: str, reason: str) -> None:
        raise HTTPError(429, headers={"Retry-After": "60"})

    answer = get(header("bing", "x"), failed=failed)
    assert (answer.code, answer.header("Retry-After")) == (429, "60")


@pytest.mark.parametrize("missing", ["realm", "checkpassword"])
def test_without_its_keys_it_lets_nobody_in(missing: str, caplog: pytest.LogCaptureFixture) -> None:
    answer = get(header("bing", "s3cr3t"), **{missing: None})
    assert answer.code == 500
    assert f"not 'tools.auth_basic.{missing}'" in caplog.text


def test_an_unknown_key_names_the_nearest(caplog: pytest.LogCaptureFixture) -> None:
    assert get({}, real="x").code == 500
    assert "did you mean realm?" in caplog.text


def test_the_comparison_is_one_that_takes_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[int, int]] = []
    real = hmac.compare_digest

    def compare(one: Any, other: Any) -> bool:
        compared.append((len(one), len(other)))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    check = checkpassword_dict(USERS)
    for user, password in (("bing", "x"), ("none", "x" * 1000), ("bing", "s3cr3t")):
        check("r", user, password)
    assert compared == [(32, 32)] * 3


def test_an_unknown_user_costs_as_much_as_a_wrong_password() -> None:
    check = checkpassword_dict(USERS)

    def cost(user: str) -> int:
        rounds = []
        for _ in range(7):
            begun = time.perf_counter_ns()
            for _ in range(300):
                check("r", user, "wrong")
            rounds.append(time.perf_counter_ns() - begun)
        return min(rounds)

    known, unknown = cost("bing"), cost("none")
    assert 0.5 < known / unknown < 2


def test_on_the_real_server() -> None:
    program = app(plain_http=False)
    tree = Tree(program.site)
    tree.mount(program)
    with serving(Gateway(tree)) as server, Client(server) as client:
        assert client.get(b"/")[0].startswith(b"HTTP/1.1 401")
        token = header("bing", "s3cr3t")["Authorization"].encode()
        assert client.get(b"/", b"Authorization: " + token)[2] == b"hello bing"
