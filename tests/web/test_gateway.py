"""What the server calls: answers, paces, grafted programs, and what is remembered."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirsch.http.exchange import Exchange
from kirsch.http.fields import SharedFields
from kirsch.server import WSGIGateway
from kirsch.web import Gateway, Tree, expose
from tests.web.helpers import FakeLink, ask, make_exchange, make_head, make_site

if TYPE_CHECKING:
    from kirsch.http.exchange import Gateway as Served


class Root:
    @expose
    def index(self) -> str:
        return "index"

    @expose
    def page(self, *args: str) -> str:
        return f"page {args}"


def make() -> tuple[Tree, Gateway]:
    tree = Tree(make_site())
    tree.mount(Root())
    return tree, Gateway(tree)


def test_it_is_a_gateway() -> None:
    served: Served = make()[1]
    assert served.exchange_type is Exchange


def test_the_same_head_may_come_again_and_again() -> None:
    _, gateway = make()
    head = make_head("/page/1")
    for _ in range(3):
        exchange = Exchange(head, None, 0, FakeLink())
        gateway(exchange)
        assert (exchange.status, exchange.content) == ("200 OK", b"page ('1',)")
        assert list(exchange.fields) == [("Content-Type", "text/html; charset=utf-8")]


def test_fields_are_one_object_that_the_server_knows_again_and_nobody_can_change() -> None:
    _, gateway = make()
    one, two = make_exchange("/"), make_exchange("/")
    gateway(one)
    gateway(two)
    assert one.fields is two.fields
    assert isinstance(one.fields, SharedFields)


def test_two_gateways_may_see_the_same_head() -> None:
    head = make_head("/")
    for _ in range(2):
        tree = Tree(make_site())
        tree.mount(lambda: None, "/x")
        exchange = Exchange(head, None, 0, FakeLink())
        Gateway(tree)(exchange)
        assert exchange.status == "404 Not Found"
        _, gateway = make()
        exchange = Exchange(head, None, 0, FakeLink())
        gateway(exchange)
        assert exchange.status == "200 OK"


# --- paces ---


def test_an_unknown_path_has_the_pace_of_its_shape_then_that_of_its_plan() -> None:
    _, gateway = make()
    unknown = gateway.pace(make_head("/page/1"))
    assert gateway.pace(make_head("/page/2")) is unknown
    exchange = make_exchange("/page/1")
    exchange.pace = gateway.pace(exchange.head)
    gateway(exchange)
    learnt = exchange.pace
    assert learnt is not unknown
    assert gateway.pace(exchange.head) is learnt
    assert gateway.pace(make_head("/page/1")) is learnt
    assert gateway.pace(make_head("/page/2")) is unknown
    assert gateway.pace(make_head("/page/1", "POST")) is not learnt


def test_a_plan_that_is_new_teaches_a_new_pace() -> None:
    tree, gateway = make()
    exchange = make_exchange("/")
    gateway(exchange)
    old = gateway.pace(exchange.head)
    tree[""].renew()
    again = Exchange(exchange.head, None, 0, FakeLink())
    again.pace = old
    gateway(again)
    assert gateway.pace(exchange.head) is again.pace is not old


def test_a_pace_is_found_without_user_code() -> None:
    class Raising:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(name)

    tree = Tree(make_site())
    tree.mount(Raising())
    Gateway(tree).pace(make_head("/x"))


# --- targets that are no paths ---


def test_the_asterisk_is_answered_for_the_server_as_a_whole() -> None:
    answer = ask(make()[1], "*", "OPTIONS")
    assert (answer.status, answer.header("Allow")) == (
        "204 No Content",
        "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
    )


@pytest.mark.parametrize(
    ("target", "method", "code"), [("*", "GET", 404), ("", "CONNECT", 405), ("", "GET", 200)]
)
def test_other_targets_without_a_path(target: str, method: str, code: int) -> None:
    assert ask(make()[1], target, method).code == code


# --- grafted programs ---


def program(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['SCRIPT_NAME']}|{environ['PATH_INFO']}".encode()]


def test_a_grafted_program_is_served_by_the_servers_gateway() -> None:
    tree, _ = make()
    made: list[str] = []

    def serve(app: Any, script_name: str) -> WSGIGateway:
        made.append(script_name)
        return WSGIGateway(app, script_name=script_name)

    tree.graft(program, "/wsgi")
    gateway = Gateway(tree, serve, WSGIGateway.exchange_type)
    for path in ("/wsgi/x", "/wsgi/y", "/wsgi/x"):
        exchange = gateway.exchange_type(make_head(path), None, 0, FakeLink())
        gateway(exchange)
        assert (exchange.status, exchange.content) == ("200 OK", [f"/wsgi|{path[5:]}".encode()])
    assert made == ["/wsgi"]
    tree.graft(functools.partial(program), "/wsgi")
    gateway(gateway.exchange_type(make_head("/wsgi/z"), None, 0, FakeLink()))
    assert made == ["/wsgi", "/wsgi"]


def test_without_a_way_to_call_it_a_grafted_program_is_a_mistake() -> None:
    tree, gateway = make()
    tree.graft(program, "/wsgi")
    with pytest.raises(TypeError, match="grafted at '/wsgi'"):
        ask(gateway, "/wsgi")


@settings(max_examples=150, deadline=None)
@given(
    path=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="?"), max_size=30),
    mounted=st.lists(st.sampled_from(["", "/a", "/a/b", "/%", "/é"]), unique=True, max_size=4),
)
def test_any_target_gets_an_answer_whatever_is_mounted(path: str, mounted: list[str]) -> None:
    tree = Tree(make_site())
    for script_name in mounted:
        tree.mount(Root(), script_name)
    assert ask(tree, path).code in {200, 404}


def test_long_paths_are_answered_and_not_remembered() -> None:
    _, gateway = make()
    path = "/page/" + "x" * 300
    for _ in range(2):
        assert ask(gateway, path).code == 200
    assert len(gateway._places) == len(gateway._paces) == 0
    ask(gateway, "/page/x")
    assert len(gateway._places) == len(gateway._paces) == 1


@pytest.mark.parametrize(("target", "method"), [("/1", "GET"), ("/no/where/at/all", "GET"), ("*", "OPTIONS")])
def test_what_wraps_a_gateway_finishes_every_answer(target: str, method: str) -> None:
    _, gateway = make()
    exchange = make_exchange(target, method)

    def finish(finished: Exchange) -> None:
        finished.fields = [*finished.fields, ("X-Finished", finished.status[:3])]

    exchange.finish = finish
    gateway(exchange)
    assert [value for name, value in exchange.fields if name == "X-Finished"] == [exchange.status[:3]]


def test_a_grafted_program_finishes_its_answers_itself_and_once() -> None:
    def program(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("X-A", "1")])
        return [b"hello"]

    tree = Tree(make_site())
    tree.graft(program, "")
    gateway = Gateway(
        tree, lambda program, name: WSGIGateway(program, script_name=name), WSGIGateway.exchange_type
    )
    made = make_exchange()
    exchange = WSGIGateway.exchange_type(made.head, None, 0, made.link)
    seen: list[list[tuple[str, str]]] = []
    exchange.finish = lambda finished: seen.append(list(finished.fields))
    gateway(exchange)
    assert seen == [[("X-A", "1")]]
