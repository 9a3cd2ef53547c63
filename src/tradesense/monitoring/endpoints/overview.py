"""What the product was used for, the levels of loggers, and everything at a glance, for administrators."""

import asyncio
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query, Request

from keel.failures.contract import ErrorState
from keel.store.asking import Known, Period, Sought
from keel.store.contract import TooManyLevels
from tradesense.http.authentication import Administrator, AdminRequired
from tradesense.http.problems import refusals
from tradesense.http.state import provided
from tradesense.monitoring.endpoints.observed import (
    Back,
    TheObservations,
    of_cache,
    of_instances,
    of_queries,
    of_requests,
    of_traces,
)
from tradesense.monitoring.endpoints.standing import TheDecisions, TheHealth, TheKeel, list_errors
from tradesense.monitoring.schemas.figures import (
    BusinessView,
    DashboardView,
    LevelChange,
    LoggerView,
)
from tradesense.monitoring.schemas.standing import DetailedHealthView
from tradesense.monitoring.service import Business

router = APIRouter(tags=["monitoring"])

TheBusiness = Annotated[Business, Depends(provided("business", Business))]
Logger = Annotated[
    str,
    Path(
        max_length=200,
        pattern=r"^[A-Za-z0-9_.-]+$",
        description="The name of a logger, for those beneath it, too; `root` is all of them.",
        examples=["tradesense.ingest"],
    ),
]
_NEWEST: Final = 20
_MONTH: Final = 30


class Days(StrEnum):
    """How many days back the figures go."""

    WEEK = "7d"
    MONTH = "30d"
    QUARTER = "90d"
    YEAR = "365d"


@router.get("/business", responses=refusals(AdminRequired))
async def get_business(
    _: Administrator, business: TheBusiness, period: Annotated[Days, Query(description="How far back.")] = Days.MONTH
) -> BusinessView:
    """What the product was used for: users, imports, executions, trades and realised volume, by day."""
    days = await business.days(int(period.removesuffix("d")))
    return BusinessView.of(days)


@router.get("/loggers/{logger}", responses=refusals(AdminRequired))
async def get_logger(_: Administrator, logger: Logger, seen: TheObservations) -> LoggerView:
    """From which level on the lines of a logger are written."""
    return LoggerView.of(logger, seen.level_of(logger), (await seen.told(Known.levels)).get(logger))


@router.put("/loggers/{logger}", responses=refusals(AdminRequired, TooManyLevels))
async def set_logger(
    change: LevelChange,
    admin: Administrator,
    logger: Logger,
    seen: TheObservations,
    decisions: TheDecisions,
    request: Request,
) -> LoggerView:
    """Let another level hold for a logger, on all instances, for a while. It is noted who said so."""
    address = request.client.host if request.client else None
    await decisions.set_level(logger, change.level, timedelta(minutes=change.minutes), admin.user_id, address)
    return LoggerView.of(logger, seen.level_of(logger), (await seen.told(Known.levels)).get(logger))


@router.get("/dashboard", responses=refusals(AdminRequired))
async def get_dashboard(
    admin: Administrator, keel: TheKeel, health: TheHealth, business: TheBusiness, period: Back = Period.HOUR
) -> DashboardView:
    """Everything at a glance, in one document."""
    report, days = await asyncio.gather(health.report(), business.days_at_hand(_MONTH))
    errors = await list_errors(admin, keel, ErrorState.OPEN, limit=_NEWEST)
    await keel.observations.report()

    async def of_all(known: Known) -> DashboardView:
        return DashboardView(
            at=report.at,
            scope=known.scope,
            health=DetailedHealthView.of(report),
            requests=await of_requests(known, period),
            traces=await of_traces(known, Sought(), "", _NEWEST),
            errors=errors,
            queries=await of_queries(known, period),
            cache=await of_cache(known, period),
            instances=await of_instances(known),
            business=None if days is None else BusinessView.of(days),
            loggers=[LoggerView.of(name, held.level, held) for name, held in (await known.levels()).items()],
        )

    return await keel.observations.told(of_all)
