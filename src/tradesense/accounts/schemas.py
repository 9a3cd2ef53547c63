"""What the accounts' endpoints take and give."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from tradesense.accounts.repository import Account
from tradesense.domain.matching import Method
from tradesense.http.types import Amount, Body, Currency, Edit, Line, Money, PositiveAmount, TimeZone, View

Name = Annotated[Line, StringConstraints(max_length=100), Field(examples=["Futures"])]
Broker = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$"), Field(examples=["tradovate"])]
"""A broker's slug, as imports name it."""
Root = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9./_-]{0,31}$")]
"""The root of a contract, or a symbol."""
Multipliers = Annotated[
    dict[Root, PositiveAmount],
    Field(
        max_length=200,
        description="Money per point of price and contract, by contract root, where it is not the usual one. It does "
        "not concern a stock that is called like a known future, nor options on what is none.",
        examples=[{"MNQ": "2"}],
    ),
]


def _not_negative(value: Decimal) -> Decimal:
    if value < 0:
        raise ValueError("a cost must not be negative")
    return value


Cost = Annotated[Amount, AfterValidator(_not_negative)]


class FeeProfile(Body):
    """What the broker takes for a fill; used for fills that a person enters without their costs."""

    per_fill: Cost = Field(default=Decimal(0), examples=["1.00"])
    per_unit: Cost = Field(default=Decimal(0), examples=["0.52"])


class NewAccount(Body):
    """An account to be; the currency is the user's unless given, and so is the time zone."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Futures", "currency": "USD", "starting_balance": "10000"}]}
    )

    name: Name
    broker: Broker | None = None
    currency: Currency | None = None
    starting_balance: Amount | None = Field(default=None, description="What was in it before the first trade.")
    timezone: TimeZone | None = Field(default=None, description="The zone of times in files that carry none.")
    method: Method = Method.FIFO
    fee_profile: FeeProfile | None = None
    multipliers: Multipliers = Field(default_factory=dict)

    def columns(self) -> dict[str, Any]:
        """The columns that it fills."""
        return _columns(self.model_dump(exclude={"currency"}))


class AccountEdit(Edit):
    """What is to change; what is left out stays, and null takes a value away where there may be none."""

    name: Name = Field(default="", validate_default=False)
    broker: Broker | None = None
    currency: Currency = Field(default="", validate_default=False)
    starting_balance: Amount | None = None
    timezone: TimeZone | None = None
    method: Method = Field(default=Method.FIFO, description="How exits take lots; a change matches all trades anew.")
    fee_profile: FeeProfile | None = None
    multipliers: Multipliers = Field(default_factory=dict)

    def columns(self) -> dict[str, Any]:
        """The columns that it changes."""
        return _columns(self.model_dump(exclude_unset=True))


def _columns(values: dict[str, Any]) -> dict[str, Any]:
    if "fee_profile" in values:
        values["fees"] = values.pop("fee_profile")
    return values


class AccountView(View):
    """An account."""

    id: UUID
    name: str = Field(examples=["Futures"])
    broker: str | None = Field(examples=["tradovate"])
    label: str | None = Field(description="The broker's own name for it, as its files carry it.", examples=["U1234567"])
    currency: str = Field(examples=["USD"])
    starting_balance: Money | None
    timezone: str | None = Field(examples=["America/Chicago"])
    method: Method
    fee_profile: FeeProfile | None
    multipliers: Mapping[str, Money]
    created_at: datetime

    @classmethod
    def of(cls, account: Account) -> "AccountView":
        """The view of an account."""
        return cls(
            id=account.id,
            name=account.name,
            broker=account.broker,
            label=account.label,
            currency=account.currency,
            starting_balance=account.starting_balance,
            timezone=account.timezone,
            method=account.method,
            fee_profile=None if account.fees is None else FeeProfile.model_validate(account.fees),
            multipliers=account.multipliers,
            created_at=account.created_at,
        )
