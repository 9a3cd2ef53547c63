"""The instance that the configuration describes, opened without its web server for as long as a command needs it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from pydantic import ValidationError
from typer import Exit

from keel.errors import Refusal
from tradesense.cli.configuration import load_ready
from tradesense.cli.terminal import errors
from tradesense.db.postgresql import DatabaseAway
from tradesense.wiring import State, opened

T = TypeVar("T")


def run(work: Callable[[State], Awaitable[T]], *, works: bool = False) -> T:
    """What `work` gives with everything opened; a refusal is printed and ends the command with 1.

    Background work is left to the server unless the command `works` itself.
    """
    settings = load_ready(work="here" if works else None)

    async def within() -> T:
        async with opened(settings, works=works) as state:
            return await work(state)

    try:
        return asyncio.run(within())
    except (Refusal, DatabaseAway) as refusal:
        errors().print(str(refusal), style="red", markup=False)
        raise Exit(1) from None


@contextmanager
def refuse_invalid() -> Iterator[None]:
    """Print what is wrong with values that a person gave, and end the command with 1."""
    try:
        yield
    except ValidationError as invalid:
        for error in invalid.errors(include_input=False, include_url=False):
            message = error["msg"].removeprefix("Value error, ")
            errors().print(f"{'.'.join(map(str, error['loc']))}: {message}", style="red", markup=False)
        raise Exit(1) from None
