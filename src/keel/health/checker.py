"""All checks of a service, and where it is in its life."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

from keel.clock import Clock, SystemClock
from keel.health.contract import Check, Finding, HealthStatus, Phase, Report
from keel.health.probes import Probe, Terms
from keel.logs.redaction import Redaction
from keel.tasks import Tasks


class HealthChecker:
    """Implements `Health`. Nothing is asked unless somebody wants to know, and no secret in an answer is passed on."""

    def __init__(self, tasks: Tasks, clock: Clock | None = None) -> None:
        self.phase = Phase.STARTING
        self._tasks = tasks
        self._clock = clock or SystemClock()
        self._redaction = Redaction()
        self._probes: dict[str, Probe] = {}

    def register_check(
        self,
        name: str,
        check: Check,
        *,
        critical: bool = True,
        timeout: float = 2.0,
        cache: float = 5.0,
    ) -> Callable[[], None]:
        """Ask `check` from now on; all that `Health.register_check` says holds."""
        if name in self._probes:
            raise ValueError(f"two checks are called {name}")
        terms = Terms(critical, timeout, cache)
        probe = self._probes[name] = Probe(name, check, terms, self._tasks, self._clock, self._redaction)
        return partial(self._forget, name, probe)

    def start(self) -> None:
        """Everything is there: work may be sent."""
        if self.phase is Phase.STARTING:
            self.phase = Phase.SERVING

    def drain(self) -> None:
        """It is about to stop: no more work is to be sent."""
        self.phase = Phase.DRAINING

    async def report(self) -> Report:
        """What all checks find."""
        names, probes = list(self._probes), list(self._probes.values())
        found = await asyncio.gather(*(probe.find() for probe in probes))
        return Report(self._clock.now(), dict(zip(names, found, strict=True)))

    async def is_ready(self) -> bool:
        """Whether to send work."""
        return self.phase is Phase.SERVING and (await self.report()).status is not HealthStatus.FAIL

    def found(self) -> Mapping[str, Finding]:
        """What was found last by each check that was ever asked; nothing is asked now."""
        return {name: probe.found for name, probe in self._probes.items() if probe.found is not None}

    def _forget(self, name: str, probe: Probe) -> None:
        if self._probes.get(name) is probe:
            del self._probes[name]
