"""The command line: one module per command, each of which imports what it needs when it is called."""

import errno
import os
import sys
from collections.abc import Callable
from io import TextIOWrapper
from typing import Annotated, Final

from typer import Exit, Option, Typer

from tradesense.cli.terminal import output

_UNWRITABLE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE})
"""There is no room, no way, or nobody who reads."""


def main() -> None:
    """Run the command that the arguments name; ends with 1 where what it says cannot be written.

    What a terminal has no character for is shown as a question mark.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        try:
            build()()
        finally:
            if sys.stdout is not None:  # it was closed before we began
                sys.stdout.flush()
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        sys.stderr.write(f"tradesense: {error.strerror}\n")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter tries once more
        sys.exit(1)


def build() -> Typer:
    """The commands and their options."""
    from tradesense.cli import config, demo, doctor, importing, report, serve, user, worker

    app = Typer(name="tradesense", no_args_is_help=True, pretty_exceptions_enable=False)
    app.callback()(tradesense)
    app.command()(serve.serve)
    app.command()(worker.worker)
    app.command()(report.report)
    app.command("import")(importing.import_files)
    app.command()(demo.demo)
    app.command()(doctor.doctor)
    users = (user.create, user.promote, user.disable, user.rebuild)
    app.add_typer(_group("The users of this instance.", *users), name="user")
    app.add_typer(_group("What the program would run with.", config.check, config.show), name="config")
    return app


def _group(about: str, *commands: Callable[..., None]) -> Typer:
    group = Typer(help=about, no_args_is_help=True)
    for command in commands:
        group.command()(command)
    return group


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        output().print(version("tradesense"), highlight=False)
        raise Exit


def tradesense(
    _version: Annotated[
        bool, Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """From a broker's file to trades, statistics and insight."""
