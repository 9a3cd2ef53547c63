"""Reading a text or a file as one format, and the trades that come of it."""

from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from tests.brokers.cases import NEW_YORK
from tradesense.brokers import registry
from tradesense.brokers.contract import Options
from tradesense.brokers.documents import Document
from tradesense.brokers.identities import execution_id
from tradesense.brokers.reading import Entry, Reading
from tradesense.domain.executions import Execution, Side, order_key
from tradesense.domain.local_time import microseconds
from tradesense.domain.matching import match
from tradesense.domain.trades import Trade

ACCOUNT = UUID(int=1)


def read_text(folder: Path, name: str, text: str, options: Options = NEW_YORK) -> Reading:
    """Read a text as a format (`ibkr/activity`)."""
    path = folder / "export"
    path.write_text(text, encoding="utf-8")
    return read_path(path, name, options)


def read_path(path: Path, name: str | None = None, options: Options = NEW_YORK) -> Reading:
    """Read a file as a format, or as what it is found to be."""
    return registry.read_file(Document.open(path), name, options)[0]


def trades(reading: Reading) -> dict[str, list[Trade]]:
    """The trades of a file, by symbol."""
    books: defaultdict[object, list[Entry]] = defaultdict(list)
    for entry in reading.fills():
        books[entry.fill.instrument.key].append(entry)
    found: dict[str, list[Trade]] = {}
    for entries in books.values():
        instrument = entries[0].fill.instrument
        executions = sorted((_execution(entry) for entry in entries), key=lambda execution: execution.order)
        found[instrument.symbol] = list(match(executions, multiplier=instrument.multiplier))
    return found


def _execution(entry: Entry) -> Execution:
    fill = entry.fill
    order = order_key(microseconds(fill.at), entry.sequence, entry.identity)
    own_id = execution_id(ACCOUNT, entry.identity, fill.wall)
    costs = fill.commission + fill.fees
    return Execution(own_id, order, fill.at, fill.side, fill.quantity, fill.price, costs, fill.kind)


def flow(entry: Entry) -> Decimal:
    """What a fill paid (below 0) or received, before costs."""
    fill = entry.fill
    value = fill.price * fill.quantity * fill.instrument.multiplier
    return value if fill.side is Side.SELL else -value


def costs(reading: Reading) -> Decimal:
    """The costs of all fills."""
    return sum((entry.fill.commission + entry.fill.fees for entry in reading.fills()), Decimal(0))
