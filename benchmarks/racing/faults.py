"""What can be done to a server, and how it is taken back."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.valkey import Cluster, Sentinels, Valkey


def _nothing(_: object) -> None:
    """It passes by itself."""


@dataclass(frozen=True)
class Fault:
    """Something that is done to a server for a while, in a thread. `server` starts what it is done to."""

    name: str
    begin: Callable[[Valkey], object]
    end: Callable[[Valkey], object] = _nothing
    lasts_s: float = 1.0


def _save(server: Valkey) -> None:
    server.ask("SAVE")
    time.sleep(0.5)


def _restart_with_what_was_saved(server: Valkey) -> None:
    _save(server)
    server.kill()


def _fill(server: Valkey, policy: str) -> None:
    server.ask("CONFIG", "SET", "maxmemory-policy", policy)
    server.ask("CONFIG", "SET", "maxmemory", "1mb")


def _room(server: Valkey) -> None:
    server.ask("CONFIG", "SET", "maxmemory", "0")


def _kill_clients(server: Valkey, *, pushes_alone: bool) -> None:
    for client in server.clients():
        if not pushes_alone or "t" in client["flags"]:
            server.ask("CLIENT", "KILL", "ID", client["id"])


def _demote(server: Valkey) -> None:
    server.ask("REPLICAOF", "127.0.0.1", "1")


def _promote(server: Valkey) -> None:
    server.ask("REPLICAOF", "NO", "ONE")


PAUSED: Final = Fault("paused (SIGSTOP)", Valkey.pause, Valkey.resume, 3.0)
FAULTS: Final = (
    Fault("killed, empty again", Valkey.kill, Valkey.start),
    Fault("killed, with data of before", _restart_with_what_was_saved, Valkey.start),
    PAUSED,
    Fault("made a replica", _demote, _promote),
    Fault("full, noeviction", lambda server: _fill(server, "noeviction"), _room),
    Fault("full, allkeys-lru", lambda server: _fill(server, "allkeys-lru"), _room),
    Fault("CLIENT KILL of the pushes", lambda server: _kill_clients(server, pushes_alone=True)),
    Fault("CLIENT KILL of all", lambda server: _kill_clients(server, pushes_alone=False)),
    Fault("SCRIPT FLUSH", lambda server: server.ask("SCRIPT", "FLUSH")),
    Fault("FLUSHALL", lambda server: server.ask("FLUSHALL")),
)


def lose_a_master(cluster: Cluster) -> None:
    """Kill one; its replica takes over by itself."""
    cluster.lose(cluster.masters[0])


def fail_over(sentinels: Sentinels) -> None:
    """Kill the master; Sentinels promote the replica."""
    sentinels.lose_master()
