"""The settings of the server and the process, each once: its name, kind, default, reason and precedents.

A group (`ServerSettings`, `LogSettings`, `EngineSettings`) is a frozen dataclass whose fields *are* the
registry's entries, so a value and what is written about it cannot drift apart. A group checks itself when it
is made: there is no way to hold one with a value that its settings refuse.

Precedents are the defaults of nginx 1.26, Apache httpd 2.4, Node.js 20, Go 1.22, gunicorn 23, waitress 3,
Kestrel (ASP.NET Core 8) and the Windows kernel's http.sys, as their manuals state them. "none" means no such
limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kirsch.config.errors import ConfigError
from kirsch.config.groups import FILE, FIRST, SETTINGS, TIME, Settings, setting
from kirsch.config.kinds import (
    Binds,
    Choice,
    Count,
    Duration,
    Flag,
    Integer,
    Maybe,
    Mode,
    PathName,
    Size,
    Text,
    TextList,
)
from kirsch.config.registry import Setting

__all__ = ["SETTINGS", "EngineSettings", "LogSettings", "ServerSettings", "Settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings(Settings):
    """Everything the server can be told. `ServerSettings()` is a hardened, working configuration."""

    namespace: ClassVar[str] = "server"

    bind: tuple[str, ...] = setting(
        "server.bind",
        Binds(),
        'Where to listen: "host:port", "[v6]:port", "unix:/path", "unix:@abstract" or "fd:3"; port 0 '
        "lets the system choose.",
        default=("127.0.0.1:8080",),
    )
    threads: int = setting(
        "server.threads",
        Integer(1, 10_000),
        "Threads in the pool that runs the handlers which wait for something.",
        ("CherryPy", "10"),
        ("waitress", "4"),
        ("Puma", "5"),
        default=10,
    )
    inline: bool = setting(
        "server.inline",
        Flag(),
        "Whether the leader runs handlers it has learnt to be short itself instead of passing them to "
        "the pool.",
        default=True,
    )
    backlog: int = setting(
        "server.backlog",
        Integer(1, 65_535),
        "Connections the system may hold for the server before it accepts them; the kernel may cut it "
        "down to its own limit.",
        ("nginx", "511"),
        ("Apache", "511"),
        ("Node.js", "511"),
        ("gunicorn", "2048"),
        default=1024,
    )
    max_connections: int = setting(
        "server.max_connections",
        Integer(),
        "Connections open at once; beyond it new ones are answered 503 and closed.",
        ("nginx", "512 a worker"),
        ("Apache", "400 (MaxRequestWorkers)"),
        ("waitress", "100"),
        ("Node.js", "none"),
        default=0,
        zero="as many as the limit on open files allows, less a reserve for the program",
    )
    max_requests_per_connection: int = setting(
        "server.max_requests_per_connection",
        Integer(),
        "Requests served on one connection before it is closed.",
        ("nginx", "1000"),
        ("Apache", "100"),
        ("Node.js", "none"),
        default=0,
        zero="no limit",
    )
    nodelay: bool = setting(
        "server.nodelay",
        Flag(),
        "Whether small writes leave at once (TCP_NODELAY) instead of waiting for more to send.",
        default=True,
    )
    unix_mode: int = setting(
        "server.unix_mode",
        Mode(),
        "Permission bits of the Unix sockets that are created.",
        ("Cheroot", "0o777"),
        ("waitress", "0o600"),
        default=0o660,
    )
    server_header: str = setting(
        "server.server_header",
        Text(ascii_only=True),
        "Value of the Server field, without a version so that it helps nobody choose an attack; empty "
        "for no field.",
        default="Kirsch",
    )
    access_log: str = setting(
        "server.access_log",
        Choice(("off", "common", "combined", "json")),
        "Format of the line that is written for every request.",
        ("nginx, Apache", "combined or common, on"),
        ("gunicorn", "off"),
        default="off",
    )

    head_timeout: float = setting(
        "server.head_timeout",
        TIME,
        "Time in which a whole request head must have come; then 408 and the connection is closed.",
        ("nginx", "60 s"),
        ("Apache", "20 to 40 s with at least 500 bytes a second"),
        ("Node.js", "60 s"),
        ("Kestrel", "30 s"),
        default=20.0,
        starts=(
            "when the connection is open (after its TLS handshake), or with the first byte of a later request"
        ),
        resets="never, so that a byte now and then does not keep it going",
        zero="no limit",
    )
    body_timeout: float = setting(
        "server.body_timeout",
        TIME,
        "Time without any progress after which a request body is given up; then 408 and the connection "
        "is closed.",
        ("nginx", "60 s"),
        ("Apache", "20 s, and one more for every 500 bytes"),
        ("Node.js", "300 s for the whole request"),
        default=30.0,
        starts="when the head is complete",
        resets="with every byte of the body",
        zero="no limit",
    )
    body_min_rate: int = setting(
        "server.body_min_rate",
        Size(),
        "Bytes a second a request body must bring on the whole: it is given up after "
        "`server.body_timeout` plus its bytes so far divided by this.",
        ("Apache", "500"),
        ("Kestrel", "240, after 5 s"),
        ("nginx, Node.js", "none"),
        default=500,
        zero="no least rate",
    )
    write_timeout: float = setting(
        "server.write_timeout",
        TIME,
        "Time without any progress after which a client that does not take its response is cut off.",
        ("nginx", "60 s"),
        ("Apache", "60 s"),
        ("Kestrel", "5 s, then at least 240 bytes a second"),
        default=30.0,
        starts="when the socket takes no more",
        resets="with every byte the socket takes",
        zero="no limit",
    )
    idle_timeout: float = setting(
        "server.idle_timeout",
        TIME,
        "Time a kept connection may wait for its next request; longer than the 60 s of common load "
        "balancers, which must be "
        "the first to close.",
        ("nginx", "75 s"),
        ("Apache", "5 s"),
        ("Node.js", "5 s"),
        ("Kestrel", "130 s"),
        default=75.0,
        starts="when the last byte of a response is written",
        resets="with the next response; the first byte of a request ends it and starts `server.head_timeout`",
        zero="connections are not kept: every response closes",
    )
    handshake_timeout: float = setting(
        "server.handshake_timeout",
        TIME,
        "Time for a TLS handshake; then the connection is closed.",
        ("Kestrel", "10 s"),
        ("nginx", "60 s"),
        ("Apache", "none"),
        default=10.0,
        starts="when the connection is accepted",
        resets="never",
        zero="no limit",
    )
    handler_timeout: float = setting(
        "server.handler_timeout",
        TIME,
        "Time after which a handler that still runs is reported with its stack; it is never killed, as "
        "Python threads cannot "
        "be without harm.",
        ("gunicorn", "30 s, then the worker is killed"),
        ("Apache", "none"),
        default=0.0,
        starts="when the handler is called",
        resets="never",
        zero="nothing is reported",
    )
    linger_timeout: float = setting(
        "server.linger_timeout",
        TIME,
        "Time the server reads and drops what a client still sends after an answer that closes, so that"
        " it can read that answer.",
        ("nginx", "5 s"),
        ("Apache", "2 s"),
        default=2.0,
        starts="when the answer is written and the sending side is shut",
        resets="never",
        zero="close at once; a client in the middle of an upload may then see a reset instead of its answer",
    )
    shutdown_timeout: float = setting(
        "server.shutdown_timeout",
        TIME,
        "Time the requests that run may take to finish when the server stops; what is left is cut and "
        "named in the log.",
        ("gunicorn", "30 s"),
        ("Kubernetes", "30 s until it kills"),
        ("Apache, nginx", "none"),
        default=30.0,
        starts="when the server stops accepting",
        resets="never",
        zero="nothing is waited for",
    )
    shutdown_head_timeout: float = setting(
        "server.shutdown_head_timeout",
        TIME,
        "Time a request that was half sent when the server began to stop may take to arrive; then 408 "
        "or 503 and close.",
        ("Node.js", "60 s (its head timeout)"),
        ("gunicorn", "30 s (its graceful timeout)"),
        default=5.0,
        starts="when the server stops accepting",
        resets="never",
        zero="half-sent requests are dropped at once",
    )
    drain_delay: float = setting(
        "server.drain_delay",
        TIME,
        "Time the server goes on serving after it was told to stop, answering 503 on its readiness "
        "page, so that load balancers "
        "notice first.",
        ("Kubernetes", "preStop sleep, by hand"),
        default=0.0,
        starts="when the server is told to stop",
        resets="never",
        zero="stop accepting at once",
    )

    max_request_line: int = setting(
        "server.max_request_line",
        Size(16),
        "Longest request line; then 414 (RFC 9112 section 3 asks for 8000 at least).",
        ("nginx", "8 KiB"),
        ("Apache", "8190"),
        ("gunicorn", "4094"),
        ("http.sys", "16 KiB"),
        default=8192,
    )
    max_head: int = setting(
        "server.max_head",
        Size(64),
        "Longest request head, from the first byte of the request line to the empty line; then 431.",
        ("nginx", "32 KiB"),
        ("Node.js", "16 KiB"),
        ("Kestrel", "32 KiB"),
        ("Go", "1 MiB"),
        default=65_536,
    )
    max_fields: int = setting(
        "server.max_fields",
        Integer(1),
        "Most fields in a request head, and most in a trailer section; then 431.",
        ("Apache", "100"),
        ("gunicorn", "100"),
        ("Kestrel", "100"),
        ("Node.js", "2000"),
        default=100,
    )
    max_field: int = setting(
        "server.max_field",
        Size(16),
        "Longest single field, name and value; then 431.",
        ("http.sys", "16 KiB"),
        ("nginx", "8 KiB"),
        ("Apache", "8190"),
        default=16_384,
    )
    max_body: int = setting(
        "server.max_body",
        Size(),
        "Longest request body; a longer one is answered 413 before it is read, by its Content-Length or"
        " while it comes.",
        ("CherryPy", "100 MiB"),
        ("nginx", "1 MiB"),
        ("Apache", "1 GiB"),
        ("Kestrel", "28.6 MiB"),
        default=100 * 1024**2,
        zero="no limit",
    )
    max_chunk_overhead: int = setting(
        "server.max_chunk_overhead",
        Size(),
        "Bytes of a chunked body that are neither data nor fair framing (extensions, leading zeros, "
        "trailers, the framing of tiny "
        "chunks beyond 16 bytes plus twice their data); then 400.",
        ("Go", "16 KiB, counted the same way"),
        ("Node.js", "16 KiB of extensions"),
        default=16_384,
        zero="none is put up with",
    )
    body_memory: int = setting(
        "server.body_memory",
        Size(),
        "Bytes of a request body that are kept in memory; a longer body goes to a temporary file.",
        ("waitress", "512 KiB"),
        ("nginx", "16 KiB"),
        default=512 * 1024,
        zero="every body goes to a file",
    )
    response_memory: int = setting(
        "server.response_memory",
        Size(),
        "Bytes of a response waiting for a slow client that are kept in memory; more goes to a "
        "temporary file.",
        ("waitress", "1 MiB"),
        ("nginx", "64 KiB"),
        default=1024**2,
        zero="all that waits goes to a file",
    )
    response_buffer: int = setting(
        "server.response_buffer",
        Size(1),
        "Bytes of a response that may wait for a slow client, in memory and file together; beyond it "
        "the handler that "
        "produces it waits.",
        ("waitress", "16 MiB"),
        ("nginx", "1 GiB"),
        default=64 * 1024**2,
    )

    workers: int | str = setting(
        "server.workers",
        Count("auto"),
        "Processes that serve, under a supervisor which replaces those that die and reloads them without a "
        "pause; auto is one for each processor this process may use.",
        ("gunicorn", "1"),
        ("nginx", "1"),
        ("Puma", "0, or one for each processor"),
        default=0,
        zero="one process, without a supervisor",
    )
    worker_start_timeout: float = setting(
        "server.worker_start_timeout",
        TIME,
        "Time a worker may take to be ready; then it is ended, and counts as one that failed to start.",
        ("Puma", "60 s"),
        default=60.0,
        starts="when the process is started",
        resets="never",
        zero="no limit",
    )
    worker_timeout: float = setting(
        "server.worker_timeout",
        TIME,
        "Time without a sign of life after which a worker is taken for stuck: its stacks go to the error log"
        " and it is replaced. A handler that waits is no such worker, however long it takes.",
        ("Puma", "60 s"),
        ("gunicorn", "30 s, which long requests of its sync workers count towards"),
        default=60.0,
        starts="with the first sign of life",
        resets="with every sign of life, which a worker gives once a second",
        zero="no limit",
    )
    worker_retire_timeout: float = setting(
        "server.worker_retire_timeout",
        TIME,
        "Time a worker that is being replaced waits for the next request on each connection that is kept, "
        "which it answers as the last; new connections are the others'. Then it stops.",
        ("nginx, gunicorn", "none: kept connections are closed at once"),
        default=10.0,
        starts="when its successor serves",
        resets="never",
        zero="kept connections are closed at once, and a request may be on its way to one",
    )
    worker_max_requests: int = setting(
        "server.worker_max_requests",
        Integer(),
        "Requests after which a worker is replaced by a new one, give or take a tenth, so that not all are "
        "due at once; for programs that leak.",
        ("gunicorn", "none"),
        ("Apache", "none (MaxConnectionsPerChild)"),
        default=0,
        zero="no limit",
    )
    worker_max_memory: int = setting(
        "server.worker_max_memory",
        Size(),
        "Bytes of resident memory beyond which a worker is replaced by a new one.",
        ("uWSGI", "none (reload-on-rss)"),
        ("Granian", "none (workers-max-rss)"),
        default=0,
        zero="no limit",
    )
    worker_backoff: float = setting(
        "server.worker_backoff",
        TIME,
        "Longest time before a worker that crashed is started again: the first one is at once, after 1 s the "
        "second, then each time twice as long; a minute of health begins anew.",
        ("systemd", "100 ms, always the same (RestartSec)"),
        ("Kubernetes", "5 minutes"),
        default=30.0,
        starts="when the worker has ended",
        resets="never",
        zero="always at once",
    )
    worker_crashes: int = setting(
        "server.worker_crashes",
        Integer(),
        "Crashes in the place of one worker within `server.worker_crash_window` after which everything "
        "stops, as starting it once more will not help.",
        ("systemd", "5 starts in 10 s"),
        default=5,
        zero="never: it is started again for ever",
    )
    worker_crash_window: float = setting(
        "server.worker_crash_window",
        Duration(1),
        "Time in which the crashes of `server.worker_crashes` are counted.",
        ("systemd", "10 s"),
        default=30.0,
        starts="with each crash, for that one",
        resets="never",
        zero="refused: no two crashes come at once",
    )

    tls_certificate: str | None = setting(
        "server.tls.certificate",
        FILE,
        "File with the certificate in PEM form, its chain after it or in `server.tls.chain`; with it "
        "every address speaks TLS.",
        default=None,
    )
    tls_key: str | None = setting(
        "server.tls.key",
        FILE,
        "File with the private key in PEM form; none when it stands in the certificate's file.",
        default=None,
    )
    tls_chain: str | None = setting(
        "server.tls.chain",
        FILE,
        "File with the certificates between the server's and a root, in PEM form; none when they stand "
        "in the certificate's file.",
        default=None,
    )
    tls_password: str | None = setting(
        "server.tls.password",
        Maybe(Text()),
        "Password of the private key; better given as an environment variable than in a file.",
        default=None,
        secret=True,
    )
    tls_minimum: str = setting(
        "server.tls.minimum",
        Choice(("1.2", "1.3")),
        "Oldest version of TLS that is spoken; older than 1.2 is forbidden by RFC 8996.",
        ("nginx", "1.2"),
        ("Python's ssl", "1.2"),
        ("Go", "1.2"),
        default="1.2",
    )

    def _check_together(self) -> None:
        for name in ("tls_key", "tls_chain", "tls_password"):
            if getattr(self, name) is not None and self.tls_certificate is None:
                raise ConfigError(
                    "is set, but server.tls.certificate is not",
                    hint="Set server.tls.certificate to the file with the certificate, or remove this one.",
                    key=self.settings()[name].name,
                )
        for name in ("max_request_line", "max_field"):
            if getattr(self, name) > self.max_head:
                raise ConfigError(
                    f"is {getattr(self, name)} bytes, more than server.max_head ({self.max_head}) allows",
                    hint="Raise server.max_head or lower this one.",
                    key=self.settings()[name].name,
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings(Settings):
    """Where the logs go."""

    namespace: ClassVar[str] = "log"

    screen: bool = setting(
        "log.screen",
        Flag(),
        "Whether errors go to standard error and access lines to standard output, beside the files.",
        default=True,
    )
    error_file: str | None = setting(
        "log.error_file",
        FILE,
        "File that errors and events are appended to.",
        default=None,
    )
    access_file: str | None = setting(
        "log.access_file",
        FILE,
        "File that access lines are appended to.",
        default=None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings(Settings):
    """What the bus and its plugins can be told."""

    namespace: ClassVar[str] = "engine"

    autoreload_on: bool = setting(
        "engine.autoreload.on",
        Flag(),
        "Whether the process starts anew when a file of the program changes; for development.",
        default=False,
    )
    autoreload_frequency: float = setting(
        "engine.autoreload.frequency",
        Duration(0.01),
        "Time between two looks at the files, where the system cannot tell of changes by itself.",
        ("CherryPy", "1 s"),
        ("Werkzeug", "1 s"),
        default=1.0,
        starts="when a look ends",
        resets="never",
        zero="refused: it would never sleep",
    )
    autoreload_match: str = setting(
        "engine.autoreload.match",
        Text(),
        "Regular expression; only modules whose names it matches from their start are watched.",
        default=".*",
    )
    autoreload_files: tuple[str, ...] = setting(
        "engine.autoreload.files",
        TextList(PathName()),
        "Files to watch beside those of the imported modules.",
        default=(),
    )


SETTINGS.add(
    Setting(
        name="environment",
        kind=Maybe(Text()),
        default=None,
        since=FIRST,
        help=(
            "Set of values for a purpose: staging, production, embedded or test_suite; explicit values win "
            "over it."
        ),
    )
)
