"""Answers that memory has, made in one step: nothing is awaited, and no layer of middleware is passed.

What `keel.asgi.hot_path` has learned of a path is enough to answer it again: who asks is known, the entry is in memory
and counts, and a permit was taken ahead. Where any of that takes more than a look, where the request is no plain GET,
or where one of its headers means something to a layer that is left out, nothing has happened yet, and the application
does it all. What is sent, logged, traced, measured and charged is the same either way.

ASGI has no room for this, as it begins a task for each request; `keel.asgi.serving` asks from within the server.
"""

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter_ns
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, Protocol, TypeVar

from starlette.types import Scope

from keel.asgi.addresses import TrustedProxies, seen_through
from keel.asgi.limits import counted_address, told
from keel.asgi.observing import begun
from keel.asgi.running import STATE
from keel.cache.contract import Event
from keel.cache.endpoints import Known
from keel.cache.signatures import user_name
from keel.cache.stored import Headers, StoredResponse, answer, matches
from keel.context import Principal
from keel.ratelimit.asking import Asker, Asking
from keel.ratelimit.contract import Charge

if TYPE_CHECKING:
    from keel.opening import Keel

Decorate = Callable[[Headers], Headers]
"""Adds to an answer's headers what the application's middleware adds to all."""
Given = Mapping[bytes, bytes]
"""A request's headers, of which no two have one name."""
ATTRIBUTE: Final = "express"
"""The attribute of an application that has an `Express`, for `keel.asgi.serving`."""
MOST_KEPT: Final = 4096
"""Plans, and as many heads of answers, that are kept ready."""
_ELSEWHERE: Final = frozenset(
    {
        b"access-control-request-method",
        b"content-length",
        b"expect",
        b"idempotency-key",
        b"origin",
        b"range",
        b"sec-websocket-key",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Headers that say that the application has more to do than to send what is there."""
_OK: Final = b"HTTP/1.1 200 OK\r\n"
_NOT_MODIFIED: Final = b"HTTP/1.1 304 Not Modified\r\n"


class Person(Protocol):
    """Who asks, as the application knows them; the same object for as long as nothing about them has changed."""

    @property
    def user_id(self) -> Principal:
        """Whose request it is."""


P = TypeVar("P", bound=Person)


class Ready(NamedTuple):
    """An answer: its head but for what the server adds, each line ended, and its body."""

    head: bytes
    body: bytes


class _Head(NamedTuple):
    """The lines that are the same each time that an entry is sent; the entry itself is the memory tier's to keep."""

    etag: bytes
    made: float
    full: bytes
    not_modified: bytes


class _Plan(NamedTuple):
    """What follows from path, query, address and person; `person` is kept so that its id stays its own."""

    person: Person
    key: str
    charges: Sequence[Charge]
    rules: int
    """The edition of the rules that `charges` are by."""


class Express(Generic[P]):
    """Answers the paths in `known`, which the application's `HotPath` fills.

    `identify` says who asks where memory can tell for certain, `asker` who is charged for it, and `version` which
    version of the data their answer must be made of, None leaving that to the application.
    """

    def __init__(
        self,
        known: Mapping[str, Known],
        *,
        identify: Callable[[Scope, Given], P | None],
        asker: Callable[[P], Asker],
        version: Callable[[Scope, Given, P], int | None],
        decorate: Decorate,
        proxies: TrustedProxies,
    ) -> None:
        self._paths = known
        self._identify = identify
        self._asker = asker
        self._version = version
        self._decorate = decorate
        self._proxies = None if proxies == TrustedProxies() else proxies
        self._plans: dict[tuple[str, bytes, str, int], _Plan] = {}
        self._heads: dict[str, _Head] = {}

    def answer(self, scope: Scope) -> Ready | None:
        """The answer to a GET; None where it is left to the application."""
        known = self._paths.get(scope["path"])
        if known is None or not known.is_own or not known.is_of_query_alone:
            return None
        began_ns, headers = perf_counter_ns(), scope["headers"]
        given = dict(headers)
        if len(given) != len(headers) or not _ELSEWHERE.isdisjoint(given):
            return None
        if self._proxies is not None:
            scope = seen_through(self._proxies, scope)
        person = self._identify(scope, given)
        version = None if person is None else self._version(scope, given, person)
        if person is None or version is None:
            return None
        keel: Keel = scope["state"][STATE]
        plan = self._plan(keel, known, scope, person)
        entry = keel.cache.peek(plan.key, version)
        head = None if entry is None else self._head(plan.key, entry.value, known, scope)
        if entry is None or head is None:
            return None
        limits = _charge(keel, plan)
        if limits is None:
            return None
        entry.group.memory_hits += 1
        return _sent(keel, scope, person, entry.value, head, limits, given.get(b"if-none-match"), began_ns)

    def _plan(self, keel: "Keel", known: Known, scope: Scope, person: P) -> _Plan:
        client, rules = scope["client"], keel.limits.rules
        address = client[0] if client else ""
        asked = (scope["path"], scope["query_string"], address, id(person))
        plan = self._plans.get(asked)
        if plan is None or plan.rules != rules.edition:
            if len(self._plans) >= MOST_KEPT:
                self._plans.clear()
            charges = rules.charges("GET", scope["path"], Asking(counted_address(address), self._asker(person)))
            key = known.key(scope, user_name(person.user_id))
            plan = self._plans[asked] = _Plan(person, key, charges, rules.edition)
        return plan

    def _head(self, key: str, entry: StoredResponse, known: Known, scope: Scope) -> _Head | None:
        head = self._heads.get(key)
        if head is not None and head.made == entry.made and head.etag == entry.etag:
            return head
        if entry.says_how_long or known.policy.cache_control is not None:  # its age is told, another each second
            return None
        if len(self._heads) >= MOST_KEPT:
            self._heads.clear()
        full, not_modified = (
            self._lines(answer(entry, known.policy, {**scope, "headers": conditions}, Event.HIT).raw_headers)
            for conditions in ([], [(b"if-none-match", entry.etag)])
        )
        head = self._heads[key] = _Head(entry.etag, entry.made, _OK + full, _NOT_MODIFIED + not_modified)
        return head

    def _lines(self, headers: Headers) -> bytes:
        return b"".join(b"%s: %s\r\n" % pair for pair in self._decorate(headers))


def _charge(keel: "Keel", plan: _Plan) -> bytes | None:
    """Spend a permit, and give the headers that tell of it; None where that takes more than memory."""
    if not plan.charges:
        return b""
    decision = keel.limits.spend(*plan.charges[0]) if len(plan.charges) == 1 else None
    if decision is None:
        return None
    policies, standing = told(decision.verdicts)
    return b"ratelimit-policy: %b\r\nratelimit: %b\r\n" % (policies.encode(), standing.encode()) if policies else b""


def _sent(  # noqa: PLR0913, PLR0917 - what was found out on the way
    keel: "Keel",
    scope: Scope,
    person: Person,
    entry: StoredResponse,
    head: _Head,
    limits: bytes,
    if_none_match: bytes | None,
    began_ns: int,
) -> Ready:
    """The answer, which is observed as one that took the other way."""
    lines, body, status = head.full, entry.body, 200
    if if_none_match is not None and matches(if_none_match, entry.etag):
        lines, body, status = head.not_modified, b"", 304
    segment = begun(keel.traces, scope)
    segment.started_ns -= segment.began_ns - began_ns
    segment.began_ns = began_ns
    segment.body_began_ns = perf_counter_ns()
    segment.route = scope["path"]
    segment.user_id = person.user_id
    segment.cache = Event.HIT.value
    segment.status = status
    segment.response_bytes = len(body)
    ids = f"x-request-id: {segment.request_id}\r\nx-correlation-id: {segment.correlation_id}\r\n"
    keel.traces.end(segment)
    return Ready(b"".join((lines, limits, ids.encode())), body)
