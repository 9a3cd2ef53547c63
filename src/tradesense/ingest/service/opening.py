"""A kept file opened: which format it is, and the options that it is read with, said by the person or by default."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from anyio import to_thread

from tradesense.brokers import mapping, registry
from tradesense.brokers.contract import DateOrder, Format, Options
from tradesense.brokers.documents import Document, Limits
from tradesense.brokers.reading import Progress, Reading, read
from tradesense.db.engine import Database, ReadConnection
from tradesense.http.authentication import UserId
from tradesense.ingest.repository import mappings, places
from tradesense.ingest.repository.places import Account


class Said(Protocol):
    """What a person said about a file: an import's row, or the form of a preview."""

    @property
    def user_id(self) -> UserId:
        """Whose file it is."""

    @property
    def account_id(self) -> UUID | None:
        """The account that it should go into."""

    @property
    def broker(self) -> str | None:
        """The broker, or one of its formats, by name; detected where None."""

    @property
    def file_name(self) -> str:
        """What the person calls the file."""

    @property
    def options(self) -> Mapping[str, Any]:
        """`timezone`, `date`, `date_order`, `mapping`, as far as they were given."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that is ready to be read.

    `zone` is where times that carry none are taken to be, `header` the fingerprint of an unknown file's columns.
    """

    document: Document
    format: Format
    options: Options
    header: str | None

    @property
    def zone(self) -> str:
        """The name of the time zone."""
        return self.options.timezone.key

    def read(self, progress: Progress | None = None) -> Reading:
        """Read it; raises `NeedsInput`, `Unreadable`. Takes CPU time."""
        return read(self.document, self.format, self.options, progress=progress)


class Opener:
    """Opens files for their users."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._limits = limits

    async def open(self, path: Path, said: Said) -> Opened:
        """Find out what a file is; raises `NeedsInput`, `Unreadable`, `UnknownBroker`."""
        document = await to_thread.run_sync(lambda: Document.open(path, said.file_name, self._limits))
        header = await to_thread.run_sync(lambda: None if said.broker else _header(document))
        columns = said.options.get("mapping") or await self._saved(said.user_id, header)
        chosen = Options(ZoneInfo("UTC"), mapping=columns)
        format_, sheet = await to_thread.run_sync(lambda: registry.choose(document, said.broker, chosen))
        return Opened(sheet, format_, await self._options(said, format_.broker, columns), header)

    async def _saved(self, user_id: UserId, header: str | None) -> Mapping[str, str] | None:
        if header is None:
            return None
        async with self._database.read() as connection:
            return await mappings.find_mapping(connection, user_id, header)

    async def _options(self, said: Said, broker: str, columns: Mapping[str, str] | None) -> Options:
        given = said.options
        async with self._database.read() as connection:
            account = await _account(connection, said, broker)
            zone = given.get("timezone") or (account and account.timezone)
            zone = zone or await places.user_zone(connection, said.user_id)
        day, order = given.get("date"), given.get("date_order")
        return Options(
            timezone=ZoneInfo(zone),
            date=date.fromisoformat(day) if day else None,
            date_order=DateOrder(order) if order else None,
            mapping=columns,
            currency=account.currency if account and said.account_id else None,
            multipliers=account.multipliers if account else {},
        )


async def _account(connection: ReadConnection, said: Said, broker: str) -> Account | None:
    """The account whose defaults count: the one asked for, else the user's only one of the broker."""
    if said.account_id is not None:
        return await places.find_account(connection, said.user_id, said.account_id)
    theirs = await places.accounts_of_broker(connection, said.user_id, broker)
    return theirs[0] if len(theirs) == 1 else None


def _header(document: Document) -> str | None:
    """A fingerprint of the columns of a file that no format knows."""
    table = next((found for found in map(mapping.view, document.sheets) if found), None)
    if table is None or registry.detect(document):
        return None
    return blake2b("\0".join(table.header).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
