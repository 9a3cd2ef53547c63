"""The generic format, column mappings, and how a format is chosen."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.brokers.cases import NEW_YORK
from tradesense.brokers import mapping, registry
from tradesense.brokers.contract import Fill, NeedsInput, Options, Unreadable
from tradesense.brokers.documents import Document
from tradesense.brokers.reading import Reading
from tradesense.domain.executions import Side
from tradesense.domain.instruments import AssetClass, Right

Read = Callable[..., Reading]


@pytest.fixture
def document(tmp_path: Path) -> Callable[[str], Document]:
    def write(content: str) -> Document:
        path = tmp_path / "export.csv"
        path.write_text(content)
        return Document.open(path)

    return write


@pytest.fixture
def read(document: Callable[[str], Document]) -> Read:
    def reading(content: str, broker: str | None = None, options: Options = NEW_YORK) -> Reading:
        found, _ = registry.read_file(document(content), broker, options)
        list(found.fills())
        return found

    return reading


def fills(reading: Reading) -> list[Fill]:
    with reading:
        assert not reading.errors, reading.errors
        return [entry.fill for entry in reading.fills()]


HEADER = "datetime,symbol,side,quantity,price,asset_class,multiplier,currency\n"


@pytest.mark.parametrize(
    ("row", "asset_class", "root", "multiplier", "currency"),
    [
        ("AAPL,buy,1,1,,,", AssetClass.STOCK, "AAPL", "1", "USD"),
        ("aapl,buy,1,1,Stocks,,EUR", AssetClass.STOCK, "AAPL", "1", "EUR"),
        ("MNQM6,buy,1,1,,,", AssetClass.FUTURE, "MNQ", "2", "USD"),
        ("ES,buy,1,1,,,", AssetClass.STOCK, "ES", "1", "USD"),
        ("ES,buy,1,1,future,,", AssetClass.FUTURE, "ES", "50", "USD"),
        ("MNQM6,buy,1,1,future,3,", AssetClass.FUTURE, "MNQ", "3", "USD"),
        ("XYZM6,buy,1,1,FUT,25,EUR", AssetClass.FUTURE, "XYZ", "25", "EUR"),
        ("Weird future,buy,1,1,future,25,", AssetClass.FUTURE, "WEIRD FUTURE", "25", "USD"),
        ("SPY   260220C00600000,buy,1,1,,,", AssetClass.OPTION, "SPY", "100", "USD"),
        ("SPY 600 call,buy,1,1,option,,", AssetClass.OPTION, "SPY 600 CALL", "100", "USD"),
        ("SPY 600 call,buy,1,1,option,10,", AssetClass.OPTION, "SPY 600 CALL", "10", "USD"),
        ("EUR/USD,buy,1,1,,,", AssetClass.FOREX, "EURUSD", "1", "USD"),
        ("EURUSD,buy,1,1,fx,,", AssetClass.FOREX, "EURUSD", "1", "USD"),
        ("BTC-USD,buy,1,1,crypto,,", AssetClass.CRYPTO, "BTC", "1", "USD"),
        ("PEPE,buy,1,1,crypto,,USDT", AssetClass.CRYPTO, "PEPE", "1", "USDT"),
        ("US500,buy,1,1,cfd,,EUR", AssetClass.CFD, "US500", "1", "EUR"),
    ],
)
def test_a_symbol_is_taken_for_what_it_is_called(
    row: str, asset_class: AssetClass, root: str, multiplier: str, currency: str, read: Read
) -> None:
    (one,) = fills(read(f"{HEADER}2026-01-02 10:00:00,{row}\n"))
    instrument = one.instrument
    assert (instrument.asset_class, instrument.root) == (asset_class, root)
    assert (instrument.multiplier, instrument.currency) == (Decimal(multiplier), currency)


def test_the_persons_own_multipliers_come_first(read: Read) -> None:
    options = replace(NEW_YORK, multipliers={"MNQ": Decimal(7)})
    (one,) = fills(read(f"{HEADER}2026-01-02,MNQM6,buy,1,1,,,\n", options=options))
    assert one.instrument.multiplier == 7


@pytest.mark.parametrize(
    ("row", "column", "message"),
    [
        ("2026-01-02,,buy,1,1,,,", "symbol", "missing"),
        ("2026-01-02,A,hold,1,1,,,", "side", "'hold' is neither a purchase nor a sale"),
        ("2026-01-02,A,,1,1,,,", "side", "the side is missing"),
        ("2026-01-02,A,buy,0,1,,,", None, "must be above 0"),
        ("2026-01-02,A,buy,1,-1,,,", None, "must not be below 0"),
        ("2026-01-02,A,buy,1,1,house,,", "asset_class", "no class of assets"),
        ("2026-01-02,A,buy,1,1,,0,", "multiplier", "above 0"),
        ("2026-01-02,QQQQM6,buy,1,1,future,,", None, "no multiplier is known for the future 'QQQQ'"),
        ("2026-01-02,A,buy,1,1,,,X", None, "'X' is no currency"),
        ("2026-01-02,A,buy,1,1,,,a <b>", None, "'A <B>' is no currency"),
        (f"2026-01-02,{'A' * 201},buy,1,1,,,", None, "longer than 200 characters"),
        ("yesterday,A,buy,1,1,,,", "datetime", "not a date"),
        (",A,buy,1,1,,,", "datetime", "missing"),
    ],
)
def test_a_row_that_cannot_be_a_fill_has_failed_and_says_why(
    row: str, column: str | None, message: str, read: Read
) -> None:
    with read(HEADER + row + "\n") as reading:
        (error,) = reading.errors
    assert (error.line, error.column) == (2, column)
    assert message in error.message


@pytest.mark.parametrize("word", ["buy", "B", "BOT", "Bought", "buy to cover", "BUY_TO_OPEN", "Kauf", "achat"])
def test_words_for_a_purchase(word: str, read: Read) -> None:
    assert fills(read(f"{HEADER}2026-01-02,A,{word},1,1,,,\n"))[0].side is Side.BUY


@pytest.mark.parametrize("word", ["sell", "S", "SLD", "Sold", "Short", "SS", "Sell Short", "STO", "Verkauf", "vente"])
def test_words_for_a_sale(word: str, read: Read) -> None:
    assert fills(read(f"{HEADER}2026-01-02,A,{word},1,1,,,\n"))[0].side is Side.SELL


def test_an_option_has_its_parts(read: Read) -> None:
    (one,) = fills(read(f"{HEADER}2026-01-02,SPY   260220P00600500,sell,1,1,,,\n"))
    assert (one.instrument.strike, one.instrument.right) == (Decimal("600.5"), Right.PUT)


def test_a_broker_that_is_unknown_is_told_which_are_known(document: Callable[[str], Document]) -> None:
    with pytest.raises(registry.UnknownBroker, match="tradovate"):
        registry.read_file(document(HEADER), "nobody", NEW_YORK)


def test_a_broker_names_all_its_formats_and_a_format_one() -> None:
    assert {one.name for one in registry.find("tradovate")} == {"orders", "performance"}
    (one,) = registry.find("Tradovate/Orders")
    assert one.name == "orders"


def test_a_file_of_another_kind_than_the_broker_that_was_named_is_refused(
    document: Callable[[str], Document],
) -> None:
    with pytest.raises(Unreadable, match="none of tradovate/orders, tradovate/performance"):
        registry.read_file(document(HEADER + "2026-01-02,A,buy,1,1,,,\n"), "tradovate", NEW_YORK)


UNKNOWN = """My broker's report,,,,,,
,,,,,,
Trade Date,Exec Time,Ticker,Action,Shares,Fill Price,Comm.
2/3/2026,09:30:05,AAPL,Bought,10,201.50,1.00
2/13/2026,10:30:05,AAPL,Sold,10,203.50,1.00
"""


def test_an_unknown_file_is_asked_about_with_a_suggestion(document: Callable[[str], Document]) -> None:
    with pytest.raises(NeedsInput) as asked:
        registry.read_file(document(UNKNOWN), None, NEW_YORK)
    (question,) = asked.value.questions
    assert question.field == "mapping"
    assert question.options == ("Trade Date", "Exec Time", "Ticker", "Action", "Shares", "Fill Price", "Comm.")
    assert "price=Fill Price" in question.why


def test_a_suggestion_says_why(document: Callable[[str], Document]) -> None:
    found = mapping.suggest(document(UNKNOWN))
    assert {name: one.column for name, one in found.items()} == {
        "date": "Trade Date",
        "time": "Exec Time",
        "symbol": "Ticker",
        "side": "Action",
        "quantity": "Shares",
        "price": "Fill Price",
        "commission": "Comm.",
    }
    assert "'ticker'" in found["symbol"].why


def test_a_suggestion_looks_at_the_cells_and_not_at_names_alone(document: Callable[[str], Document]) -> None:
    found = mapping.suggest(document("Time,Price,Symbol,Type,Side\n2026-01-02 10:00:00,12.5,A,Limit,buy\n"))
    assert found["datetime"].column == "Time"
    assert found["side"].column == "Side"


def test_a_mapping_reads_any_table(read: Read, document: Callable[[str], Document]) -> None:
    suggested = {name: one.column for name, one in mapping.suggest(document(UNKNOWN)).items()}
    bought, sold = fills(read(UNKNOWN, options=replace(NEW_YORK, mapping=suggested)))
    assert (bought.side, bought.quantity, bought.commission) == (Side.BUY, Decimal(10), Decimal(1))
    assert (sold.side, str(sold.at)) == (Side.SELL, "2026-02-13 15:30:05+00:00")


def test_a_mapping_without_a_side_takes_the_sign_of_the_quantity(read: Read) -> None:
    content = "when;what;how many;for\n02.01.2026 10:00;SAP;-1.000;101,50\n13.01.2026 10:00;SAP;1.000;101,25\n"
    chosen = {"datetime": "when", "symbol": "what", "quantity": "how many", "price": "for"}
    sold, bought = fills(read(content, options=replace(NEW_YORK, mapping=chosen, currency="EUR")))
    assert (sold.side, sold.quantity, sold.price) == (Side.SELL, Decimal(1000), Decimal("101.5"))
    assert (bought.side, bought.instrument.currency) == (Side.BUY, "EUR")


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"symbol": "Ticker"}, "lacks quantity, price, datetime"),
        ({"symbol": "a", "quantity": "b", "price": "c", "date": "d", "colour": "e"}, "does not exist: colour"),
        ({"symbol": "a", "quantity": "b", "price": "c", "date": "d"}, "lacks a column for"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused(chosen: dict[str, str], message: str, read: Read) -> None:
    with pytest.raises(Unreadable, match=message):
        read(UNKNOWN, options=replace(NEW_YORK, mapping=chosen))


TWICE = "datetime,symbol,side,quantity,price,{}\n2026-01-05 10:00:00,AAPL,buy,1,100,7\n"
BY_NAME = {"datetime": "datetime", "symbol": "symbol", "side": "side", "quantity": "quantity"}


@pytest.mark.parametrize("chosen", [None, {**BY_NAME, "price": "Price"}], ids=["generic", "mapped"])
def test_a_column_that_stands_twice_is_not_chosen_by_guessing(chosen: dict[str, str] | None, read: Read) -> None:
    with pytest.raises(Unreadable, match="the table has 2 columns called 'price': give another name"):
        read(TWICE.format("price"), options=replace(NEW_YORK, mapping=chosen))


def test_a_column_that_nothing_is_taken_from_may_stand_twice(read: Read) -> None:
    (fill,) = fills(read("datetime,symbol,side,quantity,price,note,note\n2026-01-05 10:00:00,AAPL,buy,1,100,a,b\n"))
    assert fill.price == 100


@pytest.mark.parametrize(("column", "price"), [("price", 100), ("Price ($)", 7)])
def test_a_mapping_takes_the_column_that_is_spelled_so(column: str, price: int, read: Read) -> None:
    options = replace(NEW_YORK, mapping={**BY_NAME, "price": column})
    (fill,) = fills(read(TWICE.format("Price ($)"), None, options))
    assert fill.price == price


def test_a_text_that_is_no_table_is_refused(document: Callable[[str], Document]) -> None:
    with pytest.raises(Unreadable, match="no table"):
        registry.read_file(document("Dear reader,\nthis is a letter.\n"), None, NEW_YORK)
    assert mapping.suggest(document("Dear reader,\nthis is a letter.\n")) == {}


def test_a_table_without_rows_is_read_as_empty(read: Read) -> None:
    with read(HEADER) as reading:
        assert (reading.rows, reading.executions) == (0, 0)
