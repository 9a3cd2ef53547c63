"""Interactive Brokers' Flex queries, as XML and as CSV."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from tests.brokers.cases import FIXTURES
from tests.brokers.importing import costs, read_path, read_text, trades
from tradesense.brokers.contract import CashKind, Identity, Stated, Unreadable
from tradesense.brokers.reading import Reading
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import AssetClass

_XML = (FIXTURES / "ibkr-flex.xml").read_text()
_CSV = (FIXTURES / "ibkr-flex.csv").read_text()
_TRADE = (
    '<Trade accountId="U1" currency="USD" assetCategory="STK" symbol="ACME" tradeID="{id}" origTradeID="{original}" '
    'tradeDate="20250303" tradeTime="{time}" quantity="{quantity}" tradePrice="10" ibCommission="-1" '
    'ibCommissionCurrency="USD" buySell="{side}" transactionType="{type}" levelOfDetail="EXECUTION" />'
)


def _xml(tmp_path: Path, *changes: tuple[str, str]) -> Reading:
    text = _XML
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return read_text(tmp_path, "ibkr/flex-xml", text)


def _csv(tmp_path: Path, *changes: tuple[str, str]) -> Reading:
    text = _CSV
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return read_text(tmp_path, "ibkr/flex-csv", text)


def _statement(rows: str, container: str = "Trades") -> str:
    return (
        '<FlexQueryResponse queryName="q" type="AF"><FlexStatements count="1"><FlexStatement accountId="U1">'
        f"<{container}>{rows}</{container}></FlexStatement></FlexStatements></FlexQueryResponse>"
    )


def _trade(id_: str, time: str, quantity: str = "10", side: str = "BUY", type_: str = "ExchTrade", of: str = "") -> str:
    return _TRADE.format(id=id_, time=time, quantity=quantity, side=side, type=type_, original=of)


def _action(description: str, quantity: str, symbol: str, **more: str) -> str:
    told = {"proceeds": "0", "value": "0", "fifoPnlRealized": "0", "code": "", **more}
    attributes = " ".join(f'{name}="{value}"' for name, value in told.items())
    return (
        f'<CorporateAction accountId="U1" currency="USD" assetCategory="STK" symbol="{symbol}" isin="" '
        f'description="{description}" dateTime="20250401;202500" quantity="{quantity}" {attributes} />'
    )


def test_the_xml_sample_is_accounted_for_to_the_row(broker_samples: Path) -> None:
    with read_path(broker_samples / "ibkr" / "flex-statement.xml") as reading:
        assert (reading.broker, reading.format) == ("ibkr", "flex-xml")
        assert (reading.rows, reading.imported, reading.executions, reading.error_count) == (41, 16, 16, 0)
        assert reading.ignored == {
            "currency ledger": 15,
            "renamed": 2,
            "split counterpart": 1,
            "fee": 4,
            "interest": 2,
            "tax": 1,
        }
        assert reading.warnings == []
        assert costs(reading) == Decimal("137.0956")


def test_the_xml_samples_tender_keeps_its_cost_and_realises_what_the_broker_states(broker_samples: Path) -> None:
    with read_path(broker_samples / "ibkr" / "flex-statement.xml") as reading:
        (uranium,) = trades(reading)["UUU"]
        (stated,) = [entry.fill.stated for entry in reading.fills() if entry.fill.stated]
    assert uranium.open_quantity == 0
    assert uranium.net == Decimal(2358)
    assert stated == Stated(Decimal(2358), net=True)


def test_the_xml_samples_split_of_1_for_25_leaves_480_shares_at_their_cost(broker_samples: Path) -> None:
    with read_path(broker_samples / "ibkr" / "flex-statement.xml") as reading:
        (gold,) = trades(reading)["GCM"]
    assert gold.open_quantity == 480
    assert gold.open_value == Decimal(3240)


def test_the_csv_samples_rows_without_an_isin_are_conversions_with_a_commission_of_their_own(
    broker_samples: Path,
) -> None:
    with read_path(broker_samples / "ibkr" / "flex-trades.csv") as reading:
        assert (reading.broker, reading.format) == ("ibkr", "flex-csv")
        assert (reading.rows, reading.imported, reading.executions, reading.error_count) == (11, 8, 8, 0)
        assert reading.ignored == {"conversion": 3}
        moved = [(one.movement.kind, one.movement.amount, one.movement.currency) for one in reading.movements()]
        bought = sum(entry.fill.quantity for entry in reading.fills() if entry.fill.instrument.isin == "US9220427424")
        assert costs(reading) == Decimal("11.979")
    assert moved == [
        (CashKind.CONVERSION, Decimal("8938.4000"), "USD"),
        (CashKind.FEE, Decimal("-1.79924"), "CHF"),
        (CashKind.CONVERSION, Decimal("11085.78700"), "USD"),
        (CashKind.FEE, Decimal("-1.79802"), "CHF"),
        (CashKind.CONVERSION, Decimal("11560.0740"), "USD"),
        (CashKind.FEE, Decimal("-1.73416"), "CHF"),
    ]
    assert bought == 323


def test_a_fill_is_known_by_its_trade_and_never_by_its_order(tmp_path: Path) -> None:
    with _xml(tmp_path) as reading:
        assert [entry.fill.identity for entry in reading.fills()][:3] == [
            Identity("trade", "9001"),
            Identity("trade", "9002"),
            Identity("trade", "9003"),
        ]
    with _xml(tmp_path, ('tradeID="9001"', 'tradeID=""')) as reading:
        assert next(reading.fills()).fill.identity == Identity("exec", "0000e1.01")


def test_orders_are_fills_without_an_identity_where_the_report_has_nothing_finer(tmp_path: Path) -> None:
    orders = "\n".join(line for line in _XML.splitlines() if "EXECUTION" not in line)
    with read_text(tmp_path, "ibkr/flex-xml", orders) as reading:
        (order, _split) = list(reading.fills())
    assert order.fill.identity is None
    assert order.fill.quantity == 100


def test_a_commission_in_the_base_currency_is_converted_by_the_rows_rate(tmp_path: Path) -> None:
    with _xml(tmp_path) as reading:
        first = next(reading.fills()).fill
        assert (first.commission, first.fx_to_account) == (Decimal(1), Decimal("0.9"))
        assert reading.warnings == []


def test_a_commission_without_a_rate_is_a_fee_of_its_own_and_a_warning(tmp_path: Path) -> None:
    foreign = ('ibCommission="-0.9" ibCommissionCurrency="EUR"', 'ibCommission="-0.9" ibCommissionCurrency="GBP"')
    with _xml(tmp_path, foreign) as reading:
        first = next(reading.fills()).fill
        (warned,) = reading.warnings
        fees = [one.movement for one in reading.movements() if one.movement.currency == "GBP"]
    assert first.commission == 0
    assert "GBP" in warned.message
    assert "USD" in warned.message
    assert [(fee.kind, fee.amount) for fee in fees] == [(CashKind.FEE, Decimal("-0.9"))]


def test_a_pair_that_the_broker_keeps_as_a_position_is_traded(tmp_path: Path) -> None:
    opening = ('buySell="SELL" openCloseIndicator="" notes=""', 'buySell="SELL" openCloseIndicator="O" notes=""')
    with _xml(tmp_path, opening) as reading:
        pair = [entry.fill for entry in reading.fills() if entry.fill.instrument.asset_class is AssetClass.FOREX]
        assert "conversion" not in reading.ignored
    assert [(one.side, one.quantity, one.price, one.instrument.root) for one in pair] == [
        (Side.SELL, Decimal(1000), Decimal("1.1"), "EURUSD")
    ]


def test_an_option_that_expires_closes_at_nothing_with_what_the_file_states(tmp_path: Path) -> None:
    with _xml(tmp_path) as reading:
        expired = list(reading.fills())[2].fill
        (option,) = trades(reading)["ACME 2025-06-20 15 C"]
    assert expired.kind is ExecutionKind.EXPIRY
    assert expired.stated == Stated(Decimal("158.7"), net=True)
    assert (option.gross, option.costs, option.net) == (Decimal(160), Decimal("1.3"), Decimal("158.7"))


def test_codes_tell_assignments_and_exercises_apart(tmp_path: Path) -> None:
    for code, kind in (("A;C", ExecutionKind.ASSIGNMENT), ("C;Ex", ExecutionKind.EXERCISE), ("C", ExecutionKind.TRADE)):
        with _xml(tmp_path, ('notes="Ep"', f'notes="{code}"')) as reading:
            assert list(reading.fills())[2].fill.kind is kind


def test_an_exercise_that_is_settled_in_money_closes_at_what_was_paid(tmp_path: Path) -> None:
    expired = re.search(r"<Trade [^>]*notes=\"Ep\"[^>]*>", _XML)
    assert expired is not None
    settled = expired[0].replace('notes="Ep"', 'notes="C;Ex"').replace('tradePrice="0"', 'tradePrice="2.5"')
    with _xml(tmp_path, (expired[0], settled)) as reading:
        made = list(reading.fills())[2].fill
        (option,) = trades(reading)["ACME 2025-06-20 15 C"]
    assert (made.kind, made.price) == (ExecutionKind.TRADE, Decimal("2.5"))
    assert option.gross == Decimal(160) - Decimal(250) * made.quantity


def test_a_cancelled_trade_is_ignored_with_its_cancellation(tmp_path: Path) -> None:
    rows = (
        _trade("1", "093000") + _trade("2", "093100") + _trade("3", "094000", "-10", "SELL (Ca.)", "TradeCancel", "1")
    )
    with read_text(tmp_path, "ibkr/flex-xml", _statement(rows)) as reading:
        assert reading.ignored == {"cancelled": 2}
        assert [entry.fill.identity for entry in reading.fills()] == [Identity("trade", "2")]


def test_lots_and_summaries_are_ignored_by_their_names(tmp_path: Path) -> None:
    rows = _trade("1", "093000") + '<Lot accountId="U1" quantity="10" />' + '<SymbolSummary accountId="U1" />'
    with read_text(tmp_path, "ibkr/flex-xml", _statement(rows)) as reading:
        assert reading.ignored == {"closed lot": 1, "symbol summary": 1}


def test_money_that_the_multiplier_does_not_make_is_a_warning(tmp_path: Path) -> None:
    with _xml(tmp_path, ('multiplier="100" strike="15"', 'multiplier="10" strike="15"')) as reading:
        assert [warned.line for warned in reading.warnings] == [9]


def test_futures_and_options_on_them_take_the_files_multiplier(tmp_path: Path) -> None:
    future = _trade("1", "093000").replace('"STK" symbol="ACME"', '"FUT" multiplier="50" symbol="ESM5"')
    option = _trade("2", "093000").replace(
        '"STK" symbol="ACME"',
        '"FOP" multiplier="50" symbol="EW1M5 C6000" underlyingSymbol="ESM5" strike="6000" '
        'expiry="20250606" putCall="C"',
    )
    bond = _trade("3", "093000").replace('"STK" symbol="ACME"', '"BOND" multiplier="1" symbol="T 4 02/15/34"')
    with read_text(tmp_path, "ibkr/flex-xml", _statement(future)) as reading:
        (one,) = [entry.fill.instrument for entry in reading.fills()]
        assert (one.asset_class, one.root, one.multiplier) == (AssetClass.FUTURE, "ES", Decimal(50))
    with read_text(tmp_path, "ibkr/flex-xml", _statement(option)) as reading:
        (one,) = [entry.fill.instrument for entry in reading.fills()]
        assert (one.asset_class, one.root, one.multiplier) == (AssetClass.OPTION, "ESM5", Decimal(50))
    with read_text(tmp_path, "ibkr/flex-xml", _statement(bond)) as reading:
        (one,) = [entry.fill.instrument for entry in reading.fills()]
        assert one.multiplier == Decimal("0.01")
    with read_text(tmp_path, "ibkr/flex-xml", _statement(option.replace('multiplier="50" ', ""))) as reading:
        assert "multiplier" in reading.errors[0].message


@pytest.mark.parametrize(
    ("category", "asset_class", "root"),
    [("CFD", AssetClass.CFD, "IBUS500"), ("CRYPTO", AssetClass.CRYPTO, "BTC"), ("WAR", AssetClass.STOCK, "ACMEW")],
)
def test_other_categories_have_classes_of_their_own(
    tmp_path: Path, category: str, asset_class: AssetClass, root: str
) -> None:
    symbol = {"BTC": "BTC.USD"}.get(root, root)
    row = _trade("1", "093000").replace('"STK" symbol="ACME"', f'"{category}" symbol="{symbol}"')
    with read_text(tmp_path, "ibkr/flex-xml", _statement(row)) as reading:
        (one,) = [entry.fill.instrument for entry in reading.fills()]
    assert (one.asset_class, one.root) == (asset_class, root)


def test_what_cannot_be_told_fails_with_a_reason(tmp_path: Path) -> None:
    for change, word in (
        ('"XYZ" symbol="ACME"', "XYZ"),
        ('"STK" symbol=""', "neither a symbol nor an ISIN"),
        ('"OPT" symbol="WHAT"', "names no option"),
    ):
        row = _trade("1", "093000").replace('"STK" symbol="ACME"', change)
        with read_text(tmp_path, "ibkr/flex-xml", _statement(row)) as reading:
            assert word in reading.errors[0].message


def test_a_query_without_a_needed_field_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="quantity"):
        read_text(tmp_path, "ibkr/flex-xml", _statement(_trade("1", "093000").replace("quantity=", "other=")))
    with pytest.raises(Unreadable, match="outermost element"):
        read_text(tmp_path, "ibkr/flex-xml", "<other/>")


def test_cash_of_a_coarser_level_repeats_the_finer_one(tmp_path: Path) -> None:
    row = (
        '<CashTransaction accountId="U1" currency="USD" description="{what}" dateTime="20250415" amount="{amount}" '
        'type="{type}" levelOfDetail="{level}" />'
    )
    rows = (
        row.format(what="a", amount="5000", type="Deposits/Withdrawals", level="DETAIL")
        + row.format(what="b", amount="-20", type="Deposits/Withdrawals", level="DETAIL")
        + row.format(what="c", amount="0", type="Other Fees", level="DETAIL")
        + row.format(what="d", amount="1", type="Price Adjustments", level="DETAIL")
        + row.format(what="e", amount="4980", type="Deposits/Withdrawals", level="SUMMARY")
    )
    with read_text(tmp_path, "ibkr/flex-xml", _statement(rows, "CashTransactions")) as reading:
        assert reading.ignored == {"deposit": 1, "withdrawal": 1, "no amount": 1, "other": 1, "summary": 1}


def test_shares_for_shares_change_hands_at_the_value_that_the_file_gives(tmp_path: Path) -> None:
    merger = "OLD(US1) MERGED(Acquisition) WITH US2 1 FOR 4 ({0}, {0} CORP, US0)"
    rows = _action(merger.format("NEW"), "25", "NEW", value="500") + _action(
        merger.format("OLD"), "-100", "OLD", value="-505"
    )
    with read_text(tmp_path, "ibkr/flex-xml", _statement(rows, "CorporateActions")) as reading:
        made = [(e.fill.instrument.symbol, e.fill.side, e.fill.quantity, e.fill.price) for e in reading.fills()]
        assert reading.warning_count == 2
    assert made == [("NEW", Side.BUY, Decimal(25), Decimal(20)), ("OLD", Side.SELL, Decimal(100), Decimal("5.05"))]


def test_a_split_befalls_each_account(tmp_path: Path) -> None:
    row = _action("ACME(US1) SPLIT 2 FOR 1 (ACME, ACME CORP, US1)", "10", "ACME")
    rows = row + row.replace('"U1"', '"U2"')
    with read_text(tmp_path, "ibkr/flex-xml", _statement(rows, "CorporateActions")) as reading:
        made = [(entry.fill.account, entry.fill.kind) for entry in reading.fills()]
    assert made == [("U1", ExecutionKind.SPLIT), ("U2", ExecutionKind.SPLIT)]


def test_a_bond_is_paid_back_at_a_price_in_per_cent(tmp_path: Path) -> None:
    row = _action("T 2 05/15/25(US9) BOND MATURITY FOR USD 1.00 PER BOND (T, T 2, US9)", "-5000", "T", proceeds="5000")
    rows = row.replace('"STK"', '"BOND"')
    with read_text(tmp_path, "ibkr/flex-xml", _statement(rows, "CorporateActions")) as reading:
        (made,) = [entry.fill for entry in reading.fills()]
    assert (made.price, made.quantity * made.price * made.instrument.multiplier) == (Decimal(100), Decimal(5000))


def test_a_price_per_share_in_another_currency_than_the_rows_does_not_count(tmp_path: Path) -> None:
    row = _action(
        "ACME(US1) MERGED(Acquisition) FOR CAD 14.00 PER SHARE (ACME, ACME, US1)", "-20", "ACME", proceeds="200"
    )
    with read_text(tmp_path, "ibkr/flex-xml", _statement(row, "CorporateActions")) as reading:
        (made,) = [entry.fill for entry in reading.fills()]
    assert (made.price, made.instrument.currency) == (Decimal(10), "USD")


def test_a_spin_off_comes_in_at_no_cost_and_its_restatement_is_cancelled(tmp_path: Path) -> None:
    told = "OLD(US1) SPINOFF  1 FOR 10 (NEW, NEW CORP, US2)"
    rows = _action(told, "10", "NEW") + _action(told, "-10", "NEW", code="Ca") + _action(told, "10", "NEW")
    with read_text(tmp_path, "ibkr/flex-xml", _statement(rows, "CorporateActions")) as reading:
        (made,) = list(reading.fills())
        assert reading.ignored == {"cancelled": 2}
    assert (made.fill.kind, made.fill.quantity, made.fill.price) == (ExecutionKind.TRANSFER, Decimal(10), Decimal(0))


def test_an_action_that_moves_nothing_is_ignored(tmp_path: Path) -> None:
    rows = _action("ACME(US1) VOTED (ACME, ACME CORP, US1)", "0", "ACME") + _action("nonsense", "5", "")
    with read_text(tmp_path, "ibkr/flex-xml", _statement(rows, "CorporateActions")) as reading:
        assert reading.ignored == {"corporate action": 2}


def test_transfers_bring_shares_at_a_given_price_and_never_at_none(tmp_path: Path) -> None:
    row = (
        '<Transfer accountId="U1" currency="USD" assetCategory="{category}" symbol="ACME" dateTime="20250415" '
        'direction="{direction}" quantity="{quantity}" transferPrice="{price}" '
        'positionAmount="{value}" cashTransfer="{cash}" />'
    )

    def told(category: str, direction: str, quantity: str, price: str = "0", value: str = "0", cash: str = "0") -> str:
        return row.format(
            category=category, direction=direction, quantity=quantity, price=price, value=value, cash=cash
        )

    rows = (
        told("STK", "IN", "10", price="12.5")
        + told("STK", "IN", "10", value="130")
        + told("STK", "IN", "10")
        + told("STK", "OUT", "-5")
        + told("CASH", "IN", "0", cash="99")
        + told("CASH", "IN", "5")
    )
    with read_text(tmp_path, "ibkr/flex-xml", _statement(rows, "Transfers")) as reading:
        made = [(e.fill.kind, e.fill.side, e.fill.quantity, e.fill.price) for e in reading.fills()]
        assert reading.ignored == {"transfer in without a cost": 1, "deposit": 1, "transfer": 1}
        assert reading.warning_count == 1
    transfer = ExecutionKind.TRANSFER
    assert made == [
        (transfer, Side.BUY, Decimal(10), Decimal("12.5")),
        (transfer, Side.BUY, Decimal(10), Decimal(13)),
        (transfer, Side.SELL, Decimal(5), Decimal(0)),
    ]


def test_sections_of_a_csv_are_read_each_by_its_own_header(tmp_path: Path) -> None:
    cash_section = (
        '"ClientAccountID","CurrencyPrimary","Date/Time","Amount","Type","Description"\n'
        '"U7000001","USD","20250415","15","Dividends","ACME dividend"\n'
        '"ClientAccountID","CurrencyPrimary","Something"\n'
        '"U7000001","USD","else"\n'
    )
    with read_text(tmp_path, "ibkr/flex-csv", _CSV + cash_section) as reading:
        assert reading.ignored == {"order": 1, "conversion": 1, "dividend": 1, "other section": 1}
        assert reading.rows == 6


def test_section_codes_and_frames_of_a_csv_are_no_rows(tmp_path: Path) -> None:
    framed = [
        "BOF,U7000001,query,1,20250301,20250331",
        "BOS,TRNT,Trades",
        *(f"{'HEADER' if number == 0 else 'DATA'},TRNT,{line}" for number, line in enumerate(_CSV.splitlines())),
        "EOS,TRNT,4",
        "BOS,POST,Open Positions",
        "HEADER,POST,Quantity",
        "DATA,POST,100",
        "EOS,POST,1",
        "EOF,U7000001",
    ]
    with read_text(tmp_path, "ibkr/flex-csv", "\n".join(framed)) as reading:
        assert (reading.rows, reading.executions, reading.error_count) == (5, 2, 0)
        assert reading.ignored["other section"] == 1


def test_a_csv_without_trades_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="no trades"):
        read_text(tmp_path, "ibkr/flex-csv", "a,b\n1,2\n")


def test_a_date_order_that_the_report_does_not_tell_is_proven_by_any_of_its_dates(tmp_path: Path) -> None:
    american = [(f'"202503{day};', f'"03/{day}/2025;') for day in ("03", "10")]
    with _csv(tmp_path, *american, ('"03/10/2025;111500"', '"03/25/2025;111500"')) as reading:
        assert [str(entry.fill.at.date()) for entry in reading.fills()] == ["2025-03-03", "2025-03-25"]
