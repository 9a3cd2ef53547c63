"""What an importer takes and gives: options in, one outcome per row out."""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

from tradesense.brokers.documents import Document
from tradesense.brokers.refusals import NeedsInput, Question, Unreadable
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import Instrument
from tradesense.domain.money import ZERO

__all__ = [
    "Cash",
    "CashKind",
    "CashMovement",
    "DateOrder",
    "Failed",
    "Fill",
    "Format",
    "Identity",
    "Ignored",
    "Imported",
    "Match",
    "NeedsInput",
    "Options",
    "Outcome",
    "Question",
    "Stated",
    "Unreadable",
]


class DateOrder(StrEnum):
    """How `01/02/2026` reads."""

    MONTH_FIRST = "mdy"
    DAY_FIRST = "dmy"
    YEAR_FIRST = "ymd"


@dataclass(frozen=True, slots=True)
class Options:
    """What the person said beside the file. `timezone` is the zone of times that carry none."""

    timezone: ZoneInfo
    date: dt.date | None = None
    date_order: DateOrder | None = None
    mapping: Mapping[str, str] | None = None
    currency: str | None = None
    multipliers: Mapping[str, Decimal] = field(default_factory=dict)


class Identity(NamedTuple):
    """A fill's own name at the broker: the kind (`fill`, `trade`, `deal`, …) and the id. Never an order's id."""

    kind: str
    id: str


class Stated(NamedTuple):
    """The P&L that the file itself gives for a closing fill; `net` when it is after costs."""

    amount: Decimal
    net: bool


class Fill(NamedTuple):
    """One execution as a row told it, not yet of any account.

    `identity` is None where the file has no id of a fill: then `fingerprint`, the row's own local values, stands for
    it, together with its occurrence's ordinal. `sequence` is the broker's own order, or None for the row's position.
    `at` is aware UTC; `wall` is the naive wall time that the file wrote, and `local_time` its text.
    """

    instrument: Instrument
    side: Side
    quantity: Decimal
    price: Decimal
    at: dt.datetime
    wall: dt.datetime
    local_time: str
    fingerprint: str
    commission: Decimal = ZERO
    fees: Decimal = ZERO
    kind: ExecutionKind = ExecutionKind.TRADE
    identity: Identity | None = None
    sequence: int | None = None
    account: str | None = None
    stated: Stated | None = None
    fx_to_account: Decimal | None = None


class CashKind(StrEnum):
    """Why money moved without a trade."""

    DIVIDEND = "dividend"
    INTEREST = "interest"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    FEE = "fee"
    TAX = "tax"
    CONVERSION = "conversion"
    OTHER = "other"


class CashMovement(NamedTuple):
    """Money in (positive) or out (negative), in the account's or the row's currency."""

    kind: CashKind
    amount: Decimal
    currency: str
    at: dt.datetime
    local_time: str
    fingerprint: str
    description: str = ""
    account: str | None = None


class Imported(NamedTuple):
    """A row that became executions: one, or two where entry and exit stand in one row.

    `also` are cash movements of the same row: a commission in another currency than the trade's.
    """

    line: int
    fills: tuple[Fill, ...]
    warning: str | None = None
    also: tuple[CashMovement, ...] = ()


class Cash(NamedTuple):
    """A row that became a cash movement; it counts as ignored for trading, with its kind as the reason.

    `also` are further ones of the same row: a conversion's other currency, its commission.
    """

    line: int
    movement: CashMovement
    also: tuple[CashMovement, ...] = ()


class Ignored(NamedTuple):
    """A row that is no execution; `reason` is short, stable English (`cancelled`, `subtotal`, `header`)."""

    line: int
    reason: str


class Failed(NamedTuple):
    """A row that could not be read. `column` is the file's own name for it; `message` says what to do."""

    line: int
    column: str | None
    message: str


Outcome = Imported | Cash | Ignored | Failed


class Match(NamedTuple):
    """How sure a format is that a file is its own: 0 to 1, and why in a few words."""

    confidence: float
    why: str


class Format(Protocol):
    """One export format of one broker."""

    @property
    def broker(self) -> str:
        """The broker's slug: `tradovate`."""

    @property
    def name(self) -> str:
        """The format's own slug among the broker's: `orders`."""

    @property
    def newest_first(self) -> bool:
        """Whether its files have the newest row on top, where the times of a file do not tell."""

    def detect(self, document: Document) -> Match | None:
        """Look at the head of a document; None when it is surely another's."""

    def read(self, document: Document, options: Options) -> Iterator[Outcome]:
        """Give one outcome per data row, in file order.

        Raises `NeedsInput` where an answer is missing and `Unreadable` where the whole file is broken.
        """
