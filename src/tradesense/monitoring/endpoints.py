"""The monitoring endpoints: health for anyone, the rest for administrators."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response

from keel.health.checker import HealthChecker
from keel.health.contract import MEDIA_TYPE, HealthStatus
from tradesense.http.authentication import Administrator, AdminRequired
from tradesense.http.problems import refusals
from tradesense.http.state import provided
from tradesense.monitoring.schemas import DetailedHealthView, HealthView, StatusView
from tradesense.monitoring.service import Instance

router = APIRouter(prefix="/monitoring")

TheHealth = Annotated[HealthChecker, Depends(provided("health", HealthChecker))]
TheInstance = Annotated[Instance, Depends(provided("instance", Instance))]
_JSON: Final = "application/json"


def _documents(view: type[StatusView]) -> dict[int | str, dict[str, Any]]:
    """Health documents, under the name of the draft's where that is asked for."""
    return {200: {"content": {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{view.__name__}"}}}}}


def _either(view: type[StatusView]) -> dict[int | str, dict[str, Any]]:
    """The same where it does not work: 503 and the same document."""
    documents = _documents(view)
    return {**documents, 503: {**documents[200], "model": view, "description": "Service Unavailable: it fails."}}


def _told(request: Request, view: StatusView) -> Response:
    status = 503 if view.status is HealthStatus.FAIL else 200
    asked = request.headers.get("accept", "").lower()
    return Response(view.model_dump_json(), status, media_type=MEDIA_TYPE if MEDIA_TYPE in asked else _JSON)


@router.get("/health", tags=["health"], response_model=HealthView, responses=_either(HealthView))
async def get_health(request: Request, health: TheHealth, instance: TheInstance) -> Response:
    """How the service stands: 200, or 503 where something fails that it cannot do without."""
    report = await health.report()
    return _told(
        request,
        HealthView(status=report.status, timestamp=report.at, service=instance.service, version=instance.version),
    )


@router.get("/health/live", tags=["health"], response_model=StatusView, responses=_documents(StatusView))
async def get_liveness(request: Request) -> Response:
    """Whether the process answers at all; nothing else is looked at. If it does not, start it anew."""
    return _told(request, StatusView(status=HealthStatus.PASS))


@router.get("/health/ready", tags=["health"], response_model=StatusView, responses=_either(StatusView))
async def get_readiness(request: Request, health: TheHealth) -> Response:
    """Whether to send it work: 503 while it starts or is about to stop, and where something critical fails."""
    return _told(request, StatusView(status=HealthStatus.PASS if await health.is_ready() else HealthStatus.FAIL))


@router.get(
    "/health/detailed",
    tags=["monitoring"],
    response_model=DetailedHealthView,
    responses=refusals(AdminRequired) | _either(DetailedHealthView),
)
async def get_detailed_health(request: Request, _: Administrator, health: TheHealth) -> Response:
    """What every check has found."""
    return _told(request, DetailedHealthView.of(await health.report()))
