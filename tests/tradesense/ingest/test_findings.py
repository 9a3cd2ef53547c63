"""What an import finds beside executions: P&L that the file states, what found nothing to act on, suspects in parts."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from keel.ids import uuid7
from tests.tradesense.ingest.conftest import World
from tradesense.brokers.contract import Fill, Stated
from tradesense.brokers.reading import Entry
from tradesense.db.tables import ImportStatus
from tradesense.domain.executions import Execution, ExecutionId, ExecutionKind, Side, order_key
from tradesense.domain.instruments import AssetClass, Instrument
from tradesense.domain.matching import Unmatched, match
from tradesense.domain.trades import Trade
from tradesense.ingest.repository.places import key_text
from tradesense.ingest.repository.staging import Other
from tradesense.ingest.service import findings
from tradesense.ingest.service.comparing import LISTED, Comparison
from tradesense.ingest.service.suspects import suspects

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
AAPL = Instrument("AAPL", AssetClass.STOCK, "USD", "AAPL")


def _trade(exit_price: str, exits: int = 1) -> tuple[Trade, list[UUID]]:
    """A long trade of `exits` units bought at 10 with costs of 1, each sold for itself."""
    ids = [ExecutionId(uuid7()) for _ in range(exits + 1)]
    sides = [Side.BUY, *[Side.SELL] * exits]
    fills = [
        Execution(
            id=each,
            order=order_key(number, 0, each.bytes),
            at=NOON,
            side=side,
            quantity=Decimal(exits if side is Side.BUY else 1),
            price=Decimal(10) if side is Side.BUY else Decimal(exit_price),
            costs=Decimal(1) if side is Side.BUY else Decimal(0),
        )
        for number, (each, side) in enumerate(zip(ids, sides, strict=True))
    ]
    (trade,) = match(fills, multiplier=Decimal(1))
    return trade, list(ids[1:])


@pytest.mark.parametrize(
    ("stated", "is_net", "agrees"),
    [("2.00", False, True), ("2.01", False, True), ("2.02", False, False), ("1", True, True), ("-2", False, False)],
)
def test_a_stated_figure_is_compared_within_its_last_digit(stated: str, is_net: bool, agrees: bool) -> None:  # noqa: FBT001
    trade, (closing,) = _trade("12")
    comparison = Comparison()
    comparison.state(closing, 7, Stated(Decimal(stated), net=is_net))
    comparison.compare("AAPL", [trade])
    assert (comparison.disagreements == 0) is agrees
    assert all("line 7" in warning and stated.rstrip("0").rstrip(".") in warning for warning in comparison.warnings)


def test_the_sum_of_what_is_stated_counts_however_the_file_divides_it() -> None:
    trade, closings = _trade("12", exits=2)
    comparison = Comparison()
    for closing, stated in zip(closings, ("1.50", "2.50"), strict=True):
        comparison.state(closing, 1, Stated(Decimal(stated), net=False))
    comparison.compare("AAPL", [trade])
    assert comparison.disagreements == 0


def test_a_trade_of_which_the_file_states_a_part_is_not_compared() -> None:
    trade, closings = _trade("12", exits=2)
    comparison = Comparison()
    comparison.state(closings[0], 1, Stated(Decimal(99), net=False))
    comparison.compare("AAPL", [trade])
    assert comparison.disagreements == 0


def test_disagreements_beyond_those_listed_are_counted() -> None:
    comparison = Comparison()
    for _ in range(LISTED + 3):
        trade, (closing,) = _trade("12")
        comparison.state(closing, 1, Stated(Decimal(99), net=False))
        comparison.compare("AAPL", [trade])
    assert (comparison.disagreements, len(comparison.warnings)) == (LISTED + 3, LISTED)


async def test_a_file_whose_own_figure_has_the_wrong_sign_is_warned_about(world: World, broker_samples: Path) -> None:
    record = await world.take((broker_samples / "topstepx/trades.csv").read_bytes())
    assert record.status is ImportStatus.DONE
    assert any("-400" in warning for warning in record.warnings)


def _entry(line: int, quantity: int, *, second: int = 0, price: int = 10) -> Entry:
    at = NOON + timedelta(seconds=second, milliseconds=250)
    fill = Fill(AAPL, Side.BUY, Decimal(quantity), Decimal(price), at, at.replace(tzinfo=None), "", "")
    return Entry(line, 0, 0, 0, fill, line.to_bytes(16, "big"))


def _other(quantity: int) -> Other:
    return Other(key_text(AAPL.key), Side.BUY, Decimal(quantity), Decimal("10.0"), NOON)


@pytest.mark.parametrize(
    ("there", "comes", "lines"),
    [
        ([5], [_entry(1, 5)], [1]),
        ([5], [_entry(1, 2), _entry(2, 3)], [1, 2]),
        ([5, 5], [_entry(1, 5), _entry(2, 5), _entry(3, 5)], [1, 2]),
        ([5], [_entry(1, 4)], []),
        ([5], [_entry(1, 5, second=1)], []),
        ([5], [_entry(1, 5, price=11)], []),
    ],
)
def test_suspects_are_paired_by_quantity_or_by_its_sum(there: list[int], comes: list[Entry], lines: list[int]) -> None:
    found = suspects(map(_other, there), comes, lambda _identities: frozenset())
    assert [each.line for each in found] == lines


def test_what_the_account_has_for_sure_is_no_suspect() -> None:
    entries = [_entry(1, 5), _entry(2, 5)]
    found = suspects([_other(5)], entries, lambda _identities: frozenset({entries[0].identity}))
    assert [each.line for each in found] == [2]


def test_what_found_nothing_to_act_on_is_told_with_its_line() -> None:
    mine, other = ExecutionId(uuid7()), ExecutionId(uuid7())
    excesses = [Unmatched(each, NOON, ExecutionKind.EXPIRY, Decimal("2.0"), Decimal(0)) for each in (mine, other)]
    (told,) = findings.unmatched(excesses, {mine: 12})
    assert told == "line 12: nothing is open that the expiry of 2 could act on"
