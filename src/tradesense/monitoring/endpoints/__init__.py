"""The monitoring endpoints: health for anyone, the rest for administrators."""

from typing import Final

from fastapi import APIRouter

from tradesense.monitoring.endpoints.observed import router as observed
from tradesense.monitoring.endpoints.overview import router as overview
from tradesense.monitoring.endpoints.standing import probes
from tradesense.monitoring.endpoints.standing import router as errors

PREFIX: Final = "/monitoring"

router = APIRouter(prefix=PREFIX)
for part in (probes, errors, observed, overview):
    router.include_router(part)
