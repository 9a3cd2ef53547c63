"""Open lots: what entries brought in and exits have not yet taken out, in the order in which a method takes them."""

from collections import deque
from decimal import Decimal
from typing import NamedTuple

from tradesense.domain.money import ZERO, quotient, scaled, share


class Lot(NamedTuple):
    """What is left of one entry.

    `value` is price times quantity. `price` is None where no finite decimal is `value / quantity` (after some splits,
    and in pools); a part of such a lot is worth its share of the value.
    """

    quantity: Decimal
    price: Decimal | None
    value: Decimal
    costs: Decimal


def _divided(lot: Lot, quantity: Decimal) -> tuple[Lot, Lot]:
    """A lot of `quantity`, less than all of it, and the rest, which keeps what rounding leaves."""
    whole, price, value, costs = lot
    part_value = share(value, quantity, whole) if price is None else price * quantity
    part_costs = share(costs, quantity, whole)
    return (
        Lot(quantity, price, part_value, part_costs),
        Lot(whole - quantity, price, value - part_value, costs - part_costs),
    )


class FifoLots:
    """First in, first out. Adding is O(1), taking O(1) for each lot used up, a split O(open lots)."""

    __slots__ = ("_lots",)

    def __init__(self) -> None:
        self._lots: deque[Lot] = deque()

    def add(self, lot: Lot) -> None:
        """Take an entry in."""
        self._lots.append(lot)

    def take(self, quantity: Decimal) -> tuple[Decimal, Decimal]:
        """Remove `quantity`, at most what there is, and give its value and costs."""
        value = costs = ZERO
        while quantity:
            lot = self._pop()
            if lot.quantity > quantity:
                lot, rest = _divided(lot, quantity)
                self._put_back(rest)
            quantity -= lot.quantity
            value += lot.value
            costs += lot.costs
        return value, costs

    def split(self, new: Decimal, old: Decimal) -> None:
        """Make `new` of every `old` units of the whole position; each lot keeps its value and costs."""
        lots = tuple(self._lots)
        self._lots.clear()
        before = after = ZERO
        for lot in lots:
            before += lot.quantity
            quantity = scaled(before, new, old) - after
            after += quantity
            price = quotient(lot.value, quantity) if quantity else None
            self._lots.append(Lot(quantity, price, lot.value, lot.costs))

    def charge(self, costs: Decimal) -> None:
        """Add costs to the newest lot."""
        newest = self._lots.pop()
        self._lots.append(newest._replace(costs=newest.costs + costs))

    def clear(self) -> None:
        """Remove everything."""
        self._lots.clear()

    def _pop(self) -> Lot:
        return self._lots.popleft()

    def _put_back(self, rest: Lot) -> None:
        self._lots.appendleft(rest)


class LifoLots(FifoLots):
    """Last in, first out."""

    __slots__ = ()

    def _pop(self) -> Lot:
        return self._lots.pop()

    def _put_back(self, rest: Lot) -> None:
        self._lots.append(rest)


class PooledLots(FifoLots):
    """Average cost: all entries are one lot."""

    __slots__ = ()

    def add(self, lot: Lot) -> None:
        """Merge an entry into the pool."""
        if self._lots:
            pool = self._lots.pop()
            price = lot.price if lot.price == pool.price else None
            lot = Lot(pool.quantity + lot.quantity, price, pool.value + lot.value, pool.costs + lot.costs)
        self._lots.append(lot)
