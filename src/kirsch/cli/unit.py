"""`kirsch unit TARGET`: systemd files for a program, hardened.

A service that says when it is ready, when it reloads and that it lives (`Type=notify`, `WatchdogSec=`), and a
socket that is open before it starts and after it has ended, so that no client is refused while it is started
anew. What it may do is what serving takes; see systemd.exec(5) for each line.
"""

from __future__ import annotations

import ipaddress
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kirsch.cli.errors import Failure
from kirsch.cli.target import parse_target
from kirsch.config import SETTINGS, ConfigError, ServerSettings, parse_bind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kirsch.cli.target import Target

__all__ = ["Unit", "command", "quoted"]

_WATCHDOG = 30
"""Seconds without a sign of life of the supervisor after which systemd starts it anew."""

_SPARE = 15
"""Seconds systemd waits beyond the bounds that Kirsch keeps by itself."""

_HARDENING = """\
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
UMask=0077
LimitNOFILE=65536
"""
"""What serving does not need is not allowed. Not among them: `MemoryDenyWriteExecute=`, which breaks programs
that use ctypes callbacks or compile at run time.
"""


def quoted(word: str) -> str:
    """Return a word as one argument of `ExecStart=` (systemd.service(5), "Command lines")."""
    word = word.replace("%", "%%").replace("$", "$$")
    if word and not re.search(r"[\s\"'\\;]", word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


class Unit:
    """The files of one program.

    Parameters:
        target: the program.
        name: of the service.
        directory: where it runs.
        binds: addresses for the socket file.
        workers: as `--workers` takes it; `0` for one process.
        user: whom it runs as; empty for a user that systemd makes up for as long as it runs.
        options: more options of `kirsch run`.

    Raises Failure for an address that systemd cannot open.
    """

    def __init__(
        self,
        target: Target,
        name: str,
        directory: Path,
        *,
        binds: Sequence[str] = ("127.0.0.1:8080",),
        workers: str = "auto",
        user: str = "",
        options: Sequence[str] = (),
    ) -> None:
        self._target = target
        self._name = name
        self._directory = directory
        self._workers = workers
        self._user = user
        self._options = options
        self._streams = [_stream(bind) for bind in binds]

    @property
    def service(self) -> str:
        """The text of the service file."""
        settings = ServerSettings()
        stop = settings.drain_delay + settings.shutdown_timeout + settings.worker_retire_timeout + _SPARE
        start = settings.worker_start_timeout + _SPARE
        return "\n".join(
            (
                "[Unit]",
                f"Description=Kirsch serves {self._target.text.replace('%', '%%')}",
                "Documentation=man:systemd.exec(5)",
                f"Requires={self._name}.socket",
                f"After=network.target {self._name}.socket",
                "",
                "[Service]",
                "Type=notify",
                "# A new program that takes over after USR2 speaks for itself.",
                "NotifyAccess=all",
                f"ExecStart={self._command()}",
                f"ExecReload=/bin/kill -{'USR2' if self._workers == '0' else 'HUP'} $MAINPID",
                "# SIGTERM to the supervisor alone, which lets its workers finish; what is left is killed.",
                "KillMode=mixed",
                f"TimeoutStartSec={start:g}",
                f"TimeoutStopSec={stop:g}",
                f"WatchdogSec={_WATCHDOG}",
                "Restart=on-failure",
                "RestartSec=1",
                f"WorkingDirectory={str(self._directory).replace('%', '%%')}",
                f"RuntimeDirectory={self._name}",
                f"StateDirectory={self._name}",
                *self._identity(),
                "",
                _HARDENING,
                "[Install]",
                "WantedBy=multi-user.target",
                "",
            )
        )

    @property
    def socket(self) -> str:
        """The text of the socket file."""
        settings = ServerSettings()
        return "\n".join(
            (
                "[Unit]",
                f"Description=Where Kirsch serves {self._target.text.replace('%', '%%')}",
                "",
                "[Socket]",
                *(f"ListenStream={stream}" for stream in self._streams),
                f"Backlog={settings.backlog}",
                f"SocketMode={settings.unix_mode:04o}",
                "NoDelay=yes",
                "",
                "[Install]",
                "WantedBy=sockets.target",
                "",
            )
        )

    @property
    def files(self) -> dict[str, str]:
        """Name and text of each file."""
        return {f"{self._name}.service": self.service, f"{self._name}.socket": self.socket}

    def _command(self) -> str:
        words = [sys.executable, "-m", "kirsch", "run", self._target.text]
        if self._workers != "0":
            words += ["--workers", self._workers]
        # %t is the folder that RuntimeDirectory= is made in.
        pidfile = f"%t/{self._name}/kirsch.pid"
        return " ".join([*map(quoted, words), "--pidfile", pidfile, *map(quoted, self._options)])

    def _identity(self) -> Iterator[str]:
        if self._user:
            yield f"User={self._user}"
        else:
            yield "DynamicUser=yes"
        # A program below one's home must be seen; nobody else's is.
        home = any(self._directory.is_relative_to(each) for each in ("/home", "/root"))
        yield f"ProtectHome={'read-only' if home else 'yes'}"


def _stream(text: str) -> str:
    """Return an address as `ListenStream=` takes it."""
    bind = parse_bind(text)
    if bind.kind == "unix":
        return bind.path
    if bind.kind == "fd":
        raise Failure(f"{text} cannot stand in a socket file, as it is one's own; name the address it has.")
    try:
        ipaddress.ip_address(bind.host)
    except ValueError:
        raise Failure(
            f"{text} cannot stand in a socket file: systemd looks no names up. Write the address."
        ) from None
    return str(bind)


def _name_of(target: Target) -> str:
    """Return a name for the service: that of the file, or of the first package."""
    own = Path(target.file).stem if target.file else target.module.partition(".")[0]
    return re.sub(r"[^A-Za-z0-9_-]", "-", own)


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("target")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@click.option("--name", metavar="NAME", help="Name of the service. [default that of the module or file]")
@click.option(
    "--bind",
    "binds",
    metavar="ADDRESS",
    multiple=True,
    default=["127.0.0.1:8080"],
    show_default=True,
    help="Where systemd listens for it. May be given again.",
)
@click.option("--workers", metavar="N|auto", default="auto", show_default=True, help="0 for one process.")
@click.option(
    "--user", metavar="NAME", default="", help="Whom it runs as. [default one made up while it runs]"
)
@click.option("--directory", metavar="DIR", help="Where it runs. [default here]")
@click.option("--output", metavar="DIR", help="Write the two files there instead of showing them.")
def command(
    target: str,
    options: tuple[str, ...],
    name: str | None,
    binds: tuple[str, ...],
    workers: str,
    user: str,
    directory: str | None,
    output: str | None,
) -> None:
    """Show systemd files for the program TARGET names: a hardened service, and the socket it serves on.

    Other OPTIONS are those of `kirsch run`, and stand in the command of the service.
    """
    try:
        named = parse_target(target)
        SETTINGS.get("server.workers").parse(workers)
        unit = Unit(
            named,
            name or _name_of(named),
            Path(directory or ".").absolute(),
            binds=binds,
            workers=workers,
            user=user,
            options=options,
        )
    except (ValueError, ConfigError) as error:
        raise click.UsageError(str(error)) from None
    if output is None:
        for file, text in unit.files.items():
            click.echo(f"# /etc/systemd/system/{file}\n{text}")
        return
    for file, text in unit.files.items():
        path = Path(output, file)
        try:
            path.write_text(text, "utf-8")
        except OSError as error:
            raise Failure(f"Cannot write {path}: {error.strerror}.") from error
    click.echo(f"Wrote {' and '.join(str(Path(output, file)) for file in unit.files)}. Now:", err=True)
    socket = f"{name or _name_of(named)}.socket"
    click.echo(f"  systemctl daemon-reload && systemctl enable --now {socket}", err=True)
