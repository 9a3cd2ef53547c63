"""What rows become: fills with their fingerprints, round trips as two fills, sides in the words of many brokers."""

import re
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

from tradesense.brokers.contract import Cash, CashKind, CashMovement, Fill, Identity, Imported, Stated
from tradesense.brokers.tables import Row, RowError, fold
from tradesense.brokers.times import Moment
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import CURRENCY, LONGEST_SYMBOL, Instrument
from tradesense.domain.money import MAX_MAGNITUDE, ONE, ZERO, exact, share, text
from tradesense.domain.trades import Direction

_TWO: Final = Decimal(2)
_CODE: Final = re.compile(CURRENCY)
_BUY: Final = (
    "buy, b, bot, bought, bto, btc, long, l, buy to open, buy to close, buy to cover, cover, bc, cvr, bl, purchase, "
    "kauf, achat, koop, compra, acquisto, kupno, købt, köpt"
)
_SELL: Final = (
    "sell, s, sld, sold, sto, stc, short, ss, sh, sell short, short sell, sell to open, sell to close, sshrt, sale, "
    "verkauf, vente, verkoop, venta, vendita, venda, sprzedaż, solgt, sålt"
)
SIDES: Final = MappingProxyType(
    {fold(word): side for side, words in ((Side.BUY, _BUY), (Side.SELL, _SELL)) for word in words.split(",")}
)
"""From a word for a side, folded, to the side."""

_DIRECTIONS: Final = MappingProxyType(
    {"long": Direction.LONG, "buy": Direction.LONG, "l": Direction.LONG, "b": Direction.LONG, "bot": Direction.LONG}
    | {"short": Direction.SHORT, "sell": Direction.SHORT, "s": Direction.SHORT, "sld": Direction.SHORT}
)


def side_of(row: Row, name: str) -> Side:
    """The side that a cell names: buy, b, bot, bought, sell, sold, ss, short, Verkauf, … in any case."""
    word = row.text(name)
    side = SIDES.get(word) or SIDES.get(fold(word))
    if side is None:
        raise row.error(name, f"{word!r} is neither a purchase nor a sale" if word else "the side is missing")
    return side


def sign_of(quantity: Decimal) -> Side:
    """The side that a signed quantity tells: sold below 0."""
    return Side.SELL if quantity < 0 else Side.BUY


def direction_of(row: Row, name: str) -> Direction:
    """The direction that a cell of a table of round trips names."""
    word = row.text(name)
    direction = _DIRECTIONS.get(fold(word))
    if direction is None:
        raise row.error(name, f"{word!r} is neither long nor short" if word else "long or short is missing")
    return direction


@lru_cache(maxsize=256)
def _must_be_currency(code: str) -> None:
    if not _CODE.fullmatch(code):
        raise RowError(f"{code[:40]!r} is no currency; it must be a code such as USD")


def fill(  # noqa: PLR0913  (as many as a row may tell)
    instrument: Instrument,
    side: Side,
    quantity: Decimal,
    price: Decimal,
    moment: Moment,
    *,
    commission: Decimal = ZERO,
    fees: Decimal = ZERO,
    kind: ExecutionKind = ExecutionKind.TRADE,
    identity: Identity | None = None,
    sequence: int | None = None,
    account: str | None = None,
    stated: Stated | None = None,
    fx_to_account: Decimal | None = None,
    told: str = "",
) -> Fill:
    """A fill with its fingerprint, made of what the row says and not of what we make of it.

    Costs are positive when they cost. `told` adds further words of the row that tell it from a look-alike (an order
    number); costs are left out, so that a file with corrected ones is no other trade. Raises `RowError` for a
    quantity that is not above 0, a price below 0, what is no code of a currency, and a symbol that is too long.
    """
    _must_be_currency(instrument.currency)
    if len(instrument.symbol) > LONGEST_SYMBOL:
        raise RowError(f"the symbol '{instrument.symbol[:40]}…' is longer than {LONGEST_SYMBOL} characters")
    if quantity <= ZERO:
        raise RowError(f"the quantity is {text(quantity)}, and must be above 0")
    if price < ZERO:
        raise RowError(f"the price is {text(price)}, and must not be below 0")
    if not price and kind is ExecutionKind.SPLIT:
        raise RowError("the split is one of 0 shares")
    if quantity >= MAX_MAGNITUDE or price >= MAX_MAGNITUDE:
        raise RowError(f"quantity {text(quantity)} and price {text(price)} must be below {MAX_MAGNITUDE:f}")
    wall = moment.wall
    fingerprint = (
        f"{kind!s}|{wall.isoformat()}|{instrument.symbol}|{side!s}|{quantity.normalize()!s}|{price.normalize()!s}"
        f"|{account or ''}|{told}"
    )
    return Fill(
        instrument,
        side,
        quantity,
        price,
        moment.at,
        wall,
        moment.text,
        fingerprint,
        commission,
        fees,
        kind,
        identity,
        sequence,
        account,
        stated,
        fx_to_account,
    )


class Leg(NamedTuple):
    """One end of a round trip: when, at which price, and the fill's own id where the file has one."""

    moment: Moment
    price: Decimal
    identity: Identity | None = None


def round_trip(  # noqa: PLR0913  (the same)
    row: Row,
    instrument: Instrument,
    direction: Direction,
    quantity: Decimal,
    entry: Leg,
    exit_: Leg,
    *,
    commission: Decimal = ZERO,
    fees: Decimal = ZERO,
    account: str | None = None,
    stated: Decimal | None = None,
    told: str = "",
) -> Imported:
    """A row with entry and exit as two fills, in the order in which they happened.

    Costs are the round trip's: half at the entry (cut to 1e-12), the rest at the exit. `stated` is the file's P&L,
    before or after costs: when it is neither, a warning names both figures.
    """
    long = direction is Direction.LONG
    with exact():
        entry_commission, entry_fees = share(commission, ONE, _TWO), share(fees, ONE, _TWO)
        opening = fill(
            instrument,
            Side.BUY if long else Side.SELL,
            quantity,
            entry.price,
            entry.moment,
            commission=entry_commission,
            fees=entry_fees,
            identity=entry.identity,
            account=account,
            told=f"{told}|entry",
        )
        closing = fill(
            instrument,
            Side.SELL if long else Side.BUY,
            quantity,
            exit_.price,
            exit_.moment,
            commission=commission - entry_commission,
            fees=fees - entry_fees,
            identity=exit_.identity,
            account=account,
            told=f"{told}|exit",
        )
        if closing.at < opening.at:
            raise RowError("the exit is before the entry")
        gross = (exit_.price - entry.price) * quantity * instrument.multiplier * (1 if long else -1)
        warning = _disagreement(gross, gross - commission - fees, stated) if stated is not None else None
    return Imported(row.line, (opening, closing), warning)


def _disagreement(gross: Decimal, net: Decimal, stated: Decimal) -> str | None:
    """A warning that names the file's P&L and ours, unless they agree at the file's own decimals."""
    exponent = stated.as_tuple().exponent
    tolerance = Decimal(1).scaleb(min(int(exponent), -2))
    if min(abs(gross - stated), abs(net - stated)) < tolerance:
        return None
    return f"the file states a P&L of {stated:f}; its prices make {text(gross)} before costs, {text(net)} after"


def cash(  # noqa: PLR0913  (the same)
    row: Row,
    kind: CashKind,
    amount: Decimal,
    currency: str,
    moment: Moment,
    *,
    description: str = "",
    account: str | None = None,
    told: str = "",
) -> Cash:
    """A row that moved money without a trade: positive in, negative out. Raises `RowError` for no currency's code."""
    _must_be_currency(currency)
    fingerprint = f"{moment.wall.isoformat()}|{amount.normalize()}|{currency}|{description}|{account or ''}|{told}"
    movement = CashMovement(kind, amount, currency, moment.at, moment.text, fingerprint, description, account)
    return Cash(row.line, movement)
