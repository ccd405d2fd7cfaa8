"""Policies: what is written is what browsers take; what they would ignore is refused."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirsch.security.csp import CSP, NONCE, CSPError, digest, nonce
from kirsch.web import NoRequestError, current, expose
from tests.security.helpers import native, send

HASH = "'sha256-" + base64.b64encode(bytes(32)).decode() + "'"


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        (CSP(default_src="self"), "default-src 'self'"),
        (
            CSP(default_src="'none'", img_src="self https: data:"),
            "default-src 'none'; img-src 'self' https: data:",
        ),
        (CSP(script_src=("SELF", "cdn.example:8443/js/")), "script-src 'self' cdn.example:8443/js/"),
        (
            CSP(script_src=["https://*.example", "[2001:db8::1]:*"]),
            "script-src https://*.example [2001:db8::1]:*",
        ),
        (CSP(script_src=[HASH, "strict-dynamic"]), f"script-src {HASH} 'strict-dynamic'"),
        (CSP(script_src=HASH.strip("'")), f"script-src {HASH}"),
        (CSP(upgrade_insecure_requests=True, sandbox=True), "upgrade-insecure-requests; sandbox"),
        (
            CSP(sandbox="allow-forms allow-popups-to-escape-sandbox"),
            "sandbox allow-forms allow-popups-to-escape-sandbox",
        ),
        (CSP(default_src="self", object_src=None, upgrade_insecure_requests=False), "default-src 'self'"),
        (
            CSP(require_trusted_types_for="script", trusted_types=["default", "allow-duplicates"]),
            "require-trusted-types-for 'script'; trusted-types default 'allow-duplicates'",
        ),
        (CSP(trusted_types="*"), "trusted-types *"),
        (CSP(report_uri="/reports?a=1", report_to="csp"), "report-uri /reports?a=1; report-to csp"),
        (CSP(), ""),
    ],
)
def test_a_policy_is_written_as_browsers_read_it(policy: CSP, text: str) -> None:
    assert str(policy) == text
    assert CSP.parse(text) == policy
    assert hash(CSP.parse(text)) == hash(policy)


@pytest.mark.parametrize(
    ("directives", "problem"),
    [
        ({"script_source": "self"}, "did you mean script-src"),
        ({"x": "self"}, "no such directive"),
        ({"script_src": "'slef'"}, "did you mean 'self'"),
        ({"script_src": "'qqqqqqqqqq'"}, "is no keyword"),
        ({"script_src": ["self; object-src *"]}, "without spaces, ';' and ','"),
        ({"script_src": ["a.example;"]}, "without spaces, ';' and ','"),
        ({"script_src": ["a,b"]}, "without spaces, ';' and ','"),
        ({"report_uri": ["/a\r\nSet-Cookie: a=b"]}, "without spaces, ';' and ','"),
        ({"script_src": ["a\x00b"]}, "without spaces, ';' and ','"),
        ({"script_src": ["münchen.example"]}, "visible ASCII"),
        ({"script_src": ""}, "to allow nothing write 'none'"),
        ({"script_src": True}, "needs a value"),
        ({"script_src": ["none", "self"]}, "'none' stands alone"),
        ({"script_src": ["'nonce-abc'"]}, "a nonce that stays the same is none"),
        ({"script_src": ["sha256-abc"]}, "is not a sha256 hash"),
        ({"script_src": ["sha256-abcde"]}, "is not a sha256 hash"),
        ({"script_src": ["http://"]}, "neither a keyword"),
        ({"script_src": ["strict-dynamic"]}, "no script is trusted"),
        ({"default_src": ["strict-dynamic", "self"]}, "no script is trusted"),
        ({"upgrade_insecure_requests": "yes"}, "it has no value"),
        ({"sandbox": "scripts"}, "written allow-..."),
        ({"report_to": "a/b"}, "not the name of an endpoint"),
        ({"require_trusted_types_for": "style"}, "the only sink group"),
        ({"trusted_types": "a'b"}, "not the name of a policy"),
    ],
)
def test_what_browsers_would_ignore_is_refused(directives: dict[str, str], problem: str) -> None:
    with pytest.raises(CSPError, match=re.escape(problem)) as caught:
        CSP(**directives)
    assert caught.value.directive == next(iter(directives)).replace("_", "-")


def test_a_directive_that_comes_twice_is_refused() -> None:
    with pytest.raises(CSPError, match="it comes twice"):
        CSP.parse("script-src 'self';; Script-Src https:")


def test_replacing_leaves_the_policy_as_it_was() -> None:
    policy = CSP(default_src="self", object_src="none", upgrade_insecure_requests=True)
    other = policy.replace(object_src=None, frame_ancestors="none")
    assert str(other) == "default-src 'self'; upgrade-insecure-requests; frame-ancestors 'none'"
    assert str(policy) == "default-src 'self'; object-src 'none'; upgrade-insecure-requests"
    assert policy != "default-src 'self'"
    assert repr(policy) == f"<CSP {policy}>"


def test_the_hash_of_a_script_is_that_of_its_bytes() -> None:
    code = "alert('ä')"
    expected = base64.b64encode(hashlib.sha384(code.encode()).digest()).decode()
    assert digest(code, "sha384") == digest(code.encode(), "sha384") == f"'sha384-{expected}'"
    assert str(CSP(script_src=[digest(code)])) == f"script-src {digest(code)}"
    with pytest.raises(ValueError, match="not 'md5'"):
        digest(code, "md5")


def test_a_nonce_takes_its_place_in_every_directive() -> None:
    policy = CSP(script_src=(NONCE, "strict-dynamic"), style_src=["nonce"])
    assert policy.needs_nonce
    assert policy.text("abc") == "script-src 'nonce-abc' 'strict-dynamic'; style-src 'nonce-abc'"
    with pytest.raises(ValueError, match="another for each response"):
        str(policy)
    assert repr(policy) == "<CSP script-src 'nonce' 'strict-dynamic'; style-src 'nonce'>"
    assert not CSP(script_src="self").needs_nonce


class Page:
    @expose
    def index(self) -> str:
        return f"{nonce()} {nonce()}"

    @expose
    def asked(self) -> str:
        return f"{nonce(None)} {vars(current())['csp_nonce']}"


def test_a_thousand_responses_have_a_thousand_nonces_and_each_says_its_own() -> None:
    gateway = native(Page(), tools__secureheaders__on=True, tools__secureheaders__csp="script-src 'nonce'")
    found = set()
    for _ in range(1000):
        answer = send(gateway)
        first, second = answer.text.split()
        assert first == second
        assert len(first) >= 22
        assert (
            answer.header("Content-Security-Policy") == f"script-src 'nonce-{first}'; frame-ancestors 'none'"
        )
        found.add(first)
    assert len(found) == 1000
    first, second = send(gateway, "/asked").text.split()
    assert first == second


def test_there_is_no_nonce_without_a_request() -> None:
    with pytest.raises(NoRequestError):
        nonce()


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["script_src", "img_src", "sandbox", "report_uri", "x"]),
        st.lists(st.text(max_size=12), max_size=3),
    )
)
def test_whatever_is_put_in_nothing_comes_out_but_what_was_meant(directives: dict[str, list[str]]) -> None:
    try:
        policy = CSP(**directives)
    except CSPError:
        return
    text = policy.text("n")
    assert re.fullmatch(r"[\x20-\x7e]*", text)
    assert "," not in text
    assert [part.split()[0] for part in text.split(";") if part.strip()] == [
        name.replace("_", "-") for name in directives
    ]


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="script-src default 'self' none; sandbox,\n\x00é", max_size=60))
def test_any_text_is_a_policy_or_an_error(text: str) -> None:
    try:
        policy = CSP.parse(text)
    except CSPError:
        return
    assert CSP.parse(str(policy)) == policy
