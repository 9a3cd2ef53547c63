"""Lists by the page: keyset cursors that know which list they belong to."""

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Final, Generic, TypeVar, cast
from uuid import UUID

from fastapi import Depends, Query
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from keel.errors import Malformed
from tradesense.domain import money
from tradesense.http.types import EARLIEST, INT64_MAX, LATEST

T = TypeVar("T")
V = TypeVar("V")

PAGE_SIZE: Final = 50
LARGEST_PAGE: Final = 500
_LONGEST_CURSOR: Final = 1024
_HASH_BYTES: Final = 9


class CursorMalformed(Malformed):
    """The cursor is none that this API gave."""

    def __init__(self) -> None:
        super().__init__("The cursor is none that this API gave; start again without one.")


class CursorMismatch(Malformed):
    """The cursor belongs to a list with another filter or order."""

    def __init__(self) -> None:
        super().__init__("The cursor belongs to a list with another filter or order; start again without one.")


class Page(BaseModel, Generic[T]):
    """A part of a list."""

    items: list[T]
    next: str | None = Field(description="The cursor of the next page; null on the last one.")


@dataclass(frozen=True, slots=True)
class After(Generic[V]):
    """Where a page starts: after the row with this sort value and this id."""

    value: V
    id: UUID


@dataclass(frozen=True, slots=True)
class Paging:
    """How long a page the client wants, and after which cursor."""

    limit: int
    cursor: str | None

    def after(self, kind: type[V], selection: object) -> After[V] | None:
        """Where to start in the list of `selection` (filters and order, anything that JSON or `str` can tell apart).

        `kind` is the type of the sort value: int, str, datetime, Decimal. Raises `CursorMalformed`, `CursorMismatch`.
        """
        return None if self.cursor is None else _decode(self.cursor, kind, selection)

    def page(self, rows: Sequence[T], key: Callable[[T], tuple[Any, UUID]], selection: object) -> Page[T]:
        """A page of rows of which the query fetched `limit + 1`; `key` gives a row's sort value and id."""
        items = list(rows[: self.limit])
        more = len(rows) > self.limit
        return Page[T].model_construct(items=items, next=_encode(*key(items[-1]), selection) if more else None)


async def _paging(
    limit: Annotated[int, Query(description="How many items at most.", ge=1, le=LARGEST_PAGE)] = PAGE_SIZE,
    cursor: Annotated[
        str | None,
        Query(
            description="`next` of the page before.",
            min_length=1,
            max_length=_LONGEST_CURSOR,
            pattern=r"^[A-Za-z0-9_-]+$",
        ),
    ] = None,
) -> Paging:
    return Paging(limit, cursor)


Paged = Annotated[Paging, Depends(_paging)]
"""The parameter of every list that may be long."""


def _mark(selection: object) -> str:
    text = json.dumps(selection, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=_HASH_BYTES).hexdigest()


def _encode(value: object, row: UUID, selection: object) -> str:
    content = json.dumps([_mark(selection), value, row.hex], default=str, separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def _decode(cursor: str, kind: type[V], selection: object) -> After[V]:
    try:
        content = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        mark, value, row = _adapter(cast("Hashable", kind)).validate_json(content)
    except (binascii.Error, ValidationError) as error:
        raise CursorMalformed from error
    if mark != _mark(selection):
        raise CursorMismatch
    if not _fits_a_column(value):
        raise CursorMalformed
    return After(value, row)


@cache
def _adapter(kind: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(tuple[str, kind, UUID])  # type: ignore[valid-type]


def _fits_a_column(value: object) -> bool:
    """Whether a database takes the value: a cursor that somebody made up must not be an error of ours."""
    if isinstance(value, int):
        return abs(value) <= INT64_MAX
    if isinstance(value, str):
        return "\0" not in value
    if isinstance(value, datetime):
        return value.tzinfo is not None and EARLIEST <= value < LATEST
    if isinstance(value, Decimal):
        return abs(value) <= money.MAX_MAGNITUDE**3
    return not isinstance(value, float) or math.isfinite(value)
