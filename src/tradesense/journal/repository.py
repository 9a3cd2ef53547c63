"""Annotations, tags, playbooks and days in SQL, each query scoped to its user.

An annotation hangs on an execution. The trade it speaks of is the one that holds that execution now: the last of the
book that begins at or before it. So it follows its execution through every rebuild, and a merge keeps both.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Row,
    ScalarSelect,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    delete,
    func,
    insert,
    literal,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import NullType

from keel.ids import uuid7
from tradesense.db.engine import ReadConnection, WriteConnection
from tradesense.db.generations import USER, visible
from tradesense.db.tables import (
    accounts,
    annotation_tags,
    annotations,
    executions,
    journal_entries,
    playbooks,
    tags,
    trades,
)
from tradesense.db.types import Identifier
from tradesense.domain.executions import ExecutionId
from tradesense.domain.trades import TradeId
from tradesense.http.authentication import UserId

TAG: Final = bindparam("tag", type_=Text)
_LABELS: Final = ("trade_id", "playbook", "initial_risk", "mistakes")
_BETWEEN_TAGS: Final = "\n"
"""No tag has a control character."""
_STREAMED_AT_ONCE: Final = 2_000
"""Rows that one callback of the event loop takes in, some 5 ms."""


class Annotation(NamedTuple):
    """What was written on one execution. `trade_id` is None where no trade holds it any more: an orphan."""

    execution_id: ExecutionId
    account_id: UUID
    trade_id: TradeId | None
    notes: str | None
    playbook_id: UUID | None
    playbook: str | None
    rating: int | None
    initial_risk: Decimal | None
    mistakes: tuple[str, ...]
    tags: tuple[str, ...]
    version: int
    updated_at: datetime


class Playbook(NamedTuple):
    """A named way of trading."""

    id: UUID
    name: str
    description: str
    rules: list[str]
    version: int
    created_at: datetime
    updated_at: datetime


class Tag(NamedTuple):
    """A label, and how many annotations bear it."""

    id: UUID
    name: str
    used: int


class Day(NamedTuple):
    """One day's entry."""

    date: date
    content: dict[str, Any]
    version: int
    updated_at: datetime


def holding_trade() -> ScalarSelect[UUID]:
    """The id of the trade that holds `executions`' row; joined to `accounts`, whose generation counts."""
    return (
        select(trades.c.id)
        .where(
            trades.c.book_id == executions.c.book_id,
            trades.c.first <= executions.c.order_key,
            trades.c.last >= executions.c.order_key,
            visible(trades),
        )
        .order_by(trades.c.first.desc())
        .limit(1)
        .correlate(executions, accounts)
        .scalar_subquery()
    )


def trades_tagged() -> Select[UUID]:
    """The ids of the trades of the user in `USER` that bear the tag in `TAG`."""
    return (
        select(holding_trade().label("id"))
        .select_from(annotation_tags)
        .join(tags, and_(tags.c.id == annotation_tags.c.tag_id, tags.c.user_id == USER, tags.c.name == TAG))
        .join(executions, executions.c.id == annotation_tags.c.execution_id)
        .join(accounts, and_(accounts.c.id == executions.c.account_id, accounts.c.user_id == USER))
        .where(visible(executions), executions.c.deleted_at.is_(None))
    )


async def annotations_of(
    connection: ReadConnection, user: UserId, wanted: Collection[TradeId] | None = None
) -> list[Annotation]:
    """The user's annotations, or those of some trades, in the order of their executions."""
    found = await connection.execute(_annotations(narrowed=wanted is not None), {"user": user, "wanted": wanted})
    return [_annotation(row) for row in found]


@cache
def _annotations(*, narrowed: bool) -> Select[Any]:
    """Annotations of the user in `USER`, or those of the trades in a parameter, `wanted`."""
    held = and_(executions.c.id == annotations.c.execution_id, visible(executions), executions.c.deleted_at.is_(None))
    found = (
        select(
            annotations, executions.c.order_key, playbooks.c.name.label("playbook"), holding_trade().label("trade_id")
        )
        .select_from(annotations)
        .join(accounts, and_(accounts.c.id == annotations.c.account_id, accounts.c.user_id == USER))
        .outerjoin(executions, held)
        .outerjoin(playbooks, playbooks.c.id == annotations.c.playbook_id)
        .where(annotations.c.user_id == USER, accounts.c.deleted_at.is_(None))
        .subquery()
    )
    names = (
        select(func.aggregate_strings(tags.c.name, _BETWEEN_TAGS))
        .join(annotation_tags, annotation_tags.c.tag_id == tags.c.id)
        .where(annotation_tags.c.execution_id == found.c.execution_id, tags.c.user_id == USER)
        .correlate(found)
        .scalar_subquery()
    )
    query = select(found, names.label("tags")).order_by(found.c.order_key, found.c.execution_id)
    return query.where(found.c.trade_id.in_(bindparam("wanted", expanding=True))) if narrowed else query


class LabelRows(NamedTuple):
    """What trades are labelled with, as the driver gives it: turning it is work for a thread.

    `annotations` have the trade's id, the playbook's name, the risk and the mistakes (as JSON text), in the order of
    their executions; `tags` a trade's id and a tag's name.
    """

    annotations: Sequence[Sequence[Any]]
    tags: Sequence[Sequence[Any]]


async def read_labels(connection: ReadConnection, user: UserId) -> LabelRows:
    """What the user's trades are labelled with, beside notes and ratings."""
    written, tagged = _labels()
    return LabelRows(await _streamed(connection, written, user), await _streamed(connection, tagged, user))


@cache
def _labels() -> tuple[Select[Any], Select[Any]]:
    """The statements of `LabelRows`, for the user in `USER`."""
    held = (
        select(
            annotations.c.execution_id,
            executions.c.order_key,
            holding_trade().label("trade_id"),
            playbooks.c.name.label("playbook"),
            annotations.c.initial_risk,
            cast(annotations.c.mistakes, Text).label("mistakes"),
        )
        .select_from(annotations)
        .join(accounts, and_(accounts.c.id == annotations.c.account_id, accounts.c.user_id == USER))
        .join(executions, and_(executions.c.id == annotations.c.execution_id, visible(executions)))
        .outerjoin(playbooks, playbooks.c.id == annotations.c.playbook_id)
        .where(annotations.c.user_id == USER, accounts.c.deleted_at.is_(None), executions.c.deleted_at.is_(None))
        .subquery()
    )
    raw: list[ColumnElement[Any]] = [type_coerce(held.c[name], NullType()).label(name) for name in _LABELS]
    rows: Select[Any] = select(*raw).where(held.c.trade_id.is_not(None)).order_by(held.c.order_key, held.c.execution_id)
    tagged: Select[Any] = (
        select(raw[0], tags.c.name)
        .select_from(held)
        .join(annotation_tags, annotation_tags.c.execution_id == held.c.execution_id)
        .join(tags, and_(tags.c.id == annotation_tags.c.tag_id, tags.c.user_id == USER))
        .where(held.c.trade_id.is_not(None))
    )
    at_once = {"yield_per": _STREAMED_AT_ONCE}
    return rows.execution_options(**at_once), tagged.execution_options(**at_once)


async def _streamed(connection: ReadConnection, query: Select[Any], user: UserId) -> list[Sequence[Any]]:
    result = await connection.stream(query, {"user": user})
    return [row async for part in result.partitions() for row in part]


def _annotation(row: Row[Any]) -> Annotation:
    return Annotation(
        ExecutionId(row.execution_id),
        row.account_id,
        None if row.trade_id is None else TradeId(row.trade_id),
        row.notes,
        row.playbook_id,
        row.playbook,
        row.rating,
        row.initial_risk,
        tuple(row.mistakes),
        tuple(sorted(row.tags.split(_BETWEEN_TAGS))) if row.tags else (),
        row.version,
        row.updated_at,
    )


async def write_annotation(connection: WriteConnection, user: UserId, annotation: Annotation) -> None:
    """Write on an execution that nothing is written on, with all of its tags."""
    row = {
        "execution_id": annotation.execution_id,
        "user_id": user,
        "account_id": annotation.account_id,
        "notes": annotation.notes,
        "playbook_id": annotation.playbook_id,
        "rating": annotation.rating,
        "initial_risk": annotation.initial_risk,
        "mistakes": list(annotation.mistakes),
        "version": annotation.version,
        "updated_at": annotation.updated_at,
    }
    await connection.execute(insert(annotations).values(row))
    if annotation.tags:
        await _tag(connection, user, annotation)


async def erase_annotations(connection: WriteConnection, user: UserId, of: Iterable[ExecutionId]) -> None:
    """Take away what is written on some executions."""
    await connection.execute(
        delete(annotations).where(annotations.c.user_id == user, annotations.c.execution_id.in_(list(of)))
    )


async def _tag(connection: WriteConnection, user: UserId, annotation: Annotation) -> None:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    same = {"user_id": user, "created_at": annotation.updated_at}
    rows = [{"id": uuid7(), "name": name, **same} for name in annotation.tags]
    await connection.execute(dialect.insert(tags).values(rows).on_conflict_do_nothing())
    named = and_(tags.c.user_id == user, tags.c.name.in_(annotation.tags))
    borne = select(literal(annotation.execution_id, Identifier), tags.c.id).where(named)
    await connection.execute(insert(annotation_tags).from_select(["execution_id", "tag_id"], borne))


async def list_tags(connection: ReadConnection, user: UserId) -> list[Tag]:
    """The user's tags by name, with how often each is used."""
    query = (
        select(tags.c.id, tags.c.name, func.count(annotation_tags.c.execution_id))
        .outerjoin(annotation_tags, annotation_tags.c.tag_id == tags.c.id)
        .where(tags.c.user_id == user)
        .group_by(tags.c.id, tags.c.name)
        .order_by(tags.c.name)
    )
    return [Tag(*row) for row in await connection.execute(query)]


async def list_playbooks(connection: ReadConnection, user: UserId) -> list[Playbook]:
    """The user's playbooks by name."""
    query = _playbooks(user).order_by(playbooks.c.name, playbooks.c.id)
    return [Playbook(*row) for row in await connection.execute(query)]


async def find_playbook(connection: ReadConnection, user: UserId, playbook: UUID) -> Playbook | None:
    """One of the user's playbooks."""
    row = (await connection.execute(_playbooks(user).where(playbooks.c.id == playbook))).one_or_none()
    return None if row is None else Playbook(*row)


async def find_playbook_named(connection: ReadConnection, user: UserId, name: str) -> Playbook | None:
    """The user's playbook of this name, the oldest where there are several."""
    query = _playbooks(user).where(playbooks.c.name == name).order_by(playbooks.c.created_at, playbooks.c.id).limit(1)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else Playbook(*row)


def _playbooks(user: UserId) -> Select[Any]:
    columns = [playbooks.c[name] for name in Playbook._fields]
    return select(*columns).where(playbooks.c.user_id == user, playbooks.c.deleted_at.is_(None))


async def insert_playbook(connection: WriteConnection, user: UserId, playbook: Playbook) -> None:
    """Add a playbook."""
    await connection.execute(insert(playbooks).values(user_id=user, **playbook._asdict()))


async def update_playbook(
    connection: WriteConnection, user: UserId, playbook: UUID, version: int, values: Mapping[str, Any]
) -> bool:
    """Set some columns of a playbook, and its next version; False where this version is no longer the current one."""
    edited = await connection.execute(
        update(playbooks)
        .where(playbooks.c.user_id == user, playbooks.c.id == playbook, playbooks.c.version == version)
        .values(version=version + 1, **values)
    )
    return edited.rowcount == 1


async def forget_playbook(connection: WriteConnection, user: UserId, playbook: UUID) -> None:
    """Take a playbook off the annotations that name it."""
    await connection.execute(
        update(annotations)
        .where(annotations.c.user_id == user, annotations.c.playbook_id == playbook)
        .values(playbook_id=None)
    )


async def find_day(connection: ReadConnection, user: UserId, day: date) -> Day | None:
    """The entry of a day."""
    columns = [journal_entries.c[name] for name in Day._fields]
    query = select(*columns).where(journal_entries.c.user_id == user, journal_entries.c.date == day)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else Day(*row)


async def list_days(connection: ReadConnection, user: UserId, first: date, last: date) -> list[Day]:
    """The entries from the first to the last day."""
    columns = [journal_entries.c[name] for name in Day._fields]
    query = select(*columns).where(journal_entries.c.user_id == user, journal_entries.c.date.between(first, last))
    return [Day(*row) for row in await connection.execute(query.order_by(journal_entries.c.date))]


async def put_day(connection: WriteConnection, user: UserId, day: Day) -> None:
    """Set the entry of a day."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    values = {"content": day.content, "version": day.version, "updated_at": day.updated_at}
    await connection.execute(
        dialect.insert(journal_entries)
        .values(user_id=user, date=day.date, **values)
        .on_conflict_do_update(index_elements=[journal_entries.c.user_id, journal_entries.c.date], set_=values)
    )
