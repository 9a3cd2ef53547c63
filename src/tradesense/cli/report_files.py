"""Files read for a report, and what became of each of them."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from tradesense.brokers.contract import Failed, NeedsInput, Options, Question, Unreadable
from tradesense.brokers.reading import Progress
from tradesense.brokers.registry import UnknownBroker
from tradesense.cli.books import Books
from tradesense.cli.exports import Export, Told, read_export
from tradesense.cli.suspicions import Suspicions, question

DONE: Final = 0
UNREADABLE: Final = 1
ASKED: Final = 2

UTC_ASSUMED: Final = "times without a zone were read as UTC; --timezone names the zone in which the file was written"

_ZONED: Final = re.compile(r"(Z|UTC|GMT|[+-]\d\d:?\d\d)$")
"""How a time ends that says its zone itself."""


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
    warnings: list[str] = field(default_factory=list)
    questions: Sequence[Question] = ()
    unreadable: str | None = None
    outcomes: list[Told] = field(default_factory=list)


class Wanted(NamedTuple):
    """What is to be read, and how. `timezone_given` is false where UTC stands in for the zone.

    `duplicates` says what to do with fills that two formats seem to tell: `skip`, `import`, or None to ask.
    """

    paths: Sequence[Path]
    broker: str
    options: Options
    timezone_given: bool
    duplicates: str | None
    tell: bool


ProgressOf = Callable[[Path], Progress]


def read_files(wanted: Wanted, progress_of: ProgressOf) -> tuple[list[FileAccount], Books]:
    """Read the files in the order given into common books; what a file already told is a duplicate in the next."""
    books, suspicions = Books(), Suspicions()
    return [_account(path, wanted, books, suspicions, progress_of(path)) for path in wanted.paths], books


def _account(path: Path, wanted: Wanted, books: Books, suspicions: Suspicions, progress: Progress) -> FileAccount:
    if path.is_fifo() or path.is_char_device():
        return FileAccount(path.name, unreadable=f"{path} cannot be read twice: save what it gives to a file first")
    try:
        export = read_export(path, wanted.broker, wanted.options, tell=wanted.tell, progress=progress)
    except NeedsInput as asked:
        return FileAccount(path.name, questions=asked.questions)
    except (Unreadable, UnknownBroker) as refused:
        return FileAccount(path.name, unreadable=str(refused))
    except OSError as error:
        return FileAccount(path.name, unreadable=f"{path}: {error.strerror}")
    with export.reading as reading:
        suspected: set[bytes] = set()
        if len(wanted.paths) > 1 and wanted.duplicates != "import":
            suspected = {one.identity for one in suspicions.suspected(reading)}
            suspicions.note(reading)
        if suspected and wanted.duplicates is None:
            about = question(reading, len(suspected))
            return FileAccount(path.name, reading.broker, reading.format, questions=[about])
        return _accounted(export, wanted, books, suspected)


def _accounted(export: Export, wanted: Wanted, books: Books, skipped: set[bytes]) -> FileAccount:
    reading = export.reading
    added = books.add(reading, skipped)
    warnings = [f"line {line}: {message}" for line, message in reading.warnings]
    if not wanted.timezone_given and any(not _ZONED.search(entry.fill.local_time) for entry in reading.fills()):
        warnings.append(UTC_ASSUMED)
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


def exit_code(accounts: Sequence[FileAccount], *, skip_errors: bool) -> int:
    """1 where a file, or a row of one that is not to be skipped, cannot be read; 2 where something is asked; else 0."""
    if any(account.unreadable is not None or (account.error_count and not skip_errors) for account in accounts):
        return UNREADABLE
    return ASKED if any(account.questions for account in accounts) else DONE
