"""One of the applications behind one of the servers: `python -m benchmarks.usual.serving bare|usual|ours SERVER`.

What they need stands in the environment: `PORT`, `REDIS_URL`, `BODY` (the file with the bytes), and settings of ours.
Where others serve ours than `tradesense serve`, they get the options that it has.
"""

import os
import sys
from pathlib import Path
from typing import Any, Final

import uvicorn
from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.log import LogLevels

from benchmarks.usual import stack
from tradesense.app import create_app
from tradesense.cli.serve import run
from tradesense.settings import Settings

SERVERS: Final = ("uvicorn", "granian")


def _given(name: str) -> str:
    return os.environ[name]  # noqa: TID251 - no settings of ours


def bare() -> Any:  # noqa: ANN401 - an ASGI application, as all three
    """The endpoint with nothing around it."""
    return stack.bare(Path(_given("BODY")))


def usual() -> Any:  # noqa: ANN401
    """As most people would assemble it."""
    return stack.usual(Path(_given("BODY")), _given("REDIS_URL"), Path(_given("LOG_FILE")))


def ours() -> Any:  # noqa: ANN401
    """TradeSense."""
    return create_app(Settings.load())


def main(name: str, server: str) -> None:
    """Serve until told to stop."""
    port = int(_given("PORT"))
    if server == "granian":
        Granian(
            f"{__spec__.name}:{name}",
            factory=True,
            port=port,
            interface=Interfaces.ASGI,
            http=HTTPModes.http1,
            loop=Loops.uvloop,
            log_level=LogLevels.warning,
        ).serve()
    elif name == "ours":
        run(Settings.load())
    else:
        uvicorn.run(globals()[name](), port=port, log_level="warning", access_log=False, server_header=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
