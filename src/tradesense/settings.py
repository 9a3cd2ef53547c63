"""Settings: the one reader of the environment, checked as a whole before anything is opened."""

import os
from collections.abc import Mapping
from datetime import timedelta
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path
from socket import gethostname
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from keel.asgi.addresses import TrustedProxies
from keel.logs.contract import Collector, Form, LogOptions, Rotation, Source
from keel.ratelimit.quota import parse
from keel.traces.contract import TraceOptions

MEBIBYTE: Final = 1 << 20
OWNERS_FOLDER: Final = 0o700
"""How the data folder is made: what people trade is no business of others on the machine."""
MASK: Final = "********"
_PRIVATE_REDIS: Final = "REDIS_PRIVATE_URL"
_DATABASES: Final = {"sqlite", "sqlite+aiosqlite", "postgres", "postgresql", "postgresql+asyncpg"}
_REDISES: Final = {"redis", "rediss", "unix", "redis+sentinel", "redis+cluster"}
_WEB: Final = {"http", "https"}
_LOCAL: Final = {"localhost", "127.0.0.1", "::1"}


class SettingsInvalid(Exception):
    """Some settings cannot be used; `mistakes` names each variable and what is wrong with it."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("the configuration has mistakes:\n" + "\n".join(f"  {each}" for each in mistakes))
        self.mistakes = mistakes


def _scheme(url: str, known: set[str]) -> str:
    if urlsplit(url).scheme not in known:
        raise ValueError(f"must begin with one of {', '.join(f'{each}:' for each in sorted(known))}")
    return url


def _database_url(url: SecretStr) -> SecretStr:
    parts = urlsplit(_scheme(url.get_secret_value(), _DATABASES))
    try:
        _ = parts.port
    except ValueError:  # what stands there may be half a password
        raise ValueError("has a port that is none; in a password, /, @ and : are written %2F, %40 and %3A") from None
    return url


def _redis_url(url: SecretStr) -> SecretStr:
    _scheme(url.get_secret_value(), _REDISES)
    return url


def _dsn(url: SecretStr) -> SecretStr:
    parts = urlsplit(_scheme(url.get_secret_value(), _WEB))
    if not (parts.username and parts.hostname and parts.path.rpartition("/")[2].isdigit()):
        raise ValueError("is no DSN such as https://key@sentry.example.com/1")
    return url


def _origin(url: str) -> str:
    parts = urlsplit(_scheme(url, _WEB))
    if not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment or parts.username:
        raise ValueError(f"{url} is no origin: scheme, host and port are wanted, such as https://journal.example.com")
    return f"{parts.scheme}://{parts.netloc}".lower()


def _public_url(url: str) -> str:
    origin = _origin(url)
    parts = urlsplit(origin)
    if parts.scheme == "http" and parts.hostname not in _LOCAL:
        raise ValueError("must be https, or http on localhost: a login cookie would cross the network in the clear")
    return origin


def _endpoint(url: str) -> str:
    return Collector(url).endpoint


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name} is no IANA time zone such as Europe/Berlin") from None
    return name


def _address(host: str) -> str:
    return str(ip_address(host))


def _log_file(path: Path) -> Path:
    """A file that can be written, or one that can be made."""
    there = next(each for each in (path, *path.absolute().parents) if os.access(each, os.F_OK))
    if there.is_dir() == (there == path) or not os.access(there, os.W_OK):
        raise ValueError(f"{path} cannot be written")
    return path


def _quota(text: str) -> str:
    parse(text)
    return text


def _proxies(words: tuple[str, ...]) -> tuple[str, ...]:
    TrustedProxies.parse(words)
    return words


Quota = Annotated[str, AfterValidator(_quota)]
"""A limit as people write it: `100/min burst 50`."""


class Settings(BaseModel):
    """Everything that can be set, by the name of its environment variable (the alias) or as an argument."""

    model_config = ConfigDict(frozen=True, validate_by_name=True, validate_by_alias=False, extra="forbid")

    data_dir: Path = Field(default=Path("data"), alias="TRADESENSE_DATA_DIR")
    """Where the embedded database and the kept files live."""
    database_url: Annotated[SecretStr, AfterValidator(_database_url)] | None = Field(default=None, alias="DATABASE_URL")
    """SQLite or PostgreSQL; an SQLite file in `data_dir` unless given."""
    database_timeout_s: float = Field(default=10, alias="DATABASE_TIMEOUT", gt=0, le=600)
    """Seconds that a request waits for PostgreSQL: for a connection, and for each answer."""
    redis_url: Annotated[SecretStr, AfterValidator(_redis_url)] | None = Field(default=None, alias="REDIS_URL")
    """What all processes share; without it there is one process. `REDIS_PRIVATE_URL` goes before it."""
    redis_cache_url: Annotated[SecretStr, AfterValidator(_redis_url)] | None = Field(
        default=None, alias="REDIS_CACHE_URL"
    )
    """Where the cache is, if that is another server, which may evict; `REDIS_URL` unless given."""
    redis_max_connections: int = Field(default=50, alias="REDIS_MAX_CONNECTIONS", ge=3, le=10_000)
    """Connections that a process opens to each Redis."""
    redis_timeout_s: float = Field(default=5, alias="REDIS_TIMEOUT", gt=0, le=60)
    """Seconds that connecting to Redis may take."""
    environment: str = Field(default="production", alias="TRADESENSE_ENVIRONMENT", pattern=r"^[a-z0-9:-]{1,32}$")
    """What keeps apart instances that share a Redis but not their data: part of every key's name."""
    cache: Literal["on", "off"] = Field(default="on", alias="TRADESENSE_CACHE")
    """Whether answers are cached."""
    cache_mb: int = Field(default=64, alias="TRADESENSE_CACHE_MB", ge=1, le=65_536)
    """MiB of memory that each process keeps copies of answers in."""
    host: str = Field(default="127.0.0.1", alias="HOST", min_length=1)
    port: int = Field(default=8000, alias="PORT", ge=0, le=65535)
    workers: int = Field(default=1, alias="WEB_CONCURRENCY", ge=1, le=64)
    """Processes that serve."""
    public_url: Annotated[str, AfterValidator(_public_url)] = Field(default="", alias="TRADESENSE_PUBLIC_URL")
    """What browsers call this instance; `http://localhost` and the port unless given."""
    cors_origins: Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], BeforeValidator(_split)] = Field(
        default=(), alias="TRADESENSE_CORS_ORIGINS"
    )
    """Other origins whose pages may use the API, separated by commas."""
    max_upload_mb: int = Field(default=200, alias="TRADESENSE_MAX_UPLOAD_MB", ge=1, le=4096)
    """MiB that an uploaded file may have."""
    max_rows: int = Field(default=2_000_000, alias="TRADESENSE_MAX_ROWS", ge=1, le=100_000_000)
    """Rows that an uploaded file may have."""
    session_idle_days: float = Field(default=7, alias="TRADESENSE_SESSION_IDLE_DAYS", gt=0, le=3650)
    """How long a session lives without being used."""
    session_days: float = Field(default=30, alias="TRADESENSE_SESSION_DAYS", gt=0, le=3650)
    """How long a session lives at all."""
    rate_limits: Literal["on", "off"] = Field(default="on", alias="TRADESENSE_RATE_LIMITS")
    """Whether anybody can ask too often."""
    limit_login: Quota = Field(default="5/5min sliding window", alias="TRADESENSE_LIMIT_LOGIN")
    """Attempts to log in to one account from one address, and thus nobody's who asks from elsewhere."""
    limit_login_ip: Quota = Field(default="20/5min sliding window", alias="TRADESENSE_LIMIT_LOGIN_IP")
    """Attempts to log in from one address."""
    limit_register: Quota = Field(default="3/h sliding window", alias="TRADESENSE_LIMIT_REGISTER")
    """Registrations from one address."""
    limit_imports: Quota = Field(default="10/h", alias="TRADESENSE_LIMIT_IMPORTS")
    """Files that a user may upload."""
    limit_api: Quota = Field(default="100/min burst 50", alias="TRADESENSE_LIMIT_API")
    """Requests of a user, or of an address where nobody is known to ask."""
    limit_analytics: Quota = Field(default="50/5min", alias="TRADESENSE_LIMIT_ANALYTICS")
    """Requests of a user for analytics."""
    rate_limits_file: Path | None = Field(default=None, alias="TRADESENSE_RATE_LIMITS_FILE")
    """A file of rules that go before these, and may be changed while the server runs."""
    live_connections: int = Field(default=20, alias="TRADESENSE_LIVE_CONNECTIONS", ge=1, le=10_000)
    """WebSockets and streams of events that a user may have open, over all processes."""
    trusted_proxies: Annotated[tuple[str, ...], BeforeValidator(_split), AfterValidator(_proxies)] = Field(
        default=(), alias="TRADESENSE_TRUSTED_PROXIES"
    )
    """Networks whose `X-Forwarded-For` is believed, separated by commas, or how many proxies stand in front."""
    registration: Literal["open", "closed"] = Field(default="open", alias="TRADESENSE_REGISTRATION")
    """Whether whoever comes may become a user."""
    timezone: Annotated[str, AfterValidator(_zone)] = Field(default="UTC", alias="TRADESENSE_TIMEZONE")
    """The time zone of users who have not said theirs."""
    currency: str = Field(default="USD", alias="TRADESENSE_CURRENCY", pattern=r"^[A-Z][A-Z0-9]{2,9}$")
    """The currency of users who have not said theirs."""
    work: Literal["here", "workers"] = Field(default="here", alias="TRADESENSE_WORK")
    """Whether background work, imports above all, runs in the processes that serve, or in `tradesense worker` alone."""
    imports_at_once: int = Field(default=2, alias="TRADESENSE_IMPORTS_AT_ONCE", ge=1, le=64)
    """Imports that a process which works runs at a time."""
    shutdown_s: float = Field(default=20, alias="TRADESENSE_SHUTDOWN_S", ge=0, le=3600)
    """Seconds that running work is given to finish when the process stops, before it is handed back."""
    drain_s: float = Field(default=0, alias="TRADESENSE_DRAIN_S", ge=0, le=600)
    """Seconds that a process which is told to stop serves on and says that it is not ready, for balancers to notice."""
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", alias="LOG_LEVEL")
    log_format: Form = Field(default=Form.JSON, alias="LOG_FORMAT")
    """`json` for programs, or `console` for people."""
    log_file: Annotated[Path, AfterValidator(_log_file)] | None = Field(default=None, alias="LOG_FILE")
    """Where log lines go; to the standard output unless given."""
    log_file_max_mb: int = Field(default=50, alias="LOG_FILE_MAX_MB", ge=1, le=65_536)
    """MiB after which the file is renamed and another one begun."""
    log_file_max_hours: int = Field(default=24, alias="LOG_FILE_MAX_HOURS", ge=1, le=8784)
    """Hours after which it is, counted from midnight UTC."""
    log_file_keep: int = Field(default=14, alias="LOG_FILE_KEEP", ge=0, le=10_000)
    """Files that were renamed and are kept."""
    trace_sample: float = Field(default=0.1, alias="TRADESENSE_TRACE_SAMPLE", ge=0, le=1)
    """The share of traces that is kept although nothing is the matter with them."""
    trace_slow_ms: int = Field(default=1000, alias="TRADESENSE_TRACE_SLOW_MS", ge=1, le=3_600_000)
    """Milliseconds from which on a request is slow, and its trace is kept."""
    otlp_endpoint: Annotated[str, AfterValidator(_endpoint)] | None = Field(
        default=None, alias="OTEL_EXPORTER_OTLP_ENDPOINT"
    )
    """An OTLP collector's HTTP endpoint (http://localhost:4318), for logs and traces."""
    otlp_headers: SecretStr | None = Field(default=None, alias="OTEL_EXPORTER_OTLP_HEADERS")
    """Headers that the collector wants: `name=value,name=value`, percent-encoded."""
    scrape_token: SecretStr | None = Field(default=None, alias="TRADESENSE_SCRAPE_TOKEN", min_length=16)
    """What opens the metrics to a program that collects them, as a bearer token; only administrators without it."""
    metrics_port: int | None = Field(default=None, alias="TRADESENSE_METRICS_PORT", ge=1, le=65_000)
    """From which port on each process, workers too, takes one of its own, for metrics and health; none unless given."""
    metrics_host: Annotated[str, AfterValidator(_address)] = Field(default="127.0.0.1", alias="TRADESENSE_METRICS_HOST")
    """The address that those are on."""
    sentry_dsn: Annotated[SecretStr, AfterValidator(_dsn)] | None = Field(default=None, alias="SENTRY_DSN")
    """Where errors go beside being grouped here: a project of Sentry, or of what speaks its protocol."""

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None, **given: Any) -> Self:  # noqa: ANN401 - fields
        """The settings of the environment, where `given` (by field name) overrides; an empty variable counts as unset.

        Raises `SettingsInvalid` with all mistakes at once.
        """
        source = os.environ if environment is None else environment
        found = {name: source[variable] for name, variable in cls.variables().items() if source.get(variable)}
        if source.get(_PRIVATE_REDIS):
            found["redis_url"] = source[_PRIVATE_REDIS]
        try:
            return cls.model_validate({**found, **given})
        except ValidationError as error:
            raise SettingsInvalid([_mistake(each) for each in error.errors(include_input=False)]) from None

    @classmethod
    def variables(cls) -> Mapping[str, str]:
        """The environment variable of each field."""
        return {name: str(field.alias) for name, field in cls.model_fields.items()}

    @model_validator(mode="before")
    @classmethod
    def _derive(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {"public_url": f"http://localhost:{values.get('port', 8000)}", **values}

    @model_validator(mode="after")
    def _agree(self) -> Self:
        mistakes = []
        if self.session_idle_days > self.session_days:
            mistakes.append("TRADESENSE_SESSION_IDLE_DAYS is longer than TRADESENSE_SESSION_DAYS")
        if self.workers > 1 and self.is_embedded:
            mistakes.append("WEB_CONCURRENCY above 1 needs a DATABASE_URL of PostgreSQL: SQLite has one writer")
        if self.workers > 1 and self.redis_url is None:
            mistakes.append("WEB_CONCURRENCY above 1 needs a REDIS_URL: without it the cache knows one process only")
        if self.redis_cache_url is not None and self.redis_url is None:
            mistakes.append("REDIS_CACHE_URL needs a REDIS_URL beside it")
        if self.metrics_port == self.port:
            mistakes.append("TRADESENSE_METRICS_PORT is the API's own, PORT: give metrics another one")
        if self.work == "workers" and (self.is_embedded or self.redis_url is None):
            mistakes.append("TRADESENSE_WORK=workers needs a DATABASE_URL of PostgreSQL and a REDIS_URL")
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self

    @property
    def database(self) -> str:
        """The URL of the database, password and all."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir.absolute() / 'tradesense.db'}"

    @property
    def namespace(self) -> str:
        """What the names of everything in Redis begin with."""
        return f"tradesense:{self.environment}"

    @property
    def is_embedded(self) -> bool:
        """Whether the database is a file of ours."""
        return self.database.startswith("sqlite")

    @property
    def log_options(self) -> LogOptions:
        """What is logged, how, and where."""
        period = timedelta(hours=self.log_file_max_hours)
        return LogOptions(
            self.log_level,
            self.log_format,
            self.log_file,
            Rotation(self.log_file_max_mb * MEBIBYTE, period, self.log_file_keep),
            self.source,
            self.collector,
        )

    @property
    def source(self) -> Source:
        """Which instance this is."""
        return Source("tradesense", version("tradesense"), self.environment, f"{gethostname()}:{os.getpid()}")

    @property
    def collector(self) -> Collector | None:
        """Where logs and traces go, too."""
        if self.otlp_endpoint is None:
            return None
        given = "" if self.otlp_headers is None else self.otlp_headers.get_secret_value()
        pairs = [each.partition("=") for each in given.split(",") if each]
        return Collector(self.otlp_endpoint, tuple((name.strip(), unquote(value.strip())) for name, _, value in pairs))

    @property
    def trace_options(self) -> TraceOptions:
        """Which traces are kept."""
        return TraceOptions(self.trace_sample, timedelta(milliseconds=self.trace_slow_ms), collector=self.collector)

    @property
    def limits(self) -> dict[str, str]:
        """The rate limits by name."""
        return {
            "login": self.limit_login,
            "login-ip": self.limit_login_ip,
            "register": self.limit_register,
            "api": self.limit_api,
            "imports": self.limit_imports,
            "analytics": self.limit_analytics,
        }

    @property
    def is_https(self) -> bool:
        """Whether browsers come over https."""
        return self.public_url.startswith("https:")

    @property
    def session_idle(self) -> timedelta:
        """How long a session lives without being used."""
        return timedelta(days=self.session_idle_days)

    @property
    def session_lifetime(self) -> timedelta:
        """How long a session lives at all."""
        return timedelta(days=self.session_days)

    def shown(self) -> dict[str, str]:
        """Every setting by the name of its variable, fit to be shown: secrets keep their host, not their password."""
        return {variable: _masked(getattr(self, name)) for name, variable in self.variables().items()}


def _masked(value: object) -> str:
    if isinstance(value, SecretStr):
        parts = urlsplit(value.get_secret_value())
        if not parts.scheme:
            return MASK
        credentials, at, host = parts.netloc.rpartition("@")
        user, colon, _ = credentials.partition(":")
        user = user if colon or not user else MASK  # a key
        return parts._replace(netloc=f"{user}{colon}{MASK if colon else ''}{at}{host}", query="").geturl()
    if isinstance(value, tuple):
        return ",".join(value)
    return "" if value is None else str(value)


def _mistake(error: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    message = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return str(message)
    name = str(error["loc"][0])
    return f"{Settings.variables().get(name, name)}: {message}"
