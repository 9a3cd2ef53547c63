"""What every caller may rely on, on a real server."""

from keel.redis.connecting import connect


async def test_a_call_answers_in_bytes(redis_url: str, redis_namespace: str) -> None:
    async with connect(redis_url) as redis:
        assert await redis.call("SET", f"{redis_namespace}:a", "é") == b"OK"
        assert await redis.call("GET", f"{redis_namespace}:a") == "é".encode()
        assert await redis.call("GET", f"{redis_namespace}:b") is None
