"""`tradesense report`: broker files to statistics in the terminal, with no server and no database."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Argument, Exit, Option

from tradesense.cli.terminal import errors, output, write_json

if TYPE_CHECKING:
    from decimal import Decimal
    from zoneinfo import ZoneInfo

    from tradesense.cli.books import Books
    from tradesense.cli.report_figures import Figures


def report(
    files: Annotated[list[Path], Argument(help="Exports of a broker; what one tells again adds nothing.")],
    broker: Annotated[str, Option(help="The broker, or broker/format, where the file does not tell.")] = "auto",
    timezone: Annotated[str | None, Option(help="The zone of times that carry none, such as Europe/Berlin.")] = None,
    date: Annotated[str | None, Option(help="The day, for a file with times alone: 2026-01-31.")] = None,
    date_order: Annotated[Literal["mdy", "dmy", "ymd"] | None, Option(help="How 01/02/2026 reads.")] = None,
    mapping: Annotated[list[str] | None, Option(help="FIELD=COLUMN of an unknown file; once per field.")] = None,
    currency: Annotated[str | None, Option(help="The currency, for a file that names none.")] = None,
    balance: Annotated[list[str] | None, Option(help="Starting balance: 10000, or USD=10000 per currency.")] = None,
    method: Annotated[Literal["fifo", "lifo", "average"], Option(help="Which lots an exit takes.")] = "fifo",
    duplicates: Annotated[
        Literal["skip", "import"] | None, Option(help="What to do with fills that two formats seem to tell.")
    ] = None,
    skip_errors: Annotated[bool, Option("--skip-errors", help="Leave out rows that cannot be read.")] = False,
    trades: Annotated[int, Option(help="How many of the latest trades to list.", min=0)] = 20,
    rows: Annotated[bool, Option("--rows", help="Tell what became of every row.")] = False,
    as_json: Annotated[bool, Option("--json", help="As JSON.")] = False,
) -> None:
    """Read broker files and show trades, statistics, equity curve and calendar.

    Exit codes: 0 done; 1 a file, or a row of one, cannot be read, or the report not written; 2 something must be
    answered first.
    """
    from tradesense.cli.answers import balances, reading_options
    from tradesense.cli.progress import reading_progress
    from tradesense.cli.report_files import Wanted, exit_code, read_files
    from tradesense.cli.report_output import document, show

    options = reading_options(timezone, date, date_order, mapping or (), currency)
    wanted = Wanted(files, broker, options, timezone is not None, duplicates, tell=rows)
    starting = balances(balance or ())
    with reading_progress() as progress_of:
        accounts, books = read_files(wanted, progress_of)
    code = exit_code(accounts, skip_errors=skip_errors)
    found = None if code else _figures(books, method, options.timezone, starting)
    if as_json:
        write_json(document(accounts, found, tell=rows))
    else:
        show(output(), errors(), accounts, found, trades)
    if code:
        raise Exit(code)


def _figures(books: "Books", method: str, zone: "ZoneInfo", balances: "dict[str, Decimal]") -> "Figures":
    from keel.clock import SystemClock
    from tradesense.cli.report_figures import UnclearBalance, figures
    from tradesense.cli.report_files import ASKED, UNREADABLE
    from tradesense.domain.matching import Method, NotExact

    try:
        return figures(books, Method(method), zone, balances, SystemClock().now())
    except UnclearBalance as unclear:
        errors().print(f"{unclear}: answer with --balance CURRENCY=AMOUNT", style="yellow", markup=False)
        raise Exit(ASKED) from None
    except NotExact as error:
        errors().print(str(error), style="red", markup=False)
        raise Exit(UNREADABLE) from None
