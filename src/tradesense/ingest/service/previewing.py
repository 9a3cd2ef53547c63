"""A look at a file before it is imported: what it is taken for, what it holds, what would be asked. Nothing is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

from anyio import to_thread

from tradesense.brokers import mapping, registry
from tradesense.brokers.contract import Fill, NeedsInput, Unreadable
from tradesense.brokers.documents import Document, Limits
from tradesense.brokers.mapping import Suggestion
from tradesense.brokers.registry import Detected
from tradesense.db.engine import Database
from tradesense.ingest.service import findings
from tradesense.ingest.service.files import KeptFiles, Read
from tradesense.ingest.service.opening import Opened, Opener
from tradesense.ingest.service.uploads import Upload, check

SHOWN: Final = 20
"""Fills that a preview shows."""
_CANDIDATES: Final = 5


@dataclass(frozen=True, slots=True)
class Preview:
    """What an import would find.

    `detected` are the formats that the file may be, the surest first; `found` has the counters and lists of an import's
    row, as far as the file can be read; `zone` is where times that carry none are taken to be; `suggestion` maps the
    columns of a table that no format knows.
    """

    detected: Sequence[Detected]
    found: Mapping[str, Any]
    zone: str | None = None
    executions: int = 0
    accounts: Sequence[str] = ()
    fills: Sequence[tuple[int, Fill]] = ()
    suggestion: Sequence[Suggestion] = field(default_factory=tuple)


class Previews:
    """Looks at files."""

    def __init__(self, database: Database, files: KeptFiles, opener: Opener, limits: Limits) -> None:
        self._database = database
        self._files = files
        self._opener = opener
        self._limits = limits

    async def preview(self, upload: Upload, read: Read) -> Preview:
        """Read a file as its import would; raises `FileTooLarge`, `BrokerUnknown`, `AccountNotFound`."""
        await check(self._database, upload)
        path = await self._files.borrow(read)
        try:
            return await self._look(path, upload)
        finally:
            path.unlink()

    async def _look(self, path: Path, upload: Upload) -> Preview:
        detected: Sequence[Detected] = ()
        suggestion: Sequence[Suggestion] = ()
        try:
            document = await to_thread.run_sync(lambda: Document.open(path, upload.file_name, self._limits))
            detected = (await to_thread.run_sync(lambda: registry.detect(document)))[:_CANDIDATES]
            if not detected:
                suggestion = await to_thread.run_sync(lambda: tuple(mapping.suggest(document).values()))
            opened = await self._opener.open(path, upload)
            return await to_thread.run_sync(partial(_read, opened, detected, suggestion))
        except NeedsInput as asked:
            found = {"questions": findings.questions(asked.questions)}
        except Unreadable as error:
            found = findings.one_error(str(error))
        return Preview(detected, found, suggestion=suggestion)


def _read(opened: Opened, detected: Sequence[Detected], suggestion: Sequence[Suggestion]) -> Preview:
    with opened.read() as reading:
        return Preview(
            detected,
            findings.of_reading(reading),
            opened.zone,
            reading.executions,
            tuple(reading.accounts),
            [(entry.line, entry.fill) for entry in islice(reading.fills(), SHOWN)],
            suggestion,
        )
