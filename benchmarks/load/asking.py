"""What people ask for: who, what, and the bytes of the request."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from itertools import repeat
from random import Random
from typing import Any, Final, NamedTuple

import orjson

from benchmarks.load.people import Person, zipf

PREFIX: Final = "/api/v1"
KEPT: Final = (
    "/portfolio/summary",
    "/portfolio/positions",
    "/analytics/summary",
    "/analytics/equity",
    "/analytics/calendar",
    "/analytics/breakdown?by=symbol",
    "/analytics/distribution",
)
READS: Final = (*KEPT, "/trades?limit=50")
CONTROL: Final = "a control"
"""Asks for an answer that nothing is done for."""
CONTROL_PATH: Final = "/control"
WRITE_SHARE: Final = 0.05
FILL: Final = "a fill"
WRITES: Final = ("a day's note", "a trade's note", FILL)
WEIGHTS: Final = (2, 2, 1)
"""What is written, and how often: most is written in words, and most fills come in files."""
_TAGS: Final = ("A+ setup", "breakout", "reversal", "news", "opening range", "late")


class Request(NamedTuple):
    """One request of one person; `kind` is the path of a read, or what is written."""

    person: int
    kind: str
    method: str
    path: str
    body: bytes = b""

    @property
    def is_kept(self) -> bool:
        """Whether the answer is one that is kept."""
        return self.kind in KEPT


@dataclass(frozen=True)
class People:
    """All who ask, and the day on which they do."""

    everybody: list[Person]
    now: datetime

    def visits(self, seed: int) -> Iterator[Request]:
        """What they ask for, without end; the same for the same seed. The people with most trades ask most."""
        random, ranks, shares = Random(seed), range(len(self.everybody)), zipf(len(self.everybody))
        makers: tuple[Callable[[Random, int, str], Request], ...] = (
            self._note_of_day,
            self._note_of_trade,
            partial(self._fill, iter(range(1 << 30))),
        )
        writes = dict(zip(WRITES, makers, strict=True))
        while True:
            (person,) = random.choices(ranks, cum_weights=shares)
            if random.random() < WRITE_SHARE:
                (kind,) = random.choices(WRITES, WEIGHTS)
                yield writes[kind](random, person, kind)
            else:
                path = random.choice(READS)
                yield Request(person, path, "GET", path)

    def first_looks(self) -> Iterator[Request]:
        """Every answer that is kept, once, those of the busiest first."""
        for person in range(len(self.everybody)):
            for path in KEPT:
                yield Request(person, path, "GET", path)

    def _note_of_day(self, random: Random, person: int, kind: str) -> Request:
        day: date = self.now.date() - timedelta(days=random.randrange(30))
        note = {"notes": f"Waited for my setups, {random.random()}.", "mood": random.randint(1, 5)}
        return Request(person, kind, "PUT", f"/journal/{day}", orjson.dumps(note))

    def _note_of_trade(self, random: Random, person: int, kind: str) -> Request:
        trade = random.choice(self.everybody[person].trades)
        note = {"notes": f"As planned, {random.random()}.", "tags": [random.choice(_TAGS)], "rating": 4}
        return Request(person, kind, "PATCH", f"/trades/{trade}", orjson.dumps(note))

    def _fill(self, numbers: Iterator[int], random: Random, person: int, kind: str) -> Request:
        who = self.everybody[person]
        fill: dict[str, Any] = {
            "account_id": str(who.account),
            "symbol": random.choice(who.symbols),
            "side": random.choice(("buy", "sell")),
            "quantity": str(random.randint(1, 100)),
            "price": f"{random.randint(1_000, 40_000) / 100:.2f}",
            "executed_at": (self.now + timedelta(milliseconds=next(numbers))).isoformat(),
        }
        return Request(person, kind, "POST", "/executions", orjson.dumps(fill))


def controls() -> Iterator[Request]:
    """Controls, without end."""
    return repeat(Request(0, CONTROL, "GET", CONTROL_PATH))


class Clients:
    """The clients of all people: each sends its token, and with the read that follows a write the version it made.

    That read is to show what was written, whichever instance answers. Later ones need not say so.
    """

    def __init__(self, people: People) -> None:
        self._tokens = [each.token for each in people.everybody]
        self._versions: dict[int, int] = {}

    def learn(self, person: int, version: int) -> None:
        """Note the version that a write has made."""
        self._versions[person] = max(version, self._versions.get(person, 0))

    def render(self, request: Request) -> bytes:
        """The bytes of a request."""
        if request.kind == CONTROL:
            return f"GET {CONTROL_PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        lines = [
            f"{request.method} {PREFIX}{request.path} HTTP/1.1",
            "Host: localhost",
            f"Authorization: Bearer {self._tokens[request.person]}",
        ]
        if request.body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(request.body)}"]
        elif request.person in self._versions:
            lines.append(f"X-Data-Version: {self._versions.pop(request.person)}")
        return "\r\n".join([*lines, "", ""]).encode() + request.body
