"""A slow matcher in fractions: nothing is rounded, every unit keeps its own price and its own share of costs."""

from dataclasses import dataclass, field
from fractions import Fraction

from tradesense.domain.executions import Execution, ExecutionId, ExecutionKind, Side
from tradesense.domain.matching import Method

CLOSING = (ExecutionKind.EXPIRY, ExecutionKind.ASSIGNMENT, ExecutionKind.EXERCISE)


@dataclass
class Exit:
    execution_id: ExecutionId
    quantity: Fraction
    gross: Fraction
    costs: Fraction


@dataclass
class RoundTrip:
    anchor: ExecutionId
    long: bool
    quantity: Fraction = Fraction(0)
    largest: Fraction = Fraction(0)
    executions: int = 0
    exits: list[Exit] = field(default_factory=list)
    lots: list[list[Fraction]] = field(default_factory=list)  # quantity, price, costs of a unit

    @property
    def gross(self) -> Fraction:
        return sum((exit_.gross for exit_ in self.exits), Fraction(0))

    @property
    def costs(self) -> Fraction:
        return sum((exit_.costs for exit_ in self.exits), Fraction(0))

    @property
    def open_costs(self) -> Fraction:
        return sum((quantity * costs for quantity, _, costs in self.lots), Fraction(0))

    @property
    def open_value(self) -> Fraction:
        return sum((quantity * price for quantity, price, _ in self.lots), Fraction(0))


def round_trips(executions: list[Execution], multiplier: Fraction, method: Method) -> tuple[list[RoundTrip], Fraction]:
    """The round trips, closed ones and then the open one, and the costs of what found nothing to close."""
    trips: list[RoundTrip] = []
    unmatched = Fraction(0)
    for execution in executions:
        current = trips[-1] if trips and trips[-1].quantity else None
        quantity, price, costs = (Fraction(n) for n in (execution.quantity, execution.price, execution.costs))
        if current is None:
            if _opens(execution):
                trips.append(_opened(execution, quantity, costs / quantity))
            else:
                unmatched += costs
            continue
        current.executions += 1
        if execution.kind is ExecutionKind.SPLIT:
            _split(current, quantity / (price or 1), costs)
        elif execution.kind not in CLOSING and (execution.side is Side.BUY) is current.long:
            _add(current, quantity, price, costs / quantity)
        else:
            closing = min(quantity, current.quantity)
            crosses = execution.kind is ExecutionKind.TRADE and quantity > closing
            paid = costs * closing / quantity if crosses else costs
            _close(current, execution, closing, paid, multiplier, method)
            if crosses:
                trips.append(_opened(execution, quantity - closing, costs / quantity))
    return trips, unmatched


def _opens(execution: Execution) -> bool:
    if execution.kind is ExecutionKind.TRANSFER:
        return execution.side is Side.BUY or execution.price > 0
    return execution.kind is ExecutionKind.TRADE


def _opened(execution: Execution, quantity: Fraction, unit_costs: Fraction) -> RoundTrip:
    trip = RoundTrip(execution.id, execution.side is Side.BUY, executions=1)
    _add(trip, quantity, Fraction(execution.price), unit_costs)
    return trip


def _add(trip: RoundTrip, quantity: Fraction, price: Fraction, unit_costs: Fraction) -> None:
    trip.lots.append([quantity, price, unit_costs])
    trip.quantity += quantity
    trip.largest = max(trip.largest, trip.quantity)


def _split(trip: RoundTrip, ratio: Fraction, costs: Fraction) -> None:
    for lot in trip.lots:
        lot[:] = [lot[0] * ratio, lot[1] / ratio, lot[2] / ratio]
    trip.lots[-1][2] += costs / trip.lots[-1][0]
    trip.quantity *= ratio
    trip.largest *= ratio


def _close(
    trip: RoundTrip,
    execution: Execution,
    quantity: Fraction,
    costs: Fraction,
    multiplier: Fraction,
    method: Method,
) -> None:
    if method is Method.AVERAGE:
        held = trip.quantity
        trip.lots[:] = [[held, trip.open_value / held, trip.open_costs / held]]
    gross, rest = Fraction(0), quantity
    while rest:
        lot = trip.lots[-1 if method is Method.LIFO else 0]
        taken = min(rest, lot[0])
        price = {ExecutionKind.TRADE: Fraction(execution.price), ExecutionKind.TRANSFER: lot[1]}.get(execution.kind, 0)
        gross += (price - lot[1]) * taken * multiplier * (1 if trip.long else -1)
        costs += lot[2] * taken
        lot[0] -= taken
        rest -= taken
        if not lot[0]:
            trip.lots.remove(lot)
    trip.quantity -= quantity
    trip.exits.append(Exit(execution.id, quantity, gross, costs))
