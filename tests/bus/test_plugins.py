"""The shape of a plugin."""

from __future__ import annotations

from kirsch.bus import Bus, Plugin


class Sample(Plugin):
    def __init__(self, bus: Bus) -> None:
        super().__init__(bus)
        self.calls: list[str] = []
        self.log = "not callable, although there is a channel of this name"

    def start(self) -> None:
        self.calls.append("start")

    start.priority = 70  # type: ignore[attr-defined]  # as plugins do

    def custom(self) -> None:
        self.calls.append("custom")

    def unheard(self) -> None:
        self.calls.append("unheard")


def test_methods_named_after_channels_are_bound_with_their_priority() -> None:
    bus = Bus()
    bus.declare("custom")
    plugin = Sample(bus)
    plugin.subscribe()
    plugin.subscribe()
    for channel in ("start", "custom", "unheard"):
        bus.publish(channel)
    assert plugin.calls == ["start", "custom"]
    assert [one.priority for one in bus.listeners["start"]] == [70]


def test_unsubscribing_unbinds_them_also_twice() -> None:
    bus = Bus()
    plugin = Sample(bus)
    plugin.unsubscribe()
    plugin.subscribe()
    plugin.unsubscribe()
    plugin.unsubscribe()
    bus.publish("start")
    assert plugin.calls == []
    plugin.subscribe()
    bus.publish("start")
    assert plugin.calls == ["start"]
