"""Background work as administrators see it: what was given up, and another try."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from tradesense.db.tables import TaskState
from tradesense.http.authentication import Administrator, AdminRequired, SessionRequired, SignedInUser
from tradesense.http.paging import Page, Paged
from tradesense.http.problems import refusals
from tradesense.http.state import provided
from tradesense.work.schemas import TaskView
from tradesense.work.service.queue import TaskNotFound, TaskNotParked, TaskQueue

router = APIRouter(tags=["admin"])

TheQueue = Annotated[TaskQueue, Depends(provided("queue", TaskQueue))]


@router.get("/admin/tasks", responses=refusals(AdminRequired, SessionRequired))
async def list_tasks(
    _admin: Administrator,
    _: SignedInUser,
    queue: TheQueue,
    paging: Paged,
    state: Annotated[TaskState | None, Query(description="Those in this state; all otherwise.")] = None,
) -> Page[TaskView]:
    """The tasks of the background, the newest first, as an administrator. Those done are forgotten after two days."""
    after = paging.after(datetime, ["tasks", state])
    place = None if after is None else (after.value, after.id)
    found = [TaskView.of(each) for each in await queue.page(state, place, paging.limit + 1)]
    return paging.page(found, lambda task: (task.created_at, task.id), ["tasks", state])


@router.post(
    "/admin/tasks/{task_id}/retry",
    status_code=202,
    responses=refusals(TaskNotFound, TaskNotParked, AdminRequired, SessionRequired),
)
async def retry_task(
    task_id: UUID, admin: Administrator, _: SignedInUser, queue: TheQueue, request: Request
) -> TaskView:
    """Let a parked task be tried again, as often as a new one, as an administrator."""
    ip = request.client.host if request.client else None
    return TaskView.of(await queue.retry(task_id, admin, ip))
