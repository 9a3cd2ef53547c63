"""Ports: the one of the API, and those of processes' own on one machine."""

import errno
import socket
from ipaddress import ip_address
from typing import Final

from tradesense.settings import Settings, SettingsInvalid

MOST_PROCESSES: Final = 100
"""That find ports of their own on one machine."""


def api_listener(settings: Settings) -> socket.socket:
    """A socket that has the address of the API; raises OSError where it cannot be had."""
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError:
        listener.close()
        raise
    listener.set_inheritable(True)  # to the processes that serve
    return listener


def metrics_listener(settings: Settings) -> socket.socket | None:
    """A socket on the first port for metrics that is free and not the API's; None where the settings want none.

    Raises `SettingsInvalid` where there is no such port, or no such address.
    """
    host, first = settings.metrics_host, settings.metrics_port
    if first is None:
        return None
    family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET  # noqa: PLR2004 - IPv6
    for port in range(first, first + MOST_PROCESSES):
        if port == settings.port:
            continue
        try:
            return socket.create_server((host, port), family=family)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise SettingsInvalid([f"TRADESENSE_METRICS_HOST: {host}, port {port}: {error.strerror}"]) from None
    raise SettingsInvalid([f"TRADESENSE_METRICS_PORT: no port is free from {first} on"])
