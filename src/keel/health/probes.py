"""One check, asked: in time, once for all who want to know, and not again while it hangs."""

import asyncio
import inspect
import logging
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from threading import Thread
from time import perf_counter
from typing import Any, Final

from keel.clock import Clock
from keel.health.answers import Said, raised, read
from keel.health.contract import Answer, Check, Finding, HealthStatus
from keel.logs.redaction import Redaction
from keel.tasks import Tasks

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """How a check is asked; see `Health.register_check`."""

    critical: bool
    timeout_s: float
    cache_s: float

    def __post_init__(self) -> None:
        """Refuse what could only be a mistake."""
        if self.timeout_s <= 0:
            raise ValueError("a check needs some time to answer")
        if self.cache_s < 0:
            raise ValueError("an answer cannot be out of date before it is given")


class Probe:
    """Asks one check."""

    def __init__(self, name: str, check: Check, terms: Terms, tasks: Tasks, clock: Clock, redaction: Redaction) -> None:
        self.found: Finding | None = None
        """What was found last."""
        self._name = name
        self._check = check
        self._terms = terms
        self._tasks = tasks
        self._clock = clock
        self._redaction = redaction
        self._good_until = float("-inf")
        self._asking: asyncio.Task[Finding] | None = None
        self._work: asyncio.Task[Said] | None = None
        self._thread_is_busy = False

    async def find(self) -> Finding:
        """What the check says, or said not long ago."""
        if self.found is not None and self._clock.monotonic() < self._good_until:
            return self.found
        if self._asking is None or self._asking.done():
            self._asking = self._tasks.start(f"health: {self._name}", self._ask())
        return await asyncio.shield(self._asking)

    @property
    def hangs(self) -> bool:
        """Whether it is still at it, after its time was over."""
        return self._thread_is_busy or (self._work is not None and not self._work.done())

    async def _ask(self) -> Finding:
        began = perf_counter()
        said = await self._within_time()
        found = Finding(
            said.status,
            self._terms.critical,
            round((perf_counter() - began) * 1000, 3),
            self._clock.now(),
            self._redaction.text(said.message),
            self._redaction.fields(said.details),
        )
        self._tell(found)
        self.found, self._good_until = found, self._clock.monotonic() + self._terms.cache_s
        return found

    async def _within_time(self) -> Said:
        if self.hangs:
            return Said(HealthStatus.FAIL, "it hangs: no answer to what was asked before", {})
        self._work = work = self._tasks.start(f"health: asking {self._name}", self._answer())
        await asyncio.wait({work}, timeout=self._terms.timeout_s)
        if not work.done():
            work.cancel()
            return Said(HealthStatus.FAIL, f"no answer within {self._terms.timeout_s:g} s", {})
        return Said(HealthStatus.FAIL, "the check was cancelled", {}) if work.cancelled() else work.result()

    async def _answer(self) -> Said:
        try:
            if inspect.iscoroutinefunction(self._check):
                return read(await self._check())
            answer = await self._in_thread()
            return read(await answer if inspect.isawaitable(answer) else answer)
        except Exception as error:  # noqa: BLE001 - a check may raise what it likes
            return raised(error)

    def _in_thread(self) -> "asyncio.Future[Any]":
        """Ask in a thread of the check's own: one that hangs takes none from a pool, and does not hold up the exit."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()

        def settle(answer: Any, error: BaseException | None) -> None:  # noqa: ANN401 - whatever the check returned
            if not future.done():
                if error is None:
                    future.set_result(answer)
                else:
                    future.set_exception(error)

        def ask() -> None:
            answer, error = None, None
            try:
                answer = self._check()
            except Exception as raised_:  # noqa: BLE001 - told to who waits
                error = raised_
            self._thread_is_busy = False
            with suppress(RuntimeError):  # the loop may be closed by the time a check that hung is done
                loop.call_soon_threadsafe(settle, answer, error)

        self._thread_is_busy = True
        Thread(target=copy_context().run, args=(ask,), name=f"health: {self._name}", daemon=True).start()
        return future

    def _tell(self, found: Finding) -> None:
        before = HealthStatus.PASS if self.found is None else self.found.status
        if found.status is HealthStatus.PASS and before is not HealthStatus.PASS:
            _LOG.info("health: %s is well again", self._name)
        elif found.status is not before:
            _LOG.warning("health: %s: %s: %s", self._name, found.status, found.message)
