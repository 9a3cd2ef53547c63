"""One small file per format, written for these tests, with what must come of it however it is disguised.

A new format adds its fixture here; `test_nasty_variants.py` does the rest.
"""

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from tradesense.brokers.contract import DateOrder, Options

FIXTURES: Final = Path(__file__).parent / "fixtures"
NEW_YORK: Final = Options(ZoneInfo("America/New_York"))


@dataclass(frozen=True)
class Case:
    """A format's fixture. The last row must become executions, so that cutting it off is noticed.

    `shuffles` is False where a column without a name belongs to its neighbour, or sections differ.
    """

    format: str
    fixture: str
    rows: int
    executions: int
    options: Options = field(default=NEW_YORK)
    shuffles: bool = True

    @property
    def path(self) -> Path:
        return FIXTURES / self.fixture

    def __str__(self) -> str:
        return self.format


_MONTH_FIRST: Final = Options(ZoneInfo("America/Chicago"), date_order=DateOrder.MONTH_FIRST)

CASES: Final = (
    Case("generic/executions", "generic.csv", rows=6, executions=6),
    Case("tradovate/orders", "tradovate-orders.csv", rows=5, executions=3),
    Case("tradovate/performance", "tradovate-performance.csv", rows=3, executions=6),
    Case("ninjatrader/grid", "ninjatrader-grid.csv", rows=3, executions=6, options=_MONTH_FIRST),
    Case("ninjatrader/executions", "ninjatrader-executions.csv", rows=3, executions=3, options=_MONTH_FIRST),
    Case("topstepx/trades", "topstepx.csv", rows=3, executions=6),
    Case("tradervue/generic", "tradervue.csv", rows=4, executions=4),
    Case("tradezella/generic", "tradezella.csv", rows=4, executions=4),
    Case(
        "das/trades",
        "das.csv",
        rows=4,
        executions=4,
        options=Options(ZoneInfo("America/New_York"), dt.date(2026, 3, 2)),
    ),
    Case("ibkr/flex-xml", "ibkr-flex.xml", rows=7, executions=4, shuffles=False),
    Case("ibkr/flex-csv", "ibkr-flex.csv", rows=4, executions=2),
    Case("ibkr/activity", "ibkr-activity.csv", rows=11, executions=3, shuffles=False),
    Case("thinkorswim/account-statement", "thinkorswim.csv", rows=11, executions=7, shuffles=False),
    Case("coinbase/transactions", "coinbase.csv", rows=6, executions=6),
    Case("binance/spot", "binance-spot.csv", rows=3, executions=3),
    Case("binance/futures", "binance-futures.csv", rows=3, executions=3),
    Case("degiro/account", "degiro-account.csv", rows=11, executions=3, shuffles=False),
    Case("degiro/transactions", "degiro-transactions.csv", rows=4, executions=3, shuffles=False),
    Case("etoro/account-activity", "etoro.csv", rows=6, executions=4),
    Case("freetrade/activity", "freetrade.csv", rows=7, executions=3),
    Case("revolut/stocks", "revolut-stocks.csv", rows=6, executions=3),
    Case("revolut/crypto", "revolut-crypto.csv", rows=4, executions=3),
    Case("saxo/transactions", "saxo.csv", rows=5, executions=2),
    Case("swissquote/transactions", "swissquote.csv", rows=5, executions=2),
    Case("traderepublic/transactions", "traderepublic.csv", rows=5, executions=2),
    Case("traderepublic/pytr", "pytr.csv", rows=4, executions=2),
    Case("trading212/history", "trading212.csv", rows=8, executions=4),
    Case("xtb/cash-operations", "xtb.csv", rows=8, executions=4),
    Case("schwab/transactions", "schwab.csv", rows=10, executions=5),
    Case("metatrader5/report", "metatrader5.html", rows=9, executions=3, shuffles=False),
    Case("metatrader5/position-history", "metatrader5-positions.csv", rows=4, executions=4),
    Case("metatrader4/statement", "metatrader4.html", rows=9, executions=4, shuffles=False),
    Case("tastytrade/transactions", "tastytrade.csv", rows=7, executions=5),
    Case("tastytrade/tastyworks", "tastyworks.csv", rows=4, executions=3),
    Case("robinhood/activity", "robinhood.csv", rows=8, executions=4),
    Case("fidelity/history", "fidelity.csv", rows=8, executions=4),
    Case("webull/orders", "webull.csv", rows=4, executions=3),
    Case("etrade/transactions", "etrade.csv", rows=7, executions=5),
    Case("tradezero/trades", "tradezero.csv", rows=4, executions=4),
)
