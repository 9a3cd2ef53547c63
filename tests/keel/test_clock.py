from datetime import UTC

from keel.clock import SystemClock, wall_ns


def test_the_system_clock_tells_aware_utc_and_does_not_go_back() -> None:
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() <= clock.monotonic()


def test_the_wall_clock_and_its_nanoseconds_agree() -> None:
    assert abs(SystemClock().now().timestamp() - wall_ns() / 1e9) < 1
