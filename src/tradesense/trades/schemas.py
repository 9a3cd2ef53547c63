"""What the endpoints of trades and executions take and give."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from tradesense.accounts.repository import AccountId
from tradesense.domain import money
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import LONGEST_SYMBOL, AssetClass
from tradesense.domain.trades import Direction
from tradesense.http.types import (
    Amount,
    Body,
    Currency,
    Edit,
    Line,
    Money,
    PositiveAmount,
    Ratio,
    Text,
    Timestamp,
    View,
)
from tradesense.journal.repository import Annotation
from tradesense.journal.schemas import Label, Rating, annotations_view
from tradesense.trades.repository import ExecutionRow, TradeRow
from tradesense.trades.service import Entry

Symbol = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=LONGEST_SYMBOL, strip_whitespace=True, pattern=r"^[^\u0000-\u001f\u007f]*$"
    ),
    Field(examples=["MNQM6"]),
]
"""The name of an instrument."""


class TradeView(View):
    """A round trip, flat to flat, or as much of one as has happened.

    `gross_pnl`, `costs` and `net_pnl` are what is realised; `open_costs` belong to `open_quantity` and count when it is
    closed. Money and prices are in `currency`. `quantity` is the most held at once, `total_quantity` all that was
    entered. `return_on_cost` is net ÷ (entry price x total quantity x multiplier); `r` is net ÷ initial risk.
    """

    id: UUID
    account_id: UUID
    account: str
    symbol: str
    asset_class: AssetClass
    underlying: str | None
    multiplier: Money
    currency: str
    side: Direction
    status: Literal["open", "closed"]
    quantity: Money
    total_quantity: Money
    open_quantity: Money
    entry_price: Money
    exit_price: Money | None
    opened_at: datetime
    closed_at: datetime | None
    holding_s: Ratio | None
    gross_pnl: Money
    costs: Money
    net_pnl: Money
    open_costs: Money
    return_on_cost: Ratio | None
    r: Ratio | None
    executions: int
    notes: str | None
    tags: list[str]
    playbook: str | None
    playbook_id: UUID | None
    rating: int | None
    initial_risk: Money | None
    mistakes: list[str]

    @classmethod
    def of(cls, trade: TradeRow, annotation: Annotation | None) -> Self:
        """A trade and what is written about it."""
        return cls(**members(trade, annotation))


def members(trade: TradeRow, annotation: Annotation | None) -> dict[str, Any]:
    """The members of `TradeView`, in their order."""
    risk = None if annotation is None else annotation.initial_risk
    cost = float(trade.entry_value) * float(trade.multiplier)
    closed_at = trade.closed_at
    return {
        "id": trade.id,
        "account_id": trade.account_id,
        "account": trade.account,
        "symbol": trade.symbol,
        "asset_class": trade.asset_class,
        "underlying": trade.underlying,
        "multiplier": trade.multiplier,
        "currency": trade.currency,
        "side": trade.direction,
        "status": "open" if closed_at is None else "closed",
        "quantity": trade.max_quantity,
        "total_quantity": trade.entry_quantity,
        "open_quantity": trade.open_quantity,
        "entry_price": money.average(trade.entry_value, trade.entry_quantity),
        "exit_price": money.average(trade.exit_value, trade.exit_quantity) if trade.exit_quantity else None,
        "opened_at": trade.opened_at,
        "closed_at": closed_at,
        "holding_s": None if closed_at is None else (closed_at - trade.opened_at).total_seconds(),
        "gross_pnl": trade.gross,
        "costs": trade.costs,
        "net_pnl": trade.net,
        "open_costs": trade.open_costs,
        "return_on_cost": float(trade.net) / cost if cost else None,
        "r": float(trade.net) / float(risk) if risk else None,
        "executions": trade.executions,
        **annotations_view(annotation),
    }


class ExecutionView(View):
    """One fill. `local_time` and `zone` are as the source has them, `at` is the same in UTC."""

    id: UUID
    account_id: UUID
    account: str
    symbol: str
    asset_class: AssetClass
    multiplier: Money
    currency: str
    side: Side
    kind: ExecutionKind
    quantity: Money
    price: Money
    commission: Money
    fees: Money
    executed_at: datetime
    local_time: str
    zone: str
    broker: str

    @classmethod
    def of(cls, execution: ExecutionRow) -> Self:
        """An execution."""
        row = execution._asdict()
        return cls(executed_at=row.pop("at"), **row)


class TradeDetail(TradeView):
    """A trade with its executions, oldest first. One that crosses zero belongs to two trades."""

    fills: list[ExecutionView]

    @classmethod
    def with_fills(
        cls, trade: TradeRow, annotation: Annotation | None, executions: list[ExecutionView]
    ) -> "TradeDetail":
        """A trade, what is written about it, and its executions."""
        return cls(**members(trade, annotation), fills=executions)


class TradeEdit(Edit):
    """What to write about a trade; what is left out stays, null takes it away."""

    notes: Text | None = None
    tags: list[Label] = Field(default=[], max_length=50, examples=[["A+ setup"]])
    playbook: UUID | Line | None = Field(
        default=None, description="The id or the name of a playbook of yours.", union_mode="left_to_right"
    )
    rating: Rating | None = None
    initial_risk: PositiveAmount | None = Field(default=None, description="The money at risk at entry, which is 1 R.")
    mistakes: list[Label] = Field(default=[], max_length=50, examples=[["chased the entry"]])


def _not_negative(value: Decimal) -> Decimal:
    if value < 0:
        raise ValueError("a price must not be negative")
    return value


class NewExecution(Body):
    """A fill to enter by hand. Futures and options are known by their symbols, with their multipliers."""

    account_id: UUID
    symbol: Symbol
    asset_class: AssetClass | None = Field(default=None, description="Known by the symbol unless given, else a stock.")
    currency: Currency | None = Field(default=None, description="The account's unless given.")
    multiplier: PositiveAmount | None = Field(default=None, description="Money per point of price and unit.")
    side: Side
    quantity: PositiveAmount
    price: Annotated[Amount, AfterValidator(_not_negative)]
    commission: Amount | None = Field(default=None, description="What the account's fee profile says unless given.")
    fees: Amount = Decimal(0)
    executed_at: Timestamp

    def entry(self) -> Entry:
        """The fill, for the service."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return Entry(**{**values, "account_id": AccountId(self.account_id)})
