"""From which address a request comes."""

import pytest
from starlette.types import Message, Receive, Scope, Send

from keel.asgi.addresses import ClientAddresses, TrustedProxies, counted_as

CLIENT, SPOOF, OUTER, INNER = "203.0.113.7", "198.51.100.1", "10.0.0.1", "10.0.0.2"


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "client"),
    [
        ([], INNER, [CLIENT], INNER),
        (["10.0.0.0/8"], INNER, [], INNER),
        (["10.0.0.0/8"], INNER, [CLIENT], CLIENT),
        (["10.0.0.0/8"], INNER, [SPOOF, CLIENT, OUTER], CLIENT),
        (["10.0.0.0/8"], CLIENT, [SPOOF], CLIENT),
        (["10.0.0.2"], INNER, [CLIENT, OUTER], OUTER),
        (["10.0.0.0/8"], INNER, [CLIENT, "unknown"], INNER),
        (["10.0.0.0/8"], INNER, [CLIENT, "garbage", OUTER], OUTER),
        (["10.0.0.0/8"], INNER, [f"{CLIENT}:4711"], CLIENT),
        (["10.0.0.0/8"], INNER, ["[2001:db8::1]:4711"], "2001:db8::1"),
        (["::1"], "::1", ["::ffff:203.0.113.7"], CLIENT),
        (["unix"], "", [SPOOF, CLIENT], CLIENT),
        (["10.0.0.0/8"], "", [CLIENT], ""),
        (["1"], INNER, [SPOOF, CLIENT], CLIENT),
        (["2"], INNER, [SPOOF, CLIENT, OUTER], CLIENT),
        (["2"], INNER, [CLIENT], CLIENT),
        (["2"], INNER, ["garbage", CLIENT], CLIENT),
        (["1"], INNER, ["garbage"], INNER),
        (["0"], INNER, [CLIENT], INNER),
    ],
)
def test_proxies_are_believed_as_far_as_they_are_trusted_counted_from_the_right(
    trusted: list[str], peer: str, forwarded: list[str], client: str
) -> None:
    assert TrustedProxies.parse(trusted).client(peer, forwarded) == client


@pytest.mark.parametrize("trusted", [["everybody"], ["10.0.0.0/33"], ["99"], ["1", "2"], ["-1"]])
def test_what_is_neither_networks_nor_a_number_is_a_mistake(trusted: list[str]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        TrustedProxies.parse(trusted)


async def test_everything_further_in_sees_who_asks() -> None:
    seen: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI
        seen.append(scope.get("client"))

    async def receive() -> Message:
        return {}

    async def send(message: Message) -> None:
        """Nobody listens."""

    headers = [(b"x-forwarded-for", SPOOF.encode()), (b"x-forwarded-for", f"{CLIENT}, {OUTER}".encode())]
    believing = ClientAddresses(app, TrustedProxies.parse(["10.0.0.0/8"]))
    doubting = ClientAddresses(app, TrustedProxies())
    for middleware in (believing, doubting):
        await middleware({"type": "http", "client": (INNER, 1), "headers": headers}, receive, send)
        await middleware({"type": "http", "client": (INNER, 1), "headers": []}, receive, send)
        await middleware({"type": "lifespan"}, receive, send)
    assert seen == [(CLIENT, 0), (INNER, 1), None, (INNER, 1), (INNER, 1), None]


def test_of_ipv6_a_subscribers_whole_network_is_counted() -> None:
    assert counted_as("2001:db8:1:2:3:4:5:6") == counted_as("2001:db8:1:2::1") == "2001:db8:1:2::/64"
    assert counted_as("::ffff:203.0.113.7") == counted_as(CLIENT) == CLIENT
    assert counted_as("testclient") == "testclient"
