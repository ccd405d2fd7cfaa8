"""Addresses to listen on, as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirsch.config.binds import Bind, parse_bind
from kirsch.config.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "bind"),
    [
        ("127.0.0.1:8080", Bind("tcp", host="127.0.0.1", port=8080)),
        ("localhost:0", Bind("tcp", host="localhost", port=0)),
        ("a-b.example_x.:65535", Bind("tcp", host="a-b.example_x.", port=65535)),
        ("[::1]:80", Bind("tcp", host="::1", port=80)),
        ("[fe80::1%eth0]:80", Bind("tcp", host="fe80::1%eth0", port=80)),
        ("unix:/run/app.sock", Bind("unix", path="/run/app.sock")),
        ("unix:relative:with:colons", Bind("unix", path="relative:with:colons")),
        ("unix:@name", Bind("unix", path="@name")),
        ("fd:3", Bind("fd", descriptor=3)),
    ],
)
def test_an_address_is_read_and_written_back_the_same(text: str, bind: Bind) -> None:
    assert parse_bind(text) == bind
    assert str(bind) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "colon and a port"),
        ("localhost", "colon and a port"),
        ("8080", "colon and a port"),
        ("localhost:", "colon and a port"),
        ("localhost:http", "colon and a port"),
        ("localhost:65536", "colon and a port"),
        ("localhost:123456", "colon and a port"),
        ("localhost:-1", "colon and a port"),
        ("localhost:٣", "colon and a port"),
        ("localhost:80\n", "colon and a port"),
        (":8080", "no host"),
        ("::1:8080", "brackets"),
        ("[localhost]:80", "IPv6"),
        ("[]:80", "IPv6"),
        ("a b:80", "valid host"),
        ("http://localhost:80", "brackets"),
        ("-x:80", "valid host"),
        ("unix:", "no path"),
        ("unix:@", "no path"),
        ("unix:/a\0b", "no path"),
        ("fd:", "descriptor"),
        ("fd:-1", "descriptor"),
        ("fd:three", "descriptor"),
    ],
)
def test_an_address_that_cannot_be_bound_is_refused_with_an_example(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        parse_bind(text)
    assert "127.0.0.1:" in caught.value.hint


@given(st.text(alphabet="[]:.@unixfd0123456789ab/-\0\n", max_size=20) | st.text(max_size=20))
def test_any_text_is_an_address_that_reads_back_or_a_config_error(text: str) -> None:
    try:
        bind = parse_bind(text)
    except ConfigError:
        return
    assert parse_bind(str(bind)) == bind
