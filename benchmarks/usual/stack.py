"""`GET /api/v1/portfolio/summary` as most people would assemble it, and as it is with nothing around it.

The usual parts: FastAPI with a response model, fastapi-cache2, slowapi and starsessions on one Redis; OpenTelemetry's
instrumentation, prometheus-fastapi-instrumentator, and structlog through Starlette's BaseHTTPMiddleware. Each as its
documentation begins, with nothing exported and no header added that is not there by default.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Final

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi_cache import FastAPICache
from fastapi_cache.backends.redis import RedisBackend
from fastapi_cache.decorator import cache
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from prometheus_client import CollectorRegistry
from prometheus_fastapi_instrumentator import Instrumentator
from redis.asyncio import Redis
from slowapi import Limiter, _rate_limit_exceeded_handler
from slowapi.errors import RateLimitExceeded
from slowapi.util import get_remote_address
from starsessions import SessionAutoloadMiddleware, SessionMiddleware
from starsessions.stores.redis import RedisStore

from benchmarks.observability import AccessLog, Nowhere
from tradesense.portfolio.schemas import PortfolioView

PATH: Final = "/api/v1/portfolio/summary"
_USER: Final = "user_id"
_LIMIT: Final = "100000000/minute"
_KEPT_S: Final = 600


def bare(body: Path) -> FastAPI:
    """An endpoint that returns these bytes."""
    app, content = FastAPI(), body.read_bytes()

    @app.get(PATH)
    async def summary() -> Response:
        return Response(content, media_type="application/json")

    return app


def usual(body: Path, redis_url: str, log: Path) -> FastAPI:
    """The endpoint, cached, limited and observed, for whoever has a session: `POST /login` gives one to anybody."""
    redis = Redis.from_url(redis_url)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        FastAPICache.init(RedisBackend(redis), prefix="usual")
        yield

    app = FastAPI(lifespan=lifespan)
    limiter = app.state.limiter = Limiter(key_func=get_remote_address, storage_uri=redis_url)
    app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)

    @app.post("/login")
    async def login(request: Request) -> None:
        request.session.update({_USER: "8f14e45f-ceea-467f-a83d-7b2d9c1f6a10", "email": "trader@example.com"})

    async def user_of(request: Request) -> str:
        if _USER not in request.session:
            raise HTTPException(401)
        return str(request.session[_USER])

    @app.get(PATH)
    @limiter.limit(_LIMIT)  # type: ignore[untyped-decorator]
    @cache(expire=_KEPT_S)  # type: ignore[untyped-decorator]
    async def summary(request: Request, user_id: Annotated[str, Depends(user_of)]) -> PortfolioView:  # noqa: ARG001
        return PortfolioView.model_validate_json(body.read_bytes())  # noqa: ASYNC240 - once

    app.add_middleware(SessionAutoloadMiddleware)
    app.add_middleware(SessionMiddleware, store=RedisStore(connection=redis), cookie_https_only=False, lifetime=86_400)
    _observe(app, log)
    return app


def _observe(app: FastAPI, log: Path) -> None:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    app.add_middleware(AccessLog, stream=log.open("w", buffering=1 << 16))
    Instrumentator(registry=CollectorRegistry()).instrument(app)
    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider)
