"""A filter selects what a loop over the trades would select."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from tests.tradesense.domain.books import EURO, FUTURE, MONDAY, STOCK, closed, identity, ledger, ledgers, stock, trade
from tradesense.domain.filters import Filter, Result, Status, select
from tradesense.domain.instruments import AssetClass
from tradesense.domain.ledger import Book, Ledger
from tradesense.domain.local_time import instant
from tradesense.domain.money import exact
from tradesense.domain.trades import Direction, Trade

UTC_ZONE = ZoneInfo("UTC")
NEW_YORK = ZoneInfo("America/New_York")
Case = tuple[Ledger, list[tuple[Book, Trade]]]


def net(trade: Trade) -> int:
    with exact():
        return (trade.net > 0) - (trade.net < 0)


CASES: list[tuple[Filter, Callable[[Book, Trade], bool]]] = [
    (Filter(), lambda _, __: True),
    (Filter(accounts={"main"}), lambda book, _: book.account == "main"),
    (Filter(symbols={"VT", "SAP"}), lambda book, _: book.symbol in {"VT", "SAP"}),
    (Filter(underlyings=["MNQ"]), lambda book, _: book.underlying == "MNQ"),
    (Filter(asset_classes=[AssetClass.FUTURE]), lambda book, _: book.asset_class is AssetClass.FUTURE),
    (Filter(direction=Direction.SHORT), lambda _, trade: trade.direction is Direction.SHORT),
    (Filter(direction=Direction.LONG), lambda _, trade: trade.direction is Direction.LONG),
    (Filter(status=Status.OPEN), lambda _, trade: trade.closed_at is None),
    (Filter(status=Status.CLOSED), lambda _, trade: trade.closed_at is not None),
    (Filter(results=[Result.WIN]), lambda _, trade: trade.closed_at is not None and net(trade) > 0),
    (
        Filter(results=[Result.LOSS, Result.BREAKEVEN], accounts={"main"}),
        lambda book, trade: trade.closed_at is not None and net(trade) <= 0 and book.account == "main",
    ),
]


@given(ledgers((STOCK, FUTURE, EURO)))
def test_a_filter_selects_what_a_loop_selects(case: Case) -> None:
    joined, trades = case
    for wanted, expected in CASES:
        selected = select(joined, wanted, UTC_ZONE)
        assert [one.tobytes() for one in selected.ids] == [one.id.bytes for book, one in trades if expected(book, one)]
        assert selected.counted.all()


days = st.one_of(st.none(), st.dates(date(2024, 1, 1), date(2026, 12, 31)))


@given(ledgers(), days, days, st.sampled_from([UTC_ZONE, NEW_YORK, ZoneInfo("Pacific/Apia")]))
def test_a_period_has_the_exits_of_its_own_days(
    case: Case, first: date | None, last: date | None, zone: ZoneInfo
) -> None:
    def inside(at: datetime) -> bool:
        day = at.astimezone(zone).date()
        return (first is None or day >= first) and (last is None or day <= last)

    def counts(trade: Trade) -> bool:
        if trade.closed_at is not None:
            return inside(trade.closed_at)
        return last is None or trade.opened_at.astimezone(zone).date() <= last

    joined, trades = case
    selected = select(joined, Filter(first=first, last=last), zone)
    legs = [leg for _, one in trades for leg in one.realisations if inside(leg.at)]
    assert [instant(at) for at in selected.realised.at.tolist()] == [leg.at for leg in legs]
    assert selected.realised.gross.decimals() == [leg.gross for leg in legs]
    counted = [one.tobytes() for one in selected.ids[selected.counted]]
    assert counted == [one.id.bytes for _, one in trades if counts(one)]


def test_a_partial_exit_counts_in_its_period_and_its_trade_where_it_closed() -> None:
    later = MONDAY + timedelta(days=30)
    joined = stock([trade((MONDAY, "100", "1"), (later, "50", "1"), number=1)])
    march = select(joined, Filter(last=date(2026, 3, 31)), UTC_ZONE)
    april = select(joined, Filter(first=date(2026, 4, 1)), UTC_ZONE)
    assert march.realised.gross.sum() == 100
    assert march.closed.tolist() == []
    assert april.realised.gross.sum() == 50
    assert april.closed.tolist() == [0]
    assert april.gross.sum() == 150


def test_trades_are_selected_by_their_ids() -> None:
    joined = ledger((STOCK, closed("1", "2", "4")))
    assert select(joined, Filter(trades=[identity(2), identity(0), identity(77)]), UTC_ZONE).net.sum() == 5
    assert len(select(joined, Filter(trades=[]), UTC_ZONE)) == 0


def test_a_day_is_the_users_day() -> None:
    joined = stock([trade((datetime(2026, 3, 3, 3, tzinfo=UTC), "1", "0"))])
    monday = Filter(first=date(2026, 3, 2), last=date(2026, 3, 2))
    assert len(select(joined, monday, UTC_ZONE)) == 0
    assert len(select(joined, monday, NEW_YORK)) == 1


def test_a_filter_that_all_trades_meet_costs_no_copy() -> None:
    joined = stock(closed("1"))
    assert select(joined, Filter(accounts={"main"}), UTC_ZONE) is joined
