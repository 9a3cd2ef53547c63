"""`tradesense report`: broker files to statistics in the terminal, with no server and no database."""

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option


def report(  # noqa: PLR0917
    files: Annotated[list[Path], Argument(help="Exports of a broker; what one tells again adds nothing.")],
    broker: Annotated[str, Option(help="The broker, where the file does not tell.")] = "auto",
    timezone: Annotated[str | None, Option(help="The zone of times that carry none, such as Europe/Berlin.")] = None,
    date: Annotated[str | None, Option(help="The day, for a file with times alone: 2026-01-31.")] = None,
    date_order: Annotated[Literal["mdy", "dmy", "ymd"] | None, Option(help="How 01/02/2026 reads.")] = None,
    mapping: Annotated[list[str] | None, Option(help="FIELD=COLUMN of an unknown file; once per field.")] = None,
    currency: Annotated[str | None, Option(help="The currency, for a file that names none.")] = None,
    balance: Annotated[str | None, Option(help="The starting balance, for returns and ratios.")] = None,
    method: Annotated[Literal["fifo", "lifo", "average"], Option(help="Which lots an exit takes.")] = "fifo",
    duplicates: Annotated[
        Literal["skip", "import"] | None, Option(help="What to do with fills that two formats seem to tell.")
    ] = None,
    skip_errors: Annotated[bool, Option("--skip-errors", help="Leave rows out that cannot be read.")] = False,
    trades: Annotated[int, Option(help="How many of the latest trades to list.", min=0)] = 20,
    rows: Annotated[bool, Option("--rows", help="Tell what became of every row.")] = False,
    as_json: Annotated[bool, Option("--json", help="As JSON.")] = False,
) -> None:
    """Read broker files and show trades, statistics, equity curve and calendar.

    Exit codes: 0 done; 1 a file or some of its rows cannot be read; 2 something must be answered first.
    """
