"""Trades: round trips from flat to flat, with what each exit realised."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from hashlib import blake2b
from typing import Final, NamedTuple, NewType
from uuid import UUID

from tradesense.domain.executions import ExecutionId

TradeId = NewType("TradeId", UUID)


_TIME_BITS: Final = 0xFFFF_FFFF_FFFF << 80
_VERSION_AND_VARIANT: Final = 7 << 76 | 2 << 62
_HASHED_BITS: Final = ~(_TIME_BITS | 0xF << 76 | 0x3 << 62)


def trade_id(anchor: ExecutionId) -> TradeId:
    """The id of the trade that this execution opens: a UUIDv7 of the same time, its other 74 bits a hash.

    The layout is RFC 9562, section 5.7. An execution opens one trade at most, so the id is the trade's own, and a
    rebuild gives it again.
    """
    digest = int.from_bytes(blake2b(anchor.bytes, digest_size=16).digest(), "big")
    return TradeId(UUID(int=anchor.int & _TIME_BITS | _VERSION_AND_VARIANT | digest & _HASHED_BITS))


class Direction(StrEnum):
    """Which way a trade was opened."""

    LONG = "long"
    SHORT = "short"


class Realisation(NamedTuple):
    """What one exit fill realised of one trade, dated at the exit.

    `quantity` is what the fill closed, in the units of its day (later splits leave it alone). `costs` are the exit's
    own and the share of the entry costs that belongs to what was closed.
    """

    execution_id: ExecutionId
    at: datetime
    quantity: Decimal
    gross: Decimal
    costs: Decimal


class Trade(NamedTuple):
    """One round trip, or the part of one that has happened so far.

    `gross` and `costs` are what is realised; `open_costs` belong to `open_quantity`, and count when it is closed.
    `entry_value` and `exit_value` are sums of price times quantity (split-adjusted): averages stay exact until shown.
    The trade covers the run of its book's executions from `first` to `last` (order keys, both included).
    """

    id: TradeId
    anchor: ExecutionId
    direction: Direction
    opened_at: datetime
    closed_at: datetime | None
    first: bytes
    last: bytes
    max_quantity: Decimal
    entry_quantity: Decimal
    entry_value: Decimal
    exit_quantity: Decimal
    exit_value: Decimal
    open_quantity: Decimal
    open_value: Decimal
    gross: Decimal
    costs: Decimal
    open_costs: Decimal
    executions: int
    realisations: tuple[Realisation, ...]

    @property
    def net(self) -> Decimal:
        """Realised P&L after costs; call it inside `money.exact()`."""
        return self.gross - self.costs
