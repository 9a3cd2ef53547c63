"""Imports over HTTP: upload, preview, follow, answer, take back."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, File, Form, Request, Response, UploadFile
from pydantic import Json

from tradesense.accounts.service import AccountNotFound
from tradesense.brokers.contract import DateOrder
from tradesense.db.generations import AccountBusy
from tradesense.http.authentication import CurrentUser
from tradesense.http.paging import Page, Paged
from tradesense.http.problems import refusals
from tradesense.http.state import provided
from tradesense.http.types import Day, TimeZone
from tradesense.http.versions import DataVersion, put_data_version
from tradesense.ingest.repository.queue import ImportNotFound
from tradesense.ingest.schemas import Columns, ImportAnswers, ImportView, PreviewView, Suspected
from tradesense.ingest.service.files import FileTooLarge, Read
from tradesense.ingest.service.previewing import Previews
from tradesense.ingest.service.undoing import Undoing
from tradesense.ingest.service.uploads import BrokerUnknown, Imports, NothingToAnswer, Upload

AUTO: Final = "auto"
_CHUNK: Final = 1 << 18
_LONGEST_NAME: Final = 200

router = APIRouter(tags=["imports"])

TheImports = Annotated[Imports, Depends(provided("imports", Imports))]
ThePreviews = Annotated[Previews, Depends(provided("previews", Previews))]
TheUndoing = Annotated[Undoing, Depends(provided("undoing", Undoing))]
TheFile = Annotated[UploadFile, File(description="A broker's export: CSV, TSV, XLSX, XML or HTML.")]


async def _said(
    user: CurrentUser,
    file: TheFile,
    *,
    account_id: Annotated[
        UUID | None, Form(description="The account it goes into; found or created unless given.")
    ] = None,
    broker: Annotated[
        str, Form(description="The broker, or one of its formats; auto detects.", max_length=64, examples=["auto"])
    ] = AUTO,
    timezone: Annotated[TimeZone | None, Form(description="Where times that carry no zone are.")] = None,
    date: Annotated[Day | None, Form(description="The day of a file that has times alone.")] = None,
    date_order: Annotated[DateOrder | None, Form(description="How 01/02/2026 reads.")] = None,
    mapping: Annotated[
        Json[Columns] | None, Form(description="JSON: fields of an unknown file, and its columns for them.")
    ] = None,
    suspected_duplicates: Annotated[Suspected | None, Form()] = None,
    skip_errors: Annotated[bool, Form(description="Take the rows that can be read.")] = False,
) -> Upload:
    answers = ImportAnswers(
        timezone=timezone,
        date=date,
        date_order=date_order,
        mapping=mapping,
        suspected_duplicates=suspected_duplicates,
        skip_errors=skip_errors or None,
    )
    name = broker.strip().lower()
    return Upload(user.user_id, _name(file), account_id, None if name == AUTO else name, answers.options())


Said = Annotated[Upload, Depends(_said)]


def _name(file: UploadFile) -> str:
    """What the person calls the file, as far as it can be shown."""
    shown = "".join(character for character in file.filename or "" if character.isprintable())
    return shown.strip()[:_LONGEST_NAME] or "file"


def _reader(file: UploadFile) -> Read:
    return lambda: file.read(_CHUNK)


@router.post(
    "/imports",
    status_code=202,
    responses={
        **refusals(FileTooLarge, AccountNotFound, BrokerUnknown),
        202: {"headers": {"Location": {"description": "Where to follow it.", "schema": {"type": "string"}}}},
    },
)
async def start_import(
    request: Request, response: Response, said: Said, file: TheFile, imports: TheImports
) -> ImportView:
    """Take in a broker's file. It is imported in the background: follow it at `Location`."""
    record = await imports.upload(said, _reader(file))
    response.headers["Location"] = f"{request.url.path}/{record.id}"
    return ImportView.of(record)


@router.post("/imports/preview", responses=refusals(FileTooLarge, AccountNotFound, BrokerUnknown))
async def preview_import(said: Said, file: TheFile, previews: ThePreviews) -> PreviewView:
    """Look at a file without importing it: what it is taken for, what it holds, what would be asked."""
    return PreviewView.of(await previews.preview(said, _reader(file)))


@router.get("/imports")
async def list_imports(
    user: CurrentUser, imports: TheImports, paging: Paged, _version: DataVersion
) -> Page[ImportView]:
    """My imports, newest first."""
    after: Any = paging.after(datetime, "imports")
    found = await imports.list(user.user_id, after and (after.value, after.id), paging.limit + 1)
    page = paging.page(found, lambda each: (each.created_at, each.id), "imports")
    return Page(items=[ImportView.of(each) for each in page.items], next=page.next)


@router.get("/imports/{import_id}", responses=refusals(ImportNotFound))
async def get_import(import_id: UUID, user: CurrentUser, imports: TheImports, _version: DataVersion) -> ImportView:
    """One of my imports, as it stands."""
    return ImportView.of(await imports.get(user.user_id, import_id))


@router.patch(
    "/imports/{import_id}", status_code=202, responses=refusals(ImportNotFound, AccountNotFound, NothingToAnswer)
)
async def answer_import(import_id: UUID, answers: ImportAnswers, user: CurrentUser, imports: TheImports) -> ImportView:
    """Answer what an import asks, or try one that has failed otherwise; it is queued again."""
    return ImportView.of(await imports.answer(user.user_id, import_id, answers.options(), answers.account_id))


@router.delete("/imports/{import_id}", status_code=204, responses=refusals(ImportNotFound, AccountBusy))
async def delete_import(import_id: UUID, user: CurrentUser, undoing: TheUndoing, response: Response) -> None:
    """Take an import back, with all executions that no other import has told of."""
    put_data_version(response, await undoing.undo(user.user_id, import_id))
