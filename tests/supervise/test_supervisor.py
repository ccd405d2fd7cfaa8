"""The decisions of the supervisor, step by step on a clock of the test; no process is started.

What it does with real ones: tests/cli/test_workers.py.
"""

from __future__ import annotations

import logging
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from kirsch.supervise import supervisor as module
from kirsch.supervise.member import READY, STARTING, STOPPING, Member
from kirsch.supervise.supervisor import MERCY, Limits, Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

WAIT = 20.0


class Process:
    """What a `Member` needs of a process that is none."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None


class Actor(Member):
    """A worker that does what the test says, and notes what it is told."""

    def __init__(self, number: int, pid: int, now: float) -> None:
        super().__init__(number, Process(pid), None, now)  # type: ignore[arg-type]
        self.got: list[str] = []
        self.deaf = False
        self.say: Callable[..., Any] = lambda **message: None
        self.end: Callable[[], Any] = lambda: None

    def follow(self, told: Callable[[Mapping[str, Any]], object], ended: Callable[[], object]) -> None:
        self.say = lambda **message: told(message)
        self.end = ended

    def signal(self, number: int) -> None:
        self.got.append(signal.Signals(number).name)

    def kill(self) -> None:
        self.got.append("SIGKILL")

    def retire(self, seconds: float) -> bool:
        if not self.deaf:
            self.got.append(f"retire {seconds:g}")
        return not self.deaf


class Stage:
    """A supervisor, its workers, and a clock."""

    def __init__(self, count: int, **limits: Any) -> None:
        self.now = 100.0
        self.actors: list[Actor] = []
        self.told: list[str] = []
        self.alarms: list[str] = []
        self.readies = 0
        self.statuses: list[int] = []
        self.refusal: OSError | None = None
        self.supervisor = Supervisor(
            count,
            self.start,
            Limits(**limits),
            tell=self.tell,
            ready=self.ready,
            ended=self.statuses.append,
            clock=lambda: self.now,
        )
        self.step()

    def start(self, number: int, now: float) -> Member:
        if self.refusal is not None:
            raise self.refusal
        actor = Actor(number, 1000 + len(self.actors), now)
        self.actors.append(actor)
        return actor

    def tell(self, text: str, level: int) -> None:
        self.told.append(text)
        if level > logging.INFO:
            self.alarms.append(text)

    def ready(self) -> None:
        self.readies += 1

    def step(self, seconds: float = 0.0) -> None:
        """Let time pass and do what is to be done."""
        self.now += seconds
        self.supervisor.post(lambda: None)
        self.supervisor._take(0.0)
        self.supervisor.look()

    def serve(self, *actors: Actor) -> None:
        for actor in actors:
            actor.say(ready=True, facts={})
        self.step()

    def end(self, actor: Actor, status: int) -> None:
        actor.process.returncode = status
        actor.end()
        self.step()

    @property
    def alive(self) -> list[Actor]:
        return [actor for actor in self.actors if actor.process.returncode is None]

    def states(self) -> list[tuple[int, str]]:
        return [(each["number"], each["state"]) for each in self.status()["workers"]]

    def status(self) -> dict[str, Any]:
        state: dict[str, Any] = self.got(self.supervisor.status())
        return state

    def got(self, reply: Future[Any]) -> Any:
        self.step()
        return reply.result(0)


def serving(count: int, **limits: Any) -> Stage:
    stage = Stage(count, **limits)
    stage.serve(*stage.actors)
    assert stage.readies == 1
    return stage


def test_it_is_ready_once_when_all_serve() -> None:
    stage = Stage(3)
    assert stage.states() == [(1, STARTING), (2, STARTING), (3, STARTING)]
    stage.serve(*stage.actors[:2])
    assert stage.readies == 0
    stage.serve(stage.actors[2])
    assert stage.readies == 1
    stage.serve(*stage.actors)
    assert stage.readies == 1
    assert stage.states() == [(1, READY), (2, READY), (3, READY)]
    assert stage.alarms == []


def test_the_first_worker_that_cannot_start_ends_everything_with_its_own_words() -> None:
    stage = Stage(2)
    stage.actors[1].say(failed=["There is no module x.", "", 2])
    stage.end(stage.actors[1], 2)
    assert stage.supervisor.failure == ("There is no module x.", "", 2)
    assert stage.actors[0].got == ["SIGTERM"]
    stage.end(stage.actors[0], -15)
    assert stage.supervisor._status == 2
    assert len(stage.actors) == 2


@pytest.mark.parametrize(("status", "code", "words"), [(-11, 139, "was ended by SIGSEGV"), (0, 1, "code 0")])
def test_a_first_worker_that_ends_without_a_word_is_told_of(status: int, code: int, words: str) -> None:
    stage = Stage(1)
    stage.end(stage.actors[0], status)
    failure = stage.supervisor.failure
    assert failure is not None
    assert words in failure.message
    assert failure.status == code


def test_a_worker_that_dies_is_replaced_at_once_then_with_growing_pauses() -> None:
    stage = serving(2, crashes=0)
    starts = []
    for _ in range(4):
        stage.end(stage.actors[-1], -9)
        before = stage.now
        while len(stage.alive) < 2:
            pause = stage.supervisor.patience()
            assert pause is not None
            stage.step(pause)
        starts.append(stage.now - before)
        stage.serve(stage.actors[-1])
    assert starts == [0.0, 1.0, 2.0, 4.0]
    assert "was ended by SIGKILL; it is started again now." in stage.alarms[0]
    assert stage.alarms[1].endswith("it is started again in 1 s.")
    assert stage.status()["crashes"] == 4
    assert {actor.number for actor in stage.alive} == {1, 2}


def crash(stage: Stage, number: int, how: int = -9) -> None:
    """Have the worker of a place die, and the next one be there when its pause is over."""
    stage.end(next(actor for actor in stage.alive if actor.number == number), how)
    place = stage.supervisor._places[number - 1]
    if place.due is not None:
        stage.step(place.due - stage.now)


def test_so_many_crashes_in_one_place_end_everything_and_say_why() -> None:
    stage = serving(2, crashes=3)
    for _ in range(3):
        crash(stage, 2, how=-11)
    failure = stage.supervisor.failure
    assert failure is not None
    assert failure.message.startswith("Worker 2 was lost 3 times within 30 s")
    assert "was ended by SIGSEGV" in failure.message
    assert stage.actors[0].got == ["SIGTERM"]
    stage.end(stage.actors[0], 0)
    assert stage.supervisor._status == 1


def test_one_that_has_served_for_long_is_not_stopped_for_one_that_cannot_start() -> None:
    stage = serving(2, crashes=3, silence=0)
    stage.step(31.0)
    for _ in range(3):
        crash(stage, 2)
    assert stage.supervisor.failure is None
    assert stage.alarms[-1].endswith("it is started again in 30 s.")
    assert stage.actors[0].got == []


def test_why_a_later_worker_does_not_start_is_told() -> None:
    stage = serving(1)
    stage.end(stage.actors[0], -9)
    stage.actors[1].say(failed=["site could not be imported.", "Traceback\n", 1])
    stage.end(stage.actors[1], 1)
    assert stage.alarms[-1] == (
        "Traceback\nWorker 1 (pid 1001) ended with exit code 1: site could not be imported.; "
        "it is started again in 1 s."
    )


def test_a_worker_that_gives_no_sign_of_life_is_aborted_then_killed_and_replaced() -> None:
    stage = serving(1, silence=10.0)
    for _ in range(5):
        stage.step(5.0)
        stage.actors[0].say(facts={"requests": 7})
        stage.step()
    assert stage.actors[0].got == []
    assert stage.status()["workers"][0]["requests"] == 7
    assert stage.supervisor.patience() == 10.0
    stage.step(10.0)
    assert stage.actors[0].got == ["SIGABRT"]
    assert "has given no sign of life for 10 s" in stage.alarms[-1]
    stage.step(MERCY)
    assert stage.actors[0].got == ["SIGABRT", "SIGKILL"]
    stage.step(5.0)
    assert stage.actors[0].got == ["SIGABRT", "SIGKILL"]
    stage.end(stage.actors[0], -9)
    assert len(stage.actors) == 2


def test_silence_that_nobody_could_hear_does_not_count() -> None:
    stage = serving(1, silence=10.0)
    # As when this process was stopped and goes on: far more time has passed than it meant to sleep.
    taking = stage.supervisor._inbox

    class Late:
        def get(self, timeout: float | None = None) -> Callable[[], object]:
            stage.now += 3600.0
            return taking.get(timeout=timeout)

        get_nowait = taking.get_nowait

    stage.supervisor._inbox = Late()  # type: ignore[assignment]
    taking.put(lambda: None)
    stage.supervisor._take(0.0)
    stage.supervisor.look()
    assert stage.actors[0].got == []
    assert stage.supervisor.patience() == 10.0


def test_without_a_limit_nobody_is_stuck() -> None:
    stage = serving(1, silence=0.0)
    assert stage.supervisor.patience() is None
    stage.step(10_000.0)
    assert stage.actors[0].got == []


def test_a_worker_that_takes_too_long_to_start_is_one_that_failed() -> None:
    stage = Stage(1, start=60.0)
    assert stage.supervisor.patience() == 60.0
    stage.step(60.0)
    assert stage.actors[0].got == ["SIGABRT"]
    stage.end(stage.actors[0], -6)
    failure = stage.supervisor.failure
    assert failure is not None
    assert failure.message == "Worker 1 (pid 1000) was not ready within 60 s."


def test_a_reload_starts_each_new_worker_before_its_old_one_is_told_to_finish() -> None:
    stage = serving(2)
    one, two = stage.actors
    reply = stage.supervisor.reload()
    stage.step(2.0)
    assert len(stage.alive) == 3
    assert (one.got, two.got) == ([], [])
    assert stage.status()["state"] == "reloading"
    stage.serve(stage.actors[2])
    assert (one.got, two.got) == (["retire 10"], [])
    assert stage.states() == [(1, STOPPING), (1, READY), (2, READY), (2, STARTING)]
    stage.now += 1.5
    stage.serve(stage.actors[3])
    assert two.got == ["retire 10"]
    assert stage.got(reply) == "2 workers reloaded in 1.5 s."
    for old in (one, two):
        stage.end(old, 0)
    assert stage.states() == [(1, READY), (2, READY)]
    assert [each["generation"] for each in stage.status()["workers"]] == [1, 1]
    assert stage.readies == 1
    assert stage.alarms == []


def test_a_new_worker_that_does_not_start_ends_the_reload_and_the_old_ones_go_on() -> None:
    stage = serving(2)
    reply = stage.supervisor.reload()
    stage.step()
    stage.actors[2].say(failed=["site could not be imported: SyntaxError.", "Traceback\n", 1])
    stage.end(stage.actors[2], 1)
    with pytest.raises(RuntimeError, match="the old workers go on: site could not be imported"):
        stage.got(reply)
    assert stage.states() == [(1, READY), (2, READY)]
    assert stage.alarms[-1].startswith("Traceback\nThe reload is given up")
    stage.step(100.0)
    assert len(stage.actors) == 3
    assert stage.status()["crashes"] == 0


def test_a_new_worker_that_dies_without_a_word_ends_the_reload_too() -> None:
    stage = serving(1)
    reply = stage.supervisor.reload()
    stage.step()
    stage.end(stage.actors[1], -11)
    with pytest.raises(RuntimeError, match="was ended by SIGSEGV before it was ready"):
        stage.got(reply)


def test_a_reload_during_a_reload_is_done_when_the_newest_serve() -> None:
    stage = serving(2)
    first = stage.supervisor.reload()
    stage.step()
    second = stage.supervisor.reload()
    stage.step()
    assert len(stage.actors) == 3
    stage.serve(stage.actors[2])
    stage.serve(stage.actors[3])
    assert not first.done()
    stage.serve(stage.actors[4])
    assert stage.got(first) == stage.got(second)
    assert [actor.generation for actor in stage.alive if actor.state == READY] == [2, 2]


def test_a_worker_that_dies_during_a_reload_is_replaced_by_its_successor() -> None:
    stage = serving(1)
    reply = stage.supervisor.reload()
    stage.step()
    stage.end(stage.actors[0], -9)
    assert len(stage.alive) == 1
    assert stage.alarms[-1].endswith("its successor is starting already.")
    stage.serve(stage.actors[1])
    assert stage.got(reply).startswith("1 worker reloaded")
    assert len(stage.actors) == 2


def test_a_reload_starts_at_once_what_waits_to_be_started_again() -> None:
    stage = serving(1, crashes=0)
    for _ in range(3):
        crash(stage, 1)
    stage.end(stage.actors[-1], -9)
    assert stage.supervisor.patience() == 4.0
    reply = stage.supervisor.reload()
    stage.step()
    stage.serve(stage.actors[-1])
    assert stage.got(reply).startswith("1 worker reloaded")


def test_a_worker_that_has_had_enough_is_replaced_without_a_gap() -> None:
    stage = serving(2)
    one = stage.actors[0]
    one.say(recycle="has answered 100 requests")
    one.say(recycle="has answered 101 requests")
    stage.step()
    assert [line for line in stage.told if "has answered" in line] == [
        "Worker 1 (pid 1000) has answered 100 requests; a new one takes its place."
    ]
    assert len(stage.alive) == 3
    assert one.got == []
    stage.serve(stage.actors[2])
    assert one.got == ["retire 10"]
    stage.end(one, 0)
    assert stage.states() == [(1, READY), (2, READY)]
    assert stage.alarms == []


def test_a_worker_whose_successor_does_not_start_goes_on_and_the_next_try_waits() -> None:
    stage = serving(1, silence=0)
    stage.actors[0].say(recycle="takes 3 MiB of memory")
    stage.step()
    stage.end(stage.actors[1], 1)
    assert "The old worker 1 goes on" in stage.alarms[-1]
    assert len(stage.alive) == 1
    pause = stage.supervisor.patience()
    assert pause == 1.0
    stage.step(pause)
    stage.serve(stage.actors[2])
    assert stage.actors[0].got == ["retire 10"]


def test_more_and_fewer_workers() -> None:
    stage = serving(2)
    assert stage.got(stage.supervisor.scale(by=1)) == 3
    stage.serve(stage.actors[2])
    assert stage.states() == [(1, READY), (2, READY), (3, READY)]
    assert stage.got(stage.supervisor.scale(1)) == 1
    assert [actor.got for actor in stage.actors] == [[], ["retire 10"], ["retire 10"]]
    assert stage.got(stage.supervisor.scale(by=-1)) == 1, "never none"
    assert stage.got(stage.supervisor.scale(0)) == 1
    stage.end(stage.actors[1], 0)
    stage.end(stage.actors[2], 0)
    assert stage.states() == [(1, READY)]
    assert stage.readies == 1


def test_a_place_that_is_given_up_takes_its_successor_with_it() -> None:
    stage = serving(2)
    stage.actors[1].say(recycle="has answered 100 requests")
    stage.step()
    assert stage.got(stage.supervisor.scale(1)) == 1
    assert [actor.got for actor in stage.actors] == [[], ["retire 10"], ["SIGTERM"]]


def test_a_stop_lets_all_finish_and_ends_with_0() -> None:
    stage = serving(2)
    stage.supervisor.stop()
    stage.step()
    assert [actor.got for actor in stage.actors] == [["SIGTERM"], ["SIGTERM"]]
    assert stage.status()["state"] == "stopping"
    with pytest.raises(RuntimeError, match="The program is ending"):
        stage.got(stage.supervisor.scale(5))
    for actor in stage.actors:
        stage.end(actor, 0)
    assert stage.supervisor._alive == ()
    assert stage.supervisor._status == 0
    assert len(stage.actors) == 2


def test_what_does_not_finish_in_time_is_killed_and_the_code_says_so() -> None:
    stage = serving(1, stop=35.0)
    stage.supervisor.stop()
    stage.step()
    assert stage.supervisor.patience() == 35.0
    stage.step(35.0)
    assert stage.actors[0].got == ["SIGTERM", "SIGKILL"]
    assert "did not end in time and is killed" in stage.alarms[-1]
    stage.end(stage.actors[0], -9)
    assert stage.supervisor._status == 1


def test_a_stop_in_the_middle_of_a_reload_ends_both() -> None:
    stage = serving(1)
    reply = stage.supervisor.reload()
    stage.step()
    stage.supervisor.stop()
    stage.step()
    with pytest.raises(RuntimeError, match="as the program is ending"):
        stage.got(reply)
    late = stage.supervisor.reload()
    with pytest.raises(RuntimeError, match="The program is ending"):
        stage.got(late)
    stage.end(stage.actors[1], 143)
    stage.end(stage.actors[0], 0)
    assert stage.supervisor._status == 0, "one that never served has cut nothing"


def test_a_worker_that_is_replaced_may_take_the_time_of_its_clients_and_that_of_its_requests() -> None:
    stage = serving(1, stop=35.0, retire=10.0)
    stage.supervisor.reload()
    stage.step()
    stage.serve(stage.actors[1])
    assert stage.actors[0].doom == stage.now + 45.0


def test_one_that_cannot_be_told_so_is_stopped_at_once() -> None:
    stage = serving(1)
    stage.actors[0].deaf = True
    stage.supervisor.reload()
    stage.step()
    stage.serve(stage.actors[1])
    assert stage.actors[0].got == ["SIGTERM"]


def test_a_stop_ends_the_patience_with_those_that_were_replaced() -> None:
    stage = serving(1, stop=35.0)
    stage.supervisor.reload()
    stage.step()
    stage.serve(stage.actors[1])
    stage.supervisor.stop()
    stage.step()
    assert [actor.got for actor in stage.actors] == [["retire 10", "SIGTERM"], ["SIGTERM"]]
    assert stage.supervisor.patience() == 35.0


@pytest.mark.parametrize(("ended", "code"), [(0, 0), (-signal.SIGTERM, 0), (-signal.SIGKILL, 1), (1, 1)])
def test_a_stop_that_finds_a_retired_worker_on_its_last_step_is_clean(ended: int, code: int) -> None:
    stage = serving(1)
    stage.supervisor.reload()
    stage.step()
    stage.serve(stage.actors[1])
    stage.supervisor.stop()
    stage.step()
    stage.end(stage.actors[0], ended)
    stage.end(stage.actors[1], 0)
    assert stage.supervisor._status == code


def test_a_stop_in_favour_of_another_program_is_gentle() -> None:
    stage = serving(2)
    stage.supervisor.stop(succeeded=True)
    stage.step()
    assert [actor.got for actor in stage.actors] == [["retire 10"], ["retire 10"]]


def test_quit_kills_all() -> None:
    stage = serving(2)
    stage.supervisor.quit()
    stage.step()
    assert [actor.got for actor in stage.actors] == [["SIGTERM", "SIGKILL"]] * 2
    assert stage.supervisor._status == 1


def test_a_worker_that_ends_of_its_own_will_is_replaced_while_it_finishes() -> None:
    stage = serving(2)
    stage.actors[0].say(leaving=True)
    stage.step()
    assert "is ending, though nobody here has told it to; it is started again now." in stage.alarms[-1]
    assert len(stage.alive) == 3
    assert stage.actors[0].got == []
    stage.serve(stage.actors[2])
    stage.end(stage.actors[0], 0)
    assert stage.states() == [(1, READY), (2, READY)]
    stage.actors[1].got.clear()
    stage.supervisor.stop()
    stage.step()
    stage.actors[1].say(leaving=True)
    stage.step()
    assert len(stage.actors) == 3, "those that were told to leave are not replaced"


def test_signals_are_passed_on_to_all() -> None:
    stage = serving(2)
    stage.supervisor.signal(signal.SIGUSR1)
    stage.step()
    assert [actor.got for actor in stage.actors] == [["SIGUSR1"], ["SIGUSR1"]]


def test_children_of_nobody_are_taken_note_of(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = serving(1)
    spared: list[list[int]] = []
    monkeypatch.setattr(module, "reap_strangers", lambda ours: spared.append(list(ours)))
    stage.supervisor.spared.append(77)
    stage.supervisor.reap()
    stage.step()
    assert spared == [[77, 1000]]
    stage.end(stage.actors[0], -9)
    assert spared[1] == [77], "the one that has ended is waited for, and may have hidden others"


def test_a_system_that_starts_no_process_is_told_of_at_the_start_and_waited_for_later() -> None:
    stage = serving(1)
    stage.refusal = OSError(11, "Resource temporarily unavailable")
    stage.end(stage.actors[0], -9)
    assert stage.alarms[-1] == "Worker 1 could not be started: Resource temporarily unavailable."
    stage.refusal = None
    pause = stage.supervisor.patience()
    assert pause == 1.0
    stage.step(pause)
    assert len(stage.alive) == 1
    barren = Stage.__new__(Stage)
    barren.__dict__.update(
        now=0.0, actors=[], told=[], alarms=[], readies=0, statuses=[], refusal=OSError(11, "no more")
    )
    barren.supervisor = Supervisor(
        2,
        barren.start,
        Limits(),
        tell=barren.tell,
        ready=barren.ready,
        ended=barren.statuses.append,
        clock=lambda: 0.0,
    )
    barren.step()
    assert barren.supervisor.failure is not None
    assert barren.supervisor.failure.message == "No worker could be started: no more."


def test_its_thread_ends_when_no_worker_is_left() -> None:
    ended = threading.Event()
    actors: list[Actor] = []

    def start(number: int, now: float) -> Member:
        actors.append(Actor(number, 1, now))
        return actors[-1]

    ready = threading.Event()
    supervisor = Supervisor(
        1, start, Limits(), tell=lambda *_: None, ready=ready.set, ended=lambda status: ended.set()
    )
    supervisor.begin()
    supervisor.status().result(WAIT)
    actors[0].say(ready=True)
    assert ready.wait(WAIT)
    assert not supervisor.join(0.0)
    joined: list[bool] = []
    supervisor.post(lambda: joined.append(supervisor.join(WAIT)))
    supervisor.stop()
    supervisor.status().result(WAIT)
    assert joined == [True], "its own thread does not wait for itself"
    actors[0].process.returncode = 0
    actors[0].end()
    assert ended.wait(WAIT)
    assert supervisor.join(WAIT)


def test_a_defect_of_its_own_ends_everything_instead_of_hanging() -> None:
    statuses: list[int] = []
    told: list[str] = []

    def start(number: int, now: float) -> Member:
        raise ZeroDivisionError

    supervisor = Supervisor(
        1,
        start,
        Limits(),
        tell=lambda text, level: told.append(text),
        ready=lambda: None,
        ended=statuses.append,
    )
    supervisor.begin()
    assert supervisor.join(WAIT)
    assert statuses == [1]
    assert "ZeroDivisionError" in told[0]
