"""A password that never travels: RFC 7616, its examples, and what its section 5 warns of."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from requests.auth import HTTPDigestAuth

from kirsch.tools.auth_digest import (
    WINDOW,
    DigestAuth,
    Nonces,
    _Uses,
    digest_of,
    get_ha1_dict,
    get_ha1_dict_plain,
    get_ha1_file_htdigest,
)
from kirsch.web import Gateway, InternalRedirect, Tree, current, expose
from tests.server.harness import serving
from tests.tools.helpers import Answer, ask, make, wsgi

if TYPE_CHECKING:
    from pathlib import Path

REALM, USER, PASSWORD, KEY = "cherries", "bing", "s3cr3t", b"k" * 32
USERS = {USER: PASSWORD, "jörg": "grün"}


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class Root:
    @expose
    def index(self, **params: str) -> str:
        return f"hello {current().login}"  # type: ignore[union-attr]

    @expose
    def default(self, *path: str) -> str:
        return "deep"

    @expose
    def away(self) -> str:
        raise InternalRedirect("/")


class Site:
    """An application behind the tool, with a clock of its own, and a client that knows the rules."""

    def __init__(self, **keys: Any) -> None:
        self.clock = Clock()
        self.nonces = Nonces(clock=self.clock)
        self.algorithm = keys.get("algorithm", "SHA-256")
        get_ha1 = get_ha1_dict_plain(USERS, self.algorithm)
        settings: dict[str, Any] = {"on": True, "realm": REALM, "get_ha1": get_ha1, "key": KEY} | keys
        named: dict[str, Any] = {f"auth_digest__{name}": value for name, value in settings.items()}
        self.app = make(Root(), **named)
        self.app.site.toolboxes["tools"].auth_digest = DigestAuth(self.nonces)

    def ask(self, field: str | None = None, target: str = "/", method: str = "GET") -> Answer:
        return ask(self.app, target, method, {} if field is None else {"Authorization": field})

    def challenge(self) -> dict[str, str]:
        return challenge_of(self.ask())

    def field(self, **changes: Any) -> str:
        """Return an Authorization field; a change of None leaves a parameter out."""
        params = {
            "username": USER,
            "realm": REALM,
            "nonce": changes.pop("nonce", None) or self.challenge()["nonce"],
            "uri": "/",
            "nc": "00000001",
            "cnonce": "c",
            "qop": "auth",
            "algorithm": self.algorithm,
        }
        method, password = changes.pop("method", "GET"), changes.pop("password", PASSWORD)
        late = {name: changes.pop(name) for name in ("response", "late_uri") if name in changes}
        params |= changes
        shown = {name: value for name, value in params.items() if value is not None}
        if "response" not in late:
            name = "md5" if self.algorithm.startswith("MD5") else "sha256"
            ha1 = hashlib.new(name, f"{params['username']}:{REALM}:{password}".encode()).hexdigest()
            filled = {name: value or "" for name, value in params.items()}
            late["response"] = digest_of(ha1, method, filled, self.algorithm)
        shown["response"] = late["response"]
        shown["uri"] = late.get("late_uri", shown.get("uri", ""))
        bare = {"nc", "qop", "algorithm"}
        return "Digest " + ", ".join(
            f"{name}={value}" if name in bare else f'{name}="{value}"' for name, value in shown.items()
        )


def challenge_of(answer: Answer) -> dict[str, str]:
    field = answer.header("WWW-Authenticate") or ""
    assert field.startswith("Digest ")
    return {name: value.strip('"') for name, value in re.findall(r'(\w+)=("[^"]*"|[^,]*)', field[7:])}


# ---- the examples of the RFC ---------------------------------------------------------------------------

EXAMPLE = {
    "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
    "nc": "00000001",
    "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    "qop": "auth",
    "uri": "/dir/index.html",
}


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_digest_is_that_of_rfc_7616_3_9_1(algorithm: str, response: str) -> None:
    get_ha1 = get_ha1_dict_plain({"Mufasa": "Circle of Life"}, algorithm)
    ha1 = get_ha1("http-auth@example.org", "Mufasa")
    assert ha1 is not None
    assert digest_of(ha1, "GET", EXAMPLE, algorithm) == response


# ---- who gets in ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["SHA-256", "SHA-256-sess", "MD5", "MD5-sess"])
def test_who_knows_the_password_gets_in(algorithm: str) -> None:
    site = Site(algorithm=algorithm)
    assert site.ask(site.field()).text == "hello bing"
    assert wsgi(site.app, fields={"Authorization": site.field()}).text == "hello bing"


def test_the_challenge_offers_what_is_safe() -> None:
    answer = Site().ask()
    field = answer.header("WWW-Authenticate") or ""
    assert answer.code == 401
    assert re.fullmatch(
        r'Digest realm="cherries", nonce="[\w-]{43}", algorithm=SHA-256, qop="auth", charset=UTF-8', field
    )
    assert "MD5" not in field
    assert Site(accept_charset="latin-1").challenge().get("charset") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"password": "wrong"},
        {"username": "none"},
        {"username": "none", "password": ""},
        {"response": "0" * 64},
        {"response": "x"},
        {"response": "\xe9"},
        {"realm": "others"},
        {"method": "POST"},
    ],
)
def test_who_does_not_stays_out(changes: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    site = Site()
    answer = site.ask(site.field(**changes))
    assert answer.code == 401
    assert "stale" not in challenge_of(answer)
    assert "hello" not in answer.text
    assert "from 192.0.2.7: " in caplog.text
    assert PASSWORD not in caplog.text


def test_a_user_without_a_hash_is_no_user_whose_hash_is_empty() -> None:
    site = Site(get_ha1=lambda realm, user: None)
    empty = hashlib.sha256(b"").hexdigest()
    nonce = site.challenge()["nonce"]
    params = {"nonce": nonce, "nc": "00000001", "cnonce": "c", "qop": "auth", "uri": "/"}
    assert site.ask(site.field(nonce=nonce, response=digest_of(empty, "GET", params))).code == 401


def test_comparisons_take_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    real = hmac.compare_digest

    def compare(one: Any, other: Any) -> bool:
        seen.append((len(one), len(other)))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    site = Site()
    site.ask(site.field(password="wrong"))
    site.ask(site.field(username="none"))
    site.ask(site.field())
    assert seen == [(64, 64), (64, 64), (64, 64), (16, 16)]


# ---- what is malformed ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["username", "realm", "nc", "cnonce", "qop"])
def test_a_missing_parameter_is_the_clients_mistake(name: str) -> None:
    site = Site()
    answer = site.ask(site.field(**{name: None}))
    assert answer.code == 400
    assert name in answer.text


@pytest.mark.parametrize(
    "changes",
    [
        {"nc": "1"},
        {"nc": "0000000g"},
        {"nc": "00000000"},
        {"nc": "-0000001"},
        {"nc": "000000001"},
        {"qop": "auth-int"},
        {"qop": "x"},
        {"algorithm": "MD5"},
        {"algorithm": "SHA-512"},
        {"algorithm": None},
        {"uri": "/other"},
        {"uri": "/?a=1"},
        {"uri": "relative"},
        {"uri": "//"},
        {"uri": "*"},
    ],
)
def test_parameters_that_do_not_fit_are_the_clients_mistake(changes: dict[str, Any]) -> None:
    site = Site()
    assert site.ask(site.field(**changes)).code == 400


@pytest.mark.parametrize(
    "field",
    [
        "Digest",
        "Digest ",
        "Digest x",
        "Digest =,=;",
        'Digest nonce="',
        "Digest " + "a=b," * 3000,
        "Digest \xff",
    ],
)
def test_what_is_no_field_at_all_is_too(field: str) -> None:
    assert Site().ask(field).code == 400


@pytest.mark.parametrize("field", ["Basic YTpi", ""])
def test_another_scheme_is_asked_for_this_one(field: str) -> None:
    assert Site().ask(field).code == 401


@given(st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=80))
def test_no_field_is_an_error_of_ours(text: str) -> None:
    assert SITE.ask("Digest " + text).code in {400, 401}
    assert SITE.ask(SITE.field(nonce="n") + "," + text).code in {400, 401}


SITE = Site()


# ---- for which request ---------------------------------------------------------------------------------


def test_credentials_of_one_page_open_no_other() -> None:
    site = Site()
    stolen = site.field(uri="/")
    assert site.ask(stolen, "/secret").code == 400
    assert site.ask(stolen, "/?x=1").code == 400
    # Changing the uri to fit makes the digest wrong.
    moved = stolen.replace('uri="/"', 'uri="/secret"')
    assert site.ask(moved, "/secret").code == 401


@pytest.mark.parametrize(
    ("uri", "target"),
    [
        ("/a%2Cb", "/a,b"),
        ("/a,b", "/a%2cb"),
        ("/?q=a%20b", "/?q=a%20b"),
        ("http://example.test/", "/"),
        ("/a%2fb", "/a%2Fb"),
    ],
)
def test_the_same_target_may_be_written_otherwise(uri: str, target: str) -> None:
    site = Site()
    assert site.ask(site.field(uri=uri), target).code == 200


def test_a_slash_and_an_encoded_slash_are_two_targets() -> None:
    site = Site()
    assert site.ask(site.field(uri="/a%2Fb"), "/a/b").code == 400


def test_the_request_the_client_sent_counts_not_the_one_within() -> None:
    site = Site()
    assert site.ask(site.field(uri="/away"), "/away").code == 200
    # The tool has run for both resources, and the count was used once.
    field = site.field(uri="/away")
    assert [site.ask(field, "/away").code for _ in range(2)] == [200, 401]


# ---- when ----------------------------------------------------------------------------------------------


def test_the_same_field_twice_is_refused_and_the_client_may_begin_anew() -> None:
    site = Site()
    field = site.field()
    assert site.ask(field).code == 200
    answer = site.ask(field)
    assert answer.code == 401
    fresh = challenge_of(answer)
    assert fresh["stale"] == "true"
    assert site.ask(site.field(nonce=fresh["nonce"])).code == 200


def test_without_the_guard_the_same_field_would_do(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site()
    field = site.field()
    monkeypatch.setattr(Nonces, "use", lambda *args: True)
    assert [site.ask(field).code for _ in range(3)] == [200, 200, 200]


def test_counts_go_up_and_may_overtake_each_other_a_little() -> None:
    site = Site()
    nonce = site.challenge()["nonce"]

    def use(count: int) -> int:
        return site.ask(site.field(nonce=nonce, nc=f"{count:08x}")).code

    assert [use(count) for count in (1, 2, 5, 3, 4, 3, 5, 100, 100, 37, 37, 36, 101)] == [
        *(200, 200, 200, 200, 200, 401, 401, 200, 401, 200, 401, 401, 200)
    ]


@given(st.lists(st.integers(1, 200), max_size=60))
def test_no_count_is_taken_twice_whatever_the_order(counts: list[int]) -> None:
    uses = _Uses(0)
    taken: set[int] = set()
    for count in counts:
        recent = count > max(taken, default=0) - WINDOW
        assert uses.add(count) is (recent and count not in taken)
        if recent:
            taken.add(count)


def test_a_nonce_ends_and_says_so_only_to_who_knows_the_password() -> None:
    site = Site(nonce_life=60)
    nonce = site.challenge()["nonce"]
    site.clock.now += 59
    assert site.ask(site.field(nonce=nonce)).code == 200
    site.clock.now += 1
    answer = site.ask(site.field(nonce=nonce, nc="00000002"))
    assert (answer.code, challenge_of(answer)["stale"]) == (401, "true")
    answer = site.ask(site.field(nonce=nonce, nc="00000003", password="wrong"))
    assert (answer.code, challenge_of(answer).get("stale")) == (401, None)


@pytest.mark.parametrize("nonce", ["made-up", "", "A" * 43, "A" * 42 + "!", "\xe9" * 43, "A" * 4000])
def test_a_nonce_that_is_none_of_ours_is_not_taken(nonce: str) -> None:
    site = Site()
    assert site.nonces.issued(KEY, REALM, nonce) is None
    if nonce:
        answer = site.ask(site.field(nonce=nonce))
        assert answer.code == 401


def test_a_nonce_is_for_its_key_and_realm_and_cannot_be_given_a_longer_life() -> None:
    nonces = Nonces(clock=Clock())
    nonce = nonces.issue(KEY, REALM)
    assert nonces.issued(KEY, REALM, nonce) == 1_700_000_000_000_000
    assert nonces.issued(b"other", REALM, nonce) is None
    assert nonces.issued(KEY, "other", nonce) is None
    data = bytearray(base64.urlsafe_b64decode(nonce + "="))
    data[7] ^= 1
    assert nonces.issued(KEY, REALM, base64.urlsafe_b64encode(data).decode().rstrip("=")) is None


def test_nonces_from_the_future_and_from_before_the_start_are_used_up() -> None:
    clock = Clock()
    before = Nonces(clock=clock)
    old = before.issue(KEY, REALM)
    clock.now += 1
    nonces = Nonces(clock=clock)
    issued = nonces.issued(KEY, REALM, old)
    assert issued is not None
    assert not nonces.use(old, issued, 1, 600)
    new = nonces.issue(KEY, REALM)
    issued = nonces.issued(KEY, REALM, new)
    assert issued is not None
    clock.now -= 1
    assert not nonces.use(new, issued, 1, 600)
    clock.now += 1
    assert nonces.use(new, issued, 1, 600)


def test_memory_is_bounded_and_what_is_forgotten_is_not_taken_again() -> None:
    clock = Clock()
    nonces = Nonces(size=3, clock=clock)
    made = []
    for _ in range(5):
        clock.now += 1
        nonce = nonces.issue(KEY, REALM)
        made.append((nonce, nonces.issued(KEY, REALM, nonce) or 0))
    for nonce, issued in made:
        assert nonces.use(nonce, issued, 1, 600)
        assert len(nonces) <= 3
    assert [nonces.use(nonce, issued, 1, 600) for nonce, issued in made] == [False] * 5
    # Those still remembered go on, those forgotten do not.
    assert [nonces.use(nonce, issued, 2, 600) for nonce, issued in made] == [False, False, True, True, True]


def test_a_nonce_as_old_as_one_forgotten_just_now_is_used_up() -> None:
    clock = Clock()
    nonces = Nonces(size=1, clock=clock)
    first, second = nonces.issue(KEY, REALM), nonces.issue(KEY, REALM)
    issued = nonces.issued(KEY, REALM, first) or 0
    assert nonces.use(first, issued, 1, 600)
    assert not nonces.use(second, issued, 1, 600)


def test_nonces_that_have_ended_are_forgotten_first() -> None:
    clock = Clock()
    nonces = Nonces(clock=clock)
    for _ in range(3):
        clock.now += 1
        nonce = nonces.issue(KEY, REALM)
        assert nonces.use(nonce, nonces.issued(KEY, REALM, nonce) or 0, 1, 10)
    clock.now += 100
    nonce = nonces.issue(KEY, REALM)
    assert nonces.use(nonce, nonces.issued(KEY, REALM, nonce) or 0, 1, 10)
    assert len(nonces) == 1


def test_who_knows_no_password_takes_no_memory() -> None:
    site = Site()
    for _ in range(20):
        site.ask(site.field(password="wrong"))
    assert len(site.nonces) == 0


# ---- configuration -------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["text", b"bytes", None])
def test_the_key_may_be_text_bytes_or_left_to_chance(key: Any) -> None:
    site = Site(key=key)
    assert site.ask(site.field()).code == 200


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"realm": ""}, "not 'tools.auth_digest.realm'"),
        ({"get_ha1": None}, "not 'tools.auth_digest.get_ha1'"),
        ({"algorithm": "SHA-1"}, "is one of SHA-256, SHA-256-sess, MD5, MD5-sess, not 'SHA-1'"),
        ({"algoritm": "MD5"}, "did you mean algorithm?"),
    ],
)
def test_a_mistake_in_the_configuration_lets_nobody_in(
    keys: dict[str, Any], text: str, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site()
    site.app.config["/"].update({f"tools.auth_digest.{name}": value for name, value in keys.items()})
    assert site.ask().code == 500
    assert text in caplog.text


def test_names_that_are_not_ascii_work_as_utf_8_and_as_extended_parameters() -> None:
    site = Site()
    plain = site.field(username="jörg", password="grün")
    as_sent = plain.encode().decode("latin-1")
    assert site.ask(as_sent).text == "hello jörg"
    extended = site.field(username="jörg", password="grün").replace(
        'username="jörg"', "username*=UTF-8''j%C3%B6rg"
    )
    assert site.ask(extended).text == "hello jörg"


def test_a_realm_may_be_of_any_script_and_hold_quotes(caplog: pytest.LogCaptureFixture) -> None:
    site = Site(realm='grün "€"')
    shown = site.ask().header("WWW-Authenticate") or ""
    assert shown.encode("latin-1").decode().startswith('Digest realm="grün \\"€\\"", nonce=')
    field = site.field(realm="R").replace('"R"', r'"grün \"€\""').encode().decode("latin-1")
    # The name fits; the hash of the dict was made with another.
    assert site.ask(field).code == 401
    assert "wrong user or password" in caplog.text


def test_a_program_is_told_of_failures_but_not_of_old_nonces() -> None:
    told: list[str] = []
    site = Site(failed=lambda request, user, reason: told.append(user))
    field = site.field()
    site.ask(field)
    site.ask(field)
    site.ask(site.field(password="wrong"))
    assert told == ["bing"]


# ---- where hashes come from ----------------------------------------------------------------------------


def test_hashes_come_from_dicts_and_files(tmp_path: Path) -> None:
    plain = get_ha1_dict_plain({"a": "b"})
    ha1 = hashlib.sha256(b"a:r:b").hexdigest()
    assert (plain("r", "a"), plain("r", "x")) == (ha1, None)
    hashed = get_ha1_dict({"a": ha1})
    assert (hashed("r", "a"), hashed("r", "x")) == (ha1, None)
    path = tmp_path / "digest"
    path.write_text(f"\nodd\nx:r:0\na:other:1\na:r:{ha1}\na:r:s:2\n", "utf-8")
    filed = get_ha1_file_htdigest(path)
    assert (filed("r", "a"), filed("r:s", "a"), filed("r", "none")) == (ha1, "2", None)
    path.write_text("a:r:3", "utf-8")
    assert filed("r", "a") == "3"


# ---- real clients --------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
def test_real_clients_get_in(algorithm: str) -> None:
    app = make(
        Root(),
        auth_digest__on=True,
        auth_digest__realm=REALM,
        auth_digest__algorithm=algorithm,
        auth_digest__get_ha1=get_ha1_dict_plain(USERS, algorithm),
    )
    tree = Tree(app.site)
    tree.mount(app)
    with serving(Gateway(tree)) as server:
        url = server.urls[0].rstrip("/") + "/"
        with requests.Session() as session:
            session.auth = HTTPDigestAuth(USER, PASSWORD)
            for target in ("", "?a=b%20c", "deep/er"):
                assert session.get(url + target, timeout=10).status_code == 200
            session.auth = HTTPDigestAuth(USER, "wrong")
            assert session.get(url, timeout=10).status_code == 401
        if shutil.which("curl"):
            command = ["curl", "-s", "--digest", "-u", f"{USER}:{PASSWORD}", url, f"{url}?a=b,c"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
            assert done.stdout == "hello bing" * 2
