"""What the monitoring endpoints give."""

from typing import Annotated, Any, Self

from pydantic import AwareDatetime, Field

from keel.health.contract import Finding, HealthStatus, Report
from tradesense.http.types import View

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
