"""The composition root: the only place that builds concrete things, for as long as the application lives."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from typing import Final, TypedDict

from fastapi import FastAPI
from pydantic import SecretStr

from keel.cache.hybrid import HybridCache
from keel.clock import Clock, SystemClock
from keel.errors import Unavailable
from keel.health.checker import HealthChecker
from keel.health.machine import DiskCheck
from keel.opening import Keel, Servers
from keel.ratelimit.limiter import RateLimits
from keel.ratelimit.rulefile import RuleFile, RulesMalformed
from keel.sessions.assembly import SessionOptions
from keel.sessions.contract import Lifetimes
from keel.sessions.store import Sessions
from keel.tasks import Tasks
from tradesense.accounts.service import Accounts
from tradesense.analytics.service.asking import Analytics
from tradesense.brokers.documents import Limits
from tradesense.db.engine import Database, Writing
from tradesense.db.fences import Fences
from tradesense.db.health import DatabaseCheck, MigrationsCheck
from tradesense.db.invalidation import KEYS_TAG, Invalidations, Invalidator, key_place
from tradesense.db.migrations import migrate
from tradesense.db.notices import Notices
from tradesense.db.replay import OutboxReplay
from tradesense.db.tables import ImportStatus
from tradesense.http import limits
from tradesense.http.authentication import Authentication, SessionCookie, TrustedOrigins
from tradesense.http.remembered import RememberedAnswers
from tradesense.http.warming import Warming
from tradesense.ingest.service.changing import Changes
from tradesense.ingest.service.files import KeptFiles
from tradesense.ingest.service.manual import ManualExecutions
from tradesense.ingest.service.opening import Opener
from tradesense.ingest.service.previewing import Previews
from tradesense.ingest.service.restoring import Restoring
from tradesense.ingest.service.running import Equipment, Observer, Progress
from tradesense.ingest.service.undoing import Undoing
from tradesense.ingest.service.uploads import Imports
from tradesense.ingest.tasks import ImportRunner
from tradesense.journal.service import Notebook
from tradesense.monitoring.service import Instance
from tradesense.portfolio.service import Portfolio
from tradesense.security.repository.sessions import SqlSessions
from tradesense.security.service.identities import Identities
from tradesense.security.service.keys import ApiKeys
from tradesense.security.service.logins import Logins
from tradesense.security.service.passwords import Passwords
from tradesense.security.service.profiles import Profiles
from tradesense.security.service.users import Admission, Users
from tradesense.settings import MEBIBYTE, Settings, SettingsInvalid
from tradesense.trades.service import ManualEntry, TradeArchive

TIDY_EVERY: Final = timedelta(hours=1)
TIDY_OUTBOX_EVERY: Final = timedelta(minutes=5)
API: Final = "/api/v1"
WARMED: Final = (
    "/api/v1/portfolio/summary",
    "/api/v1/portfolio/positions",
    "/api/v1/analytics/summary",
    "/api/v1/analytics/equity",
    "/api/v1/analytics/calendar",
)
"""What everybody looks at first."""
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

    health: HealthChecker
    instance: Instance
    keel: Keel
    limits: RateLimits
    tasks: Tasks
    warming: Warming


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

    def tidy(self, interval: timedelta, name: str, work: Callable[[Writing], Awaitable[object]]) -> None:
        """Do some work again and again, in one instance at a time."""
        self.tasks.every(interval, name, lambda: self.fences.once(name, work))


@asynccontextmanager
async def opened(
    settings: Settings,
    *,
    clock: Clock | None = None,
    passwords: Passwords | None = None,
    around: Callable[[Invalidator], Invalidator] = lambda copies: copies,
    runs_imports: bool = True,
) -> AsyncIterator[State]:
    """Everything there is, built from the settings and closed in the end; the command line uses it, too.

    `clock` and `passwords` are for tests: hands to turn, and hashes that cost little; so is `around`, which gives what
    hears of every write before it is answered, in place of the copies that it gets. A command that imports nothing
    leaves the queue of imports to others: `runs_imports=False`. A running import is given `settings.shutdown_s` to
    finish before it is handed back.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    grace, clock = timedelta(seconds=settings.shutdown_s), clock or SystemClock()
    database = Database(settings.database)
    lifetimes = _lifetimes(settings)
    sessions = SqlSessions(database, clock, lifetimes)
    async with _keel(settings, SessionOptions(sessions, lifetimes, clock)) as keel:
        invalidator = around(Copies(keel.cache, keel.sessions))
        invalidations = database.after_commit = Invalidations(invalidator, clock)
        ground = _Ground(settings, clock, database, Tasks(), keel, sessions, Fences(database, keel.locks))
        try:
            await migrate(ground.database)
            invalidations.start(ground.database)
            await _follow_outbox(ground, invalidator, is_shared=keel.redis is not None)
            _limit(ground)
            _watch_health(ground)
            security = _security(ground, passwords or Passwords())
            warming = Warming(security["identities"].acting_for, WARMED)
            trading = _trading(ground, warming, runs_imports=runs_imports)
            warming.wake(*await security["logins"].recently_active(WARMED_USERS))
            yield {
                **security,
                **trading,
                "health": keel.health,
                "instance": Instance("tradesense", version("tradesense")),
                "keel": keel,
                "limits": keel.limits,
                "tasks": ground.tasks,
                "warming": warming,
            }
        finally:
            await ground.tasks.close(grace)
            await invalidations.close(ground.database, grace)
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
    namespace, bytes_ = (
        f"tradesense:{settings.environment}",
        settings.cache_mb * MEBIBYTE if settings.cache == "on" else 0,
    )
    # SQLite is a file of this machine's: one process serves it (see docs/decisions/0008-workers.md).
    return Keel.open(
        namespace=namespace,
        servers=servers,
        cache_bytes=bytes_,
        alone=settings.is_embedded,
        session_options=sessions,
    )


def _secret(url: SecretStr | None) -> str | None:
    return None if url is None else url.get_secret_value()


class Copies:
    """The copies of answers and sessions as those know them who write: they go, or it is said that they did not."""

    def __init__(self, cache: HybridCache, sessions: Sessions) -> None:
        self._cache = cache
        self._sessions = sessions

    async def invalidate_tags(self, *tags: str) -> None:
        """Throw away what carries one of the tags; raises Unavailable where other instances cannot be told yet."""
        if not await self._cache.invalidate_tags(*tags):
            raise Unavailable("The shared cache is away: what other instances see is invalidated when it is back.")

    async def forget_tokens(self, hashes: Collection[bytes]) -> None:
        """Throw away the sessions and API keys of tokens that have ended; raises Unavailable likewise."""
        try:
            await self._sessions.forget(hashes)
        finally:
            is_done = await self._cache.invalidate(*map(key_place, hashes))
        if not is_done:
            raise Unavailable("The shared cache is away: other instances may know an API key until it is back.")

    async def forget_all_tokens(self) -> None:
        """Throw away all sessions and API keys in memory."""
        self._sessions.forget_all()
        await self._cache.invalidate_tags(KEYS_TAG)


async def _follow_outbox(ground: _Ground, invalidator: Invalidator, *, is_shared: bool) -> None:
    """Hear of what others write. Where the cache `is_shared` they throw its copies away themselves, unless they die."""
    replay = OutboxReplay(ground.database, ground.clock, invalidator, sharing=ground.fences if is_shared else None)
    await replay.catch_up()
    ground.tasks.start("following the outbox", replay.run())
    ground.tidy(TIDY_OUTBOX_EVERY, "forgetting the outbox", replay.forget)
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
    ground.tidy(TIDY_EVERY, "forgetting answers", remembered.forget_expired)
    ground.tidy(TIDY_EVERY, "forgetting sessions", ground.sessions.forget_expired)
    return {
        "authentication": Authentication(identities.identify, session_cookie(settings), origins),
        "identities": identities,
        "api_keys": api_keys,
        "remembered": remembered,
        "users": users,
        "logins": logins,
    }


def _trading(ground: _Ground, warming: Warming, *, runs_imports: bool) -> TradingState:
    settings, clock, database = ground.settings, ground.clock, ground.database
    limits = Limits(settings.max_upload_mb * MEBIBYTE, settings.max_rows)
    files = KeptFiles(settings.data_dir / "files", limits.file_bytes)
    opener = Opener(database, limits)
    changes = Changes(database, clock, LEASE)
    accounts = Accounts(database, clock, Restoring(database, files, opener, changes).rebuild)
    runner = ImportRunner(Equipment(database, clock, files, opener, LEASE, _warmer(warming)), ground.tasks)
    notebook = Notebook(database, clock)
    analytics = Analytics(database, clock, notebook)
    ground.tidy(TIDY_EVERY, "purging deleted accounts", accounts.purge_deleted)
    imports = Imports(database, clock, files, runner.wake)
    ground.tidy(TIDY_EVERY, "purging deleted imports", imports.purge_deleted)
    if runs_imports:
        runner.start()
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


def _warmer(warming: Warming) -> Observer:
    """Whoever has imported will look at what came of it."""

    def observe(progress: Progress) -> None:
        if progress.status is ImportStatus.DONE:
            warming.wake(progress.user_id)

    return observe


def session_cookie(settings: Settings) -> SessionCookie:
    """The cookie that this instance's sessions live in."""
    return SessionCookie(https=settings.is_https, lifetime=settings.session_lifetime)


Opening = Callable[[Settings], AbstractAsyncContextManager[State]]


def lifespan(settings: Settings, opening: Opening = opened) -> Callable[[FastAPI], AbstractAsyncContextManager[State]]:
    """The application's lifespan: what is opened with it, and closed; it answers ahead of time as long as it lives."""

    @asynccontextmanager
    async def living(app: FastAPI) -> AsyncIterator[State]:
        async with opening(settings) as state:
            state["tasks"].start("warming", state["warming"].run(app, state))
            state["health"].start()
            yield state
            state["health"].drain()

    return living
