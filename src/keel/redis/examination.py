"""What a server is, asked on a connection just made, and whether it can serve."""

import asyncio
import secrets
from dataclasses import dataclass
from typing import Any, Final

from hiredis import ReplyError

from keel.redis.contract import RedisUnavailable
from keel.redis.link import Link

CLIENT_NAME: Final = "keel"
_DENIED: Final = ("NOPERM", "ERR")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a server: `run_id` is another one after each start."""

    run_id: str
    tracks: bool
    tells_role: bool


async def examine(link: Link, timeout_s: float, *, in_cluster: bool) -> Facts:
    """Name the connection and ask who answers, in one go; cuts the link and raises RedisUnavailable if it is no use."""
    try:
        async with asyncio.timeout(timeout_s):
            return _judge(*await _ask(link), in_cluster=in_cluster)
    except BaseException as error:
        link.cut("it was no use")
        if isinstance(error, TimeoutError):
            raise RedisUnavailable("no answer after connecting") from error
        raise


async def _ask(link: Link) -> tuple[Any, ...]:
    return await asyncio.gather(
        link.ask("CLIENT", "SETNAME", CLIENT_NAME),
        link.ask("PING"),
        link.ask("CLIENT", "TRACKING", "OFF"),
        link.ask("ROLE"),
        link.ask("INFO", "server"),
        link.ask("CLUSTER", "INFO"),
    )


def _judge(
    _name: object, ping: object, tracking: object, role: object, info: object, cluster: object, *, in_cluster: bool
) -> Facts:
    if isinstance(ping, ReplyError) and not str(ping).startswith(_DENIED):
        raise RedisUnavailable(str(ping))
    if isinstance(role, list) and role[0] != b"master":
        raise RedisUnavailable(f"it is a {role[0].decode()}, not a master")
    told = _fields(info)
    if "cluster" in {told.get("redis_mode"), told.get("server_mode")} and not in_cluster:
        raise RedisUnavailable("it is part of a cluster; a URL for one begins with redis+cluster://")
    if in_cluster and _fields(cluster).get("cluster_state", "ok") != "ok":
        raise RedisUnavailable("the cluster is down")
    return Facts(
        run_id=told.get("run_id") or secrets.token_hex(20),
        tracks=not isinstance(tracking, ReplyError),
        tells_role=not isinstance(role, ReplyError),
    )


def _fields(info: object) -> dict[str, str]:
    if not isinstance(info, bytes):
        return {}
    lines = (line.partition(":") for line in info.decode("utf-8", "replace").splitlines())
    return {name: value for name, colon, value in lines if colon}
