"""An OTLP collector's HTTP endpoint: it reads requests as the protocol's own messages, and answers as it is told."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from google.protobuf.json_format import Parse  # type: ignore[import-untyped] # it ships no types
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass
class Received:
    """What a collector has got, and how it answers: with these statuses first, then 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    retry_after: str = ""
    headers: list[dict[str, str]] = field(default_factory=list)
    spans: list[Any] = field(default_factory=list)
    lines: list[Any] = field(default_factory=list)
    resources: list[dict[str, str]] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)
    asked: int = 0
    came: threading.Event = field(default_factory=threading.Event)

    def take(self, path: str, body: str) -> None:
        """Read a request's body; raises ParseError for what is none of the protocol's."""
        if path == "/v1/traces":
            for group in Parse(body, ExportTraceServiceRequest()).resource_spans:
                self.resources.append(said(group.resource.attributes))
                self.spans += [span for scope in group.scope_spans for span in scope.spans]
        else:
            assert path == "/v1/logs"
            for logs in Parse(body, ExportLogsServiceRequest()).resource_logs:
                self.resources.append(said(logs.resource.attributes))
                self.lines += [line for scope in logs.scope_logs for line in scope.log_records]
        self.bodies.append(body)


def said(attributes: Any) -> dict[str, Any]:  # noqa: ANN401 - a protobuf's repeated field
    """Attributes as a dict."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


@contextmanager
def collector() -> Iterator[Received]:
    """A collector that listens."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"]))).decode()
            received.asked += 1
            status = received.statuses.pop(0) if received.statuses else 200
            if status == 200:
                received.headers.append(dict(self.headers))
                received.take(self.path, body)
            self.send_response(status)
            if received.retry_after:
                self.send_header("Retry-After", received.retry_after)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")
            received.came.set()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    received.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
