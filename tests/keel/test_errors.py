from datetime import timedelta

from keel.errors import Conflict, Invalid, Refusal


class TeapotIsEmpty(Conflict):
    """It is."""


class Named(Conflict):
    """It has a code of its own."""

    code = "other"


def test_a_refusal_is_named_by_its_class_unless_it_says_otherwise() -> None:
    assert (Refusal.code, Conflict.code, TeapotIsEmpty.code, Named.code) == (
        "refusal",
        "conflict",
        "teapot_is_empty",
        "other",
    )


def test_a_refusal_carries_its_data() -> None:
    refusal = TeapotIsEmpty("No tea.", retry_after=timedelta(seconds=3))
    assert (str(refusal), refusal.detail, refusal.retry_after) == ("No tea.", "No tea.", timedelta(seconds=3))
    assert Invalid("Too hot.", loc=("body", "heat")).loc == ("body", "heat")
