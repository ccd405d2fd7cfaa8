"""Values of `.conf` files: literals and nothing else, unless references are allowed."""

from __future__ import annotations

import collections
import math
import sys
import types
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirsch.config.errors import ConfigError
from kirsch.config.values import LONGEST_TEXT, evaluate


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4", 4),
        (" -4 ", -4),
        ("+4", 4),
        ("0o660", 0o660),
        ("1_000", 1000),
        ("2.5", 2.5),
        ("3+2j", 3 + 2j),
        ("True", True),
        ("None", None),
        ("...", ...),
        ("'text'", "text"),
        ("'a' 'b'", "ab"),
        ("'a' + 'b'", "ab"),
        ("b'x'", b"x"),
        ("100 * 1024 * 1024", 100 * 1024 * 1024),
        ("'=' * 3", "==="),
        ("(1,)", (1,)),
        ("1, 2", (1, 2)),
        ("()", ()),
        ("[1, [2]]", [1, [2]]),
        ("{'a': {'b': 1}}", {"a": {"b": 1}}),
        ("{1, 2}", {1, 2}),
        ("{}", {}),
        ("[1,\n 2]", [1, 2]),
        ("1\n+ 2", 3),
        ("4  # four", 4),
    ],
)
def test_a_literal_is_its_value(text: str, value: object) -> None:
    result = evaluate(text)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no value"),
        ("  \n ", "has no value"),
        ("localhost", "not a Python literal"),
        ("/var/www", "not a Python literal"),
        ("10 MiB", "not a Python literal"),
        ("'open", "not a Python literal"),
        ("[1, 2", "not a Python literal"),
        ("1)(", "not a Python literal"),
        ("a\0b", "not a Python literal"),
        ("'\ud800'", "not a Python literal"),
        ("9" * 5000, "not a Python literal"),
        ("set()", "not a Python literal"),
        ("__import__('os').system('true')", "not a Python literal"),
        ("open.x", "not a Python literal"),
        ("[1][0]", "not a Python literal"),
        ("f'{1}'", "not a Python literal"),
        ("lambda: 1", "not a Python literal"),
        ("[x for x in ()]", "not a Python literal"),
        ("1 if True else 2", "not a Python literal"),
        ("1 == 1", "not a Python literal"),
        ("(x := 1)", "not a Python literal"),
        ("2 ** 8", "not a Python literal"),
        ("3 - 2", "not a Python literal"),
        ("not True", "not a Python literal"),
        ("~1", "not a Python literal"),
        ("*a", "not a Python literal"),
        ("{**{}}", "unpacked"),
        ("{[]}", "unhashable"),
        ("{[]: 1}", "unhashable"),
        ("1 + 'a'", "unsupported operand"),
        ("-'a'", "bad operand"),
        ("1e308 * 10 + 'x'", "unsupported operand"),
        ("'x' * 10000000000", "more than 1000000 items"),
        ("10000000000 * [0]", "more than 1000000 items"),
        ("*".join(["0x" + "f" * 400] * 4), "more than 4096 bits"),
        (f"1e300 * {'9' * 400}", "too large"),
        ("[" * 5000, "not a Python literal|nested too deeply"),
        ("-" * 30_000 + "1", "nested too deeply"),
        ("1" + "+1" * 20_000, "nested too deeply"),
        ("1" * (LONGEST_TEXT + 1), "are read at most"),
    ],
)
def test_what_is_no_literal_is_a_config_error(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        evaluate(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("localhost", 'put quotes around it: "localhost"'),
        ("localhost:8080", 'put quotes around it: "localhost:8080"'),
        ('a "b" c', "put quotes around it: 'a \"b\" c'"),
        ("true", "Write True, or"),
        ("Off", "Write False, or"),
        ("null", "Write None, or"),
        ("one\ntwo", "brackets"),
        ("'open", "closed"),
        ("[1, localhost]", 'put quotes around it: "localhost"'),
    ],
)
def test_the_hint_says_what_to_write_instead(text: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        evaluate(text)
    assert hint in caught.value.hint


def test_the_error_shows_a_long_value_cut() -> None:
    with pytest.raises(ConfigError) as caught:
        evaluate("x" * 50_000)
    assert len(str(caught.value)) < 400


LITERALS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # Only `+` joins the parts of a complex number here, and repr writes `-` before a negative imaginary part.
    | st.builds(complex, st.floats(-1e9, 1e9), st.floats(0, 1e9))
    | st.text(max_size=10)
    | st.binary(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
        | st.sets(st.integers() | st.text(max_size=3), min_size=1, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=60)
@given(LITERALS)
def test_the_repr_of_any_literal_evaluates_to_it(value: object) -> None:
    assert evaluate(repr(value)) == value
    assert evaluate(repr(value), allow_references=True) == value


CODE = st.text(max_size=30) | st.text(alphabet="[](){}'\"+-*,:.0123abeTN \n\\#%=", max_size=30)


@settings(max_examples=150)
@given(CODE)
def test_any_text_is_a_value_or_a_config_error(text: str) -> None:
    try:
        value = evaluate(text)
    except ConfigError:
        return
    assert repr(value)


def test_negative_zero_keeps_its_sign() -> None:
    assert math.copysign(1, evaluate("-0.0")) == -1


@pytest.fixture
def sample(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """Put a module `kirsch_sample` with a few things to refer to where imports find it."""

    def describe(*args: Any, **kwargs: Any) -> tuple[Any, ...]:
        return (args, kwargs)

    def fail() -> None:
        raise LookupError("nothing there")

    module = types.ModuleType("kirsch_sample")
    module.__dict__.update(describe=describe, fail=fail, table={"k": [10, 11, 12]}, number=5)
    monkeypatch.setitem(sys.modules, "kirsch_sample", module)
    return module


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("kirsch_sample.number", 5),
        ("kirsch_sample.number + 1", 6),
        ("kirsch_sample.table['k'][1]", 11),
        ("kirsch_sample.table['k'][1:]", [11, 12]),
        ("kirsch_sample.table['k'][::2]", [10, 12]),
        ("kirsch_sample.describe()", ((), {})),
        ("kirsch_sample.describe(1, *[2, 3], a=4, **{'b': 5})", ((1, 2, 3), {"a": 4, "b": 5})),
        ("len('abc')", 3),
        ("str", str),
        ("collections.OrderedDict", collections.OrderedDict),
        ("xml.dom.minidom.__name__", "xml.dom.minidom"),
        ("not 1", False),
        ("~1", -2),
        ("-1", -1),
    ],
)
@pytest.mark.usefixtures("sample")
def test_references_are_followed_where_they_are_allowed(text: str, value: object) -> None:
    assert evaluate(text, allow_references=True) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kirsch_no_such_thing", "no module and no builtin called 'kirsch_no_such_thing'"),
        ("kirsch_sample.missing", "ModuleNotFoundError"),
        ("kirsch_sample.number.missing", "AttributeError"),
        ("kirsch_sample.table['x']", "KeyError"),
        ("kirsch_sample.fail()", "LookupError: nothing there"),
        ("kirsch_sample.describe(**1)", "TypeError"),
        ("lambda: 1", "not a Python literal"),
        ("3 - 2", "not a Python literal"),
    ],
)
@pytest.mark.usefixtures("sample")
def test_whatever_a_reference_raises_becomes_a_config_error(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        evaluate(text, allow_references=True)


def test_a_module_that_fails_on_an_import_of_its_own_is_reported_as_that(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kirsch_broken_sample.py").write_text("import kirsch_no_such_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match="kirsch_no_such_dependency"):
        evaluate("kirsch_broken_sample", allow_references=True)


@pytest.mark.parametrize("text", ["sys.exit", "str", "open('x')"])
def test_without_permission_no_name_is_followed(text: str) -> None:
    with pytest.raises(ConfigError, match="not a Python literal"):
        evaluate(text)
