"""Channels without a life cycle."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirsch.bus.channels import ChannelFailures, Channels

if TYPE_CHECKING:
    from collections.abc import Callable


def listener(calls: list[str], name: str) -> Callable[[], str]:
    def called() -> str:
        calls.append(name)
        return name

    return called


def failing(error: BaseException) -> Callable[[], None]:
    def called() -> None:
        raise error

    return called


def test_a_channel_nobody_knows_gives_an_empty_list() -> None:
    assert Channels().publish("nobody") == []


def test_results_come_in_calling_order_with_the_arguments_passed_on() -> None:
    channels = Channels()
    channels.subscribe("sum", lambda a, b=0: a + b)
    channels.subscribe("sum", lambda a, b=0: a - b, priority=10)
    assert channels.publish("sum", 5, b=3) == [2, 8]


def test_low_priorities_run_first_and_ties_in_subscription_order() -> None:
    channels = Channels()
    calls: list[str] = []
    for name, priority in (("d", None), ("a", 0), ("e", 50), ("f", 100), ("b", 10), ("c", 49.5)):
        channels.subscribe("x", listener(calls, name), priority)
    channels.publish("x")
    assert calls == list("abcdef")


@given(st.lists(st.integers(0, 3), max_size=12))
def test_calling_order_is_a_stable_sort_by_priority(priorities: list[int]) -> None:
    channels = Channels()
    for index, priority in enumerate(priorities):
        channels.subscribe("x", lambda mine=(priority, index): mine, priority)
    assert channels.publish("x") == sorted((p, i) for i, p in enumerate(priorities))


def test_the_priority_attribute_of_a_method_counts_unless_one_is_given() -> None:
    class Late:
        def first(self) -> str:
            return "late"

        first.priority = 77  # type: ignore[attr-defined]  # as plugins do

    channels = Channels()
    late = Late()
    channels.subscribe("x", late.first)
    channels.subscribe("x", lambda: "ordinary")
    assert channels.publish("x") == ["ordinary", "late"]
    channels.subscribe("x", late.first, priority=1)
    assert channels.publish("x") == ["late", "ordinary"]


def test_subscribing_again_changes_the_priority_and_keeps_the_rank_among_equals() -> None:
    channels = Channels()
    calls: list[str] = []
    first, second = listener(calls, "first"), listener(calls, "second")
    channels.subscribe("x", first)
    channels.subscribe("x", second)
    channels.subscribe("x", first)
    assert channels.publish("x") == ["first", "second"]
    channels.subscribe("x", first, 60)
    assert channels.publish("x") == ["second", "first"]


def test_as_a_decorator_it_leaves_the_function_what_it_was() -> None:
    channels = Channels()

    @channels.subscribe("x", priority=5)
    def hello(name: str) -> str:
        return f"hello {name}"

    assert hello("you") == "hello you"
    assert channels.publish("x", "me") == ["hello me"]
    assert channels.listeners["x"][0].priority == 5


def test_as_a_call_it_returns_the_callback() -> None:
    def callback() -> None: ...

    assert Channels().subscribe("x", callback) is callback


def test_unsubscribing_is_silent_when_nothing_is_subscribed() -> None:
    channels = Channels()

    def one() -> int:
        return 1

    channels.unsubscribe("nobody", one)
    assert "nobody" not in channels.listeners
    channels.subscribe("x", one)
    channels.unsubscribe("x", lambda: 2)
    assert channels.publish("x") == [1]
    channels.unsubscribe("x", one)
    channels.unsubscribe("x", one)
    assert channels.publish("x") == []
    assert "x" in channels.listeners


def test_a_declared_channel_exists_without_listeners() -> None:
    channels = Channels(("start",))
    channels.declare("more")
    channels.subscribe("start", lambda: 1)
    channels.declare("start")
    assert dict(channels.listeners).keys() == {"start", "more"}
    assert channels.publish("start") == [1]


def test_a_listener_may_unsubscribe_itself_while_it_is_called() -> None:
    channels = Channels()
    calls: list[str] = []

    def once() -> None:
        channels.unsubscribe("x", once)
        calls.append("once")

    channels.subscribe("x", once)
    channels.subscribe("x", listener(calls, "always"))
    channels.publish("x")
    channels.publish("x")
    assert calls == ["once", "always", "always"]


def test_all_listeners_run_and_failures_are_gathered_in_order() -> None:
    channels = Channels()
    calls: list[str] = []
    reported: list[str] = []
    channels.listener_failed = lambda channel, callback: reported.append(channel)  # type: ignore[method-assign]
    channels.subscribe("x", failing(ValueError("one")))
    channels.subscribe("x", listener(calls, "between"))
    channels.subscribe("x", failing(KeyError("two")))
    with pytest.raises(ChannelFailures) as caught:
        channels.publish("x")
    assert calls == ["between"]
    assert reported == ["x", "x"]
    assert [type(error) for error in caught.value.get_instances()] == [ValueError, KeyError]
    assert str(caught.value) == "ValueError('one')\nKeyError('two')"
    assert caught.value.channel == "x"
    assert bool(caught.value) is True


def test_without_a_report_the_failure_is_still_raised() -> None:
    channels = Channels()
    channels.subscribe("x", failing(ValueError()))
    with pytest.raises(ChannelFailures):
        channels.publish("x")


def test_failures_are_an_exception_group_that_can_be_split() -> None:
    failures = ChannelFailures("x", [ValueError("v"), KeyError("k")])
    matching, rest = failures.split(ValueError)
    assert isinstance(matching, ChannelFailures)
    assert isinstance(rest, ChannelFailures)
    assert matching.channel == rest.channel == "x"
    assert "KeyError: 'k'" in "".join(traceback.format_exception(failures))


def test_keyboard_interrupt_cuts_through_at_once() -> None:
    channels = Channels()
    calls: list[str] = []
    channels.subscribe("x", failing(ValueError()))
    channels.subscribe("x", failing(KeyboardInterrupt()))
    channels.subscribe("x", listener(calls, "never"))
    with pytest.raises(KeyboardInterrupt):
        channels.publish("x")
    assert calls == []


@pytest.mark.parametrize(
    ("code", "after_failure", "expected"),
    [(0, False, 0), (None, False, None), (0, True, 1), (None, True, 1), (3, True, 3), ("text", True, "text")],
)
def test_system_exit_cuts_through_and_is_no_success_after_a_failure(
    code: int | str | None, after_failure: bool, expected: int | str | None
) -> None:
    channels = Channels()
    calls: list[str] = []
    if after_failure:
        channels.subscribe("x", failing(ValueError()))
    channels.subscribe("x", failing(SystemExit(code)))
    channels.subscribe("x", listener(calls, "never"))
    with pytest.raises(SystemExit) as caught:
        channels.publish("x")
    assert caught.value.code == expected
    assert calls == []
