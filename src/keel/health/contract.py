"""What health is told in: how a check answers, what was found, and how a service stands by all of it.

The words `pass`, `warn` and `fail` are those of draft-inadarei-api-health-check-06.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

MEDIA_TYPE: Final = "application/health+json"
"""What a health document is called by whoever asks for one by that name."""

Answer = Mapping[str, object] | bool | None
"""What a check says: a mapping whose `status` is `healthy`, `degraded` or `unhealthy`, whose `message` is a sentence
and whose other keys are details; or whether all is well. None is said by a check that raises where something is not."""

Check = Callable[[], Answer | Awaitable[Answer]]
"""A function, asynchronous or not; one that is not runs in a thread of its own."""


class HealthStatus(StrEnum):
    """How something stands."""

    PASS = "pass"  # noqa: S105 - a word of the draft's
    WARN = "warn"
    FAIL = "fail"


class Phase(StrEnum):
    """Where the service is in its life."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check has found, at a moment; finding it out took `duration_ms`."""

    status: HealthStatus
    critical: bool
    duration_ms: float
    at: datetime
    message: str = ""
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """How the service stands by its checks: it fails where a critical one does; what else is unwell is a warning."""

    at: datetime
    checks: Mapping[str, Finding]

    @property
    def status(self) -> HealthStatus:
        """All in one word."""
        found = self.checks.values()
        if any(each.critical and each.status is HealthStatus.FAIL for each in found):
            return HealthStatus.FAIL
        return HealthStatus.PASS if all(each.status is HealthStatus.PASS for each in found) else HealthStatus.WARN


class Health(Protocol):
    """The checks of a service, and where it is in its life."""

    def register_check(
        self, name: str, check: Check, *, critical: bool = True, timeout: float = 2.0, cache: float = 5.0
    ) -> Callable[[], None]:
        """Ask `check` from now on; returns how to stop. Raises ValueError where there is one of that name.

        It is asked when somebody wants to know, once for all who do, and what it found is good for `cache` seconds. One
        that takes longer than `timeout` seconds has failed; it is not asked again while it still hangs. Where a
        `critical` check fails the service does, and is not ready.
        """

    async def report(self) -> Report:
        """What all checks find, asked at the same time."""

    async def is_ready(self) -> bool:
        """Whether to send work: it has started, is not about to stop, and nothing critical fails."""
