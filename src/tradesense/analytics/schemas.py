"""What the endpoints of analytics give; the members of answers are worked out as JSON already, in a thread."""

from datetime import date
from typing import Annotated, Any, Final

from pydantic import Field, create_model

from tradesense.domain.groupings import By
from tradesense.domain.metrics import METRICS, NEUTRAL, Kind, Metric
from tradesense.http.types import Money, Ratio, ShownCurrency, View

Count = Annotated[int, Field(ge=0, examples=[42])]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, examples=[0.5625])]
Figure = Annotated[Ratio, Field(examples=[1.72])]
OnDay = Annotated[date, Field(examples=["2026-03-05"])]
Reasons = Annotated[
    dict[str, str],
    Field(description="Why a member is null or empty, by its name.", examples=[{"equity": "no starting balance"}]),
]
Conventions = Annotated[
    dict[str, str],
    Field(description="What a member means, by its name.", examples=[{"win_rate": "wins ÷ closed trades"}]),
]
Percentiles = Annotated[
    dict[str, Money],
    Field(description="Money by percentile.", examples=[{"p5": "-1250.5", "p50": "310", "p95": "2410.25"}]),
]

_TYPES: Final[dict[Kind, Any]] = {
    Kind.MONEY: Money,
    Kind.RATIO: Figure,
    Kind.COUNT: Annotated[int, Field(examples=[42])],
    Kind.SECONDS: Annotated[Ratio, Field(examples=[5400.0])],
    Kind.DAY: OnDay,
}


class Answer(View):
    """What every answer has. Currencies are never added up: where there are several, ask for one by `currency`."""

    currency: ShownCurrency | None = Field(
        description="The currency of all money; null where there are several, or none."
    )
    currencies: list[ShownCurrency] = Field(description="The currencies of the trades in question.")
    version: int = Field(description="The version of my data that the answer was made from.", ge=0, examples=[42])
    reasons: Reasons
    conventions: Conventions


def _field(metric: Metric) -> tuple[Any, Any]:
    kind = _TYPES[metric.kind]
    always = metric in NEUTRAL and metric.kind is Kind.COUNT
    return (kind if always else kind | None, Field(description=metric.convention))


_FIELDS: Final[dict[str, Any]] = {metric.key: _field(metric) for metric in METRICS}

CurrencySummary = create_model(
    "CurrencySummary",
    __base__=View,
    __doc__="The figures of one currency.",
    currency=(ShownCurrency, ...),
    **_FIELDS,
    reasons=(Reasons, ...),
)
SummaryView = create_model(
    "SummaryView",
    __base__=Answer,
    __doc__="All figures. Where there are several currencies, what needs a single one is null: see `by_currency`.",
    **_FIELDS,
    by_currency=(dict[str, CurrencySummary], Field(description="The same for each currency.")),
)


class PointView(View):
    """A day's close."""

    day: OnDay
    net_pnl: Money
    equity: Money | None
    drawdown: Annotated[Ratio, Field(le=0, examples=[-0.0312])] | None
    drawdown_money: Money


class EquityView(Answer):
    """The equity curve, and how far it lay below its peak."""

    points: list[PointView]


class DayCounts(View):
    """How many trades closed on a day."""

    day: OnDay
    trades: Count
    wins: Count
    losses: Count
    win_rate: Share | None


class DayView(DayCounts):
    """What was realised on a day."""

    net_pnl: Money
    gross_pnl: Money
    costs: Money


class CalendarView(Answer):
    """The days on which something was realised, or a trade closed."""

    days: list[DayView]


class GroupView(View):
    """The results of one group. Bounds are those of the 95 % confidence interval."""

    key: str | None = Field(description="Null for trades without a label.", examples=["MNQM6"])
    name: str | None = Field(description="The key, or the name of the account that it is.", examples=["MNQM6"])
    net_pnl: Money
    gross_pnl: Money
    costs: Money
    trades: Count
    closed_trades: Count
    open_trades: Count
    wins: Count
    losses: Count
    breakevens: Count
    win_rate: Share | None
    win_rate_low: Figure | None
    win_rate_high: Figure | None
    profit_factor: Figure | None
    expectancy: Money | None
    expectancy_low: Money | None
    expectancy_high: Money | None


class BreakdownView(Answer):
    """Results by one property, in its natural order."""

    by: By
    groups: list[GroupView]


class BinView(View):
    """How many results lie from `from` up to below `to`."""

    low: Money | None = Field(alias="from")
    high: Money | None = Field(alias="to")
    trades: Count
    net_pnl: Money


class DistributionView(Answer):
    """How the net P&L of closed trades is distributed."""

    bins: list[BinView]
    percentiles: Percentiles
    mean: Money | None
    standard_deviation: Money | None
    skewness: Figure | None


class FanView(View):
    """Percentiles of cumulative net P&L after so many trades."""

    trades: Annotated[int, Field(ge=1, examples=[100])]
    p5: Money
    p25: Money
    p50: Money
    p75: Money
    p95: Money


class MonteCarloView(Answer):
    """What the same trades could have become in other orders."""

    paths: Annotated[int, Field(ge=1, examples=[1000])]
    trades: Count = Field(description="How many each path has.")
    seed: Annotated[int, Field(ge=0, examples=[0])]
    ruin: Share
    balance: Money | None
    final_net_pnl: Percentiles
    max_drawdown_money: Percentiles
    max_drawdown: dict[str, Figure] | None = Field(examples=[{"p5": -0.31, "p50": -0.12, "p95": -0.04}])
    fan: list[FanView]
    loss_probability: Share | None
    ruin_probability: Share | None
