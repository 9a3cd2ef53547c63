import httpx
import pytest

from keel.context import doing
from keel.traces.contract import TraceOptions
from keel.traces.outgoing import TracedTransport
from keel.traces.recorder import Traces


async def test_calls_to_other_services_are_spans_and_say_for_what_they_are_made() -> None:
    asked: list[httpx.Headers] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers)
        if request.url.path == "/away":
            raise httpx.ConnectError("no route to host")
        return httpx.Response(404 if request.url.path == "/missing" else 200)

    segment = Traces(TraceOptions(rate=1)).begin("http", "")
    segment.request_id, segment.correlation_id = "tea-1", "tea-0"
    async with httpx.AsyncClient(transport=TracedTransport(httpx.MockTransport(answer))) as client:
        await client.get("http://prices.test/quote")
        before = doing.set(segment)
        await client.get("http://prices.test:81/quote?key=hunter2", headers={"X-Request-ID": "own"})
        await client.post("http://prices.test/missing")
        with pytest.raises(httpx.ConnectError):
            await client.get("http://prices.test/away")
        doing.reset(before)
    assert "traceparent" not in asked[0]
    quote, missing, away = segment.spans
    assert asked[1]["traceparent"] == f"00-{segment.trace_id}-{quote.span_id:016x}-01"
    assert (asked[1]["x-request-id"], asked[1]["x-correlation-id"], asked[2]["x-request-id"]) == (
        "own",
        "tea-0",
        "tea-1",
    )
    assert quote.attributes == {
        "http.request.method": "GET",
        "server.address": "prices.test",
        "server.port": 81,
        "url.path": "/quote",
        "http.response.status_code": 200,
    }
    assert (quote.name, quote.kind, quote.error) == ("GET", "client", "")
    assert missing.attributes is not None
    assert missing.attributes["error.type"] == "404"
    assert away.error == "httpx.ConnectError"
