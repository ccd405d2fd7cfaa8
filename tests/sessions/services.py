"""Redis and memcached of the system, each in a process of its own, on a Unix socket of its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

START_S = 20
"""Seconds a service may take to listen; many times what it takes on a busy machine."""


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


@contextmanager
def _running(program: str, *arguments: str, sock: Path) -> Iterator[Path]:
    binary = shutil.which(program)
    if binary is None:
        pytest.skip(f"{program} is not installed; .ci/run installs it")
    process = subprocess.Popen([binary, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + START_S
        while not _listens(sock):
            assert process.poll() is None, f"{program} has ended"
            assert time.monotonic() < end, f"{program} does not listen"
            # Another program's socket: nothing to wait on but trying.
            time.sleep(0.01)
        yield sock
    finally:
        process.terminate()
        process.wait(START_S)


@contextmanager
def redis() -> Iterator[str]:
    """Run Redis; give its URL."""
    # Not pytest's folders: the path of a Unix socket has at most 107 characters.
    with tempfile.TemporaryDirectory(prefix="kirsch-") as folder:
        sock = Path(folder) / "r.sock"
        with _running(
            "redis-server", "--port", "0", "--unixsocket", str(sock), "--save", "", "--dir", folder, sock=sock
        ):
            yield f"unix://{sock}?db=0"


@contextmanager
def memcached() -> Iterator[str]:
    """Run memcached; give its address."""
    with tempfile.TemporaryDirectory(prefix="kirsch-") as folder:
        Path(folder).chmod(0o755)
        sock = Path(folder) / "m.sock"
        with _running("memcached", "-s", str(sock), "-a", "777", "-u", "root", sock=sock):
            yield f"unix:{sock}"
