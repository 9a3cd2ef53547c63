"""Calls to other services by httpx as part of what is under way: each a span, and each says for what it is made."""

from typing import Final

import httpx

from keel.context import current_segment
from keel.traces.propagation import outgoing
from keel.traces.spans import span

_FAILED: Final = 400


class TracedTransport(httpx.AsyncBaseTransport):
    """A transport over another one: `AsyncClient(transport=TracedTransport(AsyncHTTPTransport()))`.

    A request gets `traceparent`, `X-Request-ID` and `X-Correlation-ID`, unless it has its own. Its query and headers
    are not recorded. (httpx is no dependency of ours: who uses it has it.)
    """

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the span lasts until the head of the answer is there."""
        if current_segment() is None:
            return await self._transport.handle_async_request(request)
        said = {
            "http.request.method": request.method,
            "server.address": request.url.host,
            "server.port": request.url.port,
            "url.path": request.url.path,
        }
        with span(request.method, said, kind="client") as call:
            for name, value in outgoing().items():
                request.headers.setdefault(name, value)
            response = await self._transport.handle_async_request(request)
            call.set("http.response.status_code", response.status_code)
            if response.status_code >= _FAILED:
                call.set("error.type", str(response.status_code))
            return response

    async def aclose(self) -> None:
        """Close the transport beneath."""
        await self._transport.aclose()
