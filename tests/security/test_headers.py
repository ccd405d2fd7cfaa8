"""Every answer carries the fields, whatever becomes of it; what the program sets itself stands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from kirsch.http.fields import SharedFields
from kirsch.http.headers import Headers
from kirsch.security.csp import CSP, NONCE, CSPError
from kirsch.security.headers import (
    PERMISSIONS,
    VERSION_FIELDS,
    HeaderRules,
    SecureHeadersTool,
    attachment,
    clear_site_data,
    secureheaders,
)
from kirsch.web import HTTPError, HTTPRedirect, InternalRedirect, current, expose
from kirsch.web.context import request, response
from tests.security.helpers import native, send, site_of, values

if TYPE_CHECKING:
    from collections.abc import Callable

EXPECTED = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Permissions-Policy": PERMISSIONS,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Origin-Agent-Cluster": "?1",
    "X-Permitted-Cross-Domain-Policies": "none",
    "X-DNS-Prefetch-Control": "off",
    "X-XSS-Protection": "0",
}
HSTS = "Strict-Transport-Security"
ON = {"tools.secureheaders.on": True}


class Pages:
    """Pages that end in every way there is."""

    @expose
    def index(self) -> str:
        return "hello"

    @expose
    def error(self, code: str = "413") -> None:
        raise HTTPError(int(code), "no", headers={"X-Frame-Options": "SAMEORIGIN"} if code == "418" else None)

    @expose
    def away(self) -> None:
        raise HTTPRedirect("/")

    @expose
    def unchanged(self) -> None:
        raise HTTPRedirect([], 304)

    @expose
    def inside(self) -> None:
        raise InternalRedirect("/error")

    @expose
    def broken(self) -> None:
        raise RuntimeError("unexpected")

    @expose
    def stream(self) -> Any:
        response.stream = True
        yield b"one"
        yield b"two"

    @expose
    def own(self, name: str, value: str) -> str:
        response.headers[name] = value
        return "own"

    @expose
    def cookie(self) -> str:
        response.set_cookie("a", "b")
        return "cookie"

    @expose
    def login(self) -> str:
        request.login = "anna"
        return "hello anna"

    @expose
    def logout(self) -> str:
        clear_site_data(current().response)  # type: ignore[union-attr]
        return "bye"

    @expose
    def several(self) -> str:
        for name in ("Server", "X-Powered-By", "SourceMap", "X-Runtime"):
            response.headers[name] = "Program/1.2.3"
        return "versions"

    def _cp_dispatch(self, vpath: list[str]) -> object:
        if vpath[0] == "lost":
            raise RuntimeError("in dispatch")
        return None


WAYS = [
    ("/", "GET", 200),
    ("/", "HEAD", 200),
    ("/", "TRACE", 405),
    ("/", "BREW", 501),
    ("/missing", "GET", 404),
    ("/lost/and/found", "GET", 500),
    ("/away", "GET", 303),
    ("/unchanged", "GET", 304),
    ("/error", "GET", 413),
    ("/inside", "GET", 413),
    ("/broken", "GET", 500),
    ("/stream", "GET", 200),
]


@pytest.mark.parametrize(("target", "method", "code"), WAYS)
def test_every_answer_has_every_field_once_and_none_with_the_tool_off(
    target: str, method: str, code: int
) -> None:
    answer = send(native(Pages(), tools__secureheaders__on=True), target, method)
    bare = send(native(Pages(), tools__secureheaders__on=False), target, method)
    assert answer.code == bare.code == code
    for name, value in EXPECTED.items():
        assert values(answer, name) == [value]
        assert values(bare, name) == []
    assert values(answer, HSTS) == []


@pytest.mark.parametrize(
    "point", ["on_start_resource", "before_request_body", "before_handler", "before_finalize"]
)
@pytest.mark.parametrize("error", [HTTPError(403), RuntimeError("in a hook")])
def test_errors_in_hooks_have_them(point: str, error: Exception) -> None:
    def fail() -> None:
        raise error

    answer = send(native(Pages(), {"/": {f"hooks.{point}": fail}}, **{"tools.secureheaders.on": True}))
    assert answer.code in {403, 500}
    for name, value in EXPECTED.items():
        assert values(answer, name) == [value]


def test_the_last_resort_has_them() -> None:
    def fail() -> None:
        raise RuntimeError("in the error response")

    answer = send(native(Pages(), {"/": {"request.error_response": fail}}, **ON), "/broken")
    assert answer.code == 500
    assert values(answer, "X-Frame-Options") == ["DENY"]


def test_a_path_under_no_application_has_them() -> None:
    from kirsch.web import Application, Gateway, Tree

    tree = Tree(site_of(tools__secureheaders__on=True))
    tree.mount(Application(Pages(), "/below", site=tree.site))
    answer = send(Gateway(tree), "/elsewhere")
    assert (answer.code, values(answer, "X-Frame-Options")) == (404, ["DENY"])


@pytest.mark.parametrize(("target", "method", "code"), WAYS)
def test_strict_transport_security_is_sent_over_tls_and_never_without(
    target: str, method: str, code: int
) -> None:
    gateway = native(Pages(), tools__secureheaders__on=True)
    for _ in range(2):  # in turn, over one memory
        assert values(send(gateway, target, method), HSTS) == []
        answer = send(gateway, target, method, scheme="https")
        assert (answer.code, values(answer, HSTS)) == (code, ["max-age=31536000"])
        assert values(answer, "Content-Security-Policy")[0].endswith("; upgrade-insecure-requests")


def test_a_scheme_that_a_program_took_from_its_proxy_counts() -> None:
    def trust() -> None:
        request.scheme = "https"

    gateway = native(Pages(), {"/": {"hooks.on_start_resource": trust}}, **ON)
    assert values(send(gateway), HSTS) == ["max-age=31536000"]


@pytest.mark.parametrize("name", [*EXPECTED, "Cache-Control"])
def test_what_a_handler_sets_stands_and_comes_once(name: str) -> None:
    gateway = native(Pages(), tools__secureheaders__on=True)
    value = "sandbox" if name == "Content-Security-Policy" else "own value"
    for spelt in (name, name.lower(), name.upper()):
        answer = send(gateway, f"/own?name={spelt}&value={value.replace(' ', '%20')}", scheme="https")
        assert values(answer, name) == [value]


@pytest.mark.parametrize(
    ("name", "value", "frame", "ancestors"),
    [
        ("X-Frame-Options", "SAMEORIGIN", "SAMEORIGIN", "frame-ancestors 'self'"),
        ("X-Frame-Options", "sameorigin", "sameorigin", "frame-ancestors 'self'"),
        ("X-Frame-Options", "ALLOW-FROM https://a.example", "ALLOW-FROM https://a.example", None),
        ("Content-Security-Policy", "frame-ancestors 'self'", "SAMEORIGIN", "frame-ancestors 'self'"),
        ("Content-Security-Policy", "Frame-Ancestors 'none'", "DENY", "Frame-Ancestors 'none'"),
        ("Content-Security-Policy", "frame-ancestors a.example", None, "frame-ancestors a.example"),
        ("Content-Security-Policy", "default-src 'self'", "DENY", None),
    ],
)
def test_the_two_fields_about_frames_agree_when_a_handler_sets_one(
    name: str, value: str, frame: str | None, ancestors: str | None
) -> None:
    gateway = native(Pages(), tools__secureheaders__on=True)
    for _ in range(2):
        target = f"/own?name={name}&value={value.replace(' ', '%20').replace(':', '%3A')}"
        answer = send(gateway, target)
        assert answer.header("X-Frame-Options") == frame
        policy = answer.header("Content-Security-Policy") or ""
        assert ("frame-ancestors" in policy.lower()) is (ancestors is not None)
        assert ancestors is None or ancestors in policy
    # Nothing of it is left for the next page.
    assert send(gateway).header("X-Frame-Options") == "DENY"


@pytest.mark.parametrize(
    ("frame", "field", "ancestors"),
    [
        ("DENY", "DENY", "'none'"),
        ("sameorigin", "SAMEORIGIN", "'self'"),
        (["'self'", "https://a.example"], None, "'self' https://a.example"),
        (None, None, None),
    ],
)
def test_one_option_changes_both_fields_about_frames(frame: Any, field: str | None, ancestors: Any) -> None:
    answer = send(native(Pages(), {"/": {"tools.secureheaders.frame": frame}}, **ON))
    assert answer.header("X-Frame-Options") == field
    policy = answer.header("Content-Security-Policy") or ""
    found = re.search(r"frame-ancestors ([^;]*)", policy)
    assert (found and found[1]) == ancestors


def test_configuration_of_a_path_overrides_and_drops() -> None:
    sections = {
        "/away": {
            "tools.secureheaders.csp": None,
            "tools.secureheaders.coep": "require-corp",
            "tools.secureheaders.referrer_policy": "no-referrer, same-origin",
            "tools.secureheaders.xss_protection": "1; mode=block",
            "tools.secureheaders.permissions_policy": None,
            "tools.secureheaders.corp": None,
        },
        "/error": {"tools.secureheaders.on": False},
    }
    gateway = native(Pages(), sections, **ON)
    answer = send(gateway, "/away")
    assert values(answer, "Content-Security-Policy") == []
    assert values(answer, "Permissions-Policy") == []
    assert values(answer, "Cross-Origin-Resource-Policy") == []
    assert values(answer, "Cross-Origin-Embedder-Policy") == ["require-corp"]
    assert values(answer, "Referrer-Policy") == ["no-referrer, same-origin"]
    assert values(answer, "X-XSS-Protection") == ["1; mode=block"]
    assert values(answer, "X-Frame-Options") == ["DENY"]
    assert values(send(gateway, "/error"), "X-Frame-Options") == []
    assert values(send(gateway), "Content-Security-Policy") == [EXPECTED["Content-Security-Policy"]]


def test_the_decorator_switches_it_on_for_one_page() -> None:
    switch: Callable[[Any], Any] = site_of().toolboxes["tools"].secureheaders(frame="SAMEORIGIN")

    class Root:
        @expose
        def plain(self) -> str:
            return ""

        @expose
        @switch
        def framed(self) -> str:
            return ""

    assert send(native(Root()), "/plain").header("X-Frame-Options") is None
    assert send(native(Root()), "/framed").header("X-Frame-Options") == "SAMEORIGIN"


@pytest.mark.parametrize(
    ("target", "fields"),
    [("/login", {}), ("/cookie", {}), ("/", {"Authorization": "Basic YTpi"}), ("/", {"authorization": "x"})],
)
def test_what_is_for_one_person_is_kept_out_of_caches(target: str, fields: dict[str, str]) -> None:
    gateway = native(Pages(), tools__secureheaders__on=True)
    assert values(send(gateway, target, fields=fields), "Cache-Control") == ["no-store, max-age=0"]
    assert values(send(gateway), "Cache-Control") == []
    own = "/own?name=Cache-Control&value=private"
    assert values(send(gateway, own, fields={"Authorization": "x"}), "Cache-Control") == ["private"]
    off = native(Pages(), {"/": {"tools.secureheaders.private_cache": None}}, **ON)
    assert values(send(off, target, fields=fields), "Cache-Control") == []


def test_versions_are_taken_out() -> None:
    leaky = send(native(Pages(), tools__secureheaders__on=False), "/several")
    assert "1.2.3" in str(leaky.fields)
    gateway = native(Pages(), tools__secureheaders__on=True)
    for _ in range(2):
        answer = send(gateway, "/several")
        assert "1.2.3" not in str(answer.fields)
        assert values(answer, "X-Frame-Options") == ["DENY"]
    keeping = native(Pages(), {"/": {"tools.secureheaders.remove": ["X-Powered-By"]}}, **ON)
    answer = send(keeping, "/several")
    assert values(answer, "X-Powered-By") == []
    assert values(answer, "X-Runtime") == ["Program/1.2.3"]
    assert {name.lower() for name in VERSION_FIELDS} == VERSION_FIELDS


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ({"hsts": 63072000, "hsts_subdomains": True}, "max-age=63072000; includeSubDomains"),
        (
            {"hsts_subdomains": True, "hsts_preload": True},
            "max-age=31536000; includeSubDomains; preload",
        ),
        ({"hsts": 0}, "max-age=0"),
        ({"hsts": None}, None),
    ],
)
def test_strict_transport_security_is_what_the_options_say(
    options: dict[str, Any], value: str | None
) -> None:
    fields = HeaderRules(**options).finisher.apply([], tls=True, private=False)
    assert dict(fields).get(HSTS) == value
    assert HSTS not in dict(HeaderRules(**options).finisher.apply([], tls=False, private=False))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"frame": "ALLOW"}, "frame is DENY, SAMEORIGIN"),
        ({"frame": ["a b;"]}, "visible ASCII"),
        ({"hsts": -1}, "a number of seconds"),
        ({"hsts_preload": True}, "needs hsts_subdomains"),
        ({"hsts_preload": True, "hsts_subdomains": True, "hsts": 300}, "needs hsts_subdomains"),
        ({"referrer_policy": "no-referer"}, "did you mean no-referrer"),
        ({"coop": "sameorigin"}, "Cross-Origin-Opener-Policy is"),
        ({"coep": "on"}, "Cross-Origin-Embedder-Policy is"),
        ({"corp": "*"}, "Cross-Origin-Resource-Policy is"),
        ({"content_type_options": "sniff"}, "X-Content-Type-Options is nosniff"),
        ({"xss_protection": "2"}, "X-XSS-Protection is"),
        ({"report_to": "reports"}, "is a path such as"),
        ({"csp": "scripts 'self'"}, "no such directive"),
        ({"permissions_policy": "a\r\nSet-Cookie: a=b"}, "control character"),
    ],
)
def test_values_that_browsers_would_not_take_are_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        HeaderRules(**options)


def test_an_unknown_option_is_refused_with_the_nearest_one() -> None:
    answer = send(native(Pages(), {"/": {"tools.secureheaders.frames": "DENY"}}, **ON))
    assert answer.code == 500
    from kirsch.web.plan import Building

    building = Building({}, slash=True)
    with pytest.raises(TypeError, match=r"no argument 'frames'; did you mean frame\?"):
        site_of().toolboxes["tools"].secureheaders.attach(building, {"frames": "DENY"})
    with pytest.raises(TypeError, match="it has csp, csp_report_only"):
        site_of().toolboxes["tools"].secureheaders.attach(building, {"qqqqqqqqqq": 1})


def test_reports_go_where_both_fields_say() -> None:
    rules = HeaderRules(report_to="/csp-reports", csp_report_only="default-src 'none'")
    fields = dict(rules.finisher.apply([], tls=False, private=False))
    assert fields["Reporting-Endpoints"] == 'csp="/csp-reports"'
    assert fields["Content-Security-Policy"].count("report-uri /csp-reports; report-to csp") == 1
    assert fields["Content-Security-Policy-Report-Only"] == (
        "default-src 'none'; report-uri /csp-reports; report-to csp; frame-ancestors 'none'"
    )


def test_a_policy_may_be_an_object_with_trusted_types() -> None:
    policy = CSP(script_src="self", require_trusted_types_for="script", frame_ancestors="a.example")
    fields = dict(HeaderRules(csp=policy).finisher.apply([], tls=True, private=False))
    assert fields["Content-Security-Policy"] == (
        "script-src 'self'; require-trusted-types-for 'script'; frame-ancestors a.example; "
        "upgrade-insecure-requests"
    )
    quiet = HeaderRules(csp=policy, csp_upgrade=False).finisher.apply([], tls=True, private=False)
    assert "upgrade" not in dict(quiet)["Content-Security-Policy"]


STRICT = CSP(script_src=(NONCE, "strict-dynamic"), object_src="none", base_uri="none")


def test_a_nonce_is_in_both_policies_but_not_with_a_304_and_not_beside_ones_own() -> None:
    settings = {"tools.secureheaders.csp": STRICT, "tools.secureheaders.csp_report_only": STRICT}
    gateway = native(Pages(), {"/": settings}, **ON)
    answer = send(gateway, scheme="https")
    policy = answer.header("Content-Security-Policy") or ""
    only = answer.header("Content-Security-Policy-Report-Only") or ""
    nonces = re.findall(r"'nonce-([A-Za-z0-9_-]{22,})'", policy + only)
    assert len(nonces) == 2
    assert len(set(nonces)) == 1
    assert policy.endswith("frame-ancestors 'none'; upgrade-insecure-requests")
    unchanged = send(gateway, "/unchanged")
    assert values(unchanged, "Content-Security-Policy") == []
    assert values(unchanged, "X-Frame-Options") == ["DENY"]
    own = send(gateway, "/own?name=Content-Security-Policy&value=sandbox")
    assert values(own, "Content-Security-Policy") == ["sandbox"]


def test_the_tool_can_be_called_in_a_handler() -> None:
    class Root:
        @expose
        def index(self) -> str:
            response.headers["X-Frame-Options"] = "SAMEORIGIN"
            secureheaders(current(), csp=STRICT)  # type: ignore[arg-type]
            return "called"

        @expose
        def plain(self) -> str:
            secureheaders(current(), csp=None)  # type: ignore[arg-type]
            return "called"

    answer = send(native(Root(), tools__secureheaders__on=False))
    assert values(answer, "X-Frame-Options") == ["SAMEORIGIN"]
    assert "nonce-" in (answer.header("Content-Security-Policy") or "")
    assert "frame-ancestors 'self'" in (answer.header("Content-Security-Policy") or "")
    plain = send(native(Root(), tools__secureheaders__on=False), "/plain")
    assert values(plain, "Content-Security-Policy") == []
    assert values(plain, "X-Content-Type-Options") == ["nosniff"]


def test_a_users_own_tool_of_that_name_takes_its_place() -> None:
    site = site_of(tools__secureheaders__on=True)
    tools = site.toolboxes["tools"]

    @tools.register("before_finalize", priority=60)
    def secureheaders() -> None:
        response.headers["X-Frame-Options"] = "DENY by hand"

    from kirsch.web import Application, Gateway, Tree

    tree = Tree(site)
    tree.mount(Application(Pages(), "", site=site))
    answer = send(Gateway(tree))
    assert values(answer, "X-Frame-Options") == ["DENY by hand"]
    assert values(answer, "Content-Security-Policy") == []
    assert tools.secureheaders.priority == 60


def test_a_logout_has_the_browser_forget() -> None:
    answer = send(native(Pages(), tools__secureheaders__on=True), "/logout")
    assert answer.header("Clear-Site-Data") == '"cache", "cookies", "storage"'
    with pytest.raises(ValueError, match="not 'cookie'"):
        clear_site_data(_Response(), "cookie")  # type: ignore[arg-type]
    made = _Response()
    clear_site_data(made, "*")  # type: ignore[arg-type]
    assert made.headers["Clear-Site-Data"] == '"*"'


class _Response:
    def __init__(self) -> None:
        self.headers = Headers()


@pytest.mark.parametrize(
    ("name", "disposition"),
    [
        ("page.html", 'attachment; filename="page.html"'),
        ("../../etc/passwd", 'attachment; filename="passwd"'),
        ("C:\\windows\\x.svg", 'attachment; filename="x.svg"'),
        ("", "attachment"),
    ],
)
def test_what_somebody_uploaded_is_saved_and_not_run(name: str, disposition: str) -> None:
    made = _Response()
    attachment(made, name)  # type: ignore[arg-type]
    assert made.headers["Content-Disposition"] == disposition
    assert "sandbox" in made.headers["Content-Security-Policy"]
    assert made.headers["X-Content-Type-Options"] == "nosniff"


# --- what makes it cheap ---


def test_the_fields_of_a_page_are_one_object_that_the_server_knows_again() -> None:
    gateway = native(Pages(), tools__secureheaders__on=True)
    first = send(gateway).exchange.fields
    assert isinstance(first, SharedFields)
    assert send(gateway).exchange.fields is first
    assert send(gateway, scheme="https").exchange.fields is not first


def test_memories_are_bounded_whatever_programs_send() -> None:
    finisher = HeaderRules().finisher
    for number in range(2000):
        finisher.apply(SharedFields([("X-A", str(number))]), tls=False, private=False)
        finisher.apply([(f"X-{number}", "a")], tls=False, private=False)
    memories: list[Any] = [*finisher._known, *finisher._whole, *finisher._added]
    for memory in memories:
        assert len(memory) <= 512


def test_answers_with_cookies_or_many_fields_are_not_remembered() -> None:
    finisher = HeaderRules().finisher
    for fields in ([("Set-Cookie", "a=b")], [("ETag", '"1"')], [(f"X-{each}", "a") for each in range(20)]):
        found = finisher.apply(fields, tls=False, private=False)
        assert isinstance(found, list)
        assert found[: len(fields)] == fields
        assert finisher.apply(fields, tls=False, private=False) is not found


def test_plans_with_the_same_options_share_their_rules() -> None:
    tool = SecureHeadersTool()
    assert tool._of({"frame": ["a.example"]}) is tool._of({"frame": ["a.example"]})
    assert tool._of({"frame": "DENY"}) is not tool._of({})


def test_a_policy_that_cannot_be_is_told_by_its_directive() -> None:
    with pytest.raises(CSPError):
        SecureHeadersTool()._of({"csp": "script-src 'strict-dynamic'"})


def test_shared_fields_with_cookies_are_made_anew_each_time() -> None:
    finisher = HeaderRules(csp="", referrer_policy=None, report_to=None).finisher
    fields = SharedFields([("Set-Cookie", "a=b")])
    found = finisher.apply(fields, tls=False, private=False)
    assert isinstance(found, list)
    assert ("Content-Security-Policy", "frame-ancestors 'none'") in found
    bare = HeaderRules(csp="", frame=None).finisher.apply([], tls=False, private=False)
    assert "Content-Security-Policy" not in dict(bare)


@pytest.mark.parametrize("over", [None, "Authorization"])
def test_an_exchange_is_finished_as_a_request_is(over: str | None) -> None:
    from tests.web.helpers import make_exchange

    exchange = make_exchange(fields={} if over is None else {over: "x"})
    exchange.status = "200 OK"
    exchange.fields = SharedFields([("Content-Type", "text/plain")])
    HeaderRules().finisher.finish_exchange(exchange)
    assert dict(exchange.fields).get("Cache-Control") == (None if over is None else "no-store, max-age=0")
