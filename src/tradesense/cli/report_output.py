"""A report told: as one JSON document, or on a terminal."""

from collections.abc import Sequence
from typing import Any, Final, TypeVar

from rich.console import Console
from rich.text import Text

from tradesense.cli.answers import answer
from tradesense.cli.drawing import calendar
from tradesense.cli.rendering import (
    calendar_table,
    equity_curve,
    missing,
    outcomes_table,
    statistics_table,
    titled,
    trades_table,
)
from tradesense.cli.report_figures import Figures
from tradesense.cli.report_files import FileAccount

_LISTED: Final = 20
_MONTHS: Final = 24
_COUNTS: Final = ("rows", "imported", "executions", "duplicates")
_LISTS: Final = ("errors", "questions")

T = TypeVar("T")


def document(accounts: Sequence[FileAccount], figures: Figures | None, *, tell: bool) -> dict[str, Any]:
    """The report for programs; without figures where a file could not be read or something must be asked.

    The counts are those of all files together, and with more than one `files` has each.
    """
    files = [file_document(account, tell=tell) for account in accounts]
    together = files[0] if len(files) == 1 else {**_together(files), "files": files}
    if figures is None:
        return {**together, "trades": [], "statistics": {}, "by_currency": {}}
    return {
        **together,
        "warnings": together["warnings"] + figures.warnings,
        "trades": figures.trades,
        "statistics": figures.statistics,
        "by_currency": figures.by_currency,
    }


def file_document(account: FileAccount, *, tell: bool) -> dict[str, Any]:
    """What became of one file; `tell` adds the outcome of every row."""
    errors = [error._asdict() for error in account.errors]
    if account.unreadable is not None:
        errors = [{"line": None, "column": None, "message": account.unreadable}]
    outcomes = {"outcomes": [told._asdict() for told in account.outcomes]} if tell else {}
    return {
        "file": account.name,
        "broker": account.broker,
        "format": account.format,
        **{name: getattr(account, name) for name in _COUNTS},
        "ignored": [{"reason": reason, "count": count} for reason, count in account.ignored.items()],
        "errors": errors,
        "error_count": max(account.error_count, len(errors)),
        "warnings": account.warnings,
        "questions": [question._asdict() for question in account.questions],
        **outcomes,
    }


def _together(files: Sequence[dict[str, Any]]) -> dict[str, Any]:
    brokers = sorted({file["broker"] for file in files if file["broker"]})
    ignored: dict[str, int] = {}
    for reason, count in ((each["reason"], each["count"]) for file in files for each in file["ignored"]):
        ignored[reason] = ignored.get(reason, 0) + count
    return {
        "broker": brokers[0] if len(brokers) == 1 else ", ".join(brokers) or None,
        **{name: sum(file[name] for file in files) for name in (*_COUNTS, "error_count")},
        **{name: [{"file": file["file"], **each} for file in files for each in file[name]] for name in _LISTS},
        "warnings": list(dict.fromkeys(f"{file['file']}, {each}" for file in files for each in file["warnings"])),
        "ignored": [{"reason": reason, "count": count} for reason, count in ignored.items()],
    }


def show(out: Console, aside: Console, accounts: Sequence[FileAccount], figures: Figures | None, latest: int) -> None:
    """The report for people: results on `out`, what is wrong or must be asked on `aside`."""
    for account in accounts:
        show_file(out, aside, account)
    if figures is None:
        return
    _show_warnings(aside, figures.warnings)
    for currency, statistics in figures.by_currency.items():
        charts = figures.charts.get(currency)
        out.print(titled(currency, statistics_table(statistics)))
        for line in missing(statistics):
            out.print(Text(f"  {line}", "dim"))
        if charts is not None and charts.curve:
            out.print(titled(f"{charts.title}, {currency}", equity_curve(charts.curve)))
            months, title = _latest(list(calendar(charts.days)), _MONTHS, f"Calendar, {currency}", "months")
            out.print(titled(title, calendar_table(months)))
    if figures.trades and latest:
        title = f"Trades, at the time of {figures.zone.key}"
        shown, title = _latest(figures.trades, latest, title, "trades")
        out.print(titled(title, trades_table(shown, figures.zone)))


def _latest(items: Sequence[T], count: int, title: str, what: str) -> tuple[Sequence[T], str]:
    """The last of them, and a title that says so where that is not all."""
    shown = items[-count:]
    return shown, title if len(shown) == len(items) else f"{title}: the latest {len(shown):,} of {len(items):,} {what}"


def show_file(out: Console, aside: Console, account: FileAccount) -> None:
    """What became of one file, for people."""
    source = f"{account.broker}/{account.format}" if account.broker else "not read"
    out.print(Text.assemble((account.name, "bold"), f" · {source} · {account.rows:,} rows"), soft_wrap=True)
    if account.rows:
        out.print(
            f"  {account.imported:,} imported as {account.executions:,} executions, {account.duplicates:,} duplicates, "
            f"{sum(account.ignored.values()):,} ignored, {account.error_count:,} in error",
            soft_wrap=True,
        )
    for reason, count in account.ignored.items():
        out.print(Text(f"  {count:,} ignored: {reason}", "dim"), soft_wrap=True)
    if account.outcomes:
        out.print(outcomes_table(account.outcomes))
    for error in account.errors[:_LISTED]:
        column = f", {error.column}" if error.column else ""
        aside.print(Text(f"  line {error.line}{column}: {error.message}", "red"), soft_wrap=True)
    if account.error_count > _LISTED:
        aside.print(Text(f"  and {account.error_count - _LISTED:,} more rows in error; --json lists them", "red"))
    if account.unreadable is not None:
        aside.print(Text(f"  {account.unreadable}", "red"), soft_wrap=True)
    elif account.error_count:
        aside.print(Text("  --skip-errors takes the rest", "dim"))
    _show_warnings(aside, account.warnings)
    for question in account.questions:
        aside.print(Text(f"  {question.why}\n  → {answer(question)}", "yellow"), soft_wrap=True)


def _show_warnings(aside: Console, warnings: Sequence[str]) -> None:
    for message in warnings[:_LISTED]:
        aside.print(Text(f"  {message}", "yellow"), soft_wrap=True)
    if len(warnings) > _LISTED:
        aside.print(Text(f"  and {len(warnings) - _LISTED:,} more warnings; --json lists them", "yellow"))
