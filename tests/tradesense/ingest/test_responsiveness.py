"""While a large file is imported, everybody else is served: logins answer, and the event loop is held by nobody."""

import asyncio
import time

import pytest

from tests.application import Serve
from tests.tradesense.ingest.conftest import generic
from tests.watchdog import watched_loop

ROWS = 20_000


@pytest.mark.slow
async def test_logins_answer_and_nothing_holds_the_loop_while_a_large_file_is_imported(serve: Serve) -> None:
    served = await serve()
    person = await served.user()
    rows = [
        f"2026-{1 + n // 28 % 12:02}-{1 + n % 28:02} {n % 24:02}:{n // 24 % 60:02}:{n % 59:02},S{n % 9},"
        f"{'buy' if n // 9 % 2 else 'sell'},{1 + n % 4},{20 + n % 17}.25"
        for n in range(ROWS)
    ]
    took = []
    with watched_loop():
        started = await person.post("/imports", files={"file": ("large.csv", generic(rows))})
        path = f"/imports/{started.json()['id']}"
        while (found := (await person.get(path)).json())["status"] in {"queued", "running"}:
            began = time.perf_counter()
            answer = await (await served.person()).log_in(person.email)
            took.append(time.perf_counter() - began)
            assert answer.status_code == 200
            await asyncio.sleep(0.02)
    assert (found["status"], found["executions"]) == ("done", ROWS)
    assert len(took) > 3
    assert max(took) < 1
