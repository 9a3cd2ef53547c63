"""What a report says: what became of every file, and the trades and figures of all of them together."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from tradesense.brokers.contract import Failed, NeedsInput, Options, Question, Unreadable
from tradesense.brokers.reading import Progress
from tradesense.brokers.registry import UnknownBroker
from tradesense.cli.books import Book, Books
from tradesense.cli.exports import Export, Told, read_export
from tradesense.domain.matching import Method, Unmatched
from tradesense.domain.money import text
from tradesense.domain.trades import Trade

UTC_ASSUMED: Final = "times without a zone were read as UTC; --timezone names the zone in which the file was written"

_ZONED: Final = re.compile(r"(Z|UTC|GMT|[+-]\d\d:?\d\d)$")
"""How a time ends that says its zone itself."""


class Warned(NamedTuple):
    """Something to look at: the line of the file where there is one, and what it is."""

    line: int | None
    message: str


@dataclass(slots=True)
class FileAccount:
    """What became of one file: `imported + duplicates + ignored + errors = rows`."""

    name: str
    broker: str | None = None
    format: str | None = None
    rows: int = 0
    imported: int = 0
    executions: int = 0
    duplicates: int = 0
    ignored: dict[str, int] = field(default_factory=dict)
    errors: Sequence[Failed] = ()
    error_count: int = 0
    warnings: list[Warned] = field(default_factory=list)
    questions: Sequence[Question] = ()
    unreadable: str | None = None
    outcomes: list[Told] = field(default_factory=list)


class Wanted(NamedTuple):
    """What a report is asked for. `timezone_given` is false where UTC stands in for it."""

    paths: Sequence[Path]
    broker: str
    options: Options
    timezone_given: bool
    method: Method
    skip_errors: bool
    tell: bool


@dataclass(slots=True)
class Matched:
    """All files' trades by book."""

    books: Books
    trades: list[tuple[Book, list[Trade]]]
    warnings: list[Warned]


ProgressOf = Callable[[Path], Progress]


def read_files(wanted: Wanted, progress_of: ProgressOf) -> tuple[list[FileAccount], Books]:
    """Read the files in the order given into common books; what a file already told is a duplicate in the next."""
    books = Books()
    return [_account(path, wanted, books, progress_of(path)) for path in wanted.paths], books


def _account(path: Path, wanted: Wanted, books: Books, progress: Progress) -> FileAccount:
    try:
        export = read_export(path, wanted.broker, wanted.options, tell=wanted.tell, progress=progress)
    except NeedsInput as asked:
        return FileAccount(path.name, questions=asked.questions)
    except (Unreadable, UnknownBroker) as refused:
        return FileAccount(path.name, unreadable=str(refused))
    except OSError as error:
        return FileAccount(path.name, unreadable=f"{path}: {error.strerror}")
    with export.reading:
        return _accounted(export, wanted, books)


def _accounted(export: Export, wanted: Wanted, books: Books) -> FileAccount:
    reading = export.reading
    added = books.add(reading)
    warnings = [Warned(line, message) for line, message in reading.warnings]
    if not wanted.timezone_given and any(not _ZONED.search(entry.fill.local_time) for entry in reading.fills()):
        warnings.append(Warned(None, UTC_ASSUMED))
    return FileAccount(
        name=export.path.name,
        broker=reading.broker,
        format=reading.format,
        rows=reading.rows,
        imported=reading.imported - len(added.known),
        executions=added.executions,
        duplicates=len(added.known),
        ignored=dict(reading.ignored.most_common()),
        errors=reading.errors,
        error_count=reading.error_count,
        warnings=warnings,
        outcomes=[told._replace(outcome="duplicate") if told.line in added.known else told for told in export.told],
    )


def match_books(books: Books, method: Method) -> Matched:
    """The trades of all books, and a warning for everything that found nothing to close."""
    trades: list[tuple[Book, list[Trade]]] = []
    warnings: list[Warned] = []
    for book in books:
        matched, excesses = book.trades(method)
        trades.append((book, matched))
        warnings += [Warned(None, _excess(book, excess)) for excess in excesses]
    return Matched(books, trades, warnings)


def _excess(book: Book, excess: Unmatched) -> str:
    return (
        f"{book.instrument.symbol}: {excess.kind} of {text(excess.quantity)} on {excess.at:%Y-%m-%d} "
        "found no open position; an earlier part of the history is missing"
    )


def failed(files: Iterable[FileAccount], *, skip_errors: bool) -> bool:
    """Whether a file could not be read, or has rows in error that are not to be skipped."""
    return any(file.unreadable is not None or (file.error_count and not skip_errors) for file in files)


def file_json(file: FileAccount, *, tell: bool) -> dict[str, Any]:
    """One file's account."""
    errors = [error._asdict() for error in file.errors]
    if file.unreadable is not None:
        errors = [{"line": None, "column": None, "message": file.unreadable}]
    account: dict[str, Any] = {
        "file": file.name,
        "broker": file.broker,
        "format": file.format,
        "rows": file.rows,
        "imported": file.imported,
        "executions": file.executions,
        "duplicates": file.duplicates,
        "ignored": [{"reason": reason, "count": count} for reason, count in file.ignored.items()],
        "errors": errors,
        "warnings": [warning._asdict() for warning in file.warnings],
        "questions": [question._asdict() for question in file.questions],
    }
    if tell:
        account["outcomes"] = [told._asdict() for told in file.outcomes]
    return account
