"""Executions for tests: by hand in a line each, and any book at all for hypothesis."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from hypothesis import strategies as st

from tradesense.domain.executions import Execution, ExecutionId, ExecutionKind, Side, order_key

OPENING_BELL: Final = datetime(2026, 6, 10, 13, 30, tzinfo=UTC)
_MILLISECONDS: Final = int(OPENING_BELL.timestamp()) * 1000


def execution(
    number: int,
    quantity: str | int,
    price: str | int = 0,
    costs: str | int = 0,
    kind: ExecutionKind = ExecutionKind.TRADE,
) -> Execution:
    """The book's execution `number`, a second after the one before; a negative quantity sells."""
    signed = Decimal(quantity)
    identity = UUID(int=((_MILLISECONDS + number * 1000) << 80) | 7 << 76 | 2 << 62 | number)
    return Execution(
        id=ExecutionId(identity),
        order=order_key((_MILLISECONDS + number * 1000) * 1000, number, identity.bytes),
        at=OPENING_BELL + timedelta(seconds=number),
        side=Side.BUY if signed > 0 else Side.SELL,
        quantity=abs(signed),
        price=Decimal(price),
        costs=Decimal(costs),
        kind=kind,
    )


def book(*rows: tuple[str | int, str | int] | tuple[str | int, str | int, str | int]) -> list[Execution]:
    """Trades from (signed quantity, price) or (signed quantity, price, costs)."""
    return [execution(number, *row) for number, row in enumerate(rows)]


_WHOLE: Final = st.integers(1, 6).map(str)
_FRACTIONAL: Final = st.decimals("0.001", "3", places=3).map(str)
_PRICES: Final = st.decimals("0", "500", places=2).map(str)
_COSTS: Final = st.decimals("-1", "5", places=4).map(str)
_RATIOS: Final = st.sampled_from([("2", "1"), ("3", "1"), ("1", "4"), ("3", "2"), ("10", "0")])
_EVENTS: Final = tuple(kind for kind in ExecutionKind if kind is not ExecutionKind.SPLIT)


@st.composite
def _trade_rows(draw: st.DrawFn) -> tuple[str, str, str, ExecutionKind]:
    sign = draw(st.sampled_from(["", "-"]))
    return sign + draw(_WHOLE | _FRACTIONAL), draw(_PRICES), draw(_COSTS), ExecutionKind.TRADE


@st.composite
def _event_rows(draw: st.DrawFn) -> tuple[str, str, str, ExecutionKind]:
    quantity, price, costs, _ = draw(_trade_rows())
    if draw(st.integers(0, 5)) == 0:
        new, old = draw(_RATIOS)
        return new, old, costs, ExecutionKind.SPLIT
    return quantity, price, costs, draw(st.sampled_from(_EVENTS))


def _numbered(rows: Sequence[tuple[str, str, str, ExecutionKind]]) -> list[Execution]:
    return [execution(number, *row) for number, row in enumerate(rows)]


def trading_books() -> st.SearchStrategy[list[Execution]]:
    """Books of fills alone, as often flat as small quantities make them."""
    return st.lists(_trade_rows(), max_size=30).map(_numbered)


def eventful_books() -> st.SearchStrategy[list[Execution]]:
    """Books of everything that can happen to a position; splits in ratios that are finite decimals."""
    return st.lists(_trade_rows() | _event_rows(), max_size=30).map(_numbered)
