"""What a symbol names: a future, an option or a currency pair, in the spellings of brokers and platforms."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Final, NamedTuple

from tradesense.domain.instruments import AssetClass, Instrument, Right
from tradesense.domain.money import plain
from tradesense.domain.roots import CQG_ROOTS, ROOTS

EQUITY_OPTION_MULTIPLIER: Final = Decimal(100)

_MONTH_CODES: Final = "FGHJKMNQUVXZ"
_MONTH_NAMES: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_YEAR: Final = r"(?P<year>20\d\d|\d\d?)"

_WRAPPING: Final = re.compile(r"(?:[A-Z_]+:)?[/@]?(?P<name>[^:]+?)(?::X[A-Z]{3})?")
_CQG: Final = re.compile(r"(?:CON\.)?F\.US\.(?P<name>.+)")
_CODED: Final = re.compile(rf"(?P<root>[A-Z0-9]{{1,4}}?)[ .]?(?P<code>[{_MONTH_CODES}]){_YEAR}")
_NAMED: Final = re.compile(rf"(?P<root>[A-Z0-9]{{1,4}})[ -](?P<month>{'|'.join(_MONTH_NAMES)})[ -]?{_YEAR}")
_NUMBERED: Final = re.compile(r"(?P<root>[A-Z0-9]{1,4}) (?P<month>0[1-9]|1[0-2])-(?P<year>\d\d)")
_PLAIN: Final = re.compile(r"(?P<root>[A-Z0-9]{1,4})(?:\d!)?")

_ALIASES: Final = {"BRN": "B"}

_OCC: Final = re.compile(
    r"(?:O:|[.-])?(?P<root>[A-Z][A-Z0-9./]{0,5}?) *"
    r"(?P<expiry>\d{6})(?P<right>[CP])(?P<strike>\d{8}|\d{1,6}(?:\.\d{1,3})?)"
)
_INDEX_WEEKLIES: Final = {"SPXW": "SPX", "NDXP": "NDX", "RUTW": "RUT", "VIXW": "VIX", "XSPW": "XSP"}


class Contract(NamedTuple):
    """A futures contract: its root, and the first day of its month where the name gives one."""

    root: str
    expiry: date | None


def contract(symbol: str, on: date) -> Contract | None:
    """Read a contract's name, whether its root is known or not; None where it does not look like one.

    `MNQM6`, `MNQM26`, `MNQM2026`, `MNQ JUN26`, `MNQ 06-26`, `/MNQM26:XCME`, `@MNQM26`, `CME_MINI:MNQ1!`,
    `F.US.MNQM26`, `CON.F.US.MNQ.M26`, and a bare root. A year of one digit is the first from the year before `on`.
    """
    text = symbol.strip().upper()
    if cqg := _CQG.fullmatch(text):
        name, aliases = cqg["name"], CQG_ROOTS
    elif wrapped := _WRAPPING.fullmatch(text):
        name, aliases = wrapped["name"], _ALIASES
    else:
        return None
    read = Contract(name, None) if name in ROOTS or name in aliases else _read(name, on)
    return read and read._replace(root=aliases.get(read.root, read.root))


def future(symbol: str, on: date, overrides: Mapping[str, Decimal] | None = None) -> Instrument | None:
    """The future that a symbol names on a day, or None where it names none with a known multiplier.

    `overrides` are a person's own multipliers by root; they come before the table, and make other roots known (in
    US dollars). A bare root (`ES`, `CL`) is also a stock's ticker: ask only where a file is about futures.
    """
    named = contract(symbol, on)
    if named is None or (multiplier := multiplier_of(named.root, overrides)) is None:
        return None
    return Instrument(
        symbol=symbol.strip(),
        asset_class=AssetClass.FUTURE,
        currency=ROOTS[named.root][1] if named.root in ROOTS else "USD",
        root=named.root,
        multiplier=multiplier,
        expiry=named.expiry,
    )


def multiplier_of(root: str, overrides: Mapping[str, Decimal] | None = None) -> Decimal | None:
    """Money per point of a futures root, and so of the options on it; None where it is not known."""
    if overrides and root in overrides:
        return overrides[root]
    return ROOTS[root][0] if root in ROOTS else None


def unaffected(root: str) -> AssetClass:
    """The kind of instrument that a person's own multiplier for a root does not concern, though it bears the name.

    Of a root in the table that is a stock (`CL` is Colgate, too), of any other the options on it, which keep their 100.
    """
    return AssetClass.STOCK if root in ROOTS else AssetClass.OPTION


def overriding(asset_class: AssetClass, root: str, overrides: Mapping[str, Decimal]) -> Decimal | None:
    """A person's own multiplier for an instrument, or None where there is none that concerns it."""
    return None if asset_class == unaffected(root) else overrides.get(root)


def option(symbol: str) -> Instrument | None:
    """The equity or index option that an OCC symbol names, or None: `AAPL  240119C00150000`, `.AAPL240119C150`.

    Strikes of eight digits are in thousandths of a dollar (OCC, Options Symbology Initiative, 2010), others in dollars.
    """
    matched = _OCC.fullmatch(symbol.strip().upper())
    expiry = matched and _day(matched["expiry"])
    if not matched or not expiry:
        return None
    root, strike = matched["root"], Decimal(matched["strike"])
    thousandths = len(matched["strike"]) == len("00150000")
    return Instrument(
        symbol=symbol.strip(),
        asset_class=AssetClass.OPTION,
        currency="USD",
        root=root,
        multiplier=EQUITY_OPTION_MULTIPLIER,
        underlying=_INDEX_WEEKLIES.get(root, root),
        expiry=expiry,
        strike=plain(strike.scaleb(-3) if thousandths else strike),
        right=Right.CALL if matched["right"] == "C" else Right.PUT,
    )


_MAJORS: Final = frozenset({"AUD", "CAD", "CHF", "EUR", "GBP", "JPY", "NZD", "USD"})
_NORDIC_AND_EASTERN: Final = frozenset({"CZK", "DKK", "HUF", "ILS", "NOK", "PLN", "SEK", "TRY"})
_OTHERS: Final = frozenset({"BRL", "CNH", "CNY", "HKD", "INR", "KRW", "MXN", "SGD", "THB", "ZAR"})
_FIAT: Final = _MAJORS | _NORDIC_AND_EASTERN | _OTHERS
_STABLECOINS: Final = ("USDT", "USDC", "BUSD", "FDUSD", "TUSD")
_LARGE_COINS: Final = frozenset({"ADA", "AVAX", "BCH", "BNB", "BTC", "DOGE", "DOT", "ETH", "LTC", "SOL", "TRX", "XRP"})
_OTHER_COINS: Final = frozenset({"AAVE", "ALGO", "ATOM", "EOS", "ETC", "LINK", "MATIC", "SHIB", "UNI", "XLM", "XMR"})
_COINS: Final = _LARGE_COINS | _OTHER_COINS
_QUOTES: Final = frozenset({*_FIAT, *_STABLECOINS, "BTC", "ETH", "BNB", "DAI"})
_SEPARATED: Final = re.compile(r"(?P<base>[A-Z0-9]{2,10})[/_-](?P<quote>[A-Z]{3,5})")


def pair(symbol: str) -> Instrument | None:
    """The pair of currencies that a symbol surely names, or None: `EURUSD`, `EUR/USD`, `BTC-USD`, `BTCUSDT`.

    The instrument's currency is the second one. Its root is both (`EURUSD`) in foreign exchange, and the coin (`BTC`)
    for cryptocurrencies, so that `BTC-EUR` and `BTC` bought with euros are one.
    """
    text = symbol.strip().upper()
    base, quote = _halves(text)
    if base in _FIAT and quote in _FIAT and base != quote:
        return Instrument(symbol.strip(), AssetClass.FOREX, quote, base + quote)
    if base and quote and base != quote:
        return Instrument(symbol.strip(), AssetClass.CRYPTO, quote, base)
    return None


def _halves(text: str) -> tuple[str, str]:
    if separated := _SEPARATED.fullmatch(text):
        return (separated["base"], separated["quote"]) if separated["quote"] in _QUOTES else ("", "")
    for stablecoin in _STABLECOINS:
        base = text.removesuffix(stablecoin)
        if base != text and base.isalnum():
            return base, stablecoin
    base, quote = text[:-3], text[-3:]
    known = (base in _COINS and quote in _QUOTES) or (base in _FIAT and quote in _FIAT)
    return (base, quote) if known else ("", "")


def _read(name: str, on: date) -> Contract | None:
    if coded := _CODED.fullmatch(name):
        return Contract(coded["root"], date(_year(coded["year"], on), _MONTH_CODES.index(coded["code"]) + 1, 1))
    if named := _NAMED.fullmatch(name):
        return Contract(named["root"], date(_year(named["year"], on), _MONTH_NAMES.index(named["month"]) + 1, 1))
    if numbered := _NUMBERED.fullmatch(name):
        return Contract(numbered["root"], date(_year(numbered["year"], on), int(numbered["month"]), 1))
    plainly = _PLAIN.fullmatch(name)
    return Contract(plainly["root"], None) if plainly else None


def _year(digits: str, on: date) -> int:
    if len(digits) == 1:
        first = on.year - 1
        return first + (int(digits) - first) % 10
    return int(digits) if len(digits) == len("2026") else 2000 + int(digits)


def _day(digits: str) -> date | None:
    try:
        return datetime.strptime(digits, "%y%m%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return None
