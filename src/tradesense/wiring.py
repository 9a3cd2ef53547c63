"""The composition root: the only place that builds concrete things, for as long as the application lives."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from typing import Any, Final, TypedDict
from uuid import UUID

from fastapi import FastAPI
from pydantic import SecretStr

from keel.clock import Clock, SystemClock
from keel.health.checker import HealthChecker
from keel.health.machine import DiskCheck
from keel.logs.assembly import Logs
from keel.metrics import telling
from keel.opening import Keel, Servers
from keel.ratelimit.limiter import RateLimits
from keel.ratelimit.rulefile import RuleFile, RulesMalformed
from keel.sessions.assembly import SessionOptions
from keel.sessions.contract import Lifetimes
from keel.tasks import Tasks
from tradesense.accounts.service import Accounts
from tradesense.analytics.service.asking import Analytics
from tradesense.brokers.documents import Limits
from tradesense.db.copies import Copies
from tradesense.db.engine import Database
from tradesense.db.fences import Fences
from tradesense.db.health import DatabaseCheck, MigrationsCheck
from tradesense.db.invalidation import Invalidations, Invalidator
from tradesense.db.migrations import migrate
from tradesense.db.notices import Notices
from tradesense.db.pools import readings as pool_readings
from tradesense.db.replay import OutboxReplay
from tradesense.db.tables import ImportStatus
from tradesense.events.live.lines import Lines
from tradesense.events.service.announcements import Announcements
from tradesense.events.service.channels import Channels
from tradesense.events.service.presence import Presence
from tradesense.events.service.reports import Reports
from tradesense.http import limits
from tradesense.http.authentication import Authentication, SessionCookie, TrustedOrigins, UserId
from tradesense.http.remembered import RememberedAnswers
from tradesense.http.warming import WARMED, Warming
from tradesense.ingest.service.changing import Changes
from tradesense.ingest.service.files import KeptFiles
from tradesense.ingest.service.manual import ManualExecutions
from tradesense.ingest.service.opening import Opener
from tradesense.ingest.service.previewing import Previews
from tradesense.ingest.service.restoring import Restoring
from tradesense.ingest.service.running import Equipment, Observer, Progress
from tradesense.ingest.service.undoing import Undoing
from tradesense.ingest.service.uploads import Imports
from tradesense.ingest.tasks import AGAIN, IMPORTS, REBUILD, ImportRunner, again, rebuilding
from tradesense.journal.service import Notebook
from tradesense.monitoring.service import ActiveUsers, Business, Decisions, Instance, Today
from tradesense.monitoring.tasks import Aggregation
from tradesense.portfolio.service import Portfolio
from tradesense.security.repository.sessions import SqlSessions
from tradesense.security.service.identities import Identities
from tradesense.security.service.keys import ApiKeys
from tradesense.security.service.logins import Logins
from tradesense.security.service.passwords import Passwords
from tradesense.security.service.profiles import Profiles
from tradesense.security.service.users import Admission, Users
from tradesense.settings import MEBIBYTE, OWNERS_FOLDER, Settings, SettingsInvalid
from tradesense.trades.service import ManualEntry, TradeArchive
from tradesense.work.service.queue import TaskQueue
from tradesense.work.tasks import Nobody, Work, taskiq_waker

TIDY_EVERY: Final = timedelta(hours=1)
TIDY_OUTBOX_EVERY: Final = timedelta(minutes=5)
API: Final = "/api/v1"
WARM: Final = "warm"
WARMED_USERS: Final = 20
"""Users whose answers are computed at the start, the most recently active ones."""
TOUCH: Final = timedelta(minutes=1)
"""How often the use of a session is noted."""
LONGEST_CHECK: Final = timedelta(minutes=5)
"""How old a copy of a session, or of its user, may grow before the database is asked again, whatever was heard."""
LEASE: Final = timedelta(seconds=10)
"""How long a claim on an account or an import outlives the process that made it."""


class SecurityState(TypedDict):
    """Who asks, and what they were answered before."""

    authentication: Authentication
    identities: Identities
    api_keys: ApiKeys
    remembered: RememberedAnswers
    users: Users
    logins: Logins


class PlatformState(TypedDict):
    """What the others stand on."""

    channels: Channels
    lines: Lines
    presence: Presence
    business: Business
    decisions: Decisions
    health: HealthChecker
    instance: Instance
    keel: Keel
    limits: RateLimits
    queue: TaskQueue
    tasks: Tasks
    warming: Warming
    work: Work


class TradingState(TypedDict):
    """What users have: their accounts, files, trades, and what is made of them."""

    accounts: Accounts
    imports: Imports
    previews: Previews
    undoing: Undoing
    manual: ManualEntry
    archive: TradeArchive
    notebook: Notebook
    analytics: Analytics
    portfolio: Portfolio


class State(SecurityState, TradingState, PlatformState):
    """What requests can ask for; `tradesense.http.state.provided` finds it by name."""


@dataclass(frozen=True, slots=True)
class _Ground:
    """What everything else stands on."""

    settings: Settings
    clock: Clock
    database: Database
    tasks: Tasks
    keel: Keel
    sessions: SqlSessions
    fences: Fences
    announcements: Announcements
    work: Work


@asynccontextmanager
async def opened(
    settings: Settings,
    *,
    clock: Clock | None = None,
    passwords: Passwords | None = None,
    around: Callable[[Invalidator], Invalidator] = lambda copies: copies,
    works: bool = True,
) -> AsyncIterator[State]:
    """Everything there is, built from the settings and closed in the end; the command line uses it, too.

    `clock` and `passwords` are for tests: hands to turn, and hashes that cost little; so is `around`, which gives what
    hears of every write before it is answered, in place of the copies that it gets. Background work is done by this
    process where the settings let it and it `works`; a command that has none to wait for leaves it to others. Work that
    is running in the end is given `settings.shutdown_s` to finish before it is handed back.
    """
    settings.data_dir.mkdir(OWNERS_FOLDER, parents=True, exist_ok=True)
    grace, clock = timedelta(seconds=settings.shutdown_s), clock or SystemClock()
    database = Database(settings.database, patience_s=settings.database_timeout_s)
    lifetimes = _lifetimes(settings)
    sessions = SqlSessions(database, clock, lifetimes)
    async with _keel(settings, SessionOptions(sessions, lifetimes, clock)) as keel:
        invalidator = around(Copies(keel.cache, keel.sessions))
        told = Announcements(keel.events)
        invalidations = database.after_commit = Invalidations(invalidator, clock, told.heard)
        tasks, fences = Tasks(keel.failures.task_failed), Fences(database, keel.locks)
        waker = taskiq_waker(tasks, _secret(settings.redis_url), settings.namespace) if works else Nobody()
        work = Work(database, clock, tasks, fences, waker, is_working=works and settings.work == "here")
        ground = _Ground(settings, clock, database, tasks, keel, sessions, fences, told, work)
        try:
            await migrate(ground.database)
            invalidations.start(ground.database)
            await _follow_outbox(ground, invalidator, is_shared=keel.redis is not None)
            _limit(ground)
            _watch_health(ground)
            _measure(ground)
            security = _security(ground, passwords or Passwords())
            warming = Warming(security["identities"].acting_for, WARMED)
            trading = _trading(ground)
            reports = Reports(
                told.waiting, keel.events, database, trading["portfolio"], security["identities"].acting_for
            )
            tasks.start("telling what writes have changed", reports.run())
            work.daily(Aggregation.AT, "daily figures", Aggregation(database, clock).run)
            work.start()
            yield {
                **security,
                **trading,
                "channels": Channels(trading["imports"]),
                "lines": _lines(ground, security["identities"]),
                "presence": Presence(keel.events, database),
                "health": keel.health,
                "business": Business(database, clock),
                "decisions": Decisions(keel.failures, keel.observations, database, clock),
                "instance": Instance("tradesense", version("tradesense"), _secret(settings.scrape_token)),
                "keel": keel,
                "limits": keel.limits,
                "queue": work.queue,
                "tasks": ground.tasks,
                "warming": warming,
                "work": work,
            }
        finally:
            await ground.tasks.close(grace)
            await keel.sessions.close()
            await work.close()
            await invalidations.close(ground.database, grace)
            await told.close(grace)
            await ground.database.close()


def _lifetimes(settings: Settings) -> Lifetimes:
    check = min(LONGEST_CHECK, settings.session_idle / 4)
    return Lifetimes(settings.session_idle, settings.session_lifetime, touch=min(TOUCH, check), check=check)


def _keel(settings: Settings, sessions: SessionOptions) -> AbstractAsyncContextManager[Keel]:
    servers = Servers(
        _secret(settings.redis_url),
        _secret(settings.redis_cache_url),
        settings.redis_max_connections,
        timedelta(seconds=settings.redis_timeout_s),
    )
    bytes_ = settings.cache_mb * MEBIBYTE if settings.cache == "on" else 0
    # SQLite is a file of this machine's: one process serves it (see docs/decisions/0008-workers.md).
    return Keel.open(
        namespace=settings.namespace,
        servers=servers,
        cache_bytes=bytes_,
        alone=settings.is_embedded,
        session_options=sessions,
        trace_options=settings.trace_options,
        own=("tradesense",),
        source=settings.log_options.source,
        sentry_dsn=_secret(settings.sentry_dsn),
    )


def _secret(given: SecretStr | None) -> str | None:
    return None if given is None else given.get_secret_value()


async def _follow_outbox(ground: _Ground, invalidator: Invalidator, *, is_shared: bool) -> None:
    """Hear of what others write. Where the cache `is_shared` they throw its copies away themselves, unless they die."""
    sharing, heard = ground.fences if is_shared else None, ground.announcements.heard
    replay = OutboxReplay(ground.database, ground.clock, invalidator, sharing=sharing, heard=heard)
    await replay.catch_up()
    ground.tasks.start("following the outbox", replay.run())
    ground.work.every(TIDY_OUTBOX_EVERY, "forgetting the outbox", replay.forget)
    if ground.database.dialect == "postgresql" and not is_shared:
        ground.tasks.start("listening for writes", Notices(ground.database, replay.wake).run())


def _limit(ground: _Ground) -> None:
    """Let the settings' rate limits hold, and those of the file beside them for as long as it says so."""
    settings, book = ground.settings, ground.keel.limits.rules
    if settings.rate_limits == "off":
        return
    book.replace(limits.rules(API, settings.limits))
    if settings.rate_limits_file is not None:
        file = RuleFile(settings.rate_limits_file, book, book)
        try:
            file.load()
        except (OSError, RulesMalformed) as error:
            raise SettingsInvalid([f"TRADESENSE_RATE_LIMITS_FILE: {error}"]) from None
        ground.tasks.start("following the rate limits' file", file.follow())


def _watch_health(ground: _Ground) -> None:
    """Let what the product stands on be asked, beside what keel asks for itself."""
    health, database = ground.keel.health, ground.database
    health.register_check("database", DatabaseCheck(database), cache=1)
    health.register_check("migrations", MigrationsCheck(database), cache=1)
    health.register_check("disk", DiskCheck(ground.settings.data_dir), critical=False)


def _measure(ground: _Ground) -> None:
    """Let the product tell of itself, beside what keel tells."""
    metrics, active = ground.keel.metrics, ActiveUsers(ground.clock)
    ground.keel.traces.observers.append(active)
    metrics.read(active.readings)
    metrics.read(lambda: telling.of_traces(ground.keel.traces.stats))
    metrics.read(Today(ground.database, ground.clock, ground.tasks).readings)
    metrics.read(partial(pool_readings, ground.database))


def _security(ground: _Ground, passwords: Passwords) -> SecurityState:
    settings, clock, database = ground.settings, ground.clock, ground.database
    sessions, lifetimes = ground.keel.sessions, ground.keel.sessions.lifetimes
    admission = Admission(settings.registration == "open", settings.timezone, settings.currency)
    users = Users(database, clock, passwords, sessions, admission)
    logins = Logins(database, clock, passwords, sessions, users, lifetimes)
    api_keys = ApiKeys(database, clock, ground.keel.cache)
    identities = Identities(clock, sessions, Profiles(database, ground.keel.cache), api_keys)
    remembered = RememberedAnswers(database, clock)
    origins = TrustedOrigins(frozenset({settings.public_url, *settings.cors_origins}))
    ground.work.every(TIDY_EVERY, "forgetting answers", remembered.forget_expired)
    ground.work.every(TIDY_EVERY, "forgetting sessions", ground.sessions.forget_expired)
    return {
        "authentication": Authentication(identities.identify, session_cookie(settings), origins, identities.glance),
        "identities": identities,
        "api_keys": api_keys,
        "remembered": remembered,
        "users": users,
        "logins": logins,
    }


def _trading(ground: _Ground) -> TradingState:
    settings, clock, database, work = ground.settings, ground.clock, ground.database, ground.work
    limits = Limits(settings.max_upload_mb * MEBIBYTE, settings.max_rows)
    files = KeptFiles(settings.data_dir / "files", limits.file_bytes)
    opener = Opener(database, limits)
    changes = Changes(database, clock, LEASE)
    restoring = Restoring(database, files, opener, changes)
    accounts = Accounts(database, clock, restoring.rebuild)
    runner = ImportRunner(Equipment(database, clock, files, opener, LEASE, _observer(ground)), work.queue.park)
    work.add_lane(IMPORTS, runner, settings.imports_at_once)
    wake = partial(work.wake, IMPORTS)
    notebook = Notebook(database, clock)
    analytics = Analytics(database, clock, notebook, keeps=settings.cache == "on")
    ground.work.every(TIDY_EVERY, "purging deleted accounts", accounts.purge_deleted)
    imports = Imports(database, clock, files, wake)
    ground.work.every(TIDY_EVERY, "purging deleted imports", imports.purge_deleted)
    work.handle(AGAIN, again(wake))
    work.handle(REBUILD, rebuilding(restoring))
    return {
        "accounts": accounts,
        "imports": imports,
        "previews": Previews(database, files, opener, limits),
        "undoing": Undoing(database, clock, changes),
        "manual": ManualEntry(accounts, ManualExecutions(database, clock, changes)),
        "archive": TradeArchive(database, notebook),
        "notebook": notebook,
        "analytics": analytics,
        "portfolio": Portfolio(database, analytics),
    }


def _observer(ground: _Ground) -> Observer:
    """Whoever imports is told how far it has come, and will look at what came of it."""

    def observe(progress: Progress) -> None:
        ground.announcements.progress(progress)
        if progress.status is ImportStatus.DONE:
            ground.work.soon(WARM, str(progress.user_id))

    return observe


def _lines(ground: _Ground, identities: Identities) -> Lines:
    """The live connections of users."""
    keel, most = ground.keel, ground.settings.live_connections
    return Lines(keel.events, identities.open_until, keel.sessions.watch, ground.clock, ground.tasks, most=most)


def begin_warming(app: FastAPI, state: State) -> None:
    """Let tasks that compute answers ahead of their use be done by asking `app`, which lives with `state`."""
    state["warming"].begin(app, state)
    state["work"].handle(WARM, lambda run: state["warming"].warm(UserId(UUID(run.record.subject))))


def session_cookie(settings: Settings) -> SessionCookie:
    """The cookie that this instance's sessions live in."""
    return SessionCookie(https=settings.is_https, lifetime=settings.session_lifetime)


Opening = Callable[[Settings], AbstractAsyncContextManager[State]]
Living = Callable[[FastAPI], AbstractAsyncContextManager[Mapping[str, Any]]]


def lifespan(settings: Settings, opening: Opening = opened) -> Living:
    """The application's lifespan: what is opened with it, and closed; it answers ahead of time as long as it lives."""

    @asynccontextmanager
    async def living(app: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        with Logs.open(settings.log_options) as logs:
            async with opening(settings) as state:
                state["keel"].log(logs)
                begin_warming(app, state)
                recent = await state["logins"].recently_active(WARMED_USERS)
                state["tasks"].start("warming", state["warming"].warm(*recent))
                state["health"].start()
                yield {**state, "logs": logs}
                state["health"].drain()
                await state["lines"].close()

    return living
