"""What a row trades: instruments by symbol, looked up once per reading."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Final

from tradesense.brokers.contract import Options
from tradesense.brokers.tables import RowError
from tradesense.domain import contracts
from tradesense.domain.instruments import AssetClass, Instrument, Right
from tradesense.domain.money import ONE, text

DEFAULT_CURRENCY: Final = "USD"
_CACHED: Final = 50_000
_MULTIPLIER_DIGITS: Final = 8


class Instruments:
    """Names instruments for one reading, and gives the same object for the same name."""

    def __init__(self, options: Options) -> None:
        self._multipliers = options.multipliers
        self.currency = options.currency or DEFAULT_CURRENCY
        self._known: dict[object, Instrument] = {}

    def future(self, symbol: str, on: date, *, currency: str | None = None, column: str | None = None) -> Instrument:
        """The future that a symbol names on a day. Raises `RowError` where its multiplier is not known."""
        return self._once(("future", symbol, on.year, currency), lambda: self._future(symbol, on, currency, column))

    def stock(self, symbol: str, currency: str | None = None, isin: str | None = None) -> Instrument:
        """A stock or a fund."""
        return self.plain(AssetClass.STOCK, symbol, currency, isin=isin)

    def plain(
        self,
        asset_class: AssetClass,
        symbol: str,
        currency: str | None = None,
        *,
        multiplier: Decimal = ONE,
        isin: str | None = None,
    ) -> Instrument:
        """An instrument that its symbol names: a stock, a CFD, a coin, a pair. The symbol is its root."""
        symbol, currency = symbol.upper(), (currency or self.currency).upper()
        key = ("plain", asset_class, symbol, currency, multiplier, isin)
        return self._once(key, lambda: Instrument(symbol, asset_class, currency, symbol, multiplier, isin=isin or None))

    def option(
        self,
        underlying: str,
        expiry: date,
        strike: Decimal,
        right: Right,
        *,
        currency: str | None = None,
        multiplier: Decimal = contracts.EQUITY_OPTION_MULTIPLIER,
    ) -> Instrument:
        """An option on a stock or an index, from its parts; its symbol is written as `SPY 2012-01-21 125 C`."""
        underlying, currency = underlying.upper(), (currency or self.currency).upper()
        symbol = f"{underlying} {expiry.isoformat()} {text(strike)} {'C' if right is Right.CALL else 'P'}"
        return self._once(
            ("option", symbol, currency, multiplier),
            lambda: Instrument(
                symbol, AssetClass.OPTION, currency, underlying, multiplier, underlying, expiry, strike, right
            ),
        )

    def named(
        self,
        symbol: str,
        on: date,
        currency: str | None = None,
        *,
        asset_class: AssetClass | None = None,
        multiplier: Decimal | None = None,
    ) -> Instrument:
        """What a symbol names on a day, with what else the file says of it.

        Where it gives no class: a dated future's, an option's or a pair's name is taken for what it is, and anything
        else for a stock. Raises `RowError` for a future whose multiplier is not known.
        """
        return self._once(
            ("named", symbol, on.year, currency, asset_class, multiplier),
            lambda: self._named(symbol, on, currency, asset_class, multiplier),
        )

    def _once(self, key: object, make: Callable[[], Instrument]) -> Instrument:
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _CACHED:
                self._known.clear()
            found = self._known[key] = bounded(make())
        return found

    def _future(self, symbol: str, on: date, currency: str | None, column: str | None) -> Instrument:
        found = contracts.future(symbol, on, self._multipliers)
        if found is None:
            named = contracts.contract(symbol, on)
            root = named.root if named else symbol
            raise RowError(f"no multiplier is known for the future {root!r}: give one for it", column)
        return _in_currency(found, currency)

    def _named(
        self,
        symbol: str,
        on: date,
        currency: str | None,
        asset_class: AssetClass | None,
        multiplier: Decimal | None,
    ) -> Instrument:
        match asset_class:
            case None:
                found = self._recognised(symbol, on) or self.stock(symbol, currency)
            case AssetClass.FUTURE if multiplier is not None:
                found = self._custom_future(symbol, on, multiplier)
            case AssetClass.FUTURE:
                found = self._future(symbol, on, currency, None)
            case AssetClass.OPTION:
                found = contracts.option(symbol) or self.plain(
                    AssetClass.OPTION, symbol, currency, multiplier=contracts.EQUITY_OPTION_MULTIPLIER
                )
            case AssetClass.FOREX | AssetClass.CRYPTO:
                paired = contracts.pair(symbol)
                same = paired is not None and paired.asset_class is asset_class
                found = paired if paired is not None and same else self.plain(asset_class, symbol, currency)
            case _:
                found = self.plain(asset_class, symbol, currency)
        found = _in_currency(found, currency)
        return found if multiplier is None else replace(found, multiplier=multiplier)

    def _recognised(self, symbol: str, on: date) -> Instrument | None:
        named = contracts.contract(symbol, on)
        dated = contracts.future(symbol, on, self._multipliers) if named and named.expiry else None
        return contracts.option(symbol) or dated or contracts.pair(symbol)

    def _custom_future(self, symbol: str, on: date, multiplier: Decimal) -> Instrument:
        named = contracts.contract(symbol, on)
        root, expiry = (named.root, named.expiry) if named else (symbol.upper(), None)
        known = contracts.future(symbol, on, self._multipliers)
        currency = known.currency if known else self.currency
        return Instrument(symbol.strip(), AssetClass.FUTURE, currency, root, multiplier, expiry=expiry)


def bounded(instrument: Instrument) -> Instrument:
    """The instrument. Raises `RowError` for a multiplier that is none, or too long for exact arithmetic."""
    _, digits, exponent = instrument.multiplier.normalize().as_tuple()
    if instrument.multiplier <= 0 or len(digits) + max(int(exponent), 0) > _MULTIPLIER_DIGITS:
        raise RowError(
            f"the multiplier of {instrument.symbol!r} is {instrument.multiplier:f}, and must be above 0 and of at most "
            f"{_MULTIPLIER_DIGITS} digits"
        )
    return instrument


def _in_currency(instrument: Instrument, currency: str | None) -> Instrument:
    if currency is None or currency.upper() == instrument.currency:
        return instrument
    return replace(instrument, currency=currency.upper())
