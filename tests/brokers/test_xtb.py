"""XTB's cash operations."""

from decimal import Decimal
from pathlib import Path

from tests.brokers.uploads import Upload, detected, upload
from tradesense.brokers.contract import Failed, Identity
from tradesense.domain.executions import Side

NAME = "xtb/cash-operations"


def operations(*lines: str, currency: str | None = None) -> Upload:
    return upload(NAME, "ID;Type;Time;Symbol;Comment;Amount\n" + "\n".join(lines) + "\n", currency=currency)


def test_the_sample_is_read_but_for_a_row_with_a_broken_date(broker_samples: Path) -> None:
    found = upload(NAME, broker_samples / "xtb" / "cash-operations.csv")
    assert (found.rows, found.imported) == (46, 17)
    assert found.errors == [Failed(43, "Time", "'010.09.2024 20:49:02' is not a date")]
    assert found.ignored == {
        "deposit": 6,
        "withdrawal": 1,
        "interest": 3,
        "tax": 6,
        "dividend": 7,
        "other": 4,
        "no amount": 1,
    }
    assert len({entry.identity for entry in found.entries}) == 14
    assert found.moved() == {
        ("deposit", "EUR"): 3700,
        ("withdrawal", "EUR"): Decimal("-856.47"),
        ("interest", "EUR"): Decimal("15.77"),
        ("tax", "EUR"): Decimal("-8.01"),
        ("dividend", "EUR"): Decimal("25.48"),
        ("other", "EUR"): Decimal("21.80"),
    }
    assert detected(broker_samples / "xtb" / "cash-operations.csv") == NAME


def test_the_samples_trades_make_their_amounts(broker_samples: Path) -> None:
    found = upload(NAME, broker_samples / "xtb" / "cash-operations.csv")
    assert {(fill.instrument.symbol, fill.instrument.currency) for fill in found.fills} == {
        ("SPYL.DE", "EUR"),
        ("ZAL.DE", "EUR"),
        ("GOOGL.US", "USD"),
        ("FLOA.UK", "EUR"),
        ("CSPX.UK", "EUR"),
    }
    bought, sold = (fill for fill in found.fills if fill.instrument.symbol == "GOOGL.US")
    assert (bought.side, sold.side) == (Side.BUY, Side.SELL)
    assert bought.fx_to_account == Decimal("0.909350989047")
    spyl = [fill for fill in found.fills if fill.instrument.symbol == "SPYL.DE"]
    assert sum(fill.quantity for fill in spyl) == Decimal("214.5658")


def test_a_partial_fill_counts_with_its_own_part_under_its_own_id() -> None:
    bought = operations("77;Stocks/ETF purchase;04.03.2026 10:00:01;BETA.DE;OPEN BUY 4.5/10 @ 12.1020;-54.46").fill
    assert (bought.quantity, bought.price, bought.sequence) == (Decimal("4.5"), Decimal("12.1020"), 77)
    assert bought.identity == Identity("open", "77")


def test_opening_and_closing_tell_the_side() -> None:
    sides = [
        fill.side
        for fill in operations(
            "1;x;04.03.2026 10:00:01;B.DE;OPEN BUY 1 @ 2;-2",
            "2;x;04.03.2026 10:00:02;B.DE;CLOSE BUY 1 @ 2;2",
            "3;x;04.03.2026 10:00:03;B.DE;OPEN SELL 1 @ 2;2",
            "4;x;04.03.2026 10:00:04;B.DE;CLOSE SELL 1 @ 2;-2",
        ).fills
    ]
    assert sides == [Side.BUY, Side.SELL, Side.SELL, Side.BUY]


def test_the_accounts_currency_is_the_persons_answer_else_what_the_first_plain_trade_tells() -> None:
    line = "1;x;04.03.2026 10:00:01;B.DE;OPEN BUY 1 @ 2;-2"
    deposit = "2;Deposit;04.03.2026 10:00:01;;x;10"
    assert operations(line, deposit).cash[0].currency == "EUR"
    assert operations(line, deposit, currency="PLN").cash[0].currency == "PLN"
    assert operations(deposit).cash[0].currency == "USD"


def test_a_price_whose_currency_is_not_told_is_what_was_booked_per_share() -> None:
    found = operations("1;x;04.03.2026 10:00:01;VOD.UK;OPEN BUY 10 @ 71.50;-8.30", currency="EUR")
    assert (found.fill.price, found.fill.instrument.currency) == (Decimal("0.83"), "EUR")
    assert "booked per share" in found.warnings[0].message


def test_the_layout_with_a_preamble_and_a_total_is_read_too() -> None:
    text = (
        "Account number;12345678;;;;;;\nCash Operations;;;;;;;\nDate from (UTC);2006-01-01 00:00:00;;;;;;\n"
        "Type;Ticker;Instrument;Time;Amount;ID;Comment;Product\n"
        "Free funds interest tax;;;2026-03-02 10:00:00;-0,05;100002;Free-funds Interest Tax 2026-02;IKE\n"
        "Stock purchase;B.DE;Beta;2026-03-01 10:00:00;-616,32;100003;OPEN BUY 4 @ 154.0800;IKE\n"
        "IKE cash transfer in;;;2026-02-01 10:00:00;1.000,00;100009;IKE Cash transfer IN;IKE\n"
        "Total;;;;383,63;;;\n"
    )
    found = upload(NAME, text)
    assert found.traded() == {"EUR": Decimal("-616.32")}
    assert found.ignored == {"tax": 1, "deposit": 1, "subtotal": 1}
    assert found.moved()["deposit", "EUR"] == 1000


def test_a_row_that_cannot_be_read_does_not_hide_the_accounts_currency() -> None:
    found = operations(
        "1;x;04.03.2026 10:00:01;B.DE;OPEN BUY 1 @ 2;abc",
        "2;x;04.03.2026 10:00:02;B.DE;OPEN BUY 1 @ 2;-2",
        "3;Swap;04.03.2026 10:00:02;;x;-1",
    )
    assert found.errors[0].column == "Amount"
    assert found.moved() == {("fee", "EUR"): -1}
