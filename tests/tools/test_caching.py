"""Responses kept and sent again: which, for how long, for whom, and how much of them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirsch.http import FileBody, format_date
from kirsch.tools import caching
from kirsch.tools.caching import Caching, MemoryCache, Stored
from kirsch.web import HTTPError, Request, current, expose
from kirsch.web.dispatch import Path
from tests.tools.helpers import Answer, ask, make, wsgi
from tests.web.helpers import app_of, make_exchange

if TYPE_CHECKING:
    from collections.abc import Callable

WAIT = 10


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        # Time never stands still.
        self.now += 0.001
        return self.now


class Root:
    """Pages that count how often they are made; `make` says how."""

    def __init__(self) -> None:
        self.made = 0
        self.do: Callable[[Any, Any], Any] = lambda request, response: "page"

    @expose
    def index(self, **params: str) -> Any:
        self.made += 1
        request = current()
        assert request is not None
        found = self.do(request, request.response)
        return f"{found} {self.made}" if isinstance(found, str) else found

    @expose
    def other(self) -> str:
        self.made += 1
        return f"other {self.made}"


class Site:
    def __init__(self, **keys: Any) -> None:
        self.clock = Clock()
        self.root = Root()
        clock = self.clock
        self.caches: list[MemoryCache] = []

        def cache() -> MemoryCache:
            self.caches.append(MemoryCache(clock))
            return self.caches[-1]

        settings: dict[str, Any] = {"on": True, "cache_class": cache} | keys
        named: dict[str, Any] = {f"caching__{name}": value for name, value in settings.items()}
        self.app = make(self.root, **named)

    @property
    def cache(self) -> MemoryCache:
        return self.caches[0]

    def ask(self, target: str = "/", method: str = "GET", **fields: str) -> Answer:
        return ask(
            self.app, target, method, {name.replace("_", "-"): value for name, value in fields.items()}
        )


@pytest.fixture
def site() -> Site:
    return Site()


# ---- hits and misses -----------------------------------------------------------------------------------


def test_a_response_is_made_once_and_sent_again(site: Site) -> None:
    first, second = site.ask(), site.ask()
    assert (first.text, second.text) == ("page 1", "page 1")
    assert first.header("Age") is None
    assert second.header("Age") == "0"
    assert second.header("Content-Type") == first.header("Content-Type")
    site.clock.now += 30
    assert site.ask().header("Age") == "30"
    assert site.ask("/", "HEAD").header("Age") == "30"
    assert site.root.made == 1


def test_through_wsgi_it_is_the_same(site: Site) -> None:
    assert [wsgi(site.app).text for _ in range(2)] == ["page 1", "page 1"]


def test_without_the_tool_nothing_is_kept() -> None:
    root = Root()
    app = make(root)
    assert [ask(app).text for _ in range(2)] == ["page 1", "page 2"]


def test_each_url_is_kept_apart(site: Site) -> None:
    texts = [site.ask(target).text for target in ("/", "/?a=1", "/?a=2", "/other", "/?a=1")]
    assert texts == ["page 1", "page 2", "page 3", "other 4", "page 2"]
    assert ask(site.app, host="other.test").text == "page 5"


def test_a_program_can_tell(site: Site) -> None:
    seen: list[tuple[bool, bool]] = []

    def look(request: Any, /) -> None:
        seen.append((request.cached, request.cacheable))

    site.app.config["/"]["hooks.before_finalize"] = look
    for method in ("GET", "GET", "DELETE"):
        site.ask("/", method)
    assert seen == [(False, True), (True, False), (False, False)]


def test_head_is_answered_but_not_kept(site: Site) -> None:
    site.ask("/", "HEAD")
    assert site.ask().text == "page 2"


def test_other_methods_go_through(site: Site) -> None:
    site.ask()
    assert site.ask("/", "OPTIONS").text == "page 2"
    assert site.ask().text == "page 1"


def test_a_304_comes_from_the_cache(site: Site) -> None:
    def tagged(request: Any, response: Any) -> str:
        response.headers["ETag"] = '"v1"'
        response.headers["Last-Modified"] = format_date(5)
        return "page"

    site.root.do = tagged
    site.ask()
    assert site.ask("/", If_None_Match='"v1"').code == 304
    assert site.ask("/", If_Modified_Since=format_date(5)).code == 304
    assert site.ask("/", If_None_Match='"v2"').text == "page 1"
    assert site.root.made == 1


def test_debugging_tells_hits_from_misses(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "kirsch.error")
    site = Site(debug=True)
    site.ask()
    site.ask()
    assert "/: not in the cache" in caplog.text
    assert "/: from the cache" in caplog.text


# ---- what is never kept --------------------------------------------------------------------------------


def setting(**fields: str) -> Any:
    def do(request: Any, response: Any) -> str:
        for name, value in fields.items():
            response.headers[name.replace("_", "-")] = value
        return "page"

    return do


def cookie(request: Any, response: Any) -> str:
    response.set_cookie("a", "b")
    return "page"


def status(code: int) -> Any:
    def do(request: Any, response: Any) -> str:
        response.status = code
        return "page"

    return do


def refuse(request: Any, response: Any) -> str:
    raise HTTPError(404)


def stream(request: Any, response: Any) -> Any:
    response.stream = True
    return iter([b"x"])


def file(request: Any, response: Any) -> Any:
    import io

    return FileBody(io.BytesIO(b"x"), 0, 1)


def attribute(name: str, value: object) -> Any:
    def do(request: Any, response: Any) -> str:
        setattr(request, name, value)
        return "page"

    return do


PRIVATE = {
    "a cookie": cookie,
    "a cookie as a field": setting(Set_Cookie="a=b"),
    "private": setting(Cache_Control="private"),
    "Private among others": setting(Cache_Control='max-age=5, Private="x"'),
    "no-store": setting(Cache_Control="no-store"),
    "no-cache": setting(Cache_Control="no-cache"),
    "stale at once": setting(Cache_Control="max-age=0"),
    "a time that is none": setting(Cache_Control="max-age=soon"),
    "stale at once for shared caches": setting(Cache_Control="max-age=60, s-maxage=0"),
    "expired": setting(Expires=format_date(5)),
    "an end that is none": setting(Expires="0"),
    "a nonce": setting(Content_Security_Policy="script-src 'nonce-abc'"),
    "a nonce in a trial": setting(Content_Security_Policy_Report_Only="script-src 'Nonce-abc'"),
    "varying by everything": setting(Vary="*"),
    "an error": refuse,
    "a status of failure": status(500),
    "a part": status(206),
    "a stream": stream,
    "a file": file,
    "nothing": lambda request, response: b"",
    "a login": attribute("login", "bing"),
    "a session": attribute("session", {}),
    "a look at cookies": lambda request, response: request.cookies.get("a", "page"),
}


@pytest.mark.parametrize("case", PRIVATE)
def test_what_is_meant_for_one_client_or_now_is_never_kept(site: Site, case: str) -> None:
    site.root.do = PRIVATE[case]
    for _ in range(3):
        assert site.ask().header("Age") is None
    assert site.root.made == 3
    assert len(site.cache) == 0


def test_with_the_guard_off_a_cookie_would_go_to_everybody(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caching, "_storable", lambda request: True)
    site.root.do = setting(Set_Cookie="session=secret")
    assert [site.ask().header("Set-Cookie") for _ in range(2)] == ["session=secret"] * 2
    assert site.root.made == 1


def test_requests_with_credentials_are_neither_answered_nor_kept(site: Site) -> None:
    site.ask("/", Authorization="Basic x")
    assert site.ask().text == "page 2"
    assert site.ask("/", Authorization="Basic x").text == "page 3"


def test_a_look_at_cookies_that_is_admitted_is_kept_for_each(site: Site) -> None:
    def do(request: Any, response: Any) -> str:
        response.headers["Vary"] = "Cookie"
        return str(request.cookies.get("a", "none"))

    site.root.do = do
    texts = [site.ask("/", Cookie=value).text for value in ("a=1", "a=2", "a=1")]
    assert texts == ["1 1", "2 2", "1 1"]


@pytest.mark.parametrize("code", [203, 301, 308])
def test_other_final_answers_are_kept(site: Site, code: int) -> None:
    site.root.do = status(code)
    assert [site.ask().code for _ in range(2)] == [code, code]
    assert site.root.made == 1


# ---- for how long --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("do", "lifetime"),
    [
        (setting(), 600),
        (setting(Cache_Control="max-age=60"), 60),
        (setting(Cache_Control='max-age="60"'), 60),
        (setting(Cache_Control="max-age=60, s-maxage=30"), 30),
        (setting(Cache_Control="max-age=99999999999999999999"), 600),
        (setting(Cache_Control="public"), 600),
        (setting(Age="590"), 10),
    ],
)
def test_a_response_is_kept_for_as_long_as_it_says_and_no_longer_than_the_program(
    site: Site, do: Any, lifetime: int
) -> None:
    site.root.do = do
    site.ask()
    site.clock.now += lifetime - 1
    assert site.ask().text == "page 1"
    site.clock.now += 1
    assert site.ask().text == "page 2"


def test_an_end_by_date_counts_from_the_answer(site: Site) -> None:
    def do(request: Any, response: Any) -> str:
        response.headers["Expires"] = format_date(int(response.time) + 60)
        return "page"

    site.root.do = do
    site.ask()
    site.clock.now += 50
    assert site.ask().text == "page 1"
    site.clock.now += 11
    assert site.ask().text == "page 2"


def test_the_delay_can_be_chosen() -> None:
    site = Site(delay=5)
    site.ask()
    site.clock.now += 6
    assert site.ask().text == "page 2"
    assert Site(delay=0).ask().code == 200


def test_an_age_it_had_is_added(site: Site) -> None:
    site.root.do = setting(Age="100")
    site.ask()
    site.clock.now += 5
    assert site.ask().header("Age") == "105"


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("max-age=20", "page 1"),
        ("max-age=5", "page 2"),
        ("max-age=0", "page 2"),
        ("no-cache", "page 2"),
        ("NO-CACHE", "page 2"),
        ("min-fresh=580", "page 1"),
        ("min-fresh=595", "page 2"),
        ("max-stale=5, x", "page 1"),
        ("only-if-cached", "page 1"),
    ],
)
def test_a_client_may_want_a_fresh_one(site: Site, field: str, text: str) -> None:
    site.ask()
    site.clock.now += 10
    assert site.ask("/", Cache_Control=field).text == text
    # What was made anew is kept.
    assert site.ask().text == text


def test_a_client_may_want_nothing_kept(site: Site) -> None:
    assert site.ask("/", Cache_Control="no-store").text == "page 1"
    assert site.ask().text == "page 2"


def test_pragma_counts_where_there_is_nothing_newer(site: Site) -> None:
    site.ask()
    assert site.ask("/", Pragma="no-cache").text == "page 2"
    assert site.ask("/", Pragma="no-cache", Cache_Control="max-age=50").text == "page 2"


@pytest.mark.parametrize(
    "field", ["max-age", "max-age=", "max-age=x", "max-age=-1", "min-fresh=1.5", "max-age=\xb2"]
)
def test_seconds_that_are_none_are_the_clients_mistake(site: Site, field: str) -> None:
    assert site.ask("/", Cache_Control=field).code == 400


def test_only_if_cached_is_a_504_without_and_holds_nobody_up(site: Site) -> None:
    assert site.ask("/", Cache_Control="only-if-cached").code == 504
    assert site.root.made == 0
    assert not site.cache._flights
    assert site.ask().text == "page 1"


# ---- variants ------------------------------------------------------------------------------------------


def test_variants_are_kept_apart_by_what_they_vary_by(site: Site) -> None:
    site.root.do = setting(Vary="Accept-Language, X-Other")
    texts = [site.ask("/", Accept_Language=value).text for value in ("de", "en", "de", "en")]
    assert texts == ["page 1", "page 2", "page 1", "page 2"]
    assert site.ask().text == "page 3"


def test_a_page_that_comes_to_vary_by_something_else_begins_anew(site: Site) -> None:
    site.root.do = setting(Vary="Accept")
    site.ask("/", Accept="a")
    site.ask("/", Accept="b")
    assert len(site.cache) == 2
    site.root.do = setting(Vary="X-New")
    site.ask("/", Accept="c")
    assert len(site.cache) == 1
    assert site.ask("/", Accept="a").text == "page 3"


def test_compressed_pages_are_kept_compressed() -> None:
    site = Site()
    site.app.config["/"].update(
        {
            "tools.gzip.on": True,
            "tools.gzip.min_size": 0,
            "tools.etags.on": True,
            "tools.etags.autotags": True,
        }
    )
    packed = [site.ask("/", Accept_Encoding="gzip") for _ in range(2)]
    plain = [site.ask() for _ in range(2)]
    assert packed[0].body == packed[1].body != plain[0].body == plain[1].body
    assert [answer.header("Content-Encoding") for answer in (*packed, *plain)] == ["gzip", "gzip", None, None]
    assert site.root.made == 2
    assert site.ask("/", Accept_Encoding="gzip", If_None_Match=packed[0].header("ETag") or "").code == 304


# ---- changes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_change_forgets_all_variants(site: Site, method: str) -> None:
    site.root.do = setting(Vary="Accept")
    site.ask("/", Accept="a")
    site.ask("/", Accept="b")
    site.ask("/other")
    site.ask("/", method)
    assert len(site.cache) == 1
    assert site.ask("/", Accept="a").text == "page 5"


def test_methods_that_change_can_be_chosen() -> None:
    site = Site(invalid_methods=["OPTIONS"])
    site.ask()
    site.ask("/", "POST")
    assert site.ask().text == "page 1"
    site.ask("/", "OPTIONS")
    assert site.ask().text == "page 4"


@pytest.mark.parametrize("how", ["delete", "clear"])
@pytest.mark.parametrize("fields", [{}, {"Cache_Control": "no-cache"}])
def test_what_was_made_before_a_change_is_not_kept_after_it(
    site: Site, how: str, fields: dict[str, str]
) -> None:
    def slow(request: Any, response: Any) -> str:
        if site.root.made == 1:
            # Somebody changes the page while it is being made.
            if how == "delete":
                site.ask("/", "DELETE")
            else:
                site.app.site.toolboxes["tools"].caching.clear()
        return "page"

    site.root.do = slow
    site.ask("/", **fields)
    assert len(site.cache) == 0
    site.ask()
    assert len(site.cache) == 1


def test_clearing_forgets_everything(site: Site) -> None:
    site.ask()
    site.ask("/other")
    site.app.site.toolboxes["tools"].caching.clear()
    assert (len(site.cache), site.cache.size) == (0, 0)
    assert site.ask().text == "page 3"


def test_more_changes_than_can_be_remembered_are_remembered_as_one(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caching, "_MOST_MARKS", 2)

    def slow(request: Any, response: Any) -> str:
        if site.root.made == 1:
            for number in range(5):
                site.ask(f"/?n={number}", "DELETE")
        return "page"

    site.root.do = slow
    site.ask()
    assert len(site.cache) == 0
    assert site.ask().header("Age") is None
    assert site.ask().header("Age") == "0"


# ---- bounds --------------------------------------------------------------------------------------------


def test_the_one_not_asked_for_the_longest_goes_first() -> None:
    site = Site(maxobjects=2)
    for target in ("/?a", "/?b", "/?a", "/?c"):
        site.ask(target)
    assert len(site.cache) == 2
    assert site.ask("/?a").text == "page 1"
    assert site.ask("/?b").text == "page 4"


def test_bytes_are_counted_with_their_fields() -> None:
    site = Site(maxobj_size=200, maxsize=300)
    site.root.do = lambda request, response: "x" * 90
    for number in range(5):
        site.ask(f"/?{number}")
    assert len(site.cache) == 2
    assert 180 < site.cache.size <= 300
    site.root.do = lambda request, response: "x" * 300
    site.ask("/?large")
    assert len(site.cache) == 2


def test_what_was_forgotten_is_not_counted(site: Site) -> None:
    site.root.do = setting(Vary="Accept")
    for value in "abc":
        site.ask("/", Accept=value)
    site.ask("/", "DELETE")
    assert (len(site.cache), site.cache.size, site.cache._varies, site.cache._by_uri) == (0, 0, {}, {})


def request_of(number: int, variant: str = "") -> Request:
    exchange = make_exchange(f"/?{number}", fields={"X-V": variant} if variant else {})
    return Request(app_of(None), exchange, Path("", "/"))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["get", "put", "delete", "late", "clear"]),
            st.integers(0, 6),
            st.sampled_from("ab"),
            st.integers(0, 60),
        ),
        max_size=80,
    )
)
def test_whatever_happens_the_bounds_hold_and_the_books_agree(steps: list[tuple[str, int, str, int]]) -> None:
    cache = MemoryCache(Clock())
    cache.maxobjects, cache.maxobj_size, cache.maxsize = 5, 50, 100
    for step, number, variant, size in steps:
        request = request_of(number, variant)
        if step == "get":
            found = cache.get(request)
            assert found is None or found.body == str(number).encode()
            cache.release(request)
        elif step == "put":
            vary = ("x-v",) if number % 2 else ()
            cache.put(request, Stored("200 OK", (), str(number).encode(), cache.now(), size or 1, vary), size)
        elif step == "delete":
            cache.delete(request)
        elif step == "late":
            cache.now.now += 20  # type: ignore[attr-defined]
        else:
            cache.clear()
        assert len(cache) <= 5
        assert cache.size == sum(size for _, size in cache._entries.values()) <= 100
        assert set(cache._entries) == {(uri, one) for uri, some in cache._by_uri.items() for one in some}
        assert set(cache._varies) == set(cache._by_uri)
        assert not cache._flights


# ---- many at once --------------------------------------------------------------------------------------


def at_once(site: Site, number: int, **fields: str) -> list[Answer]:
    with ThreadPoolExecutor(number) as pool:
        return [one.result(WAIT) for one in [pool.submit(site.ask, "/", **fields) for _ in range(number)]]


class Gate:
    """Holds handlers until as many requests as said have come to the cache."""

    def __init__(self, site: Site, waiting: int) -> None:
        self.open = threading.Event()
        self.count = 0
        lock = threading.Lock()

        def come(request: Any, /) -> None:
            with lock:
                self.count += 1
                if self.count == waiting:
                    self.open.set()

        site.app.config["/"]["hooks.on_start_resource"] = come

    def __call__(self, request: Any, response: Any) -> str:
        assert self.open.wait(WAIT)
        return "page"


def test_of_many_that_want_the_same_one_makes_it(site: Site) -> None:
    site.root.do = Gate(site, 8)
    answers = at_once(site, 8)
    assert {answer.text for answer in answers} == {"page 1"}
    assert not site.cache._flights


@pytest.mark.parametrize("timeout", [0, None])
def test_without_waiting_each_makes_it(timeout: float | None) -> None:
    site = Site(antistampede_timeout=timeout)
    gate = Gate(site, 4)
    site.root.do = gate
    at_once(site, 4)
    assert site.root.made == 4


def test_who_waits_long_enough_makes_it() -> None:
    site = Site(antistampede_timeout=0.05)
    release = threading.Event()

    def do(request: Any, response: Any) -> str:
        if site.root.made == 1:
            assert release.wait(WAIT)
        else:
            release.set()
        return "page"

    site.root.do = do
    assert len(at_once(site, 2)) == 2
    assert site.root.made == 2


@pytest.mark.parametrize("fails", ["raise", "http", "private", "not modified"])
def test_nobody_waits_for_what_does_not_come(site: Site, fails: str) -> None:
    gate = Gate(site, 4)

    def do(request: Any, response: Any) -> str:
        gate(request, response)
        if fails == "raise":
            raise ZeroDivisionError
        if fails == "http":
            raise HTTPError(503)
        response.headers["Cache-Control"] = "private"
        response.headers["ETag"] = '"v1"'
        return "page"

    site.root.do = do
    site.app.config["/"]["tools.etags.on"] = True
    answers = at_once(site, 4, **({"If_None_Match": '"v1"'} if fails == "not modified" else {}))
    assert {answer.code for answer in answers} == {
        {"raise": 500, "http": 503, "private": 200, "not modified": 304}[fails]
    }
    assert site.root.made == 4
    assert not site.cache._flights
    # The next ones need not even wait for each other, for a while: all are made at once.
    together = threading.Barrier(4, timeout=WAIT)

    def again(request: Any, response: Any) -> str:
        together.wait()
        return "page"

    site.root.do = again
    assert {answer.code for answer in at_once(site, 4)} == {200}


def test_variants_do_not_wait_for_each_other_once_they_are_known(site: Site) -> None:
    site.root.do = setting(Vary="Accept")
    site.ask("/", Accept="a")
    both = threading.Barrier(2, timeout=WAIT)

    def do(request: Any, response: Any) -> str:
        both.wait()
        response.headers["Vary"] = "Accept"
        return "page"

    site.root.do = do
    with ThreadPoolExecutor(2) as pool:
        found = [pool.submit(site.ask, "/", Accept=value) for value in "bc"]
        assert {one.result(WAIT).code for one in found} == {200}


# ---- settings ------------------------------------------------------------------------------------------


def test_each_set_of_limits_has_a_cache_of_its_own_that_is_made_once() -> None:
    site = Site()
    site.app.config["/other"] = {"tools.caching.maxobjects": 0}
    site.ask()
    assert site.ask("/other").text == "other 2"
    assert site.ask("/other").text == "other 3"
    assert site.ask().text == "page 1"
    assert len(site.caches) == 2


def test_two_that_come_first_get_the_same_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    tool: Any = Caching()
    made: list[Any] = []

    class Racing:
        def __enter__(self) -> None:
            if not made:
                made.append("late")
                tool._caches[(MemoryCache, 1, 2, 3, 4)] = made

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(tool, "_making", Racing())
    assert tool._cache(MemoryCache, 1, 2, 3, 4) is made


def test_a_cache_of_ones_own_gets_the_limits() -> None:
    kept: dict[str, Stored] = {}

    class Own:
        maxobjects = 0

        def now(self) -> float:
            return 0.0

        def get(self, request: Any) -> Stored | None:
            return kept.get(request.path_info)

        def put(self, request: Any, stored: Stored, size: int) -> None:
            assert size == len(stored.body) + sum(len(name) + len(value) + 4 for name, value in stored.fields)
            kept[request.path_info] = stored

        def delete(self, request: Any) -> None:
            kept.clear()

        def clear(self) -> None:
            kept.clear()

        def release(self, request: Any) -> None:
            pass

    site = Site(cache_class=Own, maxobjects=7)
    assert [site.ask().text for _ in range(2)] == ["page 1", "page 1"]
    (own,) = site.app.site.toolboxes["tools"].caching._caches.values()
    assert own.maxobjects == 7
    site.ask("/", "DELETE")
    assert not kept


def test_keys_of_the_ancestor_are_known_and_others_name_the_nearest(caplog: pytest.LogCaptureFixture) -> None:
    assert Site(expire_freq=0.1).ask().code == 200
    assert Site(max_size=5).ask().code == 500
    assert "did you mean maxsize?" in caplog.text
