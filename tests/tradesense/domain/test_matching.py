from collections.abc import Iterator
from datetime import timedelta
from decimal import Context, Decimal, localcontext
from itertools import pairwise

import pytest

from tests.tradesense.domain.made_executions import OPENING_BELL, book, execution
from tradesense.domain.executions import Execution, ExecutionKind
from tradesense.domain.matching import Method, NotExact, OutOfOrder, Unmatched, match, segments
from tradesense.domain.money import ONE, ZERO, average
from tradesense.domain.trades import Direction, Trade

EACH_METHOD = pytest.mark.parametrize("method", Method)
EACH_CLOSING_KIND = pytest.mark.parametrize(
    "kind", [ExecutionKind.EXPIRY, ExecutionKind.ASSIGNMENT, ExecutionKind.EXERCISE]
)


def matched(executions: list[Execution], method: Method = Method.FIFO, multiplier: str = "1") -> list[Trade]:
    return list(match(executions, multiplier=Decimal(multiplier), method=method))


def unmatched_of(executions: list[Execution]) -> list[Unmatched]:
    excesses: list[Unmatched] = []
    list(match(executions, multiplier=ONE, unmatched=excesses.append))
    return excesses


def decimals(*numbers: str | int) -> list[Decimal]:
    return [Decimal(number) for number in numbers]


def grosses(trade: Trade) -> list[Decimal]:
    return [realisation.gross for realisation in trade.realisations]


def test_a_book_without_executions_has_no_trades() -> None:
    assert matched([]) == []


def test_a_round_trip_is_one_trade() -> None:
    executions = book((2, "100.50", "1.20"), (-2, "101.75", "1.30"))
    (trade,) = matched(executions, multiplier="50")
    assert trade.anchor == executions[0].id
    assert trade.direction is Direction.LONG
    assert (trade.opened_at, trade.closed_at) == (executions[0].at, executions[1].at)
    assert (trade.first, trade.last) == (executions[0].order, executions[1].order)
    assert [trade.entry_quantity, trade.exit_quantity, trade.max_quantity, trade.open_quantity] == decimals(2, 2, 2, 0)
    assert [trade.entry_value, trade.exit_value, trade.open_value] == decimals(201, "203.5", 0)
    assert [trade.gross, trade.costs, trade.net, trade.open_costs] == decimals(125, "2.5", "122.5", 0)
    assert trade.executions == 2


def test_a_short_gains_when_the_price_falls() -> None:
    (trade,) = matched(book((-3, 20), (3, 18)), multiplier="100")
    assert trade.direction is Direction.SHORT
    assert trade.gross == 600


def test_an_open_trade_comes_last_with_what_is_realised_so_far() -> None:
    closed, still_open = matched(book((1, 10), (-1, 11), (4, 20, 4), (-1, 23, 1)))
    assert closed.closed_at is not None
    assert still_open.closed_at is None
    assert [still_open.gross, still_open.costs, still_open.net] == decimals(3, 2, 1)
    assert [still_open.open_quantity, still_open.open_value, still_open.open_costs] == decimals(3, 60, 3)


def test_each_exit_realises_at_its_own_time() -> None:
    executions = book((3, 10, 3), (-1, 11), (-2, 9, 1))
    (trade,) = matched(executions)
    assert grosses(trade) == decimals(1, -2)
    assert [realisation.costs for realisation in trade.realisations] == decimals(1, 3)
    assert [realisation.at for realisation in trade.realisations] == [executions[1].at, executions[2].at]
    assert [realisation.execution_id for realisation in trade.realisations] == [executions[1].id, executions[2].id]


@pytest.mark.parametrize(
    ("method", "expected"),
    [(Method.FIFO, [13, -1]), (Method.LIFO, [11, 1]), (Method.AVERAGE, [12, 0])],
)
def test_the_method_says_which_lots_an_exit_takes(method: Method, expected: list[int]) -> None:
    (trade,) = matched(book((2, 10), (2, 12), (-3, 15), (-1, 11)), method)
    assert grosses(trade) == expected


@EACH_METHOD
def test_lots_that_were_used_up_do_not_come_back(method: Method) -> None:
    (trade,) = matched(book((1, 10), (1, 10), (-2, 11), (1, 12))[:3], method)
    assert trade.gross == 2
    again = matched(book((1, 10), (1, 10), (-2, 11), (2, 12), (-1, 13)), method)[-1]
    assert [again.gross, again.open_value] == decimals(1, 12)


def test_an_average_pool_of_one_price_keeps_every_digit() -> None:
    price = "0.123456789012345678"
    (trade,) = matched(book((1, price), (2, price), (-1, 0)), Method.AVERAGE)
    assert trade.gross == -Decimal(price)


@EACH_METHOD
def test_scaling_in_and_out_keeps_averages_exact(method: Method) -> None:
    (trade,) = matched(book((1, 10), (2, 11), (-1, 12), (3, "9.5"), (-5, 13)), method)
    assert [trade.entry_quantity, trade.exit_quantity, trade.max_quantity] == decimals(6, 6, 5)
    assert average(trade.entry_value, trade.entry_quantity) == Decimal("10.083333333333")
    assert average(trade.exit_value, trade.exit_quantity) == Decimal("12.833333333333")
    assert trade.gross == Decimal("16.5")


def test_a_fill_that_crosses_zero_is_split_in_two_and_costs_pro_rata() -> None:
    executions = book((1, 10), (-3, 12, 1), (2, 11))
    long, short = matched(executions)
    assert [long.gross, short.gross] == decimals(2, 2)
    assert [long.costs, short.costs] == decimals("0.333333333333", "0.666666666667")
    assert (short.anchor, short.direction, short.max_quantity) == (executions[1].id, Direction.SHORT, Decimal(2))
    assert long.last == short.first == executions[1].order


def test_round_trips_are_those_of_pyfolio() -> None:
    """From pyfolio's tests of round trips: 2 bought at 10, 4 sold at 15, 3 bought at 20."""
    long, short, still_open = matched(book((2, 10), (-4, 15), (3, 20)))
    assert (long.direction, long.gross) == (Direction.LONG, Decimal(10))
    assert (short.direction, short.gross) == (Direction.SHORT, Decimal(-10))
    assert (still_open.direction, still_open.open_quantity) == (Direction.LONG, Decimal(1))


def test_the_last_share_of_a_cost_takes_the_remainder() -> None:
    (trade,) = matched(book((3, 10, 1), (-1, 11), (-1, 11), (-1, 11)))
    assert [realisation.costs for realisation in trade.realisations] == [
        Decimal("0.333333333333"),
        Decimal("0.333333333333"),
        Decimal("0.333333333334"),
    ]


def test_a_rebate_is_a_negative_cost() -> None:
    (trade,) = matched(book((2, 10, "-0.5"), (-2, 10, "0.1")))
    assert trade.net == Decimal("0.4")


def test_fractional_quantities_and_multipliers_are_exact() -> None:
    (trade,) = matched(book(("0.00000001", "65432.10"), ("-0.00000001", "65432.11")), multiplier="0.1")
    assert trade.gross == Decimal("1E-11")


def test_a_price_below_zero_is_a_price() -> None:
    (trade,) = matched(book((1, "-37.63"), (-1, "10.01")), multiplier="1000")
    assert trade.gross == 47640


@EACH_CLOSING_KIND
def test_an_option_that_ends_closes_at_zero_whatever_its_row_says(kind: ExecutionKind) -> None:
    for entry, ending in ((2, -2), (2, 2), (-2, 2), (-2, -2)):
        (trade,) = matched([execution(0, entry, "1.5", 1), execution(1, ending, 99, "0.5", kind)], multiplier="100")
        assert trade.gross == (-300 if entry > 0 else 300)
        assert [trade.costs, trade.exit_value, trade.open_quantity] == decimals("1.5", 0, 0)


@EACH_CLOSING_KIND
def test_what_expires_beyond_the_position_is_reported_and_opens_nothing(kind: ExecutionKind) -> None:
    executions = [execution(0, 2, 1), execution(1, -5, 0, "0.5", kind)]
    (trade,) = matched(executions)
    assert [trade.gross, trade.costs] == decimals(-2, "0.5")
    assert unmatched_of(executions) == [Unmatched(executions[1].id, executions[1].at, kind, Decimal(3), ZERO)]


@EACH_CLOSING_KIND
def test_what_expires_without_a_position_is_reported_with_its_costs(kind: ExecutionKind) -> None:
    (ending,) = executions = [execution(0, -5, 0, "0.5", kind)]
    assert matched(executions) == []
    assert unmatched_of(executions) == [Unmatched(ending.id, ending.at, kind, Decimal(5), Decimal("0.5"))]


def test_a_partial_assignment_leaves_the_rest_open() -> None:
    (trade,) = matched([execution(0, -5, 2), execution(1, 2, 0, 0, ExecutionKind.ASSIGNMENT)], multiplier="100")
    assert [trade.gross, trade.open_quantity, trade.open_value] == decimals(400, 3, 6)


@pytest.mark.parametrize("entry", [4, -4])
def test_a_transfer_brings_a_position_in_at_its_cost(entry: int) -> None:
    (trade,) = matched([execution(0, entry, 25, 1, ExecutionKind.TRANSFER), execution(1, -entry, 30, 1)])
    assert trade.gross == (20 if entry > 0 else -20)
    assert trade.costs == 2


def test_a_transfer_on_the_position_s_own_side_adds_to_it() -> None:
    (trade,) = matched([execution(0, 1, 10), execution(1, 1, 0, 0, ExecutionKind.TRANSFER)])
    assert [trade.open_quantity, trade.open_value] == decimals(2, 10)


def test_a_transfer_out_takes_lots_at_their_own_cost_and_realises_only_what_they_cost() -> None:
    executions = [execution(0, 1, 10, 1), execution(1, 1, 20, 1), execution(2, -1, 99, "0.5", ExecutionKind.TRANSFER)]
    (trade,) = matched(executions)
    assert [trade.gross, trade.costs, trade.exit_value] == decimals(0, "1.5", 10)
    assert [trade.open_quantity, trade.open_value, trade.open_costs] == decimals(1, 20, 1)


def test_a_transfer_out_of_more_than_is_open_never_opens_a_short() -> None:
    executions = [execution(0, 1, 10), execution(1, -3, 99, 0, ExecutionKind.TRANSFER)]
    assert [trade.open_quantity for trade in matched(executions)] == decimals(0)
    assert [excess.quantity for excess in unmatched_of(executions)] == decimals(2)


def test_a_withdrawal_of_what_nobody_saw_come_in_is_reported() -> None:
    executions = [execution(0, -3, 0, "0.1", ExecutionKind.TRANSFER)]
    assert matched(executions) == []
    assert [number for excess in unmatched_of(executions) for number in (excess.quantity, excess.costs)] == decimals(
        3, "0.1"
    )


@EACH_METHOD
def test_a_split_multiplies_the_quantity_and_leaves_the_value_alone(method: Method) -> None:
    split = execution(2, 3, 1, 0, ExecutionKind.SPLIT)
    (trade,) = matched([execution(0, 2, 30), execution(1, -1, 36), split, execution(3, -3, 11)], method)
    assert grosses(trade) == decimals(6, 3)
    assert [trade.entry_quantity, trade.exit_quantity, trade.max_quantity] == decimals(6, 6, 6)
    assert [trade.entry_value, trade.exit_value] == decimals(60, 69)
    assert [realisation.quantity for realisation in trade.realisations] == decimals(1, 3)


@EACH_METHOD
def test_a_split_that_no_price_survives_still_adds_up(method: Method) -> None:
    split = execution(2, 3, 0, "0.3", ExecutionKind.SPLIT)
    exits = [execution(number, -1, 4) for number in range(3, 9)]
    (trade,) = matched([execution(0, 1, 10), execution(1, 1, 11), split, *exits], method)
    assert [trade.gross, trade.costs, trade.exit_quantity] == decimals(3, "0.3", 6)
    assert sum(grosses(trade), ZERO) == 3
    assert (
        trade.realisations[0].gross
        == 4
        - {
            Method.FIFO: Decimal("3.333333333333"),
            Method.LIFO: Decimal("3.666666666666"),
            Method.AVERAGE: Decimal("3.5"),
        }[method]
    )


def test_a_reverse_split_of_a_ratio_without_end_keeps_whole_holdings_whole() -> None:
    split = execution(3, 1, 3, 0, ExecutionKind.SPLIT)
    lots = [execution(0, 100, 1), execution(1, 100, 1), execution(2, 100, 1)]
    (trade,) = matched([*lots, split, execution(4, -100, 4)])
    assert (trade.gross, trade.closed_at) == (Decimal(100), OPENING_BELL + timedelta(seconds=4))


def test_what_a_split_cuts_from_a_lot_goes_to_the_next() -> None:
    lots = [execution(number, 100, 1) for number in range(3)]
    split = execution(3, 1, 3, 0, ExecutionKind.SPLIT)
    exits = [execution(4, -50, 4), execution(5, "-49.9999999999995", 4), execution(6, "-0.0000000000005", 4)]
    (trade,) = matched([*lots, split, *exits])
    assert (trade.gross, trade.closed_at) == (Decimal(100), exits[-1].at)


@EACH_METHOD
def test_a_split_of_a_finite_ratio_keeps_every_digit(method: Method) -> None:
    quantity, price = "0.000000000000000007", "0.000000000000000008"
    split = execution(1, 2, 1, 0, ExecutionKind.SPLIT)
    (trade,) = matched([execution(0, quantity, price), split, execution(2, "-" + quantity, 1)], method)
    assert [trade.open_quantity, trade.gross] == decimals(quantity, "6999999999999999972E-36")


def test_a_split_can_name_the_holding_before_and_after() -> None:
    split = execution(2, 33, 100, 0, ExecutionKind.SPLIT)
    (trade,) = matched([execution(0, 60, 1), execution(1, 40, 1), split, execution(3, -33, 4)])
    assert [trade.gross, trade.open_quantity] == decimals(32, 0)


def test_a_split_of_nothing_is_reported() -> None:
    nothing = execution(0, 2, 1, "0.1", ExecutionKind.SPLIT)
    dust = [execution(1, "1E-12", 5), execution(2, 1, 3, 0, ExecutionKind.SPLIT)]
    assert [excess.execution_id for excess in unmatched_of([nothing, *dust])] == [nothing.id, dust[1].id]
    assert matched([nothing, *dust])[0].open_quantity == Decimal("1E-12")


def test_executions_out_of_order_are_refused() -> None:
    first, second = book((1, 10), (-1, 11))
    for executions in ([second, first], [first, first]):
        with pytest.raises(OutOfOrder, match=str(first.id)):
            matched(executions)


@pytest.mark.parametrize("quantity", ["0", "-1"])
def test_a_quantity_must_be_positive(quantity: str) -> None:
    broken = execution(0, 1, 10)._replace(quantity=Decimal(quantity))
    with pytest.raises(ValueError, match="must be positive"):
        matched([broken])


def test_numbers_too_long_to_be_added_exactly_are_refused() -> None:
    with pytest.raises(NotExact):
        matched(book(("1E+30", "1E+30"), ("1E-24", "1E-24")))


def test_the_consumer_s_decimal_context_is_left_alone() -> None:
    executions = book(*[(1, 10), (-1, 11)] * 2000)
    with localcontext(Context(prec=9)) as mine:
        for _ in match(executions, multiplier=ONE):
            assert Decimal("0.333333333") == ONE / 3
            assert mine.prec == 9


def test_trades_are_given_before_the_last_execution_is_read() -> None:
    read = 0

    def counted() -> Iterator[Execution]:
        nonlocal read
        for row in book(*[(1, 10), (-1, 11)] * 5000):
            read += 1
            yield row

    next(match(counted(), multiplier=ONE))
    assert read < 2000


def test_segments_hold_whole_trades_up_to_their_target() -> None:
    trades = matched(book(*[(1, 10), (-1, 11)] * 25))
    parts = list(segments(trades, target=10))
    assert [len(part) for part in parts] == [5, 5, 5, 5, 5]
    assert [trade for part in parts for trade in part] == trades
    assert list(segments([])) == []


def test_a_fill_that_crosses_zero_never_divides_two_segments() -> None:
    reversing = matched(book((1, 10), *[(-2, 11), (2, 10)] * 20, (-1, 11), (1, 10), (-1, 9)))
    first, second = segments(reversing, target=4)
    assert [len(first), len(second)] == decimals(41, 1)
    assert all(one.last < other.first for one, other in pairwise([first[-1], second[0]]))
