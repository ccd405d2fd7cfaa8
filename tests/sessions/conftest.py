"""Stores of every kind, on services started once for all tests."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest

from kirsch.sessions.file import FileStore
from kirsch.sessions.memcached import MemcachedStore
from kirsch.sessions.memory import MemoryStore
from kirsch.sessions.redis import RedisStore
from kirsch.sessions.sql import SQLStore
from tests.sessions import services
from tests.sessions.helpers import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kirsch.sessions.store import Store


@pytest.fixture(name="redis_url", scope="session")
def _redis_url() -> Iterator[str]:
    with services.redis() as url:
        yield url


@pytest.fixture(name="memcached_server", scope="session")
def _memcached_server() -> Iterator[str]:
    with services.memcached() as server:
        yield server


@pytest.fixture(name="clock")
def _clock() -> Clock:
    return Clock()


SHARED = ("file", "redis", "memcached", "sql")
"""Stores that processes may share."""


def settings_of(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Return the arguments of a store of its own, as they may be configured."""
    prefix = f"t{secrets.token_hex(4)}:"
    if kind == "file":
        return {"storage_path": str(tmp_path / "sessions")}
    if kind == "redis":
        return {"url": request.getfixturevalue("redis_url"), "prefix": prefix}
    if kind == "memcached":
        return {"servers": [request.getfixturevalue("memcached_server")], "prefix": prefix}
    if kind == "sql":
        return {"url": f"sqlite:///{tmp_path / 'sessions.db'}"}
    return {"serializer": "msgpack"} if kind == "memory-msgpack" else {}


CLASSES: dict[str, type[Store]] = {
    "memory": MemoryStore,
    "memory-msgpack": MemoryStore,
    "file": FileStore,
    "redis": RedisStore,
    "memcached": MemcachedStore,
    "sql": SQLStore,
}


@pytest.fixture(name="kind", params=CLASSES)
def _kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture(name="store")
def _store(kind: str, request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Store]:
    """Give a store of each kind in turn."""
    with CLASSES[kind](clock=clock, **settings_of(kind, request, tmp_path)) as store:
        yield store
