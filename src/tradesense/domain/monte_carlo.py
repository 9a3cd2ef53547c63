"""Monte Carlo: what the same trades could have become in another order, drawn with replacement (bootstrap)."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final, NamedTuple

import numpy as np

from tradesense.domain.columns import Floats, Ints
from tradesense.domain.estimates import estimates
from tradesense.domain.ledger import Ledger
from tradesense.domain.metrics import NO_BALANCE, NO_CLOSED_TRADES, NOT_POSITIVE

PATHS: Final = 1000
MOST_PATHS: Final = 10_000
HORIZON: Final = 1000
MOST_STEPS: Final = 10_000
FAN_POINTS: Final = 50
PERCENTILES: Final = (5, 25, 50, 75, 95)

_CELLS: Final = 1 << 18
"""Trades drawn at a time: 2 MiB a matrix, which stays in the cache."""


class Terms(NamedTuple):
    """What is simulated. `trades` per path: None for as many as there are, at most `HORIZON`.

    `ruin` is the share of the balance that is lost when a path counts as ruined.
    """

    paths: int = PATHS
    trades: int | None = None
    ruin: float = 1.0
    seed: int = 0


class Simulation(NamedTuple):
    """Percentiles over all paths, by their number (`PERCENTILES`), in the ledger's currency.

    `final` is the net P&L at the end, `drawdown` the deepest fall in money and `drawdown_ratio` the same relative to
    the peak (0 or negative, so that the 5th percentile is the bad one). `fan` has the cumulative net P&L after so many
    trades. `loss` is the share of paths that end below 0, `ruin` of those that fall to the level of ruin at any time.
    None for the reason in `why`.
    """

    paths: int
    trades: int
    final: dict[int, float]
    drawdown: dict[int, float]
    drawdown_ratio: dict[int, float] | None
    fan: list[tuple[int, dict[int, float]]]
    loss: float | None
    ruin: float | None
    why: str | None

    def as_json(self) -> dict[str, Any]:
        """The simulation as the API and exports carry it."""
        return {
            "paths": self.paths,
            "trades": self.trades,
            "final_net_pnl": estimates(self.final),
            "max_drawdown_money": estimates(self.drawdown),
            "max_drawdown": _named(self.drawdown_ratio),
            "fan": [{"trades": trades, **estimates(percentiles)} for trades, percentiles in self.fan],
            "loss_probability": self.loss,
            "ruin_probability": self.ruin,
            "reason": self.why,
        }


def simulate(ledger: Ledger, balance: Decimal | None, terms: Terms | None = None) -> Simulation:
    """Draw paths of closed trades' net P&L, each trade as likely as any other at every step.

    B. Efron, Bootstrap Methods, Annals of Statistics 7 (1979). Trades are taken as independent: streaks that have a
    cause are not reproduced. The same ledger, terms and numpy give the same numbers. Time and memory are bounded by
    `MOST_PATHS` and `MOST_STEPS`, whatever the ledger's size. Raises `MixedCurrencies`, and `ValueError` for terms out
    of bounds.
    """
    terms = terms or Terms()
    _ = ledger.currency
    _check(terms)
    results = ledger.closed_floats
    if not len(results):
        return Simulation(terms.paths, 0, {}, {}, None, [], None, None, NO_CLOSED_TRADES)
    steps = terms.trades or min(len(results), HORIZON)
    shown = np.unique(np.linspace(1, steps, min(steps, FAN_POINTS)).astype(np.int64))
    start = None if balance is None or balance <= 0 else float(balance)
    outcomes = [_outcome(block, shown - 1, start, terms.ruin) for block in _draws(results, steps, terms)]
    fan, falls, ratios, ruined = map(np.concatenate, zip(*outcomes, strict=True))
    return Simulation(
        paths=terms.paths,
        trades=steps,
        final=_percentiles(fan[:, -1]),
        drawdown=_percentiles(falls),
        drawdown_ratio=None if start is None else _percentiles(ratios),
        fan=[(int(step), _percentiles(fan[:, place])) for place, step in enumerate(shown)],
        loss=float(np.mean(fan[:, -1] < 0)),
        ruin=None if start is None else float(np.mean(ruined)),
        why=(NO_BALANCE if balance is None else NOT_POSITIVE) if start is None else None,
    )


def _check(terms: Terms) -> None:
    if not 1 <= terms.paths <= MOST_PATHS:
        raise ValueError(f"paths must be from 1 to {MOST_PATHS}")
    if terms.trades is not None and not 1 <= terms.trades <= MOST_STEPS:
        raise ValueError(f"trades must be from 1 to {MOST_STEPS}")
    if not 0 < terms.ruin <= 1:
        raise ValueError("ruin must be above 0 and at most 1")


def _draws(results: Floats, steps: int, terms: Terms) -> Iterator[Floats]:
    """The cumulative results of all paths, some rows at a time."""
    generator = np.random.default_rng(terms.seed)
    rows = max(1, _CELLS // steps)
    for first in range(0, terms.paths, rows):
        shape = (min(rows, terms.paths - first), steps)
        drawn = results[generator.integers(0, len(results), shape, dtype=np.int64)]
        yield np.cumsum(drawn, axis=1, out=drawn)


def _outcome(paths: Floats, shown: Ints, start: float | None, ruin: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Of each path: its level at the steps shown, its deepest fall in money and as a ratio, and 1 if it was ruined."""
    peaks = np.maximum(np.maximum.accumulate(paths, axis=1), 0.0)
    falls = np.minimum((paths - peaks).min(axis=1), 0.0)
    if start is None:
        return paths[:, shown], falls, falls, falls
    ratios = np.minimum(((paths + start) / (peaks + start)).min(axis=1) - 1.0, 0.0)
    ruined = (paths.min(axis=1) <= -ruin * start).astype(np.float64)
    return paths[:, shown], falls, ratios, ruined


def _percentiles(values: Floats) -> dict[int, float]:
    return dict(zip(PERCENTILES, np.percentile(values, PERCENTILES).tolist(), strict=True))


def _named(percentiles: dict[int, float] | None) -> dict[str, float] | None:
    return None if percentiles is None else {f"p{place}": value for place, value in percentiles.items()}
