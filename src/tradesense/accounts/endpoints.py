"""The user's accounts."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from tradesense.accounts.repository import AccountId
from tradesense.accounts.schemas import AccountEdit, AccountView, NewAccount
from tradesense.accounts.service import AccountNotFound, Accounts
from tradesense.db.generations import AccountBusy
from tradesense.http.authentication import CurrentUser
from tradesense.http.paging import Page, Paged
from tradesense.http.preconditions import IfMatch, put_etag
from tradesense.http.problems import refusals
from tradesense.http.state import provided
from tradesense.http.versions import DataVersion, put_data_version

router = APIRouter(prefix="/accounts", tags=["accounts"])

TheAccounts = Annotated[Accounts, Depends(provided("accounts", Accounts))]


@router.get("")
async def list_accounts(
    user: CurrentUser, accounts: TheAccounts, paging: Paged, _version: DataVersion
) -> Page[AccountView]:
    """My accounts, oldest first."""
    found = await accounts.page(user.user_id, paging.after(datetime, "accounts"), paging.limit + 1)
    page = paging.page(found, lambda account: (account.created_at, account.id), "accounts")
    return Page(items=[AccountView.of(each) for each in page.items], next=page.next)


@router.post("", status_code=201)
async def add_account(
    account: NewAccount, user: CurrentUser, accounts: TheAccounts, request: Request, response: Response
) -> AccountView:
    """Add an account."""
    currency = account.currency or user.currency
    added, version = await accounts.add(user.user_id, {**account.columns(), "currency": currency})
    response.headers["Location"] = request.url_for("get_account", account_id=added.id).path
    put_etag(response, added.version)
    put_data_version(response, version)
    return AccountView.of(added)


@router.get("/{account_id}", responses=refusals(AccountNotFound))
async def get_account(
    account_id: UUID, user: CurrentUser, accounts: TheAccounts, response: Response, _version: DataVersion
) -> AccountView:
    """One of my accounts; its ETag goes into the If-Match of an edit."""
    account = await accounts.get(user.user_id, AccountId(account_id))
    put_etag(response, account.version)
    return AccountView.of(account)


@router.patch("/{account_id}", responses=refusals(AccountNotFound, AccountBusy))
async def edit_account(
    account_id: UUID, edit: AccountEdit, user: CurrentUser, accounts: TheAccounts, expected: IfMatch, response: Response
) -> AccountView:
    """Change one of my accounts. Another method or multiplier matches all of its trades anew, at once."""
    edited, version = await accounts.edit(user.user_id, AccountId(account_id), edit.columns(), expected)
    put_etag(response, edited.version)
    put_data_version(response, version)
    return AccountView.of(edited)


@router.delete("/{account_id}", status_code=204, responses=refusals(AccountNotFound, AccountBusy))
async def delete_account(
    account_id: UUID, user: CurrentUser, accounts: TheAccounts, expected: IfMatch, response: Response
) -> None:
    """Delete one of my accounts and everything in it."""
    put_data_version(response, await accounts.delete(user.user_id, AccountId(account_id), expected))
