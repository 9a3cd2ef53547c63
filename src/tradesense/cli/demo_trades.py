"""An imagined trader: a seeded generator of fills that look like somebody's months at the screen.

A session's prices are a random walk in ticks, minute by minute. The trader takes a direction, sets a stop and a target,
sometimes adds once, often takes half off on the way, and is flat when the day ends, except for a few stocks held over
days. Form comes and goes (an autoregressive latent state), and with it streaks. Nothing here is anybody's data.
"""

import csv
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from io import StringIO
from random import Random
from typing import Final, NamedTuple

TIMEZONE: Final = "America/New_York"
"""The zone in which the generated times are written."""

BALANCE: Final = Decimal(25_000)
"""What the trader starts with, in US dollars."""

HEADER: Final = (
    "datetime",
    "symbol",
    "side",
    "quantity",
    "price",
    "commission",
    "fees",
    "multiplier",
    "currency",
    "asset_class",
    "account",
    "id",
)
_OPEN: Final = time(9, 30)
_MINUTES: Final = 385
_SATURDAY: Final = 5
_QUARTERS: Final = "HMUZ"
_ROLL_DAY: Final = 12


@dataclass(frozen=True, slots=True)
class Market:
    """Something the trader trades. `sigma` is the standard deviation of a minute's move, in ticks."""

    root: str
    asset_class: str
    multiplier: Decimal
    tick: Decimal
    start: int
    sigma: float
    size: int
    commission: Decimal
    fee: Decimal

    def symbol(self, day: date) -> str:
        """The name on that day: for a future, the contract of the nearest quarter."""
        if self.asset_class != "future":
            return self.root
        quarter = (day.month - 1) // 3
        rolled = day.month % 3 == 0 and day.day >= _ROLL_DAY
        code = _QUARTERS[(quarter + rolled) % 4]
        year = day.year + (quarter + rolled) // 4
        return f"{self.root}{code}{year % 10}"

    def costs(self, quantity: int) -> tuple[Decimal, Decimal]:
        """Commission and fees of one fill: per contract, or per share with a minimum of one."""
        commission = self.commission * quantity
        return (commission if self.asset_class == "future" else max(commission, Decimal(1))), self.fee * quantity


def _future(root: str, multiplier: str, start: int, sigma: float, size: int) -> Market:
    return Market(
        root, "future", Decimal(multiplier), Decimal("0.25"), start, sigma, size, Decimal("0.35"), Decimal("0.37")
    )


def _stock(root: str, start: int, sigma: float, size: int) -> Market:
    return Market(root, "stock", Decimal(1), Decimal("0.01"), start, sigma, size, Decimal("0.005"), Decimal("0.0003"))


MARKETS: Final = (
    _future("MNQ", "2", 98_000, 16.0, 3),
    _future("MES", "5", 26_400, 3.4, 4),
    _stock("NVDA", 18_400, 9.0, 120),
    _stock("AAPL", 24_100, 7.0, 80),
    _stock("AMD", 15_900, 9.0, 100),
)
_DAY_TRADED: Final = (5, 3, 2, 1, 2)
"""How often each market is chosen."""

HELD: Final = _stock("XOM", 11_600, 6.0, 150)
"""What is held for days, and never day-traded."""


class DemoFill(NamedTuple):
    """One generated fill; `quantity` is in contracts or shares, `ticks` the price in ticks of the market."""

    at: datetime
    market: Market
    buy: bool
    quantity: int
    ticks: int


class _Setup(NamedTuple):
    """What the trader decides on before the trade. `risk` is the distance of the stop in ticks."""

    market: Market
    minute: int
    long: bool
    quantity: int
    risk: int
    reward: float
    partial: bool
    adds: bool


class ImaginedTrader:
    """Trades every weekday between two dates, always in the same way for the same seed and last day."""

    def __init__(self, seed: int, last_day: date, days: int) -> None:
        """`days` counts back from `last_day`, weekends included."""
        self._random = Random(seed)
        self._last = last_day
        self._days = days
        self._form = 0.0
        self._closes = {market.root: market.start for market in MARKETS}

    def fills(self) -> list[DemoFill]:
        """Every fill, oldest first; one stock position is still open at the end."""
        fills: list[DemoFill] = []
        for back in range(self._days, -1, -1):
            day = self._last - timedelta(days=back)
            if day.weekday() < _SATURDAY:
                fills += self._session(day)
        fills += self._swings()
        return sorted(fills, key=lambda fill: (fill.at, fill.market.root))

    def _session(self, day: date) -> Iterator[DemoFill]:
        """A day: a walk for every market, then the trader's trades on some of them, one after the other."""
        random = self._random
        self._form = 0.8 * self._form + random.gauss(0, 0.5)
        walks = {market.root: self._walk(market) for market in MARKETS}
        at_the_screen = random.random() > 0.12  # noqa: PLR2004 - about one day off in eight
        minute = random.randint(2, 25)
        while at_the_screen and minute < _MINUTES - 60:
            setup = self._setup(minute, walks)
            minute = yield from self._trade(day, setup, walks[setup.market.root])
            minute += max(3, int(random.expovariate(1 / (50 if self._form > -1 else 25))))

    def _walk(self, market: Market) -> list[int]:
        """A session's prices in ticks, one a minute, with a drift of the day and a gap over night."""
        random = self._random
        price = float(self._closes[market.root]) + random.gauss(0, market.sigma * 4)
        drift = random.gauss(0.0, market.sigma / 12)
        walk = []
        for _ in range(_MINUTES):
            price += random.gauss(drift, market.sigma)
            walk.append(round(price))
        self._closes[market.root] = walk[-1]
        return walk

    def _setup(self, minute: int, walks: dict[str, list[int]]) -> _Setup:
        """The better the form, the oftener the trader takes the side on which the market goes."""
        random = self._random
        market = random.choices(MARKETS, _DAY_TRADED)[0]
        walk = walks[market.root]
        rises = walk[min(minute + 40, _MINUTES - 1)] >= walk[minute]
        right = random.random() < min(max(0.565 + 0.06 * self._form, 0.35), 0.7)
        return _Setup(
            market=market,
            minute=minute,
            long=rises if right else not rises,
            quantity=max(1, round(market.size * random.choice((0.5, 1, 1, 1, 1.5)))),
            risk=max(4, round(market.sigma * random.uniform(3, 5))),
            reward=random.choice((1.2, 1.5, 2, 2, 3)),
            partial=random.random() < 0.4,  # noqa: PLR2004 - half off at 1 R in two trades of five
            adds=random.random() < 0.12,  # noqa: PLR2004 - one in eight is added to
        )

    def _trade(self, day: date, setup: _Setup, walk: list[int]) -> Generator[DemoFill, None, int]:
        """From the entry to flat; returns the minute in which it is flat."""
        sign = 1 if setup.long else -1
        entry = walk[setup.minute]
        held = setup.quantity
        yield self._fill(day, setup, setup.minute, setup.quantity, entry, opens=True)
        stop, target = -setup.risk, round(setup.risk * setup.reward)
        patience = setup.minute + round(self._random.lognormvariate(3.4, 0.8)) + 1
        takes_half, adds = setup.partial, setup.adds
        minute = setup.minute + 1
        while minute < min(patience, _MINUTES - 1):
            gain = sign * (walk[minute] - entry)
            if gain <= stop or gain >= target:
                break
            if adds and gain >= setup.risk * 0.4:
                added, adds = max(1, setup.quantity // 2), False
                held += added
                yield self._fill(day, setup, minute, added, walk[minute], opens=True)
            elif takes_half and gain >= setup.risk and held > 1:
                half, takes_half, stop = held // 2, False, 0
                held -= half
                yield self._fill(day, setup, minute, half, walk[minute], opens=False)
            minute += 1
        yield self._fill(day, setup, minute, held, walk[minute], opens=False)
        return minute

    def _fill(self, day: date, setup: _Setup, minute: int, quantity: int, ticks: int, *, opens: bool) -> DemoFill:
        """A fill in that minute, up to a tick worse than the price."""
        buy = setup.long == opens
        slip = self._random.choice((0, 0, 1))
        at = datetime.combine(day, _OPEN) + timedelta(minutes=minute, seconds=self._random.randint(0, 59))
        return DemoFill(at, setup.market, buy, quantity, ticks + (slip if buy else -slip))

    def _swings(self) -> Iterator[DemoFill]:
        """A stock bought every few weeks and held for days; the last purchase is still held at the end."""
        random = self._random
        day, price = self._last - timedelta(days=self._days - 5), HELD.start
        while (until := day + timedelta(days=random.randint(3, 11))) < self._last:
            yield self._swing(day, price, buy=True)
            sale = price + round(random.gauss(25, 190))
            yield self._swing(until, sale, buy=False)
            day, price = until + timedelta(days=random.randint(6, 16)), sale + round(random.gauss(0, 120))
        yield self._swing(min(day, self._last - timedelta(days=3)), price, buy=True)

    def _swing(self, day: date, ticks: int, *, buy: bool) -> DemoFill:
        weekday = day + timedelta(days=(7 - day.weekday()) * (day.weekday() >= _SATURDAY))
        at = datetime.combine(weekday, time(12)) + timedelta(seconds=self._random.randint(0, 1799))
        return DemoFill(at, HELD, buy, HELD.size, ticks)


def demo_csv(last_day: date, *, days: int = 200, seed: int = 7) -> bytes:
    """A file in the generic format with the trades of the `days` up to `last_day`, in New York's time."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for number, fill in enumerate(ImaginedTrader(seed, last_day, days).fills(), start=1):
        writer.writerow(_row(number, fill))
    return text.getvalue().encode()


def _row(number: int, fill: DemoFill) -> tuple[object, ...]:
    market = fill.market
    commission, fees = market.costs(fill.quantity)
    return (
        fill.at.isoformat(sep=" "),
        market.symbol(fill.at.date()),
        "buy" if fill.buy else "sell",
        fill.quantity,
        market.tick * fill.ticks,
        commission,
        fees,
        market.multiplier,
        "USD",
        market.asset_class,
        "DEMO",
        f"D{number:06d}",
    )
