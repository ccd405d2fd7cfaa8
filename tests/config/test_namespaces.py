"""Namespaces: who is told what, and in which order."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from kirsch.config.namespaces import Namespaces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

Told = list[tuple[str, str, Any]]


def teller(told: Told, name: str) -> Callable[[str, Any], None]:
    return lambda key, value: told.append((name, key, value))


def test_namespaces_are_told_in_registration_order_and_keys_in_theirs() -> None:
    told: Told = []
    namespaces = Namespaces(b=teller(told, "b"), a=teller(told, "a"))
    namespaces.apply({"a.2": 1, "b.x.y": 2, "a.1": 3, "plain": 4, "other.k": 5})
    assert told == [("b", "x.y", 2), ("a", "2", 1), ("a", "1", 3)]


def test_a_context_manager_is_entered_even_without_keys_and_left_after_them() -> None:
    told: Told = []

    @contextmanager
    def collect(name: str) -> Iterator[Callable[[str, Any], None]]:
        told.append((name, "enter", None))
        yield teller(told, name)
        told.append((name, "leave", None))

    class Reusable:
        def __init__(self, name: str) -> None:
            self.name = name

        def __enter__(self) -> Callable[[str, Any], None]:
            self.inner = collect(self.name)
            return self.inner.__enter__()

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
        ) -> None:
            self.inner.__exit__(kind, error, trace)

    namespaces = Namespaces(tools=Reusable("tools"), idle=Reusable("idle"))
    namespaces.apply({"tools.x.on": True})
    assert told == [
        ("tools", "enter", None),
        ("tools", "x.on", True),
        ("tools", "leave", None),
        ("idle", "enter", None),
        ("idle", "leave", None),
    ]


def test_an_error_of_a_key_goes_through_the_context_manager_and_may_be_swallowed_there() -> None:
    seen: list[type[BaseException] | None] = []

    class Swallowing:
        def __enter__(self) -> Callable[[str, Any], None]:
            return lambda key, value: (_ for _ in ()).throw(KeyError(key)).__next__()

        def __exit__(self, kind: type[BaseException] | None, *rest: object) -> bool:
            seen.append(kind)
            return True

    Namespaces(a=Swallowing()).apply({"a.k": 1})
    assert seen == [KeyError]


def test_an_error_of_a_callable_comes_out_and_ends_the_matter() -> None:
    told: Told = []

    def fail(key: str, value: Any) -> None:
        raise LookupError(key)

    namespaces = Namespaces(a=fail, b=teller(told, "b"))
    with pytest.raises(LookupError, match="k"):
        namespaces.apply({"b.k": 1, "a.k": 1})
    assert told == []


def test_a_handler_may_register_another_which_counts_from_the_next_time_on() -> None:
    told: Told = []
    namespaces = Namespaces()
    namespaces["a"] = lambda key, value: namespaces.setdefault("b", teller(told, "b"))
    namespaces.apply({"a.k": 1, "b.k": 2})
    assert told == []
    namespaces.apply({"b.k": 2})
    assert told == [("b", "k", 2)]


def test_a_copy_has_the_same_handlers_and_its_own_life() -> None:
    namespaces = Namespaces(a=teller([], "a"))
    copied = namespaces.copy()
    assert isinstance(copied, Namespaces)
    copied["b"] = teller([], "b")
    assert list(namespaces) == ["a"]
