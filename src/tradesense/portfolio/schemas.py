"""What the portfolio's endpoints give."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from tradesense.analytics.schemas import Count, DayCounts, DayView, Figure, Reasons, Share
from tradesense.domain import money
from tradesense.domain.instruments import AssetClass
from tradesense.domain.trades import Direction
from tradesense.http.types import Money, Ratio, ShownCurrency, View
from tradesense.portfolio.repository import Position


class TodayView(DayCounts):
    """What was realised today, in my time zone; money is null where there are several currencies."""

    net_pnl: Money | None
    gross_pnl: Money | None
    costs: Money | None


class Standing(View):
    """How trades stand; the members are those of the analytics' summary."""

    net_pnl: Money | None = Field(description="Realised, partial exits of open positions included.")
    gross_pnl: Money | None
    costs: Money | None
    open_costs: Money | None
    equity: Money | None = Field(description="Starting balances + deposits less withdrawals + net P&L.")
    trades: Count
    open_positions: Count
    win_rate: Share | None
    profit_factor: Figure | None
    max_drawdown: Annotated[Ratio, Field(le=0, examples=[-0.0312])] | None
    max_drawdown_money: Money | None
    reasons: Reasons


class CurrencyStanding(Standing):
    """How the trades in one currency stand."""

    currency: ShownCurrency
    today: DayView


class PortfolioView(Standing):
    """The portfolio at a glance. Currencies are never added up: where there are several, see `by_currency`."""

    currency: ShownCurrency | None
    currencies: list[ShownCurrency] = Field(description="The currencies of my trades.")
    today: TodayView
    by_currency: dict[str, CurrencyStanding]
    as_of: datetime
    version: int = Field(description="The version of my data that this was made from.", ge=0, examples=[42])


class PositionView(View):
    """What one account holds of one instrument. `gross_pnl`, `costs` and `net_pnl` are realised by partial exits.

    `cost_basis` is average price × open quantity × multiplier, exactly; `open_costs` were paid for what is open and
    count when it is closed.
    """

    trade_id: UUID
    account_id: UUID
    account: str
    symbol: str
    asset_class: AssetClass
    underlying: str | None
    multiplier: Money
    currency: ShownCurrency
    side: Direction
    open_quantity: Money
    average_price: Money
    cost_basis: Money
    open_costs: Money
    gross_pnl: Money
    costs: Money
    net_pnl: Money
    opened_at: datetime
    executions: Count

    @classmethod
    def of(cls, position: Position) -> Self:
        """An open position."""
        with money.exact():
            cost_basis = position.open_value * position.multiplier
        return cls(
            trade_id=position.id,
            account_id=position.account_id,
            account=position.account,
            symbol=position.symbol,
            asset_class=position.asset_class,
            underlying=position.underlying,
            multiplier=position.multiplier,
            currency=position.currency,
            side=position.direction,
            open_quantity=position.open_quantity,
            average_price=money.average(position.open_value, position.open_quantity),
            cost_basis=cost_basis,
            open_costs=position.open_costs,
            gross_pnl=position.gross,
            costs=position.costs,
            net_pnl=position.net,
            opened_at=position.opened_at,
            executions=position.executions,
        )
