"""Suspected duplicates: fills that another format of the same account seems to have told of already."""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Final, NamedTuple
from uuid import UUID

from tradesense.brokers.reading import Entry, Reading
from tradesense.domain.executions import Side
from tradesense.ingest.repository import staging
from tradesense.ingest.repository.places import key_text
from tradesense.ingest.repository.staging import Other
from tradesense.ingest.service.behind import Desk

_AT_ONCE: Final = 2000


class Alike(NamedTuple):
    """What two formats say alike of one fill: instrument, side, price and the second; quantities may be parts."""

    key: str
    side: Side
    price: Decimal
    second: datetime


class Suspect(NamedTuple):
    """A fill of the file: its row, its place among the row's fills, and what it is known by."""

    line: int
    part: int
    quantity: Decimal
    identity: bytes


class Search:
    """Looks for suspects among a file's fills. Runs in a worker thread of the event loop."""

    def __init__(self, desk: Desk, reading: Reading) -> None:
        self._desk = desk
        self._reading = reading

    def run(self, labels: Container[str | None], account_id: UUID, generation: int) -> list[Suspect]:
        """The fills with these labels that the account seems to have, in a generation, from another format."""
        times = [entry.fill.at for entry in self._entries(labels)]
        if not times:
            return []
        there = self._others(account_id, generation, (min(times), max(times)))
        return suspects(there, self._entries(labels), partial(self._known, account_id))

    def _entries(self, labels: Container[str | None]) -> Iterator[Entry]:
        return (entry for entry in self._reading.fills() if entry.fill.account in labels)

    def _others(self, account_id: UUID, generation: int, period: tuple[datetime, datetime]) -> Iterator[Other]:
        own = (self._reading.broker, self._reading.format)
        page, after = self._desk.read(staging.others, account_id, generation, own, period, None)
        yield from page
        while after is not None:
            page, after = self._desk.read(staging.others, account_id, generation, own, period, after)
            yield from page

    def _known(self, account_id: UUID, identities: Sequence[bytes]) -> frozenset[bytes]:
        found: set[bytes] = set()
        for first in range(0, len(identities), _AT_ONCE):
            some = identities[first : first + _AT_ONCE]
            found.update(self._desk.read(staging.known_executions, account_id, some))
        return frozenset(found)


def suspects(
    others: Iterable[Other], entries: Iterable[Entry], known: Callable[[Sequence[bytes]], frozenset[bytes]]
) -> list[Suspect]:
    """The fills that the account seems to have from another format.

    `others` are the account's executions from other formats, `entries` the file's fills, and `known` tells which
    identities the account has: those are duplicates beyond doubt, and no suspects. Fills and executions are paired by
    quantity; where that fails, all of them are suspects if the quantities add up to the same, as one format tells of
    an order and another of its fills.
    """
    there: dict[Alike, list[Decimal]] = {}
    for key, side, quantity, price, at in others:
        there.setdefault(Alike(key, side, price, at.replace(microsecond=0)), []).append(quantity)
    came: dict[Alike, list[Suspect]] = {}
    for line, part, _, _, fill, identity in entries:
        alike = Alike(key_text(fill.instrument.key), fill.side, fill.price, fill.at.replace(microsecond=0))
        if alike in there:
            came.setdefault(alike, []).append(Suspect(line, part, fill.quantity, identity))
    doubtless = known([each.identity for fills in came.values() for each in fills])
    found: list[Suspect] = []
    for alike, fills in came.items():
        found += _paired([each for each in fills if each.identity not in doubtless], there[alike])
    return sorted(found)


def _paired(fills: Sequence[Suspect], quantities: Sequence[Decimal]) -> Sequence[Suspect]:
    if sum(fill.quantity for fill in fills) == sum(quantities):
        return fills
    left = Counter(quantities)
    paired = []
    for fill in fills:
        if left[fill.quantity]:
            left[fill.quantity] -= 1
            paired.append(fill)
    return paired
