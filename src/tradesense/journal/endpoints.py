"""The journal of days, playbooks and tags."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from tradesense.http.authentication import CurrentUser
from tradesense.http.paging import Page
from tradesense.http.preconditions import IfMatch, put_etag
from tradesense.http.problems import refusals
from tradesense.http.state import provided
from tradesense.http.types import Day as DayOf
from tradesense.http.versions import DataVersion, put_data_version
from tradesense.journal.schemas import DayEdit, DayView, NewPlaybook, Orphan, PlaybookEdit, PlaybookView, TagView
from tradesense.journal.service import DayNotFound, Notebook, PeriodTooLong, PlaybookNotFound

router = APIRouter(tags=["journal"])

TheNotebook = Annotated[Notebook, Depends(provided("notebook", Notebook))]


@router.get("/journal", responses=refusals(PeriodTooLong))
async def list_days(
    user: CurrentUser,
    notebook: TheNotebook,
    _version: DataVersion,
    first: Annotated[DayOf, Query(alias="from", description="The first day.")],
    last: Annotated[DayOf, Query(alias="to", description="The last day, at most a year later.")],
) -> Page[DayView]:
    """What I wrote about the days of a period; all on one page."""
    days = await notebook.days(user.user_id, first, last)
    return Page(items=[DayView.of(day) for day in days], next=None)


@router.get("/journal/orphans")
async def list_orphans(user: CurrentUser, notebook: TheNotebook, _version: DataVersion) -> Page[Orphan]:
    """What I wrote about trades that are gone, because their executions are; all on one page."""
    return Page(items=[Orphan.of(each) for each in await notebook.orphans(user.user_id)], next=None)


@router.get("/journal/{date}", responses=refusals(DayNotFound))
async def get_day(
    date: DayOf, user: CurrentUser, notebook: TheNotebook, _version: DataVersion, response: Response
) -> DayView:
    """What I wrote about a day."""
    day = await notebook.day(user.user_id, date)
    put_etag(response, day.version)
    return DayView.of(day)


@router.put("/journal/{date}")
async def write_day(
    date: DayOf, edit: DayEdit, user: CurrentUser, notebook: TheNotebook, expected: IfMatch, response: Response
) -> DayView:
    """Write about a day, in place of what stood there."""
    day, version = await notebook.write_day(user.user_id, date, edit.model_dump(), expected)
    put_etag(response, day.version)
    put_data_version(response, version)
    return DayView.of(day)


@router.get("/tags")
async def list_tags(user: CurrentUser, notebook: TheNotebook, _version: DataVersion) -> Page[TagView]:
    """My tags by name; all on one page. A tag begins with its first use on a trade."""
    return Page(items=[TagView.of(tag) for tag in await notebook.tags(user.user_id)], next=None)


@router.get("/playbooks")
async def list_playbooks(user: CurrentUser, notebook: TheNotebook, _version: DataVersion) -> Page[PlaybookView]:
    """My playbooks by name; all on one page."""
    found = await notebook.playbooks(user.user_id)
    return Page(items=[PlaybookView.of(playbook) for playbook in found], next=None)


@router.post("/playbooks", status_code=201)
async def add_playbook(new: NewPlaybook, user: CurrentUser, notebook: TheNotebook, response: Response) -> PlaybookView:
    """Write down a way of trading."""
    playbook, version = await notebook.add_playbook(user.user_id, new.name, new.description, new.rules)
    response.headers["Location"] = f"/api/v1/playbooks/{playbook.id}"
    put_etag(response, playbook.version)
    put_data_version(response, version)
    return PlaybookView.of(playbook)


@router.get("/playbooks/{playbook_id}", responses=refusals(PlaybookNotFound))
async def get_playbook(
    playbook_id: UUID, user: CurrentUser, notebook: TheNotebook, _version: DataVersion, response: Response
) -> PlaybookView:
    """One of my playbooks."""
    playbook = await notebook.playbook(user.user_id, playbook_id)
    put_etag(response, playbook.version)
    return PlaybookView.of(playbook)


@router.patch("/playbooks/{playbook_id}", responses=refusals(PlaybookNotFound))
async def edit_playbook(
    playbook_id: UUID,
    edit: PlaybookEdit,
    user: CurrentUser,
    notebook: TheNotebook,
    expected: IfMatch,
    response: Response,
) -> PlaybookView:
    """Change a playbook."""
    values = edit.model_dump(exclude_none=True)
    playbook, version = await notebook.edit_playbook(user.user_id, playbook_id, values, expected)
    put_etag(response, playbook.version)
    put_data_version(response, version)
    return PlaybookView.of(playbook)


@router.delete("/playbooks/{playbook_id}", status_code=204, responses=refusals(PlaybookNotFound))
async def delete_playbook(
    playbook_id: UUID, user: CurrentUser, notebook: TheNotebook, expected: IfMatch, response: Response
) -> None:
    """Take a playbook away; the trades that name it forget it."""
    put_data_version(response, await notebook.delete_playbook(user.user_id, playbook_id, expected))
