"""What is traded: one frozen value per instrument, and the key under which its aliases meet."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from tradesense.domain.money import ONE

LONGEST_SYMBOL: Final = 200
CURRENCY: Final = r"^[A-Z][A-Z0-9]{2,9}$"
"""What the code of a currency looks like: ISO 4217, or the ticker of a coin."""


class AssetClass(StrEnum):
    """The kinds of instrument that TradeSense tells apart."""

    STOCK = "stock"
    OPTION = "option"
    FUTURE = "future"
    FOREX = "forex"
    CRYPTO = "crypto"
    CFD = "cfd"


class Right(StrEnum):
    """What an option entitles to."""

    CALL = "call"
    PUT = "put"


class InstrumentKey(NamedTuple):
    """Two names with the same key are the same instrument: `MNQM6` and `MNQ JUN26`."""

    asset_class: AssetClass
    root: str
    expiry: date | None
    strike: Decimal | None
    right: Right | None
    currency: str


@dataclass(frozen=True, slots=True)
class Instrument:
    """An instrument as a file names it.

    `root` is the symbol for stocks, forex, crypto and CFDs, the contract root (`MNQ`) for futures and the
    underlying's name for options. `expiry` is the first day of the contract month for futures. `multiplier` is money
    per point of price and unit of quantity.
    """

    symbol: str
    asset_class: AssetClass
    currency: str
    root: str
    multiplier: Decimal = ONE
    underlying: str | None = None
    expiry: date | None = None
    strike: Decimal | None = None
    right: Right | None = None
    isin: str | None = None

    @property
    def key(self) -> InstrumentKey:
        """What identifies the instrument, whatever it is called."""
        return InstrumentKey(self.asset_class, self.root, self.expiry, self.strike, self.right, self.currency)
