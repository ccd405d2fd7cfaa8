"""Loading: `.conf`, `.toml`, dicts, open files, and the errors that say where."""

from __future__ import annotations

import contextlib
import io
import pathlib
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirsch.config.errors import ConfigError
from kirsch.config.load import Loaded, load

CONF = """\
# A comment
; another
[DEFAULT]
root = /srv/site
shout = 'all'

[global]
server.threads = 4
server.bind: ["localhost:8080",
              "unix:/run/app.sock"]
Case.Kept = True
percent = "100%%"

[/static]
tools.staticdir.on = True
tools.staticdir.dir = "%(root)s/static"

[database]
url = "sqlite://"
"""

TOML = """\
environment = "production"
[server]
threads = 4
[server.tls]
certificate = "c.pem"
[global.log]
screen = false
["/static"]
tools.staticdir.on = true
"""


def write(folder: pathlib.Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_conf_file_becomes_typed_sections(tmp_path: pathlib.Path) -> None:
    name = write(tmp_path, "site.conf", CONF)
    loaded = load(name)
    assert loaded.source == name
    assert loaded.general == {
        "server.threads": 4,
        "server.bind": ["localhost:8080", "unix:/run/app.sock"],
        "Case.Kept": True,
        "percent": "100%",
        "shout": "all",
    }
    assert loaded.paths == {
        "/static": {"tools.staticdir.on": True, "tools.staticdir.dir": "/srv/site/static", "shout": "all"}
    }
    assert loaded.free == {"database": {"url": "sqlite://", "shout": "all"}}


def test_a_toml_file_is_flattened_to_dotted_keys(tmp_path: pathlib.Path) -> None:
    loaded = load(write(tmp_path, "site.TOML", TOML))
    assert loaded.general == {
        "environment": "production",
        "server.threads": 4,
        "server.tls.certificate": "c.pem",
        "log.screen": False,
    }
    assert loaded.paths == {"/static": {"tools.staticdir.on": True}}
    assert loaded.free == {}


@pytest.mark.parametrize("form", ["str", "bytes", "path", "text file", "binary file"])
def test_a_file_may_be_given_by_name_or_open(tmp_path: pathlib.Path, form: str) -> None:
    name = write(tmp_path, "site.conf", "[global]\na = 'ü'\n")
    if form == "text file":
        with open(name, encoding="utf-8") as text:  # noqa: PTH123  the open file is what is tested
            loaded = load(text)
            assert not text.closed
    elif form == "binary file":
        with open(name, "rb") as binary:  # noqa: PTH123  the open file is what is tested
            loaded = load(binary)
    else:
        forms: dict[str, str | bytes | pathlib.Path] = {
            "str": name,
            "bytes": name.encode(),
            "path": pathlib.Path(name),
        }
        loaded = load(forms[form])
    assert loaded == Loaded({"global": {"a": "ü"}}, name)


def test_an_open_file_without_a_name_is_a_conf() -> None:
    assert load(io.StringIO("[global]\na = 1\n")) == Loaded({"global": {"a": 1}}, "")


def test_an_open_toml_file_is_known_by_its_name() -> None:
    file = io.BytesIO(b"a = 1\n")
    file.name = "site.toml"
    assert load(file) == Loaded({"global": {"a": 1}}, "site.toml")


def test_a_name_that_is_a_number_is_no_name() -> None:
    file = io.StringIO("[global]\na = 1\n")
    file.name = 3
    assert load(file).source == ""


def test_a_byte_order_mark_is_dropped() -> None:
    assert load(io.BytesIO("\ufeff[global]\na = 1\n".encode())).general == {"a": 1}


@pytest.mark.parametrize(
    ("mapping", "sections"),
    [
        ({}, {}),
        ({"server.threads": 4}, {"global": {"server.threads": 4}}),
        ({"global": {"a": 1}}, {"global": {"a": 1}}),
        ({"/": {"a": 1}, "free": {"b": 2}}, {"/": {"a": 1}, "free": {"b": 2}}),
        ({"free": {"b": 2}}, {"free": {"b": 2}}),
        ({"tree.apps": {"/": 1}}, {"global": {"tree.apps": {"/": 1}}}),
        ({"a": 1, "b": {"c": 2}}, {"global": {"a": 1, "b": {"c": 2}}}),
        ({"global": 1}, {"global": {"global": 1}}),
    ],
)
def test_a_dict_is_flat_or_of_sections(mapping: dict[str, Any], sections: dict[str, Any]) -> None:
    assert load(mapping).sections == sections


def test_a_loaded_dict_is_a_copy() -> None:
    source = {"global": {"a": 1}}
    load(source).general["a"] = 2
    assert source == {"global": {"a": 1}}


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"/": {"a": 1}, "server.threads": 4}, r"^server\.threads: stands beside sections"),
        ({"global": {}, "/": None}, "^/: stands beside sections"),
        ({1: 2}, r"the key 1 \(int\) is not text"),
        ({"global": {1: 2}}, r"^\[global\]: the key 1 \(int\) is not text"),
    ],
)
def test_a_dict_of_another_shape_is_refused(mapping: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(mapping)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = \n", r"^x\.toml: is not TOML: .*line 1"),
        ("a = " + "[" * 5000, r"^x\.toml: is not TOML: nested too deeply"),
        ("a = 1\n[global]\na = 2\n", r"^x\.toml, \[global\] a: is given twice"),
        ('"a.b" = 1\n[a]\nb = 2\n', r"^x\.toml, \[global\] a\.b: is given twice"),
        ("a = " + "9" * 5000, r"^x\.toml: is not TOML"),
    ],
)
def test_a_bad_toml_names_file_and_place(text: str, words: str) -> None:
    file = io.StringIO(text)
    file.name = "x.toml"
    with pytest.raises(ConfigError, match=words):
        load(file)


@pytest.mark.parametrize(
    ("name", "words"),
    [("missing.conf", "missing.conf: cannot be read: No such file"), ("a\0b", "cannot be read"), ("", "''")],
)
def test_a_file_that_cannot_be_opened_is_a_config_error(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=words):
        load(name)


def test_a_file_that_is_not_utf_8_is_named_with_its_line(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "site.conf"
    path.write_bytes(b"[global]\na = '\xff'\n")
    with pytest.raises(ConfigError, match=r"site\.conf: line 2 is not UTF-8"):
        load(path)


def test_a_closed_file_is_a_config_error() -> None:
    file = io.StringIO()
    file.close()
    with pytest.raises(ConfigError, match="cannot be read: I/O operation on closed file"):
        load(file)


def test_references_are_followed_only_where_they_are_allowed() -> None:
    text = "[global]\nkind = str\n"
    assert load(io.StringIO(text), allow_references=True).general == {"kind": str}
    with pytest.raises(ConfigError, match="not a Python literal"):
        load(io.StringIO(text))


VALUES = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=8) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
KEYS = st.text(alphabet=string.ascii_letters + string.digits + "._", min_size=1, max_size=8)


@settings(max_examples=40)
@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_what_is_written_as_conf_is_read_back(values: dict[str, Any]) -> None:
    lines = [f"{key} = {value!r}".replace("%", "%%") for key, value in values.items()]
    assert load(io.StringIO("\n".join(["[global]", *lines]))).general == values


PIECES = [
    "[global]",
    "[/a]",
    "[DEFAULT]",
    "[",
    "]",
    "\n",
    "\n ",
    " ",
    "=",
    ":",
    "a",
    "b.c",
    "'x'",
    "1",
    "%(a)s",
]
MORE_PIECES = ["%", "#", ";", "{", "}", '"', "[[", ".", "\r", "\0", "\ufeff", "\x85", "true", "\t"]
FILE_TEXT = st.text(max_size=60) | st.lists(st.sampled_from([*PIECES, *MORE_PIECES]), max_size=20).map(
    "".join
)


@settings(max_examples=150)
@given(FILE_TEXT, st.sampled_from(["x.conf", "x.toml"]))
def test_any_text_is_configuration_or_a_config_error(text: str, name: str) -> None:
    file = io.StringIO(text)
    file.name = name
    sections: dict[str, Any] = {}
    with contextlib.suppress(ConfigError):
        sections = load(file).sections
    assert all(isinstance(section, dict) for section in sections.values())


@settings(max_examples=40)
@given(st.binary(max_size=60))
def test_any_bytes_are_configuration_or_a_config_error(content: bytes) -> None:
    with contextlib.suppress(ConfigError):
        assert load(io.BytesIO(content)).source == ""
