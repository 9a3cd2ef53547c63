"""A report on paper: tables, an equity curve and a calendar, as rich renderables."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tradesense.cli.drawing import DAYS_IN_A_ROW, Month, curve
from tradesense.cli.exports import Told
from tradesense.cli.figures import NOTHING, duration, exact, gain, money, percent, ratio

Show = Callable[[Any], str | Text]

_STATISTICS: Final[tuple[tuple[str, tuple[tuple[str, str, Show], ...]], ...]] = (
    (
        "Result",
        (
            ("Net P&L", "net_pnl", gain),
            ("Gross P&L", "gross_pnl", gain),
            ("Costs", "costs", money),
            ("Expectancy", "expectancy", gain),
            ("Average win", "average_win", gain),
            ("Average loss", "average_loss", gain),
            ("Largest win", "largest_win", gain),
            ("Largest loss", "largest_loss", gain),
        ),
    ),
    (
        "Trades",
        (
            ("Closed", "closed_trades", "{:,}".format),
            ("Open", "open_trades", "{:,}".format),
            ("Wins", "wins", "{:,}".format),
            ("Losses", "losses", "{:,}".format),
            ("Breakevens", "breakevens", "{:,}".format),
            ("Win rate", "win_rate", percent),
            ("Profit factor", "profit_factor", ratio),
            ("Average holding", "average_holding_s", duration),
        ),
    ),
    (
        "Risk",
        (
            ("Max drawdown", "max_drawdown_money", gain),
            ("Max drawdown", "max_drawdown", percent),
            ("Sharpe", "sharpe", ratio),
            ("Sortino", "sortino", ratio),
            ("Calmar", "calmar", ratio),
            ("Payoff ratio", "payoff_ratio", ratio),
            ("SQN", "sqn", ratio),
            ("Volatility", "volatility", percent),
        ),
    ),
)
_CURVE_HEIGHT: Final = 9
_CURVE_WIDTH: Final = 64


def statistics_table(statistics: Mapping[str, Any]) -> Table:
    """The figures in three columns of pairs; what does not exist is a dash."""
    table = Table.grid(padding=(0, 1))
    for _ in _STATISTICS:
        table.add_column(style="dim", no_wrap=True)
        table.add_column(justify="right", no_wrap=True, min_width=10)
        table.add_column()
    table.add_row(*(cell for title, _ in _STATISTICS for cell in (Text(title, "bold not dim"), "", "")))
    for line in zip(*(figures for _, figures in _STATISTICS), strict=True):
        table.add_row(*(cell for label, key, show in line for cell in (label, _shown(statistics.get(key), show), "")))
    return table


def _shown(value: object, show: Show) -> str | Text:
    return Text(NOTHING, "dim") if value is None else show(value)


def missing(statistics: Mapping[str, Any]) -> Iterator[str]:
    """Why figures are dashes, each reason once with all that it explains."""
    reasons: dict[str, list[str]] = {}
    labels = {key: label for _, figures in _STATISTICS for label, key, _ in figures}
    for key, reason in (statistics.get("reasons") or {}).items():
        if key in labels:
            reasons.setdefault(reason, []).append(labels[key])
    for reason, named in reasons.items():
        yield f"{NOTHING} {', '.join(dict.fromkeys(named))}: {reason}"


def equity_curve(points: Sequence[tuple[date, Decimal]]) -> RenderableType:
    """The curve between its lowest and highest value, with the first and the last day beneath."""
    values = [float(value) for _, value in points]
    lines = curve(values, _CURVE_WIDTH, _CURVE_HEIGHT)
    labels = {0: money(str(max(values))), _CURVE_HEIGHT - 1: money(str(min(values)))}
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", style="dim")
    grid.add_column(style="green" if values[-1] >= values[0] else "red")
    for number, line in enumerate(lines):
        grid.add_row(labels.get(number, ""), f"┤{line}")
    first, last = points[0][0].isoformat(), points[-1][0].isoformat()
    grid.add_row("", Text(f" {first}{last:>{_CURVE_WIDTH - len(first)}}", "dim"))
    return grid


def calendar_table(months: Sequence[Month]) -> Table:
    """A row for each month: a cell for each day and the month's total."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(width=DAYS_IN_A_ROW, no_wrap=True)
    table.add_column(justify="right")
    numbers = "1        10        20        30"
    table.add_row("", Text(numbers, "dim"), "")
    for month in months:
        table.add_row(f"{month.first:%b %Y}", month.cells, gain(month.total))
    return table


def trades_table(trades: Sequence[Mapping[str, Any]], zone: ZoneInfo) -> Table:
    """One line per trade, which the API's keys describe, at the local time of a zone."""
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("Opened", no_wrap=True)
    table.add_column("Symbol")
    table.add_column("Side", no_wrap=True)
    for heading in ("Quantity", "Entry", "Exit", "Costs", "Net P&L"):
        table.add_column(heading, justify="right", no_wrap=True)
    for trade in trades:
        table.add_row(*_trade_cells(trade, zone))
    return table


def _trade_cells(trade: Mapping[str, Any], zone: ZoneInfo) -> Iterator[RenderableType]:
    yield f"{datetime.fromisoformat(trade['opened_at']).astimezone(zone):%Y-%m-%d %H:%M}"
    yield trade["symbol"]
    yield trade["side"]
    yield exact(trade["quantity"])
    yield exact(trade["entry_price"])
    yield Text("open", "yellow") if trade["exit_price"] is None else exact(trade["exit_price"])
    yield money(trade["costs"])
    yield gain(trade["net_pnl"])


def outcomes_table(outcomes: Sequence[Told]) -> Table:
    """What every row became, line by line."""
    styles = {"imported": "green", "error": "red", "duplicate": "yellow"}
    table = Table.grid(padding=(0, 2, 0, 2))
    table.add_column(justify="right", style="dim")
    for told in outcomes:
        table.add_row(f"{told.line:,}", Text(told.outcome, styles.get(told.outcome, "dim")), Text(told.detail))
    return table


def titled(title: str, body: RenderableType) -> RenderableType:
    """A heading with its body indented."""
    return Group(Text(title, "bold"), Padding(body, (0, 0, 1, 2)))
