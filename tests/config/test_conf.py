"""The `.conf` format: sections, interpolation, and errors that say where."""

from __future__ import annotations

import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirsch.config.conf import read_conf
from kirsch.config.errors import ConfigError

CONF = """\
# A comment
; another
[DEFAULT]
root = /srv/site
shout = 'all'

[global]
Case.Kept = True
a: ["x",
    "%(root)s"]
percent = "100%%"

[/static]
dir = "%(root)s/static"
shout = 'own'
"""


def test_sections_are_read_with_defaults_and_interpolation() -> None:
    assert read_conf(CONF, "x.conf") == {
        "global": {"Case.Kept": True, "a": ["x", "/srv/site"], "percent": "100%", "shout": "all"},
        "/static": {"dir": "/srv/site/static", "shout": "own"},
    }


def test_references_are_followed_only_where_they_are_allowed() -> None:
    text = "[global]\nkind = str\n"
    assert read_conf(text, "x.conf", allow_references=True) == {"global": {"kind": str}}
    with pytest.raises(ConfigError, match="not a Python literal"):
        read_conf(text, "x.conf")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = 1\n", r"^x\.conf: line 1 stands before any section\. Begin the file with \[global\]\."),
        ("[global]\na = 1\na = 2\n", r"line 3: the key a is twice in \[global\]"),
        ("[global]\n[a]\n[global]\n", r"line 3: the section \[global\] is there twice"),
        ("[global]\nserver.threads\n", r"line 2 is neither a \[section\] nor key = value: 'server\.threads"),
        ("[global]\na = %(b)s\n", r"^x\.conf, \[global\] a: has a % that cannot be replaced\. Write %%"),
        ("[global]\na = '50%'\n", r"^x\.conf, \[global\] a: has a %"),
        ("[/p]\nk = localhost\n", r"^x\.conf, \[/p\] k: the value 'localhost' cannot be read.*put quotes"),
        ("[/p]\nk =\n", r"^x\.conf, \[/p\] k: has no value"),
    ],
)
def test_a_bad_conf_names_file_section_key_and_value(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_conf(text, "x.conf")


def test_a_password_that_cannot_be_read_is_not_shown() -> None:
    with pytest.raises(ConfigError, match=r"^x\.conf, \[global\] server\.tls\.password: ") as caught:
        read_conf("[global]\nserver.tls.password = hunter2\n", "x.conf")
    assert "hunter2" not in "".join(traceback.format_exception(caught.value)).replace(
        "password = hunter2", ""
    )


def test_bare_text_in_default_is_an_error_where_a_section_sets_it_itself() -> None:
    with pytest.raises(ConfigError, match=r"\[global\] root"):
        read_conf("[DEFAULT]\nroot = '/srv'\n[global]\nroot = /other\n", "x.conf")


@settings(max_examples=60)
@given(st.text(alphabet="[]global/=: \n\t'%()s1a#;\r\0", max_size=40))
def test_any_text_after_a_section_head_is_sections_or_a_config_error(text: str) -> None:
    try:
        sections = read_conf("[global]\n" + text, "x.conf")
    except ConfigError:
        return
    assert "global" in sections
