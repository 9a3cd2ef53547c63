"""Statistics of a user's trades; all questions take the same filters."""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Final, TypeVar
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Query, Response

from keel.errors import Invalid
from tradesense.analytics.repository import Selection
from tradesense.analytics.schemas import (
    BreakdownView,
    CalendarView,
    DistributionView,
    EquityView,
    MonteCarloView,
    SummaryView,
)
from tradesense.analytics.service import answers
from tradesense.analytics.service.answers import Json
from tradesense.analytics.service.asking import Analytics
from tradesense.analytics.service.studies import Question, Study
from tradesense.db.invalidation import account_tag
from tradesense.domain.filters import Result, Status
from tradesense.domain.groupings import By
from tradesense.domain.instruments import AssetClass
from tradesense.domain.monte_carlo import MOST_PATHS, MOST_STEPS, PATHS, Terms
from tradesense.domain.trades import Direction
from tradesense.http.authentication import CurrentUser, Principal
from tradesense.http.cached import kept
from tradesense.http.freshness import LABELLED
from tradesense.http.problems import refusals
from tradesense.http.state import provided
from tradesense.http.types import INT64_MAX, Currency, Day, Line, Ratio
from tradesense.http.versions import DataVersion
from tradesense.journal.schemas import Label
from tradesense.trades.schemas import Symbol

router = APIRouter(prefix="/analytics", tags=["analytics"])

T = TypeVar("T")

MOST_DRAWS: Final = 20_000_000
"""Trades that a simulation draws at most, about a second's work."""
_MOST: Final = 50
"""Values that a filter takes at most."""


class SimulationTooLarge(Invalid):
    """The simulation would draw too many trades: ask for fewer paths, or fewer trades in each."""

    def __init__(self) -> None:
        super().__init__(f"paths x trades must be at most {MOST_DRAWS:,}.", loc=("query", "paths"))


def _set(values: list[T] | None) -> frozenset[T] | None:
    return None if values is None else frozenset(values)


async def _books(
    account_id: Annotated[list[UUID] | None, Query(description="Accounts of mine.", max_length=_MOST)] = None,
    symbol: Annotated[list[Symbol] | None, Query(max_length=_MOST)] = None,
    underlying: Annotated[list[Symbol] | None, Query(max_length=_MOST)] = None,
    asset_class: Annotated[list[AssetClass] | None, Query(max_length=_MOST)] = None,
    currency: Annotated[Currency | None, Query(description="Needed where there are several.")] = None,
) -> Selection:
    return Selection(_set(account_id), _set(symbol), _set(underlying), _set(asset_class), currency)


async def _period(
    first: Annotated[Day | None, Query(alias="from", description="The first day, in my time zone.")] = None,
    last: Annotated[Day | None, Query(alias="to", description="The last day, in my time zone.")] = None,
) -> tuple[date | None, date | None]:
    return first, last


async def _question(
    books: Annotated[Selection, Depends(_books)],
    period: Annotated[tuple[date | None, date | None], Depends(_period)],
    tag: Annotated[list[Label] | None, Query(description="Trades with any of these tags.", max_length=_MOST)] = None,
    playbook: Annotated[list[Line] | None, Query(description="Names of playbooks.", max_length=_MOST)] = None,
    side: Direction | None = None,
    result: Annotated[list[Result] | None, Query(description="Closed trades that ended so.", max_length=_MOST)] = None,
    status: Status | None = None,
) -> Question:
    return Question(books, _set(tag), _set(playbook), side, _set(result), status, *period)


async def _simulation(
    paths: Annotated[int, Query(ge=1, le=MOST_PATHS)] = PATHS,
    trades: Annotated[
        int | None, Query(description="How many each path has; as many as there are, up to 1000.", ge=1, le=MOST_STEPS)
    ] = None,
    seed: Annotated[int, Query(description="The same seed gives the same numbers.", ge=0, le=INT64_MAX)] = 0,
    ruin: Annotated[float, Query(description="The share of the balance whose loss is ruin.", gt=0, le=1)] = 1.0,
) -> Terms:
    if paths * (trades or 1) > MOST_DRAWS:
        raise SimulationTooLarge
    return Terms(paths, trades, ruin, seed)


def _accounts(_user: object, _analytics: object, question: Question, *_others: object) -> list[str]:
    """The tags of the accounts that an answer is narrowed to."""
    return [account_tag(each) for each in question.books.accounts or ()]


TheAnalytics = Annotated[Analytics, Depends(provided("analytics", Analytics))]
Asked = Annotated[Question, Depends(_question)]


async def _answer(
    analytics: Analytics,
    user: Principal,
    question: Question,
    work: Callable[[Study], Json],
    *,
    labels: bool = False,
    takes_long: bool = False,
) -> Response:
    """The answer, written in the thread that works it out: a long one would hold the event loop."""

    def written(study: Study) -> bytes:
        return orjson.dumps(work(study))

    content = await analytics.ask(user, question, written, labels=labels, takes_long=takes_long)
    return Response(content, media_type="application/json")


@router.get("/summary", response_model=SummaryView)
@kept("analytics:summary", _accounts)
async def get_summary(
    user: CurrentUser,
    analytics: TheAnalytics,
    question: Asked,
    _version: DataVersion,
    risk_free: Annotated[Ratio, Query(description="An annual rate, for the Sharpe ratio.", ge=-0.5, le=1)] = 0.0,
) -> Response:
    """Every figure of my trades. `from` and `to` are days of closing; partial exits count on their own day."""
    return await _answer(analytics, user, question, lambda study: answers.summary(study, risk_free), labels=True)


@router.get("/equity", response_model=EquityView)
@kept("analytics:equity", _accounts)
async def get_equity(user: CurrentUser, analytics: TheAnalytics, question: Asked, _version: DataVersion) -> Response:
    """Equity and drawdown on day closes."""
    return await _answer(analytics, user, question, answers.equity)


@router.get("/calendar", response_model=CalendarView)
@kept("analytics:calendar", _accounts)
async def get_calendar(user: CurrentUser, analytics: TheAnalytics, question: Asked, _version: DataVersion) -> Response:
    """What was realised on each day."""
    return await _answer(analytics, user, question, answers.days)


@router.get("/breakdown", response_model=BreakdownView)
@kept("analytics:breakdown", _accounts)
async def get_breakdown(
    user: CurrentUser, analytics: TheAnalytics, question: Asked, _version: DataVersion, by: By
) -> Response:
    """Results by one property, each group with its sample size and confidence intervals."""
    return await _answer(analytics, user, question, lambda study: answers.broken_down(study, by), labels=by in LABELLED)


@router.get("/distribution", response_model=DistributionView)
@kept("analytics:distribution", _accounts)
async def get_distribution(
    user: CurrentUser, analytics: TheAnalytics, question: Asked, _version: DataVersion
) -> Response:
    """How results are distributed."""
    return await _answer(analytics, user, question, answers.distributed)


@router.get("/monte-carlo", response_model=MonteCarloView, responses=refusals(SimulationTooLarge))
@kept("analytics:monte-carlo", _accounts)
async def get_monte_carlo(
    user: CurrentUser,
    analytics: TheAnalytics,
    question: Asked,
    _version: DataVersion,
    terms: Annotated[Terms, Depends(_simulation)],
) -> Response:
    """What my closed trades could have become in other orders."""
    return await _answer(analytics, user, question, lambda study: answers.simulated(study, terms), takes_long=True)
