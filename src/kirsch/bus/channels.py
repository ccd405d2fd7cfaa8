"""Channels: named lists of listeners, called in order of priority.

A channel is a string anybody may invent; it comes to be when somebody subscribes to it. Listeners run in the
thread that publishes. `Channels` is the half of a bus that has no life cycle, so it can be used and tested
alone.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

__all__ = ["DEFAULT_PRIORITY", "ChannelFailures", "Channels", "Listener", "last_resort"]

DEFAULT_PRIORITY = 50
"""Priority of a listener that names none, as in CherryPy. Others in use: 65 daemonising, 70 pid files and
monitors, 75 HTTP servers, 77 dropping privileges (all on `start`), 25 HTTP servers on `stop`. Low runs
first.
"""

_F = TypeVar("_F", bound="Callable[..., Any]")


class ChannelFailures(ExceptionGroup[Exception]):
    """Some listeners of a channel failed; all the others have run.

    `exceptions` holds the errors in calling order. An exception group (PEP 654), so an uncaught one prints
    every traceback and `except*` picks single errors out.
    """

    channel: str
    """The channel that was published to."""

    def __new__(cls, channel: str, failures: Sequence[Exception]) -> Self:
        """Make the group for `channel`; `failures` must not be empty (ValueError)."""
        group = super().__new__(cls, f"listeners of channel {channel!r} failed", failures)
        group.channel = channel
        return group

    def derive(self, excs: Sequence[Exception], /) -> ChannelFailures:  # type: ignore[override]  # as PEP 654 asks
        """Return a group of the same channel over `excs`; used by `split` and `except*`."""
        return ChannelFailures(self.channel, excs)

    def get_instances(self) -> list[Exception]:
        """Return the errors in calling order, as CherryPy's class of this name does."""
        return list(self.exceptions)

    def __str__(self) -> str:
        return "\n".join(map(repr, self.exceptions))


class Listener(NamedTuple):
    """One subscription."""

    priority: float
    order: int
    """Rank among all subscriptions ever made here: settles ties between equal priorities."""
    callback: Callable[..., Any]


class Channels:
    """Subscriptions by channel. Every method may be called from any thread.

    Parameters:
        names: channels that exist from the start.
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        # Guards changes of `_listeners`. The tuples inside are replaced, never changed, so publishing takes
        # no lock and a listener may subscribe and unsubscribe, itself included, while its channel is being
        # published. Re-entrant because a Python-level signal handler of the program may subscribe while this
        # thread is inside.
        self._subscribing = threading.RLock()
        self._listeners: dict[str, tuple[Listener, ...]] = dict.fromkeys(names, ())
        self._subscribed = 0

    @property
    def listeners(self) -> Mapping[str, tuple[Listener, ...]]:
        """Listeners in calling order, by channel. For reading; tuples are replaced, never changed."""
        return self._listeners

    def declare(self, channel: str) -> None:
        """Make a channel exist without listeners, so that plugins with a method of its name bind to it."""
        with self._subscribing:
            self._listeners.setdefault(channel, ())

    @overload
    def subscribe(
        self, channel: str, callback: None = None, priority: float | None = None
    ) -> Callable[[_F], _F]: ...

    @overload
    def subscribe(self, channel: str, callback: _F, priority: float | None = None) -> _F: ...

    def subscribe(
        self, channel: str, callback: Callable[..., Any] | None = None, priority: float | None = None
    ) -> Any:
        """Have `callback` called when `channel` is published. Without `callback` it is a decorator.

        Parameters:
            channel: any string.
            callback: called with the arguments that were published.
            priority: low runs first; without it the callback's attribute `priority`, else 50. Equal
                priorities run in the order of subscription. Subscribing the same callback again changes its
                priority and nothing else.

        Returns the callback, so a decorated name stays what it was.
        """
        if callback is None:

            def decorate(function: _F) -> _F:
                return self.subscribe(channel, function, priority)

            return decorate
        if priority is None:
            priority = getattr(callback, "priority", DEFAULT_PRIORITY)
        with self._subscribing:
            present = self._listeners.get(channel, ())
            order = next((one.order for one in present if one.callback == callback), self._subscribed)
            self._subscribed += 1
            kept = [one for one in present if one.callback != callback]
            kept.append(Listener(priority, order, callback))
            kept.sort(key=lambda one: (one.priority, one.order))
            self._listeners[channel] = tuple(kept)
        return callback

    def unsubscribe(self, channel: str, callback: Callable[..., Any]) -> None:
        """Stop calling `callback` for `channel`. Silent when it is not subscribed.

        A publication under way still calls it.
        """
        with self._subscribing:
            present = self._listeners.get(channel, ())
            if present:
                self._listeners[channel] = tuple(one for one in present if one.callback != callback)

    def publish(self, channel: str, /, *args: Any, **kwargs: Any) -> list[Any]:
        """Call every listener of `channel` with these arguments and return their results in calling order.

        All listeners run: the errors of those that fail are reported to `listener_failed` one by one and
        raised together, as ChannelFailures, at the end. KeyboardInterrupt and SystemExit cut through at once;
        a SystemExit that means success becomes one with code 1 when earlier listeners had failed. A channel
        nobody knows gives [].
        """
        results: list[Any] = []
        failures: list[Exception] = []
        for listener in self._listeners.get(channel, ()):
            try:
                results.append(listener.callback(*args, **kwargs))
            except SystemExit as leaving:
                if failures and not leaving.code:
                    leaving.code = 1
                raise
            except Exception as error:  # noqa: BLE001  the boundary: listeners belong to others and must not stop each other
                failures.append(error)
                self.listener_failed(channel, listener.callback)
        if failures:
            raise ChannelFailures(channel, failures)
        return results

    def listener_failed(self, channel: str, callback: Callable[..., Any]) -> None:
        """Take note of the error that is being handled; does nothing here."""


def last_resort(text: str) -> None:
    """Write to standard error what no log listener takes, as `logging` does; there may be none."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        sys.stderr.write(text.rstrip("\n") + "\n")
