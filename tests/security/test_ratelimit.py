"""So many requests in so long: told, refused, forgotten, and never more memory than said."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirsch.security.guard import SecureHeaders
from kirsch.security.ratelimit import RateLimiter, RateLimitGuard, address_key
from kirsch.web import current, expose
from kirsch.web.context import request
from tests.security.helpers import native, send, site_of, values, wsgi


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_allowed_then_one_by_one_as_time_goes() -> None:
    clock = Clock()
    limiter = RateLimiter(6, 60, burst=3, clock=clock)
    assert [limiter.hit("a")[:2] for _ in range(4)] == [(True, 2), (True, 1), (True, 0), (False, 0)]
    refused = limiter.hit("a")
    assert (refused.reset, refused.retry_after) == (30, 10)
    clock.now += 9.5
    assert limiter.hit("a").retry_after == 1
    clock.now += 0.5
    assert limiter.hit("a").allowed
    assert not limiter.hit("a").allowed
    assert limiter.hit("b").remaining == 2
    clock.now += 1000
    assert limiter.hit("a") == (True, 2, 10, 0)


def test_requests_may_be_worth_more_and_be_forgiven() -> None:
    limiter = RateLimiter(10, 60, clock=Clock())
    assert limiter.hit("a", cost=9).remaining == 1
    assert not limiter.hit("a", cost=2).allowed
    assert limiter.hit("a").allowed
    limiter.forgive("a")
    limiter.forgive("nobody")
    assert limiter.hit("a").remaining == 9


def test_a_flood_of_keys_takes_bounded_memory_and_forgets_what_is_used_up_last() -> None:
    clock = Clock()
    limiter = RateLimiter(1, 60, most=100, clock=clock)
    for number in range(1000):
        limiter.hit(number)
        assert len(limiter) <= 100
    assert not limiter.hit(999).allowed
    clock.now += 61
    limiter.hit("fresh")
    for number in range(90):
        limiter.hit(("new", number))
    assert not limiter.hit("fresh").allowed, "what had used up nothing was forgotten first"
    assert len(limiter) <= 100


def test_threads_together_get_what_one_would() -> None:
    limiter = RateLimiter(50, 3600)
    allowed: list[bool] = []

    def run() -> None:
        allowed.extend(limiter.hit("a").allowed for _ in range(100))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert allowed.count(True) == 50


@pytest.mark.parametrize(
    "wrong", [{"limit": 0}, {"limit": 1, "period": 0}, {"limit": 1, "burst": 0}, {"limit": 1, "most": 0}]
)
def test_limits_that_are_none_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at least 1 request"):
        RateLimiter(**wrong)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "local"),
        ("/run/socket", "/run/socket"),
    ],
)
def test_addresses_that_one_client_can_choose_from_are_one_key(address: str, key: str) -> None:
    assert address_key(address) == key


def test_a_program_answers_so_many_requests_of_one_network_and_refuses_the_rest() -> None:
    clock = Clock()
    guard = RateLimitGuard(wsgi(), RateLimiter(2, 60, clock=clock))
    first = send(guard, peer="2001:db8::1")
    assert values(first, "RateLimit-Policy") == ['"default";q=2;w=60']
    assert values(first, "RateLimit") == ['"default";r=1;t=30']
    assert send(guard, peer="2001:db8::2").code == 200
    refused = send(guard, peer="2001:db8::3")
    assert refused.code == 429
    assert values(refused, "Retry-After") == ["30"]
    assert values(refused, "RateLimit") == ['"default";r=0;t=60']
    assert send(guard, peer="2001:db8:0:1::1").code == 200
    assert [send(wsgi(), peer="2001:db8::1").code for _ in range(5)] == [200] * 5
    clock.now += 30
    assert send(guard, peer="2001:db8::9").code == 200


def test_answers_need_not_tell_but_refusals_do_and_have_the_secure_fields() -> None:
    guard = SecureHeaders(RateLimitGuard(wsgi(), RateLimiter(1), tell=False))
    assert values(send(guard), "RateLimit") == []
    refused = send(guard)
    assert values(refused, "RateLimit") == ['"default";r=0;t=60']
    assert values(refused, "X-Frame-Options") == ["DENY"]


class Pages:
    @expose
    def index(self) -> str:
        return "page"

    @expose
    def login(self, user: str = "") -> str:
        return "login"


def limited(**options: Any) -> dict[str, Any]:
    return {
        "tools.ratelimit.on": True,
        **{f"tools.ratelimit.{name}": value for name, value in options.items()},
    }


def codes(gateway: Any, count: int, **request: Any) -> list[int]:
    return [send(gateway, **request).code for _ in range(count)]


def test_pages_are_limited_together_or_apart_by_name() -> None:
    together = native(Pages(), {"/": limited(limit=2, name="together")})
    assert codes(together, 1) + codes(together, 2, target="/login") == [200, 200, 429]
    sections = {"/": limited(limit=2, name="pages"), "/login": limited(limit=1, name="login")}
    apart = native(Pages(), sections)
    assert codes(apart, 2) == [200, 200]
    assert codes(apart, 2, target="/login") == [200, 429]
    answer = send(native(Pages(), {"/": limited(limit=5, name="told")}))
    assert values(answer, "RateLimit") == ['"told";r=4;t=12']
    quiet = send(native(Pages(), {"/": limited(limit=5, name="quiet", tell=False)}))
    assert values(quiet, "RateLimit") == []


def test_guesses_of_a_password_are_limited_by_user_wherever_they_come_from() -> None:
    def by_user(request: Any) -> str:
        return str(request.params.get("user", ""))

    gateway = native(Pages(), {"/login": limited(limit=3, period=600.0, by=by_user, name="guesses")})
    found = [send(gateway, "/login?user=anna", peer=f"192.0.2.{number}").code for number in range(5)]
    assert found == [200, 200, 200, 429, 429]
    assert send(gateway, "/login?user=eve").code == 200
    bare = native(Pages())
    assert codes(bare, 5, target="/login?user=anna") == [200] * 5


def test_a_refused_page_says_when_to_come_back() -> None:
    gateway = native(Pages(), {"/": limited(limit=1, period=30.0, name="waits")})
    codes(gateway, 1)
    refused = send(gateway)
    assert (refused.code, values(refused, "Retry-After")) == (429, ["30"])


def test_users_who_are_logged_in_are_counted_by_name_others_by_address() -> None:
    def log_in() -> None:
        request.login = request.headers.get("X-User") or None

    sections = {"/": {**limited(limit=1, by="login", name="users"), "hooks.on_start_resource": log_in}}
    gateway = native(Pages(), sections)
    assert codes(gateway, 2, fields={"X-User": "anna"}) == [200, 429]
    assert codes(gateway, 2, fields={"X-User": "eve"}) == [200, 429]
    assert codes(gateway, 2) == [200, 429]
    assert codes(gateway, 1, peer="192.0.2.99") == [200]


def test_all_may_be_counted_together() -> None:
    gateway = native(Pages(), {"/": limited(limit=1, by="all", name="all")})
    assert codes(gateway, 1) + codes(gateway, 1, peer="192.0.2.99") == [200, 429]


def test_wrong_arguments_are_told_when_the_plan_is_made() -> None:
    from kirsch.web.plan import Building

    tool = site_of().toolboxes["tools"].ratelimit
    with pytest.raises(ValueError, match="by address, login or all"):
        tool.attach(Building({}, slash=True), {"by": "moon"})
    with pytest.raises(ValueError, match="at least 1 request"):
        tool.attach(Building({}, slash=True), {"limit": 0})
    with pytest.raises(TypeError, match="did you mean limit"):
        tool.attach(Building({}, slash=True), {"limits": 1})
    assert current() is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 30, allow_nan=False), max_size=60), st.integers(1, 5), st.integers(1, 5))
def test_never_more_than_the_burst_and_the_rate_pass(waits: list[float], limit: int, burst: int) -> None:
    clock = Clock()
    limiter = RateLimiter(limit, 10, burst=burst, clock=clock)
    begin, passed = clock.now, 0
    for wait in waits:
        clock.now += wait
        decision = limiter.hit("a")
        passed += decision.allowed
        assert decision.allowed == (decision.retry_after == 0)
        assert passed <= burst + (clock.now - begin) * limit / 10 + 1e-6
