"""Costs that only the cash tells: what an amount has beyond quantity × price × multiplier."""

from decimal import Decimal
from typing import Final, NamedTuple

from tradesense.domain.executions import Side
from tradesense.domain.instruments import Instrument
from tradesense.domain.money import ZERO, exact, text

_TOLERATED: Final = Decimal(25)
_TOLERATED_SHARE: Final = Decimal("0.1")


class CashCost(NamedTuple):
    """Costs, positive when they cost; and a warning where they are too much to be costs."""

    cost: Decimal
    warning: str | None = None


def cash_cost(
    instrument: Instrument, side: Side, quantity: Decimal, price: Decimal, amount: Decimal | None
) -> CashCost:
    """What a booked amount (negative for a purchase) leaves for costs, so that price and costs make the cash exactly.

    A price that the file has rounded makes a cost, or a negative one, of what the rounding took. No amount, no cost.
    """
    if amount is None:
        return CashCost(ZERO)
    with exact():
        value = quantity * price * instrument.multiplier
        cost = abs(amount) - value if side is Side.BUY else value - amount
        if abs(cost) <= _TOLERATED + value * _TOLERATED_SHARE:
            return CashCost(cost)
    return CashCost(cost, f"the amount is {text(amount)}, but quantity × price × multiplier is {text(value)}")
