"""Where Redis is, read from a URL: one server, Sentinels, or a cluster; over TCP, TLS or a Unix socket."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from redis.asyncio.connection import parse_url

_TLS: Final = frozenset(
    {
        "ssl_ca_certs",
        "ssl_ca_path",
        "ssl_cert_reqs",
        "ssl_certfile",
        "ssl_check_hostname",
        "ssl_ciphers",
        "ssl_keyfile",
        "ssl_min_version",
        "ssl_password",
    }
)
_OPTIONS: Final = _TLS | {"db", "sentinel_password", "sentinel_username", "ssl"}
_TRUE: Final = {"1", "true", "yes"}
_PORT: Final = 6379
_SENTINEL_PORT: Final = 26379
_UNREADABLE: Final = "host and port cannot be told; percent-encode what is special in user and password"


class Kind(StrEnum):
    """What stands behind a URL."""

    STANDALONE = "standalone"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class Address:
    """Where one server listens: `path` is a Unix socket and goes before host and port."""

    host: str
    port: int
    path: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.path or f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Target:
    """What a URL says. `options` are what redis-py's connections take; secrets stay out of its text."""

    kind: Kind
    addresses: tuple[Address, ...]
    tls: bool = False
    service: str = ""
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    sentinel_options: Mapping[str, Any] = field(default_factory=dict, repr=False)


def read_url(url: str) -> Target:
    """Read `redis://`, `rediss://`, `unix://`, `redis+sentinel://h1:p,h2:p/service/db` or `redis+cluster://h1:p,h2:p`.

    TLS is asked for by `rediss://` or, with the others, by `ssl=true` or any `ssl_…` option of redis-py
    (`ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`, `ssl_cert_reqs`, …). User and password are those of the server;
    `sentinel_username` and `sentinel_password` those of the Sentinels. Raises ValueError, which names no secret.
    """
    scheme, _, rest = url.partition("://")
    try:
        if "#" in url:
            raise ValueError(_UNREADABLE)
        if scheme == "redis+sentinel":
            return _sentinels(rest)
        if scheme == "redis+cluster":
            return _cluster(rest)
        if scheme in {"redis", "rediss", "unix"}:
            return _standalone(url)
    except ValueError as error:
        raise ValueError(f"the Redis URL cannot be read: {error}") from None
    raise ValueError("a Redis URL begins with redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://")


def _standalone(url: str) -> Target:
    parts = _parts(url)
    given = _given(parts.query)
    options = _options(url)
    if parts.scheme == "unix":
        return Target(Kind.STANDALONE, (Address("", 0, unquote(parts.path)),), options=options)
    _database(parts.path)
    address = Address(unquote(parts.hostname or "localhost"), parts.port or _PORT)
    return Target(Kind.STANDALONE, (address,), parts.scheme == "rediss" or _asks_for_tls(given), options=options)


def _sentinels(rest: str) -> Target:
    userinfo, hosts, path, query = _split(rest)
    service, _, database = path.partition("/")
    if not service:
        raise ValueError("it does not name the service: redis+sentinel://host:26379/service")
    _database(database)
    given = _given(query)
    options = _options(f"redis://{userinfo}localhost/{database}?{query}")
    tls = {name: value for name, value in options.items() if name in _TLS}
    secrets = {name: given[f"sentinel_{name}"] for name in ("username", "password") if f"sentinel_{name}" in given}
    addresses = tuple(_address(host, _SENTINEL_PORT) for host in hosts)
    return Target(Kind.SENTINEL, addresses, _asks_for_tls(given), unquote(service), options, {**tls, **secrets})


def _cluster(rest: str) -> Target:
    userinfo, hosts, path, query = _split(rest)
    if path not in {"", "0"}:
        raise ValueError("a cluster has no databases, and no path")
    options = _options(f"redis://{userinfo}localhost/?{query}")
    addresses = tuple(_address(host, _PORT) for host in hosts)
    return Target(Kind.CLUSTER, addresses, _asks_for_tls(_given(query)), options=options)


def _split(rest: str) -> tuple[str, list[str], str, str]:
    """User and password with their `@`, the hosts, the path without its first slash, the query."""
    place, _, query = rest.partition("?")
    netloc, _, path = place.partition("/")
    userinfo, at, hosts = netloc.rpartition("@")
    return userinfo + at, [host for host in hosts.split(",") if host] or ["localhost"], path.strip("/"), query


def _address(host: str, port: int) -> Address:
    parts = _parts(f"//{host}")
    return Address(parts.hostname or "localhost", parts.port or port)


def _parts(url: str) -> SplitResult:
    """The URL taken apart. What Python says of one that it cannot read has the password in it, or a piece of that."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError(_UNREADABLE) from None
    return parts


def _given(query: str) -> dict[str, str]:
    given = dict(parse_qsl(query))
    if not given.keys() <= _OPTIONS:  # which are not, is not said: behind a ? in a password stands the rest of it
        raise ValueError(f"it has unknown options; there are {sorted(_OPTIONS)}")
    return given


def _asks_for_tls(given: Mapping[str, str]) -> bool:
    return given.get("ssl", "").lower() in _TRUE or not _TLS.isdisjoint(given)


def _database(path: str) -> None:
    name = path.strip("/")
    if name and not name.isdecimal():
        raise ValueError("the path is the database's number")


def _options(url: str) -> dict[str, Any]:
    """What redis-py reads from the URL, without the place."""
    kept = _TLS | {"db", "username", "password"}
    _parts(url)
    return {name: value for name, value in parse_url(url).items() if name in kept}
