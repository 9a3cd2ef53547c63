"""Binance's trade histories."""

from decimal import Decimal

import pytest

from tests.brokers.uploads import Upload, detected, these, upload
from tradesense.brokers.contract import Stated
from tradesense.domain.executions import Side
from tradesense.domain.instruments import AssetClass
from tradesense.domain.money import exact

SPOT = "Date(UTC),Pair,Side,Price,Executed,Amount,Fee\n"
OLDER = "Date(UTC),Market,Type,Price,Amount,Total,Fee,Fee Coin\n"
FUTURES = "Date(UTC),Symbol,Side,Price,Quantity,Amount,Fee,Fee Coin,Realized Profit,Quote Asset\n"
AT = "2026-03-02 08:00:00"


def spot(*lines: str, header: str = SPOT) -> Upload:
    text = header + "".join(f"{AT},{line}\n" for line in lines)
    assert detected(text) == "binance/spot"
    return upload("binance/spot", text, timezone="Asia/Tokyo")


def futures(*lines: str) -> Upload:
    text = FUTURES + "".join(f"{AT},{line}\n" for line in lines)
    assert detected(text) == "binance/futures"
    return upload("binance/futures", text)


def test_times_are_utc_whatever_the_persons_zone_is() -> None:
    bought = spot("BTCUSDT,BUY,60000,0.02BTC,1200USDT,1.2USDT").fill
    assert str(bought.at) == "2026-03-02 08:00:00+00:00"


def test_a_fee_in_the_quote_coin_is_the_trades() -> None:
    sold = spot('BTCUSDT,SELL,60000,0.02BTC,"1,200.00USDT",1.2USDT').fill
    assert (sold.side, sold.quantity, sold.commission) == (Side.SELL, Decimal("0.02"), Decimal("1.2"))
    assert (sold.instrument.symbol, sold.instrument.currency) == ("BTC", "USDT")
    assert sold.instrument.asset_class is AssetClass.CRYPTO


def test_a_fee_in_the_coin_itself_leaves_coins_and_money_right() -> None:
    bought, sold = spot(
        "BTCUSDT,BUY,60000,0.02BTC,1200USDT,0.00002BTC", "BTCUSDT,SELL,60000,0.02BTC,1200USDT,0.00002BTC"
    ).fills
    with exact():
        assert bought.quantity == Decimal("0.02") - Decimal("0.00002")
        assert bought.quantity * bought.price + bought.commission == 1200
        assert sold.quantity == Decimal("0.02") + Decimal("0.00002")
        assert sold.quantity * sold.price - sold.commission == 1200


def test_a_fee_in_a_third_coin_is_not_added_up() -> None:
    found = spot("BTCUSDT,BUY,60000,0.02BTC,1200USDT,0.00105BNB")
    assert these(found.fill.commission, found.fill.quantity) == (0, Decimal("0.02"))
    assert found.moved() == {("fee", "BNB"): Decimal("-0.00105")}
    assert (found.rows, found.ignored) == (1, {})


@pytest.mark.parametrize(
    ("line", "base", "quote", "quantity"),
    [
        ("1INCHUSDT,BUY,0.5,10.51INCH,5.25USDT,0.0051INCH", "1INCH", "USDT", "10.495"),
        ("ETH/BTC,BUY,0.04,1.5,0.06,0", "ETH", "BTC", "1.5"),
        ("ETHBTC,BUY,0.04,1.5ETH,0.06BTC,0.0001BNB", "ETH", "BTC", "1.5"),
        ("NEWCOINFDUSD,BUY,0.04,1.5,0.06,-", "NEWCOIN", "FDUSD", "1.5"),
        ("ASTBTC,SELL,0.00001426,263AST,0.00375038BTC,0.00000375BTC", "AST", "BTC", "263"),
    ],
)
def test_the_two_coins_of_a_market_are_told_apart(line: str, base: str, quote: str, quantity: str) -> None:
    traded = spot(line).fill
    assert (traded.instrument.root, traded.instrument.currency, traded.quantity) == (base, quote, Decimal(quantity))


def test_the_older_layout_has_the_quantity_in_another_column() -> None:
    traded = spot("XLMETH,BUY,0.00012345,123,0.01518435,0.123,XLM", header=OLDER).fill
    assert (traded.quantity, traded.price) == (Decimal("122.877"), Decimal("0.00012345"))
    assert traded.commission == Decimal("0.123") * Decimal("0.00012345")


def test_a_market_of_unknown_coins_and_figures_that_are_none_fail() -> None:
    found = spot(
        "FOOBAR,BUY,1,1,1,0",
        "BTCUSDT,BUY,1,BTC,1USDT,0",
        "BTCUSDT,BUY,1,1.2.3BTC,1USDT,0",
        "BTCUSDT,BUY,1,1BTC,1USDT,free",
        "BTCUSDT,HOLD,1,1BTC,1USDT,0",
        "BTCUSDT,BUY,1,1BTC,1USDT,2BTC",
    )
    assert [error.column for error in found.errors] == ["Pair", "Executed", "Executed", "Fee", "Side", None]


def test_fills_of_one_moment_that_look_alike_stay_two() -> None:
    line = "BTCUSDT,BUY,60000,0.02BTC,1200USDT,1.2USDT"
    assert len({entry.identity for entry in spot(line, line).entries}) == 2


def test_futures_settle_in_their_quote_coin() -> None:
    opened, closed = futures(
        "BTCUSDT,BUY,60000,0.01,600,0.24,USDT,0,USDT", "BTCUSDT,SELL,61000,0.01,610,-0.244,USDT,10,USDT"
    ).fills
    assert opened.instrument.asset_class is AssetClass.FUTURE
    assert these(opened.instrument.symbol, opened.instrument.currency, opened.instrument.multiplier) == (
        "BTCUSDT",
        "USDT",
        1,
    )
    assert (opened.commission, opened.stated) == (Decimal("0.24"), None)
    assert (closed.commission, closed.stated) == (Decimal("0.244"), Stated(Decimal(10), net=False))


def test_a_futures_fee_in_a_third_coin_stays_apart() -> None:
    found = futures("ETHUSDT,BUY,3000,0.5,1500,0.001,BNB,0,USDT")
    assert these(found.fill.commission, found.moved()) == (0, {("fee", "BNB"): Decimal("-0.001")})


def test_the_layout_without_the_fees_coin_is_read() -> None:
    text = f"Date(UTC),Symbol,Side,Price,Quantity,Amount,Fee,Realized Profit\n{AT},BTCUSDT,BUY,60000,0.01,600,0.24,0\n"
    assert upload("binance/futures", text).fill.commission == Decimal("0.24")


def test_coin_margined_contracts_fail() -> None:
    found = futures("BTCUSD_PERP,BUY,60000,1,0.01,0.00001,BTC,0,BTC")
    assert "coin-margined contracts are not read" in found.error
