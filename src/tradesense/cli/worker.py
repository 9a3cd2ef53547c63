"""`tradesense worker`: a process that does background work, and serves nobody."""

from typing import TYPE_CHECKING, Annotated

from typer import Exit, Option

from tradesense.cli.terminal import errors

if TYPE_CHECKING:
    from tradesense.settings import Settings


def worker(
    imports: Annotated[
        int | None, Option(help="Imports at a time; TRADESENSE_IMPORTS_AT_ONCE, else 2.", min=1, max=64)
    ] = None,
) -> None:
    """Do imports and other background work, beside the processes that serve.

    Asked to stop (SIGTERM, SIGINT) it begins nothing more, gives what is running TRADESENSE_SHUTDOWN_S seconds to
    finish, and then hands it back to whoever works on.
    """
    import asyncio

    from tradesense.cli.configuration import load_serving

    settings = load_serving(imports_at_once=imports, work="here")
    if settings.is_embedded:
        errors().print("a worker needs a DATABASE_URL of PostgreSQL: SQLite has one writer, the server", style="red")
        raise Exit(1)
    asyncio.run(run(settings))


async def run(settings: "Settings") -> None:
    """Work until told to stop."""
    import asyncio
    import signal

    from keel.logs.assembly import Logs
    from tradesense.app import create_app
    from tradesense.cli.probing import probed
    from tradesense.wiring import begin_warming, opened

    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    with Logs.open(settings.log_options) as logs:
        async with probed(opened)(settings) as state:
            state["keel"].log(logs)
            begin_warming(create_app(settings), state)
            state["health"].start()
            errors().print(f"working, {settings.imports_at_once} imports at a time", soft_wrap=True)
            await stopped.wait()
            state["health"].drain()
