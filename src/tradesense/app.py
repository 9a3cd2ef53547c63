"""The application: its routers and its middleware, and nothing else."""

import json
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from typing import Final

import anyio.to_thread
from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute

from keel.asgi.addresses import ClientAddresses, TrustedProxies
from keel.asgi.express import ATTRIBUTE, Express
from keel.asgi.hot_path import HotPath
from keel.asgi.limits import RateLimiting
from keel.asgi.observing import Observing, route_of
from keel.asgi.routes import RouteTemplates, templates
from keel.asgi.running import Running
from keel.cache.endpoints import Known
from tradesense import wiring
from tradesense.accounts.endpoints import router as accounts
from tradesense.analytics.endpoints import router as analytics
from tradesense.events.endpoints import router as events
from tradesense.http import limits, openapi, problems, reference
from tradesense.http.authentication import Principal, known_at_once
from tradesense.http.bodies import BodyLimits, Limits
from tradesense.http.cached import identify, version_for, version_of
from tradesense.http.idempotency import Idempotency
from tradesense.http.middleware import Decorations, Heads, SecurityHeaders, UnexpectedErrors
from tradesense.ingest.endpoints import router as imports
from tradesense.journal.endpoints import router as journal
from tradesense.monitoring.endpoints import router as monitoring
from tradesense.portfolio.endpoints import router as portfolio
from tradesense.security.endpoints import router as security
from tradesense.settings import MEBIBYTE, Settings
from tradesense.trades.endpoints import router as trades
from tradesense.work.endpoints import router as work

PREFIX: Final = "/api/v1"
SLICES: Final = (security, accounts, imports, trades, journal, portfolio, analytics, events, monitoring, work)
UPLOADS: Final = (f"{PREFIX}/imports", f"{PREFIX}/imports/preview")
WITHOUT_KEYS: Final = (f"{PREFIX}/auth/", f"{PREFIX}/api-keys")
"""Where answers have secrets in them, which are not kept to be repeated."""
JSON_BYTES: Final = MEBIBYTE
DOCUMENTS: Final = ("/openapi.json", "/docs")
FORM_BYTES: Final = MEBIBYTE
"""What a form may have beside its file."""


def create_app(settings: Settings, opening: wiring.Opening = wiring.opened) -> FastAPI:
    """The whole application, not yet started; its lifespan opens what `opening` builds.

    A server that asks `app.express` first has answers from memory sent at once (see `keel.asgi.serving`).
    """
    known: dict[str, Known] = {}
    app = openapi.Documented(
        cookie=wiring.session_cookie(settings).name,
        without_keys=WITHOUT_KEYS,
        title="TradeSense",
        version=version("tradesense"),
        description="From a broker's file to trades, statistics and insight.",
        lifespan=wiring.lifespan(settings, opening),
        middleware=_middleware(settings, known),
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        routes=_routes(),
    )
    setattr(app, ATTRIBUTE, _express(settings, known))
    problems.install(app)
    _serve_documents(app)
    return app


@cache
def _routes() -> Sequence[BaseRoute]:
    """The routes of the API, the same in every application.

    FastAPI analyses their parameters when a route is first looked for, which takes some 50 ms: `_templates` has it
    done before the event loop runs, once in a process.
    """
    api = APIRouter(generate_unique_id_function=openapi.operation_id)
    for slice_ in SLICES:
        api.include_router(slice_, prefix=PREFIX)
    return api.routes


@cache
def _templates() -> RouteTemplates:
    return RouteTemplates([*templates(_routes()), *DOCUMENTS])


def _express(settings: Settings, known: dict[str, Known]) -> Express[Principal]:
    return Express(
        known,
        identify=known_at_once,
        asker=limits.asker_of,
        version=version_for,
        decorate=Decorations(*_decorating(settings)),
        proxies=TrustedProxies.parse(settings.trusted_proxies),
    )


def _middleware(settings: Settings, known: dict[str, Known]) -> list[Middleware]:
    """Outermost first: what is further in answers with the headers of what is further out."""
    bodies = Limits(JSON_BYTES, settings.max_upload_mb * MEBIBYTE + FORM_BYTES, UPLOADS)
    return [
        Middleware(ClientAddresses, TrustedProxies.parse(settings.trusted_proxies)),
        Middleware(Observing, template=_templates().find, exempt=limits.is_our_own),
        Middleware(Running),
        *_decorating(settings),
        Middleware(UnexpectedErrors),
        Middleware(
            RateLimiting,
            identify=limits.asker,
            template=route_of,
            exempt=limits.is_our_own,
            refuse=limits.refuse,
        ),
        Middleware(BodyLimits, bodies),
        Middleware(Idempotency, without=WITHOUT_KEYS),
        Middleware(HotPath, identify=identify, version=version_of, known=known),
        Middleware(Heads),
    ]


def _decorating(settings: Settings) -> list[Middleware]:
    """What adds headers to every answer."""
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_credentials=True,
            allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=[
                "Authorization",
                "Content-Type",
                "Idempotency-Key",
                "If-Match",
                "If-None-Match",
                "X-Correlation-ID",
                "X-Data-Version",
                "X-Request-ID",
                "traceparent",
                "tracestate",
            ],
            expose_headers=[
                "Age",
                "Content-Disposition",
                "ETag",
                "Location",
                "RateLimit",
                "RateLimit-Policy",
                "Retry-After",
                "X-Cache",
                "X-Correlation-ID",
                "X-Data-Version",
                "X-Request-ID",
            ],
            max_age=600,
        ),
        Middleware(SecurityHeaders, https=settings.is_https),
    ]


def _serve_documents(app: FastAPI) -> None:
    """Serve the OpenAPI document and the page made of it; both are made in a thread, as that takes a while."""

    async def document(_request: Request) -> Response:
        content = await anyio.to_thread.run_sync(lambda: json.dumps(app.openapi()))
        return Response(content, media_type="application/json")

    async def page(_request: Request) -> Response:
        content = await anyio.to_thread.run_sync(lambda: reference.render(app.openapi()))
        return HTMLResponse(content, headers={"Content-Security-Policy": reference.POLICY})

    at_json, at_page = DOCUMENTS
    app.add_route(at_json, document, include_in_schema=False)
    app.add_route(at_page, page, include_in_schema=False)
