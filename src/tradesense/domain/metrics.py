"""The keys of a summary, the same in the API, in reports and in exports: what each means, and why it may be null."""

from enum import StrEnum
from typing import Final, NamedTuple


class Kind(StrEnum):
    """What a value is: exact money, a plain number, a count, seconds or a day."""

    MONEY = "money"
    RATIO = "ratio"
    COUNT = "count"
    SECONDS = "seconds"
    DAY = "day"


class Metric(NamedTuple):
    """One key. `undefined` is the reason for null where no more general one holds."""

    key: str
    kind: Kind
    convention: str
    undefined: str = ""


NO_BALANCE: Final = "no starting balance"
NOT_POSITIVE: Final = "equity not positive"
NOTHING_REALISED: Final = "nothing realised"
NO_CLOSED_TRADES: Final = "no closed trades"
MIXED_CURRENCIES: Final = "mixed currencies"
FLAT: Final = "no drawdown"

_MONEY, _RATIO, _COUNT, _SECONDS, _DAY = Kind

_RESULTS: Final = "fewer than two different results"
_RETURNS: Final = "fewer than two different daily returns"

NEUTRAL: Final = (
    Metric("trades", _COUNT, "round trips from flat to flat, closed and open"),
    Metric("closed_trades", _COUNT, "trades whose position returned to zero"),
    Metric("open_trades", _COUNT, "trades whose position has not returned to zero"),
    Metric("wins", _COUNT, "closed trades with net P&L > 0"),
    Metric("losses", _COUNT, "closed trades with net P&L < 0"),
    Metric("breakevens", _COUNT, "closed trades with net P&L = 0"),
    Metric("win_rate", _RATIO, "wins ÷ closed trades; breakevens stay in the denominator"),
    Metric("expectancy_r", _RATIO, "mean of net P&L ÷ initial risk, closed trades that have one", "no initial risk"),
    Metric(
        "max_win_streak",
        _COUNT,
        "longest run of wins in the order of closing, losses first in one instant; a breakeven ends it",
    ),
    Metric("max_loss_streak", _COUNT, "longest run of losses in the same order; a breakeven ends it"),
    Metric("current_streak", _COUNT, "the run at the end: positive for wins, negative for losses"),
    Metric("average_holding_s", _SECONDS, "mean time from first entry to last exit, closed trades"),
    Metric("average_holding_wins_s", _SECONDS, "the same, of wins", "no wins"),
    Metric("average_holding_losses_s", _SECONDS, "the same, of losses", "no losses"),
    Metric("exposure", _RATIO, "share of the time from first entry to last exit (or now) with a trade open", "no time"),
)
"""What holds across currencies: it adds up no money."""

MONETARY: Final = (
    Metric("net_pnl", _MONEY, "Σ realised gross P&L less realised costs; partial exits of open trades count"),
    Metric("gross_pnl", _MONEY, "Σ realised P&L before costs"),
    Metric("costs", _MONEY, "Σ realised costs: those of the exits and their share of the entries'; positive is paid"),
    Metric("open_costs", _MONEY, "Σ entry costs of what is still open; they count when it is closed"),
    Metric("starting_balance", _MONEY, "what the account started with"),
    Metric("equity", _MONEY, "starting balance + deposits less withdrawals + net P&L"),
    Metric("profit_factor", _RATIO, "Σ wins ÷ |Σ losses|", "no losses"),
    Metric("expectancy", _MONEY, "mean net P&L of closed trades, rounded to 12 decimals"),
    Metric("payoff_ratio", _RATIO, "mean win ÷ |mean loss|", "no wins or no losses"),
    Metric("sqn", _RATIO, "√n × mean ÷ standard deviation (ddof 1) of net P&L of closed trades", _RESULTS),
    Metric("kelly", _RATIO, "W - (1 - W) ÷ payoff ratio, W = wins ÷ (wins + losses)", "no wins or no losses"),
    Metric("average_win", _MONEY, "mean net P&L of wins, rounded to 12 decimals", "no wins"),
    Metric("average_loss", _MONEY, "mean net P&L of losses, rounded to 12 decimals; negative", "no losses"),
    Metric("largest_win", _MONEY, "largest net P&L of a closed trade", "no wins"),
    Metric("largest_loss", _MONEY, "smallest net P&L of a closed trade; negative", "no losses"),
    Metric("cost_share", _RATIO, "costs of closed trades ÷ Σ gross P&L of those with gross > 0", "no gross profit"),
    Metric("trading_days", _COUNT, "days in the user's zone on which something was realised"),
    Metric("winning_days", _COUNT, "days with net P&L > 0"),
    Metric("losing_days", _COUNT, "days with net P&L < 0"),
    Metric("best_day", _MONEY, "largest net P&L of a day"),
    Metric("worst_day", _MONEY, "smallest net P&L of a day"),
    Metric("consistency", _RATIO, "best day ÷ net P&L of all days; lower is more even", "net P&L not positive"),
    Metric("max_drawdown", _RATIO, "min(equity ÷ running peak - 1) on day closes, the start included, flows taken out"),
    Metric("max_drawdown_start", _DAY, "day of the peak before it", FLAT),
    Metric("max_drawdown_trough", _DAY, "day of its lowest close", FLAT),
    Metric("max_drawdown_recovery", _DAY, "first day back at the peak", "no recovery yet"),
    Metric("max_drawdown_money", _MONEY, "min(cumulative net P&L less its running peak) on day closes"),
    Metric("max_drawdown_money_start", _DAY, "day of the peak before it", FLAT),
    Metric("max_drawdown_money_trough", _DAY, "day of its lowest close", FLAT),
    Metric("max_drawdown_money_recovery", _DAY, "first day back at the peak", "no recovery yet"),
    Metric("recovery_factor", _RATIO, "net P&L ÷ |max drawdown in money|", FLAT),
    Metric("annualisation", _COUNT, "daily returns in a year: 252 (Monday to Friday), 365 with exits on a weekend"),
    Metric("cagr", _RATIO, "Π(1 + daily return)^(annualisation ÷ n) - 1", "not a finite number"),
    Metric("volatility", _RATIO, "standard deviation (ddof 1) of daily returns × √annualisation", _RETURNS),
    Metric("sharpe", _RATIO, "mean ÷ standard deviation (ddof 1) of excess daily returns × √annualisation", _RETURNS),
    Metric(
        "sortino", _RATIO, "mean ÷ √(mean of min(r, 0)² over all n) of daily returns × √annualisation", "no losing day"
    ),
    Metric("calmar", _RATIO, "CAGR ÷ |max drawdown|", FLAT),
    Metric("ulcer_index", _RATIO, "√(mean of the squared drawdowns of daily closes)"),
    Metric("var_95", _RATIO, "5 % quantile of daily returns, linear between neighbours (historical)"),
    Metric("cvar_95", _RATIO, "mean of the worst 5 % of daily returns"),
    Metric("tail_ratio", _RATIO, "|95 % quantile| ÷ |5 % quantile| of daily returns", "5 % quantile is 0"),
)
"""What needs a single currency."""

METRICS: Final = (*NEUTRAL, *MONETARY)
