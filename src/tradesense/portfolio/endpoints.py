"""The portfolio: how it stands, and what is open."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Query, Response

from tradesense.analytics.repository import Selection
from tradesense.analytics.service.studies import Question
from tradesense.db.invalidation import account_tag
from tradesense.domain.instruments import AssetClass
from tradesense.http.authentication import CurrentUser
from tradesense.http.cached import kept
from tradesense.http.paging import Page, Paged
from tradesense.http.state import provided
from tradesense.http.types import Currency
from tradesense.http.versions import DataVersion
from tradesense.portfolio.repository import PositionFilter
from tradesense.portfolio.schemas import PortfolioView, PositionView
from tradesense.portfolio.service import Portfolio
from tradesense.trades.schemas import Symbol

router = APIRouter(prefix="/portfolio", tags=["portfolio"])

ThePortfolio = Annotated[Portfolio, Depends(provided("portfolio", Portfolio))]
Account = Annotated[UUID | None, Query(description="An account of mine.")]
Of = Annotated[Symbol | None, Query(description="The symbol of an instrument.")]
In = Annotated[Currency | None, Query(description="A single currency.")]


def _accounts(account_id: UUID | None) -> list[str]:
    """The tag of the account that an answer is narrowed to."""
    return [] if account_id is None else [account_tag(account_id)]


@router.get("/summary", response_model=PortfolioView)
@kept("portfolio:summary", lambda _user, _portfolio, _version, account_id, *_: _accounts(account_id))
async def get_portfolio(
    user: CurrentUser, portfolio: ThePortfolio, _version: DataVersion, account_id: Account = None, currency: In = None
) -> Response:
    """How my accounts stand, and what happened today."""
    books = Selection(accounts=None if account_id is None else frozenset([account_id]), currency=currency)
    content = orjson.dumps(await portfolio.summary(user, Question(books)), option=orjson.OPT_UTC_Z)
    return Response(content, media_type="application/json")


@router.get("/positions")
@kept("portfolio:positions", lambda _user, _portfolio, _paging, _version, account_id, *_: _accounts(account_id))
async def list_positions(
    user: CurrentUser,
    portfolio: ThePortfolio,
    paging: Paged,
    _version: DataVersion,
    account_id: Account = None,
    symbol: Of = None,
    asset_class: AssetClass | None = None,
    currency: In = None,
) -> Page[PositionView]:
    """My open positions, the latest first."""
    wanted = PositionFilter(account_id, symbol, asset_class, currency)
    after = paging.after(datetime, [wanted])
    found = await portfolio.positions(user.user_id, wanted, paging.limit + 1, after)
    page = paging.page(found, lambda each: (each.opened_at, each.id), [wanted])
    return Page(items=[PositionView.of(each) for each in page.items], next=page.next)
