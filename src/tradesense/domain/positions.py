"""The position of a book while a trade is open: its lots and the sums from which the trade is made."""

from datetime import datetime
from decimal import Decimal

from tradesense.domain.executions import Execution, Side
from tradesense.domain.lots import FifoLots, Lot
from tradesense.domain.money import ONE, ZERO, scaled
from tradesense.domain.trades import Direction, Realisation, Trade, trade_id


class Position:
    """The trade that is open: its lots and running sums. Its methods run inside `money.exact()`."""

    __slots__ = (
        "anchor",
        "closed_value",
        "costs",
        "executions",
        "exit_quantity",
        "exit_value",
        "factor",
        "first",
        "last",
        "lots",
        "max_quantity",
        "open_costs",
        "open_quantity",
        "open_value",
        "opened_at",
        "realisations",
        "side",
    )

    def __init__(self, opener: Execution, lots: FifoLots, multiplier: Decimal) -> None:
        self.anchor = opener.id
        self.first = opener.order
        self.opened_at = opener.at
        self.side = opener.side
        self.factor = multiplier if opener.side is Side.BUY else -multiplier
        self.lots = lots
        self.max_quantity = self.open_quantity = self.open_value = self.open_costs = ZERO
        self.exit_quantity = self.exit_value = self.closed_value = self.costs = ZERO
        self.executions = 0
        self.realisations: list[Realisation] = []

    def enter(self, execution: Execution, quantity: Decimal, costs: Decimal) -> None:
        """Add a lot of `quantity`, all or part of the execution, at its price."""
        value = execution.price * quantity
        self.lots.add(Lot(quantity, execution.price, value, costs))
        self.open_quantity += quantity
        self.open_value += value
        self.open_costs += costs
        self.max_quantity = max(self.max_quantity, self.open_quantity)
        self._count(execution)

    def leave(self, execution: Execution, quantity: Decimal, costs: Decimal, price: Decimal | None) -> None:
        """Close `quantity`, at most what is open, at `price`; at its own value where the price is None."""
        if quantity == self.open_quantity:
            value, entry_costs = self.open_value, self.open_costs
            self.open_quantity = self.open_value = self.open_costs = ZERO
            self.lots.clear()
        else:
            value, entry_costs = self.lots.take(quantity)
            self.open_quantity -= quantity
            self.open_value -= value
            self.open_costs -= entry_costs
        proceeds = value if price is None else price * quantity
        costs += entry_costs
        self.exit_quantity += quantity
        self.exit_value += proceeds
        self.closed_value += value
        self.costs += costs
        gross = (proceeds - value) * self.factor
        self.realisations.append(Realisation(execution.id, execution.at, quantity, gross, costs))
        self._count(execution)

    def split(self, execution: Execution) -> None:
        """Make `quantity` of every `price` units, in the open lots and in the sums."""
        new, old = execution.quantity, execution.price or ONE
        self.lots.split(new, old)
        self.lots.charge(execution.costs)
        self.open_costs += execution.costs
        self.open_quantity = scaled(self.open_quantity, new, old)
        self.exit_quantity = scaled(self.exit_quantity, new, old)
        self.max_quantity = scaled(self.max_quantity, new, old)
        self._count(execution)

    def _count(self, execution: Execution) -> None:
        self.executions += 1
        self.last = execution.order

    def trade(self, closed_at: datetime | None) -> Trade:
        """The trade as it stands."""
        return Trade(
            id=trade_id(self.anchor),
            anchor=self.anchor,
            direction=Direction.LONG if self.side is Side.BUY else Direction.SHORT,
            opened_at=self.opened_at,
            closed_at=closed_at,
            first=self.first,
            last=self.last,
            max_quantity=self.max_quantity,
            entry_quantity=self.exit_quantity + self.open_quantity,
            entry_value=self.closed_value + self.open_value,
            exit_quantity=self.exit_quantity,
            exit_value=self.exit_value,
            open_quantity=self.open_quantity,
            open_value=self.open_value,
            gross=(self.exit_value - self.closed_value) * self.factor,
            costs=self.costs,
            open_costs=self.open_costs,
            executions=self.executions,
            realisations=tuple(self.realisations),
        )
