"""Trades and ledgers for tests, made without a matcher."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from hypothesis import strategies as st

from tradesense.domain.executions import ExecutionId
from tradesense.domain.instruments import AssetClass
from tradesense.domain.ledger import Book, Ledger, join
from tradesense.domain.money import ZERO, exact
from tradesense.domain.packing import pack
from tradesense.domain.trades import Direction, Realisation, Trade, TradeId

MONDAY = datetime(2026, 3, 2, 15, tzinfo=UTC)
STOCK = Book("main", "VT", "VT", AssetClass.STOCK, "USD")
FUTURE = Book("main", "MNQM6", "MNQ", AssetClass.FUTURE, "USD")
EURO = Book("other", "SAP", "SAP", AssetClass.STOCK, "EUR")

Exit = tuple[datetime, str | Decimal, str | Decimal]
"""When, gross and costs."""


def identity(number: int) -> TradeId:
    return TradeId(UUID(int=0x0197_0000_0000_7000_8000_0000_0000_0000 + number))


def trade(
    *exits: Exit,
    number: int = 0,
    opened_at: datetime | None = None,
    is_open: bool = False,
    direction: Direction = Direction.LONG,
    quantity: str | Decimal = "1",
    price: str | Decimal = "100",
    open_costs: str | Decimal = "0",
) -> Trade:
    realisations = tuple(
        Realisation(ExecutionId(UUID(int=place)), at, Decimal(1), Decimal(gross), Decimal(costs))
        for place, (at, gross, costs) in enumerate(exits)
    )
    held = Decimal(quantity)
    with exact():
        return Trade(
            id=identity(number),
            anchor=ExecutionId(identity(number)),
            direction=direction,
            opened_at=opened_at or (exits[0][0] if exits else MONDAY) - timedelta(minutes=10),
            closed_at=None if is_open else exits[-1][0],
            first=b"",
            last=b"",
            max_quantity=held,
            entry_quantity=held,
            entry_value=held * Decimal(price),
            exit_quantity=ZERO,
            exit_value=ZERO,
            open_quantity=held if is_open else ZERO,
            open_value=held * Decimal(price) if is_open else ZERO,
            gross=sum((realisation.gross for realisation in realisations), ZERO),
            costs=sum((realisation.costs for realisation in realisations), ZERO),
            open_costs=Decimal(open_costs),
            executions=1 + len(exits),
            realisations=realisations,
        )


def closed(*nets: str, start: datetime = MONDAY, every: timedelta = timedelta(days=1)) -> list[Trade]:
    """One trade after the other with these results and no costs, the first on a Monday."""
    return [trade((start + place * every, net, "0"), number=place) for place, net in enumerate(nets)]


def ledger(*books: tuple[Book, Sequence[Trade]]) -> Ledger:
    return join((book, [pack(trades)]) for book, trades in books)


def stock(trades: Iterable[Trade]) -> Ledger:
    return ledger((STOCK, list(trades)))


money = st.one_of(
    st.decimals(min_value=-10000, max_value=10000, places=2),
    st.sampled_from([Decimal(0), Decimal("0.333333333333"), Decimal("-12345678901234.123456789012345678")]),
)
times = st.datetimes(datetime(2024, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - naive by contract
prices = st.decimals(min_value="0.0001", max_value=100000, places=4)


@st.composite
def some_trades(draw: st.DrawFn, *, most: int = 12) -> list[Trade]:
    made = []
    for _ in range(draw(st.integers(0, most))):
        is_open = draw(st.booleans())
        exits = draw(st.lists(st.tuples(times, money, money), min_size=0 if is_open else 1, max_size=3))
        exits.sort(key=lambda leg: leg[0])
        first = exits[0][0] if exits else MONDAY
        made.append(
            trade(
                *exits,
                number=draw(st.integers(0, 2**61)),
                opened_at=first - draw(st.timedeltas(timedelta(0), timedelta(days=50))),
                is_open=is_open,
                direction=draw(st.sampled_from(Direction)),
                quantity=draw(prices),
                price=draw(prices),
                open_costs=draw(money),
            )
        )
    return made


@st.composite
def ledgers(draw: st.DrawFn, books: Sequence[Book] = (STOCK, FUTURE)) -> tuple[Ledger, list[tuple[Book, Trade]]]:
    """A ledger and the trades in it, each with its book."""
    segments = [(book, draw(some_trades()), draw(some_trades(most=3))) for book in books]
    joined = join((book, [pack(first), pack(second)]) for book, first, second in segments)
    return joined, [(book, one) for book, first, second in segments for one in (*first, *second)]
