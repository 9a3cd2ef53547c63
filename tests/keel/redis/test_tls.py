"""TLS, with Debian's redis-server: the Valkey of the tests is built without it."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from keel.redis.connecting import connect
from keel.redis.contract import RedisUnavailable
from tests.keel.redis.telling import Diary, answers, soon
from tests.valkey import Valkey, free_port

BINARY = shutil.which("redis-server")
OPENSSL = shutil.which("openssl")

pytestmark = pytest.mark.skipif(not BINARY or not OPENSSL, reason="it takes redis-server with TLS, and openssl")


class TlsServer(Valkey):
    """A server that speaks TLS on `tls_port` and asks for a certificate."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self.key = folder / "server.crt", folder / "server.key"
        names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        made = ["-keyout", str(self.key), "-out", str(self.certificate)]
        subprocess.run(
            [str(OPENSSL), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *made],
            check=True,
            capture_output=True,
        )
        self.tls_port = free_port()
        authority = ("--tls-ca-cert-file", str(self.certificate))
        own = ("--tls-cert-file", str(self.certificate), "--tls-key-file", str(self.key))
        super().__init__(folder, "--tls-port", str(self.tls_port), *authority, *own, binary=Path(str(BINARY)))

    def tls_url(self, **options: object) -> str:
        """How to reach it by TLS."""
        return f"rediss://localhost:{self.tls_port}/0?{urlencode(options)}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TlsServer]:
    server = TlsServer(tmp_path)
    try:
        server.start()
        yield server
    finally:
        server.kill()


async def test_commands_and_pushes_travel_by_tls(server: TlsServer) -> None:
    diary = Diary()
    trusted = {"ssl_ca_certs": server.certificate, "ssl_certfile": server.certificate, "ssl_keyfile": server.key}
    async with connect(server.tls_url(**trusted)) as redis:
        redis.track("ns:", diary)
        await soon(lambda: diary.entries == ["live"])
        value = b"x" * 3_000_000
        await redis.call("SET", "ns:a", value, timeout_s=5)
        assert await redis.call("GET", "ns:a", timeout_s=5) == value
        await soon(lambda: diary.entries == ["live", [b"ns:a"]])
        server.restart()
        assert await answers(redis) < 2
        server.pause()
        await soon(lambda: not redis.available, 2)
        server.resume()
        assert await answers(redis) < 2


async def test_a_server_that_is_not_trusted_is_away(server: TlsServer) -> None:
    async with connect(server.tls_url()) as redis:
        with pytest.raises(RedisUnavailable, match="certificate"):
            await redis.call("GET", "a")


async def test_a_client_without_a_certificate_is_away(server: TlsServer) -> None:
    async with connect(server.tls_url(ssl_ca_certs=server.certificate)) as redis:
        with pytest.raises(RedisUnavailable):
            await redis.call("GET", "a")


async def test_a_file_that_is_not_there_is_said(server: TlsServer, tmp_path: Path) -> None:
    async with connect(server.tls_url(ssl_ca_certs=tmp_path / "absent.pem")) as redis:
        with pytest.raises(RedisUnavailable):
            await redis.call("GET", "a")
