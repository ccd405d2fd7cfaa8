"""`kirsch run TARGET`: serve a program."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kirsch.bus import Reexec
from kirsch.bus.notify import activated
from kirsch.cli.children import inherited
from kirsch.cli.errors import Failure
from kirsch.cli.reporting import Reporter
from kirsch.cli.serve import Run, serve
from kirsch.cli.sources import DEFAULT_ENVIRONMENT, collect
from kirsch.cli.target import Target, parse_target
from kirsch.config import ENVIRONMENTS, SETTINGS, ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable

    from kirsch.cli.children import Inherited
    from kirsch.config import Setting

__all__ = ["command"]

_ARGUMENTS = "kirsch.cli.run.arguments"
"""Where the context keeps the arguments as they were given."""


class _TargetType(click.ParamType[Any]):
    """The argument TARGET."""

    name = "target"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Target:
        """Return the target taken apart; an error of usage when it cannot be."""
        try:
            return parse_target(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _SettingType(click.ParamType[Any]):
    """The value of an option that stands for a setting."""

    def __init__(self, setting: Setting) -> None:
        self.name = setting.kind.label
        self._setting = setting

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value as the setting takes it; an error of usage when it does not."""
        try:
            return self._setting.parse(value)
        except ConfigError as error:
            self.fail(" ".join(filter(None, (f"{error.problem}.", error.hint))), param, ctx)


class _AssignmentType(click.ParamType[Any]):
    """NAME=VALUE, for any setting."""

    name = "NAME=VALUE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        """Return name and typed value; an error of usage, with the nearest name, for what is no setting."""
        name, sign, text = value.partition("=")
        if not sign:
            self.fail(f"{value!r} has no = in it. Write NAME=VALUE, such as server.backlog=2048.", param, ctx)
        try:
            return name, SETTINGS.get(name).parse(text)
        except ConfigError as error:
            self.fail(str(error), param, ctx)


def _setting_option(
    flag: str, name: str, metavar: str, *, multiple: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return the option `flag` that sets the setting `name`, described by the registry."""
    setting = SETTINGS.get(name)
    default = setting.kind.show(setting.default)
    help_text = f"{setting.help} [{name}; default {default}]{' May be given again.' if multiple else ''}"
    return click.option(
        flag,
        _parameter(name),
        type=_SettingType(setting),
        metavar=metavar,
        help=help_text,
        multiple=multiple,
        default=None,
    )


def _parameter(name: str) -> str:
    """Return the name of the parameter that holds a setting; click wants an identifier."""
    return name.replace(".", "__")


class _Command(click.Command):
    """Keeps its arguments as they were given, so that a reloader can give them to its children."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Note `args`, then parse them."""
        ctx.meta[_ARGUMENTS] = list(args)
        return super().parse_args(ctx, args)


def _environment(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    del ctx
    if value is not None and value not in ENVIRONMENTS:
        close = nearest(value, ENVIRONMENTS)
        hint = f"Did you mean {close!r}? " if close else ""
        raise click.BadParameter(
            f"there is no environment {value!r}. {hint}There are {', '.join(ENVIRONMENTS)}.", param=param
        )
    return value


@click.command(cls=_Command)
@click.argument("target", type=_TargetType())
@_setting_option("--bind", "server.bind", "ADDRESS", multiple=True)
@_setting_option("--threads", "server.threads", "N")
@click.option(
    "--config",
    "files",
    metavar="FILE",
    multiple=True,
    help="Configuration, .conf or .toml: [global] for the server, sections of paths for the application. May"
    " be given again; later files win.",
)
@click.option(
    "--environment",
    metavar="NAME",
    callback=_environment,
    help=f"{SETTINGS.get('environment').help} [environment; default {DEFAULT_ENVIRONMENT}]",
)
@_setting_option("--tls-cert", "server.tls.certificate", "FILE")
@_setting_option("--tls-key", "server.tls.key", "FILE")
@_setting_option("--tls-chain", "server.tls.chain", "FILE")
@click.option(
    "--tls-password-file",
    metavar="FILE",
    help="File whose first line is the password of the private key. [sets server.tls.password]",
)
@_setting_option("--access-log", "server.access_log", "off|common|combined|json")
@click.option("--chdir", metavar="DIR", help="Go there first; all other paths are seen from there.")
@click.option(
    "--reload",
    is_flag=True,
    help="Start the program anew when one of its files changes; for development. [engine.autoreload.on]",
)
@click.option("--pidfile", metavar="FILE", help="Write the process id there, and remove the file at the end.")
@click.option(
    "--set",
    "assignments",
    type=_AssignmentType(),
    metavar="NAME=VALUE",
    multiple=True,
    help="Set any setting; `kirsch settings` lists them. May be given again.",
)
@_setting_option("--workers", "server.workers", "N|auto")
@_setting_option("--max-requests", "server.worker_max_requests", "N")
@_setting_option("--max-memory", "server.worker_max_memory", "SIZE")
@click.option("--reload-child", hidden=True)
@click.option("--worker", hidden=True)
@click.option("--takeover", hidden=True)
@click.pass_context
def command(ctx: click.Context, /, target: Target, **options: Any) -> None:
    """Serve the program TARGET names until Ctrl-C or SIGTERM.

    TARGET is package.module:name, package.module, path/to/file.py or path/to/file.py:name. The name may be
    that of a WSGI callable (Flask, Django, Falcon), of a Kirsch application or tree, or of an object or class
    with exposed pages; name() calls what makes one. Without a name app, application, root and Root are tried.

    Settings come from the command line, else from KIRSCH_... environment variables, else from files, else
    they have their defaults. The exit code is 0 after a clean stop, 2 for a wrong command line, 1 otherwise.
    """
    reexec = Reexec()  # before the directory changes: it starts this very command again
    started_in = str(Path.cwd())
    if options["chdir"] is not None:
        _go_to(options["chdir"])
    values = _values(options)
    told = _told(options)
    if told is not None:
        values["server.bind"] = told.binds
    elif descriptors := activated():
        values["server.bind"] = tuple(f"fd:{number}" for number in descriptors)

    def run() -> Run:
        return Run(
            target=target,
            configuration=collect(options["files"], os.environ, values),
            reexec=reexec,
            arguments=tuple(ctx.meta[_ARGUMENTS]),
            directory=started_in,
            pidfile=options["pidfile"],
        )

    if told is None:
        ctx.exit(_serve(run()))
    elif options["reload_child"] is not None:
        reporter = Reporter(told.link)
        reporter.listen()
        ctx.exit(serve(replace(run(), pidfile=None, reporter=reporter)))
    elif options["worker"] is not None:
        ctx.exit(_work(run, told))
    else:
        from kirsch.supervise import Successor

        ctx.exit(_serve(replace(run(), successor=Successor(told.link), inherited=told.owned)))


def _serve(run: Run) -> int:
    """Serve in the way the settings ask for; return the exit code."""
    if run.configuration.engine.autoreload_on:
        from kirsch.cli.reload import supervise

        return supervise(run)
    if run.configuration.server.workers:
        from kirsch.cli.workers import serve_workers

        return serve_workers(run)
    return serve(run)


def _work(run: Callable[[], Run], told: Inherited) -> int:
    """Serve as a worker; what keeps it from that is told to the supervisor, which says it once for all."""
    from kirsch.supervise import Worker

    worker = Worker(told.link)
    worker.listen()
    try:
        job = replace(run(), pidfile=None, worker=worker, inherited=told.owned)
        settings = job.configuration.server
        worker.limit(settings.worker_max_requests, settings.worker_max_memory)
        return serve(job)
    except Failure as failure:
        if not worker.failed(failure.message, failure.detail, failure.exit_code):
            raise
        return failure.exit_code


def _values(options: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that the command line gives, by name; the options of their own win over `--set`."""
    values: dict[str, Any] = dict(options["assignments"])
    for name in SETTINGS.names():
        value = options.get(_parameter(name))
        if name == "server.bind":
            # Given several times, and each time a list between commas.
            value = tuple(address for given in value or () for address in given)
        if value:
            values[name] = value
    if options["reload"]:
        values["engine.autoreload.on"] = True
    if options["tls_password_file"] is not None:
        values["server.tls.password"] = _password(options["tls_password_file"])
    return values


def _password(path: str) -> str:
    try:
        with Path(path).open(encoding="utf-8") as file:
            return file.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise Failure(f"Cannot read the password file {path}: {reason}.") from error


def _go_to(directory: str) -> None:
    try:
        os.chdir(directory)
    except OSError as error:
        raise Failure(f"Cannot change to the directory {directory}: {error.strerror}.") from error


def _told(options: dict[str, Any]) -> Inherited | None:
    """Return what a process of ours has told this one; None when it was started by somebody else."""
    for name in ("reload_child", "worker", "takeover"):
        if options[name] is not None:
            return inherited(f"--{name.replace('_', '-')}", options[name])
    return None
