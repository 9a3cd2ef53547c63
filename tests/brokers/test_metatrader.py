"""MetaTrader 4's and 5's reports."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.brokers.cases import FIXTURES, NEW_YORK
from tests.brokers.importing import read_path, read_text, trades
from tests.brokers.uploads import Upload, detected, upload
from tradesense.brokers.contract import Fill, Identity, Stated, Unreadable
from tradesense.brokers.formats import Context
from tradesense.brokers.metatrader import Ledger, Owner
from tradesense.brokers.tables import RowError
from tradesense.domain.executions import Side
from tradesense.domain.instruments import AssetClass
from tradesense.domain.money import ZERO

REPORT = "metatrader5/report"
HISTORY = "metatrader5/position-history"
STATEMENT = "metatrader4/statement"
_REPORT = (FIXTURES / "metatrader5.html").read_text()
_STATEMENT = (FIXTURES / "metatrader4.html").read_text()
_DEALS = (
    "Time,Deal,Symbol,Type,Direction,Volume,Price,Order,Commission,Fee,Swap,Profit,Balance,Comment\n"
    "2026.02.02 09:31:12,1,{},buy,in,1.00,1.2,1,-3.00,-0.50,0.00,0.00,0,\n"
)


def _deal(symbol: str, account: str = 'Account:,"5000001 (USD, Broker-Live)"\n') -> tuple[Fill, Upload]:
    found = upload(REPORT, account + _DEALS.format(symbol))
    return found.fill, found


def _without_deals() -> str:
    head, _, rest = _REPORT.partition('<tr align="center"><th colspan="14"><div><b>Deals</b>')
    _, title, tail = rest.partition('<tr align="center"><th colspan="14"><div><b>Open Positions</b>')
    return head + title + tail


class TestPositionHistory:
    def test_the_sample_is_read_whole(self, broker_samples: Path) -> None:
        path = broker_samples / "metatrader5" / "position-history.csv"
        found = upload(HISTORY, path)
        assert (found.rows, found.imported, found.ignored, found.errors, found.warnings) == (4, 4, {}, [], [])
        assert {fill.account for fill in found.fills} == {"7390495"}
        assert {(fill.instrument.root, fill.instrument.multiplier) for fill in found.fills} == {
            ("XAUUSD", Decimal(100))
        }
        assert [fill.stated for fill in found.fills] == [
            None,
            Stated(Decimal("-5.78"), net=False),
            None,
            Stated(Decimal("20.00"), net=False),
        ]
        assert str(found.fills[0].wall) == "2026-03-02 01:47:41"
        assert detected(path) == HISTORY
        with read_path(path) as reading:
            assert [trade.net for trade in trades(reading)["XAUUSD"]] == [Decimal("-7.75"), Decimal(20)]

    def test_a_contract_of_another_size_is_an_option(self, broker_samples: Path) -> None:
        options = replace(NEW_YORK, multipliers={"XAUUSD": Decimal(50)})
        with read_path(broker_samples / "metatrader5" / "position-history.csv", options=options) as reading:
            assert [trade.net for trade in trades(reading)["XAUUSD"]] == [Decimal("-3.875"), Decimal(10)]

    def test_legs_that_are_no_trades_are_ignored(self, tmp_path: Path) -> None:
        text = (FIXTURES / "metatrader5-positions.csv").read_text().replace("Trade Buy Out", "Balance")
        with read_text(tmp_path, HISTORY, text) as reading:
            assert (reading.executions, reading.ignored) == (3, {"balance": 1})


class TestReport:
    def test_deals_are_fills_and_everything_that_repeats_them_is_ignored(self) -> None:
        found = upload(REPORT, FIXTURES / "metatrader5.html")
        assert (found.rows, found.imported, found.errors) == (9, 3, [])
        assert found.ignored == {
            "deposit": 1,
            "position": 1,
            "order": 1,
            "total": 1,
            "open position": 1,
            "summary": 1,
        }
        opened, closed, pair = found.fills
        assert [fill.identity for fill in found.fills] == [Identity("deal", str(id_)) for id_ in (8001, 8002, 8003)]
        assert (opened.instrument.asset_class, opened.instrument.multiplier) == (AssetClass.FOREX, Decimal(100_000))
        assert (opened.commission, opened.fees, opened.stated) == (Decimal("3.50"), ZERO, None)
        assert (closed.fees, closed.stated) == (Decimal("1.20"), Stated(Decimal("500.00"), net=False))
        assert (pair.instrument.root, pair.instrument.currency) == ("USDJPY", "JPY")
        assert {fill.account for fill in found.fills} == {"5000001"}
        assert found.moved() == {("deposit", "USD"): Decimal("10000.00")}

    def test_costs_in_the_pairs_first_currency_are_converted_by_its_price(self) -> None:
        pair = upload(REPORT, FIXTURES / "metatrader5.html").fills[2]
        assert (pair.commission, pair.stated) == (Decimal("300.00000"), None)
        assert pair.fx_to_account == Decimal("0.006666666667")

    def test_costs_in_a_third_currency_are_a_fee_and_a_warning(self) -> None:
        fill, found = _deal("EURGBP")
        assert (fill.commission, fill.fx_to_account) == (ZERO, None)
        assert found.moved() == {("fee", "USD"): Decimal("-3.50")}
        assert "costs are in USD" in found.warnings[0].message

    def test_without_an_accounts_currency_costs_stay_with_the_trade(self) -> None:
        fill, found = _deal("EURGBP", account="")
        assert (fill.commission, fill.fx_to_account, fill.account) == (Decimal("3.50"), None, None)
        assert found.warnings == []

    def test_a_report_in_utf_16_reads_the_same(self, tmp_path: Path) -> None:
        path = tmp_path / "ReportHistory.html"
        path.write_bytes(_REPORT.encode("utf-16"))
        assert upload(REPORT, path).entries == upload(REPORT, FIXTURES / "metatrader5.html").entries
        assert detected(path) == REPORT

    def test_positions_count_where_there_are_no_deals(self, tmp_path: Path) -> None:
        with read_text(tmp_path, REPORT, _without_deals()) as reading:
            assert reading.ignored == {"order": 1, "open position": 1, "summary": 1}
            opening, closing = [entry.fill for entry in reading.fills()]
            (trade,) = trades(reading)["EURUSD"]
            assert reading.warnings == []
        assert (opening.identity, closing.identity) == (None, None)
        assert trade.net == Decimal("491.80")

    @pytest.mark.parametrize("kept", ["deals", "positions"])
    def test_headers_of_another_language_are_known_by_their_rows(self, kept: str, tmp_path: Path) -> None:
        text = _REPORT if kept == "deals" else _without_deals()
        english = ("Time", "Position", "Symbol", "Deal", "Volume", "Price", "Direction", "Profit", "Commission", "Swap")
        for name in english:
            text = text.replace(f"<b>{name}</b>", f"<b>{name[::-1]}</b>")
        text = text.replace("<b>Deals</b>", "<b>Сделки</b>").replace("<b>Positions</b>", "<b>Позиции</b>")
        with read_text(tmp_path, REPORT, text) as reading:
            found = [(entry.fill.side, entry.fill.price, entry.fill.commission) for entry in reading.fills()]
        own = upload(REPORT, FIXTURES / "metatrader5.html" if kept == "deals" else _without_deals())
        assert found == [(fill.side, fill.price, fill.commission) for fill in own.fills]

    def test_a_localised_report_from_before_fees(self) -> None:
        found = upload(
            REPORT,
            "Сделки,,,,,,,,,,,,\n"
            "Время,Сделка,Символ,Тип,Направление,Объем,Цена,Ордер,Комиссия,Своп,Прибыль,Баланс,Комментарий\n"
            "2019.02.02 09:31:12,1,EURUSD,buy,in,1.00,1.2,1,-3.00,-0.25,0.00,0,\n",
        )
        assert (found.fill.commission, found.fill.fees) == (Decimal("3.00"), Decimal("0.25"))

    def test_other_types_of_deals_are_cash_by_their_kind(self) -> None:
        row = "2026.02.02 09:31:12,{},,{},,,,,0,0,0,{},0,{}\n"
        text = _DEALS.format("EURUSD") + "".join(
            row.format(id_, *told)
            for id_, told in enumerate(
                [
                    ("balance", "-50.00", "Withdrawal"),
                    ("commission daily", "-1.00", ""),
                    ("interest", "0.25", ""),
                    ("dividend", "2.00", ""),
                    ("tax", "-0.10", ""),
                    ("credit", "5.00", "Bonus"),
                    ("buy canceled", "0", ""),
                ],
                start=2,
            )
        )
        found = upload(REPORT, text + "2026.02.02 09:31:12,9,EURUSD,,in,1,1.2,1,0,0,0,0,0,\n")
        assert {kind: amount for (kind, _), amount in found.moved().items()} == {
            "withdrawal": Decimal(-50),
            "fee": Decimal(-1),
            "interest": Decimal("0.25"),
            "dividend": Decimal(2),
            "tax": Decimal("-0.10"),
            "other": Decimal(5),
        }
        assert found.ignored["cancelled"] == 1
        assert found.error == "the type is missing"

    def test_positions_of_no_trade_are_ignored_and_totals_too(self) -> None:
        header = "Time,Position,Symbol,Type,Volume,Price,S / L,T / P,Time,Price,Commission,Swap,Profit\n"
        row = "2026.02.02 09:31:12,{},EURUSD,{},1.00,1.2,,,2026.02.02 10:31:12,1.3,0,0,10000.00\n"
        text = header + row.format(1, "sell") + row.format(2, "credit") + ",,,,,,,,,,0.00,0.00,10.00\n"
        found = upload(REPORT, text)
        assert [fill.side for fill in found.fills] == [Side.SELL, Side.BUY]
        assert found.ignored == {"credit": 1, "total": 1}
        assert "10000" in found.warnings[0].message

    def test_a_report_of_orders_alone_says_what_to_export(self, tmp_path: Path) -> None:
        text = _DEALS.partition("\n")[0] + "\n"
        with (
            pytest.raises(Unreadable, match="neither positions nor deals"),
            read_text(tmp_path, REPORT, text),
        ):
            pass


class TestSymbols:
    @pytest.mark.parametrize(
        ("symbol", "root", "asset_class", "currency", "multiplier"),
        [
            ("EURUSD.a", "EURUSD", AssetClass.FOREX, "USD", 100_000),
            ("GBPJPYm", "GBPJPY", AssetClass.FOREX, "JPY", 100_000),
            ("#GOLD", "XAUUSD", AssetClass.CFD, "USD", 100),
            ("XAGUSD", "XAGUSD", AssetClass.CFD, "USD", 5000),
            ("XPTUSD.pro", "XPTUSD", AssetClass.CFD, "USD", 100),
            ("BTCUSD", "BTCUSD", AssetClass.CFD, "USD", 1),
            ("US30.cash", "US30", AssetClass.CFD, "CHF", 1),
            ("DE40", "DE40", AssetClass.CFD, "CHF", 25),
        ],
    )
    def test_lots_by_symbol(
        self, symbol: str, root: str, asset_class: AssetClass, currency: str, multiplier: int
    ) -> None:
        options = replace(NEW_YORK, multipliers={"DE40": Decimal(25)})
        instrument = Ledger(Context.of(options), Owner("1", "CHF")).instrument(symbol)
        assert (instrument.root, instrument.asset_class, instrument.currency) == (root, asset_class, currency)
        assert instrument.multiplier == multiplier

    def test_no_symbol_is_an_error(self) -> None:
        with pytest.raises(RowError, match="symbol"):
            Ledger(Context.of(NEW_YORK), Owner()).instrument(" ")

    def test_an_owner_is_told_in_several_ways(self) -> None:
        assert Owner().told("Account: 5000001 (USD, Broker-Live)") == Owner("5000001", "USD")
        assert Owner().told("A/C No: 5000002").told("Currency: EUR") == Owner("5000002", "EUR")
        assert Owner("1234", "USD").told("Account: 9999 (CHF)") == Owner("1234", "USD")


class TestStatement:
    def test_closed_transactions_are_round_trips_named_by_ticket_and_end(self) -> None:
        found = upload(STATEMENT, FIXTURES / "metatrader4.html")
        assert (found.rows, found.imported, found.errors, found.warnings) == (9, 2, [], [])
        assert found.ignored == {
            "deposit": 1,
            "remark": 1,
            "cancelled": 1,
            "total": 2,
            "open trade": 1,
            "summary": 1,
        }
        assert [fill.identity for fill in found.fills] == [
            Identity(end, ticket) for ticket in ("9001", "9003") for end in ("opened ticket", "closed ticket")
        ]
        assert [fill.account for fill in found.fills] == ["5000002"] * 4
        assert found.moved() == {("deposit", "USD"): Decimal("10000.00")}

    def test_its_results_are_those_it_states(self) -> None:
        with read_path(FIXTURES / "metatrader4.html") as reading:
            found = trades(reading)
            assert reading.warnings == []
        assert [trade.net for trade in found["XAUUSD"]] == [Decimal("101.50")]
        assert [trade.net for trade in found["EURUSD"]] == [Decimal("-205.90")]

    def test_another_result_than_its_prices_make_is_warned_of(self) -> None:
        found = upload(STATEMENT, _STATEMENT.replace(">102.50<", ">1025.00<"))
        assert "P&L of 1025.00" in found.warnings[0].message

    def test_a_history_as_csv_has_the_same_columns(self) -> None:
        found = upload(
            STATEMENT,
            "Ticket,Open Time,Type,Lots,Symbol,Open Price,S / L,T / P,Close Time,Price,Commission,Swap,Profit\n"
            "1,2026.02.02 09:31,buy,0.10,USDCHF,0.90,0,0,2026.02.02 10:00,0.91,-1.00,0,109.89\n"
            "2,2026.02.02 09:31,balance,,,,,,,,,,-5.00\n",
        )
        assert found.imported == 1
        assert found.costs() == {"CHF": Decimal("1.00")}
        assert found.moved() == {("withdrawal", "USD"): Decimal(-5)}

    def test_working_orders_are_ignored(self) -> None:
        found = upload(STATEMENT, _STATEMENT.replace("Open Trades:", "Working Orders:"))
        assert found.ignored["working order"] == 1

    def test_a_statement_without_closed_transactions_says_so(self) -> None:
        with pytest.raises(Unreadable, match="no closed transactions"):
            upload(STATEMENT, "Open Trades:\nTicket,Size\n1,2\n")
