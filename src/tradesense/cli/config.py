"""`tradesense config`: what the program would run with, and whether it can."""

from typing import Annotated

from typer import Option

from tradesense.cli.terminal import output, write_json


def check() -> None:
    """Check the configuration: exit 0 when it can be used, 1 with every mistake named."""
    from tradesense.cli.configuration import load

    load()
    output().print("the configuration can be used")


def show(*, as_json: Annotated[bool, Option("--json", help="As JSON.")] = False) -> None:
    """Show every setting by the name of its variable; passwords and secrets are masked."""
    from tradesense.cli.configuration import load

    shown = load().shown()
    if as_json:
        write_json(shown)
        return
    for name, value in shown.items():
        output().print(f"{name}={value}", markup=False, highlight=False, soft_wrap=True)
