"""Pages of other origins: only those on the list, only what they may; no reflection, no surprises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirsch.security.cors import CORSGuard, CORSRules, cors
from kirsch.web import HTTPError, current, expose
from tests.security.helpers import native, send, site_of, values, wsgi

if TYPE_CHECKING:
    from tests.web.helpers import Answer

GOOD = "https://good.example"
RULES: dict[str, Any] = {
    "origins": [GOOD, "http://localhost:3000"],
    "methods": ["GET", "PUT"],
    "headers": ["X-Thing"],
    "expose": ["X-Total"],
    "credentials": True,
    "max_age": 300,
}
ALLOW = "Access-Control-Allow-Origin"


class Data:
    @expose
    def index(self) -> str:
        return "data"

    @expose
    def broken(self) -> str:
        raise RuntimeError("unexpected")

    @expose
    def secret(self) -> str:
        return "secret"


def needs_login() -> None:
    raise HTTPError(401)


def both(method: str, fields: dict[str, str], rules: dict[str, Any], target: str = "/") -> list[Answer]:
    """Return the answers of a foreign program and of an object."""
    config = {f"tools.cors.{name}": value for name, value in rules.items()}
    objects = native(Data(), {"/": {"tools.cors.on": True, **config}})
    return [
        send(gateway, target, method, fields) for gateway in (CORSGuard(wsgi(), CORSRules(**rules)), objects)
    ]


@pytest.mark.parametrize("origin", [GOOD, "http://localhost:3000"])
def test_a_page_of_a_listed_origin_may_read(origin: str) -> None:
    for answer in both("GET", {"Origin": origin}, RULES):
        assert answer.code == 200
        assert values(answer, ALLOW) == [origin]
        assert values(answer, "Access-Control-Allow-Credentials") == ["true"]
        assert values(answer, "Access-Control-Expose-Headers") == ["X-Total"]
        assert values(answer, "Vary") == ["Origin"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "https://good.evil",
        "https://good.example.evil.example",
        "https://evilgood.example",
        "HTTPS://GOOD.EXAMPLE",
        "https://good.example:443",
        "https://good.example/",
        "http://good.example",
        "*",
        " ",
    ],
)
def test_no_other_origin_may_and_none_is_reflected(origin: str) -> None:
    question = {"Origin": origin, "Access-Control-Request-Method": "GET"}
    for method, fields, code in (("GET", {"Origin": origin}, 200), ("OPTIONS", question, 403)):
        for answer in both(method, fields, RULES):
            assert answer.code == code
            assert not [name for name, _ in answer.fields if name.startswith("Access-Control")]
            assert values(answer, "Vary") == ["Origin"]


def test_an_answer_to_nobody_in_particular_tells_caches_that_it_might_differ() -> None:
    for answer in both("GET", {}, RULES):
        assert (values(answer, "Vary"), values(answer, ALLOW)) == (["Origin"], [])


def test_public_data_is_for_everybody_and_without_cookies() -> None:
    for answer in both("GET", {"Origin": "https://any.example"}, {"origins": ["*"]}):
        assert values(answer, ALLOW) == ["*"]
        assert values(answer, "Vary") == []
        assert values(answer, "Access-Control-Allow-Credentials") == []


def test_errors_have_the_fields_too() -> None:
    answer = both("GET", {"Origin": GOOD}, RULES, "/broken")[1]
    assert (answer.code, values(answer, ALLOW)) == (500, [GOOD])


@pytest.mark.parametrize(
    ("wanted", "headers", "code"),
    [
        ("GET", "", 204),
        ("PUT", "x-thing", 204),
        ("PUT", "X-Thing, content-type", 204),
        ("PUT", ",x-thing ,", 204),
        ("DELETE", "", 403),
        ("put", "", 403),
        ("PUT", "x-other", 403),
        ("PUT", "x-thing, authorization", 403),
    ],
)
def test_a_browsers_question_is_answered_by_the_rules(wanted: str, headers: str, code: int) -> None:
    fields = {"Origin": GOOD, "Access-Control-Request-Method": wanted}
    if headers:
        fields["Access-Control-Request-Headers"] = headers
    for answer in both("OPTIONS", fields, RULES):
        assert answer.code == code
        assert values(answer, ALLOW) == ([GOOD] if code == 204 else [])
        assert values(answer, "Access-Control-Allow-Methods") == (["GET, PUT"] if code == 204 else [])
        assert values(answer, "Access-Control-Allow-Headers") == (["X-Thing"] if code == 204 else [])
        assert values(answer, "Access-Control-Max-Age") == (["300"] if code == 204 else [])
        assert values(answer, "Vary") == ["Origin"]
        assert code == 403 or answer.body == b""


def test_options_that_is_no_question_is_the_programs() -> None:
    for fields in ({}, {"Origin": GOOD}, {"Access-Control-Request-Method": "GET"}):
        for answer in both("OPTIONS", fields, RULES):
            assert (answer.code, answer.body != b"") == (200, True)


def test_a_question_is_answered_before_anything_asks_who_the_user_is() -> None:
    config = {f"tools.cors.{name}": value for name, value in RULES.items()}
    gateway = native(Data(), {"/": {"tools.cors.on": True, **config, "hooks.before_handler": needs_login}})
    fields = {"Origin": GOOD, "Access-Control-Request-Method": "GET"}
    answer = send(gateway, "/secret", "OPTIONS", fields)
    assert (answer.code, answer.body) == (204, b"")
    assert send(gateway, "/secret", fields={"Origin": GOOD}).code == 401


def test_fields_that_a_program_sets_itself_stand() -> None:
    guard = CORSGuard(wsgi([(ALLOW.lower(), "https://own.example")]), CORSRules(**RULES))
    assert values(send(guard, fields={"Origin": GOOD}), ALLOW) == ["https://own.example"]


def test_wrappers_around_finish_the_answers_to_questions() -> None:
    from kirsch.security.guard import SecureHeaders

    guard = SecureHeaders(CORSGuard(wsgi(), CORSRules(**RULES)))
    answer = send(guard, "/", "OPTIONS", {"Origin": GOOD, "Access-Control-Request-Method": "GET"})
    assert (answer.code, values(answer, "X-Frame-Options")) == (204, ["DENY"])


def test_rules_without_fields_of_their_own_say_nothing_of_them() -> None:
    guard = CORSGuard(wsgi(), CORSRules(origins=[GOOD]))
    answer = send(guard, "/", "OPTIONS", {"Origin": GOOD, "Access-Control-Request-Method": "GET"})
    assert values(answer, "Access-Control-Allow-Headers") == []
    assert values(answer, "Access-Control-Max-Age") == ["600"]


def test_off_means_off() -> None:
    answer = send(native(Data()), fields={"Origin": GOOD})
    assert not [name for name, _ in answer.fields if name.startswith("Access-Control")]


def test_it_can_be_called_in_a_hook() -> None:
    def ask() -> None:
        cors(current(), **RULES)  # type: ignore[arg-type]

    gateway = native(Data(), {"/": {"hooks.on_start_resource": ask}})
    fields = {"Origin": GOOD, "Access-Control-Request-Method": "GET"}
    assert send(gateway, "/", "OPTIONS", fields).code == 204
    assert send(gateway, "/", "GET", fields).code == 200


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ({"origins": ["*"], "credentials": True}, "without credentials"),
        ({"origins": ["*", GOOD]}, "stands alone"),
        ({"origins": ["null"]}, "is no origin"),
        ({"origins": ["https://A.example"]}, "is no origin"),
        ({"origins": ["https://a.example/"]}, "is no origin"),
        ({"origins": ["https://a.example:443"]}, "is no origin"),
        ({"origins": ["https://a@b.example"]}, "is no origin"),
        ({"origins": ["https://["]}, "is no origin"),
        ({"origins": ["https://*.example.evil path"]}, "is no origin"),
        ({"origins": [GOOD], "methods": ["*"]}, "not the name"),
        ({"origins": [GOOD], "headers": ["a\r\nb"]}, "not the name"),
    ],
)
def test_rules_that_let_in_too_many_cannot_be_made(rules: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        CORSRules(**rules)


def test_one_origin_is_a_list_too() -> None:
    with pytest.raises(TypeError, match="a list of origins"):
        CORSRules(origins=GOOD)


def test_wrong_rules_of_a_tool_are_told_when_the_plan_is_made() -> None:
    from kirsch.web.plan import Building

    tool = site_of().toolboxes["tools"].cors
    with pytest.raises(ValueError, match="is no origin"):
        tool.attach(Building({}, slash=True), {"origins": ["a"]})


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="https:/good.example*null \t@#\x80", max_size=30))
def test_no_text_but_the_origin_itself_is_answered(origin: str) -> None:
    answer = send(CORSGuard(wsgi(), CORSRules(**RULES)), fields={"Origin": origin})
    assert values(answer, ALLOW) == ([origin] if origin == GOOD else [])
