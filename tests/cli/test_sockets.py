from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from kirsch.cli.errors import Failure
from kirsch.cli.sockets import Sockets, check_tls
from kirsch.config import ServerSettings

if TYPE_CHECKING:
    from pathlib import Path


def test_the_addresses_are_bound_and_handed_on_by_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    settings = ServerSettings(bind=("127.0.0.1:0", f"unix:{path}"), threads=3)
    with Sockets(settings) as sockets:
        first, second = sockets.descriptors
        assert sockets.settings.bind == (f"fd:{first}", f"fd:{second}")
        assert sockets.settings.threads == 3
        port = socket.socket(fileno=os.dup(first))
        with port:
            address = port.getsockname()
        socket.create_connection(address).close()
        assert path.is_socket()
    assert not path.exists()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(address)


def test_a_copy_goes_on_listening_after_the_release_and_the_path_stays(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with Sockets(ServerSettings(bind=(f"unix:{path}",))) as sockets:
        copy = socket.socket(fileno=os.dup(sockets.descriptors[0]))
        sockets.release()
        with copy, socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
        with socket.socket(socket.AF_UNIX) as client, pytest.raises(ConnectionRefusedError):
            client.connect(str(path))
    assert not path.exists()


def test_a_busy_port_is_one_sentence_and_nothing_stays_bound(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with socket.create_server(("127.0.0.1", 0)) as busy:
        address = f"127.0.0.1:{busy.getsockname()[1]}"
        with pytest.raises(Failure, match=f"Cannot listen on {address}: the address is in use"):
            Sockets(ServerSettings(bind=(f"unix:{path}", address)))
    assert not path.exists()


def test_sockets_of_another_process_are_taken_over_with_their_paths(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with Sockets(ServerSettings(bind=(f"unix:{path}", "127.0.0.1:0"))) as old:
        assert old.paths == (str(path), "")
        assert old.urls[0] == f"unix:{path}"
        assert old.urls[1].startswith("http://127.0.0.1:")
        handed = [os.dup(descriptor) for descriptor in old.descriptors]
        settings = ServerSettings(bind=tuple(f"fd:{number}" for number in handed))
        with Sockets(settings, list(zip(handed, old.paths, strict=True))) as new:
            for number in handed:
                with pytest.raises(OSError, match="Bad file descriptor"):
                    os.fstat(number)
            assert new.paths == old.paths
            assert new.urls == old.urls
        assert path.exists(), "it is still the other's"
        handed = [os.dup(descriptor) for descriptor in old.descriptors]
        settings = ServerSettings(bind=tuple(f"fd:{number}" for number in handed))
        with Sockets(settings, list(zip(handed, old.paths, strict=True))) as new:
            new.adopt()
            old.disown()
            old.release()
            old.__exit__(None, None, None)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
        assert not path.exists()


def test_without_tls_there_is_nothing_to_check() -> None:
    check_tls(ServerSettings())


def test_a_certificate_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"Cannot read gone\.pem: no such file"):
        check_tls(ServerSettings(tls_certificate="gone.pem"))
    path = tmp_path / "empty.pem"
    path.touch()
    with pytest.raises(Failure, match=r"Cannot use .*empty\.pem for TLS"):
        check_tls(ServerSettings(tls_certificate=str(path)))
