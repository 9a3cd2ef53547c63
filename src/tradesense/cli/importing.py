"""`tradesense import`: files into a user's accounts, by the way that uploads take."""

from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

from typer import Argument, Exit, Option

from tradesense.cli.terminal import errors, output, write_json


def import_files(
    files: Annotated[list[Path], Argument(help="Exports of a broker.", exists=True, dir_okay=False)],
    email: Annotated[str, Option(help="Whose they are.")],
    broker: Annotated[str, Option(help="The broker, or broker/format, where the file does not tell.")] = "auto",
    timezone: Annotated[str | None, Option(help="The zone of times that carry none; the account's otherwise.")] = None,
    date: Annotated[str | None, Option(help="The day, for a file with times alone: 2026-01-31.")] = None,
    date_order: Annotated[Literal["mdy", "dmy", "ymd"] | None, Option(help="How 01/02/2026 reads.")] = None,
    mapping: Annotated[list[str] | None, Option(help="FIELD=COLUMN of an unknown file; once per field.")] = None,
    account_id: Annotated[UUID | None, Option(help="The account they go into; found by the file otherwise.")] = None,
    duplicates: Annotated[
        Literal["skip", "import"] | None, Option(help="What to do with fills that two formats seem to tell.")
    ] = None,
    skip_errors: Annotated[bool, Option("--skip-errors", help="Leave out rows that cannot be read.")] = False,
    as_json: Annotated[bool, Option("--json", help="As JSON, one document per file.")] = False,
) -> None:
    """Import broker files into a user's accounts; the same file twice adds nothing.

    Exit codes: 0 done; 1 a file could not be imported; 2 something must be answered first.
    """
    from tradesense.cli.answers import import_options
    from tradesense.cli.imports import Wanted, import_all
    from tradesense.cli.instance import run
    from tradesense.cli.report_files import exit_code
    from tradesense.cli.report_output import file_document, show_file

    wanted = Wanted(
        email=email,
        broker=None if broker == "auto" else broker,
        account_id=account_id,
        options=import_options(timezone, date, date_order, mapping or (), duplicates, skip_errors=skip_errors),
    )
    accounts = run(lambda state: import_all(state, files, wanted), works=True)
    for account in accounts:
        if as_json:
            write_json(file_document(account, tell=False))
        else:
            show_file(output(), errors(), account)
    if code := exit_code(accounts, skip_errors=skip_errors):
        raise Exit(code)
