"""What MetaTrader's words mean, 4 and 5 alike: symbols, lots, and money in the account's currency.

The platform's files give lots and no contract size. A lot is taken for 100,000 units of a currency, 100 ounces of
gold, platinum and palladium, 5,000 of silver, and 1 of anything else (indices, shares, oil, coins); `multipliers` (by
symbol without a broker's suffix: `XAUUSD`, `US30`) overrule that. Where a broker's contract differs, the P&L that the
file states will not agree, and a warning says so.

Commission, swap and profit are in the account's currency. Where the instrument's is another, costs are converted by
the row's own price if the account's currency is the pair's first one, and else booked as a fee beside the trade.
"""

import re
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple

from tradesense.brokers.contract import Cash, CashKind, CashMovement, Stated
from tradesense.brokers.fills import cash
from tradesense.brokers.formats import Context
from tradesense.brokers.tables import Row, RowError
from tradesense.brokers.times import Moment
from tradesense.domain.contracts import pair
from tradesense.domain.instruments import AssetClass, Instrument
from tradesense.domain.money import ONE, ZERO, average, exact

FOREX_LOT: Final = Decimal(100_000)
_METAL_LOTS: Final = MappingProxyType(
    {"XAU": Decimal(100), "XAG": Decimal(5000), "XPT": Decimal(100), "XPD": Decimal(100)}
)
_NAMED_METALS: Final = MappingProxyType({"GOLD": "XAUUSD", "SILVER": "XAGUSD"})
_CURRENCY_LENGTH: Final = 3
_PAIR_LENGTH: Final = 6
_SYMBOL: Final = re.compile(r"[#!@.]?(?P<name>[A-Z0-9&]+)")
_ACCOUNT: Final = re.compile(r"(?P<number>\d{4,})\s*\(\s*(?P<currency>[A-Z]{3})\b")
_NUMBER: Final = re.compile(r"(?:Account|A/C No)[^0-9A-Za-z]*(?P<number>\d{4,})", re.IGNORECASE)
_CURRENCY: Final = re.compile(r"Currency:\s*(?P<currency>[A-Z]{3})\b")

_CASH_KINDS: Final = MappingProxyType(
    {
        "commission": CashKind.FEE,
        "charge": CashKind.FEE,
        "agent": CashKind.FEE,
        "interest": CashKind.INTEREST,
        "dividend": CashKind.DIVIDEND,
        "tax": CashKind.TAX,
    }
)
TRADE_TYPES: Final = frozenset({"buy", "sell"})


class Owner(NamedTuple):
    """Whose report it is: the account's number and currency, empty where the report does not say."""

    number: str = ""
    currency: str = ""

    def told(self, words: str) -> "Owner":
        """The owner with what a line of the report's head adds."""
        both = _ACCOUNT.search(words)
        if both is not None:
            return Owner(self.number or both["number"], self.currency or both["currency"])
        number, currency = _NUMBER.search(words), _CURRENCY.search(words)
        return Owner(
            self.number or (number["number"] if number else ""),
            self.currency or (currency["currency"] if currency else ""),
        )


class Costs(NamedTuple):
    """Costs of a fill in its instrument's currency, or beside it where that cannot be."""

    commission: Decimal
    swap: Decimal
    also: tuple[CashMovement, ...] = ()
    warning: str | None = None


class Ledger:
    """The money side of one report."""

    def __init__(self, context: Context, owner: Owner) -> None:
        self.context = context
        self.account = owner.number or None
        self.currency = owner.currency

    def instrument(self, symbol: str) -> Instrument:
        """What a symbol names, without a broker's suffix (`EURUSD.a`, `XAUUSDm`). Raises `RowError` for none."""
        found = _SYMBOL.match(symbol.strip().upper())
        if found is None:
            raise RowError("the symbol is missing")
        name = _NAMED_METALS.get(found["name"], found["name"])
        base, quote = name[:_CURRENCY_LENGTH], name[_CURRENCY_LENGTH:_PAIR_LENGTH]
        if base in _METAL_LOTS and len(quote) == _CURRENCY_LENGTH:
            return self._plain(AssetClass.CFD, base + quote, quote, _METAL_LOTS[base])
        named = pair(base + quote)
        if named is not None and named.asset_class is AssetClass.FOREX:
            return self._plain(AssetClass.FOREX, base + quote, quote, FOREX_LOT)
        if named is not None:
            return self._plain(AssetClass.CFD, base + quote, quote, ONE)
        currency = self.currency or self.context.instruments.currency
        return self._plain(AssetClass.CFD, name, currency, ONE)

    def _plain(self, asset_class: AssetClass, root: str, currency: str, lot: Decimal) -> Instrument:
        multiplier = self.context.options.multipliers.get(root, lot)
        return self.context.instruments.plain(asset_class, root, currency, multiplier=multiplier)

    def rate(self, instrument: Instrument, price: Decimal) -> Decimal | None:
        """From the instrument's currency to the account's, where the row tells it."""
        if not self.currency:
            return None
        if instrument.currency == self.currency:
            return ONE
        return average(ONE, price) if self._is_first(instrument) and price else None

    def _is_first(self, instrument: Instrument) -> bool:
        return instrument.asset_class is AssetClass.FOREX and instrument.root.startswith(self.currency)

    def stated(self, instrument: Instrument, profit: Decimal) -> Stated | None:
        """The P&L that a row states, before its costs, where it is in the instrument's currency."""
        return Stated(profit, net=False) if self.currency in ("", instrument.currency) else None

    def costs(
        self, row: Row, moment: Moment, instrument: Instrument, price: Decimal, commission: Decimal, swap: Decimal
    ) -> Costs:
        """Costs, negative in the file when they cost and positive here, in the instrument's currency where possible."""
        if self.currency in ("", instrument.currency) or not (commission or swap):
            return Costs(-commission, -swap)
        with exact():
            if self._is_first(instrument):
                return Costs(-commission * price, -swap * price)
            total = commission + swap
        fee = self.moved(row, CashKind.FEE, total, moment, f"commission and swap of {instrument.symbol}")
        warning = f"costs are in {self.currency}, the trade in {instrument.currency}: booked as a fee"
        return Costs(ZERO, ZERO, (fee.movement,), warning)

    def cash_row(self, row: Row, type_: str, amount: Decimal, moment: Moment, comment: str, told: str) -> Cash:
        """A balance operation: deposits and withdrawals by sign, others by their type."""
        kind = _CASH_KINDS.get(type_.split(maxsplit=1)[0], CashKind.OTHER)
        if type_ == "balance":
            kind = CashKind.DEPOSIT if amount > 0 else CashKind.WITHDRAWAL
        return self.moved(row, kind, amount, moment, comment or type_, told)

    def moved(
        self, row: Row, kind: CashKind, amount: Decimal, moment: Moment, description: str, told: str = ""
    ) -> Cash:
        """A cash movement in the account's currency."""
        currency = self.currency or self.context.instruments.currency
        return cash(row, kind, amount, currency, moment, description=description, account=self.account, told=told)
