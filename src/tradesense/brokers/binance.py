"""Binance's trade histories: spot (and margin) with the coins glued to the figures, and futures settled in a coin.

Layouts documented by public importers, none of them seen here. Spot, current: `Date(UTC),Pair,Side,Price,Executed,
Amount,Fee` with `0.5BTC`, `21000USDT`, `0.001BTC` (BittyTax, DeclaRenta, Koinly's guides), or with bare figures and a
`Fee Coin`; spot, older: `Date(UTC),Market,Type,Price,Amount,Total,Fee,Fee Coin`. Futures: `Date(UTC),Symbol,Side,Price,
Quantity,Amount,Fee,Fee Coin,Realized Profit,Quote Asset`, also without the fee's coin. Times are UTC. There is no id.

A fee in the quote coin is the trade's. A fee in the traded coin shrinks what was bought (or adds to what was sold) and
counts at the fill's own price, so that coins and money both come out right. A fee in a third coin (BNB) is not added
up: it is a cash movement in that coin. A fee costs whatever its sign: the layouts write it both ways.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Final, NamedTuple

from tradesense.brokers.amounts import in_utc, paid_apart, product
from tradesense.brokers.contract import DateOrder, Imported, Options, Outcome, Stated
from tradesense.brokers.documents import Document
from tradesense.brokers.fills import fill, side_of
from tradesense.brokers.formats import Context, TableFormat
from tradesense.brokers.numbers import NotANumber, NumberStyle, evidence, is_empty, parse_number
from tradesense.brokers.tables import Layout, Row, number, text, time
from tradesense.domain.executions import Side
from tradesense.domain.instruments import AssetClass
from tradesense.domain.money import ZERO, exact

_STABLE: Final = ("FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USDP", "USDS", "DAI", "UST", "PAX", "AEUR", "EURI")
_FIAT: Final = ("EUR", "GBP", "AUD", "BRL", "TRY", "RUB", "UAH", "NGN", "ZAR", "PLN", "RON", "ARS", "JPY", "MXN", "CZK")
_LOCAL: Final = ("BIDR", "IDRT", "BVND", "BKRW", "USD")
_QUOTES: Final = (*_STABLE, *_FIAT, *_LOCAL, "BTC", "ETH", "BNB", "XRP", "TRX", "DOGE", "SOL")
_SEPARATED: Final = re.compile(r"([A-Z0-9]+)[/_-]([A-Z0-9]+)")
_GLUED: Final = re.compile(r"(?P<figure>[-+]?[\d.,]+(?:[eE][-+]?\d+)?)\s*(?P<coin>[A-Z0-9]*[A-Z][A-Z0-9]*)?")
_TIME: Final = ("Date(UTC)", "Date (UTC)", "Time(UTC)", "Time")


class Pair(NamedTuple):
    """The two coins of a market: what is traded, and what it is priced in."""

    base: str
    quote: str


class _Utc(TableFormat):
    """A history whose times are UTC."""

    broker = "binance"
    newest_first = True

    def read(self, document: Document, options: Options) -> Iterator[Outcome]:
        """Read the table, one outcome per row."""
        return super().read(document, in_utc(options))


class Spot(_Utc):
    """One row per fill of a spot or margin market."""

    name = "spot"
    layout = Layout(
        time("at", *_TIME, order=DateOrder.YEAR_FIRST),
        text("pair", "Pair", "Market"),
        text("side", "Side", "Type"),
        number("price", "Price"),
        text("executed", "Executed", optional=True),
        text("amount", "Amount"),
        text("total", "Total", optional=True),
        text("fee", "Fee"),
        text("fee_coin", "Fee Coin", "Fee Asset", optional=True),
    )
    telling = ("Date(UTC)", "Executed", "Pair", "Fee")

    def outcome(self, row: Row, context: Context) -> Outcome:
        """One fill; the older layout has the quantity in `Amount` and the value in `Total`."""
        newer = row.has("executed")
        pair = _pair(row, "amount" if newer else "total")
        quantity, _ = _figure(row, "executed" if newer else "amount", pair)
        price, side, quantity = row.number("price"), side_of(row, "side"), abs(quantity)
        commission, apart = ZERO, (ZERO, "")
        fee, coin = _fee(row, pair)
        if coin == pair.quote:
            commission = fee
        elif coin == pair.base:
            commission, quantity = product(fee, price), _less(quantity, fee, side)
        else:
            apart = fee, coin
        instrument = context.instruments.plain(AssetClass.CRYPTO, pair.base, pair.quote)
        execution = fill(instrument, side, quantity, price, row.moment("at"), commission=commission, told="".join(pair))
        return paid_apart(Imported(row.line, (execution,)), row, *apart, row.moment("at"))


class Futures(_Utc):
    """One row per fill of a contract that settles in its quote coin."""

    name = "futures"
    layout = Layout(
        time("at", *_TIME, order=DateOrder.YEAR_FIRST),
        text("pair", "Symbol"),
        text("side", "Side"),
        number("price", "Price"),
        number("quantity", "Quantity", "Qty"),
        text("fee", "Fee"),
        text("fee_coin", "Fee Coin", "Fee Asset", optional=True),
        number("profit", "Realized Profit", "Realized PnL"),
        text("quote", "Quote Asset", optional=True),
    )
    telling = ("Date(UTC)", "Realized Profit", "Quote Asset", "Symbol")

    def outcome(self, row: Row, context: Context) -> Outcome:
        """One fill, with the profit that the exchange states for what it closed."""
        symbol = row.required("pair").upper()
        quote = row.text("quote").upper() or _split(symbol.partition("_")[0], row).quote
        if not symbol.partition("_")[0].endswith(quote):
            raise row.error("quote", f"{symbol} settles in {quote}: coin-margined contracts are not read")
        fee, coin = _fee(row, Pair(symbol.partition("_")[0].removesuffix(quote), quote))
        profit, moment = row.number("profit"), row.moment("at")
        execution = fill(
            context.instruments.plain(AssetClass.FUTURE, symbol, quote),
            side_of(row, "side"),
            abs(row.number("quantity")),
            row.number("price"),
            moment,
            commission=fee if coin == quote else ZERO,
            stated=Stated(profit, net=False) if profit else None,
        )
        outcome = Imported(row.line, (execution,))
        return outcome if coin == quote else paid_apart(outcome, row, fee, coin, moment)


def _pair(row: Row, value: str) -> Pair:
    """The coins of a market, by the coin of the value where one is glued to it, else by the coins that price others."""
    market, cell = row.required("pair").upper(), row.text(value).upper()
    if separated := _SEPARATED.fullmatch(market):
        return Pair(separated[1], separated[2])
    for start in range(1, len(market)):
        if cell.endswith(market[start:]) and not market[start:].isdigit():
            return Pair(market[:start], market[start:])
    return _split(market, row)


def _split(market: str, row: Row) -> Pair:
    for quote in _QUOTES:
        if market.endswith(quote) and market != quote:
            return Pair(market.removesuffix(quote), quote)
    raise row.error("pair", f"the two coins of {market!r} cannot be told apart")


def _figure(row: Row, name: str, pair: Pair) -> tuple[Decimal, str]:
    """A figure and the coin glued to it, if any. A coin of the pair may begin with a digit (`10.51INCH`)."""
    cell = row.required(name).upper()
    coin = next((coin for coin in pair if cell.endswith(coin) and cell != coin), "")
    found = _GLUED.fullmatch(cell.removesuffix(coin).strip())
    if found is None:
        raise row.error(name, f"{row.text(name)!r} is no figure with a coin")
    try:
        style = evidence(found["figure"]) if "," in found["figure"] else None
        value = parse_number(found["figure"], style or NumberStyle.POINT)
    except NotANumber as error:
        raise row.error(name, str(error)) from error
    return value, coin or found["coin"] or ""


def _fee(row: Row, pair: Pair) -> tuple[Decimal, str]:
    """What was paid, and in which coin: the quote's where none is named."""
    if is_empty(row.text("fee")):
        return ZERO, pair.quote
    fee, coin = _figure(row, "fee", pair)
    return abs(fee), row.text("fee_coin").upper() or coin or pair.quote


def _less(quantity: Decimal, fee: Decimal, side: Side) -> Decimal:
    """What changes hands when the fee is taken from the traded coin itself."""
    with exact():
        return quantity - fee if side is Side.BUY else quantity + fee
