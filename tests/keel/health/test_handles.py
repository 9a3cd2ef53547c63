"""`health_checker`, as the source document uses it."""

import pytest

from keel import health_checker
from keel.current import NoKeel
from keel.health.contract import HealthStatus
from keel.opening import Keel


async def check_external_api() -> dict[str, object]:
    return {"status": "degraded", "response_ms": 950}


async def test_checks_are_registered_with_the_keel_that_is_running() -> None:
    with pytest.raises(NoKeel):
        health_checker.register_check("external_api", check_external_api, critical=False)
    async with Keel.open() as keel:
        health_checker.register_check("external_api", check_external_api, critical=False)
        report = await health_checker.report()
        assert report.checks["external_api"].status is HealthStatus.WARN
        assert report.checks["external_api"].details == {"response_ms": 950}
        assert report.checks.keys() == {"event_loop", "memory", "external_api"}
        assert not await health_checker.is_ready()
        keel.health.start()
        assert await health_checker.is_ready()


async def test_every_server_is_asked_and_none_is_critical(redis_url: str) -> None:
    async with Keel.open(redis_url) as keel:
        found = (await keel.health.report()).checks
        assert found["redis"].status is HealthStatus.PASS
        assert not found["redis"].critical
        assert "redis_cache" not in found
