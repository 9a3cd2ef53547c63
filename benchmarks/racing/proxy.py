"""A TCP proxy between a process and its server that cuts, stalls and delays connections."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import Final

from keel.tasks import Tasks

_CHUNK: Final = 1 << 16


class _Link:
    """One connection through the proxy; each direction goes on while its gate is open."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.writers = (near, far)
        self.is_for_pushes = False
        self.gates = (asyncio.Event(), asyncio.Event())
        for gate in self.gates:
            gate.set()

    def cut(self) -> None:
        for writer in self.writers:
            writer.transport.abort()
        for gate in self.gates:
            gate.set()


class Proxy:
    """Listens on `port` and passes on to the server's."""

    def __init__(self, server_port: int, tasks: Tasks) -> None:
        self.port = 0
        self._server_port = server_port
        self._tasks = tasks
        self._links: list[_Link] = []

    @classmethod
    @asynccontextmanager
    async def open(cls, server_port: int) -> AsyncIterator["Proxy"]:
        """One that listens for as long as the block lasts."""
        async with Tasks() as tasks:
            proxy = cls(server_port, tasks)
            server = await asyncio.start_server(proxy._meet, "127.0.0.1", 0)
            proxy.port = server.sockets[0].getsockname()[1]
            yield proxy
            server.close()
            proxy.cut_all()

    def cut_all(self) -> None:
        """Cut every connection."""
        for link in list(self._links):
            link.cut()

    def cut_one(self, random: Random) -> None:
        """Cut one connection."""
        if self._links:
            random.choice(self._links).cut()

    def stall_one(self, random: Random, seconds: float) -> None:
        """Hold up what one connection carries, in one direction or both; nothing is lost."""
        if not self._links:
            return
        link = random.choice(self._links)
        held = random.choice((link.gates, link.gates[:1], link.gates[1:]))
        for gate in held:
            gate.clear()
            asyncio.get_running_loop().call_later(seconds, gate.set)

    def stall_pushes(self, seconds: float) -> None:
        """Hold up what servers send unasked, on the connections that are there now."""
        for link in self._links:
            if link.is_for_pushes:
                link.gates[1].clear()
                asyncio.get_running_loop().call_later(seconds, link.gates[1].set)

    def delay_commands(self, cut_after_s: float) -> Callable[[], None]:
        """Hold up what servers are told, on connections that are soon cut for who tells it, and not for the servers.

        Returns how to let it through: it comes late.
        """
        links = [link for link in self._links if not link.is_for_pushes]
        for link in links:
            link.gates[0].clear()
            asyncio.get_running_loop().call_later(cut_after_s, link.writers[0].transport.abort)

        def let_through() -> None:
            for link in links:
                link.gates[0].set()

        return let_through

    @property
    def addresses(self) -> set[str]:
        """How the server knows the connections."""
        names = (link.writers[1].get_extra_info("sockname") for link in self._links)
        return {f"{host}:{port}" for host, port in names}

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(writer, far)
        self._links.append(link)
        there = self._tasks.start("there", self._pump(reader, far, link.gates[0], link))
        back = self._tasks.start("back", self._pump(far_reader, writer, link.gates[1], link))
        await asyncio.wait({there, back})
        self._links.remove(link)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event, link: _Link
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                link.is_for_pushes |= b"BCAST" in data
                await gate.wait()
                writer.write(data)
                await writer.drain()
        await gate.wait()  # what is held up comes late, even if whoever sent it has gone: networks do that
        writer.close()
