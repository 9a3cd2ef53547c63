"""Whether the event loop comes round in time."""

from typing import Final, Protocol

from keel.health.contract import Answer

LATE_S: Final = 0.25
FAR_TOO_LATE_S: Final = 2.0
"""By how much something may be late before it is worth a word, and before nobody is served properly."""


class Lag(Protocol):
    """How late the loop was."""

    def worst_s(self) -> float:
        """The greatest delay of the last seconds."""


class LoopCheck:
    """Whether callbacks ran when they were due."""

    def __init__(self, lag: Lag) -> None:
        self._lag = lag

    async def __call__(self) -> Answer:
        """What to say of it."""
        worst_s = self._lag.worst_s()
        status = "unhealthy" if worst_s > FAR_TOO_LATE_S else "degraded" if worst_s > LATE_S else "healthy"
        message = "" if status == "healthy" else f"callbacks ran up to {worst_s * 1000:.0f} ms late"
        return {"status": status, "message": message, "lag_ms": round(worst_s * 1000, 3)}
