"""What a fill is called for ever: the digest by which the same fill is known in every file that tells it."""

from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Final
from uuid import UUID

from tradesense.brokers.contract import CashMovement, Fill
from tradesense.domain.executions import ExecutionId

DIGEST_BYTES: Final = 16
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  (a wall time)
_VERSION_7: Final = 7 << 76
_VARIANT: Final = 2 << 62


def base_digest(broker: str, name: str, fill: Fill) -> bytes:
    """16 bytes of a fill before its ordinal: the broker's id of it, else the format and the fingerprint.

    A fill with an id of its own is the same in every format of its broker that has that kind of id.
    """
    if fill.identity is not None:
        told = f"{broker}\0id\0{fill.identity.kind}\0{fill.identity.id}"
    else:
        told = f"{broker}\0row\0{name}\0{fill.fingerprint}"
    return blake2b(told.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()


def cash_digest(broker: str, name: str, movement: CashMovement) -> bytes:
    """The same for a cash movement, which has no id but its fingerprint."""
    told = f"{broker}\0cash\0{name}\0{movement.fingerprint}"
    return blake2b(told.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()


def with_ordinal(base: bytes, ordinal: int) -> bytes:
    """The identity of the ordinal-th of several fills that nothing else tells apart; the first keeps the base."""
    return blake2b(base + ordinal.to_bytes(8, "big"), digest_size=DIGEST_BYTES).digest() if ordinal else base


def execution_id(account: UUID, identity: bytes, wall: datetime) -> ExecutionId:
    """The id of a fill in an account: UUID version 7 in shape, the same whenever it is computed.

    48 bits are the wall time in milliseconds as the file wrote it, 74 are a digest of account and identity
    (RFC 9562, section 5.7, with the random part deterministic).
    """
    since = wall - _EPOCH
    milliseconds = (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000
    digest = _digest_of(account.bytes).copy()
    digest.update(identity)
    noise = int.from_bytes(digest.digest(), "big")
    high, low = (noise >> 62) & 0xFFF, noise & ((1 << 62) - 1)
    return ExecutionId(UUID(int=(milliseconds & ((1 << 48) - 1)) << 80 | _VERSION_7 | high << 64 | _VARIANT | low))


@lru_cache(maxsize=64)
def _digest_of(account: bytes) -> blake2b:
    """A digest that has begun with an account, to be copied: it takes half as long as beginning anew for each fill."""
    return blake2b(account, digest_size=10)
