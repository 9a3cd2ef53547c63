from starlette.types import Message, Scope

from keel.asgi.observing import Observing
from keel.context import Segment, current_segment
from keel.traces.recorder import Traces


class Heard:
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.segments: list[Segment] = []

    def observed(self, request: Segment) -> None:
        self.segments.append(request)


def http(path: str = "/", *headers: tuple[bytes, bytes], method: str = "GET") -> Scope:
    return {"type": "http", "method": method, "path": path, "headers": list(headers), "client": ("10.0.0.1", 4)}


async def exchange(app: Observing, scope: Scope, *incoming: Message) -> list[Message]:
    sent: list[Message] = []
    waiting = [*incoming, {"type": "http.disconnect"}] if incoming else [{"type": "http.request", "body": b""}]

    async def receive() -> Message:
        return waiting.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


async def test_a_request_is_observed_with_its_ids_route_and_answer() -> None:
    traces, heard = Traces(), Heard()
    traces.observers.append(heard)

    async def app(_scope: object, _receive: object, send: object) -> None:
        segment = current_segment()
        assert segment is not None
        assert segment.route == "/items/{id}"
        assert callable(send)
        await send({"type": "http.response.start", "status": 201, "headers": [(b"x-cache", b"hit")]})
        await send({"type": "http.response.body", "body": b"12345"})

    observing = Observing(app, traces=lambda _: traces, template=lambda _: "/items/{id}")
    sent = await exchange(observing, http("/items/7", (b"x-request-id", b"tea-1")))
    assert (b"x-request-id", b"tea-1") in sent[0]["headers"]
    (segment,) = heard.segments
    assert (segment.status, segment.response_bytes, segment.cache, segment.title) == (
        201,
        5,
        "hit",
        "GET /items/{id}",
    )
    assert segment.duration_s > 0
    assert current_segment() is None
