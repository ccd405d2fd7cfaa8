"""Numbers for threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from kirsch.bus import Bus, ThreadManager


class Scene:
    def __init__(self) -> None:
        self.bus = Bus()
        self.manager = ThreadManager(self.bus)
        self.manager.subscribe()
        self.said: list[tuple[str, int]] = []
        for channel in ("start_thread", "stop_thread"):
            self.bus.subscribe(channel, lambda number, channel=channel: self.said.append((channel, number)))

    def in_thread(self, *channels: str) -> None:
        def publish() -> None:
            for channel in channels:
                self.bus.publish(channel)

        thread = threading.Thread(target=publish)
        thread.start()
        thread.join()


def test_a_thread_is_numbered_once_until_it_gives_the_number_back() -> None:
    scene = Scene()
    for channel in ("acquire_thread", "acquire_thread", "release_thread", "release_thread"):
        scene.bus.publish(channel)
    assert scene.said == [("start_thread", 1), ("stop_thread", 1)]
    assert scene.manager.threads == {}


def test_no_two_threads_have_the_same_number_and_free_ones_are_given_out_again() -> None:
    scene = Scene()
    gate = threading.Barrier(8)

    def work() -> None:
        scene.bus.publish("acquire_thread")
        gate.wait()

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(work) for _ in range(8)]:
            future.result()
    assert sorted(scene.manager.threads.values()) == list(range(1, 9))
    third = next(ident for ident, number in scene.manager.threads.items() if number == 3)
    del scene.manager.threads[third]
    scene.bus.publish("acquire_thread")
    assert scene.manager.threads[threading.get_ident()] == 3


def test_stop_and_graceful_take_all_numbers_back() -> None:
    for channel in ("stop", "graceful"):
        scene = Scene()
        scene.bus.publish("acquire_thread")
        scene.bus.publish(channel)
        assert scene.said == [("start_thread", 1), ("stop_thread", 1)]
        scene.bus.publish("acquire_thread")
        assert scene.said[-1] == ("start_thread", 1)


def test_a_thread_that_comes_and_goes_leaves_nothing() -> None:
    scene = Scene()
    scene.in_thread("acquire_thread", "release_thread")
    scene.in_thread("release_thread")
    assert scene.manager.threads == {}
