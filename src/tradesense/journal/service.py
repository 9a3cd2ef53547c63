"""Writing things down: what belongs to a trade, ways of trading, and days."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from keel.clock import Clock
from keel.errors import Invalid, NotFound
from keel.ids import uuid7
from tradesense.db.engine import Database, ReadConnection, WriteConnection
from tradesense.db.writes import Touches
from tradesense.domain.executions import ExecutionId
from tradesense.domain.trades import TradeId
from tradesense.http.authentication import UserId
from tradesense.http.preconditions import VersionMismatch, require_match
from tradesense.http.versions import raise_data_version
from tradesense.journal import repository
from tradesense.journal.repository import Annotation, Day, LabelRows, Playbook, Tag

MOST_DAYS: Final = 366


class PlaybookNotFound(NotFound):
    """There is no such playbook."""

    def __init__(self) -> None:
        super().__init__("There is no such playbook.")


class PlaybookUnknown(Invalid):
    """The playbook that the edit names is none of the user's."""

    def __init__(self) -> None:
        super().__init__(
            "You have no such playbook; give the id or the name of one of yours.", loc=("body", "playbook")
        )


class DayNotFound(NotFound):
    """Nothing has been written about this day."""

    def __init__(self) -> None:
        super().__init__("Nothing has been written about this day.")


class PeriodTooLong(Invalid):
    """The days asked for are more than a year, or end before they begin."""

    def __init__(self) -> None:
        super().__init__(f"Ask for 1 to {MOST_DAYS} days at a time, the first before the last.", loc=("query", "to"))


class Anchor(NamedTuple):
    """Where annotations of a trade go: its anchor execution, and the account of both."""

    trade_id: TradeId
    execution_id: ExecutionId
    account_id: UUID


@dataclass(frozen=True, slots=True)
class Labels:
    """What trades of a user are labelled with, for statistics: by trade."""

    tags: Mapping[TradeId, Sequence[str]]
    mistakes: Mapping[TradeId, Sequence[str]]
    playbooks: Mapping[TradeId, str]
    risks: Mapping[TradeId, Decimal]


def merged(found: Sequence[Annotation], anchor: ExecutionId | None = None) -> Annotation:
    """The annotations of one trade as one: both texts, all tags and mistakes.

    Of a rating, a risk and a playbook the anchor's counts, else the first; the version is the sum, which any edit
    of any of them changes.
    """
    ranked = sorted(found, key=lambda each: each.execution_id != anchor)
    first = ranked[0]
    notes = "\n\n".join(each.notes for each in found if each.notes)
    with_playbook = next((each for each in ranked if each.playbook_id is not None), first)
    return first._replace(
        notes=notes or None,
        playbook_id=with_playbook.playbook_id,
        playbook=with_playbook.playbook,
        rating=next((each.rating for each in ranked if each.rating is not None), None),
        initial_risk=next((each.initial_risk for each in ranked if each.initial_risk is not None), None),
        mistakes=tuple(dict.fromkeys(mistake for each in found for mistake in each.mistakes)),
        tags=tuple(sorted({tag for each in found for tag in each.tags})),
        version=sum(each.version for each in found),
        updated_at=max(each.updated_at for each in found),
    )


def by_trade(found: Sequence[Annotation], anchors: Mapping[TradeId, ExecutionId]) -> dict[TradeId, Annotation]:
    """One annotation for each trade that has any."""
    groups: dict[TradeId, list[Annotation]] = {}
    for each in found:
        if each.trade_id is not None:
            groups.setdefault(each.trade_id, []).append(each)
    return {trade: merged(group, anchors.get(trade)) for trade, group in groups.items()}


class Notebook:
    """A user's annotations, tags, playbooks and days."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def annotations(
        self, connection: ReadConnection, user: UserId, anchors: Mapping[TradeId, ExecutionId]
    ) -> dict[TradeId, Annotation]:
        """What is written about these trades, given with their anchors."""
        if not anchors:
            return {}
        return by_trade(await repository.annotations_of(connection, user, anchors.keys()), anchors)

    async def labels(self, connection: ReadConnection, user: UserId) -> Labels:
        """What all of the user's trades are labelled with."""
        return await asyncio.to_thread(_labels, await repository.read_labels(connection, user))

    async def annotate(
        self,
        connection: WriteConnection,
        user: UserId,
        anchor: Anchor,
        edit: Mapping[str, Any],
        expected: int | None,
    ) -> tuple[Annotation, int]:
        """Set what an edit names (notes, tags, playbook, rating, initial_risk, mistakes); with it comes the version.

        Annotations that a merge has brought together become one, on the trade's anchor. Raises `VersionMismatch`.
        """
        found = await repository.annotations_of(connection, user, [anchor.trade_id])
        now = self._clock.now()
        current = merged(found, anchor.execution_id) if found else _empty(anchor, now)
        require_match(expected, current.version)
        values = dict(edit)
        if "playbook" in values:
            playbook = await self._playbook(connection, user, values.pop("playbook"))
            values |= {
                "playbook_id": playbook.id if playbook else None,
                "playbook": playbook.name if playbook else None,
            }
        edited = current._replace(
            **values, execution_id=anchor.execution_id, version=current.version + 1, updated_at=now
        )
        replaced = {anchor.execution_id, *(each.execution_id for each in found)}
        await repository.erase_annotations(connection, user, replaced)
        await repository.write_annotation(connection, user, edited)
        version = await raise_data_version(connection, user, [anchor.account_id], Touches.LABELS)
        return merged([edited]), version

    async def _playbook(self, connection: ReadConnection, user: UserId, wanted: UUID | str | None) -> Playbook | None:
        if wanted is None:
            return None
        found = (
            await repository.find_playbook(connection, user, wanted)
            if isinstance(wanted, UUID)
            else await repository.find_playbook_named(connection, user, wanted)
        )
        if found is None:
            raise PlaybookUnknown
        return found

    async def orphans(self, user: UserId) -> list[Annotation]:
        """Annotations whose execution is gone, or in no trade."""
        async with self._database.read() as connection:
            return [each for each in await repository.annotations_of(connection, user) if each.trade_id is None]

    async def tags(self, user: UserId) -> list[Tag]:
        """The user's tags by name."""
        async with self._database.read() as connection:
            return await repository.list_tags(connection, user)

    async def playbooks(self, user: UserId) -> list[Playbook]:
        """The user's playbooks by name."""
        async with self._database.read() as connection:
            return await repository.list_playbooks(connection, user)

    async def playbook(self, user: UserId, playbook: UUID) -> Playbook:
        """One of the user's playbooks; raises `PlaybookNotFound`."""
        async with self._database.read() as connection:
            return _present(await repository.find_playbook(connection, user, playbook))

    async def add_playbook(self, user: UserId, name: str, description: str, rules: list[str]) -> tuple[Playbook, int]:
        """Add a playbook; with it comes the user's version."""
        now = self._clock.now()
        playbook = Playbook(uuid7(), name, description, rules, 1, now, now)
        async with self._database.write() as connection:
            await repository.insert_playbook(connection, user, playbook)
            return playbook, await raise_data_version(connection, user, touches=Touches.LABELS)

    async def edit_playbook(
        self, user: UserId, playbook: UUID, edit: Mapping[str, Any], expected: int | None
    ) -> tuple[Playbook, int]:
        """Set some fields of a playbook; raises `PlaybookNotFound`, `VersionMismatch`."""
        async with self._database.write() as connection:
            await self._update(connection, user, playbook, edit, expected)
            edited = _present(await repository.find_playbook(connection, user, playbook))
            return edited, await raise_data_version(connection, user, touches=Touches.LABELS)

    async def delete_playbook(self, user: UserId, playbook: UUID, expected: int | None) -> int:
        """Take a playbook away; trades forget it. Raises `PlaybookNotFound`, `VersionMismatch`."""
        async with self._database.write() as connection:
            await self._update(connection, user, playbook, {"deleted_at": self._clock.now()}, expected)
            await repository.forget_playbook(connection, user, playbook)
            return await raise_data_version(connection, user, touches=Touches.LABELS)

    async def _update(
        self, connection: WriteConnection, user: UserId, playbook: UUID, edit: Mapping[str, Any], expected: int | None
    ) -> None:
        current = _present(await repository.find_playbook(connection, user, playbook))
        require_match(expected, current.version)
        values = {**edit, "updated_at": self._clock.now()}
        if not await repository.update_playbook(connection, user, playbook, current.version, values):
            raise VersionMismatch

    async def day(self, user: UserId, day: date) -> Day:
        """The entry of a day; raises `DayNotFound`."""
        async with self._database.read() as connection:
            found = await repository.find_day(connection, user, day)
        if found is None:
            raise DayNotFound
        return found

    async def days(self, user: UserId, first: date, last: date) -> list[Day]:
        """The entries of a period; raises `PeriodTooLong`."""
        if not 0 <= (last - first).days < MOST_DAYS:
            raise PeriodTooLong
        async with self._database.read() as connection:
            return await repository.list_days(connection, user, first, last)

    async def write_day(
        self, user: UserId, day: date, content: Mapping[str, Any], expected: int | None
    ) -> tuple[Day, int]:
        """Set the entry of a day; raises `VersionMismatch`."""
        async with self._database.write() as connection:
            current = await repository.find_day(connection, user, day)
            version = current.version if current else 0
            require_match(expected, version)
            written = Day(day, dict(content), version + 1, self._clock.now())
            await repository.put_day(connection, user, written)
            return written, await raise_data_version(connection, user, touches=Touches.NOTES)


def _labels(rows: LabelRows) -> Labels:
    """Of several playbooks or risks of one trade the first counts. Takes CPU time, some 5 µs a row."""
    tags: dict[TradeId, set[str]] = {}
    mistakes: dict[TradeId, dict[str, None]] = {}
    playbooks: dict[TradeId, str] = {}
    risks: dict[TradeId, Decimal] = {}
    for trade_id, playbook, risk, written in rows.annotations:
        trade = _trade_id(trade_id)
        if playbook is not None:
            playbooks.setdefault(trade, playbook)
        if risk is not None:
            risks.setdefault(trade, Decimal(risk))
        if found := json.loads(written):
            mistakes.setdefault(trade, {}).update(dict.fromkeys(found))
    for trade_id, tag in rows.tags:
        tags.setdefault(_trade_id(trade_id), set()).add(tag)
    return Labels(
        tags={trade: sorted(names) for trade, names in tags.items()},
        mistakes={trade: list(names) for trade, names in mistakes.items()},
        playbooks=playbooks,
        risks=risks,
    )


def _trade_id(raw: UUID | bytes) -> TradeId:
    return TradeId(raw if isinstance(raw, UUID) else UUID(bytes=raw))


def _present(playbook: Playbook | None) -> Playbook:
    if playbook is None:
        raise PlaybookNotFound
    return playbook


def _empty(anchor: Anchor, now: datetime) -> Annotation:
    return Annotation(
        anchor.execution_id, anchor.account_id, anchor.trade_id, None, None, None, None, None, (), (), 0, now
    )


def version_of(annotation: Annotation | None) -> int:
    """The version of what is written about a trade; 0 where nothing is."""
    return 0 if annotation is None else annotation.version
