"""Classes that the tests of codecs write and read: found again by name, since they stand at the top of a module."""

from dataclasses import InitVar, dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum, Flag, IntEnum, StrEnum, auto
from typing import Any, Generic, NamedTuple, TypedDict, TypeVar
from uuid import UUID

import msgspec
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, computed_field

Item = TypeVar("Item")


class Side(Enum):
    BUY = "buy"
    SELL = "sell"


class Shape(Enum):
    POINT = (0, 0)
    LINE = (0, 1)


class Currency(StrEnum):
    USD = "USD"
    EUR = "EUR"


class Rating(IntEnum):
    POOR = 1
    GOOD = 2


class Mark(Flag):
    PLANNED = auto()
    REVIEWED = auto()


class Point(NamedTuple):
    x: int
    label: str = ""


class Quote(TypedDict, total=False):
    symbol: str
    price: Decimal


@dataclass
class Trade:
    id: UUID
    side: Side
    price: Decimal
    at: datetime
    legs: list[Point] = field(default_factory=list)
    parent: "Trade | None" = None


@dataclass(frozen=True, slots=True)
class Lot:
    quantity: int
    price: Decimal


@dataclass(frozen=True, slots=True)
class TaxLot(Lot):
    wash: bool = False


@dataclass
class Counted:
    """Its construction is not to be repeated."""

    given: InitVar[int]
    total: int = field(init=False, default=0)

    def __post_init__(self, given: int) -> None:
        self.total += given


@dataclass
class Mutable(dict[str, int]):
    """More than its fields."""

    name: str = ""


@dataclass
class Incomplete:
    later: int = field(init=False)


@dataclass
class Anything:
    value: Any


class Fill(msgspec.Struct, frozen=True):
    price: Decimal
    tags: frozenset[str] = frozenset()


class Slim(msgspec.Struct, array_like=True, omit_defaults=True):
    a: int
    b: int = 7


class Account(BaseModel):
    id: UUID
    balance: Decimal
    opened: date
    at: datetime | None = None
    hold: timedelta = timedelta(days=1)
    side: Side = Side.BUY
    pair: tuple[int, str] = (1, "a")
    tags: set[str] = Field(default_factory=set)
    children: list["Account"] = Field(default_factory=list)


class Aliased(BaseModel):
    model_config = ConfigDict(extra="forbid")

    net: Decimal = Field(alias="netAmount")
    hidden: str = Field(default="", exclude=True)
    note: str = Field(default="", validation_alias="n", serialization_alias="remark")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def double(self) -> Decimal:
        return self.net * 2


class Secretive(BaseModel):
    model_config = ConfigDict(extra="allow")

    open: int
    _hidden: int = PrivateAttr(default=0)


class Page(BaseModel, Generic[Item]):
    items: list[Item]


class Ordinary:
    """No data class at all."""
