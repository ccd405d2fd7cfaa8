"""Values with parameters: reading what clients send, writing what every client reads."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from kirsch.http import Headers
from kirsch.http.media import (
    Element,
    decode_ext_value,
    format_disposition,
    format_params,
    parse_content_type,
    parse_disposition,
    parse_elements,
    parse_params,
)
from tests.http.text import BOUND, anything, given, seconds, token, wire

printable = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=20)


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("", {}),
        ("a=1", {"a": "1"}),
        ("; a=1 ;B=2", {"a": "1", "b": "2"}),
        ('a="x;y, \\"z\\\\"', {"a": 'x;y, "z\\'}),
        ('a=""', {"a": ""}),
        ("a=1; a=2", {"a": "1"}),
        ("a=bad value; b=2", {"b": "2"}),
        ("a=; b=2", {"b": "2"}),
        ("a; b=2", {"b": "2"}),
        ("=1; b=2", {"b": "2"}),
        ("a =1; b= 2; c=3", {"c": "3"}),
        ('a="x; b=2', {}),
        ("\u212a=1; b=2", {"b": "2"}),
        ("a*=UTF-8''%e2%82%ac%20rates", {"a": "\u20ac rates"}),
        ("a*=utf-8'en'x; a=y", {"a": "x"}),
        ("a=y; a*=iso-8859-1''%a3", {"a": "\xa3"}),
        ("a=y; a*=UTF-8''%ff", {"a": "y"}),
        ("a=y; a*=klingon''x", {"a": "y"}),
        ("a=y; a*=x", {"a": "y"}),
        ("a=y; a*=UTF-8''%4", {"a": "y"}),
        ("*=1", {"*": "1"}),
    ],
)
def test_parameters_are_read_and_bad_ones_dropped_alone(text: str, params: dict[str, str]) -> None:
    assert parse_params(text) == params


def test_only_so_many_parameters_are_read() -> None:
    assert len(parse_params(";".join(f"p{n}=1" for n in range(1000)))) == 50


@pytest.mark.parametrize(
    "text", ["", "UTF-8", "UTF-8'x", "''x", "UTF-8''a b", "UTF-8''a'b", "UTF-8''\xe9", "UTF-8''%g0"]
)
def test_what_is_no_extended_value_is_none(text: str) -> None:
    assert decode_ext_value(text) is None


@given(st.dictionaries(token.map(str.lower).filter(lambda name: name[-1] != "*"), printable, max_size=4))
def test_parameters_written_read_back(params: dict[str, str]) -> None:
    written = format_params(params)
    assert written.isascii()
    assert parse_params(written) == params


def test_parameters_are_written_in_the_plainest_form() -> None:
    params = {"charset": "utf-8", "title": 'a "b"', "name": "\u20ac"}
    assert format_params(params) == '; charset=utf-8; title="a \\"b\\""; name*=UTF-8\'\'%E2%82%AC'
    assert format_params({}) == ""


@pytest.mark.parametrize("name", ["", "a b", "a*", "a=", "\xe9"])
def test_a_parameter_name_must_be_a_token(name: str) -> None:
    with pytest.raises(ValueError, match="is not a parameter name"):
        format_params({name: "x"})


@pytest.mark.parametrize("value", ["a\r\nb", "\x00", "\x85", "\t"])
def test_a_parameter_holds_no_controls(value: str) -> None:
    with pytest.raises(ValueError, match="holds a control character"):
        format_params({"a": value})


@pytest.mark.parametrize(
    ("field", "result"),
    [
        ("text/html", ("text/html", {})),
        ("Text/HTML;Charset=UTF-8", ("text/html", {"charset": "UTF-8"})),
        ('text/html; charset="utf-8"', ("text/html", {"charset": "utf-8"})),
        (" multipart/form-data ; boundary=x", ("multipart/form-data", {"boundary": "x"})),
        ("text/html;", ("text/html", {})),
        ("", None),
        ("text", None),
        ("text/", None),
        ("text/html/x", None),
        ("text/ht ml", None),
        ("te\u212at/html", None),
        ("text/html, text/plain", None),
    ],
)
def test_a_content_type_is_read(field: str, result: tuple[str, dict[str, str]] | None) -> None:
    assert parse_content_type(field) == result


@pytest.mark.parametrize(
    ("field", "result"),
    [
        ("attachment", ("attachment", {})),
        ('INLINE; FILENAME= "an example.html"', ("inline", {})),
        ('INLINE; FILENAME="an example.html"', ("inline", {"filename": "an example.html"})),
        (
            "attachment; filename=\"EURO rates\"; filename*=utf-8''%e2%82%ac%20rates",
            ("attachment", {"filename": "\u20ac rates"}),
        ),
        ('form-data; name="a"; filename=""', ("form-data", {"name": "a", "filename": ""})),
        ("", None),
        ("; filename=a", None),
        ("a b", None),
    ],
)
def test_a_disposition_is_read(field: str, result: tuple[str, dict[str, str]] | None) -> None:
    assert parse_disposition(field) == result


@pytest.mark.parametrize(
    ("filename", "value"),
    [
        (None, "attachment"),
        ("", 'attachment; filename=""'),
        ("a.txt", 'attachment; filename="a.txt"'),
        ("an example.html", 'attachment; filename="an example.html"'),
        ("\u20ac.txt", "attachment; filename=\"_.txt\"; filename*=UTF-8''%E2%82%AC.txt"),
        ("na\xefve.txt", "attachment; filename=\"naive.txt\"; filename*=UTF-8''na%C3%AFve.txt"),
        ('a"b.txt', "attachment; filename=\"a_b.txt\"; filename*=UTF-8''a%22b.txt"),
        ("a\\b", "attachment; filename=\"a_b\"; filename*=UTF-8''a%5Cb"),
        ("a%41", "attachment; filename=\"a_41\"; filename*=UTF-8''a%2541"),
    ],
)
def test_a_file_name_goes_out_so_that_every_client_reads_it(filename: str | None, value: str) -> None:
    assert format_disposition("attachment", filename) == value


@pytest.mark.parametrize("filename", ["a\r\nSet-Cookie: x=y", "a\nb", "\x00", "\x7f", "\x85"])
def test_a_file_name_with_controls_is_refused(filename: str) -> None:
    with pytest.raises(ValueError, match="holds a control character"):
        format_disposition("attachment", filename)


@pytest.mark.parametrize("kind", ["", "a b", "a;b", "a\r\n"])
def test_a_disposition_must_be_a_token(kind: str) -> None:
    with pytest.raises(ValueError, match="is not a disposition"):
        format_disposition(kind)


@given(printable)
def test_any_printable_file_name_arrives(filename: str) -> None:
    value = format_disposition("inline", filename)
    assert value.isascii()
    assert Headers({"Content-Disposition": value})["Content-Disposition"] == value
    assert parse_disposition(value) == ("inline", {"filename": filename})


@pytest.mark.parametrize(
    ("field", "elements"),
    [
        ("", []),
        ("close", [Element("close", {})]),
        ("gzip;q=0.5, trailers", [Element("gzip", {"q": "0.5"}), Element("trailers", {})]),
        ('a;b="x,y;z", c', [Element("a", {"b": "x,y;z"}), Element("c", {})]),
        ("respond-async, wait=10", [Element("respond-async", {}), Element("wait=10", {})]),
        (";a=1, b", [Element("b", {})]),
        (";, b ;", [Element("b", {})]),
    ],
)
def test_a_list_of_elements_is_read(field: str, elements: list[Element]) -> None:
    assert parse_elements(field) == elements


@given(st.one_of(anything, wire))
def test_any_text_gets_an_answer(text: str) -> None:
    for name in parse_params(text):
        assert name.isascii()
    parse_content_type(text)
    parse_disposition(text)
    assert all(element.value in text for element in parse_elements(text))
    decode_ext_value(text)


@pytest.mark.parametrize("prefix", ["", 'a/b; b="'])
def test_parsing_is_linear(prefix: str) -> None:
    def parse(text: str) -> None:
        parse_params(text)
        parse_content_type(text)
        parse_disposition(text)
        parse_elements(text)
        decode_ext_value(text)

    assert seconds(parse, prefix) < BOUND
