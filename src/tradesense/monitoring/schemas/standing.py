"""What the endpoints of health and errors give."""

from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, ConfigDict, Field

from keel.failures.contract import ErrorGroup, ErrorState, Frame
from keel.health.contract import Finding, HealthStatus, Report
from tradesense.http.types import Body, View

Scope = Annotated[
    Literal["instance", "shared"], Field(description="Whether of this instance alone, or of all that share a Redis.")
]
Milliseconds = Annotated[float, Field(ge=0, examples=[1.25])]


class StatusView(View):
    """One word: `pass`, or `warn` where something is not as it should be, or `fail` where it does not work."""

    status: HealthStatus


class HealthView(StatusView):
    """How the service stands, and which it is."""

    timestamp: AwareDatetime
    service: str = Field(examples=["tradesense"])
    version: str = Field(examples=["1.4.0"])


class CheckView(StatusView):
    """What one check has found."""

    critical: bool = Field(description="Whether the service fails where this does.")
    duration_ms: Milliseconds
    message: str = Field(examples=["no answer within 2 s"])
    details: dict[str, Any]
    timestamp: AwareDatetime = Field(description="When it was asked: answers are good for some seconds.")

    @classmethod
    def of(cls, finding: Finding) -> Self:
        """The view of a finding."""
        return cls(
            status=finding.status,
            critical=finding.critical,
            duration_ms=finding.duration_ms,
            message=finding.message,
            details=dict(finding.details),
            timestamp=finding.at,
        )


class DetailedHealthView(StatusView):
    """How the service stands, and what each check has found."""

    timestamp: AwareDatetime
    checks: dict[str, CheckView]

    @classmethod
    def of(cls, report: Report) -> Self:
        """The view of a report."""
        checks = {name: CheckView.of(finding) for name, finding in report.checks.items()}
        return cls(status=report.status, timestamp=report.at, checks=checks)


Fingerprint = Annotated[str, Field(examples=["9f86d081884c7d65"], description="Names the group.")]


class RouteCount(View):
    """How often something happened on a route; `background` stands for what nobody asked for."""

    route: str = Field(examples=["GET /api/v1/trades"])
    count: int = Field(ge=0)


class ErrorGroupView(View):
    """Errors of one type, from one place in the code."""

    fingerprint: Fingerprint
    type: str = Field(examples=["ValueError"])
    message: str = Field(description="Of the latest, without anything secret.")
    where: str = Field(description="The place in the code.", examples=["tradesense/trades/service.py Trades.find"])
    state: ErrorState
    count: int = Field(ge=0)
    users: int = Field(ge=0, description="How many users met it; an estimate where they are many.")
    first_seen: AwareDatetime
    last_seen: AwareDatetime
    regressions: int = Field(ge=0, description="How often it came back after it was resolved.")
    changed_at: AwareDatetime = Field(description="When its state changed last.")
    routes: list[RouteCount]

    @classmethod
    def of(cls, group: ErrorGroup) -> Self:
        """The view of a group."""
        return cls(**_members(group))


def _members(group: ErrorGroup) -> dict[str, Any]:
    routes = sorted(group.routes.items(), key=lambda each: -each[1])
    return {
        **{name: getattr(group, name) for name in ErrorGroupView.model_fields if name not in {"message", "routes"}},
        "message": group.sample.message,
        "routes": [RouteCount(route=route, count=count) for route, count in routes],
    }


class FrameView(View):
    """A place in the code that an error came through."""

    file: str
    line: int
    function: str
    is_own: bool = Field(description="Whether it is the application's own code.")

    @classmethod
    def of(cls, frame: Frame) -> Self:
        """The view of a frame."""
        return cls(file=frame.file, line=frame.line, function=frame.function, is_own=frame.is_own)


class SampleView(View):
    """The latest error of a group."""

    at: AwareDatetime
    route: str
    trace_id: str = Field(description="Its trace, as long as that is kept; empty where there was none.")
    request_id: str
    frames: list[FrameView] = Field(description="From the outermost to the innermost.")


class ErrorDetailView(ErrorGroupView):
    """A group of errors, with the latest of them."""

    scope: Scope
    sample: SampleView

    @classmethod
    def of(cls, group: ErrorGroup, scope: Literal["instance", "shared"] = "instance") -> Self:
        """The view of a group."""
        sample = group.sample
        view = SampleView(
            at=sample.at,
            route=sample.route,
            trace_id=sample.trace_id,
            request_id=sample.request_id,
            frames=[FrameView.of(frame) for frame in sample.frames],
        )
        return cls(**_members(group), scope=scope, sample=view)


class ErrorGroupsView(View):
    """Groups of errors, the latest seen first."""

    scope: Scope
    items: list[ErrorGroupView]


class ErrorDecision(Body):
    """What becomes of a group: `resolved` until it comes back, `ignored` for good, or `open` again."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"state": "resolved"}]})

    state: ErrorState
