"""TLS: contexts from settings, handshakes that hold no thread, and the same HTTP inside."""

from __future__ import annotations

import contextlib
import socket
import ssl
import warnings
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from kirsch.config import ServerSettings
from kirsch.server.errors import BindError
from kirsch.server.tls import begin_handshake, make_context
from tests.server.programs import OK, answers, at_once
from tests.server.wire import Client, Live, echo, get, serving, talk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Files(NamedTuple):
    """A certificate for `localhost` in many shapes, and who trusts it."""

    folder: Path
    certificate: str
    key: str
    both: str
    locked: str
    leaf: str
    intermediate: str
    other: str
    authority: trustme.CA

    def client(self) -> ssl.SSLContext:
        """Return the context of a client that trusts the root and checks the name."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("tls")

    def write(name: str, *blobs: trustme.Blob | bytes) -> str:
        path = folder / name
        path.write_bytes(b"".join(b if isinstance(b, bytes) else b.bytes() for b in blobs))
        return str(path)

    root = trustme.CA()
    issued = root.create_child_ca().issue_cert("localhost")
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame"))
    leaf, *above = issued.cert_chain_pems
    return Files(
        folder,
        write("certificate", *issued.cert_chain_pems),
        write("key", issued.private_key_pem),
        write("both", issued.private_key_and_cert_chain_pem),
        write("locked", locked),
        write("leaf", leaf),
        write("intermediate", *above),
        write("other", root.issue_cert("localhost").private_key_pem),
        root,
    )


@pytest.fixture(scope="module")
def live(files: Files) -> Iterator[Live]:
    with serving(echo, tls_certificate=files.certificate, tls_key=files.key) as server:
        yield server


def settings(**values: Any) -> ServerSettings:
    """Return settings with values under `server.tls`."""
    return ServerSettings(**{f"tls_{name}": value for name, value in values.items()})


def refusal(**values: Any) -> str:
    """Return what is said about files that cannot be used."""
    with pytest.raises(BindError) as caught:
        make_context(settings(**values))
    return str(caught.value)


# ---- contexts ------------------------------------------------------------------------------------


def test_without_a_certificate_there_is_no_context() -> None:
    assert make_context(ServerSettings()) is None


def test_a_context_is_modern(files: Files) -> None:
    context = make_context(settings(certificate=files.both))
    assert context is not None
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.verify_mode == ssl.CERT_NONE
    for cipher in context.get_ciphers():
        assert cipher["protocol"] == "TLSv1.3" or cipher["name"].startswith(("ECDHE-", "DHE-"))
        assert cipher["aead"]
    newest = make_context(settings(certificate=files.both, minimum="1.3"))
    assert newest is not None
    assert newest.minimum_version == ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize("shape", ["two files", "one file", "a chain file", "a locked key"])
def test_a_client_that_trusts_the_root_alone_is_served(files: Files, shape: str) -> None:
    values: dict[str, Any] = {
        "two files": {"tls_certificate": files.certificate, "tls_key": files.key},
        "one file": {"tls_certificate": files.both},
        "a chain file": {
            "tls_certificate": files.leaf,
            "tls_key": files.key,
            "tls_chain": files.intermediate,
        },
        "a locked key": {
            "tls_certificate": files.certificate,
            "tls_key": files.locked,
            "tls_password": "open sesame",
        },
    }[shape]
    with serving(answers(b"x"), **values) as server:
        assert server.urls == [f"https://127.0.0.1:{server.address[1]}"]
        assert talk(server, get("/", "Connection: close"), context=files.client()).startswith(OK)


def test_what_cannot_be_used_is_said_in_words(files: Files) -> None:
    missing = str(files.folder / "missing")
    certificate, key = files.certificate, files.key
    assert refusal(certificate=missing) == f"Cannot read {missing}: no such file."
    assert refusal(certificate=certificate, key=missing) == f"Cannot read {missing}: no such file."
    assert refusal(certificate=certificate, key=key, chain=missing) == f"Cannot read {missing}: no such file."
    assert refusal(certificate=certificate, key=files.other) == (
        f"The key {files.other} does not belong to the certificate {certificate}."
    )
    assert refusal(certificate=certificate, key=files.locked) == (
        f"The key {files.locked} is encrypted: set server.tls.password."
    )
    assert refusal(certificate=certificate, key=files.locked, password="wrong") == (
        f"The password given for the key {files.locked} is wrong."
    )
    assert "password" in refusal(certificate=certificate, key=files.locked, password="x" * 5000)
    for bad in (
        {"certificate": key},
        {"certificate": certificate},
        {"certificate": certificate, "key": certificate},
    ):
        assert "expected a certificate and its key in PEM form" in refusal(**bad)
    assert refusal(certificate=certificate, key=key, chain=key).startswith(f"Cannot use {certificate}")
    assert refusal(certificate=str(files.folder)).startswith(f"Cannot use {files.folder}")


def test_a_file_that_may_not_be_read_is_said_in_words(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    # The tests may run as a user who may read everything.
    monkeypatch.setattr("os.access", lambda *_: False)
    assert refusal(certificate=files.both) == f"Cannot read {files.both}: permission denied."


def test_a_server_with_a_bad_certificate_does_not_start(files: Files) -> None:
    with (
        pytest.raises(BindError, match="does not belong"),
        serving(echo, tls_certificate=files.certificate, tls_key=files.other),
    ):
        pass


# ---- handshakes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_http_is_spoken_over_every_version_that_is_safe(
    files: Files, live: Live, version: ssl.TLSVersion
) -> None:
    context = files.client()
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    with Client(live, context) as client:
        assert isinstance(client.sock, ssl.SSLSocket)
        assert client.sock.selected_alpn_protocol() == "http/1.1"
        for number in range(3):
            client.send(get(f"/{number}"))
            assert client.answer().json["target"] == f"/{number}"
        client.send(get("/a") + get("/b"), pieces=1000)
        assert [client.answer().json["target"] for _ in range(2)] == ["/a", "/b"]


def test_an_old_version_is_refused(files: Files, live: Live) -> None:
    context = files.client()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError) as caught, Client(live, context):
        pass
    assert caught.value.reason == "TLSV1_ALERT_PROTOCOL_VERSION"


def test_the_newest_version_alone_may_be_asked_for(files: Files) -> None:
    context = files.client()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with serving(echo, tls_certificate=files.both, tls_minimum="1.3") as server:
        with pytest.raises(ssl.SSLError), Client(server, context):
            pass
        assert talk(server, get("/", "Connection: close"), context=files.client()).startswith(OK)


def test_the_program_is_told_of_tls(files: Files) -> None:
    def program(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        names = ("wsgi.url_scheme", "HTTPS", "SSL_PROTOCOL", "SSL_CIPHER", "SSL_CIPHER_USEKEYSIZE")
        return [" ".join(environ[name] for name in names).encode()]

    with serving(program, tls_certificate=files.both) as server, Client(server, files.client()) as client:
        assert isinstance(client.sock, ssl.SSLSocket)
        cipher = client.sock.cipher()
        assert cipher is not None
        client.send(get("/"))
        assert client.answer().body.decode() == f"https on TLSv1.3 {cipher[0]} {cipher[2]}"


@pytest.mark.parametrize("pieces", [1, 1000])
@pytest.mark.parametrize("data", [get("/"), b"x", b"\x15\x03", b"GET / HTTP/1.1\r\nHost: a\r\n"])
def test_plain_http_is_told_that_this_is_the_wrong_port(live: Live, data: bytes, pieces: int) -> None:
    says = talk(live, data, pieces=pieces)
    assert says.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert says.endswith(
        b"Connection: close\r\n\r\n"
        b"This port speaks HTTPS; the request came as plain HTTP. Use an https:// address.\n"
    )


def test_a_client_that_leaves_or_lies_in_its_handshake_is_dropped(live: Live) -> None:
    assert talk(live, b"") == b""
    for data in (b"\x16", b"\x16\x03\x01\x02\x00", b"\x16\x03\x01\x00\x05xxxxx", b"\x16" * 1000):
        assert not talk(live, data).startswith(b"HTTP")


class Hello:
    """A client that holds its side of the handshake in its hands."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    def step(self) -> bool:
        """Take a step; return whether the handshake is over on this side."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True


def test_a_request_in_one_flight_with_the_end_of_the_handshake_is_served(files: Files, live: Live) -> None:
    for pieces in (1, 1000):
        hello = Hello(files.client())
        hello.step()
        with Client(live) as client:
            client.send(hello.outgoing.read(), pieces)
            while not hello.step():
                hello.incoming.write(client.sock.recv(65536))
            hello.tls.write(get("/flight"))
            client.send(hello.outgoing.read(), pieces)
            seen = b""
            while b"/flight" not in seen:
                hello.incoming.write(client.sock.recv(65536))
                try:
                    seen += hello.tls.read(65536)
                except ssl.SSLWantReadError:
                    continue


@pytest.mark.parametrize("stage", ["nothing", "a byte", "half a hello", "a hello"])
def test_thirty_stalled_handshakes_hold_no_thread_and_end_in_time(files: Files, stage: str) -> None:
    hello = Hello(files.client())
    hello.step()
    whole = hello.outgoing.read()
    sent = {"nothing": b"", "a byte": whole[:1], "half a hello": whole[:100], "a hello": whole}[stage]
    with (
        serving(answers(b"quick"), threads=10, tls_certificate=files.both, handshake_timeout=0.5) as server,
        ExitStack() as stack,
    ):
        stuck = [stack.enter_context(Client(server)) for _ in range(30)]
        for client in stuck:
            client.send(sent)
        at_once(server, context=files.client())
        for client in stuck:
            client.rest()


# ---- what goes through --------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["length", "chunked"])
def test_large_bodies_go_both_ways(files: Files, live: Live, form: str) -> None:
    body = b"x" * 5_000_000
    with Client(live, files.client()) as client:
        for _ in range(2):
            if form == "length":
                client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            else:
                client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
                client.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
            assert client.answer().json["body"] == body.decode()


@pytest.mark.parametrize("kind", ["list", "generator", "file"])
def test_slow_readers_hold_no_thread_and_lose_nothing(files: Files, tmp_path: Path, kind: str) -> None:
    block = bytes(range(256)) * 256
    large = tmp_path / "large"
    large.write_bytes(block * 48)

    def program(environ: dict[str, Any], start_response: Any) -> Any:
        start_response(
            "200 OK", [("Content-Length", str(len(block) * 48))] * (environ["PATH_INFO"] != "/quick")
        )
        if environ["PATH_INFO"] == "/quick":
            return [b"quick"]
        if kind == "list":
            return [block * 48]
        if kind == "file":
            return environ["wsgi.file_wrapper"](large.open("rb"))
        return (block for _ in range(48))

    with serving(program, threads=4, tls_certificate=files.both) as server, ExitStack() as stack:
        readers = [stack.enter_context(Client(server, files.client(), 65536)) for _ in range(12)]
        for reader in readers:
            reader.send(get("/"))
        for reader in readers:
            assert reader.until(b"\r\n\r\n").startswith(OK)
        at_once(server, context=files.client())
        for reader in readers:
            assert reader.exactly(len(block) * 48) == block * 48


def test_the_end_of_a_connection_is_said_so_that_nothing_seems_cut_off(files: Files, live: Live) -> None:
    context = files.client()
    plain = socket.create_connection(live.address, 10)
    with context.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False) as client:
        client.sendall(get("/", "Connection: close"))
        # Raises SSLEOFError when the connection just ends.
        assert b"".join(iter(lambda: client.recv(65536), b"")).startswith(OK)


def test_a_client_in_the_middle_of_its_upload_reads_why_it_is_refused(files: Files) -> None:
    with (
        serving(echo, tls_certificate=files.both, max_body=1000) as server,
        Client(server, files.client()) as client,
    ):
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n")
        for _ in range(20):
            client.send(b"x" * 100_000)
        assert client.answer().status == 413
        assert client.ended()


def test_a_connection_that_breaks_within_a_request_is_forgotten(files: Files) -> None:
    with serving(echo, tls_certificate=files.both) as server:
        for _ in range(5):
            with Client(server, files.client()) as client:
                client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\nhalf")
        at_most = 0
        for _ in range(100):
            with Client(server, files.client()) as client:
                client.send(get("/"))
                client.answer()
            assert server.loop is not None
            at_most = len(server.loop.connections)
            if at_most <= 2:
                break
        assert at_most <= 2


def test_a_send_that_would_block_sends_what_it_can_and_goes_on_from_there(files: Files) -> None:
    context = make_context(settings(certificate=files.both))
    assert context is not None
    hello = Hello(files.client())
    ours, theirs = socket.socketpair()
    data = bytes(range(251)) * 8000
    with theirs, ours:
        ours.setblocking(False)  # noqa: FBT003  the socket's own signature
        server = context.wrap_socket(ours, server_side=True, do_handshake_on_connect=False)
        with server:
            while not hello.step():
                theirs.sendall(hello.outgoing.read())
                with contextlib.suppress(ssl.SSLWantReadError):
                    server.do_handshake()
                hello.incoming.write(theirs.recv(65536))
            theirs.sendall(hello.outgoing.read())
            server.do_handshake()
            assert server.send(b"") == 0
            sent, got = 0, b""
            while len(got) < len(data):
                with contextlib.suppress(ssl.SSLWantWriteError):
                    while sent < len(data):
                        # Never less than a record, or what is left; more or less of it each time.
                        sent += server.send(memoryview(data)[sent : sent + 20_000 + len(got) % 90_000])
                hello.incoming.write(theirs.recv(65536))
                with contextlib.suppress(ssl.SSLWantReadError):
                    while True:
                        got += hello.tls.read(65536)
            assert got == data


# ---- the first byte ------------------------------------------------------------------------------


class Peer:
    """What `begin_handshake` needs of a connection."""

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        self.ended = ""

    def lost(self, error: OSError) -> None:
        self.ended = f"lost: {error}"

    def close(self) -> None:
        self.ended = "closed"


def test_a_client_that_is_silent_gone_or_broken_before_its_first_byte_takes_no_step(files: Files) -> None:
    context = make_context(settings(certificate=files.both))
    assert context is not None

    def begin(sock: Any) -> str | bool:
        peer: Any = Peer(sock)
        return begin_handshake(peer, context) or peer.ended

    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)  # noqa: FBT003  the socket's own signature
        assert begin(ours) == ""
        theirs.shutdown(socket.SHUT_WR)
        assert begin(ours) == "closed"

    class Broken:
        def recv(self, *_: int) -> bytes:
            raise ConnectionResetError("reset")

    assert begin(Broken()) == "lost: reset"


def test_a_client_that_resets_before_its_socket_is_wrapped_is_lost() -> None:
    class Refusing:
        def wrap_socket(self, *_: object, **__: object) -> None:
            raise OSError("not connected")

    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"\x16")
        peer: Any = Peer(ours)
        context: Any = Refusing()
        assert begin_handshake(peer, context) is False
        assert peer.ended == "lost: not connected"
