"""How a value lies on the server: a flag, an id, what one must know of it, and its bytes, compressed if long."""

import os
import struct
from typing import Final

import msgspec
import zstandard

from keel.cache.codec import Undecodable
from keel.cache.contract import Stamps, Stored

SOFT: Final = b"\x01"
"""The first byte of a value that was invalidated softly; `invalidate.lua` writes it over the one that was there."""
FRESH: Final = b"\x00"
ID_BYTES: Final = 8
ID_AT: Final = 1
"""Where the id lies in a frame; `lease.lua` reads it there."""
LONG: Final = 4096
"""Bytes from which a value is compressed."""
_LARGEST: Final = 256 << 20
_PLAIN: Final = 1
_ZSTD: Final = 2
_FIXED: Final = struct.Struct(f">c{ID_BYTES}sBI")


class _Head(msgspec.Struct, array_like=True, gc=False):
    fresh_until: float
    expires: float
    stamps: tuple[bytes | None, ...]
    tags: tuple[str, ...]
    version: int | None
    cost_s: float


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(_Head)


def new_id() -> bytes:
    """An id that no other value has."""
    return os.urandom(ID_BYTES)


def write(value: Stored) -> bytes:
    """The bytes to be stored."""
    payload, form = value.payload, _PLAIN
    if len(payload) >= LONG:
        shorter = zstandard.ZstdCompressor(level=1).compress(payload)
        if len(shorter) < len(payload):
            payload, form = shorter, _ZSTD
    head = _ENCODER.encode(
        _Head(value.fresh_until, value.expires, value.stamps.versions, value.tags, value.version, value.cost_s)
    )
    flag = SOFT if value.is_soft else FRESH
    return b"".join((_FIXED.pack(flag, value.id, form, len(head)), head, payload))


def identity(frame: bytes) -> bytes:
    """The id of whatever lies there, readable or not."""
    return frame[ID_AT : ID_AT + ID_BYTES]


def read(frame: bytes) -> Stored:
    """What `write` wrote; raises Undecodable for anything else."""
    try:
        flag, id_, form, length = _FIXED.unpack_from(frame)
        start = _FIXED.size + length
        head = _DECODER.decode(memoryview(frame)[_FIXED.size : start])
        payload = _payload(form, frame[start:])
    except (struct.error, msgspec.MsgspecError, UnicodeDecodeError, zstandard.ZstdError) as error:
        raise Undecodable(f"no value of this cache: {error}") from None
    stamps = Stamps(head.stamps)
    return Stored(
        id_, payload, head.fresh_until, head.expires, stamps, head.tags, head.version, head.cost_s, flag == SOFT
    )


def _payload(form: int, data: bytes) -> bytes:
    if form == _PLAIN:
        return data
    if form != _ZSTD:
        raise Undecodable(f"no value of this cache: form {form}")
    return zstandard.ZstdDecompressor().decompress(data, max_output_size=_LARGEST)
