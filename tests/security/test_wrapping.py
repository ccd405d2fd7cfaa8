"""Wrappers of gateways: they pass on what they do not touch, and finish answers from the inside out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kirsch.security.wrapping import Wrapper, finished_by, refuse
from tests.security.helpers import send, wsgi
from tests.web.helpers import make_exchange, make_head

if TYPE_CHECKING:
    from kirsch.http.exchange import Exchange


def test_a_wrapper_by_itself_changes_nothing() -> None:
    inner = wsgi()
    wrapper = Wrapper(inner)
    assert wrapper.exchange_type is inner.exchange_type
    assert wrapper.pace(make_head()) is inner.pace(make_head())
    answer = send(wrapper)
    assert (answer.code, answer.body, answer.fields) == (200, b"hello", [("Content-Type", "text/plain")])
    assert "WSGIGateway" in repr(wrapper)


def marked(name: str, order: list[str]) -> type[Wrapper]:
    class Marking(Wrapper):
        def __call__(self, exchange: Exchange) -> None:
            finished_by(exchange, lambda exchange: order.append(name))
            self.gateway(exchange)

    return Marking


def test_wrappers_finish_answers_from_the_inside_out() -> None:
    order: list[str] = []
    send(marked("outer", order)(marked("middle", order)(marked("inner", order)(wsgi()))))
    assert order == ["inner", "middle", "outer"]


def test_a_refusal_is_plain_keeps_out_of_caches_and_is_finished_by_the_wrappers_around() -> None:
    exchange = make_exchange()
    finished: list[str] = []
    finished_by(exchange, lambda exchange: finished.append(exchange.status))
    refuse(exchange, "403 Forbidden", "No.", [("X-A", "1")])
    fields = dict(exchange.fields)
    assert (exchange.status, exchange.content, finished) == ("403 Forbidden", b"No.\n", ["403 Forbidden"])
    assert fields["Content-Type"] == "text/plain; charset=utf-8"
    assert fields["X-Content-Type-Options"] == "nosniff"
    assert fields["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert (fields["Cache-Control"], fields["X-A"]) == ("no-store", "1")
    bare = make_exchange()
    refuse(bare, "400 Bad Request", "No.")
    assert bare.status == "400 Bad Request"
