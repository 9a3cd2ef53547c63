"""The health of the Keel that is running."""

from collections.abc import Callable
from typing import Final

from keel.current import current
from keel.health.contract import Check, Health, Report


class _RunningHealth:
    """`keel.health.contract.Health`, by way of the running Keel; it has nothing of its own."""

    def register_check(
        self, name: str, check: Check, *, critical: bool = True, timeout: float = 2.0, cache: float = 5.0
    ) -> Callable[[], None]:
        return current().health.register_check(name, check, critical=critical, timeout=timeout, cache=cache)

    async def report(self) -> Report:
        return await current().health.report()

    async def is_ready(self) -> bool:
        return await current().health.is_ready()


health_checker: Final[Health] = _RunningHealth()
"""The health of the running Keel, for code that is handed none."""
