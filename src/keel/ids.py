"""Identifiers: UUIDs that sort by the time at which they were made."""

import secrets
from typing import Final
from uuid import UUID

from keel.clock import wall_ns

_NS_PER_MS: Final = 1_000_000
_FRACTION_BITS: Final = 12
_RANDOM_BITS: Final = 62


def uuid7(at_ns: int | None = None) -> UUID:
    """A UUIDv7 (RFC 9562, 5.7): 48 bits of ms since 1970, 12 of the ms's fraction (6.2, method 3), 62 random.

    `at_ns` is the time to carry, in nanoseconds since 1970; now by default.
    """
    ms, rest = divmod(wall_ns() if at_ns is None else at_ns, _NS_PER_MS)
    fraction = (rest << _FRACTION_BITS) // _NS_PER_MS
    return UUID(int=ms << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | secrets.randbits(_RANDOM_BITS))
