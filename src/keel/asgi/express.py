"""Answers that memory has, made in one step: nothing is awaited, and no layer of middleware is passed.

What `keel.asgi.hot_path` has learned of a path is enough to answer it again: who asks is known, the entry is in memory
and counts, and a permit was taken ahead. Where any of that takes more than a look, where the request is no plain GET,
or where one of its headers means something to a layer that is left out, nothing has happened yet, and the application
does it all. What is sent, logged, traced, measured and charged is the same either way.

A request is read once (`Express.read`); what follows from its words alone is kept with it, for as long as somebody may
ask the same again. ASGI has no room for any of this, as it begins a task for each request; `keel.asgi.serving` asks
from within the server.
"""

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter_ns
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from starlette.types import Scope

from keel.asgi.addresses import TrustedProxies, seen_through
from keel.asgi.limits import counted_address, templates
from keel.asgi.observing import Said, describe, name
from keel.asgi.running import STATE
from keel.cache.contract import Event
from keel.cache.endpoints import Known
from keel.cache.signatures import user_name
from keel.cache.stored import Headers, StoredResponse, answer, matches
from keel.context import Principal, Segment
from keel.ratelimit.asking import Asker, Asking
from keel.ratelimit.contract import Charge, Decision

if TYPE_CHECKING:
    from keel.opening import Keel

Decorate = Callable[[Headers, bytes | None], Headers]
"""Adds to an answer's headers what the application's middleware adds to all, for a request from this origin, if any."""
Given = Mapping[bytes, bytes]
"""A request's headers, of which no two have one name."""
ATTRIBUTE: Final = "express"
"""The attribute of an application that has an `Express`, for `keel.asgi.serving`."""
MOST_KEPT: Final = 4096
"""Plans that are kept ready."""
_ELSEWHERE: Final = frozenset(
    {
        b"access-control-request-method",
        b"content-length",
        b"expect",
        b"idempotency-key",
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


class _Head:
    """The lines that are the same each time that an entry is sent; the entry itself is the memory tier's to keep."""

    __slots__ = ("etag", "full", "made", "not_modified")

    def __init__(self, kept: StoredResponse, full: bytes) -> None:
        self.etag = kept.etag
        self.made = kept.made
        self.full = full
        self.not_modified: bytes | None = None
        """Made when somebody asks with a condition."""


class _Plan:
    """What follows from path, query, address, origin and person; `person` is kept so that its id stays its own."""

    __slots__ = ("charges", "decision", "head", "key", "limits", "person", "remaining", "rules")

    def __init__(self, person: Person, key: str, charges: Sequence[Charge], rules: int) -> None:
        self.person = person
        self.key = key
        self.charges = charges
        self.rules = rules
        """The edition of the rules that `charges` are by."""
        self.head: _Head | None = None
        self.decision: Decision | None = None
        """What `limits` tells of, but for what remains."""
        self.limits = b""
        self.remaining: tuple[int, ...] = ()


class Asked(Generic[P]):
    """A request as it was read, and what has followed from its words when it was answered last."""

    __slots__ = ("condition", "given", "keel", "known", "model", "plan", "said", "scope", "version", "who")

    def __init__(self, scope: Scope, given: Given, known: Known, who: Callable[[], P | None]) -> None:
        self.scope = scope
        self.given = given
        self.condition = given.get(b"if-none-match")
        self.known = known
        self.who = who
        self.keel: Keel = scope["state"][STATE]
        self.said = Said.by(scope["headers"])
        self.plan: _Plan | None = None
        self.version: int | None = None
        self.model = Segment("http", "", "", 0)
        """What all segments have in common that tell of it."""
        describe(self.model, scope, self.said)
        self.model.route = scope["path"]
        self.model.cache = Event.HIT.value


class Express(Generic[P]):
    """Answers the paths in `known`, which the application's `HotPath` fills.

    `identify` gives who asks, to be asked each time: None where memory cannot tell for certain. `asker` is who is
    charged for it, and `version` which version of the data their answer must be made of, None leaving that to the
    application.
    """

    def __init__(
        self,
        known: Mapping[str, Known],
        *,
        identify: Callable[[Scope, Given], Callable[[], P | None] | None],
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
        self._plans: dict[tuple[str, bytes, str, bytes | None, int], _Plan] = {}

    def read(self, scope: Scope) -> Asked[P] | None:
        """What a GET asks, if it is anything that may be answered; None where it is left to the application."""
        known = self._paths.get(scope["path"])
        if known is None or not known.is_own or not known.is_of_query_alone:
            return None
        headers = scope["headers"]
        given = dict(headers)
        if len(given) != len(headers) or not _ELSEWHERE.isdisjoint(given):
            return None
        if self._proxies is not None:
            scope = seen_through(self._proxies, scope)
        who = self._identify(scope, given)
        return None if who is None else Asked(scope, given, known, who)

    def answer(self, asked: Asked[P], defaults: bytes) -> bytes | None:
        """The answer to a request, its head ended by `defaults`; None where it is left to the application."""
        began_ns, keel, person = perf_counter_ns(), asked.keel, asked.who()
        if person is None:
            return None
        plan = asked.plan
        if plan is None or plan.person is not person or plan.rules != keel.limits.rules.edition:
            plan = self._planned(asked, person)
        if asked.version is None:
            return None
        entry = keel.cache.peek(plan.key, asked.version)
        if entry is None:
            return None
        kept, head = entry.value, plan.head
        if head is None or head.made != kept.made or head.etag != kept.etag:
            head = plan.head = self._head(kept, asked)
        limits = None if head is None else _charge(keel, plan)
        if head is None or limits is None:
            return None
        entry.group.memory_hits += 1
        lines, body, status = head.full, kept.body, 200
        if asked.condition is not None and matches(asked.condition, kept.etag):
            if head.not_modified is None:
                head.not_modified = _NOT_MODIFIED + self._lines(kept, asked, [(b"if-none-match", kept.etag)])
            lines, body, status = head.not_modified, b"", 304
        segment = keel.traces.again(asked.model, asked.said.parent, began_ns)
        name(segment, asked.said)
        segment.status = status
        segment.response_bytes = len(body)
        ids = b"x-request-id: %b\r\nx-correlation-id: %b\r\n" % (
            segment.request_id.encode(),
            segment.correlation_id.encode(),
        )
        segment.body_began_ns = perf_counter_ns()
        keel.traces.end(segment)
        return b"".join((lines, limits, ids, defaults, body))

    def _planned(self, asked: Asked[P], person: P) -> _Plan:
        """The plan for a request, which is from now on that person's."""
        scope, rules = asked.scope, asked.keel.limits.rules
        client, path = scope["client"], scope["path"]
        address = client[0] if client else ""
        place = (path, scope["query_string"], address, asked.given.get(b"origin"), id(person))
        plan = self._plans.get(place)
        if plan is None or plan.rules != rules.edition:
            if len(self._plans) >= MOST_KEPT:
                self._plans.clear()
            charges = rules.charges("GET", path, Asking(counted_address(address), self._asker(person)))
            key = asked.known.key(scope, user_name(person.user_id))
            plan = self._plans[place] = _Plan(person, key, charges, rules.edition)
        asked.plan = plan
        asked.version = self._version(scope, asked.given, person)
        asked.model.user_id = person.user_id
        return plan

    def _head(self, kept: StoredResponse, asked: Asked[P]) -> _Head | None:
        if kept.says_how_long or asked.known.policy.cache_control is not None:  # its age is told, another each second
            return None
        return _Head(kept, _OK + self._lines(kept, asked, []))

    def _lines(self, kept: StoredResponse, asked: Asked[P], conditions: Headers) -> bytes:
        made = answer(kept, asked.known.policy, {**asked.scope, "headers": conditions}, Event.HIT)
        decorated = self._decorate(made.raw_headers, asked.given.get(b"origin"))
        return b"".join([b"%s: %s\r\n" % pair for pair in decorated])


def _charge(keel: "Keel", plan: _Plan) -> bytes | None:
    """Spend a permit, and give the headers that tell of it; None where that takes more than memory."""
    if not plan.charges:
        return b""
    spent = keel.limits.spend(plan.charges[0]) if len(plan.charges) == 1 else None
    if spent is None:
        return None
    decision, left = spent
    if plan.decision is not decision:
        plan.decision = decision
        policies, standing, plan.remaining = templates(decision.verdicts)
        lines = f"ratelimit-policy: {policies}\r\nratelimit: {standing}\r\n" if policies else ""
        plan.limits = lines.encode()
    return plan.limits % tuple([each + left for each in plan.remaining])
