"""What Interactive Brokers' words mean, in Flex queries and activity statements alike: assets, codes, kinds of cash.

Categories, codes and types are those of csingley/ibflex (`ibflex/enums.py`) and of IBKR's Reporting Reference.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple

from tradesense.brokers.contract import CashKind
from tradesense.brokers.formats import Context
from tradesense.brokers.option_texts import read_option
from tradesense.brokers.tables import RowError, fold
from tradesense.domain.contracts import EQUITY_OPTION_MULTIPLIER
from tradesense.domain.executions import ExecutionKind
from tradesense.domain.instruments import AssetClass, Instrument, Right
from tradesense.domain.money import ONE, ZERO, average, exact, text

CASH: Final = "cash"
_BOND: Final = "bond"
_FUTURE_OPTION: Final = "option on a future"
_CATEGORIES: Final = (
    ("fop optionsonfutures futuresoptions fsfop", _FUTURE_OPTION),
    ("opt equityandindexoptions fsopt", AssetClass.OPTION.value),
    ("fut futures", AssetClass.FUTURE.value),
    ("bond bonds bill treasurybills tbill corporatebonds municipalbonds", _BOND),
    ("cash forex", CASH),
    ("cfd cfds forexcfds", AssetClass.CFD.value),
    ("crypto cryptocurrencies cryptocurrency", AssetClass.CRYPTO.value),
    ("stk stocks etf etfs fund funds mutualfunds war warrants iopt structuredproducts", AssetClass.STOCK.value),
)
_BY_CATEGORY: Final = {word: what for words, what in _CATEGORIES for word in words.split()}
_PERCENT: Final = Decimal("0.01")
_FORMER: Final = ".OLD"
_TOLERANCE: Final = Decimal("0.02")
_TOLERANCE_SHARE: Final = Decimal("0.001")


class Asset(NamedTuple):
    """An instrument as a row tells it; None and empty where it does not."""

    category: str
    symbol: str
    currency: str
    multiplier: Decimal | None = None
    isin: str = ""
    underlying: str = ""
    expiry: date | None = None
    strike: Decimal | None = None
    right: str = ""


def category_of(words: str) -> str:
    """What a category names: an asset class, `cash`, `bond`, `option on a future`; empty if it is not known."""
    word = fold(words)
    if word.startswith("forex") and not word.startswith("forexcfd"):
        return CASH
    return _BY_CATEGORY.get(word, "")


def instrument_of(asset: Asset, on: date, context: Context) -> Instrument:
    """The instrument that a row trades. Raises `RowError` for a category or an option that cannot be told.

    `SYMBOL.OLD`, as the broker calls a share after a split, is the share itself.
    """
    symbol = asset.symbol.removesuffix(_FORMER) or asset.isin
    if not symbol:
        raise RowError("the row has neither a symbol nor an ISIN")
    category = category_of(asset.category) if asset.category else AssetClass.STOCK.value
    make = _MAKERS.get(category)
    if make is None:
        raise RowError(f"the asset category {asset.category!r} is not known")
    return make(asset._replace(symbol=symbol), on, context)


def _stock(asset: Asset, _: date, context: Context) -> Instrument:
    return context.instruments.stock(asset.symbol, asset.currency, asset.isin)


def _bond(asset: Asset, _: date, context: Context) -> Instrument:
    """Bonds are quoted in per cent of their face value."""
    multiplier = _PERCENT * (asset.multiplier or ONE)
    return context.instruments.plain(
        AssetClass.STOCK, asset.symbol, asset.currency, multiplier=multiplier, isin=asset.isin
    )


def _future(asset: Asset, on: date, context: Context) -> Instrument:
    return context.instruments.named(
        asset.symbol, on, asset.currency, asset_class=AssetClass.FUTURE, multiplier=asset.multiplier
    )


def _future_option(asset: Asset, on: date, context: Context) -> Instrument:
    if asset.multiplier is None:
        raise RowError(f"the file gives no multiplier for {asset.symbol!r}; add it to the report")
    return _option(asset, on, context)


def _option(asset: Asset, _: date, context: Context) -> Instrument:
    """An option by its symbol, else by its parts: an index's weekly options go by a root of their own (`SPXW`)."""
    parts = read_option(asset.symbol)
    if parts is not None:
        root, expiry, strike, right = parts
    elif asset.expiry is not None and asset.strike is not None and asset.right:
        root, expiry, strike = asset.underlying or asset.symbol.split(maxsplit=1)[0], asset.expiry, asset.strike
        right = Right.CALL if asset.right.upper().startswith("C") else Right.PUT
    else:
        raise RowError(f"{asset.symbol!r} names no option that is known; add expiry, strike and put/call to the report")
    multiplier = asset.multiplier or EQUITY_OPTION_MULTIPLIER
    return context.instruments.option(root, expiry, strike, right, currency=asset.currency, multiplier=multiplier)


def _cfd(asset: Asset, _: date, context: Context) -> Instrument:
    multiplier = asset.multiplier or ONE
    return context.instruments.plain(AssetClass.CFD, asset.symbol, asset.currency, multiplier=multiplier)


def _coin(asset: Asset, _: date, context: Context) -> Instrument:
    return context.instruments.plain(AssetClass.CRYPTO, asset.symbol.partition(".")[0], asset.currency)


def _pair(asset: Asset, _: date, context: Context) -> Instrument:
    return context.instruments.plain(AssetClass.FOREX, asset.symbol.replace(".", ""), asset.currency)


_MAKERS: Final[Mapping[str, Callable[[Asset, date, Context], Instrument]]] = MappingProxyType(
    {
        AssetClass.STOCK.value: _stock,
        AssetClass.FUTURE.value: _future,
        AssetClass.OPTION.value: _option,
        AssetClass.CFD.value: _cfd,
        AssetClass.CRYPTO.value: _coin,
        _FUTURE_OPTION: _future_option,
        _BOND: _bond,
        CASH: _pair,
    }
)


def codes_of(words: str) -> frozenset[str]:
    """The codes of a row: `O;P`, `A;C`, `C;Ep`."""
    return frozenset(word.strip() for word in re.split(r"[;,\s]+", words) if word.strip())


def kind_of(codes: frozenset[str], asset_class: AssetClass) -> ExecutionKind:
    """Why an option closed; the underlying's leg of an assignment is a trade."""
    if asset_class is AssetClass.OPTION:
        if "Ep" in codes:
            return ExecutionKind.EXPIRY
        if codes & {"A", "GEA"}:
            return ExecutionKind.ASSIGNMENT
        if codes & {"Ex", "AEx", "MEx"}:
            return ExecutionKind.EXERCISE
    return ExecutionKind.TRADE


def cash_kind(words: str, amount: Decimal) -> CashKind:
    """The kind of a cash movement by the broker's type or section."""
    words = words.lower()
    for told, kind in (
        ("withholding", CashKind.TAX),
        ("871(m)", CashKind.TAX),
        ("dividend", CashKind.DIVIDEND),
        ("interest", CashKind.INTEREST),
        ("fee", CashKind.FEE),
        ("commission", CashKind.FEE),
        ("tax", CashKind.TAX),
    ):
        if told in words:
            return kind
    if "deposit" in words or "withdrawal" in words:
        return CashKind.DEPOSIT if amount > 0 else CashKind.WITHDRAWAL
    return CashKind.OTHER


def money_warning(instrument: Instrument, quantity: Decimal, price: Decimal, told: Decimal | None) -> str | None:
    """A warning where the money that the file gives is not quantity × price × multiplier, nor near it."""
    if not told:
        return None
    with exact():
        made = quantity * price * instrument.multiplier
        if abs(abs(told) - abs(made)) <= _TOLERANCE + abs(made) * _TOLERANCE_SHARE:
            return None
    return (
        f"the file gives {text(abs(told))} for {instrument.symbol}, but quantity × price × multiplier is {text(made)}"
    )


class Charge(NamedTuple):
    """A commission as a cost in the trade's currency, or as an amount of its own where it has another currency."""

    cost: Decimal
    foreign: Decimal = ZERO
    currency: str = ""


def charge(
    commission: Decimal, told_in: str, traded_in: str, base: str = "", rate_to_base: Decimal | None = None
) -> Charge:
    """A commission, negative when it costs, seen from the trade's currency.

    `rate_to_base` turns the trade's currency into the account's (`base`); by it a commission in the account's
    currency is converted, to 12 decimals. Any other foreign commission stays what it is.
    """
    with exact():
        if not commission or told_in in ("", traded_in):
            return Charge(-commission)
        if told_in == base and rate_to_base:
            return Charge(average(-commission, rate_to_base))
    return Charge(ZERO, commission, told_in)
