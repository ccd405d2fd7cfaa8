"""What a handler can be called with. The checks agree with what a call does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirsch.web import HTTPError
from kirsch.web.params import Parameters, merge_params


class Handlers:
    def nothing(self) -> str:
        return ""

    def one(self, a: str) -> str:
        return ""

    def optional(self, a: str, b: str = "") -> str:
        return ""

    def more(self, a: str, *args: str) -> str:
        return ""

    def everything(self, *args: str, **kwargs: str) -> str:
        return ""

    def by_name(self, *, a: str, b: str = "") -> str:
        return ""

    def only(self, a: str, /, b: str = "") -> str:
        return ""

    def only_and_all(self, a: str = "", /, **kwargs: str) -> str:
        return ""


CALLABLES = [
    *(getattr(Handlers(), name) for name in vars(Handlers) if not name.startswith("_")),
    lambda a, b="", *c, d="", **e: "",
    Handlers,
    dict.fromkeys,
]
NAMES = st.sampled_from(["a", "b", "c", "d", "self"])


@settings(max_examples=120, deadline=None)
@given(
    handler=st.sampled_from(CALLABLES[:-1]),
    args=st.lists(st.just("x"), max_size=4),
    kwargs=st.dictionaries(NAMES, st.just("y"), max_size=3),
    data=st.data(),
)
def test_what_is_let_through_can_be_called_and_what_is_not_cannot(
    handler: Any, args: list[str], kwargs: dict[str, str], data: Any
) -> None:
    body = data.draw(st.sets(st.sampled_from(sorted(kwargs)))) if kwargs else set()
    try:
        Parameters(handler).check(args, kwargs, body, explain=True)
    except HTTPError as error:
        assert error.code in {400, 404}  # noqa: PT017  either outcome is right, this is one
        with pytest.raises(TypeError):
            handler(*args, **kwargs)
    else:
        handler(*args, **kwargs)


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "body", "code", "text"),
    [
        ("one", [], {}, [], 404, "Missing parameters: a"),
        ("optional", ["1", "2", "3"], {}, [], 404, "Nothing matches the given URI"),
        ("one", ["1"], {"a": "2"}, [], 404, "Multiple values for parameters: a"),
        ("one", ["1"], {"a": "2"}, ["a"], 400, "Multiple values for parameters: a"),
        ("one", ["1"], {"x": "2"}, [], 404, "Unexpected query string parameters: x"),
        ("one", ["1"], {"x": "2"}, ["x"], 400, "Unexpected body parameters: x"),
        ("one", ["1"], {"x": "2", "y": "3"}, ["x"], 404, "Unexpected query string parameters: y"),
        ("by_name", [], {"b": "1"}, [], 404, "Missing parameters: a"),
        ("only", [], {"a": "1"}, [], 404, "Missing parameters: a"),
    ],
)
def test_errors_say_what_does_not_fit_to_those_who_may_know(
    name: str, args: list[str], kwargs: dict[str, str], body: list[str], code: int, text: str
) -> None:
    parameters = Parameters(getattr(Handlers(), name))
    with pytest.raises(HTTPError) as caught:
        parameters.check(args, kwargs, body, explain=True)
    assert (caught.value.code, caught.value.text("")) == (code, text)
    with pytest.raises(HTTPError) as caught:
        parameters.check(args, kwargs, body, explain=False)
    assert caught.value.message is None


def test_a_callable_without_signature_accepts_everything() -> None:
    Parameters(dict.fromkeys).check(["a"], {}, (), explain=False)
    Parameters(min).check(["a", "b"], {"key": "x"}, (), explain=False)
    Parameters(5).check(["a", "b"], {"key": "x"}, (), explain=False)  # type: ignore[arg-type]


def test_a_handler_of_a_tool_gets_the_request_which_is_no_parameter() -> None:
    def handler(request: object, /, a: str) -> str:
        return a

    handler.takes_request = True  # type: ignore[attr-defined]
    parameters = Parameters(handler)
    assert (parameters.passes, parameters.places) == (True, ("a",))


def test_names_that_come_again_get_a_list() -> None:
    params: dict[str, Any] = {"a": "0"}
    merge_params(params, [("b", "1"), ("a", "1"), ("a", "2"), ("c", "1")])
    assert params == {"a": ["0", "1", "2"], "b": "1", "c": "1"}
