"""How large a body may be: little for JSON, much where files are taken, counted as it streams in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keel.errors import Refusal, TooLarge
from tradesense.http import problems
from tradesense.http.authentication import authenticate

_DIGITS: Final = 19


class BodyTooLarge(TooLarge):
    """The body is larger than this operation takes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body is larger than the {limit:,} bytes that are taken here.")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes that a body may have: `upload_bytes` for POSTs under `upload_paths`, `json_bytes` for anything else."""

    json_bytes: int
    upload_bytes: int
    upload_paths: Sequence[str]

    def is_upload(self, scope: Scope) -> bool:
        """Whether this request may carry a file."""
        return scope["method"] == "POST" and scope["path"] in self.upload_paths


class BodyLimits:
    """Answers 413 to a body that is too large: at once where its length is declared, else when it has become so.

    Who uploads must be known before the first byte is taken; a body of JSON is small enough to be read before.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app = app
        self.limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on with a receive that counts."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if not self.limits.is_upload(scope):
            await self._counted(scope, receive, send, self.limits.json_bytes)
            return
        connection = HTTPConnection(scope)
        try:
            await authenticate(connection)
        except Refusal as refusal:
            await _closing(problems.refused(connection, refusal))(scope, receive, send)
            return
        await self._counted(scope, receive, send, self.limits.upload_bytes)

    async def _counted(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        taken = _declared(scope)
        begun = False

        async def counting_receive() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:
                raise BodyTooLarge(limit)
            return message

        async def guarded_send(message: Message) -> None:
            # Whatever the application makes of the refusal on its way up, the answer is ours.
            nonlocal begun
            if taken <= limit or begun:
                begun = True
                await send(message)

        if taken <= limit:
            taken = 0
            try:
                await self.app(scope, counting_receive, guarded_send)
            except Exception:
                if taken <= limit or begun:
                    raise
        if taken > limit and not begun:
            await _closing(problems.refused(HTTPConnection(scope), BodyTooLarge(limit)))(scope, receive, send)


def _closing(response: Response) -> Response:
    """The same answer, after which the rest of the body is not waited for."""
    response.headers["Connection"] = "close"
    return response


def _declared(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "")
    return int(length) if len(length) < _DIGITS and length.isascii() and length.isdigit() else 0
