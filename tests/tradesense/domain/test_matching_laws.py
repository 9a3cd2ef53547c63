"""What matching promises for any book at all, and that a slow matcher in fractions agrees."""

from collections.abc import Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise
from random import Random
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from tests.tradesense.domain.made_executions import eventful_books, trading_books
from tests.tradesense.domain.oracle import RoundTrip, round_trips
from tradesense.domain.executions import Execution
from tradesense.domain.matching import Method, Unmatched, match, segments
from tradesense.domain.money import SHARE_QUANTUM, exact
from tradesense.domain.trades import Trade

METHODS: Final = st.sampled_from(Method)
MULTIPLIERS: Final = st.sampled_from([Decimal(number) for number in ("1", "0.5", "50", "100")])


def matched(
    executions: Sequence[Execution], multiplier: Decimal, method: Method
) -> tuple[list[Trade], list[Unmatched]]:
    excesses: list[Unmatched] = []
    trades = list(match(executions, multiplier=multiplier, method=method, unmatched=excesses.append))
    return trades, excesses


def near(ours: Decimal, theirs: Fraction, executions: Sequence[Execution], scale: Decimal = Decimal(1)) -> bool:
    """Within what rounding every share to the quantum can add up to (a share of each lot at each exit)."""
    shares = len(executions) ** 2 + 1
    return abs(Fraction(ours) - theirs) <= Fraction(SHARE_QUANTUM) * shares * Fraction(scale)


def same_outline(ours: Trade, theirs: RoundTrip) -> None:
    assert ours.anchor == theirs.anchor
    assert (ours.direction == "long") is theirs.long
    assert Fraction(ours.open_quantity) == theirs.quantity
    assert Fraction(ours.max_quantity) == theirs.largest
    assert ours.executions == theirs.executions
    assert (ours.closed_at is None) is bool(theirs.quantity)
    assert [part.execution_id for part in ours.realisations] == [part.execution_id for part in theirs.exits]
    assert [Fraction(part.quantity) for part in ours.realisations] == [part.quantity for part in theirs.exits]


@given(trading_books(), MULTIPLIERS, st.sampled_from([Method.FIFO, Method.LIFO]))
def test_fifo_and_lifo_equal_the_oracle_to_the_last_digit(
    executions: list[Execution], multiplier: Decimal, method: Method
) -> None:
    trades, _ = matched(executions, multiplier, method)
    theirs, _ = round_trips(executions, Fraction(multiplier), method)
    assert len(trades) == len(theirs)
    for trade, trip in zip(trades, theirs, strict=True):
        same_outline(trade, trip)
        assert [Fraction(part.gross) for part in trade.realisations] == [part.gross for part in trip.exits]
        assert Fraction(trade.open_value) == trip.open_value
        for part, exit_ in zip(trade.realisations, trip.exits, strict=True):
            assert near(part.costs, exit_.costs, executions)
        assert near(trade.open_costs, trip.open_costs, executions)


@given(eventful_books(), MULTIPLIERS, METHODS)
def test_any_book_equals_the_oracle_within_the_quantum(
    executions: list[Execution], multiplier: Decimal, method: Method
) -> None:
    trades, excesses = matched(executions, multiplier, method)
    theirs, unmatched_costs = round_trips(executions, Fraction(multiplier), method)
    assert len(trades) == len(theirs)
    for trade, trip in zip(trades, theirs, strict=True):
        same_outline(trade, trip)
        assert near(trade.gross, trip.gross, executions, multiplier)
        assert near(trade.costs, trip.costs, executions)
        assert near(trade.open_value, trip.open_value, executions)
        for part, exit_ in zip(trade.realisations, trip.exits, strict=True):
            assert near(part.gross, exit_.gross, executions, multiplier)
            assert near(part.costs, exit_.costs, executions)
    assert sum(Fraction(excess.costs) for excess in excesses) == unmatched_costs


@given(eventful_books(), MULTIPLIERS, METHODS)
def test_nothing_is_lost_to_the_last_digit(executions: list[Execution], multiplier: Decimal, method: Method) -> None:
    trades, excesses = matched(executions, multiplier, method)
    with exact():
        carried = sum(trade.costs + trade.open_costs for trade in trades) + sum(excess.costs for excess in excesses)
        assert carried == sum(execution.costs for execution in executions)
        for trade in trades:
            assert trade.gross == sum(part.gross for part in trade.realisations)
            assert trade.costs == sum(part.costs for part in trade.realisations)
            assert trade.entry_quantity == trade.exit_quantity + trade.open_quantity
            sign = 1 if trade.direction == "long" else -1
            assert trade.gross == (trade.exit_value - trade.entry_value + trade.open_value) * multiplier * sign


@given(trading_books(), METHODS)
def test_every_trade_starts_and_ends_flat(executions: list[Execution], method: Method) -> None:
    trades, _ = matched(executions, Decimal(1), method)
    with exact():
        bought = sum(execution.quantity if execution.side == "buy" else -execution.quantity for execution in executions)
        held = sum(trade.open_quantity if trade.direction == "long" else -trade.open_quantity for trade in trades)
    assert bought == held
    assert all(trade.open_quantity == 0 and trade.closed_at for trade in trades[:-1])


@given(eventful_books(), METHODS)
def test_a_trade_covers_a_run_of_its_book_s_executions(executions: list[Execution], method: Method) -> None:
    trades, _ = matched(executions, Decimal(1), method)
    for trade in trades:
        run = [execution for execution in executions if trade.first <= execution.order <= trade.last]
        assert (run[0].order, run[0].id, run[0].at) == (trade.first, trade.anchor, trade.opened_at)
        assert trade.executions == len(run)
        assert {part.execution_id for part in trade.realisations} <= {execution.id for execution in run}
    assert all(earlier.last <= later.first for earlier, later in pairwise(trades))


@given(eventful_books(), METHODS, st.randoms(use_true_random=False))
def test_any_order_of_arrival_sorted_by_key_gives_the_same_trades(
    executions: list[Execution], method: Method, random: Random
) -> None:
    arrived = random.sample(executions, len(executions))
    expected = matched(executions, Decimal(50), method)
    assert matched(sorted(arrived, key=lambda execution: execution.order), Decimal(50), method) == expected


@given(eventful_books(), METHODS)
def test_matching_anew_from_any_flat_point_gives_the_same_rest(executions: list[Execution], method: Method) -> None:
    trades, _ = matched(executions, Decimal(50), method)
    for index, trade in enumerate(trades):
        if index == 0 or trades[index - 1].last < trade.first:
            rest = [execution for execution in executions if execution.order >= trade.first]
            assert matched(rest, Decimal(50), method)[0] == trades[index:]


@given(eventful_books(), METHODS, st.integers(1, 8))
def test_each_segment_can_be_matched_on_its_own(executions: list[Execution], method: Method, target: int) -> None:
    trades, _ = matched(executions, Decimal(50), method)
    parts = list(segments(trades, target))
    assert [trade for part in parts for trade in part] == trades
    for part in parts:
        own = [execution for execution in executions if part[0].first <= execution.order <= part[-1].last]
        assert matched(own, Decimal(50), method)[0] == part


@given(eventful_books(), METHODS)
def test_the_surrounding_context_changes_nothing(executions: list[Execution], method: Method) -> None:
    expected = matched(executions, Decimal("0.1"), method)
    with localcontext(prec=3):
        assert matched(executions, Decimal("0.1"), method) == expected
