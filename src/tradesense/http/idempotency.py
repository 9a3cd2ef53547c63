"""POSTs that may be repeated: an `Idempotency-Key` gets the answer that the first request with it got.

After draft-ietf-httpapi-idempotency-key-header-07. An answer is kept only where the request succeeded: one that was
refused has changed nothing, and is judged anew.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keel.errors import Conflict, Invalid, Malformed, Refusal
from tradesense.http import problems
from tradesense.http.authentication import UserId, authenticate
from tradesense.http.remembered import Answer, RememberedAnswers
from tradesense.http.state import part

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
LARGEST_ANSWER: Final = 1 << 20
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_KEPT_HEADERS: Final = ("content-type", "etag", "location", "x-data-version")
_BOUNDARY: Final = re.compile(r'boundary="?([^";,]+)"?', re.IGNORECASE)


class IdempotencyKeyMalformed(Malformed):
    """The idempotency key is not 1 to 255 visible ASCII characters."""

    def __init__(self) -> None:
        super().__init__(f"{HEADER} must be 1 to 255 visible ASCII characters.")


class IdempotencyKeyReused(Invalid):
    """The idempotency key came with another request before."""

    def __init__(self) -> None:
        super().__init__("This key came with another request before; use a new one.", loc=("header", HEADER))


class IdempotencyKeyInUse(Conflict):
    """A request with this idempotency key has begun and not ended."""

    def __init__(self) -> None:
        super().__init__(
            "A request with this key has begun and not ended. If it began long ago, the server died under it: "
            "look whether it took effect before you send it again with a new key.",
            retry_after=timedelta(seconds=1),
        )


class Fingerprint:
    """The hash of a request as it streams in. A multipart boundary, which clients draw anew each time, is left out."""

    def __init__(self, scope: Scope) -> None:
        kind = Headers(scope=scope).get("content-type", "")
        found = _BOUNDARY.search(kind) if kind.lower().startswith("multipart/") else None
        self._boundary = found[1].encode("latin-1") if found else b""
        self._rest = b""
        head = [scope["method"], scope["path"], scope["query_string"].decode("latin-1"), kind.partition(";")[0]]
        self._hash = hashlib.sha256(repr(head).encode())

    def update(self, chunk: bytes) -> None:
        """Take in the next part of the body."""
        if not self._boundary:
            self._hash.update(chunk)
            return
        kept = len(self._boundary) - 1
        *parts, last = (self._rest + chunk).split(self._boundary)
        for each in parts:
            self._hash.update(each)
        cut = max(len(last) - kept, 0)
        self._hash.update(last[:cut])
        self._rest = last[cut:]

    def digest(self) -> bytes:
        """The hash of what has come."""
        whole = self._hash.copy()
        whole.update(self._rest)
        return whole.digest()


@dataclass(slots=True)
class _Reader:
    """Takes the fingerprint of what is received, up to the end of the body or of the client."""

    receive: Receive
    fingerprint: Fingerprint
    ended: bool = False

    async def __call__(self) -> Message:
        message = await self.receive()
        self.fingerprint.update(message.get("body", b""))
        self.ended = not message.get("more_body", False)
        return message

    async def drain(self) -> None:
        """Receive the rest."""
        while not self.ended:
            await self()


@dataclass(slots=True)
class _Recorder:
    """Keeps an answer back until it can be said that it is remembered; lets one pass that is too large for that."""

    send: Send
    start: Message | None = None
    body: list[bytes] = field(default_factory=list)
    size: int = 0
    passing: bool = False
    ended: bool = False

    async def __call__(self, message: Message) -> None:
        if self.passing:
            await self.send(message)
        elif message["type"] == "http.response.start":
            self.start = message
        else:
            self.body.append(message.get("body", b""))
            self.size += len(self.body[-1])
            self.ended = not message.get("more_body", False)
            if self.size > LARGEST_ANSWER:
                await self.pass_on()

    async def pass_on(self) -> None:
        """Send what was kept back."""
        if self.start is not None and not self.passing:
            self.passing = True
            await self.send(self.start)
            await self.send({"type": "http.response.body", "body": b"".join(self.body), "more_body": not self.ended})

    def answer(self, request_hash: bytes) -> Answer | None:
        """What to remember; None where the request did not succeed or its answer is too large."""
        if self.start is None or self.passing or not self.ended or not 200 <= self.start["status"] < 300:  # noqa: PLR2004
            return None
        given = Headers(raw=list(self.start["headers"]))
        headers = {name: given[name] for name in _KEPT_HEADERS if name in given}
        return Answer(request_hash, self.start["status"], headers, b"".join(self.body))


class Idempotency:
    """Minds the keys of POSTs of somebody who is known; paths that begin with one of `without` hand out secrets."""

    def __init__(self, app: ASGIApp, *, without: Sequence[str]) -> None:
        self.app = app
        self.without = tuple(without)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on once per key."""
        key = self._key(scope)
        if key is None:
            await self.app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        try:
            user: UserId | None = (await authenticate(connection)).user_id
        except Refusal:
            user = None  # The endpoint says so in its own words, or is for everybody.
        if user is None:
            await self.app(scope, receive, send)
            return
        if not _KEY.fullmatch(key):
            await problems.refused(connection, IdempotencyKeyMalformed())(scope, receive, send)
            return
        remembered = part(connection, "remembered", RememberedAnswers)
        if await remembered.claim(user, key):
            await _Once(self.app, remembered, user, key)(scope, receive, send)
        else:
            response = await _replay(connection, receive, await remembered.find(user, key))
            await response(scope, receive, send)

    def _key(self, scope: Scope) -> str | None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"].startswith(self.without):
            return None
        return Headers(scope=scope).get(HEADER)


@dataclass(frozen=True, slots=True)
class _Once:
    """The first request with a key: does the work, and remembers the answer before it is given."""

    app: ASGIApp
    remembered: RememberedAnswers
    user: UserId
    key: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fingerprint = Fingerprint(scope)
        recorder = _Recorder(send)
        reader = _Reader(receive, fingerprint)
        try:
            await self.app(scope, reader, recorder)
        except Exception:
            await self.remembered.release(self.user, self.key)
            raise
        await reader.drain()  # what the endpoint did not care to read belongs to the request all the same
        answer = recorder.answer(fingerprint.digest())
        if answer is None:
            await self.remembered.release(self.user, self.key)
        else:
            await self.remembered.keep(self.user, self.key, answer)
        await recorder.pass_on()


async def _replay(connection: HTTPConnection, receive: Receive, answer: Answer | None) -> Response:
    if answer is None:
        return problems.refused(connection, IdempotencyKeyInUse())
    fingerprint = Fingerprint(connection.scope)
    await _Reader(receive, fingerprint).drain()
    if fingerprint.digest() != answer.request_hash:
        return problems.refused(connection, IdempotencyKeyReused())
    response = Response(answer.body, answer.status)
    MutableHeaders(raw=response.raw_headers).update({**answer.headers, REPLAYED: "true"})
    return response
