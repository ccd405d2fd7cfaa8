from __future__ import annotations

import os
import socket
import threading

import pytest

from kirsch.supervise.link import Link, pair


def test_messages_arrive_in_order_until_the_other_end_is_gone() -> None:
    ours, theirs = pair()
    with theirs:
        other = Link(theirs)
        assert other.send(one=1, text="Grüße\n")
        assert other.send(two=[2, None])
        other.close()
    assert list(ours.messages()) == [{"one": 1, "text": "Grüße\n"}, {"two": [2, None]}]
    assert not ours.send(three=3)
    ours.close()


def test_what_is_no_message_is_passed_over() -> None:
    ours, theirs = pair()
    with theirs:
        theirs.sendall(b'nonsense\n[1]\n{"good": true}\n{"cut": ')
    assert list(ours.messages()) == [{"good": True}]
    ours.close()


def test_an_inherited_end_leaves_the_descriptor_open_under_its_number() -> None:
    ours, theirs = pair()
    with theirs:
        other = Link.inherited(theirs.fileno())
        other.send(hello=1)
        assert next(iter(ours.messages())) == {"hello": 1}
        other.close()
        os.fstat(theirs.fileno())
    ours.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        Link.inherited(theirs.fileno() if theirs.fileno() >= 0 else 999_999)


def test_closing_ends_the_thread_that_reads() -> None:
    ours, theirs = pair()
    with theirs:
        reading = threading.Thread(target=lambda: list(ours.messages()))
        reading.start()
        ours.close()
        reading.join(10)
        assert not reading.is_alive()


def test_lines_of_many_threads_do_not_mix() -> None:
    ours, theirs = pair()
    with theirs:
        other = Link(theirs)
        text = "x" * 5000
        threads = [
            threading.Thread(target=lambda: [other.send(text=text) for _ in range(20)]) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        messages = ours.messages()
        assert [next(messages)["text"] for _ in range(80)] == [text] * 80
        for thread in threads:
            thread.join()
        other.close()
    ours.close()


def test_the_sockets_are_not_passed_on_to_other_processes() -> None:
    ours, theirs = pair()
    with theirs:
        assert isinstance(theirs, socket.socket)
        assert not os.get_inheritable(theirs.fileno())
    ours.close()
