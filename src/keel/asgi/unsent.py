"""Answers that are sent together: those to what the loop has found to read in one turn.

To send wakes whoever reads, which takes as long as the rest of sending. One who reads many connections, as a proxy on
the same machine does, is so woken once for all answers of a turn.
"""

import asyncio


class Unsent:
    """Answers of this turn of the loop, in the order in which they were given."""

    def __init__(self) -> None:
        self._answers: list[tuple[asyncio.Transport, bytes]] = []

    def put(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, answer: bytes) -> None:
        """Send it once everything was read that is there."""
        if not self._answers:
            loop.call_soon(self.send)
        self._answers.append((transport, answer))

    def send(self) -> None:
        """Send them now: before anything else is sent on their connections, or those are closed."""
        if not self._answers:
            return
        answers, self._answers = self._answers, []
        for transport, answer in answers:
            if not transport.is_closing():
                transport.write(answer)
