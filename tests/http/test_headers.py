"""Headers: a dictionary to look at, lines on the wire, and nothing in them that splits a message."""

from __future__ import annotations

import copy

import pytest
from hypothesis import strategies as st

from kirsch.http import Headers
from kirsch.http.headers import HeaderError
from tests.http.text import anything, given, quotable, token

LINES = (("Host", "a"), ("Accept", "x"), ("accept", "y"), ("Cookie", "a=1"), ("COOKIE", "b=2"))
values = quotable.map(lambda text: text.strip(" \t"))
pairs = st.lists(st.tuples(st.one_of(token, st.sampled_from(["A", "a", "B"])), values), max_size=8)


@pytest.fixture(params=["checked", "trusted"])
def headers(request: pytest.FixtureRequest) -> Headers:
    return Headers(LINES) if request.param == "checked" else Headers.trusted(LINES)


def test_names_are_found_in_any_case(headers: Headers) -> None:
    assert headers["host"] == headers["HOST"] == "a"
    assert "hOST" in headers
    assert "Nope" not in headers
    assert 1 not in headers


def test_lines_of_one_name_are_joined_when_read_as_one(headers: Headers) -> None:
    assert headers["Accept"] == "x, y"
    assert headers["Cookie"] == "a=1; b=2"
    assert headers.get_all("ACCEPT") == ["x", "y"]
    assert headers.get_all("nope") == []


def test_set_cookie_lines_are_never_joined() -> None:
    headers = Headers([("Set-Cookie", "a=1"), ("set-cookie", "b=2")])
    assert headers["Set-Cookie"] == "a=1"
    assert headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    assert headers.encode() == b"Set-Cookie: a=1\r\nset-cookie: b=2\r\n"


def test_a_missing_name_raises_or_gives_the_default(headers: Headers) -> None:
    with pytest.raises(KeyError, match="Nope"):
        headers["Nope"]
    assert headers.get("Nope") is None
    assert headers.get("Nope", 3) == 3
    assert headers.get("Host", "b") == "a"


def test_iteration_counts_names_and_items_go_line_by_line(headers: Headers) -> None:
    assert list(headers) == headers.keys() == ["Host", "Accept", "Cookie"]
    assert len(headers) == 3
    assert headers.items() == list(LINES)
    assert headers.values() == ["a", "x", "y", "a=1", "b=2"]
    assert headers.lines() == ["Host: a", "Accept: x", "accept: y", "Cookie: a=1", "COOKIE: b=2"]
    assert headers.encode() == b"Host: a\r\nAccept: x\r\naccept: y\r\nCookie: a=1\r\nCOOKIE: b=2\r\n"


def test_setting_replaces_every_line_in_the_place_of_the_first(headers: Headers) -> None:
    headers["ACCEPT"] = "z"
    assert headers.items() == [("Host", "a"), ("ACCEPT", "z"), ("Cookie", "a=1"), ("COOKIE", "b=2")]
    headers["New"] = "n"
    assert headers.items()[-1] == ("New", "n")
    assert headers["new"] == "n"


def test_adding_keeps_the_lines_before(headers: Headers) -> None:
    headers.add("Accept", "z")
    assert headers.get_all("accept") == ["x", "y", "z"]


def test_deleting_takes_every_line(headers: Headers) -> None:
    del headers["accept"]
    assert "Accept" not in headers
    with pytest.raises(KeyError):
        del headers["accept"]
    assert headers.remove("cookie") == 2
    assert headers.remove("cookie") == 0
    assert headers.items() == [("Host", "a")]
    headers.clear()
    assert not headers
    assert headers.items() == []


def test_pop_removes_and_returns(headers: Headers) -> None:
    assert headers.pop("Accept") == "x, y"
    assert "Accept" not in headers
    assert headers.pop("Accept", None) is None
    with pytest.raises(KeyError):
        headers.pop("Accept")


def test_setdefault_sets_only_what_is_missing(headers: Headers) -> None:
    assert headers.setdefault("host", "b") == "a"
    assert headers.setdefault("Vary", "Cookie") == "Cookie"
    assert headers["vary"] == "Cookie"


def test_update_replaces_whole_names_and_extend_adds(headers: Headers) -> None:
    headers.update([("accept", "1"), ("Accept", "2"), ("Via", "v")])
    assert headers.get_all("Accept") == ["1", "2"]
    headers.update({"host": "b"})
    assert headers["Host"] == "b"
    headers.extend(Headers({"Host": "c"}))
    assert headers.get_all("Host") == ["b", "c"]
    headers.extend(headers)
    assert headers.get_all("Host") == ["b", "c", "b", "c"]


def test_whole_numbers_are_written_in_decimal() -> None:
    headers = Headers({"Content-Length": 12})
    headers["Age"] = 0
    assert headers.encode() == b"Content-Length: 12\r\nAge: 0\r\n"


def test_white_space_around_a_value_is_dropped() -> None:
    assert Headers({"A": " \tb c\t "})["A"] == "b c"


def test_a_copy_changes_apart(headers: Headers) -> None:
    twins = [headers.copy(), copy.copy(headers), Headers(headers)]
    headers["Host"] = "changed"
    for twin in twins:
        assert twin.items() == list(LINES)
        twin.add("X", "1")
        assert twin["X"] == "1"
    assert "X" not in headers
    assert headers["Host"] == "changed"


def test_a_trusted_list_is_copied_before_it_is_changed() -> None:
    fields = [("A", "1")]
    headers = Headers.trusted(fields)
    headers["A"] = "2"
    assert fields == [("A", "1")]


def test_equality_ignores_case_and_the_order_of_different_names() -> None:
    assert Headers([("A", "1"), ("B", "2")]) == Headers([("b", "2"), ("a", "1")])
    assert Headers([("A", "1"), ("A", "2")]) != Headers([("A", "2"), ("A", "1")])
    assert Headers({"A": "1"}) != Headers({"A": "2"})
    assert Headers() != {}
    with pytest.raises(TypeError, match="unhashable"):
        hash(Headers())


def test_the_repr_shows_names_and_no_values() -> None:
    assert repr(Headers({"Cookie": "secret"})) == "<Headers Cookie>"
    assert repr(Headers()) == "<Headers, empty>"


@pytest.mark.parametrize("char", [chr(code) for code in (*range(32), 127) if code != 9])
@pytest.mark.parametrize("where", ["{}a", "a{}b", "a{}", "a{}Set-Cookie: x=y"])
def test_no_control_character_gets_into_a_value(char: str, where: str) -> None:
    headers = Headers({"X-Name": "before"})
    with pytest.raises(HeaderError, match="'X-Name': the value holds the control character") as caught:
        headers["X-Name"] = where.format(char)
    assert caught.value.name == "X-Name"
    with pytest.raises(HeaderError):
        headers.add("X-Name", where.format(char))
    assert headers.encode() == b"X-Name: before\r\n"


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\n", "a\x00", "\xe9", "\u212aey", "a\t", "(a)"])
def test_a_name_must_be_a_token(name: str) -> None:
    headers = Headers()
    for write in (headers.add, headers.__setitem__, headers.setdefault):
        with pytest.raises(HeaderError, match="the name must not be empty") as caught:
            write(name, "x")
        assert "\r" not in str(caught.value)
    assert headers.items() == []


def test_text_beyond_latin_1_is_refused_with_the_way_out() -> None:
    with pytest.raises(HeaderError, match=r"'A': the value holds '\\u20ac' at position 1.*RFC 8187"):
        Headers({"A": "x\u20ac"})


def test_the_value_is_not_in_the_message() -> None:
    with pytest.raises(HeaderError) as caught:
        Headers({"Authorization": "secret\n"})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("value", [None, b"x", 1.5, ["a"]])
def test_only_text_and_whole_numbers_are_values(value: object) -> None:
    with pytest.raises(TypeError, match="header A: the value must be text or a whole number"):
        Headers({"A": value})  # type: ignore[arg-type]


def test_only_text_is_a_name() -> None:
    with pytest.raises(TypeError, match="a header name is text, not bytes"):
        Headers([(b"A", "x")])  # type: ignore[list-item]


def test_a_failing_extend_or_update_changes_nothing() -> None:
    headers = Headers({"A": "1"})
    with pytest.raises(HeaderError):
        headers.extend([("B", "2"), ("C", "\n")])
    with pytest.raises(HeaderError):
        headers.update([("A", "2"), ("C", "\n")])
    assert headers.items() == [("A", "1")]


@given(pairs)
def test_the_wire_form_reads_back_to_the_same_lines(fields: list[tuple[str, str]]) -> None:
    encoded = Headers(fields).encode()
    lines = encoded.decode("latin-1").split("\r\n")
    assert lines.pop() == ""
    assert [(name, value[1:]) for name, _, value in (line.partition(":") for line in lines)] == fields
    assert Headers(fields) == Headers.trusted(tuple(fields)) == Headers.trusted(fields).copy()


@given(anything, anything)
def test_whatever_is_set_is_refused_or_stays_on_one_line(name: str, value: str) -> None:
    headers = Headers()
    try:
        headers[name] = value
    except HeaderError:
        assert headers.encode() == b""
    else:
        encoded = headers.encode()
        assert encoded.endswith(b"\r\n")
        assert not any(octet < 32 and octet != 9 for octet in encoded[:-2])


@given(
    pairs,
    st.lists(
        st.tuples(st.sampled_from(["set", "add", "remove", "copy"]), st.sampled_from("aAbB")), max_size=8
    ),
)
def test_any_series_of_changes_agrees_with_a_plain_list(
    fields: list[tuple[str, str]], changes: list[tuple[str, str]]
) -> None:
    headers, model = Headers.trusted(tuple(fields)), list(fields)
    for change, name in changes:
        others = [line for line in model if line[0].lower() != name.lower()]
        if change == "set":
            headers[name] = "v"
            first = next((i for i, line in enumerate(model) if line[0].lower() == name.lower()), len(model))
            before = [line for line in model[:first] if line in others]
            model = [*before, (name, "v"), *[line for line in model[first:] if line in others]]
        elif change == "add":
            headers.add(name, "v")
            model.append((name, "v"))
        elif change == "remove":
            headers.remove(name)
            model = others
        else:
            headers = headers.copy()
        assert headers.items() == model
        for key in "ab":
            assert headers.get_all(key) == [value for line, value in model if line.lower() == key]
