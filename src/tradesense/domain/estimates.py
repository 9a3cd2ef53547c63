"""Estimates of money: what statistics give as floats, as the text in which the API carries money."""

from decimal import Decimal

from tradesense.domain import money


def estimate(value: float) -> str:
    """Twelve significant digits, which is more than an estimate is worth and less than a float's noise."""
    return money.text(Decimal(f"{value:.12g}"))


def estimates(percentiles: dict[int, float]) -> dict[str, str]:
    """The same of percentiles, under their names: `p5`, `p50`."""
    return {f"p{place}": estimate(value) for place, value in percentiles.items()}
