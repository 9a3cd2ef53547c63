"""An answer as it is kept: the encoded body and its headers, ready to be sent again; and how it is sent.

Conditional requests: RFC 9110, sections 8.8.3 and 13.1.2; freshness: RFC 9111.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import msgspec
from starlette.responses import Response
from starlette.types import Scope

from keel.cache.contract import Event
from keel.clock import wall_ns

Headers = list[tuple[bytes, bytes]]

_ETAG_BYTES: Final = 16
_TAGS: Final = re.compile(rb'(?:W/)?("[^"]*")')
_OK: Final = 200
_NOT_MODIFIED: Final = 304
_IN_304: Final = frozenset({b"etag", b"vary", b"content-location", b"expires", b"cache-control"})
"""What a 304 repeats of the headers of the 200 (RFC 9110, 15.4.5)."""
_DROPPED: Final = frozenset(
    {b"content-length", b"date", b"server", b"connection", b"keep-alive", b"transfer-encoding", b"age", b"x-cache"}
)
_CREDENTIALS: Final = frozenset({b"authorization", b"cookie"})
_UNSHARED: Final = re.compile(rb"\b(no-store|no-cache|private)\b", re.IGNORECASE)


class StoredResponse(msgspec.Struct, frozen=True, gc=False):
    """A 200 to be sent again: its body, its headers but those of the moment, and when it was made (s since 1970)."""

    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    etag: bytes
    made: float
    says_how_long: bool
    """Whether the endpoint has given it a Cache-Control of its own."""
    takes_injected: bool = True
    """Whether what dependencies say in FastAPI's Response is added to it; not where the endpoint has made its own."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What is said about an answer. `ttl` is in seconds; `varies` names the request headers that are part of its key.

    `private` answers are for nobody else's cache. `cache_control` is said in place of what would be worked out.
    """

    ttl: float
    private: bool = False
    varies: tuple[bytes, ...] = ()
    cache_control: bytes | None = None


def stored(response: Response, policy: Policy) -> StoredResponse | None:
    """The answer as it is kept; None for one that must not be.

    That is any but a 200, one that is streamed, one that sets a cookie, one that forbids it by its own Cache-Control
    (`private` does, where the entry is not one user's own) and one that varies by what is no part of the key.
    """
    body = getattr(response, "body", None)
    if response.status_code != _OK or not isinstance(body, bytes | memoryview):
        return None
    headers = [(name.lower(), value) for name, value in response.raw_headers]
    if any(_forbids(name, value, policy) for name, value in headers):
        return None
    body = bytes(body)
    own = dict(headers)
    etag = own.get(b"etag") or b'"%s"' % blake2b(body, digest_size=_ETAG_BYTES).hexdigest().encode()
    kept = [(name, value) for name, value in headers if name not in _DROPPED | {b"etag", b"vary"}]
    kept += [(b"content-length", str(len(body)).encode()), (b"etag", etag)]
    if policy.varies:
        kept.append((b"vary", b", ".join(policy.varies)))
    return StoredResponse(body, tuple(kept), etag, wall_ns() / 1e9, b"cache-control" in own)


def _forbids(name: bytes, value: bytes, policy: Policy) -> bool:
    if name == b"vary":
        return not {each.strip().lower() for each in value.split(b",")} <= {*policy.varies}
    if name == b"cache-control":
        said = {each.lower() for each in _UNSHARED.findall(value)}
        return bool(said - ({b"private"} if policy.private else set()))
    return name == b"set-cookie"


class Answer(Response):
    """A response whose headers are there already."""

    def __init__(self, status_code: int, headers: Headers, body: bytes) -> None:
        self.status_code = status_code
        self.raw_headers = headers
        self.body = body
        self.background = None


def answer(stored: StoredResponse, policy: Policy, scope: Scope, outcome: Event) -> Answer:
    """What is sent to this request: the body, nothing but its headers to a HEAD, or a 304 to who has it already."""
    if_none_match, credentials = _asked(scope["headers"])
    headers = [*stored.headers, *_moment(stored, policy, outcome, credentials=credentials)]
    if if_none_match and matches(if_none_match, stored.etag):
        kept = [each for each in headers if each[0] in _IN_304 or each[0] == b"x-cache"]
        return Answer(_NOT_MODIFIED, kept, b"")
    return Answer(_OK, headers, b"" if scope["method"] == "HEAD" else stored.body)


def _asked(headers: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, bool]:
    """If-None-Match, and whether the request says who asks."""
    if_none_match, credentials = b"", False
    for name, value in headers:
        if name == b"if-none-match":
            if_none_match = if_none_match + b"," + value if if_none_match else value
        elif name in _CREDENTIALS:
            credentials = True
    return if_none_match, credentials


def _moment(stored: StoredResponse, policy: Policy, outcome: Event, *, credentials: bool) -> Headers:
    """The headers that differ from one time to the next.

    `max-age` is what is left of the ttl, so Age, which would be taken off it once more, goes only with a Cache-Control
    that somebody has written.
    """
    found: Headers = [(b"x-cache", outcome.encode())]
    age = max(0.0, wall_ns() / 1e9 - stored.made)
    if stored.says_how_long or policy.cache_control is not None:
        found.append((b"age", b"%d" % age))
    if stored.says_how_long:
        return found
    found.append((b"cache-control", policy.cache_control or _lifetime(policy, age, outcome, credentials=credentials)))
    return found


def _lifetime(policy: Policy, age: float, outcome: Event, *, credentials: bool) -> bytes:
    if policy.private:
        return b"private, max-age=0, must-revalidate"
    left = 0 if outcome is Event.STALE else max(0, int(policy.ttl - age))
    return b"%s, max-age=%d" % (b"private" if credentials else b"public", left)


def matches(if_none_match: bytes, etag: bytes) -> bool:
    """Whether one of the listed tags is this one, by weak comparison; `*` is any (RFC 9110, 13.1.2)."""
    if if_none_match.strip() == b"*":
        return True
    return etag.removeprefix(b"W/") in _TAGS.findall(if_none_match)
