"""Revolut's exports of stocks and coins."""

from decimal import Decimal

from tests.brokers.uploads import Upload, detected, these, upload
from tradesense.brokers.contract import CashKind
from tradesense.domain.executions import ExecutionKind, Side

HEADER = "Date,Ticker,Type,Quantity,Price per share,Total Amount,Currency,FX Rate\n"
COINS = "Symbol,Type,Quantity,Price,Value,Fees,Date\n"


def stocks(*lines: str) -> Upload:
    """Rows of `ticker,type,quantity,price,total`, a day apart."""
    rows = "".join(f"2026-03-{day:02}T10:00:00.5Z,{line},USD,1.08\n" for day, line in enumerate(lines, start=1))
    assert detected(HEADER + rows) == "revolut/stocks"
    return upload("revolut/stocks", HEADER + rows)


def coins(*lines: str) -> Upload:
    assert detected(COINS + "\n".join(lines)) == "revolut/crypto"
    return upload("revolut/crypto", COINS + "\n".join(lines) + "\n")


def test_what_rounding_does_not_explain_is_a_cost() -> None:
    rounded, charged, short = stocks(
        "ALPH,BUY - MARKET,1.6345,$52.07,$85.11",
        "ALPH,SELL - LIMIT,1,$80.34,$80.32",
        'ALPH,BUY - STOP,"0,76672417",€26.09,€20',
    ).fills
    assert these(rounded.side, rounded.commission) == (Side.BUY, 0)
    assert (charged.side, charged.commission) == (Side.SELL, Decimal("0.02"))
    assert these(short.quantity, short.commission) == (Decimal("0.76672417"), 0)


def test_a_split_rests_on_what_the_file_bought_before() -> None:
    found = stocks(
        "ALPH,BUY - MARKET,5,$10,$50",
        "ALPH,SELL - MARKET,1,$10,$10",
        "ALPH,STOCK SPLIT,8,,$0",
        "ALPH,STOCK SPLIT,-9,,$0",
    )
    up, down = (fill for fill in found.fills if fill.kind is ExecutionKind.SPLIT)
    assert these(up.quantity, up.price, down.quantity, down.price) == (12, 4, 3, 12)
    assert found.warnings == []


def test_a_newest_first_file_is_summed_up_in_order_of_time() -> None:
    text = HEADER + (
        "2026-03-02T10:00:00Z,ALPH,STOCK SPLIT,5,,$0,USD,1\n2026-03-01T10:00:00Z,ALPH,BUY - MARKET,5,$10,$50,USD,1\n"
    )
    split, _ = upload("revolut/stocks", text).fills
    assert these(split.kind, split.quantity, split.price) == (ExecutionKind.SPLIT, 10, 5)


def test_a_split_of_units_that_the_file_does_not_have_brings_them_in() -> None:
    found = stocks("ALPH,STOCK SPLIT,8,,$0")
    assert these(found.fill.kind, found.fill.side, found.fill.price) == (ExecutionKind.TRANSFER, Side.BUY, 0)
    assert "come in at price 0" in found.warnings[0].message


def test_a_transfer_between_companies_moves_what_the_file_does_not_have_alone() -> None:
    words = "TRANSFER FROM REVOLUT TRADING LTD TO REVOLUT SECURITIES EUROPE UAB"
    found = stocks(f"BETA,{words},2,,$0", "ALPH,BUY - MARKET,5,$10,$50", f"ALPH,{words},5,,$0", f"ALPH,{words},7,,$0")
    assert [these(fill.instrument.symbol, fill.quantity) for fill in found.fills] == [
        ("BETA", 2),
        ("ALPH", 5),
        ("ALPH", 2),
    ]
    assert found.ignored == {"transfer between the broker's companies": 1}


def test_a_closed_position_goes_for_the_cash_that_it_left() -> None:
    sold = stocks("ALPH,BUY - MARKET,4,$10,$40", "ALPH,POSITION CLOSURE,,,$2").fills[1]
    assert these(sold.kind, sold.side, sold.quantity, sold.price) == (ExecutionKind.TRADE, Side.SELL, 4, Decimal("0.5"))
    assert stocks("ALPH,POSITION CLOSURE,,,$2").moved() == {("other", "USD"): 2}


def test_mergers_bring_units_in_and_take_them_out() -> None:
    out, into = stocks("ALPH,MERGER - STOCK,-4,,$0", "BETA,MERGER - STOCK,2,,$0").fills
    assert these(out.kind, out.side, out.quantity) == (ExecutionKind.TRANSFER, Side.SELL, 4)
    assert these(into.kind, into.side, into.quantity) == (ExecutionKind.TRANSFER, Side.BUY, 2)


def test_cash_is_told_apart_by_its_type() -> None:
    found = stocks(
        ",CASH TOP-UP,,,$5.22",
        ",CASH WITHDRAWAL,,,-$30.93",
        "MSFT,DIVIDEND,,,$0.08",
        "MSFT,DIVIDEND TAX (CORRECTION),,,-$0.01",
        ",CUSTODY FEE,,,-$0.01",
        ",TRANSFER FROM REVOLUT BANK UAB TO REVOLUT SECURITIES EUROPE UAB,,,-$0.01",
        ",CUSTODY FEE,,,$0",
    )
    assert [cash.kind for cash in found.cash] == [
        CashKind.DEPOSIT,
        CashKind.WITHDRAWAL,
        CashKind.DIVIDEND,
        CashKind.TAX,
        CashKind.FEE,
        CashKind.OTHER,
    ]
    assert found.ignored["no amount"] == 1


def test_an_unknown_type_and_a_number_that_is_none_fail() -> None:
    found = stocks("ALPH,SWAP,1,,$0", "ALPH,STOCK SPLIT,abc,,$0")
    assert [error.column for error in found.errors] == ["Type", "Quantity"]


def test_coins_are_traded_received_and_rewarded() -> None:
    found = coins(
        'BTC,Buy,0.5,"89,162.28 SEK","44,581.14 SEK",12.00 SEK,"May 5, 2026, 10:10:57 PM"',
        'BTC,Sell,0.25,"€35,761.54","€8,940.39",€0.24,"Jun 1, 2026, 6:18:21 PM"',
        'BTC,Receive,0.1,"€35,761.54","€3,576.15",€0.00,"Jun 2, 2026, 9:10:31 PM"',
        'BTC,Send,0.1,"€35,761.54","€3,576.15",€0.00,"Jun 3, 2026, 9:10:31 PM"',
        'ETH,Stake,0.1,"€2,315.93",€231.59,€0.00,"Jun 4, 2026, 9:10:31 PM"',
        'ETH,Staking reward,0.00002061,,,,"Jun 5, 2026, 12:23:31 AM"',
    )
    bought, sold, received, sent, reward = found.fills
    assert these(bought.instrument.currency, bought.price, bought.commission) == ("SEK", Decimal("89162.28"), 12)
    assert str(bought.at) == "2026-05-05 22:10:57+00:00"
    assert (sold.instrument.currency, sold.side, sold.commission) == ("EUR", Side.SELL, Decimal("0.24"))
    assert (received.kind, received.price) == (ExecutionKind.TRANSFER, Decimal("35761.54"))
    assert these(sent.kind, sent.side, sent.price) == (ExecutionKind.TRANSFER, Side.SELL, 0)
    assert these(reward.kind, reward.price, reward.instrument.currency) == (ExecutionKind.TRANSFER, 0, "USD")
    assert found.ignored == {"internal transfer": 1}
    assert found.warnings == []


def test_a_coins_value_that_its_price_does_not_make_is_warned_about_and_an_unknown_type_fails() -> None:
    found = coins(
        'BTC,Buy,0.5,€100,€70,€0,"May 5, 2026, 10:10:57 PM"', 'BTC,Burn,1,€1,€1,€0,"May 5, 2026, 10:10:57 PM"'
    )
    assert "is not quantity × price" in found.warnings[0].message
    assert found.errors[0].column == "Type"
