"""The formats that are known, and what their brokers are called."""

from tradesense.brokers.registry import formats, title


def test_every_broker_has_a_name_that_people_know_it_by() -> None:
    brokers = {one.broker for one in formats()}
    assert {broker for broker in brokers if title(broker).replace(" ", "").casefold() != broker} == {
        "das",
        "etrade",
        "ibkr",
        "saxo",
        "schwab",
    }
    assert title("ibkr") == "Interactive Brokers"
