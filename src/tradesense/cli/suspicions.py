"""Fills that two formats of one broker seem to tell: the same trade in the same second under different names."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from tradesense.brokers.contract import Fill, Question
from tradesense.brokers.reading import Entry, Reading
from tradesense.domain.executions import Side
from tradesense.domain.instruments import InstrumentKey


class Likeness(NamedTuple):
    """What two tellings of one fill have in common; the account is not among it, for not every format names it."""

    instrument: InstrumentKey
    second: datetime
    side: Side
    quantity: Decimal
    price: Decimal

    @classmethod
    def of(cls, fill: Fill) -> "Likeness":
        """What a fill looks like from afar."""
        return cls(fill.instrument.key, fill.at.replace(microsecond=0), fill.side, fill.quantity, fill.price)


class Suspicions:
    """What each format of each broker has told so far."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], Counter[Likeness]] = {}

    def suspected(self, reading: Reading) -> Iterator[Entry]:
        """The fills of a file that another format of its broker seems to have told already, each of them once."""
        others = Counter[Likeness]()
        for (broker, name), told in self._told.items():
            if broker == reading.broker and name != reading.format:
                others |= told
        for entry in reading.fills() if others else ():
            likeness = Likeness.of(entry.fill)
            if others[likeness]:
                others[likeness] -= 1
                yield entry

    def note(self, reading: Reading) -> None:
        """Remember what a file told."""
        likenesses = Counter(Likeness.of(entry.fill) for entry in reading.fills())
        told = self._told.setdefault((reading.broker, reading.format), Counter())
        told |= likenesses
        self._told[reading.broker, reading.format] = told


def question(reading: Reading, count: int) -> Question:
    """Whether fills that seem to be known are the same ones."""
    why = (
        f"{count:,} of the {reading.executions:,} fills of this {reading.broker} file look like fills "
        "that another of its formats has told: `skip` leaves them out, `import` takes them as further ones"
    )
    return Question("duplicates", why, ("skip", "import"))
