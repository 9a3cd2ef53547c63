"""Trades: lists, one by one, edits and files; and the executions beneath them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Response
from starlette.responses import StreamingResponse

from tradesense.accounts.service import AccountNotFound
from tradesense.db.generations import AccountBusy
from tradesense.domain.filters import Result, Status
from tradesense.domain.trades import Direction
from tradesense.http.authentication import CurrentUser
from tradesense.http.exports import MEDIA_TYPES, Format, export
from tradesense.http.paging import After, Page, Paged
from tradesense.http.preconditions import IfMatch, put_etag
from tradesense.http.problems import refusals
from tradesense.http.state import provided
from tradesense.http.types import Day
from tradesense.http.versions import DataVersion, put_data_version
from tradesense.ingest.service.manual import ExecutionNotFound, OtherMultiplier
from tradesense.journal.service import PlaybookUnknown, version_of
from tradesense.trades import schemas
from tradesense.trades.repository import ORDERS, ExecutionFilter, Sort, TradeFilter
from tradesense.trades.schemas import ExecutionView, NewExecution, Symbol, TradeDetail, TradeEdit, TradeView
from tradesense.trades.service import (
    AnnotatedTrade,
    Detailed,
    ManualEntry,
    NumbersTooLong,
    Period,
    SymbolUnknown,
    TradeArchive,
    TradeNotFound,
)

router = APIRouter()

TheManual = Annotated[ManualEntry, Depends(provided("manual", ManualEntry))]
TheArchive = Annotated[TradeArchive, Depends(provided("archive", TradeArchive))]
Account = Annotated[UUID | None, Query(description="An account of mine.")]
Of = Annotated[Symbol | None, Query(description="The symbol of an instrument.")]
First = Annotated[Day | None, Query(alias="from", description="The first day, in my time zone.")]
Last = Annotated[Day | None, Query(alias="to", description="The last day, in my time zone.")]

_FILE: Final[Mapping[int | str, dict[str, Any]]] = {
    200: {
        "description": "The file.",
        "content": {
            **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in MEDIA_TYPES.values()},
            MEDIA_TYPES[Format.JSON]: {
                "schema": {
                    "type": "object",
                    "properties": {"items": {"type": "array", "items": {"$ref": "#/components/schemas/TradeView"}}},
                    "required": ["items"],
                }
            },
        },
    }
}


async def _period(user: CurrentUser, first: First = None, last: Last = None) -> Period:
    return Period(first, last, ZoneInfo(user.timezone))


InPeriod = Annotated[Period, Depends(_period)]


async def _wanted(
    period: InPeriod,
    account_id: Account = None,
    symbol: Of = None,
    side: Direction | None = None,
    tag: Annotated[str | None, Query(max_length=64, pattern=r"^[^\u0000]*$")] = None,
    result: Result | None = None,
    status: Status | None = None,
) -> TradeFilter:
    return TradeFilter(account_id, symbol, side, tag, result, status, period.begins, period.ends)


Wanted = Annotated[TradeFilter, Depends(_wanted)]
Sorting = Annotated[Sort, Query(description="The order; `-` is downwards. Open trades close last.")]


@router.get("/trades", tags=["trades"])
async def list_trades(
    user: CurrentUser,
    archive: TheArchive,
    wanted: Wanted,
    paging: Paged,
    _version: DataVersion,
    sort: Sorting = Sort.OPENED_DOWN,
) -> Page[TradeView]:
    """My trades. `from` and `to` are days of closing, or of opening where a trade is open."""
    order, selection = ORDERS[sort], [wanted, sort]
    after: After[Any] | None = paging.after(order.kind, selection)
    found = await archive.trades(user.user_id, wanted, sort, paging.limit + 1, after)
    page = paging.page(found, lambda each: (order.value(each.trade), each.trade.id), selection)
    return Page(items=[TradeView.of(*each) for each in page.items], next=page.next)


@router.get("/trades/export", tags=["trades"], response_class=Response, responses={**_FILE})
async def export_trades(
    user: CurrentUser,
    archive: TheArchive,
    wanted: Wanted,
    _version: DataVersion,
    kind: Annotated[Format, Query(alias="format")] = Format.CSV,
    sort: Sorting = Sort.OPENED,
) -> StreamingResponse:
    """My trades as a file. Text that a spreadsheet would take for a formula is quoted with an apostrophe."""
    parts = _rows(archive.every(user.user_id, wanted, sort))
    return await export(parts, list(TradeView.model_fields), kind, "tradesense-trades")


async def _rows(parts: AsyncIterator[list[AnnotatedTrade]]) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
    async for part in parts:
        yield [schemas.members(*each) for each in part]


@router.get("/trades/{trade_id}", tags=["trades"], responses=refusals(TradeNotFound))
async def get_trade(
    trade_id: UUID, user: CurrentUser, archive: TheArchive, _version: DataVersion, response: Response
) -> TradeDetail:
    """One of my trades, with its executions."""
    return _detail(await archive.trade(user.user_id, trade_id), response)


def _detail(found: Detailed, response: Response) -> TradeDetail:
    put_etag(response, version_of(found.annotation))
    return TradeDetail.with_fills(
        found.trade, found.annotation, [ExecutionView.of(execution) for execution in found.executions]
    )


@router.patch("/trades/{trade_id}", tags=["trades"], responses=refusals(TradeNotFound, PlaybookUnknown))
async def edit_trade(
    trade_id: UUID,
    edit: TradeEdit,
    user: CurrentUser,
    archive: TheArchive,
    expected: IfMatch,
    response: Response,
) -> TradeDetail:
    """Write about a trade: notes, tags, playbook, rating, initial risk, mistakes."""
    values = edit.model_dump(exclude_unset=True)
    found, version = await archive.annotate(user.user_id, trade_id, values, expected)
    put_data_version(response, version)
    return _detail(found, response)


@router.get("/executions", tags=["executions"])
async def list_executions(
    user: CurrentUser,
    archive: TheArchive,
    period: InPeriod,
    paging: Paged,
    _version: DataVersion,
    account_id: Account = None,
    symbol: Of = None,
) -> Page[ExecutionView]:
    """My executions, newest first."""
    wanted = ExecutionFilter(account_id, symbol, period.begins, period.ends)
    after = paging.after(datetime, [wanted])
    found = await archive.executions(user.user_id, wanted, paging.limit + 1, after)
    page = paging.page(found, lambda each: (each.at, each.id), [wanted])
    return Page(items=[ExecutionView.of(each) for each in page.items], next=page.next)


@router.post(
    "/executions",
    tags=["executions"],
    status_code=201,
    responses=refusals(AccountNotFound, AccountBusy, SymbolUnknown, OtherMultiplier, NumbersTooLong),
)
async def add_execution(
    new: NewExecution, user: CurrentUser, manual: TheManual, archive: TheArchive, response: Response
) -> ExecutionView:
    """Enter a fill by hand; trades follow at once."""
    execution, version = await manual.add(user.user_id, new.entry(), user.timezone)
    response.headers["Location"] = f"/api/v1/executions/{execution}"
    put_data_version(response, version)
    return ExecutionView.of(await archive.execution(user.user_id, execution))


@router.delete(
    "/executions/{execution_id}",
    tags=["executions"],
    status_code=204,
    responses=refusals(ExecutionNotFound, AccountBusy),
)
async def delete_execution(execution_id: UUID, user: CurrentUser, manual: TheManual, response: Response) -> None:
    """Delete a fill, whoever told of it; trades follow at once."""
    put_data_version(response, await manual.delete(user.user_id, execution_id))


@router.get("/executions/{execution_id}", tags=["executions"], responses=refusals(ExecutionNotFound))
async def get_execution(
    execution_id: UUID, user: CurrentUser, archive: TheArchive, _version: DataVersion
) -> ExecutionView:
    """One of my executions."""
    return ExecutionView.of(await archive.execution(user.user_id, execution_id))
