"""What is observed is stored in batches, bounded and without secrets, and what instances tell each other."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from io import BytesIO
from time import perf_counter_ns

import pytest
import structlog

from keel.context import Segment, SpanRecord, Statement
from keel.errors import Unavailable
from keel.logs.assembly import Logs
from keel.logs.contract import LogOptions, Source
from keel.logs.files import Stream
from keel.redis.connecting import connect
from keel.redis.sharing import NotKnownHere
from keel.store import gathering
from keel.store.asking import Known, Period, PlaceElsewhere, Sought
from keel.store.contract import LINE_BYTES, MOST_NAMES, OTHER, Batch, TraceNotFound
from keel.store.memory import MemoryStore
from keel.store.observations import Observations
from keel.store.redis import RedisStore
from keel.tasks import Tasks
from keel.traces.contract import TraceOptions
from keel.traces.propagation import Parent
from keel.traces.recorder import Traces
from tests.valkey import Valkey

EVERY = TraceOptions(rate=1)
NONE = TraceOptions(rate=0)


@asynccontextmanager
async def observing(
    store: MemoryStore | RedisStore, options: TraceOptions = EVERY, instance: str = "here:1"
) -> AsyncIterator[tuple[Observations, Traces]]:
    async with Tasks() as tasks:
        traces = Traces(options)
        async with Observations.open(store, traces, tasks, Source("shop", "1", "test", instance)) as seen:
            yield seen, traces


def request(traces: Traces, route: str | None = "/trades", **given: object) -> Segment:
    """A request that has ended."""
    parent = given.pop("parent", None)
    assert parent is None or isinstance(parent, Parent)
    segment = traces.begin("http", "", parent)
    segment.method, segment.route, segment.status, segment.request_id = "GET", route, 200, "r-1"
    for name, value in given.items():
        setattr(segment, name, value)
    traces.end(segment)
    return segment


def child(of: Segment, name: str, **attributes: object) -> SpanRecord:
    now = perf_counter_ns()
    return SpanRecord(7, of.span_id, name, "client", now, now + 5_000_000, attributes, "")


async def test_requests_become_figures_by_route() -> None:
    async with observing(MemoryStore()) as (seen, traces):
        for status in (200, 200, 404, 503):
            request(traces, status=status, queries=2, queries_s=0.001, cache="hit")
        request(traces, None)
        found = await seen.told(Known.requests, Period.HOUR)
    by_name = dict(found.names)
    assert by_name.keys() == {"GET /trades", "GET unmatched"}
    figures = by_name["GET /trades"]
    assert (figures.count, figures.client_errors, figures.failures, figures.queries, figures.hits) == (4, 1, 1, 8, 4)
    assert 0 <= figures.p50_ms <= figures.p99_ms <= figures.max_ms
    assert found.total.count == sum(point.figures.count for point in found.points) == 5


async def test_a_trace_is_kept_whole() -> None:
    async with observing(MemoryStore()) as (seen, traces):
        segment = traces.begin("http", "", Parent("ab" * 16, 0xF, is_sampled=False))
        segment.method, segment.route, segment.user_id, segment.status = "GET", "/trades", 42, 200
        segment.path, segment.user_agent, segment.address = "/trades?", b"browser", "192.0.2.1"
        segment.spans.append(child(segment, "SELECT trades", **{"db.query.text": "SELECT ?", "rows": 3}))
        segment.begun_spans = 2
        traces.end(segment)
        (part,) = await seen.told(Known.trace, "ab" * 16)
        with pytest.raises(TraceNotFound):
            await seen.told(Known.trace, "cd" * 16)
    assert (part.summary.name, part.summary.parent_id, part.summary.instance) == ("GET /trades", f"{15:016x}", "here:1")
    assert (part.user_id, part.left_out) == ("42", 1)
    assert part.attributes is not None
    expected = {"enduser.id": "42", "http.request.method": "GET", "http.route": "/trades", "url.path": "/trades?"}
    expected |= {"user_agent.original": "browser", "client.address": "192.0.2.1"}
    assert part.attributes.items() >= expected.items()
    assert part.attributes["http.response.status_code"] == 200
    (span,) = part.spans
    assert (span.name, span.parent_id, span.duration_us) == ("SELECT trades", part.summary.span_id, 5000)
    assert span.attributes == {"db.query.text": "SELECT ?", "rows": 3}


async def test_traces_are_found_by_route_duration_and_status_page_by_page() -> None:
    async with observing(MemoryStore()) as (seen, traces):
        for number in range(6):
            request(traces, "/odd" if number % 2 else "/even", status=500 if number == 4 else 200)
        first, more = await seen.told(Known.traces, Sought(route="/even"), "", 2)
        assert [each.parts[0].status for each in first] == [500, 200]
        assert more is not None
        rest, end = await seen.told(Known.traces, Sought(route="/even"), more, 2)
        assert (len(rest), end) == (1, None)
        assert len((await seen.told(Known.traces, Sought(route="GET /odd"), "", 9))[0]) == 3
        assert len((await seen.told(Known.traces, Sought(status=500), "", 9))[0]) == 1
        assert (await seen.told(Known.traces, Sought(min_ms=60_000), "", 9)) == ([], None)


async def test_a_place_in_the_list_of_all_is_none_in_that_of_one_instance_and_back(redis_url: str) -> None:
    async with connect(redis_url) as redis, observing(RedisStore(redis, "place")) as (seen, traces):
        for number in range(1, 4):
            request(traces, parent=Parent(f"{number:032x}", 1, is_sampled=True))
        await seen.told(Known.traces, Sought(), "", 2)
        lists = [Known(seen.store), Known(seen._here), Known(MemoryStore())]
        for one in lists[:2]:
            _, more = await one.traces(Sought(), "", 2)
            assert more is not None
            assert len((await one.traces(Sought(), more, 2))[0]) == 1
            for other in lists:
                if other is not one:
                    with pytest.raises(PlaceElsewhere):
                        await other.traces(Sought(), more, 2)
        _, more = await lists[0].traces(Sought(), "", 2)
        assert len((await Known(seen.store).traces(Sought(), str(more), 2))[0]) == 1  # by another instance


async def test_a_trace_is_listed_once_and_stays_in_its_place_whatever_is_added_to_it() -> None:
    async with observing(MemoryStore()) as (seen, traces):
        for number in range(1, 5):
            request(traces, parent=Parent(f"{number:032x}", 1, is_sampled=True))
        first, more = await seen.told(Known.traces, Sought(), "", 2)
        for number in (1, 4):
            later = traces.begin("job", "import", Parent(f"{number:032x}", 2, is_sampled=True))
            traces.end(later)
        assert more is not None
        rest, end = await seen.told(Known.traces, Sought(), more, 2)
        jobs, _ = await seen.told(Known.traces, Sought(route="import"), "", 9)
    assert [int(each.parts[0].trace_id) for each in first + rest] == [4, 3, 2, 1]
    assert [[part.kind for part in each.parts] for each in rest] == [["http"], ["http", "job"]]
    assert [int(each.parts[0].trace_id) for each in jobs] == [4, 1]
    assert end is None


SECRETS = {
    "password=hunter2hunter2": "hunter2hunter2",
    "Authorization: Bearer abcdefghijklmnop0123": "abcdefghijklmnop0123",
    "card 4111 1111 1111 1111": "4111 1111 1111 1111",
    "to somebody@example.com": "somebody@example.com",
}


async def test_no_secret_is_stored() -> None:
    store = MemoryStore()
    async with observing(store) as (seen, traces):
        for number, text in enumerate(SECRETS):
            segment = traces.begin("http", "", Parent(f"{number + 1:032x}", 1, is_sampled=True))
            segment.method, segment.route, segment.path = "GET", "/trades", f"/trades/{text}"
            segment.user_agent = text.encode()
            segment.error = ValueError(text)
            segment.spans.append(child(segment, "send", **{"db.query.text": text, "note": text, "pin": text}))
            traces.end(segment)
        with Logs.open(LogOptions(), Stream(BytesIO())) as logs:
            stop = seen.follow(logs)
            for text in SECRETS:
                structlog.get_logger("shop").warning(text, nested={"it": [text]})
            stop()
        parts = [await seen.told(Known.trace, f"{number + 1:032x}") for number in range(len(SECRETS))]
        _, lines = await store.lines("0-0", 100)
    stored = repr(parts) + b"".join(lines).decode()
    assert "ValueError" in stored
    assert len(lines) == 2 * len(SECRETS)
    assert [secret for secret in SECRETS.values() if secret in stored] == []


async def test_lines_of_the_log_and_requests_are_followed() -> None:
    store = MemoryStore()
    async with observing(store) as (seen, traces):
        following = seen.following()
        assert await following.more(10) == []
        with Logs.open(LogOptions(), Stream(BytesIO())) as logs:
            stop = seen.follow(logs)
            request(traces)
            structlog.get_logger("shop").warning("sold out", item="x" * 5000)
            stop()
            structlog.get_logger("shop").warning("unheard")
        await seen.gathering.flush()
        lines = await following.more(10)
    access, said = [json.loads(line) for line in lines]
    assert (access["event"], access["route"], access["status"], access["instance"]) == (
        "request",
        "/trades",
        200,
        "here:1",
    )
    assert (said["event"], said["level"], said["is_shortened"]) == ("sold out", "warning", True)
    assert all(len(line) <= LINE_BYTES for line in lines)


async def test_slow_and_repeated_statements_are_noted_with_their_callers_and_not_again_at_once() -> None:
    async with observing(MemoryStore()) as (seen, traces):
        statements = {
            "SELECT slow": Statement(1, 0.4, 0.4, "shop/a.py:3 f"),
            "SELECT one": Statement(12, 0.012, 0.001, "shop/a.py:9 g"),
            "SELECT fine": Statement(2, 0.002, 0.0015),
        }
        for _ in range(3):
            request(traces, statements=statements, queries=15, queries_s=0.414)
        notes = await seen.told(Known.notes, Period.HOUR)
        found = dict((await seen.told(Known.statements, Period.HOUR)).names)
    assert {(each.kind, each.statement, each.caller, each.count) for each in notes} == {
        ("slow", "SELECT slow", "shop/a.py:3 f", 1),
        ("repeated", "SELECT one", "shop/a.py:9 g", 12),
    }
    assert len(notes) == 2
    assert {name: (each.count, each.total_ms) for name, each in found.items()} == {
        "SELECT slow": (3, 1200.0),
        "SELECT one": (36, 36.0),
        "SELECT fine": (6, 6.0),
    }


async def test_of_a_statement_that_is_noted_the_trace_is_kept_whole() -> None:
    async with observing(MemoryStore(), NONE) as (seen, traces):
        caused = request(traces, "/before")
        parent = Parent(caused.trace_id, caused.span_id, is_sampled=False)
        slow = {"SELECT slow": Statement(1, 0.4, 0.4, "shop/a.py:3 f")}
        noted = request(traces, statements=slow, queries=1, parent=parent)
        again = request(traces, statements=slow, queries=1)
        (note,) = await seen.told(Known.notes, Period.HOUR)
        parts = await seen.told(Known.trace, noted.trace_id)
    assert (note.trace_id, note.is_kept) == (noted.trace_id, True)
    assert {part.summary.route for part in parts} == {"/before", "/trades"}
    assert not again.is_kept


async def test_a_body_that_is_too_large_loses_its_last_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keel.store.packing.BODY_BYTES", 1000)
    async with observing(MemoryStore()) as (seen, traces):
        segment = traces.begin("http", "", Parent("ab" * 16, 1, is_sampled=True))
        segment.spans += [child(segment, f"span {number}", note=f"{hash(str(number))}") for number in range(200)]
        segment.begun_spans = 200
        traces.end(segment)
        (part,) = await seen.told(Known.trace, "ab" * 16)
    assert 0 < len(part.spans) < 200
    assert len(part.spans) + part.left_out == 200
    assert part.spans[0].name == "span 0"


async def test_what_there_is_no_room_for_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "MOST_TRACES", 5)
    async with observing(MemoryStore(fields=5 * MOST_NAMES)) as (seen, traces):
        for number in range(300):
            request(traces, f"/hostile/{number}")
        found = await seen.told(Known.requests, Period.HOUR)
        assert found.total.count == 300
        assert (len(found.names), OTHER in dict(found.names)) == (MOST_NAMES + 1, True)
        assert seen.dropped.traces == 295


class Away(MemoryStore):
    """A store that cannot be reached."""

    async def add(self, batch: Batch) -> None:
        del batch
        raise Unavailable("It is away.")

    async def report(self, instance: str, report: bytes) -> None:
        del instance, report
        raise Unavailable("It is away.")


async def test_requests_do_not_notice_that_the_store_is_away() -> None:
    async with observing(Away()) as (seen, traces):
        request(traces)
        await seen.gathering.flush()
        await seen.report()
        assert seen.dropped.batches == 1


async def test_what_this_instance_knows_is_told_while_redis_is_away(valkey: Valkey) -> None:
    async with connect(valkey.url) as redis, observing(RedisStore(redis, "shop")) as (seen, traces):
        request(traces, parent=Parent("ab" * 16, 1, is_sampled=True))
        assert await seen.told(_standing) == ("shared", 1, 1)
        following = seen.following()
        assert (await following.more(10), following.scope) == ([], "shared")
        valkey.kill()
        request(traces, parent=Parent("cd" * 16, 1, is_sampled=True))
        await seen.report()
        assert await seen.told(_standing) == ("instance", 2, 1)
        assert [part.summary.trace_id for part in await seen.told(Known.trace, "ab" * 16)] == ["ab" * 16]
        with pytest.raises(NotKnownHere):
            await seen.told(Known.trace, "ef" * 16)
        assert (len(await following.more(10)), following.scope) == (1, "instance")
        assert await following.more(10) == []
        request(traces)
        await seen.gathering.flush()
        valkey.start()
        async with asyncio.timeout(10):
            while (await seen.told(_standing))[0] != "shared":  # noqa: ASYNC110 - in its own time
                await asyncio.sleep(0.02)
        assert (len(await following.more(10)), following.scope) == (1, "shared")
        request(traces)
        await seen.gathering.flush()
        assert (len(await following.more(10)), following.scope) == (1, "shared")


async def _standing(known: Known) -> tuple[str, int, int]:
    """Whose it is, how many requests there were, and how many instances there are."""
    return known.scope, (await known.requests(Period.HOUR)).total.count, len(await known.instances())


async def test_requests_do_not_notice_that_redis_hangs(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keel.store.redis.PATIENCE_S", 0.05)
    async with connect(valkey.url) as redis, observing(RedisStore(redis, "shop")) as (seen, traces):
        request(traces)
        assert (await seen.told(Known.requests, Period.HOUR)).total.count == 1
        valkey.pause()
        began = perf_counter_ns()
        for _ in range(100):
            request(traces)
        assert perf_counter_ns() - began < 1_000_000_000
        await seen.gathering.flush()
        assert seen.dropped.batches >= 1
        valkey.resume()


async def test_hostile_requests_leave_little_in_the_store() -> None:
    """What is left after the first thousands is what is left after a million: everything is a ring, or has a cap."""
    store = MemoryStore(most=500, bodies=100_000)
    async with observing(store) as (seen, traces):
        for turn in range(3):
            for number in range(1500):
                who, name = f"{turn}-{number}" + "u" * 500, f"/{turn}/{number}/" + "x" * 300
                request(traces, name, user_id=who, path=name, method=f"M{number}", user_agent=name.encode())
            await seen.gathering.flush()
        names = (await seen.told(Known.requests, Period.HOUR)).names
        kept, more = await seen.told(Known.traces, Sought(), "", 10_000)
    assert len(names) <= MOST_NAMES + 1
    assert sum(figures.count for _, figures in names) == 4500
    assert (len(kept), more) == (300, None)  # as many as a turn keeps, three times
    assert sum(len(each) for each in (await store.lines("0-0", 10_000))[1]) < 500 * LINE_BYTES


async def test_a_part_that_was_dropped_is_brought_back_when_another_instance_keeps_its_trace(
    redis_url: str, redis_namespace: str
) -> None:
    async with connect(redis_url) as one, connect(redis_url) as two, asyncio.timeout(10):
        stores = RedisStore(one, redis_namespace), RedisStore(two, redis_namespace)
        live = asyncio.Event()
        two.subscribe(f"{redis_namespace}:{{seen}}:said", lambda _: None, live.set)
        async with (
            observing(stores[0], NONE, "one") as (seen, traces),
            observing(stores[1], NONE, "two") as (other, others),
        ):
            await live.wait()
            parent = Parent("ab" * 16, 1, is_sampled=False)
            kept = asyncio.Event()
            request(others, parent=parent, status=200)
            others.sinks.append(Telling(kept))
            request(traces, parent=parent, status=500)
            await seen.gathering.flush()
            await kept.wait()
            await other.gathering.flush()
            parts = await seen.told(Known.trace, "ab" * 16)
            assert {part.summary.instance for part in parts} == {"one", "two"}


class Telling:
    """Tells that something was kept."""

    def __init__(self, kept: asyncio.Event) -> None:
        self._kept = kept

    def keep(self, segment: Segment) -> None:
        del segment
        self._kept.set()


async def test_a_level_holds_on_all_instances_for_a_while(redis_url: str, redis_namespace: str) -> None:
    async with connect(redis_url) as one, connect(redis_url) as two, asyncio.timeout(10):
        stores = RedisStore(one, redis_namespace), RedisStore(two, redis_namespace)
        async with observing(stores[0]) as (seen, _), observing(stores[1]) as (other, _):
            with Logs.open(LogOptions(), Stream(BytesIO())) as logs:
                other.follow(logs)
                changed = asyncio.Event()
                logs.levels.changed.append(changed.set)
                await seen.set_level("shop.stock", "debug", timedelta(minutes=5))
                await other.take_levels()  # it is told, and looks by itself now and then
                await changed.wait()
                assert logs.levels.of("shop.stock") == 10
                assert logs.levels.of("shop") == 20
                assert (await other.told(Known.levels)).keys() == {"shop.stock"}
                await seen.set_level("shop.stock", "debug", timedelta(0))
                assert await other.told(Known.levels) == {}


async def test_instances_say_how_they_stand() -> None:
    async with observing(MemoryStore()) as (seen, _):
        seen.reported["cache"] = lambda: {"entries": 3}
        await seen.report()
        (name, report), *_ = (await seen.told(Known.instances)).items()
    assert name == "here:1"
    assert (report["service"], report["version"], report["cache"]) == ("shop", "1", {"entries": 3})
    assert report["started_ns"] <= report["reported_ns"]
