"""Waiting for sockets: both pollers say the same, each readiness once."""

from __future__ import annotations

import select
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from kirsch.server.poller import READ, WRITE, EpollPoller, SelectorPoller, make_poller

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kirsch.server.poller import Poller


@pytest.fixture(params=[EpollPoller, SelectorPoller])
def poller(request: pytest.FixtureRequest) -> Iterator[Poller]:
    made: Poller = request.param()
    yield made
    made.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def events(poller: Poller, sock: socket.socket) -> int:
    """Return what is reported of a socket now, 0 for nothing."""
    found = [event for descriptor, event in poller.poll(0) if descriptor == sock.fileno()]
    assert len(found) < 2
    return found[0] if found else 0


def test_the_best_poller_of_the_system_is_made() -> None:
    made = make_poller()
    assert isinstance(made, EpollPoller if sys.platform == "linux" else SelectorPoller)
    made.close()


def test_the_names_of_events_are_epolls_numbers() -> None:
    # The leader takes what epoll says without translating it.
    assert (READ, WRITE) == (select.EPOLLIN, select.EPOLLOUT)


def test_what_can_be_read_is_reported(poller: Poller, pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    poller.register(ours.fileno())
    assert not events(poller, ours) & READ
    theirs.sendall(b"x")
    assert events(poller, ours) & READ


def test_the_end_is_reported_as_something_to_read(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    poller.register(ours.fileno())
    events(poller, ours)
    theirs.close()
    assert events(poller, ours) & READ


def test_an_edge_is_reported_once_and_again_with_new_bytes(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    poller = EpollPoller()
    poller.register(ours.fileno())
    theirs.sendall(b"x")
    assert poller.edge
    assert [bool(events(poller, ours) & READ) for _ in range(2)] == [True, False]
    theirs.sendall(b"x")
    assert events(poller, ours) & READ
    poller.pause(ours.fileno())
    theirs.sendall(b"x")
    assert events(poller, ours) & READ
    poller.resume(ours.fileno())
    assert not events(poller, ours)
    poller.close()


def test_the_peers_end_comes_with_an_event_of_its_own(pair: tuple[socket.socket, socket.socket]) -> None:
    # Bytes and the end may be one edge: the reader must be told to look for the end behind them.
    ours, theirs = pair
    poller = EpollPoller()
    poller.register(ours.fileno())
    theirs.sendall(b"x")
    theirs.shutdown(socket.SHUT_WR)
    assert events(poller, ours) & ~(READ | WRITE)
    poller.close()


def test_a_level_is_reported_until_it_is_paused(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    poller = SelectorPoller()
    poller.register(ours.fileno())
    theirs.sendall(b"x")
    assert not poller.edge
    assert [events(poller, ours) for _ in range(3)] == [READ] * 3
    poller.pause(ours.fileno())
    poller.pause(ours.fileno())
    assert not events(poller, ours)
    poller.resume(ours.fileno(), writing=True)
    assert events(poller, ours) == READ | WRITE
    poller.resume(ours.fileno())
    assert events(poller, ours) == READ
    poller.close()


def test_a_listener_is_reported_while_connections_wait(poller: Poller) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        poller.register(listener.fileno(), listener=True)
        with socket.create_connection(listener.getsockname()):
            assert poller.poll(10)
            assert [events(poller, listener) for _ in range(2)] == [READ] * 2


def test_what_is_not_watched_any_more_is_silent_and_may_be_dropped_twice(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    poller.register(ours.fileno())
    poller.unregister(ours.fileno())
    poller.unregister(ours.fileno())
    theirs.sendall(b"x")
    assert poller.poll(0) == []
    poller.register(ours.fileno())
    assert events(poller, ours) & READ


def test_a_closed_descriptor_may_be_dropped(poller: Poller) -> None:
    ours, theirs = socket.socketpair()
    descriptor = ours.fileno()
    poller.register(descriptor)
    ours.close()
    theirs.close()
    poller.unregister(descriptor)
    poller.unregister(-1)
    assert poller.poll(0) == []
