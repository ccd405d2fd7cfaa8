"""Order and failure rules of hooks."""

from __future__ import annotations

from typing import Any

import pytest

from kirsch.web.hooks import POINTS, Hook, Hooks, run_hooks, takes_request


def make(seen: list[str], name: str, error: BaseException | None = None) -> Any:
    def callback() -> None:
        seen.append(name)
        if error is not None:
            raise error

    return callback


def test_hooks_run_by_priority_and_ties_by_attachment() -> None:
    seen: list[str] = []
    hooks = Hooks()
    for name, priority in (("c", 60), ("a", 10), ("b", 50), ("b2", 50)):
        hooks.attach("before_handler", make(seen, name), priority=priority)
    run_hooks(hooks["before_handler"], None)
    assert seen == ["a", "b", "b2", "c"]


def test_a_callbacks_own_attributes_are_its_defaults() -> None:
    callback = make([], "x")
    assert (Hook(callback).priority, Hook(callback).failsafe) == (50, False)
    callback.priority, callback.failsafe = 5, True
    assert (Hook(callback).priority, Hook(callback).failsafe) == (5, True)
    assert (
        Hook(callback, failsafe=False, priority=7).priority,
        Hook(callback, failsafe=False, priority=7).failsafe,
    ) == (7, False)


def test_after_a_failure_only_failsafe_hooks_run() -> None:
    seen: list[str] = []
    hooks = [
        Hook(make(seen, "fails", ValueError("first"))),
        Hook(make(seen, "skipped")),
        Hook(make(seen, "safe"), failsafe=True),
        Hook(make(seen, "skipped too")),
        Hook(make(seen, "safe too"), failsafe=True),
    ]
    with pytest.raises(ValueError, match="first"):
        run_hooks(hooks, None)
    assert seen == ["fails", "safe", "safe too"]


def test_a_failsafe_hook_that_fails_takes_over_and_the_rest_still_run() -> None:
    seen: list[str] = []
    hooks = [
        Hook(make(seen, "one", ValueError("first"))),
        Hook(make(seen, "two", KeyError("second")), failsafe=True),
        Hook(make(seen, "three"), failsafe=True),
    ]
    with pytest.raises(KeyError) as caught:
        run_hooks(hooks, None)
    assert isinstance(caught.value.__context__, ValueError)
    assert seen == ["one", "two", "three"]


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_cuts_through(ending: type[BaseException]) -> None:
    seen: list[str] = []
    hooks = [Hook(make(seen, "one", ending())), Hook(make(seen, "two"), failsafe=True)]
    with pytest.raises(ending):
        run_hooks(hooks, None)
    assert seen == ["one"]


def test_a_callback_gets_its_arguments_and_the_request_if_it_wants_it() -> None:
    seen: list[Any] = []

    def wants(request: object, /, limit: int) -> None:
        seen.append((request, limit))

    def does_not(limit: int) -> None:
        seen.append(limit)

    run_hooks([Hook(wants, limit=1), Hook(does_not, limit=2)], "request")
    assert seen == [("request", 1), 2]
    assert takes_request(wants)
    assert not takes_request(does_not)
    assert not takes_request(lambda *args: None)
    assert not takes_request(dict)
    assert not takes_request(5)  # type: ignore[arg-type]


def test_a_point_that_does_not_exist_is_a_mistake_with_the_list() -> None:
    with pytest.raises(ValueError, match="no hook point 'before_handlers'; there are on_start_resource"):
        Hooks().attach("before_handlers", lambda: None)


def test_a_copy_changes_apart() -> None:
    hooks = Hooks()
    hooks.attach("before_handler", lambda: None)
    copy = hooks.copy()
    copy.attach("before_handler", lambda: None)
    copy.attach("before_finalize", lambda: None)
    assert {point: len(some) for point, some in hooks.items()} == {"before_handler": 1}
    assert {point: len(some) for point, some in copy.items()} == {"before_handler": 2, "before_finalize": 1}


def test_a_hook_may_attach_to_the_point_that_runs_for_the_next_time() -> None:
    hooks = Hooks()
    seen: list[str] = []
    hooks.attach("before_handler", lambda: hooks.attach("before_handler", make(seen, "late")))
    run_hooks(hooks["before_handler"], None)
    assert seen == []


def test_there_are_eight_points_and_a_hook_says_what_it_is() -> None:
    assert len(POINTS) == 8
    assert repr(Hook(len, failsafe=True)) == "<Hook <built-in function len>, priority 50, failsafe>"
