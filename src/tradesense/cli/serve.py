"""`tradesense serve`: the server, in one process or several."""

from typing import TYPE_CHECKING, Annotated

from typer import Exit, Option

from tradesense.cli.terminal import errors

if TYPE_CHECKING:
    from socket import socket

    from fastapi import FastAPI

    from tradesense.settings import Settings


def serve(
    host: Annotated[str | None, Option(help="The address to listen on; HOST, else 127.0.0.1.")] = None,
    port: Annotated[int | None, Option(help="The port to listen on; PORT, else 8000.", min=0, max=65535)] = None,
    workers: Annotated[int | None, Option(help="Processes that serve; WEB_CONCURRENCY, else 1.", min=1)] = None,
    demo: Annotated[bool, Option("--demo", help="Create the demo account first, unless it is there.")] = False,
) -> None:
    """Serve the API; the database is created, or brought up to date, as the server starts."""
    from tradesense.cli.configuration import load_serving
    from tradesense.cli.ports import api_listener

    settings = load_serving(host=host, port=port, workers=workers)
    try:
        listener = api_listener(settings)
    except OSError as error:
        why = f"cannot listen on {settings.host}, port {settings.port}: {error.strerror}"
        errors().print(why, style="red", markup=False, soft_wrap=True)
        raise Exit(1) from None
    if demo:
        from tradesense.cli.demo import ensure_demo

        ensure_demo()
    errors().print(f"TradeSense on {settings.public_url} (its API: {settings.public_url}/docs)", soft_wrap=True)
    run(settings, listener)


def run(settings: "Settings", listener: "socket | None" = None) -> None:
    """Serve until told to stop, whoever comes to a socket, else to the address of the settings."""
    from functools import partial

    from uvicorn import Config, Server
    from uvicorn.supervisors import Multiprocess

    from keel.asgi.serving import ExpressProtocol
    from tradesense.cli.ports import api_listener
    from tradesense.cli.sockets import MOST_BYTES, Sockets

    config = Config(
        partial(_application, settings),
        factory=True,
        http=ExpressProtocol,
        loop="keel.asgi.pacing:PacedLoop",
        workers=settings.workers,
        log_config=None,  # LOG_LEVEL and its like say what is logged, and where
        access_log=False,
        server_header=False,
        proxy_headers=False,  # TRADESENSE_TRUSTED_PROXIES says whom to believe
        timeout_graceful_shutdown=max(1, round(settings.shutdown_s)),
        lifespan="on",
        ws=Sockets,
        ws_max_size=MOST_BYTES,
        ws_per_message_deflate=False,  # messages are small, and each connection would cost memory for it
    )
    sockets = [listener or api_listener(settings)]
    if settings.workers == 1:
        Server(config).run(sockets)
    else:
        Multiprocess(config, sockets=sockets).run()


def _application(settings: "Settings") -> "FastAPI":
    """The application. What was imported for it is not looked through for garbage again: it stays."""
    import gc

    from tradesense.app import create_app
    from tradesense.cli.draining import draining
    from tradesense.cli.probing import probed
    from tradesense.wiring import opened

    app = create_app(settings, draining(probed(opened)))
    gc.collect()
    gc.freeze()
    return app
