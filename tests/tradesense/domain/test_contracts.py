from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradesense.domain.contracts import Contract, contract, future, multiplier_of, option, pair
from tradesense.domain.instruments import AssetClass, Right
from tradesense.domain.roots import CQG_ROOTS, ROOTS

JUNE_2026 = date(2026, 6, 10)


@pytest.mark.parametrize(
    "symbol",
    [
        "MNQM6",
        "MNQM26",
        "MNQM2026",
        "MNQ M6",
        "MNQ JUN26",
        "MNQ JUN 26",
        "MNQ Jun 2026",
        "mnq jun-26",
        "MNQ 06-26",
        "/MNQM26:XCME",
        "/MNQM6",
        "@MNQM26",
        "CME_MINI:MNQM2026",
        "F.US.MNQM26",
        "CON.F.US.MNQ.M26",
        " MNQM6 ",
    ],
)
def test_every_spelling_of_a_contract_is_the_same_instrument(symbol: str) -> None:
    instrument = future(symbol, JUNE_2026)
    plainest = future("MNQM6", JUNE_2026)
    assert instrument
    assert plainest
    assert instrument.key == plainest.key
    assert (instrument.root, instrument.expiry, instrument.multiplier) == ("MNQ", date(2026, 6, 1), Decimal(2))
    assert (instrument.asset_class, instrument.currency) == (AssetClass.FUTURE, "USD")
    assert instrument.symbol == symbol.strip()


@pytest.mark.parametrize("symbol", ["MNQ", "/MNQ", "@MNQ", "mnq", "CME_MINI:MNQ1!", "F.US.MNQ", "CON.F.US.MNQ"])
def test_a_bare_root_has_no_expiry(symbol: str) -> None:
    instrument = future(symbol, JUNE_2026)
    assert instrument
    assert (instrument.root, instrument.expiry) == ("MNQ", None)


@pytest.mark.parametrize(
    ("symbol", "root", "month"),
    [
        ("6EM6", "6E", 6),
        ("M6EM6", "M6E", 6),
        ("M2KU26", "M2K", 9),
        ("10YN26", "10Y", 7),
        ("SR3Z6", "SR3", 12),
        ("E7U6", "E7", 9),
        ("BZ6", "B", 12),
        ("BRNZ6", "B", 12),
        ("FDXM 06-26", "FDXM", 6),
        ("CON.F.US.EP.U26", "ES", 9),
        ("F.US.EU6M26", "6E", 6),
        ("CON.F.US.GMET.Q26", "MET", 8),
    ],
)
def test_roots_with_digits_and_other_names_are_told_from_months(symbol: str, root: str, month: int) -> None:
    assert contract(symbol, JUNE_2026) == Contract(root, date(2026, month, 1))


@pytest.mark.parametrize(("symbol", "root"), [("SR3", "SR3"), ("J7", "J7"), ("F.US.EU6", "6E"), ("F.US.MX6", "6M")])
def test_a_root_that_ends_in_a_digit_is_no_contract(symbol: str, root: str) -> None:
    assert contract(symbol, JUNE_2026) == Contract(root, None)


@pytest.mark.parametrize(
    ("symbol", "on", "year"),
    [
        ("ESM6", date(2026, 6, 10), 2026),
        ("ESZ5", date(2026, 1, 2), 2025),
        ("ESH6", date(2025, 12, 19), 2026),
        ("CLZ9", date(2026, 1, 2), 2029),
        ("ESH0", date(2019, 12, 1), 2020),
        ("ESU19", date(2026, 1, 2), 2019),
    ],
)
def test_a_year_of_one_digit_is_the_first_from_the_year_before(symbol: str, on: date, year: int) -> None:
    instrument = future(symbol, on)
    assert instrument
    assert instrument.expiry
    assert instrument.expiry.year == year


@pytest.mark.parametrize(
    "symbol", ["", ":", "AAPL", "XYZM6", "CL-26", "MNQ 13-26", "MNQA6", "MNQ JUN", "BRK.B", "EURUSD"]
)
def test_what_names_no_known_future_is_none(symbol: str) -> None:
    assert future(symbol, JUNE_2026) is None


def test_an_unknown_root_is_still_read() -> None:
    assert contract("XYZM6", JUNE_2026) == Contract("XYZ", date(2026, 6, 1))


def test_a_person_s_multiplier_comes_first_and_makes_a_root_known() -> None:
    overrides = {"ES": Decimal(51), "XYZ": Decimal(7)}
    mine, other = future("ESM6", JUNE_2026, overrides), future("XYZM6", JUNE_2026, overrides)
    assert mine
    assert other
    assert (mine.multiplier, other.multiplier, other.currency) == (Decimal(51), Decimal(7), "USD")
    assert multiplier_of("NQ", overrides) == multiplier_of("NQ") == Decimal(20)
    assert multiplier_of("XYZ") is None


@pytest.mark.parametrize(
    ("root", "multiplier", "currency"),
    [
        ("ES", "50", "USD"),
        ("MYM", "0.5", "USD"),
        ("CL", "1000", "USD"),
        ("6E", "125000", "USD"),
        ("6J", "12500000", "USD"),
        ("ZT", "2000", "USD"),
        ("ZC", "50", "USD"),
        ("SB", "1120", "USD"),
        ("FDAX", "25", "EUR"),
        ("FGBL", "1000", "EUR"),
        ("FSMI", "10", "CHF"),
    ],
)
def test_multipliers_are_those_of_the_exchanges(root: str, multiplier: str, currency: str) -> None:
    assert ROOTS[root] == (Decimal(multiplier), currency)


def test_a_micro_contract_is_a_tenth_of_its_big_sister() -> None:
    tenths = {"ES": "MES", "NQ": "MNQ", "YM": "MYM", "RTY": "M2K", "CL": "MCL", "GC": "MGC", "HG": "MHG", "NG": "MNG"}
    tenths |= {"6A": "M6A", "6B": "M6B", "6E": "M6E", "6J": "MJY", "6C": "MCD", "6S": "MSF", "VX": "VXM"}
    tenths |= {"ZC": "MZC", "ZS": "MZS", "ZW": "MZW", "ZL": "MZL", "ZM": "MZM", "TN": "MTN", "UB": "MWN"}
    assert all(ROOTS[big][0] == 10 * ROOTS[micro][0] for big, micro in tenths.items())


def test_other_names_lead_to_known_roots() -> None:
    assert set(CQG_ROOTS.values()) <= set(ROOTS)


@pytest.mark.parametrize(
    "symbol",
    [
        "AAPL  240119C00150000",
        "AAPL240119C00150000",
        "AAPL 240119C00150000",
        "AAPL240119C150",
        ".AAPL240119C150",
        "-AAPL240119C150",
        "O:AAPL240119C00150000",
        "aapl240119c150.00",
    ],
)
def test_every_spelling_of_an_option_is_the_same_instrument(symbol: str) -> None:
    instrument, plainest = option(symbol), option("AAPL  240119C00150000")
    assert instrument
    assert plainest
    assert instrument.key == plainest.key
    assert (instrument.expiry, instrument.strike, instrument.right) == (date(2024, 1, 19), Decimal(150), Right.CALL)
    assert (instrument.root, instrument.underlying, instrument.multiplier) == ("AAPL", "AAPL", Decimal(100))


@pytest.mark.parametrize(
    ("symbol", "root", "underlying", "strike"),
    [
        ("FB    180921P00200000", "FB", "FB", "200"),
        (".SPXW240119P4750.5", "SPXW", "SPX", "4750.5"),
        ("AAPL1 240119P00150500", "AAPL1", "AAPL1", "150.5"),
        ("BRK/B 240119P00350000", "BRK/B", "BRK/B", "350"),
    ],
)
def test_an_option_tells_its_underlying_and_strike(symbol: str, root: str, underlying: str, strike: str) -> None:
    instrument = option(symbol)
    assert instrument
    assert (instrument.root, instrument.underlying, instrument.strike) == (root, underlying, Decimal(strike))
    assert instrument.right is Right.PUT


@pytest.mark.parametrize("symbol", ["AAPL", "MNQM6", "AAPL 241319C150", "AAPL 240119X150", "240119C150", ""])
def test_what_names_no_option_is_none(symbol: str) -> None:
    assert option(symbol) is None


@pytest.mark.parametrize(
    ("symbol", "asset_class", "root", "currency"),
    [
        ("EURUSD", AssetClass.FOREX, "EURUSD", "USD"),
        ("EUR/USD", AssetClass.FOREX, "EURUSD", "USD"),
        ("usd_jpy", AssetClass.FOREX, "USDJPY", "JPY"),
        ("BTC-USD", AssetClass.CRYPTO, "BTC", "USD"),
        ("BTCEUR", AssetClass.CRYPTO, "BTC", "EUR"),
        ("BTCUSDT", AssetClass.CRYPTO, "BTC", "USDT"),
        ("1INCHUSDT", AssetClass.CRYPTO, "1INCH", "USDT"),
        ("ETHBTC", AssetClass.CRYPTO, "ETH", "BTC"),
        ("EUR-USDC", AssetClass.CRYPTO, "EUR", "USDC"),
    ],
)
def test_a_pair_is_recognised(symbol: str, asset_class: AssetClass, root: str, currency: str) -> None:
    instrument = pair(symbol)
    assert instrument
    assert (instrument.asset_class, instrument.root, instrument.currency) == (asset_class, root, currency)
    assert instrument.multiplier == 1


@pytest.mark.parametrize(
    "symbol", ["AAPL", "GOOGL", "BRK-B", "USDUSD", "USDT", "BTC", "XAUUSD", "BTC-BTC", "ABC-XYZ", ""]
)
def test_what_is_not_surely_a_pair_is_none(symbol: str) -> None:
    assert pair(symbol) is None


@given(st.text(max_size=24) | st.from_regex(r"[/@.A-Z0-9 :!-]{0,24}", fullmatch=True), st.dates(date(1990, 1, 1)))
def test_no_symbol_breaks_the_readers(symbol: str, on: date) -> None:
    for instrument in (future(symbol, on), option(symbol), pair(symbol)):
        assert instrument is None or instrument.key.root
