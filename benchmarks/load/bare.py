"""A server that has nothing to do: what its answers take is what the machine and the client take.

Run as `python -m benchmarks.load.bare PORT`.
"""

import asyncio
import sys
from typing import Final

import uvicorn
from starlette.types import Receive, Scope, Send

BODY: Final = b"x" * 1500
_HEADERS: Final = [(b"content-length", b"%d" % len(BODY))]


async def bare(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer, once the loop has come round."""
    await asyncio.sleep(0)
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": BODY})


if __name__ == "__main__":
    uvicorn.run(bare, port=int(sys.argv[1]), lifespan="off", ws="none", log_config=None, access_log=False)
