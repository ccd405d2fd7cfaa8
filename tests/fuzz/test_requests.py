"""A short run of the fuzzer, the same invariants under hypothesis, and mutated requests against a server with
threads."""

from __future__ import annotations

import random
import socket
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import requests
from tests.fuzz.requests import GOOD, SEEDS, TOKENS, Driver, application, check, mutate, parse
from tests.server.harness import WAIT, Client, Log, serving, thread_names

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    driver = Driver()
    yield driver
    driver.close()


@pytest.mark.parametrize("seed", SEEDS, ids=range(len(SEEDS)))
def test_every_seed_is_well_formed_and_served(driver: Driver, seed: bytes) -> None:
    check(driver, seed)

    answers, _ = driver.run(iter([seed]))

    assert {status for status, _ in parse(answers)} <= {100, 200}


def test_mutated_requests_break_no_invariant(driver: Driver) -> None:
    number = random.SystemRandom().randrange(1 << 32)
    chance = random.Random(number)
    for _ in range(1000):
        data = mutate(chance)
        try:
            check(driver, data)
        except AssertionError as error:
            raise AssertionError(f"seed {number}, input {data!r}: {error}") from None


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.one_of(st.binary(max_size=30), st.sampled_from(TOKENS), st.sampled_from(SEEDS)), max_size=6)
)
def test_any_bytes_break_no_invariant(pieces: list[bytes]) -> None:
    driver = Driver()
    try:
        check(driver, b"".join(pieces))
    finally:
        driver.close()


def test_a_server_with_threads_outlives_them_all() -> None:
    log = Log()
    before = thread_names()
    with serving(application, log=log, threads=2, linger_timeout=0.1) as server:

        def attack(number: int) -> None:
            chance = random.Random(number)
            for _ in range(60):
                with Client(server) as client:
                    try:
                        client.send(mutate(chance))
                        client.sock.shutdown(socket.SHUT_WR)
                        client.rest()
                    except TimeoutError:
                        raise
                    except OSError:
                        # Refused while it was still sending, with more behind it than the server waits for.
                        continue

        attackers = [threading.Thread(target=attack, args=(number,)) for number in range(4)]
        for attacker in attackers:
            attacker.start()
        for attacker in attackers:
            attacker.join(WAIT * 3)
        with Client(server) as client:
            client.send(GOOD)
            assert client.response()[0] == b"HTTP/1.1 200 OK"
        assert {"kirsch worker 0", "kirsch worker 1"} <= thread_names()
    assert log.messages == []
    assert thread_names() <= before | {threading.current_thread().name}


def test_the_fuzzer_runs_from_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["requests", "--inputs", "20", "--seed", "7"])

    requests.main()

    assert "20 inputs, seed 7" in capsys.readouterr().out


@pytest.mark.parametrize(
    "answers",
    [
        b"HTTP/1.1 200 OK\nX: y\n\n",
        b"HTTP/1.1 700 No\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nA: b\r\n\r\n",
        b"junk",
    ],
)
def test_an_answer_that_is_none_is_told(answers: bytes) -> None:
    with pytest.raises(AssertionError):
        parse(answers)
