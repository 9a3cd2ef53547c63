"""A program that starts `tradesense` commands at once, by forking itself with everything imported, to be killed.

Each line that it reads is a document with `arguments`, `environment` and `log`, the file for what the command says; it
answers with the pid of a process that runs the command, with leases that pass sooner than usual.
"""

import json
import os
import signal
import sys
from datetime import timedelta
from importlib import import_module

from tradesense import wiring
from tradesense.brokers import registry
from tradesense.cli import build

LEASE = timedelta(seconds=2)
IMPORTED = (
    "tradesense.app",
    "tradesense.cli.draining",
    "tradesense.cli.sockets",
    "tradesense.work.service.waking",
    "uvicorn.protocols.http.httptools_impl",
    "uvicorn.supervisors",
    "uvloop",
)


def run(arguments: list[str], environment: dict[str, str], log: str) -> None:
    wiring.LEASE = LEASE  # type: ignore[misc]
    os.environ |= environment  # noqa: TID251 - what the command reads
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    build()(arguments)


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that are killed
    registry.formats()
    for name in IMPORTED:
        import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            run(**json.loads(line))
            os._exit(0)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
