"""thinkorswim's descriptions: `BOT +1 VERTICAL SPY 100 (Weeklys) 8 JAN 21 355/350 PUT @1.20`, taken apart.

The grammar is that of the real statement among the samples (futures options) and, for shares, options, spreads and
removals, of edgebips/johnny (`johnny/broker/ameritrade/transactions.py`, "inference from descriptions").
"""

import re
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

from tradesense.brokers.figures import figure
from tradesense.brokers.formats import Context
from tradesense.brokers.instruments import bounded
from tradesense.brokers.months import MONTHS
from tradesense.brokers.tables import RowError
from tradesense.domain.contracts import contract, multiplier_of, pair
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import AssetClass, Instrument, Right
from tradesense.domain.money import exact, plain

CURRENCY: Final = "USD"
_CENTURY: Final = 100
_TICKS_OF_A_FUTURE: Final = 32
_TICKS_OF_AN_OPTION: Final = 64
"""Parts of a point in which CBOT quotes treasuries, and options on them."""
_EIGHTHS: Final = {"": 0, "0": 0, "1": 1, "2": 2, "3": 3, "5": 4, "6": 5, "7": 6, "8": 7}

_STRATEGIES: Final = (
    "IRON CONDOR|DOUBLE DIAGONAL|UNBALANCED BUTTERFLY|VERT ROLL|FUT CALENDAR|BACKRATIO|BUTTERFLY|CALENDAR|COLLAR|COMBO"
    "|CONDOR|COVERED|CUSTOM|DIAGONAL|STRADDLE|STRANGLE|VERTICAL"
)
_NOTES: Final = re.compile(r"[(\[][^)\]]*[)\]]")

_TRADE: Final = re.compile(
    r"(?:.*\s)?(?P<side>BOT|SOLD)\s+(?P<quantity>[+-]?[\d,.]+)\s+(?P<what>.+?)\s*@\s?(?P<price>-?[\d,.]+(?:'\d+)?)(?:\s.*)?"
)
_SPREAD: Final = re.compile(
    rf"(?:-?\d+(?:/-?\d+)*\s+)?~?(?P<strategy>{_STRATEGIES})\s+(?P<underlying>/?[A-Z][A-Z0-9./]*?)(?::[A-Z]+)?(?:[\s-].*)?"
)
_EQUITY_OPTION: Final = re.compile(
    r"(?P<root>[A-Z][A-Z0-9./]*) (?P<multiplier>\d+) (?P<expiry>\d{1,2} [A-Z]{3} \d{2,4}) (?P<strike>[\d.]+) "
    r"(?P<right>CALL|PUT)"
)
_FUTURE_OPTION: Final = re.compile(
    r"(?P<underlying>/[A-Z0-9]+)(?::[A-Z]+)? 1/(?P<multiplier>[\d.]+) .*?(?P<code>/[A-Z0-9]+)(?::[A-Z]+)? "
    r"(?P<strike>[\d.]+) (?P<right>CALL|PUT)"
)
_FUTURE: Final = re.compile(r"(?P<symbol>/[A-Z0-9]+)(?::[A-Z]+)?(?: 1/(?P<multiplier>[\d.]+)(?: .*)?)?")
_TICKER: Final = re.compile(r"[A-Z][A-Z0-9./]*")
_EXPIRY: Final = re.compile(r"(?P<day>\d{1,2}) (?P<month>[A-Z]{3}) (?P<year>\d{2}|\d{4})(?: .*)?")
_REMOVAL: Final = re.compile(
    r"REMOVAL OF OPTION DUE TO (?P<cause>EXPIRATION|ASSIGNMENT|EXERCISE) (?:OF )?"
    r"(?:(?P<quantity>[+-]?[\d,.]+) )?(?P<what>.+)"
)
_MULTIPLIER: Final = re.compile(
    r"[A-Z0-9./]+(?::[A-Z]+)? (?:1/)?(?P<multiplier>\d+) (?:\(|\d{1,2} [A-Z]{3} |[A-Z]{3} \d\d )"
)
_KINDS: Final = {
    "EXPIRATION": ExecutionKind.EXPIRY,
    "ASSIGNMENT": ExecutionKind.ASSIGNMENT,
    "EXERCISE": ExecutionKind.EXERCISE,
}


class Told(NamedTuple):
    """A trade as a description tells it; the price is a spread's net price where `what` is one."""

    side: Side
    quantity: Decimal
    what: str
    price: Decimal


class Spread(NamedTuple):
    """A strategy of several legs, and what it is on; the description does not price its legs."""

    strategy: str
    underlying: str


class Removal(NamedTuple):
    """An option that ceased to be: why, how many (None where it is not said), and which; to sell where it was held."""

    kind: ExecutionKind
    side: Side
    quantity: Decimal | None
    what: str


def read_trade(description: str) -> Told | None:
    """Take a trade's description apart; None where it is none. Raises `RowError` for a number that is none."""
    found = _TRADE.fullmatch(" ".join(description.split()))
    if found is None:
        return None
    side = Side.BUY if found["side"] == "BOT" else Side.SELL
    what = found["what"]
    ticks = _TICKS_OF_AN_OPTION if what.upper().endswith(("CALL", "PUT")) else _TICKS_OF_A_FUTURE
    return Told(side, abs(figure(found["quantity"])), what, _price(found["price"], ticks))


def _price(words: str, ticks: int) -> Decimal:
    """A price, in CBOT's notation too: of a future, `111'24` is 111 and 24 thirty-seconds.

    A third digit is the beginning of an eighth of one: `111'247` are 24.75 of them, `111'246` are 24.625. A single
    digit is eighths of a cent, of grain: `450'2`.
    """
    whole, tick, parts = words.partition("'")
    if not tick:
        return figure(words)
    if len(parts) == 1:
        with exact():
            return figure(whole) + Decimal(parts) / 8
    eighths = _EIGHTHS.get(parts[2:])
    if eighths is None:
        raise RowError(f"{words!r} is no price")
    with exact():
        return figure(whole) + (int(parts[:2]) + Decimal(eighths) / 8) / ticks


def read_spread(what: str) -> Spread | None:
    """The strategy that a description names; None for a single instrument."""
    found = _SPREAD.fullmatch(what)
    return Spread(found["strategy"], found["underlying"]) if found else None


def read_removal(description: str) -> Removal | None:
    """Take apart what says that an option expired, was assigned or exercised; None for anything else."""
    found = _REMOVAL.fullmatch(" ".join(description.upper().split()))
    if found is None:
        return None
    quantity = figure(found["quantity"]) if found["quantity"] else None
    side = Side.SELL if quantity is not None and quantity < 0 else Side.BUY
    return Removal(_KINDS[found["cause"]], side, None if quantity is None else abs(quantity), found["what"])


def read_instrument(what: str, on: date, context: Context) -> Instrument:
    """The one instrument that words name: a share, a pair, a future, an option on either.

    Raises `RowError` where they name none, or a future whose multiplier is not known.
    """
    plainly = " ".join(_NOTES.sub(" ", what.upper()).split())
    if found := _FUTURE_OPTION.fullmatch(plainly):
        multiplier = figure(found["multiplier"])
        return future_option(found["underlying"], found["code"], found["strike"], found["right"], multiplier, context)
    if found := _FUTURE.fullmatch(plainly):
        return _future(found["symbol"], found["multiplier"], on, context)
    if found := _EQUITY_OPTION.fullmatch(plainly):
        multiplier = figure(found["multiplier"])
        return equity_option(found["root"], found["expiry"], found["strike"], found["right"], multiplier, context)
    if (paired := pair(plainly)) is not None:
        return paired
    if _TICKER.fullmatch(plainly):
        return context.instruments.stock(plainly, CURRENCY)
    raise RowError(f"{what!r} names no instrument that is known")


def equity_option(root: str, expiry: str, strike: str, right: str, multiplier: Decimal, context: Context) -> Instrument:
    """An option on a share or an index by its parts as a statement has them: `SPY`, `8 JAN 21`, `355`, `PUT`, 100."""
    return context.instruments.option(
        root, _day(expiry), figure(strike), _right(right), currency=CURRENCY, multiplier=multiplier
    )


def _day(words: str) -> date:
    found = _EXPIRY.fullmatch(" ".join(_NOTES.sub(" ", words.upper()).split()))
    try:
        if found is not None:
            year = int(found["year"])
            return date(
                year if year >= _CENTURY else 2000 + year, MONTHS.get(found["month"].lower(), 0), int(found["day"])
            )
    except ValueError:
        pass
    raise RowError(f"{words!r} is no day of expiry")


def _right(word: str) -> Right:
    return Right.CALL if word.upper() == "CALL" else Right.PUT


def future_option(
    underlying: str, code: str, strike: str, right: str, multiplier: Decimal | None, context: Context
) -> Instrument:
    """An option on a future by its parts: `/NQM22`, `/Q4CJ22`, `13450`, `CALL`, 20.

    The file gives no day of expiry; the option's own code says which month's or week's it is, and is its root.
    """
    named = contract(underlying, date(_CENTURY * 20, 1, 1))
    root = named.root if named else underlying.strip("/")
    known = context.options.multipliers.get(root) or multiplier or multiplier_of(root)
    if known is None:
        raise RowError(f"no multiplier is known for the future {root!r}: give one for it")
    option = Instrument(
        symbol=f"{code}{right[0].upper()}{strike}",
        asset_class=AssetClass.OPTION,
        currency=CURRENCY,
        root=code.strip("/"),
        multiplier=known,
        underlying=underlying.strip("/"),
        strike=plain(figure(strike)),
        right=_right(right),
    )
    return bounded(option)


def _future(symbol: str, multiplier: str | None, on: date, context: Context) -> Instrument:
    named = contract(symbol, on)
    unknown = named is None or multiplier_of(named.root, context.options.multipliers) is None
    if unknown and multiplier is not None:
        told = figure(multiplier)
        return context.instruments.named(symbol, on, CURRENCY, asset_class=AssetClass.FUTURE, multiplier=told)
    return context.instruments.future(symbol, on)


def option_multiplier(what: str) -> Decimal | None:
    """What one point of the options of a spread is worth, as described: `SPY 100 …`, `/NQM22 1/20 …`."""
    found = _MULTIPLIER.search(" ".join(what.upper().split()))
    return figure(found["multiplier"]) if found else None
