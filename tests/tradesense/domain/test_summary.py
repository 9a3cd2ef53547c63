"""The summary has every key, exact money, and a reason for each null."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given

from tests.tradesense.domain.books import EURO, MONDAY, STOCK, closed, identity, ledger, ledgers, stock, trade
from tradesense.domain import statistics
from tradesense.domain.days import View
from tradesense.domain.equity import Capital
from tradesense.domain.filters import Filter, select
from tradesense.domain.ledger import Book, Ledger
from tradesense.domain.metrics import METRICS, MONETARY, NEUTRAL, Kind
from tradesense.domain.money import ZERO, exact
from tradesense.domain.summary import Summary, Terms, summarise
from tradesense.domain.trades import Trade

UTC_ZONE = ZoneInfo("UTC")
NOW = MONDAY + timedelta(days=300)
THOUSAND = Terms(capital={"USD": Capital(Decimal(1000))})

PROMISED = {
    "net_pnl",
    "gross_pnl",
    "costs",
    "trades",
    "closed_trades",
    "open_trades",
    "wins",
    "losses",
    "breakevens",
    "win_rate",
    "profit_factor",
    "expectancy",
    "payoff_ratio",
    "sqn",
    "max_drawdown",
    "max_drawdown_money",
    "sharpe",
    "sortino",
    "calmar",
    "cagr",
    "volatility",
    "average_win",
    "average_loss",
    "largest_win",
    "largest_loss",
    "average_holding_s",
    "kelly",
    "open_costs",
    "expectancy_r",
    "recovery_factor",
    "ulcer_index",
    "var_95",
    "cvar_95",
    "exposure",
    "cost_share",
    "tail_ratio",
    "consistency",
}


def summary(trades: list[Trade], terms: Terms | None = THOUSAND) -> Summary:
    return summarise(View(stock(trades), UTC_ZONE), now=NOW, terms=terms)


def test_every_promised_key_is_there() -> None:
    found = summary(closed("1")).as_json()
    assert set(found) >= PROMISED
    assert list(found) == ["currency", *(metric.key for metric in METRICS), "reasons", "conventions", "by_currency"]
    assert set(found["conventions"]) == {metric.key for metric in METRICS}


@given(ledgers())
def test_counts_and_money_equal_a_loop_in_decimals(case: tuple[Ledger, list[tuple[Book, Trade]]]) -> None:
    joined, pairs = case
    found = summarise(View(joined, UTC_ZONE), now=NOW)
    trades = [one for _, one in pairs]
    with exact():
        over = [one for one in trades if one.closed_at]
        nets = [one.net for one in over]
        wins, losses = [net for net in nets if net > 0], [net for net in nets if net < 0]
        assert found["net_pnl"] == sum((one.net for one in trades), ZERO)
        assert found["gross_pnl"] == sum((one.gross for one in trades), ZERO)
        assert found["costs"] == sum((one.costs for one in trades), ZERO)
        assert found["open_costs"] == sum((one.open_costs for one in trades if not one.closed_at), ZERO)
        assert found["largest_win"] == max(wins, default=None)
        assert found["largest_loss"] == min(losses, default=None)
        won, lost = sum(wins, ZERO), sum(losses, ZERO)
    counts = ("trades", "closed_trades", "open_trades", "wins", "losses", "breakevens")
    expected = (
        len(trades),
        len(over),
        len(trades) - len(over),
        len(wins),
        len(losses),
        len(nets) - len(wins) - len(losses),
    )
    assert tuple(found[key] for key in counts) == expected
    assert found["profit_factor"] == (pytest.approx(float(won) / -float(lost)) if losses else None)
    assert found["win_rate"] == (len(wins) / len(nets) if nets else None)


@given(ledgers((STOCK, EURO)))
def test_every_null_has_a_reason_and_everything_is_json(case: tuple[Ledger, list[tuple[Book, Trade]]]) -> None:
    found = summarise(View(case[0], UTC_ZONE), now=NOW, terms=THOUSAND)
    for part in (found, *found.by_currency.values()):
        assert {key for key, value in part.values.items() if value is None} == set(part.reasons)
        assert all(part.reasons.values())
        assert set(part.values) == {metric.key for metric in METRICS}
    carried = json.loads(json.dumps(found.as_json(), allow_nan=False))
    for metric in METRICS:
        value = carried[metric.key]
        is_text = metric.kind in {Kind.MONEY, Kind.DAY}
        assert value is None or isinstance(value, str) == is_text


def test_a_small_account_worked_out_by_hand() -> None:
    found = summary(
        [
            trade((MONDAY, "110", "10"), opened_at=MONDAY - timedelta(hours=1), number=1),
            trade((MONDAY + timedelta(days=1), "-50", "5"), opened_at=MONDAY + timedelta(hours=23), number=2),
            trade((MONDAY + timedelta(days=2), "15", "15"), opened_at=MONDAY + timedelta(hours=47), number=3),
            trade((MONDAY + timedelta(days=2), "33", "3"), is_open=True, open_costs="2.5", number=4),
        ]
    )
    expected: dict[str, Any] = {
        "net_pnl": "75",
        "gross_pnl": "108",
        "costs": "33",
        "open_costs": "2.5",
        "starting_balance": "1000",
        "equity": "1075",
        "trades": 4,
        "win_rate": pytest.approx(1 / 3),
        "profit_factor": pytest.approx(100 / 55),
        "expectancy": "15",
        "payoff_ratio": pytest.approx(100 / 55),
        "kelly": pytest.approx(0.5 - 0.5 / (100 / 55)),
        "average_win": "100",
        "average_loss": "-55",
        "largest_win": "100",
        "largest_loss": "-55",
        "average_holding_s": 3600,
        "average_holding_wins_s": 3600,
        "average_holding_losses_s": 3600,
        "cost_share": pytest.approx(30 / 125),
        "trading_days": 3,
        "winning_days": 2,
        "losing_days": 1,
        "best_day": "100",
        "worst_day": "-55",
        "consistency": pytest.approx(100 / 75),
        "max_drawdown": pytest.approx(-0.05),
        "max_drawdown_start": "2026-03-02",
        "max_drawdown_trough": "2026-03-03",
        "max_drawdown_recovery": None,
        "max_drawdown_money": "-55",
        "max_drawdown_money_start": "2026-03-02",
        "recovery_factor": pytest.approx(75 / 55),
        "annualisation": 252,
        "max_win_streak": 1,
        "max_loss_streak": 1,
        "current_streak": 0,
    }
    carried = found.as_json()
    assert {key: carried[key] for key in expected} == expected
    assert found.reasons == {
        "expectancy_r": "no initial risk",
        "max_drawdown_recovery": "no recovery yet",
        "max_drawdown_money_recovery": "no recovery yet",
    }


def test_the_ratios_are_those_of_the_daily_returns() -> None:
    found = summary(closed("10", "101", "-44.44"))
    returns = [0.01, 0.1, -44.44 / 1111]
    for key in ("sharpe", "sortino", "calmar", "cagr", "volatility", "ulcer_index", "tail_ratio", "max_drawdown"):
        assert found[key] == pytest.approx(getattr(statistics, key)(returns)), key
    assert found["var_95"] == pytest.approx(statistics.var(returns))
    assert found["cvar_95"] == pytest.approx(statistics.cvar(returns))


def test_the_reference_series_gives_the_reference_ratios() -> None:
    equity, nets = Decimal(1000), []
    for percent in (1, 10, -4, 2, 3, 2, 1, -10):
        nets.append(equity * percent / 100)
        equity += nets[-1]
    found = summary(
        [trade((MONDAY + timedelta(days=day + 2 * (day > 4)), net, "0"), number=day) for day, net in enumerate(nets)]
    )
    assert found["sharpe"] == pytest.approx(1.7238613961706866, abs=1e-9)
    assert found["sortino"] == pytest.approx(2.605531251673693, abs=1e-9)
    assert found["max_drawdown"] == pytest.approx(-0.10, abs=1e-9)


def test_the_risk_free_rate_is_a_yearly_one() -> None:
    terms = THOUSAND._replace(risk_free=0.05)
    expected = statistics.sharpe([0.01, 0.1, -44.44 / 1111], 1.05 ** (1 / 252) - 1)
    assert summary(closed("10", "101", "-44.44"), terms)["sharpe"] == pytest.approx(expected)


def test_without_a_balance_money_is_there_and_ratios_say_why() -> None:
    found = summary(closed("10", "-20"), None)
    assert found["max_drawdown_money"] == -20
    assert found["sqn"] is not None
    keys = {key for key, why in found.reasons.items() if why == "no starting balance"}
    assert {"sharpe", "sortino", "calmar", "cagr", "volatility", "max_drawdown", "equity", "annualisation"} <= keys


def test_a_lost_account_says_so() -> None:
    found = summary(closed("-1000", "20"))
    assert found["max_drawdown"] == -1
    assert found.reasons["sharpe"] == "equity not positive"


@pytest.mark.parametrize(
    ("nets", "key", "reason"),
    [
        (("5", "6"), "profit_factor", "no losses"),
        (("-5", "-6"), "payoff_ratio", "no wins or no losses"),
        (("5",), "sqn", "fewer than two different results"),
        (("5",), "sharpe", "fewer than two different daily returns"),
        (("5", "6"), "sortino", "no losing day"),
        (("5", "6"), "calmar", "no drawdown"),
        (("5", "6"), "recovery_factor", "no drawdown"),
        (("5", "6"), "max_drawdown_trough", "no drawdown"),
        (("5", "6"), "max_drawdown_recovery", "no drawdown"),
        (("5", "6"), "max_drawdown_money_recovery", "no drawdown"),
        (("-5",), "consistency", "net P&L not positive"),
        (("1000000",), "cagr", "not a finite number"),
        (("1000000",), "calmar", "not a finite number"),
        ((), "expectancy", "no closed trades"),
        ((), "max_drawdown_money", "nothing realised"),
        ((), "sharpe", "nothing realised"),
        ((), "exposure", "no time"),
    ],
)
def test_a_null_says_why(nets: tuple[str, ...], key: str, reason: str) -> None:
    assert summary(closed(*nets)).reasons[key] == reason


def test_currencies_are_never_added_up() -> None:
    both = ledger((STOCK, closed("10", "-5")), (EURO, closed("7")))
    found = summarise(View(both, UTC_ZONE), now=NOW, terms=THOUSAND)
    assert found.currency is None
    assert all(found[metric.key] is None and found.reasons[metric.key] == "mixed currencies" for metric in MONETARY)
    assert [found[key] for key in ("trades", "wins", "win_rate")] == [3, 2, pytest.approx(2 / 3)]
    assert {name: part["net_pnl"] for name, part in found.by_currency.items()} == {"EUR": 7, "USD": 5}
    assert found.by_currency["USD"]["equity"] == 1005
    assert found.by_currency["EUR"].reasons["equity"] == "no starting balance"
    assert all(metric.key in found.values for metric in NEUTRAL)


def test_one_currency_is_its_own_part() -> None:
    found = summary(closed("10")).as_json()
    assert list(found["by_currency"]) == ["USD"]
    assert found["by_currency"]["USD"]["net_pnl"] == found["net_pnl"] == "10"
    assert summary([], None).as_json()["by_currency"] == {}


def test_an_account_without_trades_still_has_its_balance() -> None:
    found = summary([])
    assert found.currency == "USD"
    assert found["equity"] == 1000
    unnamed = summary([], Terms(capital={"": Capital(Decimal(1000))}))
    assert unnamed.currency is None
    assert unnamed["equity"] == 1000


def test_r_is_net_over_what_was_risked() -> None:
    risk = {identity(0): Decimal(5), identity(1): Decimal(0), identity(2): Decimal(10), identity(9): Decimal(1)}
    assert summary(closed("10", "4", "-5"), Terms(initial_risk=risk))["expectancy_r"] == pytest.approx(0.75)


def test_streaks_follow_the_closing_times_and_losses_come_first_in_an_instant() -> None:
    later = MONDAY + timedelta(hours=1)
    trades = [
        trade((later, "4", "0"), number=1),
        trade((later, "-1", "0"), number=2),
        trade((MONDAY, "2", "0"), number=3),
        trade((later, "0", "0"), number=4),
    ]
    found = summary(trades)
    assert [found[key] for key in ("max_win_streak", "max_loss_streak", "current_streak")] == [1, 1, 1]
    assert summary(trades[:1] + trades[2:3])["max_win_streak"] == 2


def test_an_open_trade_is_exposed_until_now() -> None:
    one = trade((MONDAY, "1", "0"), opened_at=MONDAY - timedelta(days=10))
    other = trade(number=1, opened_at=NOW - timedelta(days=20), is_open=True)
    assert summary([one, other])["exposure"] == pytest.approx(30 / 310)


def test_a_period_has_its_own_exits_and_the_trades_that_closed_in_it() -> None:
    later = MONDAY + timedelta(days=3)
    trades = [trade((MONDAY, "100", "1"), (later, "-30", "1"), number=1), trade((later, "8", "0"), number=2)]
    period = select(stock(trades), Filter(last=MONDAY.date()), UTC_ZONE)
    found = summarise(View(period, UTC_ZONE), now=NOW, terms=THOUSAND)
    assert (found["net_pnl"], found["trades"], found["equity"]) == (99, 0, 1099)
