"""Health for anyone; metrics for who collects them; errors for administrators."""

import re
from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from starlette.requests import HTTPConnection

from keel.context import routine
from keel.errors import Malformed
from keel.failures.contract import ErrorGroupNotFound, ErrorState
from keel.health.checker import HealthChecker
from keel.health.contract import MEDIA_TYPE, HealthStatus
from keel.metrics.rendering import Form
from keel.opening import Keel
from keel.redis.sharing import NotKnownHere
from tradesense.http.authentication import (
    Administrator,
    AdminRequired,
    SessionToken,
    administrator,
    authenticate,
    bearer_token,
)
from tradesense.http.problems import refusals
from tradesense.http.state import part, provided
from tradesense.monitoring.schemas.standing import (
    DetailedHealthView,
    ErrorDecision,
    ErrorDetailView,
    ErrorGroupsView,
    ErrorGroupView,
    HealthView,
    StatusView,
)
from tradesense.monitoring.service import Decisions, Instance

router = APIRouter()
probes = APIRouter()
"""What is asked of each process: of those that serve nobody, too."""

TheHealth = Annotated[HealthChecker, Depends(provided("health", HealthChecker))]
TheInstance = Annotated[Instance, Depends(provided("instance", Instance))]
TheKeel = Annotated[Keel, Depends(provided("keel", Keel))]
TheDecisions = Annotated[Decisions, Depends(provided("decisions", Decisions))]
_JSON: Final = "application/json"
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{16}")
_LONGEST: Final = 90 * 24


def _documents(view: type[StatusView]) -> dict[int | str, dict[str, Any]]:
    """Health documents, under the name of the draft's where that is asked for."""
    return {200: {"content": {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{view.__name__}"}}}}}


def _either(view: type[StatusView]) -> dict[int | str, dict[str, Any]]:
    """The same where it does not work: 503 and the same document."""
    documents = _documents(view)
    return {**documents, 503: {**documents[200], "model": view, "description": "Service Unavailable: it fails."}}


def _bare(form: Form) -> str:
    """A media type without its parameters."""
    return form.media_type.partition(";")[0]


def _told(request: Request, view: StatusView) -> Response:
    routine()
    status = 503 if view.status is HealthStatus.FAIL else 200
    asked = request.headers.get("accept", "").lower()
    return Response(view.model_dump_json(), status, media_type=MEDIA_TYPE if MEDIA_TYPE in asked else _JSON)


@probes.get("/health", tags=["health"], response_model=HealthView, responses=_either(HealthView))
async def get_health(request: Request, health: TheHealth, instance: TheInstance) -> Response:
    """How the service stands: 200, or 503 where something fails that it cannot do without."""
    report = await health.report()
    return _told(
        request,
        HealthView(status=report.status, timestamp=report.at, service=instance.service, version=instance.version),
    )


@probes.get("/health/live", tags=["health"], response_model=StatusView, responses=_documents(StatusView))
async def get_liveness(request: Request) -> Response:
    """Whether the process answers at all; nothing else is looked at. If it does not, start it anew."""
    return _told(request, StatusView(status=HealthStatus.PASS))


@probes.get("/health/ready", tags=["health"], response_model=StatusView, responses=_either(StatusView))
async def get_readiness(request: Request, health: TheHealth) -> Response:
    """Whether to send it work: 503 while it starts or is about to stop, and where something critical fails."""
    return _told(request, StatusView(status=HealthStatus.PASS if await health.is_ready() else HealthStatus.FAIL))


@probes.get(
    "/health/detailed",
    tags=["monitoring"],
    response_model=DetailedHealthView,
    responses=refusals(AdminRequired) | _either(DetailedHealthView),
)
async def get_detailed_health(request: Request, _: Administrator, health: TheHealth) -> Response:
    """What every check has found."""
    return _told(request, DetailedHealthView.of(await health.report()))


class _Scraping(SessionToken):
    """The dependency of whoever may see the metrics: an administrator, or a program with the scrape token."""

    async def __call__(self, connection: HTTPConnection) -> None:  # type: ignore[override] # nobody in particular asks
        """Raise `NotAuthenticated` or `AdminRequired` for anybody else."""
        if not part(connection, "instance", Instance).may_scrape(bearer_token(connection)):
            await administrator(await authenticate(connection))


_METRICS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "All metrics of this process.", "content": {_bare(form): {} for form in Form}}
}


@probes.get(
    "/metrics",
    tags=["monitoring"],
    dependencies=[Depends(_Scraping())],
    response_class=Response,
    responses=_METRICS | refusals(AdminRequired),
)
async def get_metrics(request: Request, keel: TheKeel) -> Response:
    """What Prometheus collects: as OpenMetrics, as text (0.0.4) or as JSON, by `Accept`.

    The bearer token is an administrator's, or the scrape token of the settings.
    """
    routine()
    rendered = await keel.metrics.render(request.headers.get("accept", ""))
    return Response(rendered.body, media_type=rendered.media_type)


class FingerprintMalformed(Malformed):
    """A fingerprint is sixteen hexadecimal digits."""

    def __init__(self) -> None:
        super().__init__("A fingerprint is sixteen hexadecimal digits.")


async def _fingerprint(
    fingerprint: Annotated[str, Path(max_length=64, examples=["9f86d081884c7d65"])],
) -> str:
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise FingerprintMalformed
    return fingerprint


Group = Annotated[str, Depends(_fingerprint)]
_OF_GROUP: Final = refusals(AdminRequired, ErrorGroupNotFound, FingerprintMalformed)


@router.get("/errors", tags=["monitoring"], responses=refusals(AdminRequired))
async def list_errors(
    _: Administrator,
    keel: TheKeel,
    state: Annotated[ErrorState | None, Query(description="Those in this state.")] = None,
    hours: Annotated[int | None, Query(ge=1, le=_LONGEST, description="Those seen in so many hours.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> ErrorGroupsView:
    """What went wrong, by type and place, the latest first."""
    within = None if hours is None else timedelta(hours=hours)
    found = await keel.failures.newest(state=state, within=within, limit=limit)
    return ErrorGroupsView(scope=found.scope, items=[ErrorGroupView.of(group) for group in found.groups])


@router.get("/errors/{fingerprint}", tags=["monitoring"], responses=_OF_GROUP | refusals(NotKnownHere))
async def get_error(_: Administrator, fingerprint: Group, keel: TheKeel) -> ErrorDetailView:
    """A group of errors, with the latest of them."""
    found = await keel.failures.get(fingerprint)
    (group,) = found.groups
    return ErrorDetailView.of(group, found.scope)


@router.patch("/errors/{fingerprint}", tags=["monitoring"], responses=_OF_GROUP)
async def decide_error(
    decision: ErrorDecision,
    admin: Administrator,
    fingerprint: Group,
    decisions: TheDecisions,
    keel: TheKeel,
    request: Request,
) -> ErrorDetailView:
    """Say that a group is mended, or does not matter, or does after all. It is noted who said so."""
    address = request.client.host if request.client else None
    group = await decisions.decide(fingerprint, decision.state, admin.user_id, address)
    return ErrorDetailView.of(group, keel.failures.scope)
