"""R: a result as a multiple of what was at risk when the trade was opened."""

from collections.abc import Mapping
from decimal import Decimal

import numpy as np

from tradesense.domain.columns import Floats
from tradesense.domain.ledger import Ledger
from tradesense.domain.trades import TradeId


def r_multiples(ledger: Ledger, initial_risk: Mapping[TradeId, Decimal]) -> Floats:
    """Net P&L ÷ initial risk of each trade, in its own currency; nan where no positive risk was given.

    V. Tharp, Trade Your Way to Financial Freedom (1998).
    """
    risk = np.full(len(ledger), np.nan)
    for trade, place in ledger.find(initial_risk).items():
        if initial_risk[TradeId(trade)] > 0:
            risk[place] = float(initial_risk[TradeId(trade)])
    multiples: Floats = ledger.net.floats() / risk
    return multiples
