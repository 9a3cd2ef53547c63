"""Executions that a person enters or deletes by hand."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from keel.clock import Clock
from keel.errors import Invalid, NotFound
from keel.ids import uuid7
from tradesense.brokers.identities import execution_id
from tradesense.db.engine import Database, WriteConnection
from tradesense.domain.contracts import unaffected
from tradesense.domain.executions import ExecutionId, ExecutionKind, Side, order_key
from tradesense.domain.instruments import Instrument
from tradesense.domain.local_time import microseconds
from tradesense.domain.money import ZERO, text
from tradesense.http.authentication import UserId
from tradesense.ingest.repository import places, removal, staging
from tradesense.ingest.repository.places import key_text
from tradesense.ingest.repository.staging import Rows
from tradesense.ingest.service.changing import Changes
from tradesense.ingest.service.staging import Destination

BY_HAND = "manual"
"""The broker and the format of what no file told of."""


class ExecutionNotFound(NotFound):
    """There is no such execution."""

    def __init__(self) -> None:
        super().__init__("There is no such execution.")


class OtherMultiplier(Invalid):
    """The account has the instrument at another multiplier."""

    def __init__(self, instrument: Instrument, multiplier: Decimal) -> None:
        symbol, root = instrument.symbol, instrument.root
        concerned = instrument.asset_class != unaffected(root)
        advice = (
            f"change that of {root} among the account's multipliers" if concerned else "delete its executions first"
        )
        super().__init__(
            f"{symbol} has a multiplier of {text(multiplier)} in this account: leave it out, or {advice}.",
            loc=("body", "multiplier"),
        )


@dataclass(frozen=True, slots=True)
class Entered:
    """A fill as a person enters it. `at` is aware; `zone` names the time zone they think in.

    `multiplier` is the one that they gave; all executions of a book have one.
    """

    instrument: Instrument
    side: Side
    quantity: Decimal
    price: Decimal
    at: datetime
    commission: Decimal = ZERO
    fees: Decimal = ZERO
    kind: ExecutionKind = ExecutionKind.TRADE
    fx_to_account: Decimal | None = None
    zone: str = "UTC"
    multiplier: Decimal | None = None


class ManualExecutions:
    """Puts executions into accounts and takes them out, one at a time; trades follow at once."""

    def __init__(self, database: Database, clock: Clock, changes: Changes) -> None:
        self._database = database
        self._clock = clock
        self._changes = changes
        self._rows = Rows(database.dialect)

    async def add(self, user_id: UserId, account_id: UUID, entered: Entered) -> tuple[ExecutionId, int]:
        """Add an execution; gives its id and the data's version.

        Raises `AccountNotFound`, `AccountBusy`, `TooManyDigits`, `OtherMultiplier`.
        """
        identity = uuid7().bytes
        async with self._changes.to(user_id, [account_id]) as (change, tenure):
            (destination,) = change.destinations
            async with change.write() as connection:
                added = await self._insert(connection, destination, entered, identity)

            async def note(connection: WriteConnection) -> None:
                await places.note_format(connection, destination.account, f"{BY_HAND}/{BY_HAND}")

            return added, await self._changes.publish(user_id, change, tenure, note)

    async def _insert(
        self, connection: WriteConnection, destination: Destination, entered: Entered, identity: bytes
    ) -> ExecutionId:
        account, claim = destination.account, destination.claim
        key = key_text(entered.instrument.key)
        wanted = {key: entered.instrument}
        destination.books = await places.books_of(connection, account, claim.generation, wanted)
        book = destination.books[key]
        if entered.multiplier not in (None, book.multiplier):
            raise OtherMultiplier(entered.instrument, book.multiplier)
        at = entered.at.astimezone(UTC)
        added = execution_id(account.id, identity, at.replace(tzinfo=None))
        order = order_key(microseconds(at), 0, identity)
        row = (
            added,
            book.id,
            identity,
            order,
            at,
            entered.side,
            entered.kind,
            entered.quantity,
            entered.price,
            entered.commission,
            entered.fees,
            entered.fx_to_account,
            BY_HAND,
            at.isoformat(),
        )
        same = (claim.generation, account.id, BY_HAND, BY_HAND, entered.zone)
        await self._rows.executions.insert(connection, self._rows.executions.prepare(same, [row]))
        destination.land(book.id, order)
        return added

    async def delete(self, user_id: UserId, execution: UUID) -> int:
        """Delete an execution, whoever told of it; gives the data's version.

        It is kept for 30 days. Importing its file again brings it back. Raises `ExecutionNotFound`, `AccountBusy`.
        """
        async with self._database.read() as connection:
            found = await staging.find_execution(connection, user_id, execution)
        if found is None:
            raise ExecutionNotFound
        async with self._changes.to(user_id, [found.account_id]) as (change, tenure):
            (destination,) = change.destinations
            claim = destination.claim
            async with change.write() as connection:
                await removal.bury_executions(connection, claim, [execution])
                await removal.bury_sources(connection, claim, [execution])
            destination.land(found.book_id, found.order_key)

            async def note(connection: WriteConnection) -> None:  # not before: it shows at once
                await staging.note_deletion(connection, claim, execution, self._clock.now())

            return await self._changes.publish(user_id, change, tenure, note)
